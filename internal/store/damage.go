package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// damagedName is the file that says that a running process has met damage, so
	// that the next start looks at all of the database whatever its size.
	damagedName = "gapless.damaged"
	// checkAllBytes is up to which size every page of the database and every entry
	// of its indexes are looked at when it is opened: about a second.
	checkAllBytes = 64 << 20
	// likelyVersions bounds the versions of a schema that can be those of a newer
	// release; a higher one is damage.
	likelyVersions = 1000
)

// smallTables are those whose pages are looked at in a database of any size.
var smallTables = [...]string{"tenants", "destinations", "cursors", "kv", "sending", "gaps", "conditions", "totals", "dead_letter_sums", "sinks"}

// A flaw is what makes a database unusable as it is.
type flaw struct{ why string }

func (f *flaw) Error() string { return f.why }

// isDamage reports whether an error of SQLite says that the file is not what was
// written.
func isDamage(err error) bool {
	if _, ok := errors.AsType[*flaw](err); ok {
		return true
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() {
	case sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_IOERR_DATA:
		return true
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// exists reports whether there is something under a name, and whether it holds
// anything.
func exists(path string) (there, filled bool) {
	info, err := os.Stat(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist), false
	}
	return true, info.Size() > 0
}

// examine looks at a database file that is there. A *flaw, or an error of which
// isDamage is true, says that it is damaged; any other one that it must be left
// alone.
func examine(ctx context.Context, path string, most int64) (who identity, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return who, fmt.Errorf("look at store: %w", err)
	}
	if !info.Mode().IsRegular() {
		return who, &flaw{"it is not a file"}
	}
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return who, err
	}
	defer db.Close() //nolint:errcheck // it has only read
	conn, err := db.Conn(ctx)
	if err != nil {
		return who, err
	}
	defer conn.Close() //nolint:errcheck // it has only read
	if err := examineSchema(ctx, conn); err != nil {
		return who, err
	}
	size := info.Size()
	if wal, err := os.Stat(path + "-wal"); err == nil {
		size += wal.Size()
	}
	if err := examinePages(ctx, conn, size <= most); err != nil {
		return who, err
	}
	if size <= most {
		if err := examineRows(ctx, conn); err != nil {
			return who, err
		}
	}
	return readIdentity(ctx, conn)
}

// examineSchema tells a damaged header from a file of another program or of a
// newer release.
func examineSchema(ctx context.Context, conn *sql.Conn) error {
	var version, app, ours int
	const query = "SELECT count(*) FROM sqlite_schema WHERE name IN ('tenants', 'cursors', 'buffer', 'seen', 'kv')"
	for _, x := range []struct {
		query string
		to    *int
	}{{"PRAGMA user_version", &version}, {"PRAGMA application_id", &app}, {query, &ours}} {
		if err := conn.QueryRowContext(ctx, x.query).Scan(x.to); err != nil {
			return err
		}
	}
	if ours == 5 && (app != applicationID || version < 1 || version > likelyVersions) {
		return &flaw{"its header is not ours, but its tables are"}
	}
	list, err := loadMigrations(migrations)
	if err != nil {
		return err
	}
	if _, err := schemaVersion(ctx, conn, len(list)); err != nil {
		return err
	}
	if ours != 5 {
		return &flaw{"it has no tables of gapless"}
	}
	return nil
}

// examinePages looks at the pages: all of them, with the entries of every index,
// or those of the small tables alone. What is damaged beyond that is met when it
// is read, which stops the process and leaves the file damagedName.
func examinePages(ctx context.Context, conn *sql.Conn, all bool) error {
	checks := []string{"PRAGMA integrity_check(1)"}
	if !all {
		checks = nil
		for _, name := range smallTables {
			checks = append(checks, "PRAGMA quick_check('"+name+"')")
		}
	}
	for _, check := range checks {
		var answer string
		err := conn.QueryRowContext(ctx, check).Scan(&answer)
		if err == nil && answer != "ok" && answer != "no such table" {
			err = &flaw{answer}
		}
		if err != nil && (all || isDamage(err)) { // a table may be missing before its migration
			return err
		}
	}
	return nil
}

// examineRows looks at the events in the buffer, of which SQLite keeps no checksum.
func examineRows(ctx context.Context, conn *sql.Conn) error {
	var rows bool // rather than a row for each event, as in earlier releases
	const query = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('buffer') WHERE name = 'last_seq')"
	if err := conn.QueryRowContext(ctx, query).Scan(&rows); err != nil || !rows {
		return err
	}
	list, err := conn.QueryContext(ctx, "SELECT body FROM buffer")
	if err != nil {
		return err
	}
	return scanAll(list, func(r *sql.Rows) error {
		var body sql.RawBytes
		if err := r.Scan(&body); err != nil {
			return err
		}
		if !sound(body) {
			return errBody
		}
		return nil
	})
}

// A damage is what was found while the file was in use.
type damage struct {
	once  sync.Once
	found chan struct{} // closed then
	err   error
}

// noteDamage hears of every error of a read or a commit. Damage ends the work: the
// channel of Damaged is closed, and the next start looks at the whole file.
func (s *Store) noteDamage(err error) {
	if err == nil || !isDamage(err) {
		return
	}
	s.damage.once.Do(func() {
		s.damage.err = &pipeline.Error{Op: "use store", Class: pipeline.Misconfigured, Err: err, Hint: damagedHint}
		text := time.Now().UTC().Format(time.RFC3339) + " " + err.Error() + "\n"
		if err := os.WriteFile(filepath.Join(s.cfg.Dir, damagedName), []byte(text), 0o600); err != nil {
			s.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "cannot write "+damagedName, slog.Any("error", err))
		}
		s.cfg.Logger.LogAttrs(context.Background(), slog.LevelError, "the store is damaged", slog.Any("error", err), slog.String("hint", damagedHint))
		close(s.damage.found)
	})
}

// Damaged is closed when the file turned out to be damaged, or was taken away or
// replaced: nothing more can be kept in it, and the process should end. The next
// Open restores what can be.
func (s *Store) Damaged() <-chan struct{} { return s.damage.found }

// DamageErr says what was found once Damaged is closed; it is of class
// Misconfigured, with a hint.
func (s *Store) DamageErr() error {
	select {
	case <-s.damage.found:
		return s.damage.err
	default:
		return nil
	}
}

// checkPlace looks whether the file that was opened still is the one in the data
// directory. What is written to another one is lost at the end of the process.
func (s *Store) checkPlace() {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.noteDamage(&flaw{fileName + " was deleted while it was in use"})
	case err == nil && !os.SameFile(info, s.mirror.original):
		s.noteDamage(&flaw{fileName + " was replaced while it was in use"})
	case err == nil && info.Size() < pageSize:
		s.noteDamage(&flaw{fileName + " was cut off while it was in use"})
	}
}
