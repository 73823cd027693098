package setup_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gaplesslogs/gapless/internal/setup"
)

// TestParseSettings reads the forms in which settings may be kept.
func TestParseSettings(t *testing.T) {
	t.Parallel()
	want := map[string]string{"AUTH0_DOMAIN": "a.example.com", "BATCH_SIZE": "100", "SLACK_SEND_SUCCESS": "true", "LOG_TYPES": "s,f"}
	for name, text := range map[string]string{
		"flat":     `{"AUTH0_DOMAIN":" a.example.com ","BATCH_SIZE":100,"SLACK_SEND_SUCCESS":true,"LOG_TYPES":["s","f"]}`,
		"texts":    "\ufeff" + `{"AUTH0_DOMAIN":"a.example.com","BATCH_SIZE":"100","SLACK_SEND_SUCCESS":"true","LOG_TYPES":"s,f"}`,
		"settings": `{"settings":{"AUTH0_DOMAIN":"a.example.com","BATCH_SIZE":100,"SLACK_SEND_SUCCESS":true,"LOG_TYPES":"s,f"}}`,
		"secrets":  `{"secrets":{"AUTH0_DOMAIN":{"value":"a.example.com"},"BATCH_SIZE":{"value":100},"SLACK_SEND_SUCCESS":{"value":"true"},"LOG_TYPES":{"value":["s","f"]}}}`,
		"list":     `[{"key":"AUTH0_DOMAIN","value":"a.example.com"},{"name":"BATCH_SIZE","value":100},{"key":"SLACK_SEND_SUCCESS","value":true},{"key":"LOG_TYPES","value":"s,f"}]`,
	} {
		got, err := setup.ParseSettings([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for _, text := range []string{"", "{}", "[]", "hunter2", `"hunter2"`, `{"AUTH0_DOMAIN": hunter2}`, `{"settings":"hunter2","settings":["hunter2", 1]`, strings.Repeat(" ", 1<<20+1)} {
		if got, err := setup.ParseSettings([]byte(text)); !errors.Is(err, setup.ErrSettings) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.40q: %v, %v", text, got, err)
		}
	}
	if got, err := setup.ParseSettings([]byte(`{"a":null,"b":{"x":1},"c":[1]}`)); err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
}

// FuzzParseSettings holds that any text is refused or taken over whole: every setting
// has its change, and no value of a secret is in it.
func FuzzParseSettings(f *testing.F) {
	for _, s := range []string{`{"LOG_LEVEL":3,"AWS_SECRET_KEY":"a"}`, `[{"key":"a","value":1}]`, `{"settings":{"LOG_TYPES":["\\","s"]}}`, `{"a":{"value":{}}}`, "[null]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		settings, err := setup.ParseSettings(text)
		if err != nil {
			return
		}
		a, changes := setup.TakeOver(t.Context(), settings)
		if len(changes) != len(settings) {
			t.Errorf("%d settings, %d changes", len(settings), len(changes))
		}
		given := flagsFor(setup.AuthSecret)
		given["log-group"] = "x" // that of the settings may be none, which is for a person to see
		if a, err := setup.Take(t.Context(), a, given, setup.Defaults{}); err != nil {
			t.Errorf("%v\n%s", err, a.File())
		}
	})
}

// extensionSettings are a whole form of the extension.
func extensionSettings() map[string]string {
	return map[string]string{
		"AUTH0_DOMAIN": "dev-tenant.us.auth0.com", "AUTH0_CLIENT_ID": "oldid", "AUTH0_CLIENT_SECRET": "canary1", "BATCH_SIZE": "100",
		"START_FROM": "90020230101000000000", "LOG_LEVEL": "3", "LOG_TYPES": "s, f,-,s", "SLACK_INCOMING_WEBHOOK_URL": "https://hooks.slack.com/services/canary2",
		"SLACK_SEND_SUCCESS": "true", "CLOUDWATCH_LOG_GROUP_NAME": "auth0", "CLOUDWATCH_LOG_STREAM_NAME": "logs-1", "AWS_ACCESS_KEY_ID": "canary3",
		"AWS_SECRET_KEY": "canary4", "AWS_REGION": "us-west-2", "DAILY_REPORT_TIME": "16", "MY_KEY": "canary5",
	}
}

// TestTakeOver takes a whole form over, and no secret of it.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	a, changes := setup.TakeOver(t.Context(), extensionSettings())
	want := setup.Answers{
		Domain: "dev-tenant.us.auth0.com", LogGroup: "auth0", LogStream: "logs-1", Region: "us-west-2", StartFrom: "90020230101000000000",
		MinLevel: "3", Types: []string{"s", "f"}, Slack: true, SlackSuccess: true, ReportAt: "16:00",
	}
	if d := cmp.Diff(want, a); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	became := map[string]string{}
	var all strings.Builder
	a, err := setup.Take(t.Context(), a, map[string]string{"client-id": "abc", "log-group": "new"}, setup.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		c = c.Finally(a)
		became[c.Setting] = c.Became
		all.WriteString(c.Became + c.Why)
	}
	for setting, want := range map[string]string{
		"AUTH0_DOMAIN": "domain: dev-tenant.us.auth0.com", "AUTH0_CLIENT_ID": "not taken over", "BATCH_SIZE": "not taken over",
		"START_FROM": `start_from: "90020230101000000000"`, "LOG_LEVEL": "filter.min_level: 3", "LOG_TYPES": `filter.types: "s, f"`,
		"CLOUDWATCH_LOG_GROUP_NAME": "cloudwatch.log_group: new", "CLOUDWATCH_LOG_STREAM_NAME": "cloudwatch.log_stream: logs-1",
		"AWS_SECRET_KEY": "not taken over", "AWS_REGION": "aws.region: us-west-2", "SLACK_SEND_SUCCESS": "notify.slack.success: true",
		"SLACK_INCOMING_WEBHOOK_URL": "notify.slack.webhook_url: env:SLACK_INCOMING_WEBHOOK_URL", "DAILY_REPORT_TIME": "notify.slack.report_at: 16:00",
		"MY_KEY": "not taken over",
	} {
		if became[setting] != want {
			t.Errorf("%s became %q, want %q", setting, became[setting], want)
		}
	}
	if len(became) != len(extensionSettings()) || changes[len(changes)-1].Setting != "MY_KEY" {
		t.Errorf("got %v", changes)
	}
	if file := string(a.File()); strings.Contains(file+all.String(), "canary") || !strings.Contains(file, "\n      success: true\n      report_at: \"16:00\"\n") || !strings.Contains(file, "    - webhook_url: env:SLACK_INCOMING_WEBHOOK_URL\n") {
		t.Errorf("got\n%s\n%s", file, all.String())
	}
	checkFile(t, a)
}

