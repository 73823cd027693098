package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/tracing"
)

// A collector answers requests as its script says; the last entry stands for all others.
type collector struct {
	script []reply

	mu      sync.Mutex
	bodies  []string
	headers []http.Header
}

// RoundTrip implements http.RoundTripper.
func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := min(len(c.bodies), len(c.script)-1)
	c.bodies, c.headers = append(c.bodies, string(body)), append(c.headers, r.Header)
	switch a := c.script[at]; {
	case a.down:
		return nil, errors.New("connection refused")
	case a.hangs:
		<-r.Context().Done()
		return nil, r.Context().Err()
	default:
		return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
	}
}

// A reply is what a collector does with a request.
type reply struct {
	status      int
	body        string
	header      http.Header
	down, hangs bool
}

// answers returns what answers with a status.
func answers(status int, body string, header ...string) reply {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return reply{status: status, body: body, header: h}
}

// A rig is a Tracer with what it tells.
type rig struct {
	*tracing.Tracer

	collector *collector
	log       bytes.Buffer
	registry  *prometheus.Registry
}

// newRig makes one.
func newRig(ratio float64, script ...reply) *rig {
	r := &rig{collector: &collector{script: script}, registry: prometheus.NewRegistry()}
	r.Tracer = tracing.New(tracing.Config{
		URL: "http://collector.example.com/v1/traces", Headers: []tracing.Header{{Name: "X-Api-Key", Value: "a secret"}},
		SampleRatio: ratio, ServiceName: "gapless", Version: "1.0", Timeout: time.Second,
	}, tracing.Deps{Logger: slog.New(slog.NewTextHandler(&r.log, nil)), Registerer: r.registry, Transport: r.collector})
	return r
}

// counts returns what became of spans, by outcome.
func (r *rig) counts(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v != 0 {
				out[m.GetLabel()[0].GetValue()] = v
			}
		}
	}
	return out
}

// page stores a page of n events at the tracer, as a source would.
func (r *rig) page(first, n int) (events []event.Event) {
	in := pipeline.Intake{Received: time.Now()}
	for i := range n {
		e := event.Event{LogID: fmt.Sprintf("90020%06d", first+i), Raw: []byte(`{"ip":"203.0.113.9"}`)}
		events = append(events, e)
		in.Entries = append(in.Entries, pipeline.Entry{Event: e})
	}
	p := event.Page{Events: events, Fetches: []event.Fetch{{Began: in.Received.Add(-time.Second), Took: time.Second, Records: n}}}
	r.Watch("dev", "poll", nil).Stored(p, in, pipeline.Appended{Stored: n})
	return events
}

