package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Standing is how far the export of a tenant has come, and what it has kept, but
// none of its events.
type Standing struct {
	// Cursors and Marks are those of its sources, by name.
	Cursors map[string]event.Cursor
	Marks   map[string]event.Mark
	// Waiting is how many events wait for delivery; one that waits for several sinks
	// counts for each.
	Waiting int64

	kept []keptValue
}

// A keptValue is a row of the table kv.
type keptValue struct {
	space, key string
	value      []byte
}

// OpenUntouched is OpenReadOnly for those who want nothing of the directory changed,
// not for a moment either: SQLite makes files beside one that it reads, and leaves
// them there. Where a process works in the directory, or one has been killed, those
// files are there, and what has not reached the file itself is read from them.
func OpenUntouched(ctx context.Context, dir string) (*Reader, error) {
	path, err := filePath(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return OpenReadOnly(ctx, dir)
	}
	// Nobody writes to a file without a WAL.
	return openToRead(ctx, dir, path, "&immutable=1")
}

// Standing returns that of a tenant; the zero Standing for one that is not known.
func (r *Reader) Standing(ctx context.Context, tenant string) (Standing, error) {
	s, err := r.standing(ctx, tenant)
	if err != nil {
		return Standing{}, fault("read where "+tenant+" stands", err)
	}
	return s, nil
}

// standing reads it, of one moment.
func (r *Reader) standing(ctx context.Context, tenant string) (s Standing, err error) {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s, err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	var id int64
	err = tx.QueryRowContext(ctx, `SELECT id, buffered_events + (SELECT coalesce(sum(buffered_events), 0) FROM sinks WHERE tenant_id = id)
		FROM tenants WHERE name = ?`, tenant).Scan(&id, &s.Waiting)
	if errors.Is(err, sql.ErrNoRows) {
		return Standing{}, nil
	}
	if err != nil {
		return s, err
	}
	s.Cursors, s.Marks = make(map[string]event.Cursor), make(map[string]event.Mark)
	err = queryAll(ctx, tx, func(row *sql.Rows) error {
		var source, cursor string
		var since, until int64
		err := row.Scan(&source, &cursor, &since, &until)
		s.Cursors[source], s.Marks[source] = event.Cursor(cursor), event.Mark{Since: timeOf(since), Until: timeOf(until)}
		return err
	}, "SELECT source, cursor, read_since, read_until FROM cursors WHERE tenant_id = ?", id)
	if err != nil {
		return s, err
	}
	err = queryAll(ctx, tx, func(row *sql.Rows) error {
		var v keptValue
		err := row.Scan(&v.space, &v.key, &v.value)
		s.kept = append(s.kept, v)
		return err
	}, "SELECT space, key, value FROM kv WHERE tenant_id = ? AND (space IN (?, ?) OR space = ? AND key = ?)", id, spaceSetting, spaceSaved, spaceStore, keyLostCursor)
	return s, err
}

// Adopt makes a tenant stand where another store has it: what is read from then on
// is what that store would read. The tenant must be new.
func (b *Buffer) Adopt(ctx context.Context, s Standing) error {
	for source, cursor := range s.Cursors {
		if _, err := b.Append(ctx, source, pipeline.Intake{Cursor: cursor, Mark: s.Marks[source]}); err != nil {
			return fmt.Errorf("take over the cursor of %s: %w", source, err)
		}
	}
	for _, v := range s.kept {
		if err := b.setValue(ctx, v.space, v.key, v.value); err != nil {
			return err
		}
	}
	return nil
}
