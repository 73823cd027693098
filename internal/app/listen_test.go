package app_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// at is a listener that says that it has another address.
type at struct {
	net.Listener

	addr net.TCPAddr
}

// Addr implements net.Listener.
func (a at) Addr() net.Addr { return &a.addr }

// TestListener looks at who may reach the listener, and at what it takes.
func TestListener(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ip   net.IP
		open bool
	}{
		"loopback":    {net.IPv4(127, 0, 0, 1), false},
		"loopback 6":  {net.IPv6loopback, false},
		"everywhere":  {net.IPv4zero, true},
		"one network": {net.IPv4(192, 0, 2, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			cfg := config.Default()
			cfg.DataDir = t.TempDir()
			a, err := app.New(t.Context(), app.Options{
				Config: cfg, Logger: slog.New(slog.NewTextHandler(&log, nil)), Listener: at{l, net.TCPAddr{IP: tt.ip, Port: 8080}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			limits(t, "http://"+l.Addr().String())
			if err := a.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(log.String(), "level=WARN msg=\"other machines can reach the listener"); warned != tt.open {
				t.Errorf("warned: %t, want %t:\n%s", warned, tt.open, log.String())
			}
		})
	}
}

// limits asks the listener for what it must refuse.
func limits(t *testing.T, url string) {
	t.Helper()
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	for _, tt := range []struct {
		method, path, header, body string
		want                       int
	}{
		{http.MethodGet, "/healthz", "", "", 200},
		{http.MethodHead, "/metrics", "", "", 200},
		{http.MethodGet, "/healthz", strings.Repeat("h", 32<<10), "", 431},
		{http.MethodGet, "/healthz", "", strings.Repeat("b", 2<<10), 413},
		{http.MethodPost, "/metrics", "", "", 403},
		{http.MethodDelete, "/api/v1/status", "", "", 403},
		{"TRACE", "/", "", "", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Test", tt.header)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want || resp.Header.Get("X-Content-Type-Options") == "" && tt.want != 431 {
			t.Errorf("%s %s: status %d, want %d, header %v", tt.method, tt.path, resp.StatusCode, tt.want, resp.Header)
		}
	}
}
