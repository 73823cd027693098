package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// fileSecrets resolves secrets in files alone.
func fileSecrets() config.Resolver { return config.Resolver{ReadFile: os.ReadFile} }

// reload has the App of a world take a configuration.
func (w *world) reload(ctx context.Context, tb rapid.TB, cfg *config.Config) app.Changes {
	tb.Helper()
	changes, err := w.app.Reload(ctx, func(context.Context) (*config.Config, config.Resolver, error) { return cfg, w.secrets, nil })
	if err != nil {
		tb.Fatal(err)
	}
	w.cfg = cfg
	return changes
}

// with returns the configuration of a world with some of its tenants, in their order,
// each as change leaves it.
func (w *world) with(all []config.Tenant, change func(*config.Tenant) bool) *config.Config {
	cfg := *w.cfg
	cfg.Tenants = nil
	for _, t := range all {
		if change(&t) {
			cfg.Tenants = append(cfg.Tenants, t)
		}
	}
	return &cfg
}

// TestNothingLostAcrossReloads loads the configuration again and again under load,
// with faults on both sides: tenants are removed, added back, changed, and left alone,
// the listener of the webhook goes and comes, and some files are bad. In the end each
// event that a tenant held is in its stream once. Tenants are read, pushed to, or both.
func TestNothingLostAcrossReloads(t *testing.T) {
	t.Parallel()
	dirs := t.TempDir()
	n := 0
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			n++
			dir := filepath.Join(dirs, strconv.Itoa(n))
			if err := os.Mkdir(dir, 0o700); err != nil {
				rt.Fatal(err)
			}
			w := newWorld(rt, dir, tenant.Unlimited, "dev", "other", "third")
			defer w.close(t.Context(), rt)
			w.pushTo(rt)
			w.reloadsUnderLoad(t.Context(), rt)
			for _, s := range w.sites {
				s.compare(rt)
			}
		})
	})
}

// reloadsUnderLoad draws traffic, pushes and reloads, and leaves the App stopped with
// all tenants configured and everything delivered.
func (w *world) reloadsUnderLoad(ctx context.Context, rt *rapid.T) {
	all := slices.Clone(w.cfg.Tenants)
	all[2].Webhook = config.TenantWebhook{} // that one is read alone
	w.cfg.Tenants = slices.Clone(all)
	for _, s := range w.sites {
		s.faulty(rt)
		s.live(ctx, rt, rapid.Float64Range(0.05, 0.5).Draw(rt, "rate"))
	}
	w.start(ctx, rt)
	client, quit := w.door.client(nil)
	defer quit()
	for range rapid.IntRange(2, 6).Draw(rt, "reloads") {
		<-time.After(time.Duration(rapid.IntRange(0, 60_000).Draw(rt, "pause in ms")) * time.Millisecond)
		w.pushSome(ctx, rt, client)
		if rapid.IntRange(0, 4).Draw(rt, "bad") == 0 {
			w.badReload(ctx, rt)
			continue
		}
		cfg := w.with(all, func(c *config.Tenant) bool {
			c.CloudWatch.InFlight = rapid.IntRange(1, 2).Draw(rt, "in_flight")
			return rapid.IntRange(0, 2).Draw(rt, "keep "+c.Name) > 0
		})
		if len(cfg.Tenants) == 0 {
			cfg.Tenants = slices.Clone(all[:1])
		}
		w.reload(ctx, rt, cfg)
	}
	for _, s := range w.sites {
		s.calm()
		s.quit()
	}
	w.reload(ctx, rt, w.with(all, func(*config.Tenant) bool { return true }))
	<-time.After(5 * time.Minute)
	if _, err := w.app.Metrics().Gather(); err != nil {
		rt.Error(err)
	}
	w.stop(ctx, rt, w.cfg.ShutdownTimeout)
}

