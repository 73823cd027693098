package transform

import (
	"bytes"
	"errors"
	"strings"
)

// Bounds of what is walked. Auth0's events nest less than twenty levels deep, and
// JSON within strings twice at most.
const (
	maxNesting = 500 // objects and arrays within one another, as package event has it
	maxWithin  = 8   // JSON within strings within JSON
)

// Reasons why rules cannot be applied.
var (
	errNotWalked = errors.New("the record is not valid JSON")
	errTooDeep   = errors.New("the record nests too deeply")
	errWithin    = errors.New("JSON within strings nests too deeply")
	errOwnValue  = errors.New("its id or type holds what a rule takes out")
)

// A walk applies rules to one event.
type walk struct {
	r       *Redactor
	plan    *plan
	id, typ string
}

// record walks a whole record.
func (w *walk) record(raw []byte) ([]edit, error) {
	d := doc{walk: w, b: raw}
	d.space()
	if d.peek() != '{' {
		return nil, errNotWalked
	}
	if err := d.object(w.r.start, noRule, 0, true); err != nil {
		return nil, err
	}
	if d.space(); d.i != len(d.b) {
		return nil, errNotWalked
	}
	return d.edits, nil
}

// An edit puts other bytes in the place of some.
type edit struct {
	from, to int
	with     []byte
	rule     int
}

// A doc is a JSON text that is walked once, from the beginning to the end: a record,
// or the text of a string in one. Its edits are in order and do not overlap.
type doc struct {
	*walk

	b      []byte
	i      int
	within int  // strings around it
	quiet  bool // what is walked goes away as a whole
	edits  []edit
}

// peek returns the byte at the position, and 0 at the end; 0 is never valid.
func (d *doc) peek() byte {
	if d.i < len(d.b) {
		return d.b[d.i]
	}
	return 0
}

// space moves over what JSON calls whitespace.
func (d *doc) space() {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\t', '\r', '\n':
			d.i++
		default:
			return
		}
	}
}

// next moves over space and over c, if c is there.
func (d *doc) next(c byte) bool {
	if d.space(); d.peek() != c {
		return false
	}
	d.i++
	return true
}

// chosen returns the rule for a value: of those that hit it and the one for all that
// it lies in.
func (d *doc) chosen(st *state, inherited int) int {
	for _, h := range st.hits {
		if d.plan.active[h] {
			inherited = d.r.first(inherited, h)
		}
	}
	return inherited
}

// action returns the action of a rule, empty without one.
func (d *doc) action(rule int) string {
	if rule == noRule {
		return ""
	}
	return d.r.rules[rule].Action
}

// child walks the value of a member or an element. The rule that it returns takes
// the value away; noRule leaves it in its place.
func (d *doc) child(st *state, inherited, depth int, root bool) (drop int, err error) {
	rule := d.chosen(st, inherited)
	if rule == noRule && st.blind && d.plan.wanted == 0 && !d.quiet { // no rule is for anything in it
		d.quiet = true
		_, err = d.value(st, noRule, depth, false)
		d.quiet = false
		return noRule, err
	}
	from, c := d.i, d.peek()
	action := d.action(rule)
	whole := action == ActionDrop || action == ActionReplace && c != '"'
	if whole && !d.quiet {
		d.quiet = true
		_, err = d.value(st, noRule, depth, false)
		d.quiet = false
		if action == ActionDrop {
			return rule, err
		}
		d.edit(from, d.i, quoted(d.r.rules[rule].replacement), rule)
		return noRule, err
	}
	return d.value(st, rule, depth, root)
}

// edit notes an edit.
func (d *doc) edit(from, to int, with []byte, rule int) {
	if !d.quiet {
		d.edits = append(d.edits, edit{from, to, with, rule})
	}
}

// value walks a value under a rule that is for the texts in it.
func (d *doc) value(st *state, rule, depth int, root bool) (drop int, err error) {
	switch c := d.peek(); c {
	case '{':
		return noRule, d.object(st, rule, depth, root)
	case '[':
		return noRule, d.array(st, rule, depth)
	case '"':
		return d.str(st, rule, false)
	case 'n':
		return noRule, d.word("null")
	case 't', 'f':
		from, word := d.i, "true"
		if c == 'f' {
			word = "false"
		}
		if err := d.word(word); err != nil {
			return noRule, err
		}
		return d.literal(from, rule)
	default:
		from := d.i
		if !d.number() {
			return noRule, errNotWalked
		}
		return d.literal(from, rule)
	}
}

// literal applies a rule to a number, true or false: to its text, which then becomes
// a string.
func (d *doc) literal(from, rule int) (drop int, err error) {
	if d.quiet {
		return noRule, nil
	}
	text := d.b[from:d.i]
	kind := noKind
	if d.plan.wanted&(1<<kindPhone) != 0 && text[0] >= '0' && text[0] <= '9' && isWhole(kindPhone, text) {
		if byKind := d.plan.kinds[kindPhone]; d.r.first(byKind, rule) == byKind {
			rule, kind = byKind, kindPhone
		}
	}
	switch {
	case rule == noRule:
		return noRule, nil
	case d.action(rule) == ActionDrop:
		return rule, nil
	}
	if out := d.r.act(rule, kind, text); !bytes.Equal(out, text) {
		d.edit(from, d.i, quoted(out), rule)
	}
	return noRule, nil
}

