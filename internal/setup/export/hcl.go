package export

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// An expr is an expression of Terraform as it stands, such as an address.
type expr string

// An hclWriter writes a Terraform configuration.
type hclWriter struct {
	b strings.Builder
	// token returns the expression for a token.
	token func(piece) expr
	// margin stands before the lines of texts of several lines; where there is none,
	// these are quoted.
	margin string
}

// bytes returns the configuration as terraform fmt lays it out.
func (w *hclWriter) bytes() ([]byte, error) {
	src := []byte(w.b.String())
	if _, diags := hclsyntax.ParseConfig(src, "gapless.tf", hcl.InitialPos); diags.HasErrors() {
		return nil, fmt.Errorf("write configuration: %w", diags)
	}
	return hclwrite.Format(src), nil
}

// line writes a line as it stands.
func (w *hclWriter) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

// comment writes comments.
func (w *hclWriter) comment(lines ...string) { w.b.WriteString(comment(lines...)) }

// attr writes an argument. Nothing, the empty string and empty lists and objects are
// left out.
func (w *hclWriter) attr(name string, value any) {
	switch v := value.(type) {
	case nil:
		return
	case string:
		if v == "" {
			return
		}
	case expr:
		if v == "" {
			return
		}
	case list:
		if len(v) == 0 {
			return
		}
	case object:
		if len(v) == 0 {
			return
		}
	}
	w.line("%s = %s", name, w.value(value))
}

// value returns an expression.
func (w *hclWriter) value(value any) string {
	switch value.(type) {
	case list, object: // where a text of several lines has no place of its own
		defer func(margin string) { w.margin = margin }(w.margin)
		w.margin = ""
	}
	switch v := value.(type) {
	case expr:
		return string(v)
	case string:
		return w.text(v)
	case int:
		return strconv.Itoa(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case list:
		return w.list(v)
	case object:
		return w.object(v)
	default:
		return "null"
	}
}

// list returns a tuple.
func (w *hclWriter) list(l list) string {
	items := make([]string, 0, len(l))
	for _, v := range l {
		items = append(items, w.value(v))
	}
	switch {
	case len(l) == 0:
		return "[]"
	case len(l) == 1:
		return "[" + items[0] + "]"
	default:
		return "[\n" + strings.Join(items, ",\n") + ",\n]"
	}
}

// object returns an object.
func (w *hclWriter) object(o object) string {
	if len(o) == 0 {
		return "{}"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for _, m := range o {
		b.WriteString(w.key(m.key) + " = " + w.value(m.value) + "\n")
	}
	b.WriteString("}")
	return b.String()
}

// plainKey is what is a key of an object without quotes; a few words are none.
var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// key returns the key of an object.
func (w *hclWriter) key(key string) string {
	if plainKey.MatchString(key) && !slices.Contains([]string{"for", "in", "if", "null", "true", "false"}, key) {
		return key
	}
	return w.text(key)
}

// text returns a string, with the expressions of its tokens in it.
func (w *hclWriter) text(text string) string {
	parts := pieces(text)
	if len(parts) == 1 && parts[0].token != "" {
		return string(w.token(parts[0]))
	}
	if w.margin != "" && isProse(text) {
		return w.heredoc(text, parts)
	}
	return `"` + w.template(parts, quotedLiteral) + `"`
}

// template returns the inside of a string.
func (w *hclWriter) template(parts []piece, literal func(string) string) string {
	var b strings.Builder
	for i, p := range parts {
		if p.token != "" {
			b.WriteString("${" + string(w.token(p)) + "}")
			continue
		}
		// A $ right before a template would take its meaning.
		signs := ""
		if i+1 < len(parts) {
			text := strings.TrimRight(p.text, "$")
			p.text, signs = text, p.text[len(text):]
		}
		b.WriteString(literal(p.text))
		if signs != "" {
			b.WriteString(`${"` + signs + `"}`)
		}
	}
	return b.String()
}

// quotedLiteral returns a text without tokens as it stands between quotes.
func quotedLiteral(text string) string {
	quoted := string(hclwrite.TokensForValue(cty.StringVal(text)).Bytes())
	return quoted[1 : len(quoted)-1]
}

// heredoc returns a text for which isProse holds.
func (w *hclWriter) heredoc(text string, parts []piece) string {
	escape := strings.NewReplacer("${", "$${", "%{", "%%{").Replace
	lines := w.template(parts, escape)
	if !strings.HasSuffix(text, "\n") {
		return "chomp(<<-EOT\n" + indented(lines, w.margin) + "\n" + w.margin + "EOT\n)"
	}
	return "<<-EOT\n" + indented(strings.TrimSuffix(lines, "\n"), w.margin) + "\n" + w.margin + "EOT"
}

// indented puts an indent before each line.
func indented(lines, indent string) string {
	return indent + strings.ReplaceAll(lines, "\n", "\n"+indent)
}

// isProse reports whether a text is of several lines that every format reads back
// exactly where it stands as a block of lines.
func isProse(text string) bool {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range lines {
		odd := func(r rune) bool { return !unicode.IsPrint(r) }
		if line == "" || strings.TrimLeft(line, " ") == "EOT" || strings.HasSuffix(line, " ") || strings.ContainsFunc(line, odd) {
			return false
		}
	}
	return len(lines) > 1 && lines[0][0] != ' '
}
