package auth0_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
)

// bucket is a rate limit as Auth0 keeps it: so many calls in a window, filled up
// at the start of each. skew is how far its clock is ahead.
type bucket struct {
	limit  int
	window time.Duration
	skew   time.Duration
	left   int
	filled time.Time
}

func (b *bucket) serve(_ int, w http.ResponseWriter, _ *http.Request) {
	now := time.Now().Add(b.skew)
	if at := now.Truncate(b.window); at.After(b.filled) {
		b.filled, b.left = at, b.limit
	}
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if b.left == 0 {
		limits(w, b.limit, 0, b.filled.Add(b.window))
		refuse(w, http.StatusTooManyRequests, "too_many_requests", "Global limit has been reached")
		return
	}
	b.left--
	limits(w, b.limit, b.left, b.filled.Add(b.window))
	answer(w, http.StatusOK, "[]")
}

// TestRateShare counts the calls of ten minutes at full speed: no more than the
// share, at least one in each window, and never one that is refused.
func TestRateShare(t *testing.T) {
	t.Parallel()
	const minutes = 10
	for name, tt := range map[string]struct {
		bucket
		share float64
		want  int // calls in a window
	}{
		"half of the free plan":     {bucket{limit: 2, window: time.Second}, 0.5, 1},
		"all of the free plan":      {bucket{limit: 2, window: time.Second}, 1, 2},
		"half of a minute":          {bucket{limit: 100, window: time.Minute}, 0.5, 50},
		"odd half":                  {bucket{limit: 5, window: time.Minute}, 0.5, 2},
		"a tenth of ten":            {bucket{limit: 10, window: time.Minute}, 0.1, 1},
		"less than one is one":      {bucket{limit: 10, window: time.Minute}, 0.01, 1},
		"half of one is one":        {bucket{limit: 1, window: time.Minute}, 0.5, 1},
		"a clock three hours ahead": {bucket{limit: 100, window: time.Minute, skew: 3 * time.Hour}, 0.5, 50},
		"a clock three hours late":  {bucket{limit: 100, window: time.Minute, skew: -3 * time.Hour}, 0.5, 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.RateShare = tt.share
				b := tt.bucket
				s := &server{logs: b.serve}
				c := newClient(t, cfg, deps(s))
				ctx, cancel := context.WithTimeout(t.Context(), minutes*time.Minute)
				defer cancel()
				for {
					_, err := c.Logs(ctx, "a", 100)
					if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				windows := int(minutes * time.Minute / tt.window)
				_, gets := s.counts()
				// Waits end up to two seconds late: Date is in whole seconds, and jitter.
				least := windows * tt.want / 3
				if tt.window > time.Second {
					least = (windows - 1) * tt.want
				}
				if gets > windows*tt.want || gets < least {
					t.Errorf("%d calls in %d windows, want at most %d in each and at least %d in all", gets, windows, tt.want, least)
				}
			})
		})
	}
}

// TestRateLeavesTheRestToOthers has other software use the limit too.
func TestRateLeavesTheRestToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.RateShare = 0.5
		reset := time.Now().Add(40 * time.Second)
		s := &server{logs: func(n int, w http.ResponseWriter, _ *http.Request) {
			remaining := 4 // below the half that is theirs
			if n > 0 {
				remaining, reset = 9, time.Now().Add(time.Minute)
			}
			limits(w, 10, remaining, reset)
			answer(w, http.StatusOK, "[]")
		}}
		c := newClient(t, cfg, deps(s))
		for range 5 {
			if _, err := c.Logs(t.Context(), "a", 100); err != nil {
				t.Fatal(err)
			}
		}
		at := s.since()
		if at[1] < 40*time.Second || at[1] > 42*time.Second || at[4] != at[1] {
			t.Errorf("calls at %v: want a wait of 40s after the first and none later", at)
		}
	})
}

// TestOthersAreNeverRefused has a backlog read at full speed beside software that
// makes ten calls a second, under the limit of an enterprise tenant: a bucket of
// 50 that gains 16 a second. The headers do not tell of the 16.
func TestOthersAreNeverRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size, gain, seconds = 50, 16, 60
		var mu sync.Mutex
		left, filled := size, time.Now()
		take := func() int { // what is left, or -1
			mu.Lock()
			defer mu.Unlock()
			if now := time.Now().Truncate(time.Second); now.After(filled) {
				left = min(size, left+gain*int(now.Sub(filled)/time.Second))
				filled = now
			}
			left = max(-1, left-1)
			return left
		}
		s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
			n := take()
			limits(w, size, max(0, n), time.Now().Truncate(time.Second).Add(time.Second))
			if n < 0 {
				refuse(w, http.StatusTooManyRequests, "too_many_requests", "Global limit has been reached")
				return
			}
			answer(w, http.StatusOK, "[]")
		}}
		cfg := config()
		cfg.RateShare = 0.5
		c := newClient(t, cfg, deps(s))
		ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
		defer cancel()
		go func() {
			for ctx.Err() == nil {
				if _, err := c.Logs(ctx, "a", 100); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			if n := take(); n < size/2-gain {
				t.Fatalf("%d calls are left to others", n)
			}
		}
		if _, gets := s.counts(); gets < seconds || gets > seconds*gain {
			t.Errorf("%d pages in %d seconds", gets, seconds)
		}
	})
}

