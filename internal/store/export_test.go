package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"testing"
)

// UseSmallWindows makes buffers opened later read most events from disk.
func UseSmallWindows(s *Store) {
	s.window = windowSize{rows: 3, bytes: 1000, allBytes: 2000, least: 500, readRows: 4, readBytes: 700}
}

// HoldWriter keeps the writer busy until the returned function is called.
func HoldWriter(s *Store) (release func()) {
	gate, entered := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.writer.do(context.Background(), &job{alone: true, run: func(context.Context, *tx) error {
			close(entered)
			<-gate
			return nil
		}})
	}()
	<-entered
	return func() { close(gate) }
}

// ErrSpoiled is what a spoiled job returns.
var ErrSpoiled = errors.New("spoiled")

// Spoil runs a job that writes and then fails.
func Spoil(s *Store) error {
	return s.writer.do(context.Background(), &job{run: func(ctx context.Context, t *tx) error {
		if err := t.exec(ctx, "DELETE FROM buffer"); err != nil {
			return err
		}
		return ErrSpoiled
	}})
}

// Exec runs a statement in the writer, outside of any transaction.
func Exec(s *Store, query string) error {
	return s.writer.do(context.Background(), &job{alone: true, run: func(ctx context.Context, t *tx) error {
		return t.query(ctx, func(*sql.Rows) error { return nil }, query)
	}})
}

// Number reads a number from the file.
func Number(tb testing.TB, r *Reader, query string) (n int64) {
	tb.Helper()
	if err := r.db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// Maintain does the housekeeping at once.
func Maintain(ctx context.Context, s *Store) error {
	return errors.Join(s.prune(ctx), s.pruneLetterIDs(ctx), s.pruneCounts(ctx), s.shrink(ctx))
}

// MigrateFile brings a file up to date with the migrations of a file system.
func MigrateFile(ctx context.Context, path string, files fs.FS) error {
	db, err := sql.Open("sqlite", writeDSN(path))
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(migrate(ctx, conn, files), conn.Close(), db.Close())
}

// Migrations are those of this release.
var Migrations fs.FS = migrations

// SetVersion sets the schema version of a file.
func SetVersion(tb testing.TB, path string, version int) {
	tb.Helper()
	db, err := sql.Open("sqlite", writeDSN(path))
	if err != nil {
		tb.Fatal(err)
	}
	_, err = db.ExecContext(context.Background(), "PRAGMA user_version = "+strconv.Itoa(version))
	if err := errors.Join(err, db.Close()); err != nil {
		tb.Fatal(err)
	}
}

// PageSize is the size of a page, in bytes.
const PageSize = pageSize

// UncheckedConfig is the configuration of a store of which only the small tables
// are looked at when it is opened, as of one of many gigabytes.
func UncheckedConfig(dir string) Config { return Config{Dir: dir, checkBytes: 1} }

// WriteMirror writes the mirror at once.
func WriteMirror(ctx context.Context, s *Store) { s.writeMirror(ctx) }

// CheckPlace looks at once whether the file is still there.
func CheckPlace(s *Store) { s.checkPlace() }

// MirrorName is the name of the mirror.
const MirrorName = mirrorName

// NewName is the name of a database that is being put together.
const NewName = newName

// MakeForeign puts the database of another program into a data directory.
func MakeForeign(dir string) error {
	db, err := sql.Open("sqlite", dsn(filepath.Join(dir, fileName), "rwc"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('https://example.com')")
	return errors.Join(err, db.Close())
}

// ReserveName is the file that holds room for delivery.
const ReserveName = reserveName

// ConfigWithSpace is the configuration of a store on a file system of a size, of
// which as much is free as free returns.
func ConfigWithSpace(dir string, total int64, free func() int64) Config {
	return Config{Dir: dir, space: func(string) (space, error) { return space{free: free(), total: total}, nil }}
}

// LookAtRoom looks at once how much room there is.
func LookAtRoom(ctx context.Context, s *Store) error {
	return s.writer.do(ctx, &job{alone: true, run: func(ctx context.Context, t *tx) error {
		t.w.lookAtRoom(ctx, t.now, 0)
		return nil
	}})
}
