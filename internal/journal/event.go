package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNotFound says that the journal does not hold an event, or not any more.
var ErrNotFound = errors.New("the journal does not hold the event")

// A Detail is one event in full, with its way.
type Detail struct {
	// Record is the event with its bytes, and what became of it at the main destination.
	Record
	// Stations are what became of it at each destination that is known to have got it, or
	// for which it waits, the main one first.
	Stations []Record
}

// Event returns an event of a tenant; the error wraps ErrNotFound when neither the
// journal nor the buffer holds it.
func (r *Reader) Event(ctx context.Context, tenant, logID string) (Detail, error) {
	l, err := r.look(ctx, bounds{tenant: tenant})
	if err != nil {
		return Detail{}, err
	}
	defer l.close()
	f := &finding{look: l, tenant: tenant, logID: logID, best: make(map[string]Record)}
	if err := f.run(); err != nil {
		return Detail{}, r.noteDamage(err)
	}
	main, ok := f.best[""]
	if !ok {
		return Detail{}, fmt.Errorf("read event: %w", ErrNotFound)
	}
	d := Detail{Record: main}
	for _, sink := range sortedKeys(f.best) {
		s := f.best[sink]
		s.Event.Raw = nil
		d.Stations = append(d.Stations, s)
	}
	return d, nil
}

// A finding is the search for one event.
type finding struct {
	*look

	tenant, logID string
	best          map[string]Record // the latest that is known, by sink
}

// run looks in all three places.
func (f *finding) run() error {
	for _, p := range f.pending {
		if p.Tenant == f.tenant {
			f.take(p.records())
		}
	}
	if err := f.blocks(); err != nil {
		return err
	}
	return f.buffer()
}

// take keeps what is of the event.
func (f *finding) take(list []Record) {
	for i := range list {
		r := &list[i]
		if r.Event.LogID != f.logID || r.Tenant != f.tenant {
			continue
		}
		if known, ok := f.best[r.Place.Sink]; !ok || r.newer(&known) {
			f.best[r.Place.Sink] = *r
		}
	}
}

// blocks looks in the file.
func (f *finding) blocks() error {
	if f.tx == nil {
		return nil
	}
	list, err := queryHeaders(f.ctx, f.tx, "WHERE tenant = ?", f.tenant)
	if err != nil {
		return err
	}
	for i := range list {
		h := &list[i]
		if !mayHold(h.ids, f.logID) {
			continue
		}
		if h.level == levelRaw {
			records, err := f.r.whole(f.ctx, f.tx, h)
			if err != nil {
				return err
			}
			f.take(records)
			continue
		}
		records, err := f.r.load(f.ctx, f.tx, h)
		if err != nil {
			return err
		}
		if h.sink == "" && slices.ContainsFunc(records, func(r Record) bool { return r.Event.LogID == f.logID }) {
			if err := f.r.loadBodies(f.ctx, f.tx, h, records); err != nil {
				return err
			}
		}
		f.take(records)
	}
	return nil
}

// buffer looks among what waits: where the date of the event is known in the rows of
// that time, and otherwise in all, the youngest first, while the budget allows.
func (f *finding) buffer() error {
	known, at := false, int64(0)
	for _, r := range f.best {
		known, at = true, r.Event.Date.UnixMicro()
	}
	rows := slices.Clone(f.rows)
	slices.SortFunc(rows, func(a, b WaitingRow) int { return cmp.Compare(b.Newest.UnixMicro(), a.Newest.UnixMicro()) })
	for _, row := range rows {
		oldest, newest := row.Oldest.UnixMicro(), row.Newest.UnixMicro()
		if known && (at < oldest || at > newest) {
			continue
		}
		if f.spent() {
			return nil
		}
		list, err := f.openRow(row)
		if err != nil {
			return err
		}
		f.take(list)
		if !known {
			for _, r := range f.best {
				known, at = true, r.Event.Date.UnixMicro()
			}
		}
	}
	return nil
}
