package cli

import (
	"cmp"
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

// newFilterCommand makes "gapless filter".
func newFilterCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "filter",
		GroupID: groupRules,
		Short:   "Try the filter of a tenant",
		Example: "  gapless filter test --config gapless.yaml --last 500",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newFilterTestCommand(env))
	return cmd
}

// newFilterTestCommand makes "gapless filter test".
func newFilterTestCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Show which events a filter keeps, and why not the others",
		Long: `Shows what the filter of a tenant would do with its last events: how many it leaves
out by each counted reason, in words why, with an example of each, and how many it
keeps. With --all there is a line for every event. Of the events themselves only
time, type and id are shown, and the id or name of a client, connection or
organisation where that is the reason.` + trialHelp,
		Example: "  gapless filter test --config gapless.yaml --last 500\n" +
			"  gapless filter test --config gapless.yaml --file events.json.gz --all\n" +
			"  gapless filter test --config gapless.yaml --set 'tenants.0.filter.types=f*,slo' --json",
		Args: noArgs,
	}
	flags := addTrialFlags(cmd, lastTried, true)
	all := cmd.Flags().Bool("all", false, "show every event, also those that are kept")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		t, err := flags.open(cmd, env)
		if err != nil {
			return err
		}
		rules, err := app.NewFilterRules(t.tenant)
		if err != nil {
			return err
		}
		f := &filterTrial{trial: t, rules: rules, all: *all}
		if err := t.each(cmd.Context(), tried{event: f.event, piece: f.piece}); err != nil {
			return err
		}
		if !*flags.asJSON {
			f.print(env.Stdout)
		}
		return t.finish()
	}
	return cmd
}

// A filterTrial gathers what a filter does with events.
type filterTrial struct {
	*trial

	rules       *app.Rules
	all         bool
	n, kept     int64
	first, last time.Time
	failed      bool // the expression has, on some event
	left        map[string]*reasonCount
	remarks     reasonCount // of what is kept
}

// A reasonCount says how many events a reason has met, in which words, with an
// example of each.
type reasonCount struct {
	reason string
	n      int64
	words  []*wordsCount
}

// A wordsCount counts events that met the same words.
type wordsCount struct {
	words   string
	n       int64
	example string
}

// add counts an event.
func (r *reasonCount) add(words string, e event.Event) {
	r.n++
	i := slices.IndexFunc(r.words, func(w *wordsCount) bool { return w.words == words })
	switch {
	case i >= 0:
		r.words[i].n++
	case len(r.words) < mostWords:
		r.words = append(r.words, &wordsCount{words, 1, eventLine(e, shortID(e.LogID))})
	}
}

const (
	mostWords  = 1000 // that are told apart
	shownWords = 5    // that are shown of a reason
)

// A filterVerdict is what --json says of an event.
type filterVerdict struct {
	LogID    string    `json:"log_id"`
	Date     time.Time `json:"date"`
	Type     string    `json:"type"`
	Title    string    `json:"title"`
	Category string    `json:"category,omitempty"`
	Severity string    `json:"severity"`
	Kept     bool      `json:"kept"`
	Reason   string    `json:"reason,omitempty"`
	Why      string    `json:"why,omitempty"`
}

// event judges an event.
func (f *filterTrial) event(e event.Event) error {
	x := f.rules.Explain(e)
	f.n++
	f.failed = f.failed || x.Err != nil
	if f.first.IsZero() || e.Date.Before(f.first) {
		f.first = e.Date
	}
	if e.Date.After(f.last) {
		f.last = e.Date
	}
	if *f.flags.asJSON {
		kind := event.Lookup(e.Type)
		return writeJSONLine(f.env.Stdout, filterVerdict{
			e.LogID, e.Date, e.Type, kind.Title, kind.Category, kind.Severity.String(), x.Kept, x.Reason, x.Words,
		})
	}
	switch {
	case !x.Kept && f.left[x.Reason] == nil:
		if f.left == nil {
			f.left = make(map[string]*reasonCount)
		}
		f.left[x.Reason] = &reasonCount{reason: x.Reason}
		fallthrough
	case !x.Kept:
		f.left[x.Reason].add(x.Words, e)
	default:
		f.kept++
		if x.Words != "" {
			f.remarks.add(x.Words, e)
		}
	}
	if f.all {
		f.line(e, x)
	}
	return nil
}

// line writes a line for an event.
func (f *filterTrial) line(e event.Event, x app.Explanation) {
	verdict := "kept    "
	if !x.Kept {
		verdict = f.env.paint(f.env.Stdout, red, "left out")
	}
	why := ""
	if x.Words != "" {
		why = ": " + web.Plain(x.Words)
	}
	fmt.Fprintf(f.env.Stdout, "%s  %s%s\n", verdict, eventLine(e, shortID(e.LogID)), why)
}

// piece tells of one that is no event.
func (f *filterTrial) piece(u event.Unreadable) error {
	fmt.Fprintf(f.env.Stderr, "no event: %s\n", web.Plain(u.Reason))
	return nil
}

// print writes the outcome.
func (f *filterTrial) print(w io.Writer) {
	if f.all && f.n > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s: %s %s", web.Plain(f.tenant.Name), plural(f.n, "event"), web.Plain(f.origin()))
	if f.n > 0 {
		fmt.Fprintf(w, ", from %s to %s UTC", f.first.UTC().Format(time.DateTime), f.last.UTC().Format(time.DateTime))
	}
	fmt.Fprintln(w)
	if !f.rules.Filters() {
		fmt.Fprintln(w, "  no filter is set: every event is kept")
	}
	var reasons []*reasonCount
	for _, r := range f.left {
		reasons = append(reasons, r)
	}
	slices.SortFunc(reasons, func(a, b *reasonCount) int {
		return cmp.Or(-cmp.Compare(a.n, b.n), strings.Compare(a.reason, b.reason))
	})
	fmt.Fprintf(w, "  %s %d\n", f.env.paint(w, bold, "left out"), f.n-f.kept)
	for _, r := range reasons {
		fmt.Fprintf(w, "    %s %d\n", r.reason, r.n)
		r.print(w)
	}
	fmt.Fprintf(w, "  %s %d\n", f.env.paint(w, bold, "kept"), f.kept)
	if f.remarks.n > 0 {
		fmt.Fprintf(w, "    with a remark %d\n", f.remarks.n)
		f.remarks.print(w)
	}
	if f.failed {
		fmt.Fprintln(w, "  An expression fails on what is not there: write event.details?.request?.method instead of event.details.request.method.")
	}
}

// print writes the words of a reason, those of most events first.
func (r *reasonCount) print(w io.Writer) {
	slices.SortStableFunc(r.words, func(a, b *wordsCount) int { return -cmp.Compare(a.n, b.n) })
	rest := r.n
	for _, x := range r.words[:min(len(r.words), shownWords)] {
		rest -= x.n
		fmt.Fprintf(w, "      %d: %s\n         such as %s\n", x.n, web.Plain(x.words), x.example)
	}
	if rest > 0 {
		fmt.Fprintf(w, "      %d: for other values; --all shows each\n", rest)
	}
}
