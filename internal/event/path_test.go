package event_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	name := func(n string) event.Step { return event.Step{Name: n} }
	for text, want := range map[string]event.Path{
		"user_name":               {name("user_name")},
		"details.request.body":    {name("details"), name("request"), name("body")},
		"details..email":          {name("details"), {Deep: true, Name: "email"}},
		"..email":                 {{Deep: true, Name: "email"}},
		"$..email":                {{Deep: true, Name: "email"}},
		"$.a":                     {name("a")},
		"$event_schema.version":   {name("$event_schema"), name("version")},
		"a.*.b":                   {name("a"), {Kind: event.AnyStep}, name("b")},
		"..*":                     {{Deep: true, Kind: event.AnyStep}},
		"a[0].b":                  {name("a"), {Kind: event.IndexStep}, name("b")},
		"a[*][12]":                {name("a"), {Kind: event.AnyElementStep}, {Kind: event.IndexStep, Index: 12}},
		"a..[1]":                  {name("a"), {Deep: true, Kind: event.IndexStep, Index: 1}},
		`a."x.y"`:                 {name("a"), name("x.y")},
		`a["x.y"].z`:              {name("a"), name("x.y"), name("z")},
		`["https://e.com/roles"]`: {name("https://e.com/roles")},
		`"em\u0061il"`:            {name("email")},
		"x-forwarded-for":         {name("x-forwarded-for")},
	} {
		got, err := event.ParsePath(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestParsePathPointsAtWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":       "\n^",
		"a.":     "a.\n  ^",
		".a":     ".a\n^",
		"a...b":  "a...b\n   ^",
		"a b":    "a b\n ^",
		"a[x]":   "a[x]\n  ^",
		"a[-1]":  "a[-1]\n  ^",
		"a[0":    "a[0\n ^",
		`a."b`:   "a.\"b\n  ^",
		`a["b"`:  "a[\"b\"\n     ^",
		`"a"b`:   "\"a\"b\n   ^",
		"a*":     "a*\n ^",
		"ü.b*":   "ü.b*\n   ^",
		"a[0]b":  "a[0]b\n    ^",
		`"\x".a`: "\"\\x\".a\n^",
		"a..":    "a..\n   ^",
		"$":      "$\n ^",
		"a]":     "a]\n ^",
	} {
		_, err := event.ParsePath(text)
		e, ok := errors.AsType[*event.PathError](err)
		if !ok {
			t.Errorf("%q: error %v, want a *PathError", text, err)
			continue
		}
		if diff := cmp.Diff(want, e.Caret()); diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add(`details..email[0]["a"].*`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := event.ParsePath(text)
		if e, ok := errors.AsType[*event.PathError](err); ok {
			_ = e.Caret()
		} else if err != nil || len(p) == 0 {
			t.Errorf("%q: path %v, error %v", text, p, err)
		}
	})
}
