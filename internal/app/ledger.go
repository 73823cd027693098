package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// LedgerPart is the part under which it is told that the ledger cannot be published;
// that of a further destination has a colon and its name behind it.
const LedgerPart = "ledger"

// ledgerPartOf is that of an outlet.
func ledgerPartOf(outlet string) string {
	if outlet == "" {
		return LedgerPart
	}
	return LedgerPart + ":" + outlet
}

// A ledgerLoop seals the hours of an outlet and publishes them, beside the delivery.
type ledgerLoop struct {
	outlet *outlet
	keeper *ledger.Keeper
	after  time.Duration // of an hour, until it is sealed

	entries  prometheus.Counter
	sealed   prometheus.Gauge
	failures *prometheus.CounterVec
	left     *prometheus.GaugeVec

	trouble *pipeline.Condition // nil while all is well
}

// signingKey reads the key of the ledger; nil when there is none.
func (a *App) signingKey(ctx context.Context, cfg *config.Config) (*ledger.Key, error) {
	if cfg.Ledger.SigningKey.IsZero() || !cfg.Ledger.Enabled {
		return nil, nil //nolint:nilnil // entries are not signed then
	}
	text, err := a.secrets.resolve(ctx, cfg.Ledger.SigningKey)
	if err != nil {
		return nil, misconfigured("read ledger.signing_key", err)
	}
	key, err := ledger.ParseKey(text)
	if err != nil {
		return nil, misconfigured("read ledger.signing_key", err)
	}
	return key, nil
}

// addLedger makes the ledger of an outlet. It stands before the first delivery.
func (a *App) addLedger(ctx context.Context, t config.Tenant, w wanted, o *outlet) error {
	cfg, buffer := o.tenant.cfg, o.tenant.buffer
	if a.opts.DryRun != nil {
		return nil
	}
	if !cfg.Ledger.Enabled {
		return buffer.EndLedger(ctx, o.name)
	}
	key, err := a.signingKey(ctx, cfg)
	if err != nil {
		return err
	}
	places, err := a.ledgerPlaces(ctx, cfg, t.Name, w)
	if err != nil {
		return err
	}
	book, err := buffer.KeepLedger(ctx, o.name)
	if err != nil {
		return err
	}
	if a.opts.Import != nil || a.opts.Repair != nil { // the exporter seals
		return nil
	}
	l := &ledgerLoop{outlet: o, after: cfg.Ledger.SealAfter}
	l.register(o)
	for _, p := range places { // there from the start
		l.failures.WithLabelValues(p.Name())
		l.left.WithLabelValues(p.Name())
	}
	var sources []string
	if t.Polls() {
		sources = append(sources, source.PollName)
	}
	l.keeper = ledger.NewKeeper(ledger.Config{
		Tenant: t.Name, Destination: nameOf(o.name), Book: book, SealAfter: cfg.Ledger.SealAfter, Sources: sources,
		Key: func() *ledger.Key { return key }, Places: places, OnSealed: l.onSealed, OnPublished: l.onPublished,
	})
	o.ledger = l
	return nil
}

// ledgerPlaces makes the places that the ledger of a destination is published to.
func (a *App) ledgerPlaces(ctx context.Context, cfg *config.Config, tenant string, w wanted) (places []ledger.Place, err error) {
	if cfg.Ledger.Directory != "" {
		places = append(places, newLedgerFile(cfg.Ledger.Directory, tenant, nameOf(w.name)))
	}
	if cfg.Ledger.CloudWatch {
		s, err := a.newLedgerStream(ctx, cfg, tenant, w)
		if err != nil {
			return nil, err
		}
		places = append(places, s)
	}
	if cfg.Ledger.S3.URL != "" {
		b, err := a.newLedgerBucket(ctx, cfg, cfg.Ledger.S3.URL, tenant, nameOf(w.name))
		if err != nil {
			return nil, err
		}
		places = append(places, b)
	}
	return places, nil
}

