package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A mark is a row of the table sending: it says on disk that events may be on
// their way. It goes when the outcome of all of them is known.
type mark struct {
	id   int64
	left int // events whose outcome is not known
}

// insertMark writes a mark for events.
func insertMark(ctx context.Context, t *tx, tenant int64, since time.Time, list []*entry) (id int64, err error) {
	seqs := make([]int64, len(list))
	for i, e := range list {
		seqs[i] = e.seq
	}
	err = t.query(ctx, func(r *sql.Rows) error { return r.Scan(&id) },
		"INSERT INTO sending (tenant_id, since, seqs) VALUES (?, ?, ?) RETURNING id", tenant, since.UnixMicro(), packSeqs(seqs))
	return id, err
}

// packSeqs writes numbers for a mark.
func packSeqs(seqs []int64) []byte {
	seqs = slices.Sorted(slices.Values(seqs))
	b := make([]byte, 0, 2*len(seqs)+8)
	last := int64(0)
	for _, s := range seqs {
		b = binary.AppendUvarint(b, uint64(s-last)) //nolint:gosec // ascending, from 1 on
		last = s
	}
	return b
}

// unpackSeqs reads the numbers of a mark. They ascend from 1 on, or they are not
// what packSeqs wrote.
func unpackSeqs(b []byte) ([]int64, error) {
	var seqs []int64
	last := int64(0)
	for len(b) > 0 {
		d, n := binary.Uvarint(b)
		if n <= 0 || d == 0 || d > math.MaxInt64-uint64(last) {
			return nil, fmt.Errorf("read the events of a batch: %w", errInconsistent)
		}
		last += int64(d) //nolint:gosec // it was compared
		seqs = append(seqs, last)
		b = b[n:]
	}
	return seqs, nil
}

// loadMarks reads the marks that an earlier process has left, and forgets those
// of which every event has left the buffer. The last call of that process ended
// before now.
func (b *Buffer) loadMarks(ctx context.Context, t *tx) error {
	b.marks, b.doubts = make(map[int64]*mark), make(map[int64]pipeline.Doubt)
	packed := make(map[int64][]byte)
	since := make(map[int64]int64)
	err := t.query(ctx, func(r *sql.Rows) error {
		var id, at int64
		var seqs []byte
		err := r.Scan(&id, &at, &seqs)
		packed[id], since[id] = seqs, at
		return err
	}, "SELECT id, since, seqs FROM sending WHERE tenant_id = ?", b.id)
	if err != nil {
		return err
	}
	for id, p := range packed {
		doubt := pipeline.Doubt{From: timeOf(since[id]), Until: t.now.UTC()}
		if err := b.loadMark(ctx, t, &mark{id: id}, p, doubt); err != nil {
			return err
		}
	}
	return nil
}

// loadMark takes up a mark.
func (b *Buffer) loadMark(ctx context.Context, t *tx, m *mark, packed []byte, doubt pipeline.Doubt) error {
	seqs, err := unpackSeqs(packed)
	if err != nil || len(seqs) == 0 {
		return err
	}
	err = t.query(ctx, func(r *sql.Rows) error {
		var first, last int64
		var gone bits
		if err := r.Scan(&first, &last, &gone); err != nil {
			return err
		}
		at, _ := slices.BinarySearch(seqs, first)
		for _, seq := range seqs[at:] {
			if seq > last {
				break
			}
			if !gone.has(seq - first) {
				b.marks[seq], b.doubts[seq] = m, doubt
				m.left++
			}
		}
		return nil
	}, `SELECT seq, last_seq, gone FROM buffer JOIN destinations ON destinations.id = destination_id
		WHERE tenant_id = ? AND seq BETWEEN ? AND ? AND last_seq >= ?`, b.id, seqs[0]-rowEvents, seqs[len(seqs)-1], seqs[0])
	if err != nil || m.left > 0 {
		return err
	}
	return t.exec(ctx, "DELETE FROM sending WHERE id = ?", m.id)
}

// marking puts on disk that leased events may be sent.
type marking struct {
	b    *Buffer
	list []*entry
	id   int64
}

// mark marks the events of a lease that no mark covers yet.
func (b *Buffer) mark(ctx context.Context, batch pipeline.Batch) error {
	m := &marking{b: b}
	b.mu.Lock()
	for _, key := range batch.Keys {
		if e := b.leases[key]; b.marks[e.seq] == nil {
			m.list = append(m.list, e)
		}
	}
	b.mu.Unlock()
	if len(m.list) == 0 {
		return nil
	}
	return b.store.writer.do(ctx, &job{buffer: b, run: m.run, applied: m.applied, drains: true})
}

// run writes the mark.
func (m *marking) run(ctx context.Context, t *tx) (err error) {
	m.id, err = insertMark(ctx, t, m.b.id, t.now, m.list)
	return err
}

// applied notes the mark after the commit.
func (m *marking) applied() {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	on := &mark{id: m.id, left: len(m.list)}
	for _, e := range m.list {
		m.b.marks[e.seq] = on
	}
}

// ending returns the marks that end with events whose outcome is known. A mark
// that ends by two commits at once is not among them; it goes at the next start.
func (b *Buffer) ending(list []*entry) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := make(map[*mark]int)
	for _, e := range list {
		if m := b.marks[e.seq]; m != nil {
			known[m]++
		}
	}
	var ended []int64
	for m, n := range known {
		if n == m.left {
			ended = append(ended, m.id)
		}
	}
	return ended
}

// unmark forgets the marks of events whose outcome is known, after the commit.
// The caller holds mu.
func (b *Buffer) unmark(list []*entry) {
	for _, e := range list {
		if m := b.marks[e.seq]; m != nil {
			m.left--
			delete(b.marks, e.seq)
		}
	}
}
