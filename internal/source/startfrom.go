package source

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A StartFrom says where the export of a tenant begins that has no cursor yet.
// The zero value is the earliest event that Auth0 keeps.
type StartFrom struct {
	kind startKind
	at   time.Time
	ago  time.Duration
	id   string
}

type startKind uint8

const (
	startEarliest startKind = iota
	startLatest
	startTime
	startAgo
	startID
)

// MaxAgo bounds a start given as a duration. Auth0 keeps logs for 30 days at
// the most, so anything longer is a slip of the pen.
const MaxAgo = 10 * 365 * 24 * time.Hour

// Forms of start_from that are told apart before anything else.
var (
	durationForm = regexp.MustCompile(`^[-+]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+$`)
	dateForm     = regexp.MustCompile(`^\d{4}[-/]\d`)
	wordForm     = regexp.MustCompile(`^[A-Za-z ]+$`)
)

// errStartForms lists what ParseStartFrom takes.
var errStartForms = errors.New(`use "earliest", "latest", a time such as 2026-11-01T00:00:00Z, a date such as 2026-11-01, a duration such as 24h or 7d, or a log_id`)

// ParseStartFrom reads a start: "earliest" (also the empty text), "latest", an
// RFC 3339 time or a date (midnight UTC) that is not in the future, a duration
// back from the first start such as 24h, 7d or 1d12h, or a log_id, behind which
// the export begins. Every text that cannot be meant as one of these is an
// error that says what can.
func ParseStartFrom(text string) (StartFrom, error) {
	s := strings.TrimSpace(text)
	switch {
	case s == "" || s == "earliest":
		return StartFrom{}, nil
	case s == "latest":
		return StartFrom{kind: startLatest}, nil
	case durationForm.MatchString(s):
		return parseAgo(s)
	case dateForm.MatchString(s):
		return parseStartTime(s)
	case wordForm.MatchString(s) || strings.ContainsAny(s, " \t\r\n") || strings.HasPrefix(s, marker):
		return StartFrom{}, fmt.Errorf("start_from %q is not understood: %w", s, errStartForms)
	case s[0] == '-' || s[0] == '+':
		return StartFrom{}, fmt.Errorf("start_from %q is not understood: %w", s, errStartForms)
	case strings.Trim(s, "0123456789") == "" && len(s) < 3:
		return StartFrom{}, fmt.Errorf("start_from %q lacks a unit, such as %sh or %sd: %w", s, s, s, errStartForms)
	default:
		return StartFrom{kind: startID, id: s}, nil
	}
}

// parseStartTime reads a time or a date.
func parseStartTime(s string) (StartFrom, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t.After(time.Now()) {
			return StartFrom{}, fmt.Errorf("start_from %q lies in the future: use a time that has passed, or \"latest\"", s)
		}
		return StartFrom{kind: startTime, at: t.UTC()}, nil
	}
	return StartFrom{}, fmt.Errorf("start_from %q is no RFC 3339 time: write 2026-11-01T00:00:00Z, with Z or an offset such as +09:00, or the date alone", s)
}

// parseAgo reads a duration; days and weeks are of 24 and 168 hours.
func parseAgo(s string) (StartFrom, error) {
	if s[0] == '-' || s[0] == '+' {
		return StartFrom{}, fmt.Errorf("start_from %q has a sign: write %s, which means that long ago", s, s[1:])
	}
	var total time.Duration
	rest := s
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		end := n + strings.IndexAny(rest[n:]+"0", "0123456789")
		d, err := piece(rest[:n], rest[n:end])
		if err != nil || d > MaxAgo || total+d > MaxAgo {
			return StartFrom{}, fmt.Errorf("start_from %q is too long: Auth0 keeps logs for 30 days at the most; use \"earliest\"", s)
		}
		total += d
		rest = rest[end:]
	}
	if total == 0 {
		return StartFrom{}, fmt.Errorf("start_from %q is no time at all: use \"latest\"", s)
	}
	return StartFrom{kind: startAgo, ago: total}, nil
}

// piece reads a number and its unit.
func piece(number, unit string) (time.Duration, error) {
	hours := map[string]float64{"d": 24, "w": 7 * 24}[unit]
	if hours == 0 {
		return time.ParseDuration(number + unit)
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*hours > MaxAgo.Hours() {
		return 0, errStartForms
	}
	return time.Duration(n * hours * float64(time.Hour)), nil
}

// String returns the start in a form that ParseStartFrom reads.
func (s StartFrom) String() string {
	switch s.kind {
	case startLatest:
		return "latest"
	case startTime:
		return s.at.Format(time.RFC3339Nano)
	case startAgo:
		return s.ago.String()
	case startID:
		return s.id
	default:
		return "earliest"
	}
}
