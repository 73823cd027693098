package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/store"
)

const (
	// reloadTimeout bounds reading, checking and preparing a new configuration.
	reloadTimeout = 2 * time.Minute
	// leaveWait is how long a reload waits for calls of a delivery that is replaced. It
	// goes on beside the new one after that: no batch is in the hands of both.
	leaveWait = 5 * time.Second
)

// A Loader reads a configuration, and says what resolves its secrets.
type Loader func(context.Context) (*config.Config, config.Resolver, error)

// Changes say what a reload has done.
type Changes struct {
	// Added, Changed, Removed and Unchanged are tenants. Those of Changed were started
	// anew, and the others not touched.
	Added, Changed, Removed, Unchanged []string
	// Settings are those outside of tenants that are different. NeedsRestart are the ones
	// of them that hold only after a restart: of these the old values stay in use.
	Settings, NeedsRestart []string
}

// errNoReload says that an App has no second configuration.
var errNoReload = errors.New("a run that ends by itself keeps its configuration")

// Reload takes another configuration while running. It checks everything first: when
// anything is wrong with it, the error says what, and all stays as it is. What is told
// of it goes to the logger, to the metrics and to Overview, in either case. It must not
// be called beside Start or Stop.
func (a *App) Reload(ctx context.Context, load Loader) (Changes, error) {
	if a.opts.once() || a.opts.DryRun != nil {
		return Changes{}, errNoReload
	}
	a.lifecycle.Lock()
	defer a.lifecycle.Unlock()
	p, err := a.prepare(ctx, load)
	if err != nil {
		a.reloads.failed(ctx, a.opts.Logger, err)
		a.shareConfiguration(ctx)
		return Changes{}, err
	}
	a.apply(context.WithoutCancel(ctx), p)
	a.reloads.succeeded(ctx, a.opts.Logger, p.changes)
	a.shareConfiguration(ctx)
	a.tellDoubts(ctx)
	_ = together(ctx, p.keep, func(t *tenant, ctx context.Context) { t.secrets.lookAll(ctx) })
	return p.changes, nil
}

// A plan is a configuration that was found good, and what is to be done for it.
type plan struct {
	cfg     *config.Config // with the old values of what needs a restart
	changes Changes
	start   []config.Tenant // those to be built, in their order
	replace []*tenant       // those that run and are built anew
	remove  []*tenant
	keep    []*tenant
	keys    map[string][]string // of redaction, by tenant

	page *pageServer // to serve from now on, if newPage
	push *webhookServer
	pair *certificate // for the webhook, nil for none but the one in use

	policy   access.Policy // of the page
	pagePair *certificate  // for the page, as pair

	newPage, newPush bool

	notify notify.Settings
}

