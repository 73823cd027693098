package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// form shows the login.
func (g *Gate) form(w http.ResponseWriter, r *http.Request) {
	s := g.now.Load()
	next := localPath(r.URL.Query().Get("next"))
	if o, _ := g.sessions.find(cookie(r, s, cookieSession), &s.Policy); o != nil {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath has made it
		return
	}
	problem := NoProblem
	if r.URL.Query().Get("out") != "" {
		problem = LoggedOut
	}
	g.show(w, r, s, http.StatusOK, LoginPage{Next: next, Problem: problem})
}

// show draws the login with what all its pages have.
func (g *Gate) show(w http.ResponseWriter, r *http.Request, s *standing, status int, p LoginPage) {
	p.Password = len(s.Users) > 0
	if s.OIDC != nil {
		p.Provider = s.OIDC.Name
	}
	seed := cookie(r, s, cookieForm)
	if len(seed) != len(rand.Text()) {
		seed = rand.Text()
		setCookie(w, r, s, cookieForm, seed, 0)
	}
	p.CSRF = g.mark("form " + seed)
	g.render(w, r, status, p)
}

// fail counts and tells of a login that failed, and shows the form again.
func (g *Gate) fail(w http.ResponseWriter, r *http.Request, s *standing, status int, p LoginPage, attrs ...slog.Attr) {
	g.logins.WithLabelValues(string(p.Problem)).Inc()
	attrs = append(attrs, slog.String("from", s.client(r).String()))
	ctx := r.Context()
	tell := func() { Audit(ctx, g.logger, "login", string(p.Problem), attrs...) }
	if p.Problem == TooMany || p.Problem == Expired { // as many as a stranger likes
		g.tooMany.Do(tell)
	} else {
		tell()
	}
	g.show(w, r, s, status, p)
}

// hold answers that no attempt is taken for a while.
func (g *Gate) hold(w http.ResponseWriter, r *http.Request, s *standing, wait time.Duration, next string) {
	seconds := retryAfter(w, wait)
	g.fail(w, r, s, http.StatusTooManyRequests, LoginPage{Next: next, Problem: TooMany, RetryAfter: seconds})
}

// retryAfter says for how many seconds no attempt is taken.
func retryAfter(w http.ResponseWriter, wait time.Duration) int {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return seconds
}

