package transform

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/gaplesslogs/gapless/internal/event"
)

// maxStates bounds what paths are compiled into. Usual rules make some dozens; only
// many paths with many wildcards behind ".." multiply.
const maxStates = 4096

// errPaths says that paths are too complicated.
var errPaths = errors.New("the paths are too complicated together: use fewer wildcards behind \"..\"")

// compiledPath is a path and the rule that it belongs to.
type compiledPath struct {
	path event.Path
	rule int
}

// A state is what is known of a value by the names that lead to it: the rules that
// hit it, and where the names within it lead. However many paths there are, a name
// costs one look-up.
type state struct {
	hits    []int // rules, in ascending order
	blind   bool  // no path leads to anything within the value
	names   map[string]*state
	other   *state // any other name
	indexes map[int]*state
	element *state // any other element
}

// name returns the state of a member.
func (s *state) name(key []byte) *state {
	if next, ok := s.names[string(key)]; ok {
		return next
	}
	return s.other
}

// at returns the state of an element.
func (s *state) at(i int) *state {
	if next, ok := s.indexes[i]; ok {
		return next
	}
	return s.element
}

// position is a step of a path, as the automaton knows it.
type position struct {
	event.Step

	next int // the following position; -1 at the end of the path
	rule int
}

// compiler makes an automaton without choices out of paths.
type compiler struct {
	positions []position
	states    map[string]*state
	todo      []pending
}

// pending is a state whose ways are not known yet.
type pending struct {
	*state

	set []int
}

// envelopes are the ways to the record for an event that comes in its envelope,
// because nothing else has its id: each path begins there too.
func envelopes(p event.Path) []event.Path {
	all := []event.Path{p}
	if p[0].Deep {
		return all // it begins everywhere
	}
	for _, prefix := range [][]string{{"data"}, {"detail"}, {"detail", "data"}} {
		var long event.Path
		for _, name := range prefix {
			long = append(long, event.Step{Name: name})
		}
		all = append(all, append(long, p...))
	}
	return all
}

// compilePaths returns the state of a record.
func compilePaths(paths []compiledPath) (*state, error) {
	c := compiler{states: make(map[string]*state)}
	var start []int
	for _, one := range paths {
		for _, p := range envelopes(one.path) {
			start = append(start, len(c.positions))
			for i, s := range p {
				next := len(c.positions) + 1
				if i == len(p)-1 {
					next = -1
				}
				c.positions = append(c.positions, position{s, next, one.rule})
			}
		}
	}
	first := c.state(start, nil)
	for len(c.todo) > 0 {
		p := c.todo[0]
		c.todo = c.todo[1:]
		c.ways(p)
		if len(c.states) > maxStates {
			return nil, errPaths
		}
	}
	return first, nil
}

// state returns the state for a set of positions and hits.
func (c *compiler) state(set, hits []int) *state {
	slices.Sort(set)
	slices.Sort(hits)
	set, hits = slices.Compact(set), slices.Compact(hits)
	key := make([]byte, 0, 256)
	for _, list := range [][]int{set, hits} {
		key = binary.AppendUvarint(key, uint64(len(list)))
		for _, n := range list {
			key = binary.AppendUvarint(key, uint64(n)) //nolint:gosec // an index
		}
	}
	if s, ok := c.states[string(key)]; ok {
		return s
	}
	s := &state{hits: hits, blind: len(set) == 0}
	c.states[string(key)] = s
	c.todo = append(c.todo, pending{s, set})
	return s
}

// ways finds where the names and elements of a state lead.
func (c *compiler) ways(p pending) {
	for _, i := range p.set {
		switch s := c.positions[i]; s.Kind {
		case event.NameStep:
			if p.names == nil {
				p.names = make(map[string]*state)
			}
			if p.names[s.Name] == nil {
				p.names[s.Name] = c.follow(p.set, func(q position) bool { return q.Kind == event.NameStep && q.Name == s.Name || q.Kind == event.AnyStep }, false)
			}
		case event.IndexStep:
			if p.indexes == nil {
				p.indexes = make(map[int]*state)
			}
			if p.indexes[s.Index] == nil {
				p.indexes[s.Index] = c.follow(p.set, func(q position) bool { return q.Kind == event.IndexStep && q.Index == s.Index || anyElement(q) }, true)
			}
		case event.AnyStep, event.AnyElementStep:
		}
	}
	p.other = c.follow(p.set, func(q position) bool { return q.Kind == event.AnyStep }, false)
	p.element = c.follow(p.set, anyElement, true)
}

// anyElement reports whether a step leads to every element.
func anyElement(q position) bool {
	return q.Kind == event.AnyStep || q.Kind == event.AnyElementStep
}

// follow takes the steps that match. Steps that may be taken at any depth wait on,
// and within an array those that lead to a member do.
func (c *compiler) follow(set []int, match func(position) bool, element bool) *state {
	var next, hits []int
	for _, i := range set {
		q := c.positions[i]
		if match(q) {
			if q.next < 0 {
				hits = append(hits, q.rule)
			} else {
				next = append(next, q.next)
			}
		}
		if q.Deep || element && (q.Kind == event.NameStep || q.Kind == event.AnyStep) {
			next = append(next, i)
		}
	}
	return c.state(next, hits)
}
