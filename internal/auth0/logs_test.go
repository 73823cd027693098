package auth0_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/auth0"
)

func TestLogsAsksByCheckpoint(t *testing.T) {
	t.Parallel()
	s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<https://elsewhere.example.com/api/v2/logs?from=b&take=2>; rel="next"`)
		answer(w, http.StatusOK, `[{"log_id":"a","date":"2026-11-01T00:00:00.000Z","type":"s"}, 7]`)
	}}
	c := newClient(t, config(), deps(s))
	got, err := c.Logs(t.Context(), "id with & and =", 2)
	if err != nil {
		t.Fatal(err)
	}
	req := s.request()
	if got, want := req.URL.Path+"?"+req.URL.RawQuery, "/api/v2/logs?from=id+with+%26+and+%3D&take=2"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if got := req.Header.Get("Authorization"); got != "Bearer token-0" {
		t.Errorf("authorization %q", got)
	}
	if got := req.Header.Get("User-Agent"); got != "gapless" {
		t.Errorf("user agent %q", got)
	}
	if got.Next != "b" || len(got.Page.Events) != 1 || got.Page.Events[0].LogID != "a" || len(got.Page.Unreadable) != 1 {
		t.Errorf("answer %+v", got)
	}
	if got.Received.IsZero() || got.ServerTime.After(got.Received) || got.Received.Sub(got.ServerTime) > 2*time.Second {
		t.Errorf("received %s, by the server's clock %s", got.Received, got.ServerTime)
	}
}

func TestSearchAsksByContent(t *testing.T) {
	t.Parallel()
	s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"start":0,"limit":1,"length":1,"total":1,"logs":[{"log_id":"a"}]}`)
	}}
	c := newClient(t, config(), deps(s))
	got, err := c.Search(t.Context(), auth0.SearchQuery{Q: "type:s", Sort: "date:1", Page: 3, PerPage: 10})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("page=3&per_page=10&q=type%3As&sort=date%3A1", s.request().URL.RawQuery); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	if len(got.Page.Events) != 1 || got.Next != "" {
		t.Errorf("answer %+v", got)
	}
}

// TestErrors pins what each answer means to the caller.
func TestErrors(t *testing.T) {
	t.Parallel()
	status := func(code int, body, contentType string) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	const asJSON, asHTML = "application/json; charset=utf-8", "text/html"
	tests := map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request)
		kind   auth0.Kind
		says   string
		hint   string
	}{
		"refused cursor":     {status(400, `{"statusCode":400,"error":"Bad Request","message":"Invalid from"}`, asJSON), auth0.BadCursor, "fetch logs: status 400: Bad Request: Invalid from", ""},
		"400 of a proxy":     {status(400, `<html>Bad Request</html>`, asHTML), auth0.Transient, "fetch logs: status 400", ""},
		"bad token":          {status(401, `{"statusCode":401,"error":"Unauthorized","message":"Invalid token"}`, asJSON), auth0.Unauthorized, "Invalid token", "client-1"},
		"missing scope":      {status(403, `{"statusCode":403,"error":"Forbidden","message":"Insufficient scope","errorCode":"insufficient_scope"}`, asJSON), auth0.Forbidden, "status 403: insufficient_scope: Insufficient scope", "read:logs"},
		"firewall":           {status(403, `<html>Denied</html>`, asHTML), auth0.Forbidden, "status 403: the answer is none of Auth0's", ""},
		"no such path":       {status(404, `Not Found`, "text/plain"), auth0.Misconfigured, "status 404", "domain"},
		"too many":           {status(429, `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}`, asJSON), auth0.Throttled, "Global limit has been reached", ""},
		"server fault":       {status(500, `{"statusCode":500,"error":"Internal Server Error","message":"oops"}`, asJSON), auth0.Transient, "status 500", ""},
		"gateway":            {status(502, `<html>`, asHTML), auth0.Transient, "status 502", ""},
		"accepted":           {status(202, `[]`, asJSON), auth0.Transient, "status 202", ""},
		"page of a proxy":    {status(200, `<html>Log in to the hotel</html>`, asHTML), auth0.Transient, "another content type", ""},
		"page called JSON":   {status(200, `<html>Log in to the hotel</html>`, asJSON), auth0.Transient, "no list of events", ""},
		"JSON called a page": {status(200, `[]`, asHTML), auth0.Transient, "another content type", ""},
		"nothing":            {status(200, ``, asJSON), auth0.Transient, "no list of events", ""},
		"no list":            {status(200, `{"statusCode":500,"message":"wrapped"}`, asJSON), auth0.Transient, "no list of events", ""},
		"list and page":      {status(200, `[]<html>Log in to the hotel</html>`, asJSON), auth0.Transient, "no list of events", ""},
		"two lists":          {status(200, `[ ] [{"log_id":"a"}]`, asJSON), auth0.Transient, "no list of events", ""},
		"lone event":         {status(200, `{"log_id":"a","type":"s"}`, asJSON), auth0.Transient, "no list of events", ""},
		"cut list":           {status(200, `[{"log_id":"a"},{"log_i`, asJSON), auth0.Transient, "ends in the middle", ""},
		"cut before the end": {status(200, `[{"log_id":"a"}`, asJSON), auth0.Transient, "ends in the middle", ""},
		"not gzip":           {encoded("gzip", "[]"), auth0.Transient, "decompress answer", ""},
		"long message":       {status(500, `{"message":"`+strings.Repeat("long\\n", 200)+`"}`, asJSON), auth0.Transient, "long long long", ""},
		"secret in message":  {status(500, `{"message":"you sent s3cr3t-value"}`, asJSON), auth0.Transient, "you sent *****", ""},
		"dropped connection": {func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, auth0.Transient, "unexpected EOF", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, config(), deps(&server{logs: tt.answer}))
			_, err := c.Logs(t.Context(), "a", 100)
			e, ok := errors.AsType[*auth0.Error](err)
			if !ok {
				t.Fatalf("error %v is no *auth0.Error", err)
			}
			if e.Kind != tt.kind || !strings.Contains(e.Error(), tt.says) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("kind %s, text %q, hint %q; want %s, %q, %q", e.Kind, e, e.Hint, tt.kind, tt.says, tt.hint)
			}
			if strings.ContainsAny(e.Error(), "\r\n") || len(e.Error()) > 500 || strings.Contains(e.Error(), "s3cr3t") {
				t.Errorf("text is not fit for a log line: %q", e)
			}
		})
	}
}

