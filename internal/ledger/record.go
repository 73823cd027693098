package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Fault is what is wrong with an entry of a record, or with what should be there.
type Fault string

// The faults.
const (
	// Altered is an entry that is not what its hash is of, or is in no form.
	Altered Fault = "altered"
	// BadSignature is one whose signature is wrong, missing, or of another key.
	BadSignature Fault = "signature"
	// Lost are entries that should be there.
	Lost Fault = "missing"
	// Broken is one that does not follow on the one before it.
	Broken Fault = "broken"
	// Forked are two entries in one place.
	Forked Fault = "forked"
	// Unlinked is a chain that does not say, or says wrongly, which one it continues.
	Unlinked Fault = "unlinked"
	// NoHead is the entry that somebody has noted down and that is not there.
	NoHead Fault = "head"
)

// A Problem is a fault in a record.
type Problem struct {
	Fault  Fault     `json:"fault"`
	Chain  string    `json:"chain,omitempty"`
	Seq    int64     `json:"seq"`
	From   time.Time `json:"from,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Detail string    `json:"detail"`
}

// A Record is the entries of one tenant and destination, as somebody has kept them.
type Record struct {
	// Tenant and Destination say whose entries are taken in; others are passed over.
	Tenant, Destination string
	// Keys check the signatures; without any they are not checked.
	Keys []PublicKey
	// Since and Until are the time of which the events of late entries are kept in
	// memory; the zero times are all.
	Since, Until time.Time

	entries  []Entry
	problems []Problem
	// Passed counts the entries of others.
	Passed int64
}

// Add takes in a line. Its order does not count: the chain has its own.
func (r *Record) Add(line []byte) {
	e, err := Parse(line)
	if err != nil {
		r.problems = append(r.problems, Problem{Fault: Altered, Detail: err.Error()})
		return
	}
	if e.Tenant != r.Tenant || e.Destination != r.Destination {
		r.Passed++
		return
	}
	if err := errors.Join(e.Verify(r.Keys), e.listed()); err != nil {
		fault := Altered
		if errors.Is(err, ErrSignature) || errors.Is(err, ErrUnsigned) || errors.Is(err, ErrKey) {
			fault = BadSignature
		}
		r.problems = append(r.problems, e.problem(fault, err.Error()))
	}
	if e.Kind == Late && (!r.Since.IsZero() && !e.Until.After(r.Since) || !r.Until.IsZero() && e.From.After(r.Until)) {
		e.Leaves = nil
	}
	r.entries = append(r.entries, e)
}

// errListed says that an entry does not sum up what it lists.
var errListed = errors.New("the digest of the entry is not that of the events that it lists")

// listed checks that a late entry sums up what it lists.
func (e *Entry) listed() error {
	if e.Kind != Late {
		return nil
	}
	d := newDigest()
	for i := range e.Leaves {
		d.add(&e.Leaves[i])
	}
	if d.hex() != e.Digest || d.count != e.Count {
		return errListed
	}
	return nil
}

// problem makes one of an entry.
func (e *Entry) problem(f Fault, detail string) Problem {
	return Problem{Fault: f, Chain: e.Chain, Seq: e.Seq, From: e.From, Until: e.Until, Detail: detail}
}

// A Checked is a record whose chains were checked.
type Checked struct {
	// Entries are those of the record, each once, in the order of their chains.
	Entries  []Entry
	Problems []Problem
	// Notes are what a person should know and that is no fault.
	Notes []string
	// Head is the last entry; of no entry it is zero.
	Head Head
	// Signed counts the entries that have a signature.
	Signed int64
	// SealedUntil is up to when hours are sealed; zero when none is.
	SealedUntil time.Time
}

// Check checks the chains. head is the hash of an entry that was noted down, which must
// be there; empty for none. With beginning the record must hold chains from their
// beginning on; it need not where old entries may have been deleted for their age.
func (r *Record) Check(head string, beginning bool) Checked {
	c := Checked{Problems: r.problems}
	chains := r.chains()
	for _, chain := range chains {
		c.chain(chain, beginning)
	}
	c.links(chains)
	if head != "" && !slices.ContainsFunc(c.Entries, func(e Entry) bool { return e.Hash == strings.ToLower(head) }) {
		c.Problems = append(c.Problems, Problem{Fault: NoHead, Detail: "no entry has the hash " + head + ": what was noted down is not in the record"})
	}
	return c
}

// chains sorts the entries by chain, in the order of their beginnings.
func (r *Record) chains() [][]Entry {
	by := make(map[string][]Entry)
	for i := range r.entries {
		by[r.entries[i].Chain] = append(by[r.entries[i].Chain], r.entries[i])
	}
	var list [][]Entry
	for _, chain := range by {
		slices.SortStableFunc(chain, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
		list = append(list, chain)
	}
	slices.SortFunc(list, func(a, b []Entry) int {
		return cmp.Or(a[0].SealedAt.Compare(b[0].SealedAt), strings.Compare(a[0].Chain, b[0].Chain))
	})
	return list
}

// chain checks the entries of a chain and takes them over.
func (c *Checked) chain(list []Entry, beginning bool) {
	var last *Entry
	var sealed time.Time
	for i := range list {
		e := &list[i]
		if last != nil && e.Seq == last.Seq {
			if e.Hash != last.Hash {
				c.Problems = append(c.Problems, e.problem(Forked, "two different entries have this place in the chain"))
			}
			continue // published twice
		}
		c.follows(last, e, beginning)
		switch e.Kind {
		case Start:
			sealed = e.From
		case Full, Quiet:
			if !sealed.IsZero() && !e.From.Equal(sealed) && (last == nil || e.Seq == last.Seq+1) {
				c.Problems = append(c.Problems, e.problem(Broken, "its time does not follow on the hours before"))
			}
			sealed = e.Until
			if sealed.After(c.SealedUntil) {
				c.SealedUntil = sealed
			}
		case Late:
		}
		if e.Signature != "" {
			c.Signed++
		}
		c.Entries = append(c.Entries, *e)
		last = e
	}
	if last != nil {
		c.Head = last.Head()
	}
}

// follows checks that an entry follows on the one before it.
func (c *Checked) follows(last, e *Entry, beginning bool) {
	next := int64(0)
	if last != nil {
		next = last.Seq + 1
	}
	switch {
	case e.Seq > next && last == nil && !beginning:
		c.Notes = append(c.Notes, fmt.Sprintf("chain %s begins at entry %d here: what was before is not in this record", e.Chain, e.Seq))
	case e.Seq > next:
		detail := fmt.Sprintf("entries %d to %d are missing", next, e.Seq-1)
		if next == e.Seq-1 {
			detail = "it is missing"
		}
		p := e.problem(Lost, detail)
		p.Seq = next
		p.Until = e.From
		p.From = time.Time{}
		if last != nil {
			p.From = last.Until
		}
		c.Problems = append(c.Problems, p)
	case last == nil && (e.Kind != Start || e.Previous != ""):
		c.Problems = append(c.Problems, e.problem(Broken, "the chain does not begin with its start"))
	case last != nil && (e.Previous != last.Hash || e.Kind == Start):
		c.Problems = append(c.Problems, e.problem(Broken, "it does not name the hash of the entry before it"))
	}
}

// links checks that each chain continues the one before it.
func (c *Checked) links(chains [][]Entry) {
	for i, chain := range chains {
		e := &chain[0]
		if i == 0 || e.Kind != Start {
			continue
		}
		before := chains[i-1][len(chains[i-1])-1].Head()
		switch {
		case e.Continues == nil:
			c.Problems = append(c.Problems, e.problem(Unlinked, "a chain begins that names no entry before it, and there is an earlier chain: "+e.Note))
		case *e.Continues != before:
			c.Problems = append(c.Problems, e.problem(Unlinked, fmt.Sprintf("a chain begins behind entry %d of %s, and that is not the last entry before it in this record", e.Continues.Seq, e.Continues.Chain)))
		default:
			c.Notes = append(c.Notes, fmt.Sprintf("chain %s was begun at %s behind %s: %s", e.Chain, clock(e.SealedAt), before.Chain, e.Note))
		}
	}
}
