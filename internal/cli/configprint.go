package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/config"
)

// checkResult is what "config check --json" prints.
type checkResult struct {
	OK       bool           `json:"ok"`
	Tenants  []string       `json:"tenants,omitempty"`
	Problems []checkProblem `json:"problems,omitempty"`
	// Warnings are what is taken and yet likely a mistake; a valid configuration may
	// have some.
	Warnings []checkProblem `json:"warnings,omitempty"`
}

// checkProblem is a problem in a checkResult.
type checkProblem struct {
	Path    string `json:"path"`
	Where   string `json:"where"`
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// errReported is the cause of a failure that was printed already, as JSON.
var errReported = errors.New("the configuration is not valid; the problems are in the output")

// printCheckJSON prints the outcome of a check for programs.
func printCheckJSON(env *Env, cfg *config.Config, err error) error {
	bad, invalid := errors.AsType[*config.InvalidError](err)
	if err != nil && !invalid {
		return err
	}
	res := checkResult{OK: !invalid}
	if invalid {
		for _, p := range bad.Problems {
			res.Problems = append(res.Problems, checkProblem{p.Path, p.Where, p.Problem, p.Fix})
		}
	} else {
		for _, t := range cfg.Tenants {
			res.Tenants = append(res.Tenants, t.Name)
		}
		for _, p := range cfg.Warnings() {
			res.Warnings = append(res.Warnings, checkProblem{p.Path, p.Where, p.Problem, p.Fix})
		}
	}
	if err := writeJSON(env.Stdout, res); err != nil {
		return err
	}
	if invalid {
		return fail(exitConfig, "", errReported)
	}
	return nil
}

// newConfigPrintCommand makes "gapless config print".
func newConfigPrintCommand(env *Env) *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force, without secrets",
		Long: `Prints the configuration that run would use, defaults included, as YAML.
Secrets are shown as ` + config.Redacted + `, references to secrets as they are.`,
		Example: "  gapless config print --config gapless.yaml --origin\n  gapless config print --json",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.Flags().BoolVar(&origin, "origin", false, "tell on each line where the value comes from")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, cfg)
		}
		return cfg.Print(env.Stdout, origin)
	}
	return cmd
}

// newConfigSchemaCommand makes "gapless config schema".
func newConfigSchemaCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the configuration file",
		Long:    "Prints a JSON Schema (draft 2020-12), with which editors complete and check the file.",
		Example: "  gapless config schema > gapless.schema.json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := config.Schema()
			if err != nil {
				return err
			}
			if _, err := env.Stdout.Write(b); err != nil {
				return fmt.Errorf("print schema: %w", err)
			}
			return nil
		},
	}
}
