package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// How much of the dead letters is moved in one transaction, so that whatever
// waits beside it does not wait for long.
const (
	moveLetters = 500
	moveBytes   = 4 << 20
)

// LettersDone is how many dead letters were moved, and how many of those picked
// were left where they are.
type LettersDone struct {
	Letters, Bytes int64
	// Unreadable and Altered are what a replay has passed over.
	Unreadable, Altered int64
}

// ReplayDeadLetters puts the events of the dead letters that a filter picks back
// into the buffer, from where they are delivered as if they had just come. Each
// letter becomes an event in one transaction, so that it is always one of both.
//
// Unreadable pieces cannot be replayed, and altered events only with force, since
// they were delivered in another form. Naming one of those, by its id or its
// kind, is an error (ErrNotAnEvent, ErrWasDelivered) and nothing is done;
// otherwise they are passed over and counted. The error wraps
// pipeline.ErrBufferFull when the buffer has no room; what was moved before is
// told.
func (s *Store) ReplayDeadLetters(ctx context.Context, f LetterFilter, force bool) (LettersDone, error) {
	return s.moveLetters(ctx, f, func(kind string) error {
		switch {
		case kind == KindUnreadable:
			return ErrNotAnEvent
		case kind == KindAltered && !force:
			return ErrWasDelivered
		default:
			return nil
		}
	}, (*moving).replay)
}

// DropDeadLetters deletes the dead letters that a filter picks, for good.
func (s *Store) DropDeadLetters(ctx context.Context, f LetterFilter) (LettersDone, error) {
	return s.moveLetters(ctx, f, func(string) error { return nil }, (*moving).drop)
}

