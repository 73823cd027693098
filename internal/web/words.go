package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A State is the state of a tenant in a word.
type State string

// The states, best first.
const (
	StateDelivered  State = "delivered"  // all that was fetched is delivered
	StateDelivering State = "delivering" // some of it is on its way
	StateWaiting    State = "waiting"    // nothing has been fetched yet
	StateTrouble    State = "trouble"    // a fault that passes by itself
	StateStuck      State = "stuck"      // a fault that needs a person
	StateStopped    State = "stopped"    // no process is running
)

// States returns all of them, best first.
func States() []State {
	return []State{StateDelivered, StateDelivering, StateWaiting, StateTrouble, StateStuck, StateStopped}
}

// Judge sets State from the other fields.
func (t *Tenant) Judge(running bool) {
	switch {
	case !running:
		t.State = StateStopped
	case len(t.Troubles) > 0:
		t.State = StateTrouble
		for _, x := range t.Troubles {
			if x.NeedsPerson() {
				t.State = StateStuck
			}
		}
	case t.Buffered > 0 || slices.ContainsFunc(t.Destinations, func(d Destination) bool { return d.Configured && d.Buffered > 0 }):
		t.State = StateDelivering
	case t.Stored == 0 && t.Cursor == "":
		t.State = StateWaiting
	default:
		t.State = StateDelivered
	}
}

// DeliveryLag returns now minus the date of the oldest event not delivered yet;
// zero when there is none.
func (t Tenant) DeliveryLag(now time.Time) time.Duration { return lag(now, t.OldestBuffered) }

// IngestLag returns now minus the date of the newest event fetched; zero before the
// first. On a quiet tenant it grows without anything being wrong.
func (t Tenant) IngestLag(now time.Time) time.Duration { return lag(now, t.NewestEvent) }

// worstLag is the DeliveryLag of the destination that is furthest behind.
func (t Tenant) worstLag(now time.Time) time.Duration {
	worst := t.DeliveryLag(now)
	for _, d := range t.Destinations {
		if d.Configured {
			worst = max(worst, d.DeliveryLag(now))
		}
	}
	return worst
}

// Headline says the state in a few words, without what is wrong.
func (t Tenant) Headline(now time.Time) string {
	switch t.State {
	case StateDelivered:
		return "all that was fetched is delivered"
	case StateDelivering:
		return fmt.Sprintf("delivering, %s behind", Short(t.worstLag(now)))
	case StateWaiting:
		return "nothing fetched yet"
	case StateStopped:
		return "not running"
	case StateTrouble:
		return "in trouble, trying again"
	case StateStuck:
		return "a person must act"
	}
	return string(t.State)
}

// Words says the state in a sentence: the headline, in trouble what is wrong, and
// what is at risk; see Plain.
func (t Tenant) Words(now time.Time) string {
	words := []string{t.Headline(now)}
	if t.State == StateTrouble || t.State == StateStuck {
		for _, x := range t.Troubles {
			words = append(words, x.Part+": "+x.Message)
		}
	}
	for _, x := range t.Retention.Risks {
		words = append(words, "at risk: "+x.Message)
	}
	return Plain(strings.Join(words, "; "))
}

// Short writes a duration for a person: 0.3s, 12s, 5m10s, 3h2m, 4d3h.
func Short(d time.Duration) string {
	switch {
	case d < 0:
		return "0.0s" // clocks differ
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// Size writes a number of bytes for a person: 512 B, 1.5 KiB, 20 MiB, 1 GiB.
func Size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	n, unit := float64(bytes)/1024, 0
	for n >= 1023.5 && unit < 3 {
		n, unit = n/1024, unit+1
	}
	digits := 1
	if n >= 9.95 {
		digits = 0
	}
	return strings.TrimSuffix(strconv.FormatFloat(n, 'f', digits, 64), ".0") + fmt.Sprintf(" %ciB", "KMGT"[unit])
}
