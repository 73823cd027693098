package source

import (
	"context"
	"log/slog"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// healMargin is how far reading goes back at least when a cursor is replaced
// by the time at which it stood: what is older does not count from then on, so
// that a wider window for late events goes further.
const healMargin = 5 * time.Minute

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
		return r.seedAgain(ctx, at, err)
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
	r.learn(s)
	if from, ok := r.complete(at.id, s); ok {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "Auth0 refuses the cursor, nothing is missing; going on by time",
			slog.String("cursor", at.id), slog.Time("from", from))
		next := place{since: latest(from.Add(-max(healMargin, r.cfg.Overlap)), at.since)}
		return next, r.hand(ctx, []event.Page{{Cursor: next.cursor()}})
	}
	gap := &event.Gap{FromID: at.id, FromTime: latest(r.stoodAt(at.id), r.read.Until), Reason: reasonRefused}
	accounted := s.first.ServerTime // an empty log has been read
	if len(s.first.Page.Events) > 0 {
		oldest := s.first.Page.Events[0]
		gap.ToID, gap.ToTime = oldest.LogID, oldest.Date
		accounted = oldest.Date
	}
	r.tellGap(ctx, gap)
	r.read = event.Mark{}.To(accounted)
	next := place{since: at.since}
	return next, r.hand(ctx, []event.Page{{Cursor: next.cursor(), Gap: gap, Mark: r.read}})
}

// reasonRefused is the reason of a gap behind a cursor that Auth0 refuses.
const reasonRefused = "Auth0 no longer keeps what follows the cursor"

// maxSeeds is how often a start is tried anew because the oldest event has gone
// meanwhile, until the run ends with an error and waits.
const maxSeeds = 3

// seedAgain deals with a start that Auth0 refuses. At the end of the retention
// the oldest event may have gone between the search that found it and the
// reading behind it: another search finds the next. Anywhere else the API takes
// no start at all.
func (r *reader) seedAgain(ctx context.Context, at place, err error) (place, error) {
	if r.seeds < maxSeeds && r.edge > surely(r.cfg.Retention) {
		r.seeds++
		r.logger.LogAttrs(ctx, slog.LevelInfo, "the oldest event has gone meanwhile, starting at the next", slog.String("oldest", at.id))
		return place{since: at.since}, nil
	}
	return at, refusedForEver(err)
}

// refusedForEver says that no start is taken, which only a person can look into.
func refusedForEver(err error) error {
	return &pipeline.Error{
		Op: "start from the oldest event", Class: pipeline.Misconfigured, Err: err,
		Hint: "Auth0 lists events and refuses to go on behind any of them. Ask for GET /api/v2/logs?from=LOG_ID by hand, " +
			"see what stands between gapless and Auth0, and turn to Auth0's support; gapless goes on by itself once it is taken.",
	}
}

// stoodAt returns the date of the event that a cursor names, zero if unknown.
func (r *reader) stoodAt(id string) time.Time {
	if id == r.last.id {
		return r.last.date
	}
	t, _ := event.TimeInID(id)
	return t
}

// complete returns up to when the log is known to be read, if nothing behind that
// can have been deleted: Auth0 is sure to keep what is no older, or the oldest
// event kept is not younger.
func (r *reader) complete(id string, s search) (time.Time, bool) {
	now := s.first.ServerTime
	if !r.read.IsZero() && now.Sub(r.read.Until) < r.safe(now) {
		return r.read.Until, true
	}
	stood, timed := event.TimeInID(id)
	if !timed && id == r.last.id {
		stood = r.last.oldest // dates are not in order: be careful
	}
	stood = latest(stood, r.read.Until)
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

// earliest returns the earlier of two times; zero ones do not count.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
