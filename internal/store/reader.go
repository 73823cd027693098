package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// readers is how many reads may be under way at once.
const readers = 4

// A Reader reads a store. Its reads hold nobody up: each sees the file as of the
// last commit before it began.
type Reader struct {
	db *sql.DB
}

// OpenReadOnly opens the store of a data directory to read it, beside a process
// that works in it or alone. The error wraps ErrNoData when there is none yet.
func OpenReadOnly(ctx context.Context, dir string) (*Reader, error) {
	path, err := filePath(dir)
	if err != nil {
		return nil, err
	}
	return openToRead(ctx, dir, path, "")
}

// openToRead opens the file of a data directory, with more behind its name.
func openToRead(ctx context.Context, dir, path, more string) (*Reader, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, &pipeline.Error{
			Op: "open store", Class: pipeline.Misconfigured, Err: fmt.Errorf("%s: %w", dir, ErrNoData),
			Hint: "Start `gapless run` first, or name the data_dir that it uses.",
		}
	}
	r, err := openReader(path, more)
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// openReader makes the connections for reading.
func openReader(path, more string) (*Reader, error) {
	db, err := sql.Open("sqlite", dsn(path, "ro", "query_only(1)", "cache_size(-4000)")+more)
	if err != nil {
		return nil, fault("open store", err)
	}
	db.SetMaxOpenConns(readers)
	return &Reader{db: db}, nil
}

// check refuses a file that this release cannot read.
func (r *Reader) check(ctx context.Context) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return fault("open store", err)
	}
	defer conn.Close() //nolint:errcheck // it has only read
	list, err := loadMigrations(migrations)
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, conn, len(list))
	if err != nil {
		return err
	}
	if version < len(list) {
		return &pipeline.Error{
			Op: "open store", Class: pipeline.Misconfigured,
			Err:  fmt.Errorf("schema version %d, this release reads version %d", version, len(list)),
			Hint: "Start this release's `gapless run` once: it brings the file up to date.",
		}
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.db.Close() }
