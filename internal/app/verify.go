package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// A Verification is what Verify compares.
type Verification struct {
	// Tenant is the name of a configured tenant that has a domain, and Destination that
	// of one of its destinations; empty for all. MainDestination is the main one.
	Tenant, Destination string
	Span                verify.Span
	// Patience is how long what seems to be missing is looked for, see verify.Config.
	Patience time.Duration
	// RateShare is the part of Auth0's rate limit that may be used; 0 is half of the
	// tenant's rate_share, so that the exporter always has as much to itself.
	RateShare float64
	// Progress hears how far it is; may be nil.
	Progress func(verify.Progress)
	// Dir is a directory for temporary files; empty for that of the system.
	Dir string
}

// MainDestination names the main destination of a tenant where a name is needed.
const MainDestination = "cloudwatch"

// Errors of Verify.
var (
	errNoDomain      = errors.New("the tenant has no domain, so there is no log to compare with")
	errNoDestination = errors.New("the tenant has no destination of this name")
)

// leastLag is the age up to which an event that the exporter has never stored counts
// as one that it has not read yet. Its look for late events may take longer.
const leastLag = time.Minute

// Verify compares a span of a tenant's log in Auth0 with its destinations, and calls
// emit for each finding once. Nothing is changed, and no process needs to be stopped
// for it: what the store of the configuration knows is read beside whoever works in
// it. Of opts the listeners, Once, Import and DryRun do not count.
func Verify(ctx context.Context, opts Options, v Verification, emit func(verify.Finding) error) (_ verify.Summary, err error) {
	c, err := newComparison(ctx, opts, v)
	if err != nil {
		return verify.Summary{}, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	dir, err := os.MkdirTemp(v.Dir, "gapless-verify-*")
	if err != nil {
		return verify.Summary{}, fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	dests := make([]verify.Destination, len(c.places))
	for i, p := range c.places {
		if _, err := p.list(ctx); err != nil {
			return verify.Summary{}, err
		}
		if err := p.mayRead(ctx); err != nil {
			return verify.Summary{}, err
		}
		dests[i] = p
	}
	var ledger verify.Ledger
	if c.ledger != nil {
		ledger = c.ledger
	}
	return verify.Run(ctx, verify.Config{
		Span: v.Span, Dir: dir, Patience: v.Patience, Lag: lagOf(c.tenant), Progress: v.Progress,
	}, c, dests, ledger, emit)
}

// lagOf is how long the export of a tenant may take to find an event that Auth0 lists
// late.
func lagOf(t config.Tenant) time.Duration {
	if t.Overlap.Window == 0 {
		return leastLag
	}
	return max(leastLag, time.Duration(t.Overlap.Every+2)*t.PollInterval)
}

// A comparison is what Verify works with. It is the verify.Holder.
type comparison struct {
	app    *App // nothing of it is started
	tenant config.Tenant
	api    source.LogsAPI
	kept   time.Duration
	places []*comparedPlace
	ledger *storeLedger // nil without a store
	closes []func() error
}

// newComparison makes it. It talks to nobody but the store and those that keep the
// secrets.
func newComparison(ctx context.Context, opts Options, v Verification) (_ *comparison, err error) {
	c := &comparison{app: &App{opts: opts, secrets: newSecrets(opts.Secrets)}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("tenant %s: %w", v.Tenant, err), c.close())
		}
	}()
	i := slices.IndexFunc(opts.Config.Tenants, func(t config.Tenant) bool { return t.Name == v.Tenant })
	if i < 0 || !opts.Config.Tenants[i].Polls() {
		return c, &pipeline.Error{Op: "verify", Class: pipeline.Misconfigured, Err: errNoDomain, Hint: "Set domain, client_id and client_secret of the tenant."}
	}
	c.tenant = opts.Config.Tenants[i]
	if c.kept, err = config.ParseRetention(c.tenant.Retention); err != nil {
		return c, misconfigured("read auth0_retention", err)
	}
	if c.api, err = c.app.politeAPI(ctx, c.tenant, v.RateShare, nil, c); err != nil {
		return c, err
	}
	if err := c.openLedger(ctx); err != nil {
		return c, err
	}
	return c, c.addPlaces(ctx, v.Destination)
}

// politeAPI makes a client that reads beside the export of a tenant.
func (a *App) politeAPI(ctx context.Context, t config.Tenant, share float64, cache auth0.TokenCache, c *comparison) (source.LogsAPI, error) {
	if t.RateShare /= 2; share > 0 {
		t.RateShare = share
	}
	client, err := a.auth0Client(ctx, t, cache, a.newTenant(a.opts.Config, t))
	if err != nil {
		return nil, err
	}
	c.closes = append(c.closes, client.Close)
	return source.Paced(client), nil
}

// openLedger opens the store to read it, if there is one.
func (c *comparison) openLedger(ctx context.Context) error {
	r, err := store.OpenReadOnly(ctx, c.app.opts.Config.DataDir)
	if errors.Is(err, store.ErrNoData) {
		return nil
	}
	if err != nil {
		return err
	}
	c.closes = append(c.closes, r.Close)
	c.ledger = &storeLedger{reader: r, tenant: c.tenant}
	known, err := c.ledger.knows(ctx)
	if err == nil && !known { // of this tenant
		c.ledger = nil
	}
	return err
}

// addPlaces makes the destinations.
func (c *comparison) addPlaces(ctx context.Context, name string) error {
	others, pushed := c.ledger.pushed(ctx), c.tenant.Pushed()
	for _, w := range wantedOf(c.app.opts.Config, &c.tenant) {
		if name != "" && name != w.name && (w.name != "" || name != MainDestination) {
			continue
		}
		p, err := c.app.newComparedPlace(ctx, c.tenant, w)
		if err != nil {
			return err
		}
		p.pushed = pushed || others
		c.places = append(c.places, p)
	}
	if len(c.places) == 0 {
		return &pipeline.Error{Op: "verify", Class: pipeline.Misconfigured, Err: fmt.Errorf("%q: %w", name, errNoDestination), Hint: "Name one of destinations, or " + MainDestination + " for the main one."}
	}
	return nil
}

// close ends what was opened.
func (c *comparison) close() error {
	var errs []error
	for _, end := range slices.Backward(c.closes) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// Read implements verify.Holder.
func (c *comparison) Read(ctx context.Context, s verify.Span, each func([]event.Event) error) (time.Time, error) {
	return source.ReadSpan(ctx, source.SpanConfig{Since: s.Since, Until: s.Until, Retention: c.kept, Logger: c.app.opts.Logger}, c.api, each)
}

// Find implements verify.Holder.
func (c *comparison) Find(ctx context.Context, ids iter.Seq[string], each func(event.Event) error) error {
	return source.FindEvents(ctx, c.api, ids, each)
}