func encoded(encoding, body string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", encoding)
		answer(w, http.StatusOK, body)
	}
}

func TestSearchRefused(t *testing.T) {
	t.Parallel()
	const wall = "Requesting page 11 exceeds the allowed maximum of 1000 records"
	c := newClient(t, config(), deps(&server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusBadRequest, "", wall)
	}}))
	_, err := c.Search(t.Context(), auth0.SearchQuery{Page: 10, PerPage: 100})
	if e, ok := errors.AsType[*auth0.Error](err); !ok || e.Kind != auth0.BadRequest || e.Message != wall {
		t.Errorf("error %#v", err)
	}
}

func TestAnswersAreDecompressed(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, `[{"log_id":"a"}]`)
	_ = w.Close()
	s := &server{logs: encoded("gzip", z.String())}
	c := newClient(t, config(), deps(s))
	got, err := c.Logs(t.Context(), "0", 100)
	if err != nil || len(got.Page.Events) != 1 {
		t.Errorf("answer %+v, error %v", got, err)
	}
	if got := s.request().Header.Get("Accept-Encoding"); got != "gzip" {
		t.Errorf("accepts %q, want gzip", got)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(bytes.Repeat([]byte{' '}, 1<<20))
	_ = w.Close()
	body := strings.Repeat(z.String(), 65) // what is compressed may follow each other
	c := newClient(t, config(), deps(&server{logs: encoded("gzip", body)}))
	if _, err := c.Logs(t.Context(), "0", 100); !errors.Is(err, auth0.ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

// TestTimeout has a server that says nothing, and one that stops halfway.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"silent": "", "halfway": "["} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, config(), deps(&server{logs: func(_ int, w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, before)
					<-r.Context().Done()
				}}))
				began := time.Now()
				_, err := c.Logs(t.Context(), "a", 100)
				e, ok := errors.AsType[*auth0.Error](err)
				if !ok || e.Kind != auth0.Transient || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(e.Error(), "within 30s") {
					t.Errorf("error %v", err)
				}
				if d := time.Since(began); d != 30*time.Second {
					t.Errorf("gave up after %s, want 30s", d)
				}
			})
		})
	}
}

func TestEndedContextGivesItsCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, config(), deps(&server{logs: func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}))
		cause := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if _, err := c.Logs(ctx, "a", 100); !errors.Is(err, cause) {
			t.Errorf("error %v, want the cause", err)
		}
	})
}

