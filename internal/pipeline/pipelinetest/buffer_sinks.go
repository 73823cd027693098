package pipelinetest

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// audit is where events go by a second sink: the same names in another account.
var audit = pipeline.Destination{Sink: "audit", LogGroup: testDestination.LogGroup, LogStream: testDestination.LogStream}

// intakeOfBoth makes an intake whose events go by two sinks.
func intakeOfBoth(events ...event.Event) pipeline.Intake {
	in := intakeOf(events...)
	for i := range in.Entries {
		in.Entries[i].Also = []pipeline.Destination{audit}
	}
	return in
}

// limitsOf are those of a sink.
func limitsOf(sink string) pipeline.Limits {
	l := testLimits()
	l.Sink = sink
	return l
}

// sinksAreApart checks that each sink gets every event, at its own pace and with
// outcomes of its own.
func sinksAreApart(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	done, err := b.Append(t.Context(), "poll", intakeOfBoth(testEvent(1, 0), testEvent(2, 0), testEvent(1, 0)))
	if want := (pipeline.Appended{Stored: 2, Duplicates: 1, Known: []int{2}}); err != nil || cmp.Diff(want, done) != "" {
		t.Fatalf("append: got %+v and error %v, want %+v", done, err, want)
	}
	main := next(t, b, testLimits())
	wantIDs(t, main, 1, 2)
	settle(t, b, main, pipeline.Receipt{})
	wantNothing(t, b)
	if done := appendEvents(t, b, testEvent(1, 0)); done.Duplicates != 1 { // delivered by one and waiting for the other
		t.Errorf("append of a known event: %+v", done)
	}

	doubt := pipeline.Doubt{From: time.Now().Add(-time.Second), Until: time.Now()}
	second := next(t, b, limitsOf("audit"))
	wantIDs(t, second, 1, 2)
	if second.Destination != audit {
		t.Errorf("destination %+v, want %+v", second.Destination, audit)
	}
	settle(t, b, second, pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_old"}}, Retry: []int{1}, Doubt: doubt})
	if _, err := b.Append(t.Context(), "poll", intakeOfBoth(testEvent(3, 0))); err != nil {
		t.Fatal(err)
	}
	main = next(t, b, testLimits())
	wantIDs(t, main, 3)
	if !main.Doubt.IsZero() {
		t.Errorf("the doubt of one sink befell the other: %+v", main.Doubt)
	}
	second = next(t, b, limitsOf("audit"))
	wantIDs(t, second, 2, 3)
	if second.Doubt != doubt {
		t.Errorf("doubt %+v, want %+v", second.Doubt, doubt)
	}
}

// manySinksProperties checks that each of several sinks settles each event exactly once,
// whatever the others do.
func manySinksProperties(t *testing.T, b pipeline.Buffer) {
	t.Helper()
	sinks := []string{"", "audit", "b"}
	number := 0
	rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
		m := &sinkModel{t: t, b: b, want: make(map[string]map[string]bool), got: make(map[string]map[string]int)}
		for _, sink := range sinks {
			m.want[sink], m.got[sink] = make(map[string]bool), make(map[string]int)
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "append") {
				number += m.append(rt, number, sinks[1:])
			} else {
				m.deliver(rt, rapid.SampledFrom(sinks).Draw(rt, "sink"))
			}
		}
		for _, sink := range sinks {
			for len(m.got[sink]) < len(m.want[sink]) {
				m.settleAll(sink)
			}
		}
		for _, sink := range sinks {
			if diff := cmp.Diff(slices.Sorted(maps.Keys(m.want[sink])), slices.Sorted(maps.Keys(m.got[sink]))); diff != "" {
				rt.Fatalf("events of sink %q (-stored +settled):\n%s", sink, diff)
			}
			for id, n := range m.got[sink] {
				if n != 1 {
					rt.Fatalf("event %s left sink %q %d times", id, sink, n)
				}
			}
		}
	})
}

// A sinkModel is what several sinks should get.
type sinkModel struct {
	t    *testing.T
	b    pipeline.Buffer
	want map[string]map[string]bool
	got  map[string]map[string]int
}

// append stores events that go by the main sink and some of the others.
func (m *sinkModel) append(rt *rapid.T, number int, others []string) (fresh int) {
	in := pipeline.Intake{CaughtUp: true}
	for range rapid.IntRange(1, 10).Draw(rt, "events") {
		e := pipeline.Entry{Event: testEvent(number+fresh, rapid.IntRange(0, 300).Draw(rt, "size")), Destination: testDestination}
		m.want[""][e.Event.LogID] = true
		for _, sink := range others {
			if rapid.Bool().Draw(rt, "goes to "+sink) {
				e.Also = append(e.Also, pipeline.Destination{Sink: sink, LogGroup: "/auth0/dev-tenant", LogStream: strconv.Itoa(rapid.IntRange(0, 1).Draw(rt, "stream"))})
				m.want[sink][e.Event.LogID] = true
			}
		}
		fresh++
		in.Entries = append(in.Entries, e)
	}
	if done, err := m.b.Append(m.t.Context(), "poll", in); err != nil || done.Stored != fresh {
		rt.Fatalf("append: %+v, error %v", done, err)
	}
	return fresh
}

// deliver takes a batch of a sink, if there is one, and settles it somehow.
func (m *sinkModel) deliver(rt *rapid.T, sink string) {
	if len(m.got[sink]) == len(m.want[sink]) {
		return
	}
	l := limitsOf(sink)
	l.MaxEvents = rapid.IntRange(1, 8).Draw(rt, "max_events")
	batch := next(m.t, m.b, l)
	var r pipeline.Receipt
	for i := range batch.Events {
		switch rapid.SampledFrom([]string{"delivered", "rejected", "skipped", "retry"}).Draw(rt, "outcome") {
		case "rejected":
			r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "too_old"})
		case "skipped":
			r.Skipped = append(r.Skipped, pipeline.Rejection{Index: i, Reason: "type_denied"})
		case "retry":
			r.Retry = append(r.Retry, i)
		}
	}
	m.settle(sink, batch, r)
}

// settleAll delivers the next batch of a sink.
func (m *sinkModel) settleAll(sink string) {
	m.settle(sink, next(m.t, m.b, limitsOf(sink)), pipeline.Receipt{})
}

// settle settles a batch and counts what leaves.
func (m *sinkModel) settle(sink string, batch pipeline.Batch, r pipeline.Receipt) {
	if batch.Destination.Sink != sink {
		m.t.Fatalf("a batch for sink %q went to %q", batch.Destination.Sink, sink)
	}
	settle(m.t, m.b, batch, r)
	for i, e := range batch.Events {
		if !slices.Contains(r.Retry, i) {
			m.got[sink][e.LogID]++
		}
	}
}
