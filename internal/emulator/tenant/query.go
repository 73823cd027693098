package tenant

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// searchable are the fields that a query may name (Auth0 docs: log search query
// syntax); their names are case sensitive.
var searchable = []string{
	"client_id", "client_name", "connection", "connection_id", "date", "description", "hostname", "ip", "log_id",
	"organization_id", "strategy", "strategy_type", "type", "user_agent", "user_id", "user_name",
}

// matcher tells whether a query matches an event.
type matcher func(e entry) bool

// queryParser reads the subset of Lucene's query language that Auth0 takes:
//
//	type:s   user_name:"a b"   user_id:auth0*   date:[2026-11-01 TO *}   login
//	a AND b   a OR b   a b   NOT a   -a   (a b)   type:(f OR fp)   _exists_:ip
//
// Terms side by side are joined by OR, as in Lucene.
type queryParser struct {
	tokens []token
	i      int
}

// parseQuery turns q into a matcher. The error is fit for the client.
func parseQuery(q string) (matcher, error) {
	tokens, err := scanQuery(q)
	if err != nil {
		return nil, err
	}
	p := &queryParser{tokens: tokens}
	m, err := p.or("")
	if err != nil {
		return nil, err
	}
	if p.i < len(p.tokens) {
		return nil, fmt.Errorf("unexpected %q", p.tokens[p.i].text)
	}
	return m, nil
}

func (p *queryParser) peek() token {
	if p.i < len(p.tokens) {
		return p.tokens[p.i]
	}
	return token{kind: tokenEnd}
}

func (p *queryParser) accept(kind tokenKind) bool {
	if p.peek().kind != kind {
		return false
	}
	p.i++
	return true
}

// or reads clauses joined by OR or by nothing. field is the one that terms
// without a field of their own belong to; empty means any.
func (p *queryParser) or(field string) (matcher, error) {
	left, err := p.and(field)
	for err == nil {
		joined := p.accept(tokenOr)
		if next := p.peek().kind; !joined && (next == tokenEnd || next == tokenClose) {
			break
		}
		a := left
		var b matcher
		if b, err = p.and(field); err == nil {
			left = func(e entry) bool { return a(e) || b(e) }
		}
	}
	return left, err
}

func (p *queryParser) and(field string) (matcher, error) {
	left, err := p.not(field)
	for err == nil && p.accept(tokenAnd) {
		a := left
		var b matcher
		if b, err = p.not(field); err == nil {
			left = func(e entry) bool { return a(e) && b(e) }
		}
	}
	return left, err
}

func (p *queryParser) not(field string) (matcher, error) {
	if !p.accept(tokenNot) {
		return p.clause(field)
	}
	m, err := p.not(field)
	if err != nil {
		return nil, err
	}
	return func(e entry) bool { return !m(e) }, nil
}

// clause reads a group, a range or a term, with or without a field before it.
func (p *queryParser) clause(field string) (matcher, error) {
	t := p.peek()
	p.i++
	switch t.kind {
	case tokenField:
		return p.fielded(t.text)
	case tokenOpen:
		m, err := p.or(field)
		if err == nil && !p.accept(tokenClose) {
			err = errors.New("a parenthesis is not closed")
		}
		return m, err
	case tokenRange:
		if field == "" {
			return nil, errors.New("a range needs a field")
		}
		return rangeMatcher(field, t)
	case tokenWord, tokenPhrase:
		return termMatcher(field, t), nil
	case tokenEnd:
		return nil, errors.New("it ends too early")
	default:
		return nil, fmt.Errorf("unexpected %q", t.text)
	}
}

func (p *queryParser) fielded(name string) (matcher, error) {
	if name == "_exists_" {
		t := p.peek()
		p.i++
		if t.kind != tokenWord || !slices.Contains(searchable, t.text) {
			return nil, fmt.Errorf("unknown field %q", t.text)
		}
		return func(e entry) bool { return field(e, t.text) != "" }, nil
	}
	if !slices.Contains(searchable, name) {
		return nil, fmt.Errorf("unknown field %q", name)
	}
	if kind := p.peek().kind; kind == tokenField {
		return nil, fmt.Errorf("unexpected %q", p.peek().text)
	}
	return p.clause(name)
}

