package web

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound says that the journal, or the dead letters, do not hold what was asked for.
var ErrNotFound = errors.New("not found")

// ErrBadPlace says that EventQuery.From or EventQuery.After is none that a page has given.
var ErrBadPlace = errors.New("no place of the journal")

// A Journal tells what passed lately. Its methods may be called at the same time and end
// with their context. Bytes that they return are the caller's.
type Journal interface {
	// Search returns events that a query finds, newest first by date (oldest first with
	// After), and how far it has looked. It looks for as long as its budget allows and
	// says in More where to go on, so a page may hold fewer than Limit and not be the last.
	// The error wraps ErrBadPlace when From or After is none.
	Search(ctx context.Context, q EventQuery) (EventPage, error)
	// Event returns one event with its bytes; the error wraps ErrNotFound when the
	// journal does not hold it any more.
	Event(ctx context.Context, tenant, logID string) (EventDetail, error)
	// Activity counts what passed in a span.
	Activity(ctx context.Context, q ActivityQuery) (Activity, error)
	// Series returns the counts of a tenant (of all when empty) by step, oldest first;
	// every step of the span is there. The step is a whole number of minutes.
	Series(ctx context.Context, tenant string, since, until time.Time, step time.Duration) ([]Point, error)
	// Runs returns the runs of the sources, newest first.
	Runs(ctx context.Context, q RunQuery) (RunPage, error)
	// Batches returns the latest deliveries, newest first, at most limit of them, that
	// began before a time (zero: now).
	Batches(ctx context.Context, tenant string, before time.Time, limit int) ([]Delivery, error)
}

// An EventQuery picks events. Fields that are empty pick all; several must all match.
type EventQuery struct {
	Tenant string
	// Types are event codes, of which any matches.
	Types []string
	// Failed picks events of the catalogue's severities warning and above.
	Failed bool
	// User is part of user_id or user_name, Client part of client_id or client_name; IP
	// an address, the beginning of one, or a CIDR prefix. Case does not matter.
	User, Client, IP string
	// Text is part of the event's bytes; case does not matter.
	Text string
	// Since and Until bound the date of the event: Since <= date < Until. Zero is no bound.
	Since, Until time.Time
	// Limit is the most events to return, 1 to 500.
	Limit int
	// From goes on where a page before ended: EventPage.More.
	From string
	// After asks for what came in behind a place, in the order of its arrival: for a live
	// tail. EventPage.Latest says where it stands. From is not used with it.
	After string
}

// An EventPage is what a search found.
type EventPage struct {
	Events []Event `json:"events"`
	// More is where to go on, empty when the search has come to its end.
	More string `json:"more,omitempty"`
	// SearchedTo is how far back the search has looked.
	SearchedTo time.Time `json:"searched_to,omitzero"`
	// Latest is the place of the newest arrival, for EventQuery.After.
	Latest string `json:"latest,omitempty"`
	// Oldest is the date of the oldest event that the journal holds.
	Oldest time.Time `json:"oldest,omitzero"`
}

