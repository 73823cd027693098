package auth0_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/auth0"
)

func TestTokenBySecret(t *testing.T) {
	t.Parallel()
	s := new(server)
	c := newClient(t, config(), deps(s))
	fetch(t, c)
	want := map[string][]string{
		"grant_type":    {"client_credentials"},
		"client_id":     {"client-1"},
		"client_secret": {"s3cr3t-value"},
		"audience":      {"https://dev-tenant.example.com/api/v2/"},
	}
	if diff := cmp.Diff(want, map[string][]string(s.tokens[0])); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]string{
		"dev-tenant.us.auth0.com":        "https://dev-tenant.us.auth0.com/api/v2/",
		"https://dev-tenant.example.com": "https://dev-tenant.example.com/api/v2/",
		"http://127.0.0.1:4010/":         "http://127.0.0.1:4010/api/v2/",
		"127.0.0.1:8443":                 "https://127.0.0.1:8443/api/v2/",
	} {
		s := new(server)
		cfg := config()
		cfg.Domain = domain
		fetch(t, newClient(t, cfg, deps(s)))
		if got := s.values("audience"); !cmp.Equal(got, []string{want}) {
			t.Errorf("domain %s: audience %q, want %s", domain, got, want)
		}
	}
	s := new(server)
	cfg := config()
	cfg.Domain, cfg.Audience = "login.example.com", "https://dev-tenant.us.auth0.com/api/v2/"
	fetch(t, newClient(t, cfg, deps(s)))
	if got := s.values("audience"); !cmp.Equal(got, []string{cfg.Audience}) || s.request().Host != "login.example.com" {
		t.Errorf("custom domain: audience %q, host %s", got, s.request().Host)
	}
}

// fetch asks for a page.
func fetch(t *testing.T, c *auth0.Client) {
	t.Helper()
	if _, err := c.Logs(t.Context(), "a", 100); err != nil {
		t.Fatal(err)
	}
}

// privateKey makes a key and its PEM.
var privateKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

func TestTokenByPrivateKey(t *testing.T) {
	t.Parallel()
	key, text := privateKey()
	for alg, want := range map[string]string{"": "RS256", "RS256": "RS256", "RS384": "RS384", "PS256": "PS256"} {
		t.Run(want+" as "+alg, func(t *testing.T) {
			t.Parallel()
			s := &server{token: func(_ int, w http.ResponseWriter, _ *http.Request) { giveToken(w, "x", 0) }}
			cfg := config()
			cfg.ClientSecret, cfg.PrivateKey, cfg.KeyID, cfg.SigningAlg = "", text, "key-7", alg
			c := newClient(t, cfg, deps(s))
			fetch(t, c)
			if got := s.values("client_assertion_type")[0]; got != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("type %q", got)
			}
			if got := s.values("client_secret")[0]; got != "" {
				t.Errorf("secret %q", got)
			}
			tok, err := jwt.Parse(s.values("client_assertion")[0], func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
				jwt.WithValidMethods([]string{want}), jwt.WithAudience("https://dev-tenant.example.com/"),
				jwt.WithIssuer("client-1"), jwt.WithSubject("client-1"), jwt.WithExpirationRequired())
			if err != nil {
				t.Fatal(err)
			}
			claims, ok := tok.Claims.(jwt.MapClaims)
			if !ok || tok.Header["kid"] != "key-7" || claims["jti"] == "" || claims["jti"] == nil {
				t.Errorf("header %v, claims %v", tok.Header, tok.Claims)
			}
			exp, err := claims.GetExpirationTime()
			if err != nil || time.Until(exp.Time) > 5*time.Minute {
				t.Errorf("valid until %v, error %v; Auth0 takes 5 minutes at the most", exp, err)
			}
		})
	}
}

// TestAssertionWithAWrongClock has a machine whose clock is hours off.
func TestAssertionWithAWrongClock(t *testing.T) {
	t.Parallel()
	_, text := privateKey()
	for _, skew := range []time.Duration{5 * time.Hour, -5 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{token: func(_ int, w http.ResponseWriter, r *http.Request) {
				now := time.Now().Add(skew)
				w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
				tok, _, err := jwt.NewParser().ParseUnverified(r.PostForm.Get("client_assertion"), jwt.MapClaims{})
				if err != nil {
					panic(err)
				}
				exp, err := tok.Claims.GetExpirationTime()
				if err != nil || exp.Before(now) || exp.Sub(now) > 5*time.Minute {
					answer(w, http.StatusUnauthorized, `{"error":"invalid_client","error_description":"assertion is expired"}`)
					return
				}
				giveToken(w, "x", 86400)
			}}
			cfg := config()
			cfg.ClientSecret, cfg.PrivateKey = "", text
			fetch(t, newClient(t, cfg, deps(s)))
			ids := s.values("client_assertion")
			if len(ids) != 2 || ids[0] == ids[1] {
				t.Errorf("%d requests for a token, want 2 with assertions of their own", len(ids))
			}
		})
	}
}

