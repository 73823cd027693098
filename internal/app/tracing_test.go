package app_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A collector takes the spans of an App.
type collector struct {
	down bool

	mu    sync.Mutex
	calls int
	spans []gjson.Result
	text  strings.Builder
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if err != nil || c.down || r.URL.String() != "http://collector.example.com/v1/traces" || r.Header.Get("Authorization") != "Bearer a-secret" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	c.text.Write(body)
	c.spans = append(c.spans, gjson.GetBytes(body, "resourceSpans.0.scopeSpans.0.spans").Array()...)
}

// named returns the spans of a name.
func (c *collector) named(name string) (list []gjson.Result) {
	for _, s := range c.spans {
		if s.Get("name").String() == name {
			list = append(list, s)
		}
	}
	return list
}

// value returns an attribute of a span as text.
func value(s gjson.Result, key string) string {
	for _, a := range s.Get("attributes").Array() {
		if a.Get("key").String() == key {
			for _, v := range a.Get("value").Map() {
				return v.String()
			}
		}
	}
	return ""
}

// traced makes a world with a tenant of 250 events, whose App tells a collector.
func traced(t *testing.T, c *collector) *world {
	t.Helper()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "acme")
	w.cfg.Tracing.Endpoint = "http://collector.example.com"
	secret, err := config.ParseSecret("Bearer a-secret")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Tracing.Headers = []config.TracingHeader{{Name: "Authorization", Value: secret}}
	w.traces = emulator.Transport(c)
	if err := w.sites[0].tenant.Generate(250, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestTraces exports events and holds the spans of the pages and batches against each
// other: which are below which, what they count, and that they hold no event.
func TestTraces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := new(collector)
		w := traced(t, c)
		defer w.close(t.Context(), t)
		s := w.sites[0]
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Kind: emulator.FaultCut, Times: 3})
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		s.compare(t)
		held := len(s.held)

		roots := make(map[string]gjson.Result)
		fetched, stored, delivered, failed := 0, 0, 0, 0
		for _, p := range c.named("page") {
			roots[p.Get("spanId").String()] = p
		}
		for _, f := range c.named("fetch page") {
			parent := roots[f.Get("parentSpanId").String()]
			if parent.Get("traceId").String() != f.Get("traceId").String() || f.Get("traceId").String() == "" || value(f, "http.response.status_code") != "200" {
				t.Errorf("a fetch stands alone: %s", f)
			}
			fetched += int(gjson.Parse(value(f, "gapless.events")).Int())
		}
		for _, a := range c.named("append") {
			if _, ok := roots[a.Get("parentSpanId").String()]; !ok {
				t.Errorf("an append stands alone: %s", a)
			}
			stored += int(gjson.Parse(value(a, "gapless.stored")).Int())
		}
		batches := make(map[string]bool)
		for _, d := range c.named("deliver") {
			batches[d.Get("spanId").String()] = true
			delivered += int(gjson.Parse(value(d, "gapless.delivered")).Int())
			if d.Get("status.code").Int() == 2 {
				failed++
			}
			if d.Get("links.#").Int() == 0 {
				t.Errorf("a batch is linked to no page: %s", d)
			}
			for _, l := range d.Get("links").Array() {
				if _, ok := roots[l.Get("spanId").String()]; !ok {
					t.Errorf("a batch is linked to what is no page: %s", l)
				}
			}
		}
		if fetched < held || stored != held || delivered != held || failed == 0 {
			t.Errorf("of %d events %d were fetched, %d stored, %d delivered, with %d failures", held, fetched, stored, delivered, failed)
		}
		for _, name := range []string{"PutLogEvents", "look up", "settle"} { // the outcome of the first call is unknown
			list := c.named(name)
			if len(list) == 0 || slices.ContainsFunc(list, func(x gjson.Result) bool { return !batches[x.Get("parentSpanId").String()] }) {
				t.Errorf("%d spans %q, or one that stands alone", len(list), name)
			}
		}
		text := c.text.String()
		for raw := range maps.Keys(s.held) {
			if strings.Contains(text, gjson.Get(raw, "log_id").String()) {
				t.Fatalf("a span holds an event: %.80s", raw)
			}
		}
		if strings.Contains(text, "a-secret") {
			t.Error("a span holds a secret")
		}
	})
}

// TestTracesWithoutCollector holds that a collector which is down harms nothing and is
// said once, and that an App which traces nothing calls nobody.
func TestTracesWithoutCollector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &collector{down: true}
		w := traced(t, c)
		defer w.close(t.Context(), t)
		var log strings.Builder
		w.log = &log
		w.start(t.Context(), t)
		for range 3 {
			if err := w.sites[0].tenant.Generate(20, time.Now().Add(-time.Minute), time.Now()); err != nil {
				t.Fatal(err)
			}
			<-time.After(5 * time.Minute)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		w.sites[0].compare(t)
		if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 || c.calls < 6 {
			t.Errorf("said %d times, with %d calls", n, c.calls)
		}
		w.cfg.Tracing = config.Tracing{}
		c.calls = 0
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if c.calls != 0 {
			t.Errorf("%d calls with tracing off", c.calls)
		}
	})
}

// TestReloadNamesTracing holds that a change of tracing waits for a restart, and says so.
func TestReloadNamesTracing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := traced(t, new(collector))
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		next := *w.cfg
		next.Tracing.SampleRatio = 0.5
		changes, err := w.app.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) {
			return &next, config.Resolver{}, nil
		})
		if err != nil || !slices.Equal(changes.NeedsRestart, []string{"tracing"}) || w.app.Config().Tracing.SampleRatio != 1 {
			t.Errorf("%+v, %v", changes, err)
		}
	})
}
