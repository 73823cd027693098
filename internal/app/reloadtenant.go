package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/transform"
	"github.com/gaplesslogs/gapless/internal/web"
)

// settings are all that a tenant's parts are made of, to see whether it must be built
// anew.
type settings struct {
	tenant  config.Tenant
	aws     []config.AWS // of its outlets, and of its queue
	maxBody config.Size  // of its webhook
	allow   []string
	keys    []string // of redaction and of the ledger, hashed
	ledger  config.Ledger
}

// settingsOf returns those of a tenant in a configuration.
func settingsOf(cfg *config.Config, t config.Tenant, keys []string) settings {
	s := settings{tenant: t, keys: keys, ledger: cfg.Ledger}
	for _, w := range wantedOf(cfg, &t) {
		s.aws = append(s.aws, w.aws)
	}
	if t.SQS.QueueURL != "" {
		s.aws = append(s.aws, cfg.AWSForSQS(t))
	}
	if len(t.Webhook.All()) > 0 {
		s.maxBody, s.allow = cfg.Webhook.MaxBodyBytes, cfg.Webhook.Allow
	}
	return s
}

// setKeys completes the settings of a tenant that was built.
func (t *tenant) setKeys(keys []string) { t.settings = settingsOf(t.cfg, t.of, keys) }

// equal reports whether a tenant of these settings need not be built anew.
func (s settings) equal(o settings) bool { return reflect.DeepEqual(s, o) }

