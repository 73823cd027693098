package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/web"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// get asks a handler that shows o (or fails with err).
func get(t *testing.T, o web.Overview, err error, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "gapless_test_total", Help: "A counter."})
	c.Add(3)
	reg.MustRegister(c)
	h, herr := web.NewHandler(web.Options{Status: func(context.Context) (web.Overview, error) { return o, err }, Metrics: reg, Logger: slog.New(slog.DiscardHandler)})
	if herr != nil {
		t.Fatal(herr)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// overview has one tenant in the given trouble, if any.
func overview(troubles ...web.Trouble) web.Overview {
	tenant := web.Tenant{Name: "dev", Source: "dev.example.com", Destination: "/auth0/dev", Stored: 12, Delivered: 10, Buffered: 2, OldestBuffered: now.Add(-3 * time.Second), Troubles: troubles}
	tenant.Judge(true)
	return web.Overview{Version: "1.2.3", At: now, Running: true, Tenants: []web.Tenant{tenant}}
}

var (
	throttled = web.Trouble{Part: "delivery", Class: "throttled", Message: "rate exceeded", Since: now}
	refused   = web.Trouble{Part: "poll", Class: "unauthorized", Message: "403 <script>alert(1)</script>", Hint: "grant read:logs", Since: now}
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	broken := errors.New("secret path of the disk")
	tests := map[string]struct {
		overview web.Overview
		err      error
		method   string
		path     string
		status   int
		want     []string
		not      []string
	}{
		"page":           {overview: overview(), path: "/", status: 200, want: []string{`<a href="/tenants/dev">dev</a>`, "delivering, 3.0 s behind", "<dd>12</dd>", "app.css", "All is well"}},
		"page, trouble":  {overview: overview(refused), path: "/", status: 200, want: []string{`<p class="say">a person must act</p>`, "grant read:logs", "&lt;script&gt;", "dev needs attention"}, not: []string{"<script>alert"}},
		"page, empty":    {overview: web.Overview{At: now}, path: "/", status: 200, want: []string{"No tenant is configured"}},
		"page, broken":   {err: broken, path: "/", status: 500, want: []string{"could not be made"}, not: []string{"secret path"}},
		"style":          {path: "/static/app.css", status: 200, want: []string{"prefers-color-scheme"}},
		"healthy":        {overview: overview(refused), path: "/healthz", status: 200, want: []string{"ok"}},
		"not healthy":    {err: broken, path: "/healthz", status: 500, not: []string{"secret path"}},
		"ready":          {overview: overview(), path: "/readyz", status: 200, want: []string{"ready"}},
		"not ready":      {overview: overview(throttled), path: "/readyz", status: 503, want: []string{"dev: in trouble, trying again; delivery: rate exceeded"}},
		"person to act":  {overview: overview(throttled, refused), path: "/readyz", status: 503, want: []string{"a person must act"}},
		"metrics":        {path: "/metrics", status: 200, want: []string{"gapless_test_total 3"}},
		"unknown page":   {path: "/nothing", status: 404},
		"wrong method":   {path: "/healthz", method: http.MethodPost, status: 405},
		"no page behind": {path: "/page.html", status: 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			resp := get(t, tt.overview, tt.err, method, tt.path)
			body := resp.Body.String()
			if resp.Code != tt.status {
				t.Errorf("got status %d, want %d; body %q", resp.Code, tt.status, body)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("body lacks %q:\n%s", want, body)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(body, not) {
					t.Errorf("body has %q:\n%s", not, body)
				}
			}
			if csp := resp.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
				t.Errorf("got Content-Security-Policy %q, want one that denies by default", csp)
			}
		})
	}
}

