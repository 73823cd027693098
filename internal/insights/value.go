package insights

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
)

// A value is nil for none, a string, a float64 or a bool.
type value any

// Layout is how times are written, in UTC.
const Layout = "2006-01-02 15:04:05.000"

// textOf writes a value; none is empty.
func textOf(v value) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', 0, 64)
		}
		return strconv.FormatFloat(v, 'f', 4, 64)
	case bool:
		if v {
			return "1"
		}
		return "0"
	default:
		return ""
	}
}

// numberOf reads a number.
func numberOf(v value) (n float64, ok bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
	default:
		return 0, false
	}
}

// truth reports whether a value counts as true.
func truth(v value) bool {
	switch v := v.(type) {
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != "" && v != "0" && !strings.EqualFold(v, "false")
	default:
		return false
	}
}

// compare orders two values: as numbers where both are, as texts otherwise. None comes
// first.
func compare(a, b value) int {
	if a == nil || b == nil {
		return cmp.Compare(textOf(a), textOf(b))
	}
	x, isX := numberOf(a)
	y, isY := numberOf(b)
	if isX && isY {
		return cmp.Compare(x, y)
	}
	return strings.Compare(textOf(a), textOf(b))
}

// millisOf reads a time as Layout writes it, or as RFC 3339, in milliseconds since 1970.
func millisOf(v value) (ms float64, ok bool) {
	if n, ok := v.(float64); ok {
		return n, true
	}
	s, _ := v.(string)
	for _, layout := range []string{Layout, time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return float64(t.UnixMilli()), true
		}
	}
	return 0, false
}

// timeOf writes a time of milliseconds since 1970.
func timeOf(ms int64) string { return time.UnixMilli(ms).UTC().Format(Layout) }
