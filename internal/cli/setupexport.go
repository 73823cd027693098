package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup"
	"github.com/gaplesslogs/gapless/internal/setup/export"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// accountPatience is how long AWS is asked for the account, where it need not be known.
const accountPatience = 5 * time.Second

// An exportRun is one call of "gapless setup export".
type exportRun struct {
	*setupRun

	format, out, account string
	force                bool
}

// newSetupExportCommand makes "gapless setup export".
func newSetupExportCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write what setup would make as files for other tools",
		Long: `Writes what setup would make as files, for those who make it their own way:

  terraform       a configuration for the AWS provider, release 5.100 or newer
  cloudformation  a template in YAML, one for each Region
  aws-cli         a shell script that may be run again
  iam-json        the policies, as plain JSON documents to paste

Without --out it is printed; of several documents the first, which is the policy.
Nothing is asked of AWS, but for the number of the account by iam-json, where
--account does not tell it and credentials are there. What is made in Auth0 is in no
format; notes say how it comes about.`,
		Example: "  gapless setup export --config gapless.yaml --format terraform --out gapless.tf\n" +
			"  gapless setup export --config gapless.yaml --format cloudformation --out templates/\n" +
			"  gapless setup export --config gapless.yaml --format iam-json --account 123456789012",
		Args: noArgs,
	}
	r := &exportRun{setupRun: newSetupRun(env, cmd)}
	fs := cmd.Flags()
	fs.StringVar(&r.format, "format", "", "`FORMAT`: "+strings.Join(export.Formats(), ", "))
	fs.StringVarP(&r.out, "out", "o", "", "`FILE` to write, or directory for several files")
	fs.StringVar(&r.account, "account", "", "`NUMBER` of the AWS account; Terraform and the script refuse others")
	fs.BoolVar(&r.force, "force", false, "replace files that are there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) }
	return cmd
}

// run renders and writes.
func (r *exportRun) run(ctx context.Context) error {
	if !slices.Contains(export.Formats(), r.format) {
		return usageError(r.cmd, "--format is %q, but the formats are %s", r.format, strings.Join(export.Formats(), ", "))
	}
	if r.account != "" && !regexp.MustCompile(`^\d{12}$`).MatchString(r.account) {
		return usageError(r.cmd, "--account is %q, which is not the number of an account: 12 digits", r.account)
	}
	s, o, err := r.plan(ctx)
	if err != nil {
		return err
	}
	result, err := export.Render(r.format, s, o)
	if err != nil {
		return fail(exitConfig, r.cmd.CommandPath()+" with another --format, or change the configuration", err)
	}
	if err := r.write(result); err != nil {
		return err
	}
	for _, n := range result.Notes {
		r.env.printNote(r.env.Stderr, n)
	}
	return nil
}

// plan makes the stack, without asking AWS for more than it must.
func (r *exportRun) plan(ctx context.Context) (stack.Stack, export.Options, error) {
	var o export.Options
	cfg, err := r.flags.load(ctx, r.cmd, r.env)
	if err != nil {
		return stack.Stack{}, o, err
	}
	for _, part := range r.without {
		if !slices.Contains(config.SetupParts(), part) {
			return stack.Stack{}, o, usageError(r.cmd, "--without is %q, but the parts are %s", part, strings.Join(config.SetupParts(), ", "))
		}
	}
	cfg.Setup.LeaveOut = append(cfg.Setup.LeaveOut, r.without...)
	asDestination, err := r.narrow(cfg)
	if err != nil {
		return stack.Stack{}, o, err
	}
	a, err := provision.NewAWS(ctx, cfg.AWS, provision.AWSOptions{RoleARN: r.role, ExternalID: r.externalID})
	if err != nil {
		return stack.Stack{}, o, err
	}
	cfg.AWS.Region = a.Region()
	o = export.Options{Version: build(r.env.Version).Version, Region: a.Region(), Account: r.account, Elsewhere: cfg.AWS.Endpoint != ""}
	if r.format == export.IAMJSON && r.account == "" {
		o.Account, o.Partition = askAccount(ctx, a)
	}
	so, err := stack.OptionsFrom(cfg, os.ReadFile)
	if err != nil {
		return stack.Stack{}, o, fail(exitConfig, "gapless config check"+r.flags.repeated(r.cmd), err)
	}
	so.Account, so.AsDestination = o.Account, asDestination
	s, err := stack.New(cfg, so)
	if err != nil {
		return stack.Stack{}, o, fail(exitConfig, r.cmd.CommandPath()+" --help", err)
	}
	return s, o, nil
}

