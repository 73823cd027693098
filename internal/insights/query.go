package insights

import (
	"regexp"
	"strconv"
	"strings"
)

// defaultLimit is how many rows a query returns that has no limit (AWS docs: limit).
const defaultLimit = 10_000

// A Query is one that can be evaluated.
type Query struct {
	commands []command
	shown    []string // the columns of rows that are not statistics
	grouped  bool     // there are statistics
	sorted   bool
	limit    int
}

// A command is one of a query. Exactly one member is set.
type command struct {
	each   func(r *row) bool // false leaves the row out
	stats  *stats
	sorted []order
	limit  int
}

// An order is one of those that rows are sorted by.
type order struct {
	by   expr
	down bool
}

// Parse reads a query. The error is a *SyntaxError.
func Parse(query string) (*Query, error) {
	list, err := lex(query)
	if err != nil {
		return nil, err
	}
	p, q := &parser{query: query, list: list}, &Query{limit: defaultLimit}
	for {
		if err := p.command(q); err != nil {
			return nil, err
		}
		if p.peek().kind == end {
			return q, nil
		}
		if err := p.want("|"); err != nil {
			return nil, err
		}
	}
}

// command reads a command.
func (p *parser) command(q *Query) error {
	name := p.take()
	if name.kind != word {
		return problem(name.at, "a command is missing")
	}
	switch strings.ToLower(name.text) {
	case "fields", "display":
		return p.fields(q)
	case "filter", "where":
		test, err := p.or()
		q.commands = append(q.commands, command{each: func(r *row) bool { return truth(test(r)) }})
		return err
	case "parse":
		return p.parse(q)
	case "stats":
		return p.stats(q)
	case "sort":
		return p.sort(q)
	case "limit", "head":
		t := p.take()
		n, err := strconv.Atoi(t.text)
		if t.kind != number || err != nil || n < 1 {
			return problem(t.at, "limit takes a number above 0")
		}
		q.limit = n
		q.commands = append(q.commands, command{limit: n})
		return nil
	default:
		return problem(name.at, "the command %s is not known here", name.text)
	}
}

// named reads an expression and what it is called: as it is written, or behind "as".
func (p *parser) named(read func() (expr, error)) (name string, e expr, err error) {
	from := p.peek().at
	if e, err = read(); err != nil {
		return "", nil, err
	}
	name = strings.TrimSpace(p.query[from:p.peek().at])
	if t := p.list[p.i-1]; t.kind == word && t.at == from {
		name = t.text // without backticks
	}
	if p.is("as") {
		t := p.take()
		if t.kind != word {
			return "", nil, problem(t.at, "a name is missing behind as")
		}
		name = t.text
	}
	return name, e, nil
}

// fields reads the columns to show.
func (p *parser) fields(q *Query) error {
	for {
		name, e, err := p.named(p.or)
		if err != nil {
			return err
		}
		q.shown = append(q.shown, name)
		q.commands = append(q.commands, command{each: func(r *row) bool { r.set(name, e(r)); return true }})
		if !p.is(",") {
			return nil
		}
	}
}

// parse reads names out of a text by the groups of a regular expression.
func (p *parser) parse(q *Query) error {
	of, err := p.sum()
	if err != nil {
		return err
	}
	t := p.take()
	if t.kind != expression {
		return problem(t.at, "parse takes a regular expression here, such as /user=(?<user>\\S+)/")
	}
	form, err := regexp.Compile(t.text)
	if err != nil {
		return problem(t.at, "the regular expression cannot be read: %v", err)
	}
	q.commands = append(q.commands, command{each: func(r *row) bool {
		m := form.FindStringSubmatch(textOf(of(r)))
		for i, name := range form.SubexpNames() {
			if name != "" && m != nil {
				r.set(name, m[i])
			}
		}
		return true
	}})
	return nil
}

// sort reads by what rows are sorted.
func (p *parser) sort(q *Query) error {
	var list []order
	for {
		by, err := p.sum()
		if err != nil {
			return err
		}
		o := order{by: by}
		if !p.is("asc") {
			p.is("desc")
			o.down = true
		}
		list = append(list, o)
		if !p.is(",") {
			break
		}
	}
	q.sorted = true
	q.commands = append(q.commands, command{sorted: list})
	return nil
}

// stats reads statistics.
func (p *parser) stats(q *Query) error {
	s := &stats{}
	for {
		var a *aggregate
		name, _, err := p.named(func() (_ expr, err error) { a, err = p.aggregate(); return nil, err })
		if err != nil {
			return err
		}
		a.name = name
		s.list = append(s.list, a)
		if !p.is(",") {
			break
		}
	}
	if p.is("by") {
		for {
			name, e, err := p.named(p.sum)
			if err != nil {
				return err
			}
			s.by, s.names = append(s.by, e), append(s.names, name)
			if !p.is(",") {
				break
			}
		}
	}
	q.grouped = true
	q.sorted = false // anew
	q.commands = append(q.commands, command{stats: s})
	return nil
}

// aggregate reads a function of statistics.
func (p *parser) aggregate() (*aggregate, error) {
	name := p.take()
	begin, known := aggregates[strings.ToLower(name.text)]
	if name.kind != word || !known {
		return nil, problem(name.at, "the function of statistics %q is not known here", name.text)
	}
	if err := p.want("("); err != nil {
		return nil, err
	}
	a := &aggregate{begin: begin}
	if !p.is("*") && p.peek().text != ")" {
		var err error
		if a.of, err = p.or(); err != nil {
			return nil, err
		}
	}
	if p.is(",") {
		t := p.take()
		n, err := strconv.ParseFloat(t.text, 64)
		if t.kind != number || err != nil {
			return nil, problem(t.at, "a number is missing")
		}
		a.number = n
	}
	return a, p.want(")")
}
