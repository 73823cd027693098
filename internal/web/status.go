package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// An Overview is the state of the whole program at a moment.
type Overview struct {
	// Version is the version of the running program.
	Version string `json:"version"`
	// At is when the figures were read.
	At time.Time `json:"at"`
	// Running says whether a process holds the data directory.
	Running bool     `json:"running"`
	Tenants []Tenant `json:"tenants"`
	// Configuration is that of the running process; nil when none is running.
	Configuration *Configuration `json:"configuration,omitempty"`
	// Alerts are those that are on, and those that ended within the last day, the newest first.
	Alerts []Alert `json:"alerts,omitempty"`
}

// An Alert is a condition of which people were told, or are to be.
type Alert struct {
	// ID tells alerts apart; Kind is a word of a bounded set, such as "delivery_lag".
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// Tenant and Part are what it is about; empty for the whole program.
	Tenant   string `json:"tenant,omitempty"`
	Part     string `json:"part,omitempty"`
	Severity string `json:"severity"` // info, warning or critical
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	// Since is when it began, and Ended when it was over; zero while it is on.
	Since time.Time `json:"since"`
	Ended time.Time `json:"ended,omitzero"`
	// Told lists the channels that were told of it, and Failing those that could not be.
	Told    []string `json:"told,omitempty"`
	Failing []string `json:"failing,omitempty"`
}

// A Configuration is what is known of the configuration in use.
type Configuration struct {
	// LoadedAt is when it was loaded: at the start, or by the last reload that was taken.
	LoadedAt time.Time `json:"loaded_at"`
	// NeedRestart are settings of it that hold only after a restart.
	NeedRestart []string `json:"need_restart"`
	// FailedAt is when another one was refused since; zero when none was. Error says why,
	// and Hint what to do.
	FailedAt time.Time `json:"reload_failed_at,omitzero"`
	Error    string    `json:"reload_error,omitempty"`
	Hint     string    `json:"reload_hint,omitempty"`
}

// Failed reports whether the last reload was refused.
func (c *Configuration) Failed() bool { return !c.FailedAt.IsZero() }

// A Tenant is the state of one tenant's export. Counts are since the data
// directory was made.
type Tenant struct {
	Name string `json:"name"`
	// Source and Destination say in words where from and where to.
	Source      string `json:"source"`
	Destination string `json:"destination"`
	// State is one word of State's constants.
	State State `json:"state"`

	Stored        int64            `json:"stored"`
	Duplicates    int64            `json:"duplicates"`
	Skipped       map[string]int64 `json:"skipped"`
	Delivered     int64            `json:"delivered"`
	Rejected      map[string]int64 `json:"rejected"`
	Altered       map[string]int64 `json:"altered"`
	Buffered      int64            `json:"buffered"`
	BufferedBytes int64            `json:"buffered_bytes"`

	// DeadLetters and DeadLetterBytes are what is kept now, Letters the same by
	// kind and reason, and MaxDeadLetterBytes the quota. Replayed and Dropped
	// count the letters that have left, by reason.
	DeadLetters        int64            `json:"dead_letters"`
	DeadLetterBytes    int64            `json:"dead_letter_bytes"`
	MaxDeadLetterBytes int64            `json:"max_dead_letter_bytes"`
	Letters            []Letters        `json:"letters"`
	Replayed           map[string]int64 `json:"replayed"`
	Dropped            map[string]int64 `json:"dropped"`

	// Cursor is the last log_id fetched by the poll.
	Cursor string `json:"cursor"`
	// NewestEvent is the date of the newest event stored, OldestBuffered that of
	// the oldest one not delivered yet; zero when there is none.
	NewestEvent    time.Time `json:"newest_event"`
	OldestBuffered time.Time `json:"oldest_buffered"`
	LastDelivery   time.Time `json:"last_delivery"`
	// LastStored is when a new event was last stored.
	LastStored time.Time `json:"-"`

	// Destinations are the further ones. What is above of delivery is of the main one,
	// so that no figure counts an event twice.
	Destinations []Destination `json:"destinations"`

	// Verify is what is known of the scheduled verifications; nil where there are none.
	Verify *Verify `json:"verify,omitempty"`
	// Backfills are those that have not ended, and the last one that has.
	Backfills []Backfill `json:"backfills,omitempty"`

	Push     Push      `json:"push"`
	Troubles []Trouble `json:"troubles"`
	// Gaps are all that were ever recorded, healed or not, oldest first.
	Gaps      []Gap     `json:"gaps"`
	Retention Retention `json:"retention"`

	// LastMinute and LastHour are what passed in the last whole minute, and in the last
	// hour up to now.
	LastMinute Passed `json:"last_minute"`
	LastHour   Passed `json:"last_hour"`

	// Sources are what brings events, and RateLimit what Auth0 said last of its own;
	// known to the process that runs alone.
	Sources   []Source   `json:"sources,omitempty"`
	RateLimit *RateLimit `json:"rate_limit,omitempty"`
}

// A Passed is what was counted in a span: events that were new, those that the main
// destination took, and those that can never be delivered.
type Passed struct {
	Fetched   int64 `json:"fetched"`
	Delivered int64 `json:"delivered"`
	Rejected  int64 `json:"rejected"`
}

