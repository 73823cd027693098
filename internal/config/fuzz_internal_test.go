package config

import (
	"strings"
	"testing"
)

// FuzzExcerpt holds that no excerpt of a file shows the value of a secret or what
// stands before an @, whatever surrounds them.
func FuzzExcerpt(f *testing.F) {
	const canary = "cAnArY0123456789"
	f.Add("tenants:\n  - name: a", "    domain: b")
	f.Add("domain: |", " x")
	f.Add("aws: {endpoint: \"", "\"}")
	f.Add("client_secret:\r", "\t- : #")
	f.Add("\xff\x00key: >-\n", "...")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, canary) {
			return
		}
		for _, line := range []string{"    client_secret: " + canary, "  private_key: " + canary, "  endpoint: https://u:" + canary + "@h", "# " + canary, "- " + canary} {
			s := newSource([]byte(before + "\n" + line + "\n" + after))
			for n := range strings.Count(s.text, "\n") + 2 {
				if shown := s.excerpt(n, n%9); strings.Contains(shown, canary) {
					t.Fatalf("a secret is shown:\n%s", shown)
				}
			}
		}
	})
}
