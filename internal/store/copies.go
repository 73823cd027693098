package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// copy makes the entries of an event for further sinks.
func (a *appending) copy(ctx context.Context, e *entry, also []pipeline.Destination) error {
	if len(also) > 0 && a.copies == nil {
		a.copies, a.sinks = make(map[*entry][]*entry), make(map[int64]string)
	}
	for _, d := range also {
		to, err := a.b.destination(ctx, d)
		if err != nil {
			return err
		}
		c := *e
		c.to = to
		a.copies[e] = append(a.copies[e], &c)
		a.sinks[to] = d.Sink
	}
	return nil
}

// all returns entries with their copies, but for those of sinks that are passed over.
func (a *appending) all(list []*entry) []*entry {
	if a.copies == nil {
		return list
	}
	out := slices.Clone(list)
	for _, e := range list {
		for _, c := range a.copies[e] {
			if !a.without[a.sinks[c.to]] {
				out = append(out, c)
			}
		}
	}
	return out
}

// sums returns how many copies entries have by sink, and their bytes.
func (a *appending) sums(list []*entry) map[string]sinkFigures {
	if a.copies == nil {
		return nil
	}
	out := make(map[string]sinkFigures)
	for _, e := range list {
		a.sum(out, a.copies[e])
	}
	return out
}

// sum adds entries to what each sink gets.
func (a *appending) sum(to map[string]sinkFigures, list []*entry) {
	for _, e := range list {
		f := to[a.sinks[e.to]]
		to[a.sinks[e.to]] = sinkFigures{events: f.events + 1, bytes: f.bytes + int64(len(e.body))}
	}
}

// room says whether events fit, each for all of its sinks, and notes the sinks that
// are passed over because they have no room.
func (a *appending) room(t *tx, list []*entry) error {
	f := t.figures()
	a.without = nil
	sums := a.sums(list)
	if a.late != nil {
		if sums == nil {
			sums = make(map[string]sinkFigures)
		}
		a.sum(sums, a.late)
	}
	if err := a.b.room(f, sizeOf(list)+sums[""].bytes, a.unreadable()); err != nil {
		return err
	}
	if sums == nil {
		return nil
	}
	for _, sink := range slices.Sorted(maps.Keys(sums)) {
		if sink == "" {
			continue
		}
		of := f
		of.bytes = t.waiting(sink).bytes
		err := a.b.room(of, sums[sink].bytes, 0)
		switch {
		case err == nil:
		case a.b.sinks.skips(sink):
			if a.without == nil {
				a.without = make(map[string]bool)
			}
			a.without[sink] = true
		default:
			return fmt.Errorf("for the destination %s: %w", sink, err)
		}
	}
	return nil
}

// addFigures adds the new events to what waits for their sinks, and keeps what is to
// be told of sinks that are full.
func (a *appending) addFigures(ctx context.Context, t *tx) error {
	t.addWaiting("", int64(len(a.fresh)), sizeOf(a.fresh))
	for sink, sum := range a.sums(a.fresh) {
		switch {
		case a.without[sink]:
			if err := a.b.keepFull(ctx, t, sink, int(sum.events)); err != nil {
				return err
			}
			continue
		case a.b.sinks.leaves(sink):
			if err := t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part = ?", a.b.id, FullPart+sink); err != nil {
				return err
			}
		}
		t.addWaiting(sink, sum.events, sum.bytes)
	}
	return nil
}
