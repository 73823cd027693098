package provision

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// An Action is what a step of a plan does.
type Action string

// The actions. The first three change something.
const (
	ActionCreate Action = "create"
	ActionChange Action = "change"
	ActionRemove Action = "remove"
	// ActionKeep is for what is as it is wanted.
	ActionKeep Action = "keep"
	// ActionStuck is for what differs in nothing but what can never be changed.
	ActionStuck Action = "cannot change"
	// ActionForeign is for what is there, differs, and was made by others.
	ActionForeign Action = "leave"
	// ActionSkip is for what the endpoint does not know.
	ActionSkip Action = "skip"
	// ActionGone is for what was to be removed and is not there.
	ActionGone Action = "gone"
)

// A Difference is a property that is not as it is wanted.
type Difference struct {
	Path string
	// Have and Want are its values; empty for none. Tokens in Want have their values,
	// where those are known. Those of secrets are empty.
	Have, Want string
	// Fixed says that it cannot be changed.
	Fixed bool
	// Secret says that its values are not to be shown.
	Secret bool
}

// A Step is what a plan says of one resource.
type Step struct {
	Action Action
	// Resource is what is wanted.
	Resource stack.Resource
	// Have is what is there.
	Have Found
	// Differences tell what differs, ordered by path; for ActionCreate what it is made
	// with.
	Differences []Difference
	// Note is what a person should know; may be empty.
	Note string
}

// Changes reports whether the step changes something.
func (s Step) Changes() bool {
	return s.Action == ActionCreate || s.Action == ActionChange || s.Action == ActionRemove
}

// A Plan is what is to be done, in order.
type Plan struct {
	Steps []Step
	// Notes are those of the stack.
	Notes []string
}

// Pending returns the steps that change something.
func (p Plan) Pending() []Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return !s.Changes() })
}

// Count returns how many steps have an action.
func (p Plan) Count(a Action) (n int) {
	for _, s := range p.Steps {
		if s.Action == a {
			n++
		}
	}
	return n
}

// differences compares what is there with what is wanted. Tags that nobody wants are
// somebody else's.
func differences(want, have stack.Resource, v Values) (out []Difference) {
	had := map[string]stack.Attribute{}
	if have != nil {
		for _, a := range have.Attributes() {
			had[a.Path] = a
		}
	}
	for _, a := range want.Attributes() {
		a.Value, _ = Fill(a.Value, v)
		path, _ := Fill(a.Path, v) // that of a member of a list holds its value
		h, there := had[path]
		delete(had, path)
		if !there || h.Value != a.Value {
			out = append(out, difference(path, h, a))
		}
	}
	for path, h := range had {
		if !strings.HasPrefix(path, "tags.") {
			out = append(out, difference(path, h, stack.Attribute{Fixed: h.Fixed}))
		}
	}
	slices.SortFunc(out, func(a, b Difference) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// difference makes a Difference, without the values of secrets.
func difference(path string, have, want stack.Attribute) Difference {
	d := Difference{Path: path, Have: have.Value, Want: want.Value, Fixed: want.Fixed || have.Fixed, Secret: want.Secret || have.Secret}
	if d.Secret {
		d.Have, d.Want = "", ""
	}
	return d
}
