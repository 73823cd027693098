package web

import (
	"fmt"
	"time"
)

// Retention says how close a tenant's events are to the end of what Auth0 and the
// disk keep. Assess fills in what follows from the rest.
type Retention struct {
	// Seconds is how long Auth0 keeps an event, as configured; 0 when unknown.
	Seconds int64 `json:"seconds"`
	// ReadUntil is up to when the log is known to be read, by Auth0's clock; zero
	// when nothing is known.
	ReadUntil time.Time `json:"read_until"`
	// UnfetchedLeft and UndeliveredLeft are for how many seconds Auth0 still keeps
	// the oldest event that may not have been fetched, and the oldest one that was
	// not delivered to any of the destinations; negative when it may be gone, null when
	// there is none.
	UnfetchedLeft   *int64 `json:"unfetched_left_seconds"`
	UndeliveredLeft *int64 `json:"undelivered_left_seconds"`
	// BufferRoom is how many bytes of events still fit beside those that wait for the
	// destination with the most; BufferMax how many fit in all, for each.
	BufferRoom int64 `json:"buffer_room_bytes"`
	BufferMax  int64 `json:"max_buffer_bytes"`
	// Risks is what will lose or harm events unless somebody acts.
	Risks []Risk `json:"risks"`

	// Moved is when the source last had something to store, and Waiting when the
	// oldest event of the buffer was put there.
	Moved, Waiting time.Time `json:"-"`
}

