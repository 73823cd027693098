package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/config"
)

// newConfigCommand makes "gapless config".
func newConfigCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupOther,
		Short:   "Check, test, print and describe the configuration",
		Example: "  gapless config check --config gapless.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newConfigCheckCommand(env), newConfigPrintCommand(env), newConfigSchemaCommand(env), newConfigTestCommand(env))
	return cmd
}

// newConfigCheckCommand makes "gapless config check".
func newConfigCheckCommand(env *Env) *cobra.Command {
	var resolve bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Name everything that is wrong with the configuration",
		Long: `Reads the file, the environment and the flags as run does, and names every
problem with its place and what to do about it. What is taken and yet likely a
mistake, such as an event type that is not known, is a warning. Secrets kept in variables and
files are looked up; those kept in AWS only with --resolve. Auth0 and CloudWatch
Logs are not called.`,
		Example: "  gapless config check --config gapless.yaml\n  gapless config check --config gapless.yaml --json",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.Flags().BoolVar(&resolve, "resolve", false, "look up the secrets that are kept in AWS, too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err == nil {
			err = cfg.CheckSecrets(cmd.Context(), resolver(cfg, env), resolve)
		}
		if *asJSON {
			return printCheckJSON(env, cfg, err)
		}
		if err != nil {
			return fail(exitConfig, flags.next(cmd), err)
		}
		printSummary(env, cfg)
		return nil
	}
	return cmd
}

// printSummary says what a valid configuration does.
func printSummary(env *Env, cfg *config.Config) {
	noun := "tenant"
	if len(cfg.Tenants) > 1 {
		noun = "tenants"
	}
	fmt.Fprintf(env.Stdout, "OK: %d %s\n", len(cfg.Tenants), noun)
	for _, t := range cfg.Tenants {
		region := cfg.AWSFor(t).Region
		if region == "" {
			region = "the Region of the AWS settings"
		}
		fmt.Fprintf(env.Stdout, "  %s: %s -> %s, stream %s, in %s\n", t.Name, t.Origin(), destination(t.CloudWatch.LogGroup, t), destination(t.CloudWatch.LogStream, t), region)
	}
	env.printWarnings(env.Stdout, cfg, "")
}

// destination fills the name of the tenant into a template.
func destination(template string, t config.Tenant) string {
	return strings.ReplaceAll(template, "{tenant}", t.Name)
}
