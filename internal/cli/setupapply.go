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

// newSetupApplyCommand makes "gapless setup apply".
func newSetupApplyCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make what is missing, and change what differs",
		Long: `Shows the plan, asks, and carries it out step by step. It stops at the first step
that is refused, and names the permission that is missing with a statement that
allows it; what was done stays, and the next apply goes on from there. Run again it
finds nothing to do.

The secret of an access key (setup.run_on: user) is told by AWS once: it is written
to the file that --access-key-file names, readable for you alone, and nowhere else.`,
		Example: "  gapless setup apply --config gapless.yaml\n" +
			"  gapless setup apply --config gapless.yaml --run-on github --set setup.github.repository=example/export --yes\n" +
			"  gapless setup apply --config gapless.yaml --run-on user --access-key-file gapless.credentials",
		Args: noArgs,
	}
	r := newSetupRun(env, cmd)
	r.keyFile = &keyFile{}
	cmd.Flags().BoolVar(&r.yes, "yes", false, "do not ask")
	cmd.Flags().StringVar(&r.keyFile.path, "access-key-file", "", "new `FILE` for an access key that is made, in the form of the AWS CLI's credentials file")
	cmd.Flags().StringVar(&r.auth0.secretFile, "auth0-secret-file", "", "new `FILE` for the client secret of an application that is made in Auth0; {tenant} in it is the name of the tenant")
	r.addFullFlag()
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r.asJSON = *asJSON
		return r.apply(cmd.Context())
	}
	return cmd
}

// apply plans, asks and carries out.
func (r *setupRun) apply(ctx context.Context) (err error) {
	a, values, err := r.load(ctx)
	if err != nil {
		return err
	}
	e, err := r.engine(a, values)
	if err != nil {
		return err
	}
	p, err := e.Plan(ctx, r.stack)
	if err != nil {
		return r.explain(err)
	}
	if !r.asJSON {
		r.printPlan(p)
	}
	if err := r.checkSecretFile(p); err != nil {
		return err
	}
	if makesKey(p) {
		if r.keyFile.path == "" {
			return r.explain(provision.ErrNoKeyFile)
		}
		if err := r.keyFile.open(); err != nil {
			return fail(exitUsage, r.cmd.CommandPath()+" --access-key-file with a name that is not taken", err)
		}
		defer func() { err = errors.Join(err, r.keyFile.close()) }()
	}
	if len(p.Pending()) > 0 {
		if err := r.agreed(ctx, "Do this?"); err != nil {
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
	r.sayNext(e, p)
	return r.unkept(out)
}

// makesKey reports whether a plan makes an access key.
func makesKey(p provision.Plan) bool {
	return slices.ContainsFunc(p.Pending(), func(s provision.Step) bool {
		return s.Action == provision.ActionCreate && s.Resource.ID().Kind == stack.KindAccessKey
	})
}

// carryOut carries out a plan and tells of each step.
func (r *setupRun) carryOut(ctx context.Context, e *provision.Engine, p provision.Plan) (provision.Outcome, error) {
	done := map[provision.Action]string{
		provision.ActionCreate: "made", provision.ActionChange: "changed", provision.ActionRemove: "removed",
	}
	out, err := e.Apply(ctx, p, func(x provision.Progress) {
		if !x.Done || r.asJSON {
			return
		}
		what := done[x.Step.Action]
		if x.Skipped {
			what = "left (" + x.Note + ")"
		}
		fmt.Fprintln(r.env.Stdout, plainLines(what+" "+x.Step.Resource.ID().String()))
	})
	if err != nil {
		if n := len(out.Done); n > 0 {
			fmt.Fprintf(r.env.Stderr, "%s done before this one; run it again to go on.\n", plural(int64(n), "step"))
		}
		return out, r.explain(err)
	}
	return out, nil
}

// An outcomeJSON is what became of a plan, for programs.
type outcomeJSON struct {
	Done   []stepJSON `json:"done"`
	Unkept []stepJSON `json:"unkept"`
	Left   []stepJSON `json:"left"`
	Notes  []string   `json:"notes"`
}

// outcome turns what became of a plan into its form for programs.
func outcome(p provision.Plan, out provision.Outcome) outcomeJSON {
	o := outcomeJSON{Done: []stepJSON{}, Unkept: []stepJSON{}, Left: []stepJSON{}, Notes: append([]string{}, p.Notes...)}
	for _, s := range out.Done {
		o.Done = append(o.Done, jsonStep(s))
	}
	for _, s := range out.Unkept {
		o.Unkept = append(o.Unkept, jsonStep(s))
	}
	for _, s := range p.Steps {
		if s.Action == provision.ActionForeign || s.Action == provision.ActionStuck || s.Action == provision.ActionSkip {
			o.Left = append(o.Left, jsonStep(s))
		}
	}
	return o
}

// unkept tells of what an endpoint did not keep.
func (r *setupRun) unkept(out provision.Outcome) error {
	for _, s := range out.Unkept {
		fmt.Fprintln(r.env.Stderr, plainLines("warning: "+s.Resource.ID().String()+" was done, and is not there: the endpoint does not keep it, or is slow to show it"))
		for _, d := range s.Differences {
			fmt.Fprintln(r.env.Stderr, plainLines(differenceText(d, r.full)))
		}
	}
	return nil
}

// sayNext says what a person does now.
func (r *setupRun) sayNext(e *provision.Engine, p provision.Plan) {
	w := r.env.Stdout
	fmt.Fprintln(w, "\nNext:")
	var there stack.Stack
	for _, s := range p.Steps {
		if s.Action != provision.ActionSkip {
			there.Resources = append(there.Resources, s.Resource)
		}
	}
	for _, line := range e.NextSteps(there) {
		fmt.Fprintln(w, "  "+plainLines(line))
	}
	for _, path := range r.auth0.saved {
		fmt.Fprintf(w, "  # The client secret is in %s; name it as client_secret: file:%s\n", shellWord(path), shellWord(path))
	}
	if r.keyFile.saved {
		fmt.Fprintf(w, "  # The access key is in %s; gapless finds it with\n  export AWS_SHARED_CREDENTIALS_FILE=%s\n", shellWord(r.keyFile.path), shellWord(r.keyFile.path))
	}
	next := "config check"
	if c, _, err := r.cmd.Root().Find([]string{"doctor"}); err == nil && c.Name() == "doctor" {
		next = "doctor"
	}
	fmt.Fprintf(w, "  gapless %s%s\n  gapless run%s\n", next, r.flags.repeated(r.cmd), r.flags.repeated(r.cmd))
}
