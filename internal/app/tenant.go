package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// tenant is one tenant's export: its sources, a buffer, its outlets and the loops
// between them.
type tenant struct {
	name   string
	cfg    *config.Config // what it was built from
	of     config.Tenant  // likewise
	logger *slog.Logger
	buffer *store.Buffer
	// registry holds the figures of the tenant, which leave with it.
	registry *prometheus.Registry
	secrets  *rotation
	settings settings
	queueURL string             // of SQS; empty for none
	client   *auth0.Client      // nil without a poll
	webhook  *source.Webhook    // nil where nobody pushes
	ingests  []*pipeline.Ingest // one for each source
	check    *pipeline.Check    // nil without both a poll and a push
	outlets  []*outlet          // the main one first

	caughtUp chan struct{} // closed when each source had nothing more
	// replaced says that another one of the same name tells of the troubles now.
	replaced atomic.Bool

	ingesting  func() // ends the sources; nil while they do not run
	deliveries []*delivery

	mu       sync.Mutex
	behind   int                           // sources that have not caught up yet
	troubles map[string]pipeline.Condition // of the loops by part, as this process knows them
}

// build puts a tenant together. It talks to nobody but the store and those that
// keep the secrets.
func (a *App) build(ctx context.Context, cfg *config.Config, t config.Tenant) (_ *tenant, err error) {
	built := a.newTenant(cfg, t)
	defer func() {
		if err != nil {
			err = errors.Join(err, built.close())
		}
	}()
	logger := built.logger
	if built.buffer, err = a.store.Buffer(ctx, t.Name); err != nil {
		return nil, fmt.Errorf("open buffer: %w", err)
	}
	if a.opts.Import == nil && a.opts.Repair == nil && a.opts.Backfill == "" {
		err = built.buffer.ClearConditions(ctx)
	}
	if err != nil {
		return nil, err
	}
	metrics := pipeline.NewMetrics(built.registry, t.Name)
	report := a.reporter(built)
	built.secrets.report = report
	if err := a.addOutlets(ctx, t, built, metrics, report); err != nil {
		return nil, err
	}
	transforms, err := built.filter(ctx, "", t.Filter, logger)
	if err != nil {
		return nil, err
	}
	ingest := pipeline.Ingest{
		Buffer: built.buffer, Transforms: transforms, Skips: new(pipeline.Skips), Route: built.outlets[0].route, Also: built.alsoRoutes(),
		Logger: logger, Metrics: metrics, Report: report,
	}
	if err := a.redact(ctx, t, &ingest); err != nil {
		return nil, err
	}
	if err := a.addSources(ctx, t, built, &ingest); err != nil {
		return nil, err
	}
	return built, nil
}

// newTenant returns a tenant of a configuration without any of its parts.
func (a *App) newTenant(cfg *config.Config, t config.Tenant) *tenant {
	built := &tenant{
		name: t.Name, cfg: cfg, of: t, queueURL: t.SQS.QueueURL, logger: a.opts.Logger.With(slog.String("tenant", t.Name)), registry: prometheus.NewRegistry(),
		caughtUp: make(chan struct{}), troubles: make(map[string]pipeline.Condition),
	}
	built.secrets = newRotation(a.secrets, built.logger, built.registry, t.Name)
	built.secrets.setEvery(cfg.Secrets.Refresh)
	return built
}

// close lets go of what a tenant holds besides its loops.
func (t *tenant) close() error {
	if t.client == nil {
		return nil
	}
	return t.client.Close()
}

// stored hears what became of the intakes of a source, see pipeline.Ingest.
type stored = func(pipeline.Intake, pipeline.Appended)

// addSources makes the sources of a tenant: the poll of one that has a domain, the
// webhook of one that has a token, the queue of one that has a queue. An import has
// its files alone, and a run with Once no webhook.
func (a *App) addSources(ctx context.Context, t config.Tenant, built *tenant, like *pipeline.Ingest) error {
	add := func(s pipeline.Source, onCaughtUp func(), onStored stored) {
		built.ingests = append(built.ingests, &pipeline.Ingest{
			Source: s, Buffer: like.Buffer, Transforms: like.Transforms, RedactUnreadable: like.RedactUnreadable, Skips: like.Skips,
			Route: like.Route, Also: like.Also, Logger: like.Logger, Metrics: like.Metrics,
			Report: like.Report, OnCaughtUp: onCaughtUp, OnStored: built.keepRoutes(ctx, a.tallies.counts(built.name, s.Name(), onStored)),
			Watch: a.traced(t.Name, s.Name(), a.watch(t.Name, s.Name())),
		})
	}
	if a.opts.Import != nil {
		files, err := a.beginImport(ctx, built)
		if err == nil {
			add(files, built.catchesUp(), nil)
		}
		return err
	}
	if a.opts.Repair != nil || a.opts.Backfill != "" {
		built.catchesUp()() // what waits in the buffer is all there is
		return nil
	}
	var onPolled, onPushed stored
	if t.Polls() {
		if !a.opts.Once && t.Pushed() {
			var err error
			if built.check, err = newCheck(ctx, built, like.Report); err != nil {
				return err
			}
			onPolled, onPushed = built.check.Polled, built.check.Pushed
		}
		poll, err := a.poll(ctx, t, built)
		if err != nil {
			return err
		}
		add(poll, built.catchesUp(), onPolled)
	}
	return a.addPushed(ctx, t, built, func(s pipeline.Source, onCaughtUp func()) { add(s, onCaughtUp, onPushed) })
}

