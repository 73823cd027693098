package source

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// settled is the age from which an event is taken for part of a backlog. A page
// that is not full and holds a younger one is most likely the end of the log,
// and asking at once would most likely bring nothing.
const settled = 30 * time.Second

// SkipBeforeStart is the reason counted for events dated before the start.
const SkipBeforeStart = "before_start_from"

// fetched is an answer, and how many events were asked for.
type fetched struct {
	auth0.Answer
	take int
}

// records is the number of events and of pieces that are none.
func (f fetched) records() int { return len(f.Page.Events) + len(f.Page.Unreadable) }

// lastID returns the last id that Auth0 knows, empty when there is none.
func (f fetched) lastID() string {
	for _, e := range slices.Backward(f.Page.Events) {
		if real(e) {
			return e.LogID
		}
	}
	return ""
}

// real reports whether the id of an event is Auth0's.
func real(e event.Event) bool { return !strings.HasPrefix(e.LogID, event.SyntheticPrefix) }

// fetch asks for the page behind an id, and for a smaller one if it is too large.
func (r *reader) fetch(ctx context.Context, id string) (fetched, error) {
	for {
		take := r.take
		ans, err := r.api.Logs(ctx, id, take)
		if err != nil && errors.Is(err, auth0.ErrTooLarge) && take > 1 {
			r.take = take / 2
			continue
		}
		return fetched{ans, take}, err
	}
}

// flight is a page being fetched while the one before is stored.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
	got    fetched
	err    error
}

// readAhead starts to fetch the page behind an id. The caller must call wait.
func (r *reader) readAhead(ctx context.Context, id string) *flight {
	ctx, cancel := context.WithCancel(ctx)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.got, f.err = r.fetch(ctx, id)
	}()
	return f
}

// wait returns the page.
func (f *flight) wait() (fetched, error) {
	<-f.done
	f.cancel()
	return f.got, f.err
}

// abandon gives the page up.
func (f *flight) abandon() {
	f.cancel()
	<-f.done
}

// step is what to make of an answer.
type step struct {
	pages []event.Page // to hand over, in this order
	next  place
	moved bool // next lies behind a page that brought something
	end   bool // there is nothing more at the moment
	ahead bool // ask at once for what follows
}

// follow reads page after page behind a place until an error, and returns with
// it the place that could not be read. first is the page at the place if it has
// been fetched already.
func (r *reader) follow(ctx context.Context, at place, first *fetched) (place, error) {
	r.trail, r.stuck = trail{}, stuck{}
	var got fetched
	var err error
	if first != nil {
		got = *first
	} else {
		got, err = r.fetch(ctx, at.id)
	}
	for err == nil {
		s := r.judge(at, got)
		var ahead *flight
		if s.ahead {
			ahead = r.readAhead(ctx, s.next.id)
		}
		if err := r.hand(ctx, s.pages); err != nil {
			if ahead != nil {
				ahead.abandon()
			}
			return at, err
		}
		r.note(at, s, got)
		at = s.next
		if ahead != nil {
			got, err = ahead.wait()
			continue
		}
		if err := r.rest(ctx, at, s, got.Pace); err != nil {
			return at, err
		}
		got, err = r.fetch(ctx, at.id)
	}
	return at, err
}

// hand gives pages to emit and remembers their events once they are on disk.
func (r *reader) hand(ctx context.Context, pages []event.Page) error {
	for _, p := range pages {
		if err := r.emit(ctx, p); err != nil {
			return err
		}
		if p.Cursor != "" {
			r.stored = p.Cursor
		}
		for _, e := range p.Events {
			r.known.add(e.LogID)
		}
	}
	return nil
}

// note remembers what a step has brought.
func (r *reader) note(at place, s step, got fetched) {
	if s.moved {
		r.fresh = false
		r.trail.add(at.id)
		r.late.moved(at.id, time.Now())
		r.last = lastOf(s.next.id, got)
	}
	if s.end {
		r.fresh = false
		r.take = r.cfg.Take
	}
	if got.records() == 0 {
		r.caughtUp = got.ServerTime
	}
}

