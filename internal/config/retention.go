package config

import (
	"strings"
	"time"
)

// The bounds of auth0_retention. Auth0's plans keep logs for 1 to 30 days; what a
// private deployment may be given is not known.
const (
	minRetention = time.Hour
	maxRetention = 365 * day
)

// retentionForms is the fix of an auth0_retention that is none.
const retentionForms = "Use starter, essentials, professional or enterprise, or a duration from 1h to 365d such as 10d."

// ParseRetention reads an auth0_retention: the name of a plan of Auth0, or a
// duration (Auth0 docs: log data retention). The error is an *Error for the path
// "auth0_retention" that says what to write instead.
func ParseRetention(text string) (time.Duration, error) {
	s := strings.TrimSpace(text)
	switch s {
	case "starter":
		return day, nil
	case "essentials":
		return 5 * day, nil
	case "professional":
		return 10 * day, nil
	case "enterprise":
		return 30 * day, nil
	}
	d, err := ParseDuration(s)
	if err != nil {
		return 0, &Error{Path: "auth0_retention", Problem: quote(s) + " is neither a plan nor a duration", Fix: retentionForms}
	}
	if d < minRetention || d > maxRetention {
		return 0, &Error{Path: "auth0_retention", Problem: quote(s) + " is out of range", Fix: retentionForms}
	}
	return d, nil
}
