package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// newBackfillCommand makes "gapless backfill".
func newBackfillCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backfill",
		GroupID: groupExport,
		Short:   "Bring what Auth0 holds of a span of time and the destination lacks",
		Long: `Reads a span of a tenant's log a second time, and delivers what the destinations do
not have: history from before the export began, what was left out while a destination
was not configured, or everything to another log group with --to. Nothing goes twice:
the destinations are read first, what waits or is a dead letter is left as it is, and
what the export is going to read is left to it.

A gapless that runs does the work, beside its export and with a cursor of its own; the
command shows how far it is, and may be ended: the backfill goes on. Without one the
command does it itself, and the same command goes on where it was stopped. It takes half
of rate_share, spread evenly, and less when little of the rate limit remains. One
backfill of a tenant is done at a time.

The events take the ordinary way: filter, redaction, routes, shape and limits. Those
older than CloudWatch Logs takes, 14 days or the retention of the log group, are
restamped, or become dead letters, as too_old says. What Auth0 does not keep any more
cannot be had; the report says since when it surely keeps everything.

Of AWS it needs logs:FilterLogEvents and logs:DescribeLogGroups besides what the export
needs. The exit code is 5 when some of the events did not reach the destination.`,
		Example: "  gapless backfill --config gapless.yaml --tenant dev-tenant --since 30d\n" +
			"  gapless backfill --config gapless.yaml --tenant dev-tenant --since 2026-11-01 --until 2026-11-08 --to /auth0/history/logs\n" +
			"  gapless backfill --config gapless.yaml --tenant dev-tenant --since 7d --dry-run",
		Args: noArgs,
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	f := cmd.Flags()
	name := f.String("tenant", "", "name of the `TENANT`; needed if several are configured")
	since := f.String("since", "", "beginning of the `SPAN`: a duration back from now, an RFC 3339 time, or a date (midnight UTC)")
	until := f.String("until", "", "end of the `SPAN`, in the same forms; now when empty")
	to := f.String("to", "", "log `GROUP/STREAM` to deliver to in the place of the configured one; the stream is what follows on the last slash")
	destination := f.String("destination", "", "`NAME` of one of the tenant's destinations, "+app.MainDestination+" for the main one; all when empty")
	share := f.Float64("rate-share", 0, "part of Auth0's rate limit to take, up to 1; 0 is half of the tenant's rate_share")
	dry := f.Bool("dry-run", false, "count what would be delivered, and change nothing")
	detach := f.Bool("detach", false, "ask for it and return, without waiting for its end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *since == "" {
			return usageError(cmd, "say how far back with --since")
		}
		span, err := parseSpan(cmd, *since, *until, time.Now().UTC())
		if err != nil {
			return err
		}
		if !(*share >= 0 && *share <= 1) { // refuses NaN too
			return usageError(cmd, "--rate-share lies between 0 and 1")
		}
		q := app.BackfillRequest{Destination: *destination, Since: span.Since, Until: span.Until, Asked: strings.TrimSpace(*since + " " + *until), RateShare: *share}
		if *to != "" {
			i := strings.LastIndexByte(*to, '/')
			if i <= 0 || i == len(*to)-1 {
				return usageError(cmd, "--to is GROUP/STREAM, such as /auth0/history/logs")
			}
			q.LogGroup, q.LogStream = (*to)[:i], (*to)[i+1:]
		}
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		if q.Tenant, err = pickTenant(cmd, cfg, *name); err != nil {
			return err
		}
		cfg.Listen = "" // the page is that of the exporter
		if !cmd.Flags().Changed("log-level") && cfg.Log.Level == "info" {
			cfg.Log.Level = "warn" // the progress says the rest
		}
		b := &backfilling{env: env, asJSON: *asJSON, cfg: cfg, repeated: flags.repeated(cmd), detach: *detach}
		if *dry {
			return b.count(cmd.Context(), q)
		}
		return b.run(cmd.Context(), q)
	}
	cmd.AddCommand(newBackfillListCommand(env), newBackfillStatusCommand(env), newBackfillCancelCommand(env))
	return cmd
}

// A backfilling is a backfill that a person waits for.
type backfilling struct {
	env      *Env
	cfg      *config.Config
	asJSON   bool
	detach   bool
	repeated string
	shown    time.Time
}

// count counts what a backfill would do.
func (b *backfilling) count(ctx context.Context, q app.BackfillRequest) error {
	opts, err := b.options()
	if err != nil {
		return err
	}
	s, err := app.CountBackfill(ctx, opts, q, func(s app.BackfillState) { b.show(&s) })
	b.endLine()
	if err != nil {
		return err
	}
	return b.report(&s, "would be ")
}

// options are those of an App of the command.
func (b *backfilling) options() (app.Options, error) {
	v := &verifying{env: b.env}
	logger, err := newLogger(v.logWriter(&b.cfg.Log.Format), b.cfg.Log.Level, b.cfg.Log.Format)
	return app.Options{Config: b.cfg, Logger: logger, Version: build(b.env.Version).Version, Secrets: resolver(b.cfg, b.env)}, err
}

