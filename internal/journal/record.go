package journal

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A State is what became of an event at a destination.
type State string

// The states.
const (
	Waiting   State = "waiting"
	Delivered State = "delivered"
	Altered   State = "altered"
	Rejected  State = "rejected"
	Skipped   State = "skipped"
)

// states are those that are written, by their numbers.
var states = [...]State{Delivered, Altered, Rejected, Skipped}

// A Record is an event with what became of it at one destination.
type Record struct {
	Tenant string
	Event  event.Event // of a list without its bytes
	Facts
	State State
	// Reason is the counted reason of a state other than delivered.
	Reason string
	// Fetched is when it was stored, Settled when its outcome was known, and Timestamp
	// under which time it was delivered; zero where that is not known or has not
	// happened.
	Fetched, Settled, Timestamp time.Time
	// Source is what brought it.
	Source string
	Place  Place
	// Attempts is how many calls it took.
	Attempts int

	seq  int64 // of its arrival in the journal; 0 while it waits
	size int   // of its bytes
}

// A Place is where events go.
type Place struct {
	pipeline.Destination
	// Region is the AWS Region; Emulated says that another endpoint than AWS's is there.
	Region   string
	Emulated bool
}

// Facts are what a list shows of an event, each empty where the event has it not.
type Facts struct {
	UserID, UserName, ClientID, ClientName, IP            string
	Connection, Description, UserAgent, City, CountryName string
}

// maxText bounds the facts that are only shown, in bytes.
const maxText = 512

// FactsOf reads the facts of an event.
func FactsOf(raw []byte) (f Facts) {
	if len(raw) == 0 {
		return f
	}
	// Without a copy: nobody may write to the bytes of an event, and the facts live no
	// longer than the outcome that holds them.
	gjson.Parse(unsafe.String(&raw[0], len(raw))).ForEach(func(key, value gjson.Result) bool { //nolint:gosec // as said above
		if value.Type == gjson.JSON {
			if key.Str == "location_info" {
				f.City, f.CountryName = short(value.Get("city_name").String()), short(value.Get("country_name").String())
			}
			return true
		}
		switch key.Str {
		case "user_id":
			f.UserID = value.String()
		case "user_name":
			f.UserName = value.String()
		case "client_id":
			f.ClientID = value.String()
		case "client_name":
			f.ClientName = value.String()
		case "ip":
			f.IP = value.String()
		case "connection":
			f.Connection = short(value.String())
		case "description":
			f.Description = short(value.String())
		case "user_agent":
			f.UserAgent = short(value.String())
		}
		return true
	})
	return f
}

// short cuts a text that is only shown.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Failed reports whether an event of a type counts as failed: by the catalogue it is a
// warning or more.
func Failed(typ string) bool { return event.Lookup(typ).Severity >= event.Warning }

// errDamaged says that the file does not hold what was written.
var errDamaged = errors.New("the journal does not hold what was written")

// texts are the texts of a record in the order in which they are written.
func (r *Record) texts() [17]*string {
	return [...]*string{
		&r.Event.LogID, &r.Event.Type, &r.UserID, &r.UserName, &r.ClientID, &r.ClientName, &r.IP, &r.Connection, &r.Description,
		&r.UserAgent, &r.City, &r.CountryName, &r.Reason, &r.Source, &r.Place.Region, &r.Place.LogGroup, &r.Place.LogStream,
	}
}

// encode writes what a list shows of records, whose numbers count from base.
func encode(list []Record, base int64) []byte {
	e := encoder{b: make([]byte, 0, 384*len(list))}
	for i := range list {
		e.add(&list[i], base+list[i].seq)
	}
	return e.b
}

// An encoder writes records one after the other. Dates and numbers are told as their
// distance from those of the record before.
type encoder struct {
	b         []byte
	date, seq int64
}

// add writes a record with its number of arrival.
func (e *encoder) add(r *Record, seq int64) {
	at := r.Event.Date.UnixMicro()
	b := binary.AppendVarint(e.b, at-e.date)
	b = binary.AppendVarint(b, seq-e.seq)
	e.date, e.seq = at, seq
	for _, t := range [...]time.Time{r.Fetched, r.Settled, r.Timestamp} {
		b = appendTime(b, t, at)
	}
	b = append(b, byte(r.Event.DateFrom)|r.State.number()<<2|flag(r.Place.Emulated)<<5)
	b = binary.AppendUvarint(b, uint64(max(0, r.Attempts)))
	b = binary.AppendUvarint(b, uint64(max(0, r.size)))
	for _, text := range r.texts() {
		b = append(binary.AppendUvarint(b, uint64(len(*text))), *text...)
	}
	e.b = b
}

// appendTime writes a time as its distance from a date.
func appendTime(b []byte, t time.Time, date int64) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), t.UnixMicro()-date)
}

// number is that of a state.
func (s State) number() byte {
	for i, x := range states {
		if x == s {
			return byte(i)
		}
	}
	return 0
}

// flag is 1 for true.
func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// A decoder reads what encode has written. The texts are parts of one string.
type decoder struct {
	s   string
	bad bool
}

// int reads a number with a sign.
func (d *decoder) int() int64 {
	u := d.uint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// uint reads a number.
func (d *decoder) uint() uint64 {
	var v uint64
	for i := 0; i < len(d.s) && i < binary.MaxVarintLen64; i++ {
		c := d.s[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.s = d.s[i+1:]
			return v
		}
	}
	d.bad, d.s = true, ""
	return 0
}

// byte reads a byte.
func (d *decoder) byte() byte {
	if d.s == "" {
		d.bad = true
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

// text reads a text.
func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.s)) {
		d.bad, d.s = true, ""
		return ""
	}
	t := d.s[:n]
	d.s = d.s[n:]
	return t
}

// time reads a time.
func (d *decoder) time(date int64) time.Time {
	if d.byte() == 0 {
		return time.Time{}
	}
	return timeOf(date + d.int())
}

// decode reads the n records of a tenant and sink.
func decode(plain []byte, tenant, sink string, n int) ([]Record, error) {
	d := &decoder{s: string(plain)}
	if n < 0 || n > len(plain) {
		return nil, errDamaged
	}
	list := make([]Record, n)
	var date, seq int64
	for i := range list {
		r := &list[i]
		r.Tenant, r.Place.Sink = tenant, sink
		date += d.int()
		seq += d.int()
		r.Event.Date, r.seq = timeOf(date), seq
		r.Fetched, r.Settled, r.Timestamp = d.time(date), d.time(date), d.time(date)
		c := d.byte()
		r.Event.DateFrom, r.State, r.Place.Emulated = event.DateSource(c&3), states[c>>2&3], c>>5&1 == 1
		r.Attempts, r.size = int(d.uint()), int(d.uint()) //nolint:gosec // what was written fits
		for _, text := range r.texts() {
			*text = d.text()
		}
	}
	if d.bad || d.s != "" {
		return nil, errDamaged
	}
	return list, nil
}

// timeOf is the time that a number of microseconds stands for.
func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// micros is a time as the file holds it; 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOrZero is the time that micros stands for.
func timeOrZero(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return timeOf(micros)
}

// lower is the form of a text in which letter case does not matter.
func lower(s string) string { return strings.ToLower(s) }
