package pipelinetest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

func holdsTheLimits(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	var events []event.Event
	for n := range 10 {
		events = append(events, testEvent(n, 974))
	}
	appendEvents(t, b, events...)
	l := testLimits()
	l.MaxBytes = 3000 // three events of 974+26
	wantIDs(t, next(t, b, l), 0, 1, 2)
	l.MaxBytes = 2999
	wantIDs(t, next(t, b, l), 3, 4)
	l.MaxBytes = 999 // no event fits: one goes alone
	wantIDs(t, next(t, b, l), 5)
	l = testLimits()
	l.MaxEvents = 1
	wantIDs(t, next(t, b, l), 6)
	l.MaxEvents, l.MaxSpan = 100, time.Second
	wantIDs(t, next(t, b, l), 7, 8)
	wantIDs(t, next(t, b, l), 9)
}

func clampsDates(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	const hour = 3600
	appendEvents(t, b, testEvent(0, 0), testEvent(30*hour, 0), testEvent(60*hour, 0), testEvent(90*hour, 0))
	l := testLimits()
	l.Oldest = testStart.Add(50 * time.Hour)
	l.Newest = testStart.Add(70 * time.Hour)
	wantIDs(t, next(t, b, l), 0, 30*hour, 60*hour, 90*hour)
}

func servesAllDestinations(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	in := pipeline.Intake{CaughtUp: true}
	for n := range 400 { // a long and old backlog of one, a few young ones of others
		in.Entries = append(in.Entries, pipeline.Entry{Event: testEvent(n, 0), Destination: testDestination})
	}
	for n := range 5 {
		to := pipeline.Destination{LogGroup: "/auth0/dev-tenant", LogStream: fmt.Sprint("stream-", n)}
		in.Entries = append(in.Entries, pipeline.Entry{Event: testEvent(1000+n, 0), Destination: to})
	}
	if _, err := b.Append(t.Context(), "poll", in); err != nil {
		t.Fatalf("append: %v", err)
	}
	<-time.After(time.Second) // the bubble's time: all have lingered
	l := testLimits()
	l.MaxEvents = 10
	turn := make(map[pipeline.Destination]int)
	for i := range 45 {
		batch := next(t, b, l)
		if _, known := turn[batch.Destination]; !known {
			turn[batch.Destination] = i
		}
		for _, e := range batch.Events {
			want := pipeline.Entry{Event: e, Destination: batch.Destination}
			if !slices.ContainsFunc(in.Entries, func(x pipeline.Entry) bool {
				return x.Event.LogID == want.Event.LogID && x.Destination == want.Destination
			}) {
				t.Fatalf("event %s in a batch for %v", e.LogID, batch.Destination)
			}
		}
		settle(t, b, batch, pipeline.Receipt{})
	}
	if len(turn) != 6 {
		t.Fatalf("%d destinations were served, want 6", len(turn))
	}
	for to, i := range turn {
		if i >= 12 {
			t.Errorf("%v had to wait for %d batches of others", to, i)
		}
	}
}

func holdsDestinations(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	other := pipeline.Destination{LogGroup: "/auth0/dev-tenant", LogStream: "other"}
	in := intakeOf(testEvent(1, 0), testEvent(2, 0))
	in.Entries[1].Destination = other
	if _, err := b.Append(t.Context(), "poll", in); err != nil {
		t.Fatalf("append: %v", err)
	}
	until := time.Now().Add(time.Minute)
	l := testLimits()
	l.Held = func(to pipeline.Destination) time.Time {
		if to == testDestination {
			return until
		}
		return time.Time{}
	}
	batch := next(t, b, l)
	wantIDs(t, batch, 2)
	settle(t, b, batch, pipeline.Receipt{})
	wantIDs(t, next(t, b, l), 1)
	if !time.Now().Equal(until) {
		t.Errorf("the destination was served at %v, want at the end of the hold, %v", time.Now(), until)
	}
}

func lingers(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	start := time.Now()
	appendEvents(t, b, testEvent(1, 0))
	time.AfterFunc(150*time.Millisecond, func() { appendEvents(t, b, testEvent(2, 0)) })
	wantIDs(t, next(t, b, testLimits()), 1, 2)
	if waited := time.Since(start); waited != 200*time.Millisecond {
		t.Errorf("the batch came after %v, want the 200ms of its first event", waited)
	}
	l := testLimits()
	l.Linger = 0
	start = time.Now()
	appendEvents(t, b, testEvent(3, 0))
	wantIDs(t, next(t, b, l), 3)
	if waited := time.Since(start); waited != 0 {
		t.Errorf("without linger the batch came after %v", waited)
	}
}

