package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/tidwall/gjson"
)

// ParsePage reads a body of events in any of the forms in which Auth0 sends
// them: an array, an object {"logs":[…]}, a lone record, or one record a line.
// The form is told by the content. The page has no cursor.
//
// A record that is no event goes to Unreadable and the others come through. The
// error is ErrNoEvents when the body is none of these forms, and ErrTruncated
// when it ends too early; the page then holds what was whole.
func ParsePage(body []byte, received time.Time) (Page, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) == 0 {
		return Page{}, ErrNoEvents
	}
	switch body[0] {
	case '[':
		return parseArray(body, received)
	case '{':
		if list, ok := logsOf(body); ok {
			return parseArray(list, received)
		}
		return parseSequence(body, received)
	default:
		return Page{}, ErrNoEvents
	}
}

// logsOf returns the array of {"logs":[…]}, the form of a search with totals
// and of the JSON object streams.
func logsOf(body []byte) ([]byte, bool) {
	if !json.Valid(body) {
		return nil, false
	}
	v := gjson.GetBytes(body, "logs")
	if !v.IsArray() {
		return nil, false
	}
	return body[v.Index : v.Index+len(v.Raw)], true
}

// parseArray reads the elements of an array, one by one, so that a broken one
// is told apart from its neighbours.
func parseArray(body []byte, received time.Time) (Page, error) {
	var p Page
	if json.Valid(body) {
		gjson.Parse(string(body)).ForEach(func(_, v gjson.Result) bool {
			el := body[v.Index : v.Index+len(v.Raw)]
			if v.IsObject() {
				p.Events = append(p.Events, find(el, received))
			} else {
				p.refuse(el, errNotObject)
			}
			return true
		})
		return p, nil
	}
	rest := body[1:]
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n,")
		if len(rest) == 0 {
			return p, ErrTruncated
		}
		if rest[0] == ']' {
			return p.join(rest[1:], received)
		}
		n, whole := elementLen(rest)
		if !whole {
			p.Unreadable = append(p.Unreadable, Unreadable{Raw: rest, Reason: ErrTruncated.Error()})
			return p, ErrTruncated
		}
		p.add(rest[:n], received)
		rest = rest[n:]
	}
}

// parseSequence reads records that stand one after the other, on lines of
// their own or not.
func parseSequence(body []byte, received time.Time) (Page, error) {
	var p Page
	for rest := body; ; {
		rest = bytes.TrimLeft(rest, " \t\r\n,")
		if len(rest) == 0 {
			return p, nil
		}
		n, whole := elementLen(rest)
		if line := bytes.IndexByte(rest, '\n'); line >= 0 && (!whole || n > line) && !json.Valid(rest[:n]) {
			// Broken within its line: give up the line, not what follows.
			n, whole = line, true
		}
		if !whole {
			p.Unreadable = append(p.Unreadable, Unreadable{Raw: rest, Reason: ErrTruncated.Error()})
			return p, ErrTruncated
		}
		p.add(rest[:n], received)
		rest = rest[n:]
	}
}

// join reads what follows the end of an array, such as another array.
func (p Page) join(rest []byte, received time.Time) (Page, error) {
	rest = bytes.TrimSpace(rest)
	if len(rest) == 0 {
		return p, nil
	}
	more, err := ParsePage(rest, received)
	if errors.Is(err, ErrNoEvents) {
		p.refuse(rest, errNotJSON)
		return p, nil
	}
	p.Events = append(p.Events, more.Events...)
	p.Unreadable = append(p.Unreadable, more.Unreadable...)
	return p, err
}

// add parses one record into the page.
func (p *Page) add(raw []byte, received time.Time) {
	e, err := Parse(raw, received)
	if err != nil {
		p.refuse(raw, err)
		return
	}
	p.Events = append(p.Events, e)
}

// refuse keeps a piece that is no event.
func (p *Page) refuse(raw []byte, err error) {
	reason := errNotJSON
	if errors.Is(err, errNotObject) {
		reason = errNotObject
	}
	p.Unreadable = append(p.Unreadable, Unreadable{Raw: raw, Reason: reason.Error()})
}

// elementLen returns how long the JSON element at the start of b is, judged by
// its brackets and quotes alone; not whole means that b ends before it does.
func elementLen(b []byte) (n int, whole bool) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
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
