package export

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A reference is what a token made by stack.Ref speaks of.
type reference struct {
	kind  stack.Kind
	name  string
	value string
}

// A piece of a text is literal, or a token.
type piece struct {
	text  string
	token string
	ref   reference // of a token that stack.Ref has made
}

// tokenForm is how all tokens look.
var tokenForm = regexp.MustCompile(`\{\{[^{}]+\}\}`)

// kinds are those that tokens may name.
var kinds = []stack.Kind{
	stack.KindTrustAnchor, stack.KindAnywhereProfile, stack.KindAccessKey, stack.KindQueue,
	stack.KindApplication, stack.KindAuth0Stream,
}

// pieces takes a text apart. What looks like a token and is none is literal.
func pieces(text string) (out []piece) {
	add := func(literal string) {
		if literal == "" {
			return
		}
		if n := len(out); n > 0 && out[n-1].token == "" {
			out[n-1].text += literal
			return
		}
		out = append(out, piece{text: literal})
	}
	at := 0
	for _, m := range tokenForm.FindAllStringIndex(text, -1) {
		add(text[at:m[0]])
		at = m[1]
		token := text[m[0]:m[1]]
		ref, known := parseToken(token)
		if !known {
			add(token)
			continue
		}
		out = append(out, piece{token: token, ref: ref})
	}
	add(text[at:])
	return out
}

// parseToken reads a token.
func parseToken(token string) (ref reference, known bool) {
	if token == stack.Account || token == stack.Partition {
		return reference{}, true
	}
	kind, rest, _ := strings.Cut(strings.Trim(token, "{}"), ":")
	last := strings.LastIndex(rest, ":")
	if last < 0 || !slices.Contains(kinds, stack.Kind(kind)) {
		return reference{}, false
	}
	return reference{stack.Kind(kind), rest[:last], rest[last+1:]}, true
}

// hasTokens reports whether a text holds tokens.
func hasTokens(text string) bool {
	return slices.ContainsFunc(pieces(text), func(p piece) bool { return p.token != "" })
}

// slug makes a name of letters, digits and sep out of any text; what a person reads of
// it stays in its order.
func slug(text string, sep rune) string {
	var b strings.Builder
	gap := false
	for _, r := range text {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			if gap && b.Len() > 0 {
				b.WriteRune(sep)
			}
			b.WriteRune(r)
			gap = false
			continue
		}
		gap = true
	}
	return b.String()
}

// names gives out names that are used once.
type names map[string]bool

// take returns name, or the first of name2, name3, … that is free. Case does not tell
// two apart.
func (n names) take(name string) string {
	free := name
	for i := 2; n[strings.ToLower(free)]; i++ {
		free = name + strconv.Itoa(i)
	}
	n[strings.ToLower(free)] = true
	return free
}

// find returns the first resource of a type that is the one wanted.
func find[T stack.Resource](s stack.Stack, is func(T) bool) (T, bool) {
	of := stack.Of[T](s)
	if i := slices.IndexFunc(of, is); i >= 0 {
		return of[i], true
	}
	var none T
	return none, false
}

// groupOf finds a log group of the stack.
func groupOf(s stack.Stack, region, name string) (*stack.LogGroup, bool) {
	return find(s, func(g *stack.LogGroup) bool { return g.Region == region && g.Name == name })
}

// busOf finds the bus of a rule.
func busOf(s stack.Stack, r *stack.Rule) (*stack.EventBus, bool) {
	return find(s, func(b *stack.EventBus) bool { return b.Region == r.Region && b.Source == r.Bus })
}

// referred finds what a token speaks of.
func referred(s stack.Stack, ref reference) (stack.Resource, bool) {
	return find(s, func(r stack.Resource) bool { return r.ID().Kind == ref.kind && r.ID().Name == ref.name })
}

// byARN finds the resource that an ARN with tokens names.
func byARN(s stack.Stack, arn string) (stack.Resource, bool) {
	return find(s, func(r stack.Resource) bool {
		switch r := r.(type) {
		case *stack.Policy:
			return arn == stack.PolicyARN(r.Name)
		case *stack.Role:
			return arn == stack.RoleARN(r.Name)
		case *stack.OIDCProvider:
			return arn == oidcARN(r)
		case *stack.Queue:
			return arn == r.ARN()
		default:
			return false
		}
	})
}

// oidcARN is the ARN of a provider.
func oidcARN(p *stack.OIDCProvider) string { return stack.ARN("iam", "", "oidc-provider/"+p.URL) }

// regions returns the Regions of a stack, that of the options first.
func regions(s stack.Stack, first string) []string {
	out := []string{first}
	for _, r := range s.Resources {
		if region := r.ID().Region; region != "" && !slices.Contains(out, region) {
			out = append(out, region)
		}
	}
	slices.Sort(out[1:])
	return out
}

// classOf is the class of a log group where it is not the one that AWS gives by itself:
// Regions without classes, and emulators, do not tell that one.
func classOf(g *stack.LogGroup) string {
	if g.Class == "STANDARD" {
		return ""
	}
	return g.Class
}
