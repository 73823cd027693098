package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// The patterns of values that are texts in the file.
const (
	patternDuration = `^([0-9]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$`
	patternSize     = `^[0-9.]+ ?([kKmMgGtT]i?)?[bB]?$`
)

// Schema returns the JSON Schema (draft 2020-12) of the configuration file,
// indented, for editors that complete and check YAML.
func Schema() ([]byte, error) {
	s := objectSchema(fields())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Configuration of gapless"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(b, '\n'), nil
}

// objectSchema describes a section.
func objectSchema(fs []field) map[string]any {
	properties := map[string]any{}
	var required []string
	for i := range fs {
		properties[fs[i].name] = fs[i].schema()
		if fs[i].required {
			required = append(required, fs[i].name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// schema describes a field.
func (f *field) schema() map[string]any {
	s := map[string]any{}
	switch f.kind {
	case kindStruct:
		s = objectSchema(f.children)
		if short := f.shorthand(); short != nil {
			s = map[string]any{"anyOf": []any{s, short.schema()}}
		}
	case kindList:
		s = map[string]any{"type": "array", "items": objectSchema(f.children)}
	case kindMap:
		s = map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	case kindBool:
		s["type"] = "boolean"
	case kindInt:
		s["type"] = "integer"
	case kindFloat:
		s["type"] = "number"
	case kindDuration:
		s["type"], s["pattern"] = "string", patternDuration
	case kindSize:
		s["type"], s["pattern"] = []string{"string", "integer"}, patternSize
	case kindTexts, kindSecrets:
		s["type"], s["items"] = []string{"array", "string"}, map[string]any{"type": "string"}
	case kindString, kindSecret:
		s["type"] = "string"
	}
	s["description"] = f.doc
	f.addLimits(s)
	return s
}

// addLimits adds the default, the choices and the range to a schema.
func (f *field) addLimits(s map[string]any) {
	if f.def != "" {
		s["default"] = f.typed(f.def)
	}
	if f.example != "" && f.kind != kindMap {
		s["examples"] = []any{f.typed(f.example)}
	}
	if len(f.enum) > 0 {
		var choices []any
		for _, e := range f.enum {
			choices = append(choices, f.typed(e))
		}
		if f.def == "" && !slices.Contains(f.enum, "") {
			choices = append(choices, "")
		}
		s["enum"] = choices
	}
	if f.kind != kindInt && f.kind != kindFloat {
		return // the others are texts, which a schema cannot compare
	}
	if f.min != "" {
		s["minimum"] = f.typed(f.min)
	}
	if f.max != "" {
		s["maximum"] = f.typed(f.max)
	}
}

// typed turns the text of a tag into the type that JSON has for it.
func (f *field) typed(text string) any {
	switch f.kind {
	case kindBool:
		return text == "true"
	case kindInt, kindFloat:
		n, _ := strconv.ParseFloat(text, 64) // a test holds that the tags can be read
		return n
	default:
		return text
	}
}

// jsonText writes a text as JSON.
func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // no text fails
		return `""`
	}
	return string(b)
}
