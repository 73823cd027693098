package source

import (
	"context"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
)

// maxOverlapPages bounds the calls of one look for late events. On a tenant that
// writes more within the window, each look covers its older part, and the looks
// together cover everything.
const maxOverlapPages = 20

// backlogAge is the age from which what is read is a backlog, of which nothing is
// listed late any more; it is the largest window.
const backlogAge = time.Hour

// overlap knows where to begin when the last window of the log is read again.
//
// Auth0 does not say whether an event may turn up below one that was served
// before. Within the window such an event is found.
type overlap struct {
	window time.Duration
	// floor is the first place of an export that began in this process: what
	// lies before it was not asked for.
	floor string
	marks []mark    // places left behind, oldest first
	news  time.Time // when something new came last
	polls int       // polls without news since the last look
	// looked is where the poll stood at the last look, and lookedAt when that was:
	// what was listed since then may lie up to the window before it. Where a look
	// did not come to its end, looked is how far it came.
	looked   string
	lookedAt time.Time
	plain    bool // the API refuses ids that were built
}

// mark is a place and when it was left.
type mark struct {
	id string
	at time.Time
}

// moved remembers a place that is left behind. Places close to each other count
// as one, so that there are few of them however busy the tenant is.
func (o *overlap) moved(id string, now time.Time) {
	o.news = now
	if o.window <= 0 {
		return
	}
	if t, timed := event.TimeInID(id); o.lookedAt.IsZero() || timed && now.Sub(t) > backlogAge {
		o.looked, o.lookedAt = id, now
	}
	if n := len(o.marks); n > 0 && now.Sub(o.marks[n-1].at) < o.window/8 {
		return
	}
	o.marks = append(o.marks, mark{id, now})
	// Of those older than the window one is enough, as long as they stay older.
	for len(o.marks) > 1 && now.Sub(o.marks[1].at) > 2*o.window && o.before().Sub(o.marks[1].at) > 2*o.window {
		o.marks = slices.Delete(o.marks, 0, 1)
	}
}

// due counts a poll without news and reports whether it is time for a look.
func (o *overlap) due(every int) bool {
	if o.window <= 0 {
		return false
	}
	o.polls++
	if o.polls < every {
		return false
	}
	o.polls = 0
	return true
}

// before returns the time before which, by the window, the next look begins: that
// of the last news or of the last look, whichever is earlier.
func (o *overlap) before() time.Time {
	if !o.lookedAt.IsZero() && o.lookedAt.Before(o.news) {
		return o.lookedAt
	}
	return o.news
}

// begin returns where to begin a look when the poll stands behind an id: the
// window before it, or before where it stood at the last look, by the time inside
// the id; or else a place left behind at least the window before the last news and
// the last look. Empty means that there is none.
func (o *overlap) begin(id string) string {
	_, floorTimed := event.TimeInID(o.floor)
	if t, ok := event.TimeInID(id); ok && !o.plain && (o.floor == "" || floorTimed) {
		if last, ok := event.TimeInID(o.looked); ok && last.Before(t) {
			t = last
		}
		return max(event.IDAt(t.Add(-o.window)), o.floor) // both of one length: order of text is order of time
	}
	for _, m := range slices.Backward(o.marks) {
		if o.before().Sub(m.at) >= o.window {
			return m.id
		}
	}
	if len(o.marks) > 0 {
		return o.marks[0].id
	}
	return ""
}

// reread looks for late events behind which the poll has passed already. The
// pages it hands over do not move the cursor.
func (r *reader) reread(ctx context.Context, at place) error {
	id := r.late.begin(at.id)
	began, reached := time.Now(), at.id
	defer func() { r.late.looked, r.late.lookedAt = reached, began }()
	for range maxOverlapPages {
		if id == "" || id == at.id {
			return nil
		}
		got, err := r.fetch(ctx, id)
		if isKind(err, auth0.BadCursor) {
			r.late.plain = true
			return nil
		}
		if err != nil {
			reached = r.late.looked
			return err
		}
		if late, _ := r.sift(got.Page.Events, r.since); len(late) > 0 {
			if err := r.hand(ctx, []event.Page{{Events: late}}); err != nil {
				reached = r.late.looked
				return err
			}
		}
		if slices.ContainsFunc(got.Page.Events, func(e event.Event) bool { return e.LogID == at.id }) {
			return nil
		}
		next := got.Next
		if next == "" {
			next = got.lastID()
		}
		if next == id || len(got.Page.Events) == 0 {
			return nil
		}
		id = next
	}
	reached = id // the next look begins there
	return nil
}