// redactKeys reads the keys of a tenant's redactions and of the ledger, and returns their
// hashes: a key that was rotated is taken when the configuration is, and not in between.
func (a *App) redactKeys(ctx context.Context, cfg *config.Config, t config.Tenant) ([]string, error) {
	var hashes []string
	for _, key := range t.RedactKeys() {
		value, err := a.secrets.resolve(ctx, key)
		if err != nil {
			return nil, misconfigured("read redact.key", err)
		}
		sum := sha256.Sum256([]byte(value))
		hashes = append(hashes, string(sum[:]))
	}
	key, err := a.signingKey(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if key != nil {
		hashes = append(hashes, key.ID)
	}
	return hashes, nil
}

// tryTenant finds out whether a tenant could be built. It writes nothing and calls
// nobody but those that keep the secrets.
func (a *App) tryTenant(ctx context.Context, cfg *config.Config, t config.Tenant) error {
	trial := a.newTenant(cfg, t)
	trial.logger = slog.New(slog.DiscardHandler)
	if t.Polls() {
		client, err := a.auth0Client(ctx, t, nil, trial)
		if err != nil {
			return err
		}
		if err := errors.Join(client.Close(), a.tryStart(ctx, t)); err != nil {
			return err
		}
	}
	if t.SQS.QueueURL != "" {
		if _, err := a.sqsClient(ctx, t, trial); err != nil {
			return err
		}
	}
	if len(t.Webhook.All()) > 0 {
		if _, err := a.webhook(ctx, t, trial); err != nil {
			return err
		}
	}
	if _, err := trial.filter(ctx, "", t.Filter, trial.logger); err != nil {
		return err
	}
	if _, err := a.redactor(ctx, t.Redact); err != nil {
		return err
	}
	for _, w := range wantedOf(cfg, &t) {
		o := &outlet{name: w.name, tenant: trial, logger: trial.logger}
		if err := a.tryOutlet(ctx, t, w, o); err != nil {
			return err
		}
	}
	return nil
}

// tryOutlet is tryTenant for one of its outlets.
func (a *App) tryOutlet(ctx context.Context, t config.Tenant, w wanted, o *outlet) error {
	sink, err := a.sink(ctx, t.Name, w, o)
	if err == nil {
		_, err = transform.NewRoutes(t.Name, w.cw.LogGroup, w.cw.LogStream, w.cw.MaxStreams)
	}
	if err == nil {
		_, err = a.outbound(ctx, t, w, o, sink)
	}
	if err == nil {
		_, err = a.ledgerPlaces(ctx, o.tenant.cfg, t.Name, w)
	}
	if err != nil && w.name != "" {
		err = fmt.Errorf("destination %s: %w", w.name, err)
	}
	return err
}

// tryStart reports what is wrong with the starting point of a tenant.
func (a *App) tryStart(ctx context.Context, t config.Tenant) error {
	if _, err := startFrom(t); err != nil {
		return err
	}
	if _, err := config.ParseRetention(t.Retention); err != nil {
		return misconfigured("read auth0_retention", err)
	}
	figures, err := a.store.Status(ctx)
	if err != nil {
		return fmt.Errorf("read figures: %w", err)
	}
	for _, f := range figures {
		if f.Tenant != t.Name {
			continue
		}
		b, err := a.store.Buffer(ctx, t.Name)
		if err != nil {
			return fmt.Errorf("open buffer: %w", err)
		}
		if _, err := checkStart(ctx, b, t, source.PollName); err != nil {
			return err
		}
	}
	return nil
}

// startTenants builds and starts the tenants of a plan: none before all are built, as
// those that share a queue must have joined it before the first receives from it. The
// configuration was found good, so that only the disk can be in the way: then a tenant is
// tried again until it is not.
func (a *App) startTenants(ctx context.Context, p *plan) {
	var ready []*tenant
	for _, t := range p.start {
		a.reclaim(ctx, t.Name)
		built, err := a.build(ctx, p.cfg, t)
		if err != nil {
			a.putOff(ctx, &lateTenant{cfg: p.cfg, tenant: t, keys: p.keys[t.Name], since: time.Now()}, err)
			continue
		}
		ready = append(ready, built)
	}
	for _, t := range ready {
		a.begin(ctx, t, p.keys[t.name])
	}
}

// begin starts a tenant that was built.
func (a *App) begin(ctx context.Context, built *tenant, keys []string) {
	built.setKeys(keys)
	built.buffer.Meter(true)
	built.start(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tenants = append(a.tenants, built)
}

// A lateTenant is one that could not be started yet.
type lateTenant struct {
	cfg    *config.Config
	tenant config.Tenant
	keys   []string
	since  time.Time
	next   time.Time
	err    error
}

// lateRest is the pause between two tries to start a tenant.
const lateRest = 10 * time.Second

// putOff has the caretaker start a tenant later.
func (a *App) putOff(ctx context.Context, l *lateTenant, err error) {
	if l.err == nil || l.err.Error() != err.Error() {
		a.opts.Logger.LogAttrs(ctx, slog.LevelError, "a tenant could not be started, trying again", slog.String("tenant", l.tenant.Name),
			slog.Duration("next_try_in", lateRest), slog.Any("error", err), slog.String("hint", pipeline.Classify(err).Hint))
	}
	l.err, l.next = err, time.Now().Add(lateRest)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.late = append(a.late, l)
}

// replaceAll ends the deliveries of tenants that are built anew. What is under way
// comes to its end, if need be beside the new ones.
func (a *App) replaceAll(ctx context.Context, list []*tenant) {
	var all sync.WaitGroup
	for _, t := range list {
		t.replaced.Store(true)
		for _, d := range t.deliveries {
			left := make(chan struct{})
			a.leaving.Go(func() {
				defer close(left)
				d.leave(a.stopping)
			})
			all.Go(func() {
				wait := time.NewTimer(leaveWait)
				defer wait.Stop()
				select {
				case <-left:
				case <-wait.C:
				}
			})
		}
		t.deliveries = nil
	}
	all.Wait()
	for _, t := range list {
		if err := t.close(); err != nil {
			t.logger.LogAttrs(ctx, slog.LevelDebug, "cannot close the client of Auth0", slog.Any("error", err))
		}
	}
}

// letLeave has a removed tenant go on delivering what waits in its buffer. Its sources
// have ended, and their troubles with them.
func (a *App) letLeave(ctx context.Context, t *tenant) {
	outlets := make(map[string]bool)
	for _, o := range t.outlets {
		outlets[o.part()] = true
	}
	for _, part := range t.parts() {
		if outlets[part] {
			continue
		}
		t.note(part, nil)
		if err := t.buffer.ClearCondition(ctx, part); err != nil {
			t.logger.LogAttrs(ctx, slog.LevelWarn, "cannot clear the condition", slog.Any("error", err))
		}
	}
	if n := t.waiting(); n > 0 {
		t.logger.LogAttrs(ctx, slog.LevelInfo, "the tenant is not configured any more; what waits in the buffer is still delivered", slog.Int64("events", n))
	}
	a.mu.Lock()
	a.removed = append(a.removed, t)
	a.mu.Unlock()
	a.letGo(ctx, t)
}

// waiting returns how many events wait for the outlets of a tenant.
func (t *tenant) waiting() (n int64) {
	for _, o := range t.outlets {
		n += o.pending()
	}
	return n
}

// letGo ends a removed tenant for which nothing waits any more.
func (a *App) letGo(ctx context.Context, t *tenant) {
	if t.waiting() > 0 {
		return
	}
	a.forget(ctx, t)
	t.logger.LogAttrs(ctx, slog.LevelInfo, "the tenant that was removed is delivered")
}

// reclaim ends a removed tenant that is about to be built again.
func (a *App) reclaim(ctx context.Context, name string) {
	for _, t := range a.leftovers() {
		if t.name == name {
			a.forget(ctx, t)
		}
	}
}

// forget ends what a removed tenant still does.
func (a *App) forget(ctx context.Context, t *tenant) {
	a.replaceAll(ctx, []*tenant{t})
	t.buffer.Meter(false)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removed = slices.DeleteFunc(a.removed, func(x *tenant) bool { return x == t })
}

// leftovers returns the removed tenants that still deliver.
func (a *App) leftovers() []*tenant {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.removed)
}

// caretakerPause is the pause between two rounds of the caretaker.
const caretakerPause = time.Second

// caretaker lets removed tenants go that have delivered everything, and starts those
// that could not be started, until ctx ends. A reload wakes it when there are any.
func (a *App) caretaker(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.care:
		}
		for a.cares() {
			if pipeline.Wait(ctx, caretakerPause) != nil {
				return
			}
			if !a.lifecycle.TryLock() { // a reload is under way
				continue
			}
			work := context.WithoutCancel(ctx)
			for _, t := range a.leftovers() {
				a.letGo(work, t)
			}
			a.startLate(work)
			a.lifecycle.Unlock()
		}
	}
}

