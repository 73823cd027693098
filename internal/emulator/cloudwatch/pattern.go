package cloudwatch

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The filter pattern language has three forms, told apart by how a pattern
// begins: { conditions on a JSON message }, [ fields of a space-delimited
// message ], and terms anywhere in a message. All are case-sensitive. The
// documentation is "Filter pattern syntax" in the CloudWatch Logs User Guide;
// where it is silent the comments say what was chosen.

// A matcher reports whether a message matches.
type matcher func(message string) bool

// The limits of a pattern.
const (
	maxRegexes   = 2
	maxWildcards = 3 // of JSON selectors
)

// parsePattern reads a pattern. A blank one matches everything. Its errors are
// fit to be shown behind "Invalid filter pattern: ".
func parsePattern(text string) (matcher, error) {
	l := &lexer{text: text}
	l.space()
	switch l.peek() {
	case 0:
		return func(string) bool { return true }, nil
	case '{':
		return parseJSONPattern(l)
	case '[':
		return parseFieldPattern(l)
	default:
		return parseTerms(l)
	}
}

// A patternError says what is wrong with a pattern, in the voice of the service:
// a sentence that stands behind another one.
type patternError string

// Error implements error.
func (e patternError) Error() string { return string(e) }

func badPattern(format string, args ...any) error {
	return patternError(fmt.Sprintf(format, args...))
}

// A lexer reads a pattern from front to back.
type lexer struct {
	text      string
	at        int
	regexes   int
	wildcards int
}

func (l *lexer) rest() string { return l.text[l.at:] }

// peek returns the next byte, or 0 at the end.
func (l *lexer) peek() byte {
	if l.at < len(l.text) {
		return l.text[l.at]
	}
	return 0
}

