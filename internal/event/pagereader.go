package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ErrRecordTooLarge says that a record is larger than a PageReader's bound.
var ErrRecordTooLarge = errors.New("a record is larger than is taken")

// minWindow is the least that a PageReader reads at once.
const minWindow = 4 << 10

// A PageReader reads events of any of the forms that ParsePage reads from a
// stream, a page at a time: a body or a file of any size needs memory for
// little more than a page and its largest record. Whatever the sizes of pages
// and reads, the events and the refused pieces are those of ParsePage, but for a
// body that was made to be broken in as many places as possible.
type PageReader struct {
	in    io.Reader
	size  int
	max   int
	start int64 // where in the stream in begins
	spare []byte

	r      reader
	read   int  // bytes of in so far
	begun  bool // the first byte of the content was seen
	list   bool // inside a list
	object bool // the list is a member of an object
	ended  bool // nothing more comes from in
	fault  error
	done   error // what Next returns from now on
}

// NewPageReader reads from in, which it does not close. A page ends with the
// record with which it reaches size bytes; a record larger than largest ends the
// reading. received stands in for missing dates, as with ParsePage.
func NewPageReader(in io.Reader, received time.Time, size, largest int) *PageReader {
	return ResumePageReader(in, Place{Line: 1}, received, size, largest)
}

// A Place is where a PageReader stands in its stream, between two pieces.
type Place struct {
	// Offset is how many bytes of the stream lie before it.
	Offset int64 `json:"offset"`
	// Line is the line that it is on, from 1.
	Line int `json:"line"`
	// List says that it is inside a list, Object that the list is a member of an
	// object.
	List   bool `json:"list,omitempty"`
	Object bool `json:"object,omitempty"`
}

// ResumePageReader goes on at a place at which another PageReader stood behind a
// page of the same stream. in begins there, not at the beginning of the stream.
func ResumePageReader(in io.Reader, at Place, received time.Time, size, largest int) *PageReader {
	return &PageReader{
		in: in, size: max(size, 1), max: largest, start: at.Offset,
		r: reader{received: received, line: at.Line}, begun: at.Offset > 0, list: at.List, object: at.Object,
	}
}

// Reuse gives memory for the next window. The page that Next then returns lies in it,
// so nobody may use it for anything else before that page is done with.
func (p *PageReader) Reuse(window []byte) { p.spare = window }

// Place returns the place behind the last page of Next. Behind an error it is
// where the piece begins that could not be read.
func (p *PageReader) Place() Place {
	offset := p.start + int64(p.read-len(p.r.b)+p.r.i)
	return Place{Offset: offset, Line: p.r.lineAt(p.r.i), List: p.list, Object: p.object}
}

// Next returns the next page, which has no cursor. Its bytes are its own, but for
// Reuse. The
// error comes with an empty page, after the last one, and stays: io.EOF at the
// good end, ErrNoEvents when the stream is none of the forms, ErrTruncated when
// it ends too early, ErrRecordTooLarge, or an error of reading. What was whole
// before it has been returned.
func (p *PageReader) Next() (Page, error) {
	p.renew()
	for p.done == nil && p.r.i < p.size {
		p.done = p.step()
	}
	page := p.r.page
	p.r.page = Page{}
	if !page.Empty() {
		return page, nil
	}
	if p.done == nil {
		return p.Next() // a page of nothing but space
	}
	return Page{}, p.done
}

// renew begins a window of its own for the next page, for the last one belongs
// to its events.
func (p *PageReader) renew() {
	p.r.lineAt(p.r.i)
	rest := p.r.b[p.r.i:]
	if p.ended && len(rest) == 0 { // there is no next page
		p.r.b, p.r.i, p.r.counted = nil, 0, 0
		return
	}
	to := p.spare[:0]
	p.spare = nil
	if need := max(p.size, minWindow) + len(rest); cap(to) < need {
		to = make([]byte, 0, need)
	}
	to = append(to, rest...)
	p.r.b = to
	p.r.i, p.r.counted = 0, 0
}

// more reads on into the window and reports whether there was anything. Each
// read doubles what there is of the piece at hand, so that what is scanned again adds
// up to little. A window that has room left is filled first, as a stream of known
// length ends there.
func (p *PageReader) more() bool {
	if p.ended {
		return false
	}
	least := max(len(p.r.b)-p.r.i, minWindow)
	if room := cap(p.r.b) - len(p.r.b); room > 0 {
		least = min(least, room)
	} else {
		p.r.b = slices.Grow(p.r.b, least)
	}
	free := p.r.b[len(p.r.b):cap(p.r.b)]
	n, err := 0, error(nil)
	for n < least && err == nil { // io.ReadAtLeast would hide a stream that says itself that it was cut
		var more int
		more, err = p.in.Read(free[n:])
		n += more
	}
	p.r.b = p.r.b[:len(p.r.b)+n]
	p.read += n
	if err != nil {
		p.ended = true
		if err != io.EOF { //nolint:errorlint // a wrapped one is no good end
			p.fault = err
		}
	}
	return n > 0
}

