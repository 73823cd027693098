package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newRedactCommand makes "gapless redact".
func newRedactCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "redact",
		GroupID: groupRules,
		Short:   "Try the redaction of a tenant",
		Example: "  gapless redact test --config gapless.yaml --file event.json",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newRedactTestCommand(env))
	return cmd
}

// newRedactTestCommand makes "gapless redact test".
func newRedactTestCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Show events before and after redaction",
		Long: `Shows what the redaction of a tenant does to its last events, member by member: the
path, the rule, the value before (-) and after (+). Values that no rule hits are not
shown unless --full asks for them, and events in which nothing is hit are counted. The
end says how often each rule has hit; one that never did may be mistyped. The filter
is left out of account: gapless sample shows what leaves.

What is redacted is shown in clear, for the person who writes the rules. It goes to
standard output alone, never to the log. Prefer --file with events that you may
see, and do not keep the output.` + trialHelp,
		Example: "  gapless redact test --config gapless.yaml --file event.json\n" +
			"  gapless redact test --config gapless.yaml --type fp --last 20\n" +
			"  gapless redact test --config gapless.yaml --file event.json --set 'tenants.0.redact.presets=auth0-pii'",
		Args: noArgs,
	}
	flags := addTrialFlags(cmd, lastTried, true)
	full := cmd.Flags().Bool("full", false, "show every member of every event, and long values whole")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		t, err := flags.open(cmd, env)
		if err != nil {
			return err
		}
		rules, err := app.NewRules(cmd.Context(), t.tenant, resolver(t.cfg, env))
		if err != nil {
			return err
		}
		r := &redactTrial{
			trial: t, rules: rules, full: *full, hits: make(map[string]int64),
			paint: func(colour, text string) string { return env.paint(env.Stdout, colour, text) },
		}
		if err := t.each(cmd.Context(), tried{event: r.event, piece: r.piece}); err != nil {
			return err
		}
		if !*flags.asJSON {
			r.printSummary(env.Stdout)
		}
		return t.finish()
	}
	return cmd
}

// A redactTrial shows what redaction does with events.
type redactTrial struct {
	*trial

	rules *app.Rules
	full  bool
	paint func(colour, text string) string
	// How many events were seen, of these redacted and withheld; in how many
	// places; and pieces that were no events.
	n, redacted, withheld, places, pieces int64
	hits                                  map[string]int64 // by rule
}

// A redactedEvent is what --json says of an event, or of a piece that is none.
type redactedEvent struct {
	LogID string     `json:"log_id,omitempty"`
	Date  *time.Time `json:"date,omitempty"`
	Type  string     `json:"type,omitempty"`
	// Unreadable says why a piece is no event, Withheld why nothing of an event may
	// be sent; Kept is then what is kept.
	Unreadable string            `json:"unreadable,omitempty"`
	Withheld   string            `json:"withheld,omitempty"`
	Kept       string            `json:"kept,omitempty"`
	Changes    []redactedChanges `json:"changes,omitempty"`
}

// redactedChanges are those of a place.
type redactedChanges struct {
	Path string `json:"path"`
	// Key says that the name of the member has changed, not its value.
	Key bool `json:"key,omitempty"`
	// Before and After are JSON texts; After is null for what is gone.
	Before string   `json:"before"`
	After  *string  `json:"after"`
	Rules  []string `json:"rules,omitempty"`
}

// event shows an event.
func (r *redactTrial) event(e event.Event) error {
	x := r.rules.Redact(e, r.full)
	r.n++
	hit := false
	for _, c := range x.Changes {
		for _, s := range c.Spans {
			hit = true
			r.places++
			r.hits[s.Rule]++
		}
	}
	switch {
	case x.Withheld != "":
		r.withheld++
	case hit:
		r.redacted++
	}
	if *r.flags.asJSON {
		return r.writeJSON(e, x)
	}
	if x.Withheld == "" && !hit && !r.full {
		return nil
	}
	w := r.env.Stdout
	fmt.Fprintln(w, r.paint(bold, eventLine(e, e.LogID)))
	if x.Withheld != "" {
		fmt.Fprintf(w, "  withheld: %s\n  kept as a dead letter: %s\n\n", web.Plain(x.Withheld), web.Plain(string(x.Event.Raw)))
		return nil
	}
	for _, c := range x.Changes {
		r.change(w, c)
	}
	fmt.Fprintln(w)
	return nil
}

