package transform

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/selector"
)

// The reasons for which a filter leaves an event out, as they are counted.
const (
	ReasonTypeDenied             = "type_denied"
	ReasonTypeNotAllowed         = "type_not_allowed"
	ReasonBelowMinLevel          = "below_min_level" // and types.allow does not name it either
	ReasonCategoryDenied         = "category_denied"
	ReasonCategoryNotAllowed     = "category_not_allowed"
	ReasonSeverityDenied         = "severity_denied"
	ReasonSeverityNotAllowed     = "severity_not_allowed"
	ReasonClientDenied           = "client_denied"
	ReasonClientNotAllowed       = "client_not_allowed"
	ReasonConnectionDenied       = "connection_denied"
	ReasonConnectionNotAllowed   = "connection_not_allowed"
	ReasonOrganizationDenied     = "organization_denied"
	ReasonOrganizationNotAllowed = "organization_not_allowed"
	ReasonExpression             = "expression_false"
)

// A Selection is a pair of lists of globs (see selector.Glob). What Deny matches is
// out; where Allow holds anything, only what it matches is in. Deny wins.
type Selection struct{ Allow, Deny []string }

// FilterRules say which events go on: those that every rule lets through. The zero
// value lets all of them through.
type FilterRules struct {
	// Types select by event code, and by the two together:
	//
	// MinLevel, when not nil, is the least level that the code of an event must have
	// by event.Type.ExtensionLevel, from 0 to 4. As in Auth0's ended extension it is an
	// alternative to Types.Allow: an event goes on that either of them names. Unlike
	// there, a code that has no level goes on.
	Types    Selection
	MinLevel *int
	// Categories and Severities select by what the catalogue says of the code. A code
	// of which it says nothing they neither deny nor hold back.
	Categories, Severities Selection
	// Clients, Connections and Organizations select by the id or the name in the event;
	// one of the two is enough. An event that has neither is matched by no glob.
	Clients, Connections, Organizations Selection
	// Expression, when not empty, must be true: see selector.Expression. An event on
	// which it fails goes on.
	Expression string
}

// Empty reports whether the rules let everything through.
func (r *FilterRules) Empty() bool {
	for _, s := range []Selection{r.Types, r.Categories, r.Severities, r.Clients, r.Connections, r.Organizations} {
		if len(s.Allow)+len(s.Deny) > 0 {
			return false
		}
	}
	return r.MinLevel == nil && r.Expression == ""
}

// A Filter takes events out. It reads their bytes and never changes them; it is
// safe for concurrent use.
type Filter struct {
	codes      *codeFilter
	members    []memberFilter
	expression *selector.Expression // nil without one
	failed     func(event.Event, error)
}

// NewFilter compiles rules. failed hears of each event on which the expression fails,
// with an error that quotes nothing of the event; it may be called at the same time,
// and be nil.
func NewFilter(r FilterRules, failed func(event.Event, error)) (*Filter, error) {
	f := &Filter{failed: failed}
	var err error
	if f.codes, err = newCodeFilter(r); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		of         string
		keys       [2]string
		selection  Selection
		denied, no string
	}{
		{"clients", [2]string{"client_id", "client_name"}, r.Clients, ReasonClientDenied, ReasonClientNotAllowed},
		{"connections", [2]string{"connection", "connection_id"}, r.Connections, ReasonConnectionDenied, ReasonConnectionNotAllowed},
		{"organizations", [2]string{"organization_id", "organization_name"}, r.Organizations, ReasonOrganizationDenied, ReasonOrganizationNotAllowed},
	} {
		l, err := newLists(m.of, m.selection)
		if err != nil {
			return nil, err
		}
		if !l.empty() {
			f.members = append(f.members, memberFilter{lists: l, keys: m.keys, denied: m.denied, notAllowed: m.no})
		}
	}
	if r.Expression != "" {
		if f.expression, err = selector.ParseExpression(r.Expression); err != nil {
			return nil, fmt.Errorf("expression: %w", err)
		}
	}
	return f, nil
}

