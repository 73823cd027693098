package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// joinMargin is how far before the oldest event its log_id is looked for.
	// The time inside an id was never seen to lie before the date.
	joinMargin = 10 * time.Second
	// searchMargin is how far the search must reach past the oldest event before
	// reading goes on by checkpoint: the order by date and that by log_id differ
	// by seconds.
	searchMargin = time.Minute
	// queryLayout is how a date is written in a query.
	queryLayout = "2006-01-02T15:04:05.000Z"
)

// begin returns the place that a cursor names, or the configured start.
func (r *reader) begin(ctx context.Context, from event.Cursor) (place, error) {
	if from != "" {
		p, err := readCursor(from)
		if err != nil {
			return place{}, &pipeline.Error{Class: pipeline.Misconfigured, Err: err}
		}
		r.since = p.since
		return p, nil
	}
	start := r.cfg.StartFrom
	switch start.kind {
	case startID:
		r.late.floor = start.id
		return place{id: start.id}, nil
	case startTime:
		return place{since: start.at}, nil
	case startLatest, startAgo:
		newest, err := r.api.Search(ctx, auth0.SearchQuery{Sort: "date:-1", PerPage: 1})
		if err != nil {
			return place{}, err
		}
		if start.kind == startAgo { // by Auth0's clock, which the dates are of
			return place{since: newest.ServerTime.Add(-start.ago).Truncate(time.Millisecond)}, nil
		}
		return r.beginLatest(ctx, fetched{Answer: newest})
	default:
		return place{}, nil
	}
}

// beginLatest stands behind the newest event and stores that.
func (r *reader) beginLatest(ctx context.Context, newest fetched) (place, error) {
	at := place{id: newest.lastID()}
	if at.id == "" && newest.records() > 0 {
		at.since = newest.ServerTime // an event without an id cannot be stood behind
	}
	r.late.floor = at.id
	r.read = event.Mark{}.To(newest.ServerTime) // what was before does not count
	return at, r.hand(ctx, []event.Page{{Cursor: at.cursor(), Mark: r.read}})
}

// seed finds the first events that count and a place from which reading by
// checkpoint meets all of them. On a tenant without any it waits for the first.
// The page returned is the one at the place, nil if it is yet to be fetched.
func (r *reader) seed(ctx context.Context, at place) (place, *fetched, error) {
	r.fresh = true
	for {
		s, err := r.searchOldest(ctx, at.since)
		if err != nil {
			return at, nil, err
		}
		gap, err := r.overtaken(ctx, at, s.first)
		if err != nil {
			return at, nil, err
		}
		if len(s.first.Page.Events) > 0 {
			r.edge = s.first.ServerTime.Sub(s.first.Page.Events[0].Date)
			if err := r.fix(ctx, at, gap); err != nil {
				return at, nil, err
			}
			return r.join(ctx, at, s)
		}
		if gap != nil {
			r.read = event.Mark{}
		}
		r.read = r.read.To(s.first.ServerTime)
		if err := r.hand(ctx, []event.Page{{Cursor: at.cursor(), CaughtUp: true, Gap: gap, Mark: r.read}}); err != nil {
			return at, nil, err
		}
		if err := pipeline.Wait(ctx, max(r.cfg.Interval, s.first.Pace)); err != nil {
			return at, nil, err
		}
	}
}

// fix stores the start, so that a restart does not move it, and the gap before it
// if there is one.
func (r *reader) fix(ctx context.Context, at place, gap *event.Gap) error {
	if at.cursor() == r.stored && gap == nil {
		return nil
	}
	if gap != nil {
		r.read = event.Mark{}.To(gap.ToTime)
	}
	return r.hand(ctx, []event.Page{{Cursor: at.cursor(), Gap: gap, Mark: r.read}})
}

// search is a search for the oldest events, with its first page.
type search struct {
	query auth0.SearchQuery
	first fetched
}

// searchOldest searches for the oldest events from a date on, the zero time for
// all. Where the API cannot search by date, it searches for all, and the events
// before the date are left out as they come by.
func (r *reader) searchOldest(ctx context.Context, since time.Time) (search, error) {
	s := search{query: auth0.SearchQuery{Sort: "date:1", PerPage: auth0.MaxTake}}
	if !since.IsZero() {
		s.query.Q = "date:[" + since.UTC().Format(queryLayout) + " TO *]"
	}
	ans, err := r.api.Search(ctx, s.query)
	if isKind(err, auth0.BadRequest) && s.query.Q != "" {
		s.query.Q = ""
		ans, err = r.api.Search(ctx, s.query)
	}
	s.first.Answer = ans
	return s, err
}

