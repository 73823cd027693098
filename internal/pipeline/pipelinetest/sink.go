package pipelinetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Stored is an event as a reader of the destination finds it.
type Stored struct {
	Destination pipeline.Destination
	// Time is the timestamp, to the millisecond.
	Time    time.Time
	Message string
}

// TestSink checks that a sink keeps the contract of pipeline.Sink. Each check
// calls open, inside a bubble of testing/synctest, for a sink whose destination
// is empty and works; stored returns what was delivered so far, in the order of
// time within each destination. What open starts must end in t.Cleanup.
func TestSink(t *testing.T, open func(t *testing.T) (sink pipeline.Sink, stored func() []Stored)) {
	t.Helper()
	checks := []struct {
		name  string
		check func(*testing.T, *sinkRig)
	}{
		{"LimitsMakeSense", sinkLimitsMakeSense},
		{"TakesNothing", sinkTakesNothing},
		{"KeepsBytesAndDates", sinkKeepsBytesAndDates},
		{"KeepsOrderOfEqualDates", sinkKeepsOrder},
		{"KeepsDestinationsApart", sinkKeepsDestinationsApart},
		{"LeavesTheBatchAlone", sinkLeavesTheBatchAlone},
		{"TakesFullBatches", sinkTakesFullBatches},
		{"SurvivesStaleLimits", sinkSurvivesStaleLimits},
		{"GiantsHarmNoNeighbours", sinkGiants},
		{"DatesFarAway", sinkDatesFarAway},
		{"InvalidTextIsToldOf", sinkInvalidText},
		{"StopsWithItsContext", sinkStops},
		{"ManyAtOnce", sinkManyAtOnce},
		{"Properties", sinkProperties},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sink, stored := open(t)
				c.check(t, &sinkRig{sink: sink, stored: stored})
			})
		})
	}
}

// sinkRig is a sink under test.
type sinkRig struct {
	sink   pipeline.Sink
	stored func() []Stored
	serial int
}

// sinkDest is where most checks deliver to.
var sinkDest = pipeline.Destination{LogGroup: "/gapless/conformance", LogStream: "a"}

// tester is what the checks need of *testing.T and *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// event makes an event that is told apart from all others, of size bytes, or a
// few more when that is too short.
func (r *sinkRig) event(at time.Time, size int) event.Event {
	r.serial++
	id := fmt.Sprintf("id-%08d", r.serial)
	start, end := `{"log_id":"`+id+`","type":"s","description":"`, `"}`
	raw := start + strings.Repeat("x", max(0, size-len(start)-len(end))) + end
	return event.Event{LogID: id, Date: at, Type: "s", Raw: []byte(raw)}
}

// batch makes a batch of events in the order of their dates.
func sinkBatch(dest pipeline.Destination, events ...event.Event) pipeline.Batch {
	slices.SortStableFunc(events, func(a, b event.Event) int { return a.Date.Compare(b.Date) })
	b := pipeline.Batch{Destination: dest, Events: events, Keys: make([]int64, len(events))}
	for i := range b.Keys {
		b.Keys[i] = int64(i)
	}
	return b
}

// deliver delivers a batch as the delivery loop does: what is to be tried again
// goes again, until every event has its outcome. It returns the reasons of the
// rejections and alterations by log_id, and checks each receipt.
func (r *sinkRig) deliver(ctx context.Context, t tester, b pipeline.Batch) (rejected, altered map[string]string) {
	t.Helper()
	rejected, altered = make(map[string]string), make(map[string]string)
	for range 20 {
		receipt, err := r.sink.Deliver(ctx, b)
		if err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		checkReceipt(t, b, receipt)
		for _, x := range receipt.Rejected {
			rejected[b.Events[x.Index].LogID] = x.Reason
		}
		for _, x := range receipt.Altered {
			altered[b.Events[x.Index].LogID] = x.Reason
		}
		if len(receipt.Retry) == 0 {
			return rejected, altered
		}
		slices.Sort(receipt.Retry)
		again := make([]event.Event, 0, len(receipt.Retry))
		for _, i := range receipt.Retry {
			again = append(again, b.Events[i])
		}
		b = sinkBatch(b.Destination, again...)
	}
	t.Fatalf("events are still to be tried again after 20 deliveries: there is no end to it")
	return rejected, altered
}

