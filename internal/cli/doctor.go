package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
)

// errUnhealthy is the outcome of doctor when a check has failed.
var errUnhealthy = errors.New("checks failed")

// newDoctorCommand makes "gapless doctor".
func newDoctorCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupExport,
		Short:   "Check everything from where gapless will run, with the fix to paste",
		Long: `Looks at all that the export needs, in order: the configuration and its secrets,
the data directory, the way to Auth0 and to AWS, clocks, credentials, permissions, the
log and its rate limit, log streams, the log group and stream, the queue, the
webhook. Each line says pass, warn, fail or skip and what was found; below it stands
what to do. Run it as the user, on the machine and with the environment that gapless
runs with; it works beside a gapless that runs.

Nothing is changed, but by --write-test: it writes one message to the log stream
` + cloudwatch.DoctorStream + ` of each log group, which says that it is no event of Auth0, and reads
it back. Where gapless keeps no token that is still good, one is asked for, which
leaves an event in the tenant's log.

Warnings leave the exit code at 0. After a failure it is 3 when the configuration has to be
changed, otherwise 4 when credentials or a permission were refused, otherwise 5.`,
		Example: "  gapless doctor --config gapless.yaml\n  gapless doctor --config gapless.yaml --tenant dev-tenant --write-test\n  gapless doctor --config gapless.yaml --json",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	tenant := cmd.Flags().String("tenant", "", "look at this `TENANT` alone, and at what all share")
	write := cmd.Flags().Bool("write-test", false, "write one message to the log stream "+cloudwatch.DoctorStream+" of each log group, and read it back")
	timeout := cmd.Flags().Duration("timeout", 10*time.Second, "how long each check may take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *timeout <= 0 {
			return usageError(cmd, "--timeout is %v: it must be positive", *timeout)
		}
		r := &doctorReport{env: env, w: env.Stdout, quiet: *asJSON, Checks: []checkup.Result{}}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		switch {
		case errors.Is(err, config.ErrInvalid):
			for _, f := range app.InvalidFindings(err) {
				r.tell(checkup.Result{Section: app.SettingsSection, Check: "config", Finding: f})
			}
			r.tell(checkup.Result{Section: app.SettingsSection, Check: "everything_else", Finding: checkup.Skipped("not looked at, because config failed")})
		case err != nil:
			return err
		case *tenant != "" && !configures(cfg, *tenant):
			return usageError(cmd, "--tenant is %q: the configuration has no such tenant", *tenant)
		default:
			d := app.Doctor{
				Options:   app.Options{Config: cfg, Version: build(env.Version).Version, Secrets: resolver(cfg, env)},
				WriteTest: *write, Timeout: *timeout, Tenant: *tenant,
			}
			if err := d.Examine(cmd.Context(), r.tell); err != nil {
				return err
			}
		}
		return r.finish()
	}
	return cmd
}

// configures reports whether a configuration has a tenant.
func configures(cfg *config.Config, tenant string) bool {
	for _, t := range cfg.Tenants {
		if t.Name == tenant {
			return true
		}
	}
	return false
}

// A doctorReport is what doctor prints: for people as it comes, for programs at the end.
type doctorReport struct {
	env     *Env
	w       io.Writer
	quiet   bool // nothing is printed before the end
	section string

	Checks  []checkup.Result `json:"checks"`
	Summary doctorSummary    `json:"summary"`
}

// A doctorSummary counts the outcomes.
type doctorSummary struct {
	Pass int `json:"pass"`
	Warn int `json:"warn"`
	Fail int `json:"fail"`
	Skip int `json:"skip"`
}

// tell takes a result.
func (r *doctorReport) tell(x checkup.Result) {
	r.Checks = append(r.Checks, x)
	colour := map[checkup.Status]string{checkup.Pass: green, checkup.Warn: yellow, checkup.Fail: red, checkup.Skip: dim}[x.Status]
	switch x.Status {
	case checkup.Pass:
		r.Summary.Pass++
	case checkup.Warn:
		r.Summary.Warn++
	case checkup.Fail:
		r.Summary.Fail++
	case checkup.Skip:
		r.Summary.Skip++
	}
	if r.quiet {
		return
	}
	if x.Section != r.section {
		if r.section != "" {
			fmt.Fprintln(r.w)
		}
		fmt.Fprintln(r.w, r.env.paint(r.w, bold, plainLines(x.Section)))
		r.section = x.Section
	}
	const under = "\n          "
	fmt.Fprintf(r.w, "  %s  %s: %s\n", r.env.paint(r.w, colour, string(x.Status)), x.Check, checkup.Clean(plainLines(x.Summary)))
	if x.Detail != "" {
		fmt.Fprintln(r.w, under[1:]+r.env.paint(r.w, dim, strings.ReplaceAll(plainLines(x.Detail), "\n", under)))
	}
	if x.Fix != "" && (x.Status == checkup.Warn || x.Status == checkup.Fail) {
		fmt.Fprintln(r.w, "        Fix: "+strings.ReplaceAll(plainLines(x.Fix), "\n", under))
	}
}

// finish prints the summary, and returns the error that is the exit code.
func (r *doctorReport) finish() error {
	if r.quiet {
		if err := writeJSON(r.w, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(r.w, "\n%d passed, %s, %d failed, %d skipped\n", r.Summary.Pass, plural(int64(r.Summary.Warn), "warning"), r.Summary.Fail, r.Summary.Skip)
	}
	if r.Summary.Fail == 0 {
		return nil
	}
	code, first := exitNotClean, ""
	for _, x := range r.Checks {
		if x.Status != checkup.Fail {
			continue
		}
		if first == "" {
			first, _, _ = strings.Cut(x.Fix, "\n")
		}
		switch {
		case x.Cause == checkup.Configuration:
			code = exitConfig
		case x.Cause == checkup.Authorization && code != exitConfig:
			code = exitAuthorization
		}
	}
	return fail(code, first, fmt.Errorf("%d of %d %w", r.Summary.Fail, len(r.Checks), errUnhealthy))
}
