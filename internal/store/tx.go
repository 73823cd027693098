package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// A tx is a transaction of the writer. It does not end with a caller's context:
// a commit serves many callers, and the disk is the only thing waited for.
type tx struct {
	w       *writer
	now     time.Time
	wrote   bool // the job of the moment has changed something
	counts  map[countKey]int64
	sums    map[countKey]letterSum // changes, by kind and reason
	buffers map[*Buffer]figures    // as they will be after the commit
	sinks   map[sinkKey]sinkFigures
	current *Buffer
}

// A countKey names a counted thing.
type countKey struct {
	tenant       int64
	name, reason string
}

// figures are a tenant's totals, kept in its row. What waits, and when something
// was delivered, is of the main sink, see sinkFigures. Times are in microseconds.
type figures struct {
	events, bytes, letters        int64
	letterBytes                   int64
	newest, storedAt, deliveredAt int64
}

// begin prepares for a job.
func (t *tx) begin(j *job) {
	t.wrote = false
	t.current = j.buffer
	if j.buffer != nil {
		if _, ok := t.buffers[j.buffer]; !ok {
			t.buffers[j.buffer] = j.buffer.figures()
		}
	}
}

// figures returns those of the job's tenant, as they are within the transaction.
func (t *tx) figures() figures { return t.buffers[t.current] }

// setFigures changes those of the job's tenant.
func (t *tx) setFigures(f figures) { t.buffers[t.current] = f }

// count adds n to what is counted of the job's tenant.
func (t *tx) count(name, reason string, n int) {
	if n != 0 {
		t.counts[countKey{t.current.id, name, reason}] += int64(n)
	}
}

// exec runs a statement that changes nothing worth telling.
func (t *tx) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.change(ctx, query, args...)
	return err
}

// change runs a statement and returns how many rows it changed.
func (t *tx) change(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := t.w.prepared(ctx, query) //nolint:sqlclosecheck // the writer keeps it and closes it at its end
	if err != nil {
		return 0, err
	}
	t.wrote = true
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query runs a statement that reads and calls row for each row.
func (t *tx) query(ctx context.Context, row func(*sql.Rows) error, query string, args ...any) error {
	st, err := t.w.prepared(ctx, query) //nolint:sqlclosecheck // the writer keeps it and closes it at its end
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, row)
}

// scanAll reads all rows and closes them.
func scanAll(rows *sql.Rows, row func(*sql.Rows) error) error {
	defer rows.Close() //nolint:errcheck // Err tells what went wrong
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// finish writes the figures and counts of all jobs and commits.
func (t *tx) finish(ctx context.Context) error {
	minute := t.now.Unix() / 60
	for k, n := range t.counts {
		if err := t.exec(ctx, `INSERT INTO counts (minute, tenant_id, name, reason, n) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET n = n + excluded.n`, minute, k.tenant, k.name, k.reason, n); err != nil {
			return err
		}
		if err := t.exec(ctx, `INSERT INTO totals (tenant_id, name, reason, n) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET n = n + excluded.n`, k.tenant, k.name, k.reason, n); err != nil {
			return err
		}
	}
	if err := t.finishLetters(ctx); err != nil {
		return err
	}
	for b, f := range t.buffers {
		if f == b.figures() {
			continue
		}
		if err := t.exec(ctx, `UPDATE tenants SET buffered_events = ?, buffered_bytes = ?, dead_letters = ?, dead_letter_bytes = ?,
			newest_date = ?, stored_at = ?, delivered_at = ? WHERE id = ?`,
			f.events, f.bytes, f.letters, f.letterBytes, f.newest, f.storedAt, f.deliveredAt, b.id); err != nil {
			return err
		}
	}
	if err := t.finishSinks(ctx); err != nil {
		return err
	}
	return t.exec(ctx, "COMMIT")
}

// rollback undoes everything. Its own error does not count: SQLite has rolled
// back already when the disk was full, and commit begins with another rollback
// should a transaction be left open.
func (t *tx) rollback(ctx context.Context) {
	_ = t.exec(ctx, "ROLLBACK")
}

// chunkSizes are the numbers of rows for which statements are prepared: one
// statement for many rows costs a third of one for each.
var chunkSizes = [...]int{100, 25, 5, 1}

// A chunkQuery is a statement over many rows, written out for each chunk size.
type chunkQuery [len(chunkSizes)]string

// newChunkQuery writes out a statement: row stands once for each row between
// head and tail.
func newChunkQuery(head, row, tail string) (q chunkQuery) {
	for i, n := range chunkSizes {
		q[i] = head + strings.TrimSuffix(strings.Repeat(row+",", n), ",") + tail
	}
	return q
}

// each splits n rows into chunks and calls do with the statement for each.
func (q *chunkQuery) each(n int, do func(query string, from, to int) error) error {
	for from, i := 0, 0; from < n; {
		for chunkSizes[i] > n-from {
			i++
		}
		to := from + chunkSizes[i]
		if err := do(q[i], from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}
