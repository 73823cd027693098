package source

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

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
		began := time.Now()
		ans, err := r.api.Logs(ctx, id, take)
		if err != nil && errors.Is(err, auth0.ErrTooLarge) && take > 1 {
			r.take = take / 2
			continue
		}
		got := fetched{ans, take}
		got.Page.Fetches = []event.Fetch{{Began: began, Took: time.Since(began), Records: got.records()}}
		return got, err
	}
}

// follow reads page after page behind a place until an error, and returns with
// it the place that could not be read. first is the page at the place if it has
// been fetched already. While there is a backlog it reads ahead of the disk; what
// it has read before an error is handed over first.
func (r *reader) follow(ctx context.Context, at place, first *fetched) (place, error) {
	r.trail, r.stuck = trail{}, stuck{}
	h := handover{reader: r}
	got, err := r.fetchUnless(ctx, at.id, first)
	for err == nil {
		var gap *event.Gap
		if gap, err = r.overtaken(ctx, at, got); err != nil {
			break
		}
		s := r.judge(at, got)
		r.noteGap(gap, &s)
		r.noteRead(at, &s)
		h.add(ctx, s)
		at = s.next
		if s.ahead {
			got, err = h.fetchMeanwhile(ctx, at.id)
			continue
		}
		if err = h.flush(ctx); err == nil {
			err = r.rest(ctx, at, s, got.Pace)
		}
		if err == nil {
			got, err = r.fetch(ctx, at.id)
		}
	}
	return at, cmp.Or(h.flush(ctx), err)
}

// fetchUnless fetches the page behind an id unless that was done already.
func (r *reader) fetchUnless(ctx context.Context, id string, first *fetched) (fetched, error) {
	if first != nil {
		return *first, nil
	}
	return r.fetch(ctx, id)
}

// hand gives pages to emit, one after the other.
func (r *reader) hand(ctx context.Context, pages []event.Page) error {
	for _, p := range pages {
		if err := r.emit(ctx, p); err != nil {
			return err
		}
		r.noteStored(p)
		r.know(p)
	}
	return nil
}

// noteStored remembers where a page on disk has left the cursor and the mark.
func (r *reader) noteStored(p event.Page) {
	if p.Cursor != "" {
		r.stored = p.Cursor
	}
	if !p.Mark.IsZero() {
		r.mark = p.Mark
	}
}

// know remembers the events of a page.
func (r *reader) know(p event.Page) {
	for _, e := range p.Events {
		r.known.add(e.LogID)
	}
}

// noteRead remembers what a step says about the log, on disk or not, and lets its
// last page tell it.
func (r *reader) noteRead(at place, s *step) {
	r.read = r.read.To(s.until)
	if n := len(s.pages); n > 0 && (s.moved || s.end) {
		s.pages[n-1].Mark = r.read
	}
	if s.moved {
		r.fresh, r.seeds = false, 0
		r.trail.add(at.id)
	}
	if s.end {
		r.fresh = false
		r.take = r.cfg.Take
	}
}

// noteDone remembers a step whose pages are on disk. Before that it would claim
// more than a restart finds.
func (r *reader) noteDone(s step) {
	for _, p := range s.pages {
		r.noteStored(p)
	}
	if s.moved {
		r.late.moved(s.from, time.Now())
		r.last = s.last
	}
}

// rest waits until the next poll; before that it looks for late events when it
// is time for it.
func (r *reader) rest(ctx context.Context, at place, s step, pace time.Duration) error {
	if s.end && r.late.due(r.cfg.OverlapEvery) {
		if err := r.reread(ctx, at); err != nil {
			return err
		}
	}
	return r.pause(ctx, pace)
}

// hurryEvery is how often a poll that waits asks whether to hurry.
const hurryEvery = 5 * time.Second

// pause waits for the interval, or longer where the rate limit demands it.
func (r *reader) pause(ctx context.Context, pace time.Duration) error {
	if r.cfg.Hurry == nil {
		return pipeline.Wait(ctx, max(r.cfg.Interval, pace))
	}
	for began := time.Now(); ; {
		interval := r.cfg.Interval
		if r.cfg.Hurry() {
			interval = min(interval, DefaultInterval)
		}
		left := max(interval, pace) - time.Since(began)
		if left <= 0 {
			return nil
		}
		if err := pipeline.Wait(ctx, min(left, hurryEvery)); err != nil {
			return err
		}
	}
}
