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
	"fmt"
	"io"
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
)

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

// TestWebhookLetsGoOfBrokenPromises has a body announced that does not come, to a
// path that there is not, with a wrong token and with the right one: the answer is
// given and the connection ended in a bounded time.
func TestWebhookLetsGoOfBrokenPromises(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newHook(t, 1)
		w.alone()
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		synctest.Wait()
		for name, c := range map[string]struct {
			head   string
			status int
			within time.Duration
		}{
			"path":   {"/x HTTP/1.1", 404, 5 * time.Second},
			"tenant": {"/v1/tenants/x/logs HTTP/1.1", 401, 5 * time.Second},
			"token":  {"/v1/tenants/dev/logs HTTP/1.1\r\nAuthorization: x", 401, 5 * time.Second},
			"expect": {"/v1/tenants/dev/logs HTTP/1.1\r\nAuthorization: x\r\nExpect: 100-continue", 401, 5 * time.Second},
			"good":   {"/v1/tenants/dev/logs HTTP/1.1\r\nAuthorization: " + w.door.token, 408, 20 * time.Second},
		} {
			conn, err := w.door.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := conn.SetDeadline(began.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "POST "+c.head+"\r\nHost: x\r\nContent-Length: 100\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(conn) // to the end of the connection
			if took := time.Since(began); err != nil || !strings.HasPrefix(string(said), fmt.Sprintf("HTTP/1.1 %d ", c.status)) || took > c.within {
				t.Errorf("%s: %q, %v after %v; want %d within %v", name, said, err, took, c.status, c.within)
			}
			_ = conn.Close()
		}
	})
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