// A Verify is the last scheduled verification of a tenant.
type Verify struct {
	// Next is when the next one is due; zero when the schedule is off.
	Next time.Time `json:"next,omitzero"`
	// Ended is when the last one ended; zero before the first, and then the rest says
	// nothing. Since and Until are its span; before ProvedSince nothing can be proved.
	Ended       time.Time `json:"ended,omitzero"`
	Since       time.Time `json:"since,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	ProvedSince time.Time `json:"proved_since,omitzero"`
	// Clean says that nothing was found that a person should look at. It is false too
	// when Error says why that could not be found out.
	Clean bool `json:"clean"`
	// Held is how many events Auth0 holds of the span, Found what was found, by kind, and
	// Repaired how many events were missing before and were delivered.
	Held     int64            `json:"held"`
	Found    map[string]int64 `json:"found"`
	Repaired int64            `json:"repaired"`
	Error    string           `json:"error,omitempty"`
	// Refused is the action of AWS that is not allowed, such as "logs:FilterLogEvents",
	// where that is the Error: nothing is wrong then with the export, and nothing proved.
	Refused string `json:"refused,omitempty"`
	// Hint says what to do; empty when there is nothing to do.
	Hint string `json:"hint,omitempty"`
}

// String says it in a line.
func (v Verify) String() string {
	text := "not yet"
	if !v.Ended.IsZero() {
		text = v.Last()
	}
	if !v.Next.IsZero() {
		text += "; next " + v.Next.UTC().Format(time.RFC3339)
	}
	return text
}

// Last says in a line when the last one ended, and what it has found.
func (v Verify) Last() string {
	text := v.Ended.UTC().Format(time.RFC3339) + ": "
	switch {
	case v.Refused != "":
		text += "not compared: " + v.Refused + " is not allowed"
	case v.Error != "":
		text += "failed: " + v.Error
	case v.Clean:
		text += fmt.Sprintf("clean, %d events compared", v.Held)
	default:
		var found []string
		for _, kind := range v.Kinds() {
			found = append(found, fmt.Sprintf("%d %s", v.Found[kind], kind))
		}
		text += fmt.Sprintf("NOT CLEAN, %d events compared: %s", v.Held, strings.Join(found, ", "))
	}
	if v.Repaired > 0 {
		text += fmt.Sprintf("; %d repaired", v.Repaired)
	}
	return Plain(text)
}

// Kinds are the kinds of which something was found, in order.
func (v Verify) Kinds() (kinds []string) {
	for _, kind := range slices.Sorted(maps.Keys(v.Found)) {
		if v.Found[kind] > 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// State is a word for the last verification: none, refused, failed, clean or unclean.
func (v Verify) State() string {
	switch {
	case v.Ended.IsZero():
		return "none"
	case v.Refused != "":
		return "refused"
	case v.Error != "":
		return "failed"
	case v.Clean:
		return "clean"
	default:
		return "unclean"
	}
}

// Unclean reports whether the last verification found what a person should look at.
func (v Verify) Unclean() bool { return v.State() == "unclean" }

// A Backfill is a second reading of a span of a tenant's log.
type Backfill struct {
	ID string `json:"id"`
	// Phase is waiting, looking, reading, delivering, done or cancelled.
	Phase string    `json:"phase"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Reached is the date up to which it has read; zero before.
	Reached time.Time `json:"reached,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Read are the events of the span, There those that the destination had, Stored
	// those that it lacked, of which Undelivered wait, and Rejected became dead letters.
	Read        int64 `json:"read"`
	There       int64 `json:"there"`
	Stored      int64 `json:"stored"`
	Undelivered int64 `json:"undelivered"`
	Rejected    int64 `json:"rejected"`
	// Trouble is what hinders it; empty when nothing does.
	Trouble string `json:"trouble,omitempty"`
}

// String says it in a line.
func (b Backfill) String() string {
	text := fmt.Sprintf("%s, %s to %s: %s, %d read, %d there already, %d stored", b.ID, b.Since.UTC().Format(time.RFC3339), b.Until.UTC().Format(time.RFC3339),
		b.Phase, b.Read, b.There, b.Stored)
	if b.Undelivered > 0 {
		text += fmt.Sprintf(", %d not delivered yet", b.Undelivered)
	}
	if b.Rejected > 0 {
		text += fmt.Sprintf(", %d became dead letters", b.Rejected)
	}
	if b.Trouble != "" {
		text += "; " + b.Trouble
	}
	return Plain(text)
}

// A Source is what brings events of a tenant.
type Source struct {
	// Name is poll, webhook, sqs or file.
	Name string `json:"name"`
	// Stored and Duplicates count what it brought since the process started: events that were new, and
	// those that were known already.
	Stored     int64 `json:"stored"`
	Duplicates int64 `json:"duplicates"`
	// Last is when it last brought an event; zero when it has not yet.
	Last time.Time `json:"last,omitzero"`
}

// A RateLimit is what the Management API said last of the calls that are left.
type RateLimit struct {
	Limit     int       `json:"limit"`
	Remaining int       `json:"remaining"`
	Reset     time.Time `json:"reset"`
	// Share is the part of it that gapless may use, from 0 to 1.
	Share float64 `json:"share"`
}

// A Destination is the state of the delivery to one of the further destinations of a
// tenant. Every event stored goes to each; what becomes of it there is counted here.
type Destination struct {
	Name string `json:"name"`
	// Destination says in words where to.
	Destination string `json:"destination"`
	// Configured says that events go there. One that is not configured any more is
	// shown while events wait for it.
	Configured bool `json:"configured"`

	Skipped       map[string]int64 `json:"skipped"`
	Delivered     int64            `json:"delivered"`
	Rejected      map[string]int64 `json:"rejected"`
	Altered       map[string]int64 `json:"altered"`
	Buffered      int64            `json:"buffered"`
	BufferedBytes int64            `json:"buffered_bytes"`
	// Dropped counts, by reason, the events that a person has dropped from what waited.
	Dropped map[string]int64 `json:"dropped"`

	OldestBuffered time.Time `json:"oldest_buffered"`
	LastDelivery   time.Time `json:"last_delivery"`

	// Waiting is when the oldest event that waits was put into the buffer.
	Waiting time.Time `json:"-"`
}

// DeliveryLag returns now minus the date of the oldest event not delivered yet;
// zero when there is none.
func (d Destination) DeliveryLag(now time.Time) time.Duration { return lag(now, d.OldestBuffered) }

// lag returns how long ago a time was, zero for none.
func lag(now, oldest time.Time) time.Duration {
	if oldest.IsZero() {
		return 0
	}
	return max(0, now.Sub(oldest))
}

// Headline says how far the delivery is, in a few words.
func (d Destination) Headline(now time.Time) string {
	switch {
	case !d.Configured:
		return "not configured any more"
	case d.Buffered > 0:
		return Short(d.DeliveryLag(now)) + " behind"
	default:
		return "all that was fetched is delivered"
	}
}

// A Push is how well a tenant's push does beside its poll.
type Push struct {
	// Checked says that the tenant has both.
	Checked bool `json:"checked"`
	// Healed counts the events that the poll has brought and the push has not, in
	// time; Pushed those that the push has. Neither counts what is from before the
	// push, or before the start of the process that judged it.
	Healed int64 `json:"healed"`
	Pushed int64 `json:"pushed"`
	// RecentHealed and RecentPushed are those of the last hour.
	RecentHealed int64 `json:"recent_healed"`
	RecentPushed int64 `json:"recent_pushed"`
	// MissRate is the share of the last hour's events that the push has not
	// brought, from 0 to 1; nil when there were none.
	MissRate *float64 `json:"miss_rate"`
}

// Recent sets what is from the last hour.
func (p *Push) Recent(healed, pushed int64) {
	p.RecentHealed, p.RecentPushed = healed, pushed
	if all := healed + pushed; all > 0 {
		p.MissRate = new(float64(healed) / float64(all))
	}
}

// String says it in words; empty where nothing is checked.
func (p Push) String() string {
	if !p.Checked {
		return ""
	}
	if p.MissRate == nil {
		return fmt.Sprintf("%d events healed by the poll; nothing to bring in the last hour", p.Healed)
	}
	return fmt.Sprintf("%d events healed by the poll; %.3g %% missed in the last hour", p.Healed, 100**p.MissRate)
}

// A Trouble is what keeps a part of a tenant's export from working.
type Trouble struct {
	Part    string    `json:"part"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	Hint    string    `json:"hint"`
	Since   time.Time `json:"since"`
}

