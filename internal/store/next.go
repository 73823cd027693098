package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// backlogPatience is how long a batch that is not full waits for more while a
// source says that more is coming: a few big calls cost less than many small.
const backlogPatience = time.Second

// idle is how long Next waits when there is nothing; it is woken before.
const idle = time.Hour

// Next takes a batch, see pipeline.Buffer. Destinations of the sink that have one
// ready take turns.
func (b *Buffer) Next(ctx context.Context, l pipeline.Limits) (pipeline.Batch, error) {
	for {
		if ctx.Err() != nil {
			return pipeline.Batch{}, context.Cause(ctx)
		}
		batch, wait, changed, err := b.tryNext(ctx, l)
		if err != nil {
			return pipeline.Batch{}, err
		}
		if len(batch.Keys) > 0 {
			return b.marked(ctx, batch)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-b.store.writer.stop:
			err = ErrClosed
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		if err != nil {
			return pipeline.Batch{}, err
		}
	}
}

// tryNext takes a batch if one is ready; otherwise it says how long to wait,
// unless changed is closed before.
func (b *Buffer) tryNext(ctx context.Context, l pipeline.Limits) (batch pipeline.Batch, wait time.Duration, changed <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	wait = idle
	for i := 0; i < len(b.turns); {
		w := b.turns[i]
		if w.to.Sink != l.Sink {
			i++
			continue
		}
		if until := l.HeldUntil(w.to); now.Before(until) {
			wait = min(wait, until.Sub(now))
			i++
			continue
		}
		c, err := b.cut(ctx, w, l)
		if err != nil {
			return pipeline.Batch{}, 0, nil, err
		}
		if c.n == 0 { // empty, so it waits for its next event to get a turn
			b.turns = slices.Delete(b.turns, i, i+1)
			w.listed = false
			continue
		}
		ready := b.readyAt(c, l)
		if c.full || !now.Before(ready) {
			b.turns = append(slices.Delete(b.turns, i, i+1), w)
			batch := b.lease(w, c.n)
			w.trim(b.store.window.rows, b.store.window.share(len(b.turns)))
			return batch, 0, nil, nil
		}
		wait = min(wait, ready.Sub(now))
		i++
	}
	return pipeline.Batch{}, wait, b.changed, nil
}

// marked puts on disk that a batch is about to be sent, and takes its events back
// when that fails.
func (b *Buffer) marked(ctx context.Context, batch pipeline.Batch) (pipeline.Batch, error) {
	err := b.mark(ctx, batch)
	if err == nil {
		return batch, nil
	}
	b.outcome(batch, pipeline.RetryAll(batch, batch.Doubt)).applied()
	if pipeline.Stopped(ctx, err) {
		return pipeline.Batch{}, err
	}
	return pipeline.Batch{}, fault("mark batch", err)
}

// cut applies the limits to a window, reading on from disk until the batch is
// full or nothing is left.
func (b *Buffer) cut(ctx context.Context, w *window, l pipeline.Limits) (cut, error) {
	for {
		c := w.cut(l)
		if c.full || w.complete {
			return c, nil
		}
		if err := b.refill(ctx, w); err != nil {
			return cut{}, b.readFault(ctx, "read buffer", err)
		}
	}
}

// readyAt is when a batch that is not full goes out nevertheless.
func (b *Buffer) readyAt(c cut, l pipeline.Limits) time.Time {
	ready := c.since.Add(l.Linger)
	latest := c.since.Add(max(l.Linger, backlogPatience))
	for _, last := range b.backlog {
		until := last.Add(backlogPatience)
		if until.After(latest) {
			until = latest
		}
		if until.After(ready) {
			ready = until
		}
	}
	return ready
}

// lease hands the first n events of a window out under fresh keys. A key stands
// for one lease and not for the event, so that a Settle that is repeated late
// cannot touch a lease that came after it.
func (b *Buffer) lease(w *window, n int) pipeline.Batch {
	entries := w.take(n)
	now := time.Now()
	batch := pipeline.Batch{Destination: w.to, Events: make([]event.Event, n), Keys: make([]int64, n), Sources: make([]string, n), Stored: make([]time.Time, n)}
	for i, e := range entries {
		b.lastKey++
		b.leases[b.lastKey] = e
		b.leased[e.seq] = true
		batch.Events[i], batch.Keys[i], batch.Sources[i], batch.Stored[i] = e.event(), b.lastKey, e.source, timeOf(e.stored)
		batch.Doubt = batch.Doubt.Join(b.doubtOf(e, now))
	}
	return batch
}

// offer adds events that became available to their windows. The caller holds mu
// and wakes.
func (b *Buffer) offer(list []*entry) {
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].to == list[from].to {
			to++
		}
		w := b.windows[list[from].to]
		b.turn(w)
		w.add(list[from:to], b.store.window.rows, b.store.window.share(len(b.turns)))
		from = to
	}
}

// turn gives a window a turn, unless it has one.
func (b *Buffer) turn(w *window) {
	if !w.listed {
		w.listed = true
		b.turns = append(b.turns, w)
	}
}

// closeWith closes rows and returns the first error.
func closeWith(rows *sql.Rows, err error) error {
	if e := rows.Close(); err == nil {
		err = e
	}
	return err
}
