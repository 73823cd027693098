package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// CountBackfilled counts the events that a backfill has put into the buffer, once for
// each destination.
const CountBackfilled = "backfilled"

// A Backfilled is an event that a backfill brings.
type Backfilled struct {
	Event event.Event
	// To is where it goes, by the sink of the backfill. For is the sink to which the
	// event belongs in the ordinary way, empty for the main one.
	To  pipeline.Destination
	For string
}

// A Backfill is a page of a backfill that is stored in one transaction, with what it
// says of itself.
type Backfill struct {
	// Source is told by dead letters.
	Source string
	Events []Backfilled
	// Apart says that the events go to a place of their own, to which nobody else
	// brings them: what is known of them, or waits for other sinks, decides nothing then.
	Apart bool
	// Claim makes the log_ids known, so that no source brings the events a second time.
	// It is for events that go to every sink of the tenant.
	Claim bool
	// Leave reports of an event that is not known whether it is left to the sources,
	// which are going to bring it; nil leaves none. It must not call the store.
	Leave func(event.Event) bool
	// Key is that under which State is kept, as by Save. It may be called twice.
	Key   string
	State func(BackfillDone) ([]byte, error)
}

// BackfillDone says what became of the events of a Backfill.
type BackfillDone struct {
	// Stored are in the buffer now. InDoubt, of those, were known before, so that the
	// sink looks for them in the destination first.
	Stored, InDoubt int
	// Waiting were in the buffer already, Letters are dead letters, and Left are left
	// to the sources.
	Waiting, Letters, Left int
}

// Backfill puts events into the buffer for the sinks of a backfill, each once: one that
// waits for such a sink, or for the sink that it belongs to, or that is a dead letter of
// either, is left as it is. One that was stored before, within the dedup window, comes
// in doubt: it may have been delivered a moment ago. The error wraps
// pipeline.ErrBufferFull when there is no room; nothing was stored then.
func (b *Buffer) Backfill(ctx context.Context, in Backfill) (BackfillDone, error) {
	f := &backfilling{requeuing: requeuing{b: b, sinks: make(map[int64]string)}, in: in}
	for _, e := range in.Events {
		to, err := b.destination(ctx, e.To)
		if err != nil {
			return BackfillDone{}, fault("store events of a backfill", err)
		}
		f.sinks[to] = e.To.Sink
		f.asked = append(f.asked, &entry{
			to: to, date: e.Event.Date.UnixMicro(), dateFrom: e.Event.DateFrom, logID: e.Event.LogID, typ: e.Event.Type, body: e.Event.Raw, source: in.Source,
		})
	}
	err := b.store.writer.do(ctx, &job{buffer: b, run: f.run, applied: f.applied, grows: sizeOf(f.asked)})
	if err != nil && !pipeline.Stopped(ctx, err) {
		err = fault("store events of a backfill", err)
	}
	return f.result, err
}

// A backfilling is events of a backfill on their way into the buffer.
type backfilling struct {
	requeuing

	in     Backfill
	doubts []*entry // of list: those that were known
	result BackfillDone
}

