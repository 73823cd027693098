package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newHook is a world of one tenant that is pushed to, with events to push.
func newHook(t *testing.T, events int) (*world, *site) {
	t.Helper()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	w.pushTo(t)
	s := w.sites[0]
	if err := s.tenant.Generate(events, time.Now().Add(-time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	return w, s
}

// pushAll pushes what the tenant holds, so many events at once by so many
// requests at the same time, each until it is taken.
func (w *world) pushAll(t *testing.T, s *site, size, atOnce int) {
	t.Helper()
	client, end := w.door.client(nil)
	defer end()
	all := s.tenant.Events()
	batches := make(chan [][]byte)
	var senders sync.WaitGroup
	for range atOnce {
		senders.Go(func() {
			for b := range batches {
				for {
					code, err := w.door.push(t.Context(), client, "http://hook", s.name, wrapped(b...))
					if err != nil {
						t.Error(err)
						break
					}
					if code == http.StatusOK {
						break
					}
					<-time.After(time.Second)
				}
			}
		})
	}
	for len(all) > 0 {
		n := min(size, len(all))
		batches <- all[:n]
		all = all[n:]
	}
	close(batches)
	senders.Wait()
}

// TestWebhookAlone exports a tenant that is pushed to and has no domain.
func TestWebhookAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 500)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateWaiting || o.Source != "webhook" {
			t.Errorf("before the first event it is %s, from %q", o.State, o.Source)
		}
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("readyz answers %d %q before the first event", status, body)
		}
		w.pushAll(t, s, 30, 8)
		w.pushAll(t, s, 7, 3) // as when answers were lost
		<-time.After(time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateDelivered || o.Stored != 500 || o.Duplicates != 500 {
			t.Errorf("it is %s with %d stored and %d duplicates", o.State, o.Stored, o.Duplicates)
		}
		s.compare(t)
	})
}

// TestWebhookBesideThePoll has the same events come both ways, each first now and
// then, while they happen.
func TestWebhookBesideThePoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 300)
		defer w.close(t.Context(), t)
		w.cfg.Tenants[0].PollInterval = 2 * time.Second
		s.live(t.Context(), t, 5)
		w.start(t.Context(), t)
		for range 10 {
			<-time.After(3 * time.Second)
			w.pushAll(t, s, 20, 4)
		}
		s.quit()
		<-time.After(time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateDelivered || len(o.Troubles) > 0 || o.Duplicates == 0 || o.Cursor == "" {
			t.Errorf("it is %s with %d duplicates, cursor %q, troubles %v", o.State, o.Duplicates, o.Cursor, o.Troubles)
		}
		s.compare(t)
	})
}

// TestWebhookWithAFullBuffer fills the buffer: requests are told to come again,
// the trouble is told, and once there is room all of it arrives.
func TestWebhookWithAFullBuffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 400)
		w.alone()
		defer w.close(t.Context(), t)
		w.cfg.MaxBufferBytes = 64 << 10
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 503})
		w.start(t.Context(), t)
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.pushAll(t, s, 20, 4)
		}()
		<-time.After(10 * time.Minute)
		o := w.overview(t.Context(), t, "dev")
		told := ""
		for _, x := range o.Troubles {
			if x.Part == "webhook" {
				told = x.Class
			}
		}
		if told != "throttled" || o.BufferedBytes > 64<<10 {
			t.Errorf("trouble %q with %d bytes, want throttled", told, o.BufferedBytes)
		}
		s.aws.Clear()
		<-done
		<-time.After(5 * time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.State != web.StateDelivered || len(o.Troubles) > 0 {
			t.Errorf("afterwards it is %s with %+v", o.State, o.Troubles)
		}
		s.compare(t)
	})
}

// TestWebhookStops stops an App with requests under way: what is answered 200 is
// there after the next start, a body that does not go on holds nothing up, and
// nobody is let in any more.
func TestWebhookStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 300)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		slow, err := w.door.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan int, 1)
		go func() {
			if err := w.door.say(slow, w.door.token, 1000, "["); err != nil {
				t.Error(err)
			}
			heard <- hear(slow)
		}()
		silent, err := w.door.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.pushAll(t, s, 30, 8)
		began := time.Now()
		w.stop(t.Context(), t, time.Minute)
		if took := time.Since(began); took > w.cfg.ShutdownTimeout/2 {
			t.Errorf("stop took %v", took)
		}
		if code := <-heard; code != http.StatusServiceUnavailable {
			t.Errorf("the slow one was answered %d, want 503", code)
		}
		if code := hear(silent); code != 0 {
			t.Errorf("the silent one was answered %d", code)
		}
		if _, err := w.door.dial(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after the stop: %v", err)
		}
		s.compare(t)
	})
}

// TestWebhookAmongStrangers has thousands of connections that say nothing, or
// little, or without end: what Auth0 pushes is taken all the same.
func TestWebhookAmongStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 200)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		var crowd sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		defer crowd.Wait()
		defer cancel()
		for i := range 1500 {
			c, err := w.door.dial(ctx)
			if err != nil {
				t.Fatal(err)
			}
			context.AfterFunc(ctx, func() { _ = c.Close() })
			crowd.Go(func() { stranger(c, i) })
		}
		synctest.Wait()
		began := time.Now()
		w.pushAll(t, s, 20, 8)
		if took := time.Since(began); took > 0 {
			t.Errorf("pushing took %v of the bubble's time, want no wait", took)
		}
		slow, err := w.door.dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan int, 1)
		go func() { answered <- hear(slow) }()
		if err := w.door.say(slow, w.door.token, 100_000, "["); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for ; sent < 100; sent++ { // a space every ten seconds, with the right token
			if _, err := io.WriteString(slow, " "); err != nil {
				break
			}
			<-time.After(10 * time.Second)
		}
		if code := <-answered; code != http.StatusRequestTimeout || sent > 5 {
			t.Errorf("the slow body was answered %d after %d bytes, want 408 soon", code, sent)
		}
		<-time.After(time.Minute)
		s.compare(t)
	})
}

