package transform_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// shownChange is a RedactChange as text.
type shownChange struct {
	Path, Before, After, Rules string
}

// diffOf redacts a record and shows the places.
func diffOf(tb testing.TB, r *transform.Redactor, raw string, all bool) []shownChange {
	tb.Helper()
	e := parse(tb, raw)
	done, err := r.Redact(e)
	if err != nil {
		tb.Fatal(err)
	}
	var out []shownChange
	for _, c := range done.Diff(e.Raw, all) {
		x := shownChange{Path: c.Path, Before: string(c.Before), After: string(c.After)}
		if c.Key {
			x.Path += " (name)"
		}
		if c.After == nil {
			x.After = "gone"
		}
		for _, s := range c.Spans {
			x.Rules += s.Rule + ":" + string(c.Before[s.From:s.To]) + ">" + string(c.After[s.NewFrom:s.NewTo]) + ";"
		}
		out = append(out, x)
	}
	return out
}

func TestRedactionDiff(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{
		{Name: "drop", Paths: []string{"..gone", "list[1]"}, Action: "drop"},
		{Name: "mail", Kinds: []string{"email"}, Keys: true, Action: "mask"},
		{Name: "put", Paths: []string{"..put"}, Action: "replace", With: "x"},
	}})
	for name, c := range map[string]struct {
		raw  string
		all  bool
		want []shownChange
	}{
		"nothing":           {raw: `{"a":1,"b":[{}]}`},
		"all of nothing":    {raw: `{ "a": 1.0 ,"b":[{},[] , null],"c":true}`, all: true, want: []shownChange{{"a", "1.0", "1.0", ""}, {"b[0]", "{}", "{}", ""}, {"b[1]", "[]", "[]", ""}, {"b[2]", "null", "null", ""}, {"c", "true", "true", ""}}},
		"first member":      {raw: `{"gone":{"a":[1,"}"]} , "b":1}`, all: true, want: []shownChange{{"gone", `{"a":[1,"}"]}`, "gone", `drop:{"a":[1,"}"]}>;`}, {"b", "1", "1", ""}}},
		"last members":      {raw: `{"b":1 , "gone":-2,"gone" : "x" }`, want: []shownChange{{"gone", `-2`, "gone", `drop:-2>;`}, {"gone", `"x"`, "gone", `drop:"x">;`}}},
		"all members":       {raw: `{"gone":1,"gone":2}`, want: []shownChange{{"gone", `1`, "gone", `drop:1>;`}, {"gone", `2`, "gone", `drop:2>;`}}},
		"an element":        {raw: `{"list":[1,{"a":2},3]}`, want: []shownChange{{"list[1]", `{"a":2}`, "null", `drop:{"a":2}>null;`}}},
		"a whole object":    {raw: `{"a":{"put":{"b":[1]}},"c":"ann@example.com"}`, want: []shownChange{{"a.put", `{"b":[1]}`, `"x"`, `put:{"b":[1]}>"x";`}, {"c", `"ann@example.com"`, `"a***@example.com"`, `mail:ann@example.com>a***@example.com;`}}},
		"pieces of a text":  {raw: `{"a":"to ann@example.com, and bob@example.com!","put":"p"}`, want: []shownChange{{"a", `"to ann@example.com, and bob@example.com!"`, `"to a***@example.com, and b***@example.com!"`, `mail:ann@example.com>a***@example.com;mail:bob@example.com>b***@example.com;`}, {"put", `"p"`, `"x"`, `put:p>x;`}}},
		"a name":            {raw: `{"ann@example.com":{"put":1}}`, want: []shownChange{{`"ann@example.com" (name)`, `"ann@example.com"`, `"a***@example.com"`, `mail:ann@example.com>a***@example.com;`}, {`"ann@example.com".put`, "1", `"x"`, `put:1>"x";`}}},
		"odd names":         {raw: `{"a b":{"":{"x\u0022":{"put":"y"}}}}`, want: []shownChange{{`"a b"."".` + `"x\u0022".put`, `"y"`, `"x"`, `put:y>x;`}}},
		"JSON in a string":  {raw: `{"b":"{\"put\":\"y\",\"gone\":1}"}`, want: []shownChange{{"b", `"{\"put\":\"y\",\"gone\":1}"`, `"{\"put\":\"x\"}"`, `put:y>x;drop:,\"gone\":1>;`}}},
		"behind what grows": {raw: `{"put":1,"z":"ann@example.com","y":2}`, all: true, want: []shownChange{{"put", "1", `"x"`, `put:1>"x";`}, {"z", `"ann@example.com"`, `"a***@example.com"`, `mail:ann@example.com>a***@example.com;`}, {"y", "2", "2", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(c.want, diffOf(t, r, c.raw, c.all)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestRedactionDiffIsWhole holds, for real records and any rules: each hit is told
// once, and what lies outside the spans of a place is the same before and after.
func TestRedactionDiffIsWhole(t *testing.T) {
	t.Parallel()
	records := samples(t)
	paths := []string{"..email", "..user_name", "details.request", "..*[0]", "*", "details..*", "user_agent", "details.request.auth..scopes[*]", "..name"}
	rapid.Check(t, func(rt *rapid.T) {
		var rules []transform.RedactRule
		for _, action := range []string{"drop", "mask", "replace", "truncate"} {
			rules = append(rules,
				transform.RedactRule{Name: action, Paths: rapid.SliceOfN(rapid.SampledFrom(paths), 1, 3).Draw(rt, action), Action: action, Length: 2},
				transform.RedactRule{Name: action + " kinds", Kinds: rapid.SliceOfN(rapid.SampledFrom(transform.RedactKinds()), 1, 3).Draw(rt, action+" kinds"), Keys: true, Action: action, Length: 2})
		}
		first := rapid.IntRange(0, len(rules)-1).Draw(rt, "first")
		r := newRedactor(t, transform.RedactConfig{Rules: rules[first:]})
		e, err := event.Parse(rapid.SampledFrom(records).Draw(rt, "record"), day)
		if err != nil {
			rt.Skip()
		}
		done, err := r.Redact(e)
		if err != nil {
			rt.Skip()
		}
		spans := 0
		for _, c := range done.Diff(e.Raw, true) {
			spans += len(c.Spans)
			checkChange(rt, c)
		}
		if spans != len(done.Hits) {
			rt.Fatalf("%d spans of %d hits in\n%s\n%s", spans, len(done.Hits), e.Raw, done.Raw)
		}
	})
}

// checkChange holds a place to what it says of itself.
func checkChange(rt *rapid.T, c transform.RedactChange) {
	if _, err := event.ParsePath(c.Path); err != nil {
		rt.Fatalf("%q is no path: %v", c.Path, err)
	}
	if c.After == nil {
		return
	}
	at, newAt := 0, 0
	for _, s := range append(c.Spans, transform.RedactSpan{From: len(c.Before), To: len(c.Before), NewFrom: len(c.After), NewTo: len(c.After)}) {
		if string(c.Before[at:s.From]) != string(c.After[newAt:s.NewFrom]) {
			rt.Fatalf("%s: %q became %q, with %+v", c.Path, c.Before, c.After, c.Spans)
		}
		at, newAt = s.To, s.NewTo
	}
}