// addPushed makes the sources of which others decide when they bring something.
func (a *App) addPushed(ctx context.Context, t config.Tenant, built *tenant, add func(pipeline.Source, func())) error {
	if !a.opts.Once && len(t.Webhook.All()) > 0 {
		var err error
		if built.webhook, err = a.webhook(ctx, t, built); err != nil {
			return err
		}
	}
	if t.SQS.QueueURL != "" { // last of all that can fail: who has joined is offered events
		queue, err := a.sqs(ctx, t, built)
		if err != nil {
			return err
		}
		add(queue, built.catchesUp())
	}
	if len(built.ingests) == 0 {
		built.catchesUp()() // what waits in the buffer is all there is
	}
	if built.webhook != nil {
		add(built.webhook, nil)
	}
	return nil
}

// catchesUp returns what one more source tells when it has nothing more.
func (t *tenant) catchesUp() func() {
	t.behind++
	var first sync.Once
	return func() {
		first.Do(func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.behind--; t.behind == 0 {
				close(t.caughtUp)
			}
		})
	}
}

// newCheck makes what holds a tenant's push against its poll. Counting goes on
// where an earlier process has ended.
func newCheck(ctx context.Context, built *tenant, report func(context.Context, string, *pipeline.Condition)) (*pipeline.Check, error) {
	before, err := built.buffer.Total(ctx, store.CountPushed)
	if err != nil {
		return nil, err
	}
	return pipeline.NewCheck(pipeline.CheckConfig{
		Began: time.Now(), Known: before > 0, Tally: built.buffer.CountPush, Report: report, Logger: built.logger,
	}), nil
}

// misconfigured wraps an error that only another configuration can mend.
func misconfigured(op string, err error) error {
	return &pipeline.Error{Op: op, Class: pipeline.Misconfigured, Err: err}
}

// auth0Client makes the client of a tenant, whose credentials follow those that the
// configuration refers to.
func (a *App) auth0Client(ctx context.Context, t config.Tenant, cache auth0.TokenCache, built *tenant) (*auth0.Client, error) {
	secret, err := a.secrets.resolve(ctx, t.ClientSecret)
	if err != nil {
		return nil, misconfigured("read client_secret", err)
	}
	key, err := a.secrets.resolve(ctx, t.PrivateKey)
	if err != nil {
		return nil, misconfigured("read private_key", err)
	}
	var client *http.Client
	if a.opts.Auth0HTTP != nil {
		client = &http.Client{Transport: a.opts.Auth0HTTP}
	}
	deps := auth0.Deps{Logger: built.logger, Registerer: built.registry, HTTPClient: client, TokenCache: cache, TenantName: t.Name}
	deps.OnRefused, deps.OnRenewed = built.secrets.refused, built.secrets.renewed
	c, err := auth0.New(auth0.Config{ //nolint:contextcheck // it opens no connection; each request brings its own
		Domain: t.Domain, Audience: t.Audience, ClientID: t.ClientID, ClientSecret: secret,
		PrivateKey: key, KeyID: t.PrivateKeyID, SigningAlg: t.PrivateKeyAlg,
		RequestTimeout: t.RequestTimeout, RateShare: t.RateShare, UserAgent: "gapless/" + a.opts.Version,
	}, deps)
	if err != nil {
		return nil, misconfigured("set up the client of Auth0", err)
	}
	built.secrets.watch(credentialsName(t), []config.Secret{t.ClientSecret, t.PrivateKey}, []string{secret, key}, func(v []string) error {
		return c.SetCredentials(v[0], v[1])
	})
	return c, nil
}