// checkReceipt checks what every receipt must keep.
func checkReceipt(t tester, b pipeline.Batch, r pipeline.Receipt) {
	t.Helper()
	seen := make(map[int]string)
	claim := func(i int, what string) {
		t.Helper()
		if i < 0 || i >= len(b.Events) {
			t.Fatalf("the receipt names event %d of %d as %s", i, len(b.Events), what)
		}
		if other, ok := seen[i]; ok {
			t.Fatalf("the receipt names event %d as %s and as %s", i, other, what)
		}
		seen[i] = what
	}
	for _, i := range r.Retry {
		claim(i, "to be tried again")
	}
	for _, x := range slices.Concat(r.Rejected, r.Skipped, r.Altered) {
		claim(x.Index, "rejected, skipped or altered")
		if x.Reason == "" || strings.ToLower(x.Reason) != x.Reason || strings.ContainsAny(x.Reason, " -") {
			t.Fatalf("reason %q is no snake_case word", x.Reason)
		}
		if raw := string(b.Events[x.Index].Raw); len(raw) > 0 && strings.Contains(x.Detail, raw) {
			t.Fatalf("the detail of %q quotes the event", x.Reason)
		}
	}
}

// messages returns the stored messages of a destination in the order of time.
func (r *sinkRig) messages(dest pipeline.Destination) []string {
	var out []string
	for _, s := range r.stored() {
		if s.Destination == dest {
			out = append(out, s.Message)
		}
	}
	return out
}

// raws returns the bytes of the events as texts.
func raws(events []event.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, string(e.Raw))
	}
	return out
}

// equal fails when two values differ.
func equal[T any](t tester, want, got T) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", cutText(diff, 4000))
	}
}

// cutText keeps a failure readable.
func cutText(s string, n int) string { return s[:min(n, len(s))] }

func sinkLimitsMakeSense(t *testing.T, r *sinkRig) {
	t.Helper()
	l := r.sink.Limits()
	if l.MaxEvents < 1 || l.MaxBytes < 1024 || l.EventOverhead < 0 || l.MaxSpan < 0 || l.Linger < 0 {
		t.Errorf("limits are out of range: %+v", l)
	}
	now := time.Now()
	if !l.Oldest.IsZero() && !l.Oldest.Before(now) || !l.Newest.IsZero() && l.Newest.Before(now) {
		t.Errorf("now is outside the window from %v to %v", l.Oldest, l.Newest)
	}
}

func sinkTakesNothing(t *testing.T, r *sinkRig) {
	t.Helper()
	receipt, err := r.sink.Deliver(t.Context(), pipeline.Batch{Destination: sinkDest})
	if err != nil {
		t.Fatalf("Deliver of no events: %v", err)
	}
	equal(t, pipeline.Receipt{}, receipt)
}

func sinkKeepsBytesAndDates(t *testing.T, r *sinkRig) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	raw := "{ \"log_id\":\"1\",\n\t\"n\": 1.0e+02, \"é\":\"\\u0041 \u2028 😀 </script> \\\\ \\\"\", \"log_id\":\"2\" }"
	odd := event.Event{LogID: "1", Date: now.Add(-time.Hour), Raw: []byte(raw)}
	b := sinkBatch(sinkDest, odd, r.event(now.Add(-time.Minute), 300), r.event(now, 1500))
	rejected, altered := r.deliver(t.Context(), t, b)
	equal(t, map[string]string{}, rejected)
	equal(t, map[string]string{}, altered)
	var want []Stored
	for _, e := range b.Events {
		want = append(want, Stored{Destination: sinkDest, Time: e.Date, Message: string(e.Raw)})
	}
	equal(t, want, utc(r.stored()))
}

// utc makes stored times comparable.
func utc(stored []Stored) []Stored {
	for i := range stored {
		stored[i].Time = stored[i].Time.UTC()
	}
	return stored
}

func sinkKeepsOrder(t *testing.T, r *sinkRig) {
	t.Helper()
	var events []event.Event
	for range 50 {
		events = append(events, r.event(time.Now(), 100))
	}
	b := sinkBatch(sinkDest, events...)
	r.deliver(t.Context(), t, b)
	equal(t, raws(b.Events), r.messages(sinkDest))
}

func sinkKeepsDestinationsApart(t *testing.T, r *sinkRig) {
	t.Helper()
	other := pipeline.Destination{LogGroup: "/gapless/other", LogStream: "b"}
	one, two := sinkBatch(sinkDest, r.event(time.Now(), 100)), sinkBatch(other, r.event(time.Now(), 100))
	r.deliver(t.Context(), t, one)
	r.deliver(t.Context(), t, two)
	equal(t, raws(one.Events), r.messages(sinkDest))
	equal(t, raws(two.Events), r.messages(other))
}

