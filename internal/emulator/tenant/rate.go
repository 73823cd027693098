package tenant

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Plan names an Auth0 subscription, which decides on rate limits and retention
// (Auth0 docs: rate limit policy; log data retention).
type Plan string

// The plans.
const (
	// Unlimited has no rate limit and keeps events for 30 days.
	Unlimited Plan = ""
	// Free has 2 calls a second and keeps events for 1 day.
	Free Plan = "free"
	// Essentials has 100 log reads and 150 other calls a minute, 10 at once, and
	// keeps events for 5 days.
	Essentials Plan = "essentials"
	// Professional has the limits of Essentials and keeps events for 10 days.
	Professional Plan = "professional"
	// Enterprise has 16 calls a second, 50 at once, and keeps events for 30 days.
	Enterprise Plan = "enterprise"
	// EnterpriseNonProduction has 2 calls a second, 10 at once, and keeps events
	// for 30 days.
	EnterpriseNonProduction Plan = "enterprise-nonprod"
)

// Plans returns all plans.
func Plans() []Plan {
	return []Plan{Unlimited, Free, Essentials, Professional, Enterprise, EnterpriseNonProduction}
}

const day = 24 * time.Hour

// limits are what a plan allows. A tenant without logs bucket counts the reading
// of logs in api.
type limits struct {
	api, logs rateLimit
	retention time.Duration
}

// rateLimit is a bucket of tokens: it holds burst at most and gains refill in
// every window.
type rateLimit struct {
	burst, refill int
	window        time.Duration
}

var plans = map[Plan]limits{
	Unlimited: {retention: 30 * day},
	Free:      {api: rateLimit{2, 2, time.Second}, retention: day},
	Essentials: {
		api: rateLimit{10, 150, time.Minute}, logs: rateLimit{10, 100, time.Minute}, retention: 5 * day,
	},
	Professional: {
		api: rateLimit{10, 150, time.Minute}, logs: rateLimit{10, 100, time.Minute}, retention: 10 * day,
	},
	Enterprise:              {api: rateLimit{50, 16, time.Second}, retention: 30 * day},
	EnterpriseNonProduction: {api: rateLimit{10, 2, time.Second}, retention: 30 * day},
}

// bucket counts the tokens of one limit. They are added at the top of a second:
// those of a window of a minute in even portions, since a bucket of 10 could not
// sustain 100 a minute otherwise.
type bucket struct {
	rateLimit
	mu     sync.Mutex
	tokens int
	filled time.Time            // up to when tokens have been added
	told   map[string]time.Time // when each event about the limit was written last
}

func newBucket(l rateLimit) *bucket {
	if l.burst == 0 {
		return nil
	}
	return &bucket{rateLimit: l, tokens: l.burst, told: make(map[string]time.Time)}
}

// take takes a token at the given time and returns how many are left, or -1 if
// there was none.
func (b *bucket) take(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if second := now.Truncate(time.Second); second.After(b.filled) {
		if !b.filled.IsZero() {
			b.tokens = min(b.burst, b.tokens+b.added(second)-b.added(b.filled))
		}
		b.filled = second
	}
	if b.tokens == 0 {
		return -1
	}
	b.tokens--
	return b.tokens
}

// added is how many tokens have been added since the epoch by the given second.
func (b *bucket) added(second time.Time) int {
	return int(second.Unix() * int64(b.refill) / int64(b.window/time.Second))
}

// next is the second at which the next token is added.
func (b *bucket) next(now time.Time) int64 {
	second := now.Truncate(time.Second)
	for t := second.Add(time.Second); ; t = t.Add(time.Second) {
		if b.added(t) > b.added(second) {
			return t.Unix()
		}
	}
}

// The events that Auth0 writes about a limit.
const (
	limitReached = "api_limit"
	limitNear    = "api_limit_warning" // four fifths are used up
)

// tellEvery is how far apart two events of a type are at least. It is ours, so
// that a client without manners does not fill the log; Auth0 names no figure.
const tellEvery = time.Minute

// due returns the type of the event that is to be written now that take has
// returned left; empty is none.
func (b *bucket) due(left int, now time.Time) string {
	var code string
	switch {
	case left < 0:
		code = limitReached
	case 5*(b.burst-left) >= 4*b.burst:
		code = limitNear
	default:
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, ok := b.told[code]; ok && now.Sub(last) < tellEvery {
		return ""
	}
	b.told[code] = now
	return code
}

// limiter applies the limits of a plan.
type limiter struct {
	api, logs *bucket
	// tell writes an event about a limit into the log.
	tell func(r *http.Request, code string, l rateLimit)
}

func newLimiter(p Plan, tell func(r *http.Request, code string, l rateLimit)) limiter {
	l := plans[p]
	return limiter{api: newBucket(l.api), logs: newBucket(l.logs), tell: tell}
}

// logReads are the operations that a plan may count by themselves.
var logReads = []string{opLogs, opLog}

// wrap answers 429 instead of next when the tenant's tokens have run out. Every
// answer of the Management API tells what is left.
func (l limiter) wrap(next http.Handler) http.Handler {
	if l.api == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := l.api
		if l.logs != nil && slices.Contains(logReads, operation(r)) {
			b = l.logs
		}
		now := time.Now()
		left := b.take(now)
		if code := b.due(left, now); code != "" {
			l.tell(r, code, b.rateLimit)
		}
		h := w.Header()
		h.Set("X-Ratelimit-Limit", strconv.Itoa(b.burst))
		h.Set("X-Ratelimit-Remaining", strconv.Itoa(max(left, 0)))
		h.Set("X-Ratelimit-Reset", strconv.FormatInt(b.next(now), 10))
		if left < 0 {
			problem{http.StatusTooManyRequests, "Global limit has been reached", "too_many_requests"}.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
