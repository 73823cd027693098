package transform

import (
	"bytes"
	"slices"
)

// scan looks at one layer of a text for the kinds of values that rules are for, and
// for names of members that paths lead to: in a URL, a form or a piece of JSON that
// is not whole. whole is the rule for the text as such, because a name in quotes
// stands in it and nobody can tell where its value ends.
func (t *inText) scan(text []byte) (found []piece, whole int) {
	for k := range kindCount {
		if t.kinds&(1<<k) == 0 || t.found&(traitsOf(k)|hasPercent|hasEscape) == 0 {
			continue
		}
		find(k, text, func(from, to int) bool {
			found = append(found, piece{from, to, t.rules[k], k})
			return true
		})
	}
	if t.state == nil {
		return found, noRule
	}
	found = append(found, t.assigned(text)...)
	return found, t.named(text)
}

// assigned finds the values of name=value, as in a URL or a form.
func (t *inText) assigned(text []byte) (found []piece) {
	for i := 0; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '=')
		if n < 0 {
			return found
		}
		i += n
		end := i
		if end > 0 && text[end-1] == ']' { // of user[email]
			end--
		}
		from := end
		for from > 0 && isName(text[from-1]) {
			from--
		}
		if from == end {
			continue
		}
		rule := t.chosen(t.state.name(text[from:end]), noRule)
		if rule == noRule {
			continue
		}
		to := i + 1
		for to < len(text) && bytes.IndexByte([]byte("&;#\"' \t\r\n"), text[to]) < 0 {
			to++
		}
		if to > i+1 {
			found = append(found, piece{i + 1, to, rule, noKind})
			i = to - 1
		}
	}
	return found
}

// isName reports whether c may be of a name in a URL.
func isName(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '$' }

// named returns the rule for a name in quotes with a colon behind it. Which names lie
// within which cannot be told, so each may lie within all that stand before it.
func (t *inText) named(text []byte) int {
	const mostStates = 32
	rule, states := noRule, []*state{t.state}
	for i, c := range text {
		if c != ':' {
			continue
		}
		end := len(bytes.TrimRight(text[:i], " \t\r\n"))
		if end < 2 || text[end-1] != '"' && text[end-1] != '\'' {
			continue
		}
		const longest = 256
		from := bytes.LastIndexByte(text[max(0, end-longest):end-1], text[end-1])
		if from < 0 {
			continue
		}
		name := text[max(0, end-longest)+from+1 : end-1]
		for _, s := range states {
			next := s.name(name)
			rule = t.chosen(next, rule)
			if len(states) < mostStates && !slices.Contains(states, next) {
				states = append(states, next)
			}
		}
	}
	return rule
}
