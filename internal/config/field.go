package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A kind is what a field holds.
type kind uint8

const (
	kindString kind = iota
	kindBool
	kindInt
	kindFloat
	kindDuration
	kindSize
	kindSecret
	kindTexts   // a list of strings
	kindSecrets // a list of secrets
	kindMap     // of strings to strings
	kindStruct  // with children
	kindList    // of structs with children
)

// A field is what the tags of a struct field say, with those of the structs
// within it.
type field struct {
	name     string
	kind     kind
	doc      string
	def      string // the default, as a person would write it
	example  string
	enum     []string
	min, max string // bounds of a number, a duration or a size; empty for none
	required bool
	short    bool  // what stands in the place of the section around it means this field
	index    []int // of the struct field
	children []field
}

// fields returns the fields of Config.
func fields() []field { return fieldsOf(reflect.TypeFor[Config]()) }

// fieldsOf reads the tags of a struct type.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		f := field{
			name:     sf.Tag.Get("yaml"),
			doc:      sf.Tag.Get("doc"),
			def:      sf.Tag.Get("default"),
			example:  sf.Tag.Get("example"),
			min:      sf.Tag.Get("min"),
			max:      sf.Tag.Get("max"),
			required: sf.Tag.Get("required") == "true",
			short:    sf.Tag.Get("short") == "true",
			index:    []int{i},
		}
		if f.name == inline {
			fs = append(fs, inlined(i, fieldsOf(sf.Type))...)
			continue
		}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		f.kind, f.children = kindOf(sf.Type)
		fs = append(fs, f)
	}
	return fs
}

// inline is the name of a struct field whose fields stand among those around it.
const inline = ",inline"

// inlined returns fields as those of the struct around theirs, the i-th field of
// which it is.
func inlined(i int, fs []field) []field {
	for n := range fs {
		fs[n].index = append([]int{i}, fs[n].index...)
	}
	return fs
}

// kindOf finds the kind of a type, and the fields within it.
func kindOf(t reflect.Type) (kind, []field) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return kindDuration, nil
	case reflect.TypeFor[Size]():
		return kindSize, nil
	case reflect.TypeFor[Secret]():
		return kindSecret, nil
	case reflect.TypeFor[[]string]():
		return kindTexts, nil
	case reflect.TypeFor[[]Secret]():
		return kindSecrets, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return kindBool, nil
	case reflect.Int:
		return kindInt, nil
	case reflect.Float64:
		return kindFloat, nil
	case reflect.Map:
		return kindMap, nil
	case reflect.Struct:
		return kindStruct, fieldsOf(t)
	case reflect.Slice:
		return kindList, fieldsOf(t.Elem())
	default:
		return kindString, nil
	}
}

// child returns the child of that name, nil when there is none.
func child(fs []field, name string) *field {
	for i := range fs {
		if fs[i].name == name {
			return &fs[i]
		}
	}
	return nil
}

// shorthand returns the child that a value in the place of the section means, nil
// when there is none.
func (f *field) shorthand() *field {
	for i := range f.children {
		if f.kind == kindStruct && f.children[i].short {
			return &f.children[i]
		}
	}
	return nil
}

// names returns the names of fields.
func names(fs []field) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.name
	}
	return out
}

// A fault says why a text is no value of a field, and what to write instead. It
// quotes the text only where the text cannot be a secret.
type fault struct{ problem, fix string }

// parse reads the text of a leaf into v.
func (f *field) parse(text string, v reflect.Value) *fault {
	switch f.kind {
	case kindBool:
		return f.parseBool(text, v)
	case kindInt:
		n, err := strconv.Atoi(text)
		if err != nil {
			return &fault{quote(text) + " is not a whole number", "Write a number such as " + f.sample("10") + "."}
		}
		v.SetInt(int64(n))
	case kindFloat:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n != n {
			return &fault{quote(text) + " is not a number", "Write a number such as " + f.sample("0.5") + "."}
		}
		v.SetFloat(n)
	case kindDuration:
		d, err := ParseDuration(text)
		if err != nil {
			return &fault{quote(text) + " is not a duration", "Write a number with a unit, such as 200ms, 30s, 5m, 72h or 7d."}
		}
		v.SetInt(int64(d))
	case kindSize:
		s, err := ParseSize(text)
		if err != nil {
			return &fault{quote(text) + " is not a size", "Write a number of bytes, or one with a unit, such as 500MB or 10GiB."}
		}
		v.SetInt(int64(s))
	case kindSecret:
		s, err := ParseSecret(text)
		if err != nil {
			return &fault{err.Error(), secretForms}
		}
		v.Set(reflect.ValueOf(s))
	case kindMap:
		return parseMap(text, v)
	case kindTexts, kindSecrets:
		return f.parseItems(splitItems(text), v)
	case kindString:
		v.SetString(text)
	case kindStruct, kindList:
		return &fault{"is a section, not a value", "Set one of the values within it: " + strings.Join(names(f.children), ", ") + "."}
	}
	return nil
}