// moveLetters moves the letters that a filter picks and that are there at its
// beginning, if allowed says so of their kind.
func (s *Store) moveLetters(ctx context.Context, f LetterFilter, allowed func(kind string) error, step func(*moving, context.Context, *tx) error) (done LettersDone, err error) {
	if err := allowed(f.Kind); err != nil {
		return done, err
	}
	if err := s.checkIDs(ctx, f, allowed); err != nil {
		return done, err
	}
	counts, err := s.CountDeadLetters(ctx, f)
	if err != nil {
		return done, err
	}
	for _, c := range counts {
		switch err := allowed(c.Kind); {
		case errors.Is(err, ErrNotAnEvent):
			done.Unreadable += c.Letters
			continue
		case errors.Is(err, ErrWasDelivered):
			done.Altered += c.Letters
			continue
		}
		part := f
		part.Tenant, part.Kind, part.Below = c.Tenant, c.Kind, c.newest+1
		if err := s.moveKind(ctx, part, step, &done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// checkIDs refuses ids that no letter has, or one that may not be moved.
func (s *Store) checkIDs(ctx context.Context, f LetterFilter, allowed func(kind string) error) error {
	if len(f.IDs) == 0 {
		return nil
	}
	list, err := s.DeadLetters(ctx, f, len(f.IDs))
	if err != nil {
		return err
	}
	for _, id := range f.IDs {
		i := slices.IndexFunc(list, func(l DeadLetter) bool { return l.ID == id })
		if i < 0 {
			return fmt.Errorf("dead letter %d: %w", id, ErrNoLetter)
		}
		if err := allowed(list[i].Kind); err != nil {
			return fmt.Errorf("dead letter %d: %w", id, err)
		}
	}
	return nil
}

// moveKind moves the letters of one tenant and kind.
func (s *Store) moveKind(ctx context.Context, f LetterFilter, step func(*moving, context.Context, *tx) error, done *LettersDone) error {
	b, err := s.Buffer(ctx, f.Tenant)
	if err != nil {
		return err
	}
	for {
		m := &moving{b: b, filter: f}
		err := s.writer.do(ctx, &job{buffer: b, applied: m.applied, drains: true, run: func(ctx context.Context, t *tx) error {
			if err := m.pick(ctx, t); err != nil || len(m.list) == 0 {
				return err
			}
			return step(m, ctx, t)
		}})
		if err != nil {
			if pipeline.Stopped(ctx, err) {
				return err
			}
			return fault("move dead letters", err)
		}
		if len(m.list) == 0 {
			return nil
		}
		done.Letters += int64(len(m.list))
		done.Bytes += m.bytes
		f.above = m.list[len(m.list)-1].id
	}
}

// A moving is some dead letters of one tenant and kind on their way.
type moving struct {
	b      *Buffer
	filter LetterFilter
	list   []movingLetter
	bytes  int64
	events []*entry // now in the buffer
	last   int64    // the highest of their numbers
}

// A movingLetter is one of them.
type movingLetter struct {
	id, size      int64
	reason, logID string
}

// pick finds the next letters, the oldest first.
func (m *moving) pick(ctx context.Context, t *tx) error {
	m.list, m.bytes, m.events = nil, 0, nil // should this be a second run
	full := false
	where, args := m.filter.clause()
	return t.query(ctx, func(r *sql.Rows) error {
		var l movingLetter
		if err := r.Scan(&l.id, &l.size, &l.reason, &l.logID); err != nil {
			return err
		}
		if full = full || len(m.list) > 0 && m.bytes+l.size > moveBytes; !full {
			m.list = append(m.list, l)
			m.bytes += l.size
		}
		return nil
	}, `SELECT l.id, length(l.body), l.reason, l.log_id FROM dead_letters l JOIN tenants t ON t.id = l.tenant_id
		WHERE `+where+` ORDER BY l.id LIMIT ?7`, append(args, moveLetters)...)
}

// replay puts the events into the buffer, under new numbers.
func (m *moving) replay(ctx context.Context, t *tx) error {
	for _, l := range m.list {
		e := &entry{}
		err := t.query(ctx, func(r *sql.Rows) error {
			return r.Scan(&e.to, &e.date, &e.dateFrom, &e.logID, &e.typ, &e.body, &e.source)
		}, "SELECT destination_id, date, date_from, log_id, type, body, source FROM dead_letters WHERE id = ?", l.id)
		if err != nil {
			return err
		}
		m.events = append(m.events, e)
	}
	sums := m.sums()
	if err := m.roomToReplay(t, sums); err != nil {
		return err
	}
	if err := m.insert(ctx, t); err != nil {
		return err
	}
	for sink, sum := range sums {
		t.addWaiting(sink, sum.events, sum.bytes)
	}
	return m.remove(ctx, t, CountReplayed)
}

// insert writes the events into the buffer and makes them known.
func (m *moving) insert(ctx context.Context, t *tx) error {
	rows := newRows(m.events)
	defer freeRows(rows)
	for i := range rows {
		if err := t.insertRow(ctx, &rows[i]); err != nil {
			return err
		}
		m.last = t.w.nextSeq - 1
		for _, e := range rows[i].list {
			if err := t.knowLetter(ctx, m.b.id, e.logID, e.seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// sums returns how many of the events go to which sink, and their bytes.
func (m *moving) sums() map[string]sinkFigures {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	out := make(map[string]sinkFigures)
	for _, e := range m.events {
		sink := m.b.names[e.to].Sink
		sum := out[sink]
		out[sink] = sinkFigures{events: sum.events + 1, bytes: sum.bytes + int64(len(e.body))}
	}
	return out
}

// roomToReplay says whether the buffer has room for the events.
func (m *moving) roomToReplay(t *tx, sums map[string]sinkFigures) error {
	left := t.figures() // without these letters
	left.letterBytes -= m.bytes
	for sink, sum := range sums {
		left.bytes = t.waiting(sink).bytes
		if err := m.b.room(left, sum.bytes, 0); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets the letters. Of an event that was never delivered the log_id stays
// known for a while, so that a source that brings it again does not undo this.
func (m *moving) drop(ctx context.Context, t *tx) error {
	if m.filter.Kind == KindRejected {
		for _, l := range m.list {
			if err := t.knowLetter(ctx, m.b.id, l.logID, 0); err != nil {
				return err
			}
		}
	}
	return m.remove(ctx, t, CountDropped)
}

// knowLetter remembers a log_id for a dedup window from now, and for as long as the
// event is in the buffer.
func (t *tx) knowLetter(ctx context.Context, tenant int64, logID string, seq int64) error {
	if err := t.exec(ctx, "INSERT INTO seen (tenant_id, log_id) VALUES (?, ?) ON CONFLICT DO NOTHING", tenant, logID); err != nil {
		return err
	}
	return t.exec(ctx, `INSERT INTO letter_ids (tenant_id, log_id, since, seq) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET since = excluded.since, seq = excluded.seq`, tenant, logID, t.now.UnixMicro(), seq)
}

// remove deletes the letters and counts what became of them.
func (m *moving) remove(ctx context.Context, t *tx, count string) error {
	for _, l := range m.list {
		if err := t.exec(ctx, "DELETE FROM dead_letters WHERE id = ?", l.id); err != nil {
			return err
		}
		t.sumLetters(m.filter.Kind, l.reason, -1, -l.size)
		t.count(count, l.reason, 1)
	}
	return nil
}

// applied shows the events to Next, after the commit.
func (m *moving) applied() {
	m.b.store.changed()
	if len(m.events) == 0 {
		return
	}
	b, now := m.b, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = max(b.applied, m.last)
	for _, e := range m.events {
		e.since = now
	}
	b.offer(m.events)
	b.progress.appended("", "", len(m.events), b.applied, now.UTC())
	b.wake()
}
