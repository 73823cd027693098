package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// newCursorCommand makes "gapless cursor".
func newCursorCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cursor",
		GroupID: groupExport,
		Short:   "Begin the reading of a tenant anew",
		Example: "  gapless cursor reset --tenant dev-tenant --yes",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newCursorResetCommand(env))
	return cmd
}

// errNotAgreed says that a command was not told to go ahead.
var errNotAgreed = errors.New("the next run would read the tenant from start_from again; events older than dedup_window that were delivered before would be delivered twice")

// newCursorResetCommand makes "gapless cursor reset".
func newCursorResetCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Forget how far a tenant has been read",
		Long: `Forgets the cursor of a tenant, so that the next run begins at start_from. What
is in the buffer stays there. Events that are read again are dropped if they were
stored within dedup_window; older ones are delivered twice. gapless must not be
running.`,
		Example: "  gapless cursor reset --config gapless.yaml --tenant dev-tenant --yes",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	name := cmd.Flags().String("tenant", "", "name of the tenant")
	yes := cmd.Flags().Bool("yes", false, "do it, knowing that old events may be delivered twice")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		t, err := pickTenant(cmd, cfg, *name)
		if err != nil {
			return err
		}
		if !*yes {
			return fail(exitUsage, fmt.Sprintf("gapless cursor reset%s --tenant %s --yes", flags.repeated(cmd), t), errNotAgreed)
		}
		if err := app.ResetCursor(cmd.Context(), cfg, t); err != nil {
			return err
		}
		fmt.Fprintf(env.Stdout, "%s: the cursor is reset; the next run begins at start_from\n", t)
		return nil
	}
	return cmd
}

// pickTenant returns the name of the tenant that a command is about: the one
// named, or the only one.
func pickTenant(cmd *cobra.Command, cfg *config.Config, name string) (string, error) {
	var names []string
	for _, t := range cfg.Tenants {
		if t.Name == name || (name == "" && len(cfg.Tenants) == 1) {
			return t.Name, nil
		}
		names = append(names, t.Name)
	}
	if name == "" {
		return "", usageError(cmd, "--tenant is needed: the configuration has %s", strings.Join(names, ", "))
	}
	return "", usageError(cmd, "no tenant is called %q: the configuration has %s", name, strings.Join(names, ", "))
}
