package web

import (
	"log/slog"
	"net/http"

	"github.com/gaplesslogs/gapless/internal/access"
)

// NewLoginRenderer returns what draws the page of the login, in the language and colours
// that the request prefers. It is for the guard, which exists before the pages do.
func NewLoginRenderer(logger *slog.Logger) (func(w http.ResponseWriter, r *http.Request, status int, p access.LoginPage), error) {
	look, err := newLook()
	if err != nil {
		return nil, err
	}
	h := &handler{look: look, logger: logger}
	return func(w http.ResponseWriter, r *http.Request, status int, p access.LoginPage) {
		t := look.words[h.lang(r)]
		h.draws(w, r, content{Template: "login", Title: t.t("login.title"), Status: status, Data: p})
	}, nil
}
