package access_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
)

func TestLoopbackNeedsNoLogin(t *testing.T) {
	w := newWorld(t, access.Policy{})
	for _, base := range []string{"http://127.0.0.1:8080", "http://localhost:8080", "http://LOCALHOST", "http://[::1]:8080", "http://127.9.9.9"} {
		b := w.browser()
		b.base, b.from = base, "127.0.0.1:9"
		status(t, base, b.get("/events"), 200)
		who := w.last()
		if who.Name != "local" || who.Role != access.Operate || who.Session {
			t.Errorf("%s: seen as %+v", base, who)
		}
		status(t, "with its token", b.post("/replay", url.Values{"csrf": {who.CSRF}}), 200)
		status(t, "with the token in a header", b.post("/replay", nil, "X-CSRF-Token", who.CSRF), 200)
		status(t, "the login leads home", b.get("/login"), 303)
	}
}

// Loopback without a login is guarded against what browsers can be made to do.
func TestLoopbackAttacked(t *testing.T) {
	w := newWorld(t, access.Policy{})
	b := w.browser()
	b.base, b.from = "http://127.0.0.1:8080", "127.0.0.1:9"
	b.get("/events")
	token := w.last().CSRF
	w.seen = nil
	form := url.Values{"csrf": {token}}
	for what, r := range map[string]*http.Request{
		"rebinding":                    b.request("GET", "/events", nil, "Host", "evil.example:8080"),
		"rebinding to a like name":     b.request("GET", "/events", nil, "Host", "localhost.evil.example"),
		"rebinding to 127.0.0.1.nip":   b.request("GET", "/events", nil, "Host", "127.0.0.1.nip.io"),
		"no host":                      b.request("GET", "/events", nil, "Host", "\x00"),
		"rebinding, changing":          b.request("POST", "/replay", form, "Host", "evil.example:8080", "Origin", "http://evil.example:8080"),
		"a proxy":                      b.request("GET", "/events", nil, "X-Forwarded-For", "192.0.2.7"),
		"another proxy":                b.request("GET", "/events", nil, "Via", "1.1 squid"),
		"no token":                     b.request("POST", "/replay", url.Values{}),
		"a wrong token":                b.request("POST", "/replay", url.Values{"csrf": {token + "x"}}),
		"token in the query":           b.request("POST", "/replay?csrf="+token, url.Values{}),
		"cross-site":                   b.request("POST", "/replay", form, "Sec-Fetch-Site", "cross-site"),
		"same-site, another port":      b.request("POST", "/replay", form, "Sec-Fetch-Site", "same-site"),
		"old browser, another origin":  b.request("POST", "/replay", form, "Sec-Fetch-Site", "", "Origin", "http://127.0.0.1:3000"),
		"old browser, sandboxed frame": b.request("POST", "/replay", form, "Sec-Fetch-Site", "", "Origin", "null"),
		"PUT":                          b.request("PUT", "/replay", nil),
		"DELETE":                       b.request("DELETE", "/replay", nil),
		"OPTIONS":                      b.request("OPTIONS", "/replay", nil),
		"script of another site":       b.request("GET", "/events", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"),
		"frame of another site":        b.request("GET", "/events", nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "iframe"),
		"fetch from another port":      b.request("GET", "/api/v1/events", nil, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"),
	} {
		resp := b.send(r)
		status(t, what, resp, 403)
		if resp.Header.Get("X-Frame-Options") != "DENY" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers are %v", what, resp.Header)
		}
	}
	if len(w.seen) > 0 {
		t.Errorf("the page has seen %v", w.seen)
	}
	status(t, "a link from elsewhere", b.get("/events", "Sec-Fetch-Site", "cross-site"), 200)
	status(t, "health by any name", b.get("/healthz", "Host", "pod-1"), 200)
	if who := w.last(); who.Role != access.None {
		t.Errorf("by any name one is %+v", who)
	}
}

// Where others can reach a page without a login, nobody acts.
func TestReachableWithoutLogin(t *testing.T) {
	p := access.Policy{Reachable: true}
	w := newWorld(t, p)
	if w.gate.Locked() || p.Closed() == "" {
		t.Error("it is not closed")
	}
	b := w.browser()
	status(t, "figures", b.get("/"), 200)
	if who := w.last(); who.Role != access.View || who.CSRF != "" {
		t.Errorf("seen as %+v", who)
	}
	status(t, "an operation", b.post("/replay", url.Values{"csrf": {""}}), 403)
	status(t, "an operation of a program", b.post("/api/replay", nil, "Sec-Fetch-Site", ""), 403)
}

func TestLogin(t *testing.T) {
	w := newWorld(t, public(t))
	b := w.browser()
	resp := b.get("/events?q=a%20b")
	status(t, "a stranger", resp, 303)
	if got := resp.Header.Get("Location"); got != "/login?next=%2Fevents%3Fq%3Da%2520b" {
		t.Errorf("a stranger goes to %s", got)
	}
	for what, r := range map[string]*http.Request{
		"API":                                 b.request("GET", "/api/v1/status", nil),
		"SSE":                                 b.request("GET", "/live", nil, "Accept", "text/event-stream"),
		"script":                              b.request("GET", "/part", nil, "Sec-Fetch-Mode", "cors"),
		"htmx":                                b.request("GET", "/part", nil, "HX-Request", "true"),
		"operation":                           b.request("POST", "/replay", url.Values{"csrf": {""}}),
		"open, but changing":                  b.request("POST", "/healthz", url.Values{}),
		"logout of a stranger in another way": b.request("PUT", "/login", nil),
	} {
		resp := b.send(r)
		status(t, what, resp, 401)
		if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s: %s", what, ct)
		}
	}
	status(t, "health", b.get("/healthz"), 200)
	if len(w.seen) != 1 || w.last() != (access.Identity{}) {
		t.Errorf("the page has seen %+v", w.seen)
	}
	resp = b.login("vera", "vera's password")
	status(t, "login", resp, 303)
	if got := resp.Header.Get("Location"); got != "/events?q=1" {
		t.Errorf("the login goes on to %s", got)
	}
	status(t, "a page", b.get("/events"), 200)
	who := w.last()
	if who.Name != "vera" || who.Role != access.View || !who.Session || who.CSRF == "" {
		t.Errorf("seen as %+v", who)
	}
	status(t, "a form without a token", b.post("/replay", url.Values{}), 403)
	status(t, "a form with the token", b.post("/replay", url.Values{"csrf": {who.CSRF}}), 200)
	status(t, "of another site", b.post("/replay", url.Values{"csrf": {who.CSRF}}, "Sec-Fetch-Site", "cross-site"), 403)
	if strings.Contains(w.log.String(), "password=") || strings.Contains(w.log.String(), "vera's") {
		t.Errorf("the log holds a password: %s", w.log)
	}
	for _, want := range []string{"operation=login outcome=ok by=vera role=view method=password", "from=192.0.2.1"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log does not hold %q: %s", want, w.log)
		}
	}
	if w.logins("ok") != 1 {
		t.Error("the login is not counted")
	}
}

