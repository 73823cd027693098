package cloudwatch

import (
	"strings"
	"unicode/utf8"
)

// terms is a pattern of terms, by what their sign makes of them.
type terms struct {
	required, optional, excluded []matcher
}

// parseTerms reads terms: words, "phrases" and %regular expressions%, each with
// no sign (must be there), ? (one of these must be there) or - (must not be
// there). A word is found wherever it stands, also inside another word.
func parseTerms(l *lexer) (matcher, error) {
	var t terms
	for l.space(); l.peek() != 0; l.space() {
		list := &t.required
		switch {
		case l.take("?"):
			list = &t.optional
		case l.take("-"):
			list = &t.excluded
			l.space() // older documentation writes: ERROR - "Exiting"
		}
		m, err := l.term()
		if err != nil {
			return nil, err
		}
		*list = append(*list, m)
	}
	return t.match, nil
}

// match applies the terms. Optional terms count only when there are no others.
func (t terms) match(message string) bool {
	for _, m := range t.required {
		if !m(message) {
			return false
		}
	}
	for _, m := range t.excluded {
		if m(message) {
			return false
		}
	}
	if len(t.required)+len(t.excluded) > 0 || len(t.optional) == 0 {
		return true
	}
	for _, m := range t.optional {
		if m(message) {
			return true
		}
	}
	return false
}

// term reads one term.
func (l *lexer) term() (matcher, error) {
	switch l.peek() {
	case '"':
		phrase, _, err := l.quoted()
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(phrase) == "" { // "" and " " match everything
			return func(string) bool { return true }, nil
		}
		return containing(phrase), l.separated()
	case '%':
		re, err := l.regex()
		if err != nil {
			return nil, err
		}
		return re.MatchString, l.separated()
	}
	word := l.word("")
	for i := range len(word) {
		if c := word[i]; !isWord(c) && c < utf8.RuneSelf {
			return nil, badTerm(word)
		}
	}
	if word == "" {
		return nil, l.unexpected()
	}
	return containing(word), nil
}

// separated checks that a term ends where it seems to.
func (l *lexer) separated() error {
	if c := l.peek(); c != 0 && !isSpace(c) {
		return badTerm(l.word(""))
	}
	return nil
}

func badTerm(term string) error {
	return badPattern("Invalid character(s) in term '%s'", term)
}

func containing(text string) matcher {
	return func(message string) bool { return strings.Contains(message, text) }
}
