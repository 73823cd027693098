package cloudwatch

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// parseJSONPattern reads { conditions }. A message that is no JSON object never
// matches.
func parseJSONPattern(l *lexer) (matcher, error) {
	l.take("{")
	match, err := disjunction(l, l.jsonCondition)
	if err != nil {
		return nil, err
	}
	if l.space(); !l.take("}") {
		return nil, l.unexpected()
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	return func(message string) bool {
		if !gjson.Valid(message) {
			return false
		}
		root := gjson.Parse(message)
		return root.IsObject() && match(root)
	}, nil
}

// afterSelector ends the name of a property.
const afterSelector = `.[]=!<>(){}&|"',%`

// afterValue ends a value without quotes.
const afterValue = `(){}&|"<>=!`

// jsonCondition reads a selector and what is said of it.
func (l *lexer) jsonCondition() (func(gjson.Result) bool, error) {
	l.space()
	sel, err := l.selector()
	if err != nil {
		return nil, err
	}
	l.space()
	switch {
	case l.keyword("NOT"):
		if l.space(); !l.keyword("EXISTS") {
			return nil, l.unexpected()
		}
		return func(root gjson.Result) bool {
			return !sel.any(root, func(gjson.Result) bool { return true })
		}, nil
	case l.keyword("IS"):
		return l.isCondition(sel)
	}
	op, o, err := l.comparison(afterValue)
	if err != nil {
		return nil, err
	}
	return func(root gjson.Result) bool {
		return sel.any(root, func(v gjson.Result) bool { return compareJSON(op, o, v) })
	}, nil
}

// keyword reads a word that is written in capitals.
func (l *lexer) keyword(word string) bool {
	rest := l.rest()
	if !strings.HasPrefix(rest, word) || len(rest) > len(word) && isWord(rest[len(word)]) {
		return false
	}
	l.at += len(word)
	return true
}

// isCondition reads what follows IS.
func (l *lexer) isCondition(sel selector) (func(gjson.Result) bool, error) {
	l.space()
	for word, kind := range map[string]gjson.Type{"NULL": gjson.Null, "TRUE": gjson.True, "FALSE": gjson.False} {
		if l.keyword(word) {
			return func(root gjson.Result) bool {
				return sel.any(root, func(v gjson.Result) bool { return v.Type == kind })
			}, nil
		}
	}
	return nil, l.unexpected()
}

// compareJSON compares a value that exists. Objects, arrays and null compare
// with nothing, not even as different; so does a property that is missing.
func compareJSON(op string, o operand, v gjson.Result) bool {
	switch {
	case v.Type == gjson.JSON || v.Type == gjson.Null:
		return false
	case v.Type == gjson.Number && o.number != nil:
		return compare(op, v.Num, *o.number)
	case op == "=":
		return equalJSON(o, v)
	case op == "!=":
		return !equalJSON(o, v)
	default:
		return false
	}
}

// equalJSON compares as text. What stands in quotes equals strings alone, but
// "*" equals whatever is there.
func equalJSON(o operand, v gjson.Result) bool {
	switch {
	case v.Type == gjson.String:
		return o.matchText(v.Str)
	case o.isQuoted:
		return o.text.anything()
	default:
		return o.matchText(v.Raw)
	}
}

// A selector is the path to a property; a step is a name, an index or, when it
// is a wildcard, all members or elements.
type selector []step

type step struct {
	name     string
	index    int
	isIndex  bool
	wildcard bool
}

// selector reads a selector such as $.a.b[0]['dotted.name'].
func (l *lexer) selector() (selector, error) {
	if !l.take("$") {
		return nil, l.unexpected()
	}
	var sel selector
	wildcards := 0
	for {
		st, ok, err := l.step()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if st.wildcard {
			wildcards++
		}
		sel = append(sel, st)
	}
	l.wildcards += wildcards
	switch {
	case len(sel) == 0:
		return nil, l.unexpected()
	case wildcards > 1 || l.wildcards > maxWildcards:
		return nil, badPattern("Only one wildcard in a property selector and %d in a pattern are allowed", maxWildcards)
	}
	return sel, nil
}

// step reads the next step of a selector; ok is false at its end.
func (l *lexer) step() (st step, ok bool, err error) {
	dot := l.take(".")
	if l.peek() == '[' {
		l.at++
		st, err = l.bracket()
		return st, true, err
	}
	if !dot {
		return step{}, false, nil
	}
	name := l.word(afterSelector)
	switch {
	case name == "*":
		return step{wildcard: true}, true, nil
	case name == "" || strings.Contains(name, "*"):
		return step{}, false, l.unexpected()
	}
	return step{name: name}, true, nil
}

// bracket reads an index, a star or a quoted name, and the closing bracket.
func (l *lexer) bracket() (st step, err error) {
	if quote := l.peek(); quote == '\'' || quote == '"' {
		name, _, closed := strings.Cut(l.rest()[1:], string(quote)+"]")
		if !closed || name == "" {
			return st, l.unexpected()
		}
		l.at += len(name) + 3
		return step{name: name}, nil
	}
	text := l.word("]")
	if !l.take("]") {
		return st, l.unexpected()
	}
	if text == "*" {
		return step{wildcard: true, isIndex: true}, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return st, badTerm("[" + text + "]")
	}
	return step{index: int(n), isIndex: true}, nil
}

// any reports whether test holds for a value that the selector finds.
func (sel selector) any(v gjson.Result, test func(gjson.Result) bool) bool {
	if len(sel) == 0 {
		return test(v)
	}
	st := sel[0]
	if st.isIndex && !v.IsArray() || !st.isIndex && !v.IsObject() {
		return false
	}
	found, at := false, 0
	v.ForEach(func(key, value gjson.Result) bool {
		if st.wildcard || st.isIndex && at == st.index || !st.isIndex && key.Str == st.name {
			found = sel[1:].any(value, test)
			if !st.wildcard {
				return false
			}
		}
		at++
		return !found
	})
	return found
}
