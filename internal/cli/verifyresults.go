package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newVerifyResultsCommand makes "gapless verify results".
func newVerifyResultsCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "results", Short: "List what scheduled verifications have found", Args: noArgs,
		Long: `Lists the last 30 scheduled verifications of each tenant, see verify.schedule. A
verification by hand prints its result and is not kept.`,
		Example: "  gapless verify results --config gapless.yaml --tenant dev-tenant",
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "name of the `TENANT`; all when empty")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		list, err := app.VerifyResults(cmd.Context(), cfg, *name)
		if err != nil {
			return err
		}
		if *asJSON {
			if list == nil {
				list = []app.VerifyResult{}
			}
			return writeJSON(env.Stdout, list)
		}
		if len(list) == 0 {
			fmt.Fprintln(env.Stdout, "Nothing was verified by the schedule yet.")
		}
		for i := range list {
			x := &list[i]
			line := web.Verify{Ended: x.Ended, Clean: x.Clean, Held: x.Held, Found: x.Found, Repaired: x.Repaired, Error: x.Error}
			fmt.Fprintf(env.Stdout, "%s  %s to %s  %s\n", x.Tenant, x.Since.UTC().Format(time.RFC3339), x.Until.UTC().Format(time.RFC3339), line)
			for _, f := range x.Findings {
				fmt.Fprintln(env.Stdout, web.Plain(fmt.Sprintf("    %s  %s  %s", f.Kind, f.LogID, f.Destination)))
			}
		}
		return nil
	}
	return cmd
}
