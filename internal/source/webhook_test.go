package source_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

const webhookToken = "f236c0de-not-a-real-token"

// newWebhook makes a webhook with the token.
func newWebhook(tb testing.TB, change ...func(*source.WebhookConfig)) *source.Webhook {
	tb.Helper()
	cfg := source.WebhookConfig{Tokens: []string{webhookToken}}
	for _, c := range change {
		c(&cfg)
	}
	w, err := source.NewWebhook(cfg, source.Deps{})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// push makes a request of Auth0.
func push(ctx context.Context, body io.Reader) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/tenants/dev/logs", body)
	r.Header.Set("Authorization", webhookToken)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// ask lets a handler answer a request.
func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// runWebhook runs a webhook onto a disk until the end of the test.
func runWebhook(t *testing.T, w *source.Webhook, disk *pipelinetest.Pages) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, "", disk.Emit) }()
	synctest.Wait()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// pushed is a record as a stream wraps it; the values are made up.
func pushed(n int) string {
	return fmt.Sprintf(`{"log_id":"%s","data":%s}`, pushedID(n), pushedData(n))
}

func pushedID(n int) string { return fmt.Sprintf("900202611261012%041d", n) }

func pushedData(n int) string {
	return fmt.Sprintf(`{"date":"2026-11-26T10:12:%02d.123Z","type":"seacft","description":"","connection_id":"","client_id":"abcDEF","client_name":"My Shop","ip":"192.0.2.%d","user_agent":"unknown","details":{"code":"*************x"},"hostname":"dev-tenant.us.auth0.com","user_id":"","user_name":"","audience":"https://api.example.com","scope":null,"$event_schema":{"version":"1.0.0"},"log_id":%q,"tenant_name":"dev-tenant"}`,
		n%60, n%256, pushedID(n))
}

// joined joins records.
func joined(open, between, end string, n int) string {
	var all []string
	for i := range n {
		all = append(all, pushed(i))
	}
	return open + strings.Join(all, between) + end
}

// zipped compresses.
func zipped(tb testing.TB, text string) string {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestWebhookKeepsTheContract(t *testing.T) {
	t.Parallel()
	pipelinetest.TestSource(t, func(t *testing.T) pipelinetest.Upstream {
		t.Helper()
		var now atomic.Pointer[source.Webhook]
		ctx, cancel := context.WithCancel(t.Context())
		var feeders sync.WaitGroup
		t.Cleanup(func() { cancel(); feeders.Wait() })
		var want []string
		for i := range 24 {
			want = append(want, pushedID(i))
			feeders.Go(func() {
				for ctx.Err() == nil {
					if w := now.Load(); w != nil && ask(w, push(ctx, strings.NewReader("["+pushed(i)+"]"))).Code == http.StatusOK {
						return
					}
					_ = pipeline.Wait(ctx, time.Duration(100+i)*time.Millisecond)
				}
			})
		}
		return pipelinetest.Upstream{
			New: func() pipeline.Source {
				w := newWebhook(t)
				now.Store(w)
				return w
			},
			Want: want,
		}
	})
}

// TestWebhookRefusals has requests that are not taken: the answer has no body and
// nothing is stored.
func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	const length = "Content-Length"
	for name, c := range map[string]struct {
		method string
		set    map[string]string
		from   string
		status int
	}{
		"good":              {status: 200},
		"bearer":            {set: map[string]string{"Authorization": "Bearer " + webhookToken}, status: 200},
		"bearer in small":   {set: map[string]string{"Authorization": "bearer " + webhookToken}, status: 200},
		"GET":               {method: http.MethodGet, status: 405},
		"PUT":               {method: http.MethodPut, status: 405},
		"no token":          {set: map[string]string{"Authorization": ""}, status: 401},
		"other token":       {set: map[string]string{"Authorization": "other"}, status: 401},
		"longer token":      {set: map[string]string{"Authorization": webhookToken + "x"}, status: 401},
		"shorter token":     {set: map[string]string{"Authorization": webhookToken[1:]}, status: 401},
		"basic":             {set: map[string]string{"Authorization": "Basic " + webhookToken}, status: 401},
		"bearer of nothing": {set: map[string]string{"Authorization": "Bearer "}, status: 401},
		"elsewhere":         {from: "203.0.113.1:1", status: 403},
		"elsewhere, IPv6":   {from: "[2001:db8:1::1]:1", status: 403},
		"allowed, IPv6":     {from: "[2001:db8::1]:1", status: 200},
		"allowed, mapped":   {from: "[::ffff:192.0.2.9]:1", status: 200},
		"no address":        {from: "@", status: 403},
		"too long":          {set: map[string]string{length: "65537"}, status: 413},
		"brotli":            {set: map[string]string{"Content-Encoding": "br"}, status: 415},
		"gzip twice":        {set: map[string]string{"Content-Encoding": "gzip, gzip"}, status: 415},
		"identity":          {set: map[string]string{"Content-Encoding": "identity"}, status: 200},
		"token before 413":  {set: map[string]string{length: "65537", "Authorization": "x"}, status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reg := prometheus.NewRegistry()
				w := newWebhook(t, func(c *source.WebhookConfig) {
					c.MaxBody, c.Registerer = 64<<10, reg
					c.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/48")}
				})
				disk := new(pipelinetest.Pages)
				runWebhook(t, w, disk)
				r := push(t.Context(), strings.NewReader(pushed(1)))
				r.RemoteAddr = "192.0.2.7:1234"
				if c.from != "" {
					r.RemoteAddr = c.from
				}
				if c.method != "" {
					r.Method = c.method
				}
				for k, v := range c.set {
					if k == length {
						r.ContentLength, _ = strconv.ParseInt(v, 10, 64)
						continue
					}
					r.Header.Set(k, v)
				}
				rec := ask(w, r)
				if rec.Code != c.status || rec.Body.Len() > 0 {
					t.Errorf("answered %d %q, want %d and nothing", rec.Code, rec.Body, c.status)
				}
				if h := rec.Header(); h.Get("WWW-Authenticate") != "" || (c.status == 405) != (h.Get("Allow") == "POST") {
					t.Errorf("header %v", h)
				}
				if n := len(disk.IDs()); (n == 1) != (c.status == 200) {
					t.Errorf("%d events stored", n)
				}
				if n := counted(t, reg, strconv.Itoa(c.status)); n != 1 {
					t.Errorf("%v requests counted", n)
				}
			})
		})
	}
}

