package transform

import (
	"bytes"
	"errors"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// traits say which bytes a text holds, so that most texts need no closer look.
type traits uint16

const (
	hasString traits = 1 << iota // set for every string
	hasAt
	hasPercent
	hasEscape
	hasDigit
	hasColon
	hasEquals
	hasDot
	hasB
)

// traitOf is the table of the bytes.
var traitOf = func() (t [256]traits) {
	for c := range t {
		switch {
		case c == '@':
			t[c] = hasAt
		case c == '%':
			t[c] = hasPercent
		case c >= '0' && c <= '9':
			t[c] = hasDigit
		case c == ':':
			t[c] = hasColon
		case c == '=':
			t[c] = hasEquals
		case c == '.':
			t[c] = hasDot
		case c == 'b', c == 'B':
			t[c] = hasB
		}
	}
	return t
}()

// skipString moves over a string and returns its traits; 0 when it is none.
func (d *doc) skipString() traits {
	found := hasString
	for i := d.i + 1; i < len(d.b); i++ {
		switch c := d.b[i]; {
		case c == '"':
			d.i = i + 1
			return found
		case c == '\\':
			found |= hasEscape
			_, n := unescapeOne(d.b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case c < ' ':
			return 0
		default:
			found |= traitOf[c]
		}
	}
	return 0
}

// str walks a string that stands as a value, or as the name of a member. The rule
// that it returns takes it away.
func (d *doc) str(st *state, rule int, key bool) (drop int, err error) {
	from := d.i
	found := d.skipString()
	if found == 0 {
		return noRule, errNotWalked
	}
	raw := d.b[from+1 : d.i-1]
	if d.quiet || len(raw) == 0 || key && d.plan.wantedKeys == 0 {
		return noRule, nil
	}
	if rule == noRule && found&d.plan.look == 0 && !maybeJSON(raw) {
		return noRule, nil
	}
	text := raw
	if found&hasEscape != 0 {
		text = unescape(raw)
	}
	t := inText{doc: d, text: text, state: st, found: found, kinds: d.plan.wanted, rules: &d.plan.kinds}
	if key {
		t.kinds, t.rules = d.plan.wantedKeys, &d.plan.keys
	}
	edits, drop, err := t.apply(rule, key)
	if err == nil && drop == noRule {
		d.lift(from+1, raw, found&hasEscape != 0, edits)
	}
	return drop, err
}

// maybeJSON reports whether a text may be JSON itself.
func maybeJSON(text []byte) bool {
	switch text[0] {
	case '{', '[', '"', '\\', ' ', '\t', '\r', '\n', byteOrderMark[0]:
		return true
	default:
		return false
	}
}

// inText applies rules to the text of a string.
type inText struct {
	*doc

	text  []byte
	state *state // nil in the name of a member
	found traits
	kinds kindSet
	rules *[kindCount]int
}

// apply returns the edits of the text, or the rule that takes it away.
func (t *inText) apply(rule int, key bool) (edits []edit, drop int, err error) {
	action := t.action(rule)
	if action != "" && action != ActionTruncate {
		rule, kind := t.wholly(rule)
		if t.action(rule) == ActionDrop {
			return nil, rule, nil
		}
		return t.put(rule, kind), noRule, nil
	}
	json := false
	if !key && maybeJSON(t.text) {
		if edits, json, err = t.asJSON(); err != nil {
			return nil, noRule, err
		}
	}
	if !json {
		edits, drop = t.pieces()
		if drop != noRule {
			return nil, drop, nil
		}
	}
	if action == ActionTruncate {
		edits = t.truncated(rule, edits)
	}
	return edits, noRule, nil
}

// wholly returns the rule that wins over the text as a whole, and the kind of value
// that it is where a rule for that kind wins.
func (t *inText) wholly(rule int) (int, kind) {
	winner, of := rule, noKind
	for k := range kindCount {
		if byKind := t.rules[k]; t.kinds&(1<<k) != 0 && t.r.first(byKind, winner) == byKind && byKind != winner && isWhole(k, t.text) {
			winner, of = byKind, k
		}
	}
	return winner, of
}

// put replaces the whole text by what a rule makes of it.
func (t *inText) put(rule int, kind kind) []edit {
	out := t.r.act(rule, kind, t.text)
	if bytes.Equal(out, t.text) {
		return nil
	}
	return []edit{{0, len(t.text), out, rule}}
}

// truncated cuts the text to the length of a rule, after the edits.
func (t *inText) truncated(rule int, edits []edit) []edit {
	after := splice(t.text, edits)
	n := t.r.rules[rule].Length
	at := 0
	for ; n > 0 && at < len(after); n-- {
		_, size := utf8.DecodeRune(after[at:])
		at += size
	}
	switch {
	case at == len(after):
		return edits
	case len(edits) == 0:
		return []edit{{at, len(t.text), nil, rule}}
	default:
		return []edit{{0, len(t.text), after[:at], rule}}
	}
}

// byteOrderMark is what some programs write before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// asJSON walks a text that is JSON itself: objects, arrays or strings, one or
// several. It returns false for any other text.
func (t *inText) asJSON() (edits []edit, ok bool, err error) {
	d := doc{walk: t.walk, b: t.text, within: t.within + 1}
	if bytes.HasPrefix(d.b, []byte(byteOrderMark)) {
		d.i = len(byteOrderMark)
	}
	d.space()
	if c := d.peek(); c != '{' && c != '[' && c != '"' {
		return nil, false, nil
	}
	if d.within > maxWithin {
		return nil, false, errWithin
	}
	for d.i < len(d.b) {
		from, mark := d.i, len(d.edits)
		if c := d.peek(); c != '{' && c != '[' && c != '"' {
			return nil, false, nil
		}
		drop, err := d.value(t.state, noRule, 0, false)
		switch {
		case errors.Is(err, errNotWalked):
			return nil, false, nil
		case err != nil:
			return nil, false, err
		case drop != noRule:
			d.edits = append(d.edits[:mark], edit{from, d.i, []byte("null"), drop})
		}
		d.space()
	}
	return d.edits, true, nil
}

// A piece is a part of a text that a rule is for.
type piece struct {
	from, to int
	rule     int
	kind     kind
}

// pieces finds the parts of a text that rules are for, by kinds and by names in it,
// and returns the edits, or the rule that takes the whole text away.
func (t *inText) pieces() (edits []edit, drop int) {
	var all []piece
	whole := noRule
	layers(t.text, func(text []byte, n int) {
		found, rule := t.scan(text)
		whole = t.r.first(whole, rule)
		var origin []int
		if len(found) > 0 {
			origin = origins(t.text, n)
		}
		for _, p := range found {
			if origin != nil {
				p.from, p.to = origin[p.from], origin[p.to]
			}
			all = append(all, p)
		}
	})
	if whole != noRule {
		if t.action(whole) == ActionDrop {
			return nil, whole
		}
		if t.action(whole) != ActionTruncate {
			return t.put(whole, noKind), noRule
		}
	}
	for _, p := range t.joined(all) {
		part := t.text[p.from:p.to]
		if t.action(p.rule) == ActionDrop && len(bytes.TrimSpace(t.text)) == len(bytes.TrimSpace(part)) {
			return nil, p.rule
		}
		plain := deepest(part)
		out := t.r.act(p.rule, p.kind, plain)
		if bytes.Equal(out, plain) {
			continue
		}
		if !bytes.Equal(plain, part) && bytes.IndexByte(part, '%') >= 0 {
			out = percent(out)
		}
		edits = append(edits, edit{p.from, p.to, out, p.rule})
	}
	if whole != noRule {
		edits = t.truncated(whole, edits)
	}
	return edits, noRule
}

// joined puts pieces in order and makes one of those that overlap.
func (t *inText) joined(all []piece) []piece {
	slices.SortStableFunc(all, func(a, b piece) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	out := all[:0]
	for _, p := range all {
		if len(out) == 0 || p.from >= out[len(out)-1].to {
			out = append(out, p)
			continue
		}
		last := &out[len(out)-1]
		inside := p.to <= last.to
		last.to = max(last.to, p.to)
		if rule := t.r.first(last.rule, p.rule); rule != last.rule || !inside {
			last.rule, last.kind = rule, noKind
		}
	}
	return out
}

// lift notes the edits of a string's text as edits of the string, whose content
// begins at that place. What is not edited keeps its escapes.
func (d *doc) lift(at int, raw []byte, escaped bool, edits []edit) {
	from, decoded := 0, 0
	to := func(target int) int { // moves over the raw text up to a place of the decoded one
		if !escaped {
			return target
		}
		for decoded < target && from < len(raw) {
			if raw[from] != '\\' {
				from++
				decoded++
				continue
			}
			r, n := unescapeOne(raw[from:])
			from += n
			decoded += utf8.RuneLen(r)
		}
		return from
	}
	for _, e := range edits {
		begin := to(e.from)
		d.edit(at+begin, at+to(e.to), appendEscaped(nil, e.with), e.rule)
	}
}

// unescapeOne reads the escape sequence at the beginning of b: its rune, half of a
// pair as U+FFFD, and its length; 0 for none.
func unescapeOne(b []byte) (r rune, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hex4(b[2:])
		if r < 0 {
			return 0, 0
		}
		if utf16.IsSurrogate(r) {
			if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
				if pair := utf16.DecodeRune(r, hex4(b[8:])); pair != utf8.RuneError {
					return pair, 12
				}
			}
			return utf8.RuneError, 6
		}
		return r, 6
	default:
		return 0, 0
	}
}

// hex4 reads four hexadecimal digits; -1 for none.
func hex4(b []byte) (r rune) {
	if len(b) < 4 {
		return -1
	}
	for _, c := range b[:4] {
		v := unhex(c)
		if v < 0 {
			return -1
		}
		r = r<<4 | v
	}
	return r
}

// unhex reads a hexadecimal digit; -1 for none.
func unhex(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	default:
		return -1
	}
}

// unhexByte reads the byte that two hexadecimal digits write.
func unhexByte(digits []byte) byte {
	return byte(unhex(digits[0])<<4 | unhex(digits[1])) //nolint:gosec // two digits make a byte
}

// unescape returns the text of the content of a valid string.
func unescape(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		r, n := unescapeOne(raw[i:])
		if n == 0 { // not valid after all
			return append(out, raw[i:]...)
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return out
}

// content returns the text of a string in quotes.
func content(quoted []byte) []byte {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return unescape(raw)
}

// quoted returns a text as a JSON string.
func quoted[T ~[]byte | ~string](text T) []byte {
	out := append(make([]byte, 0, len(text)+2), '"')
	return append(appendEscaped(out, []byte(text)), '"')
}

// appendEscaped appends a text as the content of a JSON string.
func appendEscaped(out, text []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			out = append(out, c)
		}
	}
	return out
}
