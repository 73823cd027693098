package store_test

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/store"
)

func TestMain(m *testing.M) {
	childMain() // does not return in a child process
	flag.Parse()
	fewerChecks()
	goleak.VerifyTestMain(m)
}

// fewerChecks lowers rapid's default: each check is some lives of a store. What the
// command line says stands.
func fewerChecks() {
	const name = "rapid.checks"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	if err := flag.Set(name, "25"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start is the date of the first test event.
var start = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

// destination is where test events go.
var destination = pipeline.Destination{LogGroup: "/auth0/dev-tenant", LogStream: "logs"}

// privateDir makes a directory that no other user may reach, so that the store has
// nothing to say of it.
func privateDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openStore opens a store that the test closes at its end.
func openStore(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = privateDir(t)
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
	const pad = `,"pad":""`
	if free := size - len(raw) - len(pad); free >= 0 { // with what no compression makes smaller
		noise := make([]byte, free)
		_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(noise)
		raw = raw[:len(raw)-1] + pad[:len(pad)-1] + base64.RawStdEncoding.EncodeToString(noise)[:free] + `"}`
	}
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

// take takes a batch.
func take(t *testing.T, b *store.Buffer, l pipeline.Limits) pipeline.Batch {
	t.Helper()
	batch, err := b.Next(t.Context(), l)
	if err != nil {
		t.Fatalf("take batch: %v", err)
	}
	return batch
}

// mustAppend stores an intake.
func mustAppend(t *testing.T, b *store.Buffer, in pipeline.Intake) pipeline.Appended {
	t.Helper()
	done, err := b.Append(t.Context(), "poll", in)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return done
}

// mustSettle settles a batch.
func mustSettle(t *testing.T, b *store.Buffer, batch pipeline.Batch, r pipeline.Receipt) {
	t.Helper()
	if err := b.Settle(t.Context(), batch, r); err != nil {
		t.Fatalf("settle: %v", err)
	}
}

// statusOf reads the status of the only tenant.
func statusOf(t *testing.T, r *store.Reader) store.TenantStatus {
	t.Helper()
	list, err := r.Status(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("read status: %d tenants and error %v", len(list), err)
	}
	return list[0]
}

// countOf returns a total of a status, over all its reasons.
func countOf(s store.TenantStatus, name string) (n int64) {
	for _, c := range s.Counts {
		if c.Name == name {
			n += c.N
		}
	}
	return n
}

func TestBuffer(t *testing.T) {
	t.Parallel()
	pipelinetest.TestBuffer(t, func(t *testing.T) pipeline.Buffer {
		t.Helper()
		return openBuffer(t, openStore(t, store.Config{}), "dev-tenant")
	})
}

// TestBufferReadingFromDisk holds next to nothing in memory.
func TestBufferReadingFromDisk(t *testing.T) {
	t.Parallel()
	pipelinetest.TestBuffer(t, func(t *testing.T) pipeline.Buffer {
		t.Helper()
		s := openStore(t, store.Config{})
		store.UseSmallWindows(s)
		return openBuffer(t, s, "dev-tenant")
	})
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 10, 500))
	l := limits()
	l.MaxEvents = 4
	mustSettle(t, b, take(t, b, l), pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_large"}}, Retry: []int{3}})
	take(t, b, l) // leased and never settled
	before := statusOf(t, s.Reader)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, store.Config{Dir: dir})
	b = openBuffer(t, s, "dev-tenant")
	if diff := cmp.Diff(before, statusOf(t, s.Reader)); diff != "" {
		t.Errorf("status after reopening (-before +after):\n%s", diff)
	}
	if done := mustAppend(t, b, newIntake(0, 10, 500)); done.Stored != 0 {
		t.Errorf("%d known events were stored again", done.Stored)
	}
	batch := take(t, b, limits())
	if len(batch.Events) != 7 {
		t.Fatalf("%d events are there, want the 7 that were not settled", len(batch.Events))
	}
	for i, e := range batch.Events {
		if diff := cmp.Diff(newEvent(i+3, 500), e); diff != "" {
			t.Errorf("event %d (-stored +read):\n%s", i, diff)
		}
	}
}

func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{MaxBytes: 6000})
	one, two := openBuffer(t, s, "one"), openBuffer(t, s, "two")
	if again := openBuffer(t, s, "one"); again != one {
		t.Error("the same tenant got another buffer")
	}
	mustAppend(t, one, newIntake(0, 10, 500))
	if done := mustAppend(t, two, newIntake(5, 12, 500)); done.Stored != 7 {
		t.Errorf("%d events were stored, want 7 that the other tenant has too", done.Stored)
	}
	if n := len(take(t, one, limits()).Events); n != 10 {
		t.Errorf("the first tenant got %d events, want its 10", n)
	}
	if n := len(take(t, two, limits()).Events); n != 7 {
		t.Errorf("the second tenant got %d events, want its 7", n)
	}
}

func TestBufferFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir, MaxBytes: 2000})
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 5, 1000)) // an empty buffer takes what would never fit
	for name, reopen := range map[string]bool{"as opened": false, "opened again": true} {
		if reopen {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, store.Config{Dir: dir, MaxBytes: 2000})
			b = openBuffer(t, s, "dev-tenant")
		}
		_, err := b.Append(t.Context(), "poll", newIntake(4, 6, 1000))
		e := pipeline.Classify(err)
		if !errors.Is(err, pipeline.ErrBufferFull) || e.Class != pipeline.Throttled || e.Hint == "" {
			t.Errorf("%s: error %v of class %v with hint %q, want ErrBufferFull", name, err, e.Class, e.Hint)
		}
		if c, _ := b.Cursor(t.Context(), "poll"); c != "4" {
			t.Errorf("%s: cursor %q passed events that were not stored", name, c)
		}
	}
	mustAppend(t, b, newIntake(0, 5, 1000)) // duplicates alone
	mustAppend(t, b, pipeline.Intake{Cursor: "x"})
	mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
	if done := mustAppend(t, b, newIntake(4, 6, 1000)); done.Stored != 1 || done.Duplicates != 1 {
		t.Errorf("append after delivery: got %+v", done)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b := openBuffer(t, s, "dev-tenant")
		waiting := make(chan error, 1)
		go func() {
			_, err := b.Next(t.Context(), limits())
			waiting <- err
		}()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := b.Append(t.Context(), "poll", newIntake(0, 1, 0))
		for what, err := range map[string]error{"append": err, "next": <-waiting, "save": b.Save(t.Context(), "k", nil)} {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s after Close: error %v, want ErrClosed", what, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
}
