package verify

import (
	"context"
	"iter"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A Holder is Auth0's side: the log of one tenant.
type Holder interface {
	// Read calls each with the events of a span and of some time around it, in the
	// order of log_id, without a hole: events that are dated within the span and listed
	// later are among them. It returns since when Auth0 surely holds all that happened,
	// as it was before it began.
	Read(ctx context.Context, s Span, each func([]event.Event) error) (sure time.Time, err error)
	// Find calls each for those of the events of some log_ids that Auth0 holds now. The
	// log_ids ascend, but for a few breaks.
	Find(ctx context.Context, ids iter.Seq[string], each func(event.Event) error) error
}

// A Destination is one of a tenant, with the rules by which events go there.
type Destination interface {
	// Name is its name in the configuration, empty for the main one.
	Name() string
	// Expect returns what the rules make of an event that Auth0 holds.
	Expect(e event.Event) Expectation
	// Read calls each for what lies in the destination with timestamps within a span;
	// everywhere has it look in streams of its log groups too that the configuration
	// does not make, and that are of no other destination. The bytes are good until
	// each returns.
	Read(ctx context.Context, s Span, everywhere bool, each func(Stored) error) error
	// Latest is the latest timestamp that an event of a date may have by the rules of
	// the destination, which moves the timestamps of old ones.
	Latest(date time.Time) time.Time
	// Restamped reports whether the rules may have given an event of a date the
	// timestamp that it has, when it came at a time.
	Restamped(date, timestamp, ingested time.Time) bool
	// KeptSince is since when a log group keeps events; the zero time is for ever.
	KeptSince(group string) time.Time
	// Pushed says that events may have come by a push, or by a file, in which they are
	// not byte for byte what a pull brings.
	Pushed() bool
	// Copies are the names under which messages hold a second time what differs so.
	Copies() []string
}

// An Expectation is what the rules make of an event.
type Expectation struct {
	// LeftOut is the reason for which the event does not go to the destination; empty
	// for one that does.
	LeftOut string
	// LogGroup and LogStream are where it goes by the rules of today.
	LogGroup, LogStream string
	// Messages are what it may be there, at least one.
	Messages [][]byte
}

// A Stored is a message as it lies in a destination.
type Stored struct {
	LogGroup, LogStream string
	// EventID tells it from all others; empty where the destination does not say.
	EventID             string
	Timestamp, Ingested time.Time
	Message             []byte
	// Elsewhere says that it lies in a stream that the configuration does not make.
	Elsewhere bool
	// Shared says that others write to the stream as well, such as another tenant: what
	// Auth0 does not hold of it is theirs.
	Shared bool
}

// A Ledger is what the exporter has written down. It is read beside a process that
// works.
type Ledger interface {
	// Waiting calls each for the events that wait for a destination, by its name, and
	// for which the date is within a span.
	Waiting(ctx context.Context, s Span, each func(destination, logID string) error) error
	// Letters calls each for the dead letters of events that did not reach a
	// destination.
	Letters(ctx context.Context, each func(destination, logID, reason string) error) error
	// Fates returns what is known of events that neither wait nor are dead letters, in
	// the order of the questions.
	Fates(ctx context.Context, asked []Question) ([]Fate, error)
}

// A Question is an event of which a ledger is asked.
type Question struct {
	Destination, LogID string
	Date               time.Time
}

// A Fate is what a ledger knows of an event.
type Fate uint8

// The fates.
const (
	// Unknown is an event that was never stored, or so long ago that it is forgotten.
	Unknown Fate = iota
	// Delivered is one that was stored, and has left the buffer.
	Delivered
	// NotRead is one that lies behind what has been read.
	NotRead
	// BeforeStart is one from before the beginning of the export.
	BeforeStart
	// InGap is one of a span that could not be read in its time.
	InGap
	// LeftOut is one that was most likely left out because the destination was full.
	LeftOut
)

// A Span is a span of time, inclusive.
type Span struct{ Since, Until time.Time }

// has reports whether a time in milliseconds lies in the span.
func (s Span) has(ms int64) bool { return ms >= s.Since.UnixMilli() && ms <= s.Until.UnixMilli() }

// wider returns the span with a margin on both sides.
func (s Span) wider(by time.Duration) Span { return Span{s.Since.Add(-by), s.Until.Add(by)} }

// Config says what is compared.
type Config struct {
	// Span is the time of which the events are compared, by their dates.
	Span Span
	// Dir is a directory for temporary files; it is there, and is left empty.
	Dir string
	// Memory bounds the records that are held in memory, in bytes; 0 is 16 MiB. There
	// are two such sets at times.
	Memory int
	// Patience is how long what seems to be missing is looked for again; 0 looks once
	// more, at once.
	Patience time.Duration
	// Lag is the age up to which an event that the ledger does not know counts as not
	// read yet.
	Lag time.Duration
	// Progress hears how far it is; may be nil.
	Progress func(Progress)
}

// A Progress is how far a comparison is.
type Progress struct {
	// Phase is what is being done.
	Phase Phase
	// Destination is the one being read, in PhaseDestination and PhaseLook.
	Destination string
	// Events have been read in this phase, up to Reached within Span. Reached is zero
	// where that cannot be said.
	Events  int64
	Reached time.Time
	Span    Span
	// Open is how many events are not found yet, in PhaseLook.
	Open int64
	// Left is how long it may still be looked for them, in PhaseLook.
	Left time.Duration
}

// A Phase is a part of a comparison.
type Phase string

// The phases, in their order.
const (
	PhaseAuth0       Phase = "auth0"
	PhaseDestination Phase = "destination"
	PhaseCompare     Phase = "compare"
	PhaseLook        Phase = "look"
)

// A Kind is what is the matter with an event.
type Kind string

// The kinds. An event may be of several.
const (
	// Missing is not in the destination, and should be.
	Missing Kind = "missing"
	// Twice is there more than once.
	Twice Kind = "twice"
	// NotInAuth0 is in the destination, of a time that Auth0 still keeps, and Auth0 does
	// not hold it.
	NotInAuth0 Kind = "not_in_auth0"
	// WrongTimestamp has a timestamp that is not its date and that no rule has given it.
	WrongTimestamp Kind = "wrong_timestamp"
	// Altered has a message that is not what the rules make of the event.
	Altered Kind = "altered"
	// Elsewhere lies in a stream that the configuration does not make.
	Elsewhere Kind = "elsewhere"
	// DeadLetter is not in the destination, and a dead letter of the exporter.
	DeadLetter Kind = "dead_letter"

	// Waiting waits in the buffer of the exporter.
	Waiting Kind = "waiting"
	// NotYet has not been read by the exporter.
	NotYet Kind = "not_yet"
	// Before is from before the beginning of the export.
	Before Kind = "before_start"
	// Expired is older than what its log group keeps, so that nothing can be proved.
	Expired Kind = "expired"
)

// Kinds returns all kinds, those first that a person should look at.
func Kinds() []Kind {
	return []Kind{Missing, Twice, NotInAuth0, WrongTimestamp, Altered, Elsewhere, DeadLetter, Waiting, NotYet, Before, Expired}
}

// Unclean reports whether an event of the kind is one that a person should look at.
func (k Kind) Unclean() bool {
	switch k {
	case Waiting, NotYet, Before, Expired:
		return false
	default:
		return true
	}
}

// A Finding is an event that is not as it should be, or of which more is to be said.
type Finding struct {
	Kind Kind `json:"kind"`
	// Destination is the name of one besides the main one.
	Destination string `json:"destination,omitempty"`
	LogID       string `json:"log_id"`
	// Date is that of the event in Auth0, or else in the message.
	Date time.Time `json:"date"`
	// Why says more, without quoting the event; may be empty.
	Why string `json:"why,omitempty"`
	// LogGroup and LogStream are where the event should be.
	LogGroup  string `json:"log_group,omitempty"`
	LogStream string `json:"log_stream,omitempty"`
	// Copies are where it is, and how often it is there. Of very many the first are
	// listed.
	Copies    []Copy `json:"copies,omitempty"`
	AllCopies int    `json:"all_copies,omitempty"`
}

// A Copy is a message in a destination.
type Copy struct {
	LogGroup  string    `json:"log_group"`
	LogStream string    `json:"log_stream"`
	EventID   string    `json:"event_id,omitempty"`
	Timestamp time.Time `json:"timestamp"`
	Ingested  time.Time `json:"ingested"`
}

// A Summary is what a comparison has found, in numbers.
type Summary struct {
	// Span is what was asked for. ProvedSince is the part of it that Auth0 surely holds:
	// of what was before nothing can be proved.
	Span        Span
	ProvedSince time.Time
	// Held is how many events of the span Auth0 holds.
	Held         int64
	Destinations []Result
	// Clean says that nothing was found that a person should look at.
	Clean bool
}

// A Result is what was found of a destination.
type Result struct {
	Destination string
	// KeptSince is the latest time since which a log group keeps events that events of
	// the span go to; zero when all of the span is kept.
	KeptSince time.Time
	// InBoth are the events in Auth0 and, once or more often, in the destination.
	InBoth int64
	// Filtered are the events of Auth0 that the rules leave out, by reason, and that are
	// not there; FilteredThere are there all the same, from before the rules.
	Filtered      map[string]int64
	FilteredThere int64
	// Pushed, of InBoth, differ from what Auth0 tells as a push differs from a pull.
	Pushed int64
	// Enveloped, of InBoth, lie in the envelope of another shipper, whose timestamps
	// are its own.
	Enveloped int64
	// Restamped, of InBoth, have a timestamp that a rule has moved.
	Restamped int64
	// Gone are in the destination and no longer in Auth0, which keeps nothing of their
	// time.
	Gone int64
	// Foreign are messages that are no log events of the tenant.
	Foreign int64
	// Found counts the findings by kind.
	Found map[Kind]int64
}

// Clean reports whether nothing was found in the destination that a person should
// look at.
func (r *Result) Clean() bool {
	for k, n := range r.Found {
		if n > 0 && k.Unclean() {
			return false
		}
	}
	return true
}
