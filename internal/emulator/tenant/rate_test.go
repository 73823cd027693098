package tenant_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// burst asks until the first refusal, n times at most, and returns how many
// answers were 200.
func burst(c *client, n int, target string) int {
	c.t.Helper()
	for i := range n {
		if c.get(target).status != http.StatusOK {
			return i
		}
	}
	return n
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	tests := map[tenant.Plan]struct{ atOnce, secondLater, perMinute int }{
		tenant.Unlimited:               {60, 60, 3600},
		tenant.Free:                    {2, 2, 120},
		tenant.EnterpriseNonProduction: {10, 2, 120},
		tenant.Enterprise:              {50, 16, 960},
		tenant.Essentials:              {10, 1, 100},
		tenant.Professional:            {10, 1, 100},
	}
	for plan, tc := range tests {
		t.Run(string(plan), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := login(t, start(t, tenant.Options{Plan: plan}))
				const target = "/api/v2/logs?per_page=0"
				got := []int{burst(c, 60, target)}
				<-time.After(time.Second)
				got = append(got, burst(c, 60, target))
				sum := 0
				for range 60 {
					<-time.After(time.Second)
					sum += burst(c, 60, target)
				}
				if diff := cmp.Diff([]int{tc.atOnce, tc.secondLater, tc.perMinute}, append(got, sum)); diff != "" {
					t.Errorf("calls at once, a second later, in the next minute (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := login(t, start(t, tenant.Options{Plan: tenant.Free}))
		next := strconv.FormatInt(time.Now().Unix()+1, 10)
		for i, want := range [][4]string{{"200", "2", "1", next}, {"200", "2", "0", next}, {"429", "2", "0", next}} {
			a := c.get("/api/v2/logs")
			h := a.header
			got := [4]string{
				strconv.Itoa(a.status), h.Get("x-ratelimit-limit"), h.Get("x-ratelimit-remaining"), h.Get("x-ratelimit-reset"),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("call %d: status, limit, remaining, reset (-want +got):\n%s", i, diff)
			}
		}
		want := `Too Many Requests {"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`
		a := c.get("/api/v2/logs")
		if diff := cmp.Diff(want, a.text()); diff != "" || a.header.Get("Retry-After") != "" {
			t.Errorf("answer %v (-want +got):\n%s", a.header, diff)
		}
		login(t, start(t, tenant.Options{})) // tokens are not limited
	})
}

// The self-service plans count reading logs and everything else apart.
func TestLogReadsHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := login(t, start(t, tenant.Options{Plan: tenant.Essentials}))
		got := []int{burst(c, 20, "/api/v2/logs"), burst(c, 20, "/api/v2/log-streams"), burst(c, 20, "/api/v2/logs")}
		if diff := cmp.Diff([]int{10, 10, 0}, got); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// A limit that is reached tells so in the log itself, and four fifths of it too.
func TestLimitsLeaveEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, tenant.Options{Plan: tenant.EnterpriseNonProduction})
		c := login(t, s)
		want := map[string]int{"seccft": 1}
		for i, step := range []struct {
			calls int
			after time.Duration
			code  string // the event that comes new
		}{
			{calls: 7},
			{calls: 1, code: "api_limit_warning"},
			{calls: 2},
			{calls: 1, code: "api_limit"},
			{calls: 20, after: 59 * time.Second},
			{calls: 11, after: time.Minute, code: "api_limit"},
		} {
			<-time.After(step.after)
			burst(c, step.calls, "/api/v2/logs?per_page=0")
			if step.code != "" {
				want[step.code]++
			}
			if step.after == time.Minute {
				want["api_limit_warning"]++ // on the way
			}
			if diff := cmp.Diff(want, types(t, s)); diff != "" {
				t.Errorf("events after step %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	for _, plan := range tenant.Plans() {
		start(t, tenant.Options{Plan: plan})
	}
	if _, err := tenant.New(tenant.Options{Plan: "gold"}); err == nil {
		t.Error("an unknown plan was taken")
	}
	if _, err := tenant.New(tenant.Options{Domain: "https://dev-tenant.us.auth0.com/"}); err == nil {
		t.Error("a URL was taken as a domain")
	}
}
