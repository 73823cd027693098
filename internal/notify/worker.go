package notify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	// groupWait is how long the first alert of a message waits for others.
	groupWait = 5 * time.Second
	// restBetween is the shortest pause between two messages of a channel: Slack takes
	// one a second.
	restBetween = 10 * time.Second
	// backOffLeast and backOffMost bound the pauses between tries of a channel that fails.
	backOffLeast = 5 * time.Second
	backOffMost  = 5 * time.Minute
	// failedAfter is how many tries must fail for a channel to count as failing, unless a
	// person must act.
	failedAfter = 3
	// stopGrace is how long what is being sent may take when the program stops.
	stopGrace = 3 * time.Second
	// reportLate is how late a daily report may be: after a longer stop the next one
	// tells of both days.
	reportLate = 12 * time.Hour
	// beatFrom is how long after the start of the process the first beat is that says that
	// all is well: one that ends and begins again and again never says so. What is wrong
	// from the start is an alert by then.
	beatFrom = 45 * time.Second
	// idle is how long a worker waits that has nothing to do, unless it is roused.
	idle = time.Minute
)

// A worker tells one channel.
type worker struct {
	Channel

	m    *Manager
	wake chan struct{}

	// The manager's mu guards these.
	failing  *failure  // nil while it works
	lastSent time.Time // when a message was last sent
	lastBeat time.Time
}

// A failure is a series of tries that have failed.
type failure struct {
	since time.Time
	tries int
	err   error
	next  time.Time // when to try again
}

// newWorker makes the worker of a channel.
func newWorker(m *Manager, c Channel) *worker {
	return &worker{Channel: c, m: m, wake: make(chan struct{}, 1)}
}

// rouse has the worker look whether there is something to do.
func (w *worker) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run tells the channel until ctx ends.
func (w *worker) run(ctx context.Context) {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx)) // those under way have a moment
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		grace := time.AfterFunc(stopGrace, cancel)
		<-calls.Done()
		grace.Stop()
	})
	defer stop()
	w.probe(calls)
	for ctx.Err() == nil {
		wait := time.NewTimer(w.step(calls))
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// step does what is due, and returns how long to wait at most.
func (w *worker) step(ctx context.Context) time.Duration {
	if w.Sender == nil {
		return w.beat(ctx)
	}
	now := time.Now()
	msg, done, wait := w.due(now)
	if msg == nil {
		if wait == 0 { // it failed, and nothing is left to be told
			w.probe(ctx)
			return idle
		}
		return wait
	}
	err := w.Sender.Send(ctx, *msg)
	w.settle(ctx, err, done)
	w.m.keep(ctx)
	return 0
}

// probe finds out, without sending anything, whether the channel has what it needs to
// send: a secret that is not there is told before there is something to tell.
func (w *worker) probe(ctx context.Context) {
	var err error
	if r, ok := w.Sender.(readier); ok {
		err = r.Ready(ctx)
	} else if r, ok := w.Beater.(readier); ok {
		err = r.Ready(ctx)
	}
	now := time.Now()
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if err == nil {
		w.recover(ctx)
		return
	}
	w.fail(ctx, now, err)
}

// failed reports whether the channel counts as failing. The caller holds the mu.
func (w *worker) failed() bool {
	if w.failing == nil {
		return false
	}
	e, ok := errors.AsType[*SendError](w.failing.err)
	return w.failing.tries >= failedAfter || ok && e.Lasting
}

// tells reports whether the channel is told of an alert: not of its own failing.
func (w *worker) tells(a *Alert) bool {
	return w.wants(a) && (a.Kind != KindChannel || a.Part != w.Name)
}

// due returns the message that is to be sent now, and what to note when it was; or how
// long to wait.
func (w *worker) due(now time.Time) (msg *Message, done func(), wait time.Duration) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.failing != nil && now.Before(w.failing.next) {
		return nil, nil, w.failing.next.Sub(now)
	}
	known := w.m.known[w.Name]
	if known == nil { // the settings have just changed
		return nil, nil, idle
	}
	if pending := w.m.book.pending(w.Name, known.Since, w.tells); len(pending) > 0 {
		if wait := max(pending[0].Due.Add(groupWait).Sub(now), w.lastSent.Add(restBetween).Sub(now)); wait > 0 {
			return nil, nil, wait
		}
		return w.message(now, AboutAlerts, pending, nil), func() { w.m.book.told(w.Name, pending) }, 0
	}
	if w.m.latest == nil || known.Day.At.IsZero() {
		return nil, nil, idle
	}
	for _, x := range []struct {
		about string
		at    func(Base) time.Time
		base  *Base
	}{{AboutDay, w.dayDue, &known.Day}, {AboutRun, w.runDue, &known.Run}} {
		at := x.at(*x.base)
		if at.IsZero() || now.Before(at) {
			continue
		}
		snapshot := *w.m.latest
		done := func() { *x.base, w.m.book.dirty = baseOf(snapshot), true }
		if x.about == AboutDay && now.Sub(at) > reportLate {
			x.base.At = at // the next one tells of both
			w.m.book.dirty = true
			continue
		}
		return w.message(now, x.about, nil, w.report(snapshot, *x.base, w.m.book.alerts())), done, 0
	}
	if w.failing != nil {
		return nil, nil, 0
	}
	return nil, nil, idle
}