// tokenKind is what a token is.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenPhrase // in quotes
	tokenField  // text before a colon
	tokenRange
	tokenOpen
	tokenClose
	tokenAnd
	tokenOr
	tokenNot
)

type token struct {
	kind tokenKind
	text string
	// of a range
	low, high             string
	withoutLow, withoutHi bool
}

// scanQuery splits a query into tokens.
func scanQuery(q string) ([]token, error) {
	var tokens []token
	for q = strings.TrimLeft(q, " \t"); q != ""; q = strings.TrimLeft(q, " \t") {
		t, rest, err := scanToken(q)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		q = rest
	}
	return tokens, nil
}

func scanToken(q string) (token, string, error) {
	switch q[0] {
	case '(':
		return token{kind: tokenOpen, text: "("}, q[1:], nil
	case ')':
		return token{kind: tokenClose, text: ")"}, q[1:], nil
	case '-', '!':
		return token{kind: tokenNot, text: q[:1]}, q[1:], nil
	case '+':
		return scanPlus(q)
	case '"':
		return scanPhrase(q[1:])
	case '[', '{':
		return scanRange(q)
	}
	for text, kind := range map[string]tokenKind{"&&": tokenAnd, "||": tokenOr} {
		if rest, ok := strings.CutPrefix(q, text); ok {
			return token{kind: kind, text: text}, rest, nil
		}
	}
	return scanWord(q)
}

func scanPlus(q string) (token, string, error) {
	rest := strings.TrimLeft(q[1:], " \t")
	if rest == "" {
		return token{}, "", errors.New("it ends too early")
	}
	return scanToken(rest)
}

func scanPhrase(q string) (token, string, error) {
	var b strings.Builder
	for i := 0; i < len(q); i++ {
		switch {
		case q[i] == '\\' && i+1 < len(q):
			i++
			b.WriteByte(q[i])
		case q[i] == '"':
			return token{kind: tokenPhrase, text: b.String()}, q[i+1:], nil
		default:
			b.WriteByte(q[i])
		}
	}
	return token{}, "", errors.New("a quotation mark is missing")
}

func scanRange(q string) (token, string, error) {
	end := strings.IndexAny(q, "]}")
	if end < 0 {
		return token{}, "", errors.New("a range is not closed")
	}
	words := strings.Fields(q[1:end])
	if len(words) != 3 || words[1] != "TO" {
		return token{}, "", errors.New("a range is written [a TO b]")
	}
	return token{
		kind: tokenRange, text: q[:end+1],
		low: strings.Trim(words[0], `"`), high: strings.Trim(words[2], `"`),
		withoutLow: q[0] == '{', withoutHi: q[end] == '}',
	}, q[end+1:], nil
}

// scanWord reads a word up to a blank or a parenthesis, or a field up to its
// colon. A backslash takes the character behind it as it is; for a wildcard that
// means that the backslash stays, to be seen by pattern.
func scanWord(q string) (token, string, error) {
	var b strings.Builder
	for i := 0; i < len(q); i++ {
		switch c := q[i]; {
		case c == '\\' && i+1 < len(q):
			i++
			if q[i] == '*' || q[i] == '?' || q[i] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(q[i])
		case c == ':' && isFieldName(b.String()):
			return token{kind: tokenField, text: b.String()}, q[i+1:], nil
		case strings.IndexByte(" \t()\"", c) >= 0:
			return word(b.String()), q[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	return word(b.String()), "", nil
}

// Names begin with a letter or an underscore. Times and addresses hold colons
// too: what stands before theirs is a number, or hexadecimal as in "fe80::1".
var (
	fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
	hexGroup  = regexp.MustCompile(`^[0-9A-Fa-f]{1,4}$`)
)

// isFieldName reports whether s is the name of a field if a colon follows.
func isFieldName(s string) bool { return fieldName.MatchString(s) && !hexGroup.MatchString(s) }

func word(s string) token {
	switch s {
	case "AND":
		return token{kind: tokenAnd, text: s}
	case "OR":
		return token{kind: tokenOr, text: s}
	case "NOT":
		return token{kind: tokenNot, text: s}
	default:
		return token{kind: tokenWord, text: s}
	}
}
