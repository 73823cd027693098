package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
)

// newBackfillListCommand makes "gapless backfill list".
func newBackfillListCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List backfills, those of the past among them", Args: noArgs,
		Long:    "Lists the backfills that were asked for, the oldest first: those that wait or are under\nway, and the last 20 of each tenant that have ended.",
		Example: "  gapless backfill list --config gapless.yaml",
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		list, err := app.Backfills(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if *asJSON {
			if list == nil {
				list = []app.BackfillState{}
			}
			return writeJSON(env.Stdout, list)
		}
		if len(list) == 0 {
			fmt.Fprintln(env.Stdout, "No backfill was asked for.")
		}
		for i := range list {
			fmt.Fprintln(env.Stdout, backfillLine(&list[i], time.Now()))
		}
		return nil
	}
	return cmd
}

// oneBackfill refuses all but the id of one backfill.
func oneBackfill(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError(cmd, "name one backfill by its id, see gapless backfill list")
	}
	return nil
}

// newBackfillStatusCommand makes "gapless backfill status".
func newBackfillStatusCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status ID", Short: "Show how far a backfill is", Args: oneBackfill,
		Long:    "Shows what a backfill has done so far, and what hinders it.",
		Example: "  gapless backfill status 20261127-080000-1a2b3c --config gapless.yaml",
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		b := &backfilling{env: env, asJSON: *asJSON, cfg: cfg}
		s, err := b.state(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return b.report(&s, "")
	}
	return cmd
}

// newBackfillCancelCommand makes "gapless backfill cancel".
func newBackfillCancelCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "End a backfill that is not done", Args: oneBackfill,
		Long:    "Ends a backfill: within a second when gapless runs, or when it is started next. What it\nhas stored is delivered; the destination keeps what it has.",
		Example: "  gapless backfill cancel 20261127-080000-1a2b3c --config gapless.yaml",
	}
	flags := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		s, err := app.CancelBackfill(cmd.Context(), cfg, args[0])
		if errors.Is(err, app.ErrNoBackfill) {
			return fail(exitUsage, "gapless backfill list"+flags.repeated(cmd), err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(env.Stdout, "%s: %s\n", s.ID, s.Phase)
		return nil
	}
	return cmd
}
