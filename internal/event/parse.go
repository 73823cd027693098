package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
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
	s := scanner{b: raw}
	s.space()
	if s.peek() != '{' {
		return Event{}, errNotObject
	}
	from := s.i
	m, ok := s.members()
	to := s.i
	if !ok || !s.atEnd() {
		return Event{}, errNotJSON
	}
	return find(raw[from:to:to], m, received), nil
}

// find unwraps a valid record and fills in the fall-backs.
func find(raw []byte, m members, received time.Time) Event {
	for range 2 { // EventBridge's "detail", then the stream's "data"
		inner := m.envelope()
		if inner == nil {
			break
		}
		in, _ := (&scanner{b: inner}).members()
		if !in.isEvent() && in.envelope() == nil {
			break // an object of some other kind: leave the record whole
		}
		if outer := m.id(); outer != "" && in.logID == "" && idText(in.weakID) != outer {
			// Only the envelope names the event: keep it, or the id is lost.
			m.typ, m.dateValue = in.typ, in.dateValue
			break
		}
		raw, m = inner, in
	}
	e := Event{LogID: m.id(), Type: m.typ, Raw: raw}
	if e.LogID == "" {
		sum := sha256.Sum256(raw)
		e.LogID = SyntheticPrefix + hex.EncodeToString(sum[:])
	}
	e.Date, e.DateFrom = m.date(e.LogID, received)
	return e
}

// Body returns the object that has the members of an event, given its Raw: the same
// bytes, or those within the envelope that was kept because it alone names the event.
func Body(raw []byte) []byte {
	for range 2 { // as deep as find unwraps
		m, _ := (&scanner{b: raw}).members()
		inner := m.envelope()
		if inner == nil {
			break
		}
		if in, _ := (&scanner{b: inner}).members(); !in.isEvent() && in.envelope() == nil {
			break
		}
		raw = inner
	}
	return raw
}

// members are the members of one JSON object that gapless looks at. Those that
// are absent or have another form than expected are empty.
type members struct {
	logID              string // "log_id"
	weakID             []byte // "_id", which pulled events carry as a copy of log_id, or alone
	typ                string
	dateValue          []byte
	detail, data, logs []byte
	eventBridge        bool
	logsAt             int // where the value of "logs" begins, valid or not; 0 for none
}

// members moves over an object and takes notes. The first of two members with
// the same name counts.
func (s *scanner) members() (members, bool) {
	var m members
	ok := s.object(0, func(quoted []byte, from, to int) {
		key := quoted[1 : len(quoted)-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = []byte(text(quoted))
		}
		if string(key) == "logs" && m.logsAt == 0 && from < len(s.b) && s.b[from] == '[' {
			m.logsAt = from
		}
		if to >= 0 {
			m.note(key, s.b[from:to:to])
		}
	})
	return m, ok
}

// note takes a member in.
func (m *members) note(key, value []byte) {
	switch string(key) {
	case "log_id":
		keepFirst(&m.logID, idText(value))
	case "_id":
		if idText(m.weakID) == "" {
			m.weakID = value
		}
	case "type":
		if value[0] == '"' {
			keepFirst(&m.typ, code(value))
		}
	case "date":
		if m.dateValue == nil {
			m.dateValue = value
		}
	case "data":
		keepObject(&m.data, value, '{')
	case "detail":
		keepObject(&m.detail, value, '{')
	case "logs":
		keepObject(&m.logs, value, '[')
	case "detail-type":
		m.eventBridge = true
	}
}

// keepFirst sets what is empty.
func keepFirst(s *string, v string) {
	if *s == "" {
		*s = v
	}
}

// keepObject sets what is empty to a value that begins with open.
func keepObject(b *[]byte, value []byte, open byte) {
	if *b == nil && value[0] == open {
		*b = value
	}
}

// idText reads an id of whatever form: text as it is, a number by its digits.
func idText(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	switch c := value[0]; {
	case c == '"':
		return text(value)
	case c == '-', '0' <= c && c <= '9':
		return string(value)
	default:
		return ""
	}
}

// id returns the id of the event, empty when it has none.
func (m *members) id() string {
	if m.logID != "" {
		return m.logID
	}
	return idText(m.weakID)
}

// isEvent reports whether anything shows that the object is a log event.
func (m *members) isEvent() bool {
	return m.id() != "" || m.typ != "" || m.dateValue != nil
}

// envelope returns the object inside an envelope, or nil for a bare record. A
// log event may have members called data or detail of its own: with a type or a
// date beside it, it is no envelope.
func (m *members) envelope() []byte {
	if m.eventBridge && m.detail != nil {
		return m.detail
	}
	if m.typ == "" && m.dateValue == nil {
		return m.data
	}
	return nil
}

// list returns the array of {"logs":[…]}, the form of a search with totals and
// of the JSON object streams; nil for a record.
func (m *members) list() []byte {
	if m.isEvent() {
		return nil
	}
	return m.logs
}

// date finds the time of the event.
func (m *members) date(id string, received time.Time) (time.Time, DateSource) {
	if t, ok := dateOf(m.dateValue, 0); ok {
		return t, DateFromField
	}
	if t, ok := TimeInID(id); ok {
		return t, DateFromID
	}
	return received.UTC().Truncate(time.Millisecond), DateFromReceived
}

// dateOf reads a date: the RFC 3339 text that Auth0 sends, or, since its schema
// allows an object there, the first member that reads as a date, such as
// MongoDB's {"$date":…}; numbers are milliseconds since 1970.
func dateOf(value []byte, depth int) (t time.Time, ok bool) {
	if len(value) == 0 {
		return time.Time{}, false
	}
	switch c := value[0]; {
	case c == '"':
		if t.UnmarshalText(value[1:len(value)-1]) == nil { // the usual form, without a copy
			return plausible(t.UTC())
		}
		s := text(value)
		if t, ok = parseDate(s); ok {
			return t, true
		}
		return fromMillis(s) // MongoDB's {"$numberLong":"…"}
	case c == '-', '0' <= c && c <= '9':
		return fromMillis(string(value))
	case c == '{' && depth < 3:
		(&scanner{b: value}).object(0, func(_ []byte, from, to int) {
			if !ok {
				t, ok = dateOf(value[from:to], depth+1)
			}
		})
	}
	return t, ok
}

// dateLayouts are the forms in which a date is written: the one that Auth0
// sends, and its near relations.
var dateLayouts = [...]string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999Z0700",
}

// parseDate reads the forms in which a date is written as text.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t.UTC())
		}
	}
	return time.Time{}, false
}

// fromMillis reads milliseconds since 1970.
func fromMillis(s string) (time.Time, bool) {
	ms, err := strconv.ParseFloat(s, 64)
	if err != nil || ms < 1e11 || ms > 1e14 { // 1973 to 5138; smaller ones are seconds or no dates
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
