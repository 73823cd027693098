package cli

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newDeadLetterCommand makes "gapless deadletter".
func newDeadLetterCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "deadletter",
		GroupID: groupExport,
		Short:   "Look at, replay and drop the events that could not be delivered",
		Long: `Dead letters are the events that CloudWatch Logs can never take as they are, the
whole ones of events that were delivered in another form, and pieces that are no
events. They stay in the data directory until they are replayed or dropped.`,
		Example: "  gapless deadletter list --config gapless.yaml\n  gapless deadletter replay --config gapless.yaml --reason too_old",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newDeadLetterListCommand(env), newDeadLetterShowCommand(env), newDeadLetterReplayCommand(env), newDeadLetterDropCommand(env))
	return cmd
}

// letterFlags pick dead letters.
type letterFlags struct {
	tenant, kind, reason string
	all                  bool
}

// addLetterFlags gives cmd the flags that pick dead letters.
func addLetterFlags(cmd *cobra.Command) *letterFlags {
	f := &letterFlags{}
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "only those of a `TENANT`")
	cmd.Flags().StringVar(&f.kind, "kind", "", "only those of a `KIND`: "+strings.Join(app.LetterKinds(), ", "))
	cmd.Flags().StringVar(&f.reason, "reason", "", "only those for a `REASON`, such as too_old, too_large or invalid")
	return f
}

// filter returns what the flags pick.
func (f *letterFlags) filter(cmd *cobra.Command) (app.LetterFilter, error) {
	if f.kind != "" && !slices.Contains(app.LetterKinds(), f.kind) {
		return app.LetterFilter{}, usageError(cmd, "--kind is %q, but there are %s", f.kind, strings.Join(app.LetterKinds(), ", "))
	}
	return app.LetterFilter{Tenant: f.tenant, Kind: f.kind, Reason: f.reason}, nil
}

// chosen returns what ids or flags pick for a change; it must be said.
func (f *letterFlags) chosen(cmd *cobra.Command, args []string) (app.LetterFilter, error) {
	filter, err := f.filter(cmd)
	if err != nil {
		return filter, err
	}
	any := f.all || f.tenant != "" || f.kind != "" || f.reason != ""
	switch {
	case any && len(args) > 0:
		return filter, usageError(cmd, "name dead letters by their ids or by flags, not both")
	case !any && len(args) == 0:
		return filter, usageError(cmd, "say which dead letters: their ids, --tenant, --kind, --reason, or --all")
	}
	for _, arg := range args {
		id, err := letterID(cmd, arg)
		if err != nil {
			return filter, err
		}
		if !slices.Contains(filter.IDs, id) {
			filter.IDs = append(filter.IDs, id)
		}
	}
	return filter, nil
}

// letterID reads the id of a dead letter.
func letterID(cmd *cobra.Command, arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError(cmd, "%q is no id of a dead letter; gapless deadletter list shows them", arg)
	}
	return id, nil
}

// again returns the command line that was given, to be typed again.
func (f *letterFlags) again(cmd *cobra.Command, flags *configFlags, args []string) string {
	var s strings.Builder
	s.WriteString(cmd.CommandPath() + flags.repeated(cmd))
	for _, name := range []string{"tenant", "kind", "reason"} {
		if flag := cmd.Flags().Lookup(name); flag.Changed {
			fmt.Fprintf(&s, " --%s %s", name, shellWord(flag.Value.String()))
		}
	}
	if f.all {
		s.WriteString(" --all")
	}
	for _, arg := range args {
		s.WriteString(" " + arg)
	}
	return s.String()
}

