package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// step makes a step as a plan has it.
func step(a provision.Action, r stack.Resource, d ...provision.Difference) provision.Step {
	return provision.Step{Action: a, Resource: r, Differences: d}
}

// dashboardBody is a document of many lines.
func dashboardBody(n int, last string) string {
	var widgets []string
	for i := range n {
		widgets = append(widgets, fmt.Sprintf(`{"y":%d}`, i))
	}
	return `{"last":"` + last + `","widgets":[` + strings.Join(widgets, ",") + `]}`
}

const aPolicy = `{"Statement":[{"Action":["logs:PutLogEvents","logs:CreateLogStream"],"Effect":"Allow","Resource":["a","b","c","d","e"]}],"Version":"2012-10-17"}`

// TestPlanIsScannable holds what a plan shows, and what it says with --full alone.
func TestPlanIsScannable(t *testing.T) {
	t.Parallel()
	region := "us-east-1"
	p := provision.Plan{Notes: []string{"A note."}, Steps: []provision.Step{
		step(provision.ActionKeep, &stack.LogGroup{Region: region, Name: "/auth0/dev"}),
		step(provision.ActionCreate, &stack.Policy{Name: "gapless"},
			provision.Difference{Path: "document", Want: aPolicy},
			provision.Difference{Path: "tags.gapless:setup", Want: "gapless"}, provision.Difference{Path: "tags.team", Want: "x"}),
		step(provision.ActionCreate, &stack.IndexPolicy{Region: region, Group: "/auth0/dev"},
			provision.Difference{Path: "fields[ip]", Want: "ip"}, provision.Difference{Path: "fields[type]", Want: "type"}),
	}}
	for i := range 3 {
		s := step(provision.ActionSkip, &stack.Query{Region: region, Name: fmt.Sprintf("q%d", i)})
		s.Note = "the endpoint does not know it"
		p.Steps = append(p.Steps, s)
	}
	for i := range 7 { // filters and alarms of a stack alternate
		n := fmt.Sprintf("m%d", i)
		p.Steps = append(p.Steps, step(provision.ActionCreate, &stack.MetricFilter{Region: region, Group: "g", Name: n}, provision.Difference{Path: "pattern", Want: n}),
			step(provision.ActionKeep, &stack.Alarm{Region: region, Name: n}))
	}
	p.Steps = append(p.Steps, step(provision.ActionCreate, &stack.Dashboard{Name: "d"}, provision.Difference{Path: "body", Want: dashboardBody(100, "x")}))
	show := func(full bool) string {
		var out bytes.Buffer
		r := &setupRun{env: &Env{Stdout: &out}, full: full}
		r.printPlan(p)
		return out.String()
	}
	want := `groups: 1 as they should be

access: 1 to make
+ policy gapless
    document:
` + indented(aPolicy) + `    tags: gapless:setup=gapless, team=x

indexes: 1 to make
+ field indexes /auth0/dev (us-east-1)
    fields: ip, type

queries: 3 that the endpoint does not know
? 3 saved queries (us-east-1): the endpoint does not know it

metrics: 7 to make
+ metric filter g : m0 (us-east-1)
+ metric filter g : m1 (us-east-1)
+ metric filter g : m2 (us-east-1)
+ metric filter g : m3 (us-east-1)
+ metric filter g : m4 (us-east-1)
+ metric filter g : m5 (us-east-1)
+ metric filter g : m6 (us-east-1)
    (--full shows what these 7 are made with)

alarms: 7 as they should be

dashboard: 1 to make
+ dashboard d
    body: 305 lines (--full shows them)

  note: A note.

10 to make, 8 as they should be, 3 that the endpoint does not know.
`
	if diff := cmp.Diff(want, show(false)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	full := show(true)
	for _, line := range []string{
		"? saved query q2 (us-east-1): the endpoint does not know it\n", "    pattern: m6\n", `          "y": 99` + "\n", "10 to make, 8 as they should be, 3 that the endpoint does not know.\n",
	} {
		if !strings.Contains(full, line) {
			t.Errorf("--full does not show %q:\n%s", line, full)
		}
	}
	if strings.Contains(full, "--full") {
		t.Error("--full speaks of --full")
	}
}

// indented returns a document as a plan shows it.
func indented(document string) string {
	return "      " + strings.Join(textLines(document), "\n      ") + "\n"
}

// TestDifferenceText holds that of documents the lines are shown that differ.
func TestDifferenceText(t *testing.T) {
	t.Parallel()
	long := dashboardBody(50, "x")
	for name, c := range map[string]struct {
		d    provision.Difference
		want string
	}{
		"short": {provision.Difference{Path: "retention_days", Want: "30"}, "    retention_days: (none) -> 30"},
		"one line of a document": {
			provision.Difference{Path: "body", Have: long, Want: strings.Replace(long, `"y":20}`, `"y":21}`, 1)},
			"    body:\n            },\n            {\n      -       \"y\": 20\n      +       \"y\": 21\n            },\n            {",
		},
		"two places": {
			provision.Difference{Path: "text", Have: "a\nb\nc\nd\ne\nf\ng\nh\ni", Want: "A\nb\nc\nd\ne\nf\ng\nh\nI"},
			"    text:\n      - a\n      + A\n        b\n        c\n      ...\n        g\n        h\n      - i\n      + I",
		},
		"an action added at the end": {
			provision.Difference{Path: "document", Have: `{"Statement":[{"Action":["a","b"]}]}`, Want: `{"Statement":[{"Action":["a","b","c"]}]}`},
			"    document:\n                \"a\",\n                \"b\",\n      +         \"c\"\n              ]\n            }",
		},
		"a document that is new":  {provision.Difference{Path: "body", Want: long}, "    body: (none) -> 155 lines (--full shows them)"},
		"a document that goes":    {provision.Difference{Path: "body", Have: long}, "    body: 155 lines -> (none) (--full shows them)"},
		"a policy that is new":    {provision.Difference{Path: "policy", Want: `{"Statement":[]}`}, "    policy:\n      + {\n      +   \"Statement\": []\n      + }"},
		"a secret, which is kept": {provision.Difference{Path: "token", Secret: true}, "    token: (a secret)"},
	} {
		if diff := cmp.Diff(c.want, differenceText(c.d, false)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	if text := differenceText(provision.Difference{Path: "body", Have: long, Want: dashboardBody(50, "y")}, true); !strings.Contains(text, `"y": 49`) {
		t.Errorf("--full leaves lines out:\n%s", text)
	}
}

// TestCompareLines holds that both texts can be read out of their comparison, and that
// nothing is shown as differing that does not.
func TestCompareLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 12)
		have, want := lines.Draw(t, "have"), lines.Draw(t, "want")
		first, second := []string{}, []string{}
		same := 0
		for _, l := range compareLines(have, want) {
			if l.mark != '+' {
				first = append(first, l.text)
			}
			if l.mark != '-' {
				second = append(second, l.text)
			}
			if l.mark == ' ' {
				same++
			}
		}
		if diff := cmp.Diff(have, first) + cmp.Diff(want, second); diff != "" {
			t.Fatal(diff)
		}
		if n := commonLines(have, want)[0][0]; same != n {
			t.Fatalf("%d lines are the same, of %d that could be", same, n)
		}
	})
}

// TestPluralOf holds the plurals of the kinds.
func TestPluralOf(t *testing.T) {
	t.Parallel()
	for kind, want := range map[stack.Kind]string{
		stack.KindQuery: "saved queries", stack.KindAccessKey: "access keys", stack.KindEventBus: "event buses",
		stack.KindIndexPolicy: "field indexes", stack.KindAlarm: "alarms", stack.KindPolicy: "policies",
	} {
		if got := pluralOf(string(kind)); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
