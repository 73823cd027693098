package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a message is about.
const (
	// AboutAlerts is what has begun, lasts or has ended.
	AboutAlerts = "alerts"
	// AboutRun says that all goes well, and how much was done.
	AboutRun = "run"
	// AboutDay is the report of a day.
	AboutDay = "report"
	// AboutTest is sent on demand, so that a person sees that it arrives.
	AboutTest = "test"
)

// A Message is what a channel sends at once.
type Message struct {
	// ID tells messages apart; it is the same when one is sent again because it is not
	// known whether it arrived.
	ID string
	// About is one of the About constants.
	About string
	At    time.Time
	// Instance names this gapless among others; may be empty. Version is its version.
	Instance, Version string
	Notices           []Notice
	// Report is set for AboutRun and AboutDay.
	Report *Report
}

// A Report is what was done in a span of time.
type Report struct {
	From, To time.Time
	// Zone is the one in which people read its times.
	Zone    *time.Location
	Tenants []TenantReport
	// On are the alerts that are on, and Over those that ended in the span.
	On, Over []Alert
}

// A TenantReport is what was done for a tenant in a span of time.
type TenantReport struct {
	Tenant                                string
	Fetched, Delivered, Rejected, Skipped int64
	// Waiting is how many events wait for delivery now, and Behind how far that is behind.
	Waiting int64
	Behind  time.Duration
	// Checkpoint is the cursor that the next read begins behind.
	Checkpoint string
	// OpenGaps and NewGaps are gaps, and Kept the dead letters that are kept.
	OpenGaps, NewGaps int
	Kept              int64
	// Verified says what the last scheduled verification has found; empty for nothing.
	Verified string
	// Trouble is what is wrong; empty for nothing.
	Trouble string
}

// worst is the highest severity of what is not over; Info when all is.
func (m Message) worst() Severity {
	worst := Info
	for _, n := range m.Notices {
		if n.State != StateEnded && n.Severity.AtLeast(worst) {
			worst = n.Severity
		}
	}
	return worst
}

