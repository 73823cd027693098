package access

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How fast passwords may be tried.
const (
	// freeByAddress and freeByName are how many attempts may fail without a pause.
	freeByAddress = 5
	freeByName    = 10
	// maxPauseAddress and maxPauseName bound the pause after each further failure, which
	// doubles from a second on. That of a name is short: a stranger can cause it, and
	// must not be able to keep somebody out.
	maxPauseAddress = 15 * time.Minute
	maxPauseName    = time.Minute
	// forgetAfter is how long after its last failure a name or an address has a clean
	// slate.
	forgetAfter = time.Hour
	// perSecond and atOnce bound attempts from everywhere.
	perSecond = 2
	atOnce    = 30
	// maxSlates bounds how many names, and how many addresses, are remembered.
	maxSlates = 4096
	// maxKnown bounds how many pairs of name and address that have logged in are.
	maxKnown = 1024
)

// A slate is what is held against a name or an address.
type slate struct {
	failures int
	last     time.Time
	until    time.Time // no attempt is taken before
}

// A slateKey is a digest, so that it takes the same memory whatever was sent.
type slateKey [sha256.Size]byte

// A throttle holds back those who guess. Its memory is bounded.
type throttle struct {
	mu        sync.Mutex
	addresses map[slateKey]*slate
	names     map[slateKey]*slate
	known     map[slateKey]time.Time // pairs that have logged in, and when
	all       *rate.Limiter
}

func newThrottle() *throttle {
	return &throttle{
		addresses: make(map[slateKey]*slate), names: make(map[slateKey]*slate), known: make(map[slateKey]time.Time),
		all: rate.NewLimiter(perSecond, atOnce),
	}
}

// An attempt is one that was let through.
type attempt struct{ address, name, pair slateKey }

// begin takes an attempt, or says for how long none is taken. An attempt counts as
// failed until succeeded is called, so that many at once get no more than one after
// another. An address from which the name has logged in before is held back by its own
// failures alone, and not by those of strangers. name may be empty.
func (t *throttle) begin(from netip.Addr, name string) (attempt, time.Duration) {
	a := attempt{address: digest("address", network(from)), name: digest("name", name), pair: digest("pair", network(from), name)}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := pause(t.addresses[a.address], now); wait > 0 {
		return a, wait
	}
	if when, ok := t.known[a.pair]; !ok || now.Sub(when) > 30*24*time.Hour {
		if wait := pause(t.names[a.name], now); name != "" && wait > 0 {
			return a, wait
		}
		if !t.all.AllowN(now, 1) {
			return a, time.Second
		}
	}
	note(t.addresses, a.address, now, freeByAddress, maxPauseAddress)
	if name != "" {
		note(t.names, a.name, now, freeByName, maxPauseName)
	}
	return a, 0
}

// succeeded clears the slate of the name of an attempt. What was held against its address
// before stays: whoever has one password must not get free attempts at others by it.
func (t *throttle) succeeded(a attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo(t.addresses[a.address])
	delete(t.names, a.name)
	if _, ok := t.known[a.pair]; !ok && len(t.known) >= maxKnown {
		oldest, found := slateKey{}, time.Time{}
		for k, when := range t.known {
			if found.IsZero() || when.Before(found) {
				oldest, found = k, when
			}
		}
		delete(t.known, oldest)
	}
	t.known[a.pair] = time.Now()
}

// returned takes back an attempt that was not made.
func (t *throttle) returned(a attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo(t.addresses[a.address])
	t.undo(t.names[a.name])
}

// undo takes one failure off a slate.
func (*throttle) undo(s *slate) {
	if s != nil {
		s.failures = max(0, s.failures-1)
		s.until = time.Time{}
	}
}

// pause is for how long a slate still holds back.
func pause(s *slate, now time.Time) time.Duration {
	if s == nil {
		return 0
	}
	return s.until.Sub(now)
}

// note holds a failure against a key.
func note(m map[slateKey]*slate, k slateKey, now time.Time, free int, most time.Duration) {
	s := m[k]
	if s == nil {
		if len(m) >= maxSlates {
			forget(m, now)
		}
		s = new(slate)
		m[k] = s
	}
	if now.Sub(s.last) > forgetAfter {
		s.failures = 0
	}
	s.failures++
	s.last = now
	if beyond := s.failures - free; beyond >= 0 {
		s.until = now.Add(min(most, time.Second<<min(beyond, 20)))
	}
}

// forget makes room: what is old goes, or else the slate with the fewest failures, so
// that whoever uses many names or addresses pushes out the slates of that and not the
// ones that matter.
func forget(m map[slateKey]*slate, now time.Time) {
	var least slateKey
	var found *slate
	for k, s := range m {
		if now.Sub(s.last) > forgetAfter {
			delete(m, k)
			continue
		}
		if found == nil || s.failures < found.failures || s.failures == found.failures && s.last.Before(found.last) {
			least, found = k, s
		}
	}
	if len(m) >= maxSlates {
		delete(m, least)
	}
}

// network is what counts as one address: an IPv6 customer has a /64 at least.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// digest is of several texts that cannot run into each other.
func digest(parts ...string) slateKey {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return slateKey(h.Sum(nil))
}
