package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Buffer keeps the events of one tenant. It is a pipeline.Buffer.
type Buffer struct {
	store  *Store
	id     int64
	tenant string
	totals atomic.Pointer[figures] // as of the last commit
	sinks  sinks
	partly atomic.Bool // there are events of which a sink may have lost its copy

	unmetered atomic.Bool // see Meter

	mu           sync.Mutex
	changed      chan struct{} // closed and replaced whenever Next should look again
	destinations map[pipeline.Destination]int64
	names        map[int64]pipeline.Destination
	windows      map[int64]*window
	turns        []*window // windows that may hold something, in the order of their turns
	applied      int64     // the windows know of every event up to this seq
	backlog      map[string]time.Time
	leases       map[int64]*entry // by lease key
	leased       map[int64]bool   // by seq
	lastKey      int64
	marks        map[int64]*mark          // by seq: what says on disk that the event may be on its way
	doubts       map[int64]pipeline.Doubt // by seq: of events that may have arrived
	settling     map[int64]chan struct{}  // batches being settled, by their first key
	ledgers      map[string]bool          // sinks whose deliveries are written down
	progress     progress
	restored     pipeline.Doubt // of events that may have been delivered by a store that was lost
}

var _ pipeline.Buffer = (*Buffer)(nil)

// openBuffer reads what the file knows of a tenant.
func openBuffer(ctx context.Context, s *Store, tenant string) (*Buffer, error) {
	b := &Buffer{
		store: s, tenant: tenant, changed: make(chan struct{}),
		destinations: make(map[pipeline.Destination]int64), names: make(map[int64]pipeline.Destination),
		windows: make(map[int64]*window), backlog: make(map[string]time.Time),
		leases: make(map[int64]*entry), leased: make(map[int64]bool), settling: make(map[int64]chan struct{}),
		ledgers: make(map[string]bool),
	}
	err := s.writer.do(ctx, &job{drains: true, run: func(ctx context.Context, t *tx) error { return b.load(ctx, t, s.writer.nextSeq-1) }})
	if err != nil {
		return nil, fault("read tenant", err)
	}
	b.tellQuota(ctx, figures{}, b.figures())
	return b, nil
}

// load makes the tenant's row when it is new and reads its figures and
// destinations. Every event up to the last one counts as known to the windows,
// which read from disk what they do not hold.
func (b *Buffer) load(ctx context.Context, t *tx, last int64) error {
	inserted, err := t.change(ctx, "INSERT INTO tenants (name) VALUES (?) ON CONFLICT DO NOTHING", b.tenant)
	if err != nil {
		return err
	}
	var f figures
	err = t.query(ctx, func(r *sql.Rows) error {
		return r.Scan(&b.id, &f.events, &f.bytes, &f.letters, &f.letterBytes, &f.newest, &f.storedAt, &f.deliveredAt)
	}, `SELECT id, buffered_events, buffered_bytes, dead_letters, dead_letter_bytes, newest_date, stored_at, delivered_at
		FROM tenants WHERE name = ?`, b.tenant)
	if err != nil {
		return err
	}
	b.publish(f)
	if err := b.keepQuotaCondition(ctx, t, f); err != nil {
		return err
	}
	if err := b.loadRestored(ctx, t, inserted > 0); err != nil {
		return err
	}
	if err := b.loadSinks(ctx, t); err != nil {
		return err
	}
	if err := b.loadPartly(ctx, t); err != nil {
		return err
	}
	if err := b.loadProgress(ctx, t, f.events+b.sinks.waiting(true), last); err != nil {
		return err
	}
	b.applied = last
	b.turns = nil // should this be a second run
	if err := b.loadMarks(ctx, t); err != nil {
		return err
	}
	return t.query(ctx, func(r *sql.Rows) error {
		var id int64
		var d pipeline.Destination
		if err := r.Scan(&id, &d.Sink, &d.LogGroup, &d.LogStream); err != nil {
			return err
		}
		b.know(d, id, &window{id: id, to: d})
		return nil
	}, "SELECT id, sink, log_group, log_stream FROM destinations WHERE tenant_id = ? ORDER BY id", b.id)
}

// know adds a destination with its window, and gives it a turn.
func (b *Buffer) know(d pipeline.Destination, id int64, w *window) {
	b.destinations[d] = id
	b.names[id] = d
	b.windows[id] = w
	b.turn(w)
}

// figures returns the totals as of the last commit.
func (b *Buffer) figures() figures { return *b.totals.Load() }

// publish sets the totals after a commit.
func (b *Buffer) publish(f figures) { b.totals.Store(&f) }

// wake makes every Next look again. The caller holds mu.
func (b *Buffer) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// destination returns the id of a destination, and gives it one if it is new.
func (b *Buffer) destination(ctx context.Context, d pipeline.Destination) (int64, error) {
	b.mu.Lock()
	id, ok := b.destinations[d]
	b.mu.Unlock()
	if ok {
		return id, nil
	}
	err := b.store.writer.do(ctx, &job{
		run: func(ctx context.Context, t *tx) error {
			err := t.exec(ctx, "INSERT INTO destinations (tenant_id, sink, log_group, log_stream) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
				b.id, d.Sink, d.LogGroup, d.LogStream)
			if err != nil {
				return err
			}
			return t.query(ctx, func(r *sql.Rows) error { return r.Scan(&id) },
				"SELECT id FROM destinations WHERE tenant_id = ? AND sink = ? AND log_group = ? AND log_stream = ?", b.id, d.Sink, d.LogGroup, d.LogStream)
		},
		applied: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.windows[id] == nil {
				b.know(d, id, &window{id: id, to: d, complete: true})
			}
		},
	})
	return id, err
}

// Cursor returns the stored cursor of a source, see pipeline.Buffer.
func (b *Buffer) Cursor(ctx context.Context, source string) (event.Cursor, error) {
	var c event.Cursor
	err := b.store.db.QueryRowContext(ctx, "SELECT cursor FROM cursors WHERE tenant_id = ? AND source = ?", b.id, source).Scan(&c)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", b.readFault(ctx, "read cursor", err)
	}
	return c, nil
}

// readFault classifies an error of a read; the end of ctx goes before it.
func (b *Buffer) readFault(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.store.noteDamage(err) //nolint:contextcheck // it is told whatever ctx does
	return fault(op, err)
}
