package event

import (
	"encoding/binary"
	"encoding/json"
)

// maxDepth bounds the nesting of a record, so that no body can exhaust the
// stack. Auth0's events nest less than twenty levels deep.
const maxDepth = 500

// scanner walks over JSON text once: it checks the syntax as strictly as
// encoding/json does and finds where the parts lie, without decoding or copying
// anything. A method that moves over a part returns false when the text is not
// valid there; the position is then somewhere within that part.
type scanner struct {
	b []byte
	i int
}

// valid reports whether b is one JSON value, and nothing else but space.
func valid(b []byte) bool {
	s := scanner{b: b}
	s.space()
	return s.value(0) && s.atEnd()
}

// atEnd reports whether nothing but space follows.
func (s *scanner) atEnd() bool {
	s.space()
	return s.i == len(s.b)
}

// peek returns the byte at the position, and 0 at the end; 0 is never valid.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// space moves over what JSON calls whitespace.
func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// next moves over space and over c, if c is there.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// value moves over any value, inside depth others.
func (s *scanner) value(depth int) bool {
	switch c := s.peek(); c {
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.array(depth)
	case '"':
		return s.str()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// object moves over an object. visit, when not nil, gets each member: the key
// with its quotes, and where the value begins and ends. Of a value that is not
// valid, and then is the last one, the end is -1.
func (s *scanner) object(depth int, visit func(key []byte, from, to int)) bool {
	if depth >= maxDepth || !s.next('{') {
		return false
	}
	return s.next('}') || s.pairs(depth, visit)
}

// pairs moves over the members of an object, from the first key to the brace
// that ends it.
func (s *scanner) pairs(depth int, visit func(key []byte, from, to int)) bool {
	for {
		s.space()
		keyAt := s.i
		if s.peek() != '"' || !s.str() {
			return false
		}
		key := s.b[keyAt:s.i]
		if !s.next(':') {
			return false
		}
		s.space()
		from := s.i
		ok := s.value(depth + 1)
		if visit != nil {
			to := s.i
			if !ok {
				to = -1
			}
			visit(key, from, to)
		}
		if !ok {
			return false
		}
		if !s.next(',') {
			return s.next('}')
		}
	}
}

// array moves over an array.
func (s *scanner) array(depth int) bool {
	if depth >= maxDepth || !s.next('[') {
		return false
	}
	if s.next(']') {
		return true
	}
	for {
		s.space()
		if !s.value(depth + 1) {
			return false
		}
		if !s.next(',') {
			return s.next(']')
		}
	}
}

// str moves over a string.
func (s *scanner) str() bool {
	s.i++ // the opening quote
	for {
		for s.i+8 <= len(s.b) && plain(binary.LittleEndian.Uint64(s.b[s.i:])) {
			s.i += 8
		}
		switch c := s.peek(); {
		case c == '"':
			s.i++
			return true
		case c == '\\':
			if !s.escape() {
				return false
			}
		case c < ' ':
			return false
		default:
			s.i++
		}
	}
}

// plain reports whether none of eight bytes of a string is a quote, a backslash
// or a control character. See "Bit Twiddling Hacks": determine if a word has a
// byte less than n.
func plain(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^(ones*'"'), w^(ones*'\\')
	special := (w - ones*' ') & ^w
	special |= (quote - ones) & ^quote
	special |= (backslash - ones) & ^backslash
	return special&highs == 0
}

// escape moves over an escape sequence in a string.
func (s *scanner) escape() bool {
	s.i++ // the backslash
	c := s.peek()
	s.i++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if !isHex(s.peek()) {
				return false
			}
			s.i++
		}
		return true
	default:
		return false
	}
}

// isHex reports whether c is a hexadecimal digit.
func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// word moves over a literal.
func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

// number moves over a number.
func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		return s.digits()
	}
	return true
}

// digits moves over at least one digit.
func (s *scanner) digits() bool {
	from := s.i
	for '0' <= s.peek() && s.peek() <= '9' {
		s.i++
	}
	return s.i > from
}

// text returns what a valid JSON string says.
func text(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' {
			var out string
			if json.Unmarshal(quoted, &out) == nil {
				return out
			}
		}
	}
	return string(inner)
}
