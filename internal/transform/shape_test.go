package transform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// allFields are one of each kind.
var (
	allFields = map[string]string{
		"g.tenant": "tenant", "title": "type_title", "cat": "category", "severity": "severity", "via": "source", "env": "text:prod \"1\"",
	}
	allCopies = map[string]string{"req_ip": "details.request.ip", "error": "details.error.message", "who": "user_id", "first": "details.prompts.0.name"}
)

// mustShape makes a shape of tenant acme.
func mustShape(tb testing.TB, fields, copies map[string]string) (pipeline.Shape, int) {
	tb.Helper()
	shape, growth, err := transform.NewShape("acme", fields, copies)
	if err != nil {
		tb.Fatal(err)
	}
	return shape, growth
}

func TestShape(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("😀", 100)
	tests := map[string]struct {
		fields, copies map[string]string
		raw, want      string
	}{
		"all": {
			allFields, allCopies,
			`{"log_id":"1","user_id":"auth0|1", "details":{"request":{"ip":"192.0.2.1"},"error":{"message":"no"},"prompts":[{"name":"p"}]}}`,
			`{"cat":"auth.login.fail","env":"prod \"1\"","g.tenant":"acme","severity":"error","title":"Failed Login (Incorrect Password)","via":"poll",` +
				`"error":"no","first":"p","req_ip":"192.0.2.1","who":"auth0|1",` +
				`"log_id":"1","user_id":"auth0|1", "details":{"request":{"ip":"192.0.2.1"},"error":{"message":"no"},"prompts":[{"name":"p"}]}}`,
		},
		"its own member wins": {
			map[string]string{"title": "type_title", "severity": "severity"},
			map[string]string{"user_id": "details.user_id"},
			`{"log_id":"1","severity":7,"user_id":null,"details":{"user_id":"x"}}`, `{"title":"Failed Login (Incorrect Password)","log_id":"1","severity":7,"user_id":null,"details":{"user_id":"x"}}`,
		},
		"its own member wins, escaped": {
			map[string]string{"severity": "severity"}, nil, `{"log_id":"1","\u0073everity":7}`, `{"log_id":"1","\u0073everity":7}`,
		},
		"its own member wins, the last of all": {
			map[string]string{"env": "text:x"}, nil, `{"log_id":"1","a":{"env":1},"env":2}`, `{"log_id":"1","a":{"env":1},"env":2}`,
		},
		"case counts":    {map[string]string{"env": "text:x"}, nil, `{"ENV":1}`, `{"env":"x","ENV":1}`},
		"empty object":   {map[string]string{"env": "text:x"}, nil, "{ \n}", "{\"env\":\"x\" \n}"},
		"space before":   {map[string]string{"env": "text:x"}, nil, " { \"a\":1}", " {\"env\":\"x\", \"a\":1}"},
		"no object":      {map[string]string{"env": "text:x"}, nil, `["a"]`, `["a"]`},
		"two objects":    {map[string]string{"env": "text:x"}, nil, `{"a":1}{"b":2}`, `{"a":1}{"b":2}`},
		"quotes within":  {map[string]string{"env": "text:x"}, nil, `{"a":"\\\",\"env\":","b\\":[{"env":1}, {"env":2}],"c":"}"}`, `{"env":"x","a":"\\\",\"env\":","b\\":[{"env":1}, {"env":2}],"c":"}"}`},
		"no JSON":        {map[string]string{"env": "text:x"}, nil, `{"a":1`, `{"a":1`},
		"nothing to add": {nil, map[string]string{"ip": "details.request.ip"}, `{"details":{"request":[]}}`, `{"details":{"request":[]}}`},
		"kinds": {
			nil,
			map[string]string{"a": "d.a", "b": "d.b", "c": "d.c", "d": "d.d", "e": "d.e", "f": "d.f", "g": "d.g"},
			`{"d":{"a":1.0e+02,"b":true,"c":null,"d":{},"e":[1],"f":"","g":` + strings.Repeat("9", 300) + `}}`,
			`{"a":1.0e+02,"b":true,"f":"","d":{"a":1.0e+02,"b":true,"c":null,"d":{},"e":[1],"f":"","g":` + strings.Repeat("9", 300) + `}}`,
		},
		"cut on a character": {
			nil, map[string]string{"c": "d.t"}, `{"d":{"t":"x` + long + `"}}`, `{"c":"x` + strings.Repeat("😀", 63) + `","d":{"t":"x` + long + `"}}`,
		},
		"cut on an escape": {
			nil,
			map[string]string{"c": "d.t"},
			`{"d":{"t":"` + strings.Repeat(`\ud83d\ude00`, 30) + `"}}`,
			`{"c":"` + strings.Repeat(`\ud83d\ude00`, 21) + `","d":{"t":"` + strings.Repeat(`\ud83d\ude00`, 30) + `"}}`,
		},
		"an escape stays one": {nil, map[string]string{"c": "d.t"}, `{"d":{"t":"\u003c\"\\"}}`, `{"c":"\u003c\"\\","d":{"t":"\u003c\"\\"}}`},
		"the first of two":    {nil, map[string]string{"c": "d.t"}, `{"d":{"t":1,"t":2}}`, `{"c":1,"d":{"t":1,"t":2}}`},
		"no envelope":         {nil, map[string]string{"c": "user_id"}, `{"log_id":"1","type":"s","data":{"user_id":"u"}}`, `{"log_id":"1","type":"s","data":{"user_id":"u"}}`},
		"inside an envelope":  {nil, map[string]string{"c": "user_id"}, `{"log_id":"1","data":{"user_id":"u"}}`, `{"c":"u","log_id":"1","data":{"user_id":"u"}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shape, growth := mustShape(t, tt.fields, tt.copies)
			raw := []byte(tt.raw)
			got := shape(event.Event{LogID: "1", Type: "fp", Raw: raw}, "poll")
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if len(got) > len(raw)+growth {
				t.Errorf("%d bytes were added, and %d are the most", len(got)-len(raw), growth)
			}
			if string(raw) != tt.raw {
				t.Errorf("the event was written to: %q", raw)
			}
		})
	}
}

// A record without a log_id is known by its bytes, and one of an unknown type or
// source has nothing to tell of it.
func TestShapeLeavesOut(t *testing.T) {
	t.Parallel()
	shape, _ := mustShape(t, map[string]string{"title": "type_title", "cat": "category", "via": "source"}, nil)
	page, err := event.ParsePage([]byte(`{"type":"fp"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := shape(page.Events[0], "poll"); string(got) != `{"type":"fp"}` {
		t.Errorf("a record without a log_id became %s", got)
	}
	if got := shape(event.Event{LogID: "1", Raw: []byte(`{"a":1}`)}, ""); string(got) != `{"a":1}` {
		t.Errorf("of nothing known it made %s", got)
	}
	if shape, growth := mustShape(t, nil, nil); shape != nil || growth != 0 {
		t.Errorf("no fields make a shape that grows by %d", growth)
	}
}

func TestShapeRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields, copies map[string]string
		want           string
	}{
		"name":         {map[string]string{"a b": "tenant"}, nil, "fields: a b: it is no name"},
		"empty name":   {map[string]string{"": "tenant"}, nil, "it is no name"},
		"@ of AWS":     {nil, map[string]string{"@message": "ip"}, "copy: @message: it is no name"},
		"log_id":       {map[string]string{"log_id": "tenant"}, nil, "fields: log_id: the event is read by"},
		"details":      {nil, map[string]string{"details": "ip"}, "the event is read by"},
		"word":         {map[string]string{"a": "level"}, nil, `unknown word "level": known are tenant, type_title, category, severity, source and text: with a text`},
		"wild path":    {nil, map[string]string{"a": "details.*"}, "it is no path"},
		"modified":     {nil, map[string]string{"a": "@ugly"}, "it is no path"},
		"empty path":   {nil, map[string]string{"a": ""}, "it is no path"},
		"name twice":   {map[string]string{"a": "tenant"}, map[string]string{"a": "ip"}, "copy: a: the name stands in fields and in copy"},
		"dot too many": {nil, map[string]string{"a": "details..ip"}, "it is no path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := transform.NewShape("acme", tt.fields, tt.copies); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// checkShaped holds what a shape made of a record against the record: it is valid,
// its own bytes are there as they were, and no name was added that is there.
func checkShaped(raw, got []byte, growth int) error {
	if !json.Valid(got) || utf8.Valid(raw) && !utf8.Valid(got) {
		return fmt.Errorf("it is not valid: %q", got)
	}
	if len(got) > len(raw)+growth {
		return fmt.Errorf("it grew by %d of %d", len(got)-len(raw), growth)
	}
	open := bytes.IndexByte(raw, '{') + 1
	if !bytes.HasPrefix(got, raw[:open]) || !bytes.HasSuffix(got, raw[open:]) {
		return fmt.Errorf("the bytes of the record are not there: %q", got)
	}
	added := gjson.ParseBytes(slices.Concat([]byte("{"), bytes.TrimSuffix(got[open:len(got)-len(raw[open:])], []byte(",")), []byte("}")))
	names := make(map[string]bool)
	for _, record := range []gjson.Result{added, gjson.ParseBytes(raw)} {
		own := make(map[string]bool) // a record may have a name twice itself
		for name := range record.Map() {
			if names[name] {
				return fmt.Errorf("%q is there twice: %q", name, got)
			}
			own[name] = true
		}
		for name := range own {
			names[name] = true
		}
	}
	return nil
}

// TestShapeKeepsTheRecord shapes random records, whose names collide with those
// that are added, also in another spelling.
func TestShapeKeepsTheRecord(t *testing.T) {
	t.Parallel()
	shape, growth := mustShape(t, allFields, allCopies)
	names := []string{`"title"`, `"severity"`, `"\u0073everity"`, `"who"`, `"g.tenant"`, `"user_id"`, `"a"`, `"é"`, `"\\"`, `"Title"`, `"first"`}
	values := []string{`1`, `"x"`, `null`, `{}`, `{"request":{"ip":"\ud83d"}}`, `{"error":{"message":"` + strings.Repeat(`\\`, 200) + `"}}`, `[{"title":1}]`, `"😀"`}
	rapid.Check(t, func(t *rapid.T) {
		var parts []string
		for range rapid.IntRange(0, 8).Draw(t, "members") {
			parts = append(parts, rapid.SampledFrom(names).Draw(t, "name")+rapid.SampledFrom([]string{":", " : "}).Draw(t, "colon")+rapid.SampledFrom(values).Draw(t, "value"))
		}
		parts = append(parts, `"details":`+rapid.SampledFrom(values).Draw(t, "details"))
		raw := []byte("{" + strings.Join(parts, rapid.SampledFrom([]string{",", ", ", ",\n"}).Draw(t, "comma")) + "}")
		got := shape(event.Event{LogID: "1", Type: rapid.String().Draw(t, "type"), Raw: raw}, rapid.String().Draw(t, "source"))
		if err := checkShaped(raw, got, growth); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

// A message is found again by its log_id, whatever was added to it.
func TestShapedEventsKeepTheirID(t *testing.T) {
	t.Parallel()
	shape, _ := mustShape(t, allFields, allCopies)
	for _, raw := range []string{
		`{"log_id":"1","type":"fp","date":"2026-11-23T09:00:00.000Z"}`, `{"_id":"1","type":"fp"}`, `{"log_id":"1","data":{"type":"fp"}}`,
		`{"type":"fp","date":"2026-11-23T09:00:00.000Z","user_id":"x"}`,
	} {
		before, err := event.ParsePage([]byte(raw), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		e := before.Events[0]
		after, err := event.ParsePage(shape(e, "poll"), time.Time{})
		if err != nil || len(after.Events) != 1 || after.Events[0].LogID != e.LogID || !after.Events[0].Date.Equal(e.Date) {
			t.Errorf("%s: %+v became %+v, error %v", raw, e, after.Events, err)
		}
	}
}

func ExampleNewShape() {
	shape, _, err := transform.NewShape("dev-tenant",
		map[string]string{"severity": "severity", "title": "type_title"},
		map[string]string{"request_ip": "details.request.ip"})
	if err != nil {
		panic(err)
	}
	raw := `{"log_id":"1","type":"s","details":{"request":{"ip":"192.0.2.1"}}}`
	fmt.Printf("%s", shape(event.Event{LogID: "1", Type: "s", Raw: []byte(raw)}, "poll"))
	// Output: {"severity":"info","title":"Success Login","request_ip":"192.0.2.1","log_id":"1","type":"s","details":{"request":{"ip":"192.0.2.1"}}}
}

func BenchmarkShape(b *testing.B) {
	raw := []byte(`{"log_id":"90020261123090000000000000000000000000000000000000000000","date":"2026-11-23T09:00:00.000Z","type":"fp","user_id":"auth0|1","ip":"192.0.2.1","user_agent":"` +
		strings.Repeat("x", 120) + `","details":{"request":{"ip":"192.0.2.1","body":"` + strings.Repeat("y", 1000) + `"},"error":{"message":"wrong password"}}}`)
	e := event.Event{LogID: "1", Type: "fp", Raw: raw}
	shape, _ := mustShape(b, allFields, allCopies)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		shape(e, "poll")
	}
}
