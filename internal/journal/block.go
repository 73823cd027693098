package journal

import (
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// The bounds of a block. What is read of a block is read as a whole, so they bound what
// a look at one event costs.
const (
	blockEvents = 2048
	blockBytes  = 1 << 20 // of the events' bytes
)

// A header is what a block tells without being opened. Times are microseconds.
type header struct {
	id             int64
	tenant, sink   string
	level          int   // how often it was merged, or levelRaw or levelFull
	first, last    int64 // numbers of arrival
	oldest, newest int64 // dates
	settled        int64 // the latest outcome
	events, failed int
	bytes          int64
	types          string // between commas
	ids            []byte // filter of the log_ids
}

// A block is events on their way into the file.
type block struct {
	header
	list  []Record
	stats []byte
	words []byte
	facts []byte
	body  []byte
}

// newBlock makes a block of records of one tenant and sink, whose numbers count from
// base. It does not change the list.
func newBlock(list []Record, base int64, c codec) *block {
	list = inOrder(list)
	first := &list[0]
	bodies := first.Place.Sink == ""
	b := &block{list: list, header: header{
		tenant: first.Tenant, sink: first.Place.Sink, events: len(list), first: base + first.seq, last: base + first.seq,
		oldest: first.Event.Date.UnixMicro(), newest: list[len(list)-1].Event.Date.UnixMicro(),
	}}
	types := make(map[string]bool)
	for i := range list {
		r := &list[i]
		b.first, b.last = min(b.first, base+r.seq), max(b.last, base+r.seq)
		b.settled = max(b.settled, micros(r.Settled))
		b.bytes += int64(len(r.Event.Raw))
		types[r.Event.Type] = true
		if Failed(r.Event.Type) {
			b.failed++
		}
	}
	b.types = joinTypes(types)
	b.ids = newIDs(len(list), func(i int) string { return list[i].Event.LogID })
	b.level = levelOf(0, b.events, b.bytes)
	if bodies {
		b.stats = c.pack(newStats(list).encode())
		b.words = c.pack(wordsOf(list))
		plain := make([]byte, 0, b.bytes)
		for i := range list {
			plain = append(plain, list[i].Event.Raw...)
		}
		b.body = c.pack(plain)
	}
	b.facts = c.pack(encode(list, base))
	return b
}

// inOrder returns records in the order of their keys, which they mostly have.
func inOrder(list []Record) []Record {
	byKey := func(a, b *Record) int { return keyOf(a).compare(keyOf(b)) }
	sorted := true
	order := make([]*Record, len(list))
	for i := range list {
		order[i] = &list[i]
		sorted = sorted && (i == 0 || byKey(order[i-1], order[i]) <= 0)
	}
	if sorted {
		return list
	}
	slices.SortStableFunc(order, byKey)
	out := make([]Record, len(list))
	for i, r := range order {
		out[i] = *r
	}
	return out
}

// joinTypes writes types between commas.
func joinTypes(types map[string]bool) string {
	var out strings.Builder
	out.WriteByte(',')
	for _, t := range sortedKeys(types) {
		out.WriteString(t)
		out.WriteByte(',')
	}
	return out.String()
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// The filter of the log_ids: a bloom filter with idBits for each event and idHashes
// bits set by each, which finds one in about a hundred that is not there.
const (
	idBits   = 10
	idHashes = 7
)

// newIDs makes the filter of n log_ids.
func newIDs(n int, logID func(i int) string) []byte {
	bits := make([]byte, (n*idBits+7)/8)
	for i := range n {
		eachBit(logID(i), len(bits), func(at uint64) bool {
			bits[at/8] |= 1 << (at % 8)
			return true
		})
	}
	return bits
}

// mayHold reports whether a filter may be of a log_id.
func mayHold(bits []byte, logID string) bool {
	if len(bits) == 0 {
		return false
	}
	held := true
	eachBit(logID, len(bits), func(at uint64) bool {
		held = bits[at/8]&(1<<(at%8)) != 0
		return held
	})
	return held
}

// eachBit goes over the bits of a log_id in a filter of so many bytes.
func eachBit(logID string, size int, do func(at uint64) bool) {
	h := xxhash.Sum64String(logID)
	step := h>>33 | 1
	for range idHashes {
		if !do(h % uint64(size*8)) { //nolint:gosec // not negative
			return
		}
		h += step
	}
}

// The parts of the words of a block, divided by wordPart: what is searched for is never
// longer than a line.
const (
	wordPart = "\x00"
	wordEnd  = "\n"
)

// plainWord takes what divides words out of one. What holds a text holds it also when
// both are plain.
func plainWord(w string) string {
	if !strings.ContainsAny(w, wordPart+wordEnd) {
		return w
	}
	return strings.NewReplacer(wordPart, "", wordEnd, "").Replace(w)
}

// wordsOf writes the names that occur in records, in lower case and each once: users,
// clients and addresses.
func wordsOf(list []Record) []byte {
	var out []byte
	part := func(of func(*Record) [2]string) {
		seen := make(map[string]struct{}, len(list)/2)
		for i := range list {
			for _, w := range of(&list[i]) {
				if _, again := seen[w]; w != "" && !again {
					seen[w] = struct{}{}
					out = append(append(out, plainWord(lower(w))...), wordEnd...)
				}
			}
		}
	}
	part(func(r *Record) [2]string { return [2]string{r.UserID, r.UserName} })
	out = append(out, wordPart...)
	part(func(r *Record) [2]string { return [2]string{r.ClientID, r.ClientName} })
	out = append(out, wordPart...)
	part(func(r *Record) [2]string { return [2]string{r.IP} })
	return out
}

// bucket is the length of the steps in which blocks count.
const bucket = 5 * time.Minute

// A tally is how often something occurred, and how often in failed events.
type tally struct {
	n, failed int64
	label     string
}

// stats are the counts of events.
type stats struct {
	cells               map[cell]int64
	users, ips, clients map[string]tally
}

// A cell is a type within a step.
type cell struct {
	at  int64 // the beginning of the step, in units of bucket since 1970
	typ string
}

// newStats counts records.
func newStats(list []Record) *stats {
	s := &stats{cells: make(map[cell]int64), users: make(map[string]tally), ips: make(map[string]tally), clients: make(map[string]tally)}
	for i := range list {
		s.add(&list[i])
	}
	return s
}

// add counts a record.
func (s *stats) add(r *Record) {
	failed := Failed(r.Event.Type)
	s.cells[cell{floorDiv(r.Event.Date.UnixMicro(), bucket.Microseconds()), r.Event.Type}]++
	count(s.users, firstOf(r.UserID, r.UserName), r.UserName, failed)
	count(s.ips, r.IP, "", failed)
	count(s.clients, firstOf(r.ClientID, r.ClientName), r.ClientName, failed)
}

// count adds one to a tally.
func count(m map[string]tally, value, label string, failed bool) {
	if value == "" {
		return
	}
	t := m[value]
	t.n++
	if failed {
		t.failed++
	}
	if label != "" && label != value {
		t.label = label
	}
	m[value] = t
}

// firstOf returns the first text that is not empty.
func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// floorDiv divides, and rounds down also what is negative.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// encode writes counts.
func (s *stats) encode() []byte {
	var b []byte
	text := func(t string) { b = append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	b = binary.AppendUvarint(b, uint64(len(s.cells)))
	for c, n := range s.cells {
		b = binary.AppendVarint(b, c.at)
		text(c.typ)
		b = binary.AppendVarint(b, n)
	}
	for _, m := range []map[string]tally{s.users, s.ips, s.clients} {
		b = binary.AppendUvarint(b, uint64(len(m)))
		for value, t := range m {
			text(value)
			text(t.label)
			b = binary.AppendVarint(binary.AppendVarint(b, t.n), t.failed)
		}
	}
	return b
}

// merge adds counts that were written to a sum.
func (s *stats) merge(plain []byte) error {
	d := &decoder{s: string(plain)}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		at := d.int()
		typ := d.text()
		s.cells[cell{at, typ}] += d.int()
	}
	for _, m := range []map[string]tally{s.users, s.ips, s.clients} {
		for n := d.uint(); n > 0 && !d.bad; n-- {
			value, label := d.text(), d.text()
			t := m[value]
			t.n += d.int()
			t.failed += d.int()
			if label != "" {
				t.label = label
			}
			m[value] = t
		}
	}
	if d.bad || d.s != "" {
		return errDamaged
	}
	return nil
}