// newDeadLetterListCommand makes "gapless deadletter list".
func newDeadLetterListCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, the newest first, without their content",
		Long: `Lists the dead letters in the data directory, the newest first: since when each is
kept, why, and how large it is. It shows nothing of what is in them and works
while gapless is running.`,
		Example: "  gapless deadletter list --config gapless.yaml --kind rejected\n  gapless deadletter list --config gapless.yaml --limit 0 --json",
		Args:    noArgs,
	}
	flags, pick, asJSON := addConfigFlags(cmd), addLetterFlags(cmd), addJSONFlag(cmd)
	limit := cmd.Flags().Int("limit", 100, "how many to show at most; 0 for all")
	below := cmd.Flags().Int64("below", 0, "only those with an `ID` lower than this: the next page")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := pick.filter(cmd)
		if err != nil {
			return err
		}
		if *limit < 0 || *below < 0 {
			return usageError(cmd, "--limit and --below cannot be negative")
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		most := math.MaxInt32
		if *limit > 0 {
			most = *limit
		}
		f.Below = *below
		list, err := app.ListDeadLetters(cmd.Context(), cfg, f, most+1)
		if err != nil {
			return err
		}
		page := letterPage{DeadLetters: list[:min(len(list), most)], More: len(list) > most}
		if *asJSON {
			return writeJSON(env.Stdout, page.filled())
		}
		page.print(env.Stdout, pick.again(cmd, flags, nil))
		return nil
	}
	return cmd
}

// A letterPage is what list shows.
type letterPage struct {
	DeadLetters []app.DeadLetter `json:"dead_letters"`
	// More says that there are older ones, with lower ids.
	More bool `json:"more"`
}

// filled has an empty list in place of none.
func (p letterPage) filled() letterPage {
	if p.DeadLetters == nil {
		p.DeadLetters = []app.DeadLetter{}
	}
	return p
}

// print writes the page for a person; again is the command that shows it.
func (p letterPage) print(w io.Writer, again string) {
	if len(p.DeadLetters) == 0 {
		fmt.Fprintln(w, "no dead letters")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	// Who has one destination, as most, is not told of it.
	further := slices.ContainsFunc(p.DeadLetters, func(l app.DeadLetter) bool { return l.Destination != "" })
	head, end := "", func(app.DeadLetter) string { return "" }
	if further {
		head, end = "\tDESTINATION", func(l app.DeadLetter) string { return "\t" + cmp.Or(l.Destination, "-") }
	}
	fmt.Fprintln(t, "ID\tTENANT\tKIND\tREASON\tSIZE\tKEPT SINCE\tTYPE\tDATE\tLOG_ID"+head)
	for _, l := range p.DeadLetters {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", l.ID, l.Tenant, l.Kind, l.Reason, web.Size(l.Bytes),
			orNone(l.KeptSince), orDash(l.Type), orNone(l.Date), orDash(l.LogID), end(l))
	}
	_ = t.Flush() // to a terminal: there is nobody left to tell
	if p.More {
		fmt.Fprintf(w, "and more: %s --below %d\n", again, p.DeadLetters[len(p.DeadLetters)-1].ID)
	}
}

// orDash writes what an event says of itself so that no terminal obeys it, or a
// dash when it says nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// printable replaces what a terminal would take for more than a character.
func printable(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return out.String()
}

// newDeadLetterShowCommand makes "gapless deadletter show".
func newDeadLetterShowCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a dead letter with its content",
		Long: `Shows all that is known of a dead letter, and its content. Control characters in it
are written as escapes; --raw writes the bytes alone, as they were received. In
JSON the content is in "body", or in "body_base64" when it is no valid UTF-8. It
works while gapless is running.`,
		Example: "  gapless deadletter show 12 --config gapless.yaml\n  gapless deadletter show 12 --config gapless.yaml --raw > event.json",
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	raw := cmd.Flags().Bool("raw", false, "write the content alone, byte for byte")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(cmd, "name one dead letter by its id")
		}
		id, err := letterID(cmd, args[0])
		if err != nil {
			return err
		}
		if *raw && *asJSON {
			return usageError(cmd, "--raw and --json exclude each other")
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		l, err := app.ReadDeadLetter(cmd.Context(), cfg, id)
		switch {
		case err != nil:
			return explainLetters(err, "", flags.repeated(cmd))
		case *raw:
			_, err = env.Stdout.Write(l.Body)
		case *asJSON:
			err = writeJSON(env.Stdout, withBody(l))
		default:
			env.printLetter(env.Stdout, l, flags.repeated(cmd))
		}
		return err
	}
	return cmd
}

