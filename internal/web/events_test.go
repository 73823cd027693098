package web_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/web"
	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// pages returns the pages that options make.
func pages(t *testing.T, opts web.Options) http.Handler {
	t.Helper()
	h, err := web.NewHandler(opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// asking asks pages for a path.
func asking(h http.Handler, path, accept string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", accept)
	h.ServeHTTP(w, r)
	return w
}

// TestEventsAsJSON holds that the endpoint of events finds, goes on and tails.
func TestEventsAsJSON(t *testing.T) {
	t.Parallel()
	world := webtest.New(time.Now(), 300)
	h := pages(t, world.Options())
	find := func(path string) (page web.EventPage) {
		t.Helper()
		resp := asking(h, path, "application/json")
		if resp.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", path, resp.Code, resp.Body)
		}
		if err := json.Unmarshal(resp.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		return page
	}
	first := find("/api/v1/events?limit=200")
	if len(first.Events) != 200 || first.More == "" || first.Latest == "" || first.SearchedTo.IsZero() {
		t.Fatalf("the first page has %d events, more %q, latest %q, searched to %v", len(first.Events), first.More, first.Latest, first.SearchedTo)
	}
	second := find("/api/v1/events?limit=200&from=" + url.QueryEscape(first.More))
	if len(second.Events) != 100 || second.More != "" {
		t.Errorf("the second page has %d events and more %q, want the other 100 and no more", len(second.Events), second.More)
	}
	world.Journal.Add(func(e *web.EventDetail) { e.Type = "fcp" })
	if tail := find("/api/v1/events?after=" + url.QueryEscape(first.Latest)); len(tail.Events) != 1 || tail.Events[0].Type != "fcp" {
		t.Errorf("what came in since is %v, want one event", tail.Events)
	}
	for query, fits := range map[string]func(e web.Event) bool{
		"type=fp,fu&type=f":   func(e web.Event) bool { return e.Type == "fp" || e.Type == "fu" || e.Type == "f" },
		"user=MALLORY":        func(e web.Event) bool { return strings.HasPrefix(e.UserName, "mallory") },
		"ip=203.0.113.64/29":  func(e web.Event) bool { return strings.HasPrefix(e.IP, "203.0.113.") },
		"range=1h":            func(e web.Event) bool { return time.Since(e.Date) < 61*time.Minute },
		"client=storefront":   func(e web.Event) bool { return e.ClientName == "Storefront" },
		"tenant=acme-staging": func(e web.Event) bool { return e.Tenant == webtest.Staging },
	} {
		page := find("/api/v1/events?limit=500&" + query)
		if len(page.Events) == 0 || len(page.Events) > 250 {
			t.Errorf("%s finds %d events, want some of 301", query, len(page.Events))
		}
		for _, e := range page.Events {
			if !fits(e) {
				t.Errorf("%s finds %+v", query, e)
			}
		}
	}
}

// TestBadQueries holds that a query that cannot be is answered by 400 and a sentence that
// says what is wrong with which parameter.
func TestBadQueries(t *testing.T) {
	t.Parallel()
	world := webtest.New(time.Now(), 3)
	h := pages(t, world.Options())
	for query, want := range map[string]string{
		"from=elsewhere":                    "place",
		"after=elsewhere":                   "place",
		"limit=0":                           "from 1 to 500",
		"limit=501":                         "from 1 to 500",
		"limit=ten":                         "whole number",
		"since=yesterday":                   "which is no time",
		"until=2026-13-01":                  "until",
		"since=2026-11-23&until=2026-11-2":  "until",
		"since=2026-11-23&until=2026-11-22": "ends before it begins",
		"range=1y":                          "15m, 24h or 7d",
		"range=99999999d":                   "15m, 24h or 7d",
		"range=d":                           "15m, 24h or 7d",
		"ip=nowhere":                        "no address",
		"ip=203.0.113.0/99":                 "no address",
		"failed=maybe":                      "1 or 0",
		"q=" + strings.Repeat("x", 257):     "longer than 256 bytes",
		"from=" + strings.Repeat("x", 2049): "place",
	} {
		for _, path := range []string{"/api/v1/events?", "/events/rows?"} {
			resp := asking(h, path+query, "application/json")
			if resp.Code != http.StatusBadRequest || !strings.Contains(resp.Body.String(), want) {
				t.Errorf("%s%s: status %d: %s; want 400 and %q", path, query, resp.Code, resp.Body, want)
			}
		}
		if resp := asking(h, "/events?"+query, "text/html"); resp.Code != http.StatusBadRequest {
			t.Errorf("the page for %s: status %d, want 400", query, resp.Code)
		}
	}
	for _, query := range []string{"since=2026-11-23&until=2026-11-23", "top=0", "range=soon", "since=1999-01-01&until=2020-01-01"} {
		if resp := asking(h, "/api/v1/activity?"+query, "application/json"); resp.Code != http.StatusBadRequest {
			t.Errorf("the activity for %s: status %d, want 400", query, resp.Code)
		}
	}
}

// TestOneEventAsJSON holds that an event comes with its way, and that its bytes stay what
// they are.
func TestOneEventAsJSON(t *testing.T) {
	t.Parallel()
	world := webtest.New(time.Now(), 10)
	h := pages(t, world.Options())
	const raw = `{"z":1, "a":12345678901234567890.10, "z":"<b>"}`
	world.Journal.Add(func(e *web.EventDetail) { e.Tenant, e.LogID, e.Raw = webtest.Prod, "x/1", []byte(raw) })
	resp := asking(h, "/api/v1/events/acme-prod/x%2F1", "application/json")
	var got struct {
		LogID    string `json:"log_id"`
		Stations []web.Station
		Event    json.RawMessage
	}
	if err := json.Unmarshal(resp.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, resp.Body)
	}
	if got.LogID != "x/1" || len(got.Stations) != 1 || !strings.Contains(string(got.Event), "12345678901234567890.10") || strings.Count(string(got.Event), `"z"`) != 2 {
		t.Errorf("got %s", resp.Body)
	}
	file := asking(h, "/events/acme-prod/x%2F1/raw", "*/*")
	if diff := cmp.Diff(raw, file.Body.String()); diff != "" {
		t.Errorf("the download (-want +got):\n%s", diff)
	}
	if got := file.Header().Get("Content-Disposition"); got != `attachment; filename="x_1.json"` {
		t.Errorf("the download is sent as %q", got)
	}
	for _, path := range []string{"/api/v1/events/acme-prod/none", "/events/acme-prod/none", "/events/acme-prod/none/raw", "/events/nobody/x%2F1"} {
		if resp := asking(h, path, "text/html"); resp.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, resp.Code)
		}
	}
}

