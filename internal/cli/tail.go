package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/verify"
	"github.com/gaplesslogs/gapless/internal/web"
)

const (
	// ahead is how far in the future of this clock events are looked for: CloudWatch Logs
	// takes them up to two hours ahead (AWS docs: PutLogEvents).
	ahead = 2*time.Hour + time.Minute
	// overlap is what each look of --follow reads again: CloudWatch Logs shows events up
	// to a minute or so after it has taken them.
	overlap = 2 * time.Minute
	// lookBackEvery is how often --follow reads all of --late again.
	lookBackEvery = 30 * time.Second
	// insightsEvery is how often a place is read at most that has its price by the byte.
	insightsEvery = 30 * time.Second
	// followPause is the wait after a look that failed.
	followPause = 10 * time.Second
)

// newTailCommand makes "gapless tail".
func newTailCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tail",
		GroupID: groupRead,
		Short:   "Show the events that arrived in CloudWatch Logs, and follow them",
		Long: `Reads the destination and shows its events, oldest first: when it happened, the type in
words, the user, the application, the address, and what Auth0 says of it. With --follow
it goes on and shows new ones as they arrive, until Ctrl-C, which is no failure.

Without --follow it ends with the span, as aws logs tail does. --json prints the messages
as they lie there, one a line, for other programs.

Reads of CloudWatch Logs lag behind writes, and an event may arrive long after it happened.
So --follow reads the last two minutes again each time, and the last --late every half
minute, and shows each event once. What arrives later than that after it happened is not
shown by it; gapless query finds it. Reading costs nothing but in log groups of the class
INFREQUENT_ACCESS, which have a price by the byte and are read twice a minute.

The filters must all hold. Types and a whole IPv4 address are looked for by CloudWatch
Logs, the rest is decided here. It needs logs:FilterLogEvents and
logs:DescribeLogGroups on the log group, and no gapless that runs.`,
		Example: "  gapless tail --config gapless.yaml --follow\n" +
			"  gapless tail --config gapless.yaml --since 12h --failed --user alice\n" +
			"  gapless tail --config gapless.yaml --since 1h --type 'limit_*' --ip 203.0.113.0/24 --json",
		Args: noArgs,
	}
	flags, picked := addReadFlags(cmd, env, "10m"), addPickFlags(cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "go on and show new events as they arrive")
	interval := cmd.Flags().Duration("interval", 2*time.Second, "how often --follow looks for new events; 1s at least")
	late := cmd.Flags().Duration("late", time.Hour, "how long after it happened an event may arrive and still be shown by --follow; 24h at most")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		span, err := flags.span(cmd)
		switch {
		case err != nil:
			return err
		case *interval < time.Second || *late < overlap || *late > 24*time.Hour:
			return usageError(cmd, "--interval is 1s at least, and --late lies between %s and 24h", web.Short(overlap))
		case *follow && flags.until != "":
			return usageError(cmd, "--follow has no end: leave --until out")
		}
		if err := picked.check(cmd, env.Stderr); err != nil {
			return err
		}
		places, err := flags.open(cmd, env)
		if err != nil {
			return err
		}
		t := &tailing{
			env: env, asJSON: *flags.asJSON, picked: picked, places: places, since: span.Since, interval: *interval, late: *late,
			printer: eventPrinter{env: env, w: env.Stdout, utc: flags.utc, tenants: len(places) > 1},
		}
		if *follow {
			return t.follow(cmd.Context())
		}
		return t.once(cmd.Context(), span, flags.until == "")
	}
	return cmd
}

// A tailing shows events.
type tailing struct {
	env            *Env
	asJSON         bool
	picked         *pick
	places         []*app.Place
	since          time.Time
	interval, late time.Duration
	printer        eventPrinter
	shown          int
}

// show shows an event.
func (t *tailing) show(s seenEvent) error {
	t.shown++
	if t.asJSON {
		return writeMessage(t.env, s.Message)
	}
	return t.printer.print(s)
}

// once shows the events of a span. One that is open reaches into the future, where the
// clocks of others may be.
func (t *tailing) once(ctx context.Context, span verify.Span, open bool) error {
	if err := tellMissing(ctx, t.env, t.places); err != nil {
		return err
	}
	if open {
		span.Until = span.Until.Add(ahead)
	}
	err := eachEvent(ctx, t.places, t.picked, t.picked.pattern(), span, t.show)
	if err == nil && t.shown == 0 && !t.asJSON {
		fmt.Fprintf(t.env.Stderr, "No event since %s. A longer span: --since 24h; new ones: --follow.\n", span.Since.Format(time.RFC3339))
	}
	return err
}

