package config_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
)

// ruleTests reads tests for a configuration with so many tenants.
func ruleTests(t interface{ Helper() }, src string, tenants ...string) ([]config.RuleTest, error) {
	t.Helper()
	cfg := config.Default()
	for _, name := range tenants {
		cfg.Tenants = append(cfg.Tenants, config.Tenant{Name: name})
	}
	return cfg.RuleTests("rules/x.tests.yaml", []byte(src), func(path string) ([]byte, error) {
		if path != "rules/one.json" {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return []byte("\n{\"log_id\":\"1\",  \"n\":1.0}\n"), nil
	})
}

// TestEventsOfRuleTests holds that an event written as YAML is the JSON that its
// writer would expect, and that one written as JSON keeps its bytes. A number that is
// too long for one, as a log_id is, is a text.
func TestEventsOfRuleTests(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`event: {z: 1, a: "x", log_id: "007"}`:                            `{"z":1,"a":"x","log_id":"007"}`,
		`event: {date: 2026-11-23T09:00:00.000Z, id: 007a}`:               `{"date":"2026-11-23T09:00:00.000Z","id":"007a"}`,
		`event: {n: 1.0e+02, big: 123456789012345678901, hex: 0x10}`:      `{"n":1.0e+02,"big":"123456789012345678901","hex":16}`,
		`event: {t: true, f: false, n: null, e: {}, l: [], deep: [[1]]}`:  `{"t":true,"f":false,"n":null,"e":{},"l":[],"deep":[[1]]}`,
		`event: {html: "<a&b>", quote: 'say "x"', esc: "\u0001é"}`:        `{"html":"<a&b>","quote":"say \"x\"","esc":"\u0001é"}`,
		"event:\n      body: |\n        a\n        b":                     `{"body":"a\nb\n"}`,
		"event:\n      base: &b {a: 1, c: 2}\n      more: {<<: *b, a: 3}": `{"base":{"a":1,"c":2},"more":{"c":2,"a":3}}`,
		`event: '{"a":1,  "b":2}'`:                                        `{"a":1,  "b":2}`,
		"event: |\n      {\"a\":\n       1}":                              "{\"a\":\n 1}",
		`event_file: one.json`:                                            `{"log_id":"1",  "n":1.0}`,
	} {
		tests, err := ruleTests(t, "tests:\n  - name: x\n    "+src+"\n    want: {kept: true}\n", "dev")
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := string(tests[0].Event); got != want {
			t.Errorf("%s is %s, want %s", src, got, want)
		}
	}
}

// TestRuleTests holds that a test is read with what it expects, each thing at its
// place.
func TestRuleTests(t *testing.T) {
	t.Parallel()
	got, err := ruleTests(t, `tests:
  - name: one
    tenant: b
    source: sqs
    event: {log_id: "1"}
    want:
      kept: true
      message: |
        {"log_id":"1"}
      values: {a..b: {c: [1]}, "x[0]": hi}
      absent: a
      nowhere: [b, "*"]
  - name: two
    tenant: a
    event: {log_id: "2"}
    want: {reason: type_denied}
`, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) config.Origin {
		return config.Origin{Name: "rules/x.tests.yaml", Line: line, Column: column}
	}
	path := func(text string) event.Path {
		p, err := event.ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	want := []config.RuleTest{
		{Name: "one", Tenant: "b", Source: "sqs", Event: []byte(`{"log_id":"1"}`), At: at(2, 5), Want: []config.Expectation{
			{Kind: config.KeptExpected, Text: "true", At: at(7, 7)},
			{Kind: config.MessageExpected, Text: `{"log_id":"1"}`, At: at(8, 7)},
			{Kind: config.ValueExpected, Name: "a..b", Path: path("a..b"), Text: `{"c":[1]}`, At: at(10, 16)},
			{Kind: config.ValueExpected, Name: "x[0]", Path: path("x[0]"), Text: `"hi"`, At: at(10, 32)},
			{Kind: config.AbsentExpected, Path: path("a"), Text: "a", At: at(11, 15)},
			{Kind: config.NowhereExpected, Text: "b", At: at(12, 17)},
			{Kind: config.NowhereExpected, Text: "*", At: at(12, 20)},
		}},
		{Name: "two", Tenant: "a", Source: "poll", Event: []byte(`{"log_id":"2"}`), At: at(13, 5), Want: []config.Expectation{
			{Kind: config.ReasonExpected, Text: "type_denied", At: at(16, 12)},
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestRuleTestsAreRefused names what is wrong, at its place.
func TestRuleTestsAreRefused(t *testing.T) {
	t.Parallel()
	one := "tests:\n  - name: x\n    event: {log_id: \"1\"}\n    want: {kept: true}\n"
	for name, tc := range map[string]struct{ src, want string }{
		"nothing":           {"", "1:1: does not hold one YAML document"},
		"no YAML":           {"tests: [", "1:8: is not valid YAML"},
		"a list":            {"- name: x", "1:1: is not a section"},
		"no list":           {"tests: {a: b}", "1:1: tests is not a list"},
		"a name twice":      {one + strings.TrimPrefix(one, "tests:\n"), "5:5: tests.1.name is that of the test at rules/x.tests.yaml:2:5"},
		"which tenant":      {one, "2:5: tests.0.tenant is missing, and the configuration has several"},
		"event and file":    {strings.Replace(one, "    want", "    event_file: one.json\n    want", 1), "2:5: tests.0.event_file is set, and so is event"},
		"an event of words": {strings.Replace(one, `{log_id: "1"}`, "words", 1), "3:5: tests.0.event is not a JSON object"},
		"infinite":          {strings.Replace(one, `"1"`, ".inf", 1), "3:5: tests.0.event holds something that JSON does not have"},
		"nothing wanted":    {strings.Replace(one, "{kept: true}", "{}", 1), "2:5: tests.0.want is missing"},
		"too many aliases": {
			"tests:\n  - name: x\n    event:\n      a: &a [x,x,x,x,x,x,x,x,x,x]\n      b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n      c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
				"      d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n      e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n      f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n      g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n    want: {kept: true}\n",
			"3:5: tests.0.event nests too deeply, or is too large",
		},
	} {
		tenants := []string{"a"}
		if name == "which tenant" {
			tenants = append(tenants, "b")
		}
		_, err := ruleTests(t, tc.src, tenants...)
		if !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

// FuzzRuleTests holds that what is taken for tests has events that can be read, each
// with something that is wanted.
func FuzzRuleTests(f *testing.F) {
	f.Add("tests:\n  - name: x\n    event: {log_id: \"1\", a: [&x {b: *x}]}\n    want: {values: {a..b: 1}, absent: [a]}\n")
	f.Add("tests: [{name: x, event: '{}', want: {nowhere: [a]}}]")
	f.Add("tests:\n- <<: {name: x}\n  event: 1e5\n  want: {kept: yes}")
	f.Fuzz(func(t *testing.T, src string) {
		tests, err := ruleTests(t, src, "a")
		if err != nil {
			return
		}
		for _, one := range tests {
			if len(one.Event) == 0 || one.Event[0] != '{' || len(one.Want) == 0 || one.Name == "" || one.Tenant != "a" {
				t.Errorf("%+v", one)
			}
		}
	})
}
