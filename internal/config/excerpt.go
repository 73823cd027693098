package config

import (
	"fmt"
	"regexp"
	"strings"
)

// A source is the text of the configuration file, for excerpts.
type source struct {
	text   string
	masked []string // its lines, made when the first excerpt is
}

func newSource(src []byte) *source { return &source{text: string(src)} }

// excerpt shows a line with its neighbours and a mark under the column.
func (s *source) excerpt(line, column int) string {
	if s == nil {
		return ""
	}
	if s.masked == nil {
		s.masked = maskLines(s.text)
	}
	lines := s.masked
	if line < 1 || line > len(lines) {
		return ""
	}
	var b strings.Builder
	for n := max(1, line-1); n <= min(len(lines), line+1); n++ {
		mark := ' '
		if n == line {
			mark = '>'
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%c %3d | %s", mark, n, lines[n-1]), " \t") + "\n")
		if n == line && column >= 1 && column <= len(lines[n-1])+1 {
			fmt.Fprintf(&b, "      | %s^\n", strings.Repeat(" ", column-1))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// maskLines returns the lines of a YAML text with their values masked, except
// those behind a key that is known to be harmless. It works on the text alone,
// because the text may be broken, and trusts nothing: unknown keys (a mistyped
// client_secret), comments (an old one), lines that continue a value, values in
// braces, and what stands before an @ are all hidden.
func maskLines(text string) []string {
	harmless := harmlessKeys()
	keyLine := regexp.MustCompile(`^((?:\s|- )*)(["']?)([A-Za-z0-9_.-]{1,40})(["']?\s*:)(\s+(.*))?$`)
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	hiddenBelow := -1 // indentation of the masked key whose value may go on
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " \t-"))
		trimmed := strings.TrimSpace(line)
		m := keyLine.FindStringSubmatch(line)
		switch {
		case trimmed == "" || trimmed == "-" || trimmed == "---":
			continue
		case hiddenBelow >= 0 && indent > hiddenBelow, m == nil:
			lines[i] = line[:min(indent, len(line))] + Redacted
			continue
		}
		hiddenBelow = -1
		known, isKnown := harmless[m[3]]
		value := m[6]
		switch {
		case value == "" && isKnown:
		case value == "" || !isKnown || !showable(value):
			hiddenBelow = indent
			lines[i] = m[1] + m[2] + m[3] + m[4] + " " + Redacted
		case !known:
			hiddenBelow = indent
			lines[i] = m[1] + m[2] + m[3] + m[4] + " " + Redacted
		default:
			value, _, _ = strings.Cut(value, " #")
			if at := strings.LastIndex(value, "@"); at >= 0 { // a URL with a password in it
				value = Redacted + value[at:]
			}
			lines[i] = m[1] + m[2] + m[3] + m[4] + " " + strings.TrimRight(value, " \t")
		}
	}
	return lines
}

// showable reports whether a value ends on its line and holds no other keys.
func showable(value string) bool {
	return !strings.ContainsAny(value[:1], "{[|>&*!#") && !strings.Contains(value, ": ")
}

// harmlessKeys returns the keys of the configuration: true for those whose
// values may be shown, false for sections, whose keys may.
func harmlessKeys() map[string]bool {
	keys := map[string]bool{}
	eachField(fields(), func(f *field) {
		switch f.kind {
		case kindSecret, kindSecrets, kindMap:
		case kindStruct, kindList:
			keys[f.name] = false
		default:
			keys[f.name] = true
		}
	})
	return keys
}
