package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

// redacts is a configuration with a section of redaction.
func redacts(section string) string {
	return "data_dir: /data\ntenants:\n  - name: dev\n    domain: dev.example.com\n    client_id: abc\n    client_secret: s3cr3t\n    redact: " + section + "\n"
}

func TestRedactProblems(t *testing.T) {
	t.Parallel()
	const at = "tenants.0.redact."
	for section, want := range map[string]string{
		`{presets: [auth0-pii, gdpr-minimal, no-secrets]}`:                          "",
		`{key: env:K, rules: [{path: details..email, action: hash}]}`:               "",
		`{rules: [{kinds: [ip, email], keys: true, types: [s, f*], action: mask}]}`: "",
		`{rules: [{paths: [a, "b[0]"], action: truncate, length: 20}]}`:             "",
		`{rules: [{path: a, action: replace, with: "[x]"}]}`:                        "",
		`{presets: [auth0-pi]}`:                                            at + `presets holds "auth0-pi", which is no preset`,
		`{key: env:K}`:                                                     at + "key is set, and there is neither a rule nor a preset",
		`{key: hunter2, presets: [no-secrets]}`:                            at + "key is shorter than 16 bytes",
		`{rules: [{path: a, action: hash}]}`:                               at + "rules.0.action is hash, and redact.key is missing",
		`{rules: [{path: a}]}`:                                             at + "rules.0.action is missing",
		`{rules: [{path: a, action: msk}]}`:                                at + `rules.0.action "msk" is not a value it can take`,
		`{rules: [{action: mask}]}`:                                        at + "rules.0 is for nothing: it has neither path nor kind",
		`{rules: [{path: a, kind: ip, action: mask}]}`:                     at + "rules.0 has a path and a kind",
		`{rules: [{path: a, paths: [b], action: mask}]}`:                   at + "rules.0.paths is set, and so is path",
		`{rules: [{kind: ip, kinds: [email], action: mask}]}`:              at + "rules.0.kinds is set, and so is kind",
		`{rules: [{kind: iban, action: mask}]}`:                            at + `rules.0.kind "iban" is not a value it can take`,
		`{rules: [{kinds: [ip, emial], action: mask}]}`:                    at + `rules.0.kinds holds "emial", which is no kind of value`,
		`{rules: [{path: a, keys: true, action: mask}]}`:                   at + "rules.0.keys is true, and there is no kind",
		`{rules: [{path: a, action: truncate}]}`:                           at + "rules.0.length is missing, and the action is truncate",
		`{rules: [{path: a, action: mask, length: 3}]}`:                    at + "rules.0.length is set, and the action is not truncate",
		`{rules: [{path: a, action: mask, with: x}]}`:                      at + "rules.0.with is set, and the action is not replace",
		`{rules: [{path: a, action: drop}, {path: log_id, action: drop}]}`: at + "rules.1.path names log_id, which gapless needs",
		`{rules: [{paths: [b, '["type"]'], action: drop}]}`:                at + "rules.0.paths names type, which gapless needs",
		`{rules: [{path: "details..", action: drop}]}`:                     at + `rules.0.path "details.." ends with a dot`,
		`{rules: [{path: a, types: ["[s"], action: drop}]}`:                at + `rules.0.types holds "[s", which is no pattern`,
	} {
		_, err := config.Load(t.Context(), config.LoadOptions{File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": redacts(section)})})
		var got string
		if e, ok := errors.AsType[*config.InvalidError](err); ok {
			got = strings.TrimPrefix(strings.TrimPrefix(e.Error(), e.Problems[0].Where), ": ")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", section, diff)
		}
	}
}

// A path that cannot be read is shown with a mark under the place.
func TestRedactPathIsShownWithACaret(t *testing.T) {
	t.Parallel()
	_, err := config.Load(t.Context(), config.LoadOptions{
		File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": redacts("\n      rules:\n        - path: details[x].a\n          action: drop")}),
	})
	e, ok := errors.AsType[*config.InvalidError](err)
	if !ok || len(e.Problems) != 1 {
		t.Fatal(err)
	}
	if got := e.Problems[0].Excerpt; !strings.HasSuffix(got, "\n        details[x].a\n                ^") || !strings.Contains(got, "path: details[x].a") {
		t.Errorf("excerpt:\n%s", got)
	}
}

func TestRedactKeyIsNotShown(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, redacts(`{key: 0123456789abcdef-canary, rules: [{path: a, action: hash}]}`))
	var out strings.Builder
	if err := cfg.Print(&out, true); err != nil {
		t.Fatal(err)
	}
	b, err := cfg.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if all := out.String() + string(b); strings.Contains(all, "canary") || !strings.Contains(all, config.Redacted) {
		t.Errorf("printed:\n%s", all)
	}
}
