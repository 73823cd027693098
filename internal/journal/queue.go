package journal

import (
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// An Outcome is what became of a batch of a tenant.
type Outcome struct {
	pipeline.Outcome

	Tenant string
	// Region is that of the destination; Emulated says that another endpoint than AWS's
	// is there.
	Region   string
	Emulated bool
}

// pending is an outcome on its way into the file.
type pending struct {
	Outcome

	seq      int64       // of its first record, the others follow; 0 while it is being settled
	attempts map[int]int // of the events that took more calls than one, by their places
	bytes    int64

	once sync.Once
	list []Record
	size int
}

// eventCost is what an event takes in memory besides its bytes.
const eventCost = 512

// newPending makes one; settled says how many of its events have an outcome.
func newPending(o Outcome) *pending {
	p := &pending{Outcome: o, size: len(o.Batch.Events) - len(o.Receipt.Retry)}
	for i := range o.Batch.Events {
		p.bytes += int64(len(o.Batch.Events[i].Raw)) + eventCost
	}
	return p
}

// records returns the events whose outcome is known. The list is shared by those who
// read it.
func (p *pending) records() []Record {
	p.once.Do(func() { p.list = p.makeRecords() })
	return p.list
}

// makeRecords makes them.
func (p *pending) makeRecords() []Record {
	list := make([]Record, p.size)
	f := p.fates()
	n := 0
	for i := range p.Batch.Events {
		if f.left[i] {
			continue
		}
		r := &list[n]
		p.fill(r, i, f)
		r.seq = int64(n)
		if r.Place.Sink == "" {
			r.Facts = FactsOf(r.Event.Raw)
		}
		n++
	}
	return list[:n]
}

// fates are what a receipt says of the events of a batch, by their places.
type fates struct {
	left    map[int]bool // go again
	others  map[int]Record
	stamps  map[int]time.Time
	settled time.Time
}

// fates sorts the receipt by places.
func (p *pending) fates() fates {
	f := fates{settled: p.Began.Add(p.Took).UTC().Truncate(time.Microsecond)}
	if n := len(p.Receipt.Retry); n > 0 {
		f.left = make(map[int]bool, n)
		for _, i := range p.Receipt.Retry {
			f.left[i] = true
		}
	}
	note := func(rejections []pipeline.Rejection, s State) {
		for _, r := range rejections {
			if f.others == nil {
				f.others = make(map[int]Record)
			}
			f.others[r.Index] = Record{State: s, Reason: r.Reason}
		}
	}
	note(p.Receipt.Altered, Altered)
	note(p.Receipt.Rejected, Rejected)
	note(p.Receipt.Skipped, Skipped)
	if n := len(p.Receipt.Restamped); n > 0 {
		f.stamps = make(map[int]time.Time, n)
		for _, r := range p.Receipt.Restamped {
			f.stamps[r.Index] = r.At
		}
	}
	return f
}

// fill writes what is known of an event of the batch into a record, but for its facts
// and its number.
func (p *pending) fill(r *Record, i int, f fates) {
	e := &p.Batch.Events[i]
	*r = Record{
		Tenant: p.Tenant, Event: *e, State: Delivered, Settled: f.settled, Attempts: 1 + p.attempts[i],
		Place: Place{Destination: p.Batch.Destination, Region: p.Region, Emulated: p.Emulated}, size: len(e.Raw),
	}
	r.Event.Date = e.Date.UTC().Truncate(time.Microsecond)
	if other, ok := f.others[i]; ok {
		r.State, r.Reason = other.State, other.Reason
	}
	if r.State == Delivered || r.State == Altered {
		r.Timestamp = r.Event.Date
		if at, ok := f.stamps[i]; ok {
			r.Timestamp = at.UTC().Truncate(time.Microsecond)
		}
	}
	if i < len(p.Batch.Stored) && !p.Batch.Stored[i].IsZero() {
		r.Fetched = p.Batch.Stored[i].UTC().Truncate(time.Microsecond)
	}
	if i < len(p.Batch.Sources) {
		r.Source = p.Batch.Sources[i]
	}
	if r.Place.Sink != "" {
		r.Event.Raw, r.size = nil, 0
	}
}

// numbered returns copies of the records with their numbers of arrival. It must not be
// called before it has one.
func (p *pending) numbered() []Record {
	list := append([]Record(nil), p.records()...)
	for i := range list {
		list[i].seq += p.seq
	}
	return list
}

// queue holds what is on its way into the file. The zero value is not ready, see
// newQueue.
type queue struct {
	max  int64         // bytes
	wake chan struct{} // gets a token when there is something
	full chan struct{} // likewise when there is much

	mu       sync.Mutex
	settling map[*pending]bool
	list     []*pending // in the order of arrival
	bytes    int64
	next     int64 // the number of the next event
	tries    map[tryKey]int
	begun    map[int64]bool // see apart
}

// A tryKey names an event at a sink.
type tryKey struct{ tenant, sink, logID string }

// The bounds of a queue.
const (
	// flushBytes is how much is written at once.
	flushBytes = 8 << 20
	// maxTries bounds the events of which calls are counted.
	maxTries = 100_000
)

// newQueue makes a queue of so many bytes, which numbers events from first on.
func newQueue(limit, first int64) *queue {
	return &queue{
		max: limit, wake: make(chan struct{}, 1), full: make(chan struct{}, 1), settling: make(map[*pending]bool), next: first,
		tries: make(map[tryKey]int),
	}
}

// begin notes an outcome that is about to be settled.
func (q *queue) begin(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.countTries(p)
	q.apart(p)
	q.settling[p] = true
}

// countTries notes the events that go again, and takes those that are done off. The
// caller holds mu.
func (q *queue) countTries(p *pending) {
	if len(p.Receipt.Retry) == 0 && len(q.tries) == 0 {
		return
	}
	again := make(map[int]bool, len(p.Receipt.Retry))
	for _, i := range p.Receipt.Retry {
		again[i] = true
	}
	for i := range p.Batch.Events {
		k := tryKey{p.Tenant, p.Batch.Destination.Sink, p.Batch.Events[i].LogID}
		switch n := q.tries[k]; {
		case again[i] && (n > 0 || len(q.tries) < maxTries):
			q.tries[k] = n + 1
		case !again[i] && n > 0:
			if p.attempts == nil {
				p.attempts = make(map[int]int)
			}
			p.attempts[i] = n
			delete(q.tries, k)
		}
	}
}

// settled takes an outcome into the queue, unless it was not settled after all or there
// is no room; dropped is how many events are not taken for that.
func (q *queue) settled(p *pending, ok bool) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.settling, p)
	if !ok {
		return 0
	}
	if q.bytes+p.bytes > q.max && len(q.list) > 0 {
		return p.size
	}
	p.seq = q.next
	q.next += int64(p.size)
	q.list = append(q.list, p)
	q.bytes += p.bytes
	token(q.wake)
	if q.bytes >= flushBytes {
		token(q.full)
	}
	return 0
}

// token leaves a token in a channel.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take returns what is to be written next, which stays in the queue until done.
func (q *queue) take() []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	var bytes int64
	for i, p := range q.list {
		if bytes += p.bytes; bytes >= flushBytes {
			return q.list[: i+1 : i+1]
		}
	}
	return slices.Clip(q.list)
}

// done takes what was written off the queue.
func (q *queue) done(list []*pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range list {
		q.bytes -= p.bytes
	}
	q.list = append([]*pending(nil), q.list[len(list):]...)
	if len(q.list) > 0 {
		token(q.wake)
	}
	if q.bytes >= flushBytes {
		token(q.full)
	}
}

// look returns what is on its way: what is being settled and what is queued, and the
// number of the latest arrival.
func (q *queue) look() (settling, queued []*pending, latest int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := range q.settling {
		settling = append(settling, p)
	}
	return settling, append(queued, q.list...), q.next - 1
}

// waiting returns how much is queued.
func (q *queue) waiting() (events int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.list {
		events += p.size
	}
	return events, q.bytes
}
