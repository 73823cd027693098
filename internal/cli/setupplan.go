package cli

import (
	"errors"
	"fmt"

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
as it should be is counted. Tags that others have put there are theirs. Long texts,
and what many of a kind are made with, are shown with --full; policies always are.`,
		Example: "  gapless setup plan --config gapless.yaml\n  gapless setup plan --config gapless.yaml --without queries,alarms --json",
		Args:    noArgs,
	}
	r := newSetupRun(env, cmd)
	r.addFullFlag()
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
			r.printPlan(p)
		}
		if n := len(p.Pending()); err == nil && n > 0 && *detailed {
			return fail(exitNotClean, "gapless setup apply"+r.repeated(), fmt.Errorf("%w: %s", errPending, plural(int64(n), "change")))
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
