package app_test

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newHook is a world of one tenant that is pushed to, with events to push.
func newHook(t *testing.T, events int) (*world, *site) {
	t.Helper()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	w.pushTo(t)
	s := w.sites[0]
	if err := s.tenant.Generate(events, time.Now().Add(-time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	return w, s
}

// pushAll pushes what the tenant holds, so many events at once by so many
// requests at the same time, each until it is taken.
func (w *world) pushAll(t *testing.T, s *site, size, atOnce int) {
	t.Helper()
	client, end := w.door.client(nil)
	defer end()
	all := s.tenant.Events()
	batches := make(chan [][]byte)
	var senders sync.WaitGroup
	for range atOnce {
		senders.Go(func() {
			for b := range batches {
				for {
					code, err := w.door.push(t.Context(), client, "http://hook", s.name, wrapped(b...))
					if err != nil {
						t.Error(err)
						break
					}
					if code == http.StatusOK {
						break
					}
					<-time.After(time.Second)
				}
			}
		})
	}
	for len(all) > 0 {
		n := min(size, len(all))
		batches <- all[:n]
		all = all[n:]
	}
	close(batches)
	senders.Wait()
}

// TestWebhookAlone exports a tenant that is pushed to and has no domain.
func TestWebhookAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 500)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateWaiting || o.Source != "webhook" {
			t.Errorf("before the first event it is %s, from %q", o.State, o.Source)
		}
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("readyz answers %d %q before the first event", status, body)
		}
		w.pushAll(t, s, 30, 8)
		w.pushAll(t, s, 7, 3) // as when answers were lost
		<-time.After(time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateDelivered || o.Stored != 500 || o.Duplicates != 500 {
			t.Errorf("it is %s with %d stored and %d duplicates", o.State, o.Stored, o.Duplicates)
		}
		s.compare(t)
	})
}

// TestWebhookBesideThePoll has the same events come both ways, each first now and
// then, while they happen.
func TestWebhookBesideThePoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 300)
		defer w.close(t.Context(), t)
		w.cfg.Tenants[0].PollInterval = 2 * time.Second
		s.live(t.Context(), t, 5)
		w.start(t.Context(), t)
		for range 10 {
			<-time.After(3 * time.Second)
			w.pushAll(t, s, 20, 4)
		}
		s.quit()
		<-time.After(time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateDelivered || len(o.Troubles) > 0 || o.Duplicates == 0 || o.Cursor == "" {
			t.Errorf("it is %s with %d duplicates, cursor %q, troubles %v", o.State, o.Duplicates, o.Cursor, o.Troubles)
		}
		s.compare(t)
	})
}

// TestWebhookWithAFullBuffer fills the buffer: requests are told to come again,
// the trouble is told, and once there is room all of it arrives.
func TestWebhookWithAFullBuffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 400)
		w.alone()
		defer w.close(t.Context(), t)
		w.cfg.MaxBufferBytes = 64 << 10
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 503})
		w.start(t.Context(), t)
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.pushAll(t, s, 20, 4)
		}()
		<-time.After(10 * time.Minute)
		o := w.overview(t.Context(), t, "dev")
		told := ""
		for _, x := range o.Troubles {
			if x.Part == "webhook" {
				told = x.Class
			}
		}
		if told != "throttled" || o.BufferedBytes > 64<<10 {
			t.Errorf("trouble %q with %d bytes, want throttled", told, o.BufferedBytes)
		}
		s.aws.Clear()
		<-done
		<-time.After(5 * time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateDelivered || len(o.Troubles) > 0 {
			t.Errorf("afterwards it is %s with %+v", o.State, o.Troubles)
		}
		s.compare(t)
	})
}

// TestWebhookTroubleEndsInSilence has a push fail and none after it: once there is
// room again, no trouble is told any more.
func TestWebhookTroubleEndsInSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 200)
		w.alone()
		defer w.close(t.Context(), t)
		w.cfg.MaxBufferBytes = 64 << 10
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 503})
		w.start(t.Context(), t)
		synctest.Wait()
		client, end := w.door.client(nil)
		defer end()
		code := http.StatusOK
		for i := 0; code == http.StatusOK; i += 20 {
			var err error
			if code, err = w.door.push(t.Context(), client, "http://hook", "dev", wrapped(s.tenant.Events()[i:i+20]...)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		troubled := func() (told bool) {
			for _, x := range w.overview(t.Context(), t, "dev").Troubles {
				told = told || x.Part == "webhook"
			}
			return told
		}
		if code != http.StatusServiceUnavailable || !troubled() {
			t.Errorf("answered %d, trouble told: %t", code, troubled())
		}
		s.aws.Clear()
		<-time.After(30 * time.Second)
		if !troubled() {
			t.Error("the trouble is over before it can be known")
		}
		<-time.After(time.Minute)
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("readyz answers %d %q", status, body)
		}
	})
}

// TestWebhookStops stops an App with requests under way: what is answered 200 is
// there after the next start, a body that does not go on holds nothing up, and
// nobody is let in any more.
func TestWebhookStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 300)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		slow, err := w.door.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan int, 1)
		go func() {
			if err := w.door.say(slow, w.door.token, 1000, "["); err != nil {
				t.Error(err)
			}
			heard <- hear(slow)
		}()
		silent, err := w.door.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.pushAll(t, s, 30, 8)
		began := time.Now()
		w.stop(t.Context(), t, time.Minute)
		if took := time.Since(began); took > w.cfg.ShutdownTimeout/2 {
			t.Errorf("stop took %v", took)
		}
		if code := <-heard; code != http.StatusServiceUnavailable {
			t.Errorf("the slow one was answered %d, want 503", code)
		}
		if code := hear(silent); code != 0 {
			t.Errorf("the silent one was answered %d", code)
		}
		if _, err := w.door.dial(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after the stop: %v", err)
		}
		s.compare(t)
	})
}

// TestWebhookRefusesToStart has what cannot work said at the start.
func TestWebhookRefusesToStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newHook(t, 1)
		w.alone()
		defer w.close(t.Context(), t)
		misconfigured := func(err error) {
			t.Helper()
			if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Misconfigured || e.Hint == "" {
				t.Errorf("got %v with hint %q, want a fault of the configuration with a hint", err, e.Hint)
			}
		}
		_, err := app.New(t.Context(), app.Options{Config: w.cfg, Logger: slog.New(slog.DiscardHandler), Once: true})
		misconfigured(err)
		w.cfg.Webhook.TLS.CertFile, w.cfg.Webhook.TLS.KeyFile = "/none/cert.pem", "/none/key.pem"
		a, err := app.New(t.Context(), app.Options{Config: w.cfg, Logger: slog.New(slog.DiscardHandler), ListenWebhook: w.door.open})
		if err != nil {
			t.Fatal(err)
		}
		misconfigured(a.Start(t.Context()))
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestOnceLeavesThePushAlone runs once with a tenant that polls and one that is
// pushed to alone: it ends, and listens to nobody.
func TestOnceLeavesThePushAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "pushed")
		w.pushTo(t)
		defer w.close(t.Context(), t)
		second := &w.cfg.Tenants[1]
		second.Domain, second.ClientID = "", ""
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.once = true
		w.start(t.Context(), t)
		<-w.app.Done()
		if err := w.app.Err(); err != nil || w.app.WebhookAddr() != "" {
			t.Errorf("ended with %v, listening on %q", err, w.app.WebhookAddr())
		}
		s.compare(t)
	})
}
