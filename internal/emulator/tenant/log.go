package tenant

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// Errors of Server.Append.
var (
	// ErrNoID says that an event has neither log_id nor _id.
	ErrNoID = errors.New("event has no log_id")
	// ErrDuplicate says that the log holds an event with this log_id.
	ErrDuplicate = errors.New("log_id is in the log already")
)

// entry is one event of the log. Entries are ordered by key and then by seq: the
// key of an event with an id of the real form is that id, so that it takes its
// place by id; any other event takes the key of the last entry, so that it stays
// where it was appended.
type entry struct {
	key  string
	seq  uint64
	id   string
	at   int64 // when it was stored, in Unix milliseconds
	date int64 // in Unix milliseconds
	code string
	raw  []byte
}

func compareEntries(a, b entry) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	switch {
	case a.seq < b.seq:
		return -1
	case a.seq > b.seq:
		return 1
	default:
		return 0
	}
}

// eventLog is the log of a tenant, ordered, in memory. Its slices are replaced
// rather than written to below their length, so that a reader may keep one.
type eventLog struct {
	retention time.Duration // not above 0: for ever
	// serveExpired says that an id older than the retention is no error.
	serveExpired bool
	delay        time.Duration

	mu      sync.RWMutex
	entries []entry
	foreign map[string]entry // the entries whose ids are not of the real form
	seq     uint64
}

func newEventLog(retention, delay time.Duration) *eventLog {
	return &eventLog{retention: retention, delay: delay, foreign: make(map[string]entry)}
}

// parseEntry reads the facts of an event. storedAt stands in for the time of an
// id that has none.
func parseEntry(raw []byte, storedAt time.Time) (entry, error) {
	raw = bytes.TrimSpace(raw)
	ev, err := event.Parse(raw, storedAt)
	if err != nil {
		return entry{}, fmt.Errorf("read event: %w", err)
	}
	if strings.HasPrefix(ev.LogID, event.SyntheticPrefix) {
		return entry{}, ErrNoID
	}
	e := entry{id: ev.LogID, at: storedAt.UnixMilli(), date: ev.Date.UnixMilli(), code: ev.Type, raw: raw}
	if t, ok := event.TimeInID(ev.LogID); ok {
		e.key, e.at = e.id, t.UnixMilli()
	}
	return e, nil
}

// insert adds entries. Either all of them are added or, because of an error,
// none.
func (l *eventLog) insert(entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkNew(entries); err != nil {
		return err
	}
	last := ""
	if n := len(l.entries); n > 0 {
		last = l.entries[n-1].key
	}
	inOrder := true
	for i := range entries {
		e := &entries[i]
		l.seq++
		e.seq = l.seq
		if e.key == "" {
			e.key = last
			l.foreign[e.id] = *e
		}
		inOrder = inOrder && e.key >= last
		last = max(last, e.key)
	}
	if inOrder {
		l.entries = append(l.entries, entries...)
		return nil
	}
	l.entries = slices.Concat(l.entries, entries)
	slices.SortFunc(l.entries, compareEntries)
	return nil
}

// checkNew reports the first id that is in the log, or twice among entries.
func (l *eventLog) checkNew(entries []entry) error {
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		if l.has(e) || seen[e.id] {
			return fmt.Errorf("append event %s: %w", e.id, ErrDuplicate)
		}
		seen[e.id] = true
	}
	return nil
}

func (l *eventLog) has(e entry) bool {
	if e.key == "" {
		_, ok := l.foreign[e.id]
		return ok
	}
	i := firstNotBefore(l.entries, e.key)
	return i < len(l.entries) && l.entries[i].id == e.id
}

// firstNotBefore is the index of the first entry whose key is not below key.
func firstNotBefore(entries []entry, key string) int {
	return sort.Search(len(entries), func(i int) bool { return entries[i].key >= key })
}

// all returns every entry, visible or not.
func (l *eventLog) all() []entry {
	l.expire(time.Now())
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.entries
}

// visible returns the entries that a reader sees now.
func (l *eventLog) visible() []entry {
	entries := l.all()
	if l.delay <= 0 {
		return entries
	}
	limit := time.Now().Add(-l.delay).UnixMilli()
	n := len(entries)
	for n > 0 && entries[n-1].at > limit {
		n--
	}
	return entries[:n:n]
}

// expire drops the entries that are older than the retention.
func (l *eventLog) expire(now time.Time) {
	if l.retention <= 0 {
		return
	}
	limit := now.Add(-l.retention).UnixMilli()
	l.mu.RLock()
	due := len(l.entries) > 0 && l.entries[0].at < limit
	l.mu.RUnlock()
	if !due {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.entries) && l.entries[n].at < limit {
		delete(l.foreign, l.entries[n].id)
		n++
	}
	l.entries = l.entries[n:]
}

// after returns the entries behind the one with the given id. ok is false for an
// id that Auth0 would refuse: one that is not in the log and not of the real
// form, or older than the retention unless such ids are served.
func (l *eventLog) after(entries []entry, id string) (rest []entry, ok bool) {
	t, usual := event.TimeInID(id)
	if !usual {
		l.mu.RLock()
		known, ok := l.foreign[id]
		l.mu.RUnlock()
		if !ok {
			return nil, false
		}
		i, found := slices.BinarySearchFunc(entries, known, compareEntries)
		if found {
			i++
		}
		return entries[i:], true
	}
	if l.retention > 0 && time.Since(t) > l.retention && !l.serveExpired {
		return nil, false
	}
	i := firstNotBefore(entries, id)
	if i < len(entries) && entries[i].id == id {
		i++
	}
	return entries[i:], true
}

// find returns the entry with the given id.
func (l *eventLog) find(entries []entry, id string) (entry, bool) {
	if i := firstNotBefore(entries, id); i < len(entries) && entries[i].id == id {
		return entries[i], true
	}
	l.mu.RLock()
	known, ok := l.foreign[id]
	l.mu.RUnlock()
	if !ok {
		return entry{}, false
	}
	_, visible := slices.BinarySearchFunc(entries, known, compareEntries)
	return known, visible
}