// TestTreeOfSpans holds what is told of two pages and the batch that takes their events.
func TestTreeOfSpans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(1, answers(http.StatusOK, "{}"))
		b := pipeline.Batch{Events: append(r.page(0, 2), r.page(10, 1)...)}
		ctx, done := r.Observer("dev", "cloudwatch").Delivering(t.Context(), b)
		began := time.Now()
		r.Called(ctx, tracing.Call{Op: "PutLogEvents", Began: began, Took: time.Millisecond, Status: 503, Err: errors.New("203.0.113.9")})
		r.Called(t.Context(), tracing.Call{Op: "DescribeLogGroups"}) // of no batch
		done(pipeline.Outcome{Batch: b, Receipt: pipeline.RetryAll(b, pipeline.Doubt{}), Began: began, Took: time.Second, Err: errors.New("203.0.113.9")}, true)
		<-time.After(10 * time.Second)
		r.Stop(t.Context())
		if len(r.collector.bodies) != 1 {
			t.Fatalf("%d requests", len(r.collector.bodies))
		}
		body := r.collector.bodies[0]
		names := make(map[string]string)
		var tree []string
		spans := gjson.Get(body, "resourceSpans.0.scopeSpans.0.spans").Array()
		for _, s := range spans {
			names[s.Get("spanId").String()] = s.Get("name").String()
		}
		for _, s := range spans {
			tree = append(tree, names[s.Get("parentSpanId").String()]+" > "+s.Get("name").String()+" "+s.Get("status.message").String())
		}
		want := []string{
			" > page ", "page > fetch page ", "page > append ", " > page ", "page > fetch page ", "page > append ",
			" > deliver transient", "deliver > PutLogEvents refused", "deliver > settle ",
		}
		if diff := cmp.Diff(want, tree); diff != "" {
			t.Error(diff)
		}
		deliver := spans[6]
		if a, b := spans[0].Get("traceId").String(), spans[3].Get("traceId").String(); a == b || len(a) != 32 ||
			deliver.Get("links.0.traceId").String() != a || deliver.Get("links.1.traceId").String() != b || deliver.Get("links.#").Int() != 2 {
			t.Errorf("pages %s and %s are linked by %s", a, b, deliver.Get("links"))
		}
		if strings.Contains(body, "203.0.113.9") || strings.Contains(body, "90020") {
			t.Errorf("spans hold an event, or the text of an error: %s", body)
		}
		if h := r.collector.headers[0]; h.Get("X-Api-Key") != "a secret" || h.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", h)
		}
		if diff := cmp.Diff(map[string]float64{"sent": 9}, r.counts(t)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCollectorFails holds that a collector which is down, refuses or redirects is told of
// once, and what becomes of the spans.
func TestCollectorFails(t *testing.T) {
	t.Parallel()
	ok := answers(http.StatusOK, "")
	for name, c := range map[string]struct {
		script []reply
		counts map[string]float64
		log    int
	}{
		"down for good":   {[]reply{{down: true}}, map[string]float64{"failed": 6}, 1},
		"down at first":   {[]reply{{down: true}, ok}, map[string]float64{"sent": 6}, 0},
		"busy":            {[]reply{answers(503, "", "Retry-After", "3"), ok}, map[string]float64{"sent": 6}, 0},
		"refuses":         {[]reply{answers(401, "a secret")}, map[string]float64{"failed": 6}, 1},
		"refuses one":     {[]reply{answers(400, ""), ok}, map[string]float64{"failed": 3, "sent": 3}, 2},
		"rejects a span":  {[]reply{answers(200, `{"partialSuccess":{"rejectedSpans":"1"}}`)}, map[string]float64{"sent": 4, "rejected": 2}, 0},
		"redirects":       {[]reply{answers(307, "", "Location", "http://elsewhere.example.com/")}, map[string]float64{"failed": 6}, 1},
		"speaks nonsense": {[]reply{answers(200, `{"partialSuccess":{"rejectedSpans":-7}}`)}, map[string]float64{"sent": 6}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(1, c.script...)
				r.page(0, 1)
				<-time.After(time.Minute)
				r.page(1, 1)
				<-time.After(time.Minute)
				r.Stop(t.Context())
				if diff := cmp.Diff(c.counts, r.counts(t)); diff != "" {
					t.Error(diff)
				}
				if log := r.log.String(); strings.Count(log, "\n") != c.log || strings.Contains(log, "a secret") || strings.Contains(log, "example.com") {
					t.Errorf("it says:\n%s", log)
				}
			})
		})
	}
}

// TestQueueIsBounded holds that spans are dropped and counted when too many wait, and that
// a stop is not held up by a collector that does not answer.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(1, reply{hangs: true})
		for i := range 2000 {
			r.page(i, 1)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r.Stop(ctx)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the stop took %s", took)
		}
		got := r.counts(t)
		if got["dropped"] < 6000-4096-512-3 || got["sent"] != 0 || got["dropped"]+got["failed"] != 6000 {
			t.Errorf("of 6000 spans: %v", got)
		}
	})
}

// TestSampling holds that a share of the pages is traced, and the batches with events of
// those.
func TestSampling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		none := newRig(0, answers(http.StatusOK, ""))
		b := pipeline.Batch{Events: none.page(0, 3)}
		_, done := none.Observer("dev", "cloudwatch").Delivering(t.Context(), b)
		done(pipeline.Outcome{Batch: b}, true)
		none.Stop(t.Context())
		if got := none.counts(t); len(got) != 0 {
			t.Errorf("nothing is wanted, and %v", got)
		}
		some := newRig(0.5, answers(http.StatusOK, ""))
		for i := range 400 {
			some.page(i, 1)
		}
		some.Stop(t.Context())
		// 400 coins: fewer than 100 or more than 300 heads never come.
		if got := some.counts(t)["sent"]; got < 300 || got > 900 {
			t.Errorf("%v spans of 1200 at a half", got)
		}
	})
}
