package auth0_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestErrorsOfHTTPQuoteNoSecret has a peer that is no HTTP server and sends back
// the head of what it was sent, which errors of net/http quote.
func TestErrorsOfHTTPQuoteNoSecret(t *testing.T) {
	t.Parallel()
	const token = "an-opaque-access-token"
	for _, before := range []string{"", "HTTP/1.1 200 OK\r\n"} {
		quoted := make(chan string, 1)
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer func() { _ = theirs.Close() }()
				req, err := http.ReadRequest(bufio.NewReader(theirs))
				if err != nil {
					return
				}
				line := req.Header.Get("Authorization")
				_, _ = theirs.Write([]byte(before + line + "\r\n\r\n"))
				quoted <- line
			}()
			return ours, nil
		}}
		t.Cleanup(transport.CloseIdleConnections)
		answers := &server{token: func(_ int, w http.ResponseWriter, _ *http.Request) {
			answer(w, 200, `{"access_token":"`+token+`","expires_in":86400,"token_type":"Bearer"}`)
		}}
		d := deps(answers)
		tokens := d.HTTPClient.Transport
		d.HTTPClient = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/oauth/token") {
				return tokens.RoundTrip(r)
			}
			return transport.RoundTrip(r)
		})}
		cfg := config()
		cfg.Domain = "http://127.0.0.1"
		_, err := newClient(t, cfg, d).Logs(t.Context(), "a", 100)
		if err == nil || !strings.Contains(<-quoted, token) {
			t.Fatalf("nothing was quoted: %v", err)
		}
		if strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("the token is shown, or nothing is: %v", err)
		}
	}
}

// tripper is a function as a round tripper.
type tripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
