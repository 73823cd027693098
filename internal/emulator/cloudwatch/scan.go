package cloudwatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner reads JSON from front to back. PutLogEvents has its own because its
// bodies are the bulk of what the server reads, up to 1 MiB of messages that are
// themselves JSON and so full of escapes: it unescapes every message of a body
// into one buffer and makes one string of that.
type scanner struct {
	data  []byte
	at    int
	arena []byte // what text has unescaped so far
}

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 100

func (s *scanner) fail(what string) error {
	return serialization("Unable to parse the request body: %s at byte %d", what, s.at)
}

// peek skips white space and returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c {
		return s.fail(fmt.Sprintf("expected %q", c))
	}
	s.at++
	return nil
}

// object calls member for each member of the object that follows; member reads
// the value.
func (s *scanner) object(member func(key string) error) error {
	if err := s.open('{'); err != nil {
		return err
	}
	return s.list('}', func() error {
		begin := len(s.arena)
		end, err := s.text()
		if err != nil {
			return err
		}
		key := string(s.arena[begin:end])
		s.arena = s.arena[:begin]
		if err := s.expect(':'); err != nil {
			return err
		}
		return member(key)
	})
}

// array calls element for each element of the array that follows.
func (s *scanner) array(element func() error) error {
	if err := s.open('['); err != nil {
		return err
	}
	return s.list(']', element)
}

func (s *scanner) open(c byte) error {
	if s.peek() == c {
		s.at++
		return nil
	}
	if c == '[' {
		return serialization("Expected list or null")
	}
	return serialization("Expected structure or null")
}

// list reads what stands between an opening bracket, which has been read, and
// the closing one.
func (s *scanner) list(closing byte, item func() error) error {
	if s.peek() == closing {
		s.at++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case closing:
			s.at++
			return nil
		default:
			return s.fail(fmt.Sprintf("expected ',' or %q", closing))
		}
	}
}

// null reports whether a null follows, and reads it.
func (s *scanner) null() bool {
	if s.peek() == 'n' && bytes.HasPrefix(s.data[s.at:], []byte("null")) {
		s.at += len("null")
		return true
	}
	return false
}

// integer reads a whole number. Numbers with a fraction lose it, as they do in
// the real service.
func (s *scanner) integer() (int64, error) {
	kind := s.peek()
	raw, err := s.raw()
	if err != nil {
		return 0, err
	}
	if kind != '-' && (kind < '0' || kind > '9') {
		return 0, wrongKind(kind, "Long")
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.Abs(f) >= 1<<63 {
		return 0, serialization("NUMBER_VALUE can not be converted to a Long")
	}
	return int64(f), nil
}

// wrongKind is the error for a value whose first byte is kind.
func wrongKind(kind byte, want string) error {
	switch kind {
	case '"':
		return serialization("STRING_VALUE can not be converted to a %s", want)
	case 't':
		return serialization("TRUE_VALUE can not be converted to a %s", want)
	case 'f':
		return serialization("FALSE_VALUE can not be converted to a %s", want)
	case '{':
		return serialization("Start of structure or map found where not expected.")
	case '[':
		return serialization("Start of list found where not expected")
	default:
		return serialization("NUMBER_VALUE can not be converted to a %s", want)
	}
}

// raw reads any value and returns its bytes, which are valid JSON.
func (s *scanner) raw() (json.RawMessage, error) {
	s.peek()
	begin := s.at
	if err := s.skip(0); err != nil {
		return nil, err
	}
	value := s.data[begin:s.at]
	if !json.Valid(value) {
		return nil, s.fail("invalid value")
	}
	return value, nil
}

// skip moves behind a value without looking closely at it.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.fail("too deeply nested")
	}
	switch s.peek() {
	case '{', '[', '}', ']', ',', ':', 0:
		return s.skipNested(depth)
	case '"':
		return s.skipText()
	default:
		for s.at < len(s.data) && !bytes.ContainsRune([]byte(" \t\r\n,]}:"), rune(s.data[s.at])) {
			s.at++
		}
		return nil
	}
}

