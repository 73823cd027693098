package web

import (
	"strings"
	"testing"
	"time"
)

// TestChartOfYoungData holds that the line begins where something was first counted, when
// nothing was before, and that a step under way does not look like a fall.
func TestChartOfYoungData(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 30, 20, 0, time.UTC)
	minute := func(counts ...int64) (points []Point) {
		s := spanOf("15m")
		since, until := s.bounds(now)
		for at := since.Add(-2 * s.Step); at.Before(until); at = at.Add(s.Step) {
			points = append(points, Point{At: at})
		}
		for i, n := range counts {
			p := &points[len(points)-len(counts)+i]
			p.Fetched, p.Delivered = n, n
		}
		return points
	}
	tests := map[string]struct {
		counts      []int64
		young       bool
		begin, end  string
		sum, last   int64
		first, late string // of the axis
	}{
		"old":            {[]int64{60, 60, 20}, false, "M0 100L", "L1000 0", 140, 60, "09:14", "09:29"},
		"young":          {[]int64{60, 60, 20}, true, "M866.7 100L", "L1000 0", 140, 60, "09:14", "09:29"},
		"first minute":   {[]int64{60}, true, "M933.3 100L", "L1000 0", 60, 60, "09:15", "09:30"},
		"nothing so far": {nil, false, "M0 100L", "L1000 100", 0, 0, "09:15", "09:30"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newChart(minute(tt.counts...), spanOf("15m"), now, tt.young)
			if !strings.HasPrefix(c.Delivered, tt.begin) || !strings.HasSuffix(c.Delivered, tt.end) {
				t.Errorf("the line is %s, want %s...%s", c.Delivered, tt.begin, tt.end)
			}
			if c.SumDelivered != tt.sum || c.Last != tt.last || len(c.Rows) != 15 {
				t.Errorf("sum %d, last %d, rows %d", c.SumDelivered, c.Last, len(c.Rows))
			}
			if first, late := c.Times[0].Format("15:04"), c.Times[len(c.Times)-1].Format("15:04"); first != tt.first || late != tt.late {
				t.Errorf("the axis goes from %s to %s, want %s to %s", first, late, tt.first, tt.late)
			}
		})
	}
}

// TestStepUnderWay holds that a long step counts for as long as it has lasted.
func TestStepUnderWay(t *testing.T) {
	s := spanOf("24h")
	now := time.Date(2026, 11, 27, 9, 35, 0, 0, time.UTC) // five of fifteen minutes
	since, until := s.bounds(now)
	var points []Point
	for at := since.Add(-2 * s.Step); at.Before(until); at = at.Add(s.Step) {
		points = append(points, Point{At: at, Fetched: 30, Delivered: 30})
	}
	points[len(points)-1].Fetched, points[len(points)-1].Delivered = 10, 10
	c := newChart(points, s, now, false)
	if !strings.HasSuffix(c.Data, ";30,30,0;30,30,0") || c.SumDelivered != 95*30+10 {
		t.Errorf("sum %d, data end with %s", c.SumDelivered, c.Data[len(c.Data)-40:])
	}
}

// TestBeginning holds that what a row shows is no longer than what a filter takes, and
// ends with a whole character.
func TestBeginning(t *testing.T) {
	for text, want := range map[string]int{"": 0, "alice": 5, strings.Repeat("x", 5000): maxWord, strings.Repeat("\u9577", 500): maxWord - 1} {
		if got := beginning(text); len(got) != want || !strings.HasPrefix(text, got) {
			t.Errorf("%d bytes of %d, want %d", len(got), len(text), want)
		}
	}
}
