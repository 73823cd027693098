package cli

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzPrintable holds that what is shown of a dead letter, of an error and of a
// cell of a table is nothing that a terminal obeys.
func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[2J\x1b]0;title\x07b\u009b31m\u202ec\r\n\xff\x9b")
	f.Add("\t\u2028\ufeff\U000e0041é日本")
	f.Fuzz(func(t *testing.T, s string) {
		for name, c := range map[string]struct{ got, may string }{
			"printable": {printable(s), ""}, "plainLines": {plainLines(s), "\n\t"}, "fit": {fit(printable(s), 10), ""},
		} {
			if !utf8.ValidString(c.got) || strings.ContainsFunc(c.got, func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(c.may, r) }) {
				t.Errorf("%s: %q became %q", name, s, c.got)
			}
		}
		if n := strings.Count(plainLines(s), "\n"); n != strings.Count(s, "\n") {
			t.Errorf("%q has %d lines more", s, n)
		}
	})
}
