package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

// shelf is a Sink that keeps what it gets, and answers as it is told.
type shelf struct {
	mu      sync.Mutex
	batches []pipeline.Batch
	receipt func(pipeline.Batch) pipeline.Receipt
	err     error
}

func (*shelf) Limits() pipeline.Limits {
	return pipeline.Limits{MaxEvents: 1000, MaxBytes: 1 << 20, EventOverhead: 26, MaxSpan: 24 * time.Hour, Linger: time.Millisecond}
}

func (s *shelf) Deliver(ctx context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	if ctx.Err() != nil {
		return pipeline.Receipt{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return pipeline.Receipt{}, s.err
	}
	s.batches = append(s.batches, b)
	if s.receipt != nil {
		return s.receipt(b), nil
	}
	return pipeline.Receipt{}, nil
}

// sorted takes events out by their type: "skip" and "hide".
func sorted(e event.Event) (event.Event, pipeline.Verdict) {
	switch e.Type {
	case "skip":
		return e, pipeline.Verdict{Skip: true, Reason: "types"}
	case "hide":
		return e, pipeline.Verdict{Withhold: true, Reason: "a rule could not be applied"}
	default:
		e.Raw = append([]byte("<"), e.Raw...)
		return e, pipeline.Verdict{}
	}
}

// sign is a Shape.
func sign(e event.Event, source string) []byte { return append(slices.Clip(e.Raw), (source + ">")...) }

// typed makes a batch of events by their types; the source is the place.
func typed(types ...string) pipeline.Batch {
	b := pipeline.Batch{Destination: pipeline.Destination{LogGroup: "/g", LogStream: "s"}}
	for i, typ := range types {
		b.Events = append(b.Events, event.Event{LogID: strconv.Itoa(i), Type: typ, Raw: []byte(typ), Date: time.Unix(int64(i), 0)})
		b.Keys = append(b.Keys, int64(100+i))
		b.Sources = append(b.Sources, strconv.Itoa(i))
	}
	return b
}

func TestOutboundChangesWhatLeaves(t *testing.T) {
	t.Parallel()
	doubt := pipeline.Doubt{From: time.Unix(1, 0), Until: time.Unix(2, 0)}
	sink := &shelf{receipt: func(pipeline.Batch) pipeline.Receipt {
		return pipeline.Receipt{
			Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_old"}}, Altered: []pipeline.Rejection{{Index: 2, Reason: "too_large"}},
			Skipped: []pipeline.Rejection{{Index: 3, Reason: "inner"}}, Retry: []int{1}, Doubt: doubt,
			Prints: []pipeline.Print{{}, {}, {At: 2}, {}},
		}
	}}
	o := &pipeline.Outbound{Sink: sink, Transforms: []pipeline.Transform{sorted}, Shape: sign, Growth: 3}
	if got := o.Limits(); got.EventOverhead != 29 || got.MaxBytes != 1<<20 || got.Linger != time.Millisecond {
		t.Errorf("limits are %+v", got)
	}
	in := typed("hide", "a", "skip", "b", "skip", "c", "d")
	in.Doubt = doubt
	got, err := o.Deliver(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.Receipt{
		Rejected: []pipeline.Rejection{{Index: 1, Reason: "too_old"}, {Index: 0, Reason: "withheld", Detail: "a rule could not be applied"}},
		Skipped:  []pipeline.Rejection{{Index: 6, Reason: "inner"}, {Index: 2, Reason: "types"}, {Index: 4, Reason: "types"}},
		Altered:  []pipeline.Rejection{{Index: 5, Reason: "too_large"}}, Retry: []int{3}, Doubt: doubt,
		Prints: []pipeline.Print{5: {At: 2}, 6: {}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	sent := sink.batches[0]
	var raws []string
	for _, e := range sent.Events {
		raws = append(raws, string(e.Raw))
	}
	if diff := cmp.Diff([]string{"<a1>", "<b3>", "<c5>", "<d6>"}, raws); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{[]int64{101, 103, 105, 106}, []string{"1", "3", "5", "6"}, doubt, in.Destination},
		[]any{sent.Keys, sent.Sources, sent.Doubt, sent.Destination}); diff != "" {
		t.Errorf("the rest of the batch (-want +got):\n%s", diff)
	}
	again := typed("hide", "a", "skip", "b", "skip", "c", "d")
	again.Doubt = doubt
	if diff := cmp.Diff(again, in); diff != "" {
		t.Errorf("the batch was changed (-before +after):\n%s", diff)
	}
}

func TestOutboundPassesErrorsOn(t *testing.T) {
	t.Parallel()
	refused := &pipeline.Error{Class: pipeline.Throttled, Err: errRefused, OutcomeUnknown: true}
	o := &pipeline.Outbound{Sink: &shelf{err: refused}, Transforms: []pipeline.Transform{sorted}}
	got, err := o.Deliver(t.Context(), typed("a", "skip", "hide"))
	if !errors.Is(err, refused) || len(got.Skipped)+len(got.Rejected) > 0 {
		t.Errorf("receipt %+v, error %v", got, err)
	}
}

// TestOutboundNamesEachEventOnce has random receipts behind random rules: every
// event of the batch has one outcome, and it is the one that the rules or the inner
// sink gave it.
func TestOutboundNamesEachEventOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom([]string{"skip", "hide", "reject", "retry", "alter", "fine"}), 0, 30).Draw(t, "types")
		sink := &shelf{receipt: func(b pipeline.Batch) (r pipeline.Receipt) {
			for i, e := range b.Events {
				switch e.Type {
				case "reject":
					r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "reject"})
				case "retry":
					r.Retry = append(r.Retry, i)
				case "alter":
					r.Altered = append(r.Altered, pipeline.Rejection{Index: i, Reason: "alter"})
				}
			}
			return r
		}}
		r, err := (&pipeline.Outbound{Sink: sink, Transforms: []pipeline.Transform{sorted}}).Deliver(t.Context(), typed(types...))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]string, len(types))
		for i := range got {
			got[i] = "fine"
		}
		for what, list := range map[string][]pipeline.Rejection{"reject": r.Rejected, "skip": r.Skipped, "alter": r.Altered} {
			for _, x := range list {
				if got[x.Index] != "fine" {
					t.Fatalf("event %d is %s and %s", x.Index, got[x.Index], what)
				}
				if got[x.Index] = what; x.Reason == "withheld" {
					got[x.Index] = "hide"
				}
			}
		}
		for _, i := range r.Retry {
			got[i] = "retry"
		}
		if diff := cmp.Diff(types, got); diff != "" {
			t.Fatalf("outcomes (-want +got):\n%s", diff)
		}
	})
}

