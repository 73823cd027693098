package auth0_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/auth0"
)

// takes makes the server take one secret alone.
func (s *server) takes(secret func() string) {
	s.token = func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.PostForm.Get("client_secret") != secret() {
			answer(w, http.StatusUnauthorized, `{"error":"access_denied","error_description":"Unauthorized"}`)
			return
		}
		giveToken(w, "token-of-"+secret(), 86400)
	}
}

// TestChangedCredentials changes the secret while a token is valid: one request more
// is made, with the new one, and what it brings is kept under it. The same secret
// again costs nothing, and neither does a restart.
func TestChangedCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, k := new(server), new(cache)
		var renewed []error
		d := deps(s)
		d.TokenCache, d.OnRenewed = k, func(_ context.Context, err error) { renewed = append(renewed, err) }
		c := newClient(t, config(), d)
		fetch(t, c)
		for range 2 {
			if err := c.SetCredentials("another-secret", ""); err != nil {
				t.Fatal(err)
			}
			fetch(t, c)
			fetch(t, c)
		}
		if diff := cmp.Diff([]string{"s3cr3t-value", "another-secret"}, s.values("client_secret")); diff != "" {
			t.Errorf("secrets sent (-want +got):\n%s", diff)
		}
		if got := s.request().Header.Get("Authorization"); got != "Bearer token-1" || len(renewed) != 1 || renewed[0] != nil {
			t.Errorf("the last request had %s, renewed %v", got, renewed)
		}
		cfg := config()
		cfg.ClientSecret = "another-secret"
		fetch(t, newClient(t, cfg, auth0.Deps{HTTPClient: d.HTTPClient, TokenCache: k}))
		if n, _ := s.counts(); n != 2 {
			t.Errorf("%d token requests after a restart, want 2", n)
		}
		if c.SetCredentials("", "no key") == nil || c.SetCredentials("", "") == nil {
			t.Error("credentials that cannot work were taken")
		}
		fetch(t, c)
	})
}

// TestRefusedNewCredentials changes the secret to one that Auth0 refuses: reading goes
// on with the token that is there, the refusal is told, and the new one is tried
// again once in ten minutes until it is taken.
func TestRefusedNewCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, right := new(server), "s3cr3t-value"
		s.takes(func() string { return right })
		refusals, taken := 0, 0
		d := deps(s)
		d.OnRenewed = func(_ context.Context, err error) {
			if err == nil {
				taken++
			} else {
				refusals++
			}
		}
		c := newClient(t, config(), d)
		fetch(t, c)
		if err := c.SetCredentials("too-early", ""); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			fetch(t, c)
			<-time.After(time.Minute)
		}
		if n, _ := s.counts(); n != 7 || refusals != 6 || taken != 0 {
			t.Errorf("in an hour %d token requests, %d refusals, %d taken; want 7, 6, 0", n, refusals, taken)
		}
		right = "too-early"
		<-time.After(10 * time.Minute)
		fetch(t, c)
		if got := s.request().Header.Get("Authorization"); got != "Bearer token-of-too-early" || taken != 1 {
			t.Errorf("the last request had %s, taken %d times", got, taken)
		}
	})
}

// TestCredentialsAreLookedFor has Auth0 refuse the secret because it was rotated: the
// hook finds the new one, and the same call succeeds. A hook that finds nothing costs
// no second request.
func TestCredentialsAreLookedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, asked, there := new(server), 0, false
		s.takes(func() string { return "rotated" })
		var c *auth0.Client
		d := deps(s)
		d.OnRefused = func(context.Context) bool {
			asked++
			return there && c.SetCredentials("rotated", "") == nil
		}
		c = newClient(t, config(), d)
		if _, err := c.Logs(t.Context(), "a", 100); err == nil {
			t.Fatal("a wrong secret brought a page")
		}
		if n, _ := s.counts(); n != 1 || asked != 1 {
			t.Errorf("%d token requests and %d questions, want 1 and 1", n, asked)
		}
		there = true
		<-time.After(time.Minute)
		fetch(t, c)
		fetch(t, c)
		if n, _ := s.counts(); n != 3 || asked != 2 {
			t.Errorf("%d token requests and %d questions, want 3 and 2", n, asked)
		}
	})
}

// TestChangedCredentialsAreBlottedOut has an answer quote the secret and the one before.
func TestChangedCredentialsAreBlottedOut(t *testing.T) {
	t.Parallel()
	s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusBadRequest, "x", "s3cr3t-value and another-secret")
	}}
	c := newClient(t, config(), deps(s))
	if err := c.SetCredentials("another-secret", ""); err != nil {
		t.Fatal(err)
	}
	_, err := c.Logs(t.Context(), "a", 100)
	if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "another") || !strings.Contains(err.Error(), "*****") {
		t.Errorf("the error is %v", err)
	}
}
