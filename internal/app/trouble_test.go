package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A trouble is what befalls one tenant of several.
type trouble struct {
	strike func(*site)
	shape  func(*config.Config) // may be nil
	lasts  time.Duration
	// parts are the conditions to be told, by part, with their classes.
	parts map[string]string
	state web.State
	// within is how soon after the repair it is over, as docs/operations.md says.
	within time.Duration
}

// onAuth0 and onAWS make a fault of an API that lasts until it is mended.
func onAuth0(f emulator.Fault) func(*site) {
	f.Match, f.Times = "GET /api/v2/logs", -1
	return func(s *site) { s.auth0.Add(f) }
}

func onAWS(f emulator.Fault) func(*site) {
	f.Times = -1
	return func(s *site) { s.aws.Add(f) }
}

// awsError is the answer with an error of AWS.
func awsError(status int, code string) emulator.Fault {
	return emulator.Fault{Status: status, Body: `{"__type":"` + code + `","message":"by script"}`}
}

// timeout is the request timeout, which a call that hangs takes before the
// waits between tries begin.
const timeout = 30 * time.Second

func troubles() map[string]trouble {
	return map[string]trouble{
		"Auth0 says 401": {
			strike: onAuth0(emulator.Fault{Status: 401, Body: `{"statusCode":401,"error":"Unauthorized","message":"Invalid token"}`}),
			lasts:  time.Hour, parts: map[string]string{"poll": "unauthorized"}, state: web.StateStuck, within: time.Minute,
		},
		"Auth0 hangs": {
			strike: onAuth0(emulator.Fault{Kind: emulator.FaultHang}),
			lasts:  time.Hour, parts: map[string]string{"poll": "transient"}, state: web.StateTrouble, within: timeout + 30*time.Second,
		},
		"Auth0 says 429": {
			strike: onAuth0(emulator.Fault{Status: 429, Body: `{"statusCode":429,"error":"Too Many Requests"}`}),
			lasts:  time.Hour, parts: map[string]string{"poll": "throttled"}, state: web.StateTrouble, within: 2 * time.Minute,
		},
		"access denied": {
			strike: onAWS(awsError(400, "AccessDeniedException")),
			lasts:  time.Hour, parts: map[string]string{"delivery": "unauthorized"}, state: web.StateStuck, within: time.Minute,
		},
		"throttled": {
			strike: onAWS(awsError(400, "ThrottlingException")),
			lasts:  time.Hour, parts: map[string]string{"delivery": "throttled"}, state: web.StateTrouble, within: time.Minute + 10*time.Second,
		},
		"CloudWatch hangs": {
			strike: onAWS(emulator.Fault{Kind: emulator.FaultHang}),
			lasts:  time.Hour, parts: map[string]string{"delivery": "transient"}, state: web.StateTrouble, within: timeout + 40*time.Second,
		},
		"5xx for two days": { // with a wait that is asked for, so that there are fewer tries
			strike: onAWS(emulator.Fault{Status: 503, Header: map[string]string{"Retry-After": "120"}}),
			shape:  seldom,
			lasts:  48 * time.Hour, parts: map[string]string{"delivery": "transient"}, state: web.StateTrouble, within: 2*time.Minute + 10*time.Second,
		},
		"buffer full": {
			strike: onAWS(awsError(503, "ServiceUnavailableException")),
			shape:  func(c *config.Config) { c.MaxBufferBytes = 64 << 10 },
			lasts:  time.Hour, parts: map[string]string{"delivery": "transient", "poll": "throttled"}, state: web.StateTrouble,
			within: 40*time.Second + time.Minute, // delivery comes first, and makes room
		},
	}
}

// seldom makes a test of days affordable.
func seldom(c *config.Config) {
	for i := range c.Tenants {
		c.Tenants[i].PollInterval, c.Tenants[i].CloudWatch.InFlight = 10*time.Minute, 1
	}
}

