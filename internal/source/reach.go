package source

import (
	"context"
	"log/slog"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
)

// Auth0 may serve a cursor that is older than its retention, with the oldest
// event that it keeps and without a word. So the reader asks of every page
// whether it can follow on what was read before:
//
//	           read.Until
//	───────────────┤ ? ├──────────────► what Auth0 keeps
//	 read, on disk       the first event served
//
// It does as long as Auth0 is sure to keep everything from read.Until on. Behind
// that only the oldest event kept can tell: one that was read already proves that
// nothing between has gone.

// reasonExpired is the reason of a gap that Auth0 passed over.
const reasonExpired = "what followed was older than the retention when it was asked for"

// seenFor is how long it counts that older events were seen to be kept: the plan
// of a tenant may change to one that keeps less.
const seenFor = time.Hour

// safe is the age up to which Auth0 is sure to keep every event: the retention,
// or what was lately seen to be kept for longer.
func (r *reader) safe(now time.Time) time.Duration {
	if now.Sub(r.kept.at) < seenFor {
		return surely(max(r.cfg.Retention, r.kept.age))
	}
	return surely(r.cfg.Retention)
}

// surely takes a margin off a retention, for how Auth0 counts and when it deletes.
func surely(d time.Duration) time.Duration { return d - min(d/6, 4*time.Hour) }

// oldestKept is the age of the oldest event that Auth0 kept, and when that was.
type oldestKept struct {
	age time.Duration
	at  time.Time
}

// resume finds out what was read before the cursor. Without a mark it is what
// the cursor itself says.
func (r *reader) resume(ctx context.Context, at place) error {
	if !r.read.IsZero() { // the start has just set it
		return nil
	}
	stored, err := r.onDisk(ctx)
	if err != nil {
		return err
	}
	r.read = stored.To(r.mark.Until)
	if r.read.IsZero() && at.id != "" {
		stood, _ := event.TimeInID(at.id)
		r.read = event.Mark{}.To(stood)
	}
	return nil
}

// overtaken returns the gap between what was read and a page, nil if there is
// none. Where a page lies at the end of the retention it costs a search.
func (r *reader) overtaken(ctx context.Context, at place, got fetched) (*event.Gap, error) {
	r.doubtMark(at, got)
	if !r.old(got.ServerTime) {
		return nil, nil //nolint:nilnil // no gap
	}
	if len(got.Page.Events) == 0 && got.records() > 0 {
		return nil, nil //nolint:nilnil // the next event tells
	}
	gap := &event.Gap{FromTime: r.read.Until, ToTime: got.ServerTime, Reason: reasonExpired}
	if !r.fresh { // or it may be an id that was built
		gap.FromID = at.id
	}
	if events := got.Page.Events; len(events) > 0 {
		if gap.ToTime = oldestDate(events); !gap.ToTime.After(r.read.Until) {
			return nil, nil //nolint:nilnil // what is kept reaches back to what was read
		}
		gap.ToID = events[0].LogID
	}
	s, err := r.searchOldest(ctx, time.Time{})
	switch {
	case isKind(err, auth0.BadRequest): // it cannot tell
	case err != nil:
		return nil, err
	default:
		r.learn(s)
		if r.follows(at, s) {
			return nil, nil //nolint:nilnil // nothing has gone
		}
	}
	r.tellGap(ctx, gap)
	return gap, nil
}

// doubtMark takes a mark back to the time of the cursor where a page shows that it
// says too much: the cursor is older than Auth0 may keep it, and what follows on it
// happened long before the log is said to have been read.
func (r *reader) doubtMark(at place, got fetched) {
	stood, timed := event.TimeInID(at.id)
	if !timed || r.read.IsZero() || got.ServerTime.Sub(stood) <= r.safe(got.ServerTime) || !r.contradicted(got.Page.Events) {
		return
	}
	if stood.Before(r.read.Until) {
		r.read = event.Mark{}.To(stood)
	}
}

// old reports whether what follows on what was read may have been deleted by a
// time of Auth0's.
func (r *reader) old(now time.Time) bool {
	return !r.read.IsZero() && now.Sub(r.read.Until) > r.safe(now)
}

// follows reports whether the oldest event kept was read already, or happened
// before all that was not.
func (r *reader) follows(at place, s search) bool {
	if len(s.first.Page.Events) == 0 {
		return false
	}
	oldest := s.first.Page.Events[0]
	_, usual := event.TimeInID(oldest.LogID)
	return !oldest.Date.After(r.read.Until) || r.known.has(oldest.LogID) ||
		usual && len(oldest.LogID) == len(at.id) && (oldest.LogID == at.id || leadsBack(at.id, oldest.LogID))
}

// learn remembers how far back the oldest event kept lies.
func (r *reader) learn(s search) {
	if now := s.first.ServerTime; len(s.first.Page.Events) > 0 {
		r.kept = oldestKept{age: now.Sub(s.first.Page.Events[0].Date), at: now}
	}
}

// noteGap puts a gap on the first page of a step. What was read begins anew
// behind it.
func (r *reader) noteGap(gap *event.Gap, s *step) {
	if gap == nil {
		return
	}
	r.read = event.Mark{}.To(gap.ToTime)
	if len(s.pages) == 0 {
		s.pages = append(s.pages, event.Page{})
	}
	s.pages[0].Gap, s.pages[0].Mark = gap, r.read
}

// tellGap says that events may be missing.
func (r *reader) tellGap(ctx context.Context, gap *event.Gap) {
	r.logger.LogAttrs(ctx, slog.LevelError, "events may be missing: going on from the oldest event that Auth0 keeps",
		slog.String("cursor", gap.FromID), slog.Time("from_time", gap.FromTime), slog.String("to", gap.ToID),
		slog.Time("to_time", gap.ToTime), slog.String("reason", gap.Reason))
}

// oldestDate returns the earliest date of events, zero without any.
func oldestDate(events []event.Event) (oldest time.Time) {
	for _, e := range events {
		oldest = earliest(oldest, e.Date)
	}
	return oldest
}
