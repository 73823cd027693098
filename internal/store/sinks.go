package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// LeftPart and a name are the part under which the conditions tell that events
	// wait for a sink that is not configured any more.
	LeftPart = "destination:"
	// FullPart and a name are the part under which they tell that a sink is full and
	// that events are left out of it.
	FullPart = "buffer:"
	// ReasonFull is the counted reason of those events.
	ReasonFull = "buffer_full"
	// ReasonRemoved is the counted reason of events that a person has dropped because
	// their sink is not configured any more.
	ReasonRemoved = "removed"
)

// A Sink is one of the sinks of a tenant besides its main one, which has no name.
type Sink struct {
	Name string
	// SkipWhenFull leaves events out of the sink, counted, while the events that wait
	// for it have no room; otherwise the sources wait.
	SkipWhenFull bool
}

// sinkFigures are what waits for a sink, and when something was last delivered by
// it, in microseconds.
type sinkFigures struct{ events, bytes, deliveredAt int64 }

// sinks are those of a tenant besides the main one. It is safe for concurrent use.
type sinks struct {
	mu      sync.Mutex
	figures map[string]sinkFigures // as of the last commit
	used    map[string]Sink        // nil: all are
	full    map[string]bool        // events are being left out, as of the last commit
}

// of returns the figures of a sink.
func (s *sinks) of(name string) sinkFigures {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.figures[name]
}

// set changes them after a commit.
func (s *sinks) set(name string, f sinkFigures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.figures == nil {
		s.figures = make(map[string]sinkFigures)
	}
	s.figures[name] = f
}

// waiting adds up the events that wait for sinks in use, or for all.
func (s *sinks) waiting(all bool) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, f := range s.figures {
		if _, used := s.used[name]; used || s.used == nil || all {
			n += f.events
		}
	}
	return n
}

// skips reports whether events are left out of a sink that is full.
func (s *sinks) skips(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used[name].SkipWhenFull
}

// leaves reports whether events are being left out of a sink.
func (s *sinks) leaves(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full[name]
}

// turned notes whether they are and reports whether that is news.
func (s *sinks) turned(name string, full bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.full[name] != full
	if s.full == nil {
		s.full = make(map[string]bool)
	}
	s.full[name] = full
	return news
}

// sinkKey names a sink in a transaction.
type sinkKey struct {
	buffer *Buffer
	name   string
}

// waiting returns what waits for a sink of the job's tenant, as it is within the
// transaction.
func (t *tx) waiting(sink string) sinkFigures {
	if sink == "" {
		f := t.figures()
		return sinkFigures{f.events, f.bytes, f.deliveredAt}
	}
	if f, ok := t.sinks[sinkKey{t.current, sink}]; ok {
		return f
	}
	return t.current.sinks.of(sink)
}

// setWaiting changes it.
func (t *tx) setWaiting(sink string, w sinkFigures) {
	if sink == "" {
		f := t.figures()
		f.events, f.bytes, f.deliveredAt = w.events, w.bytes, w.deliveredAt
		t.setFigures(f)
		return
	}
	if t.sinks == nil {
		t.sinks = make(map[sinkKey]sinkFigures)
	}
	t.sinks[sinkKey{t.current, sink}] = w
}

// addWaiting adds events to what waits for a sink.
func (t *tx) addWaiting(sink string, events, bytes int64) {
	w := t.waiting(sink)
	w.events += events
	w.bytes += bytes
	t.setWaiting(sink, w)
}

// finishSinks writes what the jobs have changed in the figures of sinks.
func (t *tx) finishSinks(ctx context.Context) error {
	for k, f := range t.sinks {
		err := t.exec(ctx, `INSERT INTO sinks (tenant_id, name, buffered_events, buffered_bytes, delivered_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET buffered_events = excluded.buffered_events, buffered_bytes = excluded.buffered_bytes,
				delivered_at = excluded.delivered_at`, k.buffer.id, k.name, f.events, f.bytes, f.deliveredAt)
		if err != nil {
			return err
		}
	}
	return nil
}

