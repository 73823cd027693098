package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/verify"
	"github.com/gaplesslogs/gapless/internal/web"
)

// readFlags are the flags of the commands that read a destination.
type readFlags struct {
	*configFlags

	asJSON       *bool
	tenants      []string
	destination  string
	since, until string
	utc          bool
}

// addReadFlags gives cmd the flags that say what is read.
func addReadFlags(cmd *cobra.Command, env *Env, since string) *readFlags {
	r := &readFlags{configFlags: addConfigFlags(cmd), asJSON: addJSONFlag(cmd)}
	f := cmd.Flags()
	f.StringSliceVar(&r.tenants, "tenant", nil, "name of a `TENANT`, may be repeated; all when empty")
	f.StringVar(&r.destination, "destination", "", "`NAME` of one of the tenant's destinations; the main one when empty")
	f.StringVar(&r.since, "since", since, "beginning of the `SPAN`: a duration back from now, an RFC 3339 time, or a date (midnight UTC)")
	f.StringVar(&r.until, "until", "", "end of the `SPAN`, in the same forms; now when empty")
	f.BoolVar(&r.utc, "utc", false, "times in UTC, not those of this machine")
	addColourFlag(cmd, env)
	for flag, names := range map[string]func(config.Tenant) []string{
		"tenant": func(t config.Tenant) []string { return []string{t.Name} },
		"destination": func(t config.Tenant) (list []string) {
			for _, d := range t.Destinations {
				list = append(list, d.Name)
			}
			return list
		},
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			cfg, err := r.load(cmd.Context(), cmd, env)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var list []cobra.Completion
			for _, t := range cfg.Tenants {
				list = append(list, names(t)...)
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		}) // fails only for a flag that is not there
	}
	return r
}

// span returns what is read.
func (r *readFlags) span(cmd *cobra.Command) (verify.Span, error) {
	return parseSpan(cmd, r.since, r.until, time.Now().UTC())
}

// open makes the places that are read.
func (r *readFlags) open(cmd *cobra.Command, env *Env) ([]*app.Place, error) {
	cfg, err := r.load(cmd.Context(), cmd, env)
	if err != nil {
		return nil, err
	}
	for _, name := range r.tenants {
		if _, err := pickTenant(cmd, cfg, name); err != nil {
			return nil, err
		}
	}
	if !cmd.Flags().Changed("log-level") && cfg.Log.Level == "info" {
		cfg.Log.Level = "warn" // what was asked for is on standard output
	}
	logger, err := newLogger(env.Stderr, cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return nil, err
	}
	return app.OpenPlaces(cmd.Context(), app.Options{
		Config: cfg, Logger: logger, Version: build(env.Version).Version, Secrets: resolver(cfg, env),
	}, r.tenants, r.destination)
}

// tellMissing says which places have no log group yet.
func tellMissing(ctx context.Context, env *Env, places []*app.Place) error {
	for _, p := range places {
		missing, err := p.Missing(ctx)
		if err != nil {
			return err
		}
		if missing {
			fmt.Fprintf(env.Stderr, "%s: there is no log group %s yet; it is made with the first event.\n", web.Plain(p.Tenant), web.Plain(p.Group()))
		}
	}
	return nil
}

// maxSorted is how many events of several places are put into one order at most.
const maxSorted = 200_000

// errEnough ends a reading when as much was found as was asked for.
var errEnough = errors.New("enough was found")

// eachEvent reads places and hands over the events that are picked, in the order of time.
// Of several places they are collected first. pattern is a filter pattern of CloudWatch
// Logs.
func eachEvent(ctx context.Context, places []*app.Place, p *pick, pattern string, span verify.Span, each func(seenEvent) error) error {
	if len(places) == 1 {
		return places[0].Search(ctx, pattern, span.Since, span.Until, func(f app.Found) error {
			if s := see(places[0].Tenant, f); p.matches(&s) {
				return each(s)
			}
			return nil
		})
	}
	var all []seenEvent
	for _, place := range places {
		err := place.Search(ctx, pattern, span.Since, span.Until, func(f app.Found) error {
			s := see(place.Tenant, f)
			if p.matches(&s) {
				all = append(all, s)
			}
			if len(all) > maxSorted {
				return fail(exitFailure, "Name one tenant with --tenant, or a shorter span with --since and --until.",
					fmt.Errorf("%w than fit into one order (%d)", errTooManyEvents, maxSorted))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(all, func(a, b seenEvent) int { return a.At.Compare(b.At) })
	for _, s := range all {
		if err := each(s); err != nil {
			return err
		}
	}
	return nil
}

// errTooManyEvents says that a reading found more than fit.
var errTooManyEvents = errors.New("there are more events")

// writeMessage writes a message on a line of its own: JSON as it lies there but for line
// breaks between its members, anything else as a JSON text.
func writeMessage(env *Env, message []byte) error {
	line, ok := oneLine(message)
	if !ok {
		return writeJSONLine(env.Stdout, map[string]string{"message": string(message)})
	}
	if _, err := env.Stdout.Write(append(web.PlainJSON(line), '\n')); err != nil {
		return fmt.Errorf("print message: %w", err)
	}
	return nil
}