// Apply is the filter as a pipeline.Transform.
func (f *Filter) Apply(e event.Event) (event.Event, pipeline.Verdict) {
	x := f.judge(e)
	if x.err != nil && f.failed != nil {
		f.failed(e, x.err)
	}
	return e, pipeline.Verdict{Skip: x.reason != "", Reason: x.reason}
}

// An Explanation says what a filter does with an event, for a person who looks at
// the event: it may quote the event, and belongs in no log.
type Explanation struct {
	// Kept says that the event goes on.
	Kept bool
	// Reason is the counted reason of one that does not.
	Reason string
	// Words say why, as the end of a sentence: `its type "fp" is in types.deny ("f*")`. Empty for
	// an event that every rule lets through without a remark.
	Words string
	// Err is why the expression failed on the event, if it did. It quotes nothing of it.
	Err error
}

// Explain says what Apply does with an event, and why.
func (f *Filter) Explain(e event.Event) Explanation {
	x := f.judge(e)
	out := Explanation{Kept: x.reason == "", Reason: x.reason, Err: x.err}
	if x.words != nil {
		out.Words = x.words()
	}
	return out
}

// A judgement is what a rule finds: nothing, or a reason to leave the event out, or
// a remark on an event that goes on.
type judgement struct {
	reason string
	words  func() string // nil for nothing to say
	err    error         // of an expression that failed
}

// judge asks each rule in turn until one leaves the event out.
func (f *Filter) judge(e event.Event) judgement {
	x := f.codes.judge(e.Type)
	if x.reason != "" {
		return x
	}
	if len(f.members) > 0 {
		if y := f.judgeMembers(e); y.reason != "" {
			return y
		}
	}
	if f.expression == nil {
		return x
	}
	yes, err := f.expression.Match(e)
	switch {
	case err != nil:
		return judgement{err: err, words: func() string { return "it is kept because " + detail(err) }}
	case !yes:
		return judgement{reason: ReasonExpression, words: func() string { return "the expression is false" }}
	default:
		return x
	}
}

// judgeMembers looks at the lists of what the event itself says.
func (f *Filter) judgeMembers(e event.Event) judgement {
	values := make([][2]string, len(f.members))
	selector.EachMember(e, func(key string, value gjson.Result) bool {
		for i := range f.members {
			for k, name := range f.members[i].keys {
				if key == name && values[i][k] == "" && (value.Type == gjson.String || value.Type == gjson.Number) {
					values[i][k] = value.String()
				}
			}
		}
		return true
	})
	for i := range f.members {
		if x := f.members[i].judge(values[i]); x.reason != "" {
			return x
		}
	}
	return judgement{}
}

// memberFilter is the rule of an id and a name that belong together.
type memberFilter struct {
	lists

	keys               [2]string
	denied, notAllowed string
}

// judge holds the id and the name against the lists.
func (m *memberFilter) judge(values [2]string) judgement {
	if g, v, ok := match(m.deny, values[:]); ok {
		return judgement{reason: m.denied, words: func() string { return fmt.Sprintf("%s is in %s.deny (%q)", m.shown(v, values), m.of, g) }}
	}
	if _, _, ok := match(m.allow, values[:]); len(m.allow) == 0 || ok {
		return judgement{}
	}
	return judgement{reason: m.notAllowed, words: func() string {
		if values == [2]string{} {
			return fmt.Sprintf("it has no %s, so nothing in %s.allow matches it", strings.Join(m.keys[:], " and no "), m.of)
		}
		var has []string
		for k, v := range values {
			if v != "" {
				has = append(has, fmt.Sprintf("%s %q", m.keys[k], v))
			}
		}
		return fmt.Sprintf("nothing in %s.allow matches its %s", m.of, strings.Join(has, " or "))
	}}
}

// shown names the member that has a value.
func (m *memberFilter) shown(v string, values [2]string) string {
	key := m.keys[0]
	if values[0] != v {
		key = m.keys[1]
	}
	return fmt.Sprintf("its %s %q", key, v)
}

// detail says what an expression failed on, to somebody who sees the event.
func detail(err error) string {
	if e, ok := errors.AsType[*selector.MatchError](err); ok {
		return e.Error() + ": " + e.Detail
	}
	return err.Error()
}
