package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// searchTimeout bounds how long a search or a count may take. The journal has a budget of its own
// below it, and says how far it came.
const searchTimeout = 20 * time.Second

// addEventEndpoints registers what speaks of events as JSON.
func (h *handler) addEventEndpoints(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/events", h.json(events, h.searchJSON))
	mux.HandleFunc("GET /api/v1/events/{tenant}/{log_id}", h.json(events, h.eventJSON))
	mux.HandleFunc("GET /api/v1/activity", h.json(events, h.activityJSON))
	mux.HandleFunc("GET /events/rows", h.json(events, h.eventRows))
	mux.HandleFunc("GET /events/{tenant}/{log_id}/raw", h.rawEvent)
}

// search asks the journal for what a request's parameters pick.
func (h *handler) search(r *http.Request) (EventQuery, EventPage, error) {
	journal, err := h.journal()
	if err != nil {
		return EventQuery{}, EventPage{}, err
	}
	q, err := eventQuery(r.URL.Query(), time.Now())
	if err != nil {
		return q, EventPage{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchTimeout)
	defer cancel()
	page, err := journal.Search(ctx, q)
	switch {
	case errors.Is(err, ErrBadPlace):
		return q, page, bad("error.query.place")
	case err != nil:
		return q, page, fmt.Errorf("search events: %w", err)
	}
	return q, page, nil
}

// searchJSON answers with events.
func (h *handler) searchJSON(r *http.Request) (any, error) {
	_, page, err := h.search(r)
	if page.Events == nil {
		page.Events = []Event{}
	}
	return page, err
}

// detail asks the journal for the event that a request's path names.
func (h *handler) detail(r *http.Request) (EventDetail, error) {
	journal, err := h.journal()
	if err != nil {
		return EventDetail{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchTimeout)
	defer cancel()
	d, err := journal.Event(ctx, r.PathValue("tenant"), r.PathValue("log_id"))
	if err != nil {
		return d, fmt.Errorf("read an event: %w", err)
	}
	return d, nil
}

// An eventAnswer is an event with its way and, where it is JSON, the event itself.
type eventAnswer struct {
	EventDetail

	Whole json.RawMessage `json:"event,omitempty"`
}

// eventJSON answers with one event. Its own bytes are those of the address ending in /raw;
// here they are laid out, and no value of them is changed.
func (h *handler) eventJSON(r *http.Request) (any, error) {
	d, err := h.detail(r)
	if err != nil {
		return nil, err
	}
	a := eventAnswer{EventDetail: d}
	if json.Valid(d.Raw) {
		a.Whole = d.Raw
	}
	if a.Stations == nil {
		a.Stations = []Station{}
	}
	return a, nil
}

// rawEvent sends the bytes of one event as a file.
func (h *handler) rawEvent(w http.ResponseWriter, r *http.Request) {
	if h.refuses(w, r, events) {
		return
	}
	d, err := h.detail(r)
	if err != nil {
		h.failBy(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(d.LogID)+`.json"`)
	h.write(w, r, d.Raw)
}

// fileName makes a name for a file out of a log_id, which anybody may have sent.
func fileName(logID string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' {
			return c
		}
		return '_'
	}, logID[:min(len(logID), 100)])
}

// activityJSON answers with counts.
func (h *handler) activityJSON(r *http.Request) (any, error) {
	_, a, err := h.activity(r)
	return a, err
}

// activity asks the journal for the counts that a request's parameters pick: tenant,
// range or since and until, and top. Without bounds they are of the last day.
func (h *handler) activity(r *http.Request) (ActivityQuery, Activity, error) {
	journal, err := h.journal()
	if err != nil {
		return ActivityQuery{}, Activity{}, err
	}
	v, now := r.URL.Query(), time.Now().UTC()
	q := ActivityQuery{Tenant: v.Get("tenant")}
	if len(q.Tenant) > maxWord {
		return q, Activity{}, bad("error.query.long", "tenant", maxWord)
	}
	if q.Since, q.Until, err = bounds(v, now); err != nil {
		return q, Activity{}, err
	}
	if v.Get("since") == "" && v.Get("until") == "" {
		q.Since, q.Until = wholeColumns(q.Since, now)
	}
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-24 * time.Hour)
	}
	if !q.Since.Before(q.Until) || q.Until.Sub(q.Since) > maxRange {
		return q, Activity{}, bad("error.query.order")
	}
	if q.Top, err = within(v, "top", 10, 100); err != nil {
		return q, Activity{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchTimeout)
	defer cancel()
	a, err := journal.Activity(ctx, q)
	if err != nil {
		return q, a, fmt.Errorf("count events: %w", err)
	}
	return q, a, nil
}

// wholeColumns moves a span that ends now to where it ends with a column, of which it has
// about forty: a picture of the last day begins at a full half hour. A zero since is the
// last day.
func wholeColumns(since, now time.Time) (from, until time.Time) {
	length := 24 * time.Hour
	if !since.IsZero() {
		length = now.Sub(since)
	}
	for _, column := range []time.Duration{4 * time.Hour, 30 * time.Minute, 10 * time.Minute, 5 * time.Minute} {
		if length >= 30*column || column == 5*time.Minute {
			until = now.Truncate(column).Add(column)
			break
		}
	}
	return until.Add(-length), until
}

// indented lays out the JSON of an event: its values and their order stay as they are. What
// is no JSON is returned as it is.
func indented(raw []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return raw
	}
	return b.Bytes()
}
