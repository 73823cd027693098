package cli_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestDemoSurvivesSIGKILL kills a demo in the middle of everything, again and
// again, and compares in the end what the tenant holds with what arrived, by
// log_id: every event, and each of them once.
func TestDemoSurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inDoubt := 0
	for _, milliseconds := range []int{250, 300, 350, 100, 320, 400, 370, 600, 900} {
		killDemo(t, dir, time.Duration(milliseconds)*time.Millisecond)
		inDoubt += unsettled(t, dir)
	}
	finishDemo(t, dir)
	held, arrived := tenantIDs(t, dir), streamIDs(t, dir)
	t.Logf("%d events held, %d arrived, %d of them without a receipt when the demo was killed", len(held), len(arrived), inDoubt)
	if len(held) < 1000 {
		t.Errorf("the tenant held %d events only: the demo was killed before it did anything", len(held))
	}
	if diff := cmp.Diff(held, arrived); diff != "" {
		t.Errorf("log_ids and how often they are there (-held +arrived):\n%.4000s", diff)
	}
}

// demoCommand returns a demo on the directory, in a process of its own.
func demoCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	args = append([]string{
		"demo", "--data", dir, "--events", "8000", "--plan", "unlimited", "--json",
		"--tenant-listen", "127.0.0.1:0", "--cloudwatch-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0",
	}, args...)
	cmd := exec.CommandContext(ctx, "gapless", args...)
	cmd.Env = append(os.Environ(), quickExit)
	return cmd
}

// killDemo starts a demo and kills it after a while.
func killDemo(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after) // its end is SIGKILL
	defer cancel()
	var stderr bytes.Buffer
	cmd := demoCommand(ctx, dir, "--rate", "1000")
	cmd.Stderr = &stderr
	if err := cmd.Run(); ctx.Err() == nil {
		t.Fatalf("the demo ended before it was killed: %v\n%s", err, stderr.String())
	}
}

// finishDemo lets demos run until all has arrived.
func finishDemo(t *testing.T, dir string) {
	t.Helper()
	for range 10 {
		out, err := demoCommand(t.Context(), dir, "--rate", "0", "--duration", "1s").CombinedOutput()
		if err != nil {
			t.Fatalf("the last demo: %v\n%s", err, out)
		}
		if !bytes.Contains(out, []byte("had not arrived")) {
			return
		}
	}
	t.Fatal("the demo does not come to an end")
}

// unsettled returns how many events the stream holds that gapless does not know
// to be there.
func unsettled(t *testing.T, dir string) int {
	t.Helper()
	n := len(streamEvents(t, dir))
	if n == 0 { // killed before anything was sent, maybe before the store was made
		return 0
	}
	r, err := store.OpenReadOnly(t.Context(), filepath.Join(dir, "gapless"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	figures, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		for _, c := range f.Counts {
			if c.Name == store.CountDelivered {
				n -= int(c.N)
			}
		}
	}
	return n
}

// streamEvents reads the stream from the emulator's directory.
func streamEvents(t *testing.T, dir string) []cloudwatch.StoredEvent {
	t.Helper()
	s, err := cloudwatch.New(cloudwatch.Options{DataDir: filepath.Join(dir, "cloudwatch")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	return s.Events("/auth0/dev-tenant", "logs")
}

// streamIDs counts the log_ids in the stream.
func streamIDs(t *testing.T, dir string) map[string]int {
	t.Helper()
	ids := make(map[string]int)
	for _, e := range streamEvents(t, dir) {
		ids[idOf(t, []byte(e.Message))]++
	}
	return ids
}

// tenantIDs counts the log_ids that the tenant holds.
func tenantIDs(t *testing.T, dir string) map[string]int {
	t.Helper()
	s, err := tenant.New(tenant.Options{DataDir: filepath.Join(dir, "tenant")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	ids := make(map[string]int)
	for _, raw := range s.Events() {
		ids[idOf(t, raw)]++
	}
	return ids
}

// idOf returns the log_id of an event.
func idOf(t *testing.T, raw []byte) string {
	t.Helper()
	e, err := event.Parse(raw, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return e.LogID
}