func sinkLeavesTheBatchAlone(t *testing.T, r *sinkRig) {
	t.Helper()
	bad := r.event(time.Now(), 100)
	bad.Raw[len(bad.Raw)-3] = 0xff
	b := sinkBatch(sinkDest, r.event(time.Now().Add(-1000*time.Hour), 100), bad, r.event(time.Now().Add(1000*time.Hour), 100))
	before := b
	before.Events = slices.Clone(b.Events)
	for i, e := range before.Events {
		before.Events[i].Raw = bytes.Clone(e.Raw)
	}
	before.Keys = slices.Clone(b.Keys)
	r.deliver(t.Context(), t, b)
	equal(t, before, b)
	for i := range b.Events { // nor is it kept: what is stored must not change with it
		clear(b.Events[i].Raw)
	}
	for _, m := range r.messages(sinkDest) {
		if strings.Contains(m, "\x00") {
			t.Fatalf("the sink has kept the bytes of the batch")
		}
	}
}

func sinkTakesFullBatches(t *testing.T, r *sinkRig) {
	t.Helper()
	l := r.sink.Limits()
	now := time.Now()
	var many []event.Event
	for range l.MaxEvents {
		many = append(many, r.event(now, 60))
	}
	var large []event.Event
	for left := l.MaxBytes; left > 0; {
		size := 1500
		if left-size-l.EventOverhead < 200 { // the last one fills it to the byte
			size = left - l.EventOverhead
		}
		e := r.event(now, size)
		left -= len(e.Raw) + l.EventOverhead
		large = append(large, e)
	}
	wide := []event.Event{r.event(now.Add(-l.MaxSpan), 100), r.event(now, 100)}
	for _, events := range [][]event.Event{many, large, wide} {
		rejected, altered := r.deliver(t.Context(), t, sinkBatch(sinkDest, events...))
		equal(t, 0, len(rejected)+len(altered))
	}
	equal(t, len(many)+len(large)+len(wide), len(r.stored()))
}

func sinkSurvivesStaleLimits(t *testing.T, r *sinkRig) {
	t.Helper()
	l := r.sink.Limits()
	now := time.Now()
	var events []event.Event
	for i := range l.MaxEvents + 10 {
		at := now
		if i < 8 { // far apart from each other
			at = now.Add(-time.Duration(i) * (l.MaxSpan*3/4 + time.Hour))
		}
		events = append(events, r.event(at, 200))
	}
	b := sinkBatch(sinkDest, events...)
	rejected, altered := r.deliver(t.Context(), t, b)
	equal(t, 0, len(rejected)+len(altered))
	equal(t, raws(b.Events), r.messages(sinkDest))
}

func sinkGiants(t *testing.T, r *sinkRig) {
	t.Helper()
	l := r.sink.Limits()
	giant := r.event(time.Now(), 2*l.MaxBytes)
	nested := giant
	nested.LogID = "nested"
	nested.Raw = []byte(`{"log_id":"nested","details":{"body":"` + strings.Repeat("y", 2*l.MaxBytes) + `"}}`)
	small := []event.Event{r.event(time.Now().Add(-time.Second), 100), r.event(time.Now().Add(time.Second), 100)}
	rejected, altered := r.deliver(t.Context(), t, sinkBatch(sinkDest, small[0], giant, nested, small[1]))
	for _, e := range []event.Event{giant, nested} {
		if (rejected[e.LogID] == "") == (altered[e.LogID] == "") {
			t.Errorf("an event of %d bytes is neither rejected nor altered, or both", len(e.Raw))
		}
	}
	got := r.messages(sinkDest)
	if len(got) != 2+len(altered) || got[0] != string(small[0].Raw) || got[len(got)-1] != string(small[1].Raw) {
		t.Errorf("%d events are stored; the neighbours of large ones must be as they were", len(got))
	}
}

func sinkDatesFarAway(t *testing.T, r *sinkRig) {
	t.Helper()
	l := r.sink.Limits()
	now := time.Now().UTC()
	old, young := r.event(now.Add(-3*365*24*time.Hour), 100), r.event(now.Add(365*24*time.Hour), 100)
	ancient := r.event(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 100)
	b := sinkBatch(sinkDest, ancient, old, r.event(now, 100), young)
	rejected, _ := r.deliver(t.Context(), t, b)
	stored := utc(r.stored())
	equal(t, len(b.Events)-len(rejected), len(stored))
	for _, s := range stored {
		if !l.Oldest.IsZero() && s.Time.Before(l.Oldest.Add(-time.Hour)) || !l.Newest.IsZero() && s.Time.After(l.Newest.Add(time.Hour)) {
			t.Errorf("an event is stored at %v, outside the window from %v to %v", s.Time, l.Oldest, l.Newest)
		}
	}
}