// dayDue is when the daily report behind a base is due; zero for never.
func (w *worker) dayDue(b Base) time.Time {
	if w.Report == nil {
		return time.Time{}
	}
	return w.Report.next(b.At)
}

// runDue is when it is due to say that all goes well; zero for never.
func (w *worker) runDue(b Base) time.Time {
	if w.Every <= 0 {
		return time.Time{}
	}
	return b.At.Add(w.Every)
}

// message makes a message.
func (w *worker) message(now time.Time, about string, notices []Notice, r *Report) *Message {
	return &Message{ID: messageID(now), About: about, At: now, Instance: w.m.settings.Instance, Version: w.m.opts.Version, Notices: notices, Report: r}
}

// messageID makes a name for a message.
func messageID(now time.Time) string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%x-%s", now.UnixMilli(), hex.EncodeToString(b))
}

// settle notes what became of a try; done is called when it succeeded.
func (w *worker) settle(ctx context.Context, err error, done func()) {
	now := time.Now()
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.lastSent = now
	if err == nil {
		done()
		w.m.metrics.sent(w.Name)
		w.recover(ctx)
		return
	}
	if ctx.Err() != nil {
		return // the program ends
	}
	w.m.metrics.failed(w.Name)
	w.fail(ctx, now, err)
}

// fail notes that a try failed. The caller holds the mu.
func (w *worker) fail(ctx context.Context, now time.Time, err error) {
	if w.failing == nil {
		w.failing = &failure{since: now}
	}
	f := w.failing
	told := f.err != nil && f.err.Error() == err.Error()
	f.tries++
	pause := min(backOffLeast<<min(f.tries-1, 16), backOffMost)
	hint := ""
	if e, ok := errors.AsType[*SendError](err); ok {
		pause, hint = max(pause, min(e.RetryAfter, retryAfterMost)), e.Hint
	}
	f.err, f.next = err, now.Add(pause)
	w.m.metrics.failing(w.Name, w.failed())
	if !told {
		w.m.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "a channel of notify fails, trying again", slog.String("channel", w.Name),
			slog.Duration("next_try_in", pause), slog.Any("error", err), slog.String("hint", hint))
	}
}

// recover notes that the channel works. The caller holds the mu.
func (w *worker) recover(ctx context.Context) {
	if w.failing == nil {
		return
	}
	w.m.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "a channel of notify works again", slog.String("channel", w.Name), slog.Int("failures", w.failing.tries))
	w.failing = nil
	w.m.metrics.failing(w.Name, false)
}

// beat does what a Beater does by the clock, and returns how long to wait at most.
func (w *worker) beat(ctx context.Context) time.Duration {
	now := time.Now()
	b, wait := w.beatDue(now)
	if wait > 0 {
		return wait
	}
	w.settle(ctx, w.Beater.Beat(ctx, b), func() { w.lastBeat = now })
	return 0
}

// beatDue returns the beat that is due now, or how long to wait.
func (w *worker) beatDue(now time.Time) (b Beat, wait time.Duration) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.failing != nil && now.Before(w.failing.next) {
		return b, w.failing.next.Sub(now)
	}
	if w.m.latest == nil {
		return b, idle // the first look rouses
	}
	if wait := w.lastBeat.Add(w.Every).Sub(now); wait > 0 {
		return b, wait
	}
	b.Snapshot = *w.m.latest
	b.Snapshot.Tenants = nil
	for _, t := range w.m.latest.Tenants {
		if w.covers(t.Name) {
			b.Snapshot.Tenants = append(b.Snapshot.Tenants, t)
		}
	}
	for _, a := range w.m.book.alerts() {
		if a.on() && w.tells(&a) {
			b.On = append(b.On, a)
		}
	}
	b.Healthy = w.m.blind.IsZero() && len(b.On) == 0
	if wait := w.m.book.began.Add(beatFrom).Sub(now); b.Healthy && wait > 0 {
		return b, wait
	}
	return b, 0
}
