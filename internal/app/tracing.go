package app

import (
	"cmp"
	"context"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/tracing"
)

// prepareTracing starts what sends traces, if they are wanted. A dry run has none: it
// delivers nothing. It comes first, so that a stop ends it last of all.
func (a *App) prepareTracing(ctx context.Context) error {
	cfg := a.Config()
	if cfg.Tracing.Endpoint == "" || a.opts.DryRun != nil {
		return nil
	}
	headers, err := tracingHeaders(cfg, func(s config.Secret) (string, error) { return a.secrets.resolve(ctx, s) })
	if err != nil {
		return misconfigured("read tracing.headers", err)
	}
	t := cfg.Tracing
	a.tracer = tracing.New(tracing.Config{ //nolint:contextcheck // it lasts until Stop
		URL: t.URL(), Headers: headers, SampleRatio: t.SampleRatio, ServiceName: t.ServiceName, Version: a.opts.Version, Timeout: t.Timeout,
	}, tracing.Deps{Logger: a.opts.Logger, Registerer: a.registry, Transport: a.opts.TracingHTTP})
	a.onStop("tracing", func(ctx context.Context) error {
		a.tracer.Stop(ctx)
		return nil
	})
	return nil
}

// tracingHeaders returns the headers of requests to the collector.
func tracingHeaders(cfg *config.Config, resolve func(config.Secret) (string, error)) (list []tracing.Header, err error) {
	for _, h := range cfg.Tracing.Headers {
		v, err := resolve(h.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, tracing.Header{Name: h.Name, Value: v})
	}
	return list, nil
}

// traced returns what follows a source besides next; next alone where nothing is traced.
func (a *App) traced(tenant, name string, next pipeline.SourceWatch) pipeline.SourceWatch {
	if a.tracer == nil {
		return next
	}
	return a.tracer.Watch(tenant, name, next)
}

// traceOutlet has the batches of an outlet traced.
func (a *App) traceOutlet(o *outlet) {
	if a.tracer != nil {
		o.deliver.Observer = a.tracer.Observer(o.tenant.name, cmp.Or(o.name, MainDestination))
	}
}

// onCall returns what hears of the calls of a sink; nil where nothing is traced.
func (a *App) onCall() func(context.Context, cloudwatch.Call) {
	if a.tracer == nil {
		return nil
	}
	return func(ctx context.Context, c cloudwatch.Call) { a.tracer.Called(ctx, tracing.Call(c)) }
}
