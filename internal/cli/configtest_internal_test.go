package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// TestApart shows two texts around the place where they part.
func TestApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200)
	for _, tc := range []struct {
		want, got          string
		shownWant, shownGo string
		at                 int
	}{
		{"true", "false", "true", "false", 0},
		{"error/a", "error/b", "error/a", "error/b", 6},
		{"a", "", "a", "", 0},
		{"abc", "ab", "abc", "ab", 2},
		{"a\nb", "a\tb\x1b", `a\nb`, `a\tb\x1b`, 2},
		{long + "1" + long, long + "2", "…" + long[:80] + "1" + long[:118] + "…", "…" + long[:80] + "2", 41},
		{"1" + long, "2" + long, "1" + long[:118] + "…", "2" + long[:118] + "…", 0},
		{"x\xff", "x", `x\xff`, "x", 1},
	} {
		w, g, at := apart(tc.want, tc.got)
		if w != tc.shownWant || g != tc.shownGo || at != tc.at {
			t.Errorf("%.20q and %.20q are shown as\n%s\n%s\nwith a mark at %d, want\n%s\n%s\nat %d", tc.want, tc.got, w, g, at, tc.shownWant, tc.shownGo, tc.at)
		}
	}
}

// TestRuleTestsOfTheGuide holds that the tests which the guide on rules shows are
// read, and pass with rules of the kind that they are for.
func TestRuleTestsOfTheGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, src, found := strings.Cut(string(guide), "```yaml\ntests:\n")
	src, _, closed := strings.Cut(src, "```")
	if !found || !closed {
		t.Fatal("the guide shows no tests")
	}
	tenant := config.NewTenant()
	tenant.Name, tenant.Domain, tenant.ClientID = "dev-tenant", "dev-tenant.us.auth0.com", "abc"
	tenant.Filter.Types.Deny, tenant.CloudWatch.LogStream = []string{"seccft"}, "{severity}"
	if tenant.Redact.Key, err = config.ParseSecret("env:NOBODY_SETS_IT"); err != nil {
		t.Fatal(err)
	}
	tenant.Redact.Presets, tenant.Redact.Rules = []string{"no-secrets"}, []config.RedactRule{{Path: "user_name", Action: "hash"}}
	cfg := config.Default()
	cfg.Tenants = []config.Tenant{tenant}
	tests, err := cfg.RuleTests("gapless.tests.yaml", []byte("tests:\n"+src), os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range tests {
		res, err := app.RunRuleTest(t.Context(), cfg, one)
		if err != nil || len(res.Failures) > 0 {
			t.Errorf("%s: %v, %+v", one.Name, err, res.Failures)
		}
	}
}
