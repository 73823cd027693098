package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the book holds to.
const (
	// settle is how long a condition must be absent to be over, twice as long each time
	// that it comes back, up to settleMost.
	settle     = 30 * time.Second
	settleMost = 15 * time.Minute
	// comesBack is how soon after its end a condition is taken for the same one.
	comesBack = 10 * time.Minute
	// grace is how long after the start a condition from before may be absent without
	// being over: the parts have to come to where they fail.
	grace = 2 * time.Minute
	// repeatMost bounds the pauses between repeats, which double, unless the first is
	// longer.
	repeatMost = 24 * time.Hour
	// endedKept is how long alerts that are over are kept, and endedMost how many.
	endedKept = 24 * time.Hour
	endedMost = 500
)

// A Book remembers conditions. It is not safe for concurrent use.
type Book struct {
	// active are the conditions that hold, told or not yet, and ended those that were told
	// and are over, the latest last.
	active map[string]*Alert
	ended  []*Alert
	// repeat is the pause before the first repeat.
	repeat time.Duration
	began  time.Time // when this process began
	serial int
	dirty  bool // something has changed that is to be kept
}

// newBook returns one without alerts.
func newBook(now time.Time, repeat time.Duration) *Book {
	return &Book{active: make(map[string]*Alert), repeat: repeat, began: now}
}

// observe takes in the conditions that hold now.
func (b *Book) observe(now time.Time, findings []Finding) {
	for _, f := range findings {
		b.found(now, f.filled())
	}
	for key, a := range b.active {
		if !a.seen.Equal(now) {
			b.missed(now, key, a)
		}
	}
	keep := func(a *Alert) bool { return now.Sub(a.Due) <= endedKept }
	if i := slices.IndexFunc(b.ended, keep); i != 0 && len(b.ended) > 0 {
		if i < 0 {
			i = len(b.ended)
		}
		b.ended, b.dirty = b.ended[i:], true
	}
	b.ended = b.ended[max(0, len(b.ended)-endedMost):]
}

// found notes that a condition holds.
func (b *Book) found(now time.Time, f Finding) {
	a := b.active[f.key()]
	if a == nil {
		a = b.begin(now, f)
	}
	a.seen, a.absent, a.hold = now, time.Time{}, f.Hold
	if a.Round > 0 && f.Severity.rank() > a.Severity.rank() {
		b.due(a, now)
	}
	a.Severity, a.Message, a.Hint, a.Until = f.Severity, f.Message, f.Hint, f.Until
	switch {
	case a.Round == 0 && now.Sub(a.Since) >= a.hold:
		b.due(a, now)
	case a.Round > 0 && a.Until.IsZero() && now.Sub(a.Due) >= b.pause(a.Round):
		b.due(a, now)
	}
}

// begin makes the alert of a condition, or takes up the one that has just ended.
func (b *Book) begin(now time.Time, f Finding) *Alert {
	since := f.Since
	if since.IsZero() || since.After(now) {
		since = now
	}
	for i, a := range slices.Backward(b.ended) {
		if a.key() == f.key() && now.Sub(a.Ended) < comesBack && a.Until.IsZero() {
			b.ended = slices.Delete(b.ended, i, i+1)
			a.Ended = time.Time{}
			a.Flaps++
			for name, m := range a.Marks {
				m.Ended = false
				a.Marks[name] = m
			}
			b.active[f.key()] = a
			b.due(a, now)
			return a
		}
	}
	b.serial++
	a := &Alert{
		ID:   fmt.Sprintf("%x-%d", now.UnixMilli(), b.serial),
		Kind: f.Kind, Tenant: f.Tenant, Part: f.Part, Severity: f.Severity, Since: since, Marks: make(map[string]Mark),
	}
	b.active[f.key()] = a
	return a
}

// due has an alert told, for the first time or again.
func (b *Book) due(a *Alert, now time.Time) {
	a.Round++
	a.Due, b.dirty = now, true
}

