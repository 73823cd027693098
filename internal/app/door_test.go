package app_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/config"
)

// A door is where Auth0 pushes to in a world: a listener without a network, as
// often as an App opens it.
type door struct {
	token string

	mu    sync.Mutex
	calls chan net.Conn // of the App that is running
	shut  chan struct{}
}

// pushTo lets Auth0 push to the tenants of a world.
func (w *world) pushTo(tb rapid.TB) {
	tb.Helper()
	w.door = &door{token: "token-of-a-test-and-no-other"}
	w.cfg.Webhook.Listen = "memory:0"
	for i := range w.cfg.Tenants {
		var err error
		if w.cfg.Tenants[i].Webhook.Token, err = config.ParseSecret(w.door.token); err != nil {
			tb.Fatal(err)
		}
	}
}

// alone takes the poll from the tenants of a world.
func (w *world) alone() {
	for i := range w.cfg.Tenants {
		t := &w.cfg.Tenants[i]
		t.Domain, t.ClientID, t.ClientSecret = "", "", config.Secret{}
	}
}

// open returns a listener for an App.
func (d *door) open(context.Context, string) (net.Listener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls, d.shut = make(chan net.Conn), make(chan struct{})
	return &doorListener{calls: d.calls, shut: d.shut, once: new(sync.Once)}, nil
}

type doorListener struct {
	calls chan net.Conn
	shut  chan struct{}
	once  *sync.Once
}

func (l *doorListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

func (l *doorListener) Close() error {
	l.once.Do(func() { close(l.shut) })
	return nil
}

func (*doorListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// dial connects.
func (d *door) dial(ctx context.Context) (net.Conn, error) {
	d.mu.Lock()
	calls, shut := d.calls, d.shut
	d.mu.Unlock()
	ours, theirs := net.Pipe()
	select {
	case calls <- theirs:
		return ours, nil
	case <-shut:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// client pushes over connections of its own, as Auth0 does; close ends them.
func (d *door) client(tlsTo *tls.Config) (c *http.Client, close func()) {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) }, TLSClientConfig: tlsTo}
	return &http.Client{Transport: t}, t.CloseIdleConnections
}

// push sends a body and returns the status of the answer.
func (d *door) push(ctx context.Context, c *http.Client, url, tenant string, body io.Reader) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/tenants/"+tenant+"/logs", body)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", d.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// say writes the head of a request of a tenant on a connection, and the beginning
// of its body.
func (d *door) say(c net.Conn, token string, length int, body string) error {
	_, err := fmt.Fprintf(c, "POST /v1/tenants/dev/logs HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", token, length, body)
	return err
}

// hear reads the status of an answer; 0 when the connection is cut.
func hear(c net.Conn) int {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// wrapped is a batch of a log stream: records in their envelopes.
func wrapped(raw ...[]byte) io.Reader {
	var all []string
	for _, r := range raw {
		all = append(all, fmt.Sprintf(`{"log_id":%q,"data":%s}`, gjson.GetBytes(r, "log_id").Str, r))
	}
	return strings.NewReader("[" + strings.Join(all, ",") + "]")
}
