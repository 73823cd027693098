package tenant_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

const (
	base     = "http://127.0.0.1:4010"
	audience = "https://dev-tenant.us.auth0.com/api/v2/"
)

// start runs a tenant until the end of the test.
func start(tb testing.TB, opts tenant.Options) *tenant.Server {
	tb.Helper()
	s, err := tenant.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// answer is what a request brought back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// text returns the status and the body in one line.
func (a answer) text() string { return http.StatusText(a.status) + " " + string(a.body) }

// client asks a tenant, with a token once login was called.
type client struct {
	t     testing.TB
	http  *http.Client
	token string
}

func newClient(tb testing.TB, s *tenant.Server) *client {
	tb.Helper()
	return &client{t: tb, http: &http.Client{Transport: emulator.Transport(s)}}
}

// login returns a client with a token of all scopes that the tenant grants.
func login(tb testing.TB, s *tenant.Server) *client {
	tb.Helper()
	c := newClient(tb, s)
	id, secret := s.Credentials()
	a := c.form(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "audience": {audience},
	})
	var got struct {
		AccessToken string `json:"access_token"`
	}
	c.decode(a, &got)
	c.token = got.AccessToken
	return c
}

func (c *client) do(req *http.Request) answer {
	c.t.Helper()
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

func (c *client) request(method, target, contentType, body string) answer {
	c.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = base + target
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	return c.do(req)
}

func (c *client) get(target string) answer {
	c.t.Helper()
	return c.request(http.MethodGet, target, "", "")
}

func (c *client) post(target, body string) answer {
	c.t.Helper()
	return c.request(http.MethodPost, target, "application/json", body)
}

func (c *client) form(form url.Values) answer {
	c.t.Helper()
	return c.request(http.MethodPost, "/oauth/token", "application/x-www-form-urlencoded", form.Encode())
}

func (c *client) decode(a answer, v any) {
	c.t.Helper()
	if a.status >= 300 {
		c.t.Fatalf("answer: %d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		c.t.Fatalf("%v in %s", err, a.body)
	}
}

// ids returns the log_ids of a page.
func (c *client) ids(a answer) []string {
	c.t.Helper()
	var page []struct {
		LogID string `json:"log_id"`
	}
	c.decode(a, &page)
	list := make([]string, len(page))
	for i, e := range page {
		list[i] = e.LogID
	}
	return list
}

// next returns the address in the Link header.
func (c *client) next(a answer) string {
	c.t.Helper()
	link := a.header.Get("Link")
	target, rel, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || rel != `; rel="next"` {
		c.t.Fatalf("Link header %q", link)
	}
	return target
}

// walk pages from an id to the end and returns the events as they came.
func (c *client) walk(target string) []string {
	c.t.Helper()
	var all []string
	for {
		a := c.get(target)
		var page []json.RawMessage
		c.decode(a, &page)
		next := c.next(a)
		if len(page) == 0 {
			if next != target {
				c.t.Fatalf("an empty page leads from %s to %s", target, next)
			}
			return all
		}
		for _, raw := range page {
			all = append(all, string(raw))
		}
		target = next
	}
}

// from is the address of the first checkpoint page behind an id.
func from(id string) string { return base + "/api/v2/logs?from=" + id + "&take=100" }

// history fills a tenant with n events of the hour before now.
func history(tb testing.TB, s *tenant.Server, n int) {
	tb.Helper()
	now := time.Now()
	if err := s.Generate(n, now.Add(-time.Hour), now); err != nil {
		tb.Fatal(err)
	}
}

// idsOf returns the log_ids of all events.
func idsOf(tb testing.TB, s *tenant.Server) []string {
	tb.Helper()
	var list []string
	for _, raw := range s.Events() {
		ev, err := event.Parse(raw, time.Now())
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, ev.LogID)
	}
	return list
}

// texts returns all events as strings.
func texts(s *tenant.Server) []string {
	var list []string
	for _, raw := range s.Events() {
		list = append(list, string(raw))
	}
	return list
}

// types counts the codes of all events.
func types(tb testing.TB, s *tenant.Server) map[string]int {
	tb.Helper()
	counts := make(map[string]int)
	for _, raw := range s.Events() {
		ev, err := event.Parse(raw, time.Now())
		if err != nil {
			tb.Fatal(err)
		}
		counts[ev.Type]++
	}
	return counts
}

func isSorted(list []string) bool { return slices.IsSorted(list) }
