package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// A storeLedger is what the store knows of a tenant's events, read beside whoever
// works in it. It is a verify.Ledger.
type storeLedger struct {
	reader *store.Reader
	tenant config.Tenant
}

// knows reports whether the store has ever heard of the tenant.
func (l *storeLedger) knows(ctx context.Context) (bool, error) {
	_, known, err := l.status(ctx)
	return known, err
}

// status returns the figures of the tenant.
func (l *storeLedger) status(ctx context.Context) (store.TenantStatus, bool, error) {
	figures, err := l.reader.Status(ctx)
	if err != nil {
		return store.TenantStatus{}, false, fmt.Errorf("read figures: %w", err)
	}
	for _, f := range figures {
		if f.Tenant == l.tenant.Name {
			return f, true, nil
		}
	}
	return store.TenantStatus{}, false, nil
}

// pushed reports whether anything was pushed in the past, or imported. What cannot be
// read is told by whoever reads next.
func (l *storeLedger) pushed(ctx context.Context) bool {
	if l == nil {
		return false
	}
	f, _, err := l.status(ctx)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.Counts, func(c store.Count) bool { return c.Name == store.CountPushed && c.N > 0 }) ||
		slices.ContainsFunc(f.Cursors, func(c store.CursorStatus) bool { return c.Source == source.FileName })
}

// Waiting implements verify.Ledger, as do the others.
func (l *storeLedger) Waiting(ctx context.Context, s verify.Span, each func(destination, logID string) error) error {
	return l.reader.EachWaiting(ctx, l.tenant.Name, s.Since, s.Until, each)
}

// Letters lists the dead letters.
func (l *storeLedger) Letters(ctx context.Context, each func(destination, logID, reason string) error) error {
	return l.reader.EachRejected(ctx, l.tenant.Name, each)
}

// Fates tells what is known of events.
func (l *storeLedger) Fates(ctx context.Context, asked []verify.Question) ([]verify.Fate, error) {
	ids, bySink := make([]string, 0, len(asked)), make(map[string][]string)
	for _, q := range asked {
		ids = append(ids, q.LogID)
		bySink[q.Destination] = append(bySink[q.Destination], q.LogID)
	}
	// How far it has read goes first: what is read from now on is then remembered.
	p, err := l.reached(ctx)
	if err != nil {
		return nil, err
	}
	known, err := l.reader.Remembered(ctx, l.tenant.Name, ids)
	if err != nil {
		return nil, err
	}
	leftOut := make(map[string]map[string]bool)
	for sink, list := range bySink {
		if sink == "" { // it is never passed over
			continue
		}
		if leftOut[sink], err = l.reader.LeftOut(ctx, l.tenant.Name, sink, list); err != nil {
			return nil, err
		}
	}
	fates := make([]verify.Fate, len(asked))
	for i, q := range asked {
		switch {
		case leftOut[q.Destination][q.LogID]:
			fates[i] = verify.LeftOut
		case known[q.LogID]:
			fates[i] = verify.Delivered
		default:
			fates[i] = p.fate(q)
		}
	}
	return fates, nil
}

// A reached is how far the poll has read a tenant's log.
type reached struct {
	polls bool
	id    string // of the cursor; empty when it names none
	mark  event.Mark
	gaps  []store.GapStatus
	start time.Time // of start_from, if it is a time
}

// reached finds out how far the poll has read.
func (l *storeLedger) reached(ctx context.Context) (reached, error) {
	standing, err := l.reader.Standing(ctx, l.tenant.Name)
	if err != nil {
		return reached{}, err
	}
	figures, _, err := l.status(ctx)
	if err != nil {
		return reached{}, err
	}
	cursor, polls := standing.Cursors[source.PollName]
	r := reached{polls: polls, id: source.CursorID(cursor), mark: standing.Marks[source.PollName], gaps: figures.Gaps}
	if s, err := config.ParseStartFrom(l.tenant.StartFrom); err == nil {
		r.start = s.Time
	}
	return r, nil
}

// fate is what is known of an event that was not stored, as far as is remembered.
func (r *reached) fate(q verify.Question) verify.Fate {
	_, usual := event.TimeInID(q.LogID)
	_, stands := event.TimeInID(r.id)
	passed := !q.Date.After(r.mark.Until)
	if usual && stands && len(r.id) == len(q.LogID) {
		passed = q.LogID <= r.id
	}
	began := r.mark.Since
	if began.Nanosecond() == 0 { // by Auth0's clock, which tells whole seconds
		began = began.Add(time.Second)
	}
	in := func(g store.GapStatus) bool {
		return !q.Date.Before(g.FromTime) && (g.ToTime.IsZero() || !q.Date.After(g.ToTime))
	}
	switch {
	case !passed && r.polls:
		return verify.NotRead
	case slices.ContainsFunc(r.gaps, in):
		return verify.InGap
	case q.Date.Before(r.start), len(r.gaps) == 0 && q.Date.Before(began):
		return verify.BeforeStart
	default:
		return verify.Unknown
	}
}
