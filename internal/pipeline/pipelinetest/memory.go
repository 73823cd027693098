package pipelinetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// backlogPatience is how long Memory holds a batch that is not full back while
// a source says that more is coming.
const backlogPatience = time.Second

// errBadReceipt says that a receipt does not fit its batch.
var errBadReceipt = errors.New("the receipt does not fit the batch")

// Memory is a buffer without a disk: the contract of pipeline.Buffer written as
// plainly as possible, for tests of what stands before and behind a buffer and
// to compare other buffers with. It is safe for concurrent use. Its work grows
// with what it holds, so keep it to some thousands of events.
type Memory struct {
	maxBytes int64
	window   time.Duration

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever Next should look again
	rows    []*memoryRow
	leases  map[int64]*memoryRow
	lastKey int64
	served  map[string]pipeline.Destination // by sink
	known   map[string]time.Time
	cursors map[string]event.Cursor
	backlog map[string]time.Time // sources that are not caught up: their last page
	letters []DeadLetter
	gaps    []event.Gap
	skipped map[string]int
}

// A memoryRow is an event that has not been settled.
type memoryRow struct {
	event  event.Event
	to     pipeline.Destination
	source string    // that brought it
	since  time.Time // when it became available
	leased bool
	doubt  pipeline.Doubt
}

// A DeadLetter is what a buffer keeps of an event that was not delivered as it
// is, or of a record that was no event.
type DeadLetter struct {
	// LogID is empty for a record that was no event.
	LogID  string
	Reason string
	Raw    []byte
}

// NewMemory returns an empty buffer that holds up to maxBytes of events for each
// sink, and knows a log_id again for the length of window. Zero means 1 GiB and 72
// hours.
func NewMemory(maxBytes int64, window time.Duration) *Memory {
	return &Memory{
		maxBytes: cmp.Or(maxBytes, 1<<30),
		window:   cmp.Or(window, 72*time.Hour),
		changed:  make(chan struct{}),
		leases:   make(map[int64]*memoryRow),
		served:   make(map[string]pipeline.Destination),
		known:    make(map[string]time.Time),
		cursors:  make(map[string]event.Cursor),
		backlog:  make(map[string]time.Time),
		skipped:  make(map[string]int),
	}
}

