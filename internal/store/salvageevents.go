package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// saveEvents copies the events that wait for delivery, but for those whose bytes
// are broken, and compares their number with what the tenants say.
func (s *salvager) saveEvents(ctx context.Context) error {
	known, err := s.destinations(ctx)
	if err != nil {
		return err
	}
	if s.version >= 5 {
		if _, err := s.copyRows(ctx, "buffer", rowColumns, "seq", func(row []any) bool { return s.wholeRow(known, row) }); err != nil {
			return err
		}
	}
	if err := s.saveEventsBefore(ctx, known); err != nil {
		return err
	}
	if err := repack(ctx, s.to); err != nil {
		return err
	}
	if err := s.to.QueryRowContext(ctx, "SELECT coalesce(sum(events), 0) FROM buffer").Scan(&s.events); err != nil {
		return err
	}
	said, query := sql.NullInt64{}, "SELECT sum(buffered_events) FROM tenants"
	if s.version >= 6 {
		query = "SELECT (" + query + ") + (SELECT coalesce(sum(buffered_events), 0) FROM sinks)"
	}
	if err := s.from.QueryRowContext(ctx, query).Scan(&said); err != nil || said.Int64 != int64(s.events) {
		s.complete = false
	}
	return nil
}

// wholeRow reports whether a row of the buffer holds what was stored.
func (s *salvager) wholeRow(known map[int64]bool, row []any) bool {
	const first, last, to, events, gone, dates, body = 0, 1, 2, 6, 8, 9, 10
	from, _ := row[first].(int64)
	until, _ := row[last].(int64)
	dest, _ := row[to].(int64)
	packed, _ := row[body].([]byte)
	left, _ := row[gone].([]byte)
	at, _ := row[dates].([]byte)
	n := until - from + 1
	times, err := unpackDates(at)
	if err == nil && known[dest] && n > 0 && int64(len(times)) == n && len(left) == len(newBits(len(times))) {
		if _, err := unpack(packed, len(times)); err == nil {
			return true
		}
	}
	waiting, _ := row[events].(int64)
	s.bad += int(max(1, min(waiting, rowEvents)))
	s.complete = false
	return false
}

// saveEventsBefore copies the events of the table of an earlier release.
func (s *salvager) saveEventsBefore(ctx context.Context, known map[int64]bool) error {
	table, columns := "buffer_before", eventColumns
	if s.version < 5 {
		table = "buffer"
	}
	if s.version < 3 {
		columns = eventColumns2
	}
	var there bool
	if err := s.from.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)", table).Scan(&there); err != nil || !there {
		s.complete = s.complete && err == nil
		return nil
	}
	const to, logID, body = 1, 5, 7
	_, err := s.copyRowsTo(ctx, table, "buffer_before", columns, "seq", func(row []any) bool {
		dest, okTo := row[to].(int64)
		id, okID := row[logID].(string)
		raw, okRaw := row[body].([]byte)
		if okTo && known[dest] && okID && okRaw && intact(id, raw) {
			return true
		}
		s.bad++
		s.complete = false
		return false
	})
	return err
}

// destinations returns those of the new database that have a tenant.
func (s *salvager) destinations(ctx context.Context) (map[int64]bool, error) {
	known := make(map[int64]bool)
	rows, err := s.to.QueryContext(ctx, "SELECT d.id FROM destinations d JOIN tenants t ON t.id = d.tenant_id")
	if err != nil {
		return nil, err
	}
	return known, scanAll(rows, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		known[id] = true
		return err
	})
}

// intact reports whether the bytes of an event are still those of its log_id.
func intact(logID string, raw []byte) bool {
	page, err := event.ParsePage(raw, time.Time{})
	return err == nil && len(page.Events) == 1 && page.Events[0].LogID == logID && json.Valid(raw)
}

// knowEvents makes the log_ids of the events in the new buffer known.
func (s *salvager) knowEvents(ctx context.Context) error {
	for after, more := int64(0), true; more; {
		var list []*intakeOf
		rows, err := s.to.QueryContext(ctx, `SELECT b.seq, b.last_seq, d.tenant_id, b.gone, b.body FROM buffer b JOIN destinations d ON d.id = b.destination_id
			WHERE b.seq > ? ORDER BY b.seq LIMIT ?`, after, salvageRows)
		if err != nil {
			return err
		}
		err = scanAll(rows, func(r *sql.Rows) error {
			in := &intakeOf{}
			var gone bits
			var body []byte
			if err := r.Scan(&in.first, &in.last, &in.tenant, &gone, &body); err != nil {
				return err
			}
			after = in.first
			list = append(list, in)
			return in.add(gone, body)
		})
		for _, in := range list {
			if err == nil {
				err = in.write(ctx, s.to, !s.complete)
			}
		}
		if err != nil {
			return err
		}
		more = len(list) > 0
	}
	return nil
}

// An intakeOf is the events of a row that wait.
type intakeOf struct {
	tenant, first, last int64
	sink                string
	ids                 []string
	packed              []byte
}

// add takes in the events of a body.
func (in *intakeOf) add(gone bits, body []byte) error {
	list, err := unpack(body, int(in.last-in.first+1))
	for i := range list {
		if !gone.has(int64(i)) {
			in.ids = append(in.ids, list[i].logID)
			in.packed = appendSized(in.packed, list[i].logID)
		}
	}
	return err
}

// write makes the log_ids known and, unless the intakes were taken over, notes when
// to forget them.
func (in *intakeOf) write(ctx context.Context, to *sql.Conn, note bool) error {
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	for _, id := range in.ids {
		if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO seen (tenant_id, log_id) VALUES (?, ?)", in.tenant, id); err != nil {
			return err
		}
	}
	if note {
		if _, err := tx.ExecContext(ctx, "INSERT INTO intakes (tenant_id, stored_at, first_seq, last_seq, log_ids) VALUES (?, ?, ?, ?, ?)",
			in.tenant, time.Now().UnixMicro(), in.first, in.last, in.packed); err != nil {
			return err
		}
	}
	return tx.Commit()
}
