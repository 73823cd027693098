package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// newSetupDestroyCommand makes "gapless setup destroy".
func newSetupDestroyCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Take away what setup made, and nothing else",
		Long: `Shows what would be taken away, asks, and takes it away, the last made first. What
others made stays, also under the same names. Lines begin with - for what goes, and !
for what stays.

A log group that holds events, or that may hold some, stays too, unless it is said
twice: with --delete-events, and by typing its name when asked, or with
--yes-delete-events-of and its name. Only then is its deletion protection taken off.`,
		Example: "  gapless setup destroy --config gapless.yaml\n" +
			"  gapless setup destroy --config gapless.yaml --yes --delete-events --yes-delete-events-of /auth0/dev-tenant",
		Args: noArgs,
	}
	r := newSetupRun(env, cmd)
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	events := cmd.Flags().Bool("delete-events", false, "delete log groups that hold events, too; each is asked for")
	cmd.Flags().StringSliceVar(&r.deleteEvents, "yes-delete-events-of", nil, "`GROUP` to delete with its events, in the place of typing its name; may be repeated")
	r.addFullFlag()
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(r.deleteEvents) > 0 && !*events {
			return usageError(cmd, "--yes-delete-events-of needs --delete-events beside it")
		}
		r.asJSON = *asJSON
		return r.destroy(cmd.Context(), *events)
	}
	return cmd
}

// destroy plans, asks and takes away.
func (r *setupRun) destroy(ctx context.Context, events bool) error {
	a, values, err := r.load(ctx)
	if err != nil {
		return err
	}
	e, p, err := r.planRemoval(ctx, a, values)
	if err != nil {
		return err
	}
	if more, err := r.confirmEvents(ctx, p, events); err != nil {
		return err
	} else if more {
		if e, p, err = r.planRemoval(ctx, a, values); err != nil {
			return err
		}
	}
	if !r.asJSON {
		r.printPlan(p)
	}
	if len(p.Pending()) > 0 {
		if err := r.agreed(ctx, "Take this away?"); err != nil {
			return err
		}
	}
	out, err := r.carryOut(ctx, e, p)
	if err != nil {
		return err
	}
	if r.asJSON {
		return writeJSON(r.env.Stdout, outcome(p, out))
	}
	return r.unkept(out)
}

// planRemoval makes an engine and plans with it.
func (r *setupRun) planRemoval(ctx context.Context, a *provision.AWS, values provision.Values) (*provision.Engine, provision.Plan, error) {
	e, err := r.engine(a, values)
	if err != nil {
		return nil, provision.Plan{}, err
	}
	p, err := e.PlanRemoval(ctx, r.stack)
	if err != nil {
		return nil, p, r.explain(err)
	}
	return e, p, nil
}

// errEventsNotTold says that the second word is missing.
var errEventsNotTold = errors.New("a log group holds events, and there is no terminal to type its name on; nothing was changed")

// confirmEvents has the name of each log group with events typed.
func (r *setupRun) confirmEvents(ctx context.Context, p provision.Plan, events bool) (more bool, err error) {
	for _, s := range p.Steps {
		g, isGroup := s.Resource.(*stack.LogGroup)
		if !events || !isGroup || !s.Have.HoldsEvents || !s.Have.Ours || slices.Contains(r.deleteEvents, g.Name) {
			continue
		}
		if !r.onTerminal() {
			return false, fail(exitUsage, r.cmd.CommandPath()+r.repeated()+" --delete-events --yes-delete-events-of "+shellWord(g.Name), errEventsNotTold)
		}
		answer, err := r.ask(ctx, fmt.Sprintf("The log group %s holds events, which nobody can bring back. Type its name to delete them, or nothing to keep it: ", g.Name))
		if err != nil {
			return false, err
		}
		if answer == g.Name {
			r.deleteEvents, more = append(r.deleteEvents, g.Name), true
		}
	}
	return more, nil
}
