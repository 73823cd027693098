package cloudwatch

import (
	"container/heap"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// newestFirstSince is the earliest start time with which events can be read
// newest first: 2024-01-01 (FilterLogEvents in the API reference).
const newestFirstSince = 1_704_067_200_000

type filterInput struct {
	target
	Streams       []string `json:"logStreamNames"`
	Prefix        *string  `json:"logStreamNamePrefix"`
	Start         *int64   `json:"startTime"`
	End           *int64   `json:"endTime"`
	Pattern       *string  `json:"filterPattern"`
	NextToken     *string  `json:"nextToken"`
	Limit         *int64   `json:"limit"`
	StartFromHead *bool    `json:"startFromHead"`
	Interleaved   *bool    `json:"interleaved"` // always true since June 2019
	Unmask        *bool    `json:"unmask"`      // there is nothing that could be masked
}

// resource implements input.
func (in *filterInput) resource(a arns) []string {
	name := in.name(a)
	return []string{a.stream(name, ""), a.group(name)}
}

func (in *filterInput) validate() error {
	var c checks
	in.check(&c)
	if in.Streams != nil {
		c.count("logStreamNames", fmt.Sprint(in.Streams), len(in.Streams), 1, maxStreamNames)
	}
	for i := range in.Streams {
		c.name("logStreamNames."+strconv.Itoa(i+1)+".member", &in.Streams[i], &streamName)
	}
	c.text("logStreamNamePrefix", in.Prefix, 1, maxName, &streamName)
	c.number("startTime", in.Start, 0, -1)
	c.number("endTime", in.End, 0, -1)
	c.text("filterPattern", in.Pattern, 0, maxPattern, nil)
	c.text("nextToken", in.NextToken, 1, unlimited, nil)
	c.number("limit", in.Limit, 1, maxEvents)
	if err := c.err(); err != nil {
		return err
	}
	if err := in.exclusive(); err != nil {
		return err
	}
	if in.Streams != nil && in.Prefix != nil {
		return errTwoStreams
	}
	if in.backward() && in.NextToken == nil && deref(in.Start) < newestFirstSince {
		return errNewestTooFar
	}
	return nil
}

// backward reports whether the newest events come first.
func (in *filterInput) backward() bool { return in.StartFromHead != nil && !*in.StartFromHead }

type filterOutput struct {
	Events   []filteredEvent `json:"events"`
	Searched []struct{}      `json:"searchedLogStreams"` // always empty since 2020
	// NextToken is there as long as there may be more.
	NextToken *string `json:"nextToken,omitempty"`
}

type filteredEvent struct {
	Stream    string `json:"logStreamName"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
	Ingested  int64  `json:"ingestionTime"`
	ID        string `json:"eventId"`
}

func (s *Server) filterLogEvents(c *call, in *filterInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	match, err := parsePattern(deref(in.Pattern))
	if err != nil {
		return nil, invalidParameter("Invalid filter pattern: %s", err)
	}
	name := in.name(c.arns)
	out := filterOutput{Events: []filteredEvent{}, Searched: []struct{}{}}
	err = s.store.viewGroup(name, func(g *logGroup) error {
		if err := g.readable("FilterLogEvents"); err != nil {
			return err
		}
		return in.page(g, match, s.readable, &out)
	})
	emulator.Note(c.ctx, slog.String("group", name), slog.Int("events", len(out.Events)))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// page fills the answer with what matches, from all streams in one order.
func (in *filterInput) page(g *logGroup, match matcher, readable func([]entry) []entry, out *filterOutput) error {
	now := nowMillis()
	streams, err := in.streams(g)
	if err != nil {
		return err
	}
	from := position{max(deref(in.Start), g.expiry(now)), 0}
	to := position{math.MaxInt64, 0}
	if in.End != nil && *in.End < math.MaxInt64 {
		to.time = *in.End + 1 // unlike that of GetLogEvents, this end is part of the range
	}
	query := hashQuery("events", g.Name, deref(in.Pattern), deref(in.Prefix), fmt.Sprintf("%q", in.Streams))
	backward := in.backward()
	if in.NextToken != nil {
		token, err := decodeToken(*in.NextToken, query, now)
		if err != nil {
			return err
		}
		at := position{token.AfterTime, token.Seq}
		if backward = token.Backward; backward {
			to = at
		} else {
			from = later(from, at.next())
		}
	}
	merged := newMerger(streams, readable, from, to, backward)
	if last, more := in.collect(merged, match, out); more {
		out.NextToken = pageToken{AfterTime: last.time, Seq: last.seq, Backward: backward, Query: query}.encode(now)
	}
	return nil
}

// collect takes events until the page is full. It returns the position of the
// last one that it has looked at, and whether there are more.
func (in *filterInput) collect(m *merger, match matcher, out *filterOutput) (last position, more bool) {
	limit, size := maxEvents, 0
	if in.Limit != nil {
		limit = int(*in.Limit)
	}
	for {
		e, stream, ok := m.peek()
		if !ok {
			return last, false
		}
		if match(e.message) {
			if len(out.Events) == limit || len(out.Events) > 0 && size+e.size() > maxPageBytes {
				return last, true
			}
			size += e.size()
			out.Events = append(out.Events, filteredEvent{
				Stream: stream, Timestamp: e.time, Message: e.message, Ingested: e.ingested, ID: e.id(),
			})
		}
		last = e.position
		m.advance()
	}
}

// streams returns the streams that are asked for. A name that does not exist is
// an error, a prefix without streams is not.
func (in *filterInput) streams(g *logGroup) ([]*logStream, error) {
	var list []*logStream
	if in.Streams == nil {
		for _, name := range sortedNames(g.streams, deref(in.Prefix)) {
			list = append(list, g.streams[name])
		}
		return list, nil
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(in.Streams))) {
		st, ok := g.streams[name]
		if !ok {
			return nil, errNoStream
		}
		list = append(list, st)
	}
	return list, nil
}

// A merger goes through the events of several streams in one order.
type merger struct {
	lanes    []lane
	backward bool
}

type lane struct {
	stream string
	events []entry // what is left, always in ascending order
}

func newMerger(streams []*logStream, readable func([]entry) []entry, from, to position, backward bool) *merger {
	m := &merger{backward: backward}
	for _, st := range streams {
		if events := between(readable(st.events), from, to); len(events) > 0 {
			m.lanes = append(m.lanes, lane{st.name, events})
		}
	}
	heap.Init(m)
	return m
}

// head returns the event of a lane that comes next.
func (m *merger) head(i int) entry {
	events := m.lanes[i].events
	if m.backward {
		return events[len(events)-1]
	}
	return events[0]
}

// peek returns the next event and its stream.
func (m *merger) peek() (entry, string, bool) {
	if len(m.lanes) == 0 {
		return entry{}, "", false
	}
	return m.head(0), m.lanes[0].stream, true
}

// advance leaves the next event behind.
func (m *merger) advance() {
	l := &m.lanes[0]
	if m.backward {
		l.events = l.events[:len(l.events)-1]
	} else {
		l.events = l.events[1:]
	}
	if len(l.events) == 0 {
		heap.Pop(m)
		return
	}
	heap.Fix(m, 0)
}

// Len implements heap.Interface.
func (m *merger) Len() int { return len(m.lanes) }

// Less implements heap.Interface.
func (m *merger) Less(i, j int) bool {
	if m.backward {
		i, j = j, i
	}
	return m.head(i).before(m.head(j).position)
}

// Swap implements heap.Interface.
func (m *merger) Swap(i, j int) { m.lanes[i], m.lanes[j] = m.lanes[j], m.lanes[i] }

// Push implements heap.Interface; lanes are never added.
func (m *merger) Push(any) {}

// Pop implements heap.Interface.
func (m *merger) Pop() any {
	last := m.lanes[len(m.lanes)-1]
	m.lanes = m.lanes[:len(m.lanes)-1]
	return last
}
