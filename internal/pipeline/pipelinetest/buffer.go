package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestBuffer checks that a buffer keeps the contract of pipeline.Buffer. Each
// check calls open, inside a bubble of testing/synctest, for an empty buffer
// that has room for at least 16 MiB and a dedup window of at least an hour;
// what open starts must end in t.Cleanup.
func TestBuffer(t *testing.T, open func(t *testing.T) pipeline.Buffer) {
	t.Helper()
	checks := []struct {
		name  string
		check func(*testing.T, pipeline.Buffer)
	}{
		{"KeepsEventsAsTheyAre", keepsEventsAsTheyAre},
		{"OldestFirst", oldestFirst},
		{"CopiesBytes", copiesBytes},
		{"DropsDuplicates", dropsDuplicates},
		{"KeepsCursors", keepsCursors},
		{"TakesAllPartsOfAnIntake", takesAllParts},
		{"HoldsTheLimits", holdsTheLimits},
		{"ClampsDatesForTheSpan", clampsDates},
		{"OneDestinationPerBatchAllServed", servesAllDestinations},
		{"HoldsDestinations", holdsDestinations},
		{"SinksAreApart", sinksAreApart},
		{"SinksAreApartProperties", manySinksProperties},
		{"LeasesOnce", leasesOnce},
		{"Lingers", lingers},
		{"FullBatchesDoNotLinger", fullBatchesDoNotLinger},
		{"WaitsForABacklog", waitsForBacklog},
		{"WakesUp", wakesUp},
		{"SettlesEachOutcome", settlesEachOutcome},
		{"NamesTheSources", namesSources},
		{"SettleMayBeRepeated", settleMayBeRepeated},
		{"KeepsDoubt", keepsDoubt},
		{"RefusesFalseReceipts", refusesFalseReceipts},
		{"EndsWithItsContext", endsWithContext},
		{"ManyAtOnce", manyAtOnce},
		{"Properties", bufferProperties},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { c.check(t, open(t)) })
		})
	}
}

// Where and when the events of the checks are.
var (
	testDestination = pipeline.Destination{LogGroup: "/auth0/dev-tenant", LogStream: "logs"}
	testStart       = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
)

// testLimits are those of CloudWatch Logs with the default linger.
func testLimits() pipeline.Limits {
	return pipeline.Limits{
		MaxEvents: 10_000, MaxBytes: 1 << 20, EventOverhead: 26,
		MaxSpan: 24 * time.Hour, Linger: 200 * time.Millisecond,
	}
}

// testEvent makes event number n of a tenant, n seconds after the start, of at
// least size bytes.
func testEvent(n, size int) event.Event {
	at := testStart.Add(time.Duration(n) * time.Second)
	id := fmt.Sprintf("id-%06d", n)
	raw := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s","n":%d}`, id, at.Format(time.RFC3339Nano), n)
	if len(raw) < size {
		raw += strings.Repeat(" ", size-len(raw))
	}
	return event.Event{LogID: id, Date: at, Type: "s", Raw: []byte(raw)}
}

// intakeOf makes an intake of a source that is caught up.
func intakeOf(events ...event.Event) pipeline.Intake {
	in := pipeline.Intake{CaughtUp: true, Received: time.Now()}
	for _, e := range events {
		in.Entries = append(in.Entries, pipeline.Entry{Event: e, Destination: testDestination})
	}
	return in
}

// appendEvents stores events and fails the test if it cannot.
func appendEvents(t *testing.T, b pipeline.Buffer, events ...event.Event) pipeline.Appended {
	t.Helper()
	done, err := b.Append(t.Context(), "poll", intakeOf(events...))
	if err != nil {
		t.Fatalf("append %d events: %v", len(events), err)
	}
	return done
}

// next takes a batch within a minute of the bubble's time.
func next(t *testing.T, b pipeline.Buffer, l pipeline.Limits) pipeline.Batch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	batch, err := b.Next(ctx, l)
	if err != nil {
		t.Fatalf("take batch: %v", err)
	}
	if len(batch.Events) == 0 || len(batch.Events) != len(batch.Keys) {
		t.Fatalf("batch of %d events with %d keys", len(batch.Events), len(batch.Keys))
	}
	return batch
}

// settle settles a batch and fails the test if it cannot.
func settle(t *testing.T, b pipeline.Buffer, batch pipeline.Batch, r pipeline.Receipt) {
	t.Helper()
	if err := b.Settle(t.Context(), batch, r); err != nil {
		t.Fatalf("settle batch: %v", err)
	}
}

