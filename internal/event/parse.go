package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Errors of ParsePage.
var (
	// ErrNoEvents says that a body holds no JSON array, object or lines at all,
	// such as the HTML page of a proxy.
	ErrNoEvents = errors.New("no log events in the body")
	// ErrTruncated says that a body ends in the middle of an event.
	ErrTruncated = errors.New("the body ends in the middle of an event")
)

// errNotObject and errNotJSON are the reasons for which Parse refuses a record.
var (
	errNotObject = errors.New("not a JSON object")
	errNotJSON   = errors.New("not valid JSON")
)

// Parse finds the facts of one record: a bare log event, an envelope
// {"log_id":…,"data":{…}} of a log stream, or an EventBridge envelope around
// either. received stands in for a date that is neither in the event nor in its
// id.
//
// The event keeps a slice of raw, not a copy: the bytes of the innermost object
// that carries the log_id. Parse fails only for what is no JSON object.
func Parse(raw []byte, received time.Time) (Event, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return Event{}, errNotObject
	}
	if !json.Valid(raw) { // not gjson.Valid: this one bounds the nesting
		return Event{}, errNotJSON
	}
	return find(raw, received), nil
}

// find unwraps a valid record and fills in the fall-backs.
func find(raw []byte, received time.Time) Event {
	m := scan(raw)
	outerID := m.logID
	for range 2 { // EventBridge's "detail", then the stream's "data"
		inner := m.envelope()
		if inner == nil {
			break
		}
		in := scan(inner)
		if in.logID == "" && outerID != "" {
			// Only the envelope names the event: keep it, or the id is lost.
			m.adopt(in)
			break
		}
		raw, m = inner, in
		if m.logID != "" {
			outerID = m.logID
		}
	}
	e := Event{LogID: m.logID, Type: m.typ, Raw: raw}
	if e.LogID == "" {
		sum := sha256.Sum256(raw)
		e.LogID = SyntheticPrefix + hex.EncodeToString(sum[:])
	}
	e.Date, e.DateFrom = m.date(received)
	return e
}

// members are the members of one JSON object that gapless looks at.
type members struct {
	logID, typ   string
	dateValue    gjson.Result
	detail, data []byte
	eventBridge  bool
}

// scan walks the top level of a valid JSON object once. The first of two
// members with the same name counts.
func scan(raw []byte) members {
	var m members
	var weakID string
	gjson.Parse(string(raw)).ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "log_id":
			if m.logID == "" {
				m.logID = idText(v)
			}
		case "_id": // pulled events carry a copy of log_id, or only this
			if weakID == "" {
				weakID = idText(v)
			}
		case "type":
			if m.typ == "" && v.Type == gjson.String {
				m.typ = v.Str
			}
		case "date":
			if !m.dateValue.Exists() {
				m.dateValue = v
			}
		case "data":
			if m.data == nil && v.IsObject() {
				m.data = raw[v.Index : v.Index+len(v.Raw)]
			}
		case "detail":
			if m.detail == nil && v.IsObject() {
				m.detail = raw[v.Index : v.Index+len(v.Raw)]
			}
		case "detail-type":
			m.eventBridge = true
		}
		return true
	})
	if m.logID == "" {
		m.logID = weakID
	}
	return m
}

// idText reads an id of whatever form: text as it is, a number by its digits.
func idText(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Number:
		return v.Raw
	default:
		return ""
	}
}

// envelope returns the object inside an envelope, or nil for a bare record. A
// log event may have members called data or detail of its own: with a type and
// a date beside it, it is no envelope.
func (m *members) envelope() []byte {
	if m.eventBridge && m.detail != nil {
		return m.detail
	}
	if m.data != nil && (m.typ == "" || !m.dateValue.Exists()) {
		return m.data
	}
	return nil
}

// adopt takes over what the object inside the envelope knows.
func (m *members) adopt(in members) {
	if m.typ == "" || m.eventBridge {
		m.typ = in.typ
	}
	if !m.dateValue.Exists() {
		m.dateValue = in.dateValue
	}
}

// date finds the time of the event.
func (m *members) date(received time.Time) (time.Time, DateSource) {
	if t, ok := dateOf(m.dateValue, 0); ok {
		return t, DateFromField
	}
	if t, ok := TimeInID(m.logID); ok {
		return t, DateFromID
	}
	return received.UTC().Truncate(time.Millisecond), DateFromReceived
}

// dateOf reads a date: the RFC 3339 text that Auth0 sends, or, since its schema
// allows an object there, the first member that reads as a date, such as
// MongoDB's {"$date":…}; numbers are milliseconds since 1970.
func dateOf(v gjson.Result, depth int) (time.Time, bool) {
	switch v.Type {
	case gjson.String:
		return parseDate(v.Str)
	case gjson.Number:
		return fromMillis(v.Num)
	case gjson.JSON:
		if !v.IsObject() || depth > 2 {
			return time.Time{}, false
		}
		var t time.Time
		var ok bool
		v.ForEach(func(_, in gjson.Result) bool {
			t, ok = dateOf(in, depth+1)
			return !ok
		})
		return t, ok
	default:
		return time.Time{}, false
	}
}

// parseDate reads the forms in which a date is written as text.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t.UTC())
		}
	}
	return time.Time{}, false
}

// fromMillis reads milliseconds since 1970.
func fromMillis(ms float64) (time.Time, bool) {
	if ms < 1e11 || ms > 1e14 { // 1973 to 5138; smaller ones are seconds or no dates
		return time.Time{}, false
	}
	return plausible(time.UnixMilli(int64(ms)).UTC())
}

// plausible refuses dates that no timestamp of CloudWatch can hold.
func plausible(t time.Time) (time.Time, bool) {
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// idForm is the form that most ids have: 900, a UTC time to the microsecond,
// and 33 digits; 56 digits in all (observed, not promised by Auth0).
const (
	idPrefix = "900"
	idLayout = "20060102150405.000000"
	idLength = 56
)

// TimeInID reads the time inside a log_id of the usual form. It is a hint: it
// lies some milliseconds to seconds after the date of the event, and Auth0 does
// not document it.
func TimeInID(id string) (time.Time, bool) {
	if len(id) != idLength || !strings.HasPrefix(id, idPrefix) {
		return time.Time{}, false
	}
	for _, c := range []byte(id) {
		if c < '0' || c > '9' {
			return time.Time{}, false
		}
	}
	t, err := time.Parse(idLayout, id[3:17]+"."+id[17:23])
	if err != nil {
		return time.Time{}, false
	}
	return plausible(t)
}

// IDAt builds the smallest log_id of the usual form for a time. Auth0 takes it
// as a starting point although no such event exists; that is observed, not
// documented, so callers need a fall-back.
func IDAt(t time.Time) string {
	s := strings.Replace(t.UTC().Format(idLayout), ".", "", 1)
	return idPrefix + s + strings.Repeat("0", idLength-len(idPrefix)-len(s))
}
