package config

import "strings"

// A Description is what the reference says of a setting.
type Description struct {
	// Summary is the first sentence of its documentation, Doc the whole.
	Summary, Doc string
	// Default and Example are texts as a person would write them; may be empty.
	Default, Example string
}

// Describe returns what the reference says of the setting or section at a path
// such as "aws.region" or "tenants.0.domain"; false when there is none.
func Describe(path string) (Description, bool) {
	f := &field{kind: kindStruct, children: fields()}
	for _, part := range splitPath(path) {
		if f.kind == kindList && strings.Trim(part, "0123456789") == "" {
			continue
		}
		if f = child(f.children, part); f == nil {
			return Description{}, false
		}
	}
	return Description{Summary: firstSentence(f.doc), Doc: f.doc, Default: f.def, Example: f.example}, f.doc != ""
}

// firstSentence returns a text up to its first full stop.
func firstSentence(doc string) string {
	if first, _, more := strings.Cut(doc, ". "); more {
		return first + "."
	}
	return doc
}

// YAMLText writes a text as a YAML scalar on one line, quoted unless it can only be
// read as that text.
func YAMLText(s string) string { return yamlText(s) }
