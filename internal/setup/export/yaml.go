package export

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// yamlText returns a value as YAML that readers of YAML 1.1 and 1.2 read alike: all strings
// are quoted but for the few that can be nothing else, so that no tag, number, date or
// yes comes of one.
func yamlText(v any, indent int) string {
	var b strings.Builder
	writeYAML(&b, v, indent)
	return b.String()
}

// writeYAML writes a value behind its key: on the same line, or below.
func writeYAML(b *strings.Builder, v any, indent int) {
	margin := strings.Repeat(" ", indent)
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteString("\n")
		for _, m := range v {
			b.WriteString(margin + yamlKey(m.key) + ":")
			writeYAML(b, m.value, indent+2)
		}
	case list:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteString("\n")
		for _, x := range v {
			// An object begins on the line of its dash.
			item := yamlText(x, indent+2)
			b.WriteString(margin + "- " + strings.TrimLeft(item, " \n"))
		}
	case string:
		if isProse(v) {
			b.WriteString(" |" + map[bool]string{false: "-"}[strings.HasSuffix(v, "\n")] + "\n")
			b.WriteString(indented(strings.TrimSuffix(v, "\n"), margin) + "\n")
			return
		}
		if plainValue.MatchString(v) {
			b.WriteString(" " + v + "\n")
			return
		}
		b.WriteString(" " + yamlString(v) + "\n")
	default:
		b.WriteString(" " + yamlScalar(v) + "\n")
	}
}

// yamlScalar returns what is no string, list or object.
func yamlScalar(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		return "null"
	}
}

// plainValue is what needs no quotes: types of resources, and pseudo parameters.
var plainValue = regexp.MustCompile(`^AWS::[A-Za-z0-9]+(::[A-Za-z0-9]+)?$`)

// plainYAML are keys that need none.
var plainYAML = regexp.MustCompile(`^[A-Z][A-Za-z0-9]+(::[A-Za-z0-9]+)*$`)

// yamlKey returns the key of an object.
func yamlKey(key string) string {
	switch strings.ToLower(key) {
	case "yes", "no", "on", "off", "true", "false", "null":
		return yamlString(key)
	}
	if plainYAML.MatchString(key) {
		return key
	}
	return yamlString(key)
}

// yamlString returns a string in double quotes.
func yamlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
