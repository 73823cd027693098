package notify

import (
	"slices"
	"time"
)

// A Severity says how much is at stake.
type Severity string

// The severities, the least first.
const (
	// Info is worth knowing.
	Info Severity = "info"
	// Warning passes by itself, or can wait until somebody has time.
	Warning Severity = "warning"
	// Critical needs a person: events are not exported, or will be lost.
	Critical Severity = "critical"
)

// Severities returns the severities, the least first.
func Severities() []Severity { return []Severity{Info, Warning, Critical} }

// rank orders severities; one that is not known is the least.
func (s Severity) rank() int { return slices.Index(Severities(), s) }

// AtLeast reports whether a severity is as high as another.
func (s Severity) AtLeast(o Severity) bool { return s.rank() >= o.rank() }

// The kinds of conditions.
const (
	KindCredentialsRefused = "credentials_refused"
	KindCredentialsEnd     = "credentials_end"
	KindCertificateEnds    = "certificate_ends"
	KindNotFetching        = "not_fetching"
	KindQuiet              = "quiet"
	KindRateLimited        = "rate_limited"
	KindPushSilent         = "push_silent"
	KindStrayMessages      = "stray_messages"
	KindRefusing           = "destination_refusing"
	KindFailing            = "destination_failing"
	KindDeliveryLag        = "delivery_lag"
	KindSkipping           = "destination_skipping"
	KindRemoved            = "destination_removed"
	KindBufferFull         = "buffer_near_full"
	KindDiskFull           = "disk_near_full"
	KindRetention          = "retention_risk"
	KindGap                = "gap"
	KindDeadLetters        = "dead_letters"
	KindLetterQuota        = "dead_letter_quota"
	KindSecret             = "secret_unreadable"
	KindNotStarted         = "tenant_not_started"
	KindRestored           = "store_restored"
	KindStore              = "store_unreadable"
	KindReload             = "reload_refused"
	KindVerify             = "verify_unclean"
	KindChannel            = "channel_failing"
	KindTrouble            = "trouble"
)

// How long conditions hold before they are told, where no threshold says otherwise: a
// blip tells nobody, and what a person must mend is told within half a minute.
const (
	holdPerson  = 15 * time.Second
	holdPassing = 5 * time.Minute
	holdFigure  = 30 * time.Second
)

// A Kind is a kind of condition.
type Kind struct {
	// Name is a word of snake case.
	Name string
	// Severity is that with which it begins.
	Severity Severity
	// Hold is how long it must last to be told; a threshold may take its place.
	Hold time.Duration
	// Title names it for people.
	Title string
}

// Kinds returns every kind, in the order of docs/alerts.md.
func Kinds() []Kind {
	return []Kind{
		{KindCredentialsRefused, Critical, holdPerson, "Credentials are refused"},
		{KindCredentialsEnd, Warning, holdFigure, "Credentials of AWS have ended"},
		{KindCertificateEnds, Warning, 0, "The certificate of the webhook ends"},
		{KindNotFetching, Critical, holdPassing, "Events are not fetched"},
		{KindQuiet, Warning, 0, "Nothing has happened for longer than usual"},
		{KindRateLimited, Warning, 10 * time.Minute, "The rate limit of Auth0 is not enough"},
		{KindPushSilent, Warning, time.Minute, "The push is silent"},
		{KindStrayMessages, Warning, time.Minute, "Messages in the queue belong to nobody"},
		{KindRefusing, Critical, holdPerson, "The destination refuses events"},
		{KindFailing, Warning, 10 * time.Minute, "The destination fails"},
		{KindDeliveryLag, Warning, holdFigure, "Delivery lags behind"},
		{KindSkipping, Critical, holdPerson, "Events are left out of a destination"},
		{KindRemoved, Warning, time.Minute, "Events wait for a destination that was removed"},
		{KindBufferFull, Warning, holdFigure, "The buffer is nearly full"},
		{KindDiskFull, Critical, holdFigure, "The disk is nearly full"},
		{KindRetention, Critical, holdFigure, "Events are at risk"},
		{KindGap, Critical, 0, "A gap was recorded"},
		{KindDeadLetters, Warning, 0, "Events became dead letters"},
		{KindLetterQuota, Critical, holdPerson, "The dead letters are near their quota"},
		{KindSecret, Warning, time.Minute, "A secret cannot be renewed"},
		{KindNotStarted, Critical, holdPerson, "A tenant could not be started"},
		{KindRestored, Critical, 0, "The store was restored"},
		{KindStore, Critical, holdFigure, "The figures cannot be read"},
		{KindReload, Warning, 0, "A configuration was refused"},
		{KindVerify, Critical, 0, "Source and destination differ"},
		{KindChannel, Warning, 0, "A channel fails"},
		{KindTrouble, Warning, holdPassing, "A part is in trouble"},
	}
}

// KindNames returns the names of all kinds.
func KindNames() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// kindOf returns a kind by its name; an unknown one is a trouble of that name.
func kindOf(name string) Kind {
	all := Kinds()
	if i := slices.IndexFunc(all, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return all[i]
	}
	return Kind{Name: name, Severity: Warning, Hold: holdPassing, Title: name}
}
