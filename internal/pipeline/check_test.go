package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A bench is a Check with what it is told and tells, inside a bubble.
type bench struct {
	*pipeline.Check

	began time.Time
	known map[string]bool // the log_ids that are stored

	mu             sync.Mutex
	healed, pushed int
	failing        bool // the store takes no counts
	conditions     []*pipeline.Condition
}

// newBench starts a Check; the returned function ends it.
func newBench(t *testing.T, known bool) (b *bench, end func()) {
	t.Helper()
	b = &bench{began: time.Now(), known: make(map[string]bool)}
	b.Check = pipeline.NewCheck(pipeline.CheckConfig{
		Began: b.began, Known: known, Logger: slog.New(slog.DiscardHandler),
		Tally: func(_ context.Context, healed, pushed int) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.failing {
				return errors.New("disk full")
			}
			b.healed += healed
			b.pushed += pushed
			return nil
		},
		Report: func(_ context.Context, part string, c *pipeline.Condition) {
			if part != pipeline.PushPart {
				t.Errorf("trouble of part %q", part)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.conditions = append(b.conditions, c)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	return b, func() { cancel(); <-done }
}

// bring tells the Check of a page of events, by their numbers; each happened its
// number of seconds after the start.
func (b *bench) bring(to func(pipeline.Intake, pipeline.Appended), numbers ...int) {
	var in pipeline.Intake
	var done pipeline.Appended
	for i, n := range numbers {
		id := strconv.Itoa(n)
		in.Entries = append(in.Entries, pipeline.Entry{Event: event.Event{LogID: id, Date: b.began.Add(time.Duration(n) * time.Second)}})
		if b.known[id] {
			done.Duplicates++
			done.Known = append(done.Known, i)
			continue
		}
		done.Stored++
		b.known[id] = true
	}
	to(in, done)
}

// fail says whether the store takes counts.
func (b *bench) fail(failing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = failing
}

// told returns what was reported.
func (b *bench) told() []*pipeline.Condition {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.conditions)
}

// after waits for what is overdue by then to be counted.
func (b *bench) after(t *testing.T, d time.Duration, healed, pushed int, silent bool) {
	t.Helper()
	<-time.After(d)
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff([]any{healed, pushed, silent}, []any{b.healed, b.pushed, b.Silent()}); diff != "" {
		t.Errorf("after %v: healed, pushed, silent (-want +got):\n%s", time.Since(b.began), diff)
	}
}

// late is when everything brought before is overdue, and counted.
const late = pipeline.CheckGrace + 11*time.Second

func TestCheckCountsWhatThePushMisses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t, false)
		b.bring(b.Polled, -5, 1, 2) // from before the start, and before the stream existed
		b.bring(b.Pushed, 3, 4)
		b.bring(b.Pushed, 3)          // repeated
		b.bring(b.Polled, 3, 4, 5, 6) // of which two are known
		b.after(t, time.Minute, 0, 2, false)
		b.bring(b.Pushed, 6) // behind the poll, in time
		b.after(t, late, 1, 3, false)
		b.bring(b.Pushed, 5) // too late
		b.after(t, late, 1, 3, false)
		b.fail(true)
		b.bring(b.Pushed, 7)
		b.after(t, late, 1, 3, false)
		b.fail(false)
		b.bring(b.Pushed, 8)
		end()
		if b.pushed != 5 || len(b.conditions) > 0 {
			t.Errorf("in the end %d were pushed, want 5, with conditions %v", b.pushed, b.conditions)
		}
	})
}

// TestCheckHearsThePushFirst has the word of a duplicate come before that of the
// event, as it may when both pages are stored at the same time.
func TestCheckHearsThePushFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t, true)
		defer end()
		b.known["1"] = true // the poll has stored it and not told of it
		b.bring(b.Pushed, 1)
		delete(b.known, "1")
		b.bring(b.Polled, 1, 2)
		b.after(t, late, 1, 1, false)
	})
}

func TestCheckTellsOfSilence(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"of a push that never came": false, "of one that came before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, end := newBench(t, known)
				defer end()
				healed := 0
				b.bring(b.Polled, -2, -1)             // nobody listened
				b.after(t, 24*time.Hour, 0, 0, false) // nothing happens, nothing is wrong
				b.bring(b.Polled, 1, 2)
				b.after(t, pipeline.CheckGrace-time.Second, 0, 0, false)
				if known {
					healed = 2
				}
				b.after(t, 12*time.Second, healed, 0, true)
				b.after(t, time.Hour, healed, 0, true)
				if told := b.told(); len(told) != 1 || told[0].Err.Hint == "" || !told[0].Since.Equal(b.began) {
					t.Fatalf("told %+v, want one trouble with a hint, since the start", told)
				}
				b.bring(b.Pushed, 2) // known, and a sign of life all the same
				b.after(t, time.Millisecond, healed, 0, false)
				if told := b.told(); len(told) != 2 || told[1] != nil {
					t.Errorf("told %+v, want the end of the trouble", told)
				}
				b.bring(b.Polled, 3)
				<-time.After(time.Second)
				b.bring(b.Pushed, 4) // a hole, and no silence
				b.after(t, late, healed+1, 1, false)
			})
		})
	}
}

// TestCheckIsBounded has more events missed at once than are remembered.
func TestCheckIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, end := newBench(t, true)
		defer end()
		for i := range 250 {
			page := make([]int, 100)
			for j := range page {
				page[j] = 100*i + j
			}
			b.bring(b.Polled, page...)
			b.bring(b.Pushed, 1_000_000+i)
			b.bring(b.Pushed, page[0])
		}
		b.after(t, 11*time.Second, 250*99-19_999, 500, false) // the last page[0] has made room for one
		b.after(t, late, 250*99, 500, false)
	})
}
