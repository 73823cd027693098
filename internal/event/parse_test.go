package event_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
)

// usualID is a log_id of the usual form; the time in it is idTime.
const usualID = "90020261101115959500000000000000000001223372036854775862"

var (
	idTime   = time.Date(2026, 11, 1, 11, 59, 59, 500e6, time.UTC)
	dateText = "2026-11-01T11:59:58.123Z"
	dateTime = time.Date(2026, 11, 1, 11, 59, 58, 123e6, time.UTC)
)

// synthetic is the id that stands in for a missing one.
func synthetic(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return event.SyntheticPrefix + hex.EncodeToString(sum[:])
}

func TestParseFindsFacts(t *testing.T) {
	t.Parallel()
	whole := `{"log_id":"` + usualID + `","date":"` + dateText + `","type":"s"}`
	tests := map[string]struct {
		in string
		// raw is the expected record; empty means that it is the input.
		raw      string
		id, typ  string
		date     time.Time
		dateFrom event.DateSource
	}{
		"bare record":          {in: whole, id: usualID, typ: "s", date: dateTime},
		"space around":         {in: " \r\n\t" + whole + "\n", raw: whole, id: usualID, typ: "s", date: dateTime},
		"unknown members":      {in: `{"new":{"deep":[1,2.50,1e3]},"log_id":"x","$event_schema":{"version":"9"},"type":"brand_new_code","date":"` + dateText + `"}`, id: "x", typ: "brand_new_code", date: dateTime},
		"scope as array":       {in: `{"scope":["a","b"],"log_id":"x","type":"s","date":"` + dateText + `"}`, id: "x", typ: "s", date: dateTime},
		"nulls everywhere":     {in: `{"description":null,"client_id":null,"details":null,"log_id":"x","type":"s","date":"` + dateText + `"}`, id: "x", typ: "s", date: dateTime},
		"both spellings":       {in: `{"isMobile":false,"is_mobile":true,"log_id":"x","type":"s","date":"` + dateText + `"}`, id: "x", typ: "s", date: dateTime},
		"escaped keys":         {in: `{"log\u005fid":"x","t\u0079pe":"s","date":"` + dateText + `"}`, id: "x", typ: "s", date: dateTime},
		"escaped values":       {in: `{"log_id":"a\u002fb\"","type":"\u0073","date":"2026-11-01T11:59:58\u002e123Z"}`, id: `a/b"`, typ: "s", date: dateTime},
		"first of two members": {in: `{"log_id":"first","log_id":"second","type":"s","type":"f","date":"` + dateText + `","date":"2020-01-01T00:00:00Z"}`, id: "first", typ: "s", date: dateTime},
		"own data member":      {in: `{"log_id":"x","type":"s","date":"` + dateText + `","data":{"log_id":"y","type":"f"}}`, id: "x", typ: "s", date: dateTime},
		"own detail member":    {in: `{"log_id":"x","type":"s","date":"` + dateText + `","detail":{"log_id":"y"}}`, id: "x", typ: "s", date: dateTime},
		"own logs member":      {in: `{"log_id":"x","type":"s","date":"` + dateText + `","logs":[{"log_id":"y"}]}`, id: "x", typ: "s", date: dateTime},

		"id under _id":        {in: `{"_id":"5ef3","type":"s","date":"` + dateText + `"}`, id: "5ef3", typ: "s", date: dateTime},
		"log_id beats _id":    {in: `{"_id":"5ef3","log_id":"x","type":"s","date":"` + dateText + `"}`, id: "x", typ: "s", date: dateTime},
		"empty log_id":        {in: `{"log_id":"","_id":"5ef3","type":"s","date":"` + dateText + `"}`, id: "5ef3", typ: "s", date: dateTime},
		"numeric id":          {in: `{"log_id":90020261101115959500000000000000000001223372036854775862,"type":"s","date":"` + dateText + `"}`, id: usualID, typ: "s", date: dateTime},
		"fraction as id":      {in: `{"log_id":-1.5e7,"type":"s","date":"` + dateText + `"}`, id: "-1.5e7", typ: "s", date: dateTime},
		"object as id":        {in: `{"log_id":{"$oid":"1"},"_id":"y","type":"s","date":"` + dateText + `"}`, id: "y", typ: "s", date: dateTime},
		"no id":               {in: `{"type":"s","date":"` + dateText + `"}`, id: synthetic(`{"type":"s","date":"` + dateText + `"}`), typ: "s", date: dateTime},
		"null id":             {in: `{"log_id":null}`, id: synthetic(`{"log_id":null}`), date: start, dateFrom: event.DateFromReceived},
		"nothing at all":      {in: `{}`, id: synthetic(`{}`), date: start, dateFrom: event.DateFromReceived},
		"type of other form":  {in: `{"log_id":"x","type":7,"date":"` + dateText + `"}`, id: "x", date: dateTime},
		"type null, then one": {in: `{"log_id":"x","type":null,"type":"s","date":"` + dateText + `"}`, id: "x", typ: "s", date: dateTime},

		"date absent":           {in: `{"log_id":"` + usualID + `"}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date absent, odd id":   {in: `{"log_id":"123"}`, id: "123", date: start, dateFrom: event.DateFromReceived},
		"date null":             {in: `{"log_id":"` + usualID + `","date":null}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date empty":            {in: `{"log_id":"` + usualID + `","date":""}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date nonsense":         {in: `{"log_id":"` + usualID + `","date":"yesterday"}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date too early":        {in: `{"log_id":"` + usualID + `","date":"1969-12-31T23:59:59Z"}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date boolean":          {in: `{"log_id":"` + usualID + `","date":true}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date array":            {in: `{"log_id":"` + usualID + `","date":["` + dateText + `"]}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date in object":        {in: `{"log_id":"x","date":{"$date":"` + dateText + `"}}`, id: "x", date: dateTime},
		"date in object, ms":    {in: `{"log_id":"x","date":{"$date":1793534398123}}`, id: "x", date: dateTime},
		"date in object, deep":  {in: `{"log_id":"x","date":{"a":"b","$date":{"$numberLong":"1793534398123"}}}`, id: "x", date: dateTime},
		"date in empty object":  {in: `{"log_id":"` + usualID + `","date":{}}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date too deep":         {in: `{"log_id":"` + usualID + `","date":{"a":{"b":{"c":{"d":"` + dateText + `"}}}}}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date as milliseconds":  {in: `{"log_id":"x","date":1793534398123}`, id: "x", date: dateTime},
		"date as small number":  {in: `{"log_id":"` + usualID + `","date":1793534398}`, id: usualID, date: idTime, dateFrom: event.DateFromID},
		"date with offset":      {in: `{"log_id":"x","date":"2026-11-01T13:59:58.123+02:00"}`, id: "x", date: dateTime},
		"date, offset no colon": {in: `{"log_id":"x","date":"2026-11-01T13:59:58.123+0200"}`, id: "x", date: dateTime},
		"date without zone":     {in: `{"log_id":"x","date":"2026-11-01T11:59:58.123"}`, id: "x", date: dateTime},
		"date with a space":     {in: `{"log_id":"x","date":"2026-11-01 11:59:58.123Z"}`, id: "x", date: dateTime},
		"date in nanoseconds":   {in: `{"log_id":"x","date":"2026-11-01T11:59:58.123456789Z"}`, id: "x", date: dateTime.Add(456789)},
		"text date, absent id":  {in: `{"date":"` + dateText + `"}`, id: synthetic(`{"date":"` + dateText + `"}`), date: dateTime},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.raw == "" {
				tt.raw = tt.in
			}
			want := event.Event{LogID: tt.id, Date: tt.date, DateFrom: tt.dateFrom, Type: tt.typ, Raw: []byte(tt.raw)}
			got, err := event.Parse([]byte(tt.in), start)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseUnwraps(t *testing.T) {
	t.Parallel()
	const (
		record = `{"date":"2026-11-01T11:59:58.123Z","type":"s","log_id":"x"}`
		noID   = `{"date":"2026-11-01T11:59:58.123Z","type":"s"}`
	)
	bridge := func(kind, detail string) string {
		return `{"version":"0","id":"00000000-0000-4000-8000-000000000000","detail-type":` + kind +
			`,"source":"aws.partner/auth0.com/dev-tenant/auth0.logs","time":"2026-11-01T12:00:11Z","resources":[],"detail":` + detail + `}`
	}
	tests := map[string]struct{ in, raw, id, typ string }{
		"stream":                        {`{"log_id":"x","data":` + record + `}`, record, "x", "s"},
		"stream, spaced":                {"{ \"log_id\" : \"x\" ,\n \"data\" : " + record + " }", record, "x", "s"},
		"stream, data first":            {`{"data":` + record + `,"log_id":"x"}`, record, "x", "s"},
		"stream, no outer id":           {`{"data":` + record + `}`, record, "x", "s"},
		"stream, inner id differs":      {`{"log_id":"y","data":` + record + `}`, record, "x", "s"},
		"stream, new members":           {`{"log_id":"x","data":` + record + `,"stream":"lst_0"}`, record, "x", "s"},
		"stream, id outside alone":      {`{"log_id":"x","data":` + noID + `}`, `{"log_id":"x","data":` + noID + `}`, "x", "s"},
		"stream, _id inside agrees":     {`{"log_id":"x","data":{"_id":"x","type":"s"}}`, `{"_id":"x","type":"s"}`, "x", "s"},
		"stream, _id inside differs":    {`{"log_id":"x","data":{"_id":"5ef3","type":"s"}}`, `{"log_id":"x","data":{"_id":"5ef3","type":"s"}}`, "x", "s"},
		"stream without any id":         {`{"data":` + noID + `}`, noID, synthetic(noID), "s"},
		"bridge":                        {bridge(`"Auth0 log"`, `{"log_id":"x","data":`+record+`}`), record, "x", "s"},
		"bridge, id outside alone":      {bridge(`"Auth0 log"`, `{"log_id":"x","data":`+noID+`}`), `{"log_id":"x","data":` + noID + `}`, "x", "s"},
		"bridge, bare record":           {bridge(`"Auth0 log"`, record), record, "x", "s"},
		"bridge, detail-type as array":  {bridge(`["Auth0 log"]`, record), record, "x", "s"},
		"bridge, record without id":     {bridge(`"Auth0 log"`, noID), noID, synthetic(noID), "s"},
		"object of another kind":        {`{"data":{"a":1},"b":2}`, `{"data":{"a":1},"b":2}`, synthetic(`{"data":{"a":1},"b":2}`), ""},
		"bridge event of another kind":  {bridge(`"EC2 state"`, `{"state":"x"}`), bridge(`"EC2 state"`, `{"state":"x"}`), synthetic(bridge(`"EC2 state"`, `{"state":"x"}`)), ""},
		"data that is no object":        {`{"log_id":"x","data":[1]}`, `{"log_id":"x","data":[1]}`, "x", ""},
		"detail without detail-type":    {`{"log_id":"x","detail":{"type":"s"}}`, `{"log_id":"x","detail":{"type":"s"}}`, "x", ""},
		"own data inside of a stream's": {`{"log_id":"x","data":{"log_id":"x","type":"s","data":{"log_id":"z"}}}`, `{"log_id":"x","type":"s","data":{"log_id":"z"}}`, "x", "s"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := event.Parse([]byte(tt.in), start)
			if err != nil {
				t.Fatal(err)
			}
			got := [3]string{string(e.Raw), e.LogID, e.Type}
			if diff := cmp.Diff([3]string{tt.raw, tt.id, tt.typ}, got); diff != "" {
				t.Errorf("raw, id, type (-want +got):\n%s", diff)
			}
			if strings.Contains(tt.raw, dateText) && !e.Date.Equal(dateTime) {
				t.Errorf("date %v, want %v", e.Date, dateTime)
			}
		})
	}
}

func TestParseRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "not a JSON object",
		" ":                      "not a JSON object",
		"null":                   "not a JSON object",
		`"text"`:                 "not a JSON object",
		"[]":                     "not a JSON object",
		"<html>":                 "not a JSON object",
		"{":                      "not valid JSON",
		`{"a":1`:                 "not valid JSON",
		`{"a":1,}`:               "not valid JSON",
		`{"a":1}x`:               "not valid JSON",
		`{"a":1}{"b":2}`:         "not valid JSON",
		`{"a":01}`:               "not valid JSON",
		`{"a":"` + "\x01" + `"}`: "not valid JSON",
		`{"a":"\x"}`:             "not valid JSON",
		`{"a":tru}`:              "not valid JSON",
		`{'a':1}`:                "not valid JSON",
		`{"a" 1}`:                "not valid JSON",
		`{a:1}`:                  "not valid JSON",
	} {
		if _, err := event.Parse([]byte(in), start); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v, want %s", in, err, want)
		}
	}
}

func TestParseGivesTheSameBytesTheSameID(t *testing.T) {
	t.Parallel()
	a, errA := event.Parse([]byte(`{"type":"s"}`), start)
	b, errB := event.Parse([]byte(` {"type":"s"} `), start.Add(time.Hour))
	c, errC := event.Parse([]byte(`{"type":"f"}`), start)
	if errA != nil || errB != nil || errC != nil {
		t.Fatal(errA, errB, errC)
	}
	if a.LogID != b.LogID || a.LogID == c.LogID {
		t.Errorf("ids %s, %s, %s: the first two must be equal and the third not", a.LogID, b.LogID, c.LogID)
	}
}

func TestTimeInIDReadsWhatIDAtBuilds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := time.UnixMicro(rapid.Int64Range(0, 253402300799_999999).Draw(t, "microseconds")).UTC()
		id := event.IDAt(want)
		if len(id) != 56 || !strings.HasPrefix(id, "900") {
			t.Fatalf("%s is not of the usual form", id)
		}
		if got, ok := event.TimeInID(id); !ok || !got.Equal(want) {
			t.Fatalf("time in %s is %v, want %v", id, got, want)
		}
	})
}

func TestIDAtOrdersAsTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(0, 253402300799_999999)
		a, b := micros.Draw(t, "a"), micros.Draw(t, "b")
		idA, idB := event.IDAt(time.UnixMicro(a)), event.IDAt(time.UnixMicro(b))
		if (a < b) != (idA < idB) {
			t.Fatalf("%d and %d, but %s and %s", a, b, idA, idB)
		}
	})
}

func TestTimeInIDRefusesOtherForms(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"", "123", "****", "5ef3bb0922b43d004844af00",
		"80020261101115959500000000000000000001223372036854775862",  // another prefix
		"9002026110111595950000000000000000000122337203685477586",   // too short
		"900202611011159595000000000000000000012233720368547758622", // too long
		"90020261301115959500000000000000000001223372036854775862",  // month 13
		"90020260230115959500000000000000000001223372036854775862",  // 30 February
		"90019600101000000000000000000000000000000000000000000000",  // before 1970
		"90020200123T15145913700000000000000000000000000000000000",  // a letter
		event.SyntheticPrefix + "0000",
	} {
		if got, ok := event.TimeInID(id); ok {
			t.Errorf("time in %q is %v, want none", id, got)
		}
	}
}

// Body goes as deep as Parse does, and no deeper.
func TestBody(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"log_id":"1","type":"s","data":{"type":"f"}}`:                                       `{"log_id":"1","type":"s","data":{"type":"f"}}`,
		`{"log_id":"1","data":{"type":"f"}}`:                                                  `{"type":"f"}`,
		`{"log_id":"1","data":{"a":1}}`:                                                       `{"log_id":"1","data":{"a":1}}`,
		`{"detail-type":"x","detail":{"log_id":"1","data":{"type":"f","data":{"type":"s"}}}}`: `{"type":"f","data":{"type":"s"}}`,
		`{}`: `{}`,
	} {
		e, err := event.Parse([]byte(raw), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := string(event.Body(e.Raw)); got != want {
			t.Errorf("%s: %s", raw, got)
		}
	}
}
