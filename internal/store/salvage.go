package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// salvageChunk is how many rows are read before they are written.
const salvageChunk = 500

// salvageRows is how many rows of the new buffer are looked at together.
const salvageRows = 20

// salvaged says what could be read of a damaged database.
type salvaged struct {
	who     identity
	tenants map[string]map[string]position
	// complete says that every event of the buffer was read, so that the cursors
	// and the log_ids that are known lose none.
	complete              bool
	events, letters, gaps int
	bad                   int // events whose bytes are not what was stored
}

// figures says it in words.
func (s *salvaged) figures() string {
	text := fmt.Sprintf("%d events that wait for delivery, %d dead letters and %d gaps were read from it", s.events, s.letters, s.gaps)
	if s.complete {
		return text + ", and none is missing in its buffer"
	}
	return text + fmt.Sprintf(", %d events had broken bytes, and more may be missing", s.bad)
}

// A salvager copies what can be read of a database into a new one. Errors of
// reading are passed over; those of writing are not.
type salvager struct {
	from    *sql.Conn
	to      *sql.Conn
	version int // schema of from
	salvaged
}

// salvage reads a damaged database; it changes nothing in it.
func salvage(ctx context.Context, path string, to *sql.Conn) (_ salvaged, err error) {
	s := &salvager{to: to, salvaged: salvaged{tenants: make(map[string]map[string]position)}}
	if there, _ := exists(path); !there || !regular(path) {
		return s.salvaged, nil
	}
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return s.salvaged, err
	}
	defer db.Close() //nolint:errcheck // it has only read
	if s.from, err = db.Conn(ctx); err != nil {
		return s.salvaged, nil // nothing can be read
	}
	defer s.from.Close() //nolint:errcheck // it has only read
	list, err := loadMigrations(migrations)
	if err != nil {
		return s.salvaged, err
	}
	if s.from.QueryRowContext(ctx, "PRAGMA user_version").Scan(&s.version) != nil || s.version < 1 || s.version > len(list) {
		s.version = len(list)
	}
	for _, step := range []func(context.Context) error{
		s.saveTenants, s.saveEvents, s.saveLetters, s.saveKnown, s.partlyKnow, s.saveRest, s.reckon,
	} {
		if err := step(ctx); err != nil {
			return s.salvaged, err
		}
	}
	return s.salvaged, ctx.Err()
}

// A column list with what stands for a column in older schemas.
const (
	tenantColumns = "id, name, newest_date, stored_at, delivered_at"
	destColumns   = "id, tenant_id, sink, log_group, log_stream"
	destColumns5  = "id, tenant_id, log_group, log_stream"
	rowColumns    = "seq, last_seq, destination_id, date, stored_at, source, events, bytes, gone, dates, body"
	eventColumns  = "seq, destination_id, date, date_from, stored_at, log_id, type, body, source"
	eventColumns2 = "seq, destination_id, date, date_from, stored_at, log_id, type, body, '' AS source"
	letterList    = "id, tenant_id, kind, created_at, destination_id, source, reason, detail, log_id, type, date, date_from, body"
	gapColumns    = "id, tenant_id, source, from_id, from_time, to_id, to_time, reason, recorded_at, healed_at"
	gapColumns3   = "id, tenant_id, source, from_id, from_time, to_id, to_time, reason, recorded_at"
	intakeColumns = "id, tenant_id, stored_at, first_seq, last_seq, log_ids"
)

// saveTenants copies the tenants, their destinations and where their sources stand.
func (s *salvager) saveTenants(ctx context.Context) error {
	s.complete = true // until something turns out to be missing
	dest := destColumns
	if s.version < 6 {
		dest = destColumns5
	}
	for _, t := range []struct{ name, columns string }{{"tenants", tenantColumns}, {"destinations", dest}} {
		if _, err := s.copyRows(ctx, t.name, t.columns, "id", nil); err != nil {
			return err
		}
	}
	stands, err := readStands(ctx, s.from)
	if err != nil { // the names are worth having without
		stands, err = readStands(ctx, s.to)
		if err != nil {
			return err
		}
		for name := range stands {
			stands[name] = nil
		}
	}
	s.tenants = stands
	if s.who, err = readIdentity(ctx, s.from); err != nil {
		s.who = identity{}
	}
	return nil
}

// saveLetters copies the dead letters.
func (s *salvager) saveLetters(ctx context.Context) error {
	n, err := s.copyRows(ctx, "dead_letters", letterList, "id", nil)
	s.letters = n
	if err != nil {
		return err
	}
	_, err = s.to.ExecContext(ctx, "INSERT OR IGNORE INTO seen (tenant_id, log_id) SELECT tenant_id, log_id FROM dead_letters WHERE kind = 'rejected'")
	return err
}

