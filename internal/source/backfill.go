package source

import (
	"context"
	"errors"
	"slices"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// BackfillName is the name of the source that reads a span of the log once more.
const BackfillName = "backfill"

// A Backfill is a pipeline.Source that reads the events that are dated within a span,
// as ReadSpan does, and goes on from its cursor. Behind the span it calls the end, and
// waits for the end of its context.
type Backfill struct {
	cfg SpanConfig
	api LogsAPI
	end func()
}

var _ pipeline.Source = (*Backfill)(nil)

// NewBackfill makes one. end may be called again when the source is run again.
func NewBackfill(c SpanConfig, api LogsAPI, end func()) *Backfill {
	return &Backfill{cfg: c, api: api, end: end}
}

// Name returns BackfillName.
func (b *Backfill) Name() string { return BackfillName }

// Run implements pipeline.Source. Its pages say nothing of how far the log was read,
// which is the business of the poll.
func (b *Backfill) Run(ctx context.Context, from event.Cursor, emit pipeline.Emit) error {
	err := b.cfg.poll(b.api).Run(ctx, from, func(ctx context.Context, p event.Page) error {
		last := p.CaughtUp || b.cfg.behind(p.Events)
		p.Events = slices.DeleteFunc(slices.Clone(p.Events), func(e event.Event) bool {
			return e.Date.Before(b.cfg.Since) || e.Date.After(b.cfg.Until)
		})
		p.Mark = event.Mark{}
		if err := emit(ctx, p); err != nil {
			return err
		}
		if last {
			return errSpanRead
		}
		return nil
	})
	if !errors.Is(err, errSpanRead) {
		return err
	}
	b.end()
	<-ctx.Done()
	return context.Cause(ctx)
}
