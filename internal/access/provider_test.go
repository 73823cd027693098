package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gaplesslogs/gapless/internal/access"
)

const (
	issuer   = "https://login.example.net/"
	clientID = "gapless-page"
)

// A fakeProvider is an OpenID Connect provider, reached without a network. What it says
// can be changed.
type fakeProvider struct {
	t   *testing.T
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	down   bool
	calls  int
	codes  map[string]url.Values // what each was asked for
	tokens int                   // requests for them

	discovery map[string]any
	claims    map[string]any                          // on top of the usual ones; nil deletes
	sign      func(c jwt.MapClaims) (string, error)   // in place of the right way
	answer    func(w http.ResponseWriter) (done bool) // in place of that of the token endpoint
}

func newProvider(t *testing.T) *fakeProvider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeProvider{t: t, key: key, codes: map[string]url.Values{}, claims: map[string]any{}, discovery: map[string]any{}}
}

// RoundTrip implements http.RoundTripper.
func (p *fakeProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.down {
		return nil, errors.New("no route to host")
	}
	rec := httptest.NewRecorder()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		doc := map[string]any{
			"issuer": issuer, "authorization_endpoint": issuer + "authorize", "token_endpoint": issuer + "oauth/token",
			"jwks_uri": issuer + "keys", "id_token_signing_alg_values_supported": []string{"HS256", "none", "ES256"},
		}
		maps.Copy(doc, p.discovery)
		p.write(rec, doc)
	case "/keys":
		raw, err := p.key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		enc := base64.RawURLEncoding.EncodeToString
		p.write(rec, map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256", "x": enc(raw[1:33]), "y": enc(raw[33:])}}})
	case "/oauth/token":
		p.token(rec, r)
	default:
		rec.WriteHeader(http.StatusNotFound)
	}
	return rec.Result(), nil
}

func (p *fakeProvider) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

// token exchanges a code, once, for whoever has the verifier.
func (p *fakeProvider) token(w http.ResponseWriter, r *http.Request) {
	p.tokens++
	if p.answer != nil && p.answer(w) {
		return
	}
	if err := r.ParseForm(); err != nil {
		p.t.Error(err)
	}
	asked, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) || asked.Get("redirect_uri") != r.PostForm.Get("redirect_uri") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant","error_description":"no such code\u001b[31m"}`)
		return
	}
	c := jwt.MapClaims{
		"iss": issuer, "aud": clientID, "sub": "auth0|1", "nonce": asked.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"email": "Ana@Example.com", "email_verified": true,
	}
	for k, v := range p.claims {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	sign := p.sign
	if sign == nil {
		sign = func(c jwt.MapClaims) (string, error) { return signed(jwt.SigningMethodES256, c, p.key) }
	}
	id, err := sign(c)
	if err != nil {
		p.t.Error(err)
	}
	p.write(w, map[string]any{"access_token": "secret-access-token", "token_type": "Bearer", "id_token": id})
}

// signed signs claims in a way.
func signed(m jwt.SigningMethod, c jwt.MapClaims, key any) (string, error) {
	token := jwt.NewWithClaims(m, c)
	token.Header["kid"] = "1"
	return token.SignedString(key)
}

// authorize is what a person does at the provider: it returns the path to come back to.
func (p *fakeProvider) authorize(to string) string {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	code := fmt.Sprint("code-", len(p.codes), q.Get("state")[:4])
	p.mu.Lock()
	p.codes[code] = q
	p.mu.Unlock()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		p.t.Fatal(err)
	}
	return back.Path + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
}

// oidcWorld is a world whose people come from a provider.
func oidcWorld(t *testing.T, change ...func(*access.OIDC)) (*world, *fakeProvider) {
	t.Helper()
	p := newProvider(t)
	o := &access.OIDC{Name: "Example", Issuer: issuer, ClientID: clientID, ClientSecret: "client-secret", Scopes: []string{"openid", "email"}, Allow: access.Rule{Emails: []string{"ana@example.com"}}}
	for _, c := range change {
		c(o)
	}
	pol := public(t)
	pol.Users, pol.OIDC = nil, o
	return newWorld(t, pol, func(o *access.Options) { o.Transport = p }), p
}

// start begins a login and returns where it leads.
func (b *browser) start() string {
	b.w.t.Helper()
	resp := b.get("/login/oidc?next=%2Fevents")
	status(b.w.t, "start", resp, 303)
	return resp.Header.Get("Location")
}

// oidcLogin goes the whole way.
func (b *browser) oidcLogin(p *fakeProvider) *answer {
	b.w.t.Helper()
	return b.get(p.authorize(b.start()), "Sec-Fetch-Site", "cross-site")
}

