package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// CountBackfill counts what a backfill would do, and changes nothing; it reads beside
// the process that works in the data directory. progress hears how far it is; may be nil.
func CountBackfill(ctx context.Context, opts Options, q BackfillRequest, progress func(BackfillState)) (s BackfillState, err error) {
	if err := checkBackfill(opts.Config, &q); err != nil {
		return s, err
	}
	s = BackfillState{BackfillRequest: q, Phase: BackfillLooking}
	c, err := newComparison(ctx, opts, Verification{Tenant: q.Tenant, RateShare: q.RateShare})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	r := &backfillRun{app: c.app, cfg: opts.Config, of: c.tenant, apart: q.LogGroup != ""}
	r.whole = !r.apart && len(backfillsTo(opts.Config, &c.tenant, &q)) == len(wantedOf(opts.Config, &c.tenant))
	if r.places, err = c.app.backfillPlaces(ctx, opts.Config, c.tenant, &q); err != nil {
		return s, err
	}
	dir, err := os.MkdirTemp("", "gapless-backfill-*")
	if err != nil {
		return s, fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tell := func(at time.Time) error { //nolint:unparam // as the index calls it
		if s.Reached = at; progress != nil {
			progress(s)
		}
		return nil
	}
	span := verify.Span{Since: q.Since, Until: q.Until}
	if r.index, err = newBackfillIndex(ctx, dir, r.places, span, !r.apart, tell); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, r.index.Close()) }()
	before, err := c.app.rulesOnTheWay(ctx, c.tenant.Filter, c.tenant.Redact)
	if err != nil {
		return s, err
	}
	s.Phase, s.Began, s.BeganAt, s.Reached = BackfillReading, time.Now().UTC(), q.Since, time.Time{}
	s.HeldSince, err = source.ReadSpan(ctx, source.SpanConfig{Since: q.Since, Until: q.Until, Retention: c.kept, Logger: opts.Logger}, c.api, func(list []event.Event) error {
		list = slices.DeleteFunc(slices.Clone(list), func(e event.Event) bool { return e.Date.Before(q.Since) || e.Date.After(q.Until) })
		if err := r.countPage(ctx, c, before, list, &s.Counts); err != nil || len(list) == 0 {
			return err
		}
		return tell(list[len(list)-1].Date)
	})
	s.Phase = BackfillDone
	return s, err
}

// countPage counts what would become of some events.
func (r *backfillRun) countPage(ctx context.Context, c *comparison, before []pipeline.Transform, list []event.Event, n *BackfillCounts) error {
	n.Read += int64(len(list))
	var page store.Backfill
	for _, e := range list {
		left := false
		for _, t := range before {
			var v pipeline.Verdict
			if e, v = t(e); v.Skip || v.Withhold {
				if left = true; v.Skip {
					n.LeftOut++
				} else {
					n.Unreadable++
				}
				break
			}
		}
		if left {
			continue
		}
		if err := r.add(&page, n, e); err != nil {
			return err
		}
	}
	fates, err := r.fates(ctx, c, page.Events)
	if err != nil {
		return err
	}
	for i, f := range fates {
		switch f {
		case verify.NotRead:
			n.Left++
		case verify.Delivered: // it may be in the buffer, or a dead letter; a run looks for it
			n.Stored++
		default:
			if !r.apart && !r.whole && time.Since(page.Events[i].Event.Date) < leftFor && f == verify.Unknown {
				n.Left++
				continue
			}
			n.Stored++
		}
	}
	return nil
}

// fates asks the store what it knows of events.
func (r *backfillRun) fates(ctx context.Context, c *comparison, list []store.Backfilled) ([]verify.Fate, error) {
	fates := make([]verify.Fate, len(list))
	if c.ledger == nil || r.apart || len(list) == 0 {
		return fates, nil
	}
	front, err := c.ledger.reached(ctx)
	if err != nil || !front.polls {
		return fates, err
	}
	asked := make([]verify.Question, len(list))
	for i, e := range list {
		asked[i] = verify.Question{Destination: e.For, LogID: e.Event.LogID, Date: e.Event.Date}
	}
	return c.ledger.Fates(ctx, asked)
}

// BackfillPolicies says what becomes of events that are older than CloudWatch Logs takes,
// by destination; MainDestination is the main one.
func BackfillPolicies(cfg *config.Config, q BackfillRequest) map[string]string {
	out := make(map[string]string)
	for i := range cfg.Tenants {
		if t := &cfg.Tenants[i]; t.Name == q.Tenant {
			for _, w := range backfillsTo(cfg, t, &q) {
				name := w.name
				if name == "" {
					name = MainDestination
				}
				out[name] = string(w.cw.TooOld)
			}
		}
	}
	return out
}
