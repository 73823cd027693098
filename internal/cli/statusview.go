package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/web"
)

// A view are the lines of a report, each fit for the terminal w, with colours if it may
// show them.
type view struct {
	env   *Env
	w     io.Writer
	lines []string
}

// viewOverview returns the lines of the overview for a person.
func (e *Env) viewOverview(w io.Writer, o web.Overview) []string {
	v := &view{env: e, w: w}
	v.head(o)
	for _, t := range o.Tenants {
		v.lines = append(v.lines, "")
		v.tenant(o.At, t)
	}
	return v.lines
}

// line adds one: a name, and what is said of it.
func (v *view) line(name, format string, args ...any) {
	v.coloured("", name, format, args...)
}

// coloured is line with a name in a colour.
func (v *view) coloured(colour, name, format string, args ...any) {
	name = fmt.Sprintf("%-14s", name)
	if colour != "" {
		name = v.env.paint(v.w, colour, name)
	}
	v.lines = append(v.lines, "  "+name+" "+web.Plain(fmt.Sprintf(format, args...)))
}

// head says what is true of the whole program.
func (v *view) head(o web.Overview) {
	state, colour := "not running", yellow
	if o.Running {
		state, colour = "running", green
	}
	v.lines = append(v.lines, fmt.Sprintf("%s %s, %s, %s", v.env.paint(v.w, bold, "gapless"), web.Plain(o.Version), v.env.paint(v.w, colour, state), orNone(o.At)))
	if c := o.Configuration; c != nil {
		v.line("configuration", "loaded %s", orNone(c.LoadedAt))
		if len(c.NeedRestart) > 0 {
			v.coloured(yellow, "needs restart", "%s", strings.Join(c.NeedRestart, ", "))
		}
		if c.Failed() {
			v.coloured(red, "reload refused", "%s: %s", orNone(c.FailedAt), c.Error)
			if c.Hint != "" {
				v.line("", "%s", c.Hint)
			}
		}
	}
	for _, a := range o.Alerts {
		v.alert(a)
	}
}

// alert says what people were told of.
func (v *view) alert(a web.Alert) {
	about, colour := cmp.Or(a.Tenant, "gapless"), yellow
	if a.Part != "" && a.Kind != "gap" { // whose part is the time at which it was recorded
		about += ", " + a.Part
	}
	if !a.Ended.IsZero() {
		v.line("alert ended", "%s, %s: %s", orNone(a.Ended), about, a.Message)
		return
	}
	if a.Severity == "critical" {
		colour = red
	}
	v.coloured(colour, "alert", "%s since %s, %s: %s", a.Severity, orNone(a.Since), about, a.Message)
	if a.Hint != "" {
		v.line("", "%s", a.Hint)
	}
	if len(a.Failing) > 0 {
		v.coloured(red, "", "not told: %s", strings.Join(a.Failing, ", "))
	}
}

// tenant shows a tenant.
func (v *view) tenant(now time.Time, t web.Tenant) {
	v.lines = append(v.lines, strings.Join([]string{v.env.paint(v.w, bold, web.Plain(t.Name)), web.Plain(t.Source), "->", web.Plain(t.Destination)}, " "))
	v.coloured(stateColour(t), "state", "%s", t.Words(now))
	v.line("lag", "%s", lags(now, t))
	v.line("last minute", "%s", passed(t.LastMinute))
	v.line("last hour", "%s", passed(t.LastHour))
	v.line("stored", "%s, %s dropped", plural(t.Stored, "event"), plural(t.Duplicates, "duplicate"))
	v.line("delivered", "%s%s", plural(t.Delivered, "event"), since(now, t.LastDelivery, ", last "))
	v.line("waiting", "%s, %d bytes%s", plural(t.Buffered, "event"), t.BufferedBytes, since(now, t.OldestBuffered, ", oldest from "))
	v.buffer(t.Retention)
	v.line("dead letters", "%s", letters(t))
	v.reasons(t)
	for _, d := range t.Destinations {
		v.destination(now, d)
	}
	for _, s := range t.Sources {
		v.line("source", "%s: %s, %s since the start%s", s.Name, plural(s.Stored, "new event"), plural(s.Duplicates, "duplicate"), since(now, s.Last, ", last "))
	}
	if r := t.RateLimit; r != nil {
		v.line("rate limit", "%s %d of %d calls left, of which gapless takes %.0f %%", bar(int64(r.Remaining), int64(r.Limit)), r.Remaining, r.Limit, 100*r.Share)
	}
	v.line("newest event", "%s", orNone(t.NewestEvent))
	v.line("cursor", "%s", cmp.Or(t.Cursor, "-"))
	v.line("retention", "%s", t.Retention)
	if t.Push.Checked {
		v.line("push", "%s", t.Push)
	}
	v.verified(t.Verify)
	for _, b := range t.Backfills {
		v.line("backfill", "%s", b)
	}
	v.wrongs(t)
}

// verified shows what is known of the scheduled verifications.
func (v *view) verified(x *web.Verify) {
	if x == nil {
		return
	}
	colour := ""
	if x.Unclean() {
		colour = red
	}
	v.coloured(colour, "verified", "%s", x)
	if x.Hint != "" {
		v.line("", "%s", x.Hint)
	}
}

