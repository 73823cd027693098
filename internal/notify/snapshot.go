package notify

import (
	"cmp"
	"time"
)

// A Snapshot is what the rules judge: the figures of a moment. It holds no secret and no
// event.
type Snapshot struct {
	// At is when the figures were read, and Version that of the program.
	At      time.Time
	Version string
	Tenants []Tenant
	// DiskFree and DiskTotal are the bytes of the file system of the data directory; 0
	// when they are not known.
	DiskFree, DiskTotal int64
	// CertificateEnds is when the certificate of the webhook ends; zero without one.
	CertificateEnds time.Time
	// Credentials are those of AWS that were looked at.
	Credentials []Credentials
	// Refused is why the last reload was refused; nil when it was not.
	Refused *Trouble
}

// A Tenant is the state of one tenant. Counts are since the data directory was made.
type Tenant struct {
	Name     string
	Troubles []Trouble
	// Queues are what waits for each destination, the main one first.
	Queues []Queue
	// BufferRoom and BufferMax are bytes that still fit into the buffer, and that fit in
	// all; 0 for no bound.
	BufferRoom, BufferMax int64
	Risks                 []Risk
	Gaps                  []Gap
	// Rejected and Altered count, by reason, the events that became dead letters.
	Rejected, Altered map[string]int64
	// Kept is how many dead letters are kept now.
	Kept int64

	Fetched, Delivered, Skipped int64
	// Checkpoint is the cursor of the poll.
	Checkpoint string
	// NewestEvent is the date of the newest event, and ReadUntil up to when the log is
	// known to be read.
	NewestEvent, ReadUntil time.Time
	// Verified says what the last scheduled verification has found; empty before the first
	// and where there is none.
	Verified string
	// Waited is how long calls to Auth0 have waited for the rate limit since the process
	// started.
	Waited time.Duration
	// Pause is how long nothing new has come, and Usual what is known of the pauses at
	// this time of the week; nil when that was not looked up, because the pause is short
	// or the tenant does not work.
	Pause time.Duration
	Usual *Usual
}

// A Trouble is what keeps a part from working.
type Trouble struct {
	// Part is the part as gapless status names it, and Class the class of its error.
	Part, Class string
	// Message and Hint say what is wrong and what to do.
	Message, Hint string
	Since         time.Time
	// Full says that a source waits for room in the buffer, and not for its other side.
	Full bool
}

// person reports whether only a person can end it.
func (t Trouble) person() bool { return t.Class == "unauthorized" || t.Class == "misconfigured" }

// A Queue is what waits for a destination.
type Queue struct {
	// Name is empty for the main destination.
	Name          string
	Events, Bytes int64
	// Lag is now minus the date of the oldest event that waits, and Waiting how long that
	// event has waited in the buffer: the smaller of the two is what delivery is behind,
	// as an old event may have been fetched a moment ago.
	Lag, Waiting time.Duration
	Delivered    int64
}

// behind is how far the delivery to the destination is behind.
func (q Queue) behind() time.Duration {
	if q.Events == 0 {
		return 0
	}
	return min(q.Lag, q.Waiting)
}

// A Risk is what will lose or harm events unless somebody acts.
type Risk struct{ Kind, Message, Hint string }

// A Gap is a span of events that could not be read.
type Gap struct {
	// From and To are its times; may be zero.
	From, To, Recorded, Healed time.Time
	Reason                     string
}

// Credentials are those of AWS with which a destination is reached.
type Credentials struct {
	Tenant string
	// Destination is empty for the main one.
	Destination string
	// Ends is when they end; zero when that is not known, or never.
	Ends time.Time
	// Problem says why there are none; empty when there are.
	Problem string
}

// A Usual is what is known of the pauses of a tenant at this time of the week.
type Usual struct {
	// Weeks is how many earlier weeks are known, 4 at most.
	Weeks int
	// Longest is the longest pause at this time in any of them; of a tenant that is known
	// for less than two weeks, the longest of all its pauses.
	Longest time.Duration
	// Known is for how long the tenant has been known.
	Known time.Duration
}

// Thresholds say from when on figures are conditions; 0 turns the rule off.
type Thresholds struct {
	// DeliveryLag warns, and DeliveryLagCritical is critical.
	DeliveryLag, DeliveryLagCritical time.Duration
	// FetchFailing and DestinationFailing are how long faults that pass by themselves may
	// last.
	FetchFailing, DestinationFailing time.Duration
	// Quiet is the shortest pause that is told, however short the usual one is.
	Quiet time.Duration
	// BufferUsed is the share of the buffer that may be used, from 0 to 1.
	BufferUsed float64
	// DiskFree is how many bytes must be free, but never more than a tenth of the disk.
	DiskFree int64
	// CertificateEnds is how long before its end a certificate is told of.
	CertificateEnds time.Duration
	// RateLimited is how long the rate limit may hold up a tenant.
	RateLimited time.Duration
}

// A Finding is a condition that holds.
type Finding struct {
	// Kind is one of the Kind constants; with Tenant and Part, which may be empty, it
	// tells conditions apart.
	Kind, Tenant, Part string
	// Severity and Hold are those of the kind where they are not set.
	Severity Severity
	// Hold is how long it must last to be told, negative for not at all.
	Hold time.Duration
	// Message and Hint say what is wrong and what to do. They hold no secret and no event.
	Message, Hint string
	// Since is when it began; zero for now.
	Since time.Time
	// Until makes it a happening: it is told once, and its end is told when it comes
	// before that time.
	Until time.Time
}

// key tells conditions apart.
func (f Finding) key() string { return f.Kind + "\x00" + f.Tenant + "\x00" + f.Part }

// filled sets what is of the kind.
func (f Finding) filled() Finding {
	k := kindOf(f.Kind)
	if f.Severity == "" {
		f.Severity = k.Severity
	}
	if f.Hold == 0 {
		f.Hold = k.Hold
	}
	f.Hint = cmp.Or(f.Hint, usualHint(f.Kind))
	return f
}

// usualHint is what to do about faults that pass by themselves, for which the part that
// fails has no advice: a person who is told must not be left without any.
func usualHint(kind string) string {
	switch kind {
	case KindNotFetching:
		return "It is tried again by itself, and nothing is lost as long as Auth0 keeps the log. See whether this machine reaches Auth0 (gapless doctor), and status.auth0.com."
	case KindRateLimited:
		return "It goes on by itself, more slowly. See which other software uses up the limit, raise rate_share, or have Auth0 push events (webhook or EventBridge)."
	case KindFailing:
		return "It is tried again by itself, and the events wait on disk. See whether this machine reaches AWS (gapless doctor), and health.aws.amazon.com."
	}
	return "gapless status shows more; gapless doctor looks for the cause."
}
