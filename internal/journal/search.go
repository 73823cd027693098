package journal

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// A Page is what a search has found.
type Page struct {
	Records []Record
	// More is where to go on; empty when the search has come to its end.
	More string
	// SearchedTo is how far back it has looked.
	SearchedTo time.Time
	// Latest is the place of the newest arrival, for Query.After.
	Latest string
	// Oldest is the date of the oldest event that the file holds.
	Oldest time.Time
}

// ErrBadPlace says that a Query.From or Query.After is none that a page has given.
var ErrBadPlace = errors.New("not a place in the journal")

// A key is the place of an event in the order of a search: by date, and where that is
// the same by tenant and log_id. It stays the same on the event's way through the
// buffer, the queue and the blocks.
type key struct {
	date          int64
	tenant, logID string
}

// keyOf returns that of a record.
func keyOf(r *Record) key { return key{r.Event.Date.UnixMicro(), r.Tenant, r.Event.LogID} }

// compare orders keys, the oldest first.
func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.date, o.date), cmp.Compare(k.tenant, o.tenant), cmp.Compare(k.logID, o.logID))
}

// A place is where a search goes on: behind a key, or at a date.
type place struct {
	Date   int64  `json:"d"`
	Whole  bool   `json:"w,omitempty"` // all events of the date are still to come
	Tenant string `json:"t,omitempty"`
	LogID  string `json:"i,omitempty"`
}

