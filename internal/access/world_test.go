package access_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/argon2"

	"github.com/gaplesslogs/gapless/internal/access"
)

// cheap hashes a password at the least cost that is taken.
func cheap(t *testing.T, password string) access.Hash {
	t.Helper()
	salt := []byte("0123456789abcdef")
	enc := base64.RawStdEncoding.EncodeToString
	h, err := access.ParseHash(fmt.Sprintf("$argon2id$v=19$m=7168,t=1,p=1$%s$%s", enc(salt), enc(argon2.IDKey([]byte(password), salt, 1, 7168, 1, 32))))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// users are a viewer and an operator.
func users(t *testing.T) []access.User {
	t.Helper()
	return []access.User{{Name: "vera", Hash: cheap(t, "vera's password"), Role: access.View}, {Name: "otto", Hash: cheap(t, "otto's password"), Role: access.Operate}}
}

// A world is a gate with a page behind it.
type world struct {
	t       *testing.T
	gate    *access.Gate
	log     *bytes.Buffer
	metrics *prometheus.Registry
	page    http.Handler
	seen    []access.Identity // by the page
	saved   []byte
	wait    func(ctx context.Context) // what the page does before it answers; may be nil
}

func newWorld(t *testing.T, p access.Policy, change ...func(*access.Options)) *world {
	t.Helper()
	w := &world{t: t, log: new(bytes.Buffer), metrics: prometheus.NewRegistry()}
	opts := access.Options{
		Policy: p, Logger: slog.New(slog.NewTextHandler(w.log, nil)), Registerer: w.metrics,
		Save: func(b []byte) error { w.saved = b; return nil },
	}
	for _, c := range change {
		c(&opts)
	}
	var err error
	if w.gate, err = access.New(opts); err != nil {
		t.Fatal(err)
	}
	w.page = w.gate.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.seen = append(w.seen, access.From(r.Context()))
		if w.wait != nil {
			w.wait(r.Context())
		}
		fmt.Fprintf(rw, "hello %s", access.From(r.Context()).Name)
	}), func(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/metrics" })
	return w
}

// last is who the page has seen last.
func (w *world) last() access.Identity {
	w.t.Helper()
	if len(w.seen) == 0 {
		w.t.Fatal("the page has seen nobody")
	}
	return w.seen[len(w.seen)-1]
}

// logins returns how many logins had an outcome.
func (w *world) logins(outcome string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "gapless_logins_total" && m.GetLabel()[0].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no outcome %q", outcome)
	return 0
}

// A browser keeps cookies, and says what browsers say of where a request comes from.
type browser struct {
	w       *world
	from    string
	base    string // scheme and host
	cookies map[string]string
}

func (w *world) browser() *browser {
	return &browser{w: w, from: "192.0.2.1:5000", base: "https://gapless.example.com", cookies: map[string]string{}}
}

// request makes one.
func (b *browser) request(method, path string, form url.Values, header ...string) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, b.base+path, body)
	r.RemoteAddr = b.from
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.base)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for i := 0; i < len(header); i += 2 {
		switch {
		case header[i+1] == "":
			r.Header.Del(header[i])
		case header[i] == "Host":
			r.Host = header[i+1]
		default:
			r.Header.Set(header[i], header[i+1])
		}
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// An answer is what comes back.
type answer struct {
	StatusCode int
	Header     http.Header
	body       string
}

// Cookies are those that are set.
func (a *answer) Cookies() (list []*http.Cookie) {
	for _, line := range a.Header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			list = append(list, c)
		}
	}
	return list
}

// send sends a request and keeps the cookies of the answer.
func (b *browser) send(r *http.Request) *answer {
	rec := httptest.NewRecorder()
	b.w.page.ServeHTTP(rec, r)
	resp := &answer{StatusCode: rec.Code, Header: rec.Header(), body: rec.Body.String()}
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return resp
}

func (b *browser) get(path string, header ...string) *answer {
	return b.send(b.request(http.MethodGet, path, nil, header...))
}

func (b *browser) post(path string, form url.Values, header ...string) *answer {
	return b.send(b.request(http.MethodPost, path, form, header...))
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// form opens the login and returns its token.
func (b *browser) form() string {
	b.w.t.Helper()
	found := csrfField.FindStringSubmatch(text(b.w.t, b.get("/login")))
	if found == nil {
		b.w.t.Fatal("the login has no form with a token")
	}
	return found[1]
}

// login fills in the form.
func (b *browser) login(name, password string) *answer {
	b.w.t.Helper()
	return b.post("/login", url.Values{"username": {name}, "password": {password}, "csrf": {b.form()}, "next": {"/events?q=1"}})
}

// session is the cookie of the session.
func (b *browser) session() string {
	return b.cookies["__Host-gapless-session"] + b.cookies["gapless-session"]
}

// text is the body of an answer.
func text(t *testing.T, resp *answer) string {
	t.Helper()
	return resp.body
}

// status checks a status.
func status(t *testing.T, what string, resp *answer, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Errorf("%s: %d, want %d: %s", what, resp.StatusCode, want, text(t, resp))
	}
}

// mustURL parses a URL.
func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// public is a policy with users behind a proxy that ends TLS.
func public(t *testing.T) access.Policy {
	t.Helper()
	return access.Policy{Users: users(t), Reachable: true, PublicURL: mustURL(t, "https://gapless.example.com"), Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
}
