package web

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gaplesslogs/gapless/internal/access"
)

// openPath reports whether a request needs no login: what machines ask, and how a page
// looks.
func openPath(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		return true
	}
	return strings.HasPrefix(r.URL.Path, "/static/")
}

// guard puts the guard of the options in front of the pages, or one that lets everybody
// in as local.
func (h *handler) guard(next http.Handler) http.Handler {
	if h.opts.Guard != nil {
		return h.opts.Guard.Wrap(next, func(r *http.Request) bool { return h.opts.Closed != "" || openPath(r) })
	}
	return (&localGuard{token: rand.Text()}).Wrap(next, openPath)
}

// A localGuard lets everybody in who reaches the listener. What it refuses is what
// another site makes a browser send: changes without the token that only a page of this
// process knows.
type localGuard struct{ token string }

// Wrap implements access.Guard.
func (g *localGuard) Wrap(next http.Handler, _ func(*http.Request) bool) http.Handler {
	who := access.Identity{Name: "local", Role: access.Operate, CSRF: g.token}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !g.knows(r) { // no other method changes anything
			http.Error(w, "the form is not from this page, or from before a restart: load the page again", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	})
}

// knows reports whether a request carries the token. Requests to what takes no POST may
// go on: they are refused there.
func (g *localGuard) knows(r *http.Request) bool {
	if openPath(r) {
		return true
	}
	sent := r.Header.Get("X-CSRF-Token")
	if sent == "" {
		sent = r.PostFormValue("csrf")
	}
	return subtle.ConstantTimeCompare([]byte(sent), []byte(g.token)) == 1
}
