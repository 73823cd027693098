package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newConfigTestCommand makes "gapless config test".
func newConfigTestCommand(env *Env) *cobra.Command {
	var files []string
	var run string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Test what the rules do to events, by cases in a file",
		Long: `Puts events through filter, redaction, routing and shape of their tenants, and
compares what comes out with what is expected. The cases lie in a file beside
the configuration, gapless.tests.yaml for gapless.yaml, or in those that --tests
names; the guide on rules says how they are written.

It needs no network, no data directory and no secrets: hashes are made with a key
of its own in the place of redact.key. It fails when a test fails.`,
		Example: "  gapless config test --config gapless.yaml\n  gapless config test --tests rules/pii.yaml --run 'log.?in'",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.Flags().StringArrayVar(&files, "tests", nil, "`FILE` with tests; may be repeated")
	cmd.Flags().StringVar(&run, "run", "", "run only the tests whose name the `REGEXP` matches")
	_ = cmd.MarkFlagFilename("tests", "yaml", "yml") // fails only for a flag that is not there
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		chosen, err := regexp.Compile(run)
		if err != nil {
			return usageError(cmd, "--run: %w", err)
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			files = []string{config.RuleTestsFile(flags.fileName(env))}
		}
		tests, err := readRuleTests(cmd, cfg, files)
		if err != nil {
			return err
		}
		all := len(tests)
		tests = slices.DeleteFunc(tests, func(t config.RuleTest) bool { return !chosen.MatchString(t.Name) })
		if len(tests) == 0 {
			return usageError(cmd, "none of %s has a name that fits --run %q", plural(int64(all), "test"), run)
		}
		r := &ruleTests{env: env, asJSON: *asJSON}
		return r.run(cmd.Context(), cfg, tests)
	}
	return cmd
}

// fileName returns the name of the file that the configuration is read from, whether
// or not it is there.
func (f *configFlags) fileName(env *Env) string {
	named, _ := env.LookupEnv(config.FileVariable)
	return cmp.Or(f.file, named, config.DefaultFile)
}

// readRuleTests reads files of tests.
func readRuleTests(cmd *cobra.Command, cfg *config.Config, files []string) (tests []config.RuleTest, err error) {
	for _, name := range files {
		src, err := os.ReadFile(name) //nolint:gosec // the operator names the file
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usageError(cmd, "there is no file %s with tests: name one by --tests", name)
		}
		if err != nil {
			return nil, usageError(cmd, "read tests: %w", err)
		}
		more, err := cfg.RuleTests(name, src, os.ReadFile)
		if err != nil {
			return nil, fail(exitConfig, "Correct the tests; the guide docs/rules.md has examples.", err)
		}
		tests = append(tests, more...)
	}
	if len(tests) == 0 {
		return nil, usageError(cmd, "%s holds no test", strings.Join(files, " and "))
	}
	return tests, nil
}

// ruleTests are the tests of a "config test" under way.
type ruleTests struct {
	env    *Env
	asJSON bool
}

// testedRules is what "config test --json" prints.
type testedRules struct {
	OK     bool         `json:"ok"`
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
	Tests  []testedRule `json:"tests"`
}

// testedRule is a test in testedRules.
type testedRule struct {
	Name   string `json:"name"`
	Tenant string `json:"tenant"`
	Where  string `json:"where"`
	OK     bool   `json:"ok"`
	// What became of the event; the message is there when it is kept.
	Kept      bool          `json:"kept"`
	Reason    string        `json:"reason,omitempty"`
	LogGroup  string        `json:"log_group,omitempty"`
	LogStream string        `json:"log_stream,omitempty"`
	Message   string        `json:"message,omitempty"`
	Failures  []testFailure `json:"failures,omitempty"`
}

// testFailure is what is wrong in a testedRule.
type testFailure struct {
	Where string `json:"where"`
	What  string `json:"what"`
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// run runs tests and prints how they end.
func (r *ruleTests) run(ctx context.Context, cfg *config.Config, tests []config.RuleTest) error {
	var out testedRules
	for _, t := range tests {
		res, err := app.RunRuleTest(ctx, cfg, t)
		if err != nil {
			return err
		}
		if len(res.Failures) == 0 {
			out.Passed++
		} else {
			out.Failed++
		}
		if r.asJSON {
			out.Tests = append(out.Tests, tested(res))
		} else {
			r.print(res)
		}
	}
	out.OK = out.Failed == 0
	if r.asJSON {
		if err := writeJSON(r.env.Stdout, out); err != nil {
			return err
		}
	} else if out.OK {
		fmt.Fprintf(r.env.Stdout, "OK: %s passed\n", plural(int64(out.Passed), "test"))
	}
	if !out.OK {
		return fail(exitFailure, "", fmt.Errorf("%d of %s failed", out.Failed, plural(int64(len(tests)), "test")))
	}
	return nil
}

// tested is a result for programs.
func tested(res app.RuleTestResult) testedRule {
	t := testedRule{
		Name: res.Test.Name, Tenant: res.Test.Tenant, Where: res.Test.At.String(), OK: len(res.Failures) == 0,
		Kept: res.Kept, Reason: res.Reason, LogGroup: res.Destination.LogGroup, LogStream: res.Destination.LogStream, Message: string(res.Message),
	}
	for _, f := range res.Failures {
		t.Failures = append(t.Failures, testFailure{f.At.String(), f.What, f.Want, f.Got})
	}
	return t
}

// print prints a result for a person.
func (r *ruleTests) print(res app.RuleTestResult) {
	w := r.env.Stdout
	if len(res.Failures) == 0 {
		fmt.Fprintln(w, "ok   ", plainLines(res.Test.Name))
		return
	}
	fmt.Fprintln(w, r.env.paint(w, red, "FAIL "), plainLines(res.Test.Name))
	for _, f := range res.Failures {
		fmt.Fprintf(w, "      %s: %s\n", plainLines(f.At.String()), plainLines(f.What))
		want, got, at := apart(f.Want, f.Got)
		fmt.Fprintf(w, "        want  %s\n        got   %s\n", want, got)
		if at > 0 {
			fmt.Fprintf(w, "              %s^\n", strings.Repeat(" ", at))
		}
	}
}

// How much is shown of long texts before the place where they differ, and behind it.
const (
	shownBefore = 40
	shownBehind = 60
)

// apart returns two texts on a line each, long ones cut around the place where they
// begin to differ, and how many characters lie before it; 0 when it needs no mark.
func apart(want, got string) (string, string, int) {
	w, g := []rune(web.Plain(want)), []rune(web.Plain(got))
	same := 0
	for same < len(w) && same < len(g) && w[same] == g[same] {
		same++
	}
	from := 0
	if max(len(w), len(g)) > shownBefore+shownBehind {
		from = max(0, same-shownBefore)
	}
	at := same - from
	if from > 0 {
		at++ // of the dots
	}
	return around(w, from, same+shownBehind), around(g, from, same+shownBehind), at
}

// around returns a part of a text, with dots where something is left out.
func around(text []rune, from, to int) string {
	before, behind := "", ""
	if from > 0 {
		before = "…"
	}
	if to < len(text) {
		behind = "…"
	}
	from, to = min(from, len(text)), min(to, len(text))
	return before + string(text[from:to]) + behind
}
