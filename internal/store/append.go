package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// The statements of an append over many events.
var (
	selectSeen = newChunkQuery("SELECT log_id FROM seen WHERE tenant_id = ?1 AND log_id IN (", "?", ")")
	insertSeen = newChunkQuery("INSERT INTO seen (tenant_id, log_id) VALUES ", "(?1,?)", " ON CONFLICT DO NOTHING")
)

// Append stores an intake, see pipeline.Buffer. When ctx ends before the commit
// begins nothing is stored; from then on Append waits for the outcome. An
// intake without a new event passes a full buffer and a full disk, and so does one that an
// empty buffer has no room for, since it would never find any. On a disk that is
// nearly full what is left is kept for delivery.
func (b *Buffer) Append(ctx context.Context, source string, in pipeline.Intake) (pipeline.Appended, error) {
	if ctx.Err() != nil {
		return pipeline.Appended{}, context.Cause(ctx)
	}
	a := &appending{b: b, source: source, in: in, pieces: in.Unreadable}
	if err := a.offer(ctx); err != nil {
		return pipeline.Appended{}, err
	}
	a.packed = a.all(a.offered)
	a.rows = newRows(a.packed) // here, as most intakes are new and others need not wait for it
	defer func() { freeRows(a.rows) }()
	if err := b.store.writer.do(ctx, &job{buffer: b, run: a.run, applied: a.applied, grows: a.size()}); err != nil {
		return pipeline.Appended{}, a.fault(ctx, err)
	}
	return pipeline.Appended{Stored: len(a.fresh), Duplicates: len(in.Entries) - len(a.fresh), Known: a.again}, nil
}

// An appending is an intake on its way into the file.
type appending struct {
	b       *Buffer
	source  string
	in      pipeline.Intake
	offered []*entry            // one for each log_id, for the main sink
	fresh   []*entry            // those of them that the file did not know
	copies  map[*entry][]*entry // of those offered, for further sinks; nil without any
	sinks   map[int64]string    // the sinks of the copies, by destination
	late    []*entry            // of events that are known, for sinks that may have lost them
	whole   []*entry            // the events that none lacks then
	without map[string]bool     // sinks that have no room and are passed over
	packed  []*entry            // what rows hold
	rows    []row               // of fresh, with their copies, when they are inserted
	noted   bool                // their log_ids are known now
	again   []int               // the places of the events that are not fresh
	pieces  []event.Unreadable  // records that are no events and were not kept before
	lastSeq int64
}

// fault classifies an error of the append.
func (a *appending) fault(ctx context.Context, err error) error {
	if pipeline.Stopped(ctx, err) {
		return err
	}
	return fault("append events", err)
}

// duplicates returns the places of the events that are not in fresh, which is in
// the same order.
func (a *appending) duplicates() []int {
	n := len(a.in.Entries) - len(a.fresh)
	if n == 0 {
		return nil
	}
	places, rest := make([]int, 0, n), a.fresh
	for i, e := range a.in.Entries {
		if len(rest) > 0 && rest[0].logID == e.Event.LogID {
			rest = rest[1:]
			continue
		}
		places = append(places, i)
	}
	return places
}

// offer lists the events that the intake holds, each log_id once.
func (a *appending) offer(ctx context.Context) error {
	entries := make([]entry, len(a.in.Entries))
	ids := make(map[string]struct{}, len(a.in.Entries))
	a.offered = make([]*entry, 0, len(a.in.Entries))
	for i, e := range a.in.Entries {
		if _, again := ids[e.Event.LogID]; again {
			continue
		}
		ids[e.Event.LogID] = struct{}{}
		to, err := a.b.destination(ctx, e.Destination)
		if err != nil {
			return a.fault(ctx, err)
		}
		entries[i] = entry{
			to: to, date: e.Event.Date.UnixMicro(), dateFrom: e.Event.DateFrom,
			logID: e.Event.LogID, typ: e.Event.Type, body: e.Event.Raw, source: a.source,
		}
		a.offered = append(a.offered, &entries[i])
		if err := a.copy(ctx, &entries[i], e.Also); err != nil {
			return a.fault(ctx, err)
		}
	}
	return nil
}

// sizeOf returns the bytes of entries.
func sizeOf(list []*entry) (n int64) {
	for _, e := range list {
		n += int64(len(e.body))
	}
	return n
}

