package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup"
)

// An initRun is one call of "gapless init".
type initRun struct {
	env            *Env
	output         string
	extension      string
	force, noAsk   bool
	given          map[string]string // answers of flags
	flags          map[string]*string
	talk, question io.Writer // what is said, and what is asked
}

// newInitCommand makes "gapless init".
func newInitCommand(env *Env) *cobra.Command {
	r := &initRun{env: env, given: map[string]string{}, flags: map[string]*string{}}
	cmd := &cobra.Command{
		Use:     "init",
		GroupID: groupExport,
		Short:   "Ask a few questions and write a configuration file",
		Long: `Asks for what a configuration needs, checks each answer as it is given, writes a
commented file that config check takes, and says what to type next. A flag
answers its question; with --non-interactive nothing is asked, and what has no
flag gets its default. Secrets are not asked for: the file holds references to
them. Auth0 and AWS are not called. A file that is there stays, unless --force is
given; when the answers end early nothing is written.

--from-extension takes over the settings of the extension "Logs to CloudWatch"
that Auth0 has retired, from a JSON file, or from the variables of their names
with the word env. It says for each what became of it.`,
		Example: "  gapless init\n" +
			"  gapless init --non-interactive --domain dev-tenant.us.auth0.com --client-id abc --region eu-central-1\n" +
			"  gapless init --from-extension settings.json --output dev.yaml",
		Args: noArgs,
	}
	fs := cmd.Flags()
	fs.StringVarP(&r.output, "output", "o", config.DefaultFile, "`FILE` to write, - for standard output")
	fs.BoolVar(&r.force, "force", false, "replace a file that is there")
	fs.BoolVar(&r.noAsk, "non-interactive", false, "ask nothing")
	fs.StringVar(&r.extension, "from-extension", "", "take over the old extension's settings from a JSON `FILE`, or from the environment with env")
	for _, q := range setup.Questions() {
		usage := q.Usage
		if def := q.Default(setup.Answers{}, setup.Defaults{}); def != "" {
			usage += " (default: " + def + ")"
		}
		r.flags[q.Flag] = fs.String(q.Flag, "", usage)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for name, value := range r.flags {
			if cmd.Flags().Changed(name) {
				r.given[name] = *value
			}
		}
		return r.run(cmd.Context(), cmd)
	}
	return cmd
}

// run asks, writes and says what is next.
func (r *initRun) run(ctx context.Context, cmd *cobra.Command) error {
	r.talk, r.question = plainWriter{r.env.Stdout}, plainWriter{r.env.Stderr}
	if r.output == "-" {
		r.talk = r.question // standard output is for the file
	} else if err := setup.CheckPath(r.output, r.force); err != nil {
		return r.explain(cmd, err)
	}
	from, changes, err := r.takeOver(ctx)
	if err != nil {
		return fail(exitUsage, "gapless init --help", err)
	}
	answers, err := r.answers(ctx, from)
	if err != nil {
		return r.explain(cmd, err)
	}
	file := answers.File()
	if r.output == "-" {
		if _, err := r.env.Stdout.Write(file); err != nil {
			return fmt.Errorf("print configuration: %w", err)
		}
	} else if err := setup.Write(r.output, file, r.force); err != nil {
		return r.explain(cmd, err)
	}
	r.say(ctx, answers, changes)
	return nil
}

// answers returns the answers to all questions.
func (r *initRun) answers(ctx context.Context, from setup.Answers) (setup.Answers, error) {
	var d setup.Defaults
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if v, ok := r.env.LookupEnv(name); ok && d.Region == "" {
			d.Region = v
		}
	}
	if r.noAsk {
		return setup.Take(ctx, from, r.given, d)
	}
	in, isFile := r.env.Stdin.(*os.File)
	w := setup.Wizard{
		In: r.env.Stdin, Out: r.question, Defaults: d,
		Patient: isFile && term.IsTerminal(int(in.Fd())),
	}
	return w.Ask(ctx, from, r.given)
}

// takeOver reads the settings of the old extension, if there are any.
func (r *initRun) takeOver(ctx context.Context) (setup.Answers, []setup.Change, error) {
	var settings map[string]string
	var err error
	switch r.extension {
	case "":
		return setup.Answers{}, nil, nil
	case "env":
		settings, err = setup.SettingsOf(r.env.LookupEnv)
	default:
		settings, err = setup.ReadSettings(r.extension)
	}
	if err != nil {
		return setup.Answers{}, nil, fmt.Errorf("take over settings of %s: %w", r.extension, err)
	}
	a, changes := setup.TakeOver(ctx, settings)
	return a, changes, nil
}

// explain gives an error its exit code and the way out.
func (r *initRun) explain(cmd *cobra.Command, err error) error {
	if _, ok := errors.AsType[*setup.FlagsError](err); ok {
		return fail(exitUsage, cmd.CommandPath()+" --help", err)
	}
	switch {
	case errors.Is(err, setup.ErrExists):
		return fail(exitUsage, "gapless init --output with another name, or --force to replace it", err)
	case errors.Is(err, setup.ErrNoMoreAnswers), errors.Is(err, setup.ErrTooManyTries):
		return fail(exitFailure, cmd.CommandPath()+" --non-interactive with a flag for each answer; "+cmd.CommandPath()+" --help lists them", err)
	case errors.Is(err, fs.ErrNotExist):
		return fail(exitUsage, "make the directory first", err)
	case errors.Is(err, config.ErrInvalid):
		return fail(exitConfig, cmd.CommandPath()+" --help", err)
	default:
		return err
	}
}

// say tells what was done, what became of the old settings, and what is next.
func (r *initRun) say(ctx context.Context, a setup.Answers, changes []setup.Change) {
	if !r.noAsk {
		fmt.Fprintln(r.talk)
	}
	if r.output != "-" {
		fmt.Fprintf(r.talk, "Written: %s\n", r.output)
	}
	if r.extension != "" {
		fmt.Fprint(r.talk, "\nWhat became of the settings of the extension:\n")
		for _, c := range changes {
			c = c.Finally(a)
			r.paragraph("  ", "    ", c.Setting+" -> "+c.Became+". "+c.Why)
		}
		fmt.Fprint(r.talk, "\nWhat is different whatever the settings:\n")
		for _, text := range setup.Differences() {
			r.paragraph("  - ", "    ", text)
		}
	}
	warnings, err := a.Warnings(ctx)
	for _, w := range warnings {
		r.paragraph("warning: ", "  ", w)
	}
	if err != nil {
		r.paragraph("warning: ", "  ", err.Error())
	}
	file := r.output
	named, _ := r.env.LookupEnv(config.FileVariable)
	found := named == "" && (file == "-" || filepath.Clean(file) == config.DefaultFile)
	if file != "-" {
		file = shellWord(file)
	}
	fmt.Fprintf(r.talk, "\nNext:\n\n  %s\n", strings.Join(a.Next(file, found), "\n  "))
}

// paragraph prints text in lines that fit.
func (r *initRun) paragraph(first, indent, text string) {
	line := first
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 100 && line != first {
			fmt.Fprintln(r.talk, line)
			line = indent
		}
		if strings.TrimSpace(line) != "" && !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(r.talk, line)
}

// plainWriter makes what is written fit for a terminal; see plainLines.
type plainWriter struct{ w io.Writer }

// Write writes whole texts.
func (p plainWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, plainLines(string(b))); err != nil {
		return 0, fmt.Errorf("print: %w", err)
	}
	return len(b), nil
}