// wantNothing checks that the buffer offers no batch.
func wantNothing(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	batch, err := b.Next(ctx, testLimits())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("take batch: got %q and error %v, want to wait until the deadline", idsOf(batch), err)
	}
}

// idsOf lists the log_ids of a batch.
func idsOf(b pipeline.Batch) []string {
	ids := make([]string, 0, len(b.Events))
	for _, e := range b.Events {
		ids = append(ids, e.LogID)
	}
	return ids
}

// wantIDs compares the log_ids of a batch.
func wantIDs(t *testing.T, b pipeline.Batch, numbers ...int) {
	t.Helper()
	want := make([]string, 0, len(numbers))
	for _, n := range numbers {
		want = append(want, testEvent(n, 0).LogID)
	}
	if diff := cmp.Diff(want, idsOf(b)); diff != "" {
		t.Fatalf("events of the batch (-want +got):\n%s", diff)
	}
}

func keepsEventsAsTheyAre(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	events := []event.Event{
		{LogID: "a", Date: testStart, DateFrom: event.DateFromField, Type: "s", Raw: []byte(" {\"b\":1.0e3,  \"a\":\"\\u0000\"}\n")},
		{LogID: "a\x00b", Date: testStart.Add(time.Microsecond), DateFrom: event.DateFromID, Type: "", Raw: []byte("{\"x\":\"\xff\xfe\"}")},
		{LogID: "日本 '; --", Date: testStart.Add(time.Millisecond), DateFrom: event.DateFromReceived, Type: "f\"", Raw: []byte("{}")},
		{LogID: "a ", Date: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), Type: "s", Raw: []byte("{ }")},
	}
	if done := appendEvents(t, b, events...); done.Stored != len(events) {
		t.Fatalf("stored %d of %d events", done.Stored, len(events))
	}
	l := testLimits()
	l.MaxSpan = time.Duration(1<<63 - 1)
	l.Newest = testStart.Add(time.Hour)
	got := next(t, b, l)
	if diff := cmp.Diff(events, got.Events); diff != "" {
		t.Errorf("events (-stored +taken):\n%s", diff)
	}
	if got.Destination != testDestination {
		t.Errorf("destination %v, want %v", got.Destination, testDestination)
	}
}

func oldestFirst(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	appendEvents(t, b, testEvent(5, 0), testEvent(2, 0))
	appendEvents(t, b, testEvent(4, 0), testEvent(1, 0))
	appendEvents(t, b, testEvent(3, 0))
	l := testLimits()
	l.MaxEvents = 2
	wantIDs(t, next(t, b, l), 1, 2)
	appendEvents(t, b, testEvent(0, 0))
	wantIDs(t, next(t, b, l), 0, 3)
	wantIDs(t, next(t, b, l), 4, 5)
}

func copiesBytes(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	e := testEvent(1, 0)
	want := string(e.Raw)
	appendEvents(t, b, e)
	clear(e.Raw)
	if got := string(next(t, b, testLimits()).Events[0].Raw); got != want {
		t.Errorf("bytes changed with the caller's: got %q, want %q", got, want)
	}
}

func dropsDuplicates(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	steps := []struct {
		events []event.Event
		want   pipeline.Appended
	}{
		{[]event.Event{testEvent(1, 0), testEvent(2, 0), testEvent(1, 0)}, pipeline.Appended{Stored: 2, Duplicates: 1, Known: []int{2}}},
		{[]event.Event{testEvent(2, 0), testEvent(3, 0)}, pipeline.Appended{Stored: 1, Duplicates: 1, Known: []int{0}}},
		{[]event.Event{testEvent(1, 0)}, pipeline.Appended{Duplicates: 1, Known: []int{0}}},
		{[]event.Event{testEvent(4, 0), testEvent(2, 0), testEvent(4, 0), testEvent(5, 0)}, pipeline.Appended{Stored: 2, Duplicates: 2, Known: []int{1, 2}}},
		{nil, pipeline.Appended{}},
	}
	for i, s := range steps {
		if diff := cmp.Diff(s.want, appendEvents(t, b, s.events...), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("append %d (-want +got):\n%s", i, diff)
		}
	}
	batch := next(t, b, testLimits())
	wantIDs(t, batch, 1, 2, 3, 4, 5)
	settle(t, b, batch, pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 2, Reason: "too_large"}}})
	if got := appendEvents(t, b, testEvent(1, 0), testEvent(3, 0)); got.Duplicates != 2 {
		t.Errorf("append after delivery: got %+v, want 2 duplicates", got)
	}
	wantNothing(t, b)
}

