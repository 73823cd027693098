package pipeline

import (
	"context"
	"math/rand/v2"
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
