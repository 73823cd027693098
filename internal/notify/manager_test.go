package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is part of every URL and key, which nothing may show.
const canary = "T0CANARY"

// A net is the other side of all channels: what they sent, by host, and how it answers.
type net struct {
	mu     sync.Mutex
	got    []sent
	answer map[string]func(w http.ResponseWriter) // by host; nil is 200
}

// sent is a request that came.
type sent struct {
	at     time.Time
	host   string
	path   string
	header http.Header
	body   string
}

func newNet() *net { return &net{answer: make(map[string]func(http.ResponseWriter))} }

// RoundTrip implements http.RoundTripper.
func (n *net) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.got = append(n.got, sent{time.Now(), r.URL.Host, r.URL.Path, r.Header, string(body)})
	answer := n.answer[r.URL.Host]
	n.mu.Unlock()
	rec := httptest.NewRecorder()
	if answer != nil {
		answer(rec)
	}
	resp := rec.Result()
	if resp.StatusCode == http.StatusTeapot { // stands for a network that is down
		return nil, fmt.Errorf("dial https://%s%s: %w", r.URL.Host, r.URL.Path, errors.New("connection refused"))
	}
	resp.Request = r
	return resp, nil
}

// answers has a host answer with a status; 0 is that of success.
func (n *net) answers(host string, status int, header ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if status == 0 {
		delete(n.answer, host)
		return
	}
	n.answer[host] = func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

// take returns the requests that have come to a host, and forgets them.
func (n *net) take(host string) (out []sent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = slices.DeleteFunc(n.got, func(s sent) bool {
		if s.host == host {
			out = append(out, s)
		}
		return s.host == host
	})
	return out
}

// text is the fall-back text of a message of Slack.
func (s sent) text(t *testing.T) string {
	t.Helper()
	var m struct{ Text string }
	if err := json.Unmarshal([]byte(s.body), &m); err != nil {
		t.Fatalf("%v: %s", err, s.body)
	}
	return m.Text
}

// texts are those of several.
func texts(t *testing.T, list []sent) (out []string) {
	t.Helper()
	for _, s := range list {
		out = append(out, s.text(t))
	}
	return out
}

// A stage is a manager with figures that the test sets.
type stage struct {
	*net

	manager  *notify.Manager
	registry *prometheus.Registry
	log      bytes.Buffer
	settings notify.Settings
	client   *http.Client
	cancel   context.CancelFunc
	done     chan struct{}

	mu       sync.Mutex
	snapshot notify.Snapshot
	err      error
	kept     []byte
}

// figures are those of a name: the values of the labels, and the number.
func figures(t *testing.T, reg *prometheus.Registry, name string) (out []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name {
				continue
			}
			line := []string{name}
			for _, l := range m.GetLabel() {
				line = append(line, l.GetValue())
			}
			out = append(out, fmt.Sprintf("%s = %v", strings.Join(line, " "), m.GetGauge().GetValue()+m.GetCounter().GetValue()))
		}
	}
	return out
}

func literal(v string) notify.Secret {
	return func(context.Context) (string, error) { return v, nil }
}

// slack is a channel of Slack at a host.
func (s *stage) slack(name string) notify.Channel {
	return notify.Channel{Name: name, Filter: notify.Filter{Severity: notify.Warning}, Sender: &notify.Slack{
		URL: literal("https://" + name + ".example.com/services/" + canary), Client: s.client, Agent: "gapless/test",
	}}
}

func newStage() *stage {
	s := &stage{net: newNet(), settings: notify.Settings{Repeat: 6 * time.Hour, Thresholds: notify.Thresholds{
		DeliveryLag: 15 * time.Minute, DeliveryLagCritical: time.Hour, FetchFailing: 5 * time.Minute, DestinationFailing: 10 * time.Minute, BufferUsed: 0.8,
	}}}
	s.client = notify.NewClient(s.net)
	return s
}

