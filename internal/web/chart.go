package web

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The spans that charts offer, by the value of the parameter range, with the length of
// a step of each.
var spans = []span{
	{Name: "1h", Length: time.Hour, Step: time.Minute},
	{Name: "6h", Length: 6 * time.Hour, Step: 5 * time.Minute},
	{Name: "24h", Length: 24 * time.Hour, Step: 15 * time.Minute},
}

// A span is a stretch of time up to now, in steps.
type span struct {
	Name         string
	Length, Step time.Duration
}

// spanOf returns the span of a name; the first one for a name that is not known.
func spanOf(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[0]
}

// bounds returns the whole steps that end with the one of now.
func (s span) bounds(now time.Time) (since, until time.Time) {
	until = now.UTC().Truncate(s.Step).Add(s.Step)
	return until.Add(-s.Length), until
}

// The size of the plane that a chart is drawn on. It is stretched to whatever room there
// is; lines keep their width.
const (
	planeWidth  = 1000.0
	planeHeight = 100.0
)

// A chart is a picture of what happened by step: events per minute.
type chart struct {
	// Points are the paths of the SVG, of a plane of 1000 by 100.
	Fetched, Delivered, DeliveredArea, Rejected string
	// Ticks are the values of the vertical axis from the top, and Times those of the
	// horizontal one from the left; both are evenly spaced.
	Ticks []string
	Times []time.Time
	// Rows are the values by step, oldest first, and Step its length in minutes.
	Rows []chartRow
	Step int
	// Sums over the whole span.
	SumFetched, SumDelivered, SumRejected int64
	Span                                  string
	// Last is how many were delivered in the last step that is over, or so far in the one
	// under way, a minute.
	Last int64
	// Peak is the most delivered in a minute, on the average of a step.
	Peak string
	// Data is the same for the script: start and step in seconds, and the counts.
	Data string
}

// A chartRow is a step with the counts of it.
type chartRow = Point

// newChart draws the points of a span.
func newChart(points []Point, s span) *chart {
	c := &chart{Span: s.Name, Step: int(s.Step / time.Minute), Rows: points}
	if len(points) == 0 {
		return c
	}
	most := 0.0
	for _, p := range points {
		c.SumFetched, c.SumDelivered, c.SumRejected = c.SumFetched+p.Fetched, c.SumDelivered+p.Delivered, c.SumRejected+p.Rejected
		most = max(most, c.rate(p.Fetched), c.rate(p.Delivered), c.rate(p.Rejected))
	}
	top := roundUp(most)
	for i := range 3 {
		c.Ticks = append(c.Ticks, tick(top*float64(2-i)/2))
	}
	const marks = 5
	for i := range marks {
		c.Times = append(c.Times, points[0].At.Add(time.Duration(i)*s.Length/(marks-1)))
	}
	c.Fetched = c.line(points, top, func(p Point) int64 { return p.Fetched })
	c.Delivered = c.line(points, top, func(p Point) int64 { return p.Delivered })
	c.DeliveredArea = c.Delivered + fmt.Sprintf("L%g %gL0 %gZ", planeWidth, planeHeight, planeHeight)
	c.Rejected = c.bars(points, top)
	c.Data = c.data(points, s)
	peak := 0.0
	for _, p := range points {
		peak = max(peak, c.rate(p.Delivered))
	}
	c.Peak = tick(peak)
	if n := len(points); n > 1 {
		c.Last = int64(math.Round(c.rate(points[n-2].Delivered)))
		if c.Last == 0 { // it has just begun
			c.Last = int64(math.Round(c.rate(points[n-1].Delivered)))
		}
	}
	return c
}

// rate returns a count of a step as a count per minute.
func (c *chart) rate(n int64) float64 { return float64(n) / float64(c.Step) }

// place returns where a value stands.
func place(i, n int, value, top float64) (x, y float64) {
	x = planeWidth
	if n > 1 {
		x = planeWidth * float64(i) / float64(n-1)
	}
	return math.Round(x*10) / 10, math.Round((planeHeight-planeHeight*value/top)*10) / 10
}

// line returns the path of one count.
func (c *chart) line(points []Point, top float64, of func(Point) int64) string {
	var b strings.Builder
	for i, p := range points {
		x, y := place(i, len(points), c.rate(of(p)), top)
		fmt.Fprintf(&b, "%c%g %g", "ML"[min(i, 1)], x, y)
	}
	return b.String()
}

// bars returns a path of upright strokes for the rejected: each is at least high enough
// to be seen.
func (c *chart) bars(points []Point, top float64) string {
	var b strings.Builder
	for i, p := range points {
		if p.Rejected == 0 {
			continue
		}
		x, y := place(i, len(points), max(c.rate(p.Rejected), top/20), top)
		fmt.Fprintf(&b, "M%g %gV%g", x, planeHeight, y)
	}
	return b.String()
}

// data returns the counts for the script: "start step;fetched,delivered,rejected;...".
func (c *chart) data(points []Point, s span) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d", points[0].At.Unix(), int(s.Step/time.Second))
	for _, p := range points {
		fmt.Fprintf(&b, ";%d,%d,%d", p.Fetched, p.Delivered, p.Rejected)
	}
	return b.String()
}

// roundUp returns the next round number: 1, 2, 5, 10, 20, 50 and so on; at least 4.
func roundUp(v float64) float64 {
	if v <= 4 {
		return 4
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 4, 6, 8, 10} {
		if v <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// tick writes a value of the axis: 1.5, 20, 4k.
func tick(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", math.Round(v/1e5)/10)
	case v >= 1e4:
		return fmt.Sprintf("%gk", math.Round(v/100)/10)
	case v >= 10:
		return number(int64(math.Round(v)))
	default:
		return fmt.Sprintf("%g", math.Round(v*10)/10)
	}
}
