package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// newSetupCommand makes "gapless setup".
func newSetupCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "setup",
		GroupID: groupExport,
		Short:   "Make what gapless needs in AWS and Auth0, shown before it is done",
		Long: `Makes what a configuration needs outside of gapless: log groups, a least-privilege
policy, an identity to run as, field indexes, and what else the section setup asks
for. plan shows what is there, what is missing and what differs; apply does it;
destroy takes away what apply made, and nothing else. No state is kept: what setup
made bears the tag ` + stack.ManagedBy + ` or its name. docs/setup.md is the walk-through.`,
		Example: "  gapless setup plan --config gapless.yaml\n  gapless setup apply --config gapless.yaml --run-on ecs",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newSetupPlanCommand(env), newSetupApplyCommand(env), newSetupDestroyCommand(env), newSetupExportCommand(env))
	return cmd
}

// A setupRun is one call of a command of setup.
type setupRun struct {
	env         *Env
	cmd         *cobra.Command
	flags       *configFlags
	without     []string
	tenants     []string
	destination string
	role        string
	externalID  string
	yes         bool
	keyFile     *keyFile
	auth0       auth0Flags
	login       map[string]provision.Auth0Login
	asJSON      bool
	full        bool // show all of a plan
	// deleteEvents are names of groups that may be deleted with their events.
	deleteEvents []string

	cfg   *config.Config
	stack stack.Stack
	notes []string      // on what the flags leave out
	lines *bufio.Reader // of what is typed
}

// newSetupRun gives cmd the flags that all commands of setup have.
func newSetupRun(env *Env, cmd *cobra.Command) *setupRun {
	r := &setupRun{env: env, cmd: cmd, flags: addConfigFlags(cmd)}
	fs := cmd.Flags()
	runOn := &config.Flag{Name: "--run-on", Path: "setup.run_on"}
	fs.StringVar(&runOn.Value, "run-on", "", "`PLACE` where gapless runs, as setup.run_on")
	r.flags.direct = append(r.flags.direct, runOn)
	fs.StringSliceVar(&r.without, "without", nil, "leave out a `PART`: "+strings.Join(config.SetupParts(), ", ")+"; may be repeated")
	fs.StringSliceVar(&r.tenants, "tenant", nil, "only for this `TENANT`; may be repeated")
	fs.StringVar(&r.destination, "destination", "", "only for one destination, as `TENANT/NAME`; the main one is named cloudwatch")
	fs.StringVar(&r.role, "assume-role", "", "`ARN` of a role to set up as; aws.role_arn is not used, as it is what gapless runs as")
	r.auth0.add(cmd)
	fs.StringVar(&r.externalID, "assume-external-id", "", "external `ID` that goes with --assume-role")
	return r
}

// load reads the configuration and makes the stack.
func (r *setupRun) load(ctx context.Context) (*provision.AWS, provision.Values, error) {
	cfg, err := r.flags.load(ctx, r.cmd, r.env)
	if err != nil {
		return nil, nil, err
	}
	for _, part := range r.without {
		if !slices.Contains(config.SetupParts(), part) {
			return nil, nil, usageError(r.cmd, "--without is %q, but the parts are %s", part, strings.Join(config.SetupParts(), ", "))
		}
	}
	cfg.Setup.LeaveOut = append(cfg.Setup.LeaveOut, r.without...)
	asDestination, err := r.narrow(cfg)
	if err != nil {
		return nil, nil, err
	}
	r.withoutAuth0(cfg)
	if r.login, err = r.logins(ctx, cfg); err != nil {
		return nil, nil, err
	}
	a, err := provision.NewAWS(ctx, cfg.AWS, provision.AWSOptions{RoleARN: r.role, ExternalID: r.externalID})
	if err != nil {
		return nil, nil, err
	}
	cfg.AWS.Region = a.Region()
	values, err := a.Values(ctx)
	if err != nil {
		return nil, nil, r.explain(err)
	}
	if asDestination {
		if err := r.checkAccount(cfg.AWSFor(cfg.Tenants[0]).RoleARN, values[stack.Account]); err != nil {
			return nil, nil, err
		}
	}
	o, err := stack.OptionsFrom(cfg, os.ReadFile)
	if err != nil {
		return nil, nil, fail(exitConfig, "gapless config check"+r.flags.repeated(r.cmd), err)
	}
	o.Account, o.AsDestination = values[stack.Account], asDestination
	o.Reveal = func(s config.Secret) (string, error) { return s.Resolve(ctx, resolver(cfg, r.env)) }
	r.cfg = cfg
	r.stack, err = stack.New(cfg, o)
	if err != nil {
		return nil, nil, fail(exitConfig, r.cmd.CommandPath()+" --help", err)
	}
	r.stack.Notes = append(r.stack.Notes, r.notes...)
	return a, values, nil
}

