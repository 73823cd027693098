package pipeline

import (
	"context"
	"crypto/sha256"
	"iter"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A Source brings the pages of one tenant.
//
// Run starts behind from and hands each page to emit. It does not move past a
// page until emit has returned nil; it may read ahead meanwhile. It returns
// context.Cause(ctx) when ctx ends and otherwise only with an error, classified
// with Error where the class is known: the caller waits as the class demands
// and calls Run again with the cursor last stored. Pages may repeat; the buffer
// drops what it knows. A source owns no goroutine after Run has returned.
type Source interface {
	// Name tells the sources of one tenant apart, such as "poll"; the cursor is
	// kept under it, so it must not change between releases.
	Name() string
	Run(ctx context.Context, from event.Cursor, emit Emit) error
}

// Emit takes a page and returns nil once it is on disk. Any error means that
// nothing of the page was stored and that it must be offered again; a source
// that starts from its cursor does so by returning the error from Run. A page
// with a cursor is offered alone; a source whose pages carry none may offer
// several at the same time. None is offered, or still under way, once Run has
// returned. Nothing keeps the page's bytes once it has returned; until then nobody may
// write to them.
//
// A page that is empty but for CaughtUp tells that the source has nothing more
// at the moment; it costs no transaction, but for its mark every few minutes.
type Emit func(ctx context.Context, p event.Page) error

// A Transform looks at an event on its way in and may change it or take it out.
// It is a pure function: no clock, no state. It must not write to e.Raw but
// may replace it.
type Transform func(e event.Event) (event.Event, Verdict)

// A Verdict says whether an event goes on. The zero value keeps it.
type Verdict struct {
	// Skip takes the event out.
	Skip bool
	// Withhold says that the event may not be kept as it is, because what should
	// have been taken out of it could not be: it becomes a dead letter and goes to no
	// destination. On the way in the Raw that the transform returns with it is all that
	// is kept; on the way out the event stays as the buffer has it.
	Withhold bool
	// Reason is the counted reason of a skip: a short snake_case word of a
	// bounded set. Of a withheld event it is a line for a person, which quotes
	// nothing of the event.
	Reason string
}

// A Destination is a log group and stream; account and Region belong to the sink.
type Destination struct {
	// Sink names which of the tenant's sinks leads there; empty for the main one.
	Sink      string
	LogGroup  string
	LogStream string
}

// strand names the destination in the trouble of a delivery; no name of a log
// stream holds a colon.
func (d Destination) strand() string { return d.LogGroup + ":" + d.LogStream }

// A Route finds the destination of an event that is about to be stored. The buffer
// keeps it with the event; asked again, a route may answer differently. It is safe
// for concurrent use.
type Route func(e event.Event) Destination

// An Intake is a page after its transforms, ready to be stored.
type Intake struct {
	Entries    []Entry
	Unreadable []event.Unreadable
	// Skipped counts the events left out, by reason.
	Skipped map[string]int
	// LeftOut is how many events the transforms have left out, those included that
	// are not in Skipped because they were counted before.
	LeftOut int
	// Cursor is the source's new cursor; empty leaves it where it is.
	Cursor event.Cursor
	Gap    *event.Gap
	// Mark is how much of the log the source has read with this intake; the zero
	// Mark leaves what is known.
	Mark event.Mark
	// CaughtUp says that the source had nothing beyond this page. While it is
	// false a batch that is not full may wait longer, because more will follow.
	CaughtUp bool
	// Received is when the page was received.
	Received time.Time
}

// An Entry is an event and where it goes.
type Entry struct {
	Event       event.Event
	Destination Destination
	// Also are further destinations, each of another sink. What becomes of the event
	// in one of them has no bearing on the others.
	Also []Destination
}

// Appended says what became of an intake.
type Appended struct {
	// Stored counts the events that were new and are on disk now.
	Stored int
	// Duplicates counts the events whose log_id was known already.
	Duplicates int
	// Known are those events, by their places in Intake.Entries, in ascending order;
	// of a log_id that stands there twice the first is the event.
	Known []int
}

// Of goes over the events of the intake, and whether each was known.
func (a Appended) Of(in Intake) iter.Seq2[event.Event, bool] {
	return func(yield func(event.Event, bool) bool) {
		known := a.Known
		for i, e := range in.Entries {
			again := len(known) > 0 && known[0] == i
			if again {
				known = known[1:]
			}
			if !yield(e.Event, again) {
				return
			}
		}
	}
}

// A Buffer keeps one tenant's events on disk between the source and the sink.
// All methods may be called at the same time. Errors are of class Transient
// unless they say otherwise.
type Buffer interface {
	// Append stores an intake: its events, its dead letters and gaps, its
	// counts, the cursor and the mark of the source, all in one transaction that
	// is flushed to disk when Append returns nil. Gaps that the mark covers are
	// healed. An event whose log_id the buffer
	// has seen within its dedup window is dropped and counted, whatever its
	// destinations. The bytes are copied. The error wraps ErrBufferFull when there
	// is no room; nothing was stored then, for any destination.
	Append(ctx context.Context, source string, in Intake) (Appended, error)

	// Next takes the oldest events of one destination of the sink that the limits
	// name, by their date, up to the limits. It blocks until a batch is full or has lingered, or ctx ends. The
	// events are leased to the caller until Settle or the end of the process:
	// no other Next returns them. The lease is on disk when Next returns: should
	// the process end before Settle, the events come again with a Doubt.
	Next(ctx context.Context, l Limits) (Batch, error)

	// Settle makes the outcome of a batch durable: delivered events leave the
	// buffer, rejected ones go to the dead letters, those to be tried again are
	// there for the next Next. It may be repeated when it fails.
	Settle(ctx context.Context, b Batch, r Receipt) error

	// Cursor returns the stored cursor of a source, empty when there is none.
	Cursor(ctx context.Context, source string) (event.Cursor, error)
}

// Limits bound a batch. They come from the sink, but for Sink and Held.
type Limits struct {
	// Sink is the sink whose events are taken, see Destination.
	Sink string
	// MaxEvents is the largest number of events; at least 1.
	MaxEvents int
	// MaxBytes bounds the sum over the events of len(Raw)+EventOverhead. An
	// event that alone is larger makes a batch of its own.
	MaxBytes int
	// EventOverhead is what each event costs besides its bytes.
	EventOverhead int
	// MaxSpan bounds the time between the dates of the first and the last
	// event, after Clamp.
	MaxSpan time.Duration
	// Oldest and Newest are the dates to which the sink would move older and
	// younger events. Zero means no bound.
	Oldest, Newest time.Time
	// Linger is how long a batch that is not full may wait for more.
	Linger time.Duration
	// Held returns until when a destination gets no batch, the zero time when it
	// may have one; nil holds none. The delivery loop sets it. It must not call
	// the buffer.
	Held func(Destination) time.Time
}

// HeldUntil returns until when a destination gets no batch.
func (l Limits) HeldUntil(d Destination) time.Time {
	if l.Held == nil {
		return time.Time{}
	}
	return l.Held(d)
}

// Clamp moves a date into the window from Oldest to Newest.
func (l Limits) Clamp(t time.Time) time.Time {
	switch {
	case !l.Oldest.IsZero() && t.Before(l.Oldest):
		return l.Oldest
	case !l.Newest.IsZero() && t.After(l.Newest):
		return l.Newest
	default:
		return t
	}
}

// A Batch is what goes to a destination in one call.
type Batch struct {
	Destination Destination
	// Events are in ascending order of their date.
	Events []event.Event
	// Keys name the events to the buffer that made the batch, in the same order.
	Keys []int64
	// Sources name what brought the events, in the same order; nil when the buffer
	// does not say. A name is empty where it is not known any more.
	Sources []string
	// Stored are when the events were stored, in the same order; nil when the buffer
	// does not say.
	Stored []time.Time
	// Doubt, when not zero, says that some of the events may have arrived
	// already.
	Doubt Doubt
}

// A Doubt is the time in which events may have been sent by a call whose outcome
// is not known: the process died, or the answer was lost. The zero Doubt is none.
type Doubt struct{ From, Until time.Time }

// IsZero reports whether there is no doubt.
func (d Doubt) IsZero() bool { return d.From.IsZero() }

// Join returns the doubt that covers both.
func (d Doubt) Join(o Doubt) Doubt {
	switch {
	case d.IsZero():
		return o
	case o.IsZero():
		return d
	}
	if o.From.Before(d.From) {
		d.From = o.From
	}
	if o.Until.After(d.Until) {
		d.Until = o.Until
	}
	return d
}

// A Receipt says what became of each event of a batch: every one was delivered
// but those that Rejected, Skipped and Retry name, each by its index in
// Batch.Events. No index may be in two of them.
type Receipt struct {
	// Rejected events can never be delivered as they are.
	Rejected []Rejection
	// Skipped events were left out on purpose, by a rule for what leaves: they leave
	// the buffer and count as skipped for the reason, not as delivered.
	Skipped []Rejection
	// Altered events were delivered in another form than Raw, such as trimmed
	// to fit. The buffer keeps the whole ones as dead letters.
	Altered []Rejection
	// Restamped names delivered events that went under another time than their date.
	Restamped []Restamp
	// Retry names the events to be tried again.
	Retry []int
	// Doubt, when not zero, says that those of Retry may have arrived all the
	// same.
	Doubt Doubt
	// Prints say what the destination was given of the events that were delivered: one
	// for each event of the batch, in the same order, or nil from a sink that does not
	// say. The zero Print is one of which it is not known, and of the others those count
	// that were delivered.
	Prints []Print
}

// A Print tells what was delivered from anything else.
type Print struct {
	// At is the timestamp that the message has in the destination, in milliseconds since
	// 1970.
	At int64
	// Hash is the SHA-256 of the message as the destination was given it.
	Hash [sha256.Size]byte
}

// IsZero reports whether nothing is known.
func (p Print) IsZero() bool { return p == Print{} }

// RetryAll returns the receipt that gives every event of a batch back.
func RetryAll(b Batch, d Doubt) Receipt {
	r := Receipt{Retry: make([]int, len(b.Events)), Doubt: d}
	for i := range r.Retry {
		r.Retry[i] = i
	}
	return r
}

// A Restamp is an event that was delivered under another time than its date.
type Restamp struct {
	// Index is the place of the event in Batch.Events.
	Index int
	// At is the timestamp at the destination.
	At time.Time
}

// A Rejection is an event that the destination did not take, or not as it was, or
// was not offered.
type Rejection struct {
	// Index is the place of the event in Batch.Events.
	Index int
	// Reason is the counted reason: a short snake_case word of a bounded set,
	// such as "too_large" or "too_old".
	Reason string
	// Detail says more to a person, in one line, without quoting the event.
	Detail string
}

// A Sink delivers batches to their destinations.
type Sink interface {
	// Limits returns what a batch may hold at this moment.
	Limits() Limits
	// Deliver sends a batch and says what became of its events. Where the batch
	// has a Doubt it first looks up which of them have arrived, and sends the
	// others. An error means that nothing is known to have been delivered: the
	// caller sends the whole batch again, with a Doubt if the error is of an
	// OutcomeUnknown. Deliver makes no endless retries of its own. It may be
	// called at the same time for different batches. It neither keeps nor
	// changes the batch.
	Deliver(ctx context.Context, b Batch) (Receipt, error)
}