// pushSome pushes the last events of the tenants that are pushed to. It is what is read
// as well, so that nothing depends on the answer.
func (w *world) pushSome(ctx context.Context, rt *rapid.T, client *http.Client) {
	for _, s := range w.sites[:2] {
		events := s.tenant.Events()
		if len(events) == 0 {
			continue
		}
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, _ = w.door.push(call, client, "http://door", s.name, wrapped(events[max(0, len(events)-rapid.IntRange(1, 20).Draw(rt, "pushed")):]...))
		cancel()
	}
}

// badReload tries a configuration that cannot be run.
func (w *world) badReload(ctx context.Context, rt *rapid.T) {
	before := w.app.Config()
	_, err := w.app.Reload(ctx, func(context.Context) (*config.Config, config.Resolver, error) {
		cfg := *w.cfg
		cfg.Tenants = slices.Clone(cfg.Tenants)
		cfg.Tenants[0].CloudWatch.InFlight = 3
		cfg.Tenants = append(cfg.Tenants, config.NewTenant()) // without a client
		cfg.Tenants[len(cfg.Tenants)-1].Domain = "bad.example.com"
		return &cfg, w.secrets, nil
	})
	if err == nil || w.app.Config() != before {
		rt.Fatalf("a bad configuration was taken: %v", err)
	}
}

// TestReloadTouchesOnlyWhatChanged removes, adds and changes tenants: those that are
// the same are not started anew, which their metrics show; those of removed tenants
// are gone once all is delivered, and a tenant can be added back.
func TestReloadTouchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "other", "third")
		defer w.close(t.Context(), t)
		all := slices.Clone(w.cfg.Tenants)
		w.cfg.Tenants = slices.Clone(all[:2])
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		calls := func(name string) float64 { return metricOf(t, w, "gapless_auth0_api_calls_total", name) }
		before := calls("dev")
		changes := w.reload(t.Context(), t, w.with(all, func(c *config.Tenant) bool { return c.Name != "other" }))
		want := app.Changes{Added: []string{"third"}, Removed: []string{"other"}, Unchanged: []string{"dev"}}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		<-time.After(time.Minute)
		if after := calls("dev"); after <= before || calls("other") != -1 || calls("third") <= 0 {
			t.Errorf("calls of dev %v, then %v; of other %v, third %v", before, after, calls("other"), calls("third"))
		}
		changes = w.reload(t.Context(), t, w.with(all, func(c *config.Tenant) bool {
			c.RateShare = map[string]float64{"dev": 0.25}[c.Name] + 0.25
			return true
		}))
		want = app.Changes{Added: []string{"other"}, Changed: []string{"third"}, Unchanged: []string{"dev"}}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		cfg := *w.cfg
		cfg.DataDir, cfg.MaxBufferBytes = "/elsewhere", 1<<24
		changes = w.reload(t.Context(), t, &cfg)
		want = app.Changes{Unchanged: []string{"dev", "other", "third"}, Settings: []string{"data_dir", "max_buffer_bytes"}, NeedsRestart: []string{"data_dir"}}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if w.app.Config().DataDir == "/elsewhere" {
			t.Error("the data directory in use is another one")
		}
		for _, s := range w.sites {
			if got := metricOf(t, w, "gapless_auth0_token_requests_total", s.name); got < 0 {
				t.Errorf("%s has no metrics", s.name)
			}
		}
	})
}

// metricOf returns the sum of a counter or gauge of a tenant, -1 when there is none.
func metricOf(tb testing.TB, w *world, name, tenant string) float64 {
	tb.Helper()
	families, err := w.app.Metrics().Gather()
	if err != nil {
		tb.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := fmt.Sprint(m.GetLabel())
			if f.GetName() == name && (tenant == "" || strings.Contains(labels, `"tenant"`) && strings.Contains(labels, `"`+tenant+`"`)) {
				sum, found = sum+m.GetCounter().GetValue()+m.GetGauge().GetValue(), true
			}
		}
	}
	if !found {
		return -1
	}
	return sum
}