// object walks an object. Where root is set it is the record, or its envelope.
func (d *doc) object(st *state, rule, depth int, root bool) error {
	if depth >= maxNesting {
		return errTooDeep
	}
	d.i++ // the brace
	if d.next('}') {
		return nil
	}
	var g gap
	for {
		d.space()
		keyAt, mark := d.i, len(d.edits)
		g.begin(d, keyAt)
		drop, err := d.member(st, rule, depth, root)
		if err != nil {
			return err
		}
		if drop != noRule && !d.quiet {
			d.edits = d.edits[:mark]
			g.drop(d, keyAt, drop)
		} else {
			g.kept = true
		}
		g.end = d.i
		if !d.next(',') {
			break
		}
	}
	if !d.next('}') {
		return errNotWalked
	}
	return nil
}

// A gap closes the holes that members leave which are taken out, with one of the
// commas beside each.
type gap struct {
	kept bool // a member that stays came before
	end  int  // of the value before
	open int  // 1 + the edit that goes on up to the next member
}

// begin tells that another member begins.
func (g *gap) begin(d *doc, at int) {
	if g.open > 0 {
		d.edits[g.open-1].to = at
		g.open = 0
	}
}

// drop takes the member out that began there and ends at the position.
func (g *gap) drop(d *doc, at, rule int) {
	if g.kept {
		d.edit(g.end, d.i, nil, rule)
		return
	}
	d.edit(at, d.i, nil, rule)
	g.open = len(d.edits)
}

// member walks a member. The rule that it returns takes it out.
func (d *doc) member(st *state, rule, depth int, root bool) (drop int, err error) {
	if d.peek() != '"' {
		return noRule, errNotWalked
	}
	keyAt := d.i
	if drop, err = d.str(nil, noRule, true); err != nil {
		return noRule, err
	}
	key := content(d.b[keyAt:d.i])
	if !d.next(':') {
		return noRule, errNotWalked
	}
	d.space()
	if root && d.ownMember(key) {
		quiet := d.quiet
		d.quiet = true
		_, err := d.value(st, noRule, depth+1, false)
		d.quiet = quiet
		return noRule, err
	}
	inner := root && (string(key) == "data" || string(key) == "detail")
	byValue, err := d.child(st.name(key), rule, depth+1, inner)
	if drop == noRule {
		drop = byValue
	}
	return drop, err
}

// array walks an array.
func (d *doc) array(st *state, rule, depth int) error {
	if depth >= maxNesting {
		return errTooDeep
	}
	d.i++ // the bracket
	if d.next(']') {
		return nil
	}
	for i := 0; ; i++ {
		d.space()
		from, mark := d.i, len(d.edits)
		drop, err := d.child(st.at(i), rule, depth+1, false)
		if err != nil {
			return err
		}
		if drop != noRule && !d.quiet {
			d.edits = d.edits[:mark]
			d.edit(from, d.i, []byte("null"), drop) // the others keep their places
		}
		if !d.next(',') {
			break
		}
	}
	if !d.next(']') {
		return errNotWalked
	}
	return nil
}

// ownMember reports whether the value at the position is what gapless has found the
// event by: its id, its type, or a date that is nothing but a date. It does not move.
func (d *doc) ownMember(key []byte) bool {
	if !IsOwnMember(string(key)) {
		return false
	}
	at := d.i
	defer func() { d.i = at }()
	var text []byte
	switch {
	case d.peek() == '"' && d.skipString() != 0:
		text = content(d.b[at:d.i])
	case d.peek() != '"' && d.number():
		text = d.b[at:d.i]
	default:
		return false
	}
	switch string(key) {
	case "type":
		return string(text) == d.typ
	case "date":
		return isDate(text)
	default:
		return string(text) == d.id
	}
}

// isDate reports whether a text has no characters but those of a date.
func isDate(text []byte) bool {
	const longest = 40
	for _, c := range text {
		if (c < '0' || c > '9') && !bytes.ContainsRune([]byte("TZtz:.+- "), rune(c)) {
			return false
		}
	}
	return len(text) <= longest && len(text) >= len("2006") && text[0] != '+' && text[0] != '-'
}

// checkOwn refuses an event whose id or type, which have to stay, hold what a rule
// takes out everywhere.
func (w *walk) checkOwn() error {
	for _, text := range [...]string{w.id, w.typ} {
		if !strings.ContainsAny(text, "@%\\. \t+:=\"'") {
			continue
		}
		for _, k := range []kind{kindEmail, kindJWT, kindBearer} {
			if w.plan.wanted&(1<<k) != 0 && holds(k, []byte(text)) {
				return errOwnValue
			}
		}
	}
	return nil
}

// holdsKind reports whether a text that would be shown holds what should not be.
func (*Redactor) holdsKind(text []byte) bool {
	return holds(kindEmail, text) || holds(kindJWT, text) || holds(kindBearer, text)
}

// word moves over a literal.
func (d *doc) word(w string) error {
	if len(d.b)-d.i < len(w) || string(d.b[d.i:d.i+len(w)]) != w {
		return errNotWalked
	}
	d.i += len(w)
	return nil
}

// number moves over a number.
func (d *doc) number() bool {
	if d.peek() == '-' {
		d.i++
	}
	if d.peek() == '0' {
		d.i++
	} else if !d.digits() {
		return false
	}
	if d.peek() == '.' {
		d.i++
		if !d.digits() {
			return false
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.i++
		if c := d.peek(); c == '+' || c == '-' {
			d.i++
		}
		return d.digits()
	}
	return true
}

// digits moves over at least one digit.
func (d *doc) digits() bool {
	from := d.i
	for d.peek() >= '0' && d.peek() <= '9' {
		d.i++
	}
	return d.i > from
}