func fullBatchesDoNotLinger(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	l := testLimits()
	l.Linger = time.Hour
	l.MaxEvents = 3
	l.MaxSpan = 10 * time.Second
	start := time.Now()
	appendEvents(t, b, testEvent(1, 0), testEvent(2, 0), testEvent(3, 0))
	wantIDs(t, next(t, b, l), 1, 2, 3)
	appendEvents(t, b, testEvent(11, 0), testEvent(50, 0))
	wantIDs(t, next(t, b, l), 11) // what follows lies beyond the span
	l.MaxBytes = 1000
	appendEvents(t, b, testEvent(51, 900))
	wantIDs(t, next(t, b, l), 50) // what follows does not fit
	if waited := time.Since(start); waited != 0 {
		t.Errorf("full batches came after %v, want at once", waited)
	}
}

func waitsForBacklog(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	in := intakeOf(testEvent(1, 0))
	in.CaughtUp = false
	start := time.Now()
	if _, err := b.Append(t.Context(), "poll", in); err != nil {
		t.Fatalf("append: %v", err)
	}
	batch := next(t, b, testLimits())
	if waited := time.Since(start); waited < 200*time.Millisecond || waited > 2*time.Second {
		t.Errorf("the batch came after %v, want between linger and 2s", waited)
	}
	settle(t, b, batch, pipeline.Receipt{})
	start = time.Now()
	in.Entries[0].Event = testEvent(2, 0)
	if _, err := b.Append(t.Context(), "poll", in); err != nil {
		t.Fatalf("append: %v", err)
	}
	appendEvents(t, b, testEvent(3, 0)) // the same source is caught up now
	wantIDs(t, next(t, b, testLimits()), 2, 3)
	if waited := time.Since(start); waited != 200*time.Millisecond {
		t.Errorf("after the end of the backlog the batch came after %v, want 200ms", waited)
	}
}

func wakesUp(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	got := make(chan pipeline.Batch)
	for range 2 {
		go func() {
			batch, err := b.Next(t.Context(), testLimits())
			if err != nil {
				t.Errorf("take batch: %v", err)
			}
			got <- batch
		}()
	}
	synctest.Wait()
	appendEvents(t, b, testEvent(1, 0))
	batch := <-got
	wantIDs(t, batch, 1)
	settle(t, b, batch, pipeline.RetryAll(batch, pipeline.Doubt{}))
	wantIDs(t, <-got, 1)
}

func settlesEachOutcome(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	var events []event.Event
	for n := range 7 {
		events = append(events, testEvent(n, 0))
	}
	appendEvents(t, b, events...)
	batch := next(t, b, testLimits())
	settle(t, b, batch, pipeline.Receipt{
		Skipped:  []pipeline.Rejection{{Index: 6, Reason: "severity"}},
		Rejected: []pipeline.Rejection{{Index: 1, Reason: "too_large", Detail: "1 MB is the limit"}},
		Altered:  []pipeline.Rejection{{Index: 2, Reason: "trimmed"}},
		Retry:    []int{5, 3},
	})
	again := next(t, b, testLimits())
	wantIDs(t, again, 3, 5)
	settle(t, b, again, pipeline.Receipt{})
	wantNothing(t, b)
}

func namesSources(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	appendEvents(t, b, testEvent(1, 0), testEvent(3, 0))
	if _, err := b.Append(t.Context(), "webhook", intakeOf(testEvent(2, 0), testEvent(3, 0))); err != nil {
		t.Fatalf("append: %v", err)
	}
	batch := next(t, b, testLimits())
	wantIDs(t, batch, 1, 2, 3)
	if want := []string{"poll", "webhook", "poll"}; !slices.Equal(want, batch.Sources) {
		t.Errorf("the events came by %q, want %q", batch.Sources, want)
	}
}