// A session of one browser has a token of its own.
func TestTokensAreOfTheirSession(t *testing.T) {
	w := newWorld(t, public(t))
	one, other := w.browser(), w.browser()
	one.login("otto", "otto's password")
	other.login("otto", "otto's password")
	one.get("/")
	token := w.last().CSRF
	status(t, "another session's token", other.post("/replay", url.Values{"csrf": {token}}), 403)
	status(t, "its own", one.post("/replay", url.Values{"csrf": {token}}), 200)
}

// TestFormReachesThePage holds that the page gets the form out of which the token was read.
func TestFormReachesThePage(t *testing.T) {
	w := newWorld(t, public(t))
	b := w.browser()
	b.login("otto", "otto's password")
	b.get("/")
	form := url.Values{"csrf": {w.last().CSRF}, "do": {"replay"}}
	got := ""
	w.page = w.gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got = r.PostForm.Get("do")
	}), func(*http.Request) bool { return false })
	status(t, "its own", b.post("/replay", form), 200)
	if got != "replay" {
		t.Errorf("the page is asked to do %q", got)
	}
}

func TestCookies(t *testing.T) {
	check := func(what string, resp *answer, name string, secure bool) {
		t.Helper()
		for _, c := range resp.Cookies() {
			if strings.TrimPrefix(c.Name, "__Host-") != strings.TrimPrefix(name, "__Host-") || c.MaxAge < 0 {
				continue
			}
			if c.Name != name || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("%s: %s", what, c)
			}
			return
		}
		t.Errorf("%s: no cookie %s", what, name)
	}
	w := newWorld(t, public(t))
	check("behind TLS", w.browser().login("vera", "vera's password"), "__Host-gapless-session", true)
	check("behind TLS", w.browser().get("/login"), "__Host-gapless-form", true)
	w = newWorld(t, access.Policy{Users: users(t)})
	b := w.browser()
	check("TLS of its own", b.login("vera", "vera's password"), "__Host-gapless-session", true)
	b = w.browser()
	b.base = "http://127.0.0.1:8080"
	check("loopback", b.login("vera", "vera's password"), "gapless-session", false)
}

