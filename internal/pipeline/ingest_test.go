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
