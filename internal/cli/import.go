package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newImportCommand makes "gapless import".
func newImportCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import FILE... | -",
		GroupID: groupExport,
		Short:   "Deliver the events of files or of standard input",
		Long: `Reads log events from files, or from standard input for -, and delivers them to the
destination of a tenant: JSON lines, arrays, what the Auth0 Dashboard and
"auth0 logs list --json" give, and EventBridge envelopes as they lie in S3; plain, or
packed with gzip or zstd. Patterns such as 'logs/*.json.gz' may be quoted.

The events take the same way as all others: one that was stored within dedup_window
is not stored again, and too_old, too_new and too_large decide what becomes of those
that CloudWatch Logs does not take as they are. Events older than 14 days, or than
the retention of the log group, are restamped, or go to the dead letters with
too_old: dead_letter. Where the tenant's log has been read up to, and its gaps, stay
as they are.

gapless must not be running. It ends when all is read and delivered. When it is
interrupted, the same command goes on where it stopped; standard input cannot be
read again. What cannot be read is listed by file and line and kept in the dead
letters; the exit code is 5 then.`,
		Example: "  gapless import --config gapless.yaml --tenant dev-tenant 'export/*.json.gz'\n" +
			"  auth0 logs list -n 1000 --json | gapless import --config gapless.yaml --tenant dev-tenant -",
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	name := cmd.Flags().String("tenant", "", "name of the `TENANT`; needed if several are configured")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		paths, err := importPaths(cmd, args)
		if err != nil {
			return err
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		tenant, err := pickTenant(cmd, cfg, *name)
		if err != nil {
			return err
		}
		im, err := openImport(cmd, env, tenant, paths)
		if err != nil {
			return err
		}
		r := &importing{env: env, im: im, tenant: tenant, asJSON: *asJSON, piped: paths[0] == app.StandardInput, letters: flags.repeated(cmd)}
		if !cmd.Flags().Changed("listen") {
			cfg.Listen = "" // the page is that of the exporter
		}
		if !cmd.Flags().Changed("log-level") && cfg.Log.Level == "info" {
			cfg.Log.Level = "warn" // the progress says the rest
		}
		return r.run(cmd.Context(), cfg)
	}
	return cmd
}

// importPaths returns the files that arguments name, each once.
func importPaths(cmd *cobra.Command, args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, usageError(cmd, "name the files, or - for standard input")
	}
	if slices.Contains(args, app.StandardInput) {
		if len(args) > 1 {
			return nil, usageError(cmd, "- is standard input and stands alone")
		}
		return args, nil
	}
	var paths []string
	seen := make(map[string]bool)
	for _, arg := range args {
		found, err := expand(cmd, arg)
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if !seen[path] {
				seen[path], paths = true, append(paths, path)
			}
		}
	}
	return paths, nil
}

// expand returns the files that an argument names: one, or those that fit it as a
// pattern.
func expand(cmd *cobra.Command, arg string) ([]string, error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return nil, fail(exitUsage, "Name the files in it, such as "+shellWord(filepath.Join(arg, "*")), fmt.Errorf("%s is a directory", arg))
	case err == nil:
		return []string{arg}, nil
	case !strings.ContainsAny(arg, "*?["):
		return nil, usageError(cmd, "read a file: %w", err)
	}
	found, err := filepath.Glob(arg)
	if err != nil {
		return nil, usageError(cmd, "%q is no pattern: %w", arg, err)
	}
	found = slices.DeleteFunc(found, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir() // a pattern may fit some beside the files
	})
	if len(found) == 0 {
		return nil, usageError(cmd, "no file fits the pattern %q", arg)
	}
	return found, nil
}

// openImport looks at the files.
func openImport(cmd *cobra.Command, env *Env, tenant string, paths []string) (*app.Import, error) {
	if paths[0] == app.StandardInput {
		return app.NewImportOf(env.Stdin, tenant), nil
	}
	im, err := app.NewImport(cmd.Context(), tenant, paths)
	switch {
	case errors.Is(err, app.ErrNotAFile):
		return nil, fail(exitUsage, "Pipe it in: "+cmd.CommandPath()+" - < FILE", err)
	case errors.Is(err, app.ErrNotEvents):
		return nil, fail(exitFailure, "Export it as JSON, one event a line or an array of them. Nothing was imported.", err)
	}
	return im, err
}

