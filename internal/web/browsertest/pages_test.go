package browsertest_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/web"
	"github.com/gaplesslogs/gapless/internal/web/browsertest"
	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// handler returns the pages of a world.
func handler(t *testing.T, opts web.Options) *web.Handler {
	t.Helper()
	h, err := web.NewHandler(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.End)
	return h
}

// open opens a tab for the pages of a world.
func open(t *testing.T, w *webtest.World) *browsertest.Tab {
	t.Helper()
	return chromium.Tab(t, handler(t, w.Options()))
}

// eventPath returns the address of the newest event that a query finds.
func eventPath(t *testing.T, w *webtest.World, q web.EventQuery) string {
	t.Helper()
	q.Limit = 1
	page, err := w.Journal.Search(t.Context(), q)
	if err != nil || len(page.Events) == 0 {
		t.Fatalf("the world has no such event: %v", err)
	}
	e := page.Events[0]
	return "/events/" + url.PathEscape(e.Tenant) + "/" + url.PathEscape(e.LogID)
}

// ofTheView are the rules of axe-core whose outcome depends on width, colours and
// language. The others are about what the page is made of, which is the same in each.
var ofTheView = []string{"color-contrast", "link-in-text-block", "scrollable-region-focusable", "empty-heading", "link-name", "button-name", "label", "html-has-lang", "valid-lang"}

// TestEveryPage looks at every page: in English in a wide window and light, in Japanese on
// a phone and dark, with no event and with many. None breaks a rule of axe-core, is wider
// than its window, complains on the console or asks for anything elsewhere.
func TestEveryPage(t *testing.T) {
	now := time.Now()
	many, none := webtest.New(now, 3000), webtest.Empty(now)
	tabs := map[*webtest.World]*browsertest.Tab{many: open(t, many), none: open(t, none)}
	for _, tt := range []struct {
		name, path string
		world      *webtest.World
	}{
		{"overview", "/", many},
		{"events", "/events?limit=20", many},
		{"search", "/events?limit=10&type=fp,limit_wc&range=24h&ip=203.0.113.0/24", many},
		{"no-result", "/events?user=nobody&range=1h", many},
		{"event", eventPath(t, many, web.EventQuery{Types: []string{"fp"}}), many},
		{"waiting", eventPath(t, many, web.EventQuery{Tenant: webtest.Staging}), many},
		{"activity", "/activity?range=6h", many},
		{"tenant", "/tenants/acme-staging", many},
		{"runs", "/tenants/acme-prod/runs?failed=1", many},
		{"batches", "/tenants/acme-prod/batches", many},
		{"letters", "/tenants/acme-staging/letters?reason=unreadable", many},
		{"letter", "/tenants/acme-staging/letters/65", many},
		{"config", "/tenants/acme-prod/config", many},
		{"missing", "/nothing", many},
		{"empty-overview", "/", none},
		{"empty-events", "/events", none},
		{"empty-activity", "/activity", none},
		{"empty-tenant", "/tenants/acme-prod", none},
		{"empty-letters", "/tenants/acme-prod/letters", none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := tabs[tt.world]
			wide, narrow := browsertest.View{Width: 1440, Lang: "en"}, browsertest.View{Width: 360, Dark: true, Lang: "ja"}
			tab.Look(wide)
			tab.Open(tt.path)
			judge(tab, tt.name, wide)
			tab.Look(browsertest.View{Width: 360, Lang: "en"}) // its words are the longest
			tab.Fits()
			tab.Look(narrow)
			tab.Open(tt.path)
			if got := browsertest.Eval[string](tab, "document.documentElement.lang"); got != "ja" {
				t.Errorf("the page speaks %q, want ja", got)
			}
			judge(tab, tt.name, narrow, ofTheView...)
			if tt.name == "missing" {
				tab.Forgive("status of 404")
			}
			tab.Clean()
		})
	}
}

// judge looks at a page, and keeps a picture.
func judge(tab *browsertest.Tab, name string, v browsertest.View, rules ...string) {
	tab.Shot(name + "-" + v.String())
	tab.Fits()
	tab.Accessible(rules...)
}

// TestOverviewIsLive holds that the overview follows the figures by itself, and goes on
// after the server was away.
func TestOverviewIsLive(t *testing.T) {
	w := webtest.New(time.Now(), 10)
	tab := open(t, w)
	tab.Open("/")
	tab.Wait(`!document.body.innerText.includes("9,876,543")`)
	w.Change(func(o *web.Overview) { o.Tenants[0].Stored = 9_876_543 })
	tab.WaitText("#live", "9,876,543")
}

// TestReplayReplays holds that a dead letter leaves by a replay, after one has confirmed
// it, and no other with it; and that it stays where one does not confirm.
func TestReplayReplays(t *testing.T) {
	w := webtest.New(time.Now(), 10)
	tab := open(t, w)
	left := func() int {
		t.Helper()
		list, err := w.Letters.List(t.Context(), web.LetterFilter{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := left()
	const list = "/tenants/acme-staging/letters"
	ask := func(do string) {
		t.Helper()
		tab.Open(list + "?reason=too_large")
		tab.Click(`input[name="id"]`)
		tab.Click(`button[name="do"][value="` + do + `"]`)
		tab.Wait(`document.querySelector('input[name="confirmed"]')`)
	}
	ask("replay")
	tab.Accessible()
	tab.Click(`a.button[href*="letters"]`)
	tab.Wait(`document.querySelector('input[name="id"][type="checkbox"]')`)
	if got := left(); got != before {
		t.Errorf("without a confirmation %d letters are left of %d", got, before)
	}
	ask("replay")
	tab.Click(`button[name="do"]`)
	tab.Wait(`document.querySelector("h1") && !document.querySelector('input[name="confirmed"]')`)
	if got := left(); got != before-1 {
		t.Errorf("after a replay %d letters are left of %d, want one less", got, before)
	}
	ask("drop")
	tab.Click(`button[name="do"]`)
	tab.Wait(`document.querySelector("h1") && !document.querySelector('input[name="confirmed"]')`)
	if got := left(); got != before-2 {
		t.Errorf("after a drop %d letters are left of %d, want one less", got, before-1)
	}
}

// TestLoginPage holds that the page of the login is as fit for everybody as the others.
func TestLoginPage(t *testing.T) {
	draw, err := web.NewLoginRenderer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pages := handler(t, webtest.New(time.Now(), 1).Options())
	tab := chromium.Tab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			pages.ServeHTTP(w, r)
			return
		}
		draw(w, r, http.StatusOK, access.LoginPage{Password: true, Provider: "Acme SSO", Problem: access.Problem(r.URL.Query().Get("problem")), RetryAfter: 30, Who: "eve@example.com"})
	}))
	for _, problem := range []access.Problem{access.NoProblem, access.Wrong, access.TooMany, access.NotAllowed} {
		v := browsertest.View{Width: 360, Dark: problem == access.Wrong, Lang: "en"}
		tab.Look(v)
		tab.Open("/login?problem=" + string(problem))
		judge(tab, "login"+string(problem), v)
	}
}
