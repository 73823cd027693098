package event

import (
	"slices"
	"strings"
)

//go:generate go run ./gen -in gen/event-types.json -out catalogue_gen.go

// A Type describes one event code of Auth0.
type Type struct {
	// Code is what events carry in "type".
	Code string
	// Title is Auth0's own name for it, such as "Success Login".
	Title string
	// Description says in a sentence when Auth0 writes it.
	Description string
	// Category is the filter group of Auth0's log streams, such as
	// "auth.login.fail"; empty for codes that no group names.
	Category string
	// Severity is how loudly the event speaks.
	Severity Severity
	// ExtensionLevel is the LOG_LEVEL that Auth0's ended extension gave the
	// code: 1 debug, 2 info, 3 error, 4 critical; 0 for a code it did not know.
	ExtensionLevel int
	// Known is false for a code that the catalogue does not hold.
	Known bool
}

// A Severity is how loudly an event speaks, from Info to Critical.
type Severity uint8

// The severities, in ascending order. Auth0's Dashboard sorts its types into
// success, warning and error; the ended extension called a few of them critical.
const (
	Info Severity = iota
	Warning
	Error
	Critical
)

// String returns "info", "warning", "error" or "critical".
func (s Severity) String() string {
	switch s {
	case Critical:
		return "critical"
	case Error:
		return "error"
	case Warning:
		return "warning"
	default:
		return "info"
	}
}

// Lookup describes an event code. New codes appear without notice, so an
// unknown one is described as far as its name tells.
func Lookup(code string) Type {
	i, ok := slices.BinarySearchFunc(catalogue, code, func(t Type, c string) int { return strings.Compare(t.Code, c) })
	if ok {
		return catalogue[i]
	}
	return Type{Code: code, Title: code, Severity: guessSeverity(code)}
}

// code returns what a JSON string says: an event code, for which the known ones need
// no memory of their own.
func code(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if i, ok := slices.BinarySearchFunc(catalogue, inner, func(t Type, code []byte) int {
		return strings.Compare(t.Code, string(code))
	}); ok {
		return catalogue[i].Code
	}
	return text(quoted)
}

// Types returns the whole catalogue in the order of the codes.
func Types() []Type { return slices.Clone(catalogue) }

// guessSeverity reads a severity out of the way in which Auth0 names its codes:
// newer ones say it in words, older ones start with f for a failure, s for a
// success and w for a warning.
func guessSeverity(code string) Severity {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(code, w) })
	}
	switch {
	case has("fail", "error", "denied", "pwd_leak", "too_many"):
		return Error
	case has("warning", "limit", "block", "notice", "deprecat"):
		return Warning
	case has("_"): // words, and none of them bad
		return Info
	case strings.HasPrefix(code, "f"):
		return Error
	case strings.HasPrefix(code, "w"):
		return Warning
	default:
		return Info
	}
}
