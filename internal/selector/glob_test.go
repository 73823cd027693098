package selector_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/selector"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"fp", "fp", true},
		{"fp", "fpx", false},
		{"fp", "FP", false},
		{"gd_*", "gd_send_pn", true},
		{"gd_*", "gd_", true},
		{"gd_*", "gd", false},
		{"*_failed", "gd_start_enroll_failed", true},
		{"*", "", true},
		{"**", "anything / at all", true},
		{"f?", "fp", true},
		{"f?", "f", false},
		{"f?", "fpx", false},
		{"?", "é", true},
		{"a*b*c", "axxbxxbc", true},
		{"a*b*c", "axxcxxb", false},
		{`My App \*`, "My App *", true},
		{`My App \*`, "My App x", false},
		{`a\\b`, `a\b`, true},
		{"[EU] App (1)", "[EU] App (1)", true},
		{"[EU]*", "E", false},
		{"é*", "ete", false},
		{"é*", "église", true},
	} {
		g, err := selector.ParseGlob(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if got := g.Match(c.text); got != c.want {
			t.Errorf("%q on %q: %t", c.pattern, c.text, got)
		}
	}
}

func TestGlobsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, want string }{{"", "empty"}, {" fp", "space"}, {"fp\t", "space"}, {`gd_\`, "backslash"}} {
		if _, err := selector.ParseGlob(c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.pattern, err)
		}
	}
}

func TestGlobLiteral(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{"fp": "fp", `a\*b`: "a*b"} {
		if g, err := selector.ParseGlob(pattern); err != nil {
			t.Error(err)
		} else if got, ok := g.Literal(); got != want || !ok {
			t.Errorf("%q: %q, %t", pattern, got, ok)
		}
	}
	for _, pattern := range []string{"f*", "f?"} {
		if g, err := selector.ParseGlob(pattern); err != nil {
			t.Error(err)
		} else if got, ok := g.Literal(); ok {
			t.Errorf("%q is taken for %q alone", pattern, got)
		}
	}
}

// TestGlobIsARegularExpression compares globs with the regular expressions that say
// the same.
func TestGlobIsARegularExpression(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?é]{1,8}`).Draw(rt, "pattern")
		text := rapid.StringMatching(`[abé]{0,12}`).Draw(rt, "text")
		g, err := selector.ParseGlob(pattern)
		if err != nil {
			rt.Fatal(err)
		}
		like := "(?s)^" + strings.NewReplacer("*", ".*", "?", ".").Replace(pattern) + "$"
		if want := regexp.MustCompile(like).MatchString(text); g.Match(text) != want {
			rt.Errorf("%q on %q: %t", pattern, text, !want)
		}
	})
}

// FuzzGlob holds that no pattern is read and then fails, and that a text with its
// special characters taken off matches itself alone.
func FuzzGlob(f *testing.F) {
	f.Add("gd_*", "gd_send")
	f.Add(`\*\`, "*")
	f.Add("*a*a*a*a*b", strings.Repeat("a", 200))
	f.Add("\xff*", "\xfe")
	escape := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if g, err := selector.ParseGlob(pattern); err == nil {
			g.Match(text)
			if g.String() != pattern {
				t.Errorf("%q became %q", pattern, g)
			}
		}
		itself, err := selector.ParseGlob(escape.Replace(text))
		if err != nil || strings.ToValidUTF8(text, "") != text {
			return
		}
		if !itself.Match(text) || itself.Match(text+"x") {
			t.Errorf("%q does not match itself alone", text)
		}
	})
}

func ExampleParseGlob() {
	g, err := selector.ParseGlob("gd_*_failed")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Match("gd_auth_failed"), g.Match("gd_auth_succeed"))
	// Output: true false
}