// of is the values that something has in the notices, each once, in order.
func (m Message) of(value func(Notice) string) []string {
	var out []string
	for _, n := range m.Notices {
		if v := value(n); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// from names the sender.
func (m Message) from() string {
	if m.Instance == "" {
		return "gapless"
	}
	return "gapless " + m.Instance
}

// Title is the message in one line.
func (m Message) Title() string {
	switch m.About {
	case AboutTest:
		return m.from() + ": this is a test, nothing has happened"
	case AboutRun:
		if r := m.Report; len(r.On) > 0 {
			return fmt.Sprintf("%s: exported, with %s on", m.from(), plural(len(r.On), "alert"))
		}
		for _, t := range m.Report.Tenants { // what is no alert yet is no success either
			if t.Trouble != "" {
				return m.from() + ": exported, with errors"
			}
		}
		return m.from() + ": exported"
	case AboutDay:
		return fmt.Sprintf("%s: report from %s", m.from(), m.Report.To.In(m.Report.Zone).Format("Monday, 2 January 2006"))
	}
	if len(m.Notices) == 1 {
		return m.from() + ": " + m.Notices[0].headline()
	}
	var parts []string
	for _, x := range []struct{ state, mark string }{{StateFiring, ""}, {StateStill, "still: "}, {StateEnded, "ended: "}} {
		if gist := m.gist(x.state); gist != "" {
			parts = append(parts, x.mark+gist)
		}
	}
	return m.from() + ": " + strings.Join(parts, "; ")
}

// gistKinds is how many kinds the title of a message names.
const gistKinds = 3

// gist names the kinds of the notices in a state, the worst first, and how many tenants
// have each. It is what a person reads on a locked telephone, so a bare number of alerts
// will not do.
func (m Message) gist(state string) string {
	var order []string
	by := make(map[string][]Notice)
	for _, n := range m.Notices {
		if n.State != state {
			continue
		}
		if by[n.Kind] == nil {
			order = append(order, n.Kind)
		}
		by[n.Kind] = append(by[n.Kind], n)
	}
	slices.SortStableFunc(order, func(x, y string) int { return worst(by[y]).rank() - worst(by[x]).rank() })
	var parts []string
	for i, kind := range order {
		if i == gistKinds {
			parts = append(parts, plural(len(order)-i, "other kind"))
			break
		}
		list := by[kind]
		tenants := Message{Notices: list}.of(func(n Notice) string { return n.Tenant })
		text := kindOf(kind).Title
		switch {
		case len(tenants) > 1:
			text += " (" + plural(len(tenants), "tenant") + ")"
		case len(list) > 1:
			text += fmt.Sprintf(" (%d times)", len(list))
		}
		if len(tenants) == 1 {
			text = tenants[0] + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// worst is the highest severity of notices, whether they are over or not.
func worst(list []Notice) Severity {
	out := Info
	for _, n := range list {
		if n.Severity.AtLeast(out) {
			out = n.Severity
		}
	}
	return out
}

// headline is a notice in one line, without its message.
func (n Notice) headline() string {
	title := kindOf(n.Kind).Title
	if n.Tenant != "" {
		title = n.Tenant + ": " + title
	}
	switch n.State {
	case StateEnded:
		return "ended: " + title
	case StateStill:
		return "still: " + title
	}
	return title
}

// timing says since when, or how long it lasted.
func (n Notice) timing(now time.Time) string {
	switch n.State {
	case StateEnded:
		return fmt.Sprintf("It lasted %s, until %s.", short(n.lasted(now)), stamp(n.Ended))
	case StateStill:
		return fmt.Sprintf("Since %s, for %s.", stamp(n.Since), short(n.lasted(now)))
	}
	return "Since " + stamp(n.Since) + "."
}

// Text is the message as plain text of several lines.
func (m Message) Text() string {
	var b strings.Builder
	b.WriteString(m.Title() + "\n")
	for _, n := range m.bundles() {
		fmt.Fprintf(&b, "\n[%s] %s", n[0].Severity, n.headline())
		if part := n.part(); part != "" {
			fmt.Fprintf(&b, " (%s)", part)
		}
		if names := n.names(); names != "" {
			b.WriteString("\n" + names)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", n.message(), n.timing(m.At))
		if lead, hint := n.advice(); hint != "" {
			fmt.Fprintf(&b, "%s %s\n", lead, hint)
		}
	}
	if m.Report != nil {
		b.WriteString("\n" + m.Report.text())
	}
	return b.String()
}

// text is the report as plain text.
func (r *Report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Start: %s\nEnd: %s\n", r.From.In(r.Zone).Format(time.RFC3339), r.To.In(r.Zone).Format(time.RFC3339))
	for _, t := range r.Tenants {
		b.WriteString("\n" + t.Tenant + "\n")
		for _, line := range t.lines() {
			fmt.Fprintf(&b, "  %s: %s\n", line[0], line[1])
		}
	}
	for _, a := range r.On {
		fmt.Fprintf(&b, "\n[%s] on since %s: %s", a.Severity, stamp(a.Since), oneLine(a.about()))
	}
	for _, a := range r.Over {
		fmt.Fprintf(&b, "\n[%s] lasted %s: %s", a.Severity, short(a.Ended.Sub(a.Since)), oneLine(a.about()))
	}
	return b.String()
}

// about is an alert in a line.
func (a Alert) about() string { return Notice{Alert: a}.headline() + ": " + a.Message }

// lines are the figures of a tenant for people, name and value. Those of the old
// extension have the names that it gave them.
func (t TenantReport) lines() [][2]string {
	out := [][2]string{
		{"Logs processed", fmt.Sprintf("%d delivered, %d fetched, %d rejected, %d skipped", t.Delivered, t.Fetched, t.Rejected, t.Skipped)},
		{"Next checkpoint", cmp.Or(t.Checkpoint, "-")},
	}
	if t.Waiting > 0 {
		out = append(out, [2]string{"Waiting", fmt.Sprintf("%s, %s behind", plural(int(t.Waiting), "event"), short(t.Behind))})
	}
	if t.OpenGaps+t.NewGaps > 0 {
		out = append(out, [2]string{"Gaps", fmt.Sprintf("%d new, %d open", t.NewGaps, t.OpenGaps)})
	}
	if t.Kept > 0 {
		out = append(out, [2]string{"Dead letters", fmt.Sprintf("%d kept", t.Kept)})
	}
	if t.Verified != "" {
		out = append(out, [2]string{"Last verification", oneLine(t.Verified)})
	}
	if t.Trouble != "" {
		out = append(out, [2]string{"Error", oneLine(t.Trouble)})
	}
	return out
}

// oneLine makes text of others fit for one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// plural writes a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// cut bounds a text in bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
