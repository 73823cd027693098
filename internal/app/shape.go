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

// routesKey is where the combinations of values that have log streams are kept.
const routesKey = "routes"

// saveTimeout bounds the keeping of them.
const saveTimeout = 5 * time.Second

// addRoutes makes the routes of a tenant, with the combinations of values that an
// earlier process has made log streams for.
func (a *App) addRoutes(ctx context.Context, t config.Tenant, built *tenant) error {
	routes, err := transform.NewRoutes(t.Name, t.CloudWatch.LogGroup, t.CloudWatch.LogStream, t.CloudWatch.MaxStreams)
	if err != nil {
		return misconfigured("read the destination", err)
	}
	built.routes = routes
	if routes.Fixed() {
		to := routes.Route(event.Event{})
		built.fixed = &to
	}
	others := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "gapless", Name: "routed_other_events_total",
		Help: "Events whose values became \"other\" in the names of the log group and stream, because max_streams combinations are in use.",
	})
	prometheus.WrapRegistererWith(prometheus.Labels{"tenant": t.Name}, a.registry).MustRegister(others)
	var once sync.Once
	told := context.WithoutCancel(ctx)
	routes.OnOther = func() {
		others.Inc()
		once.Do(func() {
			built.logger.LogAttrs(told, slog.LevelWarn, "the log streams of this tenant have reached max_streams; further values of events go to \"other\"",
				slog.Int("max_streams", t.CloudWatch.MaxStreams),
				slog.String("hint", "Raise cloudwatch.max_streams if these values are wanted, or take {type}, {organization}, {client} or {connection} out of log_group and log_stream."))
		})
	}
	return built.restoreRoutes(ctx)
}

// restoreRoutes takes in what an earlier process has kept. What cannot be read is
// told of: it bounds, and nothing depends on it.
func (t *tenant) restoreRoutes(ctx context.Context) error {
	state, err := t.buffer.Load(ctx, routesKey)
	if err != nil || state == nil {
		return err
	}
	if err := t.routes.Restore(state); err != nil {
		t.logger.LogAttrs(ctx, slog.LevelWarn, "max_streams counts anew", slog.Any("error", err))
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
		state, err := t.routes.State()
		if state == nil && err == nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, saveTimeout)
		defer cancel()
		if err == nil {
			err = t.buffer.Save(ctx, routesKey, state)
		}
		if err != nil {
			t.logger.LogAttrs(ctx, slog.LevelDebug, "cannot keep the log streams in use; after a restart max_streams counts some anew", slog.Any("error", err))
		}
	}
}

// outbound puts in front of a sink what is done to the events of a tenant on their
// way out.
func outbound(t config.Tenant, sink pipeline.Sink) (pipeline.Sink, error) {
	shape, growth, err := transform.NewShape(t.Name, t.CloudWatch.Fields, t.CloudWatch.Copy)
	if err != nil {
		return nil, misconfigured("read the shape of messages", err)
	}
	if shape == nil {
		return sink, nil
	}
	return &pipeline.Outbound{Sink: sink, Shape: shape, Growth: growth}, nil
}