// TestRedirects checks that the token reaches no other host.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		to   string
		gets int
		ok   bool
	}{
		"same host":    {"/api/v2/logs?from=b", 2, true},
		"other host":   {"https://evil.example.com/api/v2/logs", 1, false},
		"subdomain":    {"https://a.dev-tenant.example.com/api/v2/logs", 1, false},
		"in the clear": {"http://dev-tenant.example.com/api/v2/logs", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{logs: func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 0 {
					http.Redirect(w, r, tt.to, http.StatusTemporaryRedirect)
					return
				}
				answer(w, http.StatusOK, "[]")
			}}
			c := newClient(t, config(), deps(s))
			_, err := c.Logs(t.Context(), "a", 100)
			if _, gets := s.counts(); gets != tt.gets || (err == nil) != tt.ok {
				t.Errorf("%d requests, error %v", gets, err)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		headers []string
		want    string
	}{
		"as Auth0 writes it": {[]string{`<https://t.example.com/api/v2/logs?from=90020&take=100>; rel="next"`}, "90020"},
		"escaped":            {[]string{`</api/v2/logs?take=1&from=a%2Bb%20c>; rel="next"`}, "a+b c"},
		"bare word":          {[]string{`<?from=x>;rel=next`}, "x"},
		"upper case":         {[]string{`<?from=x> ; REL="NEXT"`}, "x"},
		"single quotes":      {[]string{`<?from=x>; rel='next'`}, "x"},
		"several relations":  {[]string{`<?from=x>; rel="last next"`}, "x"},
		"second of two":      {[]string{`<?from=p,q>; rel="prev"; title="a, b; rel=next", <?from=n>; title="x"; rel="next"`}, "n"},
		"second header":      {[]string{`<?from=p>; rel="prev"`, `<?from=n>; rel="next"`}, "n"},
		"none":               {nil, ""},
		"without from":       {[]string{`<?take=100>; rel="next"`}, ""},
		"other relation":     {[]string{`<?from=x>; rel="nextish"; foo="next"`}, ""},
		"broken":             {[]string{`<?from=x; rel="next"`, `nonsense`, `<%zz>; rel=next`, `<?from=y>; rel="next`}, "y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, config(), deps(&server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
				for _, h := range tt.headers {
					w.Header().Add("Link", h)
				}
				answer(w, http.StatusOK, "[]")
			}}))
			got, err := c.Logs(t.Context(), "a", 100)
			if err != nil || got.Next != tt.want {
				t.Errorf("next %q, error %v; want %q", got.Next, err, tt.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	s := &server{logs: func(n int, w http.ResponseWriter, _ *http.Request) {
		limits(w, 10, 9-n, time.Now())
		if n == 1 {
			refuse(w, http.StatusInternalServerError, "", "oops")
			return
		}
		answer(w, http.StatusOK, "[]")
	}}
	d := deps(s)
	d.Registerer = reg
	c := newClient(t, config(), d)
	for i := range 3 {
		if _, err := c.Logs(t.Context(), "a", 100); (err != nil) != (i == 1) {
			t.Fatal(err)
		}
	}
	for series, want := range map[[2]string]float64{
		{"gapless_auth0_api_calls_total", "2xx"}:            3, // the token too
		{"gapless_auth0_api_calls_total", "5xx"}:            1,
		{"gapless_auth0_api_calls_total", "logs"}:           3,
		{"gapless_auth0_api_calls_total", "dev"}:            4,
		{"gapless_auth0_failures_total", "transient"}:       1,
		{"gapless_auth0_token_requests_total", "dev"}:       1,
		{"gapless_auth0_rate_limit_limit", "dev"}:           10,
		{"gapless_auth0_rate_limit_remaining", "dev"}:       7,
		{"gapless_auth0_retries_total", "unauthorized"}:     0,
		{"gapless_auth0_rate_limit_wait_seconds_total", ""}: 0,
	} {
		if got := sample(t, reg, series[0], series[1]); got != want {
			t.Errorf("%s{%s} is %g, want %g", series[0], series[1], got, want)
		}
	}
	if _, err := auth0.New(config(), d); err == nil {
		t.Error("two clients of one name on one registry: no error")
	}
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{logs: func(_ int, w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, fmt.Sprintf(`[{"log_id":%q}]`, r.URL.Query().Get("from")))
		}}
		c := newClient(t, config(), deps(s))
		done := make(chan error, 20)
		for i := range cap(done) {
			go func() {
				got, err := c.Logs(t.Context(), fmt.Sprint("id-", i), 1)
				if err == nil && got.Page.Events[0].LogID != fmt.Sprint("id-", i) {
					err = fmt.Errorf("answers are mixed up: %+v", got)
				}
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if tokens, _ := s.counts(); tokens != 1 {
			t.Errorf("%d token requests, want 1", tokens)
		}
	})
}
