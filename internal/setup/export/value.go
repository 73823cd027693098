package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A value of a document is a string, which may hold tokens, an int, a json.Number, a
// bool, nil, a list, an object, or what one format alone knows.
type (
	list   []any
	object []member
	member struct {
		key   string
		value any
	}
)

// texts makes a list.
func texts(values []string) list {
	out := make(list, 0, len(values))
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// pairs makes an object of a map, ordered by key.
func pairs(m map[string]string) object {
	out := make(object, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, member{k, m[k]})
	}
	return out
}

// tagList makes a list of objects of tags.
func tagList(m map[string]string) list {
	out := make(list, 0, len(m))
	for _, p := range pairs(m) {
		out = append(out, object{{"Key", p.key}, {"Value", p.value}})
	}
	return out
}

// parse reads a JSON document, in its order.
func parse(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := parseValue(d)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if d.More() {
		return nil, errors.New("read document: more than one value")
	}
	return v, nil
}

// parseValue reads the next value.
func parseValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err //nolint:wrapcheck // parse does
	}
	switch t {
	case json.Delim('['):
		out := list{}
		for d.More() {
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err = d.Token()
		return out, err
	case json.Delim('{'):
		out := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, member{fmt.Sprint(key), v})
		}
		_, err = d.Token()
		return out, err
	default:
		return t, nil
	}
}

// MarshalJSON keeps the order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%s", compact(m.key), compact(m.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// compact returns the JSON of a value, on one line. Characters of HTML stay.
func compact(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // values are made of what JSON has
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// pretty returns the JSON of a value, for a person to read.
func pretty(v any) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(compact(v)), "", "  "); err != nil {
		panic(err) // compact makes valid JSON
	}
	return b.String()
}

// brief returns the JSON of an object for a person to read where there is little room:
// each of its members on a line, and of its lists each element.
func brief(v any) string {
	o, _ := v.(object)
	lines := make([]string, 0, len(o))
	for _, m := range o {
		value := compact(m.value)
		if l, _ := m.value.(list); len(l) > 0 {
			elements := make([]string, 0, len(l))
			for _, x := range l {
				elements = append(elements, compact(x))
			}
			value = "[\n" + strings.Join(elements, ",\n") + "\n]"
		}
		lines = append(lines, compact(m.key)+":"+value)
	}
	if len(lines) == 0 {
		return compact(v)
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}"
}