// TestOutboundInTheLoop lets the loops run with rules on the way out: what is
// skipped leaves the buffer and is counted by reason, not as delivered, what is
// withheld lies in the dead letters as it was.
func TestOutboundInTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &shelf{}
		rule := func(e event.Event) (event.Event, pipeline.Verdict) {
			e.Type = map[byte]string{'1': "skip", '2': "hide"}[e.LogID[len(e.LogID)-1]]
			return sorted(e)
		}
		r := start(t, &tape{ids: ids(100), size: 7}, &pipeline.Outbound{Sink: sink, Transforms: []pipeline.Transform{rule}, Growth: 1})
		after(time.Minute)
		got := 0
		for _, b := range sink.batches {
			got += len(b.Events)
		}
		letters := r.buffer.DeadLetters()
		if got != 80 || len(letters) != 10 || r.buffer.Len() != 0 || r.buffer.Skipped()["types"] != 10 {
			t.Errorf("%d delivered, %d dead letters, %d left, skipped %v", got, len(letters), r.buffer.Len(), r.buffer.Skipped())
		}
		for _, l := range letters {
			if l.Reason != "withheld" || strings.HasPrefix(string(l.Raw), "<") {
				t.Errorf("letter %q of %s", l.Raw, l.Reason)
			}
		}
		if n := counted(t, r.reg, "gapless_skipped_events_total"); n != 10 {
			t.Errorf("%v events are counted as skipped", n)
		}
		if n := counted(t, r.reg, "gapless_delivered_events_total"); n != 80 {
			t.Errorf("%v events are counted as delivered", n)
		}
	})
}

// TestOutboundKeepsTheContract holds an Outbound that does nothing to the contract of
// the sink within.
func TestOutboundKeepsTheContract(t *testing.T) {
	t.Parallel()
	pipelinetest.TestSink(t, func(*testing.T) (pipeline.Sink, func() []pipelinetest.Stored) {
		s := &shelf{receipt: func(b pipeline.Batch) (r pipeline.Receipt) {
			for i, e := range b.Events {
				if len(e.Raw) > 1<<20 {
					r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "too_large"})
				}
			}
			return r
		}}
		o := &pipeline.Outbound{
			Sink: s, Growth: 100, Shape: func(e event.Event, _ string) []byte { return slices.Clone(e.Raw) },
			Transforms: []pipeline.Transform{func(e event.Event) (event.Event, pipeline.Verdict) { return e, pipeline.Verdict{} }},
		}
		return o, s.stored
	})
}

// stored returns what the shelf has taken, by time within each destination.
func (s *shelf) stored() (out []pipelinetest.Stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		for _, e := range b.Events {
			if len(e.Raw) <= 1<<20 {
				out = append(out, pipelinetest.Stored{Destination: b.Destination, Time: e.Date, Message: string(e.Raw)})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b pipelinetest.Stored) int { return a.Time.Compare(b.Time) })
	return out
}

// counted returns the sum of a counter over its labels.
func counted(t *testing.T, reg prometheus.Gatherer, name string) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