// askAccount asks AWS for the account and partition. Both are empty where it does not
// tell: a document with a placeholder is of use, too.
func askAccount(ctx context.Context, a *provision.AWS) (account, partition string) {
	ctx, cancel := context.WithTimeout(ctx, accountPatience)
	defer cancel()
	v, err := a.Values(ctx)
	if err != nil {
		return "", ""
	}
	return v[stack.Account], v[stack.Partition]
}

// write writes the files, or prints one.
func (r *exportRun) write(result export.Result) error {
	if r.out == "" {
		return r.print(result.Files)
	}
	info, err := os.Stat(r.out)
	inDirectory := err == nil && info.IsDir() || len(result.Files) > 1 || strings.HasSuffix(r.out, string(filepath.Separator))
	if inDirectory {
		if err := os.MkdirAll(r.out, 0o755); err != nil { //nolint:gosec // it holds no secrets
			return fmt.Errorf("make directory: %w", err)
		}
	}
	paths := make([]string, len(result.Files))
	for i, f := range result.Files {
		paths[i] = r.out
		if inDirectory {
			paths[i] = filepath.Join(r.out, f.Name)
		}
		if err := r.mayWrite(paths[i], f.Content); err != nil {
			return err
		}
	}
	for i, f := range result.Files {
		if holds(paths[i], f.Content) {
			fmt.Fprintln(r.env.Stdout, "Unchanged:", plainLines(paths[i]))
			continue
		}
		if err := setup.Write(paths[i], f.Content, r.force); err != nil {
			return err //nolint:wrapcheck // it says what failed
		}
		if err := os.Chmod(paths[i], 0o644); err != nil { //nolint:gosec // it holds no secrets
			return fmt.Errorf("let others read the file: %w", err)
		}
		fmt.Fprintln(r.env.Stdout, "Written:", plainLines(paths[i]))
	}
	return nil
}

// holds reports whether a file has a content.
func holds(path string, content []byte) bool {
	have, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own
	return err == nil && bytes.Equal(have, content)
}

// mayWrite refuses to replace a file of another content, so that either all files are
// written or none.
func (r *exportRun) mayWrite(path string, content []byte) error {
	err := setup.CheckPath(path, r.force)
	if errors.Is(err, setup.ErrExists) {
		if holds(path, content) {
			return nil
		}
		return fail(exitUsage, "--out with another name, or --force to replace it", err)
	}
	if errors.Is(err, os.ErrNotExist) {
		return fail(exitUsage, "make the directory first", err)
	}
	return err //nolint:wrapcheck // it says what failed
}

// print prints the only file, or of documents the policy.
func (r *exportRun) print(files []export.File) error {
	if len(files) > 1 && r.format != export.IAMJSON {
		return fail(exitUsage, r.cmd.CommandPath()+r.flags.repeated(r.cmd)+" --format "+r.format+" --out DIRECTORY",
			fmt.Errorf("there are %d files, one for each Region, and one can be printed", len(files)))
	}
	if _, err := r.env.Stdout.Write(files[0].Content); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if n := len(files); n > 1 {
		r.env.printNote(r.env.Stderr, fmt.Sprintf("There is more; --out DIRECTORY writes all %d documents.", n))
	}
	return nil
}
