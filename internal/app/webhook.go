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
func (a *App) webhook(ctx context.Context, t config.Tenant, logger *slog.Logger) (*source.Webhook, error) {
	var tokens []string
	for _, s := range t.Webhook.All() {
		token, err := s.Resolve(ctx, a.opts.Secrets)
		if err != nil {
			return nil, misconfigured("read webhook token", err)
		}
		if len(token) < shortToken {
			logger.LogAttrs(ctx, slog.LevelWarn, "the webhook token is short enough to be guessed", slog.Int("characters", len(token)),
				slog.String("hint", "Make another with: openssl rand -hex 32"))
		}
		tokens = append(tokens, token)
	}
	w := a.opts.Config.Webhook
	s, err := source.NewWebhook(source.WebhookConfig{
		Tokens: tokens, Allow: w.Networks(), MaxBody: int64(w.MaxBodyBytes),
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"tenant": t.Name}, a.registry),
	}, source.Deps{Logger: logger})
	if err != nil {
		return nil, misconfigured("set up the webhook", err)
	}
	return s, nil
}

// shortToken is the length, in characters, under which a token is called short.
const shortToken = 20

// webhookServer is the listener of the webhook and what stands behind it.
type webhookServer struct {
	srv    *http.Server
	guests *guests
	pair   *certificate // nil for plain HTTP
}

// listenWebhook opens the listener that Auth0 pushes to; nil when nobody does. What
// comes waits until serve.
func (a *App) listenWebhook(ctx context.Context) (*webhookServer, error) {
	handlers := make(map[string]http.Handler)
	for _, t := range a.tenants {
		if t.webhook != nil {
			handlers[t.name] = t.webhook
		}
	}
	if len(handlers) == 0 {
		return nil, nil //nolint:nilnil // a server that is not there serves nobody
	}
	cfg := a.opts.Config.Webhook
	s := new(webhookServer)
	var err error
	if cfg.TLS.CertFile != "" {
		if s.pair, err = newCertificate(cfg.TLS.CertFile, cfg.TLS.KeyFile, a.opts.Logger); err != nil {
			return nil, &pipeline.Error{
				Op: "read the certificate of the webhook", Class: pipeline.Misconfigured, Err: err,
				Hint: "Check webhook.tls: two PEM files that belong together and that gapless may read.",
			}
		}
		a.registry.MustRegister(s.pair.expiry())
	}
	if a.pushed = a.opts.WebhookListener; a.pushed == nil {
		a.pushed, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	}
	if err != nil {
		a.pushed = nil
		return nil, &pipeline.Error{
			Op: "listen for the webhook on " + cfg.Listen, Class: pipeline.Misconfigured, Err: err,
			Hint: "Choose another address with webhook.listen, or end the process that holds this one.",
		}
	}
	s.guests = receive(a.pushed, maxGuests)
	if s.srv, err = a.webhookHTTP(handlers, s); err != nil {
		return nil, errors.Join(err, a.pushed.Close())
	}
	a.onStop("webhook connections", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, answerGrace)
		defer cancel()
		if s.srv.Shutdown(ctx) == nil {
			return nil
		}
		return s.srv.Close()
	})
	return s, nil
}

// webhookHTTP makes the server. It sets no time for a body: a handler does, for
// those that it reads at all.
func (a *App) webhookHTTP(handlers map[string]http.Handler, s *webhookServer) (*http.Server, error) {
	// Who may not push learns no names: a tenant that there is not is one whose
	// token nobody knows.
	w := a.opts.Config.Webhook
	nobody, err := source.NewWebhook(source.WebhookConfig{Tokens: []string{rand.Text()}, Allow: w.Networks(), MaxBody: int64(w.MaxBodyBytes)}, source.Deps{Logger: a.opts.Logger})
	if err != nil {
		return nil, fmt.Errorf("set up the webhook: %w", err)
	}
	strays := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "gapless", Name: "webhook_stray_requests_total", Help: "Requests to the webhook's listener that named no tenant which is pushed to.",
	})
	a.registry.MustRegister(strays)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/tenants/{name}/logs", func(w http.ResponseWriter, r *http.Request) {
		if h, ok := handlers[r.PathValue("name")]; ok {
			h.ServeHTTP(w, r)
			return
		}
		strays.Inc()
		nobody.ServeHTTP(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		strays.Inc()
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
	if s.pair != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.pair.get}
	}
	return srv, nil
}

// serve begins to serve, until the App stops: first nobody new comes in and those
// that are under way come to their end, and once the sources have ended the
// connections that are left are cut.
func (s *webhookServer) serve(ctx context.Context, a *App) {
	if s == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if s.pair != nil {
			err = s.srv.ServeTLS(s.guests, "", "")
		} else {
			err = s.srv.Serve(s.guests)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			a.opts.Logger.LogAttrs(ctx, slog.LevelError, "the listener of the webhook ended", slog.Any("error", err))
		}
	}()
	a.onStop("webhook", func(ctx context.Context) error {
		grace := webhookGrace
		if deadline, ok := ctx.Deadline(); ok {
			grace = min(grace, time.Until(deadline)/4)
		}
		ctx, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		s.guests.dismiss()
		err := s.srv.Shutdown(ctx)
		<-done
		if errors.Is(err, context.DeadlineExceeded) {
			return nil // those that are left are told to come again, and then cut
		}
		if err != nil {
			return fmt.Errorf("end the listener: %w", err)
		}
		return nil
	})
}

// WebhookAddr returns the address of the webhook's listener, empty when there is
// none.
func (a *App) WebhookAddr() string {
	if a.pushed == nil {
		return ""
	}
	return a.pushed.Addr().String()
}
