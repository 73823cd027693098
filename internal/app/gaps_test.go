package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// keeping is a world of one tenant that keeps its events as opts says and writes
// none of its own for a month.
func keeping(t *testing.T, opts tenant.Options) *world {
	t.Helper()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	seldom(w.cfg)
	w.keep(t, opts)
	return w
}

// keep puts another tenant, on the data of opts, in the place of the first.
func (w *world) keep(t *testing.T, opts tenant.Options) {
	t.Helper()
	s := w.sites[0]
	s.quit()
	s.quit = func() {}
	if err := s.tenant.Close(); err != nil {
		t.Fatal(err)
	}
	opts.TenantName, opts.Domain, opts.Faults, opts.TokenLifetime = s.name, s.name+".example.com", s.auth0, 31*24*time.Hour
	var err error
	if s.tenant, err = tenant.New(opts); err != nil {
		t.Fatal(err)
	}
	w.hosts[s.name+".example.com"] = emulator.Transport(s.tenant)
}

// read is what `gapless status` reads, whether or not anything is running.
func (w *world) read(t *testing.T) web.Tenant {
	t.Helper()
	o, err := app.ReadOverview(t.Context(), w.cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	return o.Tenants[0]
}

// metric returns the value of a gauge with a label, and whether it is there.
func (w *world) metric(t *testing.T, name, label string) (float64, bool) {
	t.Helper()
	families, err := w.app.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name {
				continue
			}
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					return m.GetGauge().GetValue(), true
				}
			}
		}
	}
	return 0, false
}

// kinds returns the kinds of the risks of a tenant.
func kinds(t web.Tenant) (list []string) {
	for _, r := range t.Retention.Risks {
		list = append(list, r.Kind)
	}
	return list
}

// wantGaps checks what is told of gaps, in all places.
func (w *world) wantGaps(t *testing.T, open, healed int) {
	t.Helper()
	for _, o := range []web.Tenant{w.overview(t.Context(), t, "dev"), w.read(t)} {
		if o.OpenGaps() != open || len(o.Gaps) != open+healed {
			t.Fatalf("gaps %+v, want %d open and %d healed", o.Gaps, open, healed)
		}
	}
	for label, want := range map[string]int{"false": open, "true": healed} {
		if got, ok := w.metric(t, "gapless_gaps", label); got != float64(want) || !ok {
			t.Errorf(`gapless_gaps{healed=%q} is %v`, label, got)
		}
	}
}

// wantSafe checks that nothing is said to be at risk, in all places.
func (w *world) wantSafe(t *testing.T) {
	t.Helper()
	for _, o := range []web.Tenant{w.overview(t.Context(), t, "dev"), w.read(t)} {
		if len(o.Retention.Risks) > 0 {
			t.Errorf("at risk: %+v", o.Retention.Risks)
		}
	}
	if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
		t.Errorf("readyz answers %d %q", status, body)
	}
	for _, kind := range web.Risks() {
		if v, ok := w.metric(t, "gapless_retention_risk", kind); v != 0 || !ok {
			t.Errorf("gapless_retention_risk of %s is %v, %t", kind, v, ok)
		}
	}
}

// wantRisk checks that a risk is told in all places.
func (w *world) wantRisk(t *testing.T, kind, words string) {
	t.Helper()
	for _, o := range []web.Tenant{w.overview(t.Context(), t, "dev"), w.read(t)} {
		i := slices.Index(kinds(o), kind)
		if i < 0 {
			t.Errorf("at risk: %+v, want %s", o.Retention.Risks, kind)
		} else if r := o.Retention.Risks[i]; !strings.Contains(r.Message, words) || r.Hint == "" {
			t.Errorf("told %+v, want %q and a hint", r, words)
		}
	}
	if status, body := w.readiness(t.Context(), t); status != http.StatusServiceUnavailable || !strings.Contains(body, words) || strings.Count(body, "\n") != 1 {
		t.Errorf("readyz answers %d %q, want 503 with %q", status, body, words)
	}
	if v, _ := w.metric(t, "gapless_retention_risk", kind); v != 1 {
		t.Errorf("gapless_retention_risk of %s is %v", kind, v)
	}
}

