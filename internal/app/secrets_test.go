package app_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// The secrets of a test that nothing may show.
const (
	secretKey   = "aws-secret-access-key-canary"
	secretToken = "aws-session-token-canary"
	bodyCanary  = "body-of-an-event-canary"
)

// echo passes requests on and remembers the bearer tokens and the assertions. While
// it is loud it answers with an error of that status which quotes all that it was
// sent, what is confidential first; without a next one it always does.
type echo struct {
	next http.RoundTripper

	mu     sync.Mutex
	tokens []string
	loud   int
}

// RoundTrip implements http.RoundTripper.
func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	e.mu.Lock()
	for _, secret := range []string{strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), assertionIn(body)} {
		if secret != "" && !strings.HasPrefix(secret, "AWS4-") && !slices.Contains(e.tokens, secret) {
			e.tokens = append(e.tokens, secret)
		}
	}
	loud := e.loud
	e.mu.Unlock()
	if loud == 0 && e.next != nil {
		return e.next.RoundTrip(r)
	}
	said := bytes.NewBufferString("The Canonical String should have been 'POST\n/\n\nx-amz-security-token:" + r.Header.Get("X-Amz-Security-Token") + "\n' " +
		r.Header.Get("Authorization") + " " + assertionIn(body) + " ")
	said.Write(body)
	_ = r.Header.Write(said)
	text, err := json.Marshal(map[string]string{"__type": "InvalidParameterException", "error": "x", "message": said.String()})
	if err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	rec.WriteHeader(cmp.Or(loud, http.StatusUnauthorized))
	_, _ = rec.Write(text)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

// assertionIn returns the signed assertion of a token request.
func assertionIn(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get("client_assertion")
}

// shout makes it loud with a status, or quiet with 0.
func (e *echo) shout(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loud = status
}

// keyed adds a tenant with a private key, whose Auth0 refuses everything and quotes
// it. It returns the key and what listens.
func keyed(t *testing.T, w *world) (key string, refuses *echo) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	c := config.NewTenant()
	c.Name, c.Domain, c.ClientID = "keyed", "keyed.example.com", "client-of-keyed"
	c.CloudWatch.Endpoint = w.cfg.Tenants[0].CloudWatch.Endpoint
	if c.PrivateKey, err = config.ParseSecret(key); err != nil {
		t.Fatal(err)
	}
	w.cfg.Tenants = append(w.cfg.Tenants, c)
	refuses = &echo{}
	w.hosts["keyed.example.com"] = refuses
	return key, refuses
}

// printed returns what config print and status --json would print.
func printed(t *testing.T, cfg *config.Config) string {
	t.Helper()
	var out bytes.Buffer
	o, err := app.ReadOverview(t.Context(), cfg, "test")
	if err := errors.Join(err, cfg.Print(&out, true), json.NewEncoder(&out).Encode(cfg), json.NewEncoder(&out).Encode(o)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestNothingShowsASecret runs the product with both sides quoting what they are
// sent, and looks for secrets, tokens and event bodies in everything that people
// see, and for secrets and tokens in what is kept on disk.
func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		key, refuses := keyed(t, w)
		_, clientSecret := s.tenant.Credentials()
		add := func(id string) {
			raw := `{"log_id":"` + id + `","date":"` + time.Now().UTC().Format(time.RFC3339Nano) + `","type":"s","description":"` + bodyCanary + `"}`
			if err := s.tenant.Append([]byte(raw)); err != nil {
				t.Fatal(err)
			}
		}
		add("evt-1")
		quote := &echo{next: w}
		listener := newPlug()
		var log bytes.Buffer
		a, err := app.New(t.Context(), app.Options{
			Config: w.cfg, Listener: listener, Auth0HTTP: quote, AWSHTTP: &http.Client{Transport: quote},
			Logger:         slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			AWSCredentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secretKey, secretToken),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.app = a
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		var said strings.Builder
		for i, status := range []int{400, 401, 429, 500, 403} {
			quote.shout(status)
			add(fmt.Sprintf("evt-2%d", i))
			<-time.After(time.Minute)
			said.WriteString(listener.shown(t) + printed(t, w.cfg))
		}
		loud := said.String()
		quote.shout(0)
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 500}) // an event stays in the buffer
		<-time.After(2 * time.Minute)
		kept := files(t, w.cfg.DataDir)
		shown := loud + listener.shown(t)
		s.aws.Clear()
		<-time.After(5 * time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		shown += log.String()
		if !strings.Contains(loud, `class="unauthorized"`) || len(quote.tokens) == 0 || len(refuses.tokens) == 0 || !strings.Contains(kept, "evt-2") {
			t.Fatalf("nothing was quoted or kept, the test shows nothing; tokens %d, assertions %d\n%s", len(quote.tokens), len(refuses.tokens), loud)
		}
		for _, secret := range slices.Concat(quote.tokens, refuses.tokens, []string{clientSecret, secretKey, secretToken, strings.Split(key, "\n")[1]}) {
			if strings.Contains(shown, secret) || strings.Contains(kept, secret) {
				t.Errorf("a secret is shown (%t) or kept in clear (%t): %.20s...", strings.Contains(shown, secret), strings.Contains(kept, secret), secret)
			}
		}
		if strings.Contains(shown, bodyCanary) {
			t.Errorf("the body of an event is shown:\n%s", shown)
		}
		s.compare(t)
	})
}

// plug is a listener in memory, fit for a bubble.
type plug struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPlug() *plug { return &plug{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *plug) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *plug) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

// Addr implements net.Listener.
func (p *plug) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// dial opens a connection to it.
func (p *plug) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// shown returns all that the listener shows.
func (p *plug) shown(t *testing.T) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	defer client.CloseIdleConnections()
	var all strings.Builder
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/readyz", "/healthz"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(&all, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// files returns what a directory holds, and checks that nobody else may read it.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 && path != dir && runtime.GOOS != "windows" {
			t.Errorf("%s has the mode %s", path, info.Mode())
		}
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
