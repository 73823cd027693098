package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A WaitingSource begins a look at the events that wait for delivery.
type WaitingSource func(ctx context.Context) (WaitingLook, error)

// A WaitingLook is the events that wait as of one moment.
type WaitingLook interface {
	// Rows lists what may hold events of a tenant, of all when it is empty, with dates of
	// since <= date < until; a zero time is no bound.
	Rows(ctx context.Context, tenant string, since, until time.Time) ([]WaitingRow, error)
	// Events returns the events of a row that still wait.
	Events(ctx context.Context, row int64) ([]event.Event, error)
	Close() error
}

// A WaitingRow is some events that wait for one destination.
type WaitingRow struct {
	Row            int64
	Tenant         string
	Place          Place
	Oldest, Newest time.Time // dates between which they lie
	StoredAt       time.Time
	Source         string
}

// A Budget bounds what a query looks at before it says where to go on.
type Budget struct {
	Time   time.Duration // 0 is two seconds
	Blocks int           // opened; 0 is no bound
}

// defaultTime is the Budget.Time of a reader that has none.
const defaultTime = 2 * time.Second

// searches is how many queries are worked at once: each may take a processor, and hold
// one of the store's connections.
const searches = 2

// A Reader reads a journal. Its methods may be called at the same time.
type Reader struct {
	path    string
	codec   codec
	waiting WaitingSource
	budget  Budget
	live    *Journal      // nil beside another process
	slots   chan struct{} // one for each query at work
	suspect atomic.Bool   // what was read was damaged

	mu sync.RWMutex // held for reading while the file is in use
	f  *file        // nil while it cannot be opened
}

// newReader makes one without a file.
func newReader(path string, waiting WaitingSource, b Budget) (*Reader, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	if b.Time == 0 {
		b.Time = defaultTime
	}
	return &Reader{path: path, codec: c, waiting: waiting, budget: b, slots: make(chan struct{}, searches)}, nil
}

// OpenReadOnly opens the journal of a data directory to read it, beside the process that
// writes it or alone. What wait for delivery and what is not written yet, which is a
// second's worth mostly, is not seen by it. The error wraps ErrNoJournal when there is
// none.
func OpenReadOnly(ctx context.Context, dir string) (*Reader, error) {
	path, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("find data directory: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open journal of %s: %w", dir, ErrNoJournal)
	}
	r, err := newReader(path, nil, Budget{})
	if err != nil {
		return nil, err
	}
	f := &file{path: path}
	if f.read, err = openToRead(path); err != nil {
		r.codec.close()
		return nil, err
	}
	r.f = f
	var version int
	err = f.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version != schemaVersion {
		err = fmt.Errorf("schema version %d, this release reads version %d", version, schemaVersion)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), r.Close())
	}
	return r, nil
}

// Close closes the file.
func (r *Reader) Close() error {
	err := r.use(nil)
	r.codec.close()
	return err
}

// file returns the open file, nil when there is none. Only the goroutine that replaces
// it may call it without holding mu.
func (r *Reader) file() *file { return r.f }

// use puts another file in the place of the one in use, which is closed once nobody
// reads it.
func (r *Reader) use(f *file) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.f
	r.f = f
	return before.close()
}

// A look is what a query sees: one moment of all three places. An event that moves on
// is in at least one of them.
type look struct {
	r       *Reader
	ctx     context.Context //nolint:containedctx // of the query, which the look is for
	waiting WaitingLook
	rows    []WaitingRow
	pending []*pending // of which nothing is in the file
	latest  int64      // the number of the latest arrival
	tx      *sql.Tx    // nil without a file
	began   time.Time
	opened  int
	release []func()
}

// bounds are the dates that a query asks for: since <= date < until.
type bounds struct {
	tenant       string
	since, until time.Time
	settled      bool // what waits is not asked for
}

// look begins a query. The caller closes it.
func (r *Reader) look(ctx context.Context, b bounds) (_ *look, err error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l := &look{r: r, ctx: ctx, began: time.Now()}
	l.release = append(l.release, func() { <-r.slots })
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if r.waiting != nil && !b.settled {
		if err := l.lookAtWaiting(b); err != nil {
			return nil, err
		}
	}
	var settling, queued []*pending
	if r.live != nil {
		settling, queued, l.latest = r.live.queue.look()
	}
	r.mu.RLock()
	l.release = append(l.release, r.mu.RUnlock)
	written, err := l.begin()
	if err != nil {
		return nil, r.noteDamage(err)
	}
	l.latest = max(l.latest, written)
	for _, p := range slices.Concat(settling, queued) {
		if r.live.queue.number(p) > written || r.live.queue.number(p) == 0 {
			l.pending = append(l.pending, p)
		}
	}
	return l, nil
}

