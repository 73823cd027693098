package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// openJournal opens the journal, if one is kept; a file from before is deleted if not.
func (a *App) openJournal(ctx context.Context) error {
	cfg := a.Config()
	if a.opts.DryRun != nil {
		return nil
	}
	if cfg.History.Off() {
		return forgetHistory(cfg.DataDir)
	}
	late, err := a.hasDelivered(ctx)
	if err != nil {
		return err
	}
	a.journal, err = journal.Open(ctx, journal.Config{
		Dir: cfg.DataDir, Limits: historyLimits(cfg), Waiting: a.lookAtWaiting, Late: late, Logger: a.opts.Logger, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	a.onStop("history", func(context.Context) error { return a.journal.Close() })
	return nil
}

// historyLimits returns what a configuration says of the journal.
func historyLimits(cfg *config.Config) journal.Limits {
	return journal.Limits{Keep: cfg.History.Keep, MaxBytes: int64(cfg.History.MaxBytes)}
}

// forgetHistory deletes the journal of a data directory: whoever turns it off does not
// want the events to lie there.
func forgetHistory(dir string) error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(filepath.Join(dir, journal.FileName+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &pipeline.Error{Op: "delete the history", Class: pipeline.Misconfigured, Err: err, Hint: "Delete " + journal.FileName + " in data_dir yourself, or let gapless write there."}
		}
	}
	return nil
}

// hasDelivered reports whether anything was delivered before.
func (a *App) hasDelivered(ctx context.Context) (bool, error) {
	figures, err := a.store.Status(ctx)
	if err != nil {
		return false, fmt.Errorf("read figures: %w", err)
	}
	return slices.ContainsFunc(figures, func(f store.TenantStatus) bool { return !f.LastDeliveredAt.IsZero() }), nil
}

// keepOutcomes returns what tells the journal of an outlet's batches.
func (a *App) keepOutcomes(o *outlet, w wanted) func(pipeline.Outcome) func(bool) {
	region, emulated := w.aws.Region, w.aws.Endpoint != ""
	if o.sink != nil {
		region = o.sink.Region()
	}
	return func(out pipeline.Outcome) func(bool) {
		return a.journal.Settling(journal.Outcome{Outcome: out, Tenant: o.tenant.name, Region: region, Emulated: emulated})
	}
}

// watch returns what follows a source; nil when no journal is kept.
func (a *App) watch(tenant, name string) pipeline.SourceWatch {
	if a.journal == nil {
		return nil
	}
	return a.journal.Watch(tenant, name, name == source.WebhookName || name == source.SQSName)
}

// lookAtWaiting begins a look at what waits, for the journal.
func (a *App) lookAtWaiting(ctx context.Context) (journal.WaitingLook, error) {
	w, err := a.store.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	return waitingLook{w, a}, nil
}

// waitingLook is what waits, as the journal asks for it.
type waitingLook struct {
	*store.Waiting

	app *App
}

// Rows implements journal.WaitingLook.
func (l waitingLook) Rows(ctx context.Context, tenant string, since, until time.Time) ([]journal.WaitingRow, error) {
	rows, err := l.Waiting.Rows(ctx, tenant, since, until)
	if err != nil {
		return nil, err
	}
	type to struct {
		tenant string
		pipeline.Destination
	}
	places := make(map[to]journal.Place)
	list := make([]journal.WaitingRow, len(rows))
	for i, r := range rows {
		k := to{r.Tenant, r.Destination}
		if _, known := places[k]; !known {
			places[k] = l.app.place(r.Tenant, r.Destination)
		}
		list[i] = journal.WaitingRow{
			Row: r.Row, Tenant: r.Tenant, Oldest: r.Oldest, Newest: r.Newest, StoredAt: r.StoredAt, Source: r.Source, Place: places[k],
		}
	}
	return list, nil
}

// Events implements journal.WaitingLook.
func (l waitingLook) Events(ctx context.Context, row int64) ([]event.Event, error) {
	return l.Waiting.Events(ctx, row)
}

// place returns where a destination of a tenant is by the configuration of the moment.
func (a *App) place(tenant string, to pipeline.Destination) journal.Place {
	p := journal.Place{Destination: to}
	for _, t := range slices.Concat(a.running(), a.leftovers()) {
		if t.name != tenant {
			continue
		}
		for i, w := range wantedOf(t.cfg, &t.of) {
			if w.name != to.Sink {
				continue
			}
			p.Region, p.Emulated = w.aws.Region, w.aws.Endpoint != ""
			if i < len(t.outlets) && t.outlets[i].sink != nil {
				p.Region = t.outlets[i].sink.Region()
			}
			return p
		}
	}
	return p
}