func TestStatusJSONIsTheOverview(t *testing.T) {
	t.Parallel()
	want := overview(throttled)
	resp := get(t, want, nil, http.MethodGet, "/api/v1/status")
	if got := resp.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("got Content-Type %q", got)
	}
	var got web.Overview
	if err := json.Unmarshal(resp.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("overview (-want +got):\n%s", diff)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tenant  web.Tenant
		stopped bool
		want    web.State
		words   string
	}{
		"nothing yet": {tenant: web.Tenant{}, want: web.StateWaiting, words: "nothing fetched yet"},
		"caught up":   {tenant: web.Tenant{Stored: 1, Cursor: "a"}, want: web.StateDelivered, words: "all that was fetched is delivered"},
		"under way":   {tenant: web.Tenant{Stored: 1, Buffered: 1, OldestBuffered: now.Add(-90 * time.Second)}, want: web.StateDelivering, words: "delivering, 1m30s behind"},
		"throttled":   {tenant: web.Tenant{Troubles: []web.Trouble{throttled}}, want: web.StateTrouble, words: "in trouble, trying again; delivery: rate exceeded"},
		"stuck":       {tenant: web.Tenant{Troubles: []web.Trouble{refused}}, want: web.StateStuck, words: "a person must act; poll: 403 <script>alert(1)</script>"},
		"stopped":     {tenant: web.Tenant{Buffered: 1}, stopped: true, want: web.StateStopped, words: "not running"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.tenant.Judge(!tt.stopped)
			if tt.tenant.State != tt.want || tt.tenant.Words(now) != tt.words {
				t.Errorf("got %q, %q; want %q, %q", tt.tenant.State, tt.tenant.Words(now), tt.want, tt.words)
			}
		})
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 0: "0.0s", 340 * time.Millisecond: "0.3s", 12 * time.Second: "12s", 310 * time.Second: "5m10s",
		3*time.Hour + 2*time.Minute: "3h2m", 99 * time.Hour: "4d3h",
	} {
		if got := web.Short(d); got != want {
			t.Errorf("Short(%v) = %q, want %q", d, got, want)
		}
	}
}

// failing is a collector whose figures cannot be read.
type failing struct{}

func (failing) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(failing{}, ch) }

func (failing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("gapless_broken", "Broken.", nil, nil), errors.New("broken"))
}

// TestMetricsOfTheRest holds that figures which cannot be read cost no others.
func TestMetricsOfTheRest(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	reg.MustRegister(failing{}, prometheus.NewCounter(prometheus.CounterOpts{Name: "gapless_test_total", Help: "A counter."}))
	var log bytes.Buffer
	h, err := web.NewHandler(web.Options{Metrics: reg, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "gapless_test_total 0") {
		t.Errorf("got status %d:\n%s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "broken") {
		t.Errorf("the failure is not in the log: %q", log.String())
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1500: "1.5 KiB", 10 << 10: "10 KiB", 1<<20 - 1: "1 MiB",
		1_234_567: "1.2 MiB", 1 << 30: "1 GiB", 10 << 30: "10 GiB", 3 << 40: "3 TiB", 5000 << 40: "5000 TiB",
	} {
		if got := web.Size(bytes); got != want {
			t.Errorf("%d bytes are %q, want %q", bytes, got, want)
		}
	}
}

// TestRefusedConfigurationIsTold holds that the page and the status tell that a
// configuration was refused, and why, and that the exports count as ready nevertheless.
func TestRefusedConfigurationIsTold(t *testing.T) {
	t.Parallel()
	o := overview()
	o.Configuration = &web.Configuration{
		LoadedAt: now.Add(-time.Hour), NeedRestart: []string{"data_dir"},
		FailedAt: now, Error: "gapless.yaml:3:5: <tenants> is wrong", Hint: "Mend it.",
	}
	for path, wants := range map[string][]string{
		"/":              {"was refused at 2026-11-23 12:00:00; the one of 2026-11-23 11:00:00", "&lt;tenants&gt; is wrong", "Mend it.", "after a restart: <code>data_dir</code>"},
		"/api/v1/status": {`"loaded_at": "2026-11-23T11:00:00Z"`, `"reload_failed_at": "2026-11-23T12:00:00Z"`, `"reload_hint": "Mend it."`, `"data_dir"`},
		"/readyz":        {"ready"},
	} {
		w := get(t, o, nil, http.MethodGet, path)
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) || w.Code != http.StatusOK {
				t.Errorf("%s: status %d, no %q:\n%s", path, w.Code, want, w.Body)
			}
		}
	}
	o.Configuration = &web.Configuration{LoadedAt: now}
	if page := get(t, o, nil, http.MethodGet, "/").Body.String(); strings.Contains(page, "refused") {
		t.Errorf("a configuration that is in order shows as\n%s", page)
	}
}
