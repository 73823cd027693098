package store

import (
	"context"
	"database/sql"
	"errors"
)

// repackEvents is how many events are moved in a transaction.
const repackEvents = 2000

// repack moves the events of the table of an earlier release, which had a row for
// each, into rows of this one, under their numbers. It goes on where a process that
// died has stopped.
func repack(ctx context.Context, conn *sql.Conn) error {
	var there bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'buffer_before')").Scan(&there); err != nil || !there {
		return err
	}
	for more := true; more; {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if more, err = repackStep(ctx, tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, "DROP TABLE buffer_before")
	return err
}

// repackStep moves some of them; more says that there may be others.
func repackStep(ctx context.Context, tx *sql.Tx) (more bool, err error) {
	list, storedAt, err := eventsBefore(ctx, tx)
	if err != nil || len(list) == 0 {
		return false, err
	}
	last := list[len(list)-1].seq
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && n < rowEvents && follows(list, storedAt, n) && (n == 0 || size+len(list[n].body) <= rowBytes) {
			size += len(list[n].body)
			n++
		}
		r := newRow(list[:n])
		_, err := tx.ExecContext(ctx, insertRow, r.args(storedAt[0])...)
		freeRows([]row{r})
		if err != nil {
			return false, err
		}
		list, storedAt = list[n:], storedAt[n:]
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM buffer_before WHERE seq <= ?", last)
	return true, err
}

// eventsBefore reads the first events of the table, and when they were stored.
func eventsBefore(ctx context.Context, tx *sql.Tx) (list []*entry, storedAt []int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT seq, destination_id, date, date_from, stored_at, log_id, type, body, source
		FROM buffer_before ORDER BY seq LIMIT ?`, repackEvents)
	if err != nil {
		return nil, nil, err
	}
	size := 0
	err = scanAll(rows, func(r *sql.Rows) error {
		var at int64
		e := &entry{}
		if size > moveBytes {
			return nil // enough
		}
		err := r.Scan(&e.seq, &e.to, &e.date, &e.dateFrom, &at, &e.logID, &e.typ, &e.body, &e.source)
		size += len(e.body)
		list, storedAt = append(list, e), append(storedAt, at)
		return err
	})
	return list, storedAt, err
}

// follows reports whether an event belongs into the row of the first: it has the
// next number, and came with the others. Nothing is in order within a row, but
// rows of a narrow span are found more quickly.
func follows(list []*entry, storedAt []int64, n int) bool {
	a, b := list[0], list[n]
	return b.seq == a.seq+int64(n) && b.to == a.to && b.source == a.source && storedAt[n] == storedAt[0] &&
		max(a.date-b.date, b.date-a.date) <= rowSpan
}
