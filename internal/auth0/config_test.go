package auth0_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/emulator"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	_, text := privateKey()
	for name, tt := range map[string]struct {
		change func(*auth0.Config)
		want   []string // what the error says; none means valid
	}{
		"as it is":           {func(*auth0.Config) {}, nil},
		"URL":                {func(c *auth0.Config) { c.Domain = "http://127.0.0.1:4010" }, nil},
		"URL with slash":     {func(c *auth0.Config) { c.Domain = "https://localhost:4010/" }, nil},
		"private key":        {func(c *auth0.Config) { c.ClientSecret, c.PrivateKey, c.SigningAlg = "", text, "PS256" }, nil},
		"no domain":          {func(c *auth0.Config) { c.Domain = "" }, []string{"domain is empty: use the form"}},
		"path":               {func(c *auth0.Config) { c.Domain = "https://t.example.com/api/v2" }, []string{"more than a host"}},
		"path alone":         {func(c *auth0.Config) { c.Domain = "t.example.com/api" }, []string{"more than a host"}},
		"user":               {func(c *auth0.Config) { c.Domain = "https://a:b@t.example.com" }, []string{"more than a host"}},
		"scheme":             {func(c *auth0.Config) { c.Domain = "ftp://t.example.com" }, []string{`scheme "ftp"`}},
		"spaces":             {func(c *auth0.Config) { c.Domain = "my tenant" }, []string{"no readable host"}},
		"port alone":         {func(c *auth0.Config) { c.Domain = ":443" }, []string{"no readable host"}},
		"audience":           {func(c *auth0.Config) { c.Audience = "api" }, []string{`audience "api" is no URL`}},
		"nothing":            {func(c *auth0.Config) { *c = auth0.Config{} }, []string{"domain is empty", "client_id is empty", "client_secret is empty and so is private_key"}},
		"both":               {func(c *auth0.Config) { c.PrivateKey = text }, []string{"both set"}},
		"no key":             {func(c *auth0.Config) { c.ClientSecret, c.PrivateKey = "", "hush hush" }, []string{"private_key is no RSA key in PEM"}},
		"algorithm":          {func(c *auth0.Config) { c.ClientSecret, c.PrivateKey, c.SigningAlg = "", text, "HS256" }, []string{`signing_alg "HS256" is unknown`}},
		"negative timeout":   {func(c *auth0.Config) { c.RequestTimeout = -time.Second }, []string{"request_timeout is -1s"}},
		"share too large":    {func(c *auth0.Config) { c.RateShare = 1.5 }, []string{"rate_share is 1.5"}},
		"share negative":     {func(c *auth0.Config) { c.RateShare = -0.1 }, []string{"rate_share is -0.1"}},
		"share not a number": {func(c *auth0.Config) { c.RateShare = math.NaN() }, []string{"rate_share is NaN"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			tt.change(&cfg)
			err := cfg.Validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("error %q quotes a secret", err)
			}
			if _, newErr := auth0.New(cfg, auth0.Deps{}); (newErr == nil) != (err == nil) {
				t.Errorf("New says %v, Validate %v", newErr, err)
			}
		})
	}
}

// TestOverASocket reads through the client's own connections.
func TestOverASocket(t *testing.T) {
	t.Parallel()
	s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, `[{"log_id":"a"}]`) }}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	cfg := config()
	cfg.Domain = srv.URL
	c := newClient(t, cfg, auth0.Deps{})
	fetch(t, c)
	if got := s.values("audience")[0]; got != srv.URL+"/api/v2/" {
		t.Errorf("audience %q", got)
	}
}

func Example() {
	tenant := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/oauth/token" {
			_, _ = fmt.Fprint(w, `{"access_token":"abc","expires_in":86400}`)
			return
		}
		w.Header().Set("Link", `<https://dev-tenant.example.com/api/v2/logs?from=evt-2&take=100>; rel="next"`)
		_, _ = fmt.Fprint(w, `[{"log_id":"evt-1","type":"s"},{"log_id":"evt-2","type":"fp"}]`)
	})
	client, err := auth0.New(auth0.Config{
		Domain: "dev-tenant.example.com", ClientID: "abc", ClientSecret: "not a real one",
	}, auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(tenant)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := client.Logs(context.Background(), "evt-0", auth0.MaxTake)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range answer.Page.Events {
		fmt.Println(e.LogID, e.Type)
	}
	fmt.Println("go on behind", answer.Next)
	// Output:
	// evt-1 s
	// evt-2 fp
	// go on behind evt-2
}
