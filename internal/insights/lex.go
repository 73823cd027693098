package insights

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A kind is what a token is.
type kind uint8

const (
	end kind = iota
	word
	text
	number
	expression // regular
	symbol
)

// A token is a piece of a query.
type token struct {
	kind kind
	text string
	at   int
}

// A SyntaxError says what of a query cannot be read or is not known here.
type SyntaxError struct {
	// Offset is the byte at which it stands.
	Offset  int
	Problem string
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.Problem }

// problem makes a SyntaxError.
func problem(at int, format string, args ...any) error {
	return &SyntaxError{Offset: at, Problem: fmt.Sprintf(format, args...)}
}

// lex cuts a query into tokens. A slash begins a regular expression where an operand
// may stand, and divides elsewhere.
func lex(query string) (list []token, err error) {
	for i := 0; i < len(query); {
		switch query[i] {
		case ' ', '\t', '\n', '\r':
			i++
			continue
		case '#':
			if n := strings.IndexByte(query[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(query)
			}
			continue
		}
		t, n, err := next(query, i, operandMayFollow(list))
		if err != nil {
			return nil, err
		}
		list = append(list, t)
		i += n
	}
	return append(list, token{end, "", len(query)}), nil
}

// next reads the token at a place and returns its length.
func next(query string, i int, operand bool) (t token, n int, err error) {
	c, rest := query[i], query[i:]
	switch {
	case c == '"' || c == '\'' || c == '`' || c == '/' && operand:
		return quoted(query, i)
	case c >= '0' && c <= '9':
		n = span(rest, func(c byte) bool { return isWord(c) || c == '.' })
		return token{number, rest[:n], i}, n, nil
	case isWord(c):
		n = span(rest, func(c byte) bool { return isWord(c) || c == '.' })
		return token{word, rest[:n], i}, n, nil
	}
	for _, s := range []string{"!=", "<=", ">=", "=~"} {
		if strings.HasPrefix(rest, s) {
			return token{symbol, s, i}, len(s), nil
		}
	}
	if strings.IndexByte("=<>()[],|+-*/%^", c) >= 0 {
		return token{symbol, rest[:1], i}, 1, nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return t, 0, problem(i, "unexpected %q", r)
}

// quoted reads a text, a name in backticks or a regular expression.
func quoted(query string, i int) (t token, n int, err error) {
	quote := query[i]
	var b strings.Builder
	for j := i + 1; j < len(query); j++ {
		switch c := query[j]; {
		case c == quote:
			return token{map[byte]kind{'"': text, '\'': text, '`': word, '/': expression}[quote], b.String(), i}, j + 1 - i, nil
		case c == '\\' && j+1 < len(query):
			j++
			if quote == '/' && query[j] != '/' {
				b.WriteByte('\\') // it belongs to the expression
			}
			b.WriteByte(query[j])
		default:
			b.WriteByte(c)
		}
	}
	return t, 0, problem(i, "%c is not closed", quote)
}

// operandMayFollow reports whether what comes next may be an operand.
func operandMayFollow(list []token) bool {
	if len(list) == 0 {
		return true
	}
	switch last := list[len(list)-1]; last.kind {
	case symbol:
		return last.text != ")" && last.text != "]"
	case word:
		return strings.HasPrefix(last.text, "@") || isKeyword(last.text)
	default:
		return false
	}
}

// isKeyword reports whether an operand follows a word.
func isKeyword(s string) bool {
	switch strings.ToLower(s) {
	case "like", "and", "or", "not", "in", "filter", "by":
		return true
	default:
		return false
	}
}

// isWord reports whether a byte may stand in a name.
func isWord(c byte) bool {
	return c == '_' || c == '@' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// span counts the bytes at the beginning of a text for which a rule holds.
func span(s string, holds func(byte) bool) (n int) {
	for n < len(s) && holds(s[n]) {
		n++
	}
	return n
}
