package app_test

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A world is the whole product in a bubble of testing/synctest: an App with the
// services around it, joined in memory, so that days pass in a moment. Each
// tenant has an Auth0 and a CloudWatch Logs endpoint of its own, for faults of
// its own.
type world struct {
	cfg   *config.Config
	sites []*site
	hosts map[string]http.RoundTripper
	app   *app.App // while one is running
	once  bool     // the App runs with Once
	door  *door    // of the webhook of the App; nil when there is none
	log   io.Writer
	// imports is all that the App does, if it is set.
	imports *app.Import
	secrets config.Resolver
	notify  http.RoundTripper // to the channels of notify
	traces  http.RoundTripper // to the collector of traces
}

// A site is one tenant of a world and its destination.
type site struct {
	name       string
	tenant     *tenant.Server
	cloudwatch *cloudwatch.Server
	auth0, aws *emulator.Faults
	// disorder counts the calls of PutLogEvents whose events did not ascend.
	disorder atomic.Int64
	// streams are those that the events go to.
	streams []string
	// held is what the tenant has held so far, by its bytes; see note.
	held map[string]bool
	quit func() // ends the live traffic
}

// newWorld makes a world of tenants on a plan, with a data directory.
func newWorld(tb rapid.TB, dir string, plan tenant.Plan, names ...string) *world {
	tb.Helper()
	w := &world{cfg: config.Default(), hosts: make(map[string]http.RoundTripper)}
	w.cfg.DataDir, w.cfg.Listen, w.cfg.AWS.Region = dir, "", "us-east-1"
	w.cfg.Verify.Schedule = "off" // a test of it turns it on
	for i, name := range names {
		w.add(tb, tenant.Options{TenantName: name, Plan: plan, Seed: uint64(i)})
	}
	return w
}

// add adds a tenant.
func (w *world) add(tb rapid.TB, o tenant.Options) {
	tb.Helper()
	name := o.TenantName
	s := &site{name: name, auth0: emulator.NewFaults(), aws: emulator.NewFaults(), streams: []string{"logs"}, held: make(map[string]bool), quit: func() {}}
	o.Domain, o.Faults = name+".example.com", s.auth0
	var err error
	if s.tenant, err = tenant.New(o); err != nil {
		tb.Fatal(err)
	}
	if s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Faults: s.aws}); err != nil {
		tb.Fatal(err)
	}
	w.sites = append(w.sites, s)
	w.hosts[name+".example.com"] = emulator.Transport(s.tenant)
	w.hosts["logs-"+name+".example.com"] = emulator.Transport(s.watch(s.cloudwatch))
	w.cfg.Tenants = append(w.cfg.Tenants, s.config(tb))
}

// config is what a person would write down for the tenant.
func (s *site) config(tb rapid.TB) config.Tenant {
	tb.Helper()
	c := config.NewTenant()
	id, secret := s.tenant.Credentials()
	c.Name, c.Domain, c.ClientID = s.name, s.name+".example.com", id
	c.CloudWatch.Endpoint = "http://logs-" + s.name + ".example.com"
	c.CloudWatch.Compression = "none" // watch reads the bodies
	c.PollInterval = 10 * time.Second
	var err error
	if c.ClientSecret, err = config.ParseSecret(secret); err != nil {
		tb.Fatal(err)
	}
	return c
}

// watch looks at the calls of PutLogEvents that succeed.
func (s *site) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cloudwatch.Operation(r) != "PutLogEvents" {
			next.ServeHTTP(w, r)
			return
		}
		var body bytes.Buffer
		r.Body = io.NopCloser(io.TeeReader(r.Body, &body))
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(status, r)
		if read := body.Bytes(); status.status == http.StatusOK && len(read) > 0 && !ascends(read) { // a fault may answer unread
			s.disorder.Add(1)
		}
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// ascends reports whether a body of PutLogEvents has events, by their time.
func ascends(body []byte) bool {
	times := gjson.GetBytes(body, "logEvents.#.timestamp").Array()
	return len(times) > 0 && slices.IsSortedFunc(times, func(a, b gjson.Result) int { return cmp.Compare(a.Int(), b.Int()) })
}

// RoundTrip implements http.RoundTripper: it is the only network there is.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.hosts[r.URL.Host].RoundTrip(r)
}

// open makes an App on the data directory.
func (w *world) open(ctx context.Context) (*app.App, error) {
	logger := slog.New(slog.DiscardHandler)
	if w.log != nil {
		logger = slog.New(slog.NewTextHandler(w.log, nil))
	}
	var listen func(context.Context, string) (net.Listener, error)
	if w.door != nil {
		listen = w.door.open
	}
	opts := w.options()
	opts.Logger, opts.Once, opts.Import, opts.Secrets, opts.ListenWebhook = logger, w.once, w.imports, w.secrets, listen
	return app.New(ctx, opts)
}

