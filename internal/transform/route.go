package transform

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// maxNameLen is the longest name of a log group or stream, in characters
// (CreateLogGroup and CreateLogStream in the CloudWatch Logs API reference).
const maxNameLen = 512

// maxValueLen bounds what one value of an event may add to a name: whoever
// writes events must not be able to make names as long or as many as they like.
const maxValueLen = 64

// Errors of NewRoute.
var (
	errUnknownPlaceholder = errors.New("unknown placeholder")
	errUnclosed           = errors.New("a brace is not closed")
	errEmpty              = errors.New("it is empty")
)

// Placeholders are the parts of a template that an event fills in.
//
//	{tenant}    the name of the tenant in the configuration
//	{date}      the UTC day of the event, 2026-11-23
//	{type}      the event code, such as seccft
//	{category}  the category of the code in the catalogue, such as auth.login.fail
func Placeholders() []string { return []string{"tenant", "date", "type", "category"} }

// NewRoute compiles the templates of a log group and a log stream. What an event
// fills in is confined to its place: characters that names may not have, and the
// slash, become "_", and long values are cut. fixed says that nothing of an event
// is filled in, so that all of them go to one destination.
func NewRoute(tenant, logGroup, logStream string) (route pipeline.Route, fixed bool, err error) {
	group, err := compile(logGroup, tenant, groupRune)
	if err != nil {
		return nil, false, fmt.Errorf("log_group %q: %w", logGroup, err)
	}
	stream, err := compile(logStream, tenant, streamRune)
	if err != nil {
		return nil, false, fmt.Errorf("log_stream %q: %w", logStream, err)
	}
	return func(e event.Event) pipeline.Destination {
		return pipeline.Destination{LogGroup: group.expand(e), LogStream: stream.expand(e)}
	}, group.fixed != "" && stream.fixed != "", nil
}

// A part is a piece of a template: text, or the value of an event.
type part struct {
	text  string
	value func(event.Event) string
}

// A template is a compiled name.
type template struct {
	parts []part
	keep  func(rune) bool
	fixed string // the whole name when no part depends on the event
}

// compile reads a template.
func compile(text, tenant string, keep func(rune) bool) (*template, error) {
	if text == "" {
		return nil, errEmpty
	}
	t := &template{keep: keep}
	fixed := true
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
		p, err := placeholder(name, tenant)
		if err != nil {
			return nil, err
		}
		fixed = fixed && p.value == nil
		t.parts = append(t.parts, p)
	}
	if fixed {
		t.fixed = t.build(event.Event{})
	}
	return t, nil
}

// placeholder returns the part that a name in braces stands for.
func placeholder(name, tenant string) (part, error) {
	switch name {
	case "tenant":
		return part{text: tenant}, nil
	case "date":
		return part{value: func(e event.Event) string { return e.Date.UTC().Format("2006-01-02") }}, nil
	case "type":
		return part{value: func(e event.Event) string { return e.Type }}, nil
	case "category":
		return part{value: func(e event.Event) string { return event.Lookup(e.Type).Category }}, nil
	default:
		return part{}, fmt.Errorf("%w {%s}: known are {%s}", errUnknownPlaceholder, name, strings.Join(Placeholders(), "}, {"))
	}
}

// expand returns the name for an event.
func (t *template) expand(e event.Event) string {
	if t.fixed != "" {
		return t.fixed
	}
	return t.build(e)
}

// build puts a name together.
func (t *template) build(e event.Event) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value == nil {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(t.confine(p.value(e)))
	}
	return cut(b.String(), maxNameLen)
}

// confine makes a value harmless: it stays within its place in the name.
func (t *template) confine(v string) string {
	if v == "" {
		return "none"
	}
	return cut(strings.Map(func(r rune) rune {
		if r == '/' || r == utf8.RuneError || !t.keep(r) {
			return '_'
		}
		return r
	}, v), maxValueLen)
}

// cut shortens a name to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
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
