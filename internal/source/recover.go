package source

import (
	"context"
	"log/slog"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// shortestRetention is less than the shortest time for which Auth0 keeps an
	// event, one day on the free plan, by a margin: whoever had read everything
	// within it has missed nothing.
	shortestRetention = 20 * time.Hour
	// healMargin is how far reading goes back at least when a cursor is replaced
	// by the time at which it stood: what is older does not count from then on, so
	// that a wider window for late events goes further.
	healMargin = 5 * time.Minute
)

// recover finds another place when Auth0 refuses to go on behind one: it is
// older than the retention, or unknown. Any other error is returned.
//
// Where it is sure that nothing lies between the two, as on a tenant whose last
// event has merely grown old, reading goes on at the time of the old place.
// Otherwise the gap is stored, together with the start from the oldest event
// that Auth0 still keeps. A start that is refused as well is an error.
func (r *reader) recover(ctx context.Context, at place, err error) (place, error) {
	if !isKind(err, auth0.BadCursor) {
		return at, err
	}
	if r.fresh {
		return at, &pipeline.Error{Op: "start from the oldest event", Err: err}
	}
	// Asked again, for a proxy's slip must not make us read everything anew.
	if _, again := r.fetch(ctx, at.id); again == nil {
		return at, err // it was one; the caller waits and tries once more
	} else if !isKind(again, auth0.BadCursor) {
		return at, again
	}
	s, err := r.searchOldest(ctx, time.Time{})
	if err != nil {
		return at, err
	}
	stood := r.stoodAt(at.id)
	if from, ok := r.proven(at.id, s); ok {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "Auth0 refuses the cursor, nothing is missing; going on by time",
			slog.String("cursor", at.id), slog.Time("from", from))
		next := place{since: latest(from.Add(-max(healMargin, r.cfg.Overlap)), at.since)}
		return next, r.hand(ctx, []event.Page{{Cursor: next.cursor()}})
	}
	gap := &event.Gap{FromID: at.id, FromTime: stood, Reason: "Auth0 no longer keeps what follows the cursor"}
	if len(s.first.Page.Events) > 0 {
		oldest := s.first.Page.Events[0]
		gap.ToID, gap.ToTime = oldest.LogID, oldest.Date
	}
	r.logger.LogAttrs(ctx, slog.LevelError, "events may be missing: Auth0 refuses the cursor, going on from the oldest event kept",
		slog.String("cursor", at.id), slog.Time("from_time", gap.FromTime), slog.String("to", gap.ToID), slog.Time("to_time", gap.ToTime))
	next := place{since: at.since}
	return next, r.hand(ctx, []event.Page{{Cursor: next.cursor(), Gap: gap}})
}

// stoodAt returns the date of the event that a cursor names, zero if unknown.
func (r *reader) stoodAt(id string) time.Time {
	if id == r.last.id {
		return r.last.date
	}
	t, _ := event.TimeInID(id)
	return t
}

// proven returns up to when the log is known to be read, if nothing behind that
// can have been deleted: it was less than the shortest retention ago, or the
// oldest event kept is not younger.
func (r *reader) proven(id string, s search) (time.Time, bool) {
	now := s.first.ServerTime
	if !r.caughtUp.IsZero() && now.Sub(r.caughtUp) < shortestRetention {
		return r.caughtUp, true
	}
	stood, timed := event.TimeInID(id)
	if !timed && id == r.last.id {
		stood = r.last.oldest // dates are not in order: be careful
	}
	events := s.first.Page.Events
	if stood.IsZero() || stood.After(now) || len(events) == 0 || events[0].Date.After(stood) {
		return time.Time{}, false
	}
	return stood, true
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
