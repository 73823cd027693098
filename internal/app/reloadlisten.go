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

// preparePage opens another listener for the page, if it has another address, and reads
// another certificate.
func (a *App) preparePage(ctx context.Context, p *plan) (err error) {
	old, now := a.Config(), a.pageServer()
	if a.opts.Listener != nil || p.cfg.Listen == old.Listen {
		return a.preparePageTLS(ctx, p, now)
	}
	if p.cfg.Listen != "" {
		p.page, err = a.openPage(ctx, p.cfg.Listen, p.cfg.Dashboard.TLS, nil)
	}
	if inTheWay(err, p.cfg.Listen, a.Addr()) {
		p.cfg.Listen = old.Listen
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "listen")
		if d := &p.cfg.Dashboard; now != nil && open(now.listener.Addr()) && d.InClear() {
			return a.keepDashboard(ctx, p)
		}
		return a.preparePageTLS(ctx, p, now)
	}
	p.newPage = err == nil
	return err
}

// preparePageTLS reads another certificate for the page that is there.
func (a *App) preparePageTLS(ctx context.Context, p *plan, now *pageServer) (err error) {
	old, next := a.Config().Dashboard.TLS, p.cfg.Dashboard.TLS
	if now == nil || next == old {
		return nil
	}
	if (next.CertFile == "") != (now.pair.Load() == nil) {
		return a.keepDashboard(ctx, p) // whoever is to log in must not do it in clear
	}
	p.pagePair, err = a.openCertificate(next, "the page", "dashboard.tls")
	return err
}

// keepDashboard leaves the whole section as it is until a restart.
func (a *App) keepDashboard(ctx context.Context, p *plan) (err error) {
	p.cfg.Dashboard = a.Config().Dashboard
	p.changes.NeedsRestart = append(p.changes.NeedsRestart, "dashboard")
	p.policy, err = a.policy(ctx, p.cfg)
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
	p.pair, err = a.openCertificate(next.TLS, "the webhook", "webhook.tls")
	return err
}

// applyListeners begins to serve on the listeners of a plan, and ends those before.
func (a *App) applyListeners(ctx context.Context, p *plan) {
	ctx, cancel := context.WithTimeout(ctx, webhookGrace+2*answerGrace)
	defer cancel()
	var errs []error
	errs = append(errs, a.applyPage(ctx, p))
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

// applyPage serves the page of a plan, to those whom it lets in. While the page before is
// still there, what others can reach of one counts for both.
func (a *App) applyPage(ctx context.Context, p *plan) error {
	before := a.pageServer()
	s := before
	if p.newPage {
		s = p.page
	}
	if s == nil {
		if p.newPage {
			before = a.usePage(ctx, nil)
		}
		a.gate.Use(p.policy) //nolint:contextcheck // sessions last beyond the reload
		return before.stop(ctx)
	}
	if p.pagePair != nil {
		s.pair.Store(p.pagePair)
	}
	if err := a.admit(s, before, p.policy); err != nil { //nolint:contextcheck // sessions last beyond the reload
		return err // of templates that are in the program
	}
	if !p.newPage {
		return nil
	}
	return errors.Join(a.usePage(ctx, s).stop(ctx), a.admit(s, nil, p.policy)) //nolint:contextcheck // sessions last beyond the reload
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