// follow shows the events since the beginning of the span, and new ones until ctx ends.
func (t *tailing) follow(ctx context.Context) error {
	if err := tellMissing(ctx, t.env, t.places); err != nil {
		return ended(ctx, err)
	}
	every := t.interval
	for _, p := range t.places {
		priced, err := p.InsightsAlone(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		if priced {
			every = max(every, insightsEvery)
		}
	}
	f := newFollower(t.since, t.late)
	for {
		wait := every
		err := t.look(ctx, f)
		if e, ok := errors.AsType[*pipeline.Error](err); ok && (e.Class == pipeline.Transient || e.Class == pipeline.Throttled) && ctx.Err() == nil {
			fmt.Fprintln(t.env.Stderr, "Note:", plainLines(err.Error())+"; trying again.")
			wait, err = followPause, nil
		}
		if err != nil {
			return ended(ctx, err)
		}
		if err := pipeline.Wait(ctx, wait); err != nil {
			return ended(ctx, err)
		}
	}
}

// ended is the outcome of what goes on until it is interrupted.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && pipeline.Stopped(ctx, err) {
		return nil
	}
	return err
}

// look reads once and shows what is new, in the order of time.
func (t *tailing) look(ctx context.Context, f *follower) error {
	now := time.Now()
	from := f.from(now)
	var fresh []seenEvent
	for i, p := range t.places {
		if f.whole {
			p.Refresh()
		}
		err := p.Search(ctx, t.picked.pattern(), from, now.Add(ahead), func(e app.Found) error {
			if s := see(p.Tenant, e); t.picked.matches(&s) && f.isNew(i, e) {
				fresh = append(fresh, s)
			}
			return nil
		})
		if err != nil {
			f.missed()
			return errors.Join(t.showAll(fresh), err)
		}
	}
	if err := t.showAll(fresh); err != nil {
		return err
	}
	f.done(now)
	return nil
}

// showAll shows events in the order of time.
func (t *tailing) showAll(list []seenEvent) error {
	slices.SortStableFunc(list, func(a, b seenEvent) int { return a.At.Compare(b.At) })
	for _, s := range list {
		if err := t.show(s); err != nil {
			return err
		}
	}
	return nil
}

// A follower knows what was shown, and what to read next so that nothing is left out:
// the overlap each time, and all of late now and then, from where it was read last.
type follower struct {
	since     time.Time
	late      time.Duration
	looked    time.Time // the last look that came to its end
	backAt    time.Time // the last one that read all of late
	whole     bool      // this look does
	beginning time.Time // of this look

	seen map[seenKey]time.Time // the timestamps of events that were shown
}

// A seenKey names an event of a place.
type seenKey struct {
	place     int
	group, id string
}

// newFollower begins at a time.
func newFollower(since time.Time, late time.Duration) *follower {
	return &follower{since: since, late: late, seen: make(map[seenKey]time.Time)}
}

// from returns where the next look begins.
func (f *follower) from(now time.Time) time.Time {
	f.whole = f.backAt.IsZero() || now.Sub(f.backAt) >= lookBackEvery
	switch {
	case f.looked.IsZero():
		f.beginning = f.since
	case f.whole:
		f.beginning = f.backAt.Add(-f.late)
	default:
		f.beginning = f.looked.Add(-overlap)
	}
	if f.beginning.Before(f.since) {
		f.beginning = f.since
	}
	return f.beginning
}

// isNew reports whether an event was not shown yet, and notes it.
func (f *follower) isNew(place int, e app.Found) bool {
	key := seenKey{place, e.LogGroup, e.ID}
	if _, known := f.seen[key]; known {
		return false
	}
	f.seen[key] = e.At
	return true
}

// missed notes that a look did not come to its end: the next one reads the same again.
func (f *follower) missed() {
	if f.whole {
		f.backAt = f.backAt.Add(-lookBackEvery) // at once
	}
}

// done notes that a look came to its end, and forgets what none will meet again.
func (f *follower) done(now time.Time) {
	f.looked = now
	if !f.whole {
		return
	}
	f.backAt = now
	for key, at := range f.seen {
		if at.Before(now.Add(-f.late)) {
			delete(f.seen, key)
		}
	}
}
