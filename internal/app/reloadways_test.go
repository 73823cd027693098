package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/sqs"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// TestPushesAcrossReloads pushes to a tenant without a poll while it is changed again
// and again: each request is taken or told to come again, none is refused, and in the
// end each event is in the stream once. Removed, it is unknown; added back, it is not.
func TestPushesAcrossReloads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "other")
		defer w.close(t.Context(), t)
		w.pushTo(t)
		w.alone()
		all := slices.Clone(w.cfg.Tenants)
		s := w.sites[0]
		if err := s.tenant.Generate(100, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		client, quit := w.door.client(nil)
		defer quit()
		statuses := make(map[int]int)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, raw := range s.tenant.Events() {
				for status := 0; status != http.StatusOK; statuses[status]++ {
					var err error
					if status, err = w.door.push(t.Context(), client, "http://door", "dev", wrapped(raw)); err != nil {
						t.Error(err)
						return
					}
					<-time.After(100 * time.Millisecond)
				}
			}
		}()
		for i := range 30 {
			<-time.After(time.Second)
			w.reload(t.Context(), t, w.with(all, func(c *config.Tenant) bool {
				c.CloudWatch.InFlight = 1 + i%2
				return i%3 > 0 || c.Name == "dev"
			}))
		}
		<-done
		if statuses[http.StatusOK] != 100 || len(statuses) > 2 || len(statuses) == 2 && statuses[http.StatusServiceUnavailable] == 0 {
			t.Errorf("answers by status: %v", statuses)
		}
		w.reload(t.Context(), t, w.with(all, func(c *config.Tenant) bool { return c.Name == "other" }))
		if status, err := w.door.push(t.Context(), client, "http://door", "dev", wrapped()); err != nil || status != http.StatusUnauthorized {
			t.Errorf("a push to a removed tenant: %d, %v", status, err)
		}
		<-time.After(time.Minute)
		s.compare(t)
	})
}

// TestReplacedDeliveryComesToItsEnd changes a tenant while a call is under way that
// takes long: the new delivery goes on at once with what comes, and the call counts.
func TestReplacedDeliveryComesToItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.cfg.Tenants[0].CloudWatch.RequestTimeout = 5 * time.Minute
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: 1, Kind: emulator.FaultDelay, Delay: 2 * time.Minute})
		w.start(t.Context(), t)
		<-time.After(20 * time.Second)
		if n := len(s.delivered()); n != 0 {
			t.Fatalf("%d events are delivered already", n)
		}
		began := time.Now()
		w.reload(t.Context(), t, w.with(w.cfg.Tenants, func(c *config.Tenant) bool { c.CloudWatch.InFlight = 1; return true }))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the reload took %v", took)
		}
		if err := s.tenant.Generate(10, time.Now(), time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if n := len(s.delivered()); n < 10 || n > 30 {
			t.Errorf("beside the call that takes long %d events are delivered", n)
		}
		<-time.After(3 * time.Minute)
		s.compare(t)
	})
}

// TestLateTenantIsStarted has a tenant that could not be started for a full disk: it is
// told as trouble, and started once it can be.
func TestLateTenantIsStarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "other")
		defer w.close(t.Context(), t)
		all := slices.Clone(w.cfg.Tenants)
		w.cfg.Tenants = all[:1]
		other := w.sites[1]
		if err := other.tenant.Generate(20, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		w.app.PutOff(t.Context(), w.with(all, func(*config.Tenant) bool { return true }), all[1], errors.New("the disk is full"))
		<-time.After(5 * time.Second)
		if v := w.overview(t.Context(), t, "other"); len(v.Troubles) != 1 || v.Troubles[0].Part != "start" || !strings.Contains(v.Troubles[0].Message, "disk is full") {
			t.Errorf("told as %+v", v.Troubles)
		}
		<-time.After(time.Minute)
		if v := w.overview(t.Context(), t, "other"); len(v.Troubles) != 0 {
			t.Errorf("still in trouble: %+v", v.Troubles)
		}
		other.compare(t)
	})
}

// TestSharedQueueIsJoinedAnew changes one of two tenants that share a queue: both are
// built anew, as messages go from one to the other, and each event arrives once. A
// third one is not touched.
func TestSharedQueueIsJoinedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "other", "third")
		defer w.close(t.Context(), t)
		q := w.queue(sqs.Options{})
		w.alone()
		w.cfg.Tenants[2] = w.sites[2].config(t)
		all := slices.Clone(w.cfg.Tenants)
		w.start(t.Context(), t)
		for i, s := range w.sites[:2] {
			if err := s.tenant.Generate(100, time.Now().Add(-time.Hour), time.Now()); err != nil {
				t.Fatal(err)
			}
			s.push(q, s.tenant.Events()[:50*(i+1)])
		}
		<-time.After(time.Second)
		changes := w.reload(t.Context(), t, w.with(all, func(c *config.Tenant) bool {
			if c.Name == "dev" {
				c.CloudWatch.InFlight = 1
			}
			return true
		}))
		if want := (app.Changes{Changed: []string{"dev", "other"}, Unchanged: []string{"third"}}); !cmp.Equal(want, changes) {
			t.Errorf("changes %+v", changes)
		}
		w.sites[0].push(q, w.sites[0].tenant.Events()[50:])
		<-time.After(5 * time.Minute)
		for _, s := range w.sites {
			s.compare(t)
		}
	})
}