// cares reports whether the caretaker has anything to do.
func (a *App) cares() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.removed)+len(a.late) > 0
}

// wakeCaretaker has the caretaker look whether it has anything to do.
func (a *App) wakeCaretaker() {
	select {
	case a.care <- struct{}{}:
	default:
	}
}

// startLate tries again to start the tenants that could not be started.
func (a *App) startLate(ctx context.Context) {
	a.mu.Lock()
	var due []*lateTenant
	now := time.Now()
	a.late = slices.DeleteFunc(a.late, func(l *lateTenant) bool {
		if now.Before(l.next) {
			return false
		}
		due = append(due, l)
		return true
	})
	a.mu.Unlock()
	for _, l := range due {
		built, err := a.build(ctx, l.cfg, l.tenant)
		if err != nil {
			a.putOff(ctx, l, err)
			continue
		}
		built.logger.LogAttrs(ctx, slog.LevelInfo, "the tenant is started", slog.Duration("after", time.Since(l.since).Round(time.Millisecond)))
		a.begin(ctx, built, l.keys)
	}
	if len(due) > 0 {
		a.routePushes(ctx)
	}
}

// tellLate adds the troubles of tenants that could not be started yet.
func (a *App) tellLate(tenants []web.Tenant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.late {
		for i := range tenants {
			if v := &tenants[i]; v.Name == l.tenant.Name {
				e := pipeline.Classify(l.err)
				v.Troubles = append(v.Troubles, web.Trouble{Part: "start", Class: e.Class.String(), Message: l.err.Error(), Hint: e.Hint, Since: l.since})
				v.Judge(true)
			}
		}
	}
}