// narrow leaves in a configuration what the flags pick. asDestination says that the
// destination picked is set up in its own account.
func (r *setupRun) narrow(cfg *config.Config) (asDestination bool, err error) {
	tenant, name, one := strings.Cut(r.destination, "/")
	if r.destination != "" && !one {
		return false, usageError(r.cmd, "--destination is %q; write it as TENANT/NAME, such as dev-tenant/audit", r.destination)
	}
	picked := r.tenants
	if one {
		picked = []string{tenant}
	}
	for _, want := range picked {
		if !slices.ContainsFunc(cfg.Tenants, func(t config.Tenant) bool { return t.Name == want }) {
			return false, usageError(r.cmd, "there is no tenant %q in the configuration", want)
		}
	}
	if len(picked) > 0 {
		cfg.Tenants = slices.DeleteFunc(slices.Clone(cfg.Tenants), func(t config.Tenant) bool { return !slices.Contains(picked, t.Name) })
	}
	if !one {
		return false, nil
	}
	t := &cfg.Tenants[0]
	if name != "cloudwatch" {
		i := slices.IndexFunc(t.Destinations, func(d config.Destination) bool { return d.Name == name })
		if i < 0 {
			return false, usageError(r.cmd, "tenant %s has no destination %q", tenant, name)
		}
		t.CloudWatch = t.Destinations[i].CloudWatch
	}
	t.Destinations = nil
	asDestination = cfg.AWSFor(*t).RoleARN != ""
	r.leaveToWhole(cfg, name != "cloudwatch", !asDestination)
	if !asDestination {
		return false, nil
	}
	cfg.Setup.RunOn, cfg.Setup.Push = stack.RunNone, stack.PushNone
	cfg.Setup.LeaveOut = append(cfg.Setup.LeaveOut, stack.PartAuth0, stack.PartQueue)
	return true, nil
}

// checkAccount refuses credentials of another account than that of a destination: they
// would have its policy take the place of gapless's own.
func (r *setupRun) checkAccount(role, account string) error {
	lies, err := arn.Parse(role)
	if err != nil {
		return fmt.Errorf("read role_arn: %w", err)
	}
	if lies.AccountID == account {
		return nil
	}
	return fail(exitUsage, r.cmd.CommandPath()+r.repeated()+" with credentials of that account, or with --assume-role and a role of it that may set up",
		fmt.Errorf("%s lies in the account %s, and the credentials are of %s", r.destination, lies.AccountID, account))
}

// leaveToWhole leaves out what belongs to more than the one destination that is picked,
// and bears the same name for each: for a further one what looks into the main one, and
// in gapless's own account the policy and the identity, which are for all destinations.
func (r *setupRun) leaveToWhole(cfg *config.Config, further, here bool) {
	var parts []string
	if here {
		parts = append(parts, stack.PartAccess)
	}
	if further {
		parts = append(parts, stack.PartQueries, stack.PartMetrics, stack.PartAlarms, stack.PartDashboard)
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return slices.Contains(cfg.Setup.LeaveOut, p) })
	if len(parts) == 0 {
		return
	}
	cfg.Setup.LeaveOut = append(cfg.Setup.LeaveOut, parts...)
	r.notes = append(r.notes, fmt.Sprintf("%s %s not for %s alone, and left out: `gapless setup apply` without --destination sees to what is for all.",
		strings.Join(parts, ", "), map[bool]string{true: "is", false: "are"}[len(parts) == 1], r.destination))
}

