package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/verify"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newVerifyCommand makes "gapless verify".
func newVerifyCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify",
		GroupID: groupExport,
		Short:   "Compare what Auth0 holds with what CloudWatch Logs has",
		Long: `Reads the events that Auth0 holds of a span of time, and those that lie in the
destinations, and names each log_id that is missing, there twice, altered, under a
wrong timestamp, or unknown to Auth0. The rules of the configuration are applied: what
they leave out is not missing, and what they redact or shape is not altered.

It changes nothing, and runs beside gapless. It takes half of rate_share, so that the
export keeps as much. What seems to be missing is looked for again before it is named,
for as long as --wait says: reads of CloudWatch Logs lag behind writes. Of AWS it needs
logs:FilterLogEvents and logs:DescribeLogGroups, for groups of the class
INFREQUENT_ACCESS logs:StartQuery and logs:GetQueryResults.

With --repair what is missing is fetched from Auth0 again, stored, and delivered by the
ordinary way, which looks for each event in the destination right before it is sent;
then everything is compared once more. gapless must not be running for that.

With --digest the destinations are held against the ledger of what was delivered, and
Auth0 is not asked: the chain and the signatures are checked, each hour is summed up
again, and the first one that was altered is named, with all others. See docs/audit.md.

The exit code is 5 when something was found that a person should look at. No output
quotes an event.`,
		Example: "  gapless verify --config gapless.yaml --tenant dev-tenant --since 24h\n" +
			"  gapless verify --config gapless.yaml --tenant dev-tenant --since 2026-11-20 --until 2026-11-21 --json\n" +
			"  gapless verify --config gapless.yaml --tenant dev-tenant --digest --public-key ledger.pub.pem",
		Args: noArgs,
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	f := cmd.Flags()
	name := f.String("tenant", "", "name of the `TENANT`; needed if several are configured")
	since := f.String("since", "24h", "beginning of the `SPAN`: a duration back from now, an RFC 3339 time, or a date (midnight UTC)")
	until := f.String("until", "", "end of the `SPAN`, in the same forms; now when empty")
	destination := f.String("destination", "", "`NAME` of one of the tenant's destinations, "+app.MainDestination+" for the main one; all when empty")
	wait := f.Duration("wait", time.Minute, "how long what seems to be missing is looked for again")
	share := f.Float64("rate-share", 0, "part of Auth0's rate limit to take, up to 1; 0 is half of the tenant's rate_share")
	repair := f.Bool("repair", false, "deliver what is missing, and compare once more")
	digest := addDigestFlags(cmd)
	file := f.String("report", "", "write all that was found to a `FILE` too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		span, err := parseSpan(cmd, *since, *until, time.Now().UTC())
		if err != nil {
			return err
		}
		if *wait < 0 || !(*share >= 0 && *share <= 1) { // refuses NaN too
			return usageError(cmd, "--wait is not below 0, and --rate-share lies between 0 and 1")
		}
		if err := digest.check(cmd); err != nil {
			return err
		}
		keys, err := digest.publicKeys(cmd)
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
		v := &verifying{
			env: env, asJSON: *asJSON, repair: *repair, file: *file,
			what: app.Verification{Tenant: tenant, Destination: *destination, Span: span, Patience: *wait, RateShare: *share},
		}
		cfg.Listen = "" // the page is that of the exporter
		if !cmd.Flags().Changed("log-level") && cfg.Log.Level == "info" {
			cfg.Log.Level = "warn" // the progress says the rest
		}
		if digest.on {
			audit := app.LedgerAudit{Tenant: tenant, Destination: *destination, From: digest.from, Keys: keys, Head: digest.head, Patience: *wait}
			if cmd.Flags().Changed("since") || cmd.Flags().Changed("until") {
				audit.Since, audit.Until = span.Since, span.Until
			}
			return v.runDigest(cmd.Context(), cfg, audit, flags.repeated(cmd))
		}
		return v.run(cmd.Context(), cfg, flags.repeated(cmd))
	}
	cmd.AddCommand(newVerifyResultsCommand(env))
	return cmd
}