// TestTroubleOfOneTenant lets one of three tenants get into trouble of each kind:
// it is told, the others do not feel it, and once it is mended the tenant catches
// up by itself.
func TestTroubleOfOneTenant(t *testing.T) {
	t.Parallel()
	for name, tr := range troubles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { tr.befall(t) })
		})
	}
}

// befall plays the trouble.
func (tr trouble) befall(t *testing.T) {
	t.Helper()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "first", "ill", "third")
	defer w.close(t.Context(), t)
	if tr.shape != nil {
		tr.shape(w.cfg)
	}
	rate := 120 / tr.lasts.Seconds()
	for _, s := range w.sites {
		s.live(t.Context(), t, rate)
	}
	w.start(t.Context(), t)
	calm := 10 * w.cfg.Tenants[0].PollInterval
	<-time.After(calm)
	w.wantWell(t, "first", "ill", "third")

	ill := w.sites[1]
	tr.strike(ill)
	for range 8 {
		<-time.After(tr.lasts / 8)
		w.wantWell(t, "first", "third")
	}
	w.wantTrouble(t, "ill", tr)

	ill.auth0.Clear()
	ill.aws.Clear()
	mended := time.Now()
	for (len(w.overview(t.Context(), t, "ill").Troubles) > 0 || ill.behind() > w.lag()) && time.Since(mended) < time.Hour {
		<-time.After(time.Second)
	}
	if took := time.Since(mended).Round(time.Second); took > tr.within {
		t.Errorf("it took %v after the repair, want %v at most", took, tr.within)
	}
	<-time.After(calm)
	w.wantWell(t, "first", "ill", "third")
	for _, s := range w.sites {
		s.quit()
	}
	<-time.After(calm)
	for _, s := range w.sites {
		s.compare(t)
	}
}

// lag is how far behind a tenant may be when all is well: the poll comes around,
// and events are listed up to five seconds after their date.
func (w *world) lag() time.Duration { return 2*w.cfg.Tenants[0].PollInterval + 10*time.Second }

// wantWell checks that tenants are not in trouble and hardly behind.
func (w *world) wantWell(t *testing.T, names ...string) {
	t.Helper()
	bound := w.lag()
	for _, s := range w.sites {
		if !slices.Contains(names, s.name) {
			continue
		}
		if o := w.overview(t.Context(), t, s.name); len(o.Troubles) > 0 || o.State != web.StateDelivered && o.State != web.StateDelivering {
			t.Errorf("%s is %s with troubles %+v", s.name, o.State, o.Troubles)
		}
		if lag := s.behind(); lag > bound {
			t.Errorf("%s is %v behind, want %v at most", s.name, lag, bound)
		}
	}
}

// wantTrouble checks what is told of a tenant in trouble.
func (w *world) wantTrouble(t *testing.T, name string, tr trouble) {
	t.Helper()
	o := w.overview(t.Context(), t, name)
	if o.State != tr.state {
		t.Errorf("%s is %s, want %s", name, o.State, tr.state)
	}
	got := make(map[string]string)
	for _, x := range o.Troubles {
		got[x.Part] = x.Class
		if x.Message == "" || x.NeedsPerson() && x.Hint == "" {
			t.Errorf("trouble %+v does not say what to do", x)
		}
		if lasted := time.Since(x.Since); len(tr.parts) == 1 && lasted < tr.lasts*3/4 {
			t.Errorf("%s is said to be in trouble for %v of %v", x.Part, lasted, tr.lasts)
		}
	}
	if len(got) != len(tr.parts) {
		t.Errorf("troubles %v, want %v", got, tr.parts)
	}
	for part, class := range tr.parts {
		if got[part] != class {
			t.Errorf("%s is %q, want %q", part, got[part], class)
		}
	}
	status, body := w.readiness(t.Context(), t)
	if status != http.StatusServiceUnavailable || !strings.HasPrefix(body, name+": ") || strings.Count(body, "\n") != 1 {
		t.Errorf("readyz answers %d %q, want 503 and a line about %s alone", status, body, name)
	}
}
