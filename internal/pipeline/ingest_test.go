package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

// standing is a Source that is a function.
type standing func(context.Context, pipeline.Emit) error

func (standing) Name() string { return "standing" }

func (s standing) Run(ctx context.Context, _ event.Cursor, emit pipeline.Emit) error {
	return s(ctx, emit)
}

// TestStandingStillIsNoSuccess has a source that fails each time, behind a page that
// brings nothing but a cursor and a known event: the tries get rarer, and the
// trouble stays told.
func TestStandingStillIsNoSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		tries, ended := 0, 0
		known := event.Event{LogID: "known", Date: time.Now(), Raw: []byte(`{"log_id":"known"}`)}
		in := &pipeline.Ingest{
			Source: standing(func(ctx context.Context, emit pipeline.Emit) error {
				tries++
				page := event.Page{Events: []event.Event{known}, Cursor: event.Cursor(strconv.Itoa(tries))}
				return errors.Join(emit(ctx, page), emit(ctx, event.Page{Cursor: "@start"}), errRefused)
			}),
			Buffer: pipelinetest.NewMemory(1<<20, 72*time.Hour), Route: func(event.Event) pipeline.Destination { return pipeline.Destination{} },
			Logger: slog.New(slog.DiscardHandler), Metrics: pipeline.NewMetrics(prometheus.NewRegistry(), "dev"),
			Report: func(_ context.Context, _ string, c *pipeline.Condition) {
				if c == nil {
					ended++
				}
			},
		}
		_ = in.Run(ctx)
		if tries < 100 || tries > 300 || ended > 1 {
			t.Errorf("%d tries in an hour, and %d ends of the trouble", tries, ended)
		}
	})
}

// crowd is a Source that offers pages without a cursor, all at the same time,
// each again until it was taken, as the requests to a webhook do.
type crowd struct{ ids []string }

func (*crowd) Name() string { return "crowd" }

func (s *crowd) Run(ctx context.Context, _ event.Cursor, emit pipeline.Emit) error {
	errs := make(chan error, len(s.ids))
	for _, id := range s.ids {
		go func() {
			errs <- emit(ctx, event.Page{CaughtUp: true, Events: []event.Event{{LogID: id, Date: time.Now(), Type: "s", Raw: []byte(`{}`)}}})
		}()
	}
	var all []error
	for range s.ids {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestPagesAtTheSameTime has a source offer many pages at once, while the buffer
// has no room for all of them: the trouble is told, and in the end each event has
// arrived once.
func TestPagesAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, sink := &crowd{ids: ids(60)}, &answers{hold: make(chan struct{})}
		to := pipeline.Destination{LogGroup: "/g", LogStream: "s"}
		r := startOn(t, src, sink, func(event.Event) pipeline.Destination { return to }, pipelinetest.NewMemory(40, 72*time.Hour))
		after(time.Second) // nothing leaves the buffer, so it gets full
		close(sink.hold)
		after(5 * time.Minute)
		if diff := cmp.Diff(src.ids, sink.delivered()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if want := []string{"crowd throttled", "crowd fine"}; len(r.told) < 2 || !slices.Equal(r.told[:2], want) {
			t.Errorf("told %q, want to begin with %q", r.told, want)
		}
	})
}

// TestWithheld has a transform withhold an event: nothing but what it left goes into
// the buffer, as a dead letter, and pieces that are no events are kept as the hook
// has it. The page of the source stays as it was.
func TestWithheld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		page := event.Page{
			Events:     []event.Event{{LogID: "1", Raw: []byte(`{"a":1}`)}, {LogID: "2", Raw: []byte(`{"secret":1}`)}, {LogID: "3", Raw: []byte(`{"a":3}`)}},
			Unreadable: []event.Unreadable{{Raw: []byte("secret"), Reason: "not valid JSON", Line: 7}},
		}
		seen := 0
		var got pipeline.Intake
		reg := prometheus.NewRegistry()
		in := &pipeline.Ingest{
			Source: standing(func(ctx context.Context, emit pipeline.Emit) error {
				if err := emit(ctx, page); err != nil {
					return err
				}
				<-ctx.Done()
				return context.Cause(ctx)
			}),
			Buffer: pipelinetest.NewMemory(1<<20, 72*time.Hour), Route: func(event.Event) pipeline.Destination { return pipeline.Destination{} },
			Logger: slog.New(slog.DiscardHandler), Metrics: pipeline.NewMetrics(reg, "dev"),
			Transforms: []pipeline.Transform{
				func(e event.Event) (event.Event, pipeline.Verdict) {
					v := pipeline.Verdict{Withhold: e.LogID == "2", Reason: "rule 1"}
					if v.Withhold {
						e.Raw = []byte(`{"log_id":"2"}`)
					}
					return e, v
				},
				func(e event.Event) (event.Event, pipeline.Verdict) { seen++; return e, pipeline.Verdict{} },
			},
			RedactUnreadable: func([]byte) []byte { return []byte("described") },
			OnStored:         func(stored pipeline.Intake, _ pipeline.Appended) { got = stored },
		}
		_ = in.Run(ctx)
		want := []event.Unreadable{{Raw: []byte("described"), Reason: "not valid JSON", Line: 7}, {Raw: []byte(`{"log_id":"2"}`), Reason: "rule 1"}}
		if diff := cmp.Diff(want, got.Unreadable); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
		if len(got.Entries) != 2 || got.Entries[1].Event.LogID != "3" || seen != 2 {
			t.Errorf("%d events go on, and the next transform saw %d; want 2 and 2", len(got.Entries), seen)
		}
		if string(page.Unreadable[0].Raw) != "secret" || len(page.Unreadable) != 1 {
			t.Error("the page of the source was written to")
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counted := map[string]float64{}
		for _, f := range families {
			if m := f.GetMetric(); m[0].GetCounter() != nil {
				counted[f.GetName()] = m[0].GetCounter().GetValue()
			}
		}
		if counted["gapless_withheld_events_total"] != 1 || counted["gapless_unreadable_records_total"] != 1 {
			t.Errorf("counted %v", counted)
		}
	})
}
