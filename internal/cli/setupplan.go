package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
)

// newSetupPlanCommand makes "gapless setup plan".
func newSetupPlanCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what is there, what is missing and what differs",
		Long: `Asks AWS and Auth0 for what the configuration needs, and shows what apply would do.
It changes nothing. Lines begin with + for what is missing, ~ for what differs, ! for
what differs and is left as it is, and ? for what the endpoint does not know; what is
as it should be is counted. Tags that others have put there are theirs.`,
		Example: "  gapless setup plan --config gapless.yaml\n  gapless setup plan --config gapless.yaml --without queries,alarms --json",
		Args:    noArgs,
	}
	r := newSetupRun(env, cmd)
	asJSON := addJSONFlag(cmd)
	detailed := cmd.Flags().Bool("detailed-exitcode", false, "exit with 5 when there is something to do")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a, values, err := r.load(cmd.Context())
		if err != nil {
			return err
		}
		e, err := r.engine(a, values)
		if err != nil {
			return err
		}
		p, err := e.Plan(cmd.Context(), r.stack)
		if err != nil {
			return r.explain(err)
		}
		if *asJSON {
			err = writeJSON(env.Stdout, jsonPlan(p))
		} else {
			env.printPlan(env.Stdout, p)
		}
		if n := len(p.Pending()); err == nil && n > 0 && *detailed {
			return fail(exitNotClean, "gapless setup apply"+r.flags.repeated(cmd), fmt.Errorf("%w: %s", errPending, plural(int64(n), "change")))
		}
		return err
	}
	return cmd
}

// errPending says that a plan is not empty.
var errPending = errors.New("there is something to do")

// A planJSON is a plan for programs.
type planJSON struct {
	// Changes is how many steps change something.
	Changes int        `json:"changes"`
	Steps   []stepJSON `json:"steps"`
	Notes   []string   `json:"notes"`
}

// A stepJSON is a step of a plan for programs.
type stepJSON struct {
	Action      string           `json:"action"`
	Kind        string           `json:"kind"`
	Region      string           `json:"region,omitempty"`
	Name        string           `json:"name"`
	Part        string           `json:"part"`
	Ours        bool             `json:"ours"`
	Differences []differenceJSON `json:"differences,omitempty"`
	Note        string           `json:"note,omitempty"`
}

// A differenceJSON is a property that differs. Values of secrets are left out.
type differenceJSON struct {
	Path   string `json:"path"`
	Have   string `json:"have,omitempty"`
	Want   string `json:"want,omitempty"`
	Fixed  bool   `json:"fixed,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}

// jsonPlan turns a plan into its form for programs.
func jsonPlan(p provision.Plan) planJSON {
	out := planJSON{Changes: len(p.Pending()), Steps: []stepJSON{}, Notes: append([]string{}, p.Notes...)}
	for _, s := range p.Steps {
		out.Steps = append(out.Steps, jsonStep(s))
	}
	return out
}

// jsonStep turns a step into its form for programs.
func jsonStep(s provision.Step) stepJSON {
	id := s.Resource.ID()
	out := stepJSON{
		Action: string(s.Action), Kind: string(id.Kind), Region: id.Region, Name: id.Name, Part: s.Resource.Part(),
		Ours: s.Have.Ours, Note: s.Note,
	}
	for _, d := range s.Differences {
		out.Differences = append(out.Differences, differenceJSON(d))
	}
	return out
}

// printPlan prints a plan for a person.
func (e *Env) printPlan(w io.Writer, p provision.Plan) {
	for _, s := range p.Steps {
		e.printStep(w, s)
	}
	for _, n := range p.Notes {
		e.printNote(w, n)
	}
	if len(p.Steps) > 0 && (len(p.Notes) > 0 || p.Count(provision.ActionKeep)+p.Count(provision.ActionGone) < len(p.Steps)) {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, summary(p))
}

// summary says in a line what a plan comes to.
func summary(p provision.Plan) string {
	var parts []string
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
	if len(p.Pending()) == 0 {
		return strings.Join(append([]string{"Nothing to do"}, parts...), ", ") + "."
	}
	return strings.ToUpper(parts[0][:1]) + parts[0][1:] + strings.TrimSuffix(", "+strings.Join(parts[1:], ", "), ", ") + "."
}

// printNote prints a note of a stack.
func (e *Env) printNote(w io.Writer, note string) {
	fmt.Fprintln(w, e.paint(w, dim, "  note: "+plainLines(note)))
}

// printStep prints a step, unless there is nothing to say of it.
func (e *Env) printStep(w io.Writer, s provision.Step) {
	var mark, colour string
	why := s.Note
	switch s.Action {
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
	line := mark + " " + s.Resource.ID().String()
	if why != "" {
		line += ": " + why
	}
	fmt.Fprintln(w, e.paint(w, colour, plainLines(line)))
	for _, d := range s.Differences {
		fmt.Fprintln(w, plainLines(differenceText(d, s.Action == provision.ActionCreate)))
	}
}

// differenceText says what differs; of what is made, what it is made with.
func differenceText(d provision.Difference, made bool) string {
	switch {
	case d.Secret:
		return "    " + d.Path + ": (a secret)"
	case isDocument(d.Have) || isDocument(d.Want):
		return documentText(d, made)
	case made:
		return "    " + d.Path + ": " + d.Want
	default:
		return "    " + d.Path + ": " + noneIfEmpty(d.Have) + " -> " + noneIfEmpty(d.Want)
	}
}

// noneIfEmpty names what is empty.
func noneIfEmpty(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// isDocument reports whether a text is a JSON object.
func isDocument(text string) bool { return strings.HasPrefix(text, "{") && json.Valid([]byte(text)) }

// documentText shows a document line by line; of one that changes, the lines that are
// in one of the two alone.
func documentText(d provision.Difference, made bool) string {
	var b strings.Builder
	b.WriteString("    " + d.Path + ":")
	have, want := documentLines(d.Have), documentLines(d.Want)
	if made {
		for _, line := range want {
			b.WriteString("\n      " + line)
		}
		return b.String()
	}
	for _, x := range []struct {
		mark        string
		these, then []string
	}{{"- ", have, want}, {"+ ", want, have}} {
		left := map[string]int{}
		for _, line := range x.then {
			left[strings.Trim(line, " ,")]++
		}
		for _, line := range x.these {
			key := strings.Trim(line, " ,")
			if left[key]--; left[key] < 0 {
				b.WriteString("\n      " + x.mark + line)
			}
		}
	}
	return b.String()
}

// documentLines indents a document.
func documentLines(text string) []string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return []string{text}
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil { // it was JSON
		return []string{text}
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}
