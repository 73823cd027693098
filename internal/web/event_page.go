package web

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// around is how far from an event the link to its neighbours looks, to each side.
const around = 5 * time.Minute

// An eventPage is one event in full, with its way.
type eventPage struct {
	EventDetail

	Severity, Who, App, Place string
	// Summary is what the catalogue says of the type.
	Summary string
	// Way are the stations of the event, in the order of time.
	Way []waystation
	// JSON is the event, laid out; Raw the address of its own bytes.
	JSON  []jsonToken
	Bytes int64
	Raw   string
	// More are lists of events that have something in common with it.
	More []choice
}

// A waystation is a stop on the way of an event.
type waystation struct {
	// Kind is happened, fetched or sent; State the state at a destination.
	Kind  string
	State string
	// At is when it was there; zero when it was not, or when nobody knows.
	At time.Time
	// Lag is the time since the event happened, and Step that since the stop before.
	Lag, Step time.Duration
	// Timed says that both are known.
	Timed bool
	// Source is what brought it, and Station where it was sent.
	Source  string
	Station Station
	// Restamped says that the destination has it under another time than its own.
	Restamped bool
}

// buildEvent makes the page of one event.
func (h *handler) buildEvent(r *http.Request, w *words) (content, error) {
	o, err := h.figures.get(r.Context())
	if err != nil {
		return content{}, err
	}
	d, err := h.detail(r)
	if err != nil {
		return content{}, err
	}
	t := event.Lookup(d.Type)
	p := eventPage{
		EventDetail: d, Severity: t.Severity.String(), Summary: t.Description, Who: cmp.Or(d.UserName, d.UserID), App: cmp.Or(d.ClientName, d.ClientID),
		Place: whereabouts(d.City, d.Country), Way: way(d), JSON: jsonTokens(PlainJSON(indented(d.Raw))), Bytes: int64(len(d.Raw)),
		Raw: eventHref(d.Tenant, d.LogID) + "/raw", More: alike(d.Event, w),
	}
	if w.lang != "en" {
		p.Summary = "" // the catalogue speaks English
	}
	return content{Template: "event", Title: titleIn(w.lang, d.Type), Nav: "events", Overview: o, Data: p}, nil
}

// way returns the stops of an event.
func way(d EventDetail) []waystation {
	stops := []waystation{{Kind: "happened", At: d.Date, Timed: true}}
	last := d.Date
	fetched := waystation{Kind: "fetched", At: d.Fetched, Source: d.Source}
	if !d.Fetched.IsZero() {
		fetched.Timed, fetched.Lag, fetched.Step = true, max(0, d.Fetched.Sub(d.Date)), max(0, d.Fetched.Sub(last))
		last = d.Fetched
	}
	stops = append(stops, fetched)
	for _, s := range d.Stations {
		stop := waystation{Kind: "sent", State: s.State, At: s.Delivered, Station: s}
		if !s.Delivered.IsZero() {
			stop.Timed, stop.Lag, stop.Step = true, max(0, s.Delivered.Sub(d.Date)), max(0, s.Delivered.Sub(last))
		}
		stop.Restamped = !s.Timestamp.IsZero() && !s.Timestamp.Truncate(time.Millisecond).Equal(d.Date.Truncate(time.Millisecond))
		stops = append(stops, stop)
	}
	if len(d.Stations) == 0 {
		stops = append(stops, waystation{Kind: "sent", State: d.State, Station: Station{State: d.State, Reason: d.Reason}})
	}
	return stops
}

// alike returns the lists that an event leads to: of its user, its address, its
// application and its type, and of what happened at that time.
func alike(e Event, w *words) []choice {
	var out []choice
	add := func(key, name, value string) {
		if value != "" {
			out = append(out, choice{Text: w.t("event.more." + key), Href: eventsHref(url.Values{}, "tenant", e.Tenant, name, value)})
		}
	}
	add("user", "user", beginning(cmp.Or(e.UserID, e.UserName)))
	if isAddress(e.IP) {
		add("ip", "ip", e.IP)
	}
	add("client", "client", beginning(cmp.Or(e.ClientID, e.ClientName)))
	add("type", "type", e.Type)
	since, until := e.Date.Add(-around), e.Date.Add(around)
	return append(out, choice{
		Text: w.t("event.more.time"),
		Href: eventsHref(url.Values{}, "tenant", e.Tenant, "since", since.UTC().Format(time.RFC3339), "until", until.UTC().Format(time.RFC3339)),
	})
}
