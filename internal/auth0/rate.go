package auth0

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds on waits.
const (
	// maxWindow bounds the wait for the end of a window. Auth0's are a second or
	// a minute long; a wrong clock or header must not stop the export for hours.
	maxWindow = 2 * time.Minute
	// minRefused and maxRefused bound the wait after a 429.
	minRefused = time.Second
	maxRefused = time.Hour
	// maxBackoff bounds the wait after a 429 that names none.
	maxBackoff = time.Minute
)

// limiter spaces the calls so that they use no more than a share of the rate
// limit that the headers tell of. Without such headers it limits nothing.
//
// The window is told by the server's clock. Its Date header gives the time left
// in it, so that a wrong clock on this machine does no harm.
type limiter struct {
	share float64

	mu        sync.Mutex
	limit     int       // calls in a window; 0 when unknown
	remaining int       // as the server said, less those under way
	until     time.Time // when the window ends
	blocked   time.Time // no call before, after a 429
	refusals  int       // 429s in a row
	waited    time.Duration
}

// budget is the number of calls in a window that are ours: at least one, or the
// export would never get on.
func (l *limiter) budget() int {
	return min(max(1, int(l.share*float64(l.limit))), l.limit)
}

// usable is how many calls are ours until the window ends. The rest of what
// remains stays for others.
func (l *limiter) usable() int {
	return l.remaining - (l.limit - l.budget())
}

// wait blocks until a call may be made, and returns how long that took.
func (l *limiter) wait(ctx context.Context) (waited time.Duration, err error) {
	for {
		d := l.claim(time.Now())
		if d <= 0 {
			return waited, nil
		}
		d = jitter(d)
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return waited, context.Cause(ctx)
		case <-t.C:
			waited += d
			l.noteWait(d)
		}
	}
}

// noteWait adds to how long calls have waited.
func (l *limiter) noteWait(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waited += d
}

// Waited returns how long calls for the log have waited for the rate limit, since the
// client was made.
func (c *Client) Waited() time.Duration {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	return c.limiter.waited
}

// claim takes one call out of the budget, or returns how long to wait for it.
func (l *limiter) claim(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.blocked) {
		return l.blocked.Sub(now)
	}
	if l.limit > 0 && now.Before(l.until) && l.usable() < 1 {
		return l.until.Sub(now)
	}
	l.remaining--
	return 0
}

// note learns from the headers of an answer.
func (l *limiter) note(h http.Header, received time.Time) {
	limit, err1 := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	remaining, err2 := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	if err1 != nil || err2 != nil || limit <= 0 {
		return
	}
	left, _ := windowLeft(h, received)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.remaining = limit, min(max(0, remaining), limit)
	l.until = received.Add(left)
}

// accepted ends a series of 429s.
func (l *limiter) accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = 0
}

// refused learns from a 429 and returns how long to wait: what Retry-After says,
// or else until the window ends, or else longer with each refusal.
func (l *limiter) refused(h http.Header, received time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := retryAfter(h, received)
	if !ok {
		d, ok = windowLeft(h, received)
	}
	if !ok {
		d = min(minRefused<<min(l.refusals, 10), maxBackoff)
	}
	l.refusals++
	d = min(max(d, minRefused), maxRefused)
	l.blocked = received.Add(d)
	return d
}

// pace is how far apart calls should be so that the share lasts until the window
// ends, instead of being spent at its start.
func (l *limiter) pace(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.until.Sub(now)
	if l.limit == 0 || left <= 0 {
		return 0
	}
	return left / time.Duration(max(1, l.usable()))
}

// figures returns what the server said last, for the metrics.
func (l *limiter) figures() (limit, remaining int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit, l.remaining
}

// A RateLimit is what the Management API said last of its rate limit.
type RateLimit struct {
	// Limit is how many calls a window has, and Remaining how many are left of it, less
	// those that were made since.
	Limit, Remaining int
	// Reset is when the window ends.
	Reset time.Time
	// Share is the part of it that the client may use, from 0 to 1.
	Share float64
}

// RateLimit returns what the Management API said last; false when it has said nothing.
func (c *Client) RateLimit() (RateLimit, bool) {
	l := c.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	return RateLimit{Limit: l.limit, Remaining: max(0, l.remaining), Reset: l.until.UTC(), Share: l.share}, l.limit > 0
}

// ends returns when the window ends, as the server said last.
func (l *limiter) ends() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// windowLeft reads how long the window lasts: x-ratelimit-reset, in UNIX
// seconds, less the server's own time. A small number can only be the seconds
// that are left.
func windowLeft(h http.Header, received time.Time) (time.Duration, bool) {
	reset, ok := seconds(h.Get("X-Ratelimit-Reset"))
	if !ok {
		return 0, false
	}
	const never = 1_000_000 * time.Second // as a date it would be January 1970
	if reset < never {
		return min(reset, maxWindow), true
	}
	left := time.Unix(0, 0).Add(reset).Sub(serverTime(h, received))
	return min(max(0, left), maxWindow), true
}

// retryAfter reads Retry-After: seconds, or a date by the server's clock.
func retryAfter(h http.Header, received time.Time) (time.Duration, bool) {
	text := h.Get("Retry-After")
	if d, ok := seconds(text); ok {
		return d, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(serverTime(h, received))), true
	}
	return 0, false
}

// seconds reads a number of seconds, whole or not. One that is too large to be
// meant stands for a very long time, not for none.
func seconds(text string) (time.Duration, bool) {
	const most = 200 * 365 * 24 * time.Hour
	s, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || !(s >= 0) { // refuses NaN too
		return 0, false
	}
	return time.Duration(min(s*float64(time.Second), float64(most))), true
}

// serverTime reads the server's clock from the Date header, to the second below,
// and takes ours where there is none.
func serverTime(h http.Header, received time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t.UTC()
	}
	return received.UTC()
}

// jitter lengthens a wait a little, so that many tenants that wait for the same
// second do not call in the same instant.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(min(d/10, 250*time.Millisecond)+1) //nolint:gosec // jitter needs no secrecy
}