// TestDownLongerThanRetention is down for three days while the tenant keeps its
// log for one, whether Auth0 then refuses the cursor or serves what it has left.
func TestDownLongerThanRetention(t *testing.T) {
	t.Parallel()
	for name, serves := range map[string]bool{"refused": false, "served": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := keeping(t, tenant.Options{Retention: 24 * time.Hour, ServeExpired: serves})
				defer w.close(t.Context(), t)
				s := w.sites[0]
				s.live(t.Context(), t, 0.002)
				w.start(t.Context(), t)
				<-time.After(6 * time.Hour)
				w.wantSafe(t)
				w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
				stopped := time.Now()

				<-time.After(11 * time.Hour)
				if o := w.read(t); len(o.Retention.Risks) > 0 {
					t.Errorf("before half of the retention is over: %+v", o.Retention.Risks)
				}
				<-time.After(2 * time.Hour)
				if o := w.read(t); len(o.Retention.Risks) != 1 || !strings.Contains(o.Retention.Risks[0].Hint, "Start gapless") {
					t.Errorf("after half of the retention: %+v", o.Retention.Risks)
				}
				<-time.After(59 * time.Hour)
				if o := w.read(t); len(o.Retention.Risks) != 1 || !strings.Contains(o.Retention.Risks[0].Message, "may be lost") || *o.Retention.UnfetchedLeft > -47*3600 {
					t.Errorf("after three days: %+v", o.Retention)
				}
				w.start(t.Context(), t)
				<-time.After(time.Hour)
				w.wantSafe(t)
				w.wantGaps(t, 1, 0)
				g := w.read(t).Gaps[0]
				if g.FromID == "" || g.ToID == "" || g.FromTime.After(stopped) || g.ToTime.Sub(stopped) < 47*time.Hour || g.ToTime.Sub(stopped) > 50*time.Hour {
					t.Errorf("gap %+v, stopped at %v", g, stopped)
				}
				w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
				w.start(t.Context(), t)
				<-time.After(time.Hour)
				w.wantGaps(t, 1, 0)
				s.quit()
				s.quit = func() {}
				<-time.After(30 * time.Minute)
				if late := s.behind(); late > 0 {
					t.Errorf("events of what the tenant keeps are missing, the oldest %v old", late)
				}
			})
		})
	}
}

// TestQuietTenantIsSafe has a tenant in which nothing happens for days, with
// restarts and nights between: no gap, and nothing at risk.
func TestQuietTenantIsSafe(t *testing.T) {
	t.Parallel()
	for name, serves := range map[string]bool{"refused": false, "served": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := keeping(t, tenant.Options{Retention: 24 * time.Hour, ServeExpired: serves})
				defer w.close(t.Context(), t)
				w.cfg.Tenants[0].PollInterval = time.Hour
				if err := w.sites[0].tenant.Generate(5, time.Now().Add(-time.Hour), time.Now()); err != nil {
					t.Fatal(err)
				}
				for range 4 {
					w.start(t.Context(), t)
					<-time.After(30 * time.Hour)
					w.wantSafe(t)
					w.wantGaps(t, 0, 0)
					w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
					<-time.After(8 * time.Hour)
				}
				w.start(t.Context(), t)
				<-time.After(time.Hour)
				w.wantGaps(t, 0, 0)
				if n := w.sites[0].tenant.Len(); n > 0 {
					t.Errorf("the tenant has %d events: the test shows nothing", n)
				}
			})
		})
	}
}

