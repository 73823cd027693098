package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

var errRefused = errors.New("refused")

// tape is a Source that plays pages of a fixed log. The cursor is the number of
// events read. It fails when its script says so, before or after a page.
type tape struct {
	ids   []string
	size  int     // events a page
	fails []error // one before each page, until used up; nil lets it pass
}

func (*tape) Name() string { return "tape" }

func (s *tape) Run(ctx context.Context, from event.Cursor, emit pipeline.Emit) error {
	at := 0
	if from != "" {
		if _, err := fmt.Sscanf(string(from), "%d", &at); err != nil {
			return err
		}
	}
	for {
		if len(s.fails) > 0 {
			err := s.fails[0]
			s.fails = s.fails[1:]
			if err != nil {
				return err
			}
		}
		end := min(at+s.size, len(s.ids))
		p := event.Page{CaughtUp: end == len(s.ids), Cursor: event.Cursor(strconv.Itoa(end))}
		for _, id := range s.ids[at:end] {
			p.Events = append(p.Events, event.Event{LogID: id, Date: time.Now(), Type: "s", Raw: []byte(`{"log_id":"` + id + `"}`)})
		}
		if err := emit(ctx, p); err != nil {
			return err
		}
		if at = end; at == len(s.ids) {
			if err := pipeline.Wait(ctx, time.Second); err != nil {
				return err
			}
		}
	}
}

// answers is a Sink that answers from a script, then takes everything.
type answers struct {
	mu     sync.Mutex
	script []answer
	got    []string
	calls  int
	hold   chan struct{} // when not nil, Deliver waits for it
	most   int
	now    int
	doubts []pipeline.Doubt // of the batches, call by call
}

type answer struct {
	err     error
	receipt func(pipeline.Batch) pipeline.Receipt
}

func (*answers) Limits() pipeline.Limits {
	return pipeline.Limits{MaxEvents: 10, MaxBytes: 1 << 20, MaxSpan: 24 * time.Hour, Linger: 10 * time.Millisecond}
}

func (s *answers) Deliver(ctx context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	s.mu.Lock()
	s.calls++
	s.doubts = append(s.doubts, b.Doubt)
	s.now++
	s.most = max(s.most, s.now)
	var a answer
	if len(s.script) > 0 {
		a, s.script = s.script[0], s.script[1:]
	}
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return pipeline.Receipt{}, context.Cause(ctx)
		}
	}
	if a.err != nil {
		return pipeline.Receipt{}, a.err
	}
	var r pipeline.Receipt
	if a.receipt != nil {
		r = a.receipt(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range b.Events {
		rejected := slices.ContainsFunc(r.Rejected, func(x pipeline.Rejection) bool { return x.Index == i })
		if !rejected && !slices.Contains(r.Retry, i) {
			s.got = append(s.got, e.LogID)
		}
	}
	return r, nil
}

// delivered returns the ids that the sink took, sorted.
func (s *answers) delivered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, slices.Sorted(slices.Values(s.got))...)
}

// counts returns how often Deliver was called, and how often at once.
func (s *answers) counts() (calls, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.most
}

// rig is both loops around a buffer in memory, under way.
type rig struct {
	buffer  *pipelinetest.Memory
	ingest  *pipeline.Ingest
	deliver *pipeline.Deliver
	reg     *prometheus.Registry
	log     *lockedBuilder
	told    []string
	stop    func()
}

// start runs the loops in the bubble of the test; stop ends them and waits.
func start(t *testing.T, src pipeline.Source, sink pipeline.Sink) *rig {
	t.Helper()
	to := pipeline.Destination{LogGroup: "/g", LogStream: "s"}
	return startRouted(t, src, sink, func(event.Event) pipeline.Destination { return to })
}

// startRouted is start with a route.
func startRouted(t *testing.T, src pipeline.Source, sink pipeline.Sink, route pipeline.Route) *rig {
	t.Helper()
	return startOn(t, src, sink, route, pipelinetest.NewMemory(1<<30, 72*time.Hour))
}

// startOn is startRouted with a buffer.
func startOn(t *testing.T, src pipeline.Source, sink pipeline.Sink, route pipeline.Route, buffer *pipelinetest.Memory) *rig {
	t.Helper()
	r := &rig{buffer: buffer, reg: prometheus.NewRegistry(), log: &lockedBuilder{}}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	metrics := pipeline.NewMetrics(r.reg, "dev")
	var mu sync.Mutex
	report := func(_ context.Context, part string, c *pipeline.Condition) {
		mu.Lock()
		defer mu.Unlock()
		if c == nil {
			r.told = append(r.told, part+" fine")
			return
		}
		r.told = append(r.told, part+" "+c.Err.Class.String())
	}
	r.ingest = &pipeline.Ingest{Source: src, Buffer: r.buffer, Route: route, Logger: logger, Metrics: metrics, Report: report}
	r.deliver = &pipeline.Deliver{Buffer: r.buffer, Sink: sink, InFlight: 2, Logger: logger, Metrics: metrics, Report: report}
	ctx, cancel := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { checkStopped(t, r.ingest.Run(ctx)) })
	calls, abort := context.WithCancel(context.WithoutCancel(ctx))
	loops.Go(func() { checkStopped(t, r.deliver.Run(ctx, calls)) })
	r.stop = func() {
		cancel()
		defer time.AfterFunc(5*time.Second, abort).Stop()
		loops.Wait()
	}
	t.Cleanup(r.stop)
	return r
}