// Errors of a backfill that has ended, or does not come to its end.
var (
	errBackfillCancelled = errors.New("the backfill was cancelled")
	errBackfillUnclean   = errors.New("not every event of the backfill reached the destination")
	errBackfillStuck     = errors.New("the backfill does not get on")
)

// run asks for a backfill and waits for its end.
func (b *backfilling) run(ctx context.Context, q app.BackfillRequest) error {
	s, again, err := app.RequestBackfill(ctx, b.cfg, q)
	if err != nil {
		return err
	}
	what := "asked for"
	if again {
		what = "goes on"
	}
	fmt.Fprintf(b.env.Stderr, "backfill %s: %s\n", s.ID, what)
	if b.detach {
		if b.asJSON {
			return writeJSON(b.env.Stdout, &s)
		}
		return nil
	}
	for {
		used, err := app.InUse(b.cfg)
		if err != nil {
			return err
		}
		if used {
			s, err = b.follow(ctx, s.ID)
		} else {
			s, err = b.work(ctx, s.ID)
		}
		b.endLine()
		if errors.Is(err, app.ErrInUse) || err == nil && !s.Phase.Ended() {
			continue // somebody else has begun, or has ended
		}
		if err != nil {
			return err
		}
		if err := b.report(&s, ""); err != nil {
			return err
		}
		return b.outcome(&s)
	}
}

// outcome is the exit code of a backfill that has ended.
func (b *backfilling) outcome(s *app.BackfillState) error {
	switch {
	case s.Phase == app.BackfillCancelled:
		return errBackfillCancelled
	case s.Rejected+s.Counts.Unreadable+s.Counts.Letters > 0:
		return fail(exitNotClean, "gapless deadletter list"+b.repeated+" --tenant "+s.Tenant, errBackfillUnclean)
	case !s.Lost.IsZero():
		return fail(exitNotClean, "Events up to "+s.Lost.Format(time.RFC3339)+" expired in Auth0 while the backfill was stopped.", errBackfillUnclean)
	}
	return nil
}

// follow shows how far another process is.
func (b *backfilling) follow(ctx context.Context, id string) (s app.BackfillState, err error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if s, err = b.state(ctx, id); err != nil || s.Phase.Ended() {
			return s, err
		}
		b.show(&s)
		if s.Trouble != nil && s.Trouble.NeedsPerson() {
			code := exitAuthorization
			if s.Trouble.Class == pipeline.Misconfigured.String() {
				code = exitConfig
			}
			return s, fail(code, s.Trouble.Hint, fmt.Errorf("%w, and goes on by itself once this is mended: %s", errBackfillStuck, s.Trouble.Message))
		}
		used, err := app.InUse(b.cfg)
		if err != nil || !used {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, fail(exitInterrupted, "The backfill goes on in gapless. To end it: gapless backfill cancel "+s.ID+b.repeated, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// work does the backfill in this process.
func (b *backfilling) work(ctx context.Context, id string) (s app.BackfillState, err error) {
	opts, err := b.options()
	if err != nil {
		return s, err
	}
	opts.Backfill = id
	a, err := app.New(ctx, opts)
	if err != nil {
		return s, err
	}
	if err = a.Start(ctx); err == nil {
		err = b.await(ctx, a, id)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.ShutdownTimeout)
	defer cancel()
	if err = errors.Join(err, a.Stop(stopping)); err != nil {
		return s, err
	}
	return b.state(ctx, id)
}

// await waits for the end of an App that does a backfill.
func (b *backfilling) await(ctx context.Context, a *app.App, id string) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-a.Done():
			return a.Err()
		case <-a.Broken():
			return a.BrokenErr()
		case <-ctx.Done():
			return fail(exitInterrupted, "The same command goes on where this one has stopped.", context.Cause(ctx))
		case <-tick.C:
		}
		s, err := b.state(ctx, id)
		if err != nil {
			return err
		}
		b.show(&s)
	}
}

// state reads the state of a backfill.
func (b *backfilling) state(ctx context.Context, id string) (app.BackfillState, error) {
	list, err := app.Backfills(ctx, b.cfg)
	if err != nil {
		return app.BackfillState{}, err
	}
	for _, s := range list {
		if s.ID == id {
			return s, nil
		}
	}
	return app.BackfillState{}, fail(exitUsage, "gapless backfill list"+b.repeated, fmt.Errorf("%q: %w", id, app.ErrNoBackfill))
}

// show shows the progress: often on a terminal, now and then elsewhere.
func (b *backfilling) show(s *app.BackfillState) {
	every, now := 10*time.Second, time.Now()
	if isTerminal(b.env.Stderr) {
		every = 250 * time.Millisecond
	} else if b.shown.IsZero() {
		b.shown = now // one that is soon over needs no progress
	}
	if now.Sub(b.shown) < every {
		return
	}
	b.shown = now
	(&verifying{env: b.env}).line(backfillProgress(s, now))
}

// endLine clears the line of progress.
func (b *backfilling) endLine() { (&verifying{env: b.env}).endLine() }
