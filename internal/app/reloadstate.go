package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// reloads is what is told of the configuration in use and of the last try to take
// another one.
type reloads struct {
	outcomes *prometheus.CounterVec
	last     prometheus.Gauge
	stamp    prometheus.Gauge

	mu    sync.Mutex
	state web.Configuration
}

// newReloads registers the figures, of a configuration that was loaded now.
func newReloads(reg prometheus.Registerer) *reloads {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gapless", Subsystem: "config", Name: name, Help: help})
	}
	r := &reloads{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gapless", Subsystem: "config", Name: "reloads_total", Help: "Times that the configuration was to be loaded again, by outcome.",
		}, []string{"outcome"}),
		last:  gauge("last_reload_successful", "Whether the last load of the configuration was taken: 1, or 0 while the one before stays in use."),
		stamp: gauge("last_reload_success_timestamp_seconds", "When the configuration in use was loaded, in seconds since 1970."),
	}
	reg.MustRegister(r.outcomes, r.last, r.stamp)
	for _, outcome := range []string{"success", "failure"} {
		r.outcomes.WithLabelValues(outcome) // there from the start, so that an alert can be written before the first
	}
	r.loaded(nil)
	return r
}

// loaded notes that a configuration was taken.
func (r *reloads) loaded(needRestart []string) {
	now := time.Now().UTC()
	r.mu.Lock()
	r.state = web.Configuration{LoadedAt: now, NeedRestart: append([]string{}, needRestart...)}
	r.mu.Unlock()
	r.last.Set(1)
	r.stamp.Set(float64(now.UnixMilli()) / 1000)
}

// succeeded notes that a configuration was taken while running, and tells what it has
// changed.
func (r *reloads) succeeded(ctx context.Context, logger *slog.Logger, c Changes) {
	r.outcomes.WithLabelValues("success").Inc()
	r.loaded(c.NeedsRestart)
	attrs := []slog.Attr{
		texts("added", c.Added), texts("changed", c.Changed), texts("removed", c.Removed), slog.Int("unchanged", len(c.Unchanged)),
		texts("settings", slices.DeleteFunc(slices.Clone(c.Settings), func(s string) bool { return slices.Contains(c.NeedsRestart, s) })),
	}
	level := slog.LevelInfo
	if len(c.NeedsRestart) > 0 {
		level = slog.LevelWarn
		attrs = append(attrs, texts("needs_restart", c.NeedsRestart), slog.String("hint", "Start gapless again when it suits; until then these settings have their old values."))
	}
	logger.LogAttrs(ctx, level, "the configuration was reloaded", attrs...)
}

// texts is a list in the log; one of nothing is empty there too.
func texts(key string, items []string) slog.Attr { return slog.Any(key, append([]string{}, items...)) }

// failed notes that a configuration was refused, and says why.
func (r *reloads) failed(ctx context.Context, logger *slog.Logger, err error) {
	if ctx.Err() != nil && pipeline.Stopped(ctx, err) {
		return // the program ends
	}
	r.outcomes.WithLabelValues("failure").Inc()
	r.last.Set(0)
	hint := pipeline.Classify(err).Hint
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		for _, p := range invalid.Problems {
			logger.LogAttrs(ctx, slog.LevelError, "the configuration is not valid", slog.String("where", p.Where), slog.String("setting", p.Path),
				slog.String("problem", p.Problem), slog.String("hint", p.Fix), slog.String("excerpt", p.Excerpt))
		}
		hint = "gapless config check names all that is wrong, with the flags of this run."
	}
	if hint == "" {
		hint = "Correct it, and send SIGHUP again."
	}
	r.mu.Lock()
	r.state.FailedAt, r.state.Error, r.state.Hint = time.Now().UTC(), err.Error(), hint
	r.mu.Unlock()
	logger.LogAttrs(ctx, slog.LevelError, "the configuration was not reloaded, the one before stays in use", slog.Any("error", err), slog.String("hint", hint))
}

// configuration returns what is told.
func (r *reloads) configuration() *web.Configuration {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.state
	return &c
}
