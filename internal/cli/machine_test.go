package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A machine is a directory with a configuration, and the services around it.
type machine struct {
	*emulated

	dir    string
	stderr bytes.Buffer
}

// TestProcessMeetsTheMachine lets the process run into the limits of its machine,
// and be asked to end. Whatever it does, the next run without them completes the
// export: every event once.
func TestProcessMeetsTheMachine(t *testing.T) {
	t.Parallel()
	for name, meet := range map[string]func(context.Context, *testing.T, *machine){
		"SIGTERM": func(ctx context.Context, t *testing.T, m *machine) {
			t.Helper()
			m.wantEnd(t, m.start(ctx, t, "exec gapless run --config gapless.yaml"), 0, "", syscall.SIGTERM)
		},
		"SIGINT twice": func(ctx context.Context, t *testing.T, m *machine) {
			t.Helper()
			m.faults.Add(emulator.Fault{Match: "PutLogEvents", After: 1, Times: -1, Kind: emulator.FaultHang})
			m.wantEnd(t, m.start(ctx, t, "exec gapless run --config gapless.yaml"), 130, "Once more ends at once", syscall.SIGINT, syscall.SIGINT)
		},
		"a second process": func(ctx context.Context, t *testing.T, m *machine) {
			t.Helper()
			first := m.start(ctx, t, "exec gapless run --config gapless.yaml")
			second := m.command(ctx, "exec gapless run --config gapless.yaml")
			out, err := second.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "the data directory is in use") {
				t.Errorf("the second process ended with %v:\n%s", err, out)
			}
			m.wantEnd(t, first, 0, "", syscall.SIGTERM)
		},
		"no file descriptors": func(ctx context.Context, t *testing.T, m *machine) {
			t.Helper()
			for _, limit := range []int{8, 12, 16, 20, 24} {
				m.endure(ctx, t, fmt.Sprintf("ulimit -n %d; exec gapless run --config gapless.yaml", limit))
			}
			if !strings.Contains(m.stderr.String(), "too many open files") {
				t.Errorf("it is not told:\n%s", m.stderr.String())
			}
		},
		"no room for a file to grow": func(ctx context.Context, t *testing.T, m *machine) {
			t.Helper()
			for _, blocks := range []int{1, 100, 400, 1000} {
				m.endure(ctx, t, fmt.Sprintf("ulimit -f %d; exec gapless run --config gapless.yaml", blocks))
			}
			if !strings.Contains(m.stderr.String(), "The disk of the data directory") {
				t.Errorf("it is not told:\n%s", m.stderr.String())
			}
		},
		"a read-only directory": func(ctx context.Context, t *testing.T, m *machine) {
			t.Helper()
			if os.Geteuid() == 0 {
				t.Skip("NOT RUN: root may write everywhere; run the tests as another user")
			}
			data := filepath.Join(m.dir, "data")
			if err := os.Mkdir(data, 0o500); err != nil {
				t.Fatal(err)
			}
			out, err := m.command(ctx, "exec gapless run --config gapless.yaml").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "the right to read and write the data directory") {
				t.Errorf("it ended with %v:\n%s", err, out)
			}
			if err := os.Chmod(data, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), walkTimeout)
			defer cancel()
			m := newMachine(t)
			meet(ctx, t, m)
			m.complete(ctx, t)
		})
	}
}

// newMachine makes a tenant with a history, and a directory.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{emulated: newEmulated(t, tenant.Options{ClientID: "YOUR_CLIENT_ID", ClientSecret: "s3cret", Plan: tenant.Unlimited}, adminKey), dir: t.TempDir()}
	if err := m.auth0.Generate(1000, time.Now().Add(-time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	readPage(t, "first-event.md").save(t, m.dir, "gapless.yaml", "yaml", "tenants:")
	return m
}

// command returns a shell that runs a script.
func (m *machine) command(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir = m.dir
	cmd.Env = append(m.environ(adminKey), "GAPLESS_DATA_DIR="+filepath.Join(m.dir, "data"))
	return cmd
}

// start starts a script and waits until it has delivered something.
func (m *machine) start(ctx context.Context, t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := m.command(ctx, script)
	cmd.Stderr = &m.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for len(m.cw.Events(firstEventGroup, firstEventStream)) == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("nothing arrives")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return cmd
}

// wantEnd sends signals and checks how a process ends.
func (m *machine) wantEnd(t *testing.T, cmd *exec.Cmd, code int, said string, signals ...os.Signal) {
	t.Helper()
	for _, s := range signals {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		<-time.After(300 * time.Millisecond) // two signals in one moment count as one
	}
	_ = cmd.Wait() // the code tells
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(m.stderr.String(), said) {
		t.Errorf("ended with %d, want %d:\n%s", got, code, m.stderr.String())
	}
}

// endure lets a script run until it has ended by itself, or has said something and then
// had a second for more, and kills it.
func (m *machine) endure(ctx context.Context, t *testing.T, script string) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := m.command(ctx, script)
	said := &firstWord{to: &m.stderr, then: func() { time.AfterFunc(time.Second, cancel) }}
	cmd.Stderr = said
	_ = cmd.Run() // it may end by itself, with an error
}

// A firstWord is a writer that tells of the first that is written.
type firstWord struct {
	to   io.Writer
	then func()
	once sync.Once
}

// Write implements io.Writer.
func (f *firstWord) Write(p []byte) (int, error) {
	f.once.Do(f.then)
	return f.to.Write(p)
}

// complete runs gapless until everything has arrived and compares.
func (m *machine) complete(ctx context.Context, t *testing.T) {
	t.Helper()
	m.faults.Clear()
	if out, err := m.command(ctx, "exec gapless run --config gapless.yaml --once").CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	arrived := make(map[string]int)
	for _, e := range m.cw.Events(firstEventGroup, firstEventStream) {
		arrived[e.Message]++
	}
	for _, raw := range m.auth0.Events() {
		if n := arrived[string(raw)]; n != 1 {
			t.Fatalf("an event is there %d times: %.200s", n, raw)
		}
	}
}
