package transform

import (
	"errors"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/selector"
)

// lists are the compiled globs of a Selection.
type lists struct {
	of          string // the setting, for words
	allow, deny []selector.Glob
}

// newLists compiles a Selection.
func newLists(of string, s Selection) (l lists, err error) {
	l.of = of
	if l.allow, err = globs(s.Allow); err != nil {
		return l, fmt.Errorf("%s.allow: %w", of, err)
	}
	if l.deny, err = globs(s.Deny); err != nil {
		return l, fmt.Errorf("%s.deny: %w", of, err)
	}
	return l, nil
}

// globs compiles patterns.
func globs(texts []string) ([]selector.Glob, error) {
	var out []selector.Glob
	for _, text := range texts {
		g, err := selector.ParseGlob(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		out = append(out, g)
	}
	return out, nil
}

// empty reports whether there is no pattern.
func (l *lists) empty() bool { return len(l.allow)+len(l.deny) == 0 }

// match returns the first pattern that matches one of the values, and that value.
// Nothing matches a value that is empty, which is one that is not there.
func match(patterns []selector.Glob, values []string) (g selector.Glob, value string, ok bool) {
	for _, v := range values {
		if v == "" {
			continue
		}
		for _, g := range patterns {
			if g.Match(v) {
				return g, v, true
			}
		}
	}
	return selector.Glob{}, "", false
}

// errLevel says that a level is none.
var errLevel = errors.New("min_level is not from 0 to 4")

// maxLevel is the highest level that Auth0's ended extension knew.
const maxLevel = 4

// A codeFilter is what is decided by the code of an event alone.
type codeFilter struct {
	types, categories, severities lists
	level                         *int
	// known holds the judgement on each code of the catalogue.
	known map[string]judgement
}

// newCodeFilter compiles the rules that look at the code.
func newCodeFilter(r FilterRules) (*codeFilter, error) {
	if r.MinLevel != nil && (*r.MinLevel < 0 || *r.MinLevel > maxLevel) {
		return nil, errLevel
	}
	c := &codeFilter{level: r.MinLevel, known: make(map[string]judgement)}
	for _, s := range []struct {
		to *lists
		of string
		by Selection
	}{{&c.types, "types", r.Types}, {&c.categories, "categories", r.Categories}, {&c.severities, "severities", r.Severities}} {
		var err error
		if *s.to, err = newLists(s.of, s.by); err != nil {
			return nil, err
		}
	}
	for _, t := range event.Types() {
		c.known[t.Code] = c.look(t)
	}
	return c, nil
}

// judge holds a code against the rules.
func (c *codeFilter) judge(code string) judgement {
	if x, ok := c.known[code]; ok {
		return x
	}
	return c.look(event.Lookup(code))
}

// look holds a code and what the catalogue says of it against the rules.
func (c *codeFilter) look(t event.Type) judgement {
	if g, _, ok := match(c.types.deny, []string{t.Code}); ok {
		return judgement{reason: ReasonTypeDenied, words: func() string { return fmt.Sprintf("its type %q is in types.deny (%q)", t.Code, g) }}
	}
	remark := c.gate(t)
	if remark.reason != "" {
		return remark
	}
	for _, s := range []struct {
		lists              *lists
		what, value        string
		denied, notAllowed string
	}{
		{&c.categories, "category", t.Category, ReasonCategoryDenied, ReasonCategoryNotAllowed},
		{&c.severities, "severity", severityOf(t), ReasonSeverityDenied, ReasonSeverityNotAllowed},
	} {
		if s.lists.empty() {
			continue
		}
		if s.value == "" { // what the catalogue does not tell is no reason to lose an event
			remark.words = func() string {
				return fmt.Sprintf("the catalogue knows no %s of its type %q, which %s therefore let through", s.what, t.Code, s.lists.of)
			}
			continue
		}
		if g, _, ok := match(s.lists.deny, []string{s.value}); ok {
			return judgement{reason: s.denied, words: func() string {
				return fmt.Sprintf("the %s %q of its type %q is in %s.deny (%q)", s.what, s.value, t.Code, s.lists.of, g)
			}}
		}
		if _, _, ok := match(s.lists.allow, []string{s.value}); len(s.lists.allow) > 0 && !ok {
			return judgement{reason: s.notAllowed, words: func() string {
				return fmt.Sprintf("nothing in %s.allow matches the %s %q of its type %q", s.lists.of, s.what, s.value, t.Code)
			}}
		}
	}
	return remark
}

// severityOf returns the severity of a code of the catalogue; of another one it
// would be guessed from the name.
func severityOf(t event.Type) string {
	if !t.Known {
		return ""
	}
	return t.Severity.String()
}

// gate holds a code against types.allow and min_level, of which one must let it in.
// Without a reason there may be a remark.
func (c *codeFilter) gate(t event.Type) judgement {
	if len(c.types.allow) == 0 && c.level == nil {
		return judgement{}
	}
	if _, _, ok := match(c.types.allow, []string{t.Code}); ok {
		return judgement{}
	}
	switch {
	case c.level == nil && t.Code == "":
		return judgement{reason: ReasonTypeNotAllowed, words: func() string { return "it has no type, so nothing in types.allow matches it" }}
	case c.level == nil:
		return judgement{reason: ReasonTypeNotAllowed, words: func() string { return fmt.Sprintf("nothing in types.allow matches its type %q", t.Code) }}
	case t.ExtensionLevel >= *c.level:
		return judgement{}
	case t.ExtensionLevel == 0:
		return judgement{words: func() string {
			return fmt.Sprintf("its type %q has no level, and min_level therefore lets it through", t.Code)
		}}
	}
	return judgement{reason: ReasonBelowMinLevel, words: func() string {
		words := fmt.Sprintf("the level %d of its type %q is below min_level %d", t.ExtensionLevel, t.Code, *c.level)
		if len(c.types.allow) > 0 {
			words += ", and nothing in types.allow matches it"
		}
		return words
	}}
}