// counted returns how many requests were answered so.
func counted(t *testing.T, reg *prometheus.Registry, status string) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "gapless_webhook_requests_total" && m.GetLabel()[0].GetValue() == status {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// TestWebhookTakesTwoTokens is what a rotation needs.
func TestWebhookTakesTwoTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t, func(c *source.WebhookConfig) { c.Tokens = []string{"old", "Bearer new"} })
		runWebhook(t, w, new(pipelinetest.Pages))
		for token, want := range map[string]int{"old": 200, "Bearer new": 200, "Bearer old": 200, "new": 401, "oldnew": 401, "": 401} {
			r := push(t.Context(), strings.NewReader("[]"))
			r.Header.Set("Authorization", token)
			if got := ask(w, r).Code; got != want {
				t.Errorf("%q: %d, want %d", token, got, want)
			}
		}
		r := push(t.Context(), strings.NewReader("[]"))
		r.Header["Authorization"] = []string{"old", "old"}
		if got := ask(w, r).Code; got != http.StatusUnauthorized {
			t.Errorf("two headers: %d", got)
		}
	})
	for _, tokens := range [][]string{nil, {""}, {" x"}, {"x\n"}} {
		if _, err := source.NewWebhook(source.WebhookConfig{Tokens: tokens}, source.Deps{}); err == nil {
			t.Errorf("tokens %q are taken", tokens)
		}
	}
}

// TestWebhookShutsWhenItCannotStore fails the store under many requests: none is
// answered 2xx, Run returns the fault, and requests are sent away until the next.
func TestWebhookShutsWhenItCannotStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		disk := &pipelinetest.Pages{Fault: func(ctx context.Context, n int, _ event.Page) error {
			if n == 0 {
				<-time.After(time.Second) // the others come meanwhile
				return fmt.Errorf("append: %w", pipeline.ErrBufferFull)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		sent := func(n int) *httptest.ResponseRecorder { return ask(w, push(t.Context(), strings.NewReader(pushed(n)))) }
		want503 := func(rec *httptest.ResponseRecorder) {
			if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
				t.Errorf("answered %d %v, want 503 with Retry-After", rec.Code, rec.Header())
			}
		}
		want503(sent(0)) // no Run yet
		ended := make(chan error, 1)
		go func() { ended <- w.Run(t.Context(), "", disk.Emit) }()
		synctest.Wait()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { want503(sent(i)) })
		}
		if err := <-ended; !errors.Is(err, pipeline.ErrBufferFull) {
			t.Errorf("Run returned %v", err)
		}
		all.Wait()
		want503(sent(0))
		good := new(pipelinetest.Pages)
		runWebhook(t, w, good)
		if rec := sent(0); rec.Code != http.StatusOK || len(good.IDs()) != 1 {
			t.Errorf("after the repair: %d, %q", rec.Code, good.IDs())
		}
	})
}

// TestWebhookIsHeardByThoseStillSending refuses large bodies of clients that read
// no answer before they have sent all: they get to read it.
func TestWebhookIsHeardByThoseStillSending(t *testing.T) {
	t.Parallel()
	w := newWebhook(t, func(c *source.WebhookConfig) { c.MaxBody = 16 << 20 })
	srv := httptest.NewServer(w)
	defer srv.Close()
	for _, c := range []struct{ length, token, status string }{
		{"20000000", "other", "401"},
		{"20000000", webhookToken, "503"}, // there is no Run
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %s\r\n\r\n%s", c.token, c.length, strings.Repeat("x", 20_000_000))
		if err != nil {
			t.Errorf("%s: cut while sending: %v", c.status, err)
		}
		said, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 "+c.status) {
			t.Errorf("heard %q and %v, want %s", said, err, c.status)
		}
		_ = conn.Close()
	}
}

// TestWebhookSurvivesAPanic has a fault of the program in one request.
func TestWebhookSurvivesAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWebhook(t)
		disk := &pipelinetest.Pages{Fault: func(_ context.Context, n int, _ event.Page) error {
			if n < 100 {
				panic("a fault")
			}
			return nil
		}}
		runWebhook(t, w, disk)
		for i := range 100 { // more than there are slots
			if code := ask(w, push(t.Context(), strings.NewReader(pushed(i)))).Code; code != http.StatusInternalServerError {
				t.Fatalf("request %d: %d", i, code)
			}
		}
		if code := ask(w, push(t.Context(), strings.NewReader(pushed(0)))).Code; code != http.StatusOK {
			t.Errorf("after the panics: %d", code)
		}
	})
}