// TestRefused pins the waits after a 429, and that the client keeps to them
// itself should the caller not.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header func(http.Header)
		waits  []time.Duration // after the first, second, … refusal in a row
	}{
		"seconds":          {func(h http.Header) { h.Set("Retry-After", "17") }, []time.Duration{17 * time.Second, 17 * time.Second}},
		"date":             {func(h http.Header) { h.Set("Retry-After", time.Now().Add(9*time.Second).UTC().Format(http.TimeFormat)) }, []time.Duration{9 * time.Second}},
		"end of window":    {func(h http.Header) { h.Set("X-Ratelimit-Reset", "5") }, []time.Duration{5 * time.Second}},
		"a day is an hour": {func(h http.Header) { h.Set("Retry-After", "86400") }, []time.Duration{time.Hour}},
		"beyond number":    {func(h http.Header) { h.Set("Retry-After", "99999999999999999999") }, []time.Duration{time.Hour}},
		"beyond time":      {func(h http.Header) { h.Set("X-Ratelimit-Reset", "9223372036854775807") }, []time.Duration{2 * time.Minute}},
		"no number":        {func(h http.Header) { h.Set("Retry-After", "NaN") }, []time.Duration{time.Second, 2 * time.Second}},
		"never at once":    {func(h http.Header) { h.Set("Retry-After", "0") }, []time.Duration{time.Second, time.Second}},
		"window has ended": {func(h http.Header) { h.Set("X-Ratelimit-Reset", "946000000") }, []time.Duration{time.Second}},
		"nonsense":         {func(h http.Header) { h.Set("Retry-After", "soon") }, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		"nothing said": {func(http.Header) {}, []time.Duration{
			time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
					tt.header(w.Header())
					refuse(w, http.StatusTooManyRequests, "too_many_requests", "Global limit has been reached")
				}}
				c := newClient(t, config(), deps(s))
				for _, want := range tt.waits {
					_, err := c.Logs(t.Context(), "a", 100)
					e, ok := errors.AsType[*auth0.Error](err)
					if !ok || e.Kind != auth0.Throttled || e.RetryAfter.Round(time.Second) != want {
						t.Fatalf("error %v, wait %s; want one of %s", err, e.RetryAfter, want)
					}
				}
				at := s.since()
				for i := 1; i < len(at); i++ {
					if d := at[i] - at[i-1]; d < tt.waits[i-1] || d > tt.waits[i-1]+time.Second {
						t.Errorf("call %d came %s after the one before, want %s", i, d, tt.waits[i-1])
					}
				}
			})
		})
	}
}

func TestRefusalsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, config(), deps(&server{logs: func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 2 {
				answer(w, http.StatusOK, "[]")
				return
			}
			refuse(w, http.StatusTooManyRequests, "", "")
		}}))
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 0, time.Second} {
			_, err := c.Logs(t.Context(), "a", 100)
			if e, ok := errors.AsType[*auth0.Error](err); ok != (want > 0) || ok && e.RetryAfter != want {
				t.Errorf("error %v, want a wait of %s", err, want)
			}
		}
	})
}

// TestPace pins how far apart calls should be.
func TestPace(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limit, remaining int
		left             time.Duration
		want             time.Duration
	}{
		"no limit told":         {0, 0, time.Minute, 0},
		"spread over a minute":  {100, 70, time.Minute, 3 * time.Second},
		"nothing of ours left":  {10, 5, 30 * time.Second, 30 * time.Second},
		"less than ours left":   {10, 1, 30 * time.Second, 30 * time.Second},
		"window is over":        {10, 5, -time.Hour, 0},
		"far away is a mistake": {10, 5, 24 * time.Hour, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.RateShare = 0.5
				c := newClient(t, cfg, deps(&server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
					if tt.limit > 0 {
						limits(w, tt.limit, tt.remaining, time.Now().Add(tt.left))
					}
					answer(w, http.StatusOK, "[]")
				}}))
				got, err := c.Logs(t.Context(), "a", 100)
				if err != nil || got.Pace != tt.want {
					t.Errorf("pace %s, error %v; want %s", got.Pace, err, tt.want)
				}
			})
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, config(), deps(&server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
			limits(w, 10, 0, time.Now().Add(time.Minute))
			answer(w, http.StatusOK, "[]")
		}}))
		if _, err := c.Logs(t.Context(), "a", 100); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		began := time.Now()
		if _, err := c.Logs(ctx, "a", 100); !errors.Is(err, cause) || time.Since(began) != time.Second {
			t.Errorf("error %v after %s", err, time.Since(began))
		}
	})
}
