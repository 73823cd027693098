package store

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// refillMost is how many times the bytes of a refill are read at most to find
// events of which it is certain that none on disk is older. Only sources that bring
// the same hour over and over, in any order, can make it come to that.
const refillMost = 8

// selectRows reads the rows of a destination, the one with the oldest event first.
const selectRows = `SELECT seq, last_seq, date, stored_at, source, gone, dates, body FROM buffer
	WHERE destination_id = ? ORDER BY date, seq`

// refill reads the oldest events that lie on disk and are neither in the window nor
// leased. The caller holds mu from before the snapshot to the end: an event that is
// being delivered meanwhile is still leased then, and one that is being appended is
// behind b.applied.
func (b *Buffer) refill(ctx context.Context, w *window) error {
	rows, err := b.store.db.QueryContext(ctx, selectRows, w.id)
	if err != nil {
		return err
	}
	r := &refilling{b: b, w: w, now: time.Now(), size: b.store.window}
	if err := closeWith(rows, r.read(rows)); err != nil {
		return err
	}
	w.complete, w.end = r.done, nil
	if len(r.list) > 0 {
		w.insert(r.list)
	}
	if !r.done {
		w.end = w.entries[len(w.entries)-1]
	}
	return nil
}

// A refilling is events on their way from the disk into a window.
type refilling struct {
	b     *Buffer
	w     *window
	now   time.Time
	size  windowSize
	list  []*entry // in order once they are read
	bytes int
	done  bool // there are no more
}

// A storedRow is a row of the buffer on disk. Its bytes are good until the next one
// is read.
type storedRow struct {
	first, last    int64
	date, storedAt int64
	source         string
	gone, dates    sql.RawBytes
	body           sql.RawBytes
}

// read reads rows until there is enough. An event of a row that is not read is as
// old as the row says or younger, so those that are older than that come first.
func (r *refilling) read(rows *sql.Rows) error {
	for rows.Next() {
		var next storedRow
		if err := rows.Scan(&next.first, &next.last, &next.date, &next.storedAt, &next.source, &next.gone, &next.dates, &next.body); err != nil {
			return err
		}
		if r.enough(&entry{date: next.date, seq: next.first}) {
			return nil
		}
		if err := r.add(&next); err != nil {
			return err
		}
	}
	r.done = rows.Err() == nil
	slices.SortFunc(r.list, compareEntries)
	return rows.Err()
}

// enough reports whether what was read will do, when no other event comes before
// the given one, and leaves in the list what comes next for certain.
func (r *refilling) enough(before *entry) bool {
	if r.bytes < r.size.readBytes && len(r.list) < r.size.readRows {
		return false
	}
	slices.SortFunc(r.list, compareEntries)
	n, _ := slices.BinarySearchFunc(r.list, before, compareEntries)
	certain := 0
	for _, e := range r.list[:n] {
		certain += len(e.body)
	}
	most := r.bytes >= refillMost*r.size.readBytes
	if n == 0 && most { // the oldest that are known
		return true
	}
	if n > 0 && (most || 2*certain >= r.size.readBytes || 2*n >= r.size.readRows) {
		r.list = r.list[:n]
		return true
	}
	return false
}

// add takes over the events of a row that wait, but for those that are leased, in the
// window, or not yet applied.
func (r *refilling) add(from *storedRow) error {
	dates, err := unpackDates(from.dates)
	if err != nil {
		return err
	}
	if int64(len(dates)) != from.last-from.first+1 || len(from.gone) != len(newBits(len(dates))) {
		return errBody
	}
	var wanted []int
	for i, date := range dates {
		seq := from.first + int64(i)
		if seq > r.b.applied || bits(from.gone).has(int64(i)) || r.b.leased[seq] {
			continue
		}
		if _, in := slices.BinarySearchFunc(r.w.entries, &entry{date: date, seq: seq}, compareEntries); !in {
			wanted = append(wanted, i)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	list, err := unpack(from.body, len(dates))
	if err != nil {
		return err
	}
	since := time.UnixMicro(from.storedAt)
	if since.After(r.now) {
		since = r.now // the clock was set back
	}
	for _, i := range wanted {
		e := &list[i]
		e.row, e.seq, e.to, e.date, e.source, e.since = from.first, from.first+int64(i), r.w.id, dates[i], from.source, since
		e.stored = from.storedAt
		r.list = append(r.list, e)
		r.bytes += len(e.body)
	}
	return nil
}
