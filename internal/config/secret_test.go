package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/gaplesslogs/gapless/internal/config"
)

// canary is a secret that must show up nowhere.
const canary = "cAnArY0123456789"

// secret parses a secret that is well-formed.
func secret(t *testing.T, text string) config.Secret {
	t.Helper()
	s, err := config.ParseSecret(text)
	if err != nil {
		t.Fatalf("parse secret: %v", err)
	}
	return s
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s := secret(t, canary)
	type holder struct {
		Shown  config.Secret
		hidden config.Secret
		ptr    *config.Secret
	}
	h := holder{s, s, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", []config.Secret{s})
		fmt.Fprintf(&out, verb+"\n", map[string]config.Secret{"k": s})
	}
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	out.Write(y)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).LogAttrs(t.Context(), slog.LevelInfo, "m", slog.Any("s", s), slog.Any("h", h))
	}
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("the secret was printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), config.Redacted) {
		t.Error("nothing was printed in its place")
	}
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		shown  string
		remote bool
		err    error
	}{
		{text: "", shown: ""},
		{text: "abc-DEF_123", shown: config.Redacted},
		{text: "with:colon", shown: config.Redacted},
		{text: "env:NAME", shown: "env:NAME"},
		{text: "file:/run/secrets/x", shown: "file:/run/secrets/x"},
		{text: "aws-secretsmanager:gapless/dev#client_secret", shown: "aws-secretsmanager:gapless/dev#client_secret", remote: true},
		{text: "aws-ssm:/gapless/dev", shown: "aws-ssm:/gapless/dev", remote: true},
		{text: "env:", err: config.ErrSecretForm},
		{text: "env:A=B", err: config.ErrSecretForm},
		{text: "env: NAME", err: config.ErrSecretForm},
		{text: "ENV:NAME", err: config.ErrSecretForm},
		{text: "aws-secretmanager:x", err: config.ErrSecretForm},
		{text: "aws:x", err: config.ErrSecretForm},
		{text: "$CLIENT_SECRET", err: config.ErrSecretForm},
		{text: "${CLIENT_SECRET}", err: config.ErrSecretForm},
		{text: "%CLIENT_SECRET%", err: config.ErrSecretForm},
		{text: "********", err: config.ErrSecretRedacted},
	} {
		s, err := config.ParseSecret(c.text)
		if !errors.Is(err, c.err) {
			t.Errorf("%q: got error %v, want %v", c.text, err, c.err)
		}
		if err != nil {
			continue
		}
		if s.String() != c.shown || s.IsRemote() != c.remote || s.IsZero() != (c.text == "") {
			t.Errorf("%q: shown as %q, remote %v, zero %v", c.text, s, s.IsRemote(), s.IsZero())
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r := config.Resolver{
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"SET": "from env", "EMPTY": ""}[name]
			return v, ok
		},
		ReadFile: config.ReadSecretFile,
	}
	for _, c := range []struct {
		text, want, err string
	}{
		{text: "", want: ""},
		{text: "literal", want: "literal"},
		{text: "env:SET", want: "from env"},
		{text: "env:EMPTY", err: "resolve env:EMPTY: is empty"},
		{text: "env:UNSET", err: "resolve env:UNSET: the variable does not exist"},
		{text: "file:" + path, want: "from file"},
		{text: "file:" + path + ".no", err: "resolve file:" + path + ".no: the file does not exist"},
		{text: "file:" + large, err: "resolve file:" + large + ": the file holds more than 65536 bytes"},
		{text: "aws-ssm:x", err: "resolve aws-ssm:x: cannot be looked up here"},
	} {
		got, err := secret(t, c.text).Resolve(t.Context(), r)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%q: got %q, %q; want %q, %q", c.text, got, text, c.want, c.err)
		}
	}
	for _, text := range []string{"env:SET", "file:" + path} {
		if _, err := secret(t, text).Resolve(t.Context(), config.Resolver{}); err == nil {
			t.Errorf("%q: resolved without a resolver", text)
		}
	}
}

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	a, b, env := secret(t, "a"), secret(t, "b"), secret(t, "env:A")
	for _, c := range []struct {
		x, y config.Secret
		want bool
	}{{a, a, true}, {a, secret(t, "a"), true}, {a, b, false}, {a, env, false}, {env, env, true}, {config.Secret{}, config.Secret{}, true}, {a, config.Secret{}, false}} {
		if got := c.x.Equal(c.y); got != c.want {
			t.Errorf("%v equal %v: got %v", c.x, c.y, got)
		}
	}
}

func TestCheckSecrets(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, strings.ReplaceAll(minimal, "s3cr3t", "env:UNSET")+`  - name: b
    domain: b.example.com
    client_id: b
    client_secret: aws-ssm:x
`)
	r := config.Resolver{LookupEnv: func(string) (string, bool) { return "", false }}
	got := problems(t, cfg.CheckSecrets(t.Context(), r, false))
	if len(got) != 1 || got[0] != "g.yaml:6:5: tenants.0.client_secret cannot be resolved: env:UNSET: the variable does not exist" {
		t.Errorf("local: got %q", got)
	}
	if got := problems(t, cfg.CheckSecrets(t.Context(), r, true)); len(got) != 2 {
		t.Errorf("remote: got %q", got)
	}
}