// parseSpan reads the beginning and the end of a span.
func parseSpan(cmd *cobra.Command, since, until string, now time.Time) (s verify.Span, err error) {
	if s.Since, err = parseEdge(since, now); err != nil {
		return s, usageError(cmd, "--since: %w", err)
	}
	s.Until = now
	if until != "" {
		if s.Until, err = parseEdge(until, now); err != nil {
			return s, usageError(cmd, "--until: %w", err)
		}
	}
	if !s.Since.Before(s.Until) {
		return s, usageError(cmd, "--since lies at %s, which is not before the end of the span at %s", s.Since.Format(time.RFC3339), s.Until.Format(time.RFC3339))
	}
	return s, nil
}

// errNoEdge says that a text is no time.
var errNoEdge = errors.New("use a duration such as 24h or 7d, a time such as 2026-11-01T00:00:00Z, or a date such as 2026-11-01")

// parseEdge reads a time, a date, or a duration back from now.
func parseEdge(text string, now time.Time) (time.Time, error) {
	p, err := config.ParseStartFrom(text)
	switch {
	case err == nil && p.Ago > 0:
		return now.Add(-p.Ago), nil
	case err == nil && !p.Time.IsZero():
		return p.Time, nil
	default:
		return time.Time{}, fmt.Errorf("%q: %w", text, errNoEdge)
	}
}

// A verifying is a verification under way.
type verifying struct {
	env            *Env
	what           app.Verification
	asJSON, repair bool
	file           string
	began          time.Time // of the phase
	phase          string
	shown          time.Time
}

// errNotClean says that something was found.
var errNotClean = errors.New("not everything is as it should be")

// errUnfinishedRepair says that a repair could not be finished.
var errUnfinishedRepair = errors.New("not everything that was missing could be delivered")

// run compares, and repairs if that is asked for.
func (v *verifying) run(ctx context.Context, cfg *config.Config, repeated string) (err error) {
	logger, err := newLogger(v.logWriter(&cfg.Log.Format), cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	opts := app.Options{Config: cfg, Logger: logger, Version: build(v.env.Version).Version, Secrets: resolver(cfg, v.env)}
	out, err := v.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	sum, found, err := v.compare(ctx, opts, out, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, found.close()) }()
	if missing := missingOf(sum); v.repair && missing > 0 {
		if err := v.mend(ctx, opts, found, out, missing); err != nil {
			return err
		}
		again, rest, err := v.compare(ctx, opts, out, true)
		if err != nil {
			return err
		}
		if err := rest.close(); err != nil {
			return err
		}
		sum = again
	}
	if sum.Clean {
		return nil
	}
	return fail(exitNotClean, v.next(sum, repeated), fmt.Errorf("tenant %s: %w", v.what.Tenant, errNotClean))
}

// missingOf is how many events are missing, in all destinations.
func missingOf(sum verify.Summary) (n int64) {
	for _, d := range sum.Destinations {
		n += d.Found[verify.Missing]
	}
	return n
}

// next says what to type after a verification that was not clean.
func (v *verifying) next(sum verify.Summary, repeated string) string {
	again := fmt.Sprintf("gapless verify%s --tenant %s --since %s --until %s", repeated, v.what.Tenant,
		v.what.Span.Since.Format(time.RFC3339), v.what.Span.Until.Add(time.Second).Truncate(time.Second).Format(time.RFC3339))
	if v.what.Destination != "" {
		again += " --destination " + shellWord(v.what.Destination)
	}
	letters := int64(0)
	for _, d := range sum.Destinations {
		letters += d.Found[verify.DeadLetter]
	}
	switch {
	case missingOf(sum) > 0 && !v.repair:
		return "Stop gapless, and deliver what is missing: " + again + " --repair"
	case letters > 0:
		return "gapless deadletter list" + repeated + " --tenant " + v.what.Tenant
	default:
		return "See docs/verify.md for what each kind means"
	}
}

// compare compares and prints what was found.
func (v *verifying) compare(ctx context.Context, opts app.Options, out *verifyOutput, again bool) (verify.Summary, *spool, error) {
	found, err := newSpool()
	if err != nil {
		return verify.Summary{}, nil, err
	}
	what := v.what
	what.Progress = v.show
	sum, err := app.Verify(ctx, opts, what, func(f verify.Finding) error {
		return errors.Join(found.add(f), out.finding(f))
	})
	v.endLine()
	if err == nil {
		err = out.summary(v.what.Tenant, sum, found, again)
	}
	if err != nil {
		return verify.Summary{}, nil, errors.Join(err, found.close())
	}
	return sum, found, nil
}

