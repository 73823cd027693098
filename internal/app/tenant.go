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
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/transform"
	"github.com/gaplesslogs/gapless/internal/web"
)

// tenant is one tenant's export: its sources, a buffer, a sink and the loops
// between them.
type tenant struct {
	name    string
	logger  *slog.Logger
	buffer  *store.Buffer
	client  *auth0.Client      // nil without a poll
	webhook *source.Webhook    // nil where nobody pushes
	sink    *cloudwatch.Sink   // nil in a dry run
	ingests []*pipeline.Ingest // one for each source
	check   *pipeline.Check    // nil without both a poll and a push
	deliver *pipeline.Deliver
	routes  *transform.Routes
	// fixed is the destination when it is the same for every event.
	fixed *pipeline.Destination

	caughtUp chan struct{} // closed when each source had nothing more
	settled  chan struct{} // gets a token after each batch
	finish   func()        // told once when caught up and delivered

	mu       sync.Mutex
	behind   int                           // sources that have not caught up yet
	troubles map[string]pipeline.Condition // of the loops by part, as this process knows them
}

// build puts a tenant together. It talks to nobody but the store and those that
// keep the secrets.
func (a *App) build(ctx context.Context, t config.Tenant) (*tenant, error) {
	logger := a.opts.Logger.With(slog.String("tenant", t.Name))
	built := &tenant{name: t.Name, logger: logger, caughtUp: make(chan struct{}), settled: make(chan struct{}, 1), troubles: make(map[string]pipeline.Condition)}
	var err error
	if built.buffer, err = a.store.Buffer(ctx, t.Name); err != nil {
		return nil, fmt.Errorf("open buffer: %w", err)
	}
	if a.opts.Import == nil {
		err = built.buffer.ClearConditions(ctx)
	}
	if err != nil {
		return nil, err
	}
	sink, err := a.destination(ctx, t, built)
	if err != nil {
		return nil, err
	}
	if err := a.addRoutes(ctx, t, built); err != nil {
		return nil, err
	}
	out, err := outbound(t, sink)
	if err != nil {
		return nil, err
	}
	if a.opts.once() {
		built.finish = func() { a.once.tenantDone(t.Name) }
	}
	metrics := pipeline.NewMetrics(a.registry, t.Name)
	report := a.reporter(built)
	transforms, err := a.transforms(ctx, t, logger)
	if err != nil {
		return nil, err
	}
	ingest := pipeline.Ingest{
		Buffer: built.buffer, Transforms: transforms, Skips: new(pipeline.Skips), Route: built.routes.Route,
		Logger: logger, Metrics: metrics, Report: report,
	}
	if err := a.redact(ctx, t, &ingest); err != nil {
		return nil, err
	}
	if err := a.addSources(ctx, t, built, &ingest); err != nil {
		return nil, err
	}
	built.deliver = &pipeline.Deliver{
		Buffer: built.buffer, Sink: out, InFlight: t.CloudWatch.InFlight,
		Logger: logger, Metrics: metrics, Report: report, OnSettled: built.noteSettled,
	}
	return built, nil
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
			Route: like.Route, Logger: like.Logger, Metrics: like.Metrics,
			Report: like.Report, OnCaughtUp: onCaughtUp, OnStored: built.keepRoutes(ctx, onStored),
		})
	}
	if a.opts.Import != nil {
		files, err := a.beginImport(ctx, built.buffer)
		if err == nil {
			add(files, built.catchesUp(), nil)
		}
		return err
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
	if t.SQS.QueueURL != "" {
		queue, err := a.sqs(ctx, t, built.logger)
		if err != nil {
			return err
		}
		add(queue, built.catchesUp())
	}
	if len(built.ingests) == 0 {
		built.catchesUp()() // what waits in the buffer is all there is
	}
	if a.opts.Once || len(t.Webhook.All()) == 0 {
		return nil
	}
	var err error
	if built.webhook, err = a.webhook(ctx, t, built.logger); err != nil {
		return err
	}
	add(built.webhook, nil)
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

// auth0Client makes the client of a tenant.
func (a *App) auth0Client(ctx context.Context, t config.Tenant, cache auth0.TokenCache, logger *slog.Logger) (*auth0.Client, error) {
	secret, err := t.ClientSecret.Resolve(ctx, a.opts.Secrets)
	if err != nil {
		return nil, misconfigured("read client_secret", err)
	}
	key, err := t.PrivateKey.Resolve(ctx, a.opts.Secrets)
	if err != nil {
		return nil, misconfigured("read private_key", err)
	}
	var client *http.Client
	if a.opts.Auth0HTTP != nil {
		client = &http.Client{Transport: a.opts.Auth0HTTP}
	}
	c, err := auth0.New(auth0.Config{ //nolint:contextcheck // it opens no connection; each request brings its own
		Domain: t.Domain, Audience: t.Audience, ClientID: t.ClientID, ClientSecret: secret,
		PrivateKey: key, KeyID: t.PrivateKeyID, SigningAlg: t.PrivateKeyAlg,
		RequestTimeout: t.RequestTimeout, RateShare: t.RateShare, UserAgent: "gapless/" + a.opts.Version,
	}, auth0.Deps{Logger: logger, Registerer: a.registry, HTTPClient: client, TokenCache: cache, TenantName: t.Name})
	if err != nil {
		return nil, misconfigured("set up the client of Auth0", err)
	}
	return c, nil
}

// poll makes the source that reads a tenant's log, once its starting point is
// settled.
func (a *App) poll(ctx context.Context, t config.Tenant, built *tenant) (_ *source.Poll, err error) {
	if built.client, err = a.auth0Client(ctx, t, built.buffer, built.logger); err != nil {
		return nil, err
	}
	a.onStop("client of "+t.Name, func(context.Context) error { return built.client.Close() })
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

// destination makes what takes the events of a tenant: its sink, or the dry one in
// the place of it. In a dry run the tenant stands where the real one does.
func (a *App) destination(ctx context.Context, t config.Tenant, built *tenant) (_ pipeline.Sink, err error) {
	if d := a.opts.DryRun; d != nil {
		if err := built.buffer.Adopt(ctx, d.standings[t.Name]); err != nil {
			return nil, fmt.Errorf("go on where the export stands: %w", err)
		}
		return d.sink(t, a.cloudwatchConfig(t))
	}
	built.sink, err = cloudwatch.New(ctx, a.cloudwatchConfig(t),
		cloudwatch.Deps{Logger: built.logger, Registerer: a.registry, HTTPClient: a.opts.AWSHTTP, Credentials: a.opts.AWSCredentials, Tenant: t.Name})
	if err != nil {
		return nil, fmt.Errorf("set up CloudWatch Logs: %w", err)
	}
	return built.sink, nil
}

// cloudwatchConfig returns how a tenant's events are delivered.
func (a *App) cloudwatchConfig(t config.Tenant) cloudwatch.Config {
	aws, cw := a.opts.Config.AWSFor(t), t.CloudWatch
	return cloudwatch.Config{
		Region: aws.Region, Endpoint: aws.Endpoint, Profile: aws.Profile, RoleARN: aws.RoleARN, ExternalID: aws.ExternalID,
		Create: cw.Create, RetentionDays: cw.RetentionDays, LogGroupClass: cw.LogGroupClass, KMSKeyID: cw.KMSKeyID, Tags: cw.Tags,
		Linger: cw.Linger, Compression: cw.Compression, InDoubtWait: cw.InDoubtWait, RequestTimeout: cw.RequestTimeout,
		TooOld: string(cw.TooOld), TooNew: string(cw.TooNew), TooLarge: string(cw.TooLarge),
	}
}

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
	parts := []string{pipeline.DeliveryPart, pipeline.PushPart}
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

// startIngests starts the sources and returns what ends them.
func (t *tenant) startIngests(ctx context.Context) func(context.Context) {
	checked, endCheck := context.WithCancel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	var run, check sync.WaitGroup
	if t.check != nil {
		check.Go(func() { t.check.Run(checked) })
	}
	for _, in := range t.ingests {
		run.Go(func() { _ = in.Run(ctx) }) // always the cause of ctx
	}
	return func(context.Context) {
		cancel()
		run.Wait()
		endCheck()
		check.Wait()
	}
}

// startDelivery starts the delivery and returns what ends it: once the buffer is
// empty, or delivery is in trouble, or the time is over. Calls that are under way
// then are cut short when the context of the end is.
func (t *tenant) startDelivery(ctx context.Context) (end func(context.Context)) {
	calls, abort := context.WithCancelCause(ctx)
	ctx, cancel := context.WithCancel(ctx)
	watched, unwatch := context.WithCancel(ctx)
	var run, watch sync.WaitGroup
	run.Go(func() {
		t.look(ctx)
		_ = t.deliver.Run(ctx, calls) // always the cause of ctx
	})
	watch.Go(func() { t.watch(watched) })
	return func(ctx context.Context) {
		unwatch()
		watch.Wait()
		t.drain(ctx)
		cancel()
		defer context.AfterFunc(ctx, func() { abort(errStopping) })()
		run.Wait()
		abort(nil)
	}
}

// errStopping ends the calls that are under way when the time for a stop is over.
var errStopping = errors.New("stopping: the time for a call under way is over")

// lookTimeout bounds the look at the destination before the first delivery.
const lookTimeout = 10 * time.Second

// look sees to it, before the first event, that the destination is there. What
// it finds wrong is told now instead of with the first event; delivery then goes
// by its own rules.
func (t *tenant) look(ctx context.Context) {
	if t.fixed == nil || t.sink == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := t.sink.Check(ctx, *t.fixed); err != nil && ctx.Err() == nil {
		t.logger.LogAttrs(ctx, slog.LevelWarn, "the destination is not ready", slog.Any("error", err), slog.String("hint", pipeline.Classify(err).Hint))
	}
}

// watch tells finish, once, that the tenant is caught up and delivered.
func (t *tenant) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-t.caughtUp:
	}
	for t.buffer.Pending() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.settled:
		}
	}
	if t.finish != nil {
		t.finish()
	}
}

// noteSettled leaves a token that a batch was settled.
func (t *tenant) noteSettled() {
	select {
	case t.settled <- struct{}{}:
	default:
	}
}

// drain lets delivery go on while it gets anywhere, up to half of the time that
// a stop may take: the other half is for the calls then under way.
func (t *tenant) drain(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	tick := time.NewTicker(100 * time.Millisecond) // trouble gives no token
	defer tick.Stop()
	for t.buffer.Pending() > 0 && t.deliver.Trouble() == nil {
		select {
		case <-ctx.Done():
			return
		case <-t.settled:
		case <-tick.C:
		}
	}
}
