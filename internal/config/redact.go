package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/event"
)

// RedactPresets returns the names of the presets of redaction.
func RedactPresets() []string { return []string{"auth0-pii", "gdpr-minimal", "no-secrets"} }

// minRedactKey is the least length of the key of hashes, in bytes.
const minRedactKey = 16

// IsZero reports whether nothing is redacted.
func (r *Redact) IsZero() bool { return len(r.Presets) == 0 && len(r.Rules) == 0 }

// AllPaths returns the paths of the rule.
func (r *RedactRule) AllPaths() []string { return oneOrMore(r.Path, r.Paths) }

// AllKinds returns the kinds of the rule.
func (r *RedactRule) AllKinds() []string { return oneOrMore(r.Kind, r.Kinds) }

// oneOrMore joins a setting for one and one for several.
func oneOrMore(one string, more []string) []string {
	if one == "" {
		return more
	}
	return append([]string{one}, more...)
}

// checkRedact checks what is taken out of a tenant's events. at ends with a dot.
func (l *loader) checkRedact(at string, r Redact) {
	for _, name := range r.Presets {
		if !slices.Contains(RedactPresets(), name) {
			l.complain(at+"presets", "holds "+quote(name)+", which is no preset", didYouMean(name, RedactPresets()))
		}
	}
	switch key := r.Key.literal; {
	case r.Key.IsZero():
	case r.IsZero():
		l.complain(at+"key", "is set, and there is neither a rule nor a preset", "Add rules, or remove it.")
	case key != nil && len(*key) < minRedactKey:
		l.complain(at+"key", fmt.Sprintf("is shorter than %d bytes", minRedactKey), "Make one with: openssl rand -hex 32")
	}
	for i := range r.Rules {
		l.checkRule(at+"rules."+strconv.Itoa(i)+".", &r.Rules[i], !r.Key.IsZero() || l.excused[at+"key"])
	}
}

// checkRule checks one rule. at ends with a dot.
func (l *loader) checkRule(at string, r *RedactRule, hasKey bool) {
	rule := strings.TrimSuffix(at, ".")
	paths, kinds := r.AllPaths(), r.AllKinds()
	switch {
	case r.Path != "" && len(r.Paths) > 0:
		l.complain(at+"paths", "is set, and so is path", "Write all into paths.")
	case r.Kind != "" && len(r.Kinds) > 0:
		l.complain(at+"kinds", "is set, and so is kind", "Write all into kinds.")
	case len(paths) == 0 && len(kinds) == 0:
		l.complain(rule, "is for nothing: it has neither path nor kind", "Add one, such as path: details..email")
	case len(paths) > 0 && len(kinds) > 0:
		l.complain(rule, "has a path and a kind", "Write a rule for each: a kind is looked for everywhere.")
	case r.Keys && len(kinds) == 0:
		l.complain(at+"keys", "is true, and there is no kind", "Remove it: a path is that of a value.")
	}
	switch {
	case r.Action == "hash" && !hasKey:
		l.complain(at+"action", "is hash, and redact.key is missing", "Set it beside rules, such as key: env:GAPLESS_REDACT_KEY")
	case r.Action == "truncate" && r.Length == 0:
		l.complain(at+"length", "is missing, and the action is truncate", "Set it to the number of characters to keep, such as length: 20")
	case r.Action != "truncate" && r.Length != 0:
		l.complain(at+"length", "is set, and the action is not truncate", "Remove it.")
	case r.Action != "replace" && r.With != "":
		l.complain(at+"with", "is set, and the action is not replace", "Remove it, or set action: replace")
	}
	l.checkRedactPaths(at, r)
	known := child(fieldsOfRule(), "kind").enum
	for _, k := range r.Kinds {
		if !slices.Contains(known, k) {
			l.complain(at+"kinds", "holds "+quote(k)+", which is no kind of value", didYouMean(k, known))
		}
	}
	for _, pattern := range r.Types {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			l.complain(at+"types", "holds "+quote(pattern)+", which is no pattern", "Write event types such as s, or with a star, such as f*.")
		}
	}
}

// fieldsOfRule returns the fields of a rule.
func fieldsOfRule() []field {
	tenant := child(fields(), "tenants")
	return child(child(tenant.children, "redact").children, "rules").children
}

// checkRedactPaths checks the paths of a rule.
func (l *loader) checkRedactPaths(at string, r *RedactRule) {
	key := at + "path"
	if r.Path == "" {
		key = at + "paths"
	}
	for _, text := range r.AllPaths() {
		p, err := event.ParsePath(text)
		if e, ok := errors.AsType[*event.PathError](err); ok {
			l.complainAt(key, quote(text)+" "+e.Problem, "See the guide on rules for how paths are written.", e.Caret())
			return
		}
		switch name, _ := p.Member(); name {
		case "log_id", "_id", "date", "type":
			l.complain(key, "names "+name+", which gapless needs", "Remove it: log_id, _id, date and type of an event stay as they are.")
		}
	}
}

// complainAt is complain with a mark under the place in the value.
func (l *loader) complainAt(path, what, fix, caret string) {
	if l.excused[path] {
		return
	}
	l.complain(path, what, fix)
	e := l.problems[len(l.problems)-1]
	lines := strings.Split(caret, "\n")
	e.Excerpt = strings.TrimPrefix(e.Excerpt+"\n        "+strings.Join(lines, "\n        "), "\n")
}