// A shownLetter is a dead letter with its content, for programs.
type shownLetter struct {
	app.DeadLetter

	Body       *string `json:"body,omitempty"`
	BodyBase64 *string `json:"body_base64,omitempty"`
}

// withBody adds the content in the form that keeps every byte.
func withBody(l app.DeadLetter) shownLetter {
	if utf8.Valid(l.Body) {
		s := string(l.Body)
		return shownLetter{DeadLetter: l, Body: &s}
	}
	s := base64.StdEncoding.EncodeToString(l.Body)
	return shownLetter{DeadLetter: l, BodyBase64: &s}
}

// printLetter writes a dead letter for a person.
func (e *Env) printLetter(w io.Writer, l app.DeadLetter, repeated string) {
	line := func(name, value string) {
		fmt.Fprintf(w, "%s %s\n", e.paint(w, bold, fmt.Sprintf("%-12s", name)), value)
	}
	line("id", strconv.FormatInt(l.ID, 10))
	line("tenant", l.Tenant)
	line("kind", l.Kind+", "+kindWords(l.Kind))
	line("reason", l.Reason)
	line("detail", orDash(l.Detail))
	line("kept since", orNone(l.KeptSince))
	line("source", orDash(l.Source))
	if l.LogID != "" {
		line("log_id", orDash(l.LogID))
		line("type", orDash(l.Type))
		line("date", l.Date.UTC().Format(time.RFC3339Nano))
		to := fmt.Sprintf("%s, stream %s", orDash(l.LogGroup), orDash(l.LogStream))
		if l.Destination != "" {
			to = l.Destination + " -> " + to
		}
		line("destination", to)
	}
	line("size", fmt.Sprintf("%d bytes", l.Bytes))
	fmt.Fprintf(w, "\n%s\n\n", printable(string(l.Body)))
	if l.Kind == "rejected" {
		line("replay it", fmt.Sprintf("gapless deadletter replay %d%s", l.ID, repeated))
	}
	line("drop it", fmt.Sprintf("gapless deadletter drop %d%s --yes", l.ID, repeated))
}

// kindWords says what a kind means.
func kindWords(kind string) string {
	switch kind {
	case "rejected":
		return "the event was not delivered"
	case "altered":
		return "the event was delivered in another form, this is the whole one"
	default:
		return "it is no event that could be delivered"
	}
}

// newDeadLetterReplayCommand makes "gapless deadletter replay".
func newDeadLetterReplayCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Put events back into the buffer, to be delivered again",
		Long: `Puts the events of dead letters back into the buffer; the next run delivers them to
the log group and stream that they were meant for, or finds again why not. Each is
a dead letter or in the buffer at any moment, and never both.

Unreadable pieces are no events and cannot be replayed. Altered events were
delivered in another form, so a replay doubles them: --force does it all the same.
When they are not named they are passed over. gapless must not be running.`,
		Example: "  gapless deadletter replay 12 15 --config gapless.yaml\n  gapless deadletter replay --config gapless.yaml --tenant dev-tenant --reason too_old",
	}
	flags, pick, asJSON := addConfigFlags(cmd), addLetterFlags(cmd), addJSONFlag(cmd)
	cmd.Flags().BoolVar(&pick.all, "all", false, "all that can be replayed")
	force := cmd.Flags().Bool("force", false, "altered events too, knowing that they arrive twice")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := pick.chosen(cmd, args)
		if err != nil {
			return err
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		done, err := app.ReplayDeadLetters(cmd.Context(), cfg, f, *force)
		if err != nil && done.Letters == 0 {
			return explainLetters(err, pick.again(cmd, flags, args), flags.repeated(cmd))
		}
		if *asJSON {
			return errors.Join(writeJSON(env.Stdout, moved(done)), err)
		}
		fmt.Fprintf(env.Stdout, "%s (%s) put back into the buffer; the next run delivers them\n", plural(done.Letters, "dead letter"), web.Size(done.Bytes))
		if done.Unreadable > 0 {
			fmt.Fprintf(env.Stdout, "%d unreadable left, which are no events\n", done.Unreadable)
		}
		if done.Altered > 0 {
			fmt.Fprintf(env.Stdout, "%d altered left, which were delivered already in another form\n", done.Altered)
		}
		return err
	}
	return cmd
}

