package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/insights"
	"github.com/gaplesslogs/gapless/internal/web"
)

// An answer is what a query says about one tenant.
type answer struct {
	tenant  string
	columns []string
	rows    []map[string]string
	order   [][]string // the names of each row, as they came
	note    string
}

// evaluate runs a query for each place and prints the answers.
func (q *querying) evaluate(ctx context.Context, text string) error {
	for _, p := range q.places {
		a, err := q.ask(ctx, p, text)
		if err != nil {
			return err
		}
		if *q.flags.asJSON {
			err = q.printRows(a)
		} else {
			q.printTable(a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask runs a query where it can be run.
func (q *querying) ask(ctx context.Context, p *app.Place, text string) (*answer, error) {
	if q.engine == "insights" || q.engine != "local" && p.HasInsights() {
		a, err := q.inInsights(ctx, p, text)
		if q.engine == "insights" || !errors.Is(err, app.ErrNoInsights) {
			if errors.Is(err, app.ErrQueryText) {
				err = fail(exitUsage, tryOf(err), err)
			}
			return a, err
		}
	}
	return q.here(ctx, p, text)
}

// inInsights runs a query in Logs Insights.
func (q *querying) inInsights(ctx context.Context, p *app.Place, text string) (*answer, error) {
	got, err := p.Query(ctx, text, q.span.Since, q.reach().Until, q.limit)
	if err != nil {
		return nil, err
	}
	a := &answer{tenant: p.Tenant, note: fmt.Sprintf("Logs Insights read %.0f events, %s", got.Scanned, web.Size(int64(got.Bytes)))}
	if parsed, err := insights.Parse(text); err == nil {
		a.columns = parsed.Columns() // also those that no row has
	}
	if q.limit > 0 { // a limit of its own may count for more
		got.Rows = got.Rows[:min(q.limit, len(got.Rows))]
	}
	for _, row := range got.Rows {
		fields := make([]insights.Field, len(row))
		for i, f := range row {
			fields[i] = insights.Field(f)
		}
		a.add(fields)
	}
	return a, nil
}

// here reads the events and evaluates a query over them.
func (q *querying) here(ctx context.Context, p *app.Place, text string) (*answer, error) {
	parsed, err := insights.Parse(text)
	if err != nil {
		return nil, fail(exitUsage, "Run it where there is Logs Insights; what gapless evaluates itself is in docs/terminal.md.", fmt.Errorf("the query cannot be evaluated here: %w", err))
	}
	run, n, size := parsed.Run(), 0, 0
	err = p.Search(ctx, typesOf(text), q.span.Since, q.reach().Until, func(f app.Found) error {
		n++
		size += len(f.Message)
		return run.Add(insights.Event{At: f.At, Ingested: f.Ingested, Stream: f.LogStream, Message: event.Body(f.Message), Pointer: f.ID})
	})
	if errors.Is(err, insights.ErrTooMany) {
		return nil, fail(exitFailure, "Ask about a shorter span, with --since and --until.", err)
	}
	if err != nil {
		return nil, err
	}
	rows, err := run.Rows()
	if err != nil {
		return nil, fail(exitFailure, "Ask about a shorter span, with --since and --until.", err)
	}
	if q.limit > 0 {
		rows = rows[:min(q.limit, len(rows))]
	}
	a := &answer{tenant: p.Tenant, columns: parsed.Columns(), note: fmt.Sprintf("gapless read %s, %s, and evaluated the query itself", plural(int64(n), "event"), web.Size(int64(size)))}
	for _, r := range rows {
		a.add(r)
	}
	return a, nil
}

// leadingTypes finds the types at the beginning of a query, in a condition of their own.
var leadingTypes = regexp.MustCompile(`^\s*filter type in \[("[a-z0-9_]+"(?:, "[a-z0-9_]+")*)\]\s*(?:\||$|and )`)

// typesOf returns a filter pattern that finds all events that a query may be about,
// empty for all.
func typesOf(text string) string {
	m := leadingTypes.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return (&pick{types: strings.Split(strings.ReplaceAll(m[1], `"`, ""), ", ")}).pattern()
}

// add takes in a row.
func (a *answer) add(fields []insights.Field) {
	row, names := make(map[string]string), []string(nil)
	for _, f := range fields {
		if f.Name == "@ptr" {
			continue
		}
		row[f.Name] = f.Value
		names = append(names, f.Name)
		if !slices.Contains(a.columns, f.Name) {
			a.columns = append(a.columns, f.Name)
		}
	}
	a.rows, a.order = append(a.rows, row), append(a.order, names)
}

// printRows prints an object for each row, with its members in the order of the query. Of
// several tenants each says whose it is.
func (q *querying) printRows(a *answer) error {
	for i, row := range a.rows {
		var b bytes.Buffer
		b.WriteByte('{')
		names := a.order[i]
		if len(q.places) > 1 {
			row["tenant"], names = a.tenant, append([]string{"tenant"}, slices.DeleteFunc(names, func(n string) bool { return n == "tenant" })...)
		}
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			key, err := json.Marshal(name)
			if err != nil {
				return fmt.Errorf("print JSON: %w", err)
			}
			value, err := json.Marshal(row[name])
			if err != nil {
				return fmt.Errorf("print JSON: %w", err)
			}
			b.Write(key)
			b.WriteByte(':')
			b.Write(value)
		}
		b.WriteString("}\n")
		if _, err := (web.PlainJSONWriter{W: q.env.Stdout}).Write(b.Bytes()); err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
	}
	return nil
}

// maxCell is how wide a column is at most of a table that does not fit the terminal.
const maxCell = 36

// printTable prints an answer for a person.
func (q *querying) printTable(a *answer) {
	w, narrow := q.env.Stdout, isTerminal(q.env.Stdout)
	if len(q.places) > 1 {
		fmt.Fprintln(w, q.env.paint(w, bold, web.Plain(a.tenant)))
	}
	columns := slices.DeleteFunc(slices.Clone(a.columns), func(name string) bool { // that no row has
		return !slices.ContainsFunc(a.rows, func(r map[string]string) bool { return r[name] != "" })
	})
	table, widths := a.layout(columns, 0)
	cut := narrow && total(widths) > width(w)
	if cut {
		columns = withoutIDs(columns)
		table, widths = a.layout(columns, maxCell)
	}
	line := func(texts []string) string {
		var b strings.Builder
		for i, s := range texts {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(pad(s, widths[i]))
		}
		text := strings.TrimRight(b.String(), " ")
		if narrow {
			text = clip(text, width(w))
		}
		return text
	}
	if len(a.rows) > 0 {
		heads := make([]string, len(columns))
		for i, name := range columns {
			heads[i] = heading(name)
		}
		fmt.Fprintln(w, q.env.paint(w, bold, line(heads)))
	}
	for i, texts := range table {
		text := line(texts)
		if code := a.rows[i]["type"]; code != "" {
			text = q.env.paint(w, severityColour(event.Lookup(code).Severity), text)
		}
		fmt.Fprintln(w, text)
	}
	note := ""
	if cut {
		note = " Cut to fit the terminal; --json has all."
	}
	fmt.Fprintf(q.env.Stderr, "%s; %s.%s\n", plural(int64(len(a.rows)), "row"), a.note, note)
}

// layout returns the cells of a table, each cut to a number of columns unless it is 0, and
// how wide the columns are.
func (a *answer) layout(columns []string, most int) (table [][]string, widths []int) {
	widths, table = make([]int, len(columns)), make([][]string, len(a.rows))
	for i, name := range columns {
		widths[i] = cells(heading(name))
		for j, row := range a.rows {
			text := cell(name, row[name])
			if most > 0 {
				text = clip(text, most)
			}
			table[j] = append(table[j], text)
			widths[i] = max(widths[i], cells(text))
		}
	}
	return table, widths
}

// total is how wide a table is.
func total(widths []int) (n int) {
	for _, w := range widths {
		n += w + 2
	}
	return n - 2
}

// withoutIDs leaves out columns that say the same as a name beside them, and the one that
// names the event.
func withoutIDs(columns []string) []string {
	return slices.DeleteFunc(slices.Clone(columns), func(name string) bool {
		stem, isID := strings.CutSuffix(name, "_id")
		return isID && (stem == "log" || slices.Contains(columns, stem+"_name"))
	})
}

// heading is the name of a column.
func heading(name string) string {
	if name == "@timestamp" {
		return "@timestamp (UTC)"
	}
	return web.Plain(name)
}

// cell is a value of a table: of an event code the title stands in front.
func cell(name, v string) string {
	if name == "type" || strings.HasSuffix(name, "_type") {
		if t := event.Lookup(v); v != "" && t.Title != v {
			v = t.Title + " (" + v + ")"
		}
	}
	return web.Plain(v)
}