// saveKnown copies the log_ids of what was delivered, unless an event is missing:
// what is known is not taken again, so that event would be lost. Those of the
// events in the buffer are known either way.
func (s *salvager) saveKnown(ctx context.Context) error {
	if !s.complete {
		return s.knowEvents(ctx)
	}
	const tenant, packed = 1, 5
	_, err := s.copyRows(ctx, "intakes", intakeColumns, "id", func(row []any) bool {
		ids, ok := row[packed].([]byte)
		if !ok {
			return false
		}
		for _, id := range splitIDs(ids) {
			if _, err := s.to.ExecContext(ctx, "INSERT OR IGNORE INTO seen (tenant_id, log_id) VALUES (?, ?)", row[tenant], string(id)); err != nil {
				return false // the next write fails as well, and says so
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return s.knowEvents(ctx)
}

// saveRest copies what else is worth having: gaps, totals, settings.
func (s *salvager) saveRest(ctx context.Context) error {
	columns := gapColumns
	if s.version < 4 {
		columns = gapColumns3
	}
	n, err := s.copyRows(ctx, "gaps", columns, "id", nil)
	s.gaps = n
	if err != nil {
		return err
	}
	if err := s.copyKeyed(ctx, "totals", "tenant_id, name, reason, n"); err != nil {
		return err
	}
	if err := s.copyKeyed(ctx, "kv", "tenant_id, space, key, value, updated_at"); err != nil {
		return err
	}
	if s.version >= 3 && s.complete {
		if err := s.copyKeyed(ctx, "letter_ids", "tenant_id, log_id, since, seq"); err != nil {
			return err
		}
	}
	if s.version >= 6 {
		if err := s.copyKeyed(ctx, "sinks", "tenant_id, name, buffered_events, buffered_bytes, delivered_at"); err != nil {
			return err
		}
	}
	if s.version >= 7 {
		if err := s.saveLedger(ctx); err != nil {
			return err
		}
	}
	_, err = s.to.ExecContext(ctx, "DELETE FROM kv WHERE space = 'store'")
	return err
}

// saveLedger copies the entries of the ledger and the leaves. The chains are not copied:
// what was written last is not known, so new ones begin.
func (s *salvager) saveLedger(ctx context.Context) error {
	for _, t := range []struct{ name, columns, key string }{
		{"ledger_leaves", "id, tenant_id, sink, hour, destination_id, events, leaves", "id"},
		{"ledger_entries", "n, tenant_id, sink, chain, seq, line", "n"},
	} {
		if _, err := s.copyRows(ctx, t.name, t.columns, t.key, nil); err != nil {
			return err
		}
	}
	return s.copyKeyed(ctx, "ledger_places", "tenant_id, sink, place, published")
}

// reckon makes the figures of the tenants agree with what they have now.
func (s *salvager) reckon(ctx context.Context) error {
	for _, query := range []string{
		`DELETE FROM dead_letter_sums`,
		`INSERT INTO dead_letter_sums (tenant_id, kind, reason, letters, bytes)
			SELECT tenant_id, kind, reason, count(*), sum(length(body)) FROM dead_letters GROUP BY tenant_id, kind, reason`,
		`UPDATE tenants SET
			buffered_events = (SELECT coalesce(sum(events), 0) FROM buffer b JOIN destinations d ON d.id = b.destination_id WHERE d.tenant_id = tenants.id AND d.sink = ''),
			buffered_bytes = (SELECT coalesce(sum(bytes), 0) FROM buffer b JOIN destinations d ON d.id = b.destination_id WHERE d.tenant_id = tenants.id AND d.sink = ''),
			dead_letters = (SELECT count(*) FROM dead_letters l WHERE l.tenant_id = tenants.id),
			dead_letter_bytes = (SELECT coalesce(sum(length(body)), 0) FROM dead_letters l WHERE l.tenant_id = tenants.id)`,
		`UPDATE sinks SET buffered_events = 0, buffered_bytes = 0`,
		`INSERT INTO sinks (tenant_id, name, buffered_events, buffered_bytes)
			SELECT d.tenant_id, d.sink, sum(b.events), sum(b.bytes) FROM buffer b JOIN destinations d ON d.id = b.destination_id
			WHERE d.sink <> '' GROUP BY d.tenant_id, d.sink
			ON CONFLICT DO UPDATE SET buffered_events = excluded.buffered_events, buffered_bytes = excluded.buffered_bytes`,
	} {
		if _, err := s.to.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// copyRows copies a table by its rowid and returns how many rows were written.
// Behind a row that cannot be read it goes on as near as it can. keep may leave out
// a row; nil keeps all.
func (s *salvager) copyRows(ctx context.Context, table, columns, key string, keep func(row []any) bool) (written int, err error) {
	return s.copyRowsTo(ctx, table, table, columns, key, keep)
}

// copyRowsTo is copyRows into a table of another name.
func (s *salvager) copyRowsTo(ctx context.Context, table, into, columns, key string, keep func(row []any) bool) (written int, err error) {
	c := &copying{s: s, table: into, columns: columns, keep: keep}
	query := "SELECT " + columns + " FROM " + table + " WHERE " + key + " > ? "
	from := int64(0)
	for jump := int64(1); c.err == nil; {
		before := c.last
		bad := c.run(ctx, query+"ORDER BY "+key, from)
		if jump > 1 && (!bad || c.last > before) { // on the other side of a hole: what lies between is read backwards
			below := int64(math.MaxInt64)
			if c.last > before {
				below = c.first
			}
			c.run(ctx, query+"AND "+key+" < ? ORDER BY "+key+" DESC", before, below)
		}
		switch {
		case !bad || from > math.MaxInt64/4: // the end, or nothing can be read behind it
			return c.written, c.err
		case c.last > before:
			from, jump = c.last, 1
		default:
			from += jump
			jump *= 2
		}
	}
	return c.written, c.err
}

// copyKeyed copies a table without rowids: from its beginning and from its end, up
// to where it cannot be read.
func (s *salvager) copyKeyed(ctx context.Context, table, columns string) error {
	c := &copying{s: s, table: table, columns: columns}
	if c.run(ctx, "SELECT "+columns+" FROM "+table+" ORDER BY 1, 2, 3") && c.err == nil {
		c.run(ctx, "SELECT "+columns+" FROM "+table+" ORDER BY 1 DESC, 2 DESC, 3 DESC")
	}
	return c.err
}

// A copying is a table on its way.
type copying struct {
	s              *salvager
	table, columns string // of the new database
	keep           func([]any) bool
	written        int
	first, last    int64 // keys of the first row of a query and of the highest one of all
	err            error // of writing; final
}

// ofEvents reports whether the table holds events that wait.
func (c *copying) ofEvents() bool { return c.table == "buffer" || c.table == "buffer_before" }

// run copies what a query yields; bad says that it could not be read to its end.
func (c *copying) run(ctx context.Context, query string, args ...any) (bad bool) {
	rows, err := c.s.from.QueryContext(ctx, query, args...)
	if err != nil {
		c.s.complete = c.s.complete && !c.ofEvents()
		return true
	}
	defer rows.Close() //nolint:errcheck // Err tells what went wrong
	names, err := rows.Columns()
	if err != nil {
		return true
	}
	c.first = 0
	var list [][]any
	for rows.Next() {
		row, to := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			to[i] = &row[i]
		}
		if rows.Scan(to...) != nil {
			break
		}
		list = append(list, row)
		if len(list) == salvageChunk {
			c.write(ctx, list)
			list = nil
		}
	}
	bad = rows.Err() != nil
	if bad && c.ofEvents() {
		c.s.complete = false
	}
	c.write(ctx, list)
	return bad
}

// write puts rows into the new database. A row that does not fit there is damaged.
func (c *copying) write(ctx context.Context, list [][]any) {
	if c.err != nil || len(list) == 0 {
		return
	}
	tx, err := c.s.to.BeginTx(ctx, nil)
	if err != nil {
		c.err = err
		return
	}
	//nolint:gosec // constants
	insert := "INSERT OR IGNORE INTO " + c.table + " (" + strings.Replace(c.columns, "'' AS source", "source", 1) + ") VALUES (" +
		strings.TrimSuffix(strings.Repeat("?,", len(list[0])), ",") + ")"
	for _, row := range list {
		key, ok := row[0].(int64)
		if ok {
			if c.first == 0 {
				c.first = key
			}
			c.last = max(c.last, key)
		}
		if !ok || c.keep != nil && !c.keep(row) {
			continue
		}
		res, err := tx.ExecContext(ctx, insert, row...)
		if err != nil && isConstraint(err) {
			c.s.complete = c.s.complete && !c.ofEvents()
			continue
		}
		if err != nil {
			c.err = errors.Join(err, tx.Rollback())
			return
		}
		n, _ := res.RowsAffected() // never fails here
		c.written += int(n)
	}
	c.err = tx.Commit()
}

// isConstraint reports whether a row does not fit its table.
func isConstraint(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	code := 0
	if ok {
		code = e.Code() & 0xff
	}
	return code == sqlite3.SQLITE_CONSTRAINT || code == sqlite3.SQLITE_MISMATCH
}

// regular reports whether there is a file under a name, and no directory.
func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
