package cli_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// TestInitShowsNoSecretAndObeysNobody has secrets and hostile text in the settings of
// the old extension, and looks at what is printed and written.
func TestInitShowsNoSecretAndObeysNobody(t *testing.T) {
	t.Parallel()
	const canary = "cAnArY0123456789"
	dir := t.TempDir()
	settings := filepath.Join(dir, "settings.json")
	text := `{"AUTH0_CLIENT_SECRET":"` + canary + `","AWS_ACCESS_KEY_ID":"` + canary + `","AWS_SECRET_KEY":"` + canary + `",
		"SLACK_INCOMING_WEBHOOK_URL":"https://hooks.slack.com/` + canary + `","UNKNOWN":"` + canary + `","a\u001b[2J\u009b31m\u202e":"x",
		"AUTH0_DOMAIN":"x\u001b[2J","LOG_TYPES":"s\u001b[2J","CLOUDWATCH_LOG_STREAM_NAME":"a\u202eb","LOG_LEVEL":"` + canary + `"}`
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"init", "--non-interactive", "--client-id", "abc", "--region", "eu-central-1", "--name", "a", "-o", "-"}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--from-extension", settings, "--domain", "a.example.com"}, 0},
		{[]string{"--from-extension", settings}, 2},
		{[]string{"--domain", "a.example.com", "--client-secret", canary}, 2},
		{[]string{"--domain", hostile}, 2},
		{[]string{"--domain", "a.example.com", "--log-group", hostile}, 2},
		{[]string{"--domain", "a.example.com", "--client-secret", "file:" + hostile}, 2},
		{[]string{"--from-extension", hostile}, 2},
	} {
		code, stdout, stderr := run(t, nil, append(flags, c.args...)...)
		if code != c.code {
			t.Errorf("%q: code %d, want %d\n%s", c.args, code, c.code, stderr)
		}
		if strings.Contains(stdout+stderr, canary) {
			t.Errorf("%q prints a secret:\n%s%s", c.args, stdout, stderr)
		}
		if strings.ContainsFunc(stdout+stderr, func(r rune) bool {
			return r != '\n' && r != '\t' && (!unicode.IsPrint(r) || r == unicode.ReplacementChar)
		}) {
			t.Errorf("%q printed\n%q\n%q", c.args, stdout, stderr)
		}
	}
}

// A safeBuffer takes what a command and the watch over its signals print at once.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds p.
func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// String returns what has been written.
func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestInitIsInterrupted while it waits for an answer: nothing is written.
func TestInitIsInterrupted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.yaml")
	in, answers := io.Pipe()
	t.Cleanup(func() { _ = answers.CloseWithError(errors.New("end")) })
	signals := make(chan os.Signal, 1)
	var out, errs safeBuffer
	done := make(chan int)
	go func() {
		done <- cli.Main(t.Context(), []string{"init", "-o", path}, cli.Env{Stdin: in, Stdout: &out, Stderr: &errs, Signals: signals})
	}()
	if _, err := io.WriteString(answers, "\na.example.com\n\n"); err != nil { // it has been asked for these
		t.Fatal(err)
	}
	signals <- os.Interrupt
	if code := <-done; code != 130 {
		t.Errorf("code %d\n%s", code, errs.String())
	}
	if _, err := os.Stat(path); err == nil || out.String() != "" {
		t.Errorf("a file was written: %v, %q", err, out.String())
	}
}