// engine makes the engine with all providers. A new provider is added here.
func (r *setupRun) engine(a *provision.AWS, values provision.Values) (*provision.Engine, error) {
	owner := r.cfg.Setup.Name
	access := provision.AccessOptions{Owner: owner}
	if r.keyFile != nil && r.keyFile.path != "" {
		access.SaveKey = r.keyFile.save
	}
	return provision.New(provision.Options{
		ChangeExisting: r.cfg.Setup.ExistingGroups == "change", Emulated: r.cfg.AWS.Endpoint != "", DeleteEventsOf: r.deleteEvents,
	}, values,
		provision.NewLogs(a, owner),
		provision.NewAccess(a, access),
		provision.NewInsights(a, owner),
		provision.NewPush(a, provision.PushOptions{Owner: owner}),
		r.auth0Provider(),
	)
}

// explain gives an error its exit code and says what to do about it: of a permission
// that is missing, the statement that allows it.
func (r *setupRun) explain(err error) error {
	if p, missing := provision.MissingPermission(err); missing {
		return fail(exitAuthorization, "allow it to yourself, such as with this statement in a policy, and run it again: "+p.Statement(),
			fmt.Errorf("the permission %s is missing: %w", p.Action, err))
	}
	if explained, is := explainAuth0(err); is {
		return explained
	}
	if errors.Is(err, provision.ErrNoKeyFile) {
		return fail(exitUsage, r.cmd.CommandPath()+r.repeated()+" --access-key-file gapless.credentials", err)
	}
	return err
}

// repeated returns the flags with which a command of setup does the same, with a space
// before each: those of its own as well, but what is said of the output, and --yes. What
// --set says may be a secret, and is not among them.
func (r *setupRun) repeated() string {
	var b strings.Builder
	b.WriteString(r.flags.repeated(r.cmd))
	r.cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains([]string{"config", "data-dir", "set", "yes", "json", "full", "detailed-exitcode", "delete-events"}, f.Name) {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			b.WriteString(" --" + f.Name + " " + shellWord(v))
		}
	})
	return b.String()
}

// agreed asks a person whether to go on.
func (r *setupRun) agreed(ctx context.Context, question string) error {
	if r.yes {
		return nil
	}
	again := r.cmd.CommandPath() + r.repeated() + " --yes"
	if !r.onTerminal() {
		return fail(exitUsage, again, errNotAsked)
	}
	answer, err := r.ask(ctx, question+" Type yes to go on: ")
	if err != nil {
		return err
	}
	if answer != "yes" {
		return fail(exitFailure, again, errNotYes)
	}
	return nil
}

// The errors of who is asked.
var (
	errNotAsked = errors.New("nothing was changed: there is no terminal to ask on")
	errNotYes   = errors.New("nothing was changed: the answer was not yes")
)

// onTerminal reports whether a person can be asked.
func (r *setupRun) onTerminal() bool {
	in, isFile := r.env.Stdin.(*os.File)
	return isFile && term.IsTerminal(int(in.Fd()))
}

// ask asks a question and returns the line that is typed.
func (r *setupRun) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(r.env.Stderr, plainLines(question))
	if r.lines == nil {
		r.lines = bufio.NewReader(r.env.Stdin)
	}
	line := make(chan string, 1)
	go func() { // a read cannot be ended; it ends with the next line, or with the process
		text, _ := r.lines.ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("ask: %w", context.Cause(ctx))
	}
}
