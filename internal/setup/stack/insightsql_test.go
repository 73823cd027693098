package stack

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// This is a reader of the part of Logs Insights QL that the saved queries use, written
// from "CloudWatch Logs Insights language query syntax". It knows more than commas and
// brackets: which fields a command may name after stats has made new ones.

// insightsQuery is what a query names.
type insightsQuery struct {
	// fields are those of the events, codes the texts that type is compared with.
	fields, codes []string
	patterns      []string
	// made are the names that commands have made so far, and only says that there are
	// no others, as after stats.
	made map[string]bool
	only bool
}

// parseInsights reads a query.
func parseInsights(text string) (*insightsQuery, error) {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			lines = append(lines, line)
		}
	}
	tokens, err := insightsTokens(strings.Join(lines, ""))
	if err != nil {
		return nil, err
	}
	q := &insightsQuery{made: map[string]bool{}}
	p := &insightsReader{tokens: tokens, q: q}
	for {
		if err := p.command(); err != nil {
			return nil, fmt.Errorf("before token %d (%q): %w", p.at, p.peek(), err)
		}
		if p.done() {
			return q, nil
		}
		if !p.take("|") {
			return nil, fmt.Errorf("token %d: want a pipe, have %q", p.at, p.peek())
		}
	}
}

var insightsToken = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|'[^']*'|/(?:[^/\\\n]|\\.)+/|[0-9]+(?:\.[0-9]+)?[smhd]?\b|@?[A-Za-z_][A-Za-z0-9_.]*|!=|<=|>=|=~|[-|,()\[\]=<>+*/%^])`)

// insightsTokens splits a query. A slash begins a regular expression behind like and
// behind the field of parse, and divides elsewhere.
func insightsTokens(text string) (tokens []string, err error) {
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return tokens, nil
		}
		m := insightsToken.FindString(text)
		if strings.HasPrefix(m, "/") && len(m) > 1 && !regexFollows(tokens) {
			m = "/"
		}
		if m == "" {
			return nil, fmt.Errorf("cannot read %.20q", text)
		}
		tokens, text = append(tokens, m), text[len(m):]
	}
}

func regexFollows(tokens []string) bool {
	n := len(tokens)
	return n > 0 && tokens[n-1] == "like" || n > 1 && tokens[n-2] == "parse"
}

// insightsReader walks over the tokens of a query.
type insightsReader struct {
	tokens []string
	at     int
	q      *insightsQuery
}

func (p *insightsReader) done() bool { return p.at == len(p.tokens) }

func (p *insightsReader) peek() string {
	if p.done() {
		return ""
	}
	return p.tokens[p.at]
}

func (p *insightsReader) next() string {
	t := p.peek()
	if !p.done() {
		p.at++
	}
	return t
}

func (p *insightsReader) take(token string) bool {
	if p.peek() == token {
		p.at++
		return true
	}
	return false
}

func (p *insightsReader) want(token string) error {
	if !p.take(token) {
		return fmt.Errorf("want %q", token)
	}
	return nil
}

func (p *insightsReader) command() error {
	switch c := p.next(); c {
	case "filter":
		return p.expression(false)
	case "fields":
		return p.list(false, p.made)
	case "stats":
		return p.stats()
	case "sort":
		if err := p.field(); err != nil {
			return err
		}
		if !p.take("asc") && !p.take("desc") {
			return errors.New("want asc or desc")
		}
		return nil
	case "limit":
		if n := p.next(); !regexp.MustCompile(`^[1-9][0-9]{0,4}$`).MatchString(n) || len(n) == 5 && n > "10000" {
			return fmt.Errorf("%q is no limit", n)
		}
		return nil
	case "parse":
		return p.parse()
	default:
		return fmt.Errorf("%q is no command", c)
	}
}

// parse reads a field and a regular expression with named groups.
func (p *insightsReader) parse() error {
	if err := p.field(); err != nil {
		return err
	}
	expr := p.next()
	if !strings.HasPrefix(expr, "/") {
		return fmt.Errorf("want a regular expression, have %q", expr)
	}
	re, err := regexp.Compile(strings.Trim(expr, "/"))
	if err != nil {
		return err
	}
	p.q.patterns = append(p.q.patterns, strings.Trim(expr, "/"))
	for _, name := range re.SubexpNames()[1:] {
		if name == "" {
			return fmt.Errorf("a group of %s has no name", expr)
		}
		p.made(name)
	}
	return nil
}

func (p *insightsReader) made(name string) { p.q.made[name] = true }

// list reads expressions with names, separated by commas.
func (p *insightsReader) list(aggregate bool, name func(string)) error {
	for {
		if err := p.expression(aggregate); err != nil {
			return err
		}
		if p.take("as") {
			if !regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(p.peek()) {
				return fmt.Errorf("%q is no name", p.peek())
			}
			name(p.next())
		}
		if !p.take(",") {
			return nil
		}
	}
}

