package auth0_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestTokenIsRenewedOnce has the first token refused, as one that was revoked is:
// another one is asked for at once, and the call succeeds.
func TestTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"401": http.StatusUnauthorized, "403": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{logs: func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "Bearer token-0" {
					refuse(w, status, "", "refused")
					return
				}
				answer(w, http.StatusOK, "[]")
			}}
			fetch(t, newClient(t, config(), deps(s)))
			if tokens, gets := s.counts(); tokens != 2 || gets != 2 {
				t.Errorf("%d tokens and %d pages asked for, want 2 and 2", tokens, gets)
			}
		})
	}
}

// TestRefusedTokensAreRenewedSeldom has every token refused for a day, with a try
// a minute: one is asked for each ten minutes, and once the permission is there
// the first token that has it is used.
func TestRefusedTokensAreRenewedSeldom(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"401": http.StatusUnauthorized, "403": http.StatusForbidden} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const day = 24 * 60
				began := time.Now()
				granted := began.Add(24 * time.Hour)
				s := &server{}
				scoped := make(map[string]bool)
				s.token = func(n int, w http.ResponseWriter, _ *http.Request) {
					value := fmt.Sprint("token-", n)
					scoped["Bearer "+value] = !time.Now().Before(granted)
					giveToken(w, value, 86400)
				}
				s.logs = func(_ int, w http.ResponseWriter, r *http.Request) {
					if scoped[r.Header.Get("Authorization")] {
						answer(w, http.StatusOK, "[]")
						return
					}
					refuse(w, status, "", "Insufficient scope")
				}
				k := new(cache)
				c := newClient(t, config(), withCache(s, k))
				for minute := range day {
					if minute == day/2 { // a restart is no reason to ask for more
						c = newClient(t, config(), withCache(s, k))
					}
					if _, err := c.Logs(t.Context(), "a", 100); err == nil {
						t.Fatal("a refused token has read the log")
					}
					<-time.After(time.Minute)
				}
				if tokens, _ := s.counts(); tokens < day/10 || tokens > day/10+1 {
					t.Errorf("%d tokens in a day, want one each ten minutes", tokens)
				}
				for time.Since(granted) < time.Hour {
					if _, err := c.Logs(t.Context(), "a", 100); err == nil {
						break
					}
					<-time.After(time.Minute)
				}
				if took := time.Since(granted); took > 10*time.Minute {
					t.Errorf("it took %v after the grant, want ten minutes at most", took)
				}
			})
		})
	}
}

// TestRefusedTokenIsReplacedForAll has many calls at once refused: one token
// serves them all.
func TestRefusedTokenIsReplacedForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{logs: func(_ int, w http.ResponseWriter, r *http.Request) {
			<-time.After(time.Second)
			if r.Header.Get("Authorization") == "Bearer token-0" {
				refuse(w, http.StatusUnauthorized, "", "Invalid token")
				return
			}
			answer(w, http.StatusOK, "[]")
		}}
		c := newClient(t, config(), deps(s))
		done := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := c.Logs(t.Context(), "a", 1)
				done <- err
			}()
		}
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if tokens, gets := s.counts(); tokens != 2 || gets != 10 {
			t.Errorf("%d tokens and %d pages asked for, want 2 and 10", tokens, gets)
		}
	})
}