// start starts a manager on what was kept.
func (s *stage) start(t *testing.T, channels ...notify.Channel) {
	t.Helper()
	s.settings.Channels = channels
	s.registry = prometheus.NewRegistry()
	s.manager = notify.New(notify.Options{
		Look: s.look, Kept: s.kept, Keep: s.keep, Logger: slog.New(slog.NewTextHandler(&s.log, nil)), Registerer: s.registry, Version: "test",
	}, s.settings)
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		s.manager.Run(ctx)
	}()
}

// stop ends it, and looks for secrets in what was said and kept.
func (s *stage) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	<-s.done
	if all := s.log.String() + string(s.kept); strings.Contains(all, canary) {
		t.Errorf("a secret is shown: %s", all)
	}
}

func (s *stage) look(context.Context) (notify.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.snapshot
	out.At, out.Version = time.Now(), "test"
	out.Tenants = slices.Clone(out.Tenants)
	return out, s.err
}

func (s *stage) keep(_ context.Context, state []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = slices.Clone(state)
	return nil
}

// set sets the figures.
func (s *stage) set(tenants ...notify.Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot.Tenants = tenants
}

// fails is a tenant whose credentials are refused.
func fails(name string) notify.Tenant {
	return notify.Tenant{Name: name, Troubles: []notify.Trouble{{Part: "poll", Class: "unauthorized", Message: "get access token: access_denied", Hint: "Set the secret.", Since: time.Now()}}}
}

// well is the tenant a while it has no trouble.
func well() notify.Tenant {
	return notify.Tenant{Name: "a", Checkpoint: "9002", Queues: []notify.Queue{{}}}
}

// pass lets time pass.
func pass(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
	synctest.Wait()
}

// TestSlackHearsOfTroubleAndItsEnd has the credentials of a tenant refused: Slack hears of
// it within half a minute, once, and of its end.
func TestSlackHearsOfTroubleAndItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.set(well())
		s.start(t, s.slack("slack"))
		pass(time.Hour)
		if got := s.take("slack.example.com"); len(got) != 0 {
			t.Errorf("all was well, and %d messages came", len(got))
		}
		s.set(fails("a"))
		pass(30 * time.Second)
		got := s.take("slack.example.com")
		if diff := cmp.Diff([]string{"gapless: a: Credentials are refused"}, texts(t, got)); diff != "" {
			t.Fatalf("within 30 s (-want +got):\n%s", diff)
		}
		if !strings.Contains(got[0].body, "access_denied") || !strings.Contains(got[0].body, "Set the secret.") || !strings.Contains(got[0].body, `"type":"header"`) {
			t.Errorf("the message: %s", got[0].body)
		}
		if diff := cmp.Diff([]string{"gapless_alerts credentials_refused critical a = 1"}, figures(t, s.registry, "gapless_alerts")); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
		pass(5 * time.Hour)
		if got := s.take("slack.example.com"); len(got) != 0 {
			t.Errorf("it was told again: %v", texts(t, got))
		}
		s.set(well())
		pass(time.Minute)
		got = s.take("slack.example.com")
		if diff := cmp.Diff([]string{"gapless: ended: a: Credentials are refused"}, texts(t, got)); diff != "" {
			t.Fatalf("after it was mended (-want +got):\n%s", diff)
		}
		if !strings.Contains(got[0].body, "It lasted 5h") {
			t.Errorf("the message: %s", got[0].body)
		}
		s.stop(t)
	})
}

