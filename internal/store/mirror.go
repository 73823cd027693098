package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	// mirrorName is the file beside the database from which the export can go on
	// when the database is lost.
	mirrorName = "gapless.cursors.json"
	// mirrorVersion is the version of its form.
	mirrorVersion = 1
	// mirrorMost bounds what is read of it: some hundred bytes for each tenant.
	mirrorMost = 64 << 20
	// mirrorEvery is the shortest time between two writes of it.
	mirrorEvery = time.Second
	// mirrorLast bounds the write at the end.
	mirrorLast = 5 * time.Second
)

// A mirror is the content of that file. Its cursors are not those of the database:
// each lies where reading again meets every event that had not left the buffer, so
// a mirror that is old is as good as a new one, but for the work. It is never ahead
// of what is flushed in the database.
type mirror struct {
	Version int `json:"version"`
	// Store names the database that it belongs to, and Generation says how often
	// it was written for it. A database of a lower generation is an older copy.
	Store      string    `json:"store"`
	Schema     int       `json:"schema"`
	Generation int64     `json:"generation"`
	WrittenAt  time.Time `json:"written_at"`
	// Tenants holds the positions by tenant and source.
	Tenants map[string]map[string]position `json:"tenants"`
	// Checksum is the SHA-256 of the rest, so that no damaged cursor is believed.
	Checksum string `json:"checksum"`
}

// errBadMirror says that the file cannot be believed.
var errBadMirror = errors.New("it is not what gapless has written there")

// sum returns the checksum that the content should have.
func (m mirror) sum() (string, error) {
	m.Checksum = ""
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:]), nil
}

// readMirror reads the file of a data directory; nil when there is none.
func readMirror(dir string) (*mirror, error) {
	path := filepath.Join(dir, mirrorName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there may be none
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > mirrorMost) {
		err = errBadMirror
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", mirrorName, err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", mirrorName, err)
	}
	m := &mirror{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", mirrorName, errBadMirror) // its words may quote the content
	}
	if want, err := m.sum(); err != nil || m.Version != mirrorVersion || m.Checksum != want {
		return nil, fmt.Errorf("read %s: %w", mirrorName, errors.Join(errBadMirror, err))
	}
	return m, nil
}

// write puts the content in the place of the file, in one step.
func (m mirror) write(dir string) (err error) {
	if m.Checksum, err = m.sum(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, mirrorName), append(text, '\n'))
}

// replaceFile writes a file of the data directory anew: after a crash it holds
// either what it held before or all of the new content.
func replaceFile(path string, content []byte) error {
	next := path + ".tmp"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir flushes the names of a directory to disk.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator names the directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// The rows of the table kv that are the store's own. Those of tenant 0 belong to
// the whole file.
const (
	spaceStore    = "store"
	keyID         = "id"
	keyGeneration = "generation"
	keyTold       = "told"        // what the conditions tell of a restoration
	keyRestored   = "restored"    // the doubt of a tenant
	keyLostCursor = "lost_cursor" // nothing is known of where a tenant stood
)

// putStoreKV writes one of those rows.
const putStoreKV = `INSERT INTO kv (tenant_id, space, key, value, updated_at) VALUES (?, 'store', ?, ?, ?)
	ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`

// newStoreID makes a name for a database.
func newStoreID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// An identity is what a database says of itself.
type identity struct {
	id         string
	generation int64
	at         time.Time // of the generation
}

// readIdentity reads it from the rows; the zero identity is that of a file of an
// earlier release.
func readIdentity(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
},
) (who identity, err error) {
	rows, err := db.QueryContext(ctx, "SELECT key, CAST(value AS TEXT), updated_at FROM kv WHERE tenant_id = 0 AND space = 'store'")
	if err != nil {
		return who, err
	}
	err = scanAll(rows, func(r *sql.Rows) error {
		var key, value string
		var at int64
		if err := r.Scan(&key, &value, &at); err != nil {
			return err
		}
		switch key {
		case keyID:
			who.id = value
		case keyGeneration:
			who.at = timeOf(at)
			who.generation, err = strconv.ParseInt(value, 10, 64)
			return err
		}
		return nil
	})
	return who, err
}

