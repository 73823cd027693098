package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// EachWaiting calls each for the events of a tenant that wait for a sink and are dated
// from one time to another, inclusive. It reads the buffer as it is at one moment, a
// row of it at a time.
func (r *Reader) EachWaiting(ctx context.Context, tenant string, from, to time.Time, each func(sink, logID string) error) error {
	rows, err := r.db.QueryContext(ctx, `SELECT d.sink, b.seq, b.last_seq, b.gone, b.dates, b.body FROM buffer b
		JOIN destinations d ON d.id = b.destination_id JOIN tenants t ON t.id = d.tenant_id
		WHERE t.name = ? AND b.date <= ?`, tenant, to.UnixMicro())
	if err != nil {
		return fault("read what waits", err)
	}
	var own error
	err = scanAll(rows, func(row *sql.Rows) error {
		var sink string
		var first, last int64
		var gone, packed, body sql.RawBytes
		if err := row.Scan(&sink, &first, &last, &gone, &packed, &body); err != nil {
			return err
		}
		ids, err := waitingIn(first, last, bits(gone), packed, body, from.UnixMicro(), to.UnixMicro())
		if err != nil {
			return err
		}
		for _, id := range ids {
			if own = each(sink, id); own != nil {
				return own
			}
		}
		return nil
	})
	if own != nil {
		return own
	}
	return fault("read what waits", err)
}

// waitingIn returns the log_ids of the events of a row that have not left and that are
// dated within a span.
func waitingIn(first, last int64, gone bits, packed, body []byte, from, to int64) (ids []string, err error) {
	dates, err := unpackDates(packed)
	if err != nil {
		return nil, err
	}
	if int64(len(dates)) != last-first+1 || len(gone) != len(newBits(len(dates))) {
		return nil, errBody
	}
	var list []entry
	for i, date := range dates {
		if date < from || date > to || gone.has(int64(i)) {
			continue
		}
		if list == nil {
			if list, err = unpack(body, len(dates)); err != nil {
				return nil, err
			}
		}
		ids = append(ids, list[i].logID)
	}
	return ids, nil
}

// EachRejected calls each for the dead letters of a tenant's events that no sink has
// taken.
func (r *Reader) EachRejected(ctx context.Context, tenant string, each func(sink, logID, reason string) error) error {
	rows, err := r.db.QueryContext(ctx, `SELECT coalesce(d.sink, ''), l.log_id, l.reason`+letterTables+` WHERE t.name = ? AND l.kind = ?`, tenant, KindRejected)
	if err != nil {
		return fault("list dead letters", err)
	}
	var own error
	err = scanAll(rows, func(row *sql.Rows) error {
		var sink, id, reason string
		if err := row.Scan(&sink, &id, &reason); err != nil {
			return err
		}
		own = each(sink, id, reason)
		return own
	})
	if own != nil {
		return own
	}
	return fault("list dead letters", err)
}

// Remembered returns which of some log_ids of a tenant were stored within the dedup
// window.
func (r *Reader) Remembered(ctx context.Context, tenant string, ids []string) (map[string]bool, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := r.db.QueryContext(ctx, `SELECT s.log_id FROM json_each(?) j JOIN tenants t ON t.name = ? JOIN seen s ON s.tenant_id = t.id AND s.log_id = j.value`, string(list), tenant)
	if err != nil {
		return nil, fault("read known log_ids", err)
	}
	out := make(map[string]bool)
	err = scanAll(rows, func(row *sql.Rows) error {
		var id string
		err := row.Scan(&id)
		out[id] = true
		return err
	})
	return out, fault("read known log_ids", err)
}

