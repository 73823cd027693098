package store

import (
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

const (
	// lateMargin is how far before a late event, one that moved no cursor, the
	// cursor must have been for that it is sure to be read again: more than the
	// widest window in which late events are looked for.
	lateMargin = time.Hour
	// historyStep is how far apart the positions of the history are at least.
	historyStep = time.Second
	// maxPassages bounds the memory of a long backlog; beyond it intakes share a
	// passage.
	maxPassages = 20_000
)

// A position is where a source stood, and since when.
type position struct {
	Cursor event.Cursor `json:"cursor"`
	At     time.Time    `json:"at"`
}

// A passage is an intake on its way through the buffer: the events whose number
// is higher than that of the passage before.
type passage struct {
	last int64 // the highest number
	left int   // events that have not left the buffer
	late bool  // there are events among them that moved no cursor
	at   time.Time
	to   map[string]position // where the sources stand once all have left
}

// A progress knows up to where all that a tenant's sources brought has left the
// buffer: whoever reads again from there meets every event that has not. The
// mutex of the buffer guards it.
type progress struct {
	passages []*passage
	history  map[string][]position // by source, oldest first: positions that were passed
}

// begin starts from what the file holds: so many events, the numbers up to last,
// and the cursors; and from where the mirror says that reading again is safe.
func (p *progress) begin(mirrored, cursors map[string]position, events, last int64, now time.Time) {
	p.passages, p.history = nil, make(map[string][]position)
	if events == 0 {
		mirrored = cursors
	}
	for source, at := range mirrored {
		p.history[source] = []position{at}
	}
	if events > 0 {
		p.passages = []*passage{{last: last, left: int(events), late: true, at: now, to: cursors}}
	}
}

// appended notes n new events, the last of which has the number last, and the
// cursor behind them, which may be empty. Letters that are replayed have no source.
func (p *progress) appended(source string, c event.Cursor, n int, last int64, now time.Time) {
	if n == 0 && c == "" {
		return
	}
	share := n == 0 || len(p.passages) >= maxPassages
	if len(p.passages) == 0 || !share {
		p.passages = append(p.passages, &passage{last: last, at: now, to: make(map[string]position)})
	}
	tail := p.passages[len(p.passages)-1]
	if n > 0 {
		tail.last, tail.left = last, tail.left+n
		tail.late = tail.late || c == "" && source != ""
	}
	if c != "" {
		tail.to[source] = position{c, now}
	}
	p.pass()
}

// left notes events that have left the buffer.
func (p *progress) left(list []*entry) {
	for _, e := range list {
		i, _ := slices.BinarySearchFunc(p.passages, e.seq, func(x *passage, seq int64) int {
			if x.last < seq {
				return -1
			}
			return 1 // the first that is not below
		})
		if i < len(p.passages) {
			p.passages[i].left--
		}
	}
	p.pass()
}

// pass moves on over the passages of which nothing is left.
func (p *progress) pass() {
	n := 0
	for n < len(p.passages) && p.passages[n].left <= 0 {
		for source, at := range p.passages[n].to {
			p.reached(source, at)
		}
		n++
	}
	p.passages = slices.Delete(p.passages, 0, n)
}

// reached adds a position to the history and forgets those that no late event can
// need any more.
func (p *progress) reached(source string, at position) {
	h := p.history[source]
	if n := len(h); n >= 2 && h[n-1].At.Sub(h[n-2].At) < historyStep {
		h[n-1] = at
	} else {
		h = append(h, at)
	}
	for len(h) >= 2 && !h[1].At.After(at.At.Add(-lateMargin)) {
		h = h[1:]
	}
	p.history[source] = h
}

// safe returns from where each source can be read again so that it meets every
// event that is still in the buffer.
func (p *progress) safe() map[string]position {
	out := make(map[string]position, len(p.history))
	i := slices.IndexFunc(p.passages, func(x *passage) bool { return x.late && x.left > 0 })
	for source, h := range p.history {
		out[source] = h[len(h)-1]
		if i < 0 {
			continue
		}
		out[source] = h[0]
		bound := p.passages[i].at.Add(-lateMargin)
		for _, at := range h {
			if !at.At.After(bound) {
				out[source] = at
			}
		}
	}
	return out
}

// reset forgets where a source stands.
func (p *progress) reset(source string) {
	delete(p.history, source)
	for _, x := range p.passages {
		delete(x.to, source)
	}
}
