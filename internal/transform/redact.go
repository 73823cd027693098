package transform

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A RedactRule says what becomes of the values that it hits. It names paths or
// kinds, not both.
type RedactRule struct {
	// Name is what reasons and hits call the rule; it must be harmless to show.
	Name string
	// Paths are those of values; see event.ParsePath.
	Paths []string
	// Kinds are those of values to be found anywhere; see RedactKinds.
	Kinds []string
	// Keys says that kinds are looked for in the names of members too.
	Keys bool
	// Types are the event types that the rule is for, with * and ?; all when empty.
	Types []string
	// Action is what is done; see RedactActions.
	Action string
	// Length is how many characters truncate leaves; at least 1.
	Length int
	// With is what replace puts there; "***" when empty.
	With string
}

// The actions.
const (
	ActionDrop     = "drop"     // take the member out; an element of an array becomes null
	ActionMask     = "mask"     // keep the shape: a first letter, a domain, a network
	ActionHash     = "hash"     // HMAC-SHA-256 in hex
	ActionTruncate = "truncate" // keep the first characters
	ActionReplace  = "replace"  // put a text in its place
)

// RedactActions returns the names of the actions.
func RedactActions() []string {
	return []string{ActionDrop, ActionMask, ActionHash, ActionTruncate, ActionReplace}
}

// MinRedactKey is the least length of the key of hashes, in bytes.
const MinRedactKey = 16

// A RedactConfig is what NewRedactor needs.
type RedactConfig struct {
	// Rules come before those of the presets.
	Rules []RedactRule
	// Presets are names of RedactPresets.
	Presets []string
	// Key is that of hashes: MinRedactKey bytes or more, or none.
	Key []byte
}

// Errors of NewRedactor.
var (
	errRuleTarget = errors.New("it needs either paths or kinds")
	errRuleAction = errors.New("unknown action")
	errRuleKind   = errors.New("unknown kind")
	errRuleKey    = errors.New("hash needs a key")
	errShortKey   = errors.New("the key is shorter than 16 bytes")
	errRuleLength = errors.New("truncate needs a length of 1 or more")
	errRuleOwn    = errors.New("log_id, _id, date and type cannot be redacted: gapless needs them")
	errPreset     = errors.New("unknown preset")
	errFault      = errors.New("a fault of gapless")
)

// rule is a compiled RedactRule.
type rule struct {
	RedactRule

	replacement string
}

// A Redactor applies rules to the bytes of events. It is safe for concurrent use,
// and gives the same bytes for the same event.
type Redactor struct {
	rules  []rule
	start  *state
	key    []byte // of hashes; nil without one
	print  []byte // key of the fingerprints of what cannot be read
	always plan   // for every type, where no rule asks for one
	typed  bool   // a rule asks for types
}

// NewRedactor compiles rules.
func NewRedactor(c RedactConfig) (*Redactor, error) {
	r := &Redactor{}
	switch n := len(c.Key); {
	case n == 0:
		r.print = []byte(rand.Text())
	case n < MinRedactKey:
		return nil, errShortKey
	default:
		r.key = slices.Clone(c.Key)
		r.print = r.key
	}
	all := slices.Clone(c.Rules)
	for _, name := range c.Presets {
		more, ok := presetRules(name)
		if !ok {
			return nil, fmt.Errorf("%w %q", errPreset, name)
		}
		all = append(all, more...)
	}
	var compiled []compiledPath
	for i, one := range all {
		paths, err := r.check(one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.Name, err)
		}
		for _, p := range paths {
			compiled = append(compiled, compiledPath{p, i})
		}
		with := one.With
		if with == "" {
			with = hidden
		}
		r.typed = r.typed || len(one.Types) > 0
		r.rules = append(r.rules, rule{one, with})
	}
	var err error
	if r.start, err = compilePaths(compiled); err != nil {
		return nil, err
	}
	r.always = r.plan("")
	return r, nil
}

