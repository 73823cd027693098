package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// Bounds on what a client of the listener can take.
const (
	// maxConns is how many connections are served at once; more wait in the queue
	// of the system until one ends. A page open in a browser holds one or two.
	maxConns = 128
	// maxHeader bounds the head of a request, in bytes. Package web bounds the body.
	maxHeader = 16 << 10
)

// A pageServer is the listener of the page and the endpoints.
type pageServer struct {
	listener net.Listener
	srv      *http.Server
	pair     atomic.Pointer[certificate] // nil for plain HTTP
	expiry   prometheus.Collector        // of the pair; nil without one
	handler  atomic.Pointer[web.Handler]
	closed   string        // as of the handler, see web.Options; changed by usePage alone
	done     chan struct{} // closed when it has ended
}

// listen serves the page and the endpoints, if configured.
func (a *App) listen(ctx context.Context) error {
	policy, err := a.policy(ctx, a.Config())
	if err != nil {
		return err
	}
	if err := a.openGate(policy); err != nil { //nolint:contextcheck // sessions last beyond the start
		return err
	}
	a.onStop("listener", func(ctx context.Context) error { return a.pageServer().stop(ctx) }) // a reload may open one
	a.onStop("sessions", func(context.Context) error { return a.gate.Close() })               // before: it ends answers that last
	addr := a.Config().Listen
	if addr == "" && a.opts.Listener == nil {
		return nil
	}
	s, err := a.openPage(ctx, addr, a.Config().Dashboard.TLS, a.opts.Listener)
	if err != nil {
		return err
	}
	if err := a.admit(s, nil, policy); err != nil { //nolint:contextcheck // sessions last beyond the start
		return errors.Join(err, s.listener.Close())
	}
	a.usePage(ctx, s)
	return nil
}

// openPage opens the listener of the page, unless there is one already. Nobody is let in
// before admit.
func (a *App) openPage(ctx context.Context, addr string, files config.TLS, l net.Listener) (*pageServer, error) {
	s := &pageServer{done: make(chan struct{})}
	if files.CertFile != "" {
		pair, err := a.openCertificate(files, "the page", "dashboard.tls")
		if err != nil {
			return nil, err
		}
		s.pair.Store(pair)
		s.expiry = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "gapless", Name: "dashboard_certificate_not_after_seconds", Help: "When the certificate of the page ends, in seconds since 1970.",
		}, func() float64 { return float64(s.pair.Load().notAfter().Unix()) })
	}
	if l == nil {
		var err error
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", addr); err != nil {
			return nil, &pipeline.Error{Op: "listen on " + addr, Class: pipeline.Misconfigured, Err: err, Hint: "Choose another address with --listen, or end the process that holds this one."}
		}
	}
	s.listener = l
	s.srv = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.Load().ServeHTTP(w, r) }),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.opts.Logger.Handler(), slog.LevelWarn),
	}
	if s.pair.Load() != nil {
		get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return s.pair.Load().get(hello) } //nolint:contextcheck // a certificate that is read is for all that follow
		s.srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
	}
	s.srv.RegisterOnShutdown(func() { // the streams of open pages would last
		if h := s.handler.Load(); h != nil {
			h.End()
		}
	})
	return s, nil
}

// printConfig returns the configuration of the moment as YAML, without secrets.
func (a *App) printConfig() (string, error) {
	var b strings.Builder
	if err := a.Config().Print(&b, false); err != nil {
		return "", err
	}
	return b.String(), nil
}

// admit lets those in whom a policy lets in, to a page and to the one before, if that is
// still there.
func (a *App) admit(s, before *pageServer, p access.Policy) error {
	p.Reachable = p.PublicURL != nil || open(s.listener.Addr())
	if s.handler.Load() == nil || s.closed != p.Closed() {
		handler, err := web.NewHandler(web.Options{
			Status: a.Overview, Metrics: a.gatherer(), Logger: a.opts.Logger, Config: a.printConfig,
			Letters: a.Letters(), Journal: a.Journal(), Guard: a.gate, Closed: p.Closed(),
		})
		if err != nil {
			return fmt.Errorf("make the page: %w", err)
		}
		if old := s.handler.Swap(handler); old != nil {
			old.End() // its streams show what may not be shown any more, or less than may
		}
		s.closed = p.Closed()
	}
	p.Reachable = p.Reachable || before != nil && open(before.listener.Addr())
	a.gate.Use(p)
	return nil
}

// usePage begins to serve, in the place of what has served before; nil serves no more.
// It returns what that was.
func (a *App) usePage(ctx context.Context, s *pageServer) (before *pageServer) {
	a.mu.Lock()
	before, a.page = a.page, s
	a.mu.Unlock()
	if before != nil && before.expiry != nil {
		a.registry.Unregister(before.expiry)
	}
	if s == nil {
		return before
	}
	if s.expiry != nil {
		a.registry.MustRegister(s.expiry)
	}
	if s.closed != "" {
		a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "other machines can reach the listener, and its pages ask for no login", slog.String("listen", a.Addr()),
			slog.String("hint", "Set dashboard.users or dashboard.oidc; until then the page shows figures alone. Or set listen to 127.0.0.1:8080."))
	}
	go func() {
		defer close(s.done)
		serve := s.srv.Serve
		if s.pair.Load() != nil {
			serve = func(l net.Listener) error { return s.srv.ServeTLS(l, "", "") }
		}
		if err := serve(limited(s.listener, maxConns)); !errors.Is(err, http.ErrServerClosed) {
			a.opts.Logger.LogAttrs(ctx, slog.LevelError, "the listener ended", slog.Any("error", err))
		}
	}()
	return before
}

// stop ends a server that serves; nil is none.
func (s *pageServer) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	err := s.srv.Shutdown(ctx)
	if err != nil {
		err = s.srv.Close()
	}
	<-s.done
	return err
}

// pageServer returns the one of the moment.
func (a *App) pageServer() *pageServer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.page
}

// Addr returns the address of the listener, empty when there is none.
func (a *App) Addr() string {
	s := a.pageServer()
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// open reports whether other machines can reach an address.
func open(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// A limit is a listener that holds back further connections while so many are
// open.
type limit struct {
	net.Listener

	slots  chan struct{}
	closed chan struct{}
	close  sync.Once
}

// limited limits the connections of a listener to n at once.
func limited(l net.Listener, n int) net.Listener {
	return &limit{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limit) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err //nolint:wrapcheck // http.Server looks at what the listener says
	}
	return &slot{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close implements net.Listener.
func (l *limit) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close() //nolint:wrapcheck // as above
}

// A slot is a connection that counts.
type slot struct {
	net.Conn

	free func()
}

// Close implements net.Conn.
func (s *slot) Close() error {
	defer s.free()
	return s.Conn.Close() //nolint:wrapcheck // as above
}
