package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
)

const (
	// maxGuests is how many connections the webhook holds open. Auth0 opens a few;
	// the rest is room in which strangers may wait for nothing.
	maxGuests = 1024
	// webhookGrace is how long a stop waits for requests under way, within a
	// quarter of the time that it has.
	webhookGrace = 5 * time.Second
	// answerGrace is how long it then waits for those to get their answers that were
	// still under way.
	answerGrace = 3 * time.Second
)

// webhook makes the source of a tenant that is pushed to.
func (a *App) webhook(ctx context.Context, t config.Tenant, built *tenant) (*source.Webhook, error) {
	var tokens []string
	for _, s := range t.Webhook.All() {
		token, err := a.secrets.resolve(ctx, s)
		if err != nil {
			return nil, misconfigured("read webhook token", err)
		}
		if len(token) < shortToken {
			built.logger.LogAttrs(ctx, slog.LevelWarn, "the webhook token is short enough to be guessed", slog.Int("characters", len(token)),
				slog.String("hint", "Make another with: openssl rand -hex 32"))
		}
		tokens = append(tokens, token)
	}
	w := built.cfg.Webhook
	s, err := source.NewWebhook(source.WebhookConfig{
		Tokens: tokens, Allow: w.Networks(), MaxBody: int64(w.MaxBodyBytes),
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"tenant": t.Name}, built.registry),
	}, source.Deps{Logger: built.logger})
	if err != nil {
		return nil, misconfigured("set up the webhook", err)
	}
	built.secrets.watch("webhook.token", t.Webhook.All(), tokens, s.SetTokens)
	return s, nil
}

// shortToken is the length, in characters, under which a token is called short.
const shortToken = 20

// webhookServer is the listener of the webhook and what stands behind it.
type webhookServer struct {
	listener net.Listener
	srv      *http.Server
	guests   *guests
	pair     atomic.Pointer[certificate] // nil for plain HTTP
	expiry   prometheus.Collector        // of the pair; nil without one
	routes   atomic.Pointer[pushRoutes]
	done     chan struct{} // closed when it serves no more; nil before it serves
}

// pushRoutes says who takes what is pushed.
type pushRoutes struct {
	handlers map[string]http.Handler // by tenant
	nobody   http.Handler            // takes what is for none of them
}

// registerStrays registers the figure of requests that are for nobody.
func (a *App) registerStrays() {
	a.strays = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "gapless", Name: "webhook_stray_requests_total", Help: "Requests to the webhook's listener that named no tenant which is pushed to.",
	})
	a.registry.MustRegister(a.strays)
}

// pushRoutes returns who takes what is pushed by a configuration. A tenant that is
// being built anew is known by the handler that it had, which tells who pushes to come
// again.
func (a *App) pushRoutes(cfg *config.Config, before *pushRoutes) (*pushRoutes, error) {
	// Who may not push learns no names: a tenant that there is not is one whose
	// token nobody knows.
	w := cfg.Webhook
	nobody, err := source.NewWebhook(source.WebhookConfig{Tokens: []string{rand.Text()}, Allow: w.Networks(), MaxBody: int64(w.MaxBodyBytes)}, source.Deps{Logger: a.opts.Logger})
	if err != nil {
		return nil, fmt.Errorf("set up the webhook: %w", err)
	}
	r := &pushRoutes{handlers: make(map[string]http.Handler), nobody: nobody}
	for _, t := range cfg.Tenants {
		if before != nil && before.handlers[t.Name] != nil && len(t.Webhook.All()) > 0 {
			r.handlers[t.Name] = before.handlers[t.Name]
		}
	}
	for _, t := range a.running() {
		if t.webhook != nil {
			r.handlers[t.name] = t.webhook
		}
	}
	return r, nil
}

// listenWebhook opens the listener that Auth0 pushes to, if anybody does. What comes
// waits until it is served.
func (a *App) listenWebhook(ctx context.Context) error {
	routes, err := a.pushRoutes(a.Config(), nil)
	if err != nil {
		return err
	}
	a.onStop("webhook connections", func(ctx context.Context) error { return a.pushServer().cut(ctx) })
	if len(routes.handlers) == 0 {
		return nil
	}
	s, err := a.openWebhook(ctx, a.Config().Webhook)
	if err != nil {
		return err
	}
	s.routes.Store(routes)
	a.usePush(s)
	return nil
}

