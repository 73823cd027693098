package web

import (
	"net/http"
)

// maxBody bounds the body of a request that may have one, in bytes: forms of a page.
const maxBody = 64 << 10

// policy is the Content-Security-Policy of every answer: nothing from elsewhere, no
// script or style within a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// headers sets what every answer carries: nothing may be loaded from elsewhere,
// framed or cached. It refuses bodies but those of a POST, and bounds these.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodPost && r.ContentLength != 0:
			h.Set("Connection", "close")
			http.Error(w, "a request here has no body", http.StatusRequestEntityTooLarge)
			return
		case r.ContentLength > maxBody:
			h.Set("Connection", "close")
			http.Error(w, "the body of the request is too large", http.StatusRequestEntityTooLarge)
			return
		case r.Method == http.MethodPost:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		next.ServeHTTP(w, r)
	})
}
