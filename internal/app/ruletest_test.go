package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// ruled is a configuration with rules of every sort.
func ruled(t *testing.T) *config.Config {
	t.Helper()
	cfg, c := config.Default(), config.NewTenant()
	c.Name = "acme"
	c.Filter.Types = config.Selection{Deny: []string{"s"}}
	key, err := config.ParseSecret("env:NOBODY_SETS_IT")
	if err != nil {
		t.Fatal(err)
	}
	c.Redact = config.Redact{Key: key, Presets: []string{"no-secrets"}, Rules: []config.RedactRule{{Path: "user_name", Action: "hash"}, {Path: "..email", Action: "drop"}, {Kind: "jwt", Action: "replace"}}}
	c.CloudWatch.LogStream, c.CloudWatch.Fields = "{severity}/{client}", map[string]string{"via": "source"}
	cfg.Tenants = []config.Tenant{c}
	return cfg
}

// TestRuleTest holds that what is as a test wants it passes, and that what is not
// fails, with what there is instead.
func TestRuleTest(t *testing.T) {
	t.Parallel()
	const event = `{log_id: "1", type: fp, date: "2001-01-01", client_id: ../x, user_name: jane, n: 1.0e+02, id: 12345678901234567890,
		list: [{a: 1}, {a: 2}], email: jane@example.com, text: "50 % of john%2540example.com, caf\u00e9",
		details: {body: '{"password":"hunter2","deep":"{\"a\":[3]}"}'}}`
	deep := `{"a":"x"}`
	for range 12 {
		deep = fmt.Sprintf(`{"a":%q}`, deep)
	}
	large := func(string) ([]byte, error) {
		return []byte(`{"log_id":"1","type":"f","text":"` + strings.Repeat("x", 1<<20) + `"}`), nil
	}
	for _, tc := range []struct{ event, want, got string }{
		{event, `kept: true`, ""},
		{event, `kept: false`, "kept: false, got true"},
		{event, `reason: type_denied`, "reason: type_denied, got kept"},
		{event, `log_group: /auth0/acme`, ""},
		{event, `log_stream: error/___x`, ""},
		{event, `log_stream: error/../x`, "log_stream: error/../x, got error/___x"},
		{event, `values: {user_name: "hmac-sha256:*"}`, ""},
		{event, `values: {type: "hmac-sha256:*"}`, `values type: "hmac-sha256:*", got "fp"`},
		{event, `values: {user_name: jane}`, `values user_name: "jane", got "hmac-sha256:d2971cf3ae3f9fdc3203e6dab6245d26f8af810dcf93a017a481690cc242fcda"`},
		{event, `values: {n: 100}`, ""},
		{event, `values: {n: "100"}`, `values n: "100", got 1.0e+02`},
		{event, `values: {list.a: 1}`, "values list.a: 1, got 2"},
		{event, `values: {"list[0]": {a: 1}, "list[*].a": 2}`, "values list[*].a: 2, got 1"},
		{event, `values: {list: [{a: 1}, {a: 2}]}`, ""},
		{event, `values: {details.body.password: "***", details.body.deep.a: 3, via: poll}`, "values details.body.deep.a: 3, got [3]"},
		{event, `values: {"details.body.deep.a[0]": 3, "..a[0]": 3}`, ""},
		{event, `values: {nothing: null}`, "values nothing: null, got nothing there"},
		{event, `absent: [..email, nothing, "list[2]"]`, ""},
		{event, `absent: ..deep.a`, "absent ..deep.a: nothing, got [3]"},
		{event, `nowhere: [jane, hunter2]`, ""},
		{event, `nowhere: JOHN@example.com`, `nowhere: no "JOHN@example.com", got it stands in the message`},
		{event, `nowhere: café`, `nowhere: no "café", got it stands in the message`},
		{event, `nowhere: '{"a":[3'`, `nowhere: no "{\"a\":[3", got it stands in details.body.deep`},
		{`'{"log_id":"1","type":"fp","t":"caf\u00e9","caf\u00e9":1}'`, `nowhere: café`, `nowhere: no "café", got it stands in t`},
		{`'{"log_id":"1","type":"fp","caf\u00e9":1}'`, `nowhere: café`, `nowhere: no "café", got it stands in a name, café`},
		{`'{"log_id":"1",  "type":"fp"}'`, `message: '{"via":"poll","log_id":"1",  "type":"fp"}'`, ""},
		{`'{"log_id":"1",  "type":"fp"}'`, `message: '{"via":"poll","log_id":"1","type":"fp"}'`, `message: {"via":"poll","log_id":"1","type":"fp"}, got {"via":"poll","log_id":"1",  "type":"fp"}`},
		{`{log_id: "1", type: s}`, `kept: false, reason: type_denied`, ""},
		{`{log_id: "1", type: s}`, `reason: expression_false`, `reason: expression_false, got not kept: type_denied (its type "s" is in types.deny ("s"))`},
		{`{log_id: "1", type: s}`, `absent: email`, `absent email: nothing, got not kept: type_denied (its type "s" is in types.deny ("s"))`},
		{`{log_id: "1", type: f, deep: '` + deep + `'}`, `kept: false, reason: withheld`, ""},
		{"\n    event_file: large.json", `kept: false, reason: too_large`, ""},
		{`'{"log_id":"1","data":{"type":"f","date":"2001-01-01","x":{"deep":1}}}'`, `absent: x.deep`, "absent x.deep: nothing, got 1"},
	} {
		cfg := ruled(t)
		tests, err := cfg.RuleTests("x.yaml", []byte("tests:\n  - name: x\n    "+strings.TrimPrefix("event: "+tc.event, "event: \n    ")+"\n    want: {"+tc.want+"}\n"), large)
		if err != nil {
			t.Errorf("%s: %v", tc.want, err)
			continue
		}
		res, err := app.RunRuleTest(t.Context(), cfg, tests[0])
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range res.Failures {
			got = append(got, fmt.Sprintf("%s: %s, got %s", f.What, f.Want, f.Got))
			if f.At.Line != res.Test.Want[0].At.Line {
				t.Errorf("%s: it is said of %s", tc.want, f.At)
			}
		}
		if d := cmp.Diff(tc.got, strings.Join(got, "; ")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.want, d)
		}
	}
}
