package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// errNotWell is the outcome of status when a tenant is in trouble or at risk.
var errNotWell = errors.New("in trouble or at risk")

// newStatusCommand makes "gapless status".
func newStatusCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupExport,
		Short:   "Show what was fetched, delivered and kept, and what is wrong",
		Long: `Reads the data directory, whether or not gapless is running, and shows for each
tenant how far the export is, what waits in the buffer, every gap, what went wrong or
is at risk, and what to do about it. The exit code is 5 when a tenant is in
trouble or its events are at risk.`,
		Example: "  gapless status --config gapless.yaml\n  gapless status --config gapless.yaml --json",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		o, err := app.ReadOverview(cmd.Context(), cfg, build(env.Version).Version)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(env.Stdout, o)
		} else {
			env.printOverview(env.Stdout, o)
		}
		return errors.Join(err, unwell(o))
	}
	return cmd
}

// unwell names the tenants in trouble or at risk, with what to do about the first that needs
// a person; nil when there are none.
func unwell(o web.Overview) error {
	var names []string
	var hint string
	for _, t := range o.Tenants {
		if len(t.Troubles)+len(t.Retention.Risks) > 0 {
			names = append(names, t.Name)
		}
		for _, x := range t.Troubles {
			if hint == "" && x.NeedsPerson() {
				hint = x.Hint
			}
		}
		for _, x := range t.Retention.Risks {
			hint = cmp.Or(hint, x.Hint)
		}
	}
	if names == nil {
		return nil
	}
	return fail(exitNotClean, hint, fmt.Errorf("%w: %s", errNotWell, strings.Join(names, ", ")))
}

// printOverview writes the overview for a person.
func (e *Env) printOverview(w io.Writer, o web.Overview) {
	for i, t := range o.Tenants {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, e.paint(w, bold, web.Plain(t.Name)), web.Plain(t.Source), "->", web.Plain(t.Destination))
		line := func(name, format string, args ...any) {
			name = fmt.Sprintf("%-14s", name)
			if strings.HasPrefix(name, "trouble") || strings.HasPrefix(name, "at risk") {
				name = e.paint(w, red, name)
			}
			fmt.Fprintf(w, "  %s %s\n", name, web.Plain(fmt.Sprintf(format, args...)))
		}
		line("state", "%s", t.Words(o.At))
		line("stored", "%s, %s dropped", plural(t.Stored, "event"), plural(t.Duplicates, "duplicate"))
		line("delivered", "%s%s", plural(t.Delivered, "event"), since(o.At, t.LastDelivery, ", last "))
		line("waiting", "%s, %d bytes%s", plural(t.Buffered, "event"), t.BufferedBytes, since(o.At, t.OldestBuffered, ", oldest from "))
		line("dead letters", "%s", letters(t))
		if len(t.Rejected) > 0 {
			line("rejected", "%s", reasons(t.Rejected)[2:])
		}
		if len(t.Altered) > 0 {
			line("altered", "%s", reasons(t.Altered)[2:])
		}
		if len(t.Skipped) > 0 {
			line("skipped", "%s", reasons(t.Skipped)[2:])
		}
		for _, d := range t.Destinations {
			printDestination(line, o.At, d)
		}
		line("newest event", "%s", orNone(t.NewestEvent))
		line("cursor", "%s", cmp.Or(t.Cursor, "-"))
		line("retention", "%s", t.Retention)
		if t.Push.Checked {
			line("push", "%s", t.Push)
		}
		for _, g := range t.Gaps {
			line("gap", "from %s (%s) to %s (%s), %s: %s", cmp.Or(g.FromID, "-"), orNone(g.FromTime), cmp.Or(g.ToID, "-"), orNone(g.ToTime), g.Fate(), g.Reason)
		}
		for _, x := range t.Troubles {
			line("trouble", "%s since %s: %s", x.Part, orNone(x.Since), x.Message)
			if x.Hint != "" {
				line("", "%s", x.Hint)
			}
		}
		for _, x := range t.Retention.Risks {
			line("at risk", "%s", x.Message)
			line("", "%s", x.Hint)
		}
	}
}

// printDestination writes the lines of a further destination.
func printDestination(line func(name, format string, args ...any), now time.Time, d web.Destination) {
	line("also to", "%s -> %s: %s", d.Name, d.Destination, d.Headline(now))
	line("", "%s delivered%s", plural(d.Delivered, "event"), since(now, d.LastDelivery, ", last "))
	line("", "%s waiting, %d bytes%s", plural(d.Buffered, "event"), d.BufferedBytes, since(now, d.OldestBuffered, ", oldest from "))
	for _, x := range []struct {
		word string
		by   map[string]int64
	}{{"rejected", d.Rejected}, {"altered", d.Altered}, {"skipped", d.Skipped}, {"dropped", d.Dropped}} {
		if len(x.by) > 0 {
			line("", "%s: %s", x.word, reasons(x.by)[2:])
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
