package web

import (
	"cmp"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

const (
	// maxColumns is the most columns of the heat map. Finer steps are put together.
	maxColumns = 48
	// shades are how many colours the heat map has beside that of nothing; a count has
	// that of its share of the highest to this power, so that a burst of thousands does not
	// make tens look like none. marks is how many times stand below the map.
	shades = 5
	power  = 0.35
	marks  = 6
)

// An activityPage is what the page of the activity shows.
type activityPage struct {
	Activity

	Range  string
	Ranges []choice
	// Tenants are the tenants to choose from, with all of them first; none with one tenant.
	Tenants []choice
	// Share is the part of the failed, from 0 to 1.
	Share float64
	// Everything and Failures lead to the events and the failures of the span.
	Everything, FailuresHref string
	Bars                     []cell
	Rows                     []heatRow
	// Marks are the times below the map, each over so many columns.
	Marks []heatMark
	// Step is the length of a column.
	Step  time.Duration
	Lists []topList
}

// A heatRow is one type in the heat map.
type heatRow struct {
	Type, Severity, Href string
	Total                int64
	Cells                []cell
}

// A cell is a count of a step, of a type or of all failures.
type cell struct {
	At, Until time.Time
	Count     int64
	// Shade is 0 for nothing to shades for the most; Height the same of 100 for a bar.
	Shade, Height int
	Href          string
	// Stop says that the keyboard comes to it first; from there, arrows go on.
	Stop bool
}

// A heatMark is a time below the heat map, over so many columns; zero where nothing stands.
type heatMark struct {
	At   time.Time
	Span int
}

// A topList are the most frequent of something.
type topList struct {
	Key  string
	Bars []topBar
}

// A topBar is one of them. Width is its share of the first, of 100, and FailedWidth that of
// its failures.
type topBar struct {
	Top

	Name, Href string
	// Told says that the failures are told beside the count.
	Told               bool
	Width, FailedWidth int
}

// buildActivity makes the page of the activity.
func (h *handler) buildActivity(r *http.Request, w *words) (content, error) {
	o, err := h.figures.get(r.Context())
	if err != nil {
		return content{}, err
	}
	q, a, err := h.activity(r)
	if err != nil {
		return content{}, err
	}
	v := withoutPlace(r.URL.Query())
	p := activityPage{Activity: a, Range: cmp.Or(v.Get("range"), "24h")}
	if v.Get("since") != "" || v.Get("until") != "" {
		p.Range = ""
	}
	for _, name := range activityRanges {
		p.Ranges = append(p.Ranges, choice{Text: w.t("events.range." + name), Href: href("/activity", keep(v, "tenant"), "range", name), On: p.Range == name})
	}
	if len(o.Tenants) > 1 {
		p.Tenants = append(p.Tenants, choice{Text: w.t("activity.all_tenants"), Href: href("/activity", v, "tenant", ""), On: q.Tenant == ""})
		for _, t := range o.Tenants {
			p.Tenants = append(p.Tenants, choice{Text: t.Name, Href: href("/activity", v, "tenant", t.Name), On: q.Tenant == t.Name})
		}
	}
	if a.Total > 0 {
		p.Share = float64(a.Failed) / float64(a.Total)
	}
	base := url.Values{}
	if q.Tenant != "" {
		base.Set("tenant", q.Tenant)
	}
	p.draw(base)
	// The lists lead to the range as such, which goes on from now.
	if p.Range != "" {
		base.Set("range", p.Range)
	} else {
		base = between(base, q.Since, q.Until)
	}
	p.Everything, p.FailuresHref = eventsHref(base), eventsHref(base, "failed", "1")
	p.Lists = topLists(a, base)
	return content{Template: "activity", Title: w.t("activity.title"), Nav: "activity", Overview: o, Data: p}, nil
}

// between bounds a list of events in time.
func between(v url.Values, since, until time.Time) url.Values {
	out := keep(v, "tenant")
	out.Set("since", since.UTC().Format(time.RFC3339))
	out.Set("until", until.UTC().Format(time.RFC3339))
	return out
}

// draw makes the heat map and the bars of the failures above it.
func (p *activityPage) draw(base url.Values) {
	step := time.Duration(p.Activity.Step) * time.Second
	columns := len(p.Failures)
	for _, row := range p.Cells {
		columns = max(columns, len(row.Counts))
	}
	if step <= 0 || columns == 0 {
		return
	}
	together := (columns + maxColumns - 1) / maxColumns
	p.Step = step * time.Duration(together)
	line := func(counts []int64, v url.Values) []cell {
		cells := make([]cell, (columns+together-1)/together)
		for i := range cells {
			from := p.Since.Add(time.Duration(i) * p.Step)
			cells[i].At, cells[i].Until = from, earlier(from.Add(p.Step), p.Until)
			for j := i * together; j < min((i+1)*together, len(counts)); j++ {
				cells[i].Count += counts[j]
			}
			if cells[i].Count > 0 {
				in := between(base, cells[i].At, cells[i].Until)
				for name := range v {
					in.Set(name, v.Get(name))
				}
				cells[i].Href = eventsHref(in)
			}
		}
		return cells
	}
	p.Bars = line(p.Failures, url.Values{"failed": {"1"}})
	for _, row := range p.Cells {
		r := heatRow{Type: row.Type, Severity: event.Lookup(row.Type).Severity.String(), Cells: line(row.Counts, url.Values{"type": {row.Type}})}
		for _, n := range row.Counts {
			r.Total += n
		}
		r.Href = eventsHref(between(base, p.Since, p.Until), "type", row.Type)
		p.Rows = append(p.Rows, r)
	}
	slices.SortStableFunc(p.Rows, func(a, b heatRow) int { return cmp.Compare(b.Total, a.Total) })
	p.shade()
	p.Marks = heatMarks(p.Bars)
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// shade sets the colours, the heights, and where the keyboard goes first.
func (p *activityPage) shade() {
	most, worst := int64(0), int64(0)
	for _, row := range p.Rows {
		for _, c := range row.Cells {
			most = max(most, c.Count)
		}
	}
	for _, c := range p.Bars {
		worst = max(worst, c.Count)
	}
	first := true
	for _, row := range p.Rows {
		for i := range row.Cells {
			c := &row.Cells[i]
			if c.Count > 0 {
				c.Shade = max(1, int(math.Ceil(shades*math.Pow(float64(c.Count)/float64(most), power)-1e-9)))
				c.Stop, first = first, false
			}
		}
	}
	first = true
	for i := range p.Bars {
		if c := &p.Bars[i]; c.Count > 0 {
			c.Height = max(4, int(100*c.Count/worst))
			c.Stop, first = first, false
		}
	}
}

// heatMarks returns the times below the map: about as many as marks says.
func heatMarks(cells []cell) []heatMark {
	var out []heatMark
	every := max(1, (len(cells)+marks-1)/marks)
	for i := 0; i < len(cells); i += every {
		m := heatMark{Span: min(every, len(cells)-i)}
		if 2*m.Span > every { // there is room to write it
			m.At = cells[i].At
		}
		out = append(out, m)
	}
	return out
}

// topLists returns the most frequent types, users, addresses and applications.
func topLists(a Activity, base url.Values) []topList {
	return []topList{
		topOf("failing", a.Failing, base, "user", true),
		topOf("users", a.Users, base, "user", false),
		topOf("ips", a.IPs, base, "ip", false),
		topOf("clients", a.Clients, base, "client", false),
	}
}

// topOf returns one list. That of the failing counts failures alone.
func topOf(key string, tops []Top, base url.Values, parameter string, failing bool) topList {
	l := topList{Key: key}
	most := int64(1)
	for _, t := range tops {
		if failing {
			t.Count = cmp.Or(t.Failed, t.Count)
			t.Failed = t.Count
		}
		most = max(most, t.Count)
		l.Bars = append(l.Bars, topBar{Top: t, Name: cmp.Or(t.Label, t.Value)})
	}
	for i := range l.Bars {
		b := &l.Bars[i]
		b.Width, b.FailedWidth = max(1, int(100*b.Count/most)), int(100*b.Failed/most)
		if b.Failed > 0 {
			b.FailedWidth = max(1, b.FailedWidth)
		}
		b.Told = b.Failed > 0 && !failing
		b.Href = eventsHref(base, parameter, b.Value)
		if failing {
			b.Href = eventsHref(base, parameter, b.Value, "failed", "1")
		}
	}
	return l
}

// secs writes a time as seconds since 1970, for scripts.
func secs(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
