package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
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

// moody is a Buffer that refuses some intakes.
type moody struct {
	*pipelinetest.Memory

	mu    sync.Mutex
	fails []bool
}

func (m *moody) Append(ctx context.Context, source string, in pipeline.Intake) (pipeline.Appended, error) {
	m.mu.Lock()
	refuse := len(m.fails) > 0 && m.fails[0]
	m.fails = m.fails[min(1, len(m.fails)):]
	m.mu.Unlock()
	if refuse {
		return pipeline.Appended{}, errRefused
	}
	return m.Memory.Append(ctx, source, in)
}

// ingestAll runs sources that share a buffer and what they remember of skips.
func ingestAll(t *testing.T, buffer pipeline.Buffer, filter pipeline.Transform, sources ...pipeline.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	skips, metrics := new(pipeline.Skips), pipeline.NewMetrics(prometheus.NewRegistry(), "t")
	var all sync.WaitGroup
	for _, s := range sources {
		in := &pipeline.Ingest{
			Source: s, Buffer: buffer, Transforms: []pipeline.Transform{filter}, Skips: skips, Metrics: metrics, Logger: slog.New(slog.DiscardHandler),
			Route: func(event.Event) pipeline.Destination { return pipeline.Destination{LogGroup: "/g", LogStream: "s"} },
		}
		all.Go(func() {
			if err := in.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
}

// TestSkippedAndKeptAreAll holds, whatever the pages are and whatever fails on the way:
// each event is kept once or counted once, as the filter decides of it alone, also when
// it comes by two ways, and the cursor moves over what is left out.
func TestSkippedAndKeptAreAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			n, every := rapid.IntRange(0, 60).Draw(rt, "events"), rapid.IntRange(1, 5).Draw(rt, "every")
			filter := func(e event.Event) (event.Event, pipeline.Verdict) {
				i, _ := strconv.Atoi(strings.TrimLeft(e.LogID, "0"))
				return e, pipeline.Verdict{Skip: i%every == 0, Reason: "third_" + strconv.Itoa(i%3)}
			}
			want, kept := map[string]int{}, 0
			for _, id := range ids(n) {
				if _, v := filter(event.Event{LogID: id}); v.Skip {
					want[v.Reason]++
				} else {
					kept++
				}
			}
			buffer := &moody{Memory: pipelinetest.NewMemory(1<<20, 72*time.Hour), fails: rapid.SliceOfN(rapid.Bool(), 0, 8).Draw(rt, "refused")}
			poll := &tape{ids: ids(n), size: rapid.IntRange(1, 20).Draw(rt, "page")}
			push := &crowd{ids: ids(n)}
			if rapid.Bool().Draw(rt, "without a push") {
				push.ids = nil
			}
			ingestAll(t, buffer, filter, poll, push)
			got := buffer.Skipped()
			if len(got) == 0 {
				got = map[string]int{}
			}
			if d := cmp.Diff(want, got); d != "" || buffer.Len() != kept {
				t.Errorf("kept %d, want %d; skipped (-want +got):\n%s", buffer.Len(), kept, d)
			}
			if c, _ := buffer.Cursor(t.Context(), "tape"); c != event.Cursor(strconv.Itoa(n)) && n > 0 {
				t.Errorf("the cursor is %q of %d", c, n)
			}
		})
	})
}

// A source that brings what was left out before, again and again, gets nowhere, and
// that is no progress: its trouble stays.
func TestWhatIsLeftOutAgainIsNoProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		s, ends := &stuck{}, 0
		in := &pipeline.Ingest{
			Source: s, Buffer: pipelinetest.NewMemory(1<<20, time.Hour), Skips: new(pipeline.Skips), Logger: slog.New(slog.DiscardHandler),
			Transforms: []pipeline.Transform{func(e event.Event) (event.Event, pipeline.Verdict) {
				return e, pipeline.Verdict{Skip: true, Reason: "all"}
			}},
			Metrics: pipeline.NewMetrics(prometheus.NewRegistry(), "t"),
			Report: func(_ context.Context, _ string, c *pipeline.Condition) {
				if c == nil {
					ends++
				}
			},
		}
		_ = in.Run(ctx)
		if s.tries > 40 || ends > 1 {
			t.Errorf("%d tries in 10 minutes, and the trouble ended %d times", s.tries, ends)
		}
	})
}

// stuck is a Source that brings the same event and fails.
type stuck struct{ tries int }

func (*stuck) Name() string { return "stuck" }

func (s *stuck) Run(ctx context.Context, _ event.Cursor, emit pipeline.Emit) error {
	s.tries++
	err := emit(ctx, event.Page{Events: []event.Event{{LogID: "1", Date: time.Now(), Raw: []byte(`{}`)}}})
	return errors.Join(err, errRefused)
}

// TestCheckHearsWhatIsLeftOut has a push bring only what the transforms leave out: it
// is there all the same, and neither that nor the poll's share of it counts.
func TestCheckHearsWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t, true)
		defer end()
		for range 6 {
			b.Polled(pipeline.Intake{LeftOut: 3}, pipeline.Appended{})
			<-time.After(time.Minute)
		}
		b.after(t, 0, 0, 0, false)
		b.bring(b.Polled, 400) // the push has lost this one
		<-time.After(time.Second)
		b.Pushed(pipeline.Intake{LeftOut: 1}, pipeline.Appended{})
		b.after(t, late, 1, 0, false)
		b.bring(b.Polled, 800) // and now it brings nothing more
		b.after(t, late, 2, 0, true)
		b.Pushed(pipeline.Intake{LeftOut: 1}, pipeline.Appended{})
		b.after(t, time.Second, 2, 0, false)
	})
}