func keepsCursors(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	want := func(source string, want event.Cursor) {
		t.Helper()
		if got, err := b.Cursor(t.Context(), source); err != nil || got != want {
			t.Errorf("cursor of %s: got %q and error %v, want %q", source, got, err, want)
		}
	}
	move := func(source string, to event.Cursor, events ...event.Event) {
		t.Helper()
		in := intakeOf(events...)
		in.Cursor = to
		if _, err := b.Append(t.Context(), source, in); err != nil {
			t.Fatalf("append with cursor: %v", err)
		}
	}
	want("poll", "")
	move("poll", "a", testEvent(1, 0))
	want("poll", "a")
	want("sqs", "")
	move("poll", "", testEvent(2, 0))
	want("poll", "a")
	move("sqs", "x")
	move("poll", "b")
	want("poll", "b")
	want("sqs", "x")
}

func takesAllParts(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	in := intakeOf(testEvent(1, 0))
	in.Unreadable = []event.Unreadable{{Raw: []byte("<html>"), Reason: "not valid JSON"}}
	in.Skipped = map[string]int{"before_start": 3, "filter": 2}
	in.Gap = &event.Gap{FromID: "a", FromTime: testStart, ToID: "b", Reason: "older than the retention"}
	in.Cursor = "c"
	if _, err := b.Append(t.Context(), "poll", in); err != nil {
		t.Fatalf("append: %v", err)
	}
	wantIDs(t, next(t, b, testLimits()), 1)
	wantNothing(t, b)
}

func leasesOnce(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	appendEvents(t, b, testEvent(1, 0), testEvent(2, 0), testEvent(3, 0))
	l := testLimits()
	l.MaxEvents = 2
	first := next(t, b, l)
	wantIDs(t, first, 1, 2)
	appendEvents(t, b, testEvent(0, 0))
	second := next(t, b, l)
	wantIDs(t, second, 0, 3)
	wantNothing(t, b)
	settle(t, b, first, pipeline.RetryAll(first, pipeline.Doubt{}))
	wantIDs(t, next(t, b, l), 1, 2)
}

func endsWithContext(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Second, func() { cancel(cause) })
	if _, err := b.Next(ctx, testLimits()); !errors.Is(err, cause) {
		t.Errorf("take batch: error %v, want the cause of the context", err)
	}
	if _, err := b.Append(ctx, "poll", intakeOf(testEvent(1, 0))); !errors.Is(err, cause) {
		t.Errorf("append: error %v, want the cause of the context", err)
	}
	if got := appendEvents(t, b, testEvent(1, 0)); got.Stored != 1 {
		t.Errorf("append after one that failed: got %+v, want 1 stored", got)
	}
	if _, err := b.Next(ctx, testLimits()); !errors.Is(err, cause) {
		t.Errorf("take batch that is ready: error %v, want the cause of the context", err)
	}
	wantIDs(t, next(t, b, testLimits()), 1)
}

func manyAtOnce(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	const writers, pages, perPage = 4, 10, 25
	ctx := t.Context()
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var stored int // as the appends tell it
	seen := make(map[string]int)
	var readers, writing sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for turn := 0; ; turn++ {
				batch, err := b.Next(reading, testLimits())
				if err != nil {
					return
				}
				r := pipeline.Receipt{}
				if turn%2 == 0 {
					r.Retry = []int{0}
				}
				if err := b.Settle(ctx, batch, r); err != nil {
					t.Errorf("settle: %v", err)
				}
				mu.Lock()
				for i, id := range idsOf(batch) {
					if !slices.Contains(r.Retry, i) {
						seen[id]++
					}
				}
				mu.Unlock()
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for p := range pages {
				var page []event.Event
				for i := range perPage { // every second writer brings what its neighbour brings
					page = append(page, testEvent(((w/2*pages)+p)*perPage+i, 0))
				}
				done := appendEvents(t, b, page...)
				if done.Stored+done.Duplicates != perPage {
					t.Errorf("append of %d events: got %+v", perPage, done)
				}
				mu.Lock()
				stored += done.Stored
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	<-time.After(time.Minute) // the bubble's time: every batch has lingered after it
	stop()
	readers.Wait()
	if want := writers / 2 * pages * perPage; len(seen) != want || stored != want {
		t.Errorf("delivered %d events, and told of %d that were stored, want %d", len(seen), stored, want)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("event %s was delivered %d times", id, n)
		}
	}
}
