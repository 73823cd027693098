package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Config.
const (
	DefaultKeep      = 7 * 24 * time.Hour
	DefaultMaxBytes  = 1 << 30
	DefaultMaxQueued = 64 << 20
)

// Limits bound what is kept.
type Limits struct {
	// Keep is how long an event, a delivery or a run is kept since it passed; 0 means
	// DefaultKeep.
	Keep time.Duration
	// MaxBytes is how large the file may become before the oldest blocks leave; 0 means
	// DefaultMaxBytes. Its write-ahead log, of up to 16 MiB mostly, comes on top.
	MaxBytes int64
}

// Config says where and how much to keep.
type Config struct {
	// Dir is the data directory. One journal at a time may be open for writing.
	Dir string
	Limits
	// MaxQueued is how many bytes wait at most to be written; what comes beyond that is
	// dropped and counted. 0 means DefaultMaxQueued.
	MaxQueued int64
	// Waiting tells of the events that wait for delivery; nil when nobody does.
	Waiting WaitingSource
	// Late says that events passed before there was a journal, so that one that is made
	// now lacks them.
	Late bool
	// Logger hears of trouble; nil discards.
	Logger *slog.Logger
	// Registerer takes the figures; nil takes none.
	Registerer prometheus.Registerer

	budget Budget
	hurry  int64                                         // how much is queued in a backlog, in bytes; 0 means hurryBytes
	free   func(dir string) (free, all int64, err error) // of a file system; nil asks it
}

// A Journal is the open journal of a running process. Its methods may be called at the
// same time.
type Journal struct {
	*Reader

	cfg     Config
	queue   *queue
	watches watches
	metrics *metrics
	stop    chan struct{}
	stopped chan struct{}
	closing sync.Once
	closed  error

	limits sync.Mutex // guards cfg.Limits

	// What follows belongs to the goroutine that writes.
	trouble  bool
	retry    time.Time
	renewed  time.Time // when the file was made anew
	raw      rawPacker
	hurried  time.Time // when a raw block was last written
	rawSince time.Time // since when there are raw blocks; zero for none
}

// Open opens the journal of a data directory, and makes it when it is missing. It never
// fails for what the file is: one that cannot be used is made anew, and where that is
// not possible either what comes is held in memory, within bounds, until it is. The
// context is that of the opening.
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	cfg.Limits = cfg.filled()
	cfg.MaxQueued = cmp.Or(cfg.MaxQueued, DefaultMaxQueued)
	cfg.hurry = cmp.Or(cfg.hurry, hurryBytes)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.free == nil {
		cfg.free = freeSpace
	}
	path, err := filepath.Abs(filepath.Join(cfg.Dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("find data directory: %w", err)
	}
	r, err := newReader(path, cfg.Waiting, cfg.budget)
	if err != nil {
		return nil, err
	}
	j := &Journal{Reader: r, cfg: cfg, stop: make(chan struct{}), stopped: make(chan struct{})}
	j.queue = newQueue(cfg.MaxQueued, 1)
	j.watches.journal = j
	j.watches.of = make(map[watchKey]*Watch)
	r.live = j
	if j.metrics, err = newMetrics(cfg.Registerer, j); err != nil {
		r.codec.close()
		return nil, err
	}
	if err := j.reopen(ctx); err != nil {
		j.failed(ctx, err)
	}
	j.queue.begins(j.lastNumber(ctx))
	go func() {
		defer close(j.stopped)
		j.write(context.WithoutCancel(ctx))
	}()
	return j, nil
}

// filled returns limits with the defaults in the place of what is not set.
func (l Limits) filled() Limits {
	return Limits{Keep: cmp.Or(l.Keep, DefaultKeep), MaxBytes: cmp.Or(l.MaxBytes, DefaultMaxBytes)}
}

// SetLimits changes what is kept; the next housekeeping goes by it.
func (j *Journal) SetLimits(l Limits) {
	j.limits.Lock()
	defer j.limits.Unlock()
	j.cfg.Limits = l.filled()
}

// bounds returns the limits of the moment.
func (j *Journal) bounds() Limits {
	j.limits.Lock()
	defer j.limits.Unlock()
	return j.cfg.Limits
}

// lastNumber returns the highest number of arrival that may have been given: those that
// a crash has lost were lower than the clock in microseconds.
func (j *Journal) lastNumber(ctx context.Context) int64 {
	last := time.Now().UnixMicro()
	j.watches.last = time.Now().UnixMilli() // likewise of runs
	if f := j.file(); f != nil {
		var stored int64
		err := f.read.QueryRowContext(ctx, "SELECT coalesce(max(last_seq), 0) FROM blocks").Scan(&stored)
		if err == nil {
			last = max(last, stored)
		}
		err = f.read.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM runs").Scan(&stored)
		if err == nil {
			j.watches.last = max(j.watches.last, stored)
		}
	}
	return last
}

// begins sets the number of the first event.
func (q *queue) begins(last int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = last + 1
}

// Settling notes the outcome of a batch that is about to be settled; done is called
// when that has happened, or not. It never waits. The batch belongs to the journal too
// from then on, and nobody may change it.
func (j *Journal) Settling(o Outcome) (done func(settled bool)) {
	p := newPending(o)
	j.queue.begin(p)
	return func(settled bool) {
		if n := j.queue.settled(p, settled); n > 0 {
			j.metrics.dropped.Add(float64(n))
		}
	}
}

// Close writes what is queued, within a few seconds, and closes the file. It may be
// repeated. Nobody may call Settling any more.
func (j *Journal) Close() error {
	j.closing.Do(func() {
		close(j.stop)
		<-j.stopped
		j.metrics.unregister()
		j.closed = errors.Join(j.use(nil), nil)
		j.codec.close()
	})
	return j.closed
}
