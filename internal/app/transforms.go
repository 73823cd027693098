package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// filter returns the filter of a tenant, which looks at events on their way in,
// whatever way they come, or that of an outlet; none when nothing is set. It is the
// first of the transforms: it may look at what others take out.
func (t *tenant) filter(ctx context.Context, outlet string, f config.Filter, logger *slog.Logger) ([]pipeline.Transform, error) {
	reg, namespace := t.registryOf(outlet)
	failures := prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "filter_failures_total", Help: "Events on which the expression of the filter failed; they were kept.",
	})
	reg.MustRegister(failures)
	var first sync.Once
	failed := func(e event.Event, err error) {
		failures.Inc()
		first.Do(func() {
			logger.LogAttrs(context.WithoutCancel(ctx), slog.LevelWarn, "the expression of the filter fails on events, which are kept; this is told once",
				slog.String("log_id", e.LogID), slog.Any("error", err),
				slog.String("hint", "An expression fails on what is not there: write event.details?.request?.method instead of event.details.request.method."))
		})
	}
	rules := filterRules(f)
	if rules.Empty() {
		return nil, nil
	}
	filter, err := transform.NewFilter(rules, failed)
	if err != nil {
		return nil, misconfigured("read the filter", err)
	}
	return []pipeline.Transform{filter.Apply}, nil
}

// filterRules turns the filter of the configuration into rules.
func filterRules(f config.Filter) transform.FilterRules {
	of := func(s config.Selection) transform.Selection { return transform.Selection{Allow: s.Allow, Deny: s.Deny} }
	return transform.FilterRules{
		Types: of(f.Types), MinLevel: f.Level(), Categories: of(f.Categories), Severities: of(f.Severities),
		Clients: of(f.Clients), Connections: of(f.Connections), Organizations: of(f.Organizations), Expression: f.Expression,
	}
}

// tellDoubts warns of what in the configuration is likely a mistake.
func (a *App) tellDoubts(ctx context.Context) {
	for _, p := range a.Config().Warnings() {
		a.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "the configuration may not mean what it should", slog.String("where", p.Where),
			slog.String("setting", p.Path), slog.String("problem", p.Problem), slog.String("hint", p.Fix))
	}
}
