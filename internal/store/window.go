package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// windowSize says how much of a tenant's buffer is kept in memory, so that Next
// reads from disk only when there is a backlog.
type windowSize struct {
	rows, bytes int // of each destination
	allBytes    int // of all of them together, as far as least allows
	least       int // bytes of each destination, however many there are
	readRows    int // to read from disk at once
	readBytes   int
}

// defaultWindow holds several full batches of CloudWatch Logs, unless there are so
// many destinations that each has less than one: what its next batch needs is then
// read from disk, and what is left of it given back.
var defaultWindow = windowSize{
	rows: 20_000, bytes: 8 << 20, allBytes: 32 << 20, least: 128 << 10,
	readRows: 4096, readBytes: 2 << 20,
}

// share returns the bytes for each of n destinations.
func (s windowSize) share(n int) int {
	return max(s.least, min(s.bytes, s.allBytes/max(n, 1)))
}

// An entry is a stored event in memory.
type entry struct {
	seq, to  int64 // number and destination
	row      int64 // of the buffer: the number of its first event
	date     int64 // microseconds
	dateFrom event.DateSource
	logID    string
	typ      string
	body     []byte
	source   string    // that brought it
	stored   int64     // when it was stored, microseconds; 0 when that is not known
	since    time.Time // when it became available
}

// event returns what the entry stands for.
func (e *entry) event() event.Event {
	return event.Event{LogID: e.logID, Date: time.UnixMicro(e.date).UTC(), DateFrom: e.dateFrom, Type: e.typ, Raw: e.body}
}

// compareEntries orders entries by date, and by arrival where it is the same.
func compareEntries(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.seq, b.seq))
}

// A window holds the oldest events of a destination that are not leased. All
// that lie on disk, are not leased and are not behind end are in it. The mutex
// of the buffer guards it.
type window struct {
	id       int64
	to       pipeline.Destination
	entries  []*entry // in order
	bytes    int
	complete bool   // nothing is behind it
	end      *entry // the last one known when not complete; nil: nothing is known
	listed   bool   // is among the turns
}

// add takes in events that became available, in any order. Those behind the end
// stay on disk, and so do the youngest beyond a number of rows and bytes.
func (w *window) add(list []*entry, rows, bytes int) {
	if !w.complete {
		list = slices.DeleteFunc(slices.Clone(list), func(e *entry) bool { return w.end == nil || compareEntries(e, w.end) > 0 })
	}
	if len(list) == 0 {
		return
	}
	slices.SortFunc(list, compareEntries)
	w.insert(list)
	w.trim(rows, bytes)
}

// insert merges sorted entries into the window.
func (w *window) insert(list []*entry) {
	for _, e := range list {
		w.bytes += len(e.body)
	}
	at, _ := slices.BinarySearchFunc(w.entries, list[0], compareEntries)
	if at == len(w.entries) { // the usual case
		w.entries = append(w.entries, list...)
		return
	}
	tail := slices.Clone(w.entries[at:])
	w.entries = w.entries[:at]
	for len(tail) > 0 && len(list) > 0 {
		if compareEntries(tail[0], list[0]) < 0 {
			w.entries, tail = append(w.entries, tail[0]), tail[1:]
		} else {
			w.entries, list = append(w.entries, list[0]), list[1:]
		}
	}
	w.entries = append(append(w.entries, tail...), list...)
}

// trim gives the youngest back to the disk when the window holds too much.
func (w *window) trim(rows, bytes int) {
	n := len(w.entries)
	for n > 1 && (n > rows || w.bytes > bytes) {
		n--
		w.bytes -= len(w.entries[n].body)
		w.entries[n] = nil
		w.complete, w.end = false, w.entries[n-1]
	}
	w.entries = w.entries[:n]
}

// take removes the first n entries.
func (w *window) take(n int) []*entry {
	out := slices.Clone(w.entries[:n])
	for i, e := range out {
		w.bytes -= len(e.body)
		w.entries[i] = nil
	}
	w.entries = w.entries[n:]
	return out
}

// forget takes events out that are gone from the disk.
func (w *window) forget(gone map[int64]bool) {
	w.entries = slices.DeleteFunc(w.entries, func(e *entry) bool {
		if gone[e.seq] {
			w.bytes -= len(e.body)
		}
		return gone[e.seq]
	})
}

// A cut is what the next batch of a window would be.
type cut struct {
	n     int       // the first n entries
	full  bool      // a limit ends it
	since time.Time // when the first to become available of them did
}

// cut applies the limits.
func (w *window) cut(l pipeline.Limits) (c cut) {
	size := 0
	var first time.Time
	for i, e := range w.entries {
		size += len(e.body) + l.EventOverhead
		date := l.Clamp(time.UnixMicro(e.date))
		if i == 0 {
			first, c.since = date, e.since
		} else if size > l.MaxBytes || i >= l.MaxEvents || date.Sub(first) > l.MaxSpan {
			c.full = true
			return c
		}
		if e.since.Before(c.since) {
			c.since = e.since
		}
		c.n++
	}
	c.full = c.n > 0 && (c.n >= l.MaxEvents || size >= l.MaxBytes)
	return c
}