// An importing is an import under way.
type importing struct {
	env           *Env
	im            *app.Import
	tenant        string
	asJSON, piped bool
	letters       string // the flags with which the dead letters are found
	began         time.Time
}

// run runs the import to its end, or to that of ctx.
func (r *importing) run(ctx context.Context, cfg *config.Config) error {
	logger, err := newLogger(r.logWriter(&cfg.Log.Format), cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Options{
		Config: cfg, Logger: logger, Version: build(r.env.Version).Version, Secrets: resolver(cfg, r.env), Import: r.im,
	})
	if err != nil {
		if errors.Is(err, app.ErrInUse) {
			return fail(exitConfig, "Stop gapless, import, and start it again: it goes on where it stopped.", err)
		}
		return err
	}
	r.began = time.Now()
	err = a.Start(ctx)
	if err == nil {
		err = r.await(ctx, a)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
	defer cancel()
	report, rerr := r.report(stopping, a, err == nil)
	if rerr == nil {
		rerr = r.print(report)
	}
	err = errors.Join(err, rerr, a.Stop(stopping))
	if err != nil && !report.Finished {
		r.tellHowToGoOn()
		return err
	}
	if err == nil && report.Unread > 0 {
		return fail(exitNotClean, "gapless deadletter list"+r.letters+" --kind unreadable",
			fmt.Errorf("%s could not be read", plural(report.Unread, "piece")))
	}
	return err
}

// await shows the progress until the import is done.
func (r *importing) await(ctx context.Context, a *app.App) error {
	every := 10 * time.Second
	if isTerminal(r.env.Stderr) {
		every = 500 * time.Millisecond
		defer fmt.Fprint(r.env.Stderr, anew)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-a.Done():
			return a.Err()
		case <-a.Broken():
			return a.BrokenErr()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if n, err := a.Imported(ctx); err == nil { // or the end tells of it
				r.show(progressLine(r.im.Progress(), n, time.Since(r.began)))
			}
		}
	}
}

// anew begins the last line of a terminal again.
const anew = "\r\x1b[K"

// show writes the progress: over itself on a terminal, one below the other
// elsewhere.
func (r *importing) show(line string) {
	w := r.env.Stderr
	if !isTerminal(w) {
		fmt.Fprintln(w, line)
		return
	}
	fmt.Fprint(w, anew+fit(line, width(w)-3))
}

// logWriter returns where the log goes: on a terminal over the line of progress,
// which comes again.
func (r *importing) logWriter(format *string) io.Writer {
	if !isTerminal(r.env.Stderr) {
		return r.env.Stderr
	}
	if *format == "auto" {
		*format = "text"
	}
	return overLine{r.env.Stderr}
}

// An overLine writes over the last line of a terminal.
type overLine struct{ w io.Writer }

// Write implements io.Writer.
func (o overLine) Write(b []byte) (int, error) {
	if _, err := io.WriteString(o.w, anew); err != nil {
		return 0, err
	}
	return o.w.Write(b)
}

// progressLine says how far an import has come after a time.
func progressLine(p app.FileProgress, n app.Imported, took time.Duration) string {
	parts := []string{fmt.Sprintf("files %d/%d", p.Read, p.Files)}
	if p.Bytes > 0 && p.Current != "" {
		parts = append(parts, fmt.Sprintf("%d%% of %s", p.BytesRead*100/p.Bytes, web.Size(p.Bytes)))
	} else if p.Bytes == 0 {
		parts = append(parts, web.Size(p.BytesRead))
	}
	parts = append(parts, fmt.Sprintf("%s, %.0f/s", plural(p.Events, "event"), float64(p.Events)/max(took.Seconds(), 0.001)))
	if done := p.BytesRead - p.Resumed; done > 0 && p.Bytes > 0 && p.Current != "" {
		left := time.Duration(float64(took) * float64(p.Bytes-p.BytesRead) / float64(done))
		parts = append(parts, web.Short(left)+" left")
	}
	if p.AllProblems > 0 {
		parts = append(parts, plural(p.AllProblems, "piece")+" unread")
	}
	return strings.Join(append(parts, fmt.Sprintf("%d wait for delivery", n.Waiting)), " · ")
}