// text writes a place for others, to whom it is opaque.
func (p place) text() string {
	b, err := json.Marshal(p)
	if err != nil { // numbers and texts are never refused
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readPlace reads one; the empty text is the newest event.
func readPlace(text string) (p place, err error) {
	if text == "" {
		return place{Date: math.MaxInt64, Whole: true}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return p, fmt.Errorf("read place: %w", ErrBadPlace)
	}
	return p, nil
}

// before reports whether an event comes at the place or behind it.
func (p place) before(k key) bool {
	if p.Whole {
		return k.date <= p.Date
	}
	return k.compare(key{p.Date, p.Tenant, p.LogID}) < 0
}

// A candidate is something that may hold events of a query.
type candidate struct {
	oldest, newest int64
	first, last    int64 // numbers of arrival
	open           func() ([]Record, error)
}

// Search returns the events that a query picks, see Page. It looks until its budget is
// spent. The error wraps ErrBadPlace when the query names a place that is none.
func (r *Reader) Search(ctx context.Context, q Query) (Page, error) {
	q.Limit = max(q.Limit, 1)
	if q.After != "" {
		return r.after(ctx, q)
	}
	from, err := readPlace(q.From)
	if err != nil {
		return Page{}, err
	}
	m := newMatcher(q)
	if from.Date < math.MaxInt64 {
		m.until = min(m.until, from.Date+1)
	}
	l, err := r.look(ctx, bounds{tenant: q.Tenant, since: q.Since, until: m.end()})
	if err != nil {
		return Page{}, err
	}
	defer l.close()
	s := &searching{look: l, m: m, from: from}
	if err := s.run(); err != nil {
		return Page{}, r.noteDamage(err)
	}
	s.page.Latest = strconv.FormatInt(l.latest, 10)
	return s.page, r.noteDamage(s.oldest())
}

// end returns the date that the events are before; zero for no bound.
func (m *matcher) end() time.Time {
	if m.until == math.MaxInt64 {
		return time.Time{}
	}
	return timeOf(m.until)
}

// A searching is a search under way, the newest first.
type searching struct {
	*look

	m      *matcher
	from   place
	page   Page
	hits   hits
	memory []candidate // in the buffer and in the queue, in order
	chunk  []header    // the next blocks of the file
	last   *header     // the last one read
	ended  bool        // there are no more blocks
}

// run looks until the page is full, nothing is left, or the budget is spent.
func (s *searching) run() error {
	s.memory = s.inMemory(s.m)
	slices.SortFunc(s.memory, func(a, b candidate) int { return cmp.Compare(b.newest, a.newest) })
	for {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		c, err := s.next()
		if err != nil {
			return err
		}
		edge := int64(math.MinInt64)
		if c != nil {
			edge = c.newest
		}
		if s.emit(edge) {
			s.page.More = placeOf(&s.page.Records[len(s.page.Records)-1]).text()
			s.page.SearchedTo = s.page.Records[len(s.page.Records)-1].Event.Date
			if c == nil && len(s.hits) == 0 {
				s.page.More = ""
			}
			return nil
		}
		if c == nil {
			s.page.SearchedTo = s.m.q.Since
			return nil
		}
		// What is at the place itself was begun by the search before; to go on from the
		// same place again would be to stand still.
		if s.spent() && c.newest < s.from.Date {
			s.page.More, s.page.SearchedTo = place{Date: c.newest, Whole: true}.text(), timeOf(c.newest)
			return nil
		}
		if err := s.open(c); err != nil {
			return err
		}
	}
}

// placeOf returns the place behind a record.
func placeOf(r *Record) place {
	k := keyOf(r)
	return place{Date: k.date, Tenant: k.tenant, LogID: k.logID}
}

// open takes the events of a candidate that are picked.
func (s *searching) open(c *candidate) error {
	list, err := c.open()
	if err != nil {
		return err
	}
	for i := range list {
		if r := &list[i]; s.from.before(keyOf(r)) && s.m.record(r) {
			heap.Push(&s.hits, *r)
		}
	}
	return nil
}

// emit moves hits that are younger than edge to the page; true says that it is full.
func (s *searching) emit(edge int64) bool {
	for len(s.hits) > 0 && s.hits[0].Event.Date.UnixMicro() > edge {
		if len(s.page.Records) >= s.m.q.Limit {
			return true
		}
		r := s.pop()
		for len(s.hits) > 0 && keyOf(&s.hits[0]) == keyOf(&r) {
			if again := s.pop(); again.newer(&r) {
				r = again
			}
		}
		r.Event.Raw = nil
		s.page.Records = append(s.page.Records, r)
	}
	return len(s.page.Records) >= s.m.q.Limit
}

// pop takes the youngest hit.
func (s *searching) pop() Record {
	r, _ := heap.Pop(&s.hits).(Record) // it holds nothing else
	return r
}

// newer reports whether a record of an event tells of what was later than what another
// one tells: a rejected event may be replayed, and one that was found waiting may have
// been delivered since.
func (r *Record) newer(o *Record) bool {
	a, b := r.passed(), o.passed()
	if !a.Equal(b) {
		return a.After(b)
	}
	if (r.State == Waiting) != (o.State == Waiting) {
		return o.State == Waiting
	}
	return r.seq > o.seq
}

// passed is when it came to its state.
func (r *Record) passed() time.Time {
	if r.State == Waiting {
		return r.Fetched
	}
	return r.Settled
}

// hits is a heap of records, the youngest on top.
type hits []Record

func (h hits) Len() int           { return len(h) }
func (h hits) Less(i, j int) bool { return keyOf(&h[i]).compare(keyOf(&h[j])) > 0 }
func (h hits) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *hits) Push(x any) {
	r, _ := x.(Record) // nothing else is pushed
	*h = append(*h, r)
}

// Pop implements heap.Interface.
func (h *hits) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = Record{}
	*h = (*h)[:last]
	return r
}

// next returns the candidate with the youngest event of those that were not opened.
func (s *searching) next() (*candidate, error) {
	for {
		if len(s.chunk) == 0 && !s.ended {
			if err := s.readChunk(); err != nil {
				return nil, err
			}
		}
		switch {
		case len(s.chunk) == 0 && len(s.memory) == 0:
			return nil, nil //nolint:nilnil // the end is no error
		case len(s.chunk) == 0, len(s.memory) > 0 && s.memory[0].newest >= s.chunk[0].newest:
			c := s.memory[0]
			s.memory = s.memory[1:]
			return &c, nil
		}
		h := s.chunk[0]
		s.chunk = s.chunk[1:]
		if !s.m.header(&h) {
			continue
		}
		return s.candidate(&h, s.m), nil
	}
}

// chunkSize is how many headers are read at once.
const chunkSize = 64

