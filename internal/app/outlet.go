package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// An outlet is one of the destinations of a tenant: the routes that lead there, what
// is done to events on the way out, a sink, and the loop that feeds it. The first of
// a tenant is its main one.
type outlet struct {
	name    string // empty for the main one
	tenant  *tenant
	logger  *slog.Logger
	sink    *cloudwatch.Sink // nil in a dry run
	routes  *transform.Routes
	deliver *pipeline.Deliver
	ledger  *ledgerLoop // nil when none is kept, or another process seals it
	// fixed is the destination when it is the same for every event.
	fixed   *pipeline.Destination
	settled chan struct{} // gets a token after each batch
	finish  func()        // told once when caught up and delivered; nil for nobody
}

// wanted is what the configuration says of an outlet.
type wanted struct {
	name   string
	aws    config.AWS
	cw     *config.CloudWatch
	filter config.Filter // on the way out
	redact config.Redact
	label  string // in metrics; empty for the name
}

// metricsName is the value of the label "destination".
func (w wanted) metricsName() string { return cmp.Or(w.label, w.name) }

// wantedOf lists the outlets of a tenant, the main one first. What its filter and
// redaction do is done before the disk.
func wantedOf(cfg *config.Config, t *config.Tenant) []wanted {
	list := []wanted{{aws: cfg.AWSFor(*t), cw: &t.CloudWatch}}
	for i := range t.Destinations {
		d := &t.Destinations[i]
		list = append(list, wanted{name: d.Name, aws: cfg.AWSForDestination(*d), cw: &d.CloudWatch, filter: d.Filter, redact: d.Redact})
	}
	return list
}

// addOutlets makes the outlets of a tenant. The figures of the main one are among
// those of the tenant.
func (a *App) addOutlets(ctx context.Context, t config.Tenant, built *tenant, metrics *pipeline.Metrics, report func(context.Context, string, *pipeline.Condition)) error {
	var others []store.Sink
	for _, d := range t.Destinations {
		others = append(others, store.Sink{Name: d.Name, SkipWhenFull: d.WhenFull == "skip"})
	}
	for _, lane := range lanesOf(&t) {
		others = append(others, store.Sink{Name: lane})
	}
	if err := built.buffer.UseSinks(ctx, others); err != nil {
		return err
	}
	if d := a.opts.DryRun; d != nil { // the tenant stands where the real one does
		if err := built.buffer.Adopt(ctx, d.standings[t.Name]); err != nil {
			return fmt.Errorf("go on where the export stands: %w", err)
		}
		d.begin(t.Name)
	}
	for _, w := range wantedOf(built.cfg, &t) {
		o := &outlet{name: w.name, tenant: built, logger: built.logger, settled: make(chan struct{}, 1)}
		figures := metrics
		if w.name != "" {
			o.logger = o.logger.With(slog.String("destination", w.name))
			figures = pipeline.NewSinkMetrics(built.registry, t.Name, w.name)
		}
		if err := a.buildOutlet(ctx, t, o, w, figures, report); err != nil {
			if w.name != "" {
				err = fmt.Errorf("destination %s: %w", w.name, err)
			}
			return err
		}
		built.outlets = append(built.outlets, o)
	}
	return nil
}

// buildOutlet puts an outlet together.
func (a *App) buildOutlet(ctx context.Context, t config.Tenant, o *outlet, w wanted, metrics *pipeline.Metrics, report func(context.Context, string, *pipeline.Condition)) (err error) {
	sink, err := a.sink(ctx, t.Name, w, o)
	if err != nil {
		return err
	}
	if err := a.addRoutes(ctx, t, w, o); err != nil {
		return err
	}
	out, err := a.outbound(ctx, t, w, o, sink)
	if err != nil {
		return err
	}
	if err := a.addLedger(ctx, t, w, o); err != nil {
		return err
	}
	if a.opts.once() {
		o.finish = func() { a.once.outletDone(t.Name, o.name) }
	}
	o.deliver = &pipeline.Deliver{
		Buffer: o.tenant.buffer, Sink: out, Name: o.name, InFlight: w.cw.InFlight,
		Logger: o.logger, Metrics: metrics, Report: report, OnSettled: o.noteSettled,
	}
	if a.journal != nil {
		o.deliver.OnOutcome = a.keepOutcomes(o, w)
	}
	a.traceOutlet(o)
	return nil
}

// sink makes the sink of an outlet, or the dry one in the place of it.
func (a *App) sink(ctx context.Context, tenant string, w wanted, o *outlet) (_ pipeline.Sink, err error) {
	if d := a.opts.DryRun; d != nil {
		return d.sink(tenant, w.config())
	}
	o.sink, err = cloudwatch.New(ctx, w.config(), cloudwatch.Deps{
		Logger: o.logger, Registerer: o.tenant.registry, HTTPClient: a.opts.AWSHTTP, Credentials: a.opts.AWSCredentials, Tenant: tenant, Destination: w.metricsName(),
		OnCall: a.onCall(),
	})
	if err != nil {
		return nil, fmt.Errorf("set up CloudWatch Logs: %w", err)
	}
	return o.sink, nil
}