// TestRiskIsTold tells in time what is about to be lost, and stops when it is mended.
func TestRiskIsTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		strike      func(*site)
		buffer      int64
		safe, lasts time.Duration
		kind        string
		words       string
	}{
		"the source fails": {
			strike: onAuth0(emulator.Fault{Status: 500}), safe: 11 * time.Hour, lasts: 2 * time.Hour,
			kind: web.RiskUnfetched, words: "Auth0 begins to delete it",
		},
		"the destination fails": {
			strike: onAWS(emulator.Fault{Status: 503, Header: map[string]string{"Retry-After": "600"}}), safe: 11 * time.Hour, lasts: 3 * time.Hour,
			kind: web.RiskUndelivered, words: "the only copy",
		},
		"the buffer fills": {
			strike: onAWS(emulator.Fault{Status: 503, Header: map[string]string{"Retry-After": "600"}}), buffer: 64 << 10, lasts: 10 * time.Hour,
			kind: web.RiskBuffer, words: "nothing is fetched any more",
		},
		"the buffer is full": {
			strike: onAWS(emulator.Fault{Status: 503, Header: map[string]string{"Retry-After": "600"}}), buffer: 16 << 10, lasts: 16 * time.Hour,
			kind: web.RiskUnfetched, words: "Auth0 begins to delete it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := keeping(t, tenant.Options{Retention: 24 * time.Hour})
				defer w.close(t.Context(), t)
				if tt.buffer > 0 {
					w.cfg.MaxBufferBytes = config.Size(tt.buffer)
				}
				s := w.sites[0]
				s.live(t.Context(), t, 0.002)
				w.start(t.Context(), t)
				<-time.After(time.Hour)
				w.wantSafe(t)
				tt.strike(s)
				<-time.After(tt.safe)
				if got := kinds(w.read(t)); len(got) > 0 {
					t.Errorf("at risk after %v: %v", tt.safe, got)
				}
				<-time.After(tt.lasts)
				w.wantRisk(t, tt.kind, tt.words)
				if room, ok := w.metric(t, "gapless_buffer_room_bytes", "dev"); !ok || tt.buffer > 0 && room > float64(tt.buffer)/5 {
					t.Errorf("gapless_buffer_room_bytes is %v, %t", room, ok)
				}
				event, left := strings.TrimPrefix(tt.kind, "buffer"), 12*3600.0
				if v, ok := w.metric(t, "gapless_retention_left_seconds", event); event != "" && (!ok || v > left || v < 0) {
					t.Errorf("gapless_retention_left_seconds of %s is %v, %t", event, v, ok)
				}
				w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
				w.start(t.Context(), t)
				<-time.After(30 * time.Minute)
				w.wantRisk(t, tt.kind, tt.words)
				s.auth0.Clear()
				s.aws.Clear()
				<-time.After(time.Hour)
				w.wantSafe(t)
				w.wantGaps(t, 0, 0)
			})
		})
	}
}

// TestGapIsHealed gives a tenant its events back, by another plan, and reads it
// anew: the gap is healed once its end has been read, and stays in the list.
func TestGapIsHealed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := tenant.Options{Retention: 24 * time.Hour, DataDir: t.TempDir()}
		w := keeping(t, opts)
		defer w.close(t.Context(), t)
		w.cfg.DedupWindow = 30 * 24 * time.Hour
		s := w.sites[0]
		s.live(t.Context(), t, 0.002)
		w.start(t.Context(), t)
		<-time.After(6 * time.Hour)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		<-time.After(72 * time.Hour)
		w.start(t.Context(), t)
		<-time.After(6 * time.Hour)
		w.wantGaps(t, 1, 0)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)

		opts.Retention = 30 * 24 * time.Hour
		w.keep(t, opts)
		if err := app.ResetCursor(t.Context(), w.cfg, "dev"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			w.start(t.Context(), t)
			<-time.After(time.Hour)
			w.wantGaps(t, 0, 1)
			w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		}
		s.compare(t)
	})
}