func TestOIDCLogin(t *testing.T) {
	w, p := oidcWorld(t)
	if p.calls != 0 {
		t.Error("the provider was asked before anybody wanted to log in")
	}
	b := w.browser()
	if page := text(t, b.get("/login")); !strings.Contains(page, "Log in with Example") || strings.Contains(page, "password") {
		t.Errorf("the login: %s", page)
	}
	to, err := url.Parse(b.start())
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if to.Host != "login.example.net" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != "https://gapless.example.com/login/oidc/callback" ||
		q.Get("scope") != "openid email" || len(q.Get("state")) < 26 || len(q.Get("nonce")) < 26 {
		t.Errorf("the provider is asked %s", to)
	}
	resp := b.get(p.authorize(to.String()), "Sec-Fetch-Site", "cross-site")
	status(t, "login", resp, 303)
	if resp.Header.Get("Location") != "/events" {
		t.Errorf("it goes on to %s", resp.Header.Get("Location"))
	}
	status(t, "a page", b.get("/"), 200)
	if who := w.last(); who.Name != "ana@example.com" || who.Role != access.View {
		t.Errorf("seen as %+v", who)
	}
	for _, secret := range []string{"secret-access-token", "client-secret", "code-", q.Get("state"), q.Get("nonce")} {
		if strings.Contains(w.log.String(), secret) || strings.Contains(string(w.saved), secret) {
			t.Errorf("%q is kept or logged", secret)
		}
	}
}

// What an attacker can do with the answers of the provider.
func TestOIDCReplay(t *testing.T) {
	w, p := oidcWorld(t)
	victim, attacker := w.browser(), w.browser()
	back := p.authorize(victim.start())
	status(t, "somebody else's browser", attacker.get(back), 403)
	theirs := p.authorize(attacker.start())
	status(t, "an answer put under a browser that is on its way", victim.get(theirs), 403)
	if p.tokens != 0 {
		t.Error("the provider was asked for a token")
	}
	victim.start()
	status(t, "the answer of an earlier way", victim.get(back), 403)

	back = p.authorize(victim.start())
	kept := victim.cookies["__Host-gapless-oidc"]
	status(t, "the right one", victim.get(back), 303)
	victim.cookies["__Host-gapless-oidc"] = kept
	status(t, "the same again", victim.get(back), 403)
	if p.tokens != 1 {
		t.Errorf("%d tokens were asked for", p.tokens)
	}
	other := w.browser()
	other.from = "198.51.100.9:1"
	state := mustURL(t, other.start()).Query().Get("state")
	for what, path := range map[string]string{"no state": "code=code-1", "no code": "", "state of nobody": "code=1&state=x", "empty state": "code=1&state="} {
		status(t, what, other.get("/login/oidc/callback?"+path), 403)
		other.start()
	}
	_ = state
	attacker = w.browser()
	attacker.from = "198.51.100.10:1"
	to := attacker.start()
	attacker.cookies["__Host-gapless-oidc"] = "AAAA" + attacker.cookies["__Host-gapless-oidc"][4:]
	status(t, "a cookie of one's own making", attacker.get(p.authorize(to)), 403)
	if attacker.session() != "" {
		t.Error("the attacker is in")
	}
}

func TestOIDCFlowEnds(t *testing.T) {
	w, p := oidcWorld(t)
	b := w.browser()
	back := p.authorize(b.start())
	q := mustURL(t, back).Query()
	resp := b.get("/login/oidc/callback?error=access_denied&error_description=%1b[31mno&state=" + url.QueryEscape(q.Get("state")))
	status(t, "the provider refuses", resp, 502)
	if !strings.Contains(w.log.String(), "access_denied") || strings.Contains(w.log.String(), "\x1b") {
		t.Errorf("the log: %s", w.log)
	}
	back = p.authorize(b.start())
	status(t, "an answer of another issuer", b.get(back+"&iss=https%3A%2F%2Fevil.example"), 502)
	back = p.authorize(b.start())
	status(t, "of the right one", b.get(back+"&iss="+url.QueryEscape(issuer)), 303)
}

func TestOIDCTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := oidcWorld(t)
		b := w.browser()
		back := p.authorize(b.start())
		<-time.After(10*time.Minute + time.Second)
		status(t, "after ten minutes", b.get(back), 403)
		if w.logins("expired") != 1 || p.tokens != 0 {
			t.Error("it was not told as expired")
		}
	})
}

