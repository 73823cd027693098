package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/store"
)

func TestMain(m *testing.M) {
	childMain() // does not return in a child process
	goleak.VerifyTestMain(m)
}

func childMain() {}

// start is the date of the first test event.
var start = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

// destination is where test events go.
var destination = pipeline.Destination{LogGroup: "/auth0/dev-tenant", LogStream: "logs"}

// openStore opens a store that the test closes at its end.
func openStore(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// openBuffer opens the buffer of a tenant.
func openBuffer(t *testing.T, s *store.Store, tenant string) *store.Buffer {
	t.Helper()
	b, err := s.Buffer(t.Context(), tenant)
	if err != nil {
		t.Fatalf("open buffer: %v", err)
	}
	return b
}

// newEvent makes event number n, n seconds after the start, of a given size.
func newEvent(n, size int) event.Event {
	at := start.Add(time.Duration(n) * time.Second)
	id := fmt.Sprintf("90020261101%012d%033d", n, 7)
	raw := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s"}`, id, at.Format(time.RFC3339Nano))
	raw += strings.Repeat(" ", max(0, size-len(raw)))
	return event.Event{LogID: id, Date: at, Type: "s", Raw: []byte(raw)}
}

// newIntake makes an intake of events number from to to-1.
func newIntake(from, to, size int) pipeline.Intake {
	in := pipeline.Intake{CaughtUp: true}
	for n := from; n < to; n++ {
		in.Entries = append(in.Entries, pipeline.Entry{Event: newEvent(n, size), Destination: destination})
	}
	in.Cursor = event.Cursor(strconv.Itoa(to - 1))
	return in
}

// limits are those of CloudWatch Logs.
func limits() pipeline.Limits {
	return pipeline.Limits{MaxEvents: 10_000, MaxBytes: 1 << 20, EventOverhead: 26, MaxSpan: 24 * time.Hour, Linger: 200 * time.Millisecond}
}

func TestBuffer(t *testing.T) {
	t.Parallel()
	pipelinetest.TestBuffer(t, func(t *testing.T) pipeline.Buffer {
		t.Helper()
		return openBuffer(t, openStore(t, store.Config{}), "dev-tenant")
	})
}