// writeJSON writes what --json says of an event.
func (r *redactTrial) writeJSON(e event.Event, x app.Redacted) error {
	out := redactedEvent{LogID: e.LogID, Date: &e.Date, Type: e.Type, Withheld: x.Withheld}
	if x.Withheld != "" {
		out.Kept = string(x.Event.Raw)
	}
	for _, c := range x.Changes {
		one := redactedChanges{Path: c.Path, Key: c.Key, Before: string(c.Before), Rules: rulesOf(c)}
		if c.After != nil {
			after := string(c.After)
			one.After = &after
		}
		out.Changes = append(out.Changes, one)
	}
	return writeJSONLine(r.env.Stdout, out)
}

// piece shows one that is no event, and what is kept of it.
func (r *redactTrial) piece(u event.Unreadable) error {
	r.pieces++
	kept := r.rules.Unreadable(u.Raw)
	if *r.flags.asJSON {
		return writeJSONLine(r.env.Stdout, redactedEvent{Unreadable: u.Reason, Kept: string(kept)})
	}
	fmt.Fprintf(r.env.Stdout, "%s\n  kept as a dead letter: %s\n\n",
		r.paint(bold, "no event: "+web.Plain(u.Reason)), web.Plain(string(kept)))
	return nil
}

// rulesOf names the rules that have hit a place, each once.
func rulesOf(c app.RedactChange) []string {
	var names []string
	for _, s := range c.Spans {
		if !slices.Contains(names, s.Rule) {
			names = append(names, s.Rule)
		}
	}
	return names
}

// change shows a place before and after.
func (r *redactTrial) change(w io.Writer, c app.RedactChange) {
	path := web.Plain(c.Path)
	if c.Spans == nil {
		fmt.Fprintf(w, "    %s: %s\n", path, web.Plain(string(c.Before)))
		return
	}
	if c.Key {
		path += ", its name"
	}
	var before, after []span
	for _, s := range c.Spans {
		before = append(before, span{s.From, s.To})
		after = append(after, span{s.NewFrom, s.NewTo})
	}
	fmt.Fprintf(w, "  %s  %s\n", path, r.paint(dim, "("+web.Plain(strings.Join(rulesOf(c), ", "))+")"))
	fmt.Fprintf(w, "  %s %s\n", r.paint(red, "-"), r.spans(c.Before, before, red))
	if c.After == nil {
		fmt.Fprintf(w, "  %s gone\n", r.paint(green, "+"))
		return
	}
	fmt.Fprintf(w, "  %s %s\n", r.paint(green, "+"), r.spans(c.After, after, green))
}

// A span is a piece of a text.
type span struct{ from, to int }

const (
	contextRunes = 30  // that are shown on each side of a span
	spanRunes    = 160 // that are shown of a span
)

// spans writes a text with the spans in a colour. What is long is cut, unless all is
// to be shown in full.
func (r *redactTrial) spans(text []byte, spans []span, colour string) string {
	var b strings.Builder
	at := 0
	for i, s := range spans {
		head, tail := contextRunes, contextRunes
		if i == 0 {
			head = 0
		}
		b.WriteString(web.Plain(r.cut(string(text[at:s.from]), head, tail)))
		if s.to > s.from {
			const half = 2
			b.WriteString(r.paint(colour, web.Plain(r.cut(string(text[s.from:s.to]), spanRunes/half, spanRunes/half))))
		}
		at = s.to
	}
	b.WriteString(web.Plain(r.cut(string(text[at:]), contextRunes, 0)))
	return b.String()
}

// cut leaves the middle of a long text out.
func (r *redactTrial) cut(s string, head, tail int) string {
	runes := []rune(s)
	if r.full || len(runes) <= head+tail+1 {
		return s
	}
	return string(runes[:head]) + "…" + string(runes[len(runes)-tail:])
}

// printSummary says how many events were redacted, and by which rules.
func (r *redactTrial) printSummary(w io.Writer) {
	fmt.Fprintf(w, "%s: %s %s: %d redacted in %s, %d without a hit, %d withheld",
		web.Plain(r.tenant.Name), plural(r.n, "event"), web.Plain(r.origin()), r.redacted, plural(r.places, "place"), r.n-r.redacted-r.withheld, r.withheld)
	if r.pieces > 0 {
		fmt.Fprintf(w, "; beside them %s of no event", plural(r.pieces, "piece"))
	}
	fmt.Fprintln(w)
	if !r.rules.Redacts() {
		fmt.Fprintln(w, "  nothing is redacted: the tenant has neither rules nor presets; docs/rules.md describes them")
	}
	for _, name := range r.rules.RuleNames() {
		fmt.Fprintf(w, "  %s: %s\n", web.Plain(name), plural(r.hits[name], "hit"))
	}
}