// The id of a session that somebody has put into a browser is worth nothing after the login.
func TestSessionFixation(t *testing.T) {
	w := newWorld(t, public(t))
	b := w.browser()
	b.cookies["__Host-gapless-session"] = "attackers-choice"
	b.login("vera", "vera's password")
	first := b.session()
	if first == "attackers-choice" || len(first) != 43 {
		t.Errorf("the session is %q", first)
	}
	token := w.browser() // whoever has a session sees no form
	csrf := token.form()
	b.cookies["__Host-gapless-form"] = token.cookies["__Host-gapless-form"]
	status(t, "login again", b.post("/login", url.Values{"username": {"otto"}, "password": {"otto's password"}, "csrf": {csrf}}), 303)
	if b.session() == first {
		t.Error("the session was not rotated")
	}
	old := w.browser()
	old.cookies["__Host-gapless-session"] = first
	status(t, "the session before", old.get("/events"), 303)
}

func TestLogout(t *testing.T) {
	w := newWorld(t, public(t))
	b := w.browser()
	b.login("vera", "vera's password")
	b.get("/")
	token, kept := w.last().CSRF, b.session()
	status(t, "a link", b.get("/logout"), 405)
	status(t, "without a token", b.post("/logout", url.Values{}), 403)
	status(t, "from elsewhere", b.post("/logout", url.Values{"csrf": {token}}, "Sec-Fetch-Site", "cross-site"), 403)
	status(t, "still in", b.get("/"), 200)
	resp := b.post("/logout", url.Values{"csrf": {token}})
	status(t, "logout", resp, 303)
	if b.session() != "" {
		t.Error("the browser keeps the cookie")
	}
	b.cookies["__Host-gapless-session"] = kept
	status(t, "the cookie from before", b.get("/"), 303)
	if !strings.Contains(w.log.String(), "operation=logout outcome=ok by=vera") {
		t.Errorf("the log has no logout: %s", w.log)
	}
	if !strings.Contains(text(t, b.get(resp.Header.Get("Location"))), "logged out") {
		t.Error("nobody says that one is logged out")
	}
}

// What lasts ends with its session.
func TestLogoutEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, public(t))
		b := w.browser()
		b.login("vera", "vera's password")
		b.get("/")
		token := w.last().CSRF
		ended := make(chan struct{})
		w.wait = func(ctx context.Context) { <-ctx.Done() }
		go func() {
			defer close(ended)
			rec := b.request("GET", "/live", nil, "Accept", "text/event-stream")
			w.page.ServeHTTP(discard{http.Header{}}, rec)
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the stream has ended before")
		default:
		}
		b.post("/logout", url.Values{"csrf": {token}})
		<-ended
	})
}

// discard is a ResponseWriter.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func TestSessionsEndByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := public(t)
		p.Idle, p.Lifetime = time.Hour, 5*time.Hour
		w := newWorld(t, p)
		idle, busy := w.browser(), w.browser()
		idle.login("vera", "vera's password")
		busy.login("vera", "vera's password")
		for range 5 {
			<-time.After(59 * time.Minute)
			status(t, "busy", busy.get("/"), 200)
		}
		status(t, "idle", idle.get("/"), 303)
		<-time.After(10 * time.Minute)
		status(t, "busy for five hours", busy.get("/"), 303)
	})
}

