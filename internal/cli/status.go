package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// errNotWell is the outcome of status when a tenant is in trouble or at risk.
var errNotWell = errors.New("in trouble or at risk")

// newStatusCommand makes "gapless status".
func newStatusCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupExport,
		Short:   "Show what was fetched, delivered and kept, and what is wrong",
		Long: `Reads the data directory, whether or not gapless is running, and shows for each
tenant how far the export is, what passed lately, what waits in the buffer, every gap,
what went wrong or is at risk, and what to do about it. The exit code is 5 when a tenant
is in trouble or its events are at risk.

With --watch it shows this over and over: on a terminal in place, until Ctrl-C, elsewhere
one report below the other, and with --json an object on a line each time. Its exit code
is that of how it ended.`,
		Example: "  gapless status --config gapless.yaml\n  gapless status --config gapless.yaml --watch\n  gapless status --config gapless.yaml --json",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	addColourFlag(cmd, env)
	watch := cmd.Flags().BoolP("watch", "w", false, "show it over and over until Ctrl-C")
	interval := cmd.Flags().Duration("interval", 0, "how often --watch looks, 200ms at least; 2s on a terminal and 10s elsewhere when it is 0")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval != 0 && (*interval < 200*time.Millisecond || !*watch) {
			return usageError(cmd, "--interval is 200ms at least, and goes with --watch")
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		read := func(ctx context.Context) (web.Overview, error) {
			return app.ReadOverview(ctx, cfg, build(env.Version).Version)
		}
		if *watch {
			w := &watching{env: env, read: read, asJSON: *asJSON, interval: *interval}
			return w.run(cmd.Context())
		}
		o, err := read(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(env.Stdout, o)
		} else {
			fmt.Fprintln(env.Stdout, strings.Join(env.viewOverview(env.Stdout, o), "\n"))
		}
		return errors.Join(err, unwell(o))
	}
	return cmd
}

// unwell names the tenants in trouble or at risk, with what to do about the first that needs
// a person; nil when there are none.
func unwell(o web.Overview) error {
	var names []string
	var hint string
	for _, t := range o.Tenants {
		if len(t.Troubles)+len(t.Retention.Risks) > 0 {
			names = append(names, t.Name)
		}
		for _, x := range t.Troubles {
			if hint == "" && x.NeedsPerson() {
				hint = x.Hint
			}
		}
		for _, x := range t.Retention.Risks {
			hint = cmp.Or(hint, x.Hint)
		}
	}
	if names == nil {
		return nil
	}
	return fail(exitNotClean, hint, fmt.Errorf("%w: %s", errNotWell, strings.Join(names, ", ")))
}
