package store

import (
	"context"
	"database/sql"
)

// The statements about events of which some sinks may have lost their copy.
var (
	selectPartly = newChunkQuery("SELECT log_id, sink FROM partly WHERE tenant_id = ?1 AND log_id IN (", "?", ")")
	deletePartly = newChunkQuery("DELETE FROM partly WHERE tenant_id = ?1 AND log_id IN (", "?", ")")
)

// logIDArgs are the arguments of a chunk query over the log_ids of a tenant.
func logIDArgs(tenant int64, list []*entry) []any {
	args := make([]any, 0, 1+len(list))
	args = append(args, tenant)
	for _, e := range list {
		args = append(args, e.logID)
	}
	return args
}

// loadPartly finds out whether any event of the tenant may have lost a copy.
func (b *Buffer) loadPartly(ctx context.Context, t *tx) error {
	var some bool
	err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&some) }, "SELECT EXISTS (SELECT 1 FROM partly WHERE tenant_id = ?)", b.id)
	b.partly.Store(some)
	return err
}

// findLate lists, of events that are known, the copies that a damage may have taken
// from some of their sinks. Those that were delivered before it are looked up like all
// that may have arrived.
func (a *appending) findLate(ctx context.Context, t *tx, known map[string]struct{}) error {
	a.late, a.whole = nil, nil
	if !a.b.partly.Load() || len(known) == 0 {
		return nil
	}
	var again []*entry
	for _, e := range a.offered {
		if _, ok := known[e.logID]; ok {
			again = append(again, e)
		}
	}
	has := make(map[string]map[string]bool)
	err := selectPartly.each(len(again), func(query string, from, to int) error {
		return t.query(ctx, func(r *sql.Rows) error {
			var id, sink string
			err := r.Scan(&id, &sink)
			if has[id] == nil {
				has[id] = make(map[string]bool)
			}
			has[id][sink] = true
			return err
		}, query, logIDArgs(a.b.id, again[from:to])...)
	})
	for _, e := range again {
		if has[e.logID] == nil {
			continue
		}
		a.whole = append(a.whole, e)
		for _, c := range append([]*entry{e}, a.copies[e]...) {
			if !has[e.logID][a.sinks[c.to]] {
				a.late = append(a.late, c)
			}
		}
	}
	return err
}

// insertLate writes the copies into the buffer. They are known for a dedup window of
// their own, and while they are there.
func (a *appending) insertLate(ctx context.Context, t *tx) error {
	if len(a.whole) == 0 {
		return nil
	}
	err := deletePartly.each(len(a.whole), func(query string, from, to int) error {
		return t.exec(ctx, query, logIDArgs(a.b.id, a.whole[from:to])...)
	})
	if err != nil || len(a.late) == 0 {
		return err
	}
	rows := newRows(a.late)
	defer freeRows(rows)
	for i := range rows {
		if err := t.insertRow(ctx, &rows[i]); err != nil {
			return err
		}
		for _, e := range rows[i].list {
			if err := t.knowLetter(ctx, a.b.id, e.logID, e.seq); err != nil {
				return err
			}
			t.addWaiting(a.sinks[e.to], 1, int64(len(e.body)))
		}
	}
	a.lastSeq = t.w.nextSeq - 1
	return nil
}

// prunePartly forgets events that are not known any more.
func (s *Store) prunePartly(ctx context.Context) error {
	err := s.writer.do(ctx, &job{drains: true, run: func(ctx context.Context, t *tx) error {
		var some bool
		err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&some) }, "SELECT EXISTS (SELECT 1 FROM partly)")
		if err != nil || !some {
			return err
		}
		return t.exec(ctx, `DELETE FROM partly WHERE NOT EXISTS
			(SELECT 1 FROM seen WHERE seen.tenant_id = partly.tenant_id AND seen.log_id = partly.log_id)`)
	}})
	return fault("forget events with lost copies", err)
}

// partlyKnow notes which events of a damaged buffer which sink has a copy of.
func (s *salvager) partlyKnow(ctx context.Context) error {
	if s.complete {
		return nil
	}
	for after, more := int64(0), true; more; {
		var list []*intakeOf
		rows, err := s.to.QueryContext(ctx, `SELECT b.seq, b.last_seq, d.tenant_id, d.sink, b.gone, b.body FROM buffer b JOIN destinations d ON d.id = b.destination_id
			WHERE b.seq > ? AND EXISTS (SELECT 1 FROM destinations x WHERE x.tenant_id = d.tenant_id AND x.sink <> '') ORDER BY b.seq LIMIT ?`, after, salvageRows)
		if err != nil {
			return err
		}
		err = scanAll(rows, func(r *sql.Rows) error {
			in := &intakeOf{}
			var gone bits
			var body []byte
			if err := r.Scan(&in.first, &in.last, &in.tenant, &in.sink, &gone, &body); err != nil {
				return err
			}
			after = in.first
			list = append(list, in)
			return in.add(gone, body)
		})
		for _, in := range list {
			if err == nil {
				err = in.writePartly(ctx, s.to)
			}
		}
		if err != nil {
			return err
		}
		more = len(list) > 0
	}
	_, err := s.to.ExecContext(ctx, `INSERT OR IGNORE INTO partly (tenant_id, log_id, sink)
		SELECT l.tenant_id, l.log_id, d.sink FROM dead_letters l JOIN destinations d ON d.id = l.destination_id
		WHERE l.kind = 'rejected' AND EXISTS (SELECT 1 FROM destinations x WHERE x.tenant_id = l.tenant_id AND x.sink <> '')`)
	return err
}

// writePartly notes that a sink has a copy of the events.
func (in *intakeOf) writePartly(ctx context.Context, to *sql.Conn) error {
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	for _, id := range in.ids {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO partly (tenant_id, log_id, sink) VALUES (?, ?, ?)", in.tenant, id, in.sink); err != nil {
			return err
		}
	}
	return tx.Commit()
}
