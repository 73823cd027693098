package access

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// The addresses of the login.
const (
	pathLogin    = "/login"
	pathLogout   = "/logout"
	pathOIDC     = "/login/oidc"
	pathCallback = "/login/oidc/callback"
)

// CallbackPath is the path that a provider sends the browser back to.
const CallbackPath = pathCallback

// The names of the cookies, in front of which secure ones have "__Host-": no other host
// and no path can then set them.
const (
	cookieSession = "gapless-session"
	cookieForm    = "gapless-form"
	cookieFlow    = "gapless-oidc"
)

const (
	// maxForm bounds the body of a form whose token is read here, in bytes.
	maxForm = 64 << 10
	// maxName bounds a user name, in bytes.
	maxName = 256
	// hashesAtOnce is how many passwords are tried at the same time, each of which may
	// take maxArgonMemory; hashesWaiting is how many more wait, for hashWait at most.
	hashesAtOnce  = 2
	hashesWaiting = 8
	hashWait      = 5 * time.Second
	// quietly is how often, at most, a kind of thing that any stranger can cause is logged.
	quietly = 5 * time.Second
)

// A Renderer draws the page of the login with a status.
type Renderer func(w http.ResponseWriter, r *http.Request, status int, p LoginPage)

// Options say what a Gate is made of. Logger is required.
type Options struct {
	Policy Policy
	Logger *slog.Logger
	// Registerer takes the metrics, nil for none.
	Registerer prometheus.Registerer
	// Transport leads to the provider; nil is the ordinary one.
	Transport http.RoundTripper
	// Render draws the login; nil is a plain page.
	Render Renderer
	// Saved is what Save was given last, by another process: sessions go on after a
	// restart. May be empty.
	Saved []byte
	// Save keeps the sessions; it is called when one begins or ends, and by Close. nil
	// keeps them in memory alone.
	Save func([]byte) error
}

// A Gate is a Guard with a Policy that can change. It is safe for concurrent use.
type Gate struct {
	logger   *slog.Logger
	render   Renderer
	rt       http.RoundTripper
	logins   *prometheus.CounterVec
	throttle *throttle
	sessions *sessions
	sealer   *sealer
	key      []byte // of tokens that belong to no session, and of decoys
	hashing  chan struct{}
	waiting  chan struct{}
	own      *http.ServeMux
	save     func([]byte) error
	saving   sync.Mutex
	kept     []byte // what was saved last

	now     atomic.Pointer[standing]
	tooMany rate.Sometimes
	refusal rate.Sometimes
}

// A standing is a policy in use, with the provider that belongs to it.
type standing struct {
	Policy

	provider *provider // nil without OIDC
}

// New returns a Gate.
func New(opts Options) (*Gate, error) {
	seal, err := newSealer()
	if err != nil {
		return nil, err
	}
	open, err := newSessions(opts.Saved)
	if err != nil {
		opts.Logger.LogAttrs(context.Background(), slog.LevelWarn, "the sessions from before cannot be read; everybody logs in again", slog.Any("error", err))
	}
	g := &Gate{
		logger: opts.Logger, render: opts.Render, rt: opts.Transport, throttle: newThrottle(), sessions: open, sealer: seal, save: opts.Save,
		key: make([]byte, 32), hashing: make(chan struct{}, hashesAtOnce), waiting: make(chan struct{}, hashesAtOnce+hashesWaiting),
		tooMany: rate.Sometimes{First: 1, Interval: quietly}, refusal: rate.Sometimes{First: 1, Interval: quietly},
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gapless", Name: "logins_total", Help: "Attempts to log in to the page, by outcome: ok, wrong, too_many, not_allowed, provider, expired.",
		}, []string{"outcome"}),
	}
	_, _ = rand.Read(g.key) // it never fails
	if g.kept = opts.Saved; len(g.kept) == 0 {
		g.kept = []byte("[]") // nobody has logged in: there is nothing to keep
	}
	if g.render == nil {
		g.render = plainPage
	}
	if opts.Registerer != nil {
		opts.Registerer.MustRegister(g.logins)
	}
	for _, o := range []Problem{outcomeOK, Wrong, TooMany, NotAllowed, Provider, Expired} {
		g.logins.WithLabelValues(string(o))
	}
	g.own = http.NewServeMux()
	g.own.HandleFunc("GET "+pathLogin, g.form)
	g.own.HandleFunc("POST "+pathLogin, g.password)
	g.own.HandleFunc("POST "+pathLogout, g.logout)
	g.own.HandleFunc("GET "+pathOIDC, g.toProvider)
	g.own.HandleFunc("GET "+pathCallback, g.fromProvider)
	g.Use(opts.Policy)
	return g, nil
}

