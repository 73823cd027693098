package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/selector"
)

// Filter says which events of a tenant go on.
type Filter struct {
	Types         Selection `yaml:"types" doc:"By event code, such as fp or gd_*: LOG_TYPES of Auth0's ended extension."`
	MinLevel      int       `yaml:"min_level" default:"-1" min:"-1" max:"4" doc:"The least level of the event code, as LOG_LEVEL of Auth0's ended extension: 1 debug, 2 info, 3 error, 4 critical; 0 is all of them, and -1 turns it off. As there it is an alternative to types.allow: an event goes on that either names. Unlike there, a code that the extension gave no level goes on."`
	Categories    Selection `yaml:"categories" doc:"By category of the event code in the catalogue, such as auth.login.fail or management.*; these are the filters of Auth0's log streams. A code without a known category goes on."`
	Severities    Selection `yaml:"severities" doc:"By severity of the event code in the catalogue: info, warning, error or critical. A code that is not in the catalogue goes on."`
	Clients       Selection `yaml:"clients" doc:"By client_id or client_name of the event; one of the two is enough."`
	Connections   Selection `yaml:"connections" doc:"By connection (its name) or connection_id of the event; one of the two is enough."`
	Organizations Selection `yaml:"organizations" doc:"By organization_id or organization_name of the event; one of the two is enough."`
	Expression    string    `yaml:"expression" example:"event.type != 'sapi' or event.ip startsWith '10.'" doc:"A condition that must be true, in the language of github.com/expr-lang/expr with the variable event, which is the record. An event on which it fails goes on, and is counted."`
}

// Selection is a pair of lists of globs. A list in the place of the section is its
// Allow.
type Selection struct {
	Allow []string `yaml:"allow" short:"true" doc:"Globs of which one must match: * stands for any characters, ? for one, and capital letters count. When empty all pass. An event that lacks what is looked at is matched by none."`
	Deny  []string `yaml:"deny" doc:"Globs of which none may match. It wins over allow."`
}

// Level returns the least level; nil for none.
func (f *Filter) Level() *int {
	if f.MinLevel < 0 {
		return nil
	}
	return &f.MinLevel
}

// selections returns the lists by the names of their settings.
func (f *Filter) selections() map[string]Selection {
	return map[string]Selection{
		"types": f.Types, "categories": f.Categories, "severities": f.Severities,
		"clients": f.Clients, "connections": f.Connections, "organizations": f.Organizations,
	}
}

// patterns calls fn for every glob of a filter, in the order of the settings.
func (f *Filter) patterns(fn func(setting, list, pattern string)) {
	all := f.selections()
	for _, setting := range sortedKeys(all) {
		for _, p := range all[setting].Allow {
			fn(setting, "allow", p)
		}
		for _, p := range all[setting].Deny {
			fn(setting, "deny", p)
		}
	}
}

// checkFilter checks the filter of a tenant. path ends with a dot.
func (l *loader) checkFilter(path string, f *Filter) {
	f.patterns(func(setting, list, pattern string) {
		at := path + setting + "." + list
		g, err := selector.ParseGlob(pattern)
		switch {
		case err != nil && pattern == "":
			l.complain(at, "holds an empty pattern", "Remove it. Events that lack what is looked at are picked by an expression, such as event.client_id == ''.")
		case err != nil:
			l.complain(at, "holds "+quote(pattern)+", which is no pattern: "+err.Error(), "Write it like gd_* or fp; put a backslash before a * or ? that stands for itself.")
		case setting == "severities" && !slices.ContainsFunc(severities(), g.Match):
			fix := "Use " + strings.Join(severities(), ", ") + "."
			if best := nearest(pattern, severities()); best != "" {
				fix = "Did you mean " + best + "? " + fix
			}
			l.complain(at, "holds "+quote(pattern)+", which is no severity", fix)
		}
	})
	if f.Expression == "" {
		return
	}
	if _, err := selector.ParseExpression(f.Expression); err != nil {
		l.complainExpression(path+"expression", f.Expression, err)
	}
}

// complainExpression records what is wrong with an expression, with a caret below
// the place.
func (l *loader) complainExpression(path, text string, err error) {
	e, ok := errors.AsType[*selector.ExpressionError](err)
	if !ok || swallowed(text) {
		l.complain(path, "is no expression that can be read", "Look for a quote that is not closed, or put the expression on lines of its own below expression: |")
		return
	}
	if l.excused[path] {
		return
	}
	l.complain(path, "is no valid expression: "+e.Error(), "See docs/rules.md for what an expression may hold.")
	if e.Excerpt != "" {
		p := l.problems[len(l.problems)-1]
		p.Excerpt = strings.TrimPrefix(p.Excerpt+"\n"+indent(e.Excerpt), "\n")
	}
}