// TestTokenLife pins when a token is renewed.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		life  string
		lasts time.Duration
	}{
		"a day":      {`86400`, 24*time.Hour - 5*time.Minute},
		"an hour":    {`3600`, 55 * time.Minute},
		"ten sec":    {`10`, 9 * time.Second},
		"as text":    {`"3600"`, 55 * time.Minute},
		"unsaid":     {`null`, 55 * time.Minute},
		"impossible": {`-1`, 55 * time.Minute},
		"a word":     {`"never"`, 55 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{token: func(_ int, w http.ResponseWriter, _ *http.Request) {
					answer(w, http.StatusOK, `{"access_token":"x","expires_in":`+tt.life+`}`)
				}}
				c := newClient(t, config(), deps(s))
				fetch(t, c)
				<-time.After(tt.lasts - time.Millisecond)
				fetch(t, c)
				if tokens, _ := s.counts(); tokens != 1 {
					t.Errorf("%d tokens before the end, want 1", tokens)
				}
				<-time.After(time.Millisecond)
				fetch(t, c)
				if tokens, _ := s.counts(); tokens != 2 {
					t.Errorf("%d tokens after it, want 2", tokens)
				}
			})
		})
	}
}

// TestTokenErrors pins what each answer of the token endpoint means.
func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   auth0.Kind
		says   string
	}{
		"wrong secret":   {401, `{"error":"access_denied","error_description":"Unauthorized"}`, auth0.Unauthorized, "get access token: status 401: access_denied: Unauthorized"},
		"not granted":    {403, `{"error":"access_denied","error_description":"Client is not authorized to access the API"}`, auth0.Forbidden, "not authorized"},
		"no such grant":  {400, `{"error":"unauthorized_client","error_description":"Grant type not allowed"}`, auth0.Unauthorized, "Grant type not allowed"},
		"grant by 403":   {403, `{"error":"unauthorized_client","error_description":"Grant type not allowed"}`, auth0.Unauthorized, "Grant type not allowed"},
		"delete in it":   {200, `{"access_token":"a\u007f"}`, auth0.Transient, "no access token"},
		"not ASCII":      {200, `{"access_token":"ä"}`, auth0.Transient, "no access token"},
		"proxy":          {400, `<html>`, auth0.Transient, "status 400"},
		"wrong host":     {404, `<html>`, auth0.Misconfigured, "status 404"},
		"too many":       {429, `{"error":"too_many_requests","error_description":"slow down"}`, auth0.Throttled, "slow down"},
		"fault":          {503, `<html>`, auth0.Transient, "status 503"},
		"hotel":          {200, `<html>`, auth0.Transient, "no access token"},
		"empty":          {200, `{"access_token":""}`, auth0.Transient, "no access token"},
		"split header":   {200, `{"access_token":"a\r\nX-Evil: 1"}`, auth0.Transient, "no access token"},
		"secret quoted":  {401, `{"error":"x","error_description":"secret s3cr3t-value is wrong"}`, auth0.Unauthorized, "secret ***** is wrong"},
		"cut connection": {0, ``, auth0.Transient, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{token: func(_ int, w http.ResponseWriter, _ *http.Request) {
				if tt.status == 0 {
					panic(http.ErrAbortHandler)
				}
				answer(w, tt.status, tt.body)
			}}
			c := newClient(t, config(), deps(s))
			_, err := c.Logs(t.Context(), "a", 100)
			e, ok := errors.AsType[*auth0.Error](err)
			if !ok || e.Kind != tt.kind || !strings.Contains(e.Error(), tt.says) {
				t.Fatalf("error %v, want kind %s and %q", err, tt.kind, tt.says)
			}
			if act := e.Kind == auth0.Unauthorized || e.Kind == auth0.Forbidden; act && e.Hint == "" {
				t.Error("a person must act, and there is no hint")
			}
			if strings.Contains(e.Error()+e.Hint, "s3cr3t") {
				t.Errorf("the secret is in %q", e)
			}
			if tokens, gets := s.counts(); tokens != 1 || gets != 0 {
				t.Errorf("%d tokens and %d pages asked for, want 1 and none", tokens, gets)
			}
		})
	}
}

