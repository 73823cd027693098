package cloudwatch

import (
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// The log classes.
const (
	classStandard   = "STANDARD"
	classInfrequent = "INFREQUENT_ACCESS"
	classDelivery   = "DELIVERY"
	classEssentials = "ESSENTIALS"
)

// eventOverhead is what each event counts beyond its message, in bytes, towards
// the limits and the stored bytes (PutLogEvents in the API reference).
const eventOverhead = 26

// dayMillis is a day in milliseconds.
const dayMillis = 24 * 60 * 60 * 1000

// An entry is an event as it is kept. The messages of one PutLogEvents call
// share one string.
type entry struct {
	position
	ingested int64
	message  string
}

// size is what the entry counts towards the limits.
func (e entry) size() int { return len(e.message) + eventOverhead }

// A logStream is a stream with its events, which ascend by position.
type logStream struct {
	name       string
	created    int64
	events     []entry
	lastIngest int64 // of the newest PutLogEvents; 0 means none
	lastSeq    uint64
}

// A logGroup is a group with its settings and streams. Its exported members are
// its form in the journal.
type logGroup struct {
	Name      string            `json:"name"`
	Created   int64             `json:"created"`
	Retention int64             `json:"retention,omitempty"` // days; 0 means for ever
	Class     string            `json:"class"`
	KMSKey    string            `json:"kmsKey,omitempty"`
	Protected bool              `json:"protected,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	Indexes   string            `json:"indexes,omitempty"` // the document of its index policy
	Indexed   int64             `json:"indexed,omitempty"` // when that was put

	streams map[string]*logStream
	bytes   int64 // size of all events, expired ones included
}

// expiry returns the time before which the events of the group have expired, in
// milliseconds.
func (g *logGroup) expiry(now int64) int64 {
	if g.Retention == 0 {
		return 0
	}
	return now - g.Retention*dayMillis
}

// storedBytes returns the size of the events that have not expired.
func (g *logGroup) storedBytes(now int64) int64 {
	size := g.bytes
	if g.Retention == 0 {
		return size
	}
	for _, st := range g.streams {
		size -= sum(st.events[:search(st.events, position{g.expiry(now), 0})])
	}
	return size
}

// A store holds the groups. Its methods lock it; reading goes through view.
type store struct {
	mu      sync.RWMutex
	groups  map[string]*logGroup
	seq     uint64 // of the newest event
	journal *journal
}

func newStore() *store {
	return &store{groups: make(map[string]*logGroup)}
}

// close flushes and closes the journal.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.close()
}

// view calls read with the groups, which it must neither change nor keep.
func (s *store) view(read func(groups map[string]*logGroup) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return read(s.groups)
}

// viewGroup calls read with one group.
func (s *store) viewGroup(name string, read func(*logGroup) error) error {
	return s.view(func(groups map[string]*logGroup) error {
		g, ok := groups[name]
		if !ok {
			return errNoGroup
		}
		return read(g)
	})
}

// createGroup adds a group.
func (s *store) createGroup(g *logGroup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.groups[g.Name]; exists {
		return errGroupExists
	}
	if err := s.journal.group(g); err != nil {
		return err
	}
	s.applyGroup(g)
	return nil
}

// changeGroup changes the settings of a group. The function works on a copy, so
// that nothing changes when it or the journal fails.
func (s *store) changeGroup(name string, change func(*logGroup) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[name]
	if !ok {
		return errNoGroup
	}
	changed := *g
	changed.Tags = maps.Clone(g.Tags)
	if err := change(&changed); err != nil {
		return err
	}
	if err := s.journal.group(&changed); err != nil {
		return err
	}
	s.applyGroup(&changed)
	return nil
}

// applyGroup puts the settings of a group in place; its streams stay.
func (s *store) applyGroup(g *logGroup) {
	if old, ok := s.groups[g.Name]; ok {
		g.streams, g.bytes = old.streams, old.bytes
	}
	if g.streams == nil {
		g.streams = make(map[string]*logStream)
	}
	s.groups[g.Name] = g
}

// deleteGroup removes a group with its streams.
func (s *store) deleteGroup(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[name]
	if !ok {
		return errNoGroup
	}
	if g.Protected {
		return errProtected
	}
	if err := s.journal.deleteGroup(name); err != nil {
		return err
	}
	delete(s.groups, name)
	return nil
}

// createStream adds a stream.
func (s *store) createStream(group, stream string, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[group]
	if !ok {
		return errNoGroup
	}
	if _, exists := g.streams[stream]; exists {
		return errStreamExists
	}
	if err := s.journal.stream(group, stream, now); err != nil {
		return err
	}
	s.applyStream(group, stream, now)
	return nil
}

func (s *store) applyStream(group, stream string, created int64) {
	if g, ok := s.groups[group]; ok {
		g.streams[stream] = &logStream{name: stream, created: created}
	}
}

// deleteStream removes a stream with its events.
func (s *store) deleteStream(group, stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[group]
	if !ok {
		return errNoGroup
	}
	if _, exists := g.streams[stream]; !exists {
		return errNoStream
	}
	if g.Protected {
		return errProtected
	}
	if err := s.journal.deleteStream(group, stream); err != nil {
		return err
	}
	s.applyDeleteStream(group, stream)
	return nil
}

func (s *store) applyDeleteStream(group, stream string) {
	if g, ok := s.groups[group]; ok {
		if st, ok := g.streams[stream]; ok {
			g.bytes -= sum(st.events)
			delete(g.streams, stream)
		}
	}
}

// put stores the events that admit lets through. The function sees the group
// before anything changes and returns what is left of the batch, or an error.
func (s *store) put(
	group, stream string, now int64, admit func(*logGroup) ([]inputEvent, error),
) (lastSeq uint64, stored []inputEvent, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[group]
	if !ok {
		return 0, nil, errNoGroup
	}
	st, ok := g.streams[stream]
	if !ok {
		return 0, nil, errNoStream
	}
	events, err := admit(g)
	if err != nil || len(events) == 0 {
		return st.lastSeq, nil, err
	}
	b := batch{group: group, stream: stream, ingested: now, firstSeq: s.seq + 1, events: events}
	if err := s.journal.events(b); err != nil {
		return 0, nil, err
	}
	s.applyEvents(b)
	return st.lastSeq, events, nil
}

// A batch is what one PutLogEvents call stores.
type batch struct {
	group, stream string
	ingested      int64
	firstSeq      uint64
	events        []inputEvent
}

// applyEvents merges a batch into its stream.
func (s *store) applyEvents(b batch) {
	s.seq = max(s.seq, b.firstSeq+uint64(len(b.events))-1)
	g, ok := s.groups[b.group]
	if !ok {
		return
	}
	st, ok := g.streams[b.stream]
	if !ok {
		return
	}
	st.lastIngest = max(st.lastIngest, b.ingested)
	st.lastSeq = max(st.lastSeq, b.firstSeq+uint64(len(b.events))-1)
	g.bytes += st.insert(b)
}

// insert adds the events of a batch, which ascend by time, and returns their
// size. A batch that is not older than the stream is appended; any other is
// merged into the tail that it overlaps.
func (st *logStream) insert(b batch) (size int64) {
	old := len(st.events)
	st.events = slices.Grow(st.events, len(b.events))
	for i, e := range b.events {
		added := entry{position{e.time, b.firstSeq + uint64(i)}, b.ingested, e.message}
		st.events = append(st.events, added)
		size += int64(added.size())
	}
	if old == 0 || !st.events[old].before(st.events[old-1].position) {
		return size
	}
	from := search(st.events[:old], st.events[old].position)
	tail := slices.Clone(st.events[from:old])
	merge(st.events[from:], tail, slices.Clone(st.events[old:]))
	return size
}

// merge writes the union of two ascending lists into dst.
func merge(dst, a, b []entry) {
	for i := range dst {
		if len(b) == 0 || len(a) > 0 && a[0].before(b[0].position) {
			dst[i], a = a[0], a[1:]
		} else {
			dst[i], b = b[0], b[1:]
		}
	}
}

// search returns the index of the first entry that does not stand before p.
func search(events []entry, p position) int {
	return sort.Search(len(events), func(i int) bool { return !events[i].before(p) })
}

// between returns the entries from inclusive to exclusive.
func between(events []entry, from, to position) []entry {
	if !from.before(to) {
		return nil
	}
	return events[search(events, from):search(events, to)]
}

func sum(events []entry) (size int64) {
	for _, e := range events {
		size += int64(e.size())
	}
	return size
}

// sortedNames returns the names that start with prefix, in ASCII order.
func sortedNames[V any](m map[string]V, prefix string) []string {
	var names []string
	for name := range m {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// nowMillis returns the time in the unit of the API.
func nowMillis() int64 { return time.Now().UnixMilli() }
