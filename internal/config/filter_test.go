package config_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/selector"
)

// TestFilterForms writes the same lists in each way that is taken.
func TestFilterForms(t *testing.T) {
	t.Parallel()
	want := config.Filter{MinLevel: -1, Types: config.Selection{Allow: []string{"f", "gd_*"}}}
	for name, c := range map[string]struct {
		text    string
		environ []string
	}{
		"a list":           {"    filter: {types: [f, gd_*]}\n", nil},
		"a list of lines":  {"    filter:\n      types:\n        - f\n        - gd_*\n", nil},
		"a text":           {"    filter:\n      types: f,gd_*\n", nil},
		"a section":        {"    filter: {types: {allow: [f, gd_*]}}\n", nil},
		"a variable":       {"", []string{"GAPLESS_TENANT_FILTER_TYPES=f, gd_*"}},
		"its whole name":   {"", []string{"GAPLESS_TENANTS_0_FILTER_TYPES_ALLOW=f,gd_*"}},
		"over the file":    {"    filter: {types: [s]}\n", []string{"GAPLESS_TENANTS_0_FILTER_TYPES=f,gd_*"}},
		"an alias":         {"    filter: {types: &x [f, gd_*]}\n    cloudwatch: {log_stream: logs}\n  - {name: b, domain: b.example.com, client_id: b, client_secret: b, filter: {types: *x}}\n", nil},
		"a section merged": {"    filter: {types: {<<: {allow: [f, gd_*]}}}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := mustLoad(t, minimal+c.text, c.environ...)
			got := cfg.Tenants[len(cfg.Tenants)-1].Filter
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	cfg, err := config.Load(t.Context(), config.LoadOptions{
		File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": minimal}), Sets: []string{"tenants.0.filter.types=f,gd_*", "tenants[0].filter.min_level=0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Types, cfg.Tenants[0].Filter.Types); d != "" || *cfg.Tenants[0].Filter.Level() != 0 {
		t.Errorf("--set (-want +got):\n%s", d)
	}
	if none := mustLoad(t, minimal).Tenants[0].Filter; none.Level() != nil {
		t.Error("there is a level where none is set")
	}
}

func TestFilterProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ filter, want, fix string }{
		"fine":               {"{types: [f, brand_new], severities: {deny: [info, '*ing']}, min_level: 3, expression: \"event.type != 's'\"}", "", ""},
		"empty pattern":      {"{clients: {deny: ['']}}", "tenants.0.filter.clients.deny holds an empty pattern", "an expression, such as event.client_id == ''"},
		"space":              {"{types: [' f']}", `tenants.0.filter.types.allow holds "...", which is no pattern: it begins or ends with a space`, "Write it like gd_* or fp"},
		"backslash":          {`{types: ['f\']}`, `tenants.0.filter.types.allow holds "f\\", which is no pattern: it ends with a backslash`, ""},
		"severity":           {"{severities: [err]}", `tenants.0.filter.severities.allow holds "err", which is no severity`, "Use info, warning, error, critical."},
		"mistyped severity":  {"{severities: {deny: [warnign]}}", `tenants.0.filter.severities.deny holds "warnign", which is no severity`, "Did you mean warning?"},
		"case of a severity": {"{severities: [ERROR]}", `tenants.0.filter.severities.allow holds "ERROR", which is no severity`, "Did you mean error?"},
		"no quotes":          {"{types: [f, *_failed]}", "tenants.0.filter.types.allow is, or holds, an alias (*) of an anchor (&) that the file does not have", "into quotes"},
		"no quotes, alone":   {"{types: *_failed}", "tenants.0.filter.types is, or holds, an alias (*) of an anchor (&) that the file does not have", "into quotes"},
		"level":              {"{min_level: 5}", "tenants.0.filter.min_level 5 is more than the most, 4", ""},
		"level by name":      {"{min_level: error}", `tenants.0.filter.min_level "error" is not a whole number`, ""},
		"unknown key":        {"{types: {alow: [f]}}", "tenants.0.filter.types.alow is no known key", "Did you mean allow?"},
		"a list of sections": {"{types: [{allow: f}]}", "tenants.0.filter.types.allow holds a section or a list where a single value is expected", ""},
		"expression":         {"{expression: \"evnt.type == 'f'\"}", "tenants.0.filter.expression is no valid expression: unknown name evnt (line 1, column 1)", "docs/rules.md"},
		"expression's types": {"{expression: 'event.type == 3'}", "tenants.0.filter.expression is no valid expression: invalid operation: == (mismatched types string and int) (line 1, column 12)", ""},
		"no condition":       {"{expression: event.type}", "tenants.0.filter.expression is no valid expression: it must be true or false for an event", ""},
		"a list of them":     {"{expression: [a]}", "tenants.0.filter.expression is a section or a list where a single value is expected", ""},
		"a quote not closed": {"{expression: \"event.type == 'f client_secret: abc\"}", "tenants.0.filter.expression is no expression that can be read", "a quote that is not closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, minimal+"    filter: "+c.filter+"\n")
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			bad, ok := errors.AsType[*config.InvalidError](err)
			if !ok || len(bad.Problems) != 1 {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			p := bad.Problems[0]
			if got := p.Path + " " + p.Problem; !strings.HasPrefix(got, c.want) || !strings.Contains(p.Fix, c.fix) {
				t.Errorf("got %s\nfix %s\nwant %s\nfix %s", got, p.Fix, c.want, c.fix)
			}
			if p.Where == "" {
				t.Error("it has no place")
			}
		})
	}
	_, err := load(t, minimal, "GAPLESS_TENANT_FILTER_TYPES=f", "GAPLESS_TENANT_FILTER_TYPES_ALLOW=s")
	if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0], "means the same as GAPLESS_TENANT_FILTER_TYPES, which is set too") {
		t.Errorf("%q", got)
	}
}

