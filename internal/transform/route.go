package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
)

// maxNameLen is the longest name of a log group or stream, in characters
// (CreateLogGroup and CreateLogStream in the CloudWatch Logs API reference).
const maxNameLen = 512

// maxValueLen bounds what one value of an event may add to a name: whoever
// writes events must not be able to make names as long as they like. How many they
// can make is bounded by Routes.
const maxValueLen = 64

// noneName stands for a value that an event does not have, otherName for one that
// is one too many. An event that has such a word as its value goes there too.
const (
	noneName  = "none"
	otherName = "other"
)

// Errors of NewRoutes.
var (
	errUnknownPlaceholder = errors.New("unknown placeholder")
	errUnclosed           = errors.New("a brace is not closed")
	errEmpty              = errors.New("it is empty")
)

// A placeholder is what a template may hold in braces.
type placeholder struct {
	name  string
	kind  placeKind
	value func(event.Event) string
}

// A placeKind says how many values a placeholder has.
type placeKind uint8

const (
	fixedPlace   placeKind = iota // one for all events
	datedPlace                    // as many as time brings
	boundedPlace                  // few: those of the catalogue
	openPlace                     // as many as whoever writes events likes
)

// placeholders are all there are. The id of an organisation and of a client is
// taken, as names may change, and be given to others.
var placeholders = []placeholder{
	{name: "tenant", kind: fixedPlace},
	{"date", datedPlace, dated("2006-01-02")},
	{"year", datedPlace, dated("2006")},
	{"month", datedPlace, dated("01")},
	{"day", datedPlace, dated("02")},
	{"hour", datedPlace, dated("15")},
	{"type", openPlace, func(e event.Event) string { return e.Type }},
	{"category", boundedPlace, func(e event.Event) string { return event.Lookup(e.Type).Category }},
	{"severity", boundedPlace, func(e event.Event) string { return event.Lookup(e.Type).Severity.String() }},
	{"organization", openPlace, found("organization_id")},
	{"client", openPlace, found("client_id")},
	{"connection", openPlace, found("connection")},
}

// dated returns a part of the date of an event, in UTC.
func dated(layout string) func(event.Event) string {
	return func(e event.Event) string { return e.Date.UTC().Format(layout) }
}

// found returns a member of the record, if it is a text or a number; the first of
// two with the same name.
func found(name string) func(event.Event) string {
	return func(e event.Event) string {
		if v := valueAt(e.Raw, name); v.Type == gjson.String || v.Type == gjson.Number {
			return v.String()
		}
		return ""
	}
}

// Placeholders are the parts of a template that an event fills in.
//
//	{tenant}        the name of the tenant in the configuration
//	{date}          the UTC day of the event, 2026-11-23
//	{year} {month} {day} {hour}   parts of its date, in UTC: 2026 11 23 09
//	{type}          the event code, such as seccft
//	{category}      the category of the code in the catalogue, such as auth.login.fail
//	{severity}      info, warning, error or critical
//	{organization}  organization_id
//	{client}        client_id
//	{connection}    the name of the connection
func Placeholders() []string {
	names := make([]string, len(placeholders))
	for i, p := range placeholders {
		names[i] = p.name
	}
	return names
}

// A part is a piece of a template: text, or the value of an event.
type part struct {
	text string
	placeholder
}

// A template is a compiled name.
type template struct {
	parts []part
	keep  func(rune) bool
	guard func(string) string // makes a name harmless; nil when it cannot be otherwise
	fixed string              // the whole name when no part depends on the event
}

// compileGroup reads the template of a log group.
func compileGroup(text, tenant string) (*template, error) {
	t, err := compile(text, tenant, groupRune)
	if err != nil {
		return nil, fmt.Errorf("log_group %q: %w", text, err)
	}
	if before := t.prefix(); !ofAWS(before) { // otherwise somebody has chosen it
		t.guard = guardGroup
	}
	return t, nil
}

// compileStream reads the template of a log stream.
func compileStream(text, tenant string) (*template, error) {
	t, err := compile(text, tenant, streamRune)
	if err != nil {
		return nil, fmt.Errorf("log_stream %q: %w", text, err)
	}
	return t, nil
}

// compile reads a template.
func compile(text, tenant string, keep func(rune) bool) (*template, error) {
	if text == "" {
		return nil, errEmpty
	}
	t := &template{keep: keep}
	for rest := text; rest != ""; {
		lit, after, found := strings.Cut(rest, "{")
		if lit != "" {
			t.parts = append(t.parts, part{text: lit})
		}
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, errUnclosed
		}
		rest = tail
		i := slices.IndexFunc(placeholders, func(p placeholder) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w {%s}: known are {%s}", errUnknownPlaceholder, name, strings.Join(Placeholders(), "}, {"))
		}
		t.parts = append(t.parts, part{text: tenant, placeholder: placeholders[i]})
	}
	if !t.has(datedPlace) && !t.has(boundedPlace) && !t.has(openPlace) {
		t.fixed = t.name(t.values(event.Event{}))
	}
	return t, nil
}

// has reports whether a template has placeholders of a kind.
func (t *template) has(k placeKind) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.kind == k })
}

// prefix returns what every name begins with.
func (t *template) prefix() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value != nil {
			break
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// values returns what an event puts in the place of each part.
func (t *template) values(e event.Event) []string {
	out := make([]string, len(t.parts))
	for i, p := range t.parts {
		if out[i] = p.text; p.value != nil {
			out[i] = t.confine(p.value(e))
		}
	}
	return out
}

// name puts a name together.
func (t *template) name(values []string) string {
	name := cut(strings.Join(values, ""), maxNameLen)
	if t.guard != nil {
		name = cut(t.guard(name), maxNameLen)
	}
	return name
}

// confine makes a value harmless: it stays within its place in the name.
func (t *template) confine(v string) string {
	if v == "" {
		return noneName
	}
	v = cut(strings.Map(func(r rune) rune {
		if r == '/' || r == utf8.RuneError || !t.keep(r) {
			return '_'
		}
		return r
	}, v), maxValueLen)
	return edges(v)
}

// edges replaces what would be awkward at the beginning or the end of a value: a dot,
// which could make a "..", a hyphen, which looks like an option, "#", which begins a
// comment, and a space, which nobody sees.
func edges(v string) string {
	inner := strings.TrimLeft(v, ".-# ")
	v = strings.Repeat("_", len(v)-len(inner)) + inner
	inner = strings.TrimRight(v, ". ")
	return inner + strings.Repeat("_", len(v)-len(inner))
}

// ofAWS reports whether a name begins as AWS's own log groups do: CreateLogGroup
// refuses "aws/", and its services write to "/aws/".
func ofAWS(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "aws/") || strings.HasPrefix(name, "/aws/")
}

// guardGroup keeps a name from beginning as AWS's own do.
func guardGroup(name string) string {
	if !ofAWS(name) {
		return name
	}
	return "_" + name
}

// cut shortens a name to n characters.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// groupRune reports whether the name of a log group may have r.
func groupRune(r rune) bool {
	return r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_/#", r))
}

// streamRune reports whether an event may put r into the name of a log stream:
// AWS refuses only colon and asterisk, but a name should be typable.
func streamRune(r rune) bool { return r == ' ' || groupRune(r) }
