package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// routesKey is where the combinations of values that have log streams of the main
// outlet are kept; behind it and a colon stands the name of another one.
const routesKey = "routes"

// routesKey is where those of the outlet are kept.
func (o *outlet) routesKey() string {
	if o.name == "" {
		return routesKey
	}
	return routesKey + ":" + o.name
}

// saveTimeout bounds the keeping of them.
const saveTimeout = 5 * time.Second

// addRoutes makes the routes of an outlet, with the combinations of values that an
// earlier process has made log streams for.
func (a *App) addRoutes(ctx context.Context, t config.Tenant, w wanted, o *outlet) error {
	routes, err := transform.NewRoutes(t.Name, w.cw.LogGroup, w.cw.LogStream, w.cw.MaxStreams)
	if err != nil {
		return misconfigured("read the destination", err)
	}
	o.routes = routes
	if routes.Fixed() {
		to := o.route(event.Event{})
		o.fixed = &to
	}
	reg, namespace := o.tenant.registryOf(o.name)
	others := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "routed_other_events_total",
		Help: "Events whose values became \"other\" in the names of the log group and stream, because max_streams combinations are in use.",
	})
	reg.MustRegister(others)
	var once sync.Once
	told := context.WithoutCancel(ctx)
	routes.OnOther = func() {
		others.Inc()
		once.Do(func() {
			o.logger.LogAttrs(told, slog.LevelWarn, "the log streams of this destination have reached max_streams; further values of events go to \"other\"",
				slog.Int("max_streams", w.cw.MaxStreams),
				slog.String("hint", "Raise max_streams if these values are wanted, or take {type}, {organization}, {client} or {connection} out of log_group and log_stream."))
		})
	}
	return o.restoreRoutes(ctx)
}

// restoreRoutes takes in what an earlier process has kept. What cannot be read is
// told of: it bounds, and nothing depends on it.
func (o *outlet) restoreRoutes(ctx context.Context) error {
	state, err := o.tenant.buffer.Load(ctx, o.routesKey())
	if err != nil || state == nil {
		return err
	}
	if err := o.routes.Restore(state); err != nil {
		o.logger.LogAttrs(ctx, slog.LevelWarn, "max_streams counts anew", slog.Any("error", err))
	}
	return nil
}

// keepRoutes returns what hears of intakes that are stored: it keeps combinations of
// values that are new with the events, and passes the intake on.
func (t *tenant) keepRoutes(ctx context.Context, next stored) stored {
	ctx = context.WithoutCancel(ctx)
	return func(in pipeline.Intake, done pipeline.Appended) {
		if next != nil {
			next(in, done)
		}
		for _, o := range t.outlets {
			o.keepRoutes(ctx)
		}
	}
}

// keepRoutes keeps the combinations of values that are new.
func (o *outlet) keepRoutes(ctx context.Context) {
	state, err := o.routes.State()
	if state == nil && err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err == nil {
		err = o.tenant.buffer.Save(ctx, o.routesKey(), state)
	}
	if err != nil {
		o.logger.LogAttrs(ctx, slog.LevelDebug, "cannot keep the log streams in use; after a restart max_streams counts some anew", slog.Any("error", err))
	}
}

// registryOf returns where the figures of an outlet are registered, and how their
// names begin: those of outlets besides the main one have names of their own, so that
// the figures of a tenant never count an event twice.
func (t *tenant) registryOf(outlet string) (prometheus.Registerer, string) {
	labels, namespace := prometheus.Labels{"tenant": t.name}, "gapless"
	if outlet != "" {
		labels["destination"], namespace = outlet, "gapless_destination"
	}
	return prometheus.WrapRegistererWith(labels, t.registry), namespace
}
