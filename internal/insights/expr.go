package insights

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An expr computes a value of a row.
type expr func(r *row) value

// A parser reads a query.
type parser struct {
	query string
	list  []token
	i     int
}

// peek returns the next token, take takes it.
func (p *parser) peek() token { return p.list[p.i] }

func (p *parser) take() token {
	t := p.list[p.i]
	if t.kind != end {
		p.i++
	}
	return t
}

// is takes a symbol, or a word in any case, if it comes next.
func (p *parser) is(s string) bool {
	t := p.peek()
	if t.kind == symbol && t.text == s || t.kind == word && strings.EqualFold(t.text, s) {
		p.i++
		return true
	}
	return false
}

// want takes a symbol that must come next.
func (p *parser) want(s string) error {
	if !p.is(s) {
		return p.unexpected("expected " + strconv.Quote(s))
	}
	return nil
}

// unexpected says that what comes next is not what is expected.
func (p *parser) unexpected(expected string) error {
	t := p.peek()
	if t.kind == end {
		return problem(t.at, "%s, and the query ends", expected)
	}
	return problem(t.at, "%s before %q", expected, p.query[t.at:min(len(p.query), t.at+20)])
}

// or reads an expression.
func (p *parser) or() (expr, error) {
	return p.chain("or", p.and, func(a, b expr) expr { return func(r *row) value { return truth(a(r)) || truth(b(r)) } })
}

func (p *parser) and() (expr, error) {
	return p.chain("and", p.not, func(a, b expr) expr { return func(r *row) value { return truth(a(r)) && truth(b(r)) } })
}

// chain reads operands with the same word between them.
func (p *parser) chain(between string, operand func() (expr, error), join func(a, b expr) expr) (expr, error) {
	a, err := operand()
	for err == nil && p.is(between) {
		var b expr
		if b, err = operand(); err == nil {
			a = join(a, b)
		}
	}
	return a, err
}

func (p *parser) not() (expr, error) {
	if p.is("not") {
		a, err := p.not()
		return func(r *row) value { return !truth(a(r)) }, err
	}
	return p.comparison()
}

// comparison reads two operands with a comparison between them, or one alone.
func (p *parser) comparison() (expr, error) {
	a, err := p.sum()
	if err != nil {
		return nil, err
	}
	negated := false
	if t := p.peek(); t.kind == word && strings.EqualFold(t.text, "not") {
		p.i++
		negated = true
	}
	var test expr
	switch {
	case p.is("like"), p.is("=~"):
		test, err = p.like(a)
	case p.is("in"):
		test, err = p.in(a)
	case negated:
		return nil, p.unexpected("expected like or in")
	default:
		return p.ordered(a)
	}
	if negated {
		return func(r *row) value { return !truth(test(r)) }, err
	}
	return test, err
}

// ordered reads a comparison of size, if there is one. With a value that is not there
// only != holds.
func (p *parser) ordered(a expr) (expr, error) {
	for op, holds := range map[string]func(int) bool{
		"=": func(c int) bool { return c == 0 }, "!=": func(c int) bool { return c != 0 },
		"<": func(c int) bool { return c < 0 }, "<=": func(c int) bool { return c <= 0 },
		">": func(c int) bool { return c > 0 }, ">=": func(c int) bool { return c >= 0 },
	} {
		if t := p.peek(); t.kind != symbol || t.text != op {
			continue
		}
		p.i++
		b, err := p.sum()
		return func(r *row) value {
			x, y := a(r), b(r)
			if x == nil || y == nil {
				return op == "!=" && (x != nil || y != nil)
			}
			return holds(compare(x, y))
		}, err
	}
	return a, nil
}

// like reads what a value is compared with: part of a text, or an expression.
func (p *parser) like(a expr) (expr, error) {
	from := p.i
	switch t := p.take(); t.kind {
	case text:
		return func(r *row) value { return strings.Contains(textOf(a(r)), t.text) }, nil
	case expression:
		form, err := regexp.Compile(t.text)
		if err != nil {
			return nil, problem(t.at, "the regular expression cannot be read: %v", err)
		}
		return func(r *row) value { return form.MatchString(textOf(a(r))) }, nil
	default:
		p.i = from
		return nil, p.unexpected("expected a text or a regular expression")
	}
}

// in reads a list of values.
func (p *parser) in(a expr) (expr, error) {
	if err := p.want("["); err != nil {
		return nil, err
	}
	var list []expr
	for {
		x, err := p.sum()
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		if p.is("]") {
			break
		}
		if err := p.want(","); err != nil {
			return nil, err
		}
	}
	return func(r *row) value {
		v := a(r)
		for _, x := range list {
			if v != nil && compare(v, x(r)) == 0 {
				return true
			}
		}
		return false
	}, nil
}

// sum reads additions, product multiplications.
func (p *parser) sum() (expr, error) { return p.arithmetic([]string{"+", "-"}, p.product) }

func (p *parser) product() (expr, error) {
	return p.arithmetic([]string{"*", "/", "%"}, p.primary)
}

