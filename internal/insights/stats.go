package insights

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// stats are the statistics of a command.
type stats struct {
	list  []*aggregate
	by    []expr
	names []string // of by
}

// columns returns the names of the columns.
func (s *stats) columns() []string {
	names := slices.Clone(s.names)
	for _, a := range s.list {
		names = append(names, a.name)
	}
	return names
}

// An aggregate is a function of many rows.
type aggregate struct {
	name   string
	of     expr // nil for *
	number float64
	begin  func(number float64) gatherer
}

// A gatherer sees the values of rows and says what becomes of them.
type gatherer interface {
	add(r *row, v value)
	value() value
}

// groups are the rows of statistics that come about.
type groups struct {
	of    *stats
	order []*row
	by    map[string][]gatherer
	rest  map[string]*row
}

// newGroups begins them.
func newGroups(s *stats) *groups {
	return &groups{of: s, by: make(map[string][]gatherer), rest: make(map[string]*row)}
}

// add takes in a row. Those that lack a value to group by are a group of their own, which
// is shown without it.
func (g *groups) add(r *row) error {
	var key strings.Builder
	keys := make([]value, len(g.of.by))
	for i, e := range g.of.by {
		keys[i] = e(r)
		fmt.Fprintf(&key, "%t %q ", keys[i] == nil, textOf(keys[i]))
	}
	list, ok := g.by[key.String()]
	if !ok {
		if len(g.by) >= maxKept {
			return fmt.Errorf("%w: %d groups", ErrTooMany, maxKept)
		}
		x := &row{at: r.at, vars: make(map[string]value), names: g.of.columns()}
		for i, name := range g.of.names {
			x.vars[name] = keys[i]
		}
		for _, a := range g.of.list {
			list = append(list, a.begin(a.number))
		}
		g.by[key.String()], g.rest[key.String()] = list, x
		g.order = append(g.order, x)
	}
	for i, a := range g.of.list {
		if a.of == nil {
			list[i].add(r, true)
		} else if v := a.of(r); v != nil {
			list[i].add(r, v)
		}
	}
	return nil
}

// rows returns a row for each group, in the order in which they came.
func (g *groups) rows() []*row {
	for key, x := range g.rest {
		for i, a := range g.of.list {
			x.vars[a.name] = g.by[key][i].value()
		}
	}
	return g.order
}

// aggregates are the functions of statistics.
var aggregates = map[string]func(number float64) gatherer{
	"count":          func(float64) gatherer { return new(counter) },
	"count_distinct": func(float64) gatherer { return distinct{} },
	"sum":            func(float64) gatherer { return &numbers{of: total} },
	"avg": func(float64) gatherer {
		return &numbers{of: func(n []float64) float64 { return total(n) / float64(len(n)) }}
	},
	"pct":        percentile,
	"percentile": percentile,
	"min":        func(float64) gatherer { return &chosen{better: func(a, b value) bool { return compare(a, b) < 0 }} },
	"max":        func(float64) gatherer { return &chosen{better: func(a, b value) bool { return compare(a, b) > 0 }} },
	"sortsfirst": func(float64) gatherer { return &chosen{better: func(a, b value) bool { return textOf(a) < textOf(b) }} },
	"sortslast":  func(float64) gatherer { return &chosen{better: func(a, b value) bool { return textOf(a) > textOf(b) }} },
	"earliest":   func(float64) gatherer { return &edge{} },
	"latest":     func(float64) gatherer { return &edge{latest: true} },
}

// total adds up.
func total(list []float64) (n float64) {
	for _, x := range list {
		n += x
	}
	return n
}

// percentile is the value below which so many hundredths lie.
func percentile(number float64) gatherer {
	return &numbers{of: func(n []float64) float64 {
		slices.Sort(n)
		i := int(math.Ceil(number/100*float64(len(n)))) - 1
		return n[max(0, min(i, len(n)-1))]
	}}
}

type counter int64

func (c *counter) add(*row, value) { *c++ }
func (c *counter) value() value    { return float64(*c) }

type distinct map[string]bool

func (d distinct) add(_ *row, v value) { d[textOf(v)] = true }
func (d distinct) value() value        { return float64(len(d)) }

type numbers struct {
	list []float64
	of   func([]float64) float64
}

func (n *numbers) add(_ *row, v value) {
	if x, ok := numberOf(v); ok {
		n.list = append(n.list, x)
	}
}

func (n *numbers) value() value {
	if n.list == nil {
		return nil
	}
	return n.of(n.list)
}

type chosen struct {
	better func(a, b value) bool
	v      value
}

func (c *chosen) add(_ *row, v value) {
	if c.v == nil || c.better(v, c.v) {
		c.v = v
	}
}

func (c *chosen) value() value { return c.v }

// An edge is the value of the earliest or latest row.
type edge struct {
	latest bool
	at     int64
	v      value
}

func (e *edge) add(r *row, v value) {
	if e.v == nil || e.latest && r.at >= e.at || !e.latest && r.at < e.at {
		e.at, e.v = r.at, v
	}
}

func (e *edge) value() value { return e.v }