func settleMayBeRepeated(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	appendEvents(t, b, testEvent(1, 0), testEvent(2, 0), testEvent(3, 0))
	first := next(t, b, testLimits())
	receipt := pipeline.Receipt{Retry: []int{1}}
	settle(t, b, first, receipt)
	settle(t, b, first, receipt)
	second := next(t, b, testLimits())
	wantIDs(t, second, 2)
	settle(t, b, first, receipt) // must not touch the lease of the second
	settle(t, b, first, pipeline.Receipt{})
	wantNothing(t, b)
	settle(t, b, second, pipeline.RetryAll(second, pipeline.Doubt{}))
	wantIDs(t, next(t, b, testLimits()), 2)
}

func keepsDoubt(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	appendEvents(t, b, testEvent(1, 0), testEvent(2, 0), testEvent(3, 0))
	batch := next(t, b, testLimits())
	if !batch.Doubt.IsZero() {
		t.Errorf("a batch that was never sent has the doubt %v", batch.Doubt)
	}
	doubt := pipeline.Doubt{From: testStart, Until: testStart.Add(time.Second)}
	settle(t, b, batch, pipeline.Receipt{Retry: []int{0, 2}, Doubt: doubt})
	batch = next(t, b, testLimits())
	wantIDs(t, batch, 1, 3)
	if batch.Doubt != doubt {
		t.Errorf("the batch has the doubt %v, want %v", batch.Doubt, doubt)
	}
	settle(t, b, batch, pipeline.RetryAll(batch, pipeline.Doubt{})) // looked up: they surely did not arrive
	if batch = next(t, b, testLimits()); !batch.Doubt.IsZero() {
		t.Errorf("after a receipt without a doubt the batch has %v", batch.Doubt)
	}
}

func refusesFalseReceipts(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	appendEvents(t, b, testEvent(1, 0), testEvent(2, 0))
	batch := next(t, b, testLimits())
	reject := func(i ...int) (out []pipeline.Rejection) {
		for _, i := range i {
			out = append(out, pipeline.Rejection{Index: i, Reason: "x"})
		}
		return out
	}
	for name, r := range map[string]pipeline.Receipt{
		"rejected index too large":  {Rejected: reject(2)},
		"rejected index negative":   {Rejected: reject(-1)},
		"altered index too large":   {Altered: reject(2)},
		"retry index too large":     {Retry: []int{2}},
		"skipped index too large":   {Skipped: reject(2)},
		"skipped and retried":       {Skipped: reject(0), Retry: []int{0}},
		"skipped and rejected":      {Skipped: reject(0), Rejected: reject(0)},
		"altered and skipped":       {Skipped: reject(0), Altered: reject(0)},
		"rejected twice":            {Rejected: reject(1, 1)},
		"retried twice":             {Retry: []int{0, 0}},
		"rejected and retried":      {Rejected: reject(0), Retry: []int{0}},
		"altered but not delivered": {Rejected: reject(0), Altered: reject(0)},
	} {
		if err := b.Settle(t.Context(), batch, r); err == nil {
			t.Errorf("%s: the receipt was taken", name)
		}
	}
	wantNothing(t, b) // still leased
	settle(t, b, batch, pipeline.RetryAll(batch, pipeline.Doubt{}))
	wantIDs(t, next(t, b, testLimits()), 1, 2)
}

// bufferProperties runs random appends, takings and settlements, and compares
// with a model: what is stored comes out once, in order, within the limits.
// Wrapping t hides its Deadline, which must not be called in a bubble.
func bufferProperties(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	number := 0
	rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
		m := &model{t: t, b: b, open: make(map[string]event.Event), first: number}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				number += m.append(rt)
			case 2:
				m.take(rt)
			default:
				m.settle(rt)
			}
		}
		m.drain()
	})
}

// A model is what a buffer should hold.
type model struct {
	t      *testing.T
	b      pipeline.Buffer
	first  int                    // number of the first event
	stored int                    // events appended
	open   map[string]event.Event // stored and not leased
	leased []pipeline.Batch
}