// TestRestartKeepsWhatWasTold stops while an alert is on: it is not told anew; one that
// ended meanwhile is told as ended; one that could not be sent is sent.
func TestRestartKeepsWhatWasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.set(fails("a"), fails("b"))
		s.start(t, s.slack("slack"))
		pass(time.Minute)
		if got := s.take("slack.example.com"); len(got) != 1 || !strings.Contains(got[0].body, "a: Cred") || !strings.Contains(got[0].body, "b: Cred") {
			t.Fatalf("two tenants fail at once, and this came: %v", got)
		}
		s.answers("slack.example.com", 503)
		s.set(fails("a"), fails("b"), fails("c"))
		pass(time.Minute)
		s.stop(t)
		s.take("slack.example.com")
		s.answers("slack.example.com", 0)
		pass(time.Hour)

		alerts, err := notify.ReadAlerts(s.kept)
		if err != nil || len(alerts) != 4 {
			t.Errorf("beside no process: %v, %v", alerts, err)
		}
		s.set(fails("a"), fails("c"))
		s.start(t, s.slack("slack"))
		pass(10 * time.Minute)
		want := []string{"gapless: c: Credentials are refused", "gapless: ended: b: Credentials are refused"}
		if diff := cmp.Diff(want, texts(t, s.take("slack.example.com"))); diff != "" {
			t.Errorf("after the restart (-want +got):\n%s", diff)
		}
		s.stop(t)
	})
}

// TestManyTenantsAreOneMessage has a thousand tenants fail at once.
func TestManyTenantsAreOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		var all []notify.Tenant
		for i := range 1000 {
			all = append(all, fails(fmt.Sprintf("t%03d", i)))
		}
		s.set(all...)
		s.start(t, s.slack("slack"))
		pass(10 * time.Minute)
		got := s.take("slack.example.com")
		if diff := cmp.Diff([]string{"gapless: Credentials are refused (1000 tenants)"}, texts(t, got)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		var m struct{ Blocks []json.RawMessage }
		if err := json.Unmarshal([]byte(got[0].body), &m); err != nil || len(m.Blocks) > 50 || !strings.Contains(got[0].body, "t000, t001, ") || !strings.Contains(got[0].body, "t049 and 950 more") {
			t.Errorf("%d blocks, %v", len(m.Blocks), err)
		}
		s.stop(t)
	})
}

