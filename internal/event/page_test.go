package event_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
)

// pageIn is a page in short: the ids of its events and the pieces it refused.
type pageIn struct {
	IDs        []string
	Unreadable []event.Unreadable
	Err        error
}

// refused builds the unreadable pieces from pairs of bytes and reason.
func refused(pairs ...string) []event.Unreadable {
	var out []event.Unreadable
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, event.Unreadable{Raw: []byte(pairs[i]), Reason: pairs[i+1]})
	}
	return out
}

// parse reads a body into its short form.
func parse(body string) pageIn {
	p, err := event.ParsePage([]byte(body), start)
	for i := range p.Unreadable {
		p.Unreadable[i].Line = 0 // TestUnreadableNamesItsLine looks at it
	}
	out := pageIn{Unreadable: p.Unreadable, Err: err}
	for _, e := range p.Events {
		out.IDs = append(out.IDs, e.LogID)
	}
	return out
}

// sameError lets cmp compare sentinels.
var sameError = cmp.Comparer(errors.Is)

func TestParsePage(t *testing.T) {
	t.Parallel()
	const (
		notObject = "not a JSON object"
		notJSON   = "not valid JSON"
		truncated = "the body ends in the middle of an event"
	)
	a, b, c := `{"log_id":"a"}`, `{"log_id":"b"}`, `{"log_id":"c"}`
	tests := map[string]struct {
		body string
		want pageIn
	}{
		"empty array":             {"[]", pageIn{}},
		"empty list":              {`{"logs":[],"total":0}`, pageIn{}},
		"one":                     {a, pageIn{IDs: []string{"a"}}},
		"list of envelopes":       {`{"logs":[{"log_id":"a","data":{"log_id":"a","type":"s"}}]}`, pageIn{IDs: []string{"a"}}},
		"array of envelopes":      {`[{"log_id":"a","data":{"log_id":"a","type":"s"}},` + b + `]`, pageIn{IDs: []string{"a", "b"}}},
		"comma at the end":        {"[" + a + ",]", pageIn{IDs: []string{"a"}}},
		"no comma between":        {"[" + a + b + " " + c + "]", pageIn{IDs: []string{"a", "b", "c"}}},
		"commas between lines":    {a + ",\n" + b, pageIn{IDs: []string{"a", "b"}}},
		"mark and lines":          {"\xef\xbb\xbf" + a + "\n" + b, pageIn{IDs: []string{"a", "b"}}},
		"logs that are no array":  {`{"logs":"x","log_id":"a"}`, pageIn{IDs: []string{"a"}}},
		"empty body":              {"", pageIn{Err: event.ErrNoEvents}},
		"space alone":             {" \r\n", pageIn{Err: event.ErrNoEvents}},
		"mark alone":              {"\xef\xbb\xbf", pageIn{Err: event.ErrNoEvents}},
		"page of a proxy":         {"<html><body>502 Bad Gateway</body></html>", pageIn{Err: event.ErrNoEvents}},
		"text":                    {"upstream connect error", pageIn{Err: event.ErrNoEvents}},
		"null":                    {"null", pageIn{Err: event.ErrNoEvents}},
		"broken first":            {`[{"log_id":},` + b + "]", pageIn{IDs: []string{"b"}, Unreadable: refused(`{"log_id":}`, notJSON)}},
		"broken in the middle":    {"[" + a + `,{"x":[1,]},` + c + "]", pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":[1,]}`, notJSON)}},
		"brackets within quotes":  {"[" + a + `,{"x":"]}\"","y":tru},` + c + "]", pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":"]}\"","y":tru}`, notJSON)}},
		"other values":            {"[" + a + `,null,"text",1.5,[` + b + `],true,` + c + "]", pageIn{IDs: []string{"a", "c"}, Unreadable: refused("null", notObject, `"text"`, notObject, "1.5", notObject, "["+b+"]", notObject, "true", notObject)}},
		"broken word":             {"[" + a + ",nul, " + c + "]", pageIn{IDs: []string{"a", "c"}, Unreadable: refused("nul", notJSON)}},
		"control character":       {"[" + a + ",{\"x\":\"\x00\"}," + c + "]", pageIn{IDs: []string{"a", "c"}, Unreadable: refused("{\"x\":\"\x00\"}", notJSON)}},
		"broken in a list":        {`{"start":0,"logs":[` + a + `,{"x":},` + c + `],"total":3}`, pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":}`, notJSON)}},
		"broken in a last list":   {`{"logs":[` + a + `,{"x":},` + c + `]}`, pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":}`, notJSON)}},
		"broken list, then more":  {`{"logs":[{"x":},` + a + "]}\n" + b, pageIn{IDs: []string{"a", "b"}, Unreadable: refused(`{"x":}`, notJSON)}},
		"broken list and totals":  {`{"logs":[{"x":},` + a + `],"total":}` + "\n" + b, pageIn{IDs: []string{"a", "b"}, Unreadable: refused(`{"x":}`, notJSON, `"total":`, notJSON, "}", notJSON)}},
		"broken line":             {a + "\n" + `{"x":` + "\n" + c, pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":`, notJSON)}},
		"broken windows line":     {a + "\r\n" + `{"x":` + "\r\n" + c, pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":`, notJSON)}},
		"broken beside a record":  {a + `{"x":}` + c, pageIn{IDs: []string{"a", "c"}, Unreadable: refused(`{"x":}`, notJSON)}},
		"text between lines":      {a + "\nkeep-alive\n" + c, pageIn{IDs: []string{"a", "c"}, Unreadable: refused("keep-alive", notJSON)}},
		"value between lines":     {a + "\n12\n" + c, pageIn{IDs: []string{"a", "c"}, Unreadable: refused("12", notObject)}},
		"stray bracket":           {a + "]" + c, pageIn{IDs: []string{"a", "c"}, Unreadable: refused("]", notJSON)}},
		"text after an array":     {"[" + a + "] ok", pageIn{IDs: []string{"a"}, Unreadable: refused("ok", notJSON)}},
		"array cut in a record":   {"[" + a + `,{"log_id":"b`, pageIn{IDs: []string{"a"}, Unreadable: refused(`{"log_id":"b`, truncated), Err: event.ErrTruncated}},
		"array cut after a comma": {"[" + a + ",", pageIn{IDs: []string{"a"}, Err: event.ErrTruncated}},
		"array never closed":      {"[" + a, pageIn{IDs: []string{"a"}, Err: event.ErrTruncated}},
		"bracket alone":           {"[", pageIn{Err: event.ErrTruncated}},
		"record cut":              {`{"log_id":"a"`, pageIn{Unreadable: refused(`{"log_id":"a"`, truncated), Err: event.ErrTruncated}},
		"last line cut":           {a + "\n" + `{"log_id":"b`, pageIn{IDs: []string{"a"}, Unreadable: refused(`{"log_id":"b`, truncated), Err: event.ErrTruncated}},
		"list cut":                {`{"logs":[` + a + `,{"log_`, pageIn{IDs: []string{"a"}, Unreadable: refused(`{"log_`, truncated), Err: event.ErrTruncated}},
		"list cut after a record": {`{"logs":[` + a, pageIn{IDs: []string{"a"}, Err: event.ErrTruncated}},
		"list cut before its end": {`{"logs":[` + a + `]`, pageIn{IDs: []string{"a"}, Err: event.ErrTruncated}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, parse(tt.body), sameError); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePageCutAnywhereKeepsWhatWasWhole(t *testing.T) {
	t.Parallel()
	records := samples(t)[:12]
	body := "[" + strings.Join(records, ",") + "]"
	for cut := 1; cut < len(body); cut += 23 {
		whole := 0
		for end := 1; whole < len(records) && end+len(records[whole]) <= cut; whole++ {
			end += len(records[whole]) + 1
		}
		p, err := event.ParsePage([]byte(body[:cut]), start)
		if !errors.Is(err, event.ErrTruncated) {
			t.Fatalf("cut at %d: %v, want %v", cut, err, event.ErrTruncated)
		}
		if len(p.Events) != whole {
			t.Fatalf("cut at %d: %d events, want %d", cut, len(p.Events), whole)
		}
	}
}

// Bodies made to exhaust the stack or the time of a parser. That this test ends
// is what it checks.
func TestParsePageSurvivesHostileBodies(t *testing.T) {
	t.Parallel()
	const million, many = 1_000_000, 50_000
	for name, body := range map[string]string{
		"open brackets":       strings.Repeat("[", million),
		"open braces":         strings.Repeat(`{"a":`, million),
		"open lists":          strings.Repeat(`{"logs":[`, million),
		"nested and closed":   "[" + strings.Repeat("[", million) + strings.Repeat("]", million) + "]",
		"record, nested deep": `[{"log_id":"a","x":` + strings.Repeat("[", million) + strings.Repeat("]", million) + "}]",
		"lines of braces":     strings.Repeat("{\n", many),
		"lines that nest":     strings.Repeat("{\"a\":[\n", many),
		"lines of quotes":     strings.Repeat("{\"\n", many),
		"broken lists":        strings.Repeat("{\"logs\":[1,x],\n", many),
		"stray brackets":      "{}" + strings.Repeat("]", many),
		"commas":              "[" + strings.Repeat(",", million) + "]",
		"backslashes":         `{"a":"` + strings.Repeat(`\`, million),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := parse(body); len(got.IDs) == 0 && len(got.Unreadable) == 0 && got.Err == nil && name != "commas" {
				t.Errorf("a body of %d bytes vanished", len(body))
			}
		})
	}
}

func TestParsePageBoundsTheNesting(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string {
		return `[{"log_id":"deep","x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `},{"log_id":"next"}]`
	}
	if got := parse(nested(400)); len(got.IDs) != 2 {
		t.Errorf("400 levels: events %v, want both", got.IDs)
	}
	if got := parse(nested(600)); len(got.IDs) != 1 || got.IDs[0] != "next" || len(got.Unreadable) != 1 {
		t.Errorf("600 levels: events %v and %d unreadable, want the neighbour and one", got.IDs, len(got.Unreadable))
	}
}

func TestParsePageEventsAreFencedOff(t *testing.T) {
	t.Parallel()
	p, err := event.ParsePage([]byte(`[{"log_id":"a"},{"log_id":"b"}]`), start)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(p.Events[0].Raw, "overwritten"...)
	if got := string(p.Events[1].Raw); got != `{"log_id":"b"}` {
		t.Errorf("appending to one event changed the next: %s", got)
	}
}

func TestPageEmpty(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct {
		page event.Page
		want bool
	}{
		{event.Page{}, true},
		{event.Page{Cursor: "x", CaughtUp: true}, true},
		{event.Page{Events: make([]event.Event, 1)}, false},
		{event.Page{Unreadable: make([]event.Unreadable, 1)}, false},
		{event.Page{Skipped: map[string]int{"before_start": 1}}, false},
		{event.Page{Gap: &event.Gap{}}, false},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			if got := tt.page.Empty(); got != tt.want {
				t.Errorf("Empty() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDateSourceNames(t *testing.T) {
	t.Parallel()
	got := []string{event.DateFromField.String(), event.DateFromID.String(), event.DateFromReceived.String()}
	if diff := cmp.Diff([]string{"field", "log_id", "received"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