// NeedsPerson reports whether the trouble will not pass by itself.
func (t Trouble) NeedsPerson() bool {
	return t.Class == "unauthorized" || t.Class == "misconfigured" || t.Class == "quota" || t.Class == "restored"
}

// Letters are how many dead letters of a kind and reason are kept.
type Letters struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	Bytes  int64  `json:"bytes"`
}

// String says it in words.
func (l Letters) String() string {
	if l.Kind == l.Reason {
		return fmt.Sprintf("%d %s", l.Count, l.Kind)
	}
	return fmt.Sprintf("%d %s for %s", l.Count, l.Kind, l.Reason)
}

// A Gap is a span of events that could not be read any more.
type Gap struct {
	FromID   string    `json:"from_id"`
	FromTime time.Time `json:"from_time"`
	ToID     string    `json:"to_id"`
	ToTime   time.Time `json:"to_time"`
	Reason   string    `json:"reason"`
	Recorded time.Time `json:"recorded"`
	// Healed is when the whole span had been read after all; zero while it is open.
	Healed time.Time `json:"healed"`
}

// Fate says whether a gap is open or healed.
func (g Gap) Fate() string {
	if g.Healed.IsZero() {
		return "open"
	}
	return "healed " + g.Healed.UTC().Format(time.RFC3339)
}

// OpenGaps counts the gaps that are not healed.
func (t Tenant) OpenGaps() (n int) {
	for _, g := range t.Gaps {
		if g.Healed.IsZero() {
			n++
		}
	}
	return n
}