// TestTitleSaysWhat reads the titles of messages of several alerts: each says what has
// happened, and to how many tenants.
func TestTitleSaysWhat(t *testing.T) {
	t.Parallel()
	n := func(state, kind, tenant, part string, severity notify.Severity) notify.Notice {
		return notify.Notice{State: state, Alert: notify.Alert{Kind: kind, Tenant: tenant, Part: part, Severity: severity}}
	}
	lag, refused := n(notify.StateFiring, notify.KindDeliveryLag, "a", "", notify.Warning), n(notify.StateFiring, notify.KindRefusing, "a", "", notify.Critical)
	for want, notices := range map[string][]notify.Notice{
		"gapless: a: The destination refuses events, a: Delivery lags behind": {lag, refused},
		"gapless: Delivery lags behind (2 tenants)":                           {lag, n(notify.StateFiring, notify.KindDeliveryLag, "b", "", notify.Critical)},
		"gapless: a: Delivery lags behind (2 times)":                          {lag, n(notify.StateFiring, notify.KindDeliveryLag, "a", "x", notify.Warning)},
		"gapless: a: Delivery lags behind; still: The disk is nearly full; ended: b: A gap was recorded": {
			n(notify.StateEnded, notify.KindGap, "b", "", notify.Critical), lag, n(notify.StateStill, notify.KindDiskFull, "", "", notify.Critical),
		},
		"gapless: a: A gap was recorded, a: The destination refuses events, a: Delivery lags behind, 2 other kinds": {
			lag, n(notify.StateFiring, notify.KindGap, "a", "", notify.Critical), refused,
			n(notify.StateFiring, notify.KindPushSilent, "a", "", notify.Warning), n(notify.StateFiring, notify.KindQuiet, "a", "", notify.Warning),
		},
	} {
		if got := (notify.Message{About: notify.AboutRun, Report: &notify.Report{Tenants: []notify.TenantReport{{Tenant: "a", Trouble: "delivery: refused"}}}}).Title(); got != "gapless: exported, with errors" {
			t.Errorf("a run with an error: %s", got)
		}
		if got := (notify.Message{About: notify.AboutAlerts, Notices: notices}).Title(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestFailingChannelIsToldOnTheOthers has one of two channels fail: the other hears of it,
// and when it works again it is told what is on.
func TestFailingChannelIsToldOnTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.answers("one.example.com", http.StatusTeapot)
		s.set(fails("a"))
		s.start(t, s.slack("one"), s.slack("two"))
		pass(30 * time.Second)
		if diff := cmp.Diff([]string{"gapless: a: Credentials are refused"}, texts(t, s.take("two.example.com"))); diff != "" {
			t.Errorf("the one that works (-want +got):\n%s", diff)
		}
		pass(5 * time.Minute)
		got := s.take("two.example.com")
		if len(got) != 1 || got[0].text(t) != "gapless: A channel fails" || !strings.Contains(got[0].body, "connection refused") || strings.Contains(got[0].body, canary) {
			t.Errorf("of the one that fails this was told: %+v", got)
		}
		if n := len(s.take("one.example.com")); n < 4 || n > 12 {
			t.Errorf("%d tries in five minutes", n)
		}
		if got := s.manager.Failing(); !slices.Equal(got, []string{"one"}) {
			t.Errorf("failing: %v", got)
		}
		s.answers("one.example.com", 0)
		pass(10 * time.Minute)
		if diff := cmp.Diff([]string{"gapless: a: Credentials are refused"}, texts(t, s.take("one.example.com"))); diff != "" {
			t.Errorf("when it works again (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"gapless: ended: A channel fails"}, texts(t, s.take("two.example.com"))); diff != "" {
			t.Errorf("the other then (-want +got):\n%s", diff)
		}
		s.stop(t)
	})
}

// TestChannelThatNeedsAPersonIsToldAtOnce has an incoming webhook that is revoked.
func TestChannelThatNeedsAPersonIsToldAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.answers("one.example.com", http.StatusNotFound)
		s.set(fails("a"))
		s.start(t, s.slack("one"), s.slack("two"))
		pass(time.Minute)
		var bodies []string // in one message or in two, as both are due in the same second
		for _, got := range s.take("two.example.com") {
			bodies = append(bodies, got.body)
		}
		if all := strings.Join(bodies, "\n"); strings.Count(all, "HTTP 404") != 1 || !strings.Contains(all, "The URL leads nowhere any more") {
			t.Errorf("the other was told %s", all)
		}
		s.stop(t)
	})
}

// TestRetryAfterIsHonoured has Slack limit the rate.
func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.answers("slack.example.com", http.StatusTooManyRequests, "Retry-After", "600")
		s.set(fails("a"))
		s.start(t, s.slack("slack"))
		pass(9 * time.Minute)
		if n := len(s.take("slack.example.com")); n != 1 {
			t.Errorf("%d calls within the time that Slack asked for", n)
		}
		s.answers("slack.example.com", 0)
		pass(3 * time.Minute)
		if n := len(s.take("slack.example.com")); n != 1 {
			t.Errorf("%d calls after it", n)
		}
		s.stop(t)
	})
}

// TestRedirectIsNotFollowed has a server lead elsewhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.answers("slack.example.com", http.StatusTemporaryRedirect, "Location", "https://elsewhere.example.com/")
		s.set(fails("a"))
		s.start(t, s.slack("slack"))
		pass(time.Minute)
		if n := len(s.take("elsewhere.example.com")); n != 0 {
			t.Error("the redirect was followed")
		}
		if a := s.manager.Alerts(); !slices.ContainsFunc(a, func(x notify.Alert) bool {
			return x.Kind == notify.KindChannel && strings.Contains(x.Message, "redirect")
		}) {
			t.Errorf("alerts: %+v", a)
		}
		s.stop(t)
	})
}