// A movedLetters is the outcome of a replay or a drop, for programs.
type movedLetters struct {
	DeadLetters    int64 `json:"dead_letters"`
	Bytes          int64 `json:"bytes"`
	LeftUnreadable int64 `json:"left_unreadable"`
	LeftAltered    int64 `json:"left_altered"`
}

func moved(d app.LettersDone) movedLetters {
	return movedLetters{DeadLetters: d.Letters, Bytes: d.Bytes, LeftUnreadable: d.Unreadable, LeftAltered: d.Altered}
}

// errNotDropped says that a drop was not agreed to.
var errNotDropped = errors.New("would be deleted for good")

// newDeadLetterDropCommand makes "gapless deadletter drop".
func newDeadLetterDropCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop [ID...]",
		Short: "Delete dead letters for good",
		Long: `Deletes dead letters. Of events that were never delivered nothing is left then but
what Auth0 still keeps. Without --yes it says how many would go, and changes
nothing. gapless must not be running.`,
		Example: "  gapless deadletter drop 12 --config gapless.yaml --yes\n  gapless deadletter drop --config gapless.yaml --kind unreadable --yes",
	}
	flags, pick, asJSON := addConfigFlags(cmd), addLetterFlags(cmd), addJSONFlag(cmd)
	cmd.Flags().BoolVar(&pick.all, "all", false, "all of them")
	yes := cmd.Flags().Bool("yes", false, "do it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := pick.chosen(cmd, args)
		if err != nil {
			return err
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		again := pick.again(cmd, flags, args) + " --yes"
		if !*yes {
			n, err := app.CountDeadLetters(cmd.Context(), cfg, f)
			if err != nil {
				return err
			}
			return fail(exitUsage, again, fmt.Errorf("%s (%s) %w", plural(n.Letters, "dead letter"), web.Size(n.Bytes), errNotDropped))
		}
		done, err := app.DropDeadLetters(cmd.Context(), cfg, f)
		if err != nil && done.Letters == 0 {
			return explainLetters(err, again, flags.repeated(cmd))
		}
		if *asJSON {
			return errors.Join(writeJSON(env.Stdout, moved(done)), err)
		}
		fmt.Fprintf(env.Stdout, "%s (%s) deleted\n", plural(done.Letters, "dead letter"), web.Size(done.Bytes))
		return err
	}
	return cmd
}

// explainLetters adds what to type next to an error; again is the command that
// failed.
func explainLetters(err error, again, repeated string) error {
	switch {
	case errors.Is(err, app.ErrInUse):
		return fail(exitConfig, "Stop gapless, start it again after: "+again, err)
	case errors.Is(err, app.ErrWasDelivered):
		return fail(exitUsage, again+" --force", err)
	case errors.Is(err, app.ErrNotAnEvent):
		return fail(exitUsage, "gapless deadletter list"+repeated+" --kind unreadable", err)
	case errors.Is(err, app.ErrNoLetter):
		return fail(exitFailure, "gapless deadletter list"+repeated, err)
	default:
		return err
	}
}
