package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// repairAtOnce is how many missing events are fetched and stored together.
const repairAtOnce = 200

// A Repair makes an App that delivers what waits for one tenant, and does nothing
// else: no source runs. Such an App runs once.
type Repair struct {
	tenant  string
	share   float64
	missing iter.Seq2[verify.Finding, error]
	done    Repaired
}

// NewRepair returns the repair of what a verification has found missing.
func NewRepair(v Verification, missing iter.Seq2[verify.Finding, error]) *Repair {
	return &Repair{tenant: v.Tenant, share: v.RateShare, missing: missing}
}

// Repaired says what became of the events that were missing.
type Repaired struct {
	// Stored were fetched from Auth0 again and stored, for delivery. Waiting were in the
	// buffer already, Letters are dead letters, and Gone are no longer in Auth0.
	Stored  int64 `json:"stored"`
	Waiting int64 `json:"waiting"`
	Letters int64 `json:"dead_letters"`
	Gone    int64 `json:"gone"`
}

// Done returns what became of them, once the App is made.
func (r *Repair) Done() Repaired { return r.done }

// store fetches the missing events and stores them for the destinations that lack
// them, past the memory of what was stored before. What is left out by a rule since is
// not stored.
func (r *Repair) store(ctx context.Context, a *App, built *tenant) (err error) {
	c := &comparison{}
	defer func() { err = errors.Join(err, c.close()) }()
	i := slices.IndexFunc(a.opts.Config.Tenants, func(t config.Tenant) bool { return t.Name == r.tenant })
	t := a.opts.Config.Tenants[i]
	if c.api, err = a.politeAPI(ctx, t, r.share, built.buffer, c); err != nil {
		return err
	}
	before, err := a.rulesOnTheWay(ctx, t.Filter, t.Redact)
	if err != nil {
		return err
	}
	wanted := make(map[string][]string) // the destinations that lack an event, by log_id
	for f, err := range r.missing {
		if err != nil {
			return err
		}
		wanted[f.LogID] = append(wanted[f.LogID], f.Destination)
		if len(wanted) < repairAtOnce {
			continue
		}
		if err := r.fetch(ctx, c.api, built, before, wanted); err != nil {
			return err
		}
		clear(wanted)
	}
	return r.fetch(ctx, c.api, built, before, wanted)
}

// fetch fetches some events and stores them.
func (r *Repair) fetch(ctx context.Context, api source.LogsAPI, built *tenant, before []pipeline.Transform, wanted map[string][]string) error {
	var entries []pipeline.Entry
	found := 0
	err := source.FindEvents(ctx, api, slices.Values(slices.Sorted(maps.Keys(wanted))), func(e event.Event) error {
		found++
		id := e.LogID
		for _, t := range before {
			var v pipeline.Verdict
			if e, v = t(e); v.Skip || v.Withhold {
				return nil
			}
		}
		for _, o := range built.outlets {
			if slices.Contains(wanted[id], o.name) {
				entries = append(entries, pipeline.Entry{Event: e, Destination: o.route(e)})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fetch what is missing: %w", err)
	}
	r.done.Gone += int64(len(wanted) - found)
	if len(entries) == 0 {
		return nil
	}
	done, err := built.buffer.Requeue(ctx, source.PollName, entries)
	r.done.Stored += int64(done.Events)
	r.done.Waiting += int64(done.Waiting)
	r.done.Letters += int64(done.Letters)
	return err
}
