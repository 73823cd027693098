package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newRunCommand makes "gapless run".
func newRunCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: groupExport,
		Short:   "Export the configured tenants until told to stop",
		Long: `Reads the log of each configured tenant and delivers it to CloudWatch Logs,
until a signal stops it: the first lets what is under way come to its end, the
second ends at once. Either way the next start goes on where this one stopped.

On SIGHUP it reads the configuration again: file, environment and flags. Tenants
are added, changed and removed without a restart, and those that are the same are
not disturbed. A configuration that is not valid is told, and the one before stays
in use. With --once and --dry-run, SIGHUP ends the process.

With --once it ends by itself when every tenant is caught up and delivered, for
cron and for jobs. It then fails when a tenant needs a person, such as for a
permission that is missing; faults that pass by themselves are waited out, up
to --timeout. It receives nothing: the webhook stays shut, and of a tenant that
is pushed to alone it delivers what waits in the buffer.

With --dry-run it reads and applies the rules as always, prints what would be
sent and where, and sends nothing. It begins where the data directory stands, of
which it changes nothing, also beside a gapless that runs; its own data is in a
temporary directory that it removes. AWS is not called, but for secrets that are
kept there; pushes and queues are left alone.`,
		Example: "  gapless run --config gapless.yaml\n  gapless run --config gapless.yaml --once --timeout 10m\n  gapless run --config gapless.yaml --dry-run --once",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	once := cmd.Flags().Bool("once", false, "end when every tenant is caught up and delivered")
	timeout := cmd.Flags().Duration("timeout", 0, "with --once: give up after this long; 0 waits as long as it takes")
	dry := cmd.Flags().Bool("dry-run", false, "print what would be sent and where, and send nothing")
	asJSON := cmd.Flags().Bool("json", false, "with --dry-run: print JSON for programs, a line for each event with its message and one for the summary")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *timeout < 0:
			return usageError(cmd, "--timeout is %v: it cannot be negative", *timeout)
		case *timeout != 0 && !*once:
			return usageError(cmd, "--timeout goes with --once")
		case *asJSON && !*dry:
			return usageError(cmd, "--json goes with --dry-run")
		}
		var wishes <-chan os.Signal
		if !*once && !*dry && env.Reloads != nil { // first of all: until then SIGHUP ends the process
			var stop func()
			wishes, stop = env.Reloads()
			defer stop()
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		if *dry && !cmd.Flags().Changed("log-level") && cfg.Log.Level == "info" {
			cfg.Log.Level = "warn" // the output says the rest
		}
		log, err := newLogHandler(env.Stderr, cfg.Log.Level, cfg.Log.Format)
		if err != nil {
			return err
		}
		opts := app.Options{Config: cfg, Logger: slog.New(log), Version: build(env.Version).Version, Secrets: resolver(cfg, env), Once: *once}
		if *dry {
			return runDry(cmd.Context(), env, opts, *timeout, *asJSON)
		}
		var again *reloader
		if wishes != nil {
			again = newReloader(cmd, env, flags, log, wishes)
		}
		err = runAgain(cmd.Context(), env, opts, *timeout, again)
		if errors.Is(err, errOnceTimeout) && tryOf(err) == "" {
			err = fail(exitFailure, "gapless status"+flags.repeated(cmd), err)
		}
		return err
	}
	return cmd
}

// errOnceTimeout says that --once did not finish in time.
var errOnceTimeout = errors.New("not every event was delivered in time; what was read stays in the buffer for the next run")

const (
	// mostRestorations is how often in a row a store that broke is restored: a disk
	// that damages what was just restored needs a person.
	mostRestorations = 3
	// soundFor is how long a store must have been sound for the count to begin anew.
	soundFor = 10 * time.Minute
)

// runAgain runs the App, and again when its store turned out to be lost or
// damaged meanwhile: the start is what restores it.
func runAgain(ctx context.Context, env *Env, opts app.Options, timeout time.Duration, again *reloader) error {
	for restored := 0; ; restored++ {
		began := time.Now()
		a, err := app.New(ctx, opts)
		if err != nil {
			return err
		}
		err = runApp(ctx, env, a, opts.Once, timeout, again)
		opts.Config, opts.Secrets = a.Config(), a.Secrets() // it may have been reloaded
		if a.BrokenErr() == nil || ctx.Err() != nil {
			return err
		}
		if time.Since(began) > soundFor {
			restored = 0
		}
		if restored == mostRestorations {
			return fmt.Errorf("run again: the store broke %d times in a row: %w", restored+1, err)
		}
		opts.Logger.LogAttrs(ctx, slog.LevelError, "starting again to restore the store", slog.Any("error", err))
	}
}

// runApp starts a, waits for its end and stops it.
func runApp(ctx context.Context, env *Env, a *app.App, once bool, timeout time.Duration, again *reloader) error {
	err := a.Start(ctx)
	if err == nil {
		err = await(ctx, a, once, timeout, again)
	}
	switch {
	case once && err == nil:
		err = printOnce(ctx, env, a)
	case errors.Is(err, errOnceTimeout):
		err = lateError(ctx, a)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Config().ShutdownTimeout)
	defer cancel()
	return errors.Join(err, a.Stop(stopping))
}

// await waits until a is finished or told to stop, and reloads it when told to.
func await(ctx context.Context, a *app.App, once bool, timeout time.Duration, again *reloader) error {
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	var done <-chan struct{}
	if once {
		done = a.Done()
	}
	for {
		select {
		case <-again.wished():
			again.reload(ctx, a)
			continue
		case <-done:
			return a.Err()
		case <-a.Broken():
			return a.BrokenErr()
		case <-late:
			return errOnceTimeout
		case <-ctx.Done():
			if once {
				return context.Cause(ctx) // interrupted before it was done
			}
			return nil // a stop that was asked for
		}
	}
}

// lateError says what kept a run with --once from its end.
func lateError(ctx context.Context, a *app.App) error {
	o, err := a.Overview(ctx)
	if err != nil {
		return errors.Join(errOnceTimeout, fmt.Errorf("read the outcome: %w", err))
	}
	err = errOnceTimeout
	for _, t := range o.Tenants {
		for _, x := range t.Troubles {
			err = fmt.Errorf("%w\n  %s: %s: %s", err, t.Name, x.Part, x.Message)
			if x.Hint != "" && tryOf(err) == "" {
				err = fail(exitFailure, x.Hint, err)
			}
		}
	}
	return err
}

// printOnce says what a run with --once has done.
func printOnce(ctx context.Context, env *Env, a *app.App) error {
	o, err := a.Overview(ctx)
	if err != nil {
		return fmt.Errorf("read the outcome: %w", err)
	}
	for _, t := range o.Tenants {
		fmt.Fprintf(env.Stdout, "%s: caught up; %s delivered to %s so far, %s in the dead letters\n",
			web.Plain(t.Name), plural(t.Delivered, "event"), web.Plain(t.Destination), plural(t.DeadLetters, "event"))
	}
	return nil
}

// plural writes a count with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