// readChunk reads the next headers.
func (s *searching) readChunk() error {
	if s.tx == nil {
		s.ended = true
		return nil
	}
	newest, id := int64(math.MaxInt64), int64(math.MaxInt64)
	if s.last != nil {
		newest, id = s.last.newest, s.last.id
	}
	list, err := queryHeaders(s.ctx, s.tx, `WHERE sink = '' AND (newest, id) < (?1, ?2) AND newest >= ?3 AND oldest < ?4 AND (?5 = '' OR tenant = ?5)
		ORDER BY newest DESC, id DESC LIMIT ?6`, newest, id, s.m.since, s.m.until, s.m.q.Tenant, chunkSize)
	if err != nil {
		return err
	}
	if s.ended = len(list) < chunkSize; len(list) > 0 {
		s.last = &list[len(list)-1]
	}
	s.chunk = list
	return nil
}

// oldest finds the date of the oldest event.
func (s *searching) oldest() error {
	if s.tx == nil {
		return nil
	}
	var at int64
	err := s.tx.QueryRowContext(s.ctx, "SELECT coalesce(min(oldest), 0) FROM blocks WHERE sink = '' AND (?1 = '' OR tenant = ?1)", s.m.q.Tenant).Scan(&at)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	s.page.Oldest = timeOrZero(at)
	return nil
}

// candidate makes one of a block. What it opens holds the events that are picked among
// its records, and may hold others.
func (l *look) candidate(h *header, m *matcher) *candidate {
	block := *h
	return &candidate{oldest: h.oldest, newest: h.newest, first: h.first, last: h.last, open: func() ([]Record, error) {
		l.opened++
		return l.openBlock(&block, m)
	}}
}

// openBlock reads the records of a block, unless it holds none that is picked.
func (l *look) openBlock(h *header, m *matcher) ([]Record, error) {
	if h.level == levelRaw {
		return l.r.whole(l.ctx, l.tx, h)
	}
	if m.named() {
		words, err := l.r.column(l.ctx, l.tx, "SELECT words FROM blocks WHERE id = ?", h.id)
		if err != nil || !m.words(words) {
			return nil, err
		}
	}
	var body []byte
	if m.text != "" {
		var err error
		if body, err = l.r.body(l.ctx, l.tx, h); err != nil || !m.body(body) {
			return nil, err
		}
	}
	list, err := l.r.load(l.ctx, l.tx, h)
	if err != nil || m.text == "" {
		return list, err
	}
	return list, share(body, list)
}

// inMemory lists the candidates of the buffer and the queue, of the main sink.
func (l *look) inMemory(m *matcher) (list []candidate) {
	for _, row := range l.rows {
		if row.Place.Sink != "" {
			continue
		}
		list = append(list, candidate{oldest: row.Oldest.UnixMicro(), newest: row.Newest.UnixMicro(), open: func() ([]Record, error) {
			l.opened++
			return l.openRow(row)
		}})
	}
	for _, p := range l.pending {
		if p.Batch.Destination.Sink != "" || p.size == 0 || m.q.Tenant != "" && p.Tenant != m.q.Tenant {
			continue
		}
		list = append(list, l.queued(p))
	}
	return list
}

// queued makes a candidate of an outcome.
func (l *look) queued(p *pending) candidate {
	first := l.r.live.queue.number(p)
	c := candidate{oldest: math.MaxInt64, newest: math.MinInt64, first: first, last: first + int64(p.size) - 1}
	records := p.records()
	for i := range records {
		at := records[i].Event.Date.UnixMicro()
		c.oldest, c.newest = min(c.oldest, at), max(c.newest, at)
	}
	c.open = func() ([]Record, error) {
		list := slices.Clone(records)
		for i := range list {
			list[i].seq += first
		}
		return list, nil
	}
	return c
}

// openRow reads the events of a row of the buffer.
func (l *look) openRow(row WaitingRow) ([]Record, error) {
	events, err := l.waiting.Events(l.ctx, row.Row)
	if err != nil {
		return nil, fmt.Errorf("read what waits: %w", err)
	}
	list := make([]Record, len(events))
	for i, e := range events {
		list[i] = Record{
			Tenant: row.Tenant, Event: e, State: Waiting, Fetched: row.StoredAt, Source: row.Source, Place: row.Place, size: len(e.Raw),
		}
		if row.Place.Sink == "" {
			list[i].Facts = FactsOf(e.Raw)
		}
	}
	return list, nil
}