// lastOf remembers a page by the cursor behind it.
func lastOf(id string, got fetched) lastEvent {
	last := lastEvent{id: id}
	for _, e := range got.Page.Events {
		if last.oldest.IsZero() || e.Date.Before(last.oldest) {
			last.oldest = e.Date
		}
		last.date = e.Date
	}
	return last
}

// rest waits until the next poll; before that it looks for late events when it
// is time for it.
func (r *reader) rest(ctx context.Context, at place, s step, pace time.Duration) error {
	if s.end && r.late.due(r.cfg.OverlapEvery) {
		if err := r.reread(ctx, at); err != nil {
			return err
		}
	}
	return pipeline.Wait(ctx, max(r.cfg.Interval, pace))
}

// judge says what to make of an answer to a request behind a place. An answer
// without records is the end of the log; nothing else is.
func (r *reader) judge(at place, got fetched) step {
	if got.records() == 0 {
		r.sizes.end()
		r.stuck = stuck{}
		return step{pages: []event.Page{{CaughtUp: true}}, next: at, end: true}
	}
	id := r.advance(at.id, got)
	if id == "" {
		return r.judgeStuck(at, got)
	}
	r.stuck = stuck{}
	page := event.Page{Unreadable: got.Page.Unreadable}
	page.Events, page.Skipped = r.sift(got.Page.Events, at.since)
	next := place{id: id, since: at.since}
	if len(page.Skipped) == 0 && len(got.Page.Events) > 0 {
		next.since = time.Time{} // the start lies behind us
	}
	page.Cursor = next.cursor()
	page.CaughtUp = r.sizes.short(got.records(), got.take) && young(got)
	return step{pages: []event.Page{page}, next: next, moved: true, ahead: !page.CaughtUp}
}

// advance returns where to go on behind an answer: what the API says, or else
// the last id; empty when neither gets any further.
func (r *reader) advance(at string, got fetched) string {
	for _, id := range []string{got.Next, got.lastID()} {
		if id != "" && id != at && !r.trail.has(id) {
			return id
		}
	}
	return ""
}

// stuck follows answers that bring records and lead no further.
type stuck struct {
	times int
	last  event.Page
}

// judgeStuck deals with an answer that leads no further: the API has repeated a
// page, or counts the event that was asked from among those behind it. What is
// new in it is handed over, the place stays, and the next try waits. One such
// answer may be a fault; the second in a row says that there is nothing more.
func (r *reader) judgeStuck(at place, got fetched) step {
	s := step{next: at}
	if !samePieces(r.stuck.last, got.Page) {
		page := event.Page{Unreadable: got.Page.Unreadable}
		page.Events, page.Skipped = r.sift(got.Page.Events, at.since)
		if !page.Empty() {
			s.pages = append(s.pages, page)
		}
	}
	r.stuck.times++
	r.stuck.last = got.Page
	if r.stuck.times > 1 {
		s.end = true
		s.pages = append(s.pages, event.Page{CaughtUp: true})
	}
	if r.stuck.times == 2 && got.records() > 1 {
		r.logger.Warn("Auth0 answers with a page that leads no further; taken for the end of the log",
			slog.String("from", at.id), slog.Int("records", got.records()))
	}
	return s
}

// samePieces reports whether two pages hold the same records.
func samePieces(a, b event.Page) bool {
	return slices.EqualFunc(a.Events, b.Events, func(x, y event.Event) bool { return x.LogID == y.LogID }) &&
		slices.EqualFunc(a.Unreadable, b.Unreadable, func(x, y event.Unreadable) bool { return string(x.Raw) == string(y.Raw) })
}

// sift leaves out the events that are on disk already, and those dated before
// the start, which it counts.
func (r *reader) sift(events []event.Event, since time.Time) (kept []event.Event, skipped map[string]int) {
	for _, e := range events {
		switch {
		case e.Date.Before(since):
			if skipped == nil {
				skipped = make(map[string]int)
			}
			skipped[SkipBeforeStart]++
		case !r.known.has(e.LogID):
			kept = append(kept, e)
		}
	}
	return kept, skipped
}

// young reports whether a page holds an event of the last seconds, by Auth0's
// own clock.
func young(got fetched) bool {
	return slices.ContainsFunc(got.Page.Events, func(e event.Event) bool {
		return e.Date.After(got.ServerTime.Add(-settled))
	})
}