// loadSinks reads the figures of the sinks.
func (b *Buffer) loadSinks(ctx context.Context, t *tx) error {
	return t.query(ctx, func(r *sql.Rows) error {
		var name string
		var f sinkFigures
		err := r.Scan(&name, &f.events, &f.bytes, &f.deliveredAt)
		b.sinks.set(name, f)
		return err
	}, "SELECT name, buffered_events, buffered_bytes, delivered_at FROM sinks WHERE tenant_id = ?", b.id)
}

// countOf is the name under which something is counted for a sink.
func countOf(name, sink string) string {
	if sink == "" {
		return name
	}
	return name + ":" + sink
}

// cutCount is the inverse of countOf.
func cutCount(count string) (name, sink string) {
	name, sink, _ = strings.Cut(count, ":")
	return name, sink
}

// UseSinks says which sinks besides the main one are configured. Events of others
// stay, do not count as pending, and are told of by a condition until the sink is
// there again or a person drops them. It is called before the first Append.
func (b *Buffer) UseSinks(ctx context.Context, list []Sink) error {
	used := make(map[string]Sink, len(list))
	for _, s := range list {
		used[s.Name] = s
	}
	b.sinks.mu.Lock()
	b.sinks.used = used
	figures := maps.Clone(b.sinks.figures)
	b.sinks.mu.Unlock()
	return b.write(ctx, "keep what waits for removed destinations", func(ctx context.Context, t *tx) error {
		for _, name := range slices.Sorted(maps.Keys(figures)) {
			_, in := used[name]
			if err := b.tellLeft(ctx, t, name, figures[name].events, in); err != nil {
				return err
			}
		}
		return nil
	})
}

// tellLeft keeps the condition of a sink that may not be configured any more.
func (b *Buffer) tellLeft(ctx context.Context, t *tx, name string, events int64, used bool) error {
	if used || events == 0 {
		return t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part = ?", b.id, LeftPart+name)
	}
	text := fmt.Sprintf("%d events wait for the destination %s, which is not configured any more", events, name)
	hint := fmt.Sprintf("Configure it again under this name, or drop them: gapless destination drop %s --tenant %s --yes", name, b.tenant)
	b.store.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, text, slog.String("tenant", b.tenant), slog.String("hint", hint))
	return b.keepCondition(ctx, t, LeftPart+name, pipeline.Misconfigured.String(), text, hint)
}

// keepCondition writes a condition that the store itself tells.
func (b *Buffer) keepCondition(ctx context.Context, t *tx, part, class, message, hint string) error {
	now := t.now.UnixMicro()
	return t.exec(ctx, `INSERT INTO conditions (tenant_id, part, since, updated_at, failures, class, message, hint) VALUES (?, ?, ?, ?, 0, ?, ?, ?)
		ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at, class = excluded.class, message = excluded.message, hint = excluded.hint`,
		b.id, part, now, now, class, message, hint)
}

// leftOutHint says what a person can do about a sink that leaves events out.
const leftOutHint = "See why it does not go on with `gapless status`, or set a larger max_buffer_bytes. With when_full: wait nothing is left out; the sources wait instead."

// keepFull keeps the condition of a sink that leaves events out, and counts them.
func (b *Buffer) keepFull(ctx context.Context, t *tx, sink string, leftOut int) error {
	t.count(countOf(CountSkipped, sink), ReasonFull, leftOut)
	return b.keepCondition(ctx, t, FullPart+sink, QuotaClass,
		fmt.Sprintf("the events that wait for %s are as many as max_buffer_bytes allows; those that come are left out of it, and counted as skipped for %s", sink, ReasonFull), leftOutHint)
}

// tellFull logs that a sink begins or ends to leave events out.
func (b *Buffer) tellFull(sink string, full bool) {
	if !b.sinks.turned(sink, full) {
		return
	}
	attrs := []slog.Attr{slog.String("tenant", b.tenant), slog.String("destination", sink)}
	if full {
		b.store.cfg.Logger.LogAttrs(context.Background(), slog.LevelError, "the buffer of a destination is full; events are left out of it", append(attrs, slog.String("hint", leftOutHint))...)
		return
	}
	b.store.cfg.Logger.LogAttrs(context.Background(), slog.LevelInfo, "the buffer of a destination has room again; no more events are left out of it", attrs...)
}