func TestOIDCTokensAttacked(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(c map[string]any) func(*fakeProvider) { return func(p *fakeProvider) { p.claims = c } }
	for what, change := range map[string]func(*fakeProvider){
		"wrong nonce":    claims(map[string]any{"nonce": "another"}),
		"no nonce":       claims(map[string]any{"nonce": nil}),
		"wrong audience": claims(map[string]any{"aud": "another"}),
		"two audiences":  claims(map[string]any{"aud": []string{clientID, "another"}}),
		"another party":  claims(map[string]any{"aud": []string{clientID, "another"}, "azp": "another"}),
		"wrong issuer":   claims(map[string]any{"iss": "https://evil.example/"}),
		"expired":        claims(map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()}),
		"no expiry":      claims(map[string]any{"exp": nil}),
		"not yet":        claims(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"future":         claims(map[string]any{"iat": time.Now().Add(time.Hour).Unix()}),
		"no subject":     claims(map[string]any{"sub": ""}),
		"alg none": func(p *fakeProvider) {
			p.sign = func(c jwt.MapClaims) (string, error) {
				return signed(jwt.SigningMethodNone, c, jwt.UnsafeAllowNoneSignatureType)
			}
		},
		"alg HS256 with the public key": func(p *fakeProvider) {
			p.sign = func(c jwt.MapClaims) (string, error) {
				der, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
				if err != nil {
					return "", err
				}
				return signed(jwt.SigningMethodHS256, c, der)
			}
		},
		"alg HS256 with the client's secret": func(p *fakeProvider) {
			p.sign = func(c jwt.MapClaims) (string, error) {
				return signed(jwt.SigningMethodHS256, c, []byte("client-secret"))
			}
		},
		"another key": func(p *fakeProvider) {
			p.sign = func(c jwt.MapClaims) (string, error) { return signed(jwt.SigningMethodES256, c, other) }
		},
		"no signature": func(p *fakeProvider) {
			p.sign = func(c jwt.MapClaims) (string, error) {
				s, err := signed(jwt.SigningMethodES256, c, p.key)
				return s[:strings.LastIndex(s, ".")+1], err
			}
		},
		"no token": func(p *fakeProvider) {
			p.sign = func(jwt.MapClaims) (string, error) { return "", nil }
		},
		"an endless answer": func(p *fakeProvider) {
			p.answer = func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"access_token":"` + strings.Repeat("x", 3<<20)))
				return true
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, p := oidcWorld(t)
			change(p)
			b := w.browser()
			status(t, what, b.oidcLogin(p), 502)
			if b.session() != "" || w.logins("provider") != 1 || !strings.Contains(w.log.String(), "outcome=provider") {
				t.Errorf("session %q; the log: %s", b.session(), w.log)
			}
		})
	}
}

func TestOIDCClockSkew(t *testing.T) {
	w, p := oidcWorld(t)
	p.claims = map[string]any{"exp": time.Now().Add(-30 * time.Second).Unix(), "iat": time.Now().Add(time.Minute).Unix(), "nbf": time.Now().Add(time.Minute).Unix()}
	status(t, "clocks that differ a little", w.browser().oidcLogin(p), 303)
}

func TestOIDCWhoIsLetIn(t *testing.T) {
	const roles = "https://example.com/roles"
	for _, c := range []struct {
		what   string
		rule   access.Rule
		claims map[string]any
		in     bool
	}{
		{"an e-mail, whatever its case", access.Rule{Emails: []string{"ANA@example.com"}}, nil, true},
		{"an e-mail that is not verified", access.Rule{Emails: []string{"ana@example.com"}}, map[string]any{"email_verified": false}, false},
		{"an e-mail of which nobody says", access.Rule{Emails: []string{"ana@example.com"}}, map[string]any{"email_verified": nil}, false},
		{"an e-mail verified oddly", access.Rule{Emails: []string{"ana@example.com"}}, map[string]any{"email_verified": "yes"}, false},
		{"verified as a text", access.Rule{Emails: []string{"ana@example.com"}}, map[string]any{"email_verified": "true"}, true},
		{"another e-mail", access.Rule{Emails: []string{"ben@example.com"}}, nil, false},
		{"a domain", access.Rule{Domains: []string{"example.com"}}, nil, true},
		{"a domain, not verified", access.Rule{Domains: []string{"example.com"}}, map[string]any{"email_verified": false}, false},
		{"a domain within another", access.Rule{Domains: []string{"example.com"}}, map[string]any{"email": "ana@evil-example.com"}, false},
		{"a domain in the name", access.Rule{Domains: []string{"example.com"}}, map[string]any{"email": "ana@example.com@evil.example"}, false},
		{"no domain", access.Rule{Domains: []string{""}}, map[string]any{"email": "ana@"}, false},
		{"a subject", access.Rule{Subjects: []string{"auth0|1"}}, map[string]any{"email": nil}, true},
		{"another subject", access.Rule{Subjects: []string{"auth0|10"}}, nil, false},
		{"a claim", access.Rule{Claim: roles, Values: []string{"audit"}}, map[string]any{roles: []string{"dev", "audit"}}, true},
		{"a claim that is a text", access.Rule{Claim: roles, Values: []string{"audit"}}, map[string]any{roles: "audit"}, true},
		{"another value", access.Rule{Claim: roles, Values: []string{"audit"}}, map[string]any{roles: "auditor"}, false},
		{"no such claim", access.Rule{Claim: roles, Values: []string{"audit"}}, nil, false},
		{"nobody", access.Rule{}, nil, false},
		{"no subject in the rule", access.Rule{Subjects: []string{}}, nil, false},
	} {
		w, p := oidcWorld(t, func(o *access.OIDC) { o.Allow = c.rule })
		if c.claims != nil {
			p.claims = c.claims
		}
		b := w.browser()
		resp := b.oidcLogin(p)
		want := 403
		if c.in {
			want = 303
		}
		status(t, c.what, resp, want)
		if (b.session() != "") != c.in {
			t.Errorf("%s: session %q", c.what, b.session())
		}
		if !c.in && w.logins("not_allowed") != 1 {
			t.Errorf("%s: not counted", c.what)
		}
	}
}

