package insights

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tidwall/gjson"
)

// maxKept is how many rows are kept at most before they are put together.
const maxKept = 500_000

// ErrTooMany says that a query keeps more rows than fit.
var ErrTooMany = errors.New("more events than fit into memory at once")

// An Event is one of those that a query is about.
type Event struct {
	At, Ingested time.Time
	Stream       string
	Message      []byte
	// Pointer names it, for @ptr.
	Pointer string
}

// A Field is a value of a row of the outcome; a value that is not there is not in the row.
type Field struct{ Name, Value string }

// A row is an event on its way, or a row of statistics.
type row struct {
	at      int64 // milliseconds since 1970
	message []byte
	vars    map[string]value
	names   []string // of statistics, in order
}

// get returns a value by its name: one that a command has made, or a member of the
// message by its path.
func (r *row) get(name string) value {
	if v, ok := r.vars[name]; ok {
		return v
	}
	if r.message == nil {
		return nil
	}
	if name == "@message" {
		return string(r.message)
	}
	g := gjson.GetBytes(r.message, name)
	switch g.Type {
	case gjson.String:
		return g.Str
	case gjson.Number:
		if n := g.Num; textOf(n) == g.Raw {
			return n
		}
		return g.Raw
	case gjson.True:
		return "1"
	case gjson.False:
		return "0"
	default: // objects and arrays have members of their own
		return nil
	}
}

// set gives the row a value.
func (r *row) set(name string, v value) { r.vars[name] = v }

// A Run is a query that is evaluated. Add its events in the order of time.
type Run struct {
	q    *Query
	rows []*row
	// first is the command that needs all rows.
	first int
	out   *groups // of first, when it is about statistics
}

// Run begins an evaluation.
func (q *Query) Run() *Run {
	r := &Run{q: q, first: len(q.commands)}
	if i := slices.IndexFunc(q.commands, func(c command) bool { return c.each == nil }); i >= 0 {
		r.first = i
		if s := q.commands[i].stats; s != nil {
			r.out = newGroups(s)
		}
	}
	return r
}

// Add takes in an event. The error wraps ErrTooMany.
func (r *Run) Add(e Event) error {
	x := &row{at: e.At.UnixMilli(), message: e.Message, vars: map[string]value{
		"@timestamp": timeOf(e.At.UnixMilli()), "@ingestionTime": timeOf(e.Ingested.UnixMilli()), "@logStream": e.Stream, "@ptr": e.Pointer,
	}}
	for _, c := range r.q.commands[:r.first] {
		if !c.each(x) {
			return nil
		}
	}
	if r.out != nil {
		return r.out.add(x)
	}
	if len(r.rows) >= maxKept {
		return fmt.Errorf("%w: %d", ErrTooMany, maxKept)
	}
	r.rows = append(r.rows, x)
	return nil
}

// Rows ends the evaluation and returns the outcome. Without an order of its own the
// newest events come first.
func (r *Run) Rows() ([][]Field, error) {
	rest := r.q.commands[r.first:]
	if r.out != nil {
		r.rows, rest = r.out.rows(), rest[1:]
	}
	if !r.q.grouped && !r.q.sorted {
		slices.Reverse(r.rows)
	}
	for _, c := range rest {
		switch {
		case c.each != nil:
			r.rows = slices.DeleteFunc(r.rows, func(x *row) bool { return !c.each(x) })
		case c.stats != nil:
			g := newGroups(c.stats)
			for _, x := range r.rows {
				if err := g.add(x); err != nil {
					return nil, err
				}
			}
			r.rows = g.rows()
		case c.sorted != nil:
			sortRows(r.rows, c.sorted)
		default:
			r.rows = r.rows[:min(len(r.rows), c.limit)]
		}
	}
	r.rows = r.rows[:min(len(r.rows), r.q.limit)]
	out := make([][]Field, 0, len(r.rows))
	for _, x := range r.rows {
		out = append(out, r.q.show(x))
	}
	return out, nil
}

// sortRows sorts rows; equal ones keep their order.
func sortRows(rows []*row, by []order) {
	slices.SortStableFunc(rows, func(a, b *row) int {
		for _, o := range by {
			c := compare(o.by(a), o.by(b))
			if o.down {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// show returns the columns of a row.
func (q *Query) show(x *row) (out []Field) {
	names := q.shown
	switch {
	case x.names != nil:
		names = x.names
	case names == nil:
		names = []string{"@timestamp", "@message"}
	}
	for _, name := range names {
		if v := x.get(name); v != nil {
			out = append(out, Field{name, textOf(v)})
		}
	}
	if x.names == nil {
		out = append(out, Field{"@ptr", textOf(x.get("@ptr"))})
	}
	return out
}

// Columns returns the names of the columns in their order: what a row lacks has no
// value.
func (q *Query) Columns() []string {
	for _, c := range slices.Backward(q.commands) {
		if c.stats != nil {
			return c.stats.columns()
		}
	}
	if q.shown != nil {
		return slices.Clone(q.shown)
	}
	return []string{"@timestamp", "@message"}
}
