package webtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// budget is how many events a search of Many looks at in one call.
const budget = 20_000

// Many is a journal of as many events as one likes, none of which is kept: each is made
// from its number when it is asked for. They lie evenly over a span up to a time.
type Many struct {
	*Journal

	at   time.Time
	n    int
	span time.Duration
}

// NewMany returns a journal of n events of the span before a time.
func NewMany(at time.Time, n int, span time.Duration) *Many {
	return &Many{Journal: NewJournal(at, 0), at: at, n: n, span: span}
}

// mix makes a number out of another; the same one each time.
func mix(i int, salt uint64) int {
	x := (uint64(i)+salt)*0x9E3779B97F4A7C15 + salt //nolint:gosec // numbers of events are not negative
	x ^= x >> 29
	x *= 0xBF58476D1CE4E5B9
	return int((x ^ x>>32) >> 2)
}

// when returns the date of event i, of which 0 is the newest.
func (m *Many) when(i int) time.Time {
	return m.at.Add(-time.Second - time.Duration(float64(m.span)/float64(m.n)*float64(i))).UTC().Truncate(time.Millisecond)
}

// event makes event i.
func (m *Many) event(i int) web.EventDetail {
	kind, who, client, town := kinds[mix(i, 1)%len(kinds)], people[mix(i, 2)%len(people)], clients[mix(i, 3)%len(clients)], towns[mix(i, 4)%len(towns)]
	at := m.when(i)
	d := web.EventDetail{Event: web.Event{
		Tenant: Prod, LogID: "many" + strconv.Itoa(i), Date: at, Type: kind.code, Description: kind.text, UserID: "auth0|" + who, UserName: who + "@example.com",
		ClientID: client[0], ClientName: client[1], IP: "198.51.100." + strconv.Itoa(mix(i, 5)%250), City: town[0], Country: town[1],
		State: web.EventDelivered, Source: "poll", Fetched: at.Add(time.Second), Delivered: at.Add(1500 * time.Millisecond),
	}}
	d.Raw = fmt.Appendf(nil, `{"log_id":%q,"date":%q,"type":%q,"user_name":%q,"ip":%q}`, d.LogID, at.Format(time.RFC3339Nano), d.Type, d.UserName, d.IP)
	d.Stations = []web.Station{{Region: "eu-central-1", LogGroup: "/auth0/" + Prod, LogStream: "logs", State: d.State, Delivered: d.Delivered, Timestamp: at, Attempts: 1}}
	return d
}

// Search implements web.Journal. Nothing comes in behind its newest event.
func (m *Many) Search(ctx context.Context, q web.EventQuery) (web.EventPage, error) {
	page := web.EventPage{Latest: "0", Oldest: m.when(m.n - 1)}
	if q.After != "" {
		return page, nil
	}
	from, _ := strconv.Atoi(q.From) // without a place it begins at the newest
	for i := max(0, from); i < m.n; i++ {
		if len(page.Events) == q.Limit || i-from == budget {
			page.More = strconv.Itoa(i)
			return page, ctx.Err()
		}
		page.SearchedTo = m.when(i)
		if !q.Since.IsZero() && page.SearchedTo.Before(q.Since) {
			break
		}
		if d := m.event(i); fits(q, d) {
			page.Events = append(page.Events, d.Event)
		}
	}
	return page, ctx.Err()
}

// Event implements web.Journal.
func (m *Many) Event(_ context.Context, tenant, logID string) (web.EventDetail, error) {
	i, err := strconv.Atoi(strings.TrimPrefix(logID, "many"))
	if err != nil || tenant != Prod || i < 0 || i >= m.n {
		return web.EventDetail{}, fmt.Errorf("read the event: %w", web.ErrNotFound)
	}
	return m.event(i), nil
}

// Activity implements web.Journal.
func (m *Many) Activity(_ context.Context, q web.ActivityQuery) (web.Activity, error) {
	step := max(time.Minute, (q.Until.Sub(q.Since) / 96).Truncate(time.Minute))
	columns := int((q.Until.Sub(q.Since) + step - 1) / step)
	a := web.Activity{Since: q.Since, Until: q.Until, Step: int64(step / time.Second), Failures: make([]int64, columns)}
	cells, users := make([][]int64, len(kinds)), make([]web.Top, len(people))
	for k := range cells {
		cells[k] = make([]int64, columns)
	}
	for i := range m.n {
		at := m.when(i)
		if at.Before(q.Since) {
			break
		}
		k, who, column := mix(i, 1)%len(kinds), mix(i, 2)%len(people), int(at.Sub(q.Since)/step)
		a.Total++
		cells[k][column]++
		users[who].Count++
		if failed(kinds[k].code) {
			a.Failed++
			a.Failures[column]++
			users[who].Failed++
		}
	}
	for k := range kinds {
		a.Types = append(a.Types, web.Top{Value: kinds[k].code, Label: event.Lookup(kinds[k].code).Title})
		a.Cells = append(a.Cells, web.Row{Type: kinds[k].code, Counts: cells[k]})
	}
	for who := range users {
		users[who].Value, users[who].Label = "auth0|"+people[who], people[who]+"@example.com"
	}
	a.Users = users[:min(q.Top, len(users))]
	return a, nil
}
