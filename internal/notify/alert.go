package notify

import (
	"maps"
	"time"
)

// An Alert is a condition of which people are told.
type Alert struct {
	// ID tells alerts apart, also those of the same condition at different times.
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Tenant   string   `json:"tenant,omitempty"`
	Part     string   `json:"part,omitempty"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	// Since is when the condition began, and Ended when it was over; zero while it lasts.
	Since time.Time `json:"since"`
	Ended time.Time `json:"ended,omitzero"`
	// Until is that of a happening; see Finding.
	Until time.Time `json:"until,omitzero"`
	// Round is how often it has been due to be told, 0 for not yet, and Due when it was
	// last, its end included.
	Round int       `json:"round"`
	Due   time.Time `json:"due,omitzero"`
	// Flaps is how often it has come back soon after its end.
	Flaps int `json:"flaps,omitempty"`
	// Marks say what channels were told, by name.
	Marks map[string]Mark `json:"marks,omitempty"`

	hold   time.Duration
	seen   time.Time // when it was last found; zero for before this process
	absent time.Time // since when it is not found any more
}

// A Mark is what a channel was told of an alert.
type Mark struct {
	// Round is the last one that was told, and Ended says that the end was.
	Round int  `json:"round"`
	Ended bool `json:"ended,omitempty"`
}

// key tells conditions apart.
func (a *Alert) key() string { return a.Kind + "\x00" + a.Tenant + "\x00" + a.Part }

// on reports whether the alert is told or to be told, and not over.
func (a *Alert) on() bool { return a.Round > 0 && a.Ended.IsZero() }

// silentEnd reports whether its end is told to nobody: that of a happening which is just
// no news any more.
func (a *Alert) silentEnd() bool { return !a.Until.IsZero() && !a.Ended.Before(a.Until) }

// copied returns a copy that shares nothing.
func (a *Alert) copied() Alert {
	c := *a
	c.Marks = maps.Clone(a.Marks)
	return c
}

// The states in which a notice shows an alert.
const (
	// StateFiring is told first.
	StateFiring = "firing"
	// StateStill is told again because it lasts, has become worse or has come back.
	StateStill = "still"
	// StateEnded is told when it is over.
	StateEnded = "ended"
)

// A Notice is an alert as a channel is told of it.
type Notice struct {
	Alert

	State string
}

// lasted is how long the alert has lasted until now.
func (n Notice) lasted(now time.Time) time.Duration {
	if !n.Ended.IsZero() {
		now = n.Ended
	}
	return max(0, now.Sub(n.Since))
}
