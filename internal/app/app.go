package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/tracing"
)

// Options say what an App is made of. Config and Logger are required.
type Options struct {
	Config *config.Config
	Logger *slog.Logger
	// Version is shown on the page and sent as the user agent.
	Version string
	// Secrets resolves the secret references of the configuration.
	Secrets config.Resolver
	// Once makes the App end by itself when every tenant is caught up and
	// delivered, or needs a person.
	Once bool
	// Import, when not nil, is all that the App does.
	Import *Import
	// Repair, when not nil, is all that the App does.
	Repair *Repair
	// Backfill, when not empty, is the id of the backfill that is all that the App does.
	Backfill string
	// DryRun, when not nil, hears what the App would send; nothing is.
	DryRun *DryRun
	// Listener is used in place of Config.Listen; nil opens one. Start takes it over.
	Listener net.Listener
	// ListenWebhook opens the listener of Config.Webhook.Listen, for which it is called
	// whenever one is needed; nil listens on the network.
	ListenWebhook func(ctx context.Context, addr string) (net.Listener, error)
	// Auth0HTTP replaces the transport to Auth0; nil is the ordinary one.
	Auth0HTTP http.RoundTripper
	// OIDCHTTP replaces the transport to the OpenID Connect provider; nil is the ordinary one.
	OIDCHTTP http.RoundTripper
	// AWSHTTP replaces the HTTP client to AWS; nil is the SDK's own.
	AWSHTTP aws.HTTPClient
	// NotifyHTTP replaces the transport to the channels of notify; nil is the ordinary one.
	NotifyHTTP http.RoundTripper
	// TracingHTTP replaces the transport to the collector of traces; nil is the ordinary one.
	TracingHTTP http.RoundTripper
	// AWSCredentials replaces the SDK's chain of credentials; nil leaves it.
	AWSCredentials aws.CredentialsProvider
}

// An App is the whole program, less the command line.
type App struct {
	opts     Options              // Config is that of the start, see Config
	registry *prometheus.Registry // of what belongs to no tenant
	secrets  *secrets
	store    *store.Store
	journal  *journal.Journal         // nil when nothing is kept
	queues   map[string]*source.Queue // by URL
	strays   prometheus.Counter       // requests that are pushed to nobody
	reloads  *reloads
	tallies  tallies
	gate     *access.Gate    // nil before Start
	alerts   *alerts         // nil in a run that ends by itself
	tracer   *tracing.Tracer // nil when nothing is traced

	// stopping ends the calls of deliveries that were replaced, see delivery.leave.
	stopping context.Context //nolint:containedctx // it is that of goroutines which outlive their reload
	cutOff   context.CancelFunc
	leaving  sync.WaitGroup // those deliveries

	lifecycle sync.Mutex    // held while the tenants change
	care      chan struct{} // wakes the caretaker

	mu       sync.Mutex
	cfg      *config.Config // of the moment
	tenants  []*tenant      // those that run by it
	removed  []*tenant      // those that are not in it any more and still deliver
	late     []*lateTenant  // those that could not be started yet
	cleanups []cleanup      // in the order of the starts; Stop runs them backwards
	page     *pageServer    // nil without a listener
	push     *webhookServer // nil when nobody pushes

	once      once
	backfills *backfills // nil where none is done
}

// cleanup undoes a start.
type cleanup struct {
	name string
	stop func(context.Context) error
}

// New checks what can be checked without talking to anybody, resolves the
// secrets and opens the store. The error says what to do about it. An App that
// New has made must be stopped, whether or not it was started.
func New(ctx context.Context, opts Options) (_ *App, err error) {
	a := &App{
		opts: opts, registry: prometheus.NewRegistry(), queues: make(map[string]*source.Queue),
		cfg: opts.Config, secrets: newSecrets(opts.Secrets), care: make(chan struct{}, 1),
	}
	a.stopping, a.cutOff = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
		}
	}()
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.prepareDryRun(ctx); err != nil {
		return nil, err
	}
	opts = a.opts
	cfg := opts.Config
	a.cfg = cfg
	if err := checkOnce(opts); err != nil {
		return nil, err
	}
	if err := a.prepareTracing(ctx); err != nil {
		return nil, err
	}
	a.store, err = store.Open(ctx, store.Config{
		Dir: cfg.DataDir, MaxBytes: int64(cfg.MaxBufferBytes), DedupWindow: cfg.DedupWindow,
		MaxLetterBytes: int64(cfg.MaxLetterBytes), Logger: opts.Logger, Registerer: a.registry,
	})
	if err != nil {
		return nil, err // it says what was tried
	}
	a.onStop("store", func(context.Context) error { return a.store.Close() })
	if opts.DryRun != nil {
		a.onStop("dry run", a.finishDryRun)
	}
	if err := a.openJournal(ctx); err != nil {
		return nil, err
	}
	a.registry.MustRegister(newLags(a), newBuildInfo(opts.Version))
	a.registerStrays()
	a.reloads = newReloads(a.registry)
	a.onStop("clients", func(context.Context) error { return a.closeClients() })
	for _, t := range opts.tenants() {
		built, err := a.build(ctx, cfg, t)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		keys, err := a.redactKeys(ctx, cfg, t)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tenant %s: %w", t.Name, err), built.close())
		}
		built.setKeys(keys)
		a.tenants = append(a.tenants, built)
	}
	a.once.expect(opts.tenants())
	a.prepareBackfills()
	if r := opts.Repair; r != nil {
		if err := r.store(ctx, a, a.tenants[0]); err != nil {
			return nil, err
		}
	}
	a.onStop("conditions", a.forgetPassing)
	a.tellDoubts(ctx)
	if err := a.tellLeftBehind(ctx); err != nil {
		return nil, err
	}
	if err := a.prepareAlerts(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// forgetPassing forgets the troubles of a run with Once that came to its end in
// spite of them: nothing is left for them to hinder.
func (a *App) forgetPassing(ctx context.Context) error {
	if !a.opts.once() || !a.once.endedWell() {
		return nil
	}
	var errs []error
	for _, t := range a.running() {
		for _, part := range t.parts() {
			errs = append(errs, t.buffer.ClearCondition(ctx, part))
		}
	}
	return errors.Join(errs...)
}

// tellLeftBehind warns of events that nobody is going to deliver.
func (a *App) tellLeftBehind(ctx context.Context) error {
	figures, err := a.store.Status(ctx)
	if err != nil {
		return fmt.Errorf("read figures: %w", err)
	}
	for _, f := range leftBehind(figures, a.Config()) {
		a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "events wait for a tenant that is not configured", slog.String("tenant", f.Tenant),
			slog.Int64("events", waiting(f)), slog.String("hint", "Configure it again under this name, and they are delivered."))
	}
	return nil
}