func TestReload(t *testing.T) {
	w := newWorld(t, public(t))
	vera, otto := w.browser(), w.browser()
	vera.login("vera", "vera's password")
	otto.login("otto", "otto's password")

	p := public(t)
	p.Users[1].Role = access.View
	w.gate.Use(p)
	otto.get("/")
	if who := w.last(); who.Role != access.View {
		t.Errorf("who was downgraded is %+v", who)
	}
	p = public(t)
	p.Users[0].Hash = cheap(t, "another password")
	w.gate.Use(p)
	status(t, "whose password was changed", vera.get("/"), 303)
	status(t, "the others", otto.get("/"), 200)
	if who := w.last(); who.Role != access.Operate {
		t.Errorf("who was upgraded is %+v", who)
	}
	p.Users = p.Users[:1]
	w.gate.Use(p)
	status(t, "who was removed", otto.get("/"), 303)
	w.gate.Use(public(t))
	status(t, "who was removed once", otto.get("/"), 303)
}

// Sessions go on after a restart, and what is kept of them opens nothing.
func TestSessionsAreKept(t *testing.T) {
	w := newWorld(t, public(t))
	b := w.browser()
	b.login("vera", "vera's password")
	if err := w.gate.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(w.saved), b.session()) || len(w.saved) == 0 {
		t.Errorf("kept: %s", w.saved)
	}
	again := newWorld(t, public(t), func(o *access.Options) { o.Saved = w.saved })
	b.w = again
	status(t, "after a restart", b.get("/"), 200)
	for what, saved := range map[string]string{"garbage": "{", "strange": `[{"sum":"AA==","who":{"name":"otto"}}]`} {
		other := newWorld(t, public(t), func(o *access.Options) { o.Saved = []byte(saved) })
		b.w = other
		status(t, what, b.get("/"), 303)
	}
	changed := public(t)
	changed.Users[0].Hash = cheap(t, "another password")
	b.w = newWorld(t, changed, func(o *access.Options) { o.Saved = w.saved })
	status(t, "the password was changed meanwhile", b.get("/"), 303)
}

func TestSessionsAreBounded(t *testing.T) {
	w := newWorld(t, public(t))
	first := w.browser()
	first.login("vera", "vera's password")
	other := w.browser()
	other.login("otto", "otto's password")
	for range 20 {
		w.browser().login("vera", "vera's password")
	}
	status(t, "the oldest of many", first.get("/"), 303)
	status(t, "somebody else's", other.get("/"), 200)
}

// A stranger learns nothing about who there is, and is held back.
func TestNamesAreNotTold(t *testing.T) {
	answers := map[string]string{}
	for _, name := range []string{"vera", "nobody", "", strings.Repeat("x", 5000), "otto\r\nSet-Cookie: a=b", "\u202evera"} {
		w := newWorld(t, public(t))
		b := w.browser()
		var all strings.Builder
		for range 8 {
			resp := b.login(name, "wrong")
			fmt.Fprintln(&all, resp.StatusCode, resp.Header.Get("Retry-After"), len(resp.Cookies()), csrfField.ReplaceAllString(text(t, resp), ""))
		}
		answers[name] = all.String()
		if strings.Contains(w.log.String(), "\r") || strings.Count(w.log.String(), "\n") > 8 {
			t.Errorf("the log of %q: %s", name, w.log)
		}
	}
	for name, a := range answers {
		if a != answers["vera"] {
			t.Errorf("%q is answered otherwise:\n%s\n%s", name, a, answers["vera"])
		}
	}
}

// What may be a password in the wrong field is not logged.
func TestUnknownNamesAreNotLogged(t *testing.T) {
	w := newWorld(t, public(t))
	w.browser().login("Tr0ub4dor&3", "x")
	w.browser().login("vera", "x")
	if strings.Contains(w.log.String(), "Tr0ub4") || !strings.Contains(w.log.String(), "name=Tr…") || !strings.Contains(w.log.String(), "name=vera") {
		t.Errorf("the log: %s", w.log)
	}
}

func TestBruteForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, public(t))
		b := w.browser()
		tried, pauses := 0, []string{}
		for start := time.Now(); time.Since(start) < 24*time.Hour; {
			resp := b.login("vera", fmt.Sprint("guess ", tried))
			if resp.StatusCode == http.StatusTooManyRequests {
				pauses = append(pauses, resp.Header.Get("Retry-After"))
				wait, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s")
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(wait)
				continue
			}
			status(t, "a guess", resp, 403)
			tried++
		}
		if tried > 130 || tried < 20 {
			t.Errorf("%d guesses in a day", tried)
		}
		if len(pauses) < 8 || pauses[0] != "1" || pauses[1] != "2" || pauses[7] != "128" {
			t.Errorf("the pauses are %v", pauses)
		}
		status(t, "one more guess", b.login("vera", "guess"), 403)
		status(t, "even the right one waits", b.login("vera", "vera's password"), 429)
		if w.logins("too_many") == 0 || !strings.Contains(w.log.String(), "outcome=too_many") {
			t.Error("nobody tells of it")
		}
		other := w.browser()
		other.from = "198.51.100.7:1"
		<-time.After(time.Minute)
		status(t, "another address", other.login("vera", "vera's password"), 303)
	})
}

// Guessing from many addresses is slow for a name, and does not keep out its owner where
// they have logged in before.
func TestBruteForceFromEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, public(t))
		home := w.browser()
		home.from = "198.51.100.7:1"
		status(t, "at home", home.login("vera", "vera's password"), 303)
		tried := 0
		for i := range 600 {
			b := w.browser()
			b.from = fmt.Sprintf("[2001:db8:%x::1]:1", i)
			if b.login("vera", "guess").StatusCode == http.StatusForbidden {
				tried++
			}
			<-time.After(time.Second)
		}
		if tried > 35 {
			t.Errorf("%d guesses in ten minutes", tried)
		}
		again := w.browser()
		again.from = home.from
		status(t, "at home, meanwhile", again.login("vera", "vera's password"), 303)
	})
}

func TestManyAtOnceGetNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, public(t))
		csrf := w.browser()
		token := csrf.form()
		codes := make(chan int, 50)
		for range 50 {
			b := w.browser()
			b.cookies["__Host-gapless-form"] = csrf.cookies["__Host-gapless-form"]
			r := b.request("POST", "/login", url.Values{"username": {"vera"}, "password": {"x"}, "csrf": {token}})
			go func() { codes <- b.send(r).StatusCode }()
		}
		wrong := 0
		for range 50 {
			if <-codes == http.StatusForbidden {
				wrong++
			}
		}
		if wrong > 5 || wrong == 0 {
			t.Errorf("%d of 50 were tried at once", wrong)
		}
	})
}

func TestLoginCSRF(t *testing.T) {
	w := newWorld(t, public(t))
	b, attacker := w.browser(), w.browser()
	theirs := attacker.form()
	mine := b.form()
	with := func(token string) url.Values {
		return url.Values{"username": {"otto"}, "password": {"otto's password"}, "csrf": {token}}
	}
	status(t, "another browser's token", b.post("/login", with(theirs)), 403)
	status(t, "no token", b.post("/login", with("")), 403)
	status(t, "of another site", b.post("/login", with(mine), "Sec-Fetch-Site", "cross-site"), 403)
	status(t, "of another origin", b.post("/login", with(mine), "Sec-Fetch-Site", "", "Origin", "https://evil.example"), 403)
	status(t, "of an origin without a name", b.post("/login", with(mine), "Sec-Fetch-Site", "", "Origin", "null"), 403)
	status(t, "no form", b.post("/login", with(mine), "Content-Type", "text/plain"), 403)
	big := with(mine)
	big.Set("password", strings.Repeat("x", 70<<10))
	status(t, "a huge form", b.post("/login", big), 403)
	if b.session() != "" {
		t.Fatal("somebody is logged in")
	}
	status(t, "its own", b.post("/login", with(b.form())), 303)
}

