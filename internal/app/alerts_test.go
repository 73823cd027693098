package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/notify"
)

// slackURL is the incoming webhook of a test; what is behind the host nothing may show.
const slackURL = "https://hooks.slack.com/services/T0/B0/slack-url-canary"

// A slackFake is the other side of an incoming webhook.
type slackFake struct {
	mu    sync.Mutex
	texts []string
	times []time.Time
	down  bool
}

// RoundTrip implements http.RoundTripper.
func (s *slackFake) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	var m struct{ Text string }
	if err := errors.Join(err, json.Unmarshal(body, &m)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := httptest.NewRecorder()
	if s.down || r.URL.String() != slackURL {
		rec.WriteHeader(http.StatusServiceUnavailable)
	} else {
		s.texts, s.times = append(s.texts, m.Text), append(s.times, time.Now())
	}
	return rec.Result(), nil
}

// take returns what has come, and when, and forgets it.
func (s *slackFake) take() (texts []string, times []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts, times = s.texts, s.times
	s.texts, s.times = nil, nil
	return texts, times
}

// withSlack gives a world a channel of Slack.
func withSlack(t *testing.T, w *world) *slackFake {
	t.Helper()
	fake := &slackFake{}
	w.notify = fake
	url, err := config.ParseSecret(slackURL)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Notify.Slack = []config.NotifySlack{{NotifyChannel: config.NotifyChannel{Name: "slack"}, WebhookURL: url}}
	w.cfg.Notify.Thresholds.DiskFree = 0 // of the machine that tests run on
	return fake
}

// TestBrokenSecretIsToldToSlack runs the product with a secret that Auth0 refuses: Slack
// hears of it within half a minute, once, and of its end soon after the secret is mended.
// A restart between tells nothing anew.
func TestBrokenSecretIsToldToSlack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filepath.Join(dir, "data"), tenant.Enterprise, "dev")
		defer w.close(t.Context(), t)
		path := filepath.Join(dir, "secret")
		right, err := w.cfg.Tenants[0].ClientSecret.Resolve(t.Context(), config.Resolver{})
		if err := errors.Join(err, os.WriteFile(path, []byte("wrong"), 0o600)); err != nil {
			t.Fatal(err)
		}
		w.secrets = config.Resolver{ReadFile: os.ReadFile}
		if w.cfg.Tenants[0].ClientSecret, err = config.ParseSecret("file:" + path); err != nil {
			t.Fatal(err)
		}
		slack := withSlack(t, w)
		began := time.Now()
		w.start(t.Context(), t)
		lapse(30 * time.Second)
		texts, times := slack.take()
		if diff := cmp.Diff([]string{"gapless: dev: Credentials are refused"}, texts); diff != "" {
			t.Fatalf("within 30 s (-want +got):\n%s", diff)
		}
		t.Logf("told after %v", times[0].Sub(began))
		lapse(10 * time.Minute)
		o, err := w.app.Overview(t.Context())
		if err != nil || len(o.Alerts) != 1 || o.Alerts[0].Kind != "credentials_refused" || !slices.Equal(o.Alerts[0].Told, []string{"slack"}) || o.Alerts[0].Hint == "" {
			t.Errorf("the overview: %+v, %v", o.Alerts, err)
		}
		w.stop(t.Context(), t, time.Minute)

		beside, err := app.ReadOverview(t.Context(), w.cfg, "test")
		if err != nil || len(beside.Alerts) != 1 || beside.Alerts[0].ID != o.Alerts[0].ID {
			t.Errorf("without a process: %+v, %v", beside.Alerts, err)
		}
		w.start(t.Context(), t)
		lapse(10 * time.Minute)
		if texts, _ := slack.take(); len(texts) != 0 {
			t.Errorf("it was told anew: %v", texts)
		}
		mended := time.Now()
		if err := os.WriteFile(path, []byte(right), 0o600); err != nil {
			t.Fatal(err)
		}
		lapse(3 * time.Minute)
		texts, times = slack.take()
		if diff := cmp.Diff([]string{"gapless: ended: dev: Credentials are refused"}, texts); diff != "" {
			t.Fatalf("after it was mended (-want +got):\n%s", diff)
		}
		t.Logf("the end was told after %v", times[0].Sub(mended))
		if all := printed(t, w.cfg); strings.Contains(all, "slack-url-canary") {
			t.Errorf("the URL is shown: %s", all)
		}
	})
}

// TestReloadTakesNotify reloads with a channel that was not there: it hears what is on.
// A configuration that is refused is told, and so is that a good one was taken after it.
func TestReloadTakesNotify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Enterprise, "dev")
		defer w.close(t.Context(), t)
		before := *w.cfg
		slack := withSlack(t, w)
		with := *w.cfg
		w.cfg = &before
		w.sites[0].auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Times: -1, Status: http.StatusServiceUnavailable})
		w.start(t.Context(), t)
		lapse(20 * time.Minute)
		if o, err := w.app.Overview(t.Context()); err != nil || len(o.Alerts) != 1 || o.Alerts[0].Kind != "not_fetching" {
			t.Errorf("without a channel: %+v, %v", o.Alerts, err)
		}
		reload := func(cfg *config.Config, err error) {
			_, _ = w.app.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return cfg, w.secrets, err })
		}
		reload(&with, nil)
		lapse(time.Minute)
		texts, _ := slack.take()
		if diff := cmp.Diff([]string{"gapless: dev: Events are not fetched"}, texts); diff != "" {
			t.Errorf("a new channel (-want +got):\n%s", diff)
		}
		reload(nil, errors.New("line 3 is wrong"))
		lapse(time.Minute)
		reload(&with, nil)
		lapse(time.Minute)
		texts, _ = slack.take()
		if diff := cmp.Diff([]string{"gapless: A configuration was refused", "gapless: ended: A configuration was refused"}, texts); diff != "" {
			t.Errorf("a configuration that is refused (-want +got):\n%s", diff)
		}
	})
}

// lapse lets time pass.
func lapse(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// TestVerifyCanRaiseAnAlert raises and clears a condition as another part would.
func TestVerifyCanRaiseAnAlert(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Enterprise, "dev")
		defer w.close(t.Context(), t)
		slack := withSlack(t, w)
		w.start(t.Context(), t)
		w.app.RaiseAlert(notify.Finding{Kind: notify.KindVerify, Tenant: "dev", Message: "2 events are missing", Hint: "gapless verify --repair"})
		lapse(time.Minute)
		w.app.ClearAlert(notify.KindVerify, "dev", "")
		lapse(time.Minute)
		texts, _ := slack.take()
		if diff := cmp.Diff([]string{"gapless: dev: Source and destination differ", "gapless: ended: dev: Source and destination differ"}, texts); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestAlertKindsAgree holds that the configuration knows the kinds that there are.
func TestAlertKindsAgree(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(notify.KindNames(), config.AlertKinds()); diff != "" {
		t.Errorf("(-notify +config):\n%s", diff)
	}
}
