package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

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
	done     chan struct{} // closed when it has ended
}

// listen serves the page and the endpoints, if configured.
func (a *App) listen(ctx context.Context) error {
	a.onStop("listener", func(ctx context.Context) error { return a.pageServer().stop(ctx) }) // a reload may open one
	addr := a.Config().Listen
	if addr == "" && a.opts.Listener == nil {
		return nil
	}
	s, err := a.openPage(ctx, addr, a.opts.Listener)
	if err != nil {
		return err
	}
	a.usePage(ctx, s)
	return nil
}

// openPage opens the listener of the page, unless there is one already.
func (a *App) openPage(ctx context.Context, addr string, l net.Listener) (*pageServer, error) {
	if l == nil {
		var err error
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", addr); err != nil {
			return nil, &pipeline.Error{Op: "listen on " + addr, Class: pipeline.Misconfigured, Err: err, Hint: "Choose another address with --listen, or end the process that holds this one."}
		}
	}
	handler, err := web.NewHandler(a.pageOptions(l.Addr()))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.opts.Logger.Handler(), slog.LevelWarn),
	}
	srv.RegisterOnShutdown(handler.End) // the streams of open pages would last
	return &pageServer{listener: l, done: make(chan struct{}), srv: srv}, nil
}

// printConfig returns the configuration of the moment as YAML, without secrets.
func (a *App) printConfig() (string, error) {
	var b strings.Builder
	if err := a.Config().Print(&b, false); err != nil {
		return "", err
	}
	return b.String(), nil
}

// closedHint says why events are not shown to everybody.
const closedHint = "Events and operations are shown to nobody here, because other machines reach this listener and no login is configured. " +
	"Set listen to an address of this machine alone, such as 127.0.0.1:8080, or configure a login under dashboard."

// pageOptions says what the page at an address is made of.
func (a *App) pageOptions(at net.Addr) web.Options {
	o := web.Options{Status: a.Overview, Metrics: a.gatherer(), Logger: a.opts.Logger, Config: a.printConfig, Letters: a.Letters(), Journal: a.Journal()}
	o.Guard = nil // the login of the dashboard goes here
	if o.Guard == nil && open(at) {
		o.Closed = closedHint
	}
	return o
}

// usePage begins to serve, in the place of what has served before; nil serves no more.
// It returns what that was.
func (a *App) usePage(ctx context.Context, s *pageServer) (before *pageServer) {
	a.mu.Lock()
	before, a.page = a.page, s
	a.mu.Unlock()
	if s == nil {
		return before
	}
	if open(s.listener.Addr()) {
		a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "other machines can reach the listener, and its pages ask for no login", slog.String("listen", a.Addr()),
			slog.String("hint", "Set listen to 127.0.0.1:8080, or see to it that only a proxy with authentication and your monitoring reach it."))
	}
	go func() {
		defer close(s.done)
		if err := s.srv.Serve(limited(s.listener, maxConns)); !errors.Is(err, http.ErrServerClosed) {
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
