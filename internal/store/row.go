package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/gaplesslogs/gapless/internal/event"
)

// The bounds of a row of the buffer. What is read of a row is read as a whole, so
// they bound what a look at one event costs; and the events of a destination are
// found by the date of the oldest of each row, so rows that span less overlap less.
const (
	rowEvents = 1024
	rowBytes  = 512 << 10
	rowSpan   = int64(time.Hour / time.Microsecond)
)

// The forms of a body. Behind the form stand the CRC-32C of what follows, in four
// bytes, and the events: a byte for the origin of the date, then log_id, type and
// record, each behind its length as a uvarint.
const (
	formPlain = 0
	formS2    = 1 // the events as a block of S2

	bodyHead = 5
)

// castagnoli is the polynomial that processors calculate.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// scratch holds the memory in which bodies are compressed.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// A row is events of one intake that lie in the buffer together.
type row struct {
	list  []*entry
	bytes int64
	body  *[]byte // from scratch
}

// newRows sorts events into rows and packs them. What they hold moves into memory of
// the rows. The caller frees the rows when they are written.
func newRows(list []*entry) []row {
	var rows []row
	for _, part := range splitRows(list) {
		rows = append(rows, newRow(part))
	}
	return rows
}

// splitRows sorts events into rows: by destination and source, in the order in
// which they came unless they span too much.
func splitRows(list []*entry) (parts [][]*entry) {
	same := func(a, b *entry) bool { return a.to == b.to && a.source == b.source }
	if !slices.ContainsFunc(list, func(e *entry) bool { return !same(e, list[0]) }) {
		return cutRows(list)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *entry) int { return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.source, b.source)) })
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && same(list[from], list[to]) {
			to++
		}
		parts = append(parts, cutRows(list[from:to])...)
		from = to
	}
	return parts
}

// cutRows cuts events of one destination into rows within the bounds.
func cutRows(list []*entry) (parts [][]*entry) {
	oldest, newest := dateRange(list)
	if newest-oldest > rowSpan {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b *entry) int { return cmp.Compare(a.date, b.date) })
	}
	from, size := 0, 0
	for i, e := range list {
		sorted := newest-oldest > rowSpan
		if i > from && (i-from >= rowEvents || size+len(e.body) > rowBytes || sorted && e.date-list[from].date > rowSpan) {
			parts = append(parts, list[from:i])
			from, size = i, 0
		}
		size += len(e.body)
	}
	if from < len(list) {
		parts = append(parts, list[from:])
	}
	return parts
}

// dateRange returns the dates between which events lie.
func dateRange(list []*entry) (oldest, newest int64) {
	for i, e := range list {
		if i == 0 {
			oldest, newest = e.date, e.date
		}
		oldest, newest = min(oldest, e.date), max(newest, e.date)
	}
	return oldest, newest
}

// newRow packs events into a row.
func newRow(list []*entry) row {
	size := 0
	for _, e := range list {
		size += 1 + 3*binary.MaxVarintLen32 + len(e.logID) + len(e.typ) + len(e.body)
	}
	r := row{list: list}
	plain := make([]byte, 0, size)
	for _, e := range list {
		r.bytes += int64(len(e.body))
		plain = append(plain, byte(e.dateFrom))
		plain = appendSized(plain, e.logID)
		plain = appendSized(plain, e.typ)
		plain = appendSized(plain, e.body)
		e.body = plain[len(plain)-len(e.body) : len(plain) : len(plain)]
	}
	r.body = pack(plain)
	return r
}

// appendSized appends a text behind its length.
func appendSized[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// pack makes a body of events, in memory from scratch.
func pack(plain []byte) *[]byte {
	to, _ := scratch.Get().(*[]byte)
	if need := bodyHead + max(s2.MaxEncodedLen(len(plain)), len(plain)); cap(*to) < need {
		*to = make([]byte, need)
	}
	b := (*to)[:cap(*to)]
	packed := s2.Encode(b[bodyHead:], plain)
	b[0] = formS2
	if len(packed) >= len(plain) {
		b[0] = formPlain
		packed = b[bodyHead : bodyHead+copy(b[bodyHead:], plain)]
	}
	b = b[:bodyHead+len(packed)]
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[bodyHead:], castagnoli))
	*to = b
	return to
}

