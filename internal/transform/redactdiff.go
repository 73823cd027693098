package transform

import (
	"bytes"
	"regexp"
	"strconv"
)

// A RedactChange is one place of a record, before and after redaction. It quotes the
// record: it is for somebody who looks at the event, and belongs in no log.
type RedactChange struct {
	// Path names the place, as event.ParsePath reads it. What lies in JSON within a
	// string is part of the string.
	Path string
	// Key says that it is the name of the member that has changed, not its value.
	Key bool
	// Before and After are the JSON text of the place; After is nil when it is gone.
	Before, After []byte
	// Spans are what rules have changed in it, in order; nil for a place that no rule
	// has hit.
	Spans []RedactSpan
}

// A RedactSpan is a piece of a RedactChange: bytes of Before, what stands for them in
// After, and the name of the rule.
type RedactSpan struct {
	From, To, NewFrom, NewTo int
	Rule                     string
}

// Diff tells the hits by the members and elements that they lie in, of the record
// that was redacted. With all it tells of those without a hit too.
func (r Redaction) Diff(raw []byte, all bool) []RedactChange {
	d := differ{doc: doc{b: raw}, after: r.Raw, hits: r.Hits, all: all}
	d.space()
	d.node("")
	return d.out
}

// A differ walks a record that redaction has walked before it.
type differ struct {
	doc

	after []byte
	hits  []RedactHit // those that lie ahead
	grown int         // by those behind
	all   bool
	out   []RedactChange
}

// unquotedName is a name that needs no quotes in a path.
var unquotedName = regexp.MustCompile(`^[^\s.\[\]*"'\\$][^\s.\[\]*"'\\]*$`)

// pathOf returns the path of a member, given its name in quotes.
func pathOf(of string, quoted []byte) string {
	if of != "" {
		of += "."
	}
	if inner := quoted[1 : len(quoted)-1]; unquotedName.Match(inner) {
		return of + string(inner)
	}
	return of + string(quoted)
}

// node walks a value.
func (d *differ) node(path string) {
	from, c := d.i, d.peek()
	if c != '{' && c != '[' || len(d.hits) > 0 && d.hits[0].From == from {
		d.skip()
		d.note(RedactChange{Path: path, Before: d.b[from:d.i:d.i]}, from)
		return
	}
	d.i++
	if d.next(c + 2) { // the closing one, in ASCII
		if d.all {
			d.note(RedactChange{Path: path, Before: d.b[from:d.i:d.i]}, from)
		}
		return
	}
	for i := 0; ; i++ {
		d.space()
		if c == '{' {
			d.pair(path)
		} else {
			d.node(path + "[" + strconv.Itoa(i) + "]")
		}
		if !d.next(',') {
			break
		}
	}
	d.next(c + 2)
}

// pair walks a member.
func (d *differ) pair(path string) {
	from := d.i
	d.skipString()
	key, end := d.b[from:d.i:d.i], d.i
	path = pathOf(path, key)
	d.next(':')
	d.space()
	if len(d.hits) > 0 && d.hits[0].From <= from && d.hits[0].To > end { // it is gone, with a comma
		at := d.i
		d.skip()
		value := d.b[at:d.i:d.i]
		d.out = append(d.out, RedactChange{Path: path, Before: value, Spans: []RedactSpan{{To: len(value), Rule: d.hits[0].Rule}}})
		d.pass()
		return
	}
	if len(d.hits) > 0 && d.hits[0].From < end {
		at := d.i
		d.i = end
		d.note(RedactChange{Path: path, Key: true, Before: key}, from)
		d.i = at
	}
	d.node(path)
}

// note tells of a place that ends at the position, with the hits in it.
func (d *differ) note(c RedactChange, from int) {
	newFrom := from + d.grown
	for len(d.hits) > 0 && d.hits[0].To <= d.i {
		h := d.hits[0]
		c.Spans = append(c.Spans, RedactSpan{
			From: max(0, h.From-from), To: h.To - from, NewFrom: max(0, h.NewFrom-newFrom), NewTo: h.NewTo - newFrom, Rule: h.Rule,
		})
		d.pass()
	}
	if c.Spans == nil && !d.all {
		return
	}
	c.After = bytes.Clone(d.after[newFrom : d.i+d.grown])
	d.out = append(d.out, c)
}

// pass leaves a hit behind.
func (d *differ) pass() {
	h := d.hits[0]
	d.hits = d.hits[1:]
	d.grown += h.NewTo - h.NewFrom - (h.To - h.From)
}

// skip moves over a value.
func (d *differ) skip() {
	for depth := 0; d.i < len(d.b); {
		switch c := d.peek(); c {
		case '"':
			if d.skipString() == 0 {
				return
			}
		case '{', '[':
			depth++
			d.i++
		case '}', ']':
			if depth == 0 {
				return // of what it lies in
			}
			depth--
			d.i++
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return // behind a number or a word
			}
			d.i++
			continue
		default:
			d.i++
			continue
		}
		if depth == 0 {
			return
		}
	}
}
