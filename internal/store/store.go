package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/prometheus/client_golang/prometheus"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// fileName is the database within the data directory.
const fileName = "gapless.db"

// Defaults of Config.
const (
	DefaultMaxBytes       = 10 << 30
	DefaultMaxLetterBytes = 1 << 30
	DefaultDedupWindow    = 72 * time.Hour
)

// pageSize is that of every file: SQLite's default. The driver runs pragmas in the
// order of their names, and auto_vacuum fixes the size before page_size could.
const pageSize = 4 << 10

// busyTimeout is how long to wait for another program that has the file locked.
const busyTimeout = 5 * time.Second

// Config says where and how much to keep.
type Config struct {
	// Dir is the data directory; it is made when it is missing.
	Dir string
	// MaxBytes is how many bytes of events each tenant's buffer holds before
	// Append returns pipeline.ErrBufferFull; 0 means DefaultMaxBytes. What
	// SQLite adds, and dead letters up to MaxLetterBytes, come on top.
	MaxBytes int64
	// MaxLetterBytes is how many bytes of dead letters each tenant may have; 0
	// means DefaultMaxLetterBytes. None is ever deleted or refused for it: what is
	// beyond it takes the place of the buffer, and a condition tells of it.
	MaxLetterBytes int64
	// DedupWindow is for how long a log_id is known after its event was stored;
	// 0 means DefaultDedupWindow. While the event is in the buffer it is known
	// however long that takes.
	DedupWindow time.Duration
	// Logger hears of trouble in the background; nil discards.
	Logger *slog.Logger
	// Registerer takes the store's figures; nil takes none.
	Registerer prometheus.Registerer

	space func(dir string) (space, error) // asks for the room of a file system; nil means spaceOf

	checkBytes int64 // up to which size all of the file is looked at; 0 means checkAllBytes
}

// A Store is the open file of a data directory. Its methods may be called at
// the same time.
type Store struct {
	*Reader

	cfg     Config
	limit   atomic.Pointer[Limits]
	path    string // of the file
	lock    *flock.Flock
	writeDB *sql.DB
	writer  *writer
	metrics *metrics
	window  windowSize
	mirror  mirroring
	damage  damage
	told    told

	cancel   context.CancelFunc // ends the background work
	work     sync.WaitGroup
	lastTidy func() // the housekeeping at the end

	mu      sync.Mutex
	buffers map[string]*Buffer
	closing sync.Once
	closed  error // what Close returned
}

// Open opens the store of a data directory and takes the directory's lock until
// Close. It makes the directory and the file when they are missing and brings
// an older file up to date. Errors are of class Misconfigured, with a hint,
// when a person must act: the directory is in use (ErrLocked), the file is of a
// newer release (ErrNewerSchema) or of another program, or nobody may write there.
// The logger hears when others may read the directory.
//
// A file that is damaged, missing or an older copy is restored from what can be
// read of it and from the mirror of the cursors; see docs/adr/0014. That is told by
// the log, by a condition of each tenant and by the file ReportName.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, DefaultMaxBytes)
	cfg.MaxLetterBytes = cmp.Or(cfg.MaxLetterBytes, DefaultMaxLetterBytes)
	cfg.DedupWindow = cmp.Or(cfg.DedupWindow, DefaultDedupWindow)
	cfg.checkBytes = cmp.Or(cfg.checkBytes, checkAllBytes)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := makeDir(cfg.Dir); err != nil {
		return nil, err
	}
	tellRights(ctx, cfg.Dir, cfg.Logger)
	lock, err := lockDir(ctx, cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, lock: lock, window: defaultWindow, buffers: make(map[string]*Buffer)}
	s.limit.Store(&Limits{MaxBytes: cfg.MaxBytes, MaxLetterBytes: cfg.MaxLetterBytes, DedupWindow: cfg.DedupWindow})
	s.mirror.due = make(chan struct{}, 1)
	s.damage.found = make(chan struct{})
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// open opens the file under the lock and starts the work.
func (s *Store) open(ctx context.Context) error {
	path, err := filePath(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.path = path
	reserve, reserved := startReserve(s.cfg.Dir, s.cfg.Logger, s.cfg.space)
	mirrored, err := s.mend(ctx)
	if err != nil {
		return err
	}
	// Made here because SQLite would give the others the right to read it.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return &pipeline.Error{Op: "create store", Class: pipeline.Misconfigured, Err: err, Hint: "The user that gapless runs as must be able to write the data directory."}
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("create store: %w", err)
	}
	if s.writeDB, err = sql.Open("sqlite", writeDSN(path)); err != nil {
		return fault("open store", err)
	}
	s.writeDB.SetMaxOpenConns(1)
	conn, err := s.writeDB.Conn(ctx)
	if err != nil {
		return fault("open store", err)
	}
	if s.writer, err = startWriter(ctx, conn, s.cfg.Logger, reserve); err != nil {
		return errors.Join(err, conn.Close())
	}
	if err := errors.Join(s.startMirror(ctx, mirrored), s.loadTold(ctx), s.writer.keepReserve(ctx, reserved)); err != nil {
		return err
	}
	if s.Reader, err = openReader(path, ""); err != nil {
		return err
	}
	if s.metrics, err = newMetrics(s.cfg.Registerer, s); err != nil {
		return err
	}
	s.writer.observe = s.metrics.commit
	s.writer.failed = s.noteDamage
	s.writer.start()
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.lastTidy = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyAtClose)
		defer cancel()
		s.tidy(ctx)
		s.lastMirror(context.WithoutCancel(ctx))
	}
	s.writeMirror(ctx) // each start is a generation of its own
	s.work.Go(func() { s.maintain(background) })
	s.work.Go(func() { s.keepMirror(background) })
	return nil
}

