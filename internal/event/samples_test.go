package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
)

// start is the time at which the tests receive what they parse.
var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// samples returns records of the shapes that Auth0 really sends, one a line:
// bare ones as they are pulled, envelopes as they are pushed, and one of
// EventBridge. Everything in them that named somebody has been replaced.
func samples(tb testing.TB) []string {
	tb.Helper()
	data, err := os.ReadFile("testdata/samples.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// unwrap finds the record in a sample by means of encoding/json, as a witness
// that shares no code with what it checks. An envelope that alone knows the id
// stays.
func unwrap(t *testing.T, sample string) (raw json.RawMessage, facts map[string]any) {
	t.Helper()
	var outer struct {
		LogID        any `json:"log_id"`
		Detail, Data json.RawMessage
	}
	if err := json.Unmarshal([]byte(sample), &outer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(sample), &facts); err != nil {
		t.Fatal(err)
	}
	for _, inner := range []json.RawMessage{outer.Detail, outer.Data} {
		if inner == nil {
			continue
		}
		raw, facts = unwrap(t, string(inner))
		if facts["log_id"] == nil && outer.LogID != nil {
			facts["log_id"] = outer.LogID
			return json.RawMessage(sample), facts
		}
		return raw, facts
	}
	return json.RawMessage(sample), facts
}

func TestParseKeepsSamplesByteForByte(t *testing.T) {
	t.Parallel()
	for i, sample := range samples(t) {
		before := strings.Clone(sample)
		in := []byte(sample)
		e, err := event.Parse(in, start)
		if err != nil {
			t.Fatalf("sample %d: %v", i+1, err)
		}
		raw, facts := unwrap(t, sample)
		if !bytes.Equal(raw, e.Raw) {
			t.Errorf("sample %d: bytes (-want +got):\n%s", i+1, cmp.Diff(string(raw), string(e.Raw)))
		}
		if string(in) != before {
			t.Errorf("sample %d: Parse wrote to its input", i+1)
		}
		checkFacts(t, i+1, e, facts)
	}
}

// checkFacts compares what Parse found with what encoding/json found.
func checkFacts(t *testing.T, sample int, e event.Event, facts map[string]any) {
	t.Helper()
	id, _ := facts["log_id"].(string)
	if id == "" {
		id, _ = facts["_id"].(string)
	}
	if id == "" && !strings.HasPrefix(e.LogID, event.SyntheticPrefix) || id != "" && e.LogID != id {
		t.Errorf("sample %d: log_id %q, want %q", sample, e.LogID, id)
	}
	if e.Type != facts["type"] {
		t.Errorf("sample %d: type %q, want %q", sample, e.Type, facts["type"])
	}
	text, _ := facts["date"].(string)
	if date, err := time.Parse(time.RFC3339, text); err != nil || !e.Date.Equal(date) || e.DateFrom != event.DateFromField {
		t.Errorf("sample %d: date %v from %v, want %v", sample, e.Date, e.DateFrom, text)
	}
}

func TestParsePageReadsSamplesInEveryForm(t *testing.T) {
	t.Parallel()
	records := samples(t)
	var want []event.Event
	for _, r := range records {
		e, err := event.Parse([]byte(r), start)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, e)
	}
	list := strings.Join(records, ",")
	forms := map[string]string{
		"array":             "[" + list + "]",
		"spaced array":      " [\n" + strings.Join(records, " ,\r\n ") + "\n] ",
		"logs":              `{"logs":[` + list + `]}`,
		"logs with totals":  `{"start":0,"limit":100,"length":70,"total":70,"logs":[` + list + `]}`,
		"totals after logs": `{"logs":[` + list + `],"start":0}`,
		"lines":             strings.Join(records, "\n") + "\n",
		"windows lines":     strings.Join(records, "\r\n"),
		"blank lines":       strings.Join(records, "\n\n\n"),
		"concatenated":      strings.Join(records, ""),
		"byte order mark":   "\xef\xbb\xbf[" + list + "]",
		"two arrays":        "[" + strings.Join(records[:30], ",") + "]\n[" + strings.Join(records[30:], ",") + "]",
		"two lists":         `{"logs":[` + strings.Join(records[:30], ",") + `]}{"logs":[` + strings.Join(records[30:], ",") + `]}`,
		"array and records": "[" + strings.Join(records[:30], ",") + "]" + strings.Join(records[30:], "\n"),
	}
	for name, body := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := event.ParsePage([]byte(body), start)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Events) != len(want) {
				t.Fatalf("%d events, want %d", len(p.Events), len(want))
			}
			for i, got := range p.Events {
				// cmp takes its time over bytes, so it only explains.
				if !reflect.DeepEqual(want[i], got) {
					t.Errorf("event %d (-want +got):\n%s", i, cmp.Diff(want[i], got))
				}
			}
			if len(p.Unreadable) > 0 {
				t.Errorf("%d unreadable pieces, the first: %s", len(p.Unreadable), p.Unreadable[0].Reason)
			}
		})
	}
}

func TestSamplesHoldWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	all := []byte(strings.Join(samples(t), "\n"))
	for what, sign := range map[string]string{
		"an envelope of a stream":   `"data":{`,
		"an EventBridge envelope":   `"detail-type"`,
		"an id under _id alone":     `{"_id":`,
		"a scope that is an array":  `"scope":[`,
		"details that are text":     `"details":"`,
		"details that are null":     `"details":null`,
		"characters beyond ASCII":   "á",
		"escaped characters":        `\u00c1`,
		"spaces after the commas":   `, "type": `,
		"an id of an unusual form":  `"log_id":"123456789"`,
		"an address of version 6":   "2001:db8:",
		"masked secrets":            `"*****"`,
		"the version of the schema": `"$event_schema"`,
	} {
		if !bytes.Contains(all, []byte(sign)) {
			t.Errorf("no sample has %s (%s)", what, sign)
		}
	}
}