// reasons shows what became of events that were not delivered as they are.
func (v *view) reasons(t web.Tenant) {
	for _, x := range []struct {
		word string
		by   map[string]int64
	}{{"rejected", t.Rejected}, {"altered", t.Altered}, {"skipped", t.Skipped}} {
		if len(x.by) > 0 {
			v.line(x.word, "%s", reasons(x.by)[2:])
		}
	}
}

// wrongs shows what is wrong, and what to do about it.
func (v *view) wrongs(t web.Tenant) {
	for _, g := range t.Gaps {
		colour := ""
		if g.Healed.IsZero() {
			colour = red
		}
		v.coloured(colour, "gap", "from %s (%s) to %s (%s), %s: %s", cmp.Or(g.FromID, "-"), orNone(g.FromTime), cmp.Or(g.ToID, "-"), orNone(g.ToTime), g.Fate(), g.Reason)
	}
	for _, x := range t.Troubles {
		v.coloured(red, "trouble", "%s since %s: %s", x.Part, orNone(x.Since), x.Message)
		if x.Hint != "" {
			v.line("", "%s", x.Hint)
		}
	}
	for _, x := range t.Retention.Risks {
		v.coloured(red, "at risk", "%s", x.Message)
		v.line("", "%s", x.Hint)
	}
}

// stateColour is the colour of a state.
func stateColour(t web.Tenant) string {
	switch {
	case t.State == web.StateStuck, len(t.Retention.Risks) > 0:
		return red
	case t.State == web.StateTrouble, t.State == web.StateStopped:
		return yellow
	case t.State == web.StateWaiting:
		return dim
	default:
		return green
	}
}

// lags says how far behind fetching and delivery are.
func lags(now time.Time, t web.Tenant) string {
	ingest := "nothing fetched yet"
	if !t.NewestEvent.IsZero() {
		ingest = "newest event fetched is " + web.Short(t.IngestLag(now)) + " old"
	}
	if t.Buffered == 0 {
		return ingest + ", nothing waits"
	}
	return ingest + ", delivery is " + web.Short(t.DeliveryLag(now)) + " behind"
}

// passed says what passed in a span.
func passed(p web.Passed) string {
	return fmt.Sprintf("%d fetched, %d delivered, %d rejected", p.Fetched, p.Delivered, p.Rejected)
}

// buffer shows how full the buffer is; of several destinations, for the one with the
// least room.
func (v *view) buffer(r web.Retention) {
	if r.BufferMax <= 0 {
		return
	}
	used := r.BufferMax - r.BufferRoom
	colour := ""
	if r.BufferRoom < r.BufferMax/5 {
		colour = red
	}
	v.coloured(colour, "buffer", "%s %.0f %% of %s", bar(used, r.BufferMax), 100*float64(used)/float64(r.BufferMax), web.Size(r.BufferMax))
}

// barCells is how long a bar is.
const barCells = 20

// bar draws a part of a whole.
func bar(part, whole int64) string {
	n := 0
	if whole > 0 {
		n = int(min(barCells, max(0, (part*barCells+whole-1)/whole))) // what is not empty can be seen
	}
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", barCells-n) + "]"
}

// destination shows a further destination.
func (v *view) destination(now time.Time, d web.Destination) {
	v.line("also to", "%s -> %s: %s", d.Name, d.Destination, d.Headline(now))
	v.line("", "%s delivered%s", plural(d.Delivered, "event"), since(now, d.LastDelivery, ", last "))
	v.line("", "%s waiting, %d bytes%s", plural(d.Buffered, "event"), d.BufferedBytes, since(now, d.OldestBuffered, ", oldest from "))
	for _, x := range []struct {
		word string
		by   map[string]int64
	}{{"rejected", d.Rejected}, {"altered", d.Altered}, {"skipped", d.Skipped}, {"dropped", d.Dropped}} {
		if len(x.by) > 0 {
			v.line("", "%s: %s", x.word, reasons(x.by)[2:])
		}
	}
}

// letters says what dead letters are kept, and what became of others.
func letters(t web.Tenant) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d kept, %s of %s", t.DeadLetters, web.Size(t.DeadLetterBytes), web.Size(t.MaxDeadLetterBytes))
	for _, l := range t.Letters {
		fmt.Fprintf(&s, ", %s", l)
	}
	for _, gone := range []struct {
		word string
		by   map[string]int64
	}{{"replayed", t.Replayed}, {"dropped", t.Dropped}} {
		if n := sum(gone.by); n > 0 {
			fmt.Fprintf(&s, ", %d %s", n, gone.word)
		}
	}
	return s.String()
}

// sum adds up counts by reason.
func sum(m map[string]int64) (n int64) {
	for _, x := range m {
		n += x
	}
	return n
}

// since says how long ago t was, empty when it never was.
func since(now, t time.Time, before string) string {
	if t.IsZero() {
		return ""
	}
	return before + web.Short(max(0, now.Sub(t))) + " ago"
}

// reasons lists counts by reason in a fixed order, each behind a comma.
func reasons(m map[string]int64) string {
	var s strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&s, ", %d %s", m[reason], reason)
	}
	return s.String()
}

// orNone writes a time, or a dash.
func orNone(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