// prepare reads a configuration and finds out whether it could be run. It changes
// nothing that lasts if it fails.
func (a *App) prepare(ctx context.Context, load Loader) (_ *plan, err error) {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	cfg, resolver, err := load(ctx)
	if err != nil {
		return nil, err
	}
	before := a.secrets.begin(resolver)
	defer func() {
		if err != nil {
			a.secrets.begin(before)
		}
	}()
	p, err := a.plan(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, t := range p.start {
		if err := a.tryTenant(ctx, p.cfg, t); err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
	}
	if p.policy, err = a.policy(ctx, p.cfg); err != nil {
		return nil, err
	}
	if p.notify, err = a.notifySettings(ctx, p.cfg); err != nil {
		return nil, err
	}
	return p, a.prepareListeners(ctx, p)
}

// plan compares a configuration with the one in use.
func (a *App) plan(ctx context.Context, cfg *config.Config) (*plan, error) {
	old, next := a.Config(), *cfg
	p := &plan{cfg: &next, keys: make(map[string][]string), changes: Changes{Settings: old.Changes(cfg)}}
	if next.DataDir != old.DataDir {
		next.DataDir = old.DataDir
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "data_dir")
	}
	if next.History.Off() != old.History.Off() {
		next.History = old.History
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "history.keep")
	}
	if !reflect.DeepEqual(next.Tracing, old.Tracing) {
		next.Tracing = old.Tracing
		p.changes.NeedsRestart = append(p.changes.NeedsRestart, "tracing")
	}
	var err error
	for _, t := range next.Tenants {
		if p.keys[t.Name], err = a.redactKeys(ctx, &next, t); err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
	}
	running := make(map[string]*tenant)
	for _, t := range a.running() {
		running[t.name] = t
	}
	again := p.touched(old, running)
	for _, t := range next.Tenants {
		runs := running[t.Name]
		switch {
		case runs == nil && !configured(old, t.Name):
			p.changes.Added = append(p.changes.Added, t.Name)
		case again[t.Name]:
			p.changes.Changed = append(p.changes.Changed, t.Name)
		default:
			p.changes.Unchanged = append(p.changes.Unchanged, t.Name)
			p.keep = append(p.keep, runs)
			continue
		}
		p.start = append(p.start, t)
		if runs != nil {
			p.replace = append(p.replace, runs)
		}
	}
	for _, t := range old.Tenants {
		if !configured(&next, t.Name) {
			p.changes.Removed = append(p.changes.Removed, t.Name)
			if runs := running[t.Name]; runs != nil {
				p.remove = append(p.remove, runs)
			}
		}
	}
	return p, nil
}

// touched returns the tenants that must be built anew or for the first time: those with
// other settings, and those that share a queue with one of them, old or new, as messages
// go from one to the other.
func (p *plan) touched(old *config.Config, running map[string]*tenant) map[string]bool {
	again, queues := make(map[string]bool), make(map[string]bool)
	for _, t := range p.cfg.Tenants {
		runs := running[t.Name]
		again[t.Name] = runs == nil || !runs.settings.equal(settingsOf(p.cfg, t, p.keys[t.Name]))
		if again[t.Name] {
			queues[t.SQS.QueueURL] = true
		}
	}
	for _, t := range old.Tenants {
		if again[t.Name] || !configured(p.cfg, t.Name) {
			queues[t.SQS.QueueURL] = true
		}
	}
	delete(queues, "")
	for _, t := range p.cfg.Tenants {
		if queues[t.SQS.QueueURL] {
			again[t.Name] = true
		}
	}
	return again
}

// apply puts a plan into effect. From here on nothing is refused: what cannot be done
// now is tried again until it can be.
func (a *App) apply(ctx context.Context, p *plan) {
	a.applyLimits(ctx, p.cfg)
	ended := append(append([]*tenant(nil), p.replace...), p.remove...)
	_ = together(ctx, ended, (*tenant).endSources)
	for _, t := range ended {
		if url := t.queueURL; url != "" {
			delete(a.queues, url) // its tenants join another one
		}
	}
	a.mu.Lock()
	a.cfg, a.tenants = p.cfg, p.keep
	a.late = nil
	a.mu.Unlock()
	a.replaceAll(ctx, p.replace)
	for _, t := range p.remove {
		a.letLeave(ctx, t)
	}
	a.startTenants(ctx, p)
	a.wakeCaretaker()
	a.applyListeners(ctx, p)
	a.alerts.manager.Use(p.notify)
	for _, t := range p.keep {
		t.secrets.setEvery(p.cfg.Secrets.Refresh)
	}
}

// applyLimits hands the limits to the store and the journal.
func (a *App) applyLimits(ctx context.Context, cfg *config.Config) {
	if a.journal != nil {
		a.journal.SetLimits(historyLimits(cfg))
	}
	err := a.store.SetLimits(ctx, store.Limits{
		MaxBytes: int64(cfg.MaxBufferBytes), MaxLetterBytes: int64(cfg.MaxLetterBytes), DedupWindow: cfg.DedupWindow,
	})
	if err != nil {
		a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the conditions of the new limits, which hold nevertheless", slog.Any("error", err))
	}
}
