package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A safe keeps secrets, as AWS does; what it holds may change, and it may be shut.
type safe struct {
	mu    sync.Mutex
	held  map[string]string
	shut  error
	reads int
}

// SecretValue implements config.RemoteSecrets.
func (s *safe) SecretValue(_ context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.shut != nil {
		return "", s.shut
	}
	return s.held[id], nil
}

// count says how often it was asked.
func (s *safe) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// Parameter implements config.RemoteSecrets.
func (s *safe) Parameter(ctx context.Context, name string) (string, error) {
	return s.SecretValue(ctx, name)
}

// put changes what it holds, or shuts it with an error.
func (s *safe) put(id, value string, shut error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" {
		s.held[id] = value
	}
	s.shut = shut
}

// refer has the first tenant of a world refer to its client secret.
func (w *world) refer(tb testing.TB, ref string) {
	tb.Helper()
	var err error
	if w.cfg.Tenants[0].ClientSecret, err = config.ParseSecret(ref); err != nil {
		tb.Fatal(err)
	}
}

// hide refuses the credentials of a tenant that does not know a secret.
type hide struct {
	next http.RoundTripper

	mu     sync.Mutex
	secret string // that Auth0 takes
	real   string // what the emulated tenant knows it by
	tokens int
	denied int
}

// RoundTrip implements http.RoundTripper.
func (h *hide) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/oauth/token" {
		return h.next.RoundTrip(r)
	}
	h.mu.Lock()
	h.tokens++
	secret := h.secret
	h.mu.Unlock()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	right := strings.Contains(body.String(), "client_secret="+secret+"&") || strings.HasSuffix(body.String(), "client_secret="+secret)
	with := "wrong"
	if right {
		with = h.real
	} else {
		h.mu.Lock()
		h.denied++
		h.mu.Unlock()
	}
	r = r.Clone(r.Context())
	text := "grant_type=client_credentials&client_id=" + formOf(body.String(), "client_id") + "&audience=" + formOf(body.String(), "audience") + "&client_secret=" + with
	r.Body, r.ContentLength = http.NoBody, int64(len(text))
	r.Body = readCloser{strings.NewReader(text)}
	return h.next.RoundTrip(r)
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// formOf returns a member of a form as it stands.
func formOf(form, key string) string {
	for pair := range strings.SplitSeq(form, "&") {
		if v, ok := strings.CutPrefix(pair, key+"="); ok {
			return v
		}
	}
	return ""
}

// takes sets the secret that Auth0 takes.
func (h *hide) takes(secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secret = secret
}

// counts returns how many tokens were asked for, and how many of them denied.
func (h *hide) counts() (tokens, denied int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tokens, h.denied
}

// hidden puts a hide in front of the first tenant.
func (w *world) hidden(secret string) *hide {
	_, real := w.sites[0].tenant.Credentials()
	h := &hide{next: w.hosts["dev.example.com"], secret: secret, real: real}
	w.hosts["dev.example.com"] = h
	return h
}

// TestClientSecretRotates keeps the client secret in AWS and in a file. It is changed
// there: the new one brings a token, with one request. While it cannot be read the old
// one stays in use and it is told; nothing is lost, and no secret is shown.
func TestClientSecretRotates(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"aws-secretsmanager:auth0/dev", "aws-ssm:/auth0/dev", "file:"} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
				defer w.close(t.Context(), t)
				var log bytes.Buffer
				w.log = &log
				keep := &safe{held: make(map[string]string)}
				change := func(value string, shut error) { keep.put(strings.SplitN(ref, ":", 2)[1], value, shut) }
				from := ref
				if ref == "file:" {
					path := filepath.Join(dir, "secret")
					from += path
					change = func(value string, shut error) {
						if shut != nil { // at once: an empty file would be told as another fault
							_ = os.Remove(path)
							return
						}
						if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
							t.Error(err)
						}
					}
				}
				change("first-secret-canary", nil)
				h := w.hidden("first-secret-canary")
				w.secrets = config.Resolver{ReadFile: os.ReadFile, AWS: keep}
				w.refer(t, from)
				s := w.sites[0]
				s.live(t.Context(), t, 0.2)
				w.start(t.Context(), t)
				<-time.After(time.Minute)

				change("", errors.New("it is down"))
				<-time.After(30 * time.Minute)
				if v := w.overview(t.Context(), t, "dev"); len(v.Troubles) != 1 || v.Troubles[0].Part != "secrets" || !strings.Contains(v.Troubles[0].Hint, "stays in use") {
					t.Errorf("a secret that cannot be read is told as %+v", v.Troubles)
				}
				if n := strings.Count(log.String(), "a secret cannot be renewed"); n != 1 {
					t.Errorf("it is told %d times", n)
				}

				h.takes("second-secret-canary")
				change("second-secret-canary", nil)
				<-time.After(6 * time.Minute)
				if tokens, denied := h.counts(); tokens != 2 || denied != 0 {
					t.Errorf("%d token requests, %d denied; want 2 and 0", tokens, denied)
				}
				if v := w.overview(t.Context(), t, "dev"); len(v.Troubles) != 0 {
					t.Errorf("still in trouble: %+v", v.Troubles)
				}
				s.quit()
				<-time.After(time.Minute)
				w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
				w.start(t.Context(), t)
				<-time.After(time.Minute)
				if tokens, _ := h.counts(); tokens != 2 {
					t.Errorf("%d token requests after a restart, want 2: the kept token is under the new secret", tokens)
				}
				s.compare(t)
				o, err := w.app.Overview(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if shown := log.String() + printed(t, w.cfg) + files(t, w.cfg.DataDir) + fmt.Sprintf("%+v %#v", o, w.cfg); strings.Contains(shown, "secret-canary") {
					t.Errorf("a secret is shown or kept in clear:\n%s", log.String())
				}
			})
		})
	}
}