// Who may operate need not be named twice, and loses it on reload.
func TestOIDCRolesAndReload(t *testing.T) {
	w, p := oidcWorld(t, func(o *access.OIDC) {
		o.Operate = access.Rule{Claim: "groups", Values: []string{"ops"}}
		o.Allow = access.Rule{}
	})
	p.claims = map[string]any{"groups": []string{"ops", "everybody"}}
	b := w.browser()
	status(t, "login", b.oidcLogin(p), 303)
	b.get("/")
	if who := w.last(); who.Role != access.Operate {
		t.Errorf("seen as %+v", who)
	}
	if strings.Contains(string(w.saved), "everybody") {
		t.Errorf("more is kept than is needed: %s", w.saved)
	}
	calls := p.calls
	use := func(o access.OIDC) {
		pol := public(t)
		pol.Users, pol.OIDC = nil, &o
		w.gate.Use(pol)
	}
	o := access.OIDC{Name: "Example", Issuer: issuer, ClientID: clientID, Allow: access.Rule{Emails: []string{"ana@example.com"}}}
	use(o)
	b.get("/")
	if who := w.last(); who.Role != access.View {
		t.Errorf("after the reload seen as %+v", who)
	}
	b2 := w.browser()
	b2.start()
	if p.calls != calls {
		t.Error("the provider's addresses were looked up again")
	}
	o.Allow.Emails = []string{"ben@example.com"}
	use(o)
	status(t, "who is not allowed any more", b.get("/"), 303)
}

func TestOIDCProviderComesLate(t *testing.T) {
	w, p := oidcWorld(t)
	p.down = true
	b := w.browser()
	status(t, "down", b.get("/login/oidc"), 502)
	asked := p.calls
	status(t, "at once again", b.get("/login/oidc"), 502)
	if p.calls != asked {
		t.Error("strangers make us ask a provider that is down")
	}
	if !strings.Contains(w.log.String(), "no route to host") {
		t.Errorf("the log: %s", w.log)
	}
}

func TestOIDCDiscoveryAttacked(t *testing.T) {
	for what, c := range map[string]struct {
		discovery map[string]any
		want      string
	}{
		"another issuer":     {map[string]any{"issuer": "https://evil.example/"}, "set issuer to that"},
		"token in clear":     {map[string]any{"token_endpoint": "http://login.example.net/oauth/token"}, "not https"},
		"keys in clear":      {map[string]any{"jwks_uri": "http://login.example.net/keys"}, "not https"},
		"script for a login": {map[string]any{"authorization_endpoint": "javascript:alert(1)"}, "not https"},
	} {
		w, p := oidcWorld(t)
		p.discovery = c.discovery
		status(t, what, w.browser().get("/login/oidc"), 502)
		if !strings.Contains(w.log.String(), c.want) {
			t.Errorf("%s: the log: %s", what, w.log)
		}
	}
	w, p := oidcWorld(t, func(o *access.OIDC) { o.Issuer = strings.TrimSuffix(issuer, "/") })
	status(t, "a slash that is missing", w.browser().oidcLogin(p), 303)
}

// On a listener of this machine alone the way back is where the browser is.
func TestOIDCOnLoopback(t *testing.T) {
	p := newProvider(t)
	w := newWorld(t, access.Policy{OIDC: &access.OIDC{Name: "Example", Issuer: issuer, ClientID: clientID, Allow: access.Rule{Subjects: []string{"auth0|1"}}}}, func(o *access.Options) { o.Transport = p })
	b := w.browser()
	b.base = "http://localhost:8080"
	to := b.start()
	if got := mustURL(t, to).Query().Get("redirect_uri"); got != "http://localhost:8080/login/oidc/callback" {
		t.Errorf("it comes back to %s", got)
	}
	status(t, "login", b.get(p.authorize(to)), 303)
	status(t, "another name", b.get("/login/oidc", "Host", "evil.example"), 403)
}
