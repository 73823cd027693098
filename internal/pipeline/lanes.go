package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errLaneFree makes a Next that waits look again.
var errLaneFree = errors.New("a destination works again")

// lanes hold the destinations that fail, each by a schedule of its own, so that
// no worker waits with the events of one while those of another could go. The
// zero value is ready for use; it is safe for concurrent use.
type lanes struct {
	mu      sync.Mutex
	failing map[Destination]*lane
	waiting map[int]context.CancelCauseFunc // Next calls under way
	lastID  int
}

// lane is a destination that fails.
type lane struct {
	backoff Backoff
	until   time.Time // held until then
}

// held returns until when a destination is held, the zero time when it is not.
func (l *lanes) held(to Destination) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.failing[to]; f != nil {
		return f.until
	}
	return time.Time{}
}

// hold notes a failure and returns for how long the destination is held. Calls
// that were under way together count as one failure.
func (l *lanes) hold(to Destination, e Error) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failing[to]
	if f == nil {
		f = &lane{}
		if l.failing == nil {
			l.failing = make(map[Destination]*lane)
		}
		l.failing[to] = f
	}
	now := time.Now()
	if left := f.until.Sub(now); left > 0 && left >= e.RetryAfter {
		return left
	}
	wait := f.backoff.Next(e)
	f.until = now.Add(wait)
	return wait
}

// free notes a success. Whoever waits for a batch may now have one.
func (l *lanes) free(to Destination) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing[to] == nil {
		return
	}
	delete(l.failing, to)
	for _, wake := range l.waiting {
		wake(errLaneFree)
	}
}

// wait returns a context for one Next: it ends, with errLaneFree, as soon as a
// destination works again. The caller calls done behind it.
func (l *lanes) wait(ctx context.Context) (waiting context.Context, done func()) {
	waiting, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = make(map[int]context.CancelCauseFunc)
	}
	l.lastID++
	id := l.lastID
	l.waiting[id] = cancel
	return waiting, func() {
		cancel(nil)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, id)
	}
}