// TestTakeOverOddSettings leaves what cannot be used, and says so.
func TestTakeOverOddSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting, value, became string
		want                   setup.Answers
	}{
		{"LOG_LEVEL", "-", "nothing", setup.Answers{}},
		{"LOG_LEVEL", "", "nothing", setup.Answers{}},
		{"LOG_LEVEL", "0", "filter.min_level: 0", setup.Answers{MinLevel: "0"}},
		{"log_level", "Critical", "filter.min_level: 4", setup.Answers{MinLevel: "4"}},
		{"LOG_LEVEL", "5", "not taken over", setup.Answers{}},
		{"LOG_TYPES", "-", "nothing", setup.Answers{}},
		{"LOG_TYPES", `a\`, "not taken over", setup.Answers{}},
		{"LOG_TYPES", "s\x1b[2J", "not taken over", setup.Answers{}},
		{"LOG_TYPES", `["s", "f"]`, `filter.types: "s, f"`, setup.Answers{Types: []string{"s", "f"}}},
		{"LOG_TYPES", "[]", "nothing", setup.Answers{}},
		{"CLOUDWATCH_LOG_GROUP_NAME", "my auth0 logs", "not taken over", setup.Answers{}},
		{"AWS_REGION", "US-WEST-2", "aws.region: us-west-2", setup.Answers{Region: "us-west-2"}},
		{"START_FROM", "yesterday", "not taken over", setup.Answers{}},
		{"START_FROM", "24h", "not taken over", setup.Answers{}},
		{"CLOUDWATCH_LOG_STREAM_NAME", "{x}", "not taken over", setup.Answers{}},
		{"SLACK_SEND_SUCCESS", "true", "nothing", setup.Answers{}},
		{"SLACK_INCOMING_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/x", "notify.slack.webhook_url: env:SLACK_INCOMING_WEBHOOK_URL", setup.Answers{Slack: true}},
		{"DAILY_REPORT_TIME", "25", "not taken over", setup.Answers{}},
		{"DAILY_REPORT_TIME", "7", "not taken over, as there is no SLACK_INCOMING_WEBHOOK_URL", setup.Answers{ReportAt: "07:00"}},
		{"AUTH0_DOMAIN", "https://a.example.com/", "domain: a.example.com", setup.Answers{Domain: "a.example.com"}},
	} {
		a, changes := setup.TakeOver(t.Context(), map[string]string{c.setting: c.value})
		if d := cmp.Diff(c.want, a, cmpopts.EquateEmpty()); d != "" || len(changes) != 1 || changes[0].Became != c.became {
			t.Errorf("%s=%q: %v (-want +got):\n%s", c.setting, c.value, changes, d)
		}
	}
	a, changes := setup.TakeOver(t.Context(), map[string]string{"AUTH0_DOMAIN": "a.example.com", "START_FROM": "900123"})
	a.Auth = setup.AuthWebhook
	for _, c := range changes {
		if got := c.Finally(a).Became; got != "not taken over, as nothing is read" {
			t.Errorf("%s became %q", c.Setting, got)
		}
	}
}

// TestSettingsOf finds the extension's variables, and not those of AWS alone.
func TestSettingsOf(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "a", "PATH": "x", "LOG_LEVEL": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	if got, err := setup.SettingsOf(lookup); !errors.Is(err, setup.ErrSettings) {
		t.Errorf("%v, %v", got, err)
	}
	env["LOG_LEVEL"] = "2"
	want := maps.Clone(env)
	delete(want, "PATH")
	got, err := setup.SettingsOf(lookup)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestSettingsAreDocumented holds docs/from-extension.md against what each setting
// becomes.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "from-extension.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(page)) {
		for name := range extensionSettings() {
			if cell, rest, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.Contains(cell, "`"+name+"`") {
				rows[name] = rest
			}
		}
	}
	a, changes := setup.TakeOver(t.Context(), extensionSettings())
	for _, c := range changes {
		if c.Setting == "MY_KEY" {
			continue
		}
		c = c.Finally(a)
		path, _, taken := strings.Cut(c.Became, ":")
		switch row := rows[c.Setting]; {
		case row == "":
			t.Errorf("%s is not in docs/from-extension.md", c.Setting)
		case taken && !strings.Contains(row, path) && !strings.Contains(row, "commented out"),
			!taken && !strings.HasPrefix(row, "not taken over") && !strings.HasPrefix(row, "never copied") && !strings.Contains(row, "commented out"):
			t.Errorf("%s became %q, and docs/from-extension.md says %q", c.Setting, c.Became, row)
		}
	}
}

// TestDifferences holds that each is a sentence.
func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, s := range setup.Differences() {
		if !strings.HasSuffix(s, ".") || s[0] < 'A' || s[0] > 'z' {
			t.Errorf("%q", s)
		}
	}
}