// A Risk is what will lose or harm events unless somebody acts.
type Risk struct {
	// Kind is one of the Risk constants.
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// The kinds of risks.
const (
	// RiskUnfetched says that reading stands still and less than half of the
	// retention is left of what was not fetched.
	RiskUnfetched = "unfetched"
	// RiskUndelivered says that delivery stands still and less than half of the
	// retention is left of what waits: after it the disk holds the only copy.
	RiskUndelivered = "undelivered"
	// RiskBuffer says that less than a fifth of the buffer is free: when it is full
	// nothing is fetched any more.
	RiskBuffer = "buffer"
	// RiskTimestamp says that delivery stands still and events will soon be older
	// than CloudWatch Logs takes.
	RiskTimestamp = "timestamp"
)

// Risks returns the kinds of risks there are.
func Risks() []string { return []string{RiskUnfetched, RiskUndelivered, RiskBuffer, RiskTimestamp} }

const (
	// stallAfter is how long a source may have nothing to store, and an event may
	// wait, before reading or delivery counts as standing still. A source without
	// news stores its mark every 5 minutes.
	stallAfter = 15 * time.Minute
	// takenFor is how old an event may be for CloudWatch Logs (AWS docs:
	// PutLogEvents); half of it is the time to tell.
	takenFor = 14 * 24 * time.Hour
)

// Assess says from the other fields what is left and at risk.
func (t *Tenant) Assess(now time.Time, running bool) {
	r := &t.Retention
	kept := time.Duration(r.Seconds) * time.Second
	r.Risks, r.UnfetchedLeft, r.UndeliveredLeft = []Risk{}, nil, nil
	r.BufferRoom = r.BufferMax
	if kept > 0 && !r.ReadUntil.IsZero() {
		left := r.ReadUntil.Add(kept).Sub(now)
		r.UnfetchedLeft = seconds(left)
		if left < kept/2 && (!running || t.fails("poll") || now.Sub(r.Moved) > stallAfter) {
			r.add(RiskUnfetched, running, lose(left, kept, now.Sub(r.ReadUntil)),
				"Mend what keeps gapless from reading. Set auth0_retention if Auth0 keeps the log for longer.")
		}
	}
	for _, q := range t.queues() {
		t.assessQueue(q, now, running)
	}
}

// A queue is what waits for one of the destinations.
type queue struct {
	title            string // in front of what is told of it; empty for the main one
	part             string // of its troubles
	events, bytes    int64
	oldest, storedAt time.Time
}

// queues returns what waits for each destination.
func (t *Tenant) queues() []queue {
	list := []queue{{part: "delivery", events: t.Buffered, bytes: t.BufferedBytes, oldest: t.OldestBuffered, storedAt: t.Retention.Waiting}}
	for _, d := range t.Destinations {
		if d.Configured {
			list = append(list, queue{
				title: "destination " + d.Name + ": ", part: "delivery:" + d.Name,
				events: d.Buffered, bytes: d.BufferedBytes, oldest: d.OldestBuffered, storedAt: d.Waiting,
			})
		}
	}
	return list
}

// assessQueue says what is left and at risk of what waits for a destination.
func (t *Tenant) assessQueue(q queue, now time.Time, running bool) {
	r := &t.Retention
	kept := time.Duration(r.Seconds) * time.Second
	stalled := q.events > 0 && now.Sub(q.storedAt) > stallAfter && (!running || t.fails(q.part))
	if kept > 0 && q.events > 0 {
		left := q.oldest.Add(kept).Sub(now)
		if r.UndeliveredLeft == nil || left < time.Duration(*r.UndeliveredLeft)*time.Second {
			r.UndeliveredLeft = seconds(left)
		}
		if stalled && left < kept/2 {
			r.add(RiskUndelivered, running, q.title+onlyCopy(left), "Mend delivery, and keep the data directory safe until then.")
		}
	}
	room := max(0, r.BufferMax-q.bytes-max(0, t.DeadLetterBytes-t.MaxDeadLetterBytes))
	r.BufferRoom = min(r.BufferRoom, room)
	if r.BufferMax > 0 && room < r.BufferMax/5 {
		r.add(RiskBuffer, running, fmt.Sprintf("%sthe buffer has room for %s of %s; when it is full nothing is fetched any more", q.title, Size(room), Size(r.BufferMax)),
			"Mend delivery, or set a larger max_buffer_bytes.")
	}
	if age := lag(now, q.oldest); stalled && age > takenFor/2 {
		r.add(RiskTimestamp, running, fmt.Sprintf("%sthe oldest event that waits is %s old; CloudWatch Logs takes none under its own time after 14 days", q.title, Short(age)),
			"Mend delivery; see too_old for what becomes of older ones.")
	}
}

// add adds a risk. Without a process the first thing to do is to start one.
func (r *Retention) add(kind string, running bool, message, hint string) {
	if !running {
		hint = "Start gapless. " + hint
	}
	r.Risks = append(r.Risks, Risk{Kind: kind, Message: message, Hint: hint})
}

// fails reports whether a part is in trouble.
func (t *Tenant) fails(part string) bool {
	for _, x := range t.Troubles {
		if x.Part == part {
			return true
		}
	}
	return false
}

// lose says how long Auth0 still keeps what was not fetched.
func lose(left, kept, unread time.Duration) string {
	if left <= 0 {
		return fmt.Sprintf("nothing that happened in the last %s was fetched, and Auth0 keeps the log for %s: events may be lost by now", Short(unread), Short(kept))
	}
	return fmt.Sprintf("nothing that happened in the last %s was fetched; in %s Auth0 begins to delete it", Short(unread), Short(left))
}

// onlyCopy says for how long Auth0 still has what waits in the buffer.
func onlyCopy(left time.Duration) string {
	if left <= 0 {
		return "of events that wait for delivery the data directory may hold the only copy by now"
	}
	return fmt.Sprintf("in %s Auth0 begins to delete what waits for delivery; the data directory then holds the only copy", Short(left))
}

// seconds returns a duration in whole seconds.
func seconds(d time.Duration) *int64 {
	n := int64(d / time.Second)
	return &n
}

// String says in a sentence what Auth0 keeps and how much of it is left.
func (r Retention) String() string {
	if r.Seconds == 0 {
		return "-"
	}
	kept := "Auth0 keeps the log for " + Short(time.Duration(r.Seconds)*time.Second)
	switch {
	case r.UnfetchedLeft == nil:
		return kept + ", nothing is read yet"
	case *r.UnfetchedLeft <= 0:
		return fmt.Sprintf("%s, read up to %s: what followed may be gone", kept, r.ReadUntil.UTC().Format(time.RFC3339))
	default:
		return fmt.Sprintf("%s, read up to %s: %s left", kept, r.ReadUntil.UTC().Format(time.RFC3339), Short(time.Duration(*r.UnfetchedLeft)*time.Second))
	}
}