// A mirroring keeps the mirror of a store.
type mirroring struct {
	mu       sync.Mutex    // held while the file is written
	due      chan struct{} // has a token when the file is behind
	who      identity
	schema   int
	initial  map[string]map[string]position // as found at the start; not changed
	tenants  map[string]map[string]position // as last written, also of tenants that are not open
	told     bool                           // that the file cannot be written
	original os.FileInfo                    // of the database that was opened
}

// changed notes that something was stored or has left, so that the mirror is
// behind.
func (s *Store) changed() {
	select {
	case s.mirror.due <- struct{}{}:
	default:
	}
}

// startMirror gives a database that has none an identity and begins with what the
// file holds.
func (s *Store) startMirror(ctx context.Context, m *mirror) (err error) {
	list, err := loadMigrations(migrations)
	if err != nil {
		return err
	}
	s.mirror.schema = len(list)
	s.mirror.initial = make(map[string]map[string]position)
	if m != nil && m.Tenants != nil {
		s.mirror.initial = m.Tenants
	}
	s.mirror.tenants = maps.Clone(s.mirror.initial)
	if s.mirror.who, err = readIdentity(ctx, s.writer.conn); err != nil {
		return fault("read identity of store", err)
	}
	if s.mirror.who.id == "" {
		s.mirror.who.id = newStoreID()
		if _, err := s.writer.conn.ExecContext(ctx, putStoreKV, 0, keyID, []byte(s.mirror.who.id), time.Now().UnixMicro()); err != nil {
			return fault("write identity of store", err)
		}
	}
	if s.mirror.original, err = os.Stat(s.path); err != nil {
		return fmt.Errorf("look at store: %w", err)
	}
	return nil
}

// keepMirror writes the mirror when it is behind, at most once in mirrorEvery,
// until ctx ends.
func (s *Store) keepMirror(ctx context.Context) {
	timer := time.NewTimer(mirrorEvery)
	defer timer.Stop()
	for {
		select { // first, so that a burst costs one write
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-s.mirror.due:
		}
		s.writeMirror(ctx)
		timer.Reset(mirrorEvery)
	}
}

// writeMirror writes the mirror. That it fails is no reason to stop: the one that
// is there stays true.
func (s *Store) writeMirror(ctx context.Context) {
	s.mirror.mu.Lock()
	defer s.mirror.mu.Unlock()
	s.checkPlace() //nolint:contextcheck // it is told whatever ctx does
	m, err := s.takeMirror(ctx)
	if err == nil {
		err = m.write(s.cfg.Dir)
	}
	switch {
	case err == nil:
		s.mirror.told, s.mirror.tenants = false, m.Tenants
	case errors.Is(err, ErrClosed) || ctx.Err() != nil:
		s.changed()
	default:
		s.changed()
		if !s.mirror.told {
			s.mirror.told = true
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot write "+mirrorName+", it is tried again; until then a loss of the store costs more reading",
				slog.Any("error", err), slog.String("hint", "Make room on the disk of the data directory, and let the user that gapless runs as write there."))
		}
	}
}

// takeMirror raises the generation of the database and, once that is on disk,
// takes the positions of that moment.
func (s *Store) takeMirror(ctx context.Context) (m mirror, err error) {
	open := s.opened()
	m = mirror{Version: mirrorVersion, Store: s.mirror.who.id, Schema: s.mirror.schema, Generation: s.mirror.who.generation + 1, Tenants: maps.Clone(s.mirror.tenants)}
	err = s.writer.do(ctx, &job{
		run: func(ctx context.Context, t *tx) error {
			m.WrittenAt = t.now.UTC()
			return t.exec(ctx, putStoreKV, 0, keyGeneration, []byte(strconv.FormatInt(m.Generation, 10)), t.now.UnixMicro())
		},
		applied: func() {
			for _, b := range open {
				b.mu.Lock()
				m.Tenants[b.tenant] = b.progress.safe()
				b.mu.Unlock()
			}
		},
	})
	if err == nil {
		s.mirror.who.generation = m.Generation
	}
	return m, err
}

// lastMirror writes the mirror at the end, if it is behind.
func (s *Store) lastMirror(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, mirrorLast)
	defer cancel()
	select {
	case <-s.mirror.due:
		s.writeMirror(ctx)
	default:
	}
}