// makeDir makes the data directory, for its owner alone.
func makeDir(dir string) error {
	if dir == "" {
		return &pipeline.Error{Op: "open store", Class: pipeline.Misconfigured, Err: errors.New("no data directory is set"), Hint: "Set data_dir."}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &pipeline.Error{Op: "make data directory", Class: pipeline.Misconfigured, Err: err, Hint: "Make it yourself and give it to the user that gapless runs as, or set another data_dir."}
	}
	return nil
}

// writeDSN names the file for the writer. Auto-vacuum counts only while the file
// is empty.
func writeDSN(path string) string {
	return dsn(path, "rwc",
		"auto_vacuum(incremental)",
		"journal_mode(wal)", "synchronous(full)",
		"wal_autocheckpoint("+strconv.Itoa(walPages)+")", "journal_size_limit("+strconv.Itoa(walLimit)+")",
		"cache_size(-16000)", "temp_store(memory)") + "&_txlock=immediate"
}

// filePath names the file of a data directory in full.
func filePath(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, fileName))
	if err != nil {
		return "", fmt.Errorf("find data directory: %w", err)
	}
	return path, nil
}

// dsn names a file with the pragmas that every connection to it starts with.
func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())}, pragmas...)}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/...
		path = "/" + path
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// Buffer returns the buffer of a tenant, the same one for the same name. A name
// that is new becomes a tenant.
func (s *Store) Buffer(ctx context.Context, tenant string) (*Buffer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buffers[tenant]; ok {
		return b, nil
	}
	b, err := openBuffer(ctx, s, tenant)
	if err != nil {
		return nil, fmt.Errorf("open buffer of %s: %w", tenant, err)
	}
	s.buffers[tenant] = b
	return b, nil
}

// opened returns the buffers that are open.
func (s *Store) opened() []*Buffer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Buffer, 0, len(s.buffers))
	for _, b := range s.buffers {
		list = append(list, b)
	}
	return list
}

// Close finishes the commit under way, closes the file and frees the directory.
// Calls that come later or still wait for their turn return ErrClosed. It may
// be repeated.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.release() })
	return s.closed
}

// release takes down what open has built so far, the last first.
func (s *Store) release() error {
	var errs []error
	if s.cancel != nil {
		s.cancel()
	}
	s.work.Wait()
	if s.lastTidy != nil {
		s.lastTidy()
	}
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.metrics != nil {
		s.metrics.unregister()
	}
	if s.Reader != nil {
		errs = append(errs, s.Reader.Close())
	}
	if s.writeDB != nil { // last: the last connection folds the WAL into the file
		errs = append(errs, s.writeDB.Close())
	}
	errs = append(errs, s.lock.Unlock())
	return errors.Join(errs...)
}
