package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// StartFrom is a parsed start_from: where a tenant without a cursor begins.
// Exactly one of its fields is set.
type StartFrom struct {
	// Earliest begins with the oldest event that Auth0 still keeps.
	Earliest bool
	// Latest begins with what happens from now on.
	Latest bool
	// Time begins with the events of that time.
	Time time.Time
	// Ago begins that long before the first start; always positive.
	Ago time.Duration
	// LogID begins behind the event of that log_id.
	LogID string
}

// maxAgo bounds a start given as a duration. Auth0 keeps logs for 30 days at
// the most, so anything longer is a slip of the pen.
const maxAgo = 10 * 365 * day

// startForms is the fix where it cannot be told what a text was meant to be.
const startForms = "Use earliest, latest, a time such as 2026-11-01T00:00:00Z, a date such as 2026-11-01, a duration such as 24h or 7d, or a log_id."

// ParseStartFrom reads a start_from: "earliest", "latest", an RFC 3339 time or a
// date (midnight UTC) that is not in the future, a duration back from the first
// start such as 24h, 7d, 1d12h or 2w, or a log_id. Auth0 promises no form of
// log_id, so every other text is taken for one, unless it has no digit or looks
// like a mistaken form of the rest. The error is an *Error for the path
// "start_from" that says what to write instead.
func ParseStartFrom(text string) (StartFrom, error) {
	s := strings.TrimSpace(text)
	switch {
	case s == "earliest":
		return StartFrom{Earliest: true}, nil
	case s == "latest":
		return StartFrom{Latest: true}, nil
	case matches(`^[-+]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w))+$`, s):
		return parseAgo(s)
	case matches(`^\d{4}[-/]`, s):
		return parseStartTime(s)
	case !strings.ContainsAny(s, "0123456789") || strings.ContainsAny(s, " \t\r\n:/+") || s[0] == '-' || s[0] == '@':
		return StartFrom{}, badStart(s, "is no starting point", startForms)
	case matches(`^\d{1,2}$`, s):
		return StartFrom{}, badStart(s, "lacks a unit", fmt.Sprintf("Write %sh or %sd.", s, s))
	default:
		return StartFrom{LogID: s}, nil
	}
}

// badStart is the error for a text that is no start.
func badStart(s, problem, fix string) error {
	return &Error{Path: "start_from", Problem: quote(s) + " " + problem, Fix: fix}
}

// parseStartTime reads a time or a date.
func parseStartTime(s string) (StartFrom, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t.After(time.Now()) {
			return StartFrom{}, badStart(s, "lies in the future", "Use a time that has passed, or latest.")
		}
		return StartFrom{Time: t.UTC()}, nil
	}
	return StartFrom{}, badStart(s, "is no RFC 3339 time", "Write it like 2026-11-01T00:00:00Z, with Z or an offset such as +09:00, or the date alone.")
}

// startPiece is a number and its unit within a duration.
var startPiece = regexp.MustCompile(`([\d.]+)([a-zµ]+)`)

// parseAgo reads a duration back from the first start. It takes fractions of
// days and weeks, of 24 and 168 hours, which ParseDuration does not.
func parseAgo(s string) (StartFrom, error) {
	if s[0] == '-' || s[0] == '+' {
		return StartFrom{}, badStart(s, "has a sign", fmt.Sprintf("Write %s, which means that long ago.", s[1:]))
	}
	var total time.Duration
	for _, piece := range startPiece.FindAllStringSubmatch(s, -1) {
		d, ok := parseStartPiece(piece[1], piece[2])
		if !ok || total+d > maxAgo {
			return StartFrom{}, badStart(s, "is too long", "Auth0 keeps logs for 30 days at the most; use earliest.")
		}
		total += d
	}
	if total == 0 {
		return StartFrom{}, badStart(s, "is no time at all", "Use latest.")
	}
	return StartFrom{Ago: total}, nil
}

// parseStartPiece reads a number and its unit, up to maxAgo.
func parseStartPiece(number, unit string) (time.Duration, bool) {
	hours := map[string]float64{"d": 24, "w": 7 * 24}[unit]
	if hours == 0 {
		d, err := time.ParseDuration(number + unit)
		return d, err == nil && d <= maxAgo
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*hours > maxAgo.Hours() {
		return 0, false
	}
	return time.Duration(n * hours * float64(time.Hour)), true
}