// password takes the form.
func (g *Gate) password(w http.ResponseWriter, r *http.Request) {
	s := g.now.Load()
	if s.crossOrigin(r) {
		g.refuse(w, r, "cross_site", "This is not for pages of other sites.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !isForm(r) || r.ParseForm() != nil {
		g.refuse(w, r, "form", "This is no form of the login.")
		return
	}
	next := localPath(r.PostForm.Get("next"))
	want := g.mark("form " + cookie(r, s, cookieForm))
	if cookie(r, s, cookieForm) == "" || subtle.ConstantTimeCompare([]byte(r.PostForm.Get("csrf")), []byte(want)) != 1 {
		g.fail(w, r, s, http.StatusForbidden, LoginPage{Next: next, Problem: Expired})
		return
	}
	if len(s.Users) == 0 {
		g.refuse(w, r, "form", "Nobody logs in by a password here.")
		return
	}
	name := r.PostForm.Get("username")
	if len(name) > maxName {
		name = name[:maxName]
	}
	a, wait := g.throttle.begin(s.client(r), name)
	if wait > 0 {
		g.hold(w, r, s, wait, next)
		return
	}
	u, ok, err := g.try(r.Context(), &s.Policy, name, r.PostForm.Get("password"))
	if err != nil {
		g.throttle.returned(a)
		g.hold(w, r, s, hashWait, next)
		return
	}
	if !ok {
		g.fail(w, r, s, http.StatusForbidden, LoginPage{Next: next, Problem: Wrong}, slog.String("name", shown(&s.Policy, name)), slog.String("method", "password"))
		return
	}
	g.throttle.succeeded(a)
	g.enter(w, r, s, person{Name: u.Name, By: u.fingerprint()}, u.Role, "password", next)
}

// errBusy says that too many passwords are being tried.
var errBusy = errors.New("too many passwords are being tried")

// try tries a password. The work is the same whether or not there is a user of that name.
func (g *Gate) try(ctx context.Context, p *Policy, name, password string) (User, bool, error) {
	select {
	case g.waiting <- struct{}{}:
		defer func() { <-g.waiting }()
	default:
		return User{}, false, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case g.hashing <- struct{}{}:
		defer func() { <-g.hashing }()
	case <-ctx.Done():
		return User{}, false, errBusy
	}
	u, known := p.user(name)
	hash := u.Hash
	if !known {
		hash = p.decoy(g.key, name)
	}
	fits := len(password) <= maxPassword
	if !fits {
		password = password[:maxPassword]
	}
	ok := hash.matches(password)
	return u, ok && known && fits, nil
}

// shown is how a name of a login that failed is logged. One that nobody has may be a
// password in the wrong field, so not much of it is shown.
func shown(p *Policy, name string) string {
	if _, ok := p.user(name); ok {
		return printable(name)
	}
	r := []rune(printable(name))
	if len(r) <= 3 {
		return "…"
	}
	return string(r[:2]) + "…"
}

// enter opens a session, and ends the one that the browser had.
func (g *Gate) enter(w http.ResponseWriter, r *http.Request, s *standing, who person, role Role, method, next string) {
	if old := cookie(r, s, cookieSession); old != "" {
		g.sessions.finish(old)
	}
	setCookie(w, r, s, cookieSession, g.sessions.start(who), s.lifetime())
	setCookie(w, r, s, cookieForm, "", -1)
	g.keep(r.Context())
	g.logins.WithLabelValues(string(outcomeOK)).Inc()
	Audit(With(r.Context(), Identity{Name: who.Name, Role: role}), g.logger, "login", string(outcomeOK),
		slog.String("method", method), slog.String("from", s.client(r).String()))
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath has made it
}

// logout ends a session, here and in the browser.
func (g *Gate) logout(w http.ResponseWriter, r *http.Request) {
	s := g.now.Load()
	id := cookie(r, s, cookieSession)
	if o, role := g.sessions.find(id, &s.Policy); o != nil {
		ctx := With(r.Context(), Identity{Name: o.who.Name, Role: role})
		if !g.intended(w, r.WithContext(ctx), s, csrfOf(id)) {
			return
		}
		g.sessions.finish(id)
		g.keep(r.Context())
		Audit(ctx, g.logger, "logout", string(outcomeOK), slog.String("from", s.client(r).String()))
	}
	setCookie(w, r, s, cookieSession, "", -1)
	http.Redirect(w, r, pathLogin+"?out=1", http.StatusSeeOther)
}

// toProvider leads the browser to the provider.
func (g *Gate) toProvider(w http.ResponseWriter, r *http.Request) {
	s := g.now.Load()
	next := localPath(r.URL.Query().Get("next"))
	if s.provider == nil {
		http.NotFound(w, r)
		return
	}
	redirect, ok := s.redirect(r)
	if !ok {
		g.refuse(w, r, "host", "The provider needs one address to come back to. Set dashboard.public_url, or open this page as http://127.0.0.1.")
		return
	}
	f := newFlow(next, redirect, s.OIDC.fingerprint())
	to, err := s.provider.start(r.Context(), f)
	if err != nil {
		g.providerFailed(w, r, s, next, err)
		return
	}
	sealed, err := g.sealer.seal(f)
	if err != nil {
		g.providerFailed(w, r, s, next, err)
		return
	}
	setCookie(w, r, s, cookieFlow, sealed, flowTime)
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // the configured provider's
}

// providerFailed tells a person that the provider is no help, and the log why.
func (g *Gate) providerFailed(w http.ResponseWriter, r *http.Request, s *standing, next string, err error) {
	g.fail(w, r, s, http.StatusBadGateway, LoginPage{Next: next, Problem: Provider}, slog.String("error", printableError(err)), slog.String("method", "oidc"))
}

// printableError bounds the text of an error more generously than a name.
func printableError(err error) string {
	text := err.Error()
	out := ""
	for len(text) > 0 && len(out) < 400 {
		n := min(90, len(text))
		out += printable(text[:n])
		text = text[n:]
	}
	return out
}

// fromProvider takes the provider's answer.
func (g *Gate) fromProvider(w http.ResponseWriter, r *http.Request) {
	s := g.now.Load()
	if s.provider == nil {
		http.NotFound(w, r)
		return
	}
	a, wait := g.throttle.begin(s.client(r), "")
	if wait > 0 {
		g.hold(w, r, s, wait, "/")
		return
	}
	q := r.URL.Query()
	sealed := cookie(r, s, cookieFlow)
	setCookie(w, r, s, cookieFlow, "", -1)
	f, err := g.sealer.open(sealed, q.Get("state"), s.OIDC.fingerprint())
	if err != nil {
		g.fail(w, r, s, http.StatusForbidden, LoginPage{Next: "/", Problem: Expired}, slog.String("error", err.Error()), slog.String("method", "oidc"))
		return
	}
	if code := q.Get("error"); code != "" {
		g.providerFailed(w, r, s, f.Next, errors.New("the provider refuses: "+printable(code)+": "+printable(q.Get("error_description"))))
		return
	}
	who, err := s.provider.finish(r.Context(), f, q.Get("code"), q.Get("iss"))
	if err != nil {
		g.providerFailed(w, r, s, f.Next, err)
		return
	}
	role := s.role(who)
	if role == None {
		g.fail(w, r, s, http.StatusForbidden, LoginPage{Next: f.Next, Problem: NotAllowed, Who: who.Name},
			slog.String("name", who.Name), slog.String("subject", printable(who.Subject)), slog.String("method", "oidc"))
		return
	}
	g.throttle.succeeded(a)
	g.enter(w, r, s, who, role, "oidc", f.Next)
}

// cookieName is the name of a cookie on the way that a request has come.
func cookieName(r *http.Request, s *standing, name string) string {
	if s.secure(r) {
		return "__Host-" + name
	}
	return name
}

// cookie returns the value of a cookie, empty for none.
func cookie(r *http.Request, s *standing, name string) string {
	c, err := r.Cookie(cookieName(r, s, name))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie for so long: 0 until the browser ends, less to delete it.
// SameSite is Lax, as a link in an alert leads here, and the provider back.
func setCookie(w http.ResponseWriter, r *http.Request, s *standing, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if life < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS
		Name: cookieName(r, s, name), Value: value, Path: "/", MaxAge: age, Secure: s.secure(r), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// query writes a parameter.
func query(name, value string) string { return url.Values{name: {value}}.Encode() }
