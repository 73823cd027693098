package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A leafPlace is where leaves belong.
type leafPlace struct {
	hour ledger.Hour
	to   int64 // destination
}

// leavesAt are packed leaves of one place.
type leavesAt struct {
	leafPlace

	events int
	packed []byte
}

// takeLeaves makes the leaves of what a receipt says was delivered. It is called for a
// batch whose leases are still there. The caller holds mu.
func (s *settling) takeLeaves(batch pipeline.Batch, r pipeline.Receipt) {
	if r.Prints == nil || !s.b.ledgers[s.sink] {
		return
	}
	left := make(map[int]bool, len(r.Rejected)+len(r.Skipped)+len(r.Retry))
	for _, x := range r.Rejected {
		left[x.Index] = true
	}
	for _, x := range r.Skipped {
		left[x.Index] = true
	}
	for _, i := range r.Retry {
		left[i] = true
	}
	at := -1 // most of a batch are of one place
	for i, p := range r.Prints {
		e := s.b.leases[batch.Keys[i]]
		if e == nil || left[i] || p.IsZero() {
			continue
		}
		place := leafPlace{ledger.HourOf(p.At), e.to}
		if at < 0 || s.leaves[at].leafPlace != place {
			at = slices.IndexFunc(s.leaves, func(l leavesAt) bool { return l.leafPlace == place })
		}
		if at < 0 {
			at = len(s.leaves)
			const cost = 100 // of most
			s.leaves = append(s.leaves, leavesAt{leafPlace: place, packed: make([]byte, 0, cost*(len(r.Prints)-i))})
		}
		l := ledger.Leaf{ID: ledger.IDOf(e.logID, p.Hash), At: p.At, Hash: p.Hash}
		s.leaves[at].packed = l.Pack(s.leaves[at].packed)
		s.leaves[at].events++
	}
}

// insertLeaves writes them, in the transaction in which the events leave.
func (s *settling) insertLeaves(ctx context.Context, t *tx) error {
	for _, l := range s.leaves {
		err := t.exec(ctx, "INSERT INTO ledger_leaves (tenant_id, sink, hour, destination_id, events, leaves) VALUES (?, ?, ?, ?, ?, ?)",
			s.b.id, s.sink, int64(l.hour), l.to, l.events, l.packed)
		if err != nil {
			return err
		}
	}
	return nil
}

// Leaves calls each for the leaves of an hour that are in no entry yet, with the log
// group and stream that they went to, from the oldest row on; once so many events were
// read it stops behind a row, 0 reads all. It returns the last row that it read, for
// Sealing.
func (l *Ledger) Leaves(ctx context.Context, hour ledger.Hour, most int64, each func(ledger.Leaf, [2]string) error) (last int64, err error) {
	b := l.buffer
	for events := int64(0); most == 0 || events < most; {
		var n, to int64
		var packed []byte
		err := b.store.db.QueryRowContext(ctx, `SELECT id, destination_id, events, leaves FROM ledger_leaves
			WHERE tenant_id = ? AND sink = ? AND hour = ? AND id > ? ORDER BY id LIMIT 1`, b.id, l.sink, int64(hour), last).
			Scan(&last, &to, &n, &packed)
		if isNoRows(err) {
			return last, nil
		}
		if err != nil {
			return last, b.readFault(ctx, "read leaves of the ledger", err)
		}
		events += n
		b.mu.Lock()
		d, known := b.names[to]
		b.mu.Unlock()
		place := [2]string{d.LogGroup, d.LogStream}
		if !known { // its row was lost with a part of the store
			place = [2]string{}
		}
		if err := ledger.Unpack(packed, func(leaf ledger.Leaf) error { return each(leaf, place) }); err != nil {
			return last, err
		}
	}
	return last, nil
}

// OpenHours returns the hours that have leaves in no entry, ascending.
func (l *Ledger) OpenHours(ctx context.Context) (hours []ledger.Hour, err error) {
	b := l.buffer
	rows, err := b.store.db.QueryContext(ctx, "SELECT DISTINCT hour FROM ledger_leaves WHERE tenant_id = ? AND sink = ? ORDER BY hour", b.id, l.sink)
	if err != nil {
		return nil, b.readFault(ctx, "read hours of the ledger", err)
	}
	err = scanAll(rows, func(r *sql.Rows) error {
		var h int64
		err := r.Scan(&h)
		hours = append(hours, ledger.Hour(h))
		return err
	})
	if err != nil {
		return nil, b.readFault(ctx, "read hours of the ledger", err)
	}
	return hours, nil
}

// DeliveredUntil is the time before which everything that was read is delivered: the
// date of the oldest event that waits for the sink, or how far the sources have read,
// whichever is earlier. Of the sources those count that are named; while one of them
// does not know how far it has read, it is the zero time.
func (l *Ledger) DeliveredUntil(ctx context.Context, sources ...string) (micros int64, err error) {
	b := l.buffer
	micros = maxMicros
	var oldest sql.NullInt64
	err = b.store.db.QueryRowContext(ctx, `SELECT min(b.date) FROM destinations d JOIN buffer b ON b.destination_id = d.id WHERE d.tenant_id = ? AND d.sink = ?`, b.id, l.sink).
		Scan(&oldest)
	if err != nil {
		return 0, b.readFault(ctx, "read what waits", err)
	}
	if oldest.Valid {
		micros = oldest.Int64
	}
	for _, source := range sources {
		m, err := b.Mark(ctx, source)
		if err != nil {
			return 0, err
		}
		if m.Until.IsZero() {
			return 0, nil
		}
		micros = min(micros, m.Until.UnixMicro())
	}
	return cmp.Or(micros, 1), nil
}