func sinkInvalidText(t *testing.T, r *sinkRig) {
	t.Helper()
	bad := r.event(time.Now(), 100)
	bad.Raw[len(bad.Raw)-3] = 0xff
	good := r.event(time.Now(), 100)
	rejected, altered := r.deliver(t.Context(), t, sinkBatch(sinkDest, bad, good))
	got := r.messages(sinkDest)
	if !slices.Contains(got, string(good.Raw)) {
		t.Errorf("the neighbour of an event with invalid UTF-8 is missing")
	}
	if !slices.Contains(got, string(bad.Raw)) && rejected[bad.LogID]+altered[bad.LogID] == "" {
		t.Errorf("an event with invalid UTF-8 was neither stored as it is nor told of")
	}
}

func sinkStops(t *testing.T, r *sinkRig) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := sinkBatch(sinkDest, r.event(time.Now(), 100))
	receipt, err := r.sink.Deliver(ctx, b)
	checkReceipt(t, b, receipt)
	if err == nil && len(receipt.Retry) == 0 && len(r.stored()) == 0 {
		t.Errorf("a delivery whose context has ended claims success, and nothing is stored")
	}
}

func sinkManyAtOnce(t *testing.T, r *sinkRig) {
	t.Helper()
	var batches []pipeline.Batch
	want := make(map[string]bool)
	for i := range 24 {
		dest := pipeline.Destination{LogGroup: fmt.Sprintf("/gapless/g%d", i%3), LogStream: fmt.Sprintf("s%d", i%4)}
		b := sinkBatch(dest, r.event(time.Now(), 500), r.event(time.Now(), 500))
		batches = append(batches, b)
		for _, e := range b.Events {
			want[string(e.Raw)] = true
		}
	}
	g, ctx := errgroup.WithContext(t.Context())
	for _, b := range batches {
		g.Go(func() error {
			receipt, err := r.sink.Deliver(ctx, b)
			if err == nil && (len(receipt.Rejected) > 0 || len(receipt.Retry) > 0) {
				err = fmt.Errorf("the receipt is %+v", receipt)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("deliver many batches at once: %v", err)
	}
	got := make(map[string]bool)
	for _, s := range r.stored() {
		if got[s.Message] {
			t.Errorf("an event is stored twice")
		}
		got[s.Message] = true
	}
	equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
}

// sinkProperties delivers random batches: every event is stored once or is
// rejected, those that are not altered byte for byte, and each destination
// ascends.
func sinkProperties(t *testing.T, r *sinkRig) {
	t.Helper()
	ctx := t.Context()
	run := 0
	rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) { // hides Deadline, which panics in a bubble
		run++
		dest := pipeline.Destination{LogGroup: "/gapless/property", LogStream: fmt.Sprintf("run-%d", run)}
		var events []event.Event
		for range rapid.IntRange(1, 25).Draw(rt, "events") {
			at := time.Now().Add(time.Duration(rapid.Int64Range(-20*24*3600, 4*3600).Draw(rt, "seconds")) * time.Second)
			e := r.event(at, rapid.SampledFrom([]int{60, 200, 1500, 1500, 1500, 20_000}).Draw(rt, "size"))
			if rapid.IntRange(0, 9).Draw(rt, "broken") == 0 {
				e.Raw[len(e.Raw)-4] = 0xfe
			}
			events = append(events, e)
		}
		b := sinkBatch(dest, events...)
		rejected, altered := r.deliver(ctx, rt, b)
		var want []string
		for _, e := range b.Events {
			if rejected[e.LogID] == "" && altered[e.LogID] == "" {
				want = append(want, string(e.Raw))
			}
		}
		var got []string
		count := 0
		for _, s := range r.stored() {
			if s.Destination != dest {
				continue
			}
			count++
			if i := strings.Index(s.Message, `","type"`); i < 0 || altered[strings.TrimPrefix(s.Message[:i], `{"log_id":"`)] == "" {
				got = append(got, s.Message)
			}
		}
		equal(rt, len(b.Events)-len(rejected), count)
		slices.SortFunc(want, cmp.Compare[string])
		slices.SortFunc(got, cmp.Compare[string])
		equal(rt, want, got)
	})
}
