package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// Ingest is the loop that moves the pages of one source into the buffer. Its
// fields are set before Run.
type Ingest struct {
	Source Source
	Buffer Buffer
	// Transforms are applied in order to each event.
	Transforms []Transform
	// RedactUnreadable returns what is kept of a piece that is no event, instead of
	// its bytes; nil keeps them.
	RedactUnreadable func(piece []byte) []byte
	// Skips is shared by the sources of a tenant, so that an event which they leave
	// out counts once; nil counts it each time that it comes.
	Skips *Skips
	Route Route
	// Also are the routes of the tenant's further sinks: each event goes by all.
	Also    []Route
	Logger  *slog.Logger
	Metrics *Metrics
	// Report hears of trouble when it begins or changes, and nil when it ends;
	// may be nil.
	Report func(ctx context.Context, part string, c *Condition)
	// OnCaughtUp is called when the source had nothing more; may be nil.
	OnCaughtUp func()
	// OnStored is called with what is on disk, also at the same time as itself; may
	// be nil. It must be quick.
	OnStored func(Intake, Appended)
	// Watch follows what the source does; may be nil.
	Watch SourceWatch

	trouble *trouble

	mu      sync.Mutex // emit may be called at the same time
	backoff Backoff
	stored  event.Cursor // what the buffer holds, to spare a transaction
	marked  time.Time    // up to when the stored mark reaches
}

// A SourceWatch follows the work of a source. Its methods must be quick; Stored may be
// called at the same time as itself.
type SourceWatch interface {
	// Stored hears of a page that is on disk, and what became of it. A page that would
	// change nothing on disk is not told of.
	Stored(p event.Page, in Intake, done Appended)
	// CaughtUp says that the source had nothing more at the moment.
	CaughtUp()
	// Failed says that the source ended with an error, and is started again later.
	Failed(e Error)
	// Ended says that it was stopped.
	Ended()
}

// markEvery is how far a mark must have moved on to be stored for its own sake.
// It is little beside the shortest retention of Auth0, a day.
const markEvery = 5 * time.Minute

// Run reads the source until ctx ends, whatever happens: each error is waited
// out as its class demands, and the source starts again from the cursor that
// the buffer holds. The error is the cause of ctx.
func (in *Ingest) Run(ctx context.Context) error {
	in.trouble = &trouble{part: in.Source.Name(), logger: in.Logger, report: in.report}
	if in.Watch != nil {
		defer in.Watch.Ended()
	}
	for {
		err := in.once(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			err = fmt.Errorf("run source %s: it ended without being told to", in.Source.Name())
		}
		e := Classify(err)
		in.Metrics.retries.WithLabelValues(in.Source.Name(), e.Class.String()).Inc()
		if in.Watch != nil {
			in.Watch.Failed(e)
		}
		wait := in.failed(e)
		in.trouble.failed(ctx, strandSource, e, wait)
		if err := Wait(ctx, wait); err != nil {
			return err
		}
	}
}

// once runs the source from the stored cursor until it returns.
func (in *Ingest) once(ctx context.Context) error {
	from, err := in.Buffer.Cursor(ctx, in.Source.Name())
	if err != nil {
		return fmt.Errorf("read cursor: %w", err)
	}
	in.begin(from)
	return in.Source.Run(ctx, from, in.emit)
}

// strandSource is the only strand of the trouble of a source.
const strandSource = "source"

// report forwards a change of the trouble.
func (in *Ingest) report(ctx context.Context, c *Condition) {
	if in.Report != nil {
		in.Report(ctx, in.Source.Name(), c)
	}
}

// failed returns how long to wait after a failure.
func (in *Ingest) failed(e Error) time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.backoff.Next(e)
}

// succeeded notes that a page was taken.
func (in *Ingest) succeeded() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.backoff.Reset()
}

// begin notes the cursor that the buffer holds.
func (in *Ingest) begin(from event.Cursor) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stored = from
}