// step reads one piece: the beginning of a list, its end, or an element.
func (p *PageReader) step() error {
	if !p.begun {
		if err := p.begin(); err != nil {
			return err
		}
	}
	for !p.r.between() {
		if !p.more() {
			return p.ending()
		}
	}
	switch c := p.r.peek(); {
	case p.list && c == ']':
		p.r.i++
		p.list = false
		return p.closed()
	case p.list:
		return p.element(false)
	case c == '[':
		p.r.i++
		p.list = true
		return nil
	default:
		return p.element(true)
	}
}

// begin looks at the first bytes of the content.
func (p *PageReader) begin() error {
	for len(p.r.b) < len(byteOrderMark) && p.more() {
	}
	if bytes.HasPrefix(p.r.b, []byte(byteOrderMark)) {
		p.r.i = len(byteOrderMark)
	}
	for p.r.space(); p.r.i == len(p.r.b) && p.more(); p.r.space() {
	}
	if c := p.r.peek(); c != '[' && c != '{' {
		if p.fault != nil {
			return p.fault
		}
		return ErrNoEvents
	}
	p.begun = true
	return nil
}

// ending is the end of the stream between two pieces.
func (p *PageReader) ending() error {
	switch {
	case p.fault != nil:
		return p.fault
	case p.list || p.object:
		return ErrTruncated
	default:
		return io.EOF
	}
}

// element reads a record or refuses what stands in its place.
func (p *PageReader) element(outside bool) error {
	from := p.r.i
	for {
		m, ok := p.r.record()
		switch {
		case ok && outside && m.list() != nil:
			return p.r.inner(m.list(), m.logsAt)
		case ok:
			p.r.page.Events = append(p.r.page.Events, find(p.r.b[from:p.r.i:p.r.i], m, p.r.received))
			return nil
		case outside && m.logsAt > 0 && !m.isEvent() && (!p.cut() || p.r.i-from >= p.size):
			p.r.i = m.logsAt + 1
			p.list, p.object = true, true
			return nil
		}
		wasted := p.r.i - from
		cut := p.cut()
		p.r.i = from
		if cut || !p.whole(outside) {
			if again, err := p.again(from); again || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		return p.giveUp(outside, wasted)
	}
}

// cut reports whether what could not be read may be whole in a longer window:
// the scanner came to the last bytes of this one, of which a word may be a part.
func (p *PageReader) cut() bool { return !p.ended && len(p.r.b)-p.r.i < len("false") }

// whole reports whether the element at the position ends within the window.
func (p *PageReader) whole(lineOnly bool) bool {
	rest := p.r.b[p.r.i:]
	n, whole := elementLen(rest, lineOnly)
	return whole && (n < len(rest) || p.ended)
}

// again reads on so that an element can be looked at once more.
func (p *PageReader) again(from int) (bool, error) {
	if len(p.r.b)-from > p.max {
		return false, fmt.Errorf("%w: %d bytes", ErrRecordTooLarge, p.max)
	}
	return p.more(), nil
}

// closed reads what follows a list: of an object its other members.
func (p *PageReader) closed() error {
	if !p.object {
		return nil
	}
	from := p.r.i
	for {
		if p.r.next('}') || p.r.next(',') && p.r.pairs(0, nil) {
			p.object = false
			return nil
		}
		cut := p.cut()
		p.r.i = from
		if !cut {
			break
		}
		if again, err := p.again(from); err != nil {
			return err
		} else if !again {
			break
		}
	}
	for !p.r.between() {
		if !p.more() {
			return p.ending()
		}
	}
	p.object = false
	return p.refuseWhole(true)
}

// giveUp refuses the element at the position, and more than that where the work
// on the stream has become too much for its length.
func (p *PageReader) giveUp(outside bool, wasted int) error {
	if outside {
		p.r.wasted += wasted
		if p.r.wasted > maxWaste*p.read {
			p.r.refuse(len(p.r.b) - p.r.i)
			return nil
		}
	}
	return p.refuseWhole(outside)
}

// refuseWhole refuses the element at the position once it is in the window as a
// whole.
func (p *PageReader) refuseWhole(lineOnly bool) error {
	for !p.whole(lineOnly) {
		again, err := p.again(p.r.i)
		if err != nil {
			return err
		}
		if !again {
			break
		}
	}
	if p.fault != nil && !p.whole(lineOnly) {
		return p.fault // cut by the reading, not by the one who wrote it
	}
	return p.r.giveUp(lineOnly)
}
