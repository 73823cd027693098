package cloudwatch

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// pastSteps are how far back a group may accept events, longest first: the
// limit of all groups, a day less for clocks that differ wildly, and the
// retentions that are shorter. Each rejection moves a group at least one step
// on, so a group is understood after five calls at most.
var pastSteps = []time.Duration{MaxPast, MaxPast - day, 7 * day, 5 * day, 3 * day, day}

// futureSteps are the same for events ahead of the clock, without the margin.
var futureSteps = []time.Duration{MaxFuture, time.Hour, futureMargin}

// learnedFor is how long a narrowed window is believed. Then the widest is tried
// again, because somebody may have given the group a longer retention.
const learnedFor = time.Hour

// A window is the span of dates that a log group accepts now.
type window struct {
	oldest, newest time.Time // with the margins kept
	past, future   time.Duration
}

// windowOf returns the window that reaches past back and future ahead of now.
func windowOf(now time.Time, past, future time.Duration) window {
	return window{oldest: now.Add(pastMargin - past), newest: now.Add(future - futureMargin), past: past, future: future}
}

// clamp moves a date into the window.
func (w window) clamp(t time.Time) time.Time {
	return pipeline.Limits{Oldest: w.oldest, Newest: w.newest}.Clamp(t)
}

// windows remembers what the log groups accept. It is safe for concurrent use.
type windows struct {
	mu     sync.Mutex
	groups map[string]reach
}

// reach is what is known of one group.
type reach struct {
	past, future time.Duration
	until        time.Time // zero: for good
}

// at returns the window of a group.
func (w *windows) at(group string, now time.Time) window {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.reachOf(group, now)
	return windowOf(now, r.past, r.future)
}

// known reports whether the window of a group was learned from CloudWatch.
func (w *windows) known(group string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.groups[group].until.IsZero()
}

// widest returns the widest window of the groups seen so far; with one group,
// which is usual, it is that of the group.
func (w *windows) widest(now time.Time) window {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.groups) == 0 {
		return windowOf(now, MaxPast, MaxFuture)
	}
	var most reach
	for group := range w.groups {
		r := w.reachOf(group, now)
		most.past, most.future = max(most.past, r.past), max(most.future, r.future)
	}
	return windowOf(now, most.past, most.future)
}

// reachOf returns what is known of a group and forgets what is no longer to be
// believed. The caller holds the lock.
func (w *windows) reachOf(group string, now time.Time) reach {
	r, ok := w.groups[group]
	if !ok || (!r.until.IsZero() && now.After(r.until)) {
		r = reach{past: MaxPast, future: MaxFuture}
		if w.groups == nil {
			w.groups = make(map[string]reach)
		}
		w.groups[group] = r
	}
	return r
}

// retention notes the retention of a group, in days; 0 is for ever.
func (w *windows) retention(group string, days int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.reachOf(group, now)
	r.past, r.until = MaxPast, now.Add(learnedFor)
	if days > 0 {
		r.past = min(MaxPast, time.Duration(days)*day)
	}
	w.groups[group] = r
}

// narrow learns from events of a group that were rejected for their age although
// they lay in the window sent with; nearest is the distance of the one nearest to
// the present. It reports false when there is no narrower window: the events can
// then never be stored.
func (w *windows) narrow(group string, sent window, tooOld bool, nearest time.Duration, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.reachOf(group, now)
	known, steps := &r.future, futureSteps
	was := sent.future
	if tooOld {
		// What is not accepted at this age is not accepted at a higher one.
		known, steps, was = &r.past, pastSteps, min(sent.past, nearest)
	}
	if *known < was {
		return true // another call has learned it meanwhile
	}
	for _, step := range steps {
		if step < was {
			*known, r.until = step, now.Add(learnedFor)
			w.groups[group] = r
			return true
		}
	}
	return false
}

// clock is CloudWatch's clock as far as its answers tell. The window is judged
// by it, and the clock of the machine may be wrong: by a wrong one, events of
// today could be taken for events of the future and be re-stamped.
type clock struct{ ahead atomic.Int64 }

// skewIgnored is a difference that is as likely the answer's time on the wire,
// and that the margins cover.
const skewIgnored = time.Minute

// now returns the time at CloudWatch.
func (c *clock) now() time.Time { return time.Now().Add(c.offset()) }

// offset returns how far CloudWatch's clock is ahead of ours.
func (c *clock) offset() time.Duration { return time.Duration(c.ahead.Load()) }

// heard notes the Date of an answer.
func (c *clock) heard(server time.Time) {
	d := time.Until(server)
	if d.Abs() < skewIgnored {
		d = 0
	}
	c.ahead.Store(int64(d))
}
