package source

import (
	"log/slog"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// settled is the age from which an event is taken for part of a backlog. A page
// that is not full and holds a younger one is most likely the end of the log,
// and asking at once would most likely bring nothing.
const settled = 30 * time.Second

// SkipBeforeStart is the reason counted for events dated before the start.
const SkipBeforeStart = "before_start_from"

// step is what to make of an answer.
type step struct {
	pages []event.Page // to hand over, in this order
	from  string       // the id that was asked from
	next  place
	moved bool // next lies behind a page that brought something
	end   bool // there is nothing more at the moment
	ahead bool // ask at once for what follows

	until time.Time // up to when the log has been read with it, by Auth0's clock; zero when it does not say

	// What is known once the pages are on disk.
	last lastEvent // the event behind which next stands, if moved
}

// bytes is the size of what there is to hand over.
func (s step) bytes() int {
	n := 0
	for _, p := range s.pages {
		for _, e := range p.Events {
			n += len(e.Raw)
		}
		for _, u := range p.Unreadable {
			n += len(u.Raw)
		}
	}
	return n
}

// judge says what to make of an answer to a request behind a place. An answer
// without records is the end of the log; nothing else is.
func (r *reader) judge(at place, got fetched) step {
	if got.records() == 0 {
		r.sizes.end()
		r.stuck = stuck{}
		return step{pages: []event.Page{{CaughtUp: true}}, from: at.id, next: at, end: true, until: got.ServerTime}
	}
	id := r.advance(at.id, got)
	if id == "" {
		return r.judgeStuck(at, got)
	}
	r.stuck = stuck{}
	page := event.Page{Unreadable: got.Page.Unreadable, Fetches: got.Page.Fetches}
	page.Events, page.Skipped = r.sift(got.Page.Events, at.since)
	next := place{id: id, since: at.since}
	if len(page.Skipped) == 0 && len(got.Page.Events) > 0 {
		next.since = time.Time{} // the start lies behind us
	}
	page.Cursor = next.cursor()
	page.CaughtUp = r.sizes.short(got.records(), got.take) && young(got)
	// A page of nothing but known events is one of a circle, which must not be run
	// through without a pause.
	ahead := !page.CaughtUp && (!page.Empty() || len(page.Skipped) > 0)
	return step{pages: []event.Page{page}, from: at.id, next: next, moved: true, ahead: ahead, last: lastOf(id, got), until: reaches(got)}
}

// reaches returns up to when the log is read with a page; zero if that cannot be
// told. By log_id the dates do not ascend, so it is the oldest one.
func reaches(got fetched) time.Time {
	oldest := oldestDate(got.Page.Events)
	if oldest.After(got.ServerTime) {
		return got.ServerTime
	}
	return oldest
}

// lastOf remembers a page by the cursor behind it.
func lastOf(id string, got fetched) lastEvent {
	last := lastEvent{id: id, oldest: oldestDate(got.Page.Events)}
	if n := len(got.Page.Events); n > 0 {
		last.date = got.Page.Events[n-1].Date
	}
	return last
}

// advance returns where to go on behind an answer: what the API says, or else
// the last id; empty when neither gets any further. Where the API would pass the
// last id, that one goes first: behind it nothing can be missing.
func (r *reader) advance(at string, got fetched) string {
	ways := []string{got.Next, got.lastID()}
	if leadsBack(ways[0], ways[1]) {
		slices.Reverse(ways)
	}
	for _, id := range ways {
		if id != "" && id != at && !leadsBack(at, id) && !r.trail.has(id) {
			return id
		}
	}
	return ""
}

// leadsBack reports whether an id lies before another one, which can be told of ids
// of the usual form alone.
func leadsBack(at, id string) bool {
	_, known := event.TimeInID(at)
	_, also := event.TimeInID(id)
	return known && also && len(at) == len(id) && id < at
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
	s := step{from: at.id, next: at}
	if !samePieces(r.stuck.last, got.Page) {
		page := event.Page{Unreadable: got.Page.Unreadable, Fetches: got.Page.Fetches}
		page.Events, page.Skipped = r.sift(got.Page.Events, at.since)
		if !page.Empty() {
			s.pages = append(s.pages, page)
		}
	}
	r.stuck.times++
	r.stuck.last = got.Page
	if r.stuck.times > 1 {
		r.trail = trail{} // or a place that was passed in a circle could never be passed again
		s.end, s.until = true, got.ServerTime
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