// openWebhook opens the listener.
func (a *App) openWebhook(ctx context.Context, cfg config.Webhook) (*webhookServer, error) {
	s := new(webhookServer)
	var err error
	if cfg.TLS.CertFile != "" {
		pair, err := a.openCertificate(cfg.TLS, "the webhook", "webhook.tls")
		if err != nil {
			return nil, err
		}
		s.pair.Store(pair)
		s.expiry = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "gapless", Name: "webhook_certificate_not_after_seconds", Help: "When the certificate of the webhook ends, in seconds since 1970.",
		}, func() float64 { return float64(s.pair.Load().notAfter().Unix()) })
	}
	if open := a.opts.ListenWebhook; open != nil {
		s.listener, err = open(ctx, cfg.Listen)
	} else {
		s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	}
	if err != nil {
		return nil, &pipeline.Error{
			Op: "listen for the webhook on " + cfg.Listen, Class: pipeline.Misconfigured, Err: err,
			Hint: "Choose another address with webhook.listen, or end the process that holds this one.",
		}
	}
	s.guests = receive(s.listener, maxGuests)
	s.srv = a.webhookHTTP(s)
	return s, nil
}

// openCertificate reads a certificate: whose it is, in words, and the setting that names
// its files.
func (a *App) openCertificate(files config.TLS, of, setting string) (*certificate, error) {
	pair, err := newCertificate(files, of, setting, a.opts.Logger)
	if err != nil {
		return nil, &pipeline.Error{
			Op: "read the certificate of " + of, Class: pipeline.Misconfigured, Err: err,
			Hint: "Check " + setting + ": two PEM files that belong together and that gapless may read.",
		}
	}
	return pair, nil
}

// usePush makes a server the one of the moment, nil for none, and returns the one
// before.
func (a *App) usePush(s *webhookServer) (before *webhookServer) {
	a.mu.Lock()
	before, a.push = a.push, s
	a.mu.Unlock()
	if before != nil && before.expiry != nil {
		a.registry.Unregister(before.expiry)
	}
	if s != nil && s.expiry != nil {
		a.registry.MustRegister(s.expiry)
	}
	return before
}

// pushServer returns the one of the moment, nil when nobody pushes.
func (a *App) pushServer() *webhookServer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.push
}

// webhookHTTP makes the server. It sets no time for a body: a handler does, for
// those that it reads at all.
func (a *App) webhookHTTP(s *webhookServer) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/tenants/{name}/logs", func(w http.ResponseWriter, r *http.Request) {
		to := s.routes.Load()
		if h, ok := to.handlers[r.PathValue("name")]; ok {
			h.ServeHTTP(w, r)
			return
		}
		a.strays.Inc()
		to.nobody.ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		a.strays.Inc()
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)) // for a body that nobody wants
		w.WriteHeader(http.StatusNotFound)
	})
	only1 := new(http.Protocols) // one request at a time on a connection: no need for more
	only1.SetHTTP1(true)
	srv := &http.Server{
		Handler: s.guests.serve(mux), ConnContext: s.guests.context, Protocols: only1,
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.opts.Logger.Handler(), slog.LevelDebug), // what strangers do wrong is no trouble of ours
	}
	if s.pair.Load() != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}
	}
	return srv
}

// certificate is tls.Config.GetCertificate: that of the moment.
func (s *webhookServer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.pair.Load().get(hello)
}

// serve begins to serve, until dismiss.
func (s *webhookServer) serve(ctx context.Context, a *App) {
	if s == nil {
		return
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		var err error
		if s.pair.Load() != nil {
			err = s.srv.ServeTLS(s.guests, "", "")
		} else {
			err = s.srv.Serve(s.guests)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			a.opts.Logger.LogAttrs(ctx, slog.LevelError, "the listener of the webhook ended", slog.Any("error", err))
		}
	}()
}

// dismissPushes is dismiss for the server of the moment.
func (a *App) dismissPushes(ctx context.Context) error { return a.pushServer().dismiss(ctx) }

// dismiss lets nobody new in, and those requests that are under way come to their end.
// Those that are left after a while are told to come again, and then cut.
func (s *webhookServer) dismiss(ctx context.Context) error {
	if s == nil || s.done == nil {
		return nil
	}
	grace := webhookGrace
	if deadline, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(deadline)/4)
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	s.guests.dismiss()
	err := s.srv.Shutdown(ctx)
	<-s.done
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end the listener: %w", err)
	}
	return nil
}

// cut ends the connections that are left, once their sources have ended.
func (s *webhookServer) cut(ctx context.Context) error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerGrace)
	defer cancel()
	if s.srv.Shutdown(ctx) == nil {
		return s.unserved()
	}
	return errors.Join(s.srv.Close(), s.unserved())
}

// unserved closes the listener of a server that never served.
func (s *webhookServer) unserved() error {
	if s.done != nil {
		return nil
	}
	return s.listener.Close() //nolint:wrapcheck // it names the address
}

// WebhookAddr returns the address of the webhook's listener, empty when there is
// none.
func (a *App) WebhookAddr() string {
	s := a.pushServer()
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}
