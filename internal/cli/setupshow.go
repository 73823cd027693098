package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// What a plan shows without --full.
const (
	// shownLines is how long a text may be, in lines.
	shownLines = 12
	// shownOfKind is of how many of a kind it is shown what they are made with.
	shownOfKind = 6
)

// addFullFlag gives the command the flag that shows all of a plan.
func (r *setupRun) addFullFlag() {
	r.cmd.Flags().BoolVar(&r.full, "full", false, "show all of the plan, with long texts and each resource that is not known")
}

// printPlan prints a plan for a person.
func (r *setupRun) printPlan(p provision.Plan) {
	s := planShow{Writer: r.env.Stdout, env: r.env, full: r.full}
	if slices.ContainsFunc(p.Steps, told) {
		s.parts(p.Steps)
		if len(p.Notes) > 0 {
			fmt.Fprintln(s)
		}
	}
	for _, n := range p.Notes {
		r.env.printNote(s.Writer, n)
	}
	if len(p.Steps) > 0 && (len(p.Notes) > 0 || slices.ContainsFunc(p.Steps, told)) {
		fmt.Fprintln(s)
	}
	fmt.Fprintln(s, summary(p))
}

// printNote prints a note of a stack.
func (e *Env) printNote(w io.Writer, note string) {
	fmt.Fprintln(w, e.paint(w, dim, "  note: "+plainLines(note)))
}

// told reports whether there is anything to say of a step.
func told(s provision.Step) bool {
	return s.Action != provision.ActionKeep && s.Action != provision.ActionGone
}

// counts says how many steps there are of each kind of action, such as "2 to make".
func counts(p provision.Plan) (parts []string) {
	for _, x := range []struct {
		action provision.Action
		words  string
	}{
		{provision.ActionCreate, "to make"},
		{provision.ActionChange, "to change"},
		{provision.ActionRemove, "to remove"},
		{provision.ActionKeep, "as they should be"},
		{provision.ActionForeign, "left as they are"},
		{provision.ActionStuck, "that cannot be changed"},
		{provision.ActionSkip, "that the endpoint does not know"},
		{provision.ActionGone, "not there"},
	} {
		if n := p.Count(x.action); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, x.words))
		}
	}
	return parts
}

// summary says in a line what a plan comes to.
func summary(p provision.Plan) string {
	parts := counts(p)
	if len(p.Pending()) == 0 {
		parts = append([]string{"Nothing to do"}, parts...)
	}
	return strings.Join(parts, ", ") + "."
}

// A planShow shows the steps of a plan on its writer.
type planShow struct {
	io.Writer
	env  *Env
	full bool
}

// parts shows steps part by part, in the order in which the parts come first.
func (s planShow) parts(steps []provision.Step) {
	var names []string
	of := map[string][]provision.Step{}
	for _, x := range steps {
		part := x.Resource.Part()
		if of[part] == nil {
			names = append(names, part)
		}
		of[part] = append(of[part], x)
	}
	open := false // whether the part before has lines below its headline
	for i, name := range names {
		says := slices.ContainsFunc(of[name], told)
		if i > 0 && (open || says) {
			fmt.Fprintln(s)
		}
		open = says
		fmt.Fprintln(s, s.env.paint(s.Writer, bold, name+": "+strings.Join(counts(provision.Plan{Steps: of[name]}), ", ")))
		s.steps(of[name])
	}
}

// A likeness is what steps that are told of in one line have in common.
type likeness struct {
	action       provision.Action
	kind         stack.Kind
	region, note string
}

// likenessOf returns that of a step.
func likenessOf(s provision.Step) likeness {
	id := s.Resource.ID()
	return likeness{s.Action, id.Kind, id.Region, s.Note}
}

// steps shows the steps of a part.
func (s planShow) steps(steps []provision.Step) {
	like, seen := map[likeness]int{}, map[likeness]int{}
	for _, x := range steps {
		like[likenessOf(x)]++
	}
	for _, x := range steps {
		key := likenessOf(x)
		seen[key]++
		switch n := like[key]; {
		case !told(x):
		case s.full:
			s.step(x, true)
		case x.Action == provision.ActionSkip && n > 1:
			if seen[key] == 1 {
				s.skipped(key, n)
			}
		case x.Action == provision.ActionCreate && n > shownOfKind:
			s.step(x, false)
			if seen[key] == n {
				fmt.Fprintf(s, "    (--full shows what these %d are made with)\n", n)
			}
		default:
			s.step(x, true)
		}
	}
}

// skipped shows in a line that an endpoint does not know n resources of a kind.
func (s planShow) skipped(of likeness, n int) {
	line := fmt.Sprintf("? %d %s", n, pluralOf(string(of.kind)))
	if of.region != "" {
		line += " (" + of.region + ")"
	}
	fmt.Fprintln(s, s.env.paint(s.Writer, bold, plainLines(line+": "+of.note)))
}

