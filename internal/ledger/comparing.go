package ledger

import (
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A comparing is the comparison of one hour under way.
type comparing struct {
	of      *attested
	r       Result
	late    map[Leaf]uint64 // which late entries list it, as bits
	seen    map[Leaf]bool   // of those
	ids     map[string]bool // of events in late that are there, in whatever form
	subsets []subset
	named   int64 // events that no late entry lists, and that are log events
	unnamed int64 // messages that no late entry lists, and that are none
	variant int64 // events that have the id of a late one, and are not as it was
}

// A subset is a guess which late entries list events that are in the entry of the
// whole hour as well: because they were there, taken out, and delivered again.
type subset struct {
	late    uint64
	with    *digest // all messages
	without *digest // less those that may be others', or late ones that were changed; nil while there is none
}

// mostLate is up to how many late entries of an hour each guess is tried; of more it
// is all or none.
const mostLate = 5

// newComparing begins one.
func newComparing(h *attested) *comparing {
	c := &comparing{of: h, late: make(map[Leaf]uint64), seen: make(map[Leaf]bool), ids: make(map[string]bool)}
	for i, e := range h.late {
		for _, l := range e.Leaves {
			c.late[l] |= 1 << min(i, 63)
			c.ids[l.ID] = false
		}
	}
	if h.whole == nil {
		return c
	}
	masks := []uint64{0}
	if n := len(h.late); n > 0 && n <= mostLate {
		for m := uint64(1); m < 1<<n; m++ {
			masks = append(masks, m)
		}
	} else if n > 0 {
		masks = append(masks, ^uint64(0))
	}
	for _, m := range masks {
		c.subsets = append(c.subsets, subset{late: m, with: newDigest()})
	}
	return c
}

// take takes in an event of the destination, which is there so many times.
func (c *comparing) take(l Leaf, copies int) error {
	if copies > 1 {
		c.r.Twice++
		c.r.TwiceIDs = name(c.r.TwiceIDs, l.ID)
	}
	mask, listed := c.late[l]
	if listed {
		c.seen[l] = true
	}
	_, variant := c.ids[l.ID]
	if variant {
		c.ids[l.ID] = true
	}
	variant = variant && !listed
	apart := variant || !listed && strings.HasPrefix(l.ID, event.SyntheticPrefix)
	switch {
	case variant:
		c.variant++
	case apart:
		c.unnamed++
	case !listed:
		c.named++
	}
	line := append(appendLeaf(nil, &l), '\n')
	for i := range c.subsets {
		s := &c.subsets[i]
		if listed && mask&s.late == 0 {
			continue
		}
		if apart && s.without == nil {
			s.without = s.with.clone()
		}
		if s.without != nil && !apart {
			s.without.addLine(&l, line)
		}
		s.with.addLine(&l, line)
	}
	return nil
}

// name adds a log_id to a list, up to a bound.
func name(list []string, id string) []string {
	if len(list) < mostNamed {
		list = append(list, id)
	}
	return list
}

// result says what was found.
func (c *comparing) result() Result {
	r := &c.r
	r.From, r.Until, r.Listed = c.of.from, c.of.until, c.of.whole == nil
	lost := c.lost()
	r.Expected = c.of.expected()
	r.There = c.named + c.variant + int64(len(c.seen))
	if r.Listed {
		r.There = int64(len(c.seen)) + c.variant
	}
	switch matched, apart := c.matched(); {
	case !r.Listed && !matched:
		r.Verdict = c.compareCounts()
	case apart && c.variant > int64(len(r.LateChanged)) && len(r.LateChanged) < mostNamed:
		r.Verdict = More
	case lost > 0 && len(r.LateChanged) > 0:
		r.Verdict = Changed
	case lost > 0:
		r.Verdict = Fewer
	case r.Twice > 0:
		r.Verdict = Repeated
	default:
		r.Verdict = Match
		if apart {
			r.Foreign = c.unnamed
		} else {
			r.There += c.unnamed
		}
	}
	if r.Listed && r.Verdict == Match {
		r.There = r.Expected
	}
	return *r
}

// lost names the late events that are not there as they were, and counts them.
func (c *comparing) lost() (n int64) {
	var missing, changed []string
	for l := range c.late {
		if c.seen[l] {
			continue
		}
		n++
		if c.ids[l.ID] {
			changed = append(changed, l.ID)
		} else {
			missing = append(missing, l.ID)
		}
	}
	slices.Sort(missing)
	slices.Sort(changed)
	c.r.LateMissing, c.r.LateChanged = missing[:min(len(missing), mostNamed)], changed[:min(len(changed), mostNamed)]
	return n
}

// matched reports whether the events are those of the entry of the whole hour, and
// whether some had to be left out for it.
func (c *comparing) matched() (ok, apart bool) {
	for _, s := range c.subsets {
		if s.with.is(c.of.whole) {
			return true, false
		}
		if s.without != nil && s.without.is(c.of.whole) {
			return true, true
		}
	}
	return false, false
}

// is reports whether a digest is that of an entry.
func (d *digest) is(e *Entry) bool { return d.count == e.Count && d.hex() == e.Digest }

// compareCounts says how an hour differs, by the counts.
func (c *comparing) compareCounts() Verdict {
	have := c.named + max(0, c.variant-int64(len(c.r.LateChanged)))
	if have < c.of.whole.Count {
		have += min(c.unnamed, c.of.whole.Count-have) // events without a log_id count as well
	}
	switch {
	case have < c.of.whole.Count:
		return Fewer
	case have > c.of.whole.Count:
		return More
	default:
		return Changed
	}
}
