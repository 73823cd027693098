package access

import (
	"bytes"
	"html/template"
	"net/http"
)

// plainLogin is the page of the login where nobody draws a better one. It has no style of
// its own: the browser's does.
var plainLogin = template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Log in - gapless</title></head>
<body><main><h1>gapless</h1>
{{with .Text}}<p role="alert">{{.}}</p>{{end}}
{{if .Page.Password}}<form method="post" action="/login">
<input type="hidden" name="csrf" value="{{.Page.CSRF}}"><input type="hidden" name="next" value="{{.Page.Next}}">
<p><label>Name<br><input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus></label></p>
<p><label>Password<br><input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Log in</button></p></form>{{end}}
{{if .Page.Provider}}<p><a href="/login/oidc?next={{.Page.Next}}">Log in with {{.Page.Provider}}</a></p>{{end}}
</main></body></html>
`))

// problemText tells a person what a problem is.
func problemText(p LoginPage) string {
	switch p.Problem {
	case Wrong:
		return "The name or the password is wrong."
	case TooMany:
		return "There were too many attempts. Wait a moment, then try again."
	case NotAllowed:
		return p.Who + " is known and may not look at this page. Whoever runs gapless can allow it."
	case Provider:
		return "The provider did not let you in, or cannot be reached. The log of gapless says why."
	case Expired:
		return "That took too long. Please try again."
	case LoggedOut:
		return "You are logged out."
	default:
		return ""
	}
}

// plainPage is a Renderer.
func plainPage(w http.ResponseWriter, _ *http.Request, status int, p LoginPage) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	var b bytes.Buffer
	if err := plainLogin.Execute(&b, struct {
		Page LoginPage
		Text string
	}{p, problemText(p)}); err != nil {
		http.Error(w, "the login cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that has left is no concern of anybody's
}
