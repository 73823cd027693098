package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"

	"github.com/gaplesslogs/gapless/internal/config"
)

// prepareListeners opens the listeners that a plan needs, besides those that are there.
func (a *App) prepareListeners(ctx context.Context, p *plan) error {
	if err := a.preparePage(ctx, p); err != nil {
		return err
	}
	if err := a.preparePush(ctx, p); err != nil {
		if p.page != nil {
			err = errors.Join(err, p.page.listener.Close())
		}
		return err
	}
	return nil
}

// preparePage opens another listener for the page, if it has another address.
func (a *App) preparePage(ctx context.Context, p *plan) (err error) {
	old := a.Config().Listen
	if p.cfg.Listen == old || a.opts.Listener != nil {
		return nil
	}
	if p.cfg.Listen != "" {
		p.page, err = a.openPage(ctx, p.cfg.Listen, nil)
	}
	if inTheWay(err, p.cfg.Listen, a.Addr()) {
		p.cfg.Listen = old
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "listen")
		return nil
	}
	p.newPage = err == nil
	return err
}

// inTheWay reports whether an address could not be listened on for the one in use, which
// has the same port.
func inTheWay(err error, next, inUse string) bool {
	_, one, errA := net.SplitHostPort(next)
	_, other, errB := net.SplitHostPort(inUse)
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "listen" && errA == nil && errB == nil && one == other
}

// preparePush opens another listener for the webhook, if there is none yet or it has
// another address, and reads another certificate.
func (a *App) preparePush(ctx context.Context, p *plan) (err error) {
	old, next, now := a.Config().Webhook, &p.cfg.Webhook, a.pushServer()
	wanted := slices.ContainsFunc(p.cfg.Tenants, func(t config.Tenant) bool { return len(t.Webhook.All()) > 0 })
	switch {
	case !wanted:
		p.newPush = now != nil
		return nil
	case now != nil && next.Listen == old.Listen:
		return a.prepareTLS(p, now)
	}
	p.push, err = a.openWebhook(ctx, *next)
	if now != nil && inTheWay(err, next.Listen, a.WebhookAddr()) {
		next.Listen, next.TLS, next.Plaintext = old.Listen, old.TLS, old.Plaintext
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "webhook.listen")
		return nil
	}
	p.newPush = err == nil
	return err
}

// prepareTLS reads another certificate for the webhook's listener.
func (a *App) prepareTLS(p *plan, now *webhookServer) (err error) {
	old, next := a.Config().Webhook, &p.cfg.Webhook
	if next.TLS == old.TLS {
		return nil
	}
	if (next.TLS.CertFile == "") != (now.pair.Load() == nil) {
		next.TLS, next.Plaintext = old.TLS, old.Plaintext
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "webhook.tls")
		return nil
	}
	p.pair, err = a.openCertificate(*next)
	return err
}

// applyListeners begins to serve on the listeners of a plan, and ends those before.
func (a *App) applyListeners(ctx context.Context, p *plan) {
	ctx, cancel := context.WithTimeout(ctx, webhookGrace+2*answerGrace)
	defer cancel()
	var errs []error
	if p.newPage {
		errs = append(errs, a.usePage(ctx, p.page).stop(ctx))
	}
	if p.newPush {
		before := a.usePush(p.push)
		if p.push != nil && before != nil {
			p.push.routes.Store(before.routes.Load())
		}
		a.routePushes(ctx)
		p.push.serve(ctx, a)
		errs = append(errs, before.dismiss(ctx), before.cut(ctx))
	}
	a.routePushes(ctx)
	if p.pair != nil {
		a.pushServer().pair.Store(p.pair)
	}
	if err := errors.Join(errs...); err != nil {
		a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "a listener that was replaced did not end in order", slog.Any("error", err))
	}
}

// routePushes leads what is pushed to the tenants of the moment.
func (a *App) routePushes(ctx context.Context) {
	s := a.pushServer()
	if s == nil {
		return
	}
	routes, err := a.pushRoutes(a.Config(), s.routes.Load())
	if err != nil { // it has tokens of its own making
		a.opts.Logger.LogAttrs(ctx, slog.LevelError, "what is pushed goes the old ways", slog.Any("error", err))
		return
	}
	s.routes.Store(routes)
}
