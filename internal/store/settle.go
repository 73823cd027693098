package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Settle makes the outcome of a batch durable, see pipeline.Buffer. A receipt
// that does not fit the batch is refused with ErrBadReceipt, and the batch stays
// leased. What was settled before is passed over.
func (b *Buffer) Settle(ctx context.Context, batch pipeline.Batch, r pipeline.Receipt) error {
	if err := checkReceipt(batch, r); err != nil {
		return err
	}
	if len(batch.Keys) == 0 {
		return nil
	}
	done, err := b.beginSettle(ctx, batch.Keys[0])
	if err != nil {
		return err
	}
	defer done()
	s := b.outcome(batch, r)
	if len(s.gone) == 0 && len(s.known) == 0 { // nothing to change on disk
		s.applied()
		return nil
	}
	if err := b.store.writer.do(ctx, &job{buffer: b, run: s.run, applied: s.applied, drains: true}); err != nil {
		if pipeline.Stopped(ctx, err) {
			return err
		}
		return fault("write outcome", err)
	}
	return nil
}

// checkReceipt refuses indexes that lie outside of the batch or contradict each
// other.
func checkReceipt(batch pipeline.Batch, r pipeline.Receipt) error {
	n := len(batch.Keys)
	if len(batch.Events) != n {
		return fmt.Errorf("check receipt of %d events with %d keys: %w", len(batch.Events), n, ErrBadReceipt)
	}
	named := make(map[int]bool, len(r.Rejected)+len(r.Skipped)+len(r.Retry))
	undelivered := slices.Clone(r.Retry)
	for _, x := range slices.Concat(r.Rejected, r.Skipped) {
		undelivered = append(undelivered, x.Index)
	}
	for _, i := range undelivered {
		if i < 0 || i >= n || named[i] {
			return fmt.Errorf("check receipt of %d: index %d is outside or named twice: %w", n, i, ErrBadReceipt)
		}
		named[i] = true
	}
	if r.Prints != nil && len(r.Prints) != n {
		return fmt.Errorf("check receipt of %d: it has %d prints: %w", n, len(r.Prints), ErrBadReceipt)
	}
	for _, x := range r.Altered {
		if x.Index < 0 || x.Index >= n || named[x.Index] {
			return fmt.Errorf("check receipt of %d: altered index %d is outside or not delivered: %w", n, x.Index, ErrBadReceipt)
		}
	}
	return nil
}

// beginSettle waits until no other call settles the same batch.
func (b *Buffer) beginSettle(ctx context.Context, key int64) (done func(), err error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b.mu.Lock()
		other, busy := b.settling[key]
		if !busy {
			break
		}
		b.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
		}
	}
	mine := make(chan struct{})
	b.settling[key] = mine
	b.mu.Unlock()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.settling, key)
		close(mine)
	}, nil
}

// A settling is the outcome of a batch on its way into the file.
type settling struct {
	b         *Buffer
	sink      string         // of all of them
	keys      []int64        // of all leases that end
	gone      []*entry       // leave the buffer
	retry     []*entry       // are available again
	known     []*entry       // of those, the ones that surely have not arrived
	doubt     pipeline.Doubt // of the others of retry
	letters   []letter
	skipped   map[string]int // by reason; among gone
	leaves    []leavesAt     // of what was delivered, for the ledger
	delivered int
}

