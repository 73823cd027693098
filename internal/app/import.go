package app

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// An Import makes an App that brings the events of files to the destination of one
// tenant, by the same way as all others, and does nothing else: no other source
// runs, and their cursors and marks stay as they are. Such an App runs once.
type Import struct {
	tenant string
	files  *source.Files
	before Imported // of all runs before
}

// FileProgress says how far an import has come.
type FileProgress = source.FileProgress

// FileProblem is something in a file that could not be read.
type FileProblem = source.FileProblem

// StandardInput is what an import calls standard input.
const StandardInput = source.StandardInput

// Errors of NewImport.
var (
	ErrNotAFile  = source.ErrNotAFile
	ErrNotEvents = source.ErrNotEvents
)

// NewImport looks at the files that are to be imported for a configured tenant. The
// error says what is wrong with one of them, see source.OpenFiles.
func NewImport(ctx context.Context, tenant string, paths []string) (*Import, error) {
	files, err := source.OpenFiles(ctx, paths)
	if err != nil {
		return nil, err
	}
	return &Import{tenant: tenant, files: files}, nil
}

// NewImportOf imports what in brings, see source.NewStandardInput.
func NewImportOf(in io.Reader, tenant string) *Import {
	return &Import{tenant: tenant, files: source.NewStandardInput(in)}
}

// Progress returns how far the import has come. It is safe for concurrent use.
func (im *Import) Progress() FileProgress { return im.files.Progress() }

// Imported says what became of the events of an import, in this run alone.
type Imported struct {
	// Stored were new. Skipped were left out on purpose.
	Stored, Skipped int64
	// Delivered were taken by the destination, with those that waited there before.
	Delivered int64
	// Restamped, of those delivered, went with another timestamp than their date.
	Restamped int64
	// Altered were delivered in another form, Rejected never can be; both lie in the
	// dead letters, as do the pieces that are no events.
	Altered, Rejected int64
	// Waiting are in the buffer.
	Waiting int64
}

// tenants returns the tenants that the App works for.
func (o Options) tenants() []config.Tenant {
	only := ""
	switch {
	case o.Import != nil:
		only = o.Import.tenant
	case o.Repair != nil:
		only = o.Repair.tenant
	case o.Backfill != "":
		only = o.backfillOf()
	default:
		return o.Config.Tenants
	}
	return slices.DeleteFunc(slices.Clone(o.Config.Tenants), func(t config.Tenant) bool { return t.Name != only })
}

// once reports whether the App ends by itself.
func (o Options) once() bool { return o.Once || o.Import != nil || o.Repair != nil || o.Backfill != "" }

// beginImport forgets what a run before has said of the loops of an import, and
// notes the figures from which it counts.
func (a *App) beginImport(ctx context.Context, built *tenant) (pipeline.Source, error) {
	im := a.opts.Import
	parts := []string{im.files.Name()}
	for _, o := range built.outlets {
		parts = append(parts, o.part())
	}
	for _, part := range parts {
		if err := built.buffer.ClearCondition(ctx, part); err != nil {
			return nil, err
		}
	}
	var err error
	im.before, err = a.imported(ctx)
	return im.files, err
}

// Imported returns what became of the events of an import so far.
func (a *App) Imported(ctx context.Context) (Imported, error) {
	now, err := a.imported(ctx)
	before := a.opts.Import.before
	now.Stored -= before.Stored
	now.Skipped -= before.Skipped
	now.Delivered -= before.Delivered
	now.Altered -= before.Altered
	now.Rejected -= before.Rejected
	return now, err
}

// imported returns the figures of all runs, but for Restamped, which is of this one.
func (a *App) imported(ctx context.Context) (n Imported, err error) {
	figures, err := a.store.Status(ctx)
	if err != nil {
		return n, fmt.Errorf("read figures: %w", err)
	}
	for _, f := range figures {
		if f.Tenant == a.opts.Import.tenant {
			n = countImported(f)
		}
	}
	n.Restamped, err = a.restamped()
	return n, err
}

// countImported sums the counts of a tenant.
func countImported(f store.TenantStatus) Imported {
	n := Imported{Waiting: f.BufferedEvents}
	for _, c := range f.Counts {
		switch c.Name {
		case store.CountStored:
			n.Stored += c.N
		case store.CountSkipped:
			n.Skipped += c.N
		case store.CountDelivered:
			n.Delivered += c.N
		case store.CountAltered:
			n.Altered += c.N
		case store.CountRejected:
			n.Rejected += c.N
		}
	}
	return n
}

// restampedName is the metric that counts events with another timestamp.
const restampedName = "gapless_cloudwatch_restamped_events_total"

// restamped returns how many events this process has delivered with another
// timestamp than their date; the store does not count them.
func (a *App) restamped() (n int64, err error) {
	families, err := a.gatherer().Gather()
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	for _, f := range families {
		if f.GetName() != restampedName {
			continue
		}
		for _, m := range f.GetMetric() {
			n += int64(m.GetCounter().GetValue())
		}
	}
	return n, nil
}