// options are those of an App in the world, without what it does.
func (w *world) options() app.Options {
	return app.Options{
		Config: w.cfg, Logger: slog.New(slog.DiscardHandler), Auth0HTTP: w, NotifyHTTP: w.notify, TracingHTTP: w.traces,
		// A redirect is an answer, as with the SDK's own client.
		AWSHTTP:        &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		AWSCredentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	}
}

// start starts an App on the data directory.
func (w *world) start(ctx context.Context, tb rapid.TB) {
	tb.Helper()
	var err error
	if w.app, err = w.open(ctx); err != nil {
		tb.Fatal(err)
	}
	if err := w.app.Start(ctx); err != nil {
		tb.Fatal(err)
	}
}

// stop ends the App within a time; without one running it does nothing.
func (w *world) stop(ctx context.Context, tb rapid.TB, within time.Duration) {
	tb.Helper()
	if w.app == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := w.app.Stop(ctx); err != nil {
		tb.Errorf("stop: %v", err)
	}
	w.app = nil
}

// close ends everything that is still there.
func (w *world) close(ctx context.Context, tb rapid.TB) {
	tb.Helper()
	w.stop(ctx, tb, w.cfg.ShutdownTimeout)
	for _, s := range w.sites {
		s.quit()
		if err := s.tenant.Close(); err != nil {
			tb.Error(err)
		}
		if err := s.cloudwatch.Close(); err != nil {
			tb.Error(err)
		}
	}
}

// live lets things happen in the tenant, so many a second, until quit.
func (s *site) live(ctx context.Context, tb rapid.TB, rate float64) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.tenant.Run(ctx, rate); err != nil {
			tb.Error(err)
		}
	}()
	s.quit = func() { cancel(); <-done }
}

// overview returns the figures of a tenant.
func (w *world) overview(ctx context.Context, tb rapid.TB, name string) web.Tenant {
	tb.Helper()
	o, err := w.app.Overview(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	i := slices.IndexFunc(o.Tenants, func(t web.Tenant) bool { return t.Name == name })
	return o.Tenants[i]
}

// readiness asks /readyz, as the listener would answer it.
func (w *world) readiness(ctx context.Context, tb rapid.TB) (status int, body string) {
	tb.Helper()
	h, err := web.NewHandler(web.Options{Status: w.app.Overview, Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
	return rec.Code, rec.Body.String()
}

// note remembers what the tenant holds. A test that lasts longer than the
// tenant keeps its events calls it in between.
func (s *site) note() {
	for _, raw := range s.tenant.Events() {
		s.held[string(raw)] = true
	}
}

// stored returns what the streams hold.
func (s *site) stored() (all []cloudwatch.StoredEvent) {
	for _, stream := range s.streams {
		all = append(all, s.cloudwatch.Events("/auth0/"+s.name, stream)...)
	}
	return all
}

// delivered counts the messages in the streams.
func (s *site) delivered() map[string]int {
	got := make(map[string]int)
	for _, e := range s.stored() {
		got[e.Message]++
	}
	return got
}

// behind is the age of the oldest event that the stream lacks; 0 when it holds
// all that the tenant does.
func (s *site) behind() time.Duration {
	got, age := s.delivered(), time.Duration(0)
	for _, raw := range s.tenant.Events() {
		if got[string(raw)] == 0 {
			age = max(age, time.Since(dateOf(string(raw))))
		}
	}
	return age
}

// dateOf reads the date of an event.
func dateOf(raw string) time.Time { return gjson.Get(raw, "date").Time() }

// compare checks that the stream holds what the tenant has held, each event
// once, byte for byte and under its own date, sent in ascending order.
func (s *site) compare(tb rapid.TB) {
	tb.Helper()
	s.note()
	got := s.delivered()
	missing := 0
	for raw := range s.held {
		if got[raw] == 0 {
			missing++
		}
	}
	if missing > 0 {
		tb.Errorf("%s: %d of %d events are missing", s.name, missing, len(s.held))
	}
	for raw, n := range got {
		if n != 1 || !s.held[raw] {
			tb.Errorf("%s: the stream holds %d times, of an event that the tenant held (%t): %.120s", s.name, n, s.held[raw], raw)
		}
	}
	for _, e := range s.stored() {
		if want := dateOf(e.Message); e.Timestamp != want.UnixMilli() {
			tb.Errorf("%s: an event of %s stands at %s", s.name, want, time.UnixMilli(e.Timestamp).UTC())
		}
	}
	if n := s.disorder.Load(); n > 0 {
		tb.Errorf("%s: %d calls had events out of order", s.name, n)
	}
}