// number returns that of the first event of an outcome, 0 while it has none.
func (q *queue) number(p *pending) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return p.seq
}

// lookAtWaiting lists what waits.
func (l *look) lookAtWaiting(b bounds) (err error) {
	if l.waiting, err = l.r.waiting(l.ctx); err != nil {
		return fmt.Errorf("read what waits: %w", err)
	}
	l.release = append(l.release, func() { _ = l.waiting.Close() })
	if l.rows, err = l.waiting.Rows(l.ctx, b.tenant, b.since, b.until); err != nil {
		return fmt.Errorf("read what waits: %w", err)
	}
	if len(l.rows) == 0 { // nothing holds the store's connection any more
		return l.waiting.Close()
	}
	return nil
}

// begin begins to read the file, and returns the highest number in it.
func (l *look) begin() (written int64, err error) {
	if l.r.f == nil {
		return 0, nil
	}
	if l.tx, err = l.r.f.read.BeginTx(l.ctx, nil); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	l.release = append(l.release, func() { _ = l.tx.Rollback() })
	if err := l.tx.QueryRowContext(l.ctx, "SELECT coalesce(max(last_seq), 0) FROM blocks").Scan(&written); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	return written, nil
}

// close ends the query.
func (l *look) close() {
	for _, undo := range slices.Backward(l.release) {
		undo()
	}
}

// spent reports whether the budget is used up.
func (l *look) spent() bool {
	return time.Since(l.began) >= l.r.budget.Time || l.r.budget.Blocks > 0 && l.opened >= l.r.budget.Blocks
}

// noteDamage has a damaged file be made anew.
func (r *Reader) noteDamage(err error) error {
	if isDamage(err) && r.live != nil {
		r.suspect.Store(true)
		token(r.live.queue.wake)
	}
	return err
}

// A querier is what queries are made of: a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// queryHeaders reads the headers of the blocks that a clause picks.
func queryHeaders(ctx context.Context, q querier, clause string, args ...any) ([]header, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, tenant, sink, level, first_seq, last_seq, oldest, newest, settled, events, failed, bytes, types, ids FROM blocks `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells what went wrong
	var list []header
	for rows.Next() {
		var h header
		if err := rows.Scan(&h.id, &h.tenant, &h.sink, &h.level, &h.first, &h.last, &h.oldest, &h.newest, &h.settled, &h.events, &h.failed, &h.bytes, &h.types, &h.ids); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		list = append(list, h)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}

// column reads a compressed column of a block.
func (r *Reader) column(ctx context.Context, q querier, query string, id int64) ([]byte, error) {
	var packed []byte
	err := q.QueryRowContext(ctx, query, id).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return r.codec.open(packed)
}

// load reads the records of a block, without the bytes of the events.
func (r *Reader) load(ctx context.Context, q querier, h *header) ([]Record, error) {
	plain, err := r.column(ctx, q, "SELECT facts FROM blocks WHERE id = ?", h.id)
	if err != nil {
		return nil, err
	}
	return decode(plain, h.tenant, h.sink, h.events)
}

// body reads the bytes of the events of a block.
func (r *Reader) body(ctx context.Context, q querier, h *header) ([]byte, error) {
	return r.column(ctx, q, "SELECT body FROM bodies WHERE block = ?", h.id)
}

// loadBodies puts the bytes of the events to their records.
func (r *Reader) loadBodies(ctx context.Context, q querier, h *header, list []Record) error {
	plain, err := r.body(ctx, q, h)
	if err != nil {
		return err
	}
	return share(plain, list)
}

// share puts the parts of a body to their records.
func share(plain []byte, list []Record) error {
	for i := range list {
		n := list[i].size
		if n < 0 || n > len(plain) {
			return errDamaged
		}
		list[i].Event.Raw, plain = plain[:n:n], plain[n:]
	}
	if len(plain) > 0 {
		return errDamaged
	}
	return nil
}
