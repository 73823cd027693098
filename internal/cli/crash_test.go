package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/store"
)

// inFlightBytes is what can be on its way at once: in_flight batches of the
// largest size that PutLogEvents takes.
const inFlightBytes = 4 << 20

// TestDemoSurvivesSIGKILL kills a demo in the middle of everything, again and
// again, and compares in the end what the tenant holds with what arrived, by
// log_id: nothing is missing. Repeated is at most what had been sent when it was
// killed without its receipt being on disk, which is what the README admits.
func TestDemoSurvivesSIGKILL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	admitted := 0
	for _, milliseconds := range []int{250, 300, 350, 100, 320, 400, 370, 600, 900} {
		after := time.Duration(milliseconds) * time.Millisecond
		killDemo(t, dir, after)
		n, size := unsettled(t, dir, admitted)
		if size > inFlightBytes {
			t.Errorf("killed after %v: at least %d bytes were under way, want at most %d", after, size, inFlightBytes)
		}
		admitted += n
	}
	finishDemo(t, dir)
	held, arrived := tenantIDs(t, dir), streamIDs(t, dir)
	missing, repeated := 0, 0
	for id := range held {
		if arrived[id] == 0 {
			missing++
		}
		repeated += max(0, arrived[id]-1)
	}
	t.Logf("%d events held, %d missing, %d repeated of %d that may be", len(held), missing, repeated, admitted)
	if missing > 0 {
		t.Errorf("%d of %d events did not arrive", missing, len(held))
	}
	if repeated > admitted {
		t.Errorf("%d events arrived again, want at most the %d that were under way at a kill", repeated, admitted)
	}
	if len(held) < 1000 {
		t.Errorf("the tenant held %d events only: the demo was killed before it did anything", len(held))
	}
	for id := range arrived {
		if held[id] == 0 {
			t.Errorf("event %s arrived, and the tenant does not hold it", id)
		}
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
		if code := exitCodeOf(err); code != 0 && code != 5 { // 5: something arrived twice
			t.Fatalf("the last demo: %v\n%s", err, out)
		}
		if !bytes.Contains(out, []byte("had not arrived")) {
			return
		}
	}
	t.Fatal("the demo does not come to an end")
}

// unsettled returns how many events the stream holds that gapless does not know
// to be there, less the repeated ones of before, and the least that they weigh.
func unsettled(t *testing.T, dir string, repeated int) (n, size int) {
	t.Helper()
	events := streamEvents(t, dir)
	if len(events) == 0 { // killed before anything was sent, maybe before the store was made
		return 0, 0
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
	n = len(events) - repeated
	for _, f := range figures {
		for _, c := range f.Counts {
			if c.Name == store.CountDelivered {
				n -= int(c.N)
			}
		}
		t.Logf("killed with %d events in the buffer and %d sent without a receipt", f.BufferedEvents, n)
	}
	shortest := slices.MinFunc(events, func(a, b cloudwatch.StoredEvent) int { return len(a.Message) - len(b.Message) })
	return max(0, n), max(0, n) * (len(shortest.Message) + 26)
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

// exitCodeOf returns the code with which a command ended.
func exitCodeOf(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}