// stats reads aggregations and what they are grouped by. Behind it there is nothing but
// what it makes.
func (p *insightsReader) stats() error {
	made := map[string]bool{}
	if err := p.list(true, func(name string) { made[name] = true }); err != nil {
		return err
	}
	if p.take("by") {
		for {
			if p.peek() == "bin" {
				if err := p.call(); err != nil {
					return err
				}
			} else {
				made[p.peek()] = true
				if err := p.field(); err != nil {
					return err
				}
			}
			if !p.take(",") {
				break
			}
		}
	}
	p.q.made, p.q.only = made, true
	return nil
}

var (
	insightsAggregations = []string{"avg", "count", "count_distinct", "earliest", "latest", "max", "min", "pct", "sortsFirst", "sortsLast", "stddev", "sum"}
	insightsFunctions    = []string{"bin", "coalesce", "concat", "isblank", "ispresent", "strcontains", "toMillis"}
	insightsWords        = []string{"and", "or", "not", "in", "like", "as", "by", "asc", "desc"}
)

// expression reads comparisons joined by and, or, not. In stats every field must be
// within an aggregation.
func (p *insightsReader) expression(aggregate bool) error {
	for {
		p.take("not")
		if err := p.comparison(aggregate); err != nil {
			return err
		}
		if !p.take("and") && !p.take("or") {
			return nil
		}
	}
}

func (p *insightsReader) comparison(aggregate bool) error {
	subject := p.peek()
	if err := p.sum(aggregate); err != nil {
		return err
	}
	switch op := p.peek(); op {
	case "=", "!=", "<", ">", "<=", ">=":
		p.next()
		p.compared(subject, p.peek())
		return p.sum(aggregate)
	case "like":
		p.next()
		return p.like()
	case "in":
		p.next()
		return p.in(subject)
	}
	return nil
}

// compared notes an event code.
func (p *insightsReader) compared(field, with string) {
	if field == "type" {
		p.q.codes = append(p.q.codes, strings.Trim(with, `"`))
	}
}

func (p *insightsReader) like() error {
	t := p.next()
	if strings.HasPrefix(t, "/") {
		p.q.patterns = append(p.q.patterns, strings.Trim(t, "/"))
		_, err := regexp.Compile(strings.Trim(t, "/"))
		return err
	}
	if !strings.HasPrefix(t, `"`) {
		return fmt.Errorf("like %q", t)
	}
	return nil
}

func (p *insightsReader) in(subject string) error {
	if err := p.want("["); err != nil {
		return err
	}
	for {
		t := p.next()
		if !strings.HasPrefix(t, `"`) {
			return fmt.Errorf("in a list: %q", t)
		}
		p.compared(subject, t)
		if !p.take(",") {
			return p.want("]")
		}
	}
}

// sum reads values joined by arithmetic.
func (p *insightsReader) sum(aggregate bool) error {
	for {
		if err := p.value(aggregate); err != nil {
			return err
		}
		if !slices.Contains([]string{"+", "-", "*", "/", "%"}, p.peek()) {
			return nil
		}
		p.next()
	}
}

func (p *insightsReader) value(aggregate bool) error {
	t := p.peek()
	switch {
	case t == "(":
		p.next()
		if err := p.expression(aggregate); err != nil {
			return err
		}
		return p.want(")")
	case strings.HasPrefix(t, `"`), t != "" && unicode.IsDigit(rune(t[0])):
		p.next()
		return nil
	case p.at+1 < len(p.tokens) && p.tokens[p.at+1] == "(":
		if aggregate && !slices.Contains(insightsAggregations, t) {
			return fmt.Errorf("%q does not aggregate", t)
		}
		if !aggregate && !slices.Contains(insightsFunctions, t) {
			return fmt.Errorf("%q is no function", t)
		}
		return p.call()
	case aggregate:
		return fmt.Errorf("%q is not within an aggregation", t)
	default:
		return p.field()
	}
}

// call reads a function and its arguments.
func (p *insightsReader) call() error {
	name := p.next()
	if err := p.want("("); err != nil {
		return err
	}
	if name == "bin" {
		if !regexp.MustCompile(`^[0-9]+[smhd]$`).MatchString(p.next()) {
			return errors.New("bin wants a span of time")
		}
		return p.want(")")
	}
	if name == "count" && p.take("*") {
		return p.want(")")
	}
	for {
		if err := p.sum(false); err != nil {
			return err
		}
		if !p.take(",") {
			return p.want(")")
		}
	}
}

// field reads the name of a field.
func (p *insightsReader) field() error {
	t := p.next()
	if !regexp.MustCompile(`^@?[A-Za-z_]`).MatchString(t) || slices.Contains(insightsWords, t) {
		return fmt.Errorf("%q is no field", t)
	}
	if p.q.made[t] {
		return nil
	}
	if p.q.only {
		return fmt.Errorf("%q is gone: stats has not made it", t)
	}
	if !slices.Contains(p.q.fields, t) {
		p.q.fields = append(p.q.fields, t)
	}
	return nil
}
