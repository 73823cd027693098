package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
)

// account starts an emulated CloudWatch Logs, which answers for STS as well, until the
// script ends, and puts its URL into the variable AWS_URL. The key named limited may not create log
// groups.
func account(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: account")
	}
	server, err := cloudwatch.New(cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{
		{ID: "test", Secret: "test"},
		{ID: "limited", Secret: "test", Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"logs:CreateLogGroup","Resource":"*"}]}`},
	}})
	ts.Check(err)
	s := httptest.NewServer(server)
	ts.Defer(func() {
		s.Close()
		ts.Check(server.Close())
	})
	ts.Setenv("AWS_URL", s.URL)
	ts.Setenv("GAPLESS_AWS_ENDPOINT", s.URL)
}

// TestSetupAgainstMoto sets up all of a user with an access key, which is the way with
// a secret in it, and takes it away again.
func TestSetupAgainstMoto(t *testing.T) {
	t.Parallel()
	dir, endpoint := t.TempDir(), moto.Start(t)
	text := fmt.Sprintf("data_dir: %s\naws: {region: eu-central-1, endpoint: %q}\ntenants:\n  - name: dev\n    domain: dev.us.auth0.com\n    client_id: a\n    client_secret: env:A\n"+
		"    cloudwatch: {retention_days: 30, tags: {team: security}}\nsetup: {run_on: user, leave_out: [auth0]}\n", dir, endpoint)
	if err := os.WriteFile(filepath.Join(dir, "gapless.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(wantCode int, args ...string) (stdout, stderr string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "gapless", append([]string{"setup"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run() // the code is in ProcessState
		if got := cmd.ProcessState.ExitCode(); got != wantCode {
			t.Fatalf("setup %v: exit code %d, want %d\n%s%s", args, got, wantCode, &out, &errs)
		}
		return out.String(), errs.String()
	}
	if _, stderr := run(2, "apply", "--yes"); !strings.Contains(stderr, "--access-key-file") {
		t.Errorf("without a file for the key:\n%s", stderr)
	}
	key := filepath.Join(dir, "gapless.credentials")
	stdout, stderr := run(0, "apply", "--yes", "--access-key-file", key)
	secret := checkKeyFile(t, key)
	if strings.Contains(stdout+stderr, secret) || !strings.Contains(stdout, "made access key gapless") || !strings.Contains(stdout, "the endpoint does not know it") {
		t.Errorf("apply says:\n%s%s", stdout, stderr)
	}
	stdout, _ = run(0, "plan", "--json", "--detailed-exitcode")
	var plan struct {
		Changes int
		Steps   []struct{ Action, Kind string }
	}
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil || plan.Changes != 0 || len(plan.Steps) < 70 {
		t.Errorf("%v\n%s", err, stdout)
	}
	run(0, "apply", "--yes", "--access-key-file", filepath.Join(dir, "second"))
	if _, err := os.Stat(filepath.Join(dir, "second")); err == nil {
		t.Error("a second apply made another key")
	}
	if stdout, _ = run(0, "plan", "--run-on", "none"); !strings.Contains(stdout, "aws iam delete-access-key --user-name gapless --access-key-id AKIA") {
		t.Errorf("nothing of the key of the run_on before:\n%s", stdout)
	}
	stdout, _ = run(0, "destroy", "--yes")
	for _, gone := range []string{
		"removed access key gapless", "removed user gapless", "removed policy gapless", "removed log group /auth0/dev (eu-central-1)",
		"removed dashboard gapless-dev", "removed alarm gapless-dev-logins-failed (eu-central-1)", "removed metric filter /auth0/dev : gapless-dev-logins (eu-central-1)",
	} {
		if !strings.Contains(stdout, gone+"\n") {
			t.Errorf("not %q:\n%s", gone, stdout)
		}
	}
	if stdout, _ = run(0, "destroy", "--yes"); !strings.HasPrefix(lastLine(stdout), "Nothing to do") {
		t.Errorf("destroyed twice:\n%s", stdout)
	}
}

// lastLine returns the last line of a text.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// checkKeyFile returns the secret in a file that nobody else may read.
func checkKeyFile(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	_, secret, found := strings.Cut(read(t, path), "\naws_secret_access_key = ")
	if secret = strings.TrimSpace(secret); !found || len(secret) < 16 {
		t.Fatalf("%s holds no key", path)
	}
	return secret
}
