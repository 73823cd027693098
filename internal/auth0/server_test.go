package auth0_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a tenant that answers by script. Its zero value gives tokens and
// empty pages.
type server struct {
	mu     sync.Mutex
	tokens []url.Values // the forms of the token requests
	gets   []*http.Request
	times  []time.Time // of the gets

	token func(n int, w http.ResponseWriter, r *http.Request)
	logs  func(n int, w http.ResponseWriter, r *http.Request)
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth/token" {
		s.serveToken(w, r)
		return
	}
	s.mu.Lock()
	n := len(s.gets)
	s.gets = append(s.gets, r)
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if s.logs != nil {
		s.logs(n, w, r)
		return
	}
	answer(w, http.StatusOK, "[]")
}

func (s *server) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		panic(err)
	}
	s.mu.Lock()
	n := len(s.tokens)
	s.tokens = append(s.tokens, r.PostForm)
	s.mu.Unlock()
	if s.token != nil {
		s.token(n, w, r)
		return
	}
	giveToken(w, fmt.Sprint("token-", n), 86400)
}

// counts returns how many tokens and pages were asked for.
func (s *server) counts() (tokens, gets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tokens), len(s.gets)
}

// since returns when the pages were asked for, counted from the first.
func (s *server) since() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for _, at := range s.times {
		out = append(out, at.Sub(s.times[0]))
	}
	return out
}

// request returns the last request for a page.
func (s *server) request() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets[len(s.gets)-1]
}

func giveToken(w http.ResponseWriter, value string, life int) {
	answer(w, http.StatusOK, fmt.Sprintf(`{"access_token":%q,"expires_in":%d,"scope":"read:logs","token_type":"Bearer"}`, value, life))
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// refuse writes an error as the Management API does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, fmt.Sprintf(`{"statusCode":%d,"error":%q,"message":%q,"errorCode":%q}`, status, http.StatusText(status), message, code))
}

// limits writes the headers of the rate limit.
func limits(w http.ResponseWriter, limit, remaining int, reset time.Time) {
	w.Header().Set("x-ratelimit-limit", strconv.Itoa(limit))
	w.Header().Set("x-ratelimit-remaining", strconv.Itoa(remaining))
	w.Header().Set("x-ratelimit-reset", strconv.FormatInt(reset.Unix(), 10))
}

// config is that of a tenant with a secret.
func config() auth0.Config {
	return auth0.Config{Domain: "dev-tenant.example.com", ClientID: "client-1", ClientSecret: "s3cr3t-value", RateShare: 1}
}

// deps makes a client talk to a handler in memory.
func deps(h http.Handler) auth0.Deps {
	return auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(h)}, TenantName: "dev"}
}

// newClient makes a client of a handler.
func newClient(t *testing.T, cfg auth0.Config, d auth0.Deps) *auth0.Client {
	t.Helper()
	c, err := auth0.New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// sample returns the sum of a metric over the series that carry a label value;
// an empty one matches all.
func sample(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := label == ""
			for _, l := range m.GetLabel() {
				matches = matches || l.GetValue() == label
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// values returns one parameter of all token requests.
func (s *server) values(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, form := range s.tokens {
		out = append(out, form.Get(name))
	}
	return slices.Clip(out)
}