// indent moves lines to the right, below those of a file.
func indent(text string) string { return "        " + strings.ReplaceAll(text, "\n", "\n        ") }

// swallowed reports whether a text looks as if a quote that was not closed, or an
// indentation, had made other lines of the file a part of it, where a secret may
// stand. It errs on the safe side: an expression with such a text is told of with
// fewer words.
func swallowed(text string) bool {
	found := matches(`[\w"']:(\s|$)`, text)
	eachField(fields(), func(f *field) {
		if f.kind != kindSecret && f.kind != kindSecrets {
			return
		}
		if name := regexp.QuoteMeta(f.name); strings.Contains(name, "_") {
			found = found || matches(name, text)
		} else {
			found = found || matches(name+`["']?\s*:`, text)
		}
	})
	return found
}

// severities returns the names of all severities.
func severities() []string {
	var out []string
	for s := event.Info; s <= event.Critical; s++ {
		out = append(out, s.String())
	}
	return out
}

// Warnings returns what is likely a mistake and yet is taken, because Auth0 adds
// event types and members without notice. They are those of a valid configuration.
func (c *Config) Warnings() []*Error {
	var out []*Error
	first := map[[6]string]int{}
	for i := range c.Tenants {
		path := "tenants." + strconv.Itoa(i) + "."
		if of := c.Tenants[i].origin(); of[0] != "" {
			if n, twice := first[of]; twice {
				out = append(out, c.problem(path+"cloudwatch", fmt.Sprintf("leads the events of %s to the log stream to which tenants.%d leads them", of[0], n),
					"What both let through will be there twice. Remove one of the two, or give one another log_group or log_stream."))
			} else {
				first[of] = i
			}
		}
		out = append(out, c.filterWarnings(path+"filter.", &c.Tenants[i].Filter)...)
		for n := range c.Tenants[i].Destinations {
			out = append(out, c.filterWarnings(path+"destinations."+strconv.Itoa(n)+".filter.", &c.Tenants[i].Destinations[n].Filter)...)
		}
	}
	return out
}

// origin is what tells which events go where: the domain, which is empty for a tenant
// that is not read, and the main destination.
func (t *Tenant) origin() [6]string {
	w := &t.CloudWatch
	named := func(template string) string { return strings.ReplaceAll(template, "{tenant}", t.Name) }
	return [6]string{strings.ToLower(t.Domain), named(w.LogGroup), named(w.LogStream), w.Region, w.Endpoint, w.RoleARN}
}

// filterWarnings returns those of a filter. path ends with a dot.
func (c *Config) filterWarnings(path string, f *Filter) (out []*Error) {
	warn := func(setting, what, fix string) { out = append(out, c.problem(path+setting, what, fix)) }
	if level := f.Level(); level != nil && *level <= 1 && len(f.Types.Allow) > 0 {
		warn("min_level", fmt.Sprintf("%d lets every type in, so types.allow leaves nothing out", *level), "An event goes on that either of the two names. Remove one of them.")
	}
	f.patterns(func(setting, list, pattern string) {
		if what, fix := unknownPattern(setting, pattern); what != "" {
			warn(setting+"."+list, what, fix)
		}
	})
	for _, name := range unknownMembers(f.Expression) {
		warn("expression", "reads event."+name+", which Auth0's events are not known to have", "Did you mean event."+nearest(name, members())+"?")
	}
	return out
}

// unknownPattern says that a pattern picks nothing that is known.
func unknownPattern(setting, pattern string) (what, fix string) {
	var known []string
	noun := "event type"
	for _, t := range event.Types() {
		switch setting {
		case "types":
			known = append(known, t.Code)
		case "categories":
			noun = "category"
			known = append(known, t.Category)
		}
	}
	g, err := selector.ParseGlob(pattern)
	if err != nil || known == nil || slices.ContainsFunc(known, g.Match) {
		return "", ""
	}
	if _, literal := g.Literal(); !literal {
		return "holds " + quote(pattern) + ", which matches no known " + noun, ""
	}
	if best := nearest(pattern, known); best != "" {
		fix = "Did you mean " + best + "?"
	}
	return "holds " + quote(pattern) + ", which is no known " + noun, fix
}

// members returns the members that Auth0's events are known to have.
func members() []string { return append(selector.Texts(), selector.Others()...) }

// unknownMembers returns the members that an expression names, that are not known,
// and that look like a known one.
func unknownMembers(expression string) []string {
	x, err := selector.ParseExpression(expression)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(x.Members(), func(name string) bool {
		return slices.Contains(members(), name) || nearest(name, members()) == ""
	})
}