// LeftOut returns which of some log_ids of a tenant were stored in a minute in which
// events were left out of a sink because it was full. It knows as many as are
// remembered.
func (r *Reader) LeftOut(ctx context.Context, tenant, sink string, ids []string) (map[string]bool, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT i.log_ids FROM counts c JOIN tenants t ON t.id = c.tenant_id
		JOIN intakes i ON i.tenant_id = c.tenant_id AND i.stored_at BETWEEN c.minute * 60000000 AND c.minute * 60000000 + 59999999
		WHERE t.name = ? AND c.name = ? AND c.reason = ? AND c.n > 0`, tenant, countOf(CountSkipped, sink), ReasonFull)
	if err != nil {
		return nil, fault("read what was left out", err)
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	out := make(map[string]bool)
	err = scanAll(rows, func(row *sql.Rows) error {
		var packed sql.RawBytes
		if err := row.Scan(&packed); err != nil {
			return err
		}
		for _, id := range splitIDs(packed) {
			if wanted[string(id)] {
				out[string(id)] = true
			}
		}
		return nil
	})
	return out, fault("read what was left out", err)
}

// Requeued says what became of events that were to be delivered again.
type Requeued struct {
	// Events are in the buffer now. Waiting were there already, and Letters are dead
	// letters, which a person replays.
	Events, Waiting, Letters int
}

// Requeue puts events into the buffer that are known, and that their destination does
// not have: each for the destination of its entry alone, whatever the dedup window
// says. All of them are stored in one transaction, but for those that wait for that
// destination already, or are dead letters of it. They are in doubt, so that a sink
// looks for them before it sends them. The error wraps pipeline.ErrBufferFull when
// there is no room; nothing was stored then.
func (b *Buffer) Requeue(ctx context.Context, source string, list []pipeline.Entry) (Requeued, error) {
	q := &requeuing{b: b, sinks: make(map[int64]string)}
	for _, e := range list {
		to, err := b.destination(ctx, e.Destination)
		if err != nil {
			return Requeued{}, fault("store events again", err)
		}
		q.sinks[to] = e.Destination.Sink
		q.asked = append(q.asked, &entry{
			to: to, date: e.Event.Date.UnixMicro(), dateFrom: e.Event.DateFrom, logID: e.Event.LogID, typ: e.Event.Type, body: e.Event.Raw, source: source,
		})
	}
	err := b.store.writer.do(ctx, &job{buffer: b, run: q.run, applied: q.applied})
	if err != nil && !pipeline.Stopped(ctx, err) {
		err = fault("store events again", err)
	}
	return q.done, err
}

// A requeuing is events on their way back into the buffer.
type requeuing struct {
	b     *Buffer
	sinks map[int64]string // by destination
	asked []*entry
	list  []*entry // those that are stored
	last  int64
	at    time.Time
	id    int64 // of the mark
	done  Requeued
}

// run writes the events, and the mark that says that they may have been sent.
func (q *requeuing) run(ctx context.Context, t *tx) error {
	q.done, q.list, q.at = Requeued{}, nil, t.now.UTC() // should this be a second run
	if err := q.pick(ctx, t); err != nil || len(q.list) == 0 {
		return err
	}
	if err := q.room(t); err != nil {
		return err
	}
	if err := t.w.reserve.refuse(); err != nil {
		return err
	}
	rows := newRows(q.list)
	defer freeRows(rows)
	for i := range rows {
		if err := t.insertRow(ctx, &rows[i]); err != nil {
			return err
		}
		for _, e := range rows[i].list {
			if err := t.knowLetter(ctx, q.b.id, e.logID, e.seq); err != nil {
				return err
			}
			t.addWaiting(q.sinks[e.to], 1, int64(len(e.body)))
		}
	}
	q.last = t.w.nextSeq - 1
	t.count(CountRequeued, "", len(q.list))
	q.done.Events = len(q.list)
	var err error
	oldest, _ := dateRange(q.list)
	q.id, err = insertMark(ctx, t, q.b.id, timeOf(oldest), q.list)
	return err
}

// pick leaves out what waits, or is a dead letter.
func (q *requeuing) pick(ctx context.Context, t *tx) error {
	type place struct{ sink, logID string }
	waits, letters := make(map[place]bool), make(map[place]bool)
	err := t.query(ctx, func(row *sql.Rows) error {
		var sink string
		var first, last int64
		var gone, packed, body sql.RawBytes
		if err := row.Scan(&sink, &first, &last, &gone, &packed, &body); err != nil {
			return err
		}
		ids, err := waitingIn(first, last, bits(gone), packed, body, minMicros, maxMicros)
		for _, id := range ids {
			waits[place{sink, id}] = true
		}
		return err
	}, `SELECT d.sink, b.seq, b.last_seq, b.gone, b.dates, b.body FROM buffer b JOIN destinations d ON d.id = b.destination_id WHERE d.tenant_id = ?`, q.b.id)
	if err != nil {
		return err
	}
	err = t.query(ctx, func(row *sql.Rows) error {
		var p place
		err := row.Scan(&p.sink, &p.logID)
		letters[p] = true
		return err
	}, `SELECT coalesce(d.sink, ''), l.log_id FROM dead_letters l LEFT JOIN destinations d ON d.id = l.destination_id WHERE l.tenant_id = ? AND l.kind = ?`, q.b.id, KindRejected)
	if err != nil {
		return err
	}
	for _, e := range q.asked {
		p := place{q.sinks[e.to], e.logID}
		switch {
		case waits[p]:
			q.done.Waiting++
		case letters[p]:
			q.done.Letters++
		default:
			waits[p] = true
			q.list = append(q.list, e)
		}
	}
	return nil
}

// minMicros and maxMicros are a span that every date is within.
const (
	minMicros = -1 << 63
	maxMicros = 1<<63 - 1
)

// room says whether the buffer has room for the events.
func (q *requeuing) room(t *tx) error {
	sums := make(map[string]int64)
	for _, e := range q.list {
		sums[q.sinks[e.to]] += int64(len(e.body))
	}
	for sink, bytes := range sums {
		of := t.figures()
		of.bytes = t.waiting(sink).bytes
		if err := q.b.room(of, bytes, 0); err != nil {
			return err
		}
	}
	return nil
}

// applied shows the events to Next, after the commit, with their doubt.
func (q *requeuing) applied() {
	if len(q.list) == 0 {
		return
	}
	b, now := q.b, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = max(b.applied, q.last)
	on := &mark{id: q.id, left: len(q.list)}
	for _, e := range q.list {
		e.since = now
		b.marks[e.seq], b.doubts[e.seq] = on, pipeline.Doubt{From: timeOf(e.date), Until: q.at} // no call was before its date
	}
	b.offer(q.list)
	b.progress.appended("", "", len(q.list), b.applied, now.UTC())
	b.wake()
	b.store.changed()
}
