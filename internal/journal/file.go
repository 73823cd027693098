package journal

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileName is the file within the data directory.
const FileName = "history.db"

// ErrNoJournal says that a data directory has no journal: none was written yet, or it is
// turned off.
var ErrNoJournal = errors.New("there is no journal")

// schema makes the tables of a new file.
//
//go:embed schema.sql
var schema string

// schemaVersion is that of the tables; a file of another one is made anew.
const schemaVersion = 1

// pageSize is that of the database, in bytes: most of what is written are long bodies, of
// which each page costs calls of the system.
const pageSize = 16 << 10

// connections is how many reads may be under way at once; further ones wait.
const connections = 4

// fileDSN names the file with the pragmas of its connections.
func fileDSN(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/...
		path = "/" + path
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// file is the open file.
type file struct {
	path  string
	write *sql.DB // one connection; nil when it is only read
	read  *sql.DB
	info  fs.FileInfo
}

// openFile opens the file for writing, and makes it when it is missing. A file that is
// damaged or of another version is an error of which isDamage is true. late says that a
// new one lacks what passed before.
func openFile(ctx context.Context, path string, late bool) (_ *file, err error) {
	// Made here because SQLite would give others the right to read it.
	made, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err := made.Close(); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	f := &file{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	f.write, err = sql.Open("sqlite", fileDSN(path, "rwc", fmt.Sprintf("page_size(%d)", pageSize), "auto_vacuum(incremental)", "journal_mode(wal)", "synchronous(normal)",
		"journal_size_limit(16777216)", "wal_autocheckpoint(512)", "cache_size(-2000)", "temp_store(memory)")+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	f.write.SetMaxOpenConns(1)
	if err := f.prepare(ctx, late); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if f.info, err = os.Stat(path); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if f.read, err = openToRead(path); err != nil {
		return nil, err
	}
	return f, nil
}

// openToRead makes the connections for reading.
func openToRead(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", fileDSN(path, "ro", "query_only(1)", "cache_size(-8000)"))
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	db.SetMaxOpenConns(connections)
	return db, nil
}

// prepare makes the tables of a new file, and refuses one of another version.
func (f *file) prepare(ctx context.Context, late bool) error {
	var version, tables int
	if err := f.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if err := f.write.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case version == schemaVersion:
		return nil
	case version != 0 || tables > 0:
		return fmt.Errorf("schema version %d, this release writes version %d: %w", version, schemaVersion, errDamaged)
	}
	tx, err := f.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, schema)
	if err == nil && late {
		_, err = tx.ExecContext(ctx, "UPDATE since SET at = ?", time.Now().UnixMicro())
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// close closes the file; nil is none.
func (f *file) close() error {
	if f == nil {
		return nil
	}
	var errs []error
	for _, db := range []*sql.DB{f.read, f.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// moved reports whether another file, or none, lies where this one was opened.
func (f *file) moved() bool {
	info, err := os.Stat(f.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, f.info)
}

// remove deletes a file with what belongs to it.
func remove(path string) error {
	var errs []error
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// isDamage reports whether an error says that the file is not what was written.
func isDamage(err error) bool {
	if errors.Is(err, errDamaged) || errors.Is(err, zstd.ErrMagicMismatch) || errors.Is(err, zstd.ErrCRCMismatch) {
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
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR: // the last: a table is missing
		return true
	}
	return false
}

// codec compresses and opens. It is made for each journal, as what it holds must not be
// shared by the tests' bubbles.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// maxPlain bounds what is opened, in bytes: many times the largest block.
const maxPlain = 256 << 20

// newCodec makes one.
func newCodec() (codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(blockBytes), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, fmt.Errorf("set up compression: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxPlain))
	if err != nil {
		return codec{}, fmt.Errorf("set up compression: %w", err)
	}
	return codec{enc, dec}, nil
}

// The forms of what is compressed, told by its first byte.
const (
	formZstd = 0
	formS2   = 1 // a quarter of the work, for half as much again in size
)

// pack compresses; see also packQuick.
func (c codec) pack(plain []byte) []byte {
	return c.enc.EncodeAll(plain, []byte{formZstd})
}

// open returns what was compressed.
func (c codec) open(packed []byte) (plain []byte, err error) {
	err = errDamaged
	switch {
	case len(packed) == 0:
	case packed[0] == formZstd:
		plain, err = c.dec.DecodeAll(packed[1:], nil)
	case packed[0] == formS2:
		if n, e := s2.DecodedLen(packed[1:]); e == nil && n <= maxPlain {
			plain, err = s2.Decode(nil, packed[1:])
		}
	}
	if err != nil {
		return nil, errors.Join(errDamaged, err)
	}
	return plain, nil
}

// close ends it.
func (c codec) close() {
	if c.dec != nil {
		c.dec.Close()
	}
}
