package stack

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

// began is when the tests' events happen.
var began = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

// records returns records as gapless writes them: Auth0's samples, and what the
// emulated tenant makes, with one of each type at least.
func records(t *testing.T) []event.Event {
	t.Helper()
	data, err := os.ReadFile("../../event/testdata/samples.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	raw := strings.Split(strings.TrimSpace(string(data)), "\n")
	g, err := tenant.NewGenerator(tenant.GeneratorOptions{Seed: 7, Quirks: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range g.EachType(began) {
		raw = append(raw, string(e))
	}
	for i := range 800 {
		raw = append(raw, string(g.Next(began.Add(time.Minute+time.Duration(i)*time.Second))))
	}
	events := make([]event.Event, 0, len(raw))
	for _, r := range raw {
		e, err := event.Parse([]byte(r), began)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// flatten adds the paths of a value as Logs Insights names them: dots, and places in
// arrays.
func flatten(v any, path string, out map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			flatten(inner, strings.TrimPrefix(path+"."+k, "."), out)
		}
	case []any:
		for i, inner := range v {
			flatten(inner, path+"."+strconv.Itoa(i), out)
		}
	default:
		out[path] = v
	}
}

// flat is the record of an event, flat.
func flat(t *testing.T, e event.Event) map[string]any {
	t.Helper()
	var v any
	if err := json.Unmarshal(e.Raw, &v); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	flatten(v, "", out)
	return out
}

// documented are fields that no sample has, and where they are known from.
func documented() map[string]string {
	return map[string]string{
		"location_info.country_code": "Log of Auth0's OpenAPI document of the Management API",
		"gapless.trimmed.bytes":      "package cloudwatch, trim.go",
		"gapless.trimmed.paths.0":    "package cloudwatch, trim.go",
		"@timestamp":                 "system field", "@ingestionTime": "system field", "@logStream": "system field", "@message": "system field",
	}
}

func TestSavedQueriesAreLogsInsights(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, e := range records(t) {
		for path := range flat(t, e) {
			known[path] = true
		}
	}
	titles := map[string]bool{}
	for _, q := range SavedQueries() {
		parsed, err := parseInsights(q.Text)
		if err != nil {
			t.Errorf("%s: %v\n%s", q.Title, err, q.Text)
			continue
		}
		for _, f := range parsed.fields {
			if !known[f] && documented()[f] == "" {
				t.Errorf("%s: no record has %s", q.Title, f)
			}
		}
		for _, code := range parsed.codes {
			if !event.Lookup(code).Known {
				t.Errorf("%s: the catalogue has no type %q", q.Title, code)
			}
		}
		if n := len([]rune(q.Text)); n > 10000 {
			t.Errorf("%s: %d characters, AWS takes 10,000", q.Title, n)
		}
		if titles[q.Title] || !regexp.MustCompile(`^[A-Z][A-Za-z -]+(, [a-z ]+)?$`).MatchString(q.Title) || !strings.ContainsAny(q.When, "?") {
			t.Errorf("%s: the title is taken or odd, or it is not said when to use it: %q", q.Title, q.When)
		}
		titles[q.Title] = true
	}
	for f := range documented() {
		if known[f] {
			t.Errorf("%s is in records: it needs no document", f)
		}
	}
}

// TestInsightsReaderRefuses shows that the reader of the test above sees what is wrong.
func TestInsightsReaderRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `filter`, `filter type in ["s"`, `filter type in ["s" | limit 3`, `filter type = "s`, `filter type like s`, `filter (type = "s"`,
		`filter type = "s" limit 5`, `filters type = "s"`, `fields @timestamp,`, `fields upper(type)`, `fields count(*)`, `stats type by ip`,
		`stats count(*) as failed, type`, `stats count(*) as Failed by ip`, `stats count(*) by ip | sort failed desc`,
		`stats count(*) as n by ip | fields type`, `stats count(*) as n by ip, bin(3x)`, `sort ip`, `sort by ip desc`, `limit 0`, `limit 10001`,
		`parse @message "a"`, `parse @message /a(.*)/`, `parse @message /a(?<b>/`, `stats count(* as n`, `filter type = "s" |`, `| limit 5`,
		"filter type = \"s\"\nlimit 5", `filter ispresent(type`, `filter and type = "s"`,
	} {
		if _, err := parseInsights(text); err == nil {
			t.Errorf("taken for a query: %s", text)
		}
	}
}

func TestCodesCoverTheirCategories(t *testing.T) {
	t.Parallel()
	for category, codes := range map[string][]string{
		"auth.login.fail": codesLoginFailed(), "auth.login.success": codesLogin(),
		"auth.token_exchange.success": append(codesToken(), "feta"), "auth.token_exchange.fail": without(codesTokenRefused(), "feta"),
		"auth.signup.success": codesSignup(), "auth.signup.fail": codesSignupFailed(),
	} {
		var want []string
		for _, typ := range event.Types() {
			if typ.Category == category {
				want = append(want, typ.Code)
			}
		}
		slices.Sort(codes)
		if d := cmp.Diff(want, codes); d != "" {
			t.Errorf("%s (-catalogue +codes):\n%s", category, d)
		}
	}
}

func without(codes []string, code string) []string {
	return slices.DeleteFunc(codes, func(c string) bool { return c == code })
}

// TestRequestIsFoundInTheText compares what the queries about admin changes read out of
// the message with what the record says.
func TestRequestIsFoundInTheText(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(SavedQueries(), func(q SavedQuery) bool { return q.Title == "Admin changes" })
	parsed, err := parseInsights(SavedQueries()[i].Text)
	if err != nil || len(parsed.patterns) != 2 {
		t.Fatalf("%d patterns, %v", len(parsed.patterns), err)
	}
	compared := 0
	for _, e := range records(t) {
		f := flat(t, e)
		if e.Type != "sapi" || f["details.request.path"] == nil {
			continue
		}
		compared++
		for at, path := range []string{"details.request.method", "details.request.path"} {
			m := regexp.MustCompile(parsed.patterns[at]).FindSubmatch(e.Raw)
			if m == nil || string(m[1]) != f[path] {
				t.Errorf("%s of %s: %q, want %v", path, e.LogID, m, f[path])
			}
		}
	}
	if compared < 50 {
		t.Errorf("only %d records were compared", compared)
	}
}

func TestErrorsByTypeFindsFailures(t *testing.T) {
	t.Parallel()
	parsed, err := parseInsights(savedText("Errors by type"))
	if err != nil {
		t.Fatal(err)
	}
	failure := regexp.MustCompile(parsed.patterns[0])
	for _, typ := range event.Types() {
		found, good := failure.MatchString(typ.Code), strings.HasSuffix(typ.Category, ".success")
		switch {
		case found && good && typ.Code != "feta":
			t.Errorf("%s is a success (%s)", typ.Code, typ.Title)
		case !found && (typ.Severity >= event.Error || strings.HasSuffix(typ.Category, ".fail")):
			t.Errorf("%s is missed: %s, %s, %s", typ.Code, typ.Category, typ.Severity, typ.Title)
		}
	}
}
