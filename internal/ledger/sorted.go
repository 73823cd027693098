package ledger

import (
	"maps"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/sorter"
)

// leaves sorts any number of leaves.
type leaves struct {
	*sorter.Sorter

	value []byte
}

// newLeaves returns one that keeps its files in a directory.
func newLeaves(dir string, memory int) *leaves { return &leaves{Sorter: sorter.New(dir, memory)} }

// add adds a leaf; copy tells copies of the same leaf apart.
func (s *leaves) add(l *Leaf, copied string) error {
	s.value = append(l.sortValue(s.value[:0]), copied...)
	return s.Add(l.ID, s.value)
}

// close forgets them.
func (s *leaves) close() error { return s.Close() }

// each calls fn for the leaves in their order, each once, with how many copies it has.
func (s *leaves) each(fn func(l Leaf, copies int) error) error {
	var last Leaf
	copies := 0
	err := s.Each(func(key, value []byte) error {
		if copies > 0 && last.ID == string(key) && last.is(value) {
			copies++
			return nil
		}
		if copies > 0 {
			if err := fn(last, copies); err != nil {
				return err
			}
		}
		last, copies = leafFrom(string(key), value), 1
		return nil
	})
	if err == nil && copies > 0 {
		err = fn(last, copies)
	}
	return err
}

// cutLate sorts leaves, leaves out those that are there twice, and cuts them into parts
// that fit into an entry.
func cutLate(list []Leaf) (parts [][]Leaf) {
	slices.SortFunc(list, compareLeaves)
	list = slices.Compact(list)
	from, bytes := 0, 0
	for i := range list {
		const cost = 96 // timestamp, hash and what is around them
		size := len(list[i].ID) + cost
		if extra := len(appendText(nil, list[i].ID)) - len(list[i].ID); extra > 2 {
			size += extra
		}
		if i > from && (i-from == lateLeaves || bytes+size > lateBytes) {
			parts = append(parts, list[from:i:i])
			from, bytes = i, 0
		}
		bytes += size
	}
	return append(parts, list[from:])
}

// maxPlaces is how many log streams an entry names; of more it names the groups.
const maxPlaces = 200

// A placeSet is a set of log groups and streams.
type placeSet map[[2]string]bool

// add adds one; one without a group is not known.
func (s placeSet) add(place [2]string) {
	if place[0] != "" {
		s[place] = true
	}
}

// list returns them in order.
func (s placeSet) list() [][2]string {
	if len(s) > maxPlaces {
		groups := make(placeSet)
		for p := range s {
			groups[[2]string{p[0], AnyStream}] = true
		}
		if len(groups) <= maxPlaces {
			s = groups
		}
	}
	return slices.SortedFunc(maps.Keys(s), func(a, b [2]string) int { return slices.CompareFunc(a[:], b[:], strings.Compare) })
}

// AnyStream stands in a place for streams that are too many to name.
const AnyStream = "*"