// TestUseTakesOtherChannels reloads: a channel that stays is told nothing anew, one that
// is new hears what is on.
func TestUseTakesOtherChannels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.set(fails("a"))
		s.start(t, s.slack("one"))
		pass(time.Minute)
		s.take("one.example.com")
		s.settings.Channels = []notify.Channel{s.slack("one"), s.slack("two")}
		s.manager.Use(s.settings)
		pass(time.Minute)
		if n := len(s.take("one.example.com")); n != 0 {
			t.Error("the channel that stays was told anew")
		}
		if n := len(s.take("two.example.com")); n != 1 {
			t.Errorf("the new channel was told %d times", n)
		}
		s.settings.Channels = nil
		s.manager.Use(s.settings)
		s.set(well())
		pass(time.Hour)
		if n := len(s.take("one.example.com")) + len(s.take("two.example.com")); n != 0 {
			t.Error("channels that are gone were told")
		}
		if got := figures(t, s.registry, "gapless_notifications_total"); len(got) != 0 {
			t.Errorf("figures of channels that are gone: %v", got)
		}
		s.stop(t)
	})
}

// TestRaisedHoldsUntilCleared has another part raise a condition, across a restart.
func TestRaisedHoldsUntilCleared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.set(well())
		s.start(t, s.slack("slack"))
		s.manager.Raise(notify.Finding{Kind: notify.KindVerify, Tenant: "a", Message: "3 events are missing", Hint: "gapless verify --repair"})
		pass(time.Minute)
		if diff := cmp.Diff([]string{"gapless: a: Source and destination differ"}, texts(t, s.take("slack.example.com"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.stop(t)
		s.start(t, s.slack("slack"))
		pass(time.Hour)
		if n := len(s.take("slack.example.com")); n != 0 {
			t.Errorf("after a restart %d messages", n)
		}
		s.manager.Clear(notify.KindVerify, "a", "")
		pass(time.Minute)
		if diff := cmp.Diff([]string{"gapless: ended: a: Source and destination differ"}, texts(t, s.take("slack.example.com"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.stop(t)
	})
}

// TestBlindnessIsAnAlert has the figures not be readable.
func TestBlindnessIsAnAlert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.set(well())
		s.start(t, s.slack("slack"))
		pass(time.Minute)
		s.mu.Lock()
		s.err = errors.New("disk I/O error")
		s.mu.Unlock()
		pass(time.Minute)
		if diff := cmp.Diff([]string{"gapless: The figures cannot be read"}, texts(t, s.take("slack.example.com"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.mu.Lock()
		s.err = nil
		s.mu.Unlock()
		pass(time.Minute)
		if diff := cmp.Diff([]string{"gapless: ended: The figures cannot be read"}, texts(t, s.take("slack.example.com"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.stop(t)
	})
}

// TestHeartbeatStopsWhenUnwell calls a URL as long as nothing critical is on.
func TestHeartbeatStopsWhenUnwell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.set(well())
		s.start(t,
			notify.Channel{Name: "beat", Filter: notify.Filter{Severity: notify.Critical}, Every: time.Minute, Beater: &notify.Heartbeat{
				URL: literal("https://beat.example.com/" + canary), Method: http.MethodGet, Client: s.client, Agent: "gapless/test",
			}},
			notify.Channel{Name: "both", Filter: notify.Filter{Severity: notify.Critical}, Every: time.Minute, Beater: &notify.Heartbeat{
				URL: literal("https://both.example.com/" + canary), FailURL: literal("https://fail.example.com/" + canary), Method: http.MethodPost, Client: s.client, Agent: "gapless/test",
			}})
		pass(30 * time.Second)
		if n := len(s.take("beat.example.com")) + len(s.take("fail.example.com")); n != 0 {
			t.Errorf("%d beats before it is known whether all is well: one that crashes again and again would beat each time", n)
		}
		pass(10 * time.Minute)
		if n := len(s.take("beat.example.com")); n != 10 {
			t.Errorf("%d beats in ten minutes", n)
		}
		s.set(fails("a"))
		pass(time.Minute) // until it is an alert
		s.take("beat.example.com")
		s.take("both.example.com")
		s.take("fail.example.com")
		pass(10 * time.Minute)
		if n, m, k := len(s.take("beat.example.com")), len(s.take("both.example.com")), len(s.take("fail.example.com")); n != 0 || m != 0 || k != 10 {
			t.Errorf("while it fails: %d beats, %d and %d of failure", n, m, k)
		}
		s.set(well())
		pass(2 * time.Minute)
		s.take("fail.example.com")
		pass(10 * time.Minute)
		if n, k := len(s.take("beat.example.com")), len(s.take("fail.example.com")); n < 10 || k != 0 {
			t.Errorf("when it is well again: %d beats, %d of failure", n, k)
		}
		s.stop(t)
	})
}

// TestReportsAndSuccess has a report each day in a time zone, and a message of success.
func TestReportsAndSuccess(t *testing.T) {
	t.Parallel()
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // begins at midnight of 1 January 2000 in UTC
		s := newStage()
		a := well()
		a.Fetched, a.Queues[0].Delivered = 1000, 900
		s.set(a)
		day, run := s.slack("day"), s.slack("run")
		day.Report, day.Zone = &notify.Clock{Hour: 9, Minute: 30, Zone: tokyo}, tokyo
		run.Every = 6 * time.Hour
		s.start(t, day, run)
		pass(time.Minute)
		a.Fetched, a.Rejected = 1100, map[string]int64{"too_large": 1}
		a.Queues = []notify.Queue{{Delivered: 1050, Events: 50}}
		s.set(a)
		pass(48 * time.Hour)
		var at []string
		reports := s.take("day.example.com")
		reports = slices.DeleteFunc(reports, func(x sent) bool { return !strings.Contains(x.text(t), "report") })
		for _, r := range reports {
			at = append(at, r.at.In(tokyo).Format("02 15:04"))
		}
		if diff := cmp.Diff([]string{"01 09:30", "02 09:30"}, at); diff != "" {
			t.Fatalf("reports (-want +got):\n%s", diff)
		}
		if b := reports[0].body; !strings.Contains(b, "150 delivered, 100 fetched, 1 rejected, 0 skipped") || !strings.Contains(b, "9002") || !strings.Contains(b, "50 events, 0s behind") {
			t.Errorf("the first report: %s", b)
		}
		if b := reports[1].body; !strings.Contains(b, "0 delivered, 0 fetched, 0 rejected, 0 skipped") {
			t.Errorf("the second report: %s", b)
		}
		runs := slices.DeleteFunc(s.take("run.example.com"), func(x sent) bool { return !strings.HasPrefix(x.text(t), "gapless: exported") })
		if len(runs) != 8 || !strings.Contains(runs[0].body, "Start:") || !strings.Contains(runs[0].body, "Next checkpoint:") || !strings.Contains(runs[0].body, "Logs processed:") {
			t.Errorf("%d messages of success: %v", len(runs), runs)
		}
		s.stop(t)
	})
}

// TestFiltersChooseAlerts has channels for a severity, a tenant and a kind.
func TestFiltersChooseAlerts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		late := notify.Tenant{Name: "b", Queues: []notify.Queue{{Events: 7, Lag: 20 * time.Minute, Waiting: 20 * time.Minute}}}
		s.set(fails("a"), late)
		critical, ofB, lag := s.slack("critical"), s.slack("ofb"), s.slack("lag")
		critical.Severity = notify.Critical
		ofB.Tenants = []string{"b"}
		lag.Kinds = []string{notify.KindDeliveryLag}
		s.start(t, critical, ofB, lag)
		pass(5 * time.Minute)
		got := map[string][]string{}
		for _, host := range []string{"critical", "ofb", "lag"} {
			got[host] = texts(t, s.take(host+".example.com"))
		}
		want := map[string][]string{
			"critical": {"gapless: a: Credentials are refused"}, "ofb": {"gapless: b: Delivery lags behind"}, "lag": {"gapless: b: Delivery lags behind"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s.stop(t)
	})
}