// append stores a page with a few repetitions.
func (m *model) append(rt *rapid.T) (fresh int) {
	var page []event.Event
	var known []int
	for i := range rapid.IntRange(1, 20).Draw(rt, "events") {
		n := m.first + rapid.IntRange(0, m.stored).Draw(rt, "number")
		e := testEvent(n, rapid.IntRange(0, 400).Draw(rt, "size"))
		e.Date = testStart.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "minute")) * time.Minute)
		if n == m.first+m.stored { // a new one, otherwise a repetition
			m.stored++
			m.open[e.LogID] = e
			fresh++
		} else {
			known = append(known, i)
		}
		page = append(page, e)
	}
	done := appendEvents(m.t, m.b, page...)
	want := pipeline.Appended{Stored: fresh, Duplicates: len(known), Known: known}
	if diff := cmp.Diff(want, done, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("append (-want +got):\n%s", diff)
	}
	return fresh
}

// take takes a batch under random limits and checks it.
func (m *model) take(rt *rapid.T) {
	if len(m.open) == 0 {
		return
	}
	l := pipeline.Limits{
		MaxEvents:     rapid.IntRange(1, 15).Draw(rt, "max_events"),
		MaxBytes:      rapid.IntRange(1, 3000).Draw(rt, "max_bytes"),
		EventOverhead: rapid.IntRange(0, 26).Draw(rt, "overhead"),
		MaxSpan:       time.Duration(rapid.IntRange(0, 120).Draw(rt, "span")) * time.Minute,
		Linger:        time.Duration(rapid.IntRange(0, 500).Draw(rt, "linger")) * time.Millisecond,
		Oldest:        testStart.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "oldest")) * time.Minute),
	}
	batch := next(m.t, m.b, l)
	m.check(rt, batch, l)
	m.leased = append(m.leased, batch)
}

// check compares a batch with what the limits allow: the oldest open events, as
// many as fit.
func (m *model) check(rt *rapid.T, batch pipeline.Batch, l pipeline.Limits) {
	size, last := 0, time.Time{}
	for i, e := range batch.Events {
		want, ok := m.open[e.LogID]
		if !ok || string(want.Raw) != string(e.Raw) || !want.Date.Equal(e.Date) {
			rt.Fatalf("event %s is not as it was stored, or was taken before", e.LogID)
		}
		delete(m.open, e.LogID)
		size += len(e.Raw) + l.EventOverhead
		span := l.Clamp(e.Date).Sub(l.Clamp(batch.Events[0].Date))
		if e.Date.Before(last) || (i > 0 && (size > l.MaxBytes || span > l.MaxSpan || i >= l.MaxEvents)) {
			rt.Fatalf("event %d of %d: %d bytes, span %v, date %v after %v; limits %+v", i, len(batch.Events), size, span, e.Date, last, l)
		}
		last = e.Date
	}
	fits := len(batch.Events) < l.MaxEvents && size < l.MaxBytes
	for _, e := range m.open {
		if e.Date.Before(last) {
			rt.Fatalf("event %s of %v was left behind by a batch up to %v", e.LogID, e.Date, last)
		}
		span := l.Clamp(e.Date).Sub(l.Clamp(batch.Events[0].Date))
		if fits && size+400+l.EventOverhead <= l.MaxBytes && span <= l.MaxSpan {
			rt.Fatalf("event %s would have fitted into a batch of %d bytes, limits %+v", e.LogID, size, l)
		}
	}
}

// settle ends a batch with a random receipt.
func (m *model) settle(rt *rapid.T) {
	if len(m.leased) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.leased)-1).Draw(rt, "batch")
	batch := m.leased[i]
	m.leased = slices.Delete(m.leased, i, i+1)
	var r pipeline.Receipt
	for i, e := range batch.Events {
		switch rapid.IntRange(0, 5).Draw(rt, "outcome") {
		case 0:
			r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "too_large"})
		case 1:
			r.Retry = append(r.Retry, i)
			m.open[e.LogID] = e
		case 2:
			r.Altered = append(r.Altered, pipeline.Rejection{Index: i, Reason: "trimmed"})
		case 3:
			r.Skipped = append(r.Skipped, pipeline.Rejection{Index: i, Reason: "severity"})
		}
	}
	settle(m.t, m.b, batch, r)
}

// drain takes out what is left.
func (m *model) drain() {
	m.t.Helper()
	for _, batch := range m.leased {
		settle(m.t, m.b, batch, pipeline.Receipt{})
	}
	for len(m.open) > 0 {
		batch := next(m.t, m.b, testLimits())
		for _, e := range batch.Events {
			delete(m.open, e.LogID)
		}
		settle(m.t, m.b, batch, pipeline.Receipt{})
	}
}