// run writes the intake.
func (a *appending) run(ctx context.Context, t *tx) error {
	a.pieces = a.in.Unreadable
	if err := a.know(ctx, t); err != nil {
		return err
	}
	a.again = a.duplicates() // here, as applied may change the order of fresh
	if err := a.dropKept(ctx, t); err != nil {
		return err
	}
	if err := a.room(t, a.fresh); err != nil {
		return err
	}
	if len(a.fresh)+len(a.late)+len(a.pieces) > 0 {
		if err := t.w.reserve.refuse(); err != nil {
			return err
		}
	}
	if len(a.fresh) > 0 {
		if err := a.insertEvents(ctx, t); err != nil {
			return err
		}
		if err := a.addFigures(ctx, t); err != nil {
			return err
		}
		f := t.figures()
		f.storedAt = t.now.UnixMicro()
		for _, e := range a.fresh {
			f.newest = max(f.newest, e.date)
			if e.dateFrom != event.DateFromField {
				t.count(CountUndated, e.dateFrom.String(), 1)
			}
		}
		t.setFigures(f)
	}
	if err := a.insertLate(ctx, t); err != nil {
		return err
	}
	return a.insertRest(ctx, t)
}

// size returns the bytes that the intake may bring, known or not.
func (a *appending) size() int64 { return a.unreadable() + sizeOf(a.all(a.offered)) }

// unreadable returns the bytes of the pieces that are no events.
func (a *appending) unreadable() (n int64) {
	for _, u := range a.pieces {
		n += int64(len(u.Raw))
	}
	return n
}

// know finds out which events are new. Mostly all are: then their log_ids are noted
// without asking for each before. If one turns out to be known, the notes are taken
// back.
func (a *appending) know(ctx context.Context, t *tx) error {
	a.noted, a.fresh, a.late, a.whole = false, a.offered, nil, nil
	if len(a.offered) == 0 || a.room(t, a.offered) != nil || t.w.reserve.refuse() != nil {
		return a.dropKnown(ctx, t)
	}
	var known bool
	err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&known) },
		"SELECT EXISTS (SELECT 1 FROM seen WHERE tenant_id = ? AND log_id = ?)", a.b.id, a.offered[0].logID)
	if err != nil || known {
		return errors.Join(err, a.dropKnown(ctx, t))
	}
	wrote := t.wrote
	if err := t.exec(ctx, "SAVEPOINT noted"); err != nil {
		return err
	}
	n, err := a.note(ctx, t)
	if err != nil {
		return err
	}
	if a.noted = n == int64(len(a.offered)); a.noted {
		return t.exec(ctx, "RELEASE noted")
	}
	if err := errors.Join(t.exec(ctx, "ROLLBACK TO noted"), t.exec(ctx, "RELEASE noted")); err != nil {
		return err
	}
	t.wrote = wrote
	return a.dropKnown(ctx, t)
}

// note makes the log_ids of the events in fresh known, and returns how many were not.
func (a *appending) note(ctx context.Context, t *tx) (n int64, err error) {
	err = insertSeen.each(len(a.fresh), func(query string, from, to int) error {
		changed, err := t.change(ctx, query, logIDArgs(a.b.id, a.fresh[from:to])...)
		n += changed
		return err
	})
	return n, err
}

// dropKnown leaves in fresh the events whose log_id the file does not know.
func (a *appending) dropKnown(ctx context.Context, t *tx) error {
	known := make(map[string]struct{})
	err := selectSeen.each(len(a.offered), func(query string, from, to int) error {
		return t.query(ctx, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			known[id] = struct{}{}
			return err
		}, query, logIDArgs(a.b.id, a.offered[from:to])...)
	})
	if err != nil || len(known) == 0 {
		a.fresh = a.offered
		return err
	}
	if err := a.findLate(ctx, t, known); err != nil {
		return err
	}
	a.fresh = make([]*entry, 0, len(a.offered))
	for _, e := range a.offered {
		if _, ok := known[e.logID]; !ok {
			a.fresh = append(a.fresh, e)
		}
	}
	return nil
}