// Config returns the configuration of the moment, which nobody may change.
func (a *App) Config() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg
}

// Secrets returns what resolves the secrets of Config.
func (a *App) Secrets() config.Resolver { return a.secrets.current() }

// running returns the tenants that run by the configuration of the moment.
func (a *App) running() []*tenant {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.tenants)
}

// closeClients lets go of the connections to Auth0.
func (a *App) closeClients() error {
	var errs []error
	for _, t := range slices.Concat(a.running(), a.leftovers()) {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}

// gatherer returns what gathers the figures of the program and those of the tenants of
// the moment.
func (a *App) gatherer() prometheus.Gatherer {
	registries := func() prometheus.Gatherers {
		all := prometheus.Gatherers{a.registry}
		for _, t := range slices.Concat(a.running(), a.leftovers()) {
			all = append(all, t.registry)
		}
		return append(all, a.laneRegistries()...)
	}
	return prometheus.GathererFunc(lazily(registries, prometheus.Gatherers.Gather))
}

// lazily returns a function that does something with what there is when it is called.
func lazily[L, T any](list func() L, do func(L) (T, error)) func() (T, error) {
	return func() (T, error) { return do(list()) }
}

// Start opens the listener and starts every tenant. It returns at once; what
// happens from then on is told by the logger, the page and Done.
func (a *App) Start(ctx context.Context) error {
	if err := a.listen(ctx); err != nil {
		return err
	}
	if err := a.listenWebhook(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // Stop ends the loops, in its own order
	for _, t := range a.running() {
		t.start(ctx)
	}
	a.onStop("deliveries", a.endDeliveries)
	a.onStop("sources", func(ctx context.Context) error { return together(ctx, a.running(), (*tenant).endSources) })
	a.onStop("webhook", a.dismissPushes)
	a.pushServer().serve(ctx, a)
	a.startCaretaker(ctx)
	a.shareConfiguration(ctx)
	a.startAlerts(ctx)
	a.startBackfills(ctx)
	a.startVerifies(ctx)
	a.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "started", slog.Int("tenants", len(a.running())),
		slog.String("version", a.opts.Version), slog.String("data_dir", a.Config().DataDir), slog.String("listen", a.Addr()),
		slog.String("webhook", a.WebhookAddr()))
	return nil
}

// startCaretaker starts the caretaker, which a stop ends first.
func (a *App) startCaretaker(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.caretaker(ctx)
	}()
	a.onStop("caretaker", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

// endDeliveries ends all deliveries, also those of tenants that were removed and those
// that were replaced.
func (a *App) endDeliveries(ctx context.Context) error {
	defer context.AfterFunc(ctx, a.cutOff)()
	err := together(ctx, slices.Concat(a.running(), a.leftovers()), (*tenant).endDelivery)
	a.leaving.Wait()
	return err
}

// together does the same to several tenants at the same time, so that none takes the
// time of another.
func together(ctx context.Context, list []*tenant, do func(*tenant, context.Context)) error {
	var all sync.WaitGroup
	for _, t := range list {
		all.Go(func() { do(t, ctx) })
	}
	all.Wait()
	return nil
}

// Done is closed when an App made with Once, Import, Repair or Backfill has finished; Err then says
// how.
func (a *App) Done() <-chan struct{} {
	if a.opts.Backfill != "" {
		return a.backfills.finished
	}
	return a.once.done
}

// Err returns why an App made with Once, Import, Repair or Backfill ended before all was delivered; nil when
// all was.
func (a *App) Err() error {
	if a.opts.Backfill != "" {
		return a.backfills.result()
	}
	return a.once.result()
}

// Broken is closed when the store turned out to be damaged, or was taken away: no
// event can be kept any more, and the App should be stopped. BrokenErr says what was
// found, and what to do.
func (a *App) Broken() <-chan struct{} { return a.store.Damaged() }

// BrokenErr returns why Broken is closed; nil while it is not.
func (a *App) BrokenErr() error { return a.store.DamageErr() }

// Stop ends everything within ctx, and within the shutdown_timeout at the latest,
// and returns what went wrong. Events that could not be delivered by then stay in
// the buffer. A second call does nothing.
func (a *App) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.Config().ShutdownTimeout)
	defer cancel()
	a.mu.Lock()
	cleanups := a.cleanups
	a.cleanups = nil
	a.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(cleanups) {
		if err := c.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.name, err))
		}
	}
	a.cutOff()
	return errors.Join(errs...)
}

// onStop registers what undoes a start.
func (a *App) onStop(name string, stop func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, cleanup{name, stop})
}