// outcome looks up the leases of a batch and sorts them by the receipt.
func (b *Buffer) outcome(batch pipeline.Batch, r pipeline.Receipt) *settling {
	s := &settling{b: b, doubt: r.Doubt}
	retry := make(map[int]bool, len(r.Retry))
	for _, i := range r.Retry {
		retry[i] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, key := range batch.Keys {
		e := b.leases[key]
		switch {
		case e == nil:
			continue // settled before
		case retry[i]:
			s.retry = append(s.retry, e)
		default:
			s.gone = append(s.gone, e)
		}
		s.keys = append(s.keys, key)
		s.sink = b.names[e.to].Sink
	}
	if r.Doubt.IsZero() {
		s.known = s.retry
	}
	s.delivered = len(s.gone)
	s.takeLeaves(batch, r)
	for _, x := range r.Rejected {
		if e := b.leases[batch.Keys[x.Index]]; e != nil {
			s.letters = append(s.letters, letter{kind: KindRejected, reason: x.Reason, detail: x.Detail, entry: e})
			s.delivered--
		}
	}
	for _, x := range r.Skipped {
		if b.leases[batch.Keys[x.Index]] != nil {
			if s.skipped == nil {
				s.skipped = make(map[string]int)
			}
			s.skipped[x.Reason]++
			s.delivered--
		}
	}
	for _, x := range r.Altered {
		if e := b.leases[batch.Keys[x.Index]]; e != nil {
			s.letters = append(s.letters, letter{kind: KindAltered, reason: x.Reason, detail: x.Detail, entry: e})
		}
	}
	return s
}

// run writes the outcome.
func (s *settling) run(ctx context.Context, t *tx) error {
	if err := s.deleteGone(ctx, t); err != nil {
		return err
	}
	t.addWaiting(s.sink, -int64(len(s.gone)), -sizeOf(s.gone))
	if err := s.insertLeaves(ctx, t); err != nil {
		return err
	}
	for i := range s.letters {
		l := &s.letters[i]
		if err := l.insert(ctx, t); err != nil {
			return err
		}
		t.count(countOf(l.kind, s.sink), l.reason, 1)
	}
	for reason, n := range s.skipped {
		t.count(countOf(CountSkipped, s.sink), reason, n)
	}
	for _, id := range s.b.ending(slices.Concat(s.gone, s.known)) {
		if err := t.exec(ctx, "DELETE FROM sending WHERE id = ?", id); err != nil {
			return err
		}
	}
	if s.delivered > 0 {
		w := t.waiting(s.sink)
		w.deliveredAt = t.now.UnixMicro()
		t.setWaiting(s.sink, w)
		t.count(countOf(CountDelivered, s.sink), "", s.delivered)
	}
	return nil
}

// deleteGone takes the events that leave out of their rows.
func (s *settling) deleteGone(ctx context.Context, t *tx) error {
	slices.SortFunc(s.gone, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	for from := 0; from < len(s.gone); {
		to := from + 1
		for to < len(s.gone) && s.gone[to].row == s.gone[from].row {
			to++
		}
		if err := leave(ctx, t, s.gone[from:to]); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// leave takes events out of their row, which goes with the last of them.
func leave(ctx context.Context, t *tx, list []*entry) error {
	var left, bytes int64
	var gone bits
	var dates []byte
	first := list[0].row
	err := t.query(ctx, func(r *sql.Rows) error { return r.Scan(&left, &bytes, &gone, &dates) },
		"SELECT events, bytes, gone, dates FROM buffer WHERE seq = ?", first)
	if err != nil {
		return err
	}
	for _, e := range list {
		if at := e.seq - first; at/8 >= int64(len(gone)) || !gone.set(at) {
			return &pipeline.Error{
				Op: "write outcome", Class: pipeline.Misconfigured, Hint: damagedHint,
				Err: fmt.Errorf("event %d of the row %d: %w", at, first, errInconsistent),
			}
		}
		left--
		bytes -= int64(len(e.body))
	}
	if left <= 0 {
		return t.exec(ctx, "DELETE FROM buffer WHERE seq = ?", first)
	}
	oldest, err := oldestLeft(dates, gone)
	if err != nil {
		return err
	}
	return t.exec(ctx, "UPDATE buffer SET date = ?, events = ?, bytes = ?, gone = ? WHERE seq = ?", oldest, left, bytes, []byte(gone), first)
}

// oldestLeft returns the date of the oldest event of a row that waits.
func oldestLeft(dates []byte, gone bits) (int64, error) {
	list, err := unpackDates(dates)
	if err != nil {
		return 0, err
	}
	oldest := int64(math.MaxInt64)
	for i, date := range list {
		if i/8 < len(gone) && !gone.has(int64(i)) {
			oldest = min(oldest, date)
		}
	}
	return oldest, nil
}

// applied ends the leases, after the commit.
func (s *settling) applied() {
	b := s.b
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range s.keys {
		delete(b.leased, b.leases[key].seq)
		delete(b.leases, key)
	}
	b.unmark(s.gone)
	b.unmark(s.known)
	for _, e := range slices.Concat(s.gone, s.retry) {
		delete(b.doubts, e.seq)
	}
	for _, e := range s.retry {
		e.since = now
		if !s.doubt.IsZero() {
			b.doubts[e.seq] = s.doubt
		}
	}
	if len(s.gone) > 0 {
		b.progress.left(s.gone)
		b.store.changed()
	}
	if len(s.retry) > 0 {
		b.offer(s.retry)
		b.wake()
	}
}
