package ledger

import (
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The canonical form is JSON without spaces, the members of an object in the order of
// their names, and ASCII alone: what is not printable, and every other character, is
// written as \uXXXX. It is what json.dumps of Python writes with sort_keys and
// separators=(",", ":"). Numbers are integers.

// A member is one of an object.
type member struct {
	name  string
	value any // string, int64, [][2]string, []Leaf or []member
}

// appendObject appends an object. It sorts the members.
func appendObject(b []byte, members []member) []byte {
	slices.SortFunc(members, func(x, y member) int {
		if x.name < y.name {
			return -1
		}
		return 1
	})
	b = append(b, '{')
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(append(appendText(b, m.name), ':'), m.value)
	}
	return append(b, '}')
}

// appendValue appends a value.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendText(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case []member:
		return appendObject(b, v)
	case []Leaf:
		return appendList(b, v, func(b []byte, l Leaf) []byte { return appendLeaf(b, &l) })
	case [][2]string:
		return appendList(b, v, func(b []byte, pair [2]string) []byte { return appendList(b, pair[:], appendText) })
	default:
		return append(b, "null"...)
	}
}

// appendList appends a list.
func appendList[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, v)
	}
	return append(b, ']')
}

// appendText appends a text. Bytes that are no UTF-8 become U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c <= '~' && c != '"' && c != '\\' {
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		b = appendEscape(b, r)
	}
	return append(b, '"')
}

// appendEscape appends a character that is not written as it is.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return appendUnit(appendUnit(b, high), low)
	}
	return appendUnit(b, r)
}

// appendUnit appends a unit of UTF-16.
func appendUnit(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
