package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newDestinationCommand makes "gapless destination".
func newDestinationCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "destination",
		GroupID: groupExport,
		Short:   "Give up what waits for a destination that was removed",
		Example: "  gapless destination drop audit --tenant dev-tenant --yes",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newDestinationDropCommand(env))
	return cmd
}

// newDestinationDropCommand makes "gapless destination drop".
func newDestinationDropCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop NAME",
		Short: "Delete the events that wait for a destination that is not configured any more",
		Long: `Deletes, for good, the events that wait for a destination that was taken out of the
configuration, and counts them as dropped. What other destinations have of them, or
wait for, stays as it is, and so do dead letters. Without --yes it says how many
would go, and changes nothing. gapless must not be running.`,
		Example: "  gapless destination drop audit --config gapless.yaml --tenant dev-tenant --yes",
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "name of the tenant")
	yes := cmd.Flags().Bool("yes", false, "do it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(cmd, "name one destination")
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		tenant, err := pickTenant(cmd, cfg, *name)
		if err != nil {
			return err
		}
		again := fmt.Sprintf("gapless destination drop %s%s --tenant %s --yes", args[0], flags.repeated(cmd), tenant)
		events, bytes, err := app.DropDestination(cmd.Context(), cfg, tenant, args[0], *yes)
		switch {
		case errors.Is(err, app.ErrDestinationInUse):
			return fail(exitUsage, "Take it out of the configuration first.", err)
		case errors.Is(err, app.ErrInUse):
			return fail(exitConfig, "Stop gapless, start it again after: "+again, err)
		case err != nil:
			return err
		case !*yes:
			return fail(exitUsage, again, fmt.Errorf("%s (%s) %w", plural(events, "event"), web.Size(bytes), errNotDropped))
		case *asJSON:
			return writeJSON(env.Stdout, droppedEvents{Events: events, Bytes: bytes})
		}
		fmt.Fprintf(env.Stdout, "%s: %s (%s) that waited for %s deleted\n", tenant, plural(events, "event"), web.Size(bytes), args[0])
		return nil
	}
	return cmd
}

// droppedEvents is the outcome for programs.
type droppedEvents struct {
	Events int64 `json:"events"`
	Bytes  int64 `json:"bytes"`
}