// poll makes the source that reads a tenant's log, once its starting point is
// settled.
func (a *App) poll(ctx context.Context, t config.Tenant, built *tenant) (_ *source.Poll, err error) {
	if built.client, err = a.auth0Client(ctx, t, built.buffer, built); err != nil {
		return nil, err
	}
	start, err := startFrom(t)
	if err != nil {
		return nil, err
	}
	if err := guardStart(ctx, built.buffer, t, source.PollName); err != nil {
		return nil, err
	}
	if start, err = afterLoss(ctx, built.buffer, t, start); err != nil {
		return nil, err
	}
	kept, err := config.ParseRetention(t.Retention)
	if err != nil {
		return nil, misconfigured("read auth0_retention", err)
	}
	interval := t.PollInterval
	if a.opts.Once { // somebody waits for the end
		interval = min(interval, onceInterval)
	}
	var hurry func() bool
	if built.check != nil {
		hurry = built.check.Silent
	}
	return source.NewPoll(source.PollConfig{
		StartFrom: start, Interval: interval, Hurry: hurry, Overlap: t.Overlap.Window, OverlapEvery: t.Overlap.Every, Retention: kept,
	}, built.client, source.Deps{Logger: built.logger, Mark: func(ctx context.Context) (event.Mark, error) {
		return built.buffer.Mark(ctx, source.PollName)
	}}), nil
}

// onceInterval is the longest pause between two polls of a run with Once.
const onceInterval = 50 * time.Millisecond

// note remembers the trouble of a loop; nil says that it is over.
func (t *tenant) note(part string, c *pipeline.Condition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.troubles, part)
	if c != nil {
		t.troubles[part] = *c
	}
}

// current returns what is left of the troubles that the store tells of, with
// those that this process knows in the place of the loops' own: a disk that is
// full takes neither a trouble nor the end of one.
func (t *tenant) current(stored []web.Trouble) []web.Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.DeleteFunc(stored, func(x web.Trouble) bool {
		return slices.Contains(t.parts(), x.Part)
	})
	for _, part := range slices.Sorted(maps.Keys(t.troubles)) {
		c := t.troubles[part]
		out = append(out, web.Trouble{Part: part, Class: c.Err.Class.String(), Message: c.Err.Error(), Hint: c.Err.Hint, Since: c.Since})
	}
	return out
}

// parts names the loops of a tenant, and what else this process tells of itself,
// as their troubles do.
func (t *tenant) parts() []string {
	parts := []string{pipeline.PushPart, secretsPart}
	for _, o := range t.outlets {
		parts = append(parts, o.part(), ledgerPartOf(o.name))
	}
	for _, in := range t.ingests {
		parts = append(parts, in.Source.Name())
		if in.Source.Name() == source.SQSName {
			parts = append(parts, strayPart)
		}
	}
	return parts
}

// reporter keeps a tenant's trouble where status finds it.
func (a *App) reporter(t *tenant) func(context.Context, string, *pipeline.Condition) {
	return func(ctx context.Context, part string, c *pipeline.Condition) {
		if t.replaced.Load() {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		t.note(part, c)
		var err error
		var person *pipeline.Error // who must act
		if c == nil {
			err = t.buffer.ClearCondition(ctx, part)
		} else {
			err = t.buffer.SetCondition(ctx, *c)
			if e := c.Err; e.Class == pipeline.Unauthorized || e.Class == pipeline.Misconfigured {
				person = &e
			}
		}
		if a.opts.once() {
			a.once.trouble(t.name, part, person)
		}
		if err != nil {
			t.logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the condition", slog.Any("error", err))
		}
	}
}

// start starts the loops of a tenant.
func (t *tenant) start(ctx context.Context) {
	for _, o := range t.outlets {
		t.deliveries = append(t.deliveries, o.start(ctx))
	}
	t.startIngests(ctx)
}

// startIngests starts the sources.
func (t *tenant) startIngests(ctx context.Context) {
	checked, endCheck := context.WithCancel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	var run, check sync.WaitGroup
	if t.check != nil {
		check.Go(func() { t.check.Run(checked) })
	}
	for _, in := range t.ingests {
		run.Go(func() { _ = in.Run(ctx) }) // always the cause of ctx
	}
	run.Go(func() { t.secrets.run(ctx) })
	t.ingesting = func() {
		cancel()
		run.Wait()
		endCheck()
		check.Wait()
	}
}

// endSources ends the sources. A second call does nothing.
func (t *tenant) endSources(context.Context) {
	if t.ingesting != nil {
		t.ingesting()
		t.ingesting = nil
	}
}

// endDelivery ends the deliveries as a stop of the program does, see delivery.end. A
// second call does nothing.
func (t *tenant) endDelivery(ctx context.Context) {
	var all sync.WaitGroup
	for _, d := range t.deliveries {
		all.Go(func() { d.end(ctx) })
	}
	all.Wait()
	t.deliveries = nil
}

// errStopping ends the calls that are under way when the time for a stop is over.
var errStopping = errors.New("stopping: the time for a call under way is over")

// lookTimeout bounds the look at the destination before the first delivery.
const lookTimeout = 10 * time.Second
