package source

import (
	"slices"
	"strings"
)

// recent remembers the last log_ids that were stored or are on their way to the
// disk, so that reading a span again costs no transaction. Forgetting one does no
// harm: the buffer knows it.
type recent struct {
	ids  map[string]struct{}
	ring []string
	next int
}

// maxRecent bounds the memory: about a megabyte.
const maxRecent = 4096

func newRecent() *recent {
	return &recent{ids: make(map[string]struct{})}
}

// has reports whether an id is remembered.
func (r *recent) has(id string) bool {
	_, ok := r.ids[id]
	return ok
}

// add remembers an id in place of the oldest.
func (r *recent) add(id string) {
	if r.has(id) {
		return
	}
	id = strings.Clone(id) // it is a slice of the whole event
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, id)
	} else {
		delete(r.ids, r.ring[r.next])
		r.ring[r.next] = id
		r.next = (r.next + 1) % maxRecent
	}
	r.ids[id] = struct{}{}
}

// trail is the last few cursors that were left behind. One that comes back
// means that the API leads in a circle.
type trail struct{ ids []string }

const maxTrail = 16

func (t *trail) add(id string) {
	t.ids = append(t.ids, id)
	if len(t.ids) > maxTrail {
		t.ids = slices.Delete(t.ids, 0, 1)
	}
}

func (t *trail) has(id string) bool { return slices.Contains(t.ids, id) }

// sizes tells by the size of pages whether the end of the log is near. An API may
// serve fewer events than it was asked for; pages of one size in a row are a
// sign of that, until they prove to be chance.
type sizes struct {
	last    int
	guessed bool // the last page was taken for as large as they get
	chance  bool // such a page was the end of the log
}

// short reports whether a page looks like the last one.
func (s *sizes) short(n, take int) bool {
	const small = 10 // pages this small are chance
	s.guessed = !s.chance && n < take && n >= small && n == s.last
	s.last = n
	return n < take && !s.guessed
}

// end notes that nothing came behind the page.
func (s *sizes) end() {
	s.chance = s.chance || s.guessed
	s.guessed, s.last = false, 0
}
