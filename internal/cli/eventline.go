package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A seenEvent is what a person wants to know of an event in a log group.
type seenEvent struct {
	app.Found

	tenant string
	date   time.Time
	kind   event.Type
	// What people search by; empty where the event has none.
	userID, userName, clientID, clientName string
	ips                                    []string
	description                            string
}

// see reads the message of an event. One that is no event has a description alone.
func see(tenant string, f app.Found) seenEvent {
	s := seenEvent{Found: f, tenant: tenant, date: f.At}
	if !gjson.ValidBytes(f.Message) {
		s.description = string(f.Message)
		return s
	}
	body := event.Body(f.Message)
	get := func(paths ...string) string {
		for _, path := range paths {
			if v := gjson.GetBytes(body, path); v.Type == gjson.String && v.Str != "" {
				return v.Str
			}
		}
		return ""
	}
	if e, err := event.Parse(f.Message, f.At); err == nil && e.DateFrom == event.DateFromField {
		s.date = e.Date
	}
	s.kind = event.Lookup(get("type"))
	s.userID, s.userName = get("user_id"), get("user_name", "details.request.auth.user.email")
	s.clientID, s.clientName = get("client_id"), get("client_name")
	for _, path := range []string{"ip", "client_ip", "details.request.ip"} {
		if ip := get(path); ip != "" {
			s.ips = append(s.ips, ip)
		}
	}
	s.description = get("description", "details.error.message")
	return s
}

// An eventPrinter writes events for a person, each on a line.
type eventPrinter struct {
	env     *Env
	w       io.Writer
	utc     bool
	tenants bool // there are several
}

// leastAligned is how wide a terminal must be for columns that are aligned.
const leastAligned = 130

// print writes an event: when, what in words, who, in which application, from where, and
// what Auth0 says of it.
func (p *eventPrinter) print(s seenEvent) error {
	at := s.date.Local().Format(time.DateTime)
	if p.utc {
		at = s.date.UTC().Format(time.DateTime) + "Z"
	}
	title := web.Plain(s.kind.Title)
	if s.kind.Code != "" && s.kind.Code != s.kind.Title {
		title += " (" + web.Plain(s.kind.Code) + ")"
	}
	fit := pad
	columns, aligned := width(p.w), isTerminal(p.w)
	if aligned && columns < leastAligned { // what would be cut is what is looked for: it wraps
		fit, aligned = func(s string, _ int) string { return s }, false
	}
	line := p.env.paint(p.w, dim, at) + "  "
	if p.tenants {
		line += fit(web.Plain(s.tenant), 12) + "  "
	}
	line += p.env.paint(p.w, severityColour(s.kind.Severity), fit(title, 38)) + "  "
	line += fit(firstOf(s.userName, s.userID), 28) + "  "
	line += fit(firstOf(s.clientName, s.clientID), 18) + "  "
	line += fit(firstOf(s.ips...), 15)
	if s.description != "" {
		line += "  " + web.Plain(s.description)
	}
	if aligned {
		line = clip(line, columns)
	}
	_, err := io.WriteString(p.w, line+"\n")
	return err //nolint:wrapcheck // nobody is left to tell
}

// firstOf returns the first text that is not empty, fit for a terminal, or a dash.
func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return web.Plain(s)
		}
	}
	return "-"
}

// severityColour is the colour of what happened.
func severityColour(s event.Severity) string {
	switch s {
	case event.Warning:
		return yellow
	case event.Error, event.Critical:
		return red
	default:
		return green
	}
}

// oneLine returns a message of JSON on one line: its bytes as they are, unless there are
// line breaks. ok is false for what is no JSON.
func oneLine(message []byte) (line []byte, ok bool) {
	if !gjson.ValidBytes(message) {
		return nil, false
	}
	if bytes.ContainsAny(message, "\r\n") {
		var b bytes.Buffer
		err := json.Compact(&b, message)
		return b.Bytes(), err == nil
	}
	return slices.Clone(message), true
}
