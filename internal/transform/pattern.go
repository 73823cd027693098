package transform

import (
	"regexp"
	"strings"
)

// A Pattern is what the names are like that a template makes.
type Pattern struct {
	// Fixed is the name when the template makes but one. Prefix is what every name
	// begins with, as far as no event has a say in it.
	Fixed, Prefix string

	form *regexp.Regexp
}

// Match reports whether the template can have made a name.
func (p Pattern) Match(name string) bool {
	if p.Fixed != "" {
		return name == p.Fixed
	}
	return p.form.MatchString(name)
}

// Patterns returns those of the log groups and of the log streams.
func (r *Routes) Patterns() (group, stream Pattern) { return r.group.pattern(), r.stream.pattern() }

// digits are the forms of the parts of a date.
var digits = map[string]string{"date": `\d{4}-\d{2}-\d{2}`, "year": `\d{4}`, "month": `\d{2}`, "day": `\d{2}`, "hour": `\d{2}`}

// pattern returns that of a template.
func (t *template) pattern() Pattern {
	if t.fixed != "" {
		return Pattern{Fixed: t.fixed, Prefix: t.fixed}
	}
	var form strings.Builder
	form.WriteString("^")
	prefix := t.prefix()
	if t.guard != nil {
		form.WriteString("_?") // see guardGroup
		if prefix == "" || prefix[0] == '/' || prefix[0] == 'a' || prefix[0] == 'A' {
			prefix = "" // the guard may stand in front of it
		}
	}
	for _, p := range t.parts {
		switch form2, dated := digits[p.name]; {
		case p.value == nil:
			form.WriteString(regexp.QuoteMeta(p.text))
		case dated:
			form.WriteString(form2)
		default: // no value has a slash
			form.WriteString("[^/]+")
		}
	}
	form.WriteString("$")
	return Pattern{Prefix: prefix, form: regexp.MustCompile(form.String())}
}