// Append stores an intake, see pipeline.Buffer.
func (m *Memory) Append(ctx context.Context, source string, in pipeline.Intake) (pipeline.Appended, error) {
	if ctx.Err() != nil {
		return pipeline.Appended{}, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var done pipeline.Appended
	var fresh []*memoryRow
	sizes := make(map[string]int64) // by sink
	ids := make(map[string]bool)
	for i, e := range in.Entries {
		if ids[e.Event.LogID] || m.knows(e.Event.LogID, now) {
			done.Duplicates++
			done.Known = append(done.Known, i)
			continue
		}
		ids[e.Event.LogID] = true
		done.Stored++
		for _, to := range append([]pipeline.Destination{e.Destination}, e.Also...) {
			row := &memoryRow{event: e.Event, to: to, source: source, since: now}
			row.event.Raw = bytes.Clone(e.Event.Raw)
			fresh = append(fresh, row)
			sizes[to.Sink] += int64(len(e.Event.Raw))
		}
	}
	for sink, size := range sizes {
		if held := m.bytes(sink); size > 0 && held > 0 && held+size > m.maxBytes {
			return pipeline.Appended{}, fmt.Errorf("store %d bytes beside %d: %w", size, held, pipeline.ErrBufferFull)
		}
	}
	m.rows = append(m.rows, fresh...)
	for id := range ids {
		m.known[id] = now
	}
	m.note(source, in, now)
	return done, nil
}

// note keeps what an intake brings besides its events.
func (m *Memory) note(source string, in pipeline.Intake, now time.Time) {
	for _, u := range in.Unreadable {
		m.letters = append(m.letters, DeadLetter{Reason: "unreadable", Raw: bytes.Clone(u.Raw)})
	}
	for reason, n := range in.Skipped {
		m.skipped[reason] += n
	}
	if in.Gap != nil {
		m.gaps = append(m.gaps, *in.Gap)
	}
	if in.Cursor != "" {
		m.cursors[source] = in.Cursor
	}
	delete(m.backlog, source)
	if !in.CaughtUp {
		m.backlog[source] = now
	}
	m.wake()
}

// knows reports whether a log_id is a known one: still here, or within the
// window.
func (m *Memory) knows(id string, now time.Time) bool {
	at, ok := m.known[id]
	if ok && now.Sub(at) < m.window {
		return true
	}
	return ok && slices.ContainsFunc(m.rows, func(r *memoryRow) bool { return r.event.LogID == id })
}

// bytes is the size of the events held for a sink.
func (m *Memory) bytes(sink string) (n int64) {
	for _, r := range m.rows {
		if r.to.Sink == sink {
			n += int64(len(r.event.Raw))
		}
	}
	return n
}

// wake makes every Next look again.
func (m *Memory) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Next takes a batch, see pipeline.Buffer.
func (m *Memory) Next(ctx context.Context, l pipeline.Limits) (pipeline.Batch, error) {
	for {
		if ctx.Err() != nil {
			return pipeline.Batch{}, context.Cause(ctx)
		}
		m.mu.Lock()
		rows, wait := m.choose(l, time.Now())
		changed := m.changed
		if rows != nil {
			b := m.lease(rows)
			m.mu.Unlock()
			return b, nil
		}
		m.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// choose returns the rows of the next batch, or how long to wait for one.
// Destinations take turns.
func (m *Memory) choose(l pipeline.Limits, now time.Time) (rows []*memoryRow, wait time.Duration) {
	wait = time.Hour
	byDestination := make(map[pipeline.Destination][]*memoryRow)
	for _, r := range m.rows {
		if !r.leased && r.to.Sink == l.Sink {
			byDestination[r.to] = append(byDestination[r.to], r)
		}
	}
	order := slices.SortedFunc(maps.Keys(byDestination), compareDestinations)
	next, _ := slices.BinarySearchFunc(order, m.served[l.Sink], compareDestinations)
	if next < len(order) && order[next] == m.served[l.Sink] {
		next++
	}
	for i := range order {
		to := order[(next+i)%len(order)]
		if until := l.HeldUntil(to); now.Before(until) {
			wait = min(wait, until.Sub(now))
			continue
		}
		rows, full := cut(byDestination[to], l)
		ready := m.readyAt(rows, l)
		if full || !now.Before(ready) {
			m.served[l.Sink] = to
			return rows, 0
		}
		wait = min(wait, ready.Sub(now))
	}
	return nil, wait
}

// compareDestinations orders destinations by name.
func compareDestinations(a, b pipeline.Destination) int {
	return cmp.Or(cmp.Compare(a.LogGroup, b.LogGroup), cmp.Compare(a.LogStream, b.LogStream))
}

// cut sorts the rows of a destination and returns those that make the next
// batch; full says that a limit ended it.
func cut(rows []*memoryRow, l pipeline.Limits) (batch []*memoryRow, full bool) {
	slices.SortStableFunc(rows, func(a, b *memoryRow) int { return a.event.Date.Compare(b.event.Date) })
	size := 0
	for i, r := range rows {
		size += len(r.event.Raw) + l.EventOverhead
		span := l.Clamp(r.event.Date).Sub(l.Clamp(rows[0].event.Date))
		if i > 0 && (size > l.MaxBytes || span > l.MaxSpan || i >= l.MaxEvents) {
			return rows[:i], true
		}
	}
	return rows, len(rows) >= l.MaxEvents || size >= l.MaxBytes
}

// readyAt is when a batch that is not full goes out nevertheless.
func (m *Memory) readyAt(rows []*memoryRow, l pipeline.Limits) time.Time {
	since := rows[0].since
	for _, r := range rows {
		if r.since.Before(since) {
			since = r.since
		}
	}
	ready := since.Add(l.Linger)
	for _, last := range m.backlog {
		until := last.Add(backlogPatience)
		if latest := since.Add(max(l.Linger, backlogPatience)); until.After(latest) {
			until = latest
		}
		if until.After(ready) {
			ready = until
		}
	}
	return ready
}

// lease hands rows to the caller of Next under fresh keys.
func (m *Memory) lease(rows []*memoryRow) pipeline.Batch {
	b := pipeline.Batch{Destination: rows[0].to}
	for _, r := range rows {
		m.lastKey++
		r.leased = true
		m.leases[m.lastKey] = r
		b.Events = append(b.Events, r.event)
		b.Keys = append(b.Keys, m.lastKey)
		b.Sources = append(b.Sources, r.source)
		b.Doubt = b.Doubt.Join(r.doubt)
	}
	return b
}

// Settle takes a batch out, see pipeline.Buffer.
func (m *Memory) Settle(ctx context.Context, b pipeline.Batch, r pipeline.Receipt) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	named := make(map[int]bool)
	for _, i := range slices.Concat(indexes(r.Rejected), indexes(r.Skipped), r.Retry) {
		if i < 0 || i >= len(b.Keys) || named[i] {
			return fmt.Errorf("settle batch of %d: index %d: %w", len(b.Keys), i, errBadReceipt)
		}
		named[i] = true
	}
	for _, i := range indexes(r.Altered) {
		if i < 0 || i >= len(b.Keys) || named[i] {
			return fmt.Errorf("settle batch of %d: altered index %d: %w", len(b.Keys), i, errBadReceipt)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range slices.Concat(r.Rejected, r.Altered) {
		if row := m.leases[b.Keys[x.Index]]; row != nil {
			m.letters = append(m.letters, DeadLetter{LogID: row.event.LogID, Reason: x.Reason, Raw: row.event.Raw})
		}
	}
	for _, x := range r.Skipped {
		if m.leases[b.Keys[x.Index]] != nil {
			m.skipped[x.Reason]++
		}
	}
	gone := make(map[*memoryRow]bool)
	for i, key := range b.Keys {
		row := m.leases[key]
		if row == nil {
			continue // settled before
		}
		delete(m.leases, key)
		if slices.Contains(r.Retry, i) {
			row.leased, row.since, row.doubt = false, time.Now(), r.Doubt
		} else {
			gone[row] = true
		}
	}
	m.rows = slices.DeleteFunc(m.rows, func(row *memoryRow) bool { return gone[row] })
	m.wake()
	return nil
}

// indexes returns the indexes that rejections name.
func indexes(list []pipeline.Rejection) []int {
	out := make([]int, len(list))
	for i, x := range list {
		out[i] = x.Index
	}
	return out
}

// Cursor returns the cursor of a source, see pipeline.Buffer.
func (m *Memory) Cursor(ctx context.Context, source string) (event.Cursor, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cursors[source], nil
}

// Len returns how many events have not been settled.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// DeadLetters returns what was not delivered as it is, oldest first.
func (m *Memory) DeadLetters() []DeadLetter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.letters)
}

// Gaps returns the gaps that sources reported, oldest first.
func (m *Memory) Gaps() []event.Gap {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.gaps)
}

// Skipped returns how many events were left out, by reason.
func (m *Memory) Skipped() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.skipped)
}