// outcomeOK is the outcome of a login that succeeded.
const outcomeOK Problem = "ok"

// Use takes another policy. Sessions of those whom it does not let in, or whose password
// it changes, end at once; those whose role changes have the new one from now on.
func (g *Gate) Use(p Policy) {
	next := &standing{Policy: p}
	before := g.now.Load()
	if p.OIDC != nil {
		if before != nil && before.OIDC != nil && before.OIDC.fingerprint() == p.OIDC.fingerprint() {
			next.provider = before.provider.with(p.OIDC)
		} else {
			next.provider = newProvider(p.OIDC, g.rt)
		}
	}
	g.now.Store(next)
	var old *Policy
	if before != nil {
		old = &before.Policy
	}
	g.sessions.sweep(&next.Policy, old)
	if before != nil {
		g.keep(context.Background())
	}
}

// Locked reports whether somebody must log in. Where not, and the listener can be reached
// by others, nobody may see events or act: see Closed.
func (g *Gate) Locked() bool { return g.now.Load().locked() }

// Closed says in a sentence why neither events nor operations are for anybody, empty when
// they are for those whom the Gate lets through.
func (p *Policy) Closed() string {
	if p.locked() || !p.Reachable {
		return ""
	}
	return "Others can reach this page and it asks for no login, so it shows figures alone. Set dashboard.users or dashboard.oidc to see events and to act."
}

// Close keeps the sessions and ends what goes on for them.
func (g *Gate) Close() error {
	g.sessions.closeAll()
	return g.keepNow()
}

// keep keeps the sessions; a failure costs a login after the next restart alone.
func (g *Gate) keep(ctx context.Context) {
	if err := g.keepNow(); err != nil {
		g.logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the sessions of the page; after a restart everybody logs in again", slog.Any("error", err))
	}
}

func (g *Gate) keepNow() error {
	if g.save == nil {
		return nil
	}
	g.saving.Lock()
	defer g.saving.Unlock()
	b, err := g.sessions.saved()
	if err != nil || bytes.Equal(b, g.kept) {
		return err
	}
	if err := g.save(b); err != nil {
		return err
	}
	g.kept = b
	return nil
}

// Wrap implements Guard.
func (g *Gate) Wrap(next http.Handler, open func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := g.now.Load()
		if s.locked() {
			g.locked(w, r, s, next, open)
			return
		}
		g.unlocked(w, r, s, next, open)
	})
}

// unlocked answers where nobody logs in.
func (g *Gate) unlocked(w http.ResponseWriter, r *http.Request, s *standing, next http.Handler, open func(*http.Request) bool) {
	who := Identity{Name: "local", Role: Operate, CSRF: g.mark("local")}
	if s.Reachable {
		who = Identity{Name: "anyone", Role: View}
	}
	switch {
	case safe(r) && open(r):
		if !s.Reachable && (!localHost(r.Host) || passedOn(r) || foreign(r)) {
			who = Identity{}
		}
	case !s.Reachable && !localHost(r.Host):
		g.refuse(w, r, "host", "This page is for this machine alone: open it as http://127.0.0.1. If a proxy passes requests on, set dashboard.public_url to its address, and dashboard.users or dashboard.oidc.")
		return
	case !s.Reachable && passedOn(r):
		g.refuse(w, r, "proxy", "A proxy passes this request on, and the page asks for no login. Set dashboard.public_url to the proxy's address, and dashboard.users or dashboard.oidc.")
		return
	case strings.HasPrefix(r.URL.Path, pathLogin) || r.URL.Path == pathLogout:
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	case foreign(r):
		g.refuse(w, r, "cross_site", "This is not for pages of other sites.")
		return
	case s.Reachable && !safe(r):
		g.refuse(w, r, "closed", s.Closed())
		return
	case !safe(r) && !g.intended(w, r, s, who.CSRF):
		return
	}
	next.ServeHTTP(w, r.WithContext(With(r.Context(), who)))
}