// mend delivers what is missing.
func (v *verifying) mend(ctx context.Context, opts app.Options, found *spool, out *verifyOutput, missing int64) error {
	v.line(fmt.Sprintf("repair: fetching %s from Auth0", plural(missing, "event")))
	repair := app.NewRepair(v.what, found.of(verify.Missing))
	opts.Repair = repair
	a, err := app.New(ctx, opts)
	if err != nil {
		v.endLine()
		if errors.Is(err, app.ErrInUse) {
			return fail(exitConfig, "Stop gapless, repair, and start it again: it goes on where it stopped.", err)
		}
		return err
	}
	err = a.Start(ctx)
	if err == nil {
		v.line("repair: delivering " + plural(repair.Done().Stored, "event"))
		err = v.await(ctx, a)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), opts.Config.ShutdownTimeout)
	defer cancel()
	err = errors.Join(err, a.Stop(stopping))
	v.endLine()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnfinishedRepair, err)
	}
	return out.repaired(v.what.Tenant, repair.Done())
}

// await waits for the end of a repair.
func (*verifying) await(ctx context.Context, a *app.App) error {
	select {
	case <-a.Done():
		return a.Err()
	case <-a.Broken():
		return a.BrokenErr()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// logWriter returns where the log goes: on a terminal over the line of progress,
// which comes again.
func (v *verifying) logWriter(format *string) io.Writer {
	if !isTerminal(v.env.Stderr) {
		return v.env.Stderr
	}
	if *format == "auto" {
		*format = "text"
	}
	return overLine{v.env.Stderr}
}

// show shows the progress: often on a terminal, now and then elsewhere.
func (v *verifying) show(p verify.Progress) {
	now := time.Now()
	if phase := string(p.Phase) + p.Destination; phase != v.phase {
		v.phase, v.began = phase, now
	}
	every := 10 * time.Second
	if isTerminal(v.env.Stderr) {
		every = 250 * time.Millisecond
	}
	if v.shown.IsZero() && every > time.Second {
		v.shown = now // a run that is soon over needs no progress
	}
	if now.Sub(v.shown) < every {
		return
	}
	v.shown = now
	v.line(verifyLine(p, now.Sub(v.began)))
}

// line writes a line of progress: over itself on a terminal, one below the other
// elsewhere.
func (v *verifying) line(text string) {
	w := v.env.Stderr
	if !isTerminal(w) {
		fmt.Fprintln(w, web.Plain(text))
		return
	}
	fmt.Fprint(w, anew+fit(web.Plain(text), width(w)-3))
}

// endLine clears the line of progress on a terminal.
func (v *verifying) endLine() {
	if isTerminal(v.env.Stderr) {
		fmt.Fprint(v.env.Stderr, anew)
	}
}

// verifyLine says how far a verification is, and how long the phase may still take.
func verifyLine(p verify.Progress, took time.Duration) string {
	where := "reading the destination"
	if p.Destination != "" {
		where += " " + p.Destination
	}
	switch p.Phase {
	case verify.PhaseAuth0:
		where = "reading Auth0"
	case verify.PhaseCompare:
		return "comparing"
	case verify.PhaseLook:
		if p.Events == 0 {
			return fmt.Sprintf("%s not found yet, looking again for %s", plural(p.Open, "event"), web.Short(p.Left))
		}
		where = "looking for " + plural(p.Open, "event")
	case verify.PhaseDestination:
	}
	line := fmt.Sprintf("%s: %s", where, plural(p.Events, "event"))
	if whole, done := p.Span.Until.Sub(p.Span.Since), p.Reached.Sub(p.Span.Since); !p.Reached.IsZero() && done > 0 && whole > 0 {
		part := min(1, float64(done)/float64(whole))
		line += fmt.Sprintf(", %.0f%% of the span, %s left", 100*part, web.Short(time.Duration(float64(took)*(1-part)/part)))
	}
	return line
}

// open opens the output.
func (v *verifying) open() (*verifyOutput, error) {
	out := &verifyOutput{env: v.env, asJSON: v.asJSON}
	if v.file == "" {
		return out, nil
	}
	f, err := os.OpenFile(v.file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fail(exitUsage, "", fmt.Errorf("open the report: %w", err))
	}
	out.file = f
	return out, nil
}