// TestSharedRequest has many callers wait for one token, the first of which
// leaves.
func TestSharedRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{token: func(_ int, w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(10 * time.Second):
				giveToken(w, "x", 86400)
			case <-r.Context().Done():
			}
		}}
		c := newClient(t, config(), deps(s))
		leader, leave := context.WithCancel(t.Context())
		done := make(chan error, 5)
		go func() {
			_, err := c.Logs(leader, "a", 1)
			done <- err
		}()
		synctest.Wait()
		for range 4 {
			go func() {
				_, err := c.Logs(t.Context(), "a", 1)
				done <- err
			}()
		}
		synctest.Wait()
		leave()
		failed := 0
		for range 5 {
			if err := <-done; errors.Is(err, context.Canceled) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		if tokens, gets := s.counts(); failed != 1 || tokens != 2 || gets != 4 {
			t.Errorf("%d calls failed, %d tokens, %d pages; want 1, 2, 4", failed, tokens, gets)
		}
	})
}

// cache is a TokenCache in memory.
type cache struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (c *cache) Load(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key], c.err
}

func (c *cache) Save(_ context.Context, key string, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.values == nil {
		c.values = make(map[string][]byte)
	}
	c.values[key] = value
	return nil
}

// TestTokenOutlivesTheProcess pins who may use a kept token.
func TestTokenOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	_, text := privateKey()
	for name, tt := range map[string]struct {
		change func(*auth0.Config, *cache)
		after  time.Duration
		tokens int
	}{
		"same":           {func(*auth0.Config, *cache) {}, 0, 1},
		"later":          {func(*auth0.Config, *cache) {}, 23 * time.Hour, 1},
		"too late":       {func(*auth0.Config, *cache) {}, 24 * time.Hour, 2},
		"other secret":   {func(c *auth0.Config, _ *cache) { c.ClientSecret = "other" }, 0, 2},
		"key instead":    {func(c *auth0.Config, _ *cache) { c.ClientSecret, c.PrivateKey = "", text }, 0, 2},
		"other client":   {func(c *auth0.Config, _ *cache) { c.ClientID = "client-2" }, 0, 2},
		"other audience": {func(c *auth0.Config, _ *cache) { c.Audience = "https://other.example.com/api/v2/" }, 0, 2},
		"damaged": {func(_ *auth0.Config, k *cache) {
			for key := range k.values {
				k.values[key] = append(bytes.Clone(k.values[key]), 0)
			}
		}, 0, 2},
		"empty":     {func(_ *auth0.Config, k *cache) { clear(k.values) }, 0, 2},
		"unhealthy": {func(_ *auth0.Config, k *cache) { k.err = errors.New("disk on fire") }, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, k, cfg := new(server), new(cache), config()
				fetch(t, newClient(t, cfg, withCache(s, k)))
				for _, v := range k.values {
					if bytes.Contains(v, []byte("token-0")) {
						t.Error("the token is kept in clear")
					}
				}
				tt.change(&cfg, k)
				<-time.After(tt.after)
				fetch(t, newClient(t, cfg, withCache(s, k)))
				if tokens, _ := s.counts(); tokens != tt.tokens {
					t.Errorf("%d tokens, want %d", tokens, tt.tokens)
				}
			})
		})
	}
}

// TestKeptTokenIsBoundToItsTenant moves the kept value of one application to
// another with the same secret.
func TestKeptTokenIsBoundToItsTenant(t *testing.T) {
	t.Parallel()
	s, first, second, cfg := new(server), new(cache), new(cache), config()
	fetch(t, newClient(t, cfg, withCache(s, first)))
	cfg.ClientID = "client-2"
	fetch(t, newClient(t, cfg, withCache(s, second)))
	for key := range second.values {
		for _, v := range first.values {
			second.values[key] = v
		}
	}
	fetch(t, newClient(t, cfg, withCache(s, second)))
	if tokens, _ := s.counts(); tokens != 3 {
		t.Errorf("%d tokens, want 3: the moved one must not open", tokens)
	}
}

func withCache(h http.Handler, k auth0.TokenCache) auth0.Deps {
	d := deps(h)
	d.TokenCache = k
	return d
}

// TestNoSecretsInLogs runs into every line that the client writes.
func TestNoSecretsInLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := new(server)
	d := withCache(s, &cache{err: errors.New("disk on fire")})
	d.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := config()
	cfg.Domain = "http://tenant.example.com"
	fetch(t, newClient(t, cfg, d))
	for _, want := range []string{"plain http", "could not be kept", "is of no use"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line says %q:\n%s", want, out.String())
		}
	}
	for _, secret := range []string{"s3cr3t", "token-0"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, out.String())
		}
	}
}