// dropKept leaves the records that are no events and that no earlier intake has
// brought: a page that is read again brings them again, and they have no log_id.
func (a *appending) dropKept(ctx context.Context, t *tx) error {
	a.pieces = nil
	for _, u := range a.in.Unreadable {
		body := append([]byte{}, u.Raw...) // nil would be none, not an empty one
		kept := false
		err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&kept) },
			`SELECT EXISTS (SELECT 1 FROM dead_letters WHERE tenant_id = ? AND kind = ? AND source = ? AND created_at > ?
				AND length(body) = ? AND body = ?)`,
			a.b.id, KindUnreadable, a.source, t.now.Add(-a.b.store.limits().DedupWindow).UnixMicro(), len(body), body)
		if err != nil {
			return err
		}
		if !kept {
			a.pieces = append(a.pieces, u)
		}
	}
	return nil
}

// insertEvents writes the new events and remembers their ids.
func (a *appending) insertEvents(ctx context.Context, t *tx) error {
	var ids []byte
	for _, e := range a.fresh {
		ids = appendSized(ids, e.logID)
	}
	if !a.noted {
		if _, err := a.note(ctx, t); err != nil {
			return err
		}
	}
	if all := a.all(a.fresh); !slices.Equal(all, a.packed) { // also when another run has packed others
		freeRows(a.rows)
		a.packed, a.rows = all, newRows(all)
	}
	first := t.w.nextSeq
	for i := range a.rows {
		if err := t.insertRow(ctx, &a.rows[i]); err != nil {
			return err
		}
	}
	a.lastSeq = t.w.nextSeq - 1
	return t.exec(ctx, "INSERT INTO intakes (tenant_id, stored_at, first_seq, last_seq, log_ids) VALUES (?, ?, ?, ?, ?)",
		a.b.id, t.now.UnixMicro(), first, a.lastSeq, packIDs(ids))
}

// insertRow gives the events of a row the next numbers and writes them into the
// buffer.
func (t *tx) insertRow(ctx context.Context, r *row) error {
	first := t.w.nextSeq
	for i, e := range r.list {
		e.row, e.seq, e.stored = first, first+int64(i), t.now.UnixMicro()
	}
	t.w.nextSeq += int64(len(r.list))
	return t.exec(ctx, insertRow, r.args(t.now.UnixMicro())...)
}

// insertRest writes what the intake holds besides its events.
func (a *appending) insertRest(ctx context.Context, t *tx) error {
	now := t.now.UnixMicro()
	for _, u := range a.pieces {
		l := letter{kind: KindUnreadable, reason: KindUnreadable, detail: u.Reason, entry: &entry{body: u.Raw, source: a.source}}
		if err := l.insert(ctx, t); err != nil {
			return err
		}
	}
	if g := a.in.Gap; g != nil {
		if err := t.exec(ctx, `INSERT INTO gaps (tenant_id, source, from_id, from_time, to_id, to_time, reason, recorded_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, a.b.id, a.source, g.FromID, micros(g.FromTime), g.ToID, micros(g.ToTime), g.Reason, now); err != nil {
			return err
		}
	}
	if err := a.insertPlace(ctx, t); err != nil {
		return err
	}
	t.count(CountStored, "", len(a.fresh))
	t.count(CountDuplicates, "", len(a.in.Entries)-len(a.fresh)+len(a.in.Unreadable)-len(a.pieces))
	t.count(CountUnreadable, "", len(a.pieces))
	for reason, n := range a.in.Skipped {
		t.count(CountSkipped, reason, n)
	}
	return nil
}

// applied shows the new events to Next, after the commit.
func (a *appending) applied() {
	b := a.b
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = max(b.applied, a.lastSeq)
	for sink := range a.sums(a.fresh) {
		b.tellFull(sink, a.without[sink])
	}
	all := a.all(a.fresh)
	if len(a.late) > 0 {
		all = append(slices.Clip(all), a.late...)
	}
	for _, e := range all {
		e.since = now
	}
	b.offer(all)
	b.progress.appended(a.source, a.in.Cursor, len(all), b.applied, now.UTC())
	delete(b.backlog, a.source)
	if !a.in.CaughtUp {
		b.backlog[a.source] = now
	}
	b.wake()
	b.store.changed()
}

// micros is a time as the file holds it; 0 when it is unknown.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOf is the time that a number of the file stands for.
func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
