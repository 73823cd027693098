package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// TestSignals drives the two Ctrl-C with a command that the test controls.
func TestSignals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signals int
		ignores bool // the command does not return when it is asked to
		result  error
		code    int
		stderr  string
	}{
		"none":            {0, false, nil, 0, ""},
		"drained":         {1, false, nil, 0, "Stopping. Once more ends at once.\n"},
		"cut short":       {1, false, context.Canceled, 130, "Stopping. Once more ends at once.\nError: interrupted\n"},
		"twice":           {2, true, nil, 130, "Stopping. Once more ends at once.\n"},
		"failed meantime": {1, false, errors.New("disk full"), 1, "Stopping. Once more ends at once.\nError: disk full\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal)
				release := make(chan struct{})
				var stderr bytes.Buffer
				env := cli.Env{Stderr: &stderr, Signals: signals}
				got := make(chan int, 1)
				go func() {
					got <- cli.Supervise(t.Context(), &env, func(ctx context.Context) error {
						if c.signals > 0 {
							<-ctx.Done()
						}
						if c.ignores {
							<-release
						}
						return c.result
					})
				}()
				for range c.signals {
					signals <- os.Interrupt
					if !c.ignores {
						break
					}
				}
				if code := <-got; code != c.code {
					t.Errorf("got code %d, want %d", code, c.code)
				}
				if stderr.String() != c.stderr {
					t.Errorf("got %q, want %q", stderr.String(), c.stderr)
				}
				close(release)
			})
		})
	}
}

// TestReloadsAreTakenFirst has gapless run take over SIGHUP before it reads anything:
// whoever asks for a reload while it starts must not end it. A run that ends by itself,
// and other commands, leave SIGHUP alone.
func TestReloadsAreTakenFirst(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{"run": true, "run --once": false, "run --dry-run": false, "config check": false} {
		taken := false
		env := cli.Env{Stdout: io.Discard, Stderr: io.Discard, Reloads: func() (<-chan os.Signal, func()) {
			taken = true
			return make(chan os.Signal), func() {}
		}}
		args := append(strings.Fields(line), "--config", filepath.Join(t.TempDir(), "none.yaml"))
		if code := cli.Main(t.Context(), args, env); code != 3 || taken != want {
			t.Errorf("%s without a configuration: exit code %d, SIGHUP taken: %v", line, code, taken)
		}
	}
}