// insertRow writes a row into the buffer, see args.
const insertRow = `INSERT INTO buffer (seq, last_seq, destination_id, date, stored_at, source, events, bytes, gone, dates, body)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// args are the values of a row whose events have their numbers.
func (r *row) args(storedAt int64) []any {
	oldest, _ := dateRange(r.list)
	first := r.list[0]
	return []any{
		first.seq, r.list[len(r.list)-1].seq, first.to, oldest, storedAt, first.source, len(r.list), r.bytes,
		[]byte(newBits(len(r.list))), packDates(r.list), *r.body,
	}
}

// freeRows gives the memory of the bodies of rows back.
func freeRows(rows []row) {
	for _, r := range rows {
		scratch.Put(r.body)
	}
}

// errBody says that a row of the buffer is not what was written.
var errBody = &flaw{"a row of the buffer does not hold the events that were stored"}

// sound reports whether a body has the bytes that were written.
func sound(body []byte) bool {
	return len(body) >= bodyHead && binary.BigEndian.Uint32(body[1:]) == crc32.Checksum(body[bodyHead:], castagnoli)
}

// unpack returns the n events of a body, without their numbers and dates.
func unpack(body []byte, n int) ([]entry, error) {
	if n < 0 || !sound(body) {
		return nil, errBody
	}
	plain := body[bodyHead:]
	switch body[0] {
	case formPlain:
		plain = bytes.Clone(plain)
	case formS2:
		var err error
		if plain, err = s2.Decode(nil, plain); err != nil {
			return nil, errBody
		}
	default:
		return nil, errBody
	}
	var list []entry
	for len(list) < n && len(plain) > 0 {
		e := entry{dateFrom: event.DateSource(plain[0])}
		var parts [3][]byte
		plain = plain[1:]
		for i := range parts {
			var ok bool
			if parts[i], plain, ok = cutSized(plain); !ok {
				return nil, errBody
			}
		}
		e.logID, e.typ, e.body = string(parts[0]), string(parts[1]), parts[2]
		list = append(list, e)
	}
	if len(list) != n || len(plain) > 0 {
		return nil, errBody
	}
	return list, nil
}

// cutSized takes a text off that stands behind its length.
func cutSized(b []byte) (text, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(max(0, len(b)-k)) {
		return nil, nil, false
	}
	end := k + int(n) //nolint:gosec // bounded by the line above
	return b[k:end:end], b[end:], true
}

// packDates writes the dates of events.
func packDates(list []*entry) []byte {
	b := make([]byte, 0, 4*len(list)+8)
	last := int64(0)
	for _, e := range list {
		b = binary.AppendVarint(b, e.date-last)
		last = e.date
	}
	return b
}

// unpackDates reads the dates of a row.
func unpackDates(b []byte) ([]int64, error) {
	list := make([]int64, 0, len(b)/2)
	last := int64(0)
	for len(b) > 0 {
		d, k := binary.Varint(b)
		if k <= 0 {
			return nil, errBody
		}
		last += d
		list, b = append(list, last), b[k:]
	}
	return list, nil
}

// bits says of each event of a row whether it has left.
type bits []byte

// newBits returns n bits, none of them set.
func newBits(n int) bits { return make(bits, (n+7)/8) }

// has reports whether a bit is set.
func (b bits) has(i int64) bool { return b[i/8]&(1<<(i%8)) != 0 }

// set sets a bit and reports whether it was not set before.
func (b bits) set(i int64) bool {
	fresh := !b.has(i)
	b[i/8] |= 1 << (i % 8)
	return fresh
}