// SinkFiguresOf returns how many events wait for a sink of the tenant and how many
// bytes they have, as of the last commit.
func (b *Buffer) SinkFiguresOf(sink string) (events, bytes int64) {
	if sink == "" {
		f := b.figures()
		return f.events, f.bytes
	}
	f := b.sinks.of(sink)
	return f.events, f.bytes
}

// dropRows is how many rows of the buffer are dropped in one transaction.
const dropRows = 200

// ErrSinkBusy says that events of a sink are on their way, so that it is in use.
var ErrSinkBusy = errors.New("events are on their way to this destination")

// DropSink deletes the events that wait for a sink of a tenant, for good, and counts
// them. It is for one that is not configured any more. Dead letters stay.
func (s *Store) DropSink(ctx context.Context, tenant, sink string) (events, bytes int64, err error) {
	b, err := s.Buffer(ctx, tenant)
	if err != nil {
		return 0, 0, err
	}
	for {
		d := &dropping{b: b, sink: sink}
		if err := s.writer.do(ctx, &job{buffer: b, run: d.run, applied: d.applied, drains: true}); err != nil {
			if pipeline.Stopped(ctx, err) || errors.Is(err, ErrSinkBusy) {
				return events, bytes, err
			}
			return events, bytes, fault("drop events", err)
		}
		if len(d.rows) == 0 {
			return events, bytes, nil
		}
		events, bytes = events+d.events, bytes+d.bytes
	}
}

// A dropping is some rows of a sink that are deleted.
type dropping struct {
	b             *Buffer
	sink          string
	rows          []int64
	gone          []*entry // their events, but for their bytes
	events, bytes int64
}

// run deletes the next rows. With the last of them ends the condition.
func (d *dropping) run(ctx context.Context, t *tx) error {
	*d = dropping{b: d.b, sink: d.sink} // should this be a second run
	if d.busy() {
		return ErrSinkBusy
	}
	err := t.query(ctx, d.add, `SELECT b.seq, b.last_seq, b.destination_id, b.events, b.bytes, b.gone FROM buffer b JOIN destinations d ON d.id = b.destination_id
		WHERE d.tenant_id = ? AND d.sink = ? ORDER BY b.seq LIMIT ?`, d.b.id, d.sink, dropRows)
	if err != nil {
		return err
	}
	for _, seq := range d.rows {
		if err := t.exec(ctx, "DELETE FROM buffer WHERE seq = ?", seq); err != nil {
			return err
		}
	}
	if len(d.rows) == 0 {
		return t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part = ?", d.b.id, LeftPart+d.sink)
	}
	t.addWaiting(d.sink, -d.events, -d.bytes)
	t.count(countOf(CountDropped, d.sink), ReasonRemoved, int(d.events))
	return nil
}

// busy reports whether an event of the sink is leased.
func (d *dropping) busy() bool {
	d.b.mu.Lock()
	defer d.b.mu.Unlock()
	for _, e := range d.b.leases {
		if d.b.names[e.to].Sink == d.sink {
			return true
		}
	}
	return false
}

// add takes in a row.
func (d *dropping) add(r *sql.Rows) error {
	var first, last, to, events, bytes int64
	var gone bits
	if err := r.Scan(&first, &last, &to, &events, &bytes, &gone); err != nil {
		return err
	}
	d.rows = append(d.rows, first)
	d.events += events
	d.bytes += bytes
	for seq := first; seq <= last; seq++ {
		if at := seq - first; at/8 < int64(len(gone)) && !gone.has(at) {
			d.gone = append(d.gone, &entry{seq: seq, to: to})
		}
	}
	return nil
}

// applied forgets the events after the commit.
func (d *dropping) applied() {
	b := d.b
	b.mu.Lock()
	defer b.mu.Unlock()
	dropped := make(map[int64]bool, len(d.gone))
	for _, e := range d.gone {
		dropped[e.seq] = true
		delete(b.doubts, e.seq)
	}
	b.unmark(d.gone)
	for id, w := range b.windows {
		if b.names[id].Sink == d.sink {
			w.forget(dropped)
		}
	}
	b.progress.left(d.gone)
	b.store.changed()
}