// TestExpressionExcerpt holds that a problem of an expression on several lines shows
// the line that it is in, with a caret below the place.
func TestExpressionExcerpt(t *testing.T) {
	t.Parallel()
	_, err := load(t, minimal+`    filter:
      expression: |
        event.type != "f"
        and evnt.ip == ""
`)
	bad, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	want := strings.Join([]string{
		`    7 |     filter:`,
		`>   8 |       expression: ********`,
		`      |       ^`,
		`    9 |         ********`,
		`        and evnt.ip == ""`,
		`            ^`,
	}, "\n")
	if d := cmp.Diff(want, bad.Problems[0].Excerpt); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, err = load(t, minimal, "GAPLESS_TENANT_FILTER_EXPRESSION=event.type = 's'")
	if bad, ok = errors.AsType[*config.InvalidError](err); !ok || bad.Problems[0].Excerpt != "        event.type = 's'\n                   ^" {
		t.Errorf("of a variable: %+v", err)
	}
}

func TestFilterWarnings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filter string
		want   []string
	}{
		"none":             {"{types: {allow: [f, 'gd_*'], deny: [sapi]}, categories: ['auth.*'], min_level: 3, expression: \"event.ip != '' and event.details.x == 1\"}", nil},
		"unknown type":     {"{types: [fpx]}", []string{`types.allow holds "fpx", which is no known event type. Did you mean fp?`}},
		"case of a type":   {"{types: {deny: [SAPI]}}", []string{`types.deny holds "SAPI", which is no known event type. Did you mean sapi?`}},
		"nothing like it":  {"{types: [brand_new_type_of_theirs]}", []string{`types.allow holds "brand_new_type_of_theirs", which is no known event type. `}},
		"glob of no type":  {"{types: ['zz*']}", []string{`types.allow holds "zz*", which matches no known event type. `}},
		"unknown category": {"{categories: {deny: [auth.login.failed]}}", []string{`categories.deny holds "auth.login.failed", which is no known category. Did you mean auth.login.fail?`}},
		"any client":       {"{clients: [abc], connections: [x], organizations: [y]}", nil},
		"level and types":  {"{types: [f], min_level: 1}", []string{"min_level 1 lets every type in, so types.allow leaves nothing out. An event goes on that either of the two names. Remove one of them."}},
		"member":           {"{expression: \"event.typ == 'f' or event.brand_new_one == 1\"}", []string{"expression reads event.typ, which Auth0's events are not known to have. Did you mean event.type?"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := mustLoad(t, minimal+"    filter: "+c.filter+"\n")
			var got []string
			for _, w := range cfg.Warnings() {
				if !strings.HasPrefix(w.Where, "g.yaml:") && !strings.HasPrefix(w.Where, "gapless.yaml:") {
					t.Errorf("it has no place, but %q", w.Where)
				}
				got = append(got, strings.TrimPrefix(w.Path, "tenants.0.filter.")+" "+w.Problem+". "+w.Fix)
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestRulesPageIsRight loads the filters that docs/rules.md shows.
func TestRulesPageIsRight(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile("(?s)```yaml\n(filter:.*?)```").FindAllSubmatch(page, -1) {
		found++
		text := minimal + "    " + strings.ReplaceAll(strings.TrimSpace(string(m[1])), "\n", "\n    ") + "\n"
		if w := mustLoad(t, text).Warnings(); len(w) > 0 {
			t.Errorf("%s\n%v", text, w[0])
		}
	}
	if found < 2 {
		t.Errorf("%d filters are shown", found)
	}
	for _, name := range selector.Texts() {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("the member %s is not named", name)
		}
	}
}

// TestWarningsOfOneStream warns of two tenants that are one and end in one log stream.
func TestWarningsOfOneStream(t *testing.T) {
	t.Parallel()
	const both = `aws: {region: eu-central-1}
tenants:
  - {name: a, domain: dev.example.com, client_id: x, client_secret: y, cloudwatch: {log_group: /auth0}}
  - {name: b, domain: DEV.example.com, client_id: x, client_secret: y, cloudwatch: {log_group: /auth0}}
`
	if w := mustLoad(t, both).Warnings(); len(w) != 1 || w[0].Path != "tenants.1.cloudwatch" {
		t.Errorf("got %v", w)
	}
	for _, apart := range []string{
		strings.ReplaceAll(both, "log_group: /auth0", "log_group: '/auth0/{tenant}'"),
		strings.Replace(both, "DEV.example.com", "prod.example.com", 1),
	} {
		if w := mustLoad(t, apart).Warnings(); len(w) != 0 {
			t.Errorf("got %v of\n%s", w, apart)
		}
	}
}