// moves reports whether the cursor of a page is another one than the buffer holds,
// or its mark far enough ahead of the stored one.
func (in *Ingest) moves(p event.Page) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return p.Cursor != "" && p.Cursor != in.stored || p.Mark.Until.Sub(in.marked) >= markEvery
}

// moved notes the cursor and the mark of a page that is stored.
func (in *Ingest) moved(p event.Page) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if p.Cursor != "" {
		in.stored = p.Cursor
	}
	if !p.Mark.IsZero() {
		in.marked = p.Mark.Until
	}
}

// emit puts a page on disk. It is safe for concurrent use.
func (in *Ingest) emit(ctx context.Context, p event.Page) error {
	now := time.Now()
	in.Metrics.page(in.Source.Name(), p)
	progress := p.CaughtUp || len(p.Skipped) > 0
	if !p.Empty() || in.moves(p) {
		intake, skipped := in.intake(p, now)
		done, err := in.Buffer.Append(ctx, in.Source.Name(), intake)
		if err != nil {
			if in.Skips != nil {
				in.Skips.release(skipped)
			}
			return fmt.Errorf("store page: %w", err)
		}
		in.moved(p)
		in.Metrics.appended(in.Source.Name(), intake, done, len(intake.Unreadable)-len(p.Unreadable))
		if in.OnStored != nil {
			in.OnStored(intake, done)
		}
		if in.Watch != nil {
			in.Watch.Stored(p, intake, done)
		}
		progress = progress || done.Stored > 0 || len(intake.Unreadable) > 0 || len(skipped) > 0
	}
	// A cursor that moves and events that are known already show nothing: a source
	// that looks for a place to go on from brings both at each try.
	if progress {
		in.succeeded()
		in.trouble.recovered(ctx, strandSource)
	}
	if p.CaughtUp && in.Watch != nil {
		in.Watch.CaughtUp()
	}
	if p.CaughtUp && len(p.Events) == 0 && in.OnCaughtUp != nil {
		in.OnCaughtUp()
	}
	return nil
}

// intake applies the transforms and the route to a page. skipped are the events that
// they left out, without those that Skips knew.
func (in *Ingest) intake(p event.Page, received time.Time) (_ Intake, skipped []string) {
	out := Intake{
		Entries:    make([]Entry, 0, len(p.Events)),
		Unreadable: in.unreadable(p.Unreadable),
		Skipped:    maps.Clone(p.Skipped),
		Cursor:     p.Cursor,
		Gap:        p.Gap,
		Mark:       p.Mark,
		CaughtUp:   p.CaughtUp,
		Received:   received,
	}
	for _, e := range p.Events {
		e, verdict := transformed(in.Transforms, e)
		if verdict.Withhold {
			out.Unreadable = append(out.Unreadable, event.Unreadable{Raw: e.Raw, Reason: verdict.Reason})
			continue
		}
		if verdict.Skip {
			out.LeftOut++
			if in.Skips != nil && !in.Skips.claim(e.LogID) {
				continue
			}
			skipped = append(skipped, e.LogID)
			if out.Skipped == nil {
				out.Skipped = make(map[string]int)
			}
			out.Skipped[verdict.Reason]++
			continue
		}
		out.Entries = append(out.Entries, Entry{Event: e, Destination: in.Route(e), Also: in.also(e)})
	}
	return out, skipped
}

// unreadable returns what is kept of the pieces of a page that are no events. The
// slice is never that of the page.
func (in *Ingest) unreadable(pieces []event.Unreadable) []event.Unreadable {
	pieces = slices.Clone(pieces)
	if in.RedactUnreadable != nil {
		for i := range pieces {
			pieces[i].Raw = in.RedactUnreadable(pieces[i].Raw)
		}
	}
	return pieces
}

// also returns where else an event goes.
func (in *Ingest) also(e event.Event) []Destination {
	if len(in.Also) == 0 {
		return nil
	}
	out := make([]Destination, len(in.Also))
	for i, route := range in.Also {
		out[i] = route(e)
	}
	return out
}
