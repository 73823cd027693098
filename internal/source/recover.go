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
// event has merely grown old, reading goes on without a word. Otherwise the gap is
// stored, together with the start from the oldest event that Auth0 still keeps. A
// start that is refused as well is an error.
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
	if from, ok := r.keptSince(at.id, s); ok {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "Auth0 refuses the cursor, nothing is missing; going on by time",
			slog.String("cursor", at.id), slog.Time("from", from))
		next := place{since: latest(from.Add(-max(healMargin, r.cfg.Overlap)), at.since)}
		return next, r.hand(ctx, []event.Page{{Cursor: next.cursor()}})
	}
	next := place{since: at.since}
	if r.grewOld(at.id, s) {
		r.logger.LogAttrs(ctx, slog.LevelInfo, "the last event has grown older than Auth0 keeps the log, nothing is missing; going on with the oldest kept",
			slog.String("cursor", at.id))
		return next, r.hand(ctx, []event.Page{{Cursor: next.cursor()}})
	}
	gap := r.gapBehind(at.id, s)
	r.tellGap(ctx, gap)
	r.read = event.Mark{}.To(gap.ToTime)
	if len(s.first.Page.Events) == 0 { // the gap has no end that is known, but an empty log has been read
		gap.ToTime = time.Time{}
	}
	return next, r.hand(ctx, []event.Page{{Cursor: next.cursor(), Gap: gap, Mark: r.read}})
}

// gapBehind returns the span between a cursor that is refused and what is kept.
func (r *reader) gapBehind(id string, s search) *event.Gap {
	gap := &event.Gap{FromID: id, FromTime: r.stoodAt(id), ToTime: s.first.ServerTime, Reason: reasonRefused}
	if len(s.first.Page.Events) > 0 {
		oldest := s.first.Page.Events[0]
		gap.ToID, gap.ToTime = oldest.LogID, oldest.Date
	}
	if until := r.read.Until; !gap.ToTime.Before(until) { // or the mark is not to be believed
		gap.FromTime = latest(gap.FromTime, until)
	}
	return gap
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

// keptSince returns the time of a cursor, if the oldest event kept lies no further
// on in the log: then nothing behind the cursor can have been deleted, and what is
// dated before it has been read.
func (r *reader) keptSince(id string, s search) (time.Time, bool) {
	if len(s.first.Page.Events) == 0 {
		return time.Time{}, false
	}
	oldest := s.first.Page.Events[0]
	stood, timed := event.TimeInID(id)
	if !timed && id == r.last.id {
		stood = r.last.oldest // dates are not in order: be careful
	}
	_, usual := event.TimeInID(oldest.LogID)
	switch {
	case timed && usual: // ids tell it without a doubt
		return stood, oldest.LogID == id || leadsBack(id, oldest.LogID)
	case stood.IsZero() && r.fullyRead(s): // an id of no known time: up to the mark, then
		return r.read.Until, oldest.Date.Before(r.read.Until)
	default:
		return stood, !stood.IsZero() && !stood.After(s.first.ServerTime) && !oldest.Date.After(stood)
	}
}

const (
	// shortestRetention is that of the smallest plan, see docs/config.md.
	shortestRetention = 24 * time.Hour
	// contradicts is how much older than the end of what was read an event behind it
	// must be for saying that it was not read: far more than Auth0 takes to index one.
	contradicts = time.Hour
)

// grewOld reports whether a cursor is refused for nothing but its age, on a log
// that was read to its end a while ago: all that is kept lies behind it, and
// happened since. A young cursor has no such reason to be refused.
func (r *reader) grewOld(id string, s search) bool {
	now := s.first.ServerTime
	if stood := r.stoodAt(id); !stood.IsZero() && now.Sub(stood) < surely(min(r.cfg.Retention, shortestRetention)) {
		return false
	}
	return r.fullyRead(s) && !r.contradicted(s.first.Page.Events)
}

// fullyRead reports whether the log was read up to a time from which on Auth0 is
// sure to keep everything.
func (r *reader) fullyRead(s search) bool {
	now := s.first.ServerTime
	return !r.read.IsZero() && now.Sub(r.read.Until) < r.safe(now)
}

// contradicted reports whether the first of events behind the cursor is so much
// older than the end of what was read that it cannot have been read.
func (r *reader) contradicted(events []event.Event) bool {
	return len(events) > 0 && oldestDate(events[:1]).Before(r.read.Until.Add(-contradicts))
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
