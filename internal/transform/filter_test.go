package transform_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// parse reads an event.
func parse(tb rapid.TB, raw string) event.Event {
	tb.Helper()
	e, err := event.Parse([]byte(raw), time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// coded makes an event of a type.
func coded(tb rapid.TB, code string) event.Event {
	tb.Helper()
	return parse(tb, fmt.Sprintf(`{"log_id":"900","date":"2026-11-23T10:00:00.000Z","type":%q,"client_id":"abc"}`, code))
}

// filter compiles rules.
func filter(tb rapid.TB, r transform.FilterRules) *transform.Filter {
	tb.Helper()
	f, err := transform.NewFilter(r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// extensionType is what the data file of the catalogue says of an event code.
type extensionType struct {
	Code   string `json:"code"`
	Level  int    `json:"extension_level"`
	Status string `json:"status"`
}

// extensionTypes reads the data file that the catalogue is made from.
func extensionTypes(t *testing.T) []extensionType {
	t.Helper()
	data, err := os.ReadFile("../event/gen/event-types.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []extensionType
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// extensionSent is what Auth0's ended extension asked the tenant for: the types of
// LOG_TYPES together with those that its own table has at LOG_LEVEL or above, and
// everything when that is nothing. Its settings were texts, so "0" was a level too.
func extensionSent(all []extensionType, logLevel string, logTypes []string) func(code string) bool {
	ask := slices.Clone(logTypes)
	for _, t := range all {
		if logLevel != "" && t.Level != 0 && t.Level >= int(logLevel[0]-'0') {
			ask = append(ask, t.Code)
		}
	}
	return func(code string) bool { return len(ask) == 0 || slices.Contains(ask, code) }
}

// TestFilterIsTheOldExtensions goes over every event code of the catalogue with
// every LOG_LEVEL and several LOG_TYPES. What the extension sent is kept; what it did
// not send is left out, but for the codes that its table did not have, which it lost in
// silence as soon as a level was set.
func TestFilterIsTheOldExtensions(t *testing.T) {
	t.Parallel()
	all := extensionTypes(t)
	lists := [][]string{nil, {"s"}, {"f", "fp", "fu"}, {"sapi", "api_limit"}, {"too_many_records"}, {"ciba_start_failed", "s"}}
	for _, logLevel := range []string{"", "0", "1", "2", "3", "4"} {
		for _, logTypes := range lists {
			rules := transform.FilterRules{Types: transform.Selection{Allow: logTypes}}
			if logLevel != "" {
				rules.MinLevel = new(int(logLevel[0] - '0'))
			}
			f, sent := filter(t, rules), extensionSent(all, logLevel, logTypes)
			lost, documented := 0, 0
			for _, x := range all {
				_, v := f.Apply(coded(t, x.Code))
				want := sent(x.Code)
				if logLevel != "" && x.Level == 0 && !want {
					want = true
					lost++
					if x.Status == "documented" {
						documented++
					}
				}
				if v.Skip == want {
					t.Errorf("LOG_LEVEL %q, LOG_TYPES %q, %s of level %d: skip %t for %q", logLevel, logTypes, x.Code, x.Level, v.Skip, v.Reason)
				}
			}
			if logLevel != "" && logTypes == nil && (lost != 88 || documented != 80) {
				t.Errorf("LOG_LEVEL %s: %d codes, %d of them documented, are kept that the extension lost; want 88 and 80", logLevel, lost, documented)
			}
		}
	}
}

// Codes that nobody knows are kept by a level, and left out by a list of codes.
func TestFilterOfUnknownTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules transform.FilterRules
		want  string
	}{
		"level":             {transform.FilterRules{MinLevel: new(4)}, ""},
		"level and types":   {transform.FilterRules{MinLevel: new(4), Types: transform.Selection{Allow: []string{"s"}}}, ""},
		"types":             {transform.FilterRules{Types: transform.Selection{Allow: []string{"s"}}}, transform.ReasonTypeNotAllowed},
		"types by glob":     {transform.FilterRules{Types: transform.Selection{Allow: []string{"brand_*"}}}, ""},
		"denied by glob":    {transform.FilterRules{Types: transform.Selection{Deny: []string{"*_failed"}}}, transform.ReasonTypeDenied},
		"category":          {transform.FilterRules{Categories: transform.Selection{Allow: []string{"auth.*"}}}, ""},
		"category denied":   {transform.FilterRules{Categories: transform.Selection{Deny: []string{"*"}}}, ""},
		"severity":          {transform.FilterRules{Severities: transform.Selection{Allow: []string{"critical"}}}, ""},
		"severity denied":   {transform.FilterRules{Severities: transform.Selection{Deny: []string{"*"}}}, ""},
		"and an expression": {transform.FilterRules{MinLevel: new(4), Expression: `severity(event.type) != "error"`}, transform.ReasonExpression},
	} {
		if _, v := filter(t, c.rules).Apply(coded(t, "brand_new_failed")); v.Reason != c.want || v.Skip != (c.want != "") {
			t.Errorf("%s: %+v, want %q", name, v, c.want)
		}
	}
	// In the catalogue, and of no group of Auth0's.
	f := filter(t, transform.FilterRules{Categories: transform.Selection{Allow: []string{"auth.*"}}})
	if _, v := f.Apply(coded(t, "too_many_records")); v.Skip {
		t.Errorf("a code without a category is left out: %+v", v)
	}
	if x := f.Explain(coded(t, "too_many_records")); !x.Kept || !strings.Contains(x.Words, "the catalogue knows no category") {
		t.Errorf("%+v", x)
	}
}

func TestFilterSelects(t *testing.T) {
	t.Parallel()
	const e = `{"log_id":"900","type":"fp","date":"2026-11-23T10:00:00.000Z","client_id":"abc","client_name":"My \u0041pp",` +
		`"connection":"Users","connection_id":"con_1","organization_id":"org_1","organization_name":"acme"}`
	const bare = `{"log_id":"900","type":"fp","date":"2026-11-23T10:00:00.000Z","client_id":"","client_name":null,"connection":{"a":1}}`
	allow := func(globs ...string) transform.Selection { return transform.Selection{Allow: globs} }
	deny := func(globs ...string) transform.Selection { return transform.Selection{Deny: globs} }
	for name, c := range map[string]struct {
		raw   string
		rules transform.FilterRules
		want  string
		words string
	}{
		"nothing":              {e, transform.FilterRules{}, "", ""},
		"type":                 {e, transform.FilterRules{Types: allow("f?")}, "", ""},
		"another type":         {e, transform.FilterRules{Types: allow("s*", "fpx")}, transform.ReasonTypeNotAllowed, `nothing in types.allow matches its type "fp"`},
		"case of a type":       {e, transform.FilterRules{Types: allow("FP")}, transform.ReasonTypeNotAllowed, `nothing in types.allow matches its type "fp"`},
		"deny wins":            {e, transform.FilterRules{Types: transform.Selection{Allow: []string{"fp"}, Deny: []string{"f*"}}}, transform.ReasonTypeDenied, `its type "fp" is in types.deny ("f*")`},
		"deny wins over level": {e, transform.FilterRules{MinLevel: new(1), Types: deny("fp")}, transform.ReasonTypeDenied, `its type "fp" is in types.deny ("fp")`},
		"level":                {e, transform.FilterRules{MinLevel: new(3)}, "", ""},
		"below the level":      {e, transform.FilterRules{MinLevel: new(4)}, transform.ReasonBelowMinLevel, `the level 3 of its type "fp" is below min_level 4`},
		"below, and not named": {e, transform.FilterRules{MinLevel: new(4), Types: allow("s")}, transform.ReasonBelowMinLevel, `the level 3 of its type "fp" is below min_level 4, and nothing in types.allow matches it`},
		"below, and named":     {e, transform.FilterRules{MinLevel: new(4), Types: allow("fp")}, "", ""},
		"category":             {e, transform.FilterRules{Categories: allow("auth.login.*")}, "", ""},
		"another category":     {e, transform.FilterRules{Categories: allow("management.*")}, transform.ReasonCategoryNotAllowed, `nothing in categories.allow matches the category "auth.login.fail" of its type "fp"`},
		"category denied":      {e, transform.FilterRules{Categories: deny("*.fail")}, transform.ReasonCategoryDenied, `the category "auth.login.fail" of its type "fp" is in categories.deny ("*.fail")`},
		"severity":             {e, transform.FilterRules{Severities: allow("error", "critical")}, "", ""},
		"another severity":     {e, transform.FilterRules{Severities: allow("critical")}, transform.ReasonSeverityNotAllowed, `nothing in severities.allow matches the severity "error" of its type "fp"`},
		"severity denied":      {e, transform.FilterRules{Severities: deny("error")}, transform.ReasonSeverityDenied, `the severity "error" of its type "fp" is in severities.deny ("error")`},
		"client by id":         {e, transform.FilterRules{Clients: allow("abc")}, "", ""},
		"client by name":       {e, transform.FilterRules{Clients: allow("My App")}, "", ""},
		"another client":       {e, transform.FilterRules{Clients: allow("My app")}, transform.ReasonClientNotAllowed, `nothing in clients.allow matches its client_id "abc" or client_name "My App"`},
		"client denied":        {e, transform.FilterRules{Clients: transform.Selection{Allow: []string{"abc"}, Deny: []string{"My *"}}}, transform.ReasonClientDenied, `its client_name "My App" is in clients.deny ("My *")`},
		"connection":           {e, transform.FilterRules{Connections: allow("Users")}, "", ""},
		"connection by id":     {e, transform.FilterRules{Connections: allow("con_*")}, "", ""},
		"another connection":   {e, transform.FilterRules{Connections: allow("x")}, transform.ReasonConnectionNotAllowed, `nothing in connections.allow matches its connection "Users" or connection_id "con_1"`},
		"connection denied":    {e, transform.FilterRules{Connections: deny("con_1")}, transform.ReasonConnectionDenied, `its connection_id "con_1" is in connections.deny ("con_1")`},
		"organisation":         {e, transform.FilterRules{Organizations: allow("acme")}, "", ""},
		"another organisation": {e, transform.FilterRules{Organizations: allow("org_2")}, transform.ReasonOrganizationNotAllowed, `nothing in organizations.allow matches its organization_id "org_1" or organization_name "acme"`},
		"organisation denied":  {e, transform.FilterRules{Organizations: deny("org_?")}, transform.ReasonOrganizationDenied, `its organization_id "org_1" is in organizations.deny ("org_?")`},
		"all must pass":        {e, transform.FilterRules{Types: allow("fp"), Clients: allow("abc"), Organizations: allow("x")}, transform.ReasonOrganizationNotAllowed, `nothing in organizations.allow matches its organization_id "org_1" or organization_name "acme"`},
		"expression":           {e, transform.FilterRules{Expression: `event.client_name == "My App"`}, "", ""},
		"expression is false":  {e, transform.FilterRules{Expression: `event.type != "fp"`}, transform.ReasonExpression, "the expression is false"},
		"lists and expression": {e, transform.FilterRules{Clients: allow("x"), Expression: "true"}, transform.ReasonClientNotAllowed, `nothing in clients.allow matches its client_id "abc" or client_name "My App"`},

		"no client":          {bare, transform.FilterRules{Clients: allow("*")}, transform.ReasonClientNotAllowed, "it has no client_id and no client_name, so nothing in clients.allow matches it"},
		"no client, denied":  {bare, transform.FilterRules{Clients: deny("*")}, "", ""},
		"no organisation":    {bare, transform.FilterRules{Organizations: allow("*")}, transform.ReasonOrganizationNotAllowed, "it has no organization_id and no organization_name, so nothing in organizations.allow matches it"},
		"connection no text": {bare, transform.FilterRules{Connections: allow("*")}, transform.ReasonConnectionNotAllowed, "it has no connection and no connection_id, so nothing in connections.allow matches it"},
		"no client by word":  {bare, transform.FilterRules{Expression: `event.client_id == ""`}, "", ""},
		"no type":            {`{"log_id":"900","a":1}`, transform.FilterRules{Types: allow("*")}, transform.ReasonTypeNotAllowed, "it has no type, so nothing in types.allow matches it"},
		"no type, denied":    {`{"log_id":"900","a":1}`, transform.FilterRules{Types: deny("*")}, "", ""},
		"no type, level":     {`{"log_id":"900","a":1}`, transform.FilterRules{MinLevel: new(4)}, "", `its type "" has no level, and min_level therefore lets it through`},
		"twice, the first":   {`{"log_id":"900","type":"s","client_id":"a","client_id":"b"}`, transform.FilterRules{Clients: allow("a")}, "", ""},
		"twice, the other":   {`{"log_id":"900","type":"s","client_id":"a","client_id":"b"}`, transform.FilterRules{Clients: deny("b")}, "", ""},
		"an escaped key":     {`{"log_id":"900","type":"s","client\u005fid":"a"}`, transform.FilterRules{Clients: allow("a")}, "", ""},
		"a number as a name": {`{"log_id":"900","type":"s","client_name":42}`, transform.FilterRules{Clients: allow("42")}, "", ""},
		"deeper down":        {`{"log_id":"900","type":"s","details":{"client_id":"a"}}`, transform.FilterRules{Clients: deny("a")}, "", ""},
		"in its envelope":    {`{"log_id":"900","data":{"type":"s","date":"2026-11-23T10:00:00.000Z","client_id":"a"}}`, transform.FilterRules{Clients: deny("a")}, transform.ReasonClientDenied, `its client_id "a" is in clients.deny ("a")`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, e := filter(t, c.rules), parse(t, c.raw)
			out, v := f.Apply(e)
			if d := cmp.Diff(pipeline.Verdict{Skip: c.want != "", Reason: c.want}, v); d != "" {
				t.Errorf("verdict (-want +got):\n%s", d)
			}
			if d := cmp.Diff(e, out); d != "" {
				t.Errorf("the event is another one (-want +got):\n%s", d)
			}
			if d := cmp.Diff(transform.Explanation{Kept: c.want == "", Reason: c.want, Words: c.words}, f.Explain(e)); d != "" {
				t.Errorf("explanation (-want +got):\n%s", d)
			}
		})
	}
}

// An event on which the expression fails is kept, told of, and explained.
func TestFilterKeepsWhereTheExpressionFails(t *testing.T) {
	t.Parallel()
	var told []string
	f, err := transform.NewFilter(transform.FilterRules{Expression: `event.details.request.method == "POST"`}, func(e event.Event, err error) {
		told = append(told, e.LogID+": "+err.Error())
	})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]pipeline.Verdict{
		`{"log_id":"1","type":"sapi","details":{"request":{"method":"POST"}}}`: {},
		`{"log_id":"2","type":"sapi","details":{"request":{"method":"GET"}}}`:  {Skip: true, Reason: transform.ReasonExpression},
		`{"log_id":"3","type":"s","details":{"secret":"x"}}`:                   {},
	} {
		if _, v := f.Apply(parse(t, raw)); v != want {
			t.Errorf("%s: %+v", raw, v)
		}
	}
	if d := cmp.Diff([]string{"3: the expression failed at line 1, column 23"}, told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
	x := f.Explain(parse(t, `{"log_id":"3","type":"s","details":{}}`))
	if want := "it is kept because the expression failed at line 1, column 23: cannot fetch method from <nil>"; !x.Kept || x.Words != want {
		t.Errorf("%+v", x)
	}
	if len(told) != 1 {
		t.Error("an explanation counts as a failure")
	}
}

func TestFilterRulesThatAreRefused(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]transform.FilterRules{
		`types.allow: pattern "": it is empty`:                    {Types: transform.Selection{Allow: []string{"f", ""}}},
		`organizations.deny: pattern " x"`:                        {Organizations: transform.Selection{Deny: []string{" x"}}},
		"min_level is not from 0 to 4":                            {MinLevel: new(5)},
		"expression: unknown name evnt (line 1, column 1)":        {Expression: "evnt.type == 's'"},
		`severities.deny: pattern "\\": it ends with a backslash`: {Severities: transform.Selection{Deny: []string{`\`}}},
	} {
		if _, err := transform.NewFilter(r, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if r := (transform.FilterRules{}); !r.Empty() {
		t.Error("rules without any rule are not empty")
	}
	if r := (transform.FilterRules{Connections: transform.Selection{Deny: []string{"x"}}}); r.Empty() {
		t.Error("a rule is overlooked")
	}
}

// TestFilterProperties holds for any rules: what is explained is what is done, the
// same event always has the same answer, one more pattern to deny keeps no event more
// and one more to allow keeps none less.
func TestFilterProperties(t *testing.T) {
	t.Parallel()
	codes := []string{"", "s", "f", "fp", "sapi", "limit_wc", "too_many_records", "brand_new"}
	patterns := rapid.SliceOfN(rapid.SampledFrom([]string{"*", "f*", "?", "s", "a", "b", "*i*", "auth.*", "error"}), 0, 2)
	selection := func(rt *rapid.T, name string) transform.Selection {
		return transform.Selection{Allow: patterns.Draw(rt, name+" allow"), Deny: patterns.Draw(rt, name+" deny")}
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := transform.FilterRules{
			Types: selection(rt, "types"), Categories: selection(rt, "categories"), Severities: selection(rt, "severities"),
			Clients: selection(rt, "clients"), Organizations: selection(rt, "organizations"),
		}
		if n := rapid.IntRange(-1, 4).Draw(rt, "level"); n >= 0 {
			r.MinLevel = &n
		}
		r.Expression = rapid.SampledFrom([]string{"", "event.client_id != 'b'", "event.details.x == 1"}).Draw(rt, "expression")
		denies, allows := r, r
		denies.Clients.Deny = append(slices.Clone(r.Clients.Deny), "a")
		allows.Clients.Allow = append(slices.Clone(r.Clients.Allow), "a")
		f, fd, fa := filter(rt, r), filter(rt, denies), filter(rt, allows)
		kept, skipped := 0, map[string]int{}
		const events = 20
		for range events {
			e := parse(rt, fmt.Sprintf(`{"log_id":"1","type":%q,"client_id":%q,"organization_name":%q}`, rapid.SampledFrom(codes).Draw(rt, "type"),
				rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "client"), rapid.SampledFrom([]string{"", "a"}).Draw(rt, "organisation")))
			out, v := f.Apply(e)
			if v.Skip {
				skipped[v.Reason]++
			} else {
				kept++
			}
			if x := f.Explain(e); x.Kept == v.Skip || x.Reason != v.Reason || v.Skip && x.Words == "" {
				rt.Errorf("%s: done %+v, explained %+v", e.Raw, v, x)
			}
			if _, again := f.Apply(out); again != v || string(out.Raw) != string(e.Raw) {
				rt.Errorf("%s: %+v, then %+v", e.Raw, v, again)
			}
			if _, d := fd.Apply(e); v.Skip && !d.Skip {
				rt.Errorf("%s is kept because more is denied", e.Raw)
			}
			if _, a := fa.Apply(e); !v.Skip && a.Skip && len(r.Clients.Allow) > 0 {
				rt.Errorf("%s is left out because more is allowed: %+v", e.Raw, a)
			}
		}
		for reason, n := range skipped {
			kept += n
			if reason == "" {
				rt.Error("an event is left out without a reason")
			}
		}
		if kept != events {
			rt.Errorf("%d events are kept or counted, of %d", kept, events)
		}
	})
}

func ExampleFilter_Explain() {
	f, err := transform.NewFilter(transform.FilterRules{Types: transform.Selection{Deny: []string{"s*"}}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := event.Parse([]byte(`{"log_id":"1","type":"sapi"}`), time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	x := f.Explain(e)
	fmt.Println(x.Kept, x.Reason)
	fmt.Println(x.Words)
	// Output:
	// false type_denied
	// its type "sapi" is in types.deny ("s*")
}

// TestReasonsAreDocumented holds that docs/rules.md names each reason that is counted.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("filter.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`(?m)^\tReason\w+ += "(\w+)"`).FindAllSubmatch(source, -1)
	if len(reasons) != 14 {
		t.Errorf("%d reasons are found", len(reasons))
	}
	for _, m := range reasons {
		if !strings.Contains(string(page), "`"+string(m[1])+"`") {
			t.Errorf("%s is not documented", m[1])
		}
	}
}
