package config

import (
	"errors"
	"strings"
	"time"
)

// errStartFrom says that a text is no starting point.
var errStartFrom = errors.New("not a starting point")

// StartFrom is a parsed start_from: where a tenant without a cursor begins.
// Exactly one of its fields is set.
type StartFrom struct {
	// Earliest begins with the oldest event that Auth0 still keeps.
	Earliest bool
	// Latest begins with what happens from now on.
	Latest bool
	// Time begins with the events of that time.
	Time time.Time
	// Ago begins that long before now; always positive.
	Ago time.Duration
	// LogID begins behind the event of that log_id.
	LogID string
}

// ParseStartFrom reads a start_from: "earliest", "latest", an RFC 3339 time or a
// day (2026-11-01, in UTC), a duration, or else a log_id. Auth0 promises no form
// of log_id, but a word without any digit is taken for a mistake.
func ParseStartFrom(text string) (StartFrom, error) {
	switch text {
	case "earliest":
		return StartFrom{Earliest: true}, nil
	case "latest":
		return StartFrom{Latest: true}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return StartFrom{Time: t.UTC()}, nil
		}
	}
	if d, err := ParseDuration(text); err == nil && d > 0 {
		return StartFrom{Ago: d}, nil
	}
	d, err := time.ParseDuration(text)
	notID := err == nil && d <= 0 // 0, or a negative duration
	looksLikeTime := strings.ContainsAny(text, ":/+") || (len(text) > 4 && text[4] == '-')
	if !strings.ContainsAny(text, "0123456789") || strings.ContainsAny(text, " \t\r\n") || looksLikeTime || notID {
		return StartFrom{}, errStartFrom
	}
	return StartFrom{LogID: text}, nil
}