// config returns how the events of an outlet are delivered.
func (w wanted) config() cloudwatch.Config {
	aws, cw := w.aws, w.cw
	return cloudwatch.Config{
		Region: aws.Region, Endpoint: aws.Endpoint, Profile: aws.Profile, RoleARN: aws.RoleARN, ExternalID: aws.ExternalID,
		Create: cw.Create, RetentionDays: cw.RetentionDays, LogGroupClass: cw.LogGroupClass, KMSKeyID: cw.KMSKeyID, Tags: cw.Tags,
		Linger: cw.Linger, Compression: cw.Compression, InDoubtWait: cw.InDoubtWait, RequestTimeout: cw.RequestTimeout,
		TooOld: string(cw.TooOld), TooNew: string(cw.TooNew), TooLarge: string(cw.TooLarge),
	}
}

// outbound puts in front of the sink of an outlet what is done to events on their way
// out. The filter is the first: it may look at what the redaction takes out.
func (a *App) outbound(ctx context.Context, t config.Tenant, w wanted, o *outlet, sink pipeline.Sink) (pipeline.Sink, error) {
	shape, growth, err := transform.NewShape(t.Name, w.cw.Fields, w.cw.Copy)
	if err != nil {
		return nil, misconfigured("read the shape of messages", err)
	}
	out := &pipeline.Outbound{Sink: sink, Shape: shape, Growth: growth}
	if w.name != "" {
		if out.Transforms, err = o.tenant.filter(ctx, o.name, w.filter, o.logger); err != nil {
			return nil, err
		}
	}
	r, err := a.redactor(ctx, w.redact)
	if err != nil {
		return nil, err
	}
	if r != nil {
		out.Transforms = append(out.Transforms, r.Transform)
	}
	if shape == nil && out.Transforms == nil {
		return sink, nil
	}
	return out, nil
}

// route returns the route that leads to an outlet.
func (o *outlet) route(e event.Event) pipeline.Destination {
	d := o.routes.Route(e)
	d.Sink = o.name
	return d
}

// alsoRoutes returns the routes to the outlets besides the main one.
func (t *tenant) alsoRoutes() (list []pipeline.Route) {
	for _, o := range t.outlets[1:] {
		list = append(list, o.route)
	}
	return list
}

// part is the name under which troubles of the outlet are told.
func (o *outlet) part() string { return pipeline.DeliveryPartOf(o.name) }

// pending returns how many events wait for the outlet.
func (o *outlet) pending() int64 { return o.tenant.buffer.PendingOf(o.name) }

// A delivery is that of an outlet under way.
type delivery struct {
	outlet          *outlet
	unwatch, cancel context.CancelFunc
	abort           context.CancelCauseFunc
	run, watch      chan struct{} // closed when the goroutines have ended
	keep            chan struct{} // likewise; nil when there is none
}

// start starts the delivery.
func (o *outlet) start(ctx context.Context) *delivery {
	d := &delivery{outlet: o, run: make(chan struct{}), watch: make(chan struct{})}
	var calls, watched context.Context
	calls, d.abort = context.WithCancelCause(ctx)
	ctx, d.cancel = context.WithCancel(ctx)
	watched, d.unwatch = context.WithCancel(ctx)
	go func() {
		defer close(d.run)
		o.look(ctx)
		_ = o.deliver.Run(ctx, calls) // always the cause of ctx
	}()
	go func() {
		defer close(d.watch)
		o.watch(watched)
	}()
	if o.ledger != nil && o.finish == nil {
		d.keep = make(chan struct{})
		go func() {
			defer close(d.keep)
			o.ledger.run(ctx)
		}()
	}
	return d
}

// end ends the delivery once the buffer is empty, or it is in trouble, or the time of
// ctx is half over. Calls that are under way then are cut short when ctx ends.
func (d *delivery) end(ctx context.Context) {
	d.unwatch()
	<-d.watch
	d.outlet.drain(ctx)
	d.leave(ctx)
}

// leave ends the delivery as soon as the calls under way have come to their end. They
// are cut short when ctx ends; their batches then stay leased for as long as the store
// is open, so that is for the end of the program.
func (d *delivery) leave(ctx context.Context) {
	d.cancel()
	<-d.watch
	defer context.AfterFunc(ctx, func() { d.abort(errStopping) })()
	<-d.run
	if d.keep != nil {
		<-d.keep
	}
	d.abort(nil)
}

// look sees to it, before the first event, that the destination is there. What
// it finds wrong is told now instead of with the first event; delivery then goes
// by its own rules.
func (o *outlet) look(ctx context.Context) {
	if o.fixed == nil || o.sink == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := o.sink.Check(ctx, *o.fixed); err != nil && ctx.Err() == nil {
		o.logger.LogAttrs(ctx, slog.LevelWarn, "the destination is not ready", slog.Any("error", err), slog.String("hint", pipeline.Classify(err).Hint))
	}
}

// watch tells finish, once, that the tenant is caught up and all is delivered here.
func (o *outlet) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-o.tenant.caughtUp:
	}
	for o.pending() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-o.settled:
		}
	}
	if o.finish != nil {
		if o.ledger != nil {
			o.ledger.last(ctx)
		}
		o.finish()
	}
}

// noteSettled leaves a token that a batch was settled.
func (o *outlet) noteSettled() {
	select {
	case o.settled <- struct{}{}:
	default:
	}
}

// drain lets delivery go on while it gets anywhere, up to half of the time that
// a stop may take: the other half is for the calls then under way.
func (o *outlet) drain(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	tick := time.NewTicker(100 * time.Millisecond) // trouble gives no token
	defer tick.Stop()
	for o.pending() > 0 && o.deliver.Trouble() == nil {
		select {
		case <-ctx.Done():
			return
		case <-o.settled:
		case <-tick.C:
		}
	}
}
