package transform_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// FuzzRoute holds that a template which is taken makes names of bounded length in
// which the event stays within its place, and a bounded number of them.
func FuzzRoute(f *testing.F) {
	f.Add("/auth0/{tenant}", "{date}/{category}", "fp", int64(1_795_424_400), []byte(`{"client_id":"a"}`))
	f.Add("{type}", "{", "../b:*\n\x1b[31m", int64(0), []byte(`{`))
	f.Add("}{type}", "a{b{type}}", strings.Repeat("\xff", 600), int64(-1<<62), []byte(nil))
	f.Add("{client}/{organization}", "{connection}", "s", int64(1), []byte(`{"client_id":"aws","organization_id":"..","connection":"\u0000*"}`))
	f.Fuzz(func(t *testing.T, group, stream, typ string, at int64, raw []byte) {
		routes, err := transform.NewRoutes("acme", group, stream, 2)
		if err != nil {
			return
		}
		e := event.Event{Type: typ, Date: time.Unix(at, 0), Raw: raw}
		d := routes.Route(e)
		if utf8.RuneCountInString(d.LogGroup) > 512 || utf8.RuneCountInString(d.LogStream) > 512 || d.LogGroup == "" || d.LogStream == "" {
			t.Errorf("destination %q", d)
		}
		if routes.Fixed() && d != routes.Route(event.Event{}) {
			t.Errorf("%q, %q is said to be fixed, and is not", group, stream)
		}
		odd := func(s string) bool { return strings.ContainsAny(s, ":*\n\x1b") || !utf8.ValidString(s) }
		if !odd(group+stream) && odd(d.LogGroup+d.LogStream) {
			t.Errorf("%q leaves its place: %q", typ, d)
		}
		slashes := func(s string) int { return strings.Count(s, "/") }
		if len(group+stream) < 100 && slashes(group+stream) != slashes(d.LogGroup+d.LogStream) {
			t.Errorf("%q adds a slash to %q: %q", e.Raw, group+" "+stream, d)
		}
		if strings.HasPrefix(d.LogGroup, "aws/") && !strings.HasPrefix(strings.ToLower(group), "aws/") {
			t.Errorf("%q becomes %q", group, d.LogGroup)
		}
		if again := routes.Route(e); again != d {
			t.Errorf("the same event goes to %q, then to %q", d, again)
		}
	})
}

// FuzzShape holds that a shape keeps the bytes of every record, whatever is in them,
// and adds no name that is there.
func FuzzShape(f *testing.F) {
	shape, growth, err := transform.NewShape("acme", allFields, allCopies)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"log_id":"1","severity":1,"details":{"request":{"ip":"\ud83d\ude00"}}}`), "fp", "poll")
	f.Add([]byte(" {\n} "), "", "")
	f.Add([]byte(`{"a":`), "\xff", "\n\"")
	f.Add([]byte(`{"details":{"error":{"message":"`+strings.Repeat(`\ud83d\ude00`, 60)+`"}},"\u0065rror":2}`), "fp", "poll")
	f.Fuzz(func(t *testing.T, raw []byte, typ, source string) {
		before := bytes.Clone(raw)
		got := shape(event.Event{LogID: "1", Type: typ, Raw: raw}, source)
		if !bytes.Equal(before, raw) {
			t.Fatalf("the event was written to: %q became %q", before, raw)
		}
		if !json.Valid(raw) {
			open := bytes.IndexByte(raw, '{') + 1
			if !bytes.HasPrefix(got, raw[:open]) || !bytes.HasSuffix(got, raw[open:]) {
				t.Fatalf("%q became %q", raw, got)
			}
			return
		}
		if bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
			if !bytes.Equal(raw, got) {
				t.Fatalf("%q, which is no object, became %q", raw, got)
			}
			return
		}
		if err := checkShaped(raw, got, growth); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}
