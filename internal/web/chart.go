package web

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The spans that charts offer, by the value of the parameter range, with the length of
// a step of each.
var spans = []span{
	{Name: "15m", Length: 15 * time.Minute, Step: time.Minute},
	{Name: "1h", Length: time.Hour, Step: time.Minute},
	{Name: "6h", Length: 6 * time.Hour, Step: 5 * time.Minute},
	{Name: "24h", Length: 24 * time.Hour, Step: 15 * time.Minute},
}

// A span is a stretch of time up to now, in steps.
type span struct {
	Name         string
	Length, Step time.Duration
}

// usual is the span of a page that was not asked for one.
const usual = "1h"

// spanOf returns the span of a name; the usual one for a name that is not known.
func spanOf(name string) span {
	i := slices.IndexFunc(spans, func(s span) bool { return s.Name == name })
	if i < 0 {
		return spanOf(usual)
	}
	return spans[i]
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

// newChart draws the points of a span at a time. They are the steps that bounds gives and
// two before them. Young says that nothing was ever counted before the first of them that
// is not zero: the lines begin there then, as nobody knows that nothing happened before.
func newChart(points []Point, s span, now time.Time, young bool) *chart {
	lead := min(2, len(points))
	c := &chart{Span: s.Name, Step: int(s.Step / time.Minute), Rows: points[lead:]}
	if len(points) == lead {
		return c
	}
	for _, p := range c.Rows {
		c.SumFetched, c.SumDelivered, c.SumRejected = c.SumFetched+p.Fetched, c.SumDelivered+p.Delivered, c.SumRejected+p.Rejected
	}
	n := len(points)
	c.Last = int64(math.Round(c.rate(points[n-2].Delivered)))
	if c.Last == 0 { // it has just begun
		c.Last = int64(math.Round(c.rate(points[n-1].Delivered)))
	}
	c.draw(wholeSteps(points, s, now), s, young)
	return c
}

// wholeSteps returns the points to draw, of which there are always as many. The step under way
// counts for as long as it has lasted: drawn as it is, each would begin with a fall to
// zero. In its first minute that says nothing yet, so it is left out, unless it is all
// there is.
func wholeSteps(points []Point, s span, now time.Time) []Point {
	n := len(points)
	last := points[n-1]
	gone := now.Sub(last.At)
	switch {
	case gone >= s.Step:
	case gone >= time.Minute:
		scale := float64(s.Step) / float64(gone)
		last.Fetched, last.Delivered = int64(math.Round(scale*float64(last.Fetched))), int64(math.Round(scale*float64(last.Delivered)))
	case slices.ContainsFunc(points[:n-1], counted):
		return points[:n-1]
	}
	return append(slices.Clone(points[1:n-1]), last)
}

// counted reports whether anything happened in a step.
func counted(p Point) bool { return p.Fetched != 0 || p.Delivered != 0 || p.Rejected != 0 }

// draw draws points that are evenly spaced over the plane.
func (c *chart) draw(points []Point, s span, young bool) {
	most, peak := 0.0, 0.0
	for _, p := range points {
		most = max(most, c.rate(p.Fetched), c.rate(p.Delivered), c.rate(p.Rejected))
		peak = max(peak, c.rate(p.Delivered))
	}
	top := roundUp(most)
	for i := range 3 {
		c.Ticks = append(c.Ticks, tick(top*float64(2-i)/2))
	}
	marks := 5
	if len(points)%3 == 1 && len(points) < 20 {
		marks = 4 // 15 minutes are three times five
	}
	for i := range marks {
		c.Times = append(c.Times, points[0].At.Add(time.Duration(i*(len(points)-1)/(marks-1))*s.Step))
	}
	begin := 0
	if young { // from the zero before the first
		begin = max(0, slices.IndexFunc(points, counted)-1)
	}
	c.Fetched = c.line(points, begin, top, func(p Point) int64 { return p.Fetched })
	c.Delivered = c.line(points, begin, top, func(p Point) int64 { return p.Delivered })
	x, _ := place(begin, len(points), 0, top)
	c.DeliveredArea = c.Delivered + fmt.Sprintf("L%g %gL%g %gZ", planeWidth, planeHeight, x, planeHeight)
	c.Rejected = c.bars(points, top)
	c.Data = c.data(points, s)
	c.Peak = tick(peak)
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

// line returns the path of one count, from a point on.
func (c *chart) line(points []Point, begin int, top float64, of func(Point) int64) string {
	var b strings.Builder
	for i := begin; i < len(points); i++ {
		x, y := place(i, len(points), c.rate(of(points[i])), top)
		fmt.Fprintf(&b, "%c%g %g", "ML"[min(i-begin, 1)], x, y)
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
