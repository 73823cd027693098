package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRootCommand makes the command "gapless" with all that is below it.
func newRootCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gapless",
		Short: "Carry Auth0 tenant logs into Amazon CloudWatch Logs",
		Long: `gapless carries the event log of an Auth0 tenant into Amazon CloudWatch Logs:
every event, once, in order of time, and with proof that none is missing.`,
		Example:           "  gapless demo\n  gapless run --config gapless.yaml",
		Args:              cobra.ArbitraryArgs,
		RunE:              showHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.SetIn(env.Stdin)
	cmd.SetOut(env.Stdout)
	cmd.SetErr(env.Stderr)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError(c, "%w", err)
	})
	cmd.AddGroup(groups()...)
	cmd.SetHelpCommandGroupID(groupOther)
	cmd.AddCommand(commands(env)...)
	return cmd
}

// showHelp is what a command does that only holds others: it prints its help,
// and refuses a word that is none of them.
func showHelp(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fail(exitUsage, cmd.CommandPath()+" "+near[0]+" --help", err)
	}
	return fail(exitUsage, cmd.CommandPath()+" --help", err)
}

// noArgs is the rule of commands that take no arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, "%q takes no arguments, but got %q", cmd.CommandPath(), strings.Join(args, " "))
	}
	return nil
}