// space skips white space.
func (l *lexer) space() {
	for l.at < len(l.text) && isSpace(l.text[l.at]) {
		l.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// take reads the given text, if it is next.
func (l *lexer) take(text string) bool {
	if strings.HasPrefix(l.rest(), text) {
		l.at += len(text)
		return true
	}
	return false
}

// word reads up to white space or one of the given bytes.
func (l *lexer) word(until string) string {
	begin := l.at
	for l.at < len(l.text) && !isSpace(l.text[l.at]) && strings.IndexByte(until, l.text[l.at]) < 0 {
		l.at++
	}
	return l.text[begin:l.at]
}

// unexpected is the error for what stands at the current place.
func (l *lexer) unexpected() error {
	if l.at >= len(l.text) {
		return badPattern("Unexpected end of pattern")
	}
	return badPattern("Invalid character(s) in term '%s'", l.rest())
}

// end checks that nothing but white space follows.
func (l *lexer) end() error {
	if l.space(); l.at < len(l.text) {
		return l.unexpected()
	}
	return nil
}

// quoted reads a string in double quotes, in which a backslash escapes quotes
// and backslashes. It comes back as plain text and split at the stars that are not
// escaped, which are wildcards where values are compared.
func (l *lexer) quoted() (plain string, value pieces, err error) {
	l.at++
	var b, piece strings.Builder
	for l.at < len(l.text) {
		c := l.text[l.at]
		l.at++
		switch {
		case c == '"':
			return b.String(), append(value, piece.String()), nil
		case c == '\\' && l.at < len(l.text) && strings.IndexByte(`"\*`, l.text[l.at]) >= 0:
			c = l.text[l.at]
			l.at++
		case c == '*':
			b.WriteByte(c)
			value = append(value, piece.String())
			piece.Reset()
			continue
		}
		b.WriteByte(c)
		piece.WriteByte(c)
	}
	return "", nil, l.unexpected()
}

// regex reads a regular expression between percent signs.
func (l *lexer) regex() (*regexp.Regexp, error) {
	expr, _, closed := strings.Cut(l.text[l.at+1:], "%")
	if !closed || expr == "" {
		return nil, l.unexpected()
	}
	if l.regexes++; l.regexes > maxRegexes {
		return nil, badPattern("Only %d regular expressions are allowed", maxRegexes)
	}
	for i := range len(expr) {
		if c := expr[i]; !isWord(c) && strings.IndexByte(`:#=@/;,-^$?[]{}|\*+.`, c) < 0 {
			return nil, badPattern("Invalid character(s) in term '%%%s%%'", expr)
		}
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, badPattern("Invalid regular expression '%%%s%%'", expr)
	}
	l.at += len(expr) + 2
	return re, nil
}

// isWord reports whether c is an ASCII letter, a digit or the underscore.
func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// pieces are the parts of a text between its wildcards.
type pieces []string

// match reports whether the pieces stand in s in order, the first at its start
// and the last at its end, with anything between them.
func (p pieces) match(s string) bool {
	if len(p) == 1 {
		return s == p[0]
	}
	first, last := p[0], p[len(p)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, piece := range p[1 : len(p)-1] {
		i := strings.Index(s, piece)
		if i < 0 {
			return false
		}
		s = s[i+len(piece):]
	}
	return true
}

// anything reports whether the pieces are a lone star.
func (p pieces) anything() bool { return len(p) == 2 && p[0] == "" && p[1] == "" }

// An operand is the right-hand side of a comparison.
type operand struct {
	text     pieces
	isQuoted bool
	number   *float64
	re       *regexp.Regexp
}

// matchText compares the operand with a text.
func (o operand) matchText(s string) bool {
	if o.re != nil {
		return o.re.MatchString(s)
	}
	return o.text.match(s)
}

// operators are the comparisons, longer ones first.
var operators = []string{"!=", "<=", ">=", "=", "<", ">"}

// comparison reads an operator and its operand.
func (l *lexer) comparison(until string) (op string, o operand, err error) {
	l.space()
	for _, candidate := range operators {
		if l.take(candidate) {
			op = candidate
			break
		}
	}
	if op == "" {
		return "", operand{}, l.unexpected()
	}
	l.space()
	if o, err = l.operand(until); err != nil {
		return "", operand{}, err
	}
	if op != "=" && op != "!=" && o.number == nil {
		return "", operand{}, badPattern("The operator '%s' needs a number", op)
	}
	return op, o, nil
}

func (l *lexer) operand(until string) (o operand, err error) {
	switch l.peek() {
	case '"':
		_, o.text, err = l.quoted()
		o.isQuoted = true
		return o, err
	case '%':
		o.re, err = l.regex()
		return o, err
	}
	word := l.word(until)
	if word == "" {
		return o, l.unexpected()
	}
	if n, ok := parseNumber(word); ok {
		o.number = &n
	}
	o.text = strings.Split(word, "*")
	return o, nil
}

var number = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// parseNumber reads a decimal number, with an exponent or without.
func parseNumber(s string) (float64, bool) {
	if !number.MatchString(s) {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// compare applies an operator to numbers.
func compare(op string, a, b float64) bool {
	switch op {
	case "=":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}

// disjunction reads conditions joined by || and &&, of which the latter binds
// more tightly, and by parentheses.
func disjunction[T any](l *lexer, atom func() (func(T) bool, error)) (func(T) bool, error) {
	first, err := conjunction(l, atom)
	for err == nil && l.joins("||") {
		var left, right func(T) bool
		left = first
		right, err = conjunction(l, atom)
		first = func(v T) bool { return left(v) || right(v) }
	}
	return first, err
}

func conjunction[T any](l *lexer, atom func() (func(T) bool, error)) (func(T) bool, error) {
	first, err := condition(l, atom)
	for err == nil && l.joins("&&") {
		var left, right func(T) bool
		left = first
		right, err = condition(l, atom)
		first = func(v T) bool { return left(v) && right(v) }
	}
	return first, err
}

func condition[T any](l *lexer, atom func() (func(T) bool, error)) (func(T) bool, error) {
	l.space()
	if !l.take("(") {
		return atom()
	}
	inner, err := disjunction(l, atom)
	if err != nil {
		return nil, err
	}
	if l.space(); !l.take(")") {
		return nil, l.unexpected()
	}
	return inner, nil
}

func (l *lexer) joins(op string) bool {
	l.space()
	return l.take(op)
}