// An Event is what a list shows of an event.
type Event struct {
	Tenant string    `json:"tenant"`
	LogID  string    `json:"log_id"`
	Date   time.Time `json:"date"`
	Type   string    `json:"type"`
	// Facts that the event may have; empty where it has not.
	UserID      string `json:"user_id,omitempty"`
	UserName    string `json:"user_name,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	ClientName  string `json:"client_name,omitempty"`
	IP          string `json:"ip,omitempty"`
	Connection  string `json:"connection,omitempty"`
	Description string `json:"description,omitempty"`
	UserAgent   string `json:"user_agent,omitempty"`
	City        string `json:"city,omitempty"`
	Country     string `json:"country,omitempty"`
	// State is what became of it at the main destination: waiting, delivered, altered, rejected or
	// skipped; Reason the counted reason of the last three.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Fetched is when it was stored, and Source what brought it; Delivered when the
	// destination took it. Zero where it is not known or has not happened.
	Fetched   time.Time `json:"fetched,omitzero"`
	Source    string    `json:"source,omitempty"`
	Delivered time.Time `json:"delivered,omitzero"`
}

// The states of an Event.
const (
	EventWaiting   = "waiting"
	EventDelivered = "delivered"
	EventAltered   = "altered"
	EventRejected  = "rejected"
	EventSkipped   = "skipped"
)

// An EventDetail is one event in full, with its way.
type EventDetail struct {
	Event

	// Raw is the event as the buffer has or had it: after the rules of the way in.
	Raw []byte `json:"-"`
	// Stations are the destinations that it was sent to, or waits for.
	Stations []Station `json:"stations"`
}

// A Station is what became of an event at a destination.
type Station struct {
	// Destination is the name of the tenant's destination; empty for the main one.
	Destination string `json:"destination"`
	Region      string `json:"region"`
	LogGroup    string `json:"log_group"`
	LogStream   string `json:"log_stream"`
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
	// Delivered is when the destination took it, Timestamp under which time (that of the
	// event, unless it was re-stamped), and Attempts how many calls it took.
	Delivered time.Time `json:"delivered,omitzero"`
	Timestamp time.Time `json:"timestamp,omitzero"`
	Attempts  int       `json:"attempts,omitempty"`
	// Console is the address of the place in the CloudWatch console; empty for an emulator.
	Console string `json:"console,omitempty"`
}

// An ActivityQuery picks what is counted.
type ActivityQuery struct {
	Tenant       string
	Since, Until time.Time
	// Top is how many users, addresses, clients and types to name.
	Top int
}

// An Activity is what passed in a span, as counts.
type Activity struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Total int64     `json:"total"`
	// Failed counts the events of the severities warning and above.
	Failed int64 `json:"failed"`
	// Step is the length of a column of Cells and Failures, in seconds.
	Step int64 `json:"step_seconds"`
	// Cells are the counts of each type of Types, by step, oldest first.
	Cells []Row `json:"cells"`
	// Failures are the failed events by step.
	Failures []int64 `json:"failures"`
	Types    []Top   `json:"types"`
	Users    []Top   `json:"users"`
	Failing  []Top   `json:"failing_users"` // users by their failed events
	IPs      []Top   `json:"ips"`
	Clients  []Top   `json:"clients"`
	// Partial says that older events of the span were not counted, because the journal does not
	// hold them any more or the budget of the query ran out; From is how far the counts reach back then.
	Partial bool      `json:"partial"`
	From    time.Time `json:"from,omitzero"`
}

// A Row is the counts of one type by step.
type Row struct {
	Type   string  `json:"type"`
	Counts []int64 `json:"counts"`
}

// A Top is how often something stands in events.
type Top struct {
	Value string `json:"value"`
	// Label is a name for a person, where there is one beside the value.
	Label  string `json:"label,omitempty"`
	Count  int64  `json:"count"`
	Failed int64  `json:"failed"`
}

// A Point is what happened in a step.
type Point struct {
	At        time.Time `json:"at"`
	Fetched   int64     `json:"fetched"`
	Delivered int64     `json:"delivered"`
	Rejected  int64     `json:"rejected"`
}

// A RunQuery picks runs.
type RunQuery struct {
	Tenant string
	// Source is the name of a source; empty for all.
	Source string
	// Failed picks those that ended with an error.
	Failed bool
	Before time.Time // zero: from the newest on
	Limit  int       // 1 to 500
}

// A RunPage is a list of runs.
type RunPage struct {
	Runs []Run `json:"runs"`
	// More says that there are older ones: ask again with Before at the start of the last.
	More bool `json:"more"`
}

// A Run is a stretch of work of a source: from the first events after a rest, or from a
// start, until it had read all there was, failed or was stopped. Polls that find nothing
// make no run; what is pushed is a run while pauses stay below a minute.
type Run struct {
	ID     int64     `json:"id"`
	Tenant string    `json:"tenant"`
	Source string    `json:"source"`
	Start  time.Time `json:"start"`
	// End is zero while it is under way.
	End time.Time `json:"end,omitzero"`
	// Pages and Events are what it has read; Stored, Duplicates and Skipped what became of them.
	Pages      int64 `json:"pages"`
	Events     int64 `json:"events"`
	Stored     int64 `json:"stored"`
	Duplicates int64 `json:"duplicates"`
	Skipped    int64 `json:"skipped"`
	// Checkpoint is the cursor at its end.
	Checkpoint string `json:"checkpoint"`
	// Error is why it ended, empty when it had read everything; Hint what to do.
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// A Delivery is one batch: the calls that it took until its outcome was known.
type Delivery struct {
	At          time.Time     `json:"at"`
	Took        time.Duration `json:"took_ns"`
	Tenant      string        `json:"tenant"`
	Destination string        `json:"destination"`
	LogGroup    string        `json:"log_group"`
	LogStream   string        `json:"log_stream"`
	Events      int           `json:"events"`
	Bytes       int64         `json:"bytes"`
	Delivered   int           `json:"delivered"`
	Rejected    int           `json:"rejected"`
	Retried     int           `json:"retried"` // events to be sent again
	Doubt       bool          `json:"doubt"`   // looked up first, because it may have arrived
	Error       string        `json:"error,omitempty"`
}

// A LetterBox holds the dead letters, to look at and to act on.
type LetterBox interface {
	// List returns those that a filter picks, newest first.
	List(ctx context.Context, f LetterFilter, limit int) ([]Letter, error)
	// Show returns one with its bytes; the error wraps ErrNotFound when there is none.
	Show(ctx context.Context, id int64) (Letter, []byte, error)
	// Replay puts events back into the buffer, and Drop deletes letters for good. Both
	// return how many they moved, and what kept the others in words for a person.
	Replay(ctx context.Context, f LetterFilter) (LettersMoved, error)
	Drop(ctx context.Context, f LetterFilter) (LettersMoved, error)
}

// LettersMoved says how many dead letters were moved.
type LettersMoved struct {
	Moved int64 `json:"moved"`
	Left  int64 `json:"left"`
	// Why says what kept those that are left.
	Why string `json:"why,omitempty"`
}

// A LetterFilter picks dead letters: those named, or all that match the other fields.
type LetterFilter struct {
	IDs                  []int64
	Tenant, Kind, Reason string
	Before               int64 // only letters with a lower id; 0 is no bound
}

// A Letter is a dead letter without its bytes.
type Letter struct {
	ID          int64     `json:"id"`
	Tenant      string    `json:"tenant"`
	Kind        string    `json:"kind"`
	Reason      string    `json:"reason"`
	Detail      string    `json:"detail"`
	KeptSince   time.Time `json:"kept_since"`
	Source      string    `json:"source"`
	LogID       string    `json:"log_id,omitempty"`
	Type        string    `json:"type,omitempty"`
	Date        time.Time `json:"date,omitzero"`
	Destination string    `json:"destination,omitempty"`
	LogGroup    string    `json:"log_group,omitempty"`
	LogStream   string    `json:"log_stream,omitempty"`
	Bytes       int64     `json:"bytes"`
	// CanReplay says that it is an event that was not delivered.
	CanReplay bool `json:"can_replay"`
}
