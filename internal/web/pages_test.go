package web_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/web"
	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// serve returns the handler of a world; change may be nil.
func serve(t *testing.T, w *webtest.World, change func(*web.Options)) http.Handler {
	t.Helper()
	o := w.Options()
	if change != nil {
		change(&o)
	}
	h, err := web.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// browse asks as a browser does.
func browse(h http.Handler, method, path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if form != nil {
		r = httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// token returns the CSRF token of a page with a form.
func token(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no form with a token:\n%s", page)
	}
	return m[1]
}

// TestPages looks at every page in both languages: what it must show, that it is sound
// and that it breaks no rule of the policy.
func TestPages(t *testing.T) {
	t.Parallel()
	h := serve(t, webtest.New(now, 500), nil)
	for name, tt := range map[string]struct {
		path   string
		status int
		want   []string
	}{
		"overview":         {"/", 200, []string{"1 of 3 tenants needs attention", "delivering, 1.2 s behind", "AccessDeniedException", "room for", "43 of 50 calls left", `data-chart="`, "critical"}},
		"overview, 24 h":   {"/?range=24h", 200, []string{`aria-current="true">24 h`, "in the last 24 hours"}},
		"overview, odd":    {"/?range=never", 200, []string{`aria-current="true">1 h`}},
		"tenant":           {"/tenants/acme-prod", 200, []string{"Webhook", "<b>99\u00a0%</b>", "41,870 new, 112 duplicates", "0.049\u00a0%", "healed", "1,103,900", "180,000", "30 d"}},
		"tenant, stuck":    {"/tenants/acme-staging", 200, []string{"a person must act", "gapless setup plan", "2026-11-21 10:00:00", "too large"}},
		"runs":             {"/tenants/acme-staging/runs", 200, []string{"logs processed", "all read", "?before=2026-"}},
		"runs, failed":     {"/tenants/acme-staging/runs?failed=1", 200, []string{"429 Too Many Requests", "rate_share"}},
		"runs, under way":  {"/tenants/acme-prod/runs", 200, []string{"under way"}},
		"runs, wrong time": {"/tenants/acme-prod/runs?before=soon", 400, []string{"The parameter before"}},
		"batches":          {"/tenants/acme-prod/batches", 200, []string{"ThrottlingException", "looked up first", "<b>audit</b>", "?before=2026-"}},
		"letters":          {"/tenants/acme-staging/letters", 200, []string{"Replay all 7", `name="id" value="130"`, "?before=81", "Success API Operation"}},
		"letters, page":    {"/tenants/acme-staging/letters?before=81", 200, []string{`value="80"`, "Newest"}},
		"letters, filter":  {"/tenants/acme-staging/letters?kind=unreadable", 200, []string{"Replay all 2", "it is no JSON"}},
		"letters, none":    {"/tenants/acme-prod/letters", 200, []string{"No dead letters"}},
		"letter":           {"/tenants/acme-staging/letters/1", 200, []string{"Dead letter 1", "&lt;user&gt;", "1,214,002 bytes"}},
		"letter, other":    {"/tenants/acme-prod/letters/1", 404, []string{"not kept"}},
		"letter, unknown":  {"/tenants/acme-staging/letters/999", 404, []string{"not kept"}},
		"letter, no id":    {"/tenants/acme-staging/letters/x", 404, nil},
		"configuration":    {"/tenants/acme-prod/config", 200, []string{"log_group: /auth0/acme-prod", "&#39;***&#39;"}},
		"no such tenant":   {"/tenants/nobody", 404, []string{"There is no tenant &#34;nobody&#34;"}},
		"nothing":          {"/nothing", 404, []string{"nothing at this address", `<a href="/"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			en := browse(h, http.MethodGet, tt.path, nil)
			if en.Code != tt.status {
				t.Errorf("status %d, want %d", en.Code, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(en.Body.String(), want) {
					t.Errorf("no %q in\n%s", want, en.Body)
				}
			}
			ja := browse(h, http.MethodGet, tt.path, nil, "Accept-Language", "ja")
			if ja.Code != tt.status || !strings.Contains(ja.Body.String(), `<html lang="ja"`) || !strings.Contains(ja.Body.String(), "テナント") && tt.status == 200 {
				t.Errorf("in Japanese: status %d\n%s", ja.Code, ja.Body)
			}
			for _, page := range []string{en.Body.String(), ja.Body.String()} {
				obeys(t, page)
			}
		})
	}
}

// obeys holds that a page has nothing that the policy forbids or that comes from elsewhere.
func obeys(t *testing.T, page string) {
	t.Helper()
	for _, bad := range []string{`\sstyle="`, `\son[a-z]+="`, `<script(>| [^>]*>[^<])`, `<style`, `(src|href|action)="(https?:)?//`, `%!`, `ZgotmplZ`, `<no value>`} {
		if at := regexp.MustCompile(bad).FindString(page); at != "" {
			t.Errorf("the page has %q", at)
		}
	}
	for _, id := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if strings.Count(page, ` id="`+id[1]+`"`) > 1 {
			t.Errorf("the id %q is there twice", id[1])
		}
	}
	for _, kind := range []string{"main", "header", "footer"} {
		if !strings.Contains(page, "<"+kind) {
			t.Errorf("the page has no <%s>", kind)
		}
	}
}

// TestHostileNames holds that what tenants and events are called is never markup.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	w := webtest.New(now, 10)
	const hostile = `"><img src=x onerror=alert(1)>`
	w.Change(func(o *web.Overview) {
		t := &o.Tenants[0]
		t.Name, t.Source, t.Destination, t.Cursor = hostile, hostile, hostile, hostile
		t.Troubles = []web.Trouble{{Part: hostile, Class: "transient", Message: hostile, Hint: hostile}}
		t.Gaps = []web.Gap{{Reason: hostile}}
		t.Skipped = map[string]int64{hostile: 1}
		t.Sources = []web.Source{{Name: hostile}}
		t.Destinations = []web.Destination{{Name: hostile, Destination: hostile, Configured: true}}
		o.Alerts = []web.Alert{{ID: hostile, Severity: "warning", Message: hostile, Tenant: hostile, Told: []string{hostile}}}
	})
	h := serve(t, w, nil)
	for _, path := range []string{"/", "/tenants/" + url.PathEscape(hostile), "/tenants/" + url.PathEscape(hostile) + "/runs", "/tenants/" + url.PathEscape("<b>x")} {
		page := browse(h, http.MethodGet, path, nil).Body.String()
		if strings.Contains(page, "<img") || strings.Contains(page, "<b>x") {
			t.Errorf("%s has markup of others", path)
		}
	}
}

// TestPreferences holds that language and colours are kept in a cookie, and that only
// known words are.
func TestPreferences(t *testing.T) {
	t.Parallel()
	h := serve(t, webtest.New(now, 0), nil)
	for query, want := range map[string]string{"?theme=dark": "gapless_theme=dark", "?lang=ja": "gapless_lang=ja", "?theme=%22": "", "?lang=xx": ""} {
		got := browse(h, http.MethodGet, "/"+query, nil).Header().Get("Set-Cookie")
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s sets the cookie %q, want %q", query, got, want)
		}
	}
	page := browse(h, http.MethodGet, "/?range=6h", nil, "Cookie", "gapless_theme=dark; gapless_lang=ja").Body.String()
	for _, want := range []string{`<html lang="ja" data-theme="dark"`, `href="/?range=6h&amp;theme=auto"`, `href="/?lang=en&amp;range=6h"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestFragment holds that a script gets the part of a page that changes, and that it is
// the same as long as nothing happens, whatever the time.
func TestFragment(t *testing.T) {
	t.Parallel()
	w := webtest.New(now, 100)
	h := serve(t, w, nil)
	first := browse(h, http.MethodGet, "/tenants/partner-portal", nil, "X-Gapless-Fragment", "live").Body.String()
	if strings.Contains(first, "<html") || !strings.Contains(first, "data-rel") {
		t.Errorf("the fragment is\n%s", first)
	}
	w.Change(func(o *web.Overview) { o.At = o.At.Add(3 * time.Second) })
	later := serve(t, w, nil)
	if second := browse(later, http.MethodGet, "/tenants/partner-portal", nil, "X-Gapless-Fragment", "live").Body.String(); second != first {
		t.Errorf("after 3 s without news it is\n%s", second)
	}
	if whole := browse(h, http.MethodGet, "/tenants/acme-prod/config", nil, "X-Gapless-Fragment", "live").Body.String(); !strings.Contains(whole, "<html") {
		t.Error("a page without a part that changes is not whole")
	}
}

// TestDeadLettersAreActedOn plays a replay and a drop through as a browser without
// scripts does, and looks at the audit lines.
func TestDeadLettersAreActedOn(t *testing.T) {
	t.Parallel()
	w := webtest.New(now, 0)
	var log bytes.Buffer
	w.Log = slog.NewTextHandler(&log, nil)
	h := serve(t, w, nil)
	const path = "/tenants/acme-staging/letters"
	csrf := token(t, browse(h, http.MethodGet, path, nil).Body.String())
	post := func(form url.Values) *httptest.ResponseRecorder { return browse(h, http.MethodPost, path, form) }
	left := func() int {
		list, err := w.Letters.List(t.Context(), web.LetterFilter{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	picked := url.Values{"csrf": {csrf}, "do": {"replay"}, "id": {"128", "129", "130"}}
	ask := post(picked)
	if ask.Code != 200 || !strings.Contains(ask.Body.String(), "Replay 3 dead letters?") || left() != 130 {
		t.Fatalf("asked: status %d, %d left\n%s", ask.Code, left(), ask.Body)
	}
	picked.Set("confirmed", "yes")
	done := post(picked)
	if !strings.Contains(done.Body.String(), "2 dead letters replayed") || !strings.Contains(done.Body.String(), "it is no event") || left() != 128 {
		t.Errorf("done: %d left\n%s", left(), done.Body)
	}
	all := url.Values{"csrf": {csrf}, "do": {"drop_all"}, "kind": {"rejected"}, "newest": {"100"}}
	if ask := post(all); !strings.Contains(ask.Body.String(), "for good?") || !strings.Contains(ask.Body.String(), `value="drop_all"`) || left() != 128 {
		t.Errorf("asked: %d left\n%s", left(), ask.Body)
	}
	all.Set("confirmed", "yes")
	if done := post(all); !strings.Contains(done.Body.String(), "98 dead letters dropped") || left() != 30 {
		t.Errorf("done: %d left\n%s", left(), done.Body)
	}
	for _, want := range []string{"operation=deadletter_replay outcome=done by=local role=operate tenant=acme-staging moved=2 left=1 ids=\"[128 129 130]\"", "operation=deadletter_drop outcome=done by=local role=operate tenant=acme-staging moved=98"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log.String())
		}
	}
}

// TestOperationsAreGuarded holds what must not act: requests without the token, with
// nothing picked, with a broken form, of who may only look, and of anybody when closed.
func TestOperationsAreGuarded(t *testing.T) {
	t.Parallel()
	const path = "/tenants/acme-staging/letters"
	as := func(i access.Identity) func(*web.Options) {
		return func(o *web.Options) { o.Guard = identities{i} }
	}
	closed := func(o *web.Options) { o.Closed = "This listener asks for no login." }
	act := url.Values{"do": {"drop"}, "id": {"130"}, "confirmed": {"yes"}}
	for name, tt := range map[string]struct {
		change func(*web.Options)
		form   url.Values
		status int
		want   string
	}{
		"no ids":          {nil, url.Values{"do": {"drop"}}, 400, "Nothing was picked"},
		"no operation":    {nil, url.Values{"do": {"burn"}, "id": {"1"}}, 400, "cannot be read"},
		"ids of letters":  {nil, url.Values{"do": {"drop"}, "id": {"x", "1"}}, 400, "cannot be read"},
		"all, no bound":   {nil, url.Values{"do": {"drop_all"}, "confirmed": {"yes"}}, 400, "cannot be read"},
		"all, bound of 0": {nil, url.Values{"do": {"drop_all"}, "newest": {"0"}, "confirmed": {"yes"}}, 400, "cannot be read"},
		"too long":        {nil, url.Values{"do": {strings.Repeat("x", 70<<10)}}, 413, "too large"},
		"may look":        {as(access.Identity{Name: "ann", Role: access.View}), act, 403, "may look, but not act"},
		"stranger":        {as(access.Identity{}), act, 403, "may look, but not act"},
		"closed":          {closed, act, 403, "asks for no login"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := webtest.New(now, 0)
			var log bytes.Buffer
			w.Log = slog.NewTextHandler(&log, nil)
			h := serve(t, w, tt.change)
			if tt.change == nil {
				if resp := browse(h, http.MethodPost, path, act); resp.Code != 403 || !strings.Contains(resp.Body.String(), "not from this page") {
					t.Errorf("without the token: status %d\n%s", resp.Code, resp.Body)
				}
				tt.form.Set("csrf", token(t, browse(h, http.MethodGet, path, nil).Body.String()))
			}
			if name == "closed" { // there is no form to take the token from, and a token of its own to be had from no page
				h = serve(t, w, func(o *web.Options) {
					tt.change(o)
					o.Guard = identities{access.Identity{Name: "local", Role: access.Operate}}
				})
			}
			resp := browse(h, http.MethodPost, path, tt.form)
			if resp.Code != tt.status || !strings.Contains(resp.Body.String(), tt.want) {
				t.Errorf("status %d, want %d and %q\n%s", resp.Code, tt.status, tt.want, resp.Body)
			}
			if list, err := w.Letters.List(t.Context(), web.LetterFilter{}, 1000); err != nil || len(list) != 130 {
				t.Errorf("%d letters are left, error %v", len(list), err)
			}
			if line := `operation=request outcome=refused by=ann role=view reason=role path=/tenants/acme-staging/letters`; name == "may look" && !strings.Contains(log.String(), line) {
				t.Errorf("the log does not tell of it: %s", log.String())
			}
		})
	}
}

// identities is a guard that lets everybody in as one.
type identities struct{ as access.Identity }

// Wrap implements access.Guard.
func (g identities) Wrap(next http.Handler, _ func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), g.as)))
	})
}

// TestClosed holds that a listener which others reach and that asks for no login shows
// figures and no events.
func TestClosed(t *testing.T) {
	t.Parallel()
	h := serve(t, webtest.New(now, 10), func(o *web.Options) { o.Closed = "Set a password first." })
	for path, status := range map[string]int{
		"/": 200, "/tenants/acme-prod": 200, "/tenants/acme-prod/runs": 200, "/api/v1/status": 200, "/api/v1/series": 200, "/healthz": 200,
		"/tenants/acme-staging/letters": 403, "/tenants/acme-staging/letters/1": 403, "/tenants/acme-prod/config": 403,
		"/api/v1/deadletters": 403, "/api/v1/deadletters/1": 403,
	} {
		resp := browse(h, http.MethodGet, path, nil)
		if resp.Code != status || status == 403 && !strings.Contains(resp.Body.String(), "Set a password first.") {
			t.Errorf("%s: status %d, want %d\n%s", path, resp.Code, status, resp.Body)
		}
		if strings.Contains(resp.Body.String(), `href="/tenants/acme-prod/letters"`) || strings.Contains(resp.Body.String(), `href="/events"`) {
			t.Errorf("%s leads to what is closed", path)
		}
	}
}

// TestFailuresAreTold holds that a journal which cannot be read costs a page and not the
// secrets of its error, and that a page without a journal does without.
func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	w := webtest.New(now, 10)
	w.Journal.Fail(errors.New("secret path of the disk"))
	h := serve(t, w, nil)
	for _, path := range []string{"/", "/tenants/acme-prod", "/tenants/acme-prod/runs", "/tenants/acme-prod/batches", "/api/v1/runs", "/api/v1/series", "/api/v1/batches"} {
		resp := browse(h, http.MethodGet, path, nil)
		if resp.Code != 500 || strings.Contains(resp.Body.String(), "secret path") {
			t.Errorf("%s: status %d\n%s", path, resp.Code, resp.Body)
		}
	}
	bare := serve(t, w, func(o *web.Options) { o.Journal, o.Letters, o.Config = nil, nil, nil })
	for path, status := range map[string]int{
		"/": 200, "/tenants/acme-prod": 200, "/tenants/acme-prod/runs": 404, "/tenants/acme-staging/letters": 404, "/tenants/acme-prod/config": 404, "/api/v1/runs": 404, "/api/v1/deadletters": 404,
	} {
		if resp := browse(bare, http.MethodGet, path, nil); resp.Code != status {
			t.Errorf("without a journal %s: status %d, want %d", path, resp.Code, status)
		}
	}
}

// TestLoginPage holds that the page of the login shows what there is to log in with, and
// what went wrong.
func TestLoginPage(t *testing.T) {
	t.Parallel()
	render, err := web.NewLoginRenderer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		page access.LoginPage
		want []string
		not  []string
	}{
		"password":         {access.LoginPage{Password: true, Next: "/events?user=a&x=1", CSRF: "tok"}, []string{`action="/login"`, `name="password"`, `value="tok"`, `value="/events?user=a&amp;x=1"`}, []string{"/login/oidc", `role="alert"`}},
		"provider":         {access.LoginPage{Provider: "Auth0", Next: "/events?user=a&x=1"}, []string{`href="/login/oidc?next=%2fevents%3fuser%3da%26x%3d1"`, "Log in with Auth0"}, []string{`name="password"`}},
		"both":             {access.LoginPage{Password: true, Provider: "Okta"}, []string{"Okta", `name="username"`, "<span>or</span>"}, nil},
		"wrong":            {access.LoginPage{Password: true, Problem: access.Wrong}, []string{`role="alert"`, "is wrong"}, nil},
		"too many":         {access.LoginPage{Password: true, Problem: access.TooMany, RetryAfter: 90}, []string{"1 min 30 s"}, nil},
		"not them":         {access.LoginPage{Provider: "Auth0", Problem: access.NotAllowed, Who: "<eve>"}, []string{"&lt;eve&gt; may not"}, nil},
		"provider refuses": {access.LoginPage{Provider: "Auth0", Problem: access.Provider}, []string{"cannot be reached"}, nil},
		"expired":          {access.LoginPage{Password: true, Problem: access.Expired}, []string{"too long"}, nil},
		"logged out":       {access.LoginPage{Password: true, Problem: access.LoggedOut}, []string{"logged out"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			render(w, httptest.NewRequest(http.MethodGet, "/login", nil), http.StatusUnauthorized, tt.page)
			page := w.Body.String()
			if w.Code != http.StatusUnauthorized {
				t.Errorf("status %d", w.Code)
			}
			obeys(t, page)
			for _, want := range tt.want {
				if !strings.Contains(page, want) {
					t.Errorf("no %q in\n%s", want, page)
				}
			}
			for _, not := range append(tt.not, "/tenants/", `href="/events"`) {
				if strings.Contains(page, not) {
					t.Errorf("%q in\n%s", not, page)
				}
			}
		})
	}
}

// TestWhoIsLoggedIn holds that a session shows its name and a way out.
func TestWhoIsLoggedIn(t *testing.T) {
	t.Parallel()
	h := serve(t, webtest.New(now, 0), func(o *web.Options) {
		o.Guard = identities{access.Identity{Name: "ann@example.com", Role: access.View, CSRF: "tok", Session: true}}
	})
	page := browse(h, http.MethodGet, "/", nil).Body.String()
	for _, want := range []string{"ann@example.com", `action="/logout"`, `name="csrf" value="tok"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	letters := browse(h, http.MethodGet, "/tenants/acme-staging/letters", nil).Body.String()
	if strings.Contains(letters, `value="drop_all"`) || !strings.Contains(letters, "may look, but not act") {
		t.Error("who may only look is offered to act")
	}
}
