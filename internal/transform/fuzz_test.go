package transform_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// FuzzRoute holds that a template which is taken makes names of bounded length in
// which the event stays within its place.
func FuzzRoute(f *testing.F) {
	f.Add("/auth0/{tenant}", "{date}/{category}", "fp", int64(1_795_424_400))
	f.Add("{type}", "{", "../b:*\n\x1b[31m", int64(0))
	f.Add("}{type}", "a{b{type}}", strings.Repeat("\xff", 600), int64(-1<<62))
	f.Fuzz(func(t *testing.T, group, stream, typ string, at int64) {
		route, fixed, err := transform.NewRoute("acme", group, stream)
		if err != nil {
			return
		}
		e := event.Event{Type: typ, Date: time.Unix(at, 0)}
		d := route(e)
		if utf8.RuneCountInString(d.LogGroup) > 512 || utf8.RuneCountInString(d.LogStream) > 512 || d.LogGroup == "" || d.LogStream == "" {
			t.Errorf("destination %q", d)
		}
		if fixed && d != route(event.Event{}) {
			t.Errorf("%q, %q is said to be fixed, and is not", group, stream)
		}
		odd := func(s string) bool { return strings.ContainsAny(s, ":*\n\x1b") || !utf8.ValidString(s) }
		if !odd(group+stream) && odd(d.LogGroup+d.LogStream) {
			t.Errorf("%q leaves its place: %q", typ, d)
		}
	})
}
