package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// webJournal is the journal of the running process, for the page.
type webJournal struct{ app *App }

var _ web.Journal = webJournal{}

// Journal returns what tells what passed lately; nil when nothing is kept.
func (a *App) Journal() web.Journal {
	if a.journal == nil {
		return nil
	}
	return webJournal{a}
}

// eventOf turns a record into what a list of the page shows.
func eventOf(r *journal.Record) web.Event {
	e := web.Event{
		Tenant: r.Tenant, LogID: r.Event.LogID, Date: r.Event.Date, Type: r.Event.Type,
		UserID: r.UserID, UserName: r.UserName, ClientID: r.ClientID, ClientName: r.ClientName, IP: r.IP,
		Connection: r.Connection, Description: r.Description, UserAgent: r.UserAgent, City: r.City, Country: r.CountryName,
		State: string(r.State), Reason: r.Reason, Fetched: r.Fetched, Source: r.Source,
	}
	if r.State == journal.Delivered || r.State == journal.Altered {
		e.Delivered = r.Settled
	}
	return e
}

// Search implements web.Journal.
func (j webJournal) Search(ctx context.Context, q web.EventQuery) (web.EventPage, error) {
	found, err := j.app.journal.Search(ctx, journal.Query(q))
	if errors.Is(err, journal.ErrBadPlace) {
		err = fmt.Errorf("%w: %w", web.ErrBadPlace, err)
	}
	if err != nil {
		return web.EventPage{}, err
	}
	page := web.EventPage{Events: make([]web.Event, len(found.Records)), More: found.More, SearchedTo: found.SearchedTo, Latest: found.Latest, Oldest: found.Oldest}
	for i := range found.Records {
		page.Events[i] = eventOf(&found.Records[i])
	}
	return page, nil
}

// Event implements web.Journal.
func (j webJournal) Event(ctx context.Context, tenant, logID string) (web.EventDetail, error) {
	found, err := j.app.journal.Event(ctx, tenant, logID)
	if errors.Is(err, journal.ErrNotFound) {
		return web.EventDetail{}, errors.Join(web.ErrNotFound, err)
	}
	if err != nil {
		return web.EventDetail{}, err
	}
	d := web.EventDetail{Event: eventOf(&found.Record), Raw: append([]byte(nil), found.Event.Raw...), Stations: []web.Station{}}
	for i := range found.Stations {
		s := &found.Stations[i]
		station := web.Station{
			Destination: s.Place.Sink, Region: s.Place.Region, LogGroup: s.Place.LogGroup, LogStream: s.Place.LogStream,
			State: string(s.State), Reason: s.Reason, Timestamp: s.Timestamp, Attempts: s.Attempts,
		}
		if s.State == journal.Delivered || s.State == journal.Altered {
			station.Delivered = s.Settled
			station.Console = consoleURL(s.Place, s.Timestamp, logID)
		}
		d.Stations = append(d.Stations, station)
	}
	return d, nil
}

// Activity implements web.Journal.
func (j webJournal) Activity(ctx context.Context, q web.ActivityQuery) (web.Activity, error) {
	found, err := j.app.journal.Activity(ctx, journal.ActivityQuery(q))
	if err != nil {
		return web.Activity{}, err
	}
	a := web.Activity{
		Since: found.Since, Until: found.Until, Total: found.Total, Failed: found.Failed, Step: int64(found.Step / time.Second), Failures: found.Failures,
		Types: topsOf(found.Types), Users: topsOf(found.Users), Failing: topsOf(found.Failing), IPs: topsOf(found.IPs), Clients: topsOf(found.Clients),
		Cells: make([]web.Row, len(found.Cells)), Partial: found.Partial, From: found.From,
	}
	for i, counts := range found.Cells {
		a.Cells[i] = web.Row{Type: found.Types[i].Value, Counts: counts}
	}
	return a, nil
}

// topsOf turns the most frequent values into those of the page.
func topsOf(list []journal.Top) []web.Top {
	out := make([]web.Top, len(list))
	for i, t := range list {
		out[i] = web.Top(t)
	}
	return out
}

// maxPoints bounds the steps of a Series.
const maxPoints = 50_000

// errSteps says that a Series cannot be made.
var errSteps = errors.New("the step is not a whole number of minutes, or the span has too many")

// Series implements web.Journal.
func (j webJournal) Series(ctx context.Context, tenant string, since, until time.Time, step time.Duration) ([]web.Point, error) {
	if step < time.Minute || step%time.Minute != 0 || until.Sub(since) > maxPoints*step {
		return nil, errSteps
	}
	since = since.UTC().Truncate(step)
	counts, err := j.app.store.Minutes(ctx, tenant, since, until)
	if err != nil {
		return nil, err
	}
	points := []web.Point{}
	for at := since; at.Before(until); at = at.Add(step) {
		points = append(points, web.Point{At: at})
	}
	for _, c := range counts {
		i := int(c.At.Sub(since) / step)
		if i < 0 || i >= len(points) {
			continue
		}
		switch c.Name {
		case store.CountStored:
			points[i].Fetched += c.N
		case store.CountDelivered:
			points[i].Delivered += c.N
		case store.CountRejected:
			points[i].Rejected += c.N
		}
	}
	return points, nil
}

// Runs implements web.Journal.
func (j webJournal) Runs(ctx context.Context, q web.RunQuery) (web.RunPage, error) {
	found, more, err := j.app.journal.Runs(ctx, journal.RunQuery(q))
	if err != nil {
		return web.RunPage{}, err
	}
	page := web.RunPage{Runs: make([]web.Run, len(found)), More: more}
	for i, r := range found {
		page.Runs[i] = web.Run(r)
	}
	return page, nil
}

// Batches implements web.Journal.
func (j webJournal) Batches(ctx context.Context, tenant string, before time.Time, limit int) ([]web.Delivery, error) {
	found, err := j.app.journal.Deliveries(ctx, tenant, before, limit)
	if err != nil {
		return nil, err
	}
	list := make([]web.Delivery, len(found))
	for i, d := range found {
		list[i] = web.Delivery{
			At: d.At, Took: d.Took, Tenant: d.Tenant, Destination: d.Destination.Sink, LogGroup: d.Destination.LogGroup, LogStream: d.Destination.LogStream,
			Events: d.Events, Bytes: d.Bytes, Delivered: d.Delivered, Rejected: d.Rejected, Retried: d.Retried, Doubt: d.Doubt, Error: d.Error,
		}
	}
	return list, nil
}