// run writes the events, the mark of those in doubt, and the state.
func (f *backfilling) run(ctx context.Context, t *tx) error {
	f.result, f.list, f.doubts, f.at, f.id = BackfillDone{}, nil, nil, t.now.UTC(), 0 // should this be a second run
	if err := f.choose(ctx, t); err != nil {
		return err
	}
	if err := f.room(t); err != nil {
		return err
	}
	if len(f.list) > 0 {
		if err := t.w.reserve.refuse(); err != nil {
			return err
		}
		if err := f.insert(ctx, t); err != nil {
			return err
		}
	}
	state, err := f.in.State(f.result)
	if err != nil {
		return err
	}
	return t.exec(ctx, `INSERT INTO kv (tenant_id, space, key, value, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, f.b.id, spaceSaved, f.in.Key, state, t.now.UnixMicro())
}

// insert writes the rows.
func (f *backfilling) insert(ctx context.Context, t *tx) error {
	doubtful := make(map[*entry]bool, len(f.doubts))
	for _, e := range f.doubts {
		doubtful[e] = true
	}
	first := t.w.nextSeq
	rows := newRows(f.list)
	defer freeRows(rows)
	for i := range rows {
		if err := t.insertRow(ctx, &rows[i]); err != nil {
			return err
		}
		for _, e := range rows[i].list {
			if doubtful[e] {
				if err := t.knowLetter(ctx, f.b.id, e.logID, e.seq); err != nil {
					return err
				}
			}
			t.addWaiting(f.sinks[e.to], 1, int64(len(e.body)))
		}
	}
	f.last = t.w.nextSeq - 1
	if err := f.claim(ctx, t, doubtful, first); err != nil {
		return err
	}
	t.count(CountBackfilled, "", len(f.list))
	f.result.Stored, f.result.InDoubt = len(f.list), len(f.doubts)
	if len(f.doubts) == 0 {
		return nil
	}
	var err error
	oldest, _ := dateRange(f.doubts)
	f.id, err = insertMark(ctx, t, f.b.id, timeOf(oldest), f.doubts)
	return err
}

// claim makes the log_ids of events known that were not, as an intake does.
func (f *backfilling) claim(ctx context.Context, t *tx, doubtful map[*entry]bool, first int64) error {
	if !f.in.Claim {
		return nil
	}
	var list []*entry
	var ids []byte
	once := make(map[string]bool)
	for _, e := range f.list {
		if !doubtful[e] && !once[e.logID] {
			once[e.logID] = true
			list, ids = append(list, e), appendSized(ids, e.logID)
		}
	}
	if len(list) == 0 {
		return nil
	}
	err := insertSeen.each(len(list), func(query string, from, to int) error {
		return t.exec(ctx, query, logIDArgs(f.b.id, list[from:to])...)
	})
	if err != nil {
		return err
	}
	return t.exec(ctx, "INSERT INTO intakes (tenant_id, stored_at, first_seq, last_seq, log_ids) VALUES (?, ?, ?, ?, ?)",
		f.b.id, t.now.UnixMicro(), first, f.last, packIDs(ids))
}

// A backfillPlace is an event of a sink.
type backfillPlace struct{ sink, logID string }

// choose finds out which of the events are stored.
func (f *backfilling) choose(ctx context.Context, t *tx) error {
	known, err := f.known(ctx, t)
	if err != nil {
		return err
	}
	waits, letters, err := f.there(ctx, t, known)
	if err != nil {
		return err
	}
	for i, e := range f.asked {
		own, ordinary := backfillPlace{f.sinks[e.to], e.logID}, backfillPlace{f.in.Events[i].For, e.logID}
		switch {
		case waits[own], !f.in.Apart && waits[ordinary]:
			f.result.Waiting++
			continue
		case letters[own], !f.in.Apart && letters[ordinary]:
			f.result.Letters++
			continue
		case f.in.Apart:
		case known[e.logID]:
			f.doubts = append(f.doubts, e)
		case f.in.Leave != nil && f.in.Leave(f.in.Events[i].Event):
			f.result.Left++
			continue
		}
		waits[own] = true
		f.list = append(f.list, e)
	}
	return nil
}

// ids returns the log_ids of the events as a JSON array.
func (f *backfilling) ids() (string, error) {
	list := make([]string, len(f.asked))
	for i, e := range f.asked {
		list[i] = e.logID
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// known returns which of the log_ids were stored within the dedup window.
func (f *backfilling) known(ctx context.Context, t *tx) (map[string]bool, error) {
	ids, err := f.ids()
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	err = t.query(ctx, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		known[id] = true
		return err
	}, "SELECT s.log_id FROM json_each(?) j JOIN seen s ON s.tenant_id = ? AND s.log_id = j.value", ids, f.b.id)
	return known, err
}

// there finds what waits for the sinks and what are dead letters of them. What waits
// for a sink is known, unless a backfill has put it there without a claim, so that the
// rows of other sinks are not read for events that are not.
func (f *backfilling) there(ctx context.Context, t *tx, known map[string]bool) (waits, letters map[backfillPlace]bool, err error) {
	waits, letters = make(map[backfillPlace]bool), make(map[backfillPlace]bool)
	if len(f.asked) == 0 {
		return waits, letters, nil
	}
	wanted := make(map[string]bool, len(f.asked)) // sinks
	for i, e := range f.asked {
		wanted[f.sinks[e.to]] = true
		if !f.in.Apart && len(known) > 0 {
			wanted[f.in.Events[i].For] = true
		}
	}
	sinks := make([]string, 0, len(wanted))
	for name := range wanted {
		sinks = append(sinks, name)
	}
	slices.Sort(sinks)
	if err := f.findWaiting(ctx, t, sinks, waits); err != nil {
		return nil, nil, err
	}
	ids, err := f.ids()
	if err != nil {
		return nil, nil, err
	}
	err = t.query(ctx, func(row *sql.Rows) error {
		var p backfillPlace
		err := row.Scan(&p.sink, &p.logID)
		letters[p] = true
		return err
	}, `SELECT coalesce(d.sink, ''), l.log_id FROM json_each(?) j JOIN dead_letters l ON l.tenant_id = ? AND l.kind = 'rejected' AND l.log_id = j.value
		LEFT JOIN destinations d ON d.id = l.destination_id`, ids, f.b.id)
	return waits, letters, err
}

// findWaiting finds the events that wait for sinks and are dated as those asked for.
func (f *backfilling) findWaiting(ctx context.Context, t *tx, sinks []string, waits map[backfillPlace]bool) error {
	oldest, newest := dateRange(f.asked)
	list, err := json.Marshal(sinks)
	if err != nil {
		return err
	}
	return t.query(ctx, func(row *sql.Rows) error {
		var sink string
		var first, last int64
		var gone, packed, body sql.RawBytes
		if err := row.Scan(&sink, &first, &last, &gone, &packed, &body); err != nil {
			return err
		}
		ids, err := waitingIn(first, last, bits(gone), packed, body, oldest, newest)
		for _, id := range ids {
			waits[backfillPlace{strings.Clone(sink), strings.Clone(id)}] = true
		}
		return err
	}, `SELECT d.sink, b.seq, b.last_seq, b.gone, b.dates, b.body FROM json_each(?) j JOIN destinations d ON d.tenant_id = ? AND d.sink = j.value
		JOIN buffer b ON b.destination_id = d.id WHERE b.date <= ?`, string(list), f.b.id, newest)
}

// applied shows the events to Next, after the commit, those in doubt with their doubt.
func (f *backfilling) applied() {
	if len(f.list) == 0 {
		return
	}
	b, now := f.b, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = max(b.applied, f.last)
	on := &mark{id: f.id, left: len(f.doubts)}
	for _, e := range f.doubts {
		b.marks[e.seq], b.doubts[e.seq] = on, pipeline.Doubt{From: timeOf(e.date), Until: f.at} // no call was before its date
	}
	for _, e := range f.list {
		e.since = now
	}
	b.offer(f.list)
	b.progress.appended("", "", len(f.list), b.applied, now.UTC())
	b.wake()
	b.store.changed()
}

// A SavedValue is what the buffer of a tenant has kept with Save.
type SavedValue struct {
	Tenant, Key string
	Value       []byte
	UpdatedAt   time.Time
}

// SavedUnder returns what all tenants have kept under keys with a prefix, by tenant and
// key.
func (r *Reader) SavedUnder(ctx context.Context, prefix string) (list []SavedValue, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT tenants.name, key, value, updated_at FROM kv JOIN tenants ON tenants.id = kv.tenant_id
		WHERE space = ? AND substr(key, 1, length(?2)) = ?2 ORDER BY tenants.name, key`, spaceSaved, prefix)
	if err != nil {
		return nil, fault("read "+prefix, err)
	}
	err = scanAll(rows, func(row *sql.Rows) error {
		var v SavedValue
		var at int64
		err := row.Scan(&v.Tenant, &v.Key, &v.Value, &at)
		v.UpdatedAt = timeOf(at)
		list = append(list, v)
		return err
	})
	return list, fault("read "+prefix, err)
}