// pluralOf returns the plural of a kind.
func pluralOf(kind string) string {
	if stem, ok := strings.CutSuffix(kind, "y"); ok && !strings.HasSuffix(stem, "e") {
		return stem + "ies"
	}
	switch {
	case strings.HasSuffix(kind, "indexes"): // of which each group has several
		return kind
	case strings.HasSuffix(kind, "s"):
		return kind + "es"
	default:
		return kind + "s"
	}
}

// step shows a step, and with details what differs, or what it is made with.
func (s planShow) step(x provision.Step, details bool) {
	var mark, colour string
	why := x.Note
	switch x.Action {
	case provision.ActionCreate:
		mark, colour = "+", green
	case provision.ActionChange:
		mark, colour = "~", bold
	case provision.ActionRemove:
		mark, colour = "-", red
	case provision.ActionForeign:
		mark, colour = "!", bold
		if why == "" {
			why = "setup did not make it, and leaves it as it is"
		}
	case provision.ActionStuck:
		mark, colour, why = "!", bold, "AWS never lets this change; it stays as it is"
	case provision.ActionSkip:
		mark, colour = "?", bold
	default:
		return
	}
	line := mark + " " + x.Resource.ID().String()
	if why != "" {
		line += ": " + why
	}
	fmt.Fprintln(s, s.env.paint(s.Writer, colour, plainLines(line)))
	switch {
	case !details:
	case x.Action == provision.ActionCreate:
		for _, line := range madeWith(x.Differences, s.full) {
			fmt.Fprintln(s, plainLines(line))
		}
	default:
		for _, d := range x.Differences {
			fmt.Fprintln(s, plainLines(differenceText(d, s.full)))
		}
	}
}

// madeWith says what a resource is made with. The members of a list stand in a line,
// and so do tags.
func madeWith(all []provision.Difference, full bool) (lines []string) {
	last := "" // what the last line lists
	for _, d := range all {
		name, member := d.Path, ""
		if list, isList := strings.CutSuffix(d.Path, "["+d.Want+"]"); isList {
			name, member = list, d.Want
		} else if tag, isTag := strings.CutPrefix(d.Path, "tags."); isTag {
			name, member = "tags", tag+"="+d.Want
		}
		switch {
		case member == "":
			lines = append(lines, "    "+d.Path+":"+valueText(d, full))
			name = ""
		case name == last:
			lines[len(lines)-1] += ", " + member
		default:
			lines = append(lines, "    "+name+": "+member)
		}
		last = name
	}
	return lines
}

// valueText says what a property is made with.
func valueText(d provision.Difference, full bool) string {
	if d.Secret {
		return " (a secret)"
	}
	lines := textLines(d.Want)
	switch {
	case len(lines) == 1:
		return " " + lines[0]
	case !full && folded(d.Want):
		return " " + sizeOf(d.Want) + " (--full shows them)"
	default:
		return "\n      " + strings.Join(lines, "\n      ")
	}
}

// folded reports whether a text is too long to be shown without --full. Policies never
// are: whoever sets up must see what is allowed to whom.
func folded(text string) bool { return !isPolicy(text) && len(textLines(text)) > shownLines }

// sizeOf says how long a text is.
func sizeOf(text string) string { return plural(int64(len(textLines(text))), "line") }

// differenceText says what differs. Of long texts it shows the lines that do.
func differenceText(d provision.Difference, full bool) string {
	begin := "    " + d.Path + ":"
	have, want := textLines(d.Have), textLines(d.Want)
	switch {
	case d.Secret:
		return begin + " (a secret)"
	case len(have) <= 1 && len(want) <= 1:
		return begin + " " + noneIfEmpty(d.Have) + " -> " + noneIfEmpty(d.Want)
	case !full && d.Have == "" && folded(d.Want):
		return begin + " (none) -> " + sizeOf(d.Want) + " (--full shows them)"
	case !full && d.Want == "" && folded(d.Have):
		return begin + " " + sizeOf(d.Have) + " -> (none) (--full shows them)"
	}
	context := shownContext
	if full {
		context = len(have) + len(want)
	}
	return begin + "\n      " + strings.Join(withContext(compareLines(have, want), context), "\n      ")
}

// noneIfEmpty names what is empty.
func noneIfEmpty(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// isPolicy reports whether a text is a policy of AWS.
func isPolicy(text string) bool {
	var policy struct {
		Statement json.RawMessage
	}
	return json.Unmarshal([]byte(text), &policy) == nil && policy.Statement != nil
}

// textLines returns the lines of a text, of a JSON object indented; none for none.
func textLines(text string) []string {
	if text == "" {
		return nil
	}
	if strings.HasPrefix(text, "{") {
		var v any
		in := json.NewDecoder(strings.NewReader(text))
		in.UseNumber()
		var b strings.Builder
		out := json.NewEncoder(&b)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if json.Valid([]byte(text)) && in.Decode(&v) == nil && out.Encode(v) == nil {
			text = b.String()
		}
	}
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}
