package pipeline

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// schedule is how long to wait after the first, second, … failure in a row.
type schedule struct{ first, most time.Duration }

// scheduleOf returns the waits of a class. A fault that passes by itself is
// tried again soon; one that needs a person often enough that the export goes
// on within a minute of the repair, and no more.
func scheduleOf(c Class) schedule {
	switch c {
	case Throttled:
		return schedule{time.Second, time.Minute}
	case Unauthorized, Misconfigured:
		return schedule{5 * time.Second, time.Minute}
	default:
		return schedule{200 * time.Millisecond, 30 * time.Second}
	}
}

// A Backoff says how long to wait between tries that fail. The zero value is
// ready for use; it is not safe for concurrent use.
type Backoff struct {
	failures int
	class    Class
}

// Next returns the wait before the next try: doubled with each failure of the
// same class in a row, capped, spread by jitter over its upper half, and never
// shorter than what the server asked for.
func (b *Backoff) Next(e Error) time.Duration {
	if e.Class != b.class {
		b.failures, b.class = 0, e.Class
	}
	s := scheduleOf(e.Class)
	d := s.most
	if b.failures < 16 {
		d = min(s.first<<b.failures, s.most)
	}
	b.failures++
	d = d/2 + rand.N(d/2+1) //nolint:gosec // jitter needs no secrecy
	return max(d, e.RetryAfter)
}

// Reset forgets the failures, after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// Wait waits for d or until ctx ends, and then returns the cause.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// A Condition is the trouble that a part of a tenant's export is in.
type Condition struct {
	// Part is the loop: "poll", "delivery".
	Part string
	// Since is when the trouble began.
	Since time.Time
	// Failures counts the tries that failed since.
	Failures int
	// Err is the last error, with its class and hint.
	Err Error
}

// trouble follows the failures of one loop, so that people hear of a change and
// of the recovery, and not of each try. It is safe for concurrent use.
type trouble struct {
	part   string
	logger *slog.Logger
	report func(context.Context, *Condition)

	mu  sync.Mutex
	now *Condition
}

// failed notes a failure.
func (t *trouble) failed(ctx context.Context, e Error, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.now == nil || t.now.Err.Error() != e.Error()
	if t.now == nil {
		t.now = &Condition{Part: t.part, Since: time.Now()}
	}
	t.now.Failures++
	t.now.Err = e
	if !changed {
		return
	}
	if t.report != nil {
		c := *t.now
		t.report(ctx, &c)
	}
	level := slog.LevelWarn
	if e.Class == Unauthorized || e.Class == Misconfigured {
		level = slog.LevelError // a person must act
	}
	attrs := []slog.Attr{
		slog.String("part", t.part), slog.String("class", e.Class.String()),
		slog.Duration("next_try_in", wait.Round(time.Millisecond)), slog.Any("error", e.Err),
	}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	t.logger.LogAttrs(ctx, level, "trouble, trying again", attrs...)
}

// recovered notes a success.
func (t *trouble) recovered(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return
	}
	t.logger.LogAttrs(ctx, slog.LevelInfo, "recovered", slog.String("part", t.part),
		slog.Int("failures", t.now.Failures), slog.Duration("after", time.Since(t.now.Since).Round(time.Millisecond)))
	t.now = nil
	if t.report != nil {
		t.report(ctx, nil)
	}
}

// current returns the trouble of the moment, nil when there is none.
func (t *trouble) current() *Condition {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return nil
	}
	c := *t.now
	return &c
}