// register makes the figures.
func (l *ledgerLoop) register(o *outlet) {
	reg, namespace := o.tenant.registryOf(o.name)
	l.entries = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: "ledger", Name: "entries_total", Help: "Entries that were sealed."})
	l.sealed = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: "ledger", Name: "sealed_until_timestamp_seconds", Help: "Up to when hours are sealed."})
	l.failures = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: "ledger", Name: "publish_failures_total", Help: "Attempts to publish entries that failed."}, []string{"place"})
	l.left = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Subsystem: "ledger", Name: "unpublished_entries", Help: "Entries that a place does not have yet."}, []string{"place"})
	reg.MustRegister(l.entries, l.sealed, l.failures, l.left)
}

// onSealed hears of entries.
func (l *ledgerLoop) onSealed(entries int, until time.Time) {
	l.entries.Add(float64(entries))
	if !until.IsZero() {
		l.sealed.Set(float64(until.Unix()))
	}
}

// onPublished hears of an attempt to publish.
func (l *ledgerLoop) onPublished(place string, left int64, err error) {
	l.left.WithLabelValues(place).Set(float64(left))
	failures := l.failures.WithLabelValues(place)
	if err != nil {
		failures.Inc()
	}
}

// The pauses of the loop. Without trouble it sleeps until an hour is due, and looks now
// and then whether something came late.
const (
	ledgerPause = 15 * time.Minute
	ledgerFirst = time.Minute // after a failure; it doubles up to the pause
	// ledgerOnce bounds the last pass of a run with Once.
	ledgerOnce = 30 * time.Second
)

// run seals and publishes until ctx ends. Whatever fails is tried again for ever.
func (l *ledgerLoop) run(ctx context.Context) {
	wait := ledgerFirst
	for {
		if l.pass(ctx) {
			now := time.Now()
			due := now.Truncate(time.Hour).Add(l.after%time.Hour + time.Second)
			if !due.After(now) {
				due = due.Add(time.Hour)
			}
			wait = min(due.Sub(now), ledgerPause)
		}
		if pipeline.Wait(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, ledgerPause)
	}
}

// pass makes a pass and tells how it went.
func (l *ledgerLoop) pass(ctx context.Context) (ok bool) {
	err := l.keeper.Pass(ctx, time.Now())
	switch {
	case ctx.Err() != nil:
		return false
	case errors.Is(err, store.ErrMoved): // another keeper, which a reload has not ended yet, was faster
		return false
	}
	l.tell(ctx, err)
	return err == nil
}

// tell keeps the trouble where status finds it. It hinders nothing, so that a run with
// Once does not wait for its end.
func (l *ledgerLoop) tell(ctx context.Context, err error) {
	t := l.outlet.tenant
	if t.replaced.Load() || err == nil && l.trouble == nil {
		return
	}
	part := ledgerPartOf(l.outlet.name)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	var kept error
	if err == nil {
		l.trouble = nil
		t.note(part, nil)
		kept = t.buffer.ClearCondition(ctx, part)
		l.outlet.logger.LogAttrs(ctx, slog.LevelInfo, "the ledger is sealed and published again")
	} else {
		e := pipeline.Classify(err)
		if l.trouble == nil {
			l.trouble = &pipeline.Condition{Part: part, Since: time.Now()}
			l.outlet.logger.LogAttrs(ctx, slog.LevelWarn, "the ledger cannot be sealed or published, trying again; delivery goes on", slog.Any("error", err), slog.String("hint", e.Hint))
		}
		l.trouble.Failures++
		l.trouble.Err = e
		t.note(part, l.trouble)
		kept = t.buffer.SetCondition(ctx, *l.trouble)
	}
	if kept != nil {
		l.outlet.logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the condition", slog.Any("error", kept))
	}
}

// last makes the pass of a run with Once, which ends soon after.
func (l *ledgerLoop) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ledgerOnce)
	defer cancel()
	l.pass(ctx)
}