// splitItems reads "a,b". In the file a list may hold texts with commas.
func splitItems(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// parseItems sets a list of values.
func (f *field) parseItems(items []string, v reflect.Value) *fault {
	if f.kind == kindTexts {
		v.Set(reflect.ValueOf(items))
		return nil
	}
	var secrets []Secret
	for _, item := range items {
		s, err := ParseSecret(item)
		if err != nil {
			return &fault{err.Error(), secretForms}
		}
		secrets = append(secrets, s)
	}
	v.Set(reflect.ValueOf(secrets))
	return nil
}

// formatItems returns the values of a list, secrets redacted.
func (f *field) formatItems(v reflect.Value) []string {
	if texts, ok := reflect.TypeAssert[[]string](v); ok {
		return slices.Clone(texts)
	}
	var out []string
	for _, s := range f.secretsIn(v) {
		out = append(out, s.String())
	}
	return out
}

// secretsIn returns the secrets that v, which is of the field, holds.
func (f *field) secretsIn(v reflect.Value) []Secret {
	switch f.kind {
	case kindSecret:
		return []Secret{secretIn(v)}
	case kindSecrets:
		s, _ := reflect.TypeAssert[[]Secret](v)
		return s
	default:
		return nil
	}
}

// parseBool reads true or false, and nothing else.
func (*field) parseBool(text string, v reflect.Value) *fault {
	switch strings.ToLower(text) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		return &fault{quote(text) + " is neither true nor false", "Write true or false."}
	}
	return nil
}

// sample returns the default as an example, or the given one.
func (f *field) sample(other string) string {
	if f.def != "" && f.def != "0" {
		return f.def
	}
	return other
}

// parseMap reads "key=value,key=value". There is no way to write a comma within a
// value: the tags of AWS and paths hold none, and a constant text with one can be
// written in the file.
func parseMap(text string, v reflect.Value) *fault {
	m := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		k, val, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return &fault{"is not a list of key=value", "Write it like team=security,stage=prod."}
		}
		m[k] = val
	}
	if len(m) == 0 {
		m = nil
	}
	v.Set(reflect.ValueOf(m))
	return nil
}

// formatMap is the inverse of parseMap, with the keys in order.
func formatMap(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for _, k := range sortedKeys(m) {
		pairs = append(pairs, k+"="+m[k])
	}
	return strings.Join(pairs, ",")
}

// format writes the value of a leaf as parse reads it, a secret redacted.
func (f *field) format(v reflect.Value) string {
	switch f.kind {
	case kindBool:
		return strconv.FormatBool(v.Bool())
	case kindInt:
		return strconv.FormatInt(v.Int(), 10)
	case kindFloat:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case kindDuration:
		return FormatDuration(time.Duration(v.Int()))
	case kindSize:
		return Size(v.Int()).String()
	case kindSecret:
		return secretIn(v).String()
	case kindMap:
		return formatMap(mapIn(v))
	case kindTexts, kindSecrets:
		return strings.Join(f.formatItems(v), ",")
	default:
		return v.String()
	}
}

// secretIn returns the secret that v holds.
func secretIn(v reflect.Value) Secret {
	s, _ := reflect.TypeAssert[Secret](v)
	return s
}

// mapIn returns the map that v holds.
func mapIn(v reflect.Value) map[string]string {
	m, _ := reflect.TypeAssert[map[string]string](v)
	return m
}