// stranger misuses a connection in one of several ways, until it is cut.
func stranger(c net.Conn, way int) {
	go func() { _, _ = io.Copy(io.Discard, c) }()
	switch way % 4 {
	case 0: // says nothing
	case 1: // a head that does not end
		_, _ = io.WriteString(c, "POST /v1/tenants/dev/logs HTTP/1.1\r\nHost: x\r\nX-A: ")
		for range 1000 {
			if _, err := io.WriteString(c, "a"); err != nil {
				return
			}
			<-time.After(time.Second)
		}
	case 2: // a body without a token, and without an end
		_, _ = io.WriteString(c, "POST /v1/tenants/dev/logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 1000 {
			if _, err := io.WriteString(c, "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n"); err != nil {
				return
			}
		}
	default: // promises a body that does not come
		_, _ = io.WriteString(c, "POST /v1/tenants/none/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	}
}

// TestWebhookPaths asks for what there is not.
func TestWebhookPaths(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newHook(t, 1)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		client, end := w.door.client(nil)
		defer end()
		for path, want := range map[string]int{
			"/v1/tenants/dev/logs": 401, "/v1/tenants/other/logs": 401, "/": 404, "/metrics": 404, "/healthz": 404, "/v1/tenants/dev": 404, "/v1/tenants/dev/logs/x": 404,
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://hook"+path, strings.NewReader("[]"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != want || len(body) > 0 {
				t.Errorf("%s: %d %q, %v; want %d and no body", path, resp.StatusCode, body, err, want)
			}
		}
	})
}

// pair writes a self-signed certificate of a name into the files.
func pair(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWebhookCertificateIsReadAgain renews the certificate of a listener that is
// in use, also by halves and by one that cannot be used.
func TestWebhookCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, s := newHook(t, 5)
		w.alone()
		defer w.close(t.Context(), t)
		var log bytes.Buffer
		w.log = &log
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		pair(t, "old", cert, key)
		w.cfg.Webhook.TLS.CertFile, w.cfg.Webhook.TLS.KeyFile = cert, key
		w.start(t.Context(), t)
		synctest.Wait()
		serves := func(want string, oldest uint16) {
			t.Helper()
			served := ""
			client, end := w.door.client(&tls.Config{MaxVersion: oldest, InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
				served = c.PeerCertificates[0].DNSNames[0]
				return nil
			}})
			defer end()
			code, err := w.door.push(t.Context(), client, "https://hook", "dev", wrapped(s.tenant.Events()[0]))
			if want == "" {
				if err == nil {
					t.Errorf("TLS %x is spoken", oldest)
				}
				return
			}
			if err != nil || code != http.StatusOK || served != want {
				t.Errorf("pushed to %q: %d, %v; want %q", served, code, err, want)
			}
		}
		serves("old", 0)
		serves("old", tls.VersionTLS12)
		serves("", tls.VersionTLS11)
		other := filepath.Join(dir, "other.pem")
		pair(t, "new", cert, other) // the key does not fit yet
		<-time.After(3 * time.Second)
		serves("old", 0)
		if err := os.Rename(other, key); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
		serves("new", 0)
		if err := os.WriteFile(cert, []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
		serves("new", 0)
		<-time.After(3 * time.Second)
		serves("new", 0)
		w.stop(t.Context(), t, time.Minute)
		if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
			t.Errorf("%d errors told, want one for each certificate that cannot be used:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "the webhook has a new certificate"); n != 1 {
			t.Errorf("told %d times of a new certificate", n)
		}
	})
}

// TestWebhookRefusesToStart has what cannot work said at the start.
func TestWebhookRefusesToStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newHook(t, 1)
		w.alone()
		defer w.close(t.Context(), t)
		misconfigured := func(err error) {
			t.Helper()
			if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Misconfigured || e.Hint == "" {
				t.Errorf("got %v with hint %q, want a fault of the configuration with a hint", err, e.Hint)
			}
		}
		_, err := app.New(t.Context(), app.Options{Config: w.cfg, Logger: slog.New(slog.DiscardHandler), Once: true})
		misconfigured(err)
		w.cfg.Webhook.TLS.CertFile, w.cfg.Webhook.TLS.KeyFile = "/none/cert.pem", "/none/key.pem"
		a, err := app.New(t.Context(), app.Options{Config: w.cfg, Logger: slog.New(slog.DiscardHandler), WebhookListener: w.door.open()})
		if err != nil {
			t.Fatal(err)
		}
		misconfigured(a.Start(t.Context()))
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestOnceLeavesThePushAlone runs once with a tenant that polls and one that is
// pushed to alone: it ends, and listens to nobody.
func TestOnceLeavesThePushAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "pushed")
		w.pushTo(t)
		defer w.close(t.Context(), t)
		second := &w.cfg.Tenants[1]
		second.Domain, second.ClientID = "", ""
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.once = true
		w.start(t.Context(), t)
		<-w.app.Done()
		if err := w.app.Err(); err != nil || w.app.WebhookAddr() != "" {
			t.Errorf("ended with %v, listening on %q", err, w.app.WebhookAddr())
		}
		s.compare(t)
	})
}