func (s *scanner) skipNested(depth int) error {
	switch s.peek() {
	case '{':
		s.at++
		return s.list('}', func() error {
			if err := s.skip(depth + 1); err != nil {
				return err
			}
			if err := s.expect(':'); err != nil {
				return err
			}
			return s.skip(depth + 1)
		})
	case '[':
		s.at++
		return s.list(']', func() error { return s.skip(depth + 1) })
	default:
		return s.fail("expected a value")
	}
}

func (s *scanner) skipText() error {
	for s.at++; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return nil
		}
	}
	return s.fail("unfinished string")
}

// text reads a string, appends it to the arena and returns the arena's length.
func (s *scanner) text() (end int, err error) {
	if kind := s.peek(); kind != '"' {
		if kind == 0 {
			return 0, s.fail("expected a string")
		}
		return 0, wrongKind(kind, "String")
	}
	s.at++
	begin := len(s.arena)
	for {
		run := s.data[s.at:]
		n := plain(run)
		s.arena = append(s.arena, run[:n]...)
		s.at += n
		if n == len(run) {
			return 0, s.fail("unfinished string")
		}
		switch s.data[s.at] {
		case '"':
			s.at++
			s.repair(begin)
			return len(s.arena), nil
		case '\\':
			if err := s.escape(); err != nil {
				return 0, err
			}
		default:
			return 0, s.fail("control character in string")
		}
	}
}

// plain returns how many bytes of a string stand for themselves.
func plain(run []byte) int {
	for i, c := range run {
		if c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return len(run)
}

// repair replaces bytes that are no UTF-8 in what text has just appended.
func (s *scanner) repair(begin int) {
	if !utf8.Valid(s.arena[begin:]) {
		valid := []byte(string([]rune(string(s.arena[begin:]))))
		s.arena = append(s.arena[:begin], valid...)
	}
}

// escape reads an escape sequence into the arena.
func (s *scanner) escape() error {
	if s.at+1 >= len(s.data) {
		return s.fail("unfinished string")
	}
	c := s.data[s.at+1]
	s.at += 2
	switch c {
	case '"', '\\', '/':
		s.arena = append(s.arena, c)
	case 'b':
		s.arena = append(s.arena, '\b')
	case 'f':
		s.arena = append(s.arena, '\f')
	case 'n':
		s.arena = append(s.arena, '\n')
	case 'r':
		s.arena = append(s.arena, '\r')
	case 't':
		s.arena = append(s.arena, '\t')
	case 'u':
		return s.unicode()
	default:
		return s.fail("unknown escape sequence")
	}
	return nil
}

// unicode reads the digits of an escaped UTF-16 unit, and of its other half.
func (s *scanner) unicode() error {
	r, ok := s.hex(s.at)
	if !ok {
		return s.fail("broken escape sequence")
	}
	s.at += 4
	if utf16.IsSurrogate(r) {
		pair := rune(utf8.RuneError)
		if bytes.HasPrefix(s.data[s.at:], []byte(`\u`)) {
			if low, ok := s.hex(s.at + 2); ok {
				pair = utf16.DecodeRune(r, low)
			}
		}
		if pair != utf8.RuneError {
			s.at += 6
		}
		r = pair
	}
	s.arena = utf8.AppendRune(s.arena, r)
	return nil
}

func (s *scanner) hex(at int) (rune, bool) {
	if at+4 > len(s.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.data[at:at+4]), 16, 16)
	return rune(n), err == nil && s.data[at] != '+' && s.data[at] != '_'
}

// end reports an error unless everything has been read.
func (s *scanner) end() error {
	if s.peek() != 0 || s.at < len(s.data) {
		return s.fail("unexpected data behind the value")
	}
	return nil
}
