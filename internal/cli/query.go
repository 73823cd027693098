package cli

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// maxRows is the most rows and events that a query returns.
const maxRows = 100_000

// newQueryCommand makes "gapless query".
func newQueryCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "query {NAME|PATTERN}",
		GroupID: groupRead,
		Short:   "Ask what was exported: saved queries, Logs Insights, filter patterns",
		Long: `Answers a question from what lies in the destination.

NAME is one of the saved queries that gapless setup makes, or a part of the name that no
other has; --list shows them, with the question that each answers. They need not be
saved in the account. The answer is a table, or with --json an object on a line for each
row.

PATTERN is a filter pattern of CloudWatch Logs, such as '{ $.type = "fp" }' or '"some
words"'. Events that it finds are shown as by gapless tail, oldest first.

--insights takes a query of Logs Insights of your own.

Queries run in Logs Insights, which has a price by the byte that it reads. At an endpoint
that has none, such as an emulator, and with --engine local, gapless reads the events
with FilterLogEvents, which costs nothing but time, and evaluates the query itself; it
knows the part of the language that the saved queries use. A running query is stopped by
Ctrl-C.

The filters must all hold; in a saved query they go before it. It needs
logs:DescribeLogGroups, and logs:StartQuery, logs:GetQueryResults and logs:StopQuery, or
logs:FilterLogEvents.`,
		Example: "  gapless query blocked --config gapless.yaml --since 12h\n" +
			"  gapless query --list\n" +
			"  gapless query one-user --config gapless.yaml --user 'auth0|0123456789abcdef' --since 7d\n" +
			"  gapless query '{ $.type = \"fp\" }' --config gapless.yaml --since 1h --ip 203.0.113.7\n" +
			"  gapless query --insights 'stats count(*) as n by type | sort n desc' --config gapless.yaml --json",
		ValidArgsFunction: completeQueries,
		Args:              cobra.ArbitraryArgs,
	}
	q := &querying{env: env, flags: addReadFlags(cmd, env, "24h"), picked: addPickFlags(cmd)}
	f := cmd.Flags()
	f.BoolVar(&q.list, "list", false, "list the saved queries")
	f.StringVar(&q.text, "insights", "", "a `QUERY` of Logs Insights")
	f.IntVar(&q.limit, "limit", 0, "the most `ROWS` or events to show, up to 100000; 0 is as many as the query says")
	engines := []string{"auto", "insights", "local"}
	f.Var(&choice{to: &q.engine, choices: engines}, "engine", "`WHERE` a query is evaluated: insights, local, or auto: in Logs Insights where there is one")
	_ = cmd.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions(engines, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	cmd.RunE = q.run
	return cmd
}

// completeQueries offers the names of the saved queries.
func completeQueries(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []cobra.Completion
	for _, q := range savedQueries() {
		list = append(list, cobra.CompletionWithDesc(q.name, q.When))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// A querying is a query under way.
type querying struct {
	env    *Env
	flags  *readFlags
	picked *pick

	list   bool
	text   string
	limit  int
	engine string

	places []*app.Place
	span   verify.Span
}

// run answers what was asked.
func (q *querying) run(cmd *cobra.Command, args []string) (err error) {
	asked := len(args)
	if q.text != "" {
		asked++
	}
	switch {
	case q.list && asked == 0:
		return q.printList()
	case q.list:
		return usageError(cmd, "--list takes nothing else")
	case asked != 1:
		return fail(exitUsage, "gapless query --list", errNoQuestion)
	case q.limit < 0 || q.limit > maxRows:
		return usageError(cmd, "--limit lies between 0 and %d", maxRows)
	}
	if q.span, err = q.flags.span(cmd); err != nil {
		return err
	}
	if err := q.picked.check(cmd, q.env.Stderr); err != nil {
		return err
	}
	if q.text == "" && isPattern(args[0]) {
		return q.byPattern(cmd, args[0])
	}
	text, title := q.text, ""
	if text == "" {
		saved, err := findQuery(args[0])
		if err != nil {
			return err
		}
		if text, err = saved.fill(cmd, q.picked); err != nil {
			return err
		}
		title = q.env.paint(q.env.Stderr, bold, saved.Title) + ": " + saved.When
	} else {
		before, err := q.picked.commands()
		if err != nil {
			return usageError(cmd, "--ip: %w", err)
		}
		text = before + text
	}
	if q.places, err = q.flags.open(cmd, q.env); err != nil {
		return err
	}
	if title != "" {
		fmt.Fprintln(q.env.Stderr, title)
	}
	return q.evaluate(cmd.Context(), text)
}

// errNoQuestion says that nothing, or more than one thing, was asked.
var errNoQuestion = errors.New("ask one thing: the name of a saved query, a filter pattern, or --insights")

// errNoPattern says that filter patterns do not work.
var errNoPattern = errors.New("the destination cannot be searched with a filter pattern")

// byPattern shows the events that a filter pattern finds.
func (q *querying) byPattern(cmd *cobra.Command, pattern string) (err error) {
	ctx := cmd.Context()
	if q.places, err = q.flags.open(cmd, q.env); err != nil {
		return err
	}
	if err := tellMissing(ctx, q.env, q.places); err != nil {
		return err
	}
	for _, p := range q.places {
		alone, err := p.InsightsAlone(ctx)
		if err != nil {
			return err
		}
		if alone {
			return fail(exitConfig, "Ask in the language of Logs Insights: gapless query --insights 'filter type = \"fp\" | limit 100', or by name: gapless query --list",
				fmt.Errorf("%w: %w", errNoPattern, app.ErrInsightsAlone))
		}
	}
	printer := eventPrinter{env: q.env, w: q.env.Stdout, utc: q.flags.utc, tenants: len(q.places) > 1}
	n, limit := 0, cmp.Or(q.limit, maxRows)
	err = eachEvent(ctx, q.places, q.picked, pattern, q.reach(), func(s seenEvent) error {
		if n++; n > limit {
			return errEnough
		}
		if *q.flags.asJSON {
			return writeMessage(q.env, s.Message)
		}
		return printer.print(s)
	})
	switch {
	case errors.Is(err, errEnough):
		fmt.Fprintf(q.env.Stderr, "There are more than %s; --limit shows more.\n", plural(int64(limit), "event"))
		return nil
	case errors.Is(err, app.ErrPattern):
		return fail(exitUsage, tryOf(err), err)
	case err == nil && !*q.flags.asJSON:
		fmt.Fprintf(q.env.Stderr, "%s since %s\n", plural(int64(n), "event"), q.span.Since.Format(time.RFC3339))
	}
	return err
}

// reach is the span that is read: one without an end of its own reaches into the future,
// where the clocks of others may be.
func (q *querying) reach() verify.Span {
	s := q.span
	if q.flags.until == "" {
		s.Until = s.Until.Add(ahead)
	}
	return s
}

// printList prints the saved queries.
func (q *querying) printList() error {
	if *q.flags.asJSON {
		type listed struct {
			Name     string `json:"name"`
			Title    string `json:"title"`
			Question string `json:"question"`
			Query    string `json:"query"`
		}
		for _, s := range savedQueries() {
			if err := writeJSONLine(q.env.Stdout, listed{s.name, s.Title, s.When, s.Text}); err != nil {
				return err
			}
		}
		return nil
	}
	w := q.env.Stdout
	for _, s := range savedQueries() {
		line := q.env.paint(w, bold, pad(s.name, 31)) + "  " + s.When
		if isTerminal(w) {
			line = clip(line, width(w))
		}
		fmt.Fprintln(w, line)
	}
	return nil
}
