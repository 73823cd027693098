package event

import "time"

// An Event is one log event of a tenant.
//
// Events are values: whoever holds one may keep it, but must not write to Raw,
// which may share its backing array with the other events of a page.
type Event struct {
	// LogID identifies the event within its tenant. It is opaque: Auth0 promises
	// no form, so nothing may parse it or compare two of them for order. An
	// event without any id gets one made from its bytes (see SyntheticPrefix).
	LogID string
	// Date is when the event happened, in UTC, to the millisecond where Auth0
	// gives no more. It is never zero; DateFrom tells where it was found.
	Date time.Time
	// DateFrom tells how Date was found.
	DateFrom DateSource
	// Type is Auth0's event code, such as "s" or "seccft"; empty when missing.
	Type string
	// Raw is the record as Auth0 sent it, without the envelope of the way it
	// came by.
	Raw []byte
}

// SyntheticPrefix starts the LogID of an event that came without one; the
// SHA-256 of its bytes in hex follows, so the same event gets the same id.
const SyntheticPrefix = "sha256-"

// A DateSource tells where the date of an event was found.
type DateSource uint8

// The places that a date can come from, best first.
const (
	DateFromField    DateSource = iota // the member "date" of the event
	DateFromID                         // the time inside a log_id of the usual form
	DateFromReceived                   // neither: the time at which gapless received it
)

// String returns the name used in metrics: "field", "log_id" or "received".
func (d DateSource) String() string {
	switch d {
	case DateFromField:
		return "field"
	case DateFromID:
		return "log_id"
	default:
		return "received"
	}
}

// A Cursor is where a source stands. Only the source that made it can read it;
// everybody else keeps it and hands it back. The empty cursor is the beginning.
type Cursor string

// A Page is what a source hands over at once, to be stored in one transaction.
type Page struct {
	// Events are the events of the page, in the order of the source.
	Events []Event
	// Unreadable are the pieces of the page that are no events. They are kept
	// as dead letters, so that a broken record harms none of its neighbours.
	Unreadable []Unreadable
	// Skipped counts, by reason, the events that the source left out on
	// purpose, such as those before the configured starting point.
	Skipped map[string]int
	// Cursor is where the source stands once the page is stored. Empty means
	// that the page does not move the source.
	Cursor Cursor
	// CaughtUp says that the source had nothing beyond this page when it asked.
	CaughtUp bool
	// Gap, when not nil, is a span of events that the source could not read any
	// more. It is recorded in the same transaction as the cursor.
	Gap *Gap
	// Mark, when not zero, is how much of the log the source has read once the
	// page is stored. One that comes alone may be stored later, or never.
	Mark Mark
	// Fetches are the requests that brought the page, in their order, where the source
	// makes requests. They are there to be told of; nothing depends on them.
	Fetches []Fetch
}

// A Fetch is a request that a source has made and that was answered.
type Fetch struct {
	// Began is when it was asked for. What it took includes waits for the rate limit.
	Began time.Time
	Took  time.Duration
	// Records counts the events, and the pieces that are none, of the answer.
	Records int
}

// Empty reports whether storing the page would change nothing but the cursor and
// the mark.
func (p Page) Empty() bool {
	return len(p.Events) == 0 && len(p.Unreadable) == 0 && len(p.Skipped) == 0 && p.Gap == nil
}

// An Unreadable is a piece of a page that is no event.
type Unreadable struct {
	// Raw is the piece as it came.
	Raw []byte
	// Reason says in one line what is wrong with it, without quoting it.
	Reason string
	// Line is the line of the body or stream on which it begins, from 1; 0 when
	// whoever refused it does not count lines.
	Line int
}

// A Mark says that a source has read a tenant's log without a break, by Auth0's
// clock: everything that happened from Since to Until is on disk, was left out on
// purpose, or did not count. The zero Mark says nothing.
//
// A gap begins a new mark behind it. A mark that later covers the span of a gap
// heals it: somebody has read it after all.
type Mark struct{ Since, Until time.Time }

// IsZero reports whether the mark says nothing.
func (m Mark) IsZero() bool { return m.Until.IsZero() }

// To returns the mark moved on to a time; it never moves back. A zero mark begins
// there.
func (m Mark) To(t time.Time) Mark {
	switch {
	case t.IsZero() || !m.IsZero() && !t.After(m.Until):
		return m
	case m.IsZero():
		return Mark{Since: t, Until: t}
	default:
		m.Until = t
		return m
	}
}

// A Gap is a span of a tenant's log that can no longer be read: the cursor
// pointed at events that Auth0 has deleted.
type Gap struct {
	// FromID is the last log_id that was read before the gap; may be empty.
	FromID string
	// FromTime is up to when the log had been read: the date of that event, or
	// later where the source knew more; zero when unknown.
	FromTime time.Time
	// ToID is the first log_id after the gap; may be empty.
	ToID string
	// ToTime is the date of that event or, without any, when Auth0 had none; zero
	// when unknown.
	ToTime time.Time
	// Reason says in one line why the span could not be read.
	Reason string
}