// locked answers where people log in.
func (g *Gate) locked(w http.ResponseWriter, r *http.Request, s *standing, next http.Handler, open func(*http.Request) bool) {
	if _, pattern := g.own.Handler(r); pattern != "" || r.URL.Path == pathLogout {
		g.own.ServeHTTP(guarded(w), r)
		return
	}
	who, ended := g.who(r, s)
	isOpen := safe(r) && open(r) && (!s.MetricsLogin || path.Clean("/"+r.URL.Path) != "/metrics")
	r = r.WithContext(With(r.Context(), who)) // before the form is read, which is kept in it
	switch {
	case isOpen && foreign(r):
		who = Identity{}
	case isOpen:
	case who.Role == None:
		g.ask(w, r, s)
		return
	case foreign(r):
		g.refuse(w, r, "cross_site", "This is not for pages of other sites.")
		return
	case who.Session && !safe(r) && !g.intended(w, r, s, who.CSRF):
		return
	}
	ctx := With(r.Context(), who)
	if ended != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(ended, cancel)() //nolint:contextcheck // two contexts end it
	}
	next.ServeHTTP(w, r.WithContext(ctx)) //nolint:contextcheck // it is that of the request
}

// who finds out who a request is from, and what ends with their session. Tokens need no
// throttle: they are too long to be guessed.
func (g *Gate) who(r *http.Request, s *standing) (who Identity, ended context.Context) {
	if scheme, value, has := strings.Cut(r.Header.Get("Authorization"), " "); has && strings.EqualFold(scheme, "Bearer") && len(s.Tokens) > 0 {
		if name, good := s.token(strings.TrimSpace(value)); good {
			return Identity{Name: printable(name), Role: View}, nil
		}
		g.logins.WithLabelValues(string(Wrong)).Inc()
		ctx := r.Context()
		g.refusal.Do(func() {
			Audit(ctx, g.logger, "token", string(Wrong), slog.String("from", s.client(r).String()))
		})
		return Identity{}, nil
	}
	id := cookie(r, s, cookieSession)
	open, role := g.sessions.find(id, &s.Policy)
	if open == nil {
		return Identity{}, nil
	}
	return Identity{Name: open.who.Name, Role: role, CSRF: csrfOf(id), Session: true}, g.sessions.done(open)
}

// ask sends a stranger to the login, or tells a program that there is one.
func (g *Gate) ask(w http.ResponseWriter, r *http.Request, s *standing) {
	if wantsPage(r) {
		next := ""
		if p := localPath(r.URL.RequestURI()); p != "/" {
			next = "?" + query("next", p)
		}
		guarded(w)
		http.Redirect(w, r, pathLogin+next, http.StatusSeeOther)
		return
	}
	if len(s.Tokens) > 0 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gapless"`)
	}
	refuseJSON(w, http.StatusUnauthorized, "login required")
}

// intended reports whether a request that changes something was meant by whoever it is
// from; if not it refuses it.
func (g *Gate) intended(w http.ResponseWriter, r *http.Request, s *standing, token string) bool {
	if s.crossOrigin(r) {
		g.refuse(w, r, "cross_site", "This is not for pages of other sites.")
		return false
	}
	sent := r.Header.Get("X-Csrf-Token")
	if sent == "" && isForm(r) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if r.ParseForm() == nil {
			sent = r.PostForm.Get("csrf")
		}
	}
	if subtle.ConstantTimeCompare([]byte(sent), []byte(token)) != 1 {
		g.refuse(w, r, "csrf", "The page is too old, or this did not come from it. Load the page again and repeat what you did.")
		return false
	}
	return true
}

// isForm reports whether a body is that of a form.
func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
}

// refuse answers 403 and says why.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, reason, text string) {
	ctx := r.Context()
	g.refusal.Do(func() {
		Audit(ctx, g.logger, "request", "refused", slog.String("reason", reason), slog.String("method", printable(r.Method)),
			slog.String("path", printable(r.URL.Path)), slog.String("from", g.now.Load().client(r).String()))
	})
	if !wantsPage(r) && strings.HasPrefix(r.URL.Path, "/api/") {
		refuseJSON(w, http.StatusForbidden, text)
		return
	}
	http.Error(guarded(w), text, http.StatusForbidden)
}

// refuseJSON answers a program.
func refuseJSON(w http.ResponseWriter, status int, text string) {
	h := guarded(w).Header()
	h.Set("Content-Type", "application/json")
	b, err := json.Marshal(map[string]string{"error": text})
	if err != nil {
		b = []byte(`{"error":"refused"}`)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has left is no concern of anybody's
}

// guarded sets what the answers of a Gate's own carry: nobody may keep, frame or read them.
func guarded(w http.ResponseWriter) http.ResponseWriter {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// With no-referrer a browser sends "Origin: null" with the form, and so takes it for one
	// of another site.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if h.Get("Content-Security-Policy") == "" {
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	}
	return w
}

// mark makes a token of this process for something that belongs to no session.
func (g *Gate) mark(what string) string {
	m := hmac.New(sha256.New, g.key)
	m.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