// join finds the place from which reading by checkpoint meets every event of a
// search. An id built from the time of the oldest is best: nothing sorts before
// it. It works where ids have the usual form, which is checked by their looks
// and by what the API answers; where it does not, the search's own events are
// handed over and reading goes on behind the oldest.
func (r *reader) join(ctx context.Context, at place, s search) (place, *fetched, error) {
	if built, lowest, ok := buildStart(s.first.Page.Events, at.since); ok {
		got, err := r.fetch(ctx, built)
		if err == nil && holds(got, lowest) {
			at.id = built
			r.begun(at)
			return at, &got, nil
		}
		if err != nil && !refusesID(err) {
			return at, nil, err
		}
		r.logger.LogAttrs(ctx, slog.LevelInfo, "a log_id built from a time is of no use here, starting by search")
		r.late.plain = true
	}
	return r.joinBySearch(ctx, at, s)
}

// joinBySearch hands over the events of a search in one page, whose cursor is
// the oldest of them.
func (r *reader) joinBySearch(ctx context.Context, at place, s search) (place, *fetched, error) {
	i := slices.IndexFunc(s.first.Page.Events, real)
	if i < 0 {
		return at, nil, &pipeline.Error{Op: "find the oldest event", Err: errors.New("no event has a log_id to go on from")}
	}
	oldest := s.first.Page.Events[i]
	all, err := r.collect(ctx, s, oldest.Date)
	if err != nil {
		return at, nil, err
	}
	kept, _ := r.sift(all, at.since) // those left out come by again, and are counted then
	at.id = oldest.LogID
	r.begun(at)
	r.read = r.read.To(oldest.Date).To(earliest(all[len(all)-1].Date, s.first.ServerTime)) // a search has no holes
	return at, nil, r.hand(ctx, []event.Page{{Events: kept, Cursor: at.cursor(), Mark: r.read}})
}

// begun notes where an export begins that has just been seeded.
func (r *reader) begun(at place) {
	r.late.floor, r.since = at.id, at.since
}

// buildStart builds the id to start from, if all events have ids of the usual
// form, and returns it with the lowest of theirs.
func buildStart(events []event.Event, since time.Time) (built, lowest string, ok bool) {
	oldest := events[0].Date
	for _, e := range events {
		t, timed := event.TimeInID(e.LogID)
		if !timed {
			return "", "", false
		}
		if lowest == "" || e.LogID < lowest { // all of one length
			lowest = e.LogID
		}
		for _, t := range []time.Time{t, e.Date} {
			if t.Before(oldest) {
				oldest = t
			}
		}
	}
	from := oldest.Add(-joinMargin)
	if from.Before(since) && !oldest.Before(since) {
		from = since
	}
	return event.IDAt(from), lowest, true
}

// holds reports whether a page holds an event.
func holds(got fetched, id string) bool {
	for _, e := range got.Page.Events {
		if e.LogID == id {
			return true
		}
	}
	return false
}

// refusesID reports whether an error may be the API's way to say that it does
// not know an id, rather than a fault that passes.
func refusesID(err error) bool {
	e, ok := errors.AsType[*auth0.Error](err)
	if !ok || e.Status < 400 {
		return false
	}
	switch e.Kind {
	case auth0.Throttled, auth0.Unauthorized, auth0.Forbidden:
		return false
	default:
		return true
	}
}

// collect fetches the rest of a search until it is surely past the events that
// sort before the oldest one by log_id.
func (r *reader) collect(ctx context.Context, s search, oldest time.Time) ([]event.Event, error) {
	all := s.first.Page.Events
	for last := s.first.Page; ; {
		n := len(last.Events)
		s.query.Page++
		if n == 0 || s.query.Page*s.query.PerPage >= auth0.MaxSearch || last.Events[n-1].Date.After(oldest.Add(searchMargin)) {
			return all, nil
		}
		ans, err := r.api.Search(ctx, s.query)
		if isKind(err, auth0.BadRequest) || err == nil && samePieces(last, ans.Page) {
			return all, nil // the end of what a search reaches
		}
		if err != nil {
			return nil, fmt.Errorf("search page %d: %w", s.query.Page, err)
		}
		last = ans.Page
		all = append(all, last.Events...)
	}
}