// arithmetic reads operands with signs between them.
func (p *parser) arithmetic(signs []string, operand func() (expr, error)) (expr, error) {
	a, err := operand()
	for err == nil {
		sign := ""
		for _, s := range signs {
			if sign == "" && p.is(s) {
				sign = s
			}
		}
		if sign == "" {
			break
		}
		var b expr
		if b, err = operand(); err == nil {
			a = calculate(sign, a, b)
		}
	}
	return a, err
}

// calculate makes the expression of a sign.
func calculate(sign string, a, b expr) expr {
	return func(r *row) value {
		x, isX := numberOf(a(r))
		y, isY := numberOf(b(r))
		if !isX || !isY || y == 0 && (sign == "/" || sign == "%") {
			return nil
		}
		switch sign {
		case "+":
			return x + y
		case "-":
			return x - y
		case "*":
			return x * y
		case "/":
			return x / y
		default:
			return math.Mod(x, y)
		}
	}
}

// primary reads an operand.
func (p *parser) primary() (expr, error) {
	from := p.i
	switch t := p.take(); {
	case t.kind == text:
		return func(*row) value { return t.text }, nil
	case t.kind == number:
		n, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, problem(t.at, "%q is no number", t.text)
		}
		return func(*row) value { return n }, nil
	case t.kind == symbol && t.text == "-":
		a, err := p.primary()
		return calculate("-", func(*row) value { return 0.0 }, a), err
	case t.kind == symbol && t.text == "(":
		a, err := p.or()
		if err != nil {
			return nil, err
		}
		return a, p.want(")")
	case t.kind == word && p.is("("):
		return p.call(t)
	case t.kind == word:
		return func(r *row) value { return r.get(t.text) }, nil
	default:
		p.i = from
		return nil, p.unexpected("expected a value")
	}
}

// call reads the arguments of a function and makes it.
func (p *parser) call(name token) (expr, error) {
	if strings.EqualFold(name.text, "bin") {
		return p.bin(name)
	}
	var args []expr
	for !p.is(")") {
		if len(args) > 0 {
			if err := p.want(","); err != nil {
				return nil, err
			}
		}
		a, err := p.or()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	f, ok := functions[strings.ToLower(name.text)]
	if !ok {
		return nil, problem(name.at, "the function %s is not known here", name.text)
	}
	if f.args >= 0 && len(args) != f.args || f.args < 0 && len(args) == 0 {
		return nil, problem(name.at, "%s takes %d arguments and not %d", name.text, max(1, f.args), len(args))
	}
	return func(r *row) value {
		values := make([]value, len(args))
		for i, a := range args {
			values[i] = a(r)
		}
		return f.of(values)
	}, nil
}

// bin reads a span such as 5m: the beginning of the span in which an event lies.
func (p *parser) bin(name token) (expr, error) {
	t := p.take()
	n := span(t.text, func(c byte) bool { return c >= '0' && c <= '9' })
	count, err := strconv.Atoi(t.text[:n])
	unit := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}[t.text[n:]]
	if t.kind != number || err != nil || count <= 0 || count > 10_000 || unit == 0 {
		return nil, problem(name.at, "bin takes a span such as 5m or 1h")
	}
	step := (time.Duration(count) * unit).Milliseconds()
	return func(r *row) value { return timeOf(r.at - r.at%step) }, p.want(")")
}

// A function has a number of arguments, any when it is below 0.
type function struct {
	args int
	of   func([]value) value
}

// functions are those of a row.
var functions = map[string]function{
	"abs":       {1, func(v []value) value { return ofNumber(v[0], math.Abs) }},
	"ceil":      {1, func(v []value) value { return ofNumber(v[0], math.Ceil) }},
	"floor":     {1, func(v []value) value { return ofNumber(v[0], math.Floor) }},
	"ispresent": {1, func(v []value) value { return v[0] != nil }},
	"isempty":   {1, func(v []value) value { return textOf(v[0]) == "" }},
	"isblank":   {1, func(v []value) value { return strings.TrimSpace(textOf(v[0])) == "" }},
	"strlen":    {1, func(v []value) value { return float64(len([]rune(textOf(v[0])))) }},
	"tolower":   {1, func(v []value) value { return strings.ToLower(textOf(v[0])) }},
	"toupper":   {1, func(v []value) value { return strings.ToUpper(textOf(v[0])) }},
	"trim":      {1, func(v []value) value { return strings.TrimSpace(textOf(v[0])) }},
	"strcontains": {2, func(v []value) value {
		return strings.Contains(textOf(v[0]), textOf(v[1]))
	}},
	"tomillis": {1, func(v []value) value {
		if ms, ok := millisOf(v[0]); ok {
			return ms
		}
		return nil
	}},
	"coalesce": {-1, func(v []value) value {
		for _, x := range v {
			if x != nil {
				return x
			}
		}
		return nil
	}},
	"concat": {-1, func(v []value) value {
		var b strings.Builder
		for _, x := range v {
			b.WriteString(textOf(x))
		}
		return b.String()
	}},
}

// ofNumber applies a function to a number.
func ofNumber(v value, f func(float64) float64) value {
	if n, ok := numberOf(v); ok {
		return f(n)
	}
	return nil
}
