package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// TestHealth asks listeners that answer as gapless does when it is not well.
func TestHealth(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	answer := func(path string, status int, text string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		})
	}
	answer("/healthz", http.StatusInternalServerError, "the status cannot be read\n")
	answer("/readyz", http.StatusServiceUnavailable, "dev-tenant: stuck\nother: \x1b[2Jtrouble\n")
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	listen := strings.TrimPrefix(server.URL, "http://")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"works not", nil, 1, "Error: not healthy: 500 Internal Server Error: the status cannot be read\nTry: gapless status\n"},
		{"is not ready", []string{"--ready"}, 5, "Error: not healthy: dev-tenant: stuck\nother: \\x1b[2Jtrouble\nTry: gapless status\n"},
		{"takes its time", []string{"--timeout", "1ns"}, 1, "context deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			env := cli.Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Environ: []string{
				"GAPLESS_DATA_DIR=" + t.TempDir(), "GAPLESS_LISTEN=" + listen, "GAPLESS_AWS_REGION=eu-central-1",
				"GAPLESS_TENANT_NAME=dev-tenant", "GAPLESS_TENANT_DOMAIN=dev-tenant.us.auth0.com",
				"GAPLESS_TENANT_CLIENT_ID=abc", "GAPLESS_TENANT_CLIENT_SECRET=env:NOT_SET_HERE",
			}}
			code := cli.Main(context.Background(), append([]string{"health"}, c.args...), env)
			if code != c.code || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
				t.Errorf("exit code %d, want %d\nstdout: %q\nstderr: %q; want %q", code, c.code, stdout.String(), stderr.String(), c.want)
			}
		})
	}
}