// pause is how long after a round the next one is due.
func (b *Book) pause(round int) time.Duration {
	return min(b.repeat<<min(round-1, 16), max(repeatMost, b.repeat))
}

// missed notes that a condition is not there.
func (b *Book) missed(now time.Time, key string, a *Alert) {
	if a.Round == 0 {
		delete(b.active, key)
		return
	}
	if a.absent.IsZero() {
		a.absent = now
		if a.seen.IsZero() { // it ended before this process began, or never
			a.absent = b.began
		}
	}
	wait := min(settle<<min(a.Flaps, 16), settleMost)
	if a.seen.IsZero() {
		wait = grace
	}
	if now.Sub(a.absent) < wait {
		return
	}
	delete(b.active, key)
	a.Ended, a.Due, b.dirty = a.absent, now, true
	b.ended = append(b.ended, a)
}

// alerts returns the alerts that were told or are to be, the newest first: those that are
// on, and those that ended not long ago.
func (b *Book) alerts() []Alert {
	var out []Alert
	for _, a := range b.active {
		if a.Round > 0 {
			out = append(out, a.copied())
		}
	}
	for _, a := range b.ended {
		out = append(out, a.copied())
	}
	slices.SortFunc(out, func(x, y Alert) int { return cmp.Or(y.Since.Compare(x.Since), strings.Compare(x.ID, y.ID)) })
	return out
}

// pending returns what a channel that is there since a time has still to be told, in
// the order in which it became due.
func (b *Book) pending(channel string, since time.Time, wants func(*Alert) bool) []Notice {
	var out []Notice
	add := func(a *Alert) {
		state := a.next(channel, since)
		if state == "" {
			return
		}
		if wants(a) || state == StateEnded && a.Marks[channel].Round > 0 { // who was told hears of the end, however little it was then
			out = append(out, Notice{a.copied(), state})
		}
	}
	for _, a := range b.ended {
		add(a)
	}
	for _, a := range b.active {
		add(a)
	}
	slices.SortFunc(out, func(x, y Notice) int {
		return cmp.Or(x.Due.Compare(y.Due), strings.Compare(x.Tenant, y.Tenant), strings.Compare(x.ID, y.ID))
	})
	return out
}

// next is the state in which a channel has still to be told of an alert; empty for none.
func (a *Alert) next(channel string, since time.Time) string {
	mark := a.Marks[channel]
	switch {
	case a.Round == 0:
		return ""
	case a.Ended.IsZero() && mark.Round == 0:
		return StateFiring
	case a.Ended.IsZero() && mark.Round < a.Round:
		return StateStill
	case a.Ended.IsZero() || mark.Ended:
		return ""
	case mark.Round > 0 && a.silentEnd():
		return ""
	case mark.Round == 0 && a.Due.Before(since):
		return "" // it was over before there was the channel
	}
	return StateEnded
}

// told marks notices as told to a channel.
func (b *Book) told(channel string, notices []Notice) {
	by := make(map[string]Notice, len(notices))
	for _, n := range notices {
		by[n.ID] = n
	}
	mark := func(a *Alert) {
		if n, ok := by[a.ID]; ok {
			a.Marks[channel] = Mark{Round: max(n.Round, a.Marks[channel].Round), Ended: n.State == StateEnded && !a.Ended.IsZero()}
			b.dirty = true
		}
	}
	for _, a := range b.active {
		mark(a)
	}
	for _, a := range b.ended {
		mark(a)
	}
}

// forget drops the marks of channels that are not there any more, so that one of the
// same name that comes later begins anew.
func (b *Book) forget(there func(channel string) bool) {
	drop := func(a *Alert) {
		for name := range a.Marks {
			if !there(name) {
				delete(a.Marks, name)
				b.dirty = true
			}
		}
	}
	for _, a := range b.active {
		drop(a)
	}
	for _, a := range b.ended {
		drop(a)
	}
}