// stranger lets everybody in without a role.
type stranger struct{}

func (stranger) Wrap(next http.Handler, _ func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Identity{Name: "nobody"})))
	})
}

// TestEventsAreClosed holds that no address shows an event to who may not look, on a
// listener that shows none, or where there is no journal; and that a fault of the journal
// is told without what it says.
func TestEventsAreClosed(t *testing.T) {
	t.Parallel()
	world := webtest.New(time.Now(), 50)
	page, err := world.Journal.Search(t.Context(), web.EventQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	id := "/" + page.Events[0].Tenant + "/" + page.Events[0].LogID
	paths := []string{"/events", "/events/rows", "/events" + id, "/events" + id + "/raw", "/activity", "/api/v1/events", "/api/v1/events" + id, "/api/v1/activity"}
	broken := webtest.New(time.Now(), 50)
	broken.Journal.Fail(errors.New("secret path of the disk"))
	for name, tt := range map[string]struct {
		change func(o *web.Options)
		status int
	}{
		"open":       {func(*web.Options) {}, http.StatusOK},
		"closed":     {func(o *web.Options) { o.Closed = "no login" }, http.StatusForbidden},
		"no role":    {func(o *web.Options) { o.Guard = stranger{} }, http.StatusForbidden},
		"no journal": {func(o *web.Options) { o.Journal = nil }, http.StatusNotFound},
		"broken":     {func(o *web.Options) { o.Journal = broken.Journal }, http.StatusInternalServerError},
	} {
		opts := world.Options()
		tt.change(&opts)
		h := pages(t, opts)
		if got := strings.Contains(asking(h, "/", "text/html").Body.String(), "/events/"+page.Events[0].Tenant); got != (name == "open") {
			t.Errorf("%s: the overview shows the newest events: %t", name, got)
		}
		for _, path := range paths {
			resp := asking(h, path, "text/html")
			if resp.Code != tt.status {
				t.Errorf("%s: %s: status %d, want %d", name, path, resp.Code, tt.status)
			}
			if body := resp.Body.String(); tt.status != http.StatusOK && (strings.Contains(body, "@example.com") || strings.Contains(body, "secret path")) {
				t.Errorf("%s: %s tells too much:\n%s", name, path, body)
			}
		}
	}
}

// TestActivityAsJSON holds that the counts of the endpoint agree with each other.
func TestActivityAsJSON(t *testing.T) {
	t.Parallel()
	world := webtest.New(time.Now(), 500)
	h := pages(t, world.Options())
	for _, query := range []string{"", "?range=1h&top=3", "?range=7d", "?since=2020-01-01&until=2020-01-02"} {
		resp := asking(h, "/api/v1/activity"+query, "application/json")
		var a web.Activity
		if err := json.Unmarshal(resp.Body.Bytes(), &a); err != nil {
			t.Fatalf("%s: %v: %s", query, err, resp.Body)
		}
		var failures int64
		for _, n := range a.Failures {
			failures += n
		}
		if failures != a.Failed || a.Failed > a.Total || !a.Since.Before(a.Until) {
			t.Errorf("%q: %d failures by step, %d in all, of %d events from %v to %v", query, failures, a.Failed, a.Total, a.Since, a.Until)
		}
		if strings.Contains(query, "top=3") && len(a.Users) > 3 {
			t.Errorf("%d users are named, want 3", len(a.Users))
		}
	}
}
