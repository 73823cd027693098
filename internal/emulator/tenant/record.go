package tenant

import (
	"slices"
	"strings"
	"time"
)

// dateLayout is how Auth0 writes "date": RFC 3339 in UTC with milliseconds.
const dateLayout = "2006-01-02T15:04:05.000Z"

// record is an event under construction: the JSON values of its members, in the
// order in which they will stand. It is reused from event to event.
type record struct {
	values  []byte
	members []recordMember
}

type recordMember struct {
	key      string
	from, to int
}

func (r *record) reset() {
	r.values = r.values[:0]
	r.members = r.members[:0]
}

// add appends a member whose value is what write appends.
func (r *record) add(key string, write func(dst []byte) []byte) {
	from := len(r.values)
	r.values = write(r.values)
	r.members = append(r.members, recordMember{key, from, len(r.values)})
}

// raw appends a member with a value that is JSON already.
func (r *record) raw(key, value string) {
	from := len(r.values)
	r.values = append(r.values, value...)
	r.members = append(r.members, recordMember{key, from, len(r.values)})
}

// text appends a member whose value is a string.
func (r *record) text(key, value string) {
	from := len(r.values)
	r.values = appendString(r.values, value)
	r.members = append(r.members, recordMember{key, from, len(r.values)})
}

// set gives the member another value, if the event has it.
func (r *record) set(key, value string) {
	i := slices.IndexFunc(r.members, func(m recordMember) bool { return m.key == key })
	if i < 0 {
		return
	}
	from := len(r.values)
	r.values = append(r.values, value...)
	r.members[i].from, r.members[i].to = from, len(r.values)
}

// drop leaves the member out.
func (r *record) drop(key string) {
	r.members = slices.DeleteFunc(r.members, func(m recordMember) bool { return m.key == key })
}

// appendTo appends the event. In some recorded answers the members stand in
// alphabetical order; otherwise they stand as they were added.
func (r *record) appendTo(dst []byte, alphabetical bool) []byte {
	if alphabetical {
		slices.SortFunc(r.members, func(a, b recordMember) int { return strings.Compare(a.key, b.key) })
	}
	size := len("}")
	for _, m := range r.members {
		size += len(`,"":`) + len(m.key) + m.to - m.from
	}
	dst = slices.Grow(dst, size)
	sep := byte('{')
	for _, m := range r.members {
		dst = append(dst, sep, '"')
		dst = append(dst, m.key...)
		dst = append(dst, '"', ':')
		dst = append(dst, r.values[m.from:m.to]...)
		sep = ','
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends s as the inside of a JSON string.
func appendEscaped(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	if isPlain(s) {
		return append(dst, s...)
	}
	for _, c := range []byte(strings.ToValidUTF8(s, "\uFFFD")) {
		switch {
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// isPlain reports whether s is ASCII with nothing to escape.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// appendDate appends t as a JSON string in the form of "date".
func appendDate(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, dateLayout)
	return append(dst, '"')
}
