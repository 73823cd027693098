package auth0_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
)

// TestSecretsAreBlottedOut has a server, or something in front of it, that quotes
// in its errors what it was sent.
func TestSecretsAreBlottedOut(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t+/ %&"
	_, key := privateKey()
	bySecret, byKey := config(), config()
	bySecret.ClientSecret = secret
	byKey.ClientSecret, byKey.PrivateKey = "", key
	shapes := []string{
		`{"error":"x","error_description":%q}`, `{"error":%q}`, `{"message":%q}`, `{"message":"x","errorCode":%q}`, `%s`,
	}
	for name, tt := range map[string]struct {
		cfg   auth0.Config
		atAPI bool
		quote func(*http.Request) string
	}{
		"token":             {bySecret, true, func(r *http.Request) string { return r.Header.Get("Authorization") }},
		"secret":            {bySecret, false, func(r *http.Request) string { return r.PostForm.Get("client_secret") }},
		"form":              {bySecret, false, func(r *http.Request) string { return r.PostForm.Encode() }},
		"path":              {bySecret, false, func(*http.Request) string { return url.PathEscape(secret) }},
		"assertion":         {byKey, false, func(r *http.Request) string { return r.PostForm.Get("client_assertion") }},
		"assertion by form": {byKey, false, func(r *http.Request) string { return r.PostForm.Encode() }},
		"part of it":        {byKey, false, func(r *http.Request) string { return r.PostForm.Get("client_assertion")[:40] }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, shape := range shapes {
				status := []int{400, 401, 403, 429, 500}[i]
				var quoted string
				say := func(_ int, w http.ResponseWriter, r *http.Request) {
					quoted = tt.quote(r)
					answer(w, status, fmt.Sprintf(shape, "bad: "+quoted))
				}
				s := new(server)
				if s.token = say; tt.atAPI {
					s.token, s.logs = nil, say
				}
				_, err := newClient(t, tt.cfg, deps(s)).Logs(t.Context(), "a", 100)
				e, ok := errors.AsType[*auth0.Error](err)
				if !ok || quoted == "" {
					t.Fatalf("error %v after a quotation of %q", err, quoted)
				}
				text := fmt.Sprintf("%v %+v", err, *e)
				for _, hidden := range []string{"token-0", "s3cr3t", "eyJ"} {
					if strings.Contains(text, hidden) {
						t.Errorf("%s: %q is in %s", shape, hidden, text)
					}
				}
			}
		})
	}
}

// TestCredentialsStayAtTheirHost sends the client elsewhere in every way: no
// request may follow, least of all one with a secret or a token.
func TestCredentialsStayAtTheirHost(t *testing.T) {
	t.Parallel()
	const home = "dev-tenant.example.com"
	places := []string{
		"https://evil.example.com/oauth/token", "//evil.example.com/", "http://" + home + "/", "https://" + home + ":8443/",
		"https://" + home + "@evil.example.com/", "https://" + home + ".evil.example.com/", "https://sub." + home + "/",
		"https://" + home + "\\@evil.example.com/", "::bad", "",
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, place := range places {
			for _, atAPI := range []bool{false, true} {
				var mu sync.Mutex
				var asked []string
				leave := func(_ int, w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					asked = append(asked, r.Host)
					w.Header().Set("Location", place)
					w.WriteHeader(status)
				}
				s := &server{token: leave}
				if atAPI {
					s = &server{logs: leave}
				}
				_, err := newClient(t, config(), deps(s)).Logs(t.Context(), "a", 100)
				if _, ok := errors.AsType[*auth0.Error](err); !ok || len(asked) != 1 || asked[0] != home {
					t.Errorf("%d to %q: asked %q, error %v", status, place, asked, err)
				}
			}
		}
	}
}

// A link that leads elsewhere gives its parameter and nothing more.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"https://evil.example.com/api/v2/logs?from=b", "//evil.example.com/?from=b"} {
		s := &server{logs: func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<"+link+`>; rel="next"`)
			answer(w, http.StatusOK, "[]")
		}}
		c := newClient(t, config(), deps(s))
		got, err := c.Logs(t.Context(), "a", 100)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Logs(t.Context(), got.Next, 100); err != nil {
			t.Fatal(err)
		}
		if r := s.request(); r.Host != "dev-tenant.example.com" || r.URL.RawQuery != "from=b&take=100" {
			t.Errorf("asked %s for %s", r.Host, r.URL)
		}
	}
}

// TestWireIsBroken has a server that breaks the protocol itself. Whatever comes,
// the call ends in time, with an error that fits on a line.
func TestWireIsBroken(t *testing.T) {
	t.Parallel()
	const start = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, tt := range map[string]struct {
		answer string
		kind   auth0.Kind
	}{
		"silence":           {"", auth0.Transient},
		"another protocol":  {"\x16\x03\x01\x00\x02", auth0.Transient},
		"a very long line":  {strings.Repeat("nohttp", 500) + "\r\n\r\n", auth0.Transient},
		"endless headers":   {start + strings.Repeat("X-Filler: "+strings.Repeat("f", 1000)+"\r\n", 12_000) + "\r\n[]", auth0.Transient},
		"shorter than said": {start + "Content-Length: 50\r\n\r\n[]", auth0.Transient},
		"cut by its length": {start + "Content-Length: 1\r\n\r\n[]", auth0.Transient},
		"last chunk lost":   {start + "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", auth0.Transient},
		"broken chunk":      {start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n", auth0.Transient},
		"switch":            {"HTTP/1.1 101 Switching Protocols\r\n\r\n", auth0.Transient},
		"nothing new":       {"HTTP/1.1 304 Not Modified\r\n\r\n", auth0.Transient},
		"refusal cut off":   {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 50\r\n\r\n{", auth0.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Domain = breakWire(t, tt.answer)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := newClient(t, cfg, auth0.Deps{})
			_, err := c.Logs(ctx, "a", 100)
			e, ok := errors.AsType[*auth0.Error](err)
			if !ok || e.Kind != tt.kind {
				t.Fatalf("error %v, want kind %s", err, tt.kind)
			}
			if len(e.Error()) > 500 || strings.ContainsAny(e.Error(), "\r\n\x00") {
				t.Errorf("text of %d bytes is not fit for a log line: %.600q", len(e.Error()), e)
			}
		})
	}
}

// breakWire gives a token on the first request of a connection, writes the answer
// as it stands on the next one, and hangs up. It returns the address.
func breakWire(t *testing.T, answer string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			conns.Go(func() { serveBroken(conn, answer) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return "http://" + l.Addr().String()
}

func serveBroken(conn net.Conn, answer string) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path != "/oauth/token" {
			_, _ = io.WriteString(conn, answer) // the client may leave before its end
			return
		}
		const body = `{"access_token":"token"}`
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}