func checkStopped(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("loop returned %v, want the cause of its context", err)
	}
}

// lockedBuilder lets both loops write to one text and the test read it.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// after lets fake time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("id-%04d", i)
	}
	return out
}

func TestEverythingArrivesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, sink := &tape{ids: ids(95), size: 7}, &answers{}
		r := start(t, src, sink)
		after(time.Minute)
		if diff := cmp.Diff(src.ids, sink.delivered()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if n := r.buffer.Len(); n != 0 {
			t.Errorf("the buffer still holds %d events", n)
		}
	})
}

func TestSourceIsTriedAgainFromTheStoredCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttled := &pipeline.Error{Op: "fetch", Class: pipeline.Throttled, RetryAfter: 40 * time.Second, Err: errRefused}
		src, sink := &tape{ids: ids(30), size: 10, fails: []error{nil, errRefused, nil, throttled}}, &answers{}
		r := start(t, src, sink)
		after(30 * time.Second)
		if len(sink.delivered()) != 20 {
			t.Errorf("got %d events before the server's wait was over, want 20", len(sink.delivered()))
		}
		after(30 * time.Second)
		if len(sink.delivered()) != 30 {
			t.Errorf("got %d events, want 30", len(sink.delivered()))
		}
		want := []string{"tape transient", "tape fine", "tape throttled", "tape fine"}
		if diff := cmp.Diff(want, r.told); diff != "" {
			t.Errorf("reported (-want +got):\n%s", diff)
		}
	})
}

func TestDeliveryNeverGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{}
		for range 500 {
			sink.script = append(sink.script, answer{err: errRefused})
		}
		r := start(t, &tape{ids: ids(5), size: 5}, sink)
		after(time.Hour)
		if len(sink.delivered()) != 0 || r.deliver.Trouble() == nil {
			t.Fatalf("got %d events and trouble %v after an hour of refusals", len(sink.delivered()), r.deliver.Trouble())
		}
		if n := strings.Count(r.log.String(), "trouble, trying again"); n != 1 {
			t.Errorf("an unchanged error was logged %d times, want once", n)
		}
		after(24 * time.Hour)
		if len(sink.delivered()) != 5 || r.deliver.Trouble() != nil {
			t.Errorf("got %d events and trouble %v after the end of it, want 5 and none", len(sink.delivered()), r.deliver.Trouble())
		}
		if !strings.Contains(r.log.String(), "recovered") {
			t.Error("the recovery was not logged")
		}
	})
}

func TestUnauthorizedIsToldLoudlyAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{}
		for range 20 {
			sink.script = append(sink.script, answer{err: &pipeline.Error{Op: "put", Class: pipeline.Unauthorized, Hint: "allow logs:PutLogEvents", Err: errRefused}})
		}
		r := start(t, &tape{ids: ids(5), size: 5}, sink)
		after(10 * time.Minute)
		if calls, _ := sink.counts(); calls > 20 {
			t.Errorf("%d calls in 10 minutes of refusals: that hammers", calls)
		}
		if log := r.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "allow logs:PutLogEvents") {
			t.Errorf("log lacks an error with the hint:\n%s", log)
		}
		after(time.Hour)
		if len(sink.delivered()) != 5 {
			t.Errorf("got %d events after the permission was back, want 5", len(sink.delivered()))
		}
	})
}

func TestRejectedAndReturnedEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{script: []answer{{receipt: func(pipeline.Batch) pipeline.Receipt {
			return pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_large"}}, Retry: []int{2, 3}}
		}}}}
		r := start(t, &tape{ids: ids(5), size: 5}, sink)
		after(time.Minute)
		if diff := cmp.Diff(ids(5)[1:], sink.delivered()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if dead := r.buffer.DeadLetters(); len(dead) != 1 {
			t.Errorf("got dead letters %v, want the one event that was rejected", dead)
		}
	})
}

func TestStopWaitsForTheCallUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{hold: make(chan struct{})}
		r := start(t, &tape{ids: ids(3), size: 3}, sink)
		after(time.Second)
		go func() { <-time.After(3 * time.Second); close(sink.hold) }()
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("stop took %v, want the 3s that the call took", took)
		}
		if r.buffer.Len() != 0 || len(sink.delivered()) != 3 {
			t.Errorf("buffer holds %d, %d delivered: the call that ended within its grace was not settled", r.buffer.Len(), len(sink.delivered()))
		}
	})
}

func TestStopCutsACallThatOutlivesItsGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{hold: make(chan struct{})}
		r := start(t, &tape{ids: ids(3), size: 3}, sink)
		after(time.Second)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("stop took %v, want the grace of 5s", took)
		}
		if r.buffer.Len() != 3 {
			t.Errorf("the buffer holds %d events, want all 3: none is known to be delivered", r.buffer.Len())
		}
	})
}

