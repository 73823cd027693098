package cloudwatch

import (
	"strings"
)

// A fieldPattern is a pattern of space-delimited fields: those before the
// ellipsis, and those behind it.
type fieldPattern struct {
	head, tail []func(string) bool
	ellipsis   bool
}

// afterField ends the name or the value of a field.
const afterField = `,]()&|"=!<>`

// parseFieldPattern reads [ fields ]. Each is a name with or without conditions,
// nothing at all, or an ellipsis that stands for any number of fields.
func parseFieldPattern(l *lexer) (matcher, error) {
	l.take("[")
	var p fieldPattern
	for {
		if err := p.field(l); err != nil {
			return nil, err
		}
		l.space()
		if l.take(",") {
			continue
		}
		if l.take("]") {
			return p.match, l.end()
		}
		return nil, l.unexpected()
	}
}

// field reads one field.
func (p *fieldPattern) field(l *lexer) error {
	l.space()
	if l.take("...") {
		if p.ellipsis {
			return badPattern("Only one ellipsis is allowed")
		}
		p.ellipsis = true
		return nil
	}
	test, err := l.fieldTest()
	if err != nil {
		return err
	}
	if p.ellipsis {
		p.tail = append(p.tail, test)
	} else {
		p.head = append(p.head, test)
	}
	return nil
}

// fieldTest reads a field's name and conditions. All conditions of a field must
// call it by the same name.
func (l *lexer) fieldTest() (func(string) bool, error) {
	anything := func(string) bool { return true }
	if c := l.peek(); c == ',' || c == ']' {
		return anything, nil
	}
	begin := l.at
	if name := l.word(afterField); name != "" {
		if l.space(); l.peek() == ',' || l.peek() == ']' {
			return anything, nil
		}
	}
	l.at = begin
	field := ""
	return disjunction(l, func() (func(string) bool, error) {
		l.space()
		name := l.word(afterField)
		if name == "" || field != "" && name != field {
			return nil, badTerm(name)
		}
		field = name
		op, o, err := l.comparison(afterField)
		if err != nil {
			return nil, err
		}
		return func(value string) bool { return compareField(op, o, value) }, nil
	})
}

// compareField compares as numbers where both sides are, and otherwise as text.
func compareField(op string, o operand, value string) bool {
	if o.number != nil {
		if n, ok := parseNumber(value); ok {
			return compare(op, n, *o.number)
		}
	}
	switch op {
	case "=":
		return o.matchText(value)
	case "!=":
		return !o.matchText(value)
	default:
		return false
	}
}

// match applies the pattern. Without an ellipsis the last field takes what is
// left of the message; with one, every field is a single word.
func (p fieldPattern) match(message string) bool {
	limit := len(p.head)
	if p.ellipsis {
		limit = -1
	}
	words := splitFields(message, limit)
	if len(words) < len(p.head)+len(p.tail) {
		return false
	}
	for i, test := range p.head {
		if !test(words[i]) {
			return false
		}
	}
	offset := len(words) - len(p.tail)
	for i, test := range p.tail {
		if !test(words[offset+i]) {
			return false
		}
	}
	return true
}

// splitFields splits a message at white space. What stands between brackets or
// quotation marks is one field, without these. With a limit, which is not
// negative, the last field is all that remains.
func splitFields(message string, limit int) []string {
	var fields []string
	for {
		message = strings.TrimLeft(message, " \t\r\n")
		if message == "" {
			return fields
		}
		field, rest := splitField(message)
		if limit >= 0 && len(fields) == limit-1 && strings.TrimSpace(rest) != "" {
			return append(fields, strings.TrimRight(message, " \t\r\n"))
		}
		fields = append(fields, field)
		message = rest
	}
}

// splitField cuts the first field off a message that starts with one.
func splitField(message string) (field, rest string) {
	if closing := map[byte]string{'[': "]", '"': `"`}[message[0]]; closing != "" {
		if inner, rest, ok := strings.Cut(message[1:], closing); ok && (rest == "" || isSpace(rest[0])) {
			return inner, rest
		}
	}
	end := strings.IndexAny(message, " \t\r\n")
	if end < 0 {
		return message, ""
	}
	return message[:end], message[end:]
}