// check checks a rule and reads its paths.
func (r *Redactor) check(one RedactRule) ([]event.Path, error) {
	switch {
	case (len(one.Paths) == 0) == (len(one.Kinds) == 0):
		return nil, errRuleTarget
	case !slices.Contains(RedactActions(), one.Action):
		return nil, fmt.Errorf("%w %q", errRuleAction, one.Action)
	case one.Action == ActionHash && r.key == nil:
		return nil, errRuleKey
	case one.Action == ActionTruncate && one.Length < 1:
		return nil, errRuleLength
	}
	for _, k := range one.Kinds {
		if !slices.Contains(RedactKinds(), k) {
			return nil, fmt.Errorf("%w %q", errRuleKind, k)
		}
	}
	for _, pattern := range one.Types {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("type %q: %w", pattern, err)
		}
	}
	paths := make([]event.Path, 0, len(one.Paths))
	for _, text := range one.Paths {
		p, err := event.ParsePath(text)
		if err != nil {
			return nil, fmt.Errorf("path: %w", err)
		}
		if name, ok := p.Member(); ok && IsOwnMember(name) {
			return nil, fmt.Errorf("path %q: %w", text, errRuleOwn)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// IsOwnMember reports whether gapless itself needs the member of a record that has
// that name.
func IsOwnMember(name string) bool {
	return name == "log_id" || name == "_id" || name == "date" || name == "type"
}

// noRule is the index of no rule. It is larger than all others: the first wins.
const noRule = int(^uint(0) >> 1)

// A plan says which rules are for an event.
type plan struct {
	active      []bool
	kinds, keys [kindCount]int // the rule for each kind
	wanted      kindSet        // the kinds that have one
	wantedKeys  kindSet
	look        traits // those of a text that some rule may be for
}

// plan finds the rules for a type.
func (r *Redactor) plan(typ string) plan {
	p := plan{active: make([]bool, len(r.rules)), look: hasPercent | hasEscape | hasEquals}
	for k := range p.kinds {
		p.kinds[k], p.keys[k] = noRule, noRule
	}
	for i := range r.rules {
		one := &r.rules[i]
		p.active[i] = len(one.Types) == 0 || slices.ContainsFunc(one.Types, func(pattern string) bool {
			ok, err := path.Match(pattern, typ)
			return err == nil && ok
		})
		if !p.active[i] {
			continue
		}
		for _, name := range one.Kinds {
			k := kindNamed(name)
			p.wanted |= 1 << k
			p.look |= traitsOf(k)
			p.kinds[k] = r.first(p.kinds[k], i)
			if one.Keys {
				p.wantedKeys |= 1 << k
				p.keys[k] = r.first(p.keys[k], i)
			}
		}
	}
	return p
}

// first returns which of two rules wins: one that drops, and otherwise the one that
// stands first.
func (r *Redactor) first(a, b int) int {
	if a == noRule || b == noRule {
		return min(a, b)
	}
	if dropA, dropB := r.rules[a].Action == ActionDrop, r.rules[b].Action == ActionDrop; dropA != dropB {
		if dropA {
			return a
		}
		return b
	}
	return min(a, b)
}

// A RedactHit is a place where a rule was applied.
type RedactHit struct {
	// From and To are the bytes in the event as it came.
	From, To int
	// NewFrom and NewTo are what stands there in the redacted event.
	NewFrom, NewTo int
	// Rule is the name of the rule.
	Rule string
}

// A Redaction is a redacted event.
type Redaction struct {
	// Raw is the redacted record; the bytes that came when no rule hit anything.
	Raw []byte
	// Hits are in the order of the record, and do not overlap.
	Hits []RedactHit
}

// Redact applies the rules to an event. An error means that some rule could not be
// applied, so that nothing of the event may be shown; it quotes nothing of it.
func (r *Redactor) Redact(e event.Event) (out Redaction, err error) {
	edits, err := r.edits(e)
	if err != nil {
		return Redaction{}, err
	}
	out.Raw = splice(e.Raw, edits)
	grown := 0 // by the edits before
	for _, d := range edits {
		from := d.from + grown
		grown += len(d.with) - (d.to - d.from)
		out.Hits = append(out.Hits, RedactHit{From: d.from, To: d.to, NewFrom: from, NewTo: from + len(d.with), Rule: r.rules[d.rule].Name})
	}
	return out, nil
}

// edits finds what is to be changed in an event. Should there be a fault in the
// program, the event is withheld and the others go on.
func (r *Redactor) edits(e event.Event) (edits []edit, err error) {
	defer func() {
		if recover() != nil { // what it says may quote the event
			edits, err = nil, errFault
		}
	}()
	p := &r.always
	if r.typed {
		own := r.plan(e.Type)
		p = &own
	}
	if !slices.Contains(p.active, true) {
		return nil, nil
	}
	w := &walk{r: r, plan: p, id: e.LogID, typ: e.Type}
	if err := w.checkOwn(); err != nil {
		return nil, err
	}
	return w.record(e.Raw)
}

// splice applies edits, which are in order and do not overlap.
func splice(raw []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return raw
	}
	size := len(raw)
	for _, e := range edits {
		size += len(e.with) - (e.to - e.from)
	}
	out, at := make([]byte, 0, size), 0
	for _, e := range edits {
		out = append(append(out, raw[at:e.from]...), e.with...)
		at = e.to
	}
	return append(out, raw[at:]...)
}

// Transform redacts an event on its way in. One to which a rule cannot be applied
// is withheld, so that nothing but its id, type and date is kept.
func (r *Redactor) Transform(e event.Event) (event.Event, pipeline.Verdict) {
	edits, err := r.edits(e)
	if err != nil {
		return r.withhold(e), pipeline.Verdict{Withhold: true, Reason: "a redaction rule could not be applied: " + err.Error()}
	}
	e.Raw = splice(e.Raw, edits)
	return e, pipeline.Verdict{}
}

// maxShown bounds the id and the type of a withheld event, in bytes.
const maxShown = 256

// withhold returns what may be kept of an event whose rest may not.
func (r *Redactor) withhold(e event.Event) event.Event {
	show := func(text string) string {
		if len(text) > maxShown || r.holdsKind([]byte(text)) {
			return ""
		}
		return text
	}
	e.LogID, e.Type = show(e.LogID), show(e.Type)
	stub := struct {
		LogID string `json:"log_id,omitempty"`
		Date  string `json:"date"`
		Type  string `json:"type,omitempty"`
	}{e.LogID, e.Date.UTC().Format(time.RFC3339Nano), e.Type}
	b, err := json.Marshal(stub)
	if err != nil { // a struct of texts
		b = []byte(`{}`)
	}
	e.Raw = b
	return e
}

// Unreadable returns what is kept of a piece that is no event, in whose bytes no
// rule can find its way: how long it is, what it begins like, and a fingerprint,
// which tells two of them apart and cannot be guessed without the key. Without a key
// it is the same only as long as the Redactor lives.
func (r *Redactor) Unreadable(piece []byte) []byte {
	return []byte(`{"withheld":"a piece that is no event","bytes":` + strconv.Itoa(len(piece)) +
		`,"begins_like":"` + formOf(piece) + `","fingerprint":"` + hex.EncodeToString(sign(r.print, piece)[:16]) + `"}`)
}

// formOf says what a piece begins like.
func formOf(piece []byte) string {
	for _, c := range piece {
		switch {
		case c == ' ', c == '\t', c == '\r', c == '\n':
			continue
		case c == '{':
			return "object"
		case c == '[':
			return "array"
		case c == '<':
			return "markup"
		case c == '"':
			return "string"
		case c >= ' ' && c < 0x7f:
			return "text"
		default:
			return "binary"
		}
	}
	return "nothing"
}

// sign returns the HMAC-SHA-256 of a text.
func sign(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}
