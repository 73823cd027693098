package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// Print writes the effective configuration as YAML that can be loaded again,
// with secrets redacted. With origin, a comment on each line tells where the
// value comes from.
func (c *Config) Print(w io.Writer, origin bool) error {
	p := &printer{cfg: c, origin: origin}
	p.section(reflect.ValueOf(c).Elem(), fields(), "", "")
	if _, err := io.WriteString(w, p.out.String()); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return nil
}

// A printer writes a configuration as YAML.
type printer struct {
	cfg    *Config
	origin bool
	out    strings.Builder
}

// line writes one line, with the origin of its path if that is wanted. A path of
// "" has none.
func (p *printer) line(text, path string) {
	p.out.WriteString(text)
	if p.origin && path != "" {
		fmt.Fprintf(&p.out, "  # %s", p.cfg.Origin(path))
	}
	p.out.WriteByte('\n')
}

// section writes the fields of a struct.
func (p *printer) section(v reflect.Value, fs []field, indent, prefix string) {
	for i := range fs {
		f := &fs[i]
		fv, path, key := v.FieldByIndex(f.index), prefix+f.name, indent+f.name+":"
		switch f.kind {
		case kindStruct:
			p.line(key, "")
			p.section(fv, f.children, indent+"  ", path+".")
		case kindList:
			p.list(fv, f, indent, path)
		case kindMap:
			p.entries(mapIn(fv), key, indent, path)
		case kindTexts, kindSecrets:
			items := f.formatItems(fv)
			for i := range items {
				items[i] = yamlText(items[i])
			}
			p.line(key+" ["+strings.Join(items, ", ")+"]", path)
		default:
			p.line(key+" "+scalar(f, f.format(fv)), path)
		}
	}
}

// list writes a list of structs, the dash on the line of the first field.
func (p *printer) list(v reflect.Value, f *field, indent, path string) {
	if v.Len() == 0 {
		p.line(indent+f.name+": []", path)
		return
	}
	p.line(indent+f.name+":", "")
	for i := range v.Len() {
		inner := printer{cfg: p.cfg, origin: p.origin}
		inner.section(v.Index(i), f.children, indent+"    ", path+"."+strconv.Itoa(i)+".")
		text := inner.out.String()
		p.out.WriteString(indent + "  - " + text[len(indent)+4:])
	}
}

// entries writes a map, its keys in order.
func (p *printer) entries(m map[string]string, key, indent, path string) {
	if len(m) == 0 {
		p.line(key+" {}", path)
		return
	}
	p.line(key, "")
	for _, k := range sortedKeys(m) {
		entry := path + "." + k
		if _, ok := p.cfg.origins[entry]; !ok {
			entry = path // set as a whole
		}
		p.line(indent+"  "+yamlText(k)+": "+yamlText(m[k]), entry)
	}
}

// scalar writes the text of a field as a YAML scalar.
func scalar(f *field, text string) string {
	switch f.kind {
	case kindString, kindSecret:
		return yamlText(text)
	default:
		return text
	}
}

// yamlText writes a text as a YAML scalar, quoted unless it can only be read as
// that text.
func yamlText(s string) string {
	plain := matches(`^[A-Za-z/][A-Za-z0-9_./-]*(:[A-Za-z0-9_./#-]+)*$`, s) &&
		!matches(`^(?i:true|false|yes|no|on|off|y|n|null|nan|inf)$`, s)
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// MarshalJSON writes the effective configuration with the keys of the file,
// secrets redacted.
func (c *Config) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	writeJSON(&b, reflect.ValueOf(c).Elem(), fields())
	return []byte(b.String()), nil
}

// writeJSON writes a struct as a JSON object.
func writeJSON(b *strings.Builder, v reflect.Value, fs []field) {
	b.WriteByte('{')
	for i := range fs {
		f := &fs[i]
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(jsonText(f.name) + ":")
		writeJSONField(b, v.FieldByIndex(f.index), f)
	}
	b.WriteByte('}')
}

// writeJSONField writes one value as JSON.
func writeJSONField(b *strings.Builder, v reflect.Value, f *field) {
	switch f.kind {
	case kindStruct:
		writeJSON(b, v, f.children)
	case kindList:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, v.Index(i), f.children)
		}
		b.WriteByte(']')
	case kindMap:
		m := mapIn(v)
		b.WriteByte('{')
		for i, k := range sortedKeys(m) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(jsonText(k) + ":" + jsonText(m[k]))
		}
		b.WriteByte('}')
	case kindTexts, kindSecrets:
		b.WriteByte('[')
		for i, item := range f.formatItems(v) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(jsonText(item))
		}
		b.WriteByte(']')
	case kindBool, kindInt, kindFloat:
		b.WriteString(f.format(v))
	default:
		b.WriteString(jsonText(f.format(v)))
	}
}