// TestBrowsersNameTheOriginOfTheForm holds that a browser is not told to name no referrer: it
// would send "Origin: null" with the form, as if it were of another site. One whose user
// wants it so says elsewhere that the form is of this site.
func TestBrowsersNameTheOriginOfTheForm(t *testing.T) {
	w := newWorld(t, public(t))
	b := w.browser()
	if got := b.get("/login").Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("the policy of the form is %q, want same-origin", got)
	}
	form := url.Values{"username": {"otto"}, "password": {"otto's password"}, "csrf": {b.form()}}
	status(t, "without a referrer", b.post("/login", form, "Sec-Fetch-Site", "same-origin", "Origin", "null"), 303)
}

func TestNoOpenRedirect(t *testing.T) {
	w := newWorld(t, public(t))
	for next, want := range map[string]string{
		"/events?type=f&q=a%20b":        "/events?type=f&q=a%20b",
		"/tenants/dev-tenant":           "/tenants/dev-tenant",
		"":                              "/",
		"//evil.example":                "/",
		"///evil.example":               "/",
		`/\evil.example`:                "/",
		`\\evil.example`:                "/",
		"https://evil.example":          "/",
		"javascript:alert(1)":           "/",
		"/%5cevil.example":              "/",
		"/%2fevil.example":              "/",
		"/\tevil":                       "/",
		"/\r\nSet-Cookie: a=b":          "/",
		"/%0d%0aSet-Cookie:%20a=b":      "/",
		"/events\x00":                   "/",
		"evil.example":                  "/",
		"@evil.example":                 "/",
		"/login":                        "/",
		"/login/oidc?next=/":            "/",
		"/logout":                       "/",
		"/" + strings.Repeat("x", 5000): "/",
		"/events#//evil.example":        "/events",
	} {
		b := w.browser()
		b.from = "198.51.100.7:1"
		resp := b.post("/login", url.Values{"username": {"vera"}, "password": {"vera's password"}, "csrf": {b.form()}, "next": {next}})
		if got := resp.Header.Get("Location"); got != want || resp.Header.Get("Set-Cookie") == "a=b" {
			t.Errorf("%q leads to %q, want %q (%d)", next, got, want, resp.StatusCode)
		}
	}
}

func TestProxiesAreBelieved(t *testing.T) {
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.5:1", "198.51.100.1", "203.0.113.5"}, // no proxy of ours
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "6.6.6.6, 198.51.100.1", "198.51.100.1"}, // the first was sent by the client
		{"10.0.0.1:1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:1", "garbage", "10.0.0.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", "198.51.100.1", "198.51.100.1"},
	} {
		w := newWorld(t, public(t))
		b := w.browser()
		b.from = c.peer
		token := b.form()
		b.post("/login", url.Values{"username": {"vera"}, "password": {"x"}, "csrf": {token}}, "X-Forwarded-For", c.forwarded)
		if !strings.Contains(w.log.String(), "from="+c.want+"\n") {
			t.Errorf("%s for %q: want %s in %s", c.peer, c.forwarded, c.want, w.log)
		}
	}
}

func TestTokensOfPrograms(t *testing.T) {
	p := public(t)
	p.Tokens = []access.Token{access.NewToken("prometheus", "0123456789abcdef0123456789abcdef")}
	p.MetricsLogin = true
	w := newWorld(t, p)
	b := w.browser()
	status(t, "metrics of a stranger", b.get("/metrics", "Sec-Fetch-Mode", "cors"), 401)
	status(t, "health of a stranger", b.get("/healthz"), 200)
	status(t, "a wrong token", b.get("/api/v1/status", "Authorization", "Bearer 0123"), 401)
	for _, path := range []string{"/metrics", "/api/v1/status"} {
		status(t, path, b.get(path, "Authorization", "bearer 0123456789abcdef0123456789abcdef"), 200)
		if who := w.last(); who.Role != access.View || who.Name != "prometheus" {
			t.Errorf("seen as %+v", who)
		}
	}
	if strings.Contains(w.log.String(), "0123456789") {
		t.Errorf("the log holds a token: %s", w.log)
	}
}
