package event

import (
	"bytes"
	"time"
)

// ParsePage reads a body of events in any of the forms in which Auth0 sends
// them: an array, an object {"logs":[…]}, a lone record, or one record after
// the other, on lines of their own or not. The form is told by the content. The
// page has no cursor.
//
// A record that is no event goes to Unreadable and the others come through. The
// error is ErrNoEvents when the body is none of these forms, and ErrTruncated
// when it ends too early; the page then holds what was whole.
func ParsePage(body []byte, received time.Time) (Page, error) {
	r := reader{received: received, line: 1}
	r.b = bytes.TrimPrefix(body, []byte(byteOrderMark))
	r.space()
	if c := r.peek(); c != '[' && c != '{' {
		return Page{}, ErrNoEvents
	}
	err := r.sequence()
	return r.page, err
}

// byteOrderMark is what some programs write before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// maxWaste bounds the work on a body that was made to be broken in as many
// places as possible: how many times its length may be scanned in vain. What is
// left then is refused as one piece.
const maxWaste = 32

// reader reads a body into a page.
type reader struct {
	scanner
	received time.Time
	page     Page
	wasted   int // bytes scanned for records that turned out broken
	line     int // the line of the byte at counted, from 1
	counted  int
}

// lineAt returns the line of a position, which must not lie before the last one
// that it was asked for.
func (r *reader) lineAt(i int) int {
	r.line += bytes.Count(r.b[r.counted:i], []byte{'\n'})
	r.counted = i
	return r.line
}

// inner reads the list of an object, which begins at a position.
func (r *reader) inner(list []byte, at int) error {
	in := reader{scanner: scanner{b: list}, received: r.received, page: r.page, line: r.lineAt(at)}
	err := in.elements()
	r.page = in.page
	return err
}

// sequence reads records and lists that stand one after the other.
func (r *reader) sequence() error {
	for r.between() {
		if err := r.element(); err != nil {
			return err
		}
	}
	return nil
}

// element reads a list, or a record outside of a list.
func (r *reader) element() error {
	if r.peek() == '[' {
		return r.elements()
	}
	from := r.i
	m, ok := r.record()
	switch list := m.list(); {
	case ok && list != nil:
		return r.inner(list, m.logsAt)
	case ok:
		r.page.Events = append(r.page.Events, find(r.b[from:r.i:r.i], m, r.received))
		return nil
	case m.logsAt > 0 && !m.isEvent():
		return r.brokenList(m.logsAt)
	}
	r.wasted += r.i - from
	r.i = from
	if r.wasted > maxWaste*len(r.b) {
		r.refuse(len(r.b) - from)
		return nil
	}
	return r.giveUp(true)
}

// record moves over an object and returns its members.
func (r *reader) record() (members, bool) {
	if r.peek() != '{' {
		return members{}, false
	}
	return r.members()
}

// elements reads the records of a list, one by one, so that a broken one harms
// none of its neighbours.
func (r *reader) elements() error {
	r.i++ // the bracket
	for r.between() {
		if r.peek() == ']' {
			r.i++
			return nil
		}
		from := r.i
		if m, ok := r.record(); ok {
			r.page.Events = append(r.page.Events, find(r.b[from:r.i:r.i], m, r.received))
			continue
		}
		r.i = from
		if err := r.giveUp(false); err != nil {
			return err
		}
	}
	return ErrTruncated
}

// brokenList reads {"logs":[…]} although something in it is broken, and then
// moves over the totals behind the list.
func (r *reader) brokenList(list int) error {
	r.i = list
	if err := r.elements(); err != nil {
		return err
	}
	from := r.i
	if r.next('}') || r.next(',') && r.pairs(0, nil) {
		return nil
	}
	r.i = from
	if !r.between() {
		return ErrTruncated
	}
	return r.giveUp(true)
}

// between moves over what may stand between two records and reports whether
// anything follows.
func (r *reader) between() bool {
	for r.space(); r.peek() == ','; r.space() {
		r.i++
	}
	return r.i < len(r.b)
}

// giveUp refuses the element at the position. Outside of a list it refuses no
// more than a line: what follows is likely to be a record of its own.
func (r *reader) giveUp(lineOnly bool) error {
	rest := r.b[r.i:]
	n, whole := elementLen(rest, lineOnly)
	if whole {
		r.refuse(n)
		return nil
	}
	r.page.Unreadable = append(r.page.Unreadable, Unreadable{Raw: rest, Reason: ErrTruncated.Error(), Line: r.lineAt(r.i)})
	r.i = len(r.b)
	return ErrTruncated
}

// refuse keeps the next n bytes as a piece that is no event.
func (r *reader) refuse(n int) {
	piece := bytes.TrimRight(r.b[r.i:r.i+n:r.i+n], " \t\r\n")
	reason := errNotJSON
	if valid(piece) {
		reason = errNotObject
	}
	r.page.Unreadable = append(r.page.Unreadable, Unreadable{Raw: piece, Reason: reason.Error(), Line: r.lineAt(r.i)})
	r.i += n
}

// elementLen returns how long the JSON element at the start of b is, judged by
// its brackets and quotes alone; not whole means that b ends before it does.
// With lineOnly a line ends it too.
func elementLen(b []byte, lineOnly bool) (n int, whole bool) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case lineOnly && c == '\n':
			return i, true
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return max(i, 1), true // the end of the array around it, or a stray bracket
			}
			if depth--; depth == 0 {
				return i + 1, true
			}
		case depth == 0 && (c == ',' || c == '\n'):
			return i, true
		}
	}
	return len(b), depth == 0 && !quoted
}
