package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// bundleFrom is from how many notices on that tell the same of several tenants they
	// are shown as one: what hits all tenants at once is one thing to a person.
	bundleFrom = 5
	// bundleNames is how many tenants such a one names.
	bundleNames = 50
)

// A bundle is notices that are shown as one: the same kind, part, severity and state.
type bundle []Notice

// bundles are the notices as they are shown, in their order.
func (m Message) bundles() []bundle {
	key := func(n Notice) string {
		part := n.Part
		if n.Kind == KindGap { // its part is the time of the gap
			part = ""
		}
		return strings.Join([]string{n.State, n.Kind, string(n.Severity), part}, "\x00")
	}
	by := make(map[string]bundle)
	for _, n := range m.Notices {
		by[key(n)] = append(by[key(n)], n)
	}
	var out []bundle
	shown := make(map[string]bool)
	for _, n := range m.Notices {
		k := key(n)
		if b := by[k]; len(b) < bundleFrom {
			out = append(out, bundle{n})
		} else if !shown[k] {
			shown[k] = true
			slices.SortStableFunc(b, func(x, y Notice) int { return strings.Compare(x.Tenant, y.Tenant) })
			out = append(out, b)
		}
	}
	return out
}

// headline is the bundle in one line.
func (b bundle) headline() string {
	n := b[0]
	if len(b) == 1 {
		return n.headline()
	}
	n.Tenant = ""
	if tenants := b.tenants(); len(tenants) > 1 {
		return fmt.Sprintf("%s (%s)", n.headline(), plural(len(tenants), "tenant"))
	}
	n.Tenant = b[0].Tenant
	return fmt.Sprintf("%s (%d times)", n.headline(), len(b))
}

// part is the part of which it tells; empty for none.
func (b bundle) part() string {
	if b[0].Kind == KindGap {
		return ""
	}
	return b[0].Part
}

// tenants are the names of the tenants, in order.
func (b bundle) tenants() []string {
	return Message{Notices: b}.of(func(n Notice) string { return n.Tenant })
}

// names lists the tenants of several notices; empty for one.
func (b bundle) names() string {
	tenants := b.tenants()
	if len(tenants) < 2 {
		return ""
	}
	if rest := len(tenants) - bundleNames; rest > 0 {
		return strings.Join(tenants[:bundleNames], ", ") + fmt.Sprintf(" and %d more", rest)
	}
	return strings.Join(tenants, ", ")
}

// message is what is wrong. Of several that say different things it is the first.
func (b bundle) message() string {
	text := oneLine(b[0].Message)
	if slices.ContainsFunc(b, func(n Notice) bool { return n.Message != b[0].Message }) {
		return "For example " + b[0].Tenant + ": " + text
	}
	return text
}

// timing says since when, or how long it lasted, of the earliest.
func (b bundle) timing(now time.Time) string {
	return slices.MinFunc(b, func(x, y Notice) int { return x.Since.Compare(y.Since) }).timing(now)
}

// advice is what to do, with the words before it; both are empty for nothing.
func (b bundle) advice() (lead, hint string) {
	if b[0].Hint == "" || b[0].State == StateEnded {
		return "", ""
	}
	lead = "What to do"
	if slices.ContainsFunc(b, func(n Notice) bool { return n.Hint != b[0].Hint }) {
		lead += " for " + b[0].Tenant
	}
	return lead + ":", oneLine(b[0].Hint)
}