// TestTenantsThatShareAQueueJoinBeforeOneReads adds two tenants that share a queue in which
// events of both wait: none is taken for nobody's, and put off, because its tenant was yet
// to be built.
func TestTenantsThatShareAQueueJoinBeforeOneReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, all := newShared(t)
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		w.reload(t.Context(), t, w.with(all, func(*config.Tenant) bool { return true }))
		<-time.After(5 * time.Minute) // less than what is put off stays away
		for _, s := range w.sites {
			s.compare(t)
		}
	})
}

// TestLateTenantJoinsItsQueue has one of two tenants that share a queue start late: the
// other one reads meanwhile, and what was nobody's until then arrives.
func TestLateTenantJoinsItsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, all := newShared(t)
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		w.reload(t.Context(), t, w.with(all[:2], func(*config.Tenant) bool { return true }))
		w.app.PutOff(t.Context(), w.with(all, func(*config.Tenant) bool { return true }), all[2], errors.New("the disk is full"))
		<-time.After(20 * time.Minute)
		for _, s := range w.sites {
			s.compare(t)
		}
	})
}

// newShared is a world of three tenants of which the first is configured. The two others
// share a queue in which their events wait.
func newShared(t *testing.T) (w *world, all []config.Tenant) {
	t.Helper()
	w = newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "second", "third")
	q := w.queue(sqs.Options{})
	w.alone()
	w.cfg.Tenants[0] = w.sites[0].config(t)
	for _, s := range w.sites[1:] {
		if err := s.tenant.Generate(50, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.push(q, s.tenant.Events())
	}
	all = slices.Clone(w.cfg.Tenants)
	w.cfg.Tenants = all[:1]
	return w, all
}

// TestListenersMove gives page and webhook other addresses, none, and ones that cannot
// be, on real sockets: what is refused leaves both as they are.
func TestListenersMove(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region, cfg.AWS.Endpoint = t.TempDir(), "127.0.0.1:0", "us-east-1", "http://"+taken.Addr().String()
	c := config.NewTenant()
	c.Name = "dev"
	if c.Webhook.Token, err = config.ParseSecret("token-of-a-test-and-no-other"); err != nil {
		t.Fatal(err)
	}
	cfg.Tenants, cfg.Webhook.Listen = []config.Tenant{c}, "127.0.0.1:0"
	a, err := app.New(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), AWSCredentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	reload := func(change func(*config.Config)) error {
		next := *a.Config()
		change(&next)
		_, err := a.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return &next, config.Resolver{}, nil })
		return err
	}
	answers := func(addr, path string) int {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	page, push := a.Addr(), a.WebhookAddr()
	if err := reload(func(c *config.Config) { c.Listen, c.Webhook.Listen = "localhost:0", "localhost:0" }); err != nil {
		t.Fatal(err)
	}
	if answers(page, "/healthz") != 0 || answers(push, "/") != 0 || answers(a.Addr(), "/healthz") != http.StatusOK || answers(a.WebhookAddr(), "/") != http.StatusNotFound {
		t.Errorf("the old addresses %s and %s answer, or the new ones %s and %s do not", page, push, a.Addr(), a.WebhookAddr())
	}
	page, push = a.Addr(), a.WebhookAddr()
	for _, change := range []func(*config.Config){
		func(c *config.Config) { c.Listen = taken.Addr().String() },
		func(c *config.Config) { c.Listen, c.Webhook.Listen = "127.0.0.1:0", taken.Addr().String() },
		func(c *config.Config) {
			c.Webhook.Listen, c.Webhook.TLS.CertFile, c.Webhook.TLS.KeyFile = "127.0.0.1:0", "/none", "/none"
		},
	} {
		if err := reload(change); err == nil || a.Addr() != page || a.WebhookAddr() != push || answers(page, "/healthz") != http.StatusOK || answers(push, "/") != http.StatusNotFound {
			t.Errorf("a listener that cannot be: %v; the page is at %s", err, a.Addr())
		}
	}
	if err := reload(func(c *config.Config) { c.Webhook.TLS.CertFile, c.Webhook.TLS.KeyFile = "/none", "/none" }); err != nil || a.Config().Webhook.TLS.CertFile != "" {
		t.Errorf("TLS on the same address is no matter of a restart: %v", err)
	}
	_, port, err := net.SplitHostPort(page)
	if err != nil {
		t.Fatal(err)
	}
	if err := reload(func(c *config.Config) { c.Listen = "localhost:" + port }); err != nil || a.Addr() != page {
		t.Errorf("another host on the same port is no matter of a restart: %v, %s", err, a.Addr())
	}
	if err := reload(func(c *config.Config) { c.Listen = "" }); err != nil || a.Addr() != "" || answers(page, "/healthz") != 0 {
		t.Errorf("a listener that is turned off: %v, %q", err, a.Addr())
	}
}

// TestListenerOpenedByAReloadEnds begins without a page, gets one by a reload, and gives
// its address free when it stops, for the start that restores a broken store.
func TestListenerOpenedByAReloadEnds(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region = t.TempDir(), "", "us-east-1"
	a, err := app.New(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := *cfg
	next.Listen = "127.0.0.1:0"
	if _, err := a.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return &next, config.Resolver{}, nil }); err != nil {
		t.Fatal(err)
	}
	addr := a.Addr()
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("the address of the page is still in use: %v", err)
	}
	_ = l.Close()
}
