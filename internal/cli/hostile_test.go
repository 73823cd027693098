package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gaplesslogs/gapless/internal/cli"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// obeyed reports whether a terminal would take something of a text for more than
// text, or for a line more.
func obeyed(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r != '\n' && r != '\t' && !unicode.IsPrint(r)
	})
}

// TestLogLinesObeyNobody holds that a log line stays one, in both formats, whatever
// is in its parts.
func TestLogLinesObeyNobody(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		logger, err := cli.NewLogger(&out, "debug", format)
		if err != nil {
			t.Fatal(err)
		}
		logger.With(slog.String("tenant", hostile)).WithGroup(hostile).Error(hostile+"\nlevel=INFO msg=forged",
			slog.String(hostile, hostile), slog.Any("error", errors.New(hostile+"\n")), slog.Any("list", []string{hostile}), slog.Any("bytes", []byte(hostile)))
		if text := out.String(); obeyed(text) || strings.Count(text, "\n") != 1 || strings.Contains(text, "\t") {
			t.Errorf("%s: %q", format, text)
		}
	}
}

// TestRunObeysNoContent exports events full of what a terminal would obey, past
// errors of both sides full of it, at log level debug, and looks at all that is
// printed on the way and afterwards.
func TestRunObeysNoContent(t *testing.T) { //nolint:paralleltest // it sets the environment
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			common := hostileWorld(t)
			list := append([]string{"--set", "log.level=debug", "--set", "log.format=" + format}, common...)
			for _, args := range [][]string{
				{"run", "--once", "--timeout", "30s"}, {"status"}, {"status", "--json"}, {"deadletter", "list"}, {"deadletter", "show", "1"},
			} {
				code, stdout, stderr := run(t, nil, append(args, list...)...)
				if obeyed(stdout + stderr) {
					t.Errorf("%q, code %d, printed\n%q\n%q", args, code, stdout, stderr)
				}
				if strings.Contains(stderr, "BODY") {
					t.Errorf("%q tells of the content of an event: %q", args, stderr)
				}
				if code != 0 && args[0] != "status" {
					t.Errorf("%q ended with code %d\n%s%s", args, code, stdout, stderr)
				}
				if args[0] == "run" && (!strings.Contains(stderr, "QUOTED-BY-AUTH0") || !strings.Contains(stderr, "QUOTED-BY-AWS")) {
					t.Errorf("the errors were not told, the test shows nothing:\n%s", stderr)
				}
			}
		})
	}
}

// hostileWorld makes a tenant and a CloudWatch Logs endpoint that say hostile
// things, and the configuration that joins them.
func hostileWorld(t *testing.T) (args []string) {
	t.Helper()
	auth0Faults, awsFaults := emulator.NewFaults(), emulator.NewFaults()
	quote := func(typ, mark string) string {
		text, err := json.Marshal(map[string]string{"__type": typ, "error": typ, "message": mark + " " + hostile, "errorCode": hostile})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	auth0Faults.Add(emulator.Fault{Match: "GET /api/v2/logs", Status: 500, Body: quote("Server Error"+hostile, "QUOTED-BY-AUTH0")})
	awsFaults.Add(emulator.Fault{Match: "PutLogEvents", Times: 2, Status: 500, Body: quote("Odd"+hostile, "QUOTED-BY-AWS")})
	auth0, err := tenant.New(tenant.Options{TenantName: "dev", Plan: tenant.Unlimited, Faults: auth0Faults})
	if err != nil {
		t.Fatal(err)
	}
	aws, err := cloudwatch.New(cloudwatch.Options{Faults: awsFaults})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	for id, padding := range map[string]string{"hostile-1": "", "hostile-2": strings.Repeat("x", 1_200_000)} { // the second becomes a dead letter too
		raw := `{"log_id":"` + id + `","date":"` + time.Now().UTC().Format(time.RFC3339Nano) + `","type":` + string(text) + `,"description":"BODY` + padding + `",` + string(text) + `:1}`
		if err := auth0.Append([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	one, two := httptest.NewServer(auth0), httptest.NewServer(aws)
	t.Cleanup(func() {
		one.Close()
		two.Close()
		if err := errors.Join(auth0.Close(), aws.Close()); err != nil {
			t.Error(err)
		}
	})
	id, secret := auth0.Credentials()
	dir := t.TempDir()
	path := filepath.Join(dir, "g.yaml")
	config := "data_dir: " + filepath.Join(dir, "data") + "\nlisten: \"\"\naws: {region: us-east-1, endpoint: " + two.URL + "}\n" +
		"tenants:\n  - name: dev\n    domain: " + one.URL + "\n    client_id: " + id + "\n    client_secret: " + secret +
		"\n    cloudwatch: {log_stream: \"{type}\", compression: none}\n" // or a refusal is first taken for one of gzip
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", path}
}