// TestRefusedSecretIsReadAtOnce has Auth0 refuse the secret because it was rotated a
// moment ago, with refresh off: it is read again at once, and while it is the same once
// a minute at most.
func TestRefusedSecretIsReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		keep := &safe{held: map[string]string{"s": "old"}}
		h := w.hidden("new")
		w.secrets = config.Resolver{AWS: keep}
		w.refer(t, "aws-secretsmanager:s")
		w.cfg.Secrets.Refresh = 0
		w.start(t.Context(), t)
		<-time.After(10 * time.Minute)
		if reads := keep.count(); reads < 5 || reads > 12 {
			t.Errorf("read %d times in ten minutes", reads)
		}
		keep.put("s", "new", nil)
		<-time.After(3 * time.Minute)
		_, denied := h.counts()
		<-time.After(time.Hour)
		if v := w.overview(t.Context(), t, "dev"); len(v.Troubles) != 0 || v.Stored == 0 {
			t.Errorf("troubles %+v, %d stored", v.Troubles, v.Stored)
		}
		if tokens, now := h.counts(); now != denied || tokens != denied+1 {
			t.Errorf("%d token requests, %d denied, then %d", tokens, denied, now)
		}
	})
}

// TestWebhookTokenRotates changes the token in its file: the gate takes the new one
// within seconds and the old one no more. On SIGHUP it is read at once.
func TestWebhookTokenRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.pushTo(t)
		w.secrets = fileSecrets()
		write := func(token string) {
			if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if w.cfg.Tenants[0].Webhook.Token, err = config.ParseSecret("file:" + path); err != nil {
			t.Fatal(err)
		}
		write("the-first-token-of-them-all")
		w.start(t.Context(), t)
		client, quit := w.door.client(nil)
		defer quit()
		try := func(token string, want int) {
			t.Helper()
			w.door.token = token
			if got, err := w.door.push(t.Context(), client, "http://door", "dev", wrapped()); err != nil || got != want {
				t.Errorf("a push with %s: %d, %v, want %d", token, got, err, want)
			}
		}
		<-time.After(time.Second)
		try("the-first-token-of-them-all", http.StatusOK)
		write("the-second-token-of-them-all")
		<-time.After(15 * time.Second)
		try("the-first-token-of-them-all", http.StatusUnauthorized)
		try("the-second-token-of-them-all", http.StatusOK)
		write("the-third-token-of-them-all")
		changes := w.reload(t.Context(), t, w.with(w.cfg.Tenants, func(*config.Tenant) bool { return true }))
		if len(changes.Unchanged) != 1 {
			t.Errorf("changes %+v", changes)
		}
		try("the-third-token-of-them-all", http.StatusOK)
		try("the-second-token-of-them-all", http.StatusUnauthorized)
	})
}

// TestRedactKeyIsTakenOnReloadAlone changes the key of redaction in its file: hashes
// stay as they are until the configuration is loaded again.
func TestRedactKeyIsTakenOnReloadAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		key := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		key("a-key-of-sixteen-bytes-or-more")
		c := &w.cfg.Tenants[0]
		c.Redact.Rules = []config.RedactRule{{Path: "ip", Action: "hash"}}
		var err error
		if c.Redact.Key, err = config.ParseSecret("file:" + path); err != nil {
			t.Fatal(err)
		}
		w.secrets = fileSecrets()
		w.start(t.Context(), t)
		key("another-key-of-sixteen-bytes-or-more")
		<-time.After(time.Hour)
		if n := metricOf(t, w, "gapless_secret_changes_total", "dev"); n != 0 {
			t.Errorf("%v secrets were taken", n)
		}
		same := func() *config.Config { return w.with(w.cfg.Tenants, func(*config.Tenant) bool { return true }) }
		if changes := w.reload(t.Context(), t, same()); len(changes.Changed) != 1 {
			t.Errorf("changes %+v, want dev changed", changes)
		}
		if changes := w.reload(t.Context(), t, same()); len(changes.Unchanged) != 1 {
			t.Errorf("changes %+v, want dev unchanged", changes)
		}
	})
}