// TestUnknownOutcomesPutABatchInDoubt tells the sink what may have been sent: not
// before a call whose outcome is unknown, and from then on for all of its tries.
func TestUnknownOutcomesPutABatchInDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unknown := &pipeline.Error{Op: "deliver", OutcomeUnknown: true, Err: errRefused}
		sink := &answers{script: []answer{{err: errRefused}, {err: unknown}, {err: errRefused}, {err: unknown}}}
		src := &tape{ids: []string{"a"}, size: 1}
		r := start(t, src, sink)
		<-time.After(time.Minute)
		r.stop()
		if len(sink.doubts) != 5 {
			t.Fatalf("%d calls, want 5", len(sink.doubts))
		}
		for i, d := range sink.doubts {
			if d.IsZero() != (i < 2) {
				t.Errorf("call %d has the doubt %v", i, d)
			}
		}
		if second, last := sink.doubts[2], sink.doubts[4]; !last.From.Equal(second.From) || !last.Until.After(second.Until) {
			t.Errorf("the doubt grew from %v to %v", second, last)
		}
	})
}

// TestStopGivesBack stops in the middle of a trouble: the batch is in the buffer,
// in doubt only if its outcome is unknown.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	for _, unknown := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			failing := &answers{script: slices.Repeat([]answer{{err: &pipeline.Error{OutcomeUnknown: unknown, Err: errRefused}}}, 1000)}
			r := start(t, &tape{ids: ids(1), size: 1}, failing)
			after(time.Minute)
			r.stop()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			batch, err := r.buffer.Next(ctx, failing.Limits())
			if err != nil || len(batch.Events) != 1 || batch.Doubt.IsZero() == unknown {
				t.Errorf("outcome unknown %v: after the stop there are %d events with the doubt %v (%v)", unknown, len(batch.Events), batch.Doubt, err)
			}
		})
	}
}

func TestBatchesAreInFlightTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{hold: make(chan struct{})}
		start(t, &tape{ids: ids(40), size: 40}, sink)
		after(time.Second)
		if _, most := sink.counts(); most != 2 {
			t.Errorf("%d calls at once, want in_flight = 2", most)
		}
		close(sink.hold)
		after(time.Second)
	})
}

func TestTransformsSkipAndCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{}
		r := start(t, &tape{}, sink)
		r.stop()
		odd := func(e event.Event) (event.Event, pipeline.Verdict) {
			return e, pipeline.Verdict{Skip: strings.HasSuffix(e.LogID, "1"), Reason: "filtered"}
		}
		r.ingest.Transforms = []pipeline.Transform{odd}
		r.ingest.Source = &tape{ids: ids(20), size: 20}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.ingest.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if got := r.buffer.Skipped()["filtered"]; got != 2 || r.buffer.Len() != 18 {
			t.Errorf("skipped %d, kept %d; want 2 and 18", got, r.buffer.Len())
		}
		if c, _ := r.buffer.Cursor(t.Context(), "tape"); c != "20" {
			t.Errorf("cursor is %q, want it behind the skipped events too", c)
		}
	})
}

// Whatever the source and the sink do, delivered + dead letters = what the log
// held, each event once.
func TestConservation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			src := &tape{ids: ids(rapid.IntRange(0, 60).Draw(rt, "events")), size: rapid.IntRange(1, 9).Draw(rt, "page")}
			for range rapid.IntRange(0, 8).Draw(rt, "source faults") {
				src.fails = append(src.fails, rapid.SampledFrom([]error{nil, errRefused, &pipeline.Error{Class: pipeline.Throttled, Err: errRefused}}).Draw(rt, "fault"))
			}
			sink := &answers{}
			for range rapid.IntRange(0, 8).Draw(rt, "sink answers") {
				sink.script = append(sink.script, drawAnswer(rt))
			}
			r := start(t, src, sink)
			after(2 * time.Hour)
			r.stop()
			got := sink.delivered()
			for _, d := range r.buffer.DeadLetters() {
				got = append(got, d.LogID)
			}
			slices.Sort(got)
			if diff := cmp.Diff(src.ids, append([]string{}, got...)); diff != "" {
				rt.Fatalf("delivered and dead letters (-want +got):\n%s", diff)
			}
		})
	})
}

// drawAnswer draws an error or a receipt.
func drawAnswer(rt *rapid.T) answer {
	if rapid.Bool().Draw(rt, "fails") {
		return answer{err: errRefused}
	}
	reject, retry := rapid.IntRange(0, 3).Draw(rt, "reject"), rapid.IntRange(0, 3).Draw(rt, "retry")
	return answer{receipt: func(b pipeline.Batch) pipeline.Receipt {
		var r pipeline.Receipt
		for i := range b.Events {
			switch {
			case i < reject:
				r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "invalid"})
			case i < reject+retry:
				r.Retry = append(r.Retry, i)
			}
		}
		return r
	}}
}