// TestRemovedTenantIsStillDelivered removes a tenant whose destination is down: what
// waits goes out when the destination is back, nothing more is read, and it shows until
// then.
func TestRemovedTenantIsStillDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "other")
		defer w.close(t.Context(), t)
		all := slices.Clone(w.cfg.Tenants)
		other := w.sites[1]
		other.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 500})
		if err := other.tenant.Generate(20, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		w.reload(t.Context(), t, w.with(all, func(c *config.Tenant) bool { return c.Name == "dev" }))
		held := len(other.tenant.Events())
		<-time.After(time.Minute)
		if v := w.overview(t.Context(), t, "other"); v.Buffered == 0 || len(v.Troubles) != 1 || !strings.Contains(v.Destination, "until what waits is delivered") {
			t.Errorf("the removed tenant shows as %+v", v)
		}
		other.aws.Clear()
		<-time.After(2 * time.Minute)
		if got := len(other.delivered()); got != held || held < 20 {
			t.Errorf("%d of %d events are delivered", got, held)
		}
		if got := metricOf(t, w, "gapless_delivered_events_total", "other"); got != -1 {
			t.Errorf("the metrics of the removed tenant are still there: %v", got)
		}
		w.reload(t.Context(), t, w.with(all, func(*config.Tenant) bool { return true }))
		<-time.After(2 * time.Minute)
		other.compare(t)
	})
}

// TestBadReloadKeepsTheOld tries configurations that are refused by the loader and by
// the check of the tenants: each is told with its reason, nothing is touched, and a
// good one ends it.
func TestBadReloadKeepsTheOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		var log bytes.Buffer
		w.log = &log
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		before := w.app.Config()
		for want, load := range map[string]app.Loader{
			"client_secret": func(context.Context) (*config.Config, config.Resolver, error) {
				cfg := w.with(w.cfg.Tenants, func(c *config.Tenant) bool {
					c.ClientSecret, _ = config.ParseSecret("file:/no/such/file")
					return true
				})
				return cfg, fileSecrets(), nil
			},
			"start_from was changed": func(context.Context) (*config.Config, config.Resolver, error) {
				return w.with(w.cfg.Tenants, func(c *config.Tenant) bool { c.StartFrom = "latest"; return true }), w.secrets, nil
			},
			"gapless.yaml:3:5": func(ctx context.Context) (*config.Config, config.Resolver, error) {
				cfg, err := config.Load(ctx, config.LoadOptions{File: "gapless.yaml", ReadFile: func(string) ([]byte, error) {
					return []byte("tenants:\n  - name: dev\n    domian: dev.example.com\n"), nil
				}})
				return cfg, w.secrets, err
			},
		} {
			_, err := w.app.Reload(t.Context(), load)
			if err == nil || !strings.Contains(log.String(), want) {
				t.Errorf("%s: %v\n%s", want, err, log.String())
			}
			o, oerr := w.app.Overview(t.Context())
			if oerr != nil || !o.Configuration.Failed() || o.Configuration.Error != err.Error() || o.Configuration.Hint == "" {
				t.Errorf("%s: told as %+v, %v", want, o.Configuration, oerr)
			}
			if w.app.Config() != before {
				t.Errorf("%s: another configuration is in use", want)
			}
		}
		if got := metricOf(t, w, "gapless_config_last_reload_successful", ""); got != 0 {
			t.Errorf("last reload successful: %v", got)
		}
		w.reload(t.Context(), t, w.with(w.cfg.Tenants, func(*config.Tenant) bool { return true }))
		o, err := w.app.Overview(t.Context())
		if err != nil || o.Configuration.Failed() || metricOf(t, w, "gapless_config_last_reload_successful", "") != 1 || metricOf(t, w, "gapless_config_reloads_total", "") != 4 {
			t.Errorf("after a good one: %+v, %v", o.Configuration, err)
		}
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("not ready: %s", body)
		}
	})
}
