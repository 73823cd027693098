package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds the nesting that is followed, so that an alias within its own
// anchor comes to an end.
const maxDepth = 16

// errorWithToken is what all errors of the YAML parser are.
type errorWithToken interface {
	error
	GetMessage() string
	GetToken() *token.Token
}

// file applies a YAML file. It returns false when the file is not YAML.
//
// The syntax tree is walked along the fields, rather than decoded into the
// structs, so that every problem is found at once, each at its line, and so
// that a value reaches its field as it was written: an ID of digits stays as it
// is.
func (l *loader) file(name string, src []byte) bool {
	l.cfg.source = newSource(src)
	root, err := parseYAML(src)
	if err != nil {
		l.fail("", Origin{Name: name}, &fault{"is not YAML that can be read", ""})
		return false
	}
	if root.syntax != nil {
		o := Origin{Name: name, Line: 1, Column: 1}
		if tk := root.syntax.GetToken(); tk != nil && tk.Position != nil {
			o.Line, o.Column = tk.Position.Line, tk.Position.Column
		}
		l.fail("", o, &fault{"is not valid YAML: " + maskQuoted(root.syntax.GetMessage()), ""})
		return false
	}
	if len(root.bodies) > 1 {
		l.fail("", Origin{Name: name}, &fault{"holds more than one YAML document", "Remove the lines that say ---."})
		return false
	}
	for _, body := range root.bodies {
		r := &fileReader{loader: l, name: name, anchors: root.anchors}
		r.section(body, l.fields, nil, Origin{Name: name, Line: 1, Column: 1})
	}
	return true
}

// A document is a parsed file: its non-empty bodies, or what is wrong with it.
type document struct {
	bodies  []ast.Node
	anchors anchors
	syntax  errorWithToken
}

// parseYAML parses a file. The parser is not ours and gets text from a person,
// so a panic of it becomes an error.
func parseYAML(src []byte) (d document, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parse YAML: %v", p)
		}
	}()
	file, perr := parser.ParseBytes(src, 0)
	if perr != nil {
		if syntax, ok := errors.AsType[errorWithToken](perr); ok {
			return document{syntax: syntax}, nil
		}
		return document{}, fmt.Errorf("parse YAML: %w", perr)
	}
	d.anchors = anchors{}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		ast.Walk(d.anchors, doc.Body)
		d.bodies = append(d.bodies, doc.Body)
	}
	return d, nil
}

// anchors collects the anchors of a document by their name.
type anchors map[string]ast.Node

// Visit notes an anchor and goes on.
func (a anchors) Visit(n ast.Node) ast.Visitor {
	if an, ok := n.(*ast.AnchorNode); ok && an.Name != nil {
		a[an.Name.GetToken().Value] = an.Value
	}
	return a
}

// A fileReader walks a syntax tree along the fields.
type fileReader struct {
	*loader
	name    string
	anchors anchors
	depth   int
}

// at returns the origin of a node.
func (r *fileReader) at(n ast.Node) Origin {
	o := Origin{Name: r.name}
	if n == nil {
		return o
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		o.Line, o.Column = tk.Position.Line, tk.Position.Column
	}
	return o
}

// bare takes anchors, aliases and tags off a node; nil stands for no value.
func (r *fileReader) bare(n ast.Node) ast.Node {
	for range maxDepth {
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.TagNode:
			n = t.Value
		case *ast.AliasNode:
			if t.Value == nil {
				return nil
			}
			n = r.anchors[t.Value.GetToken().Value]
		case *ast.NullNode:
			return nil
		default:
			return n
		}
	}
	return nil
}

// What is wrong with an alias whose anchor is not in the file: more often than not
// a text that begins with an asterisk. It may be a secret, and is not quoted.
const (
	noAnchor  = "is, or holds, an alias (*) of an anchor (&) that the file does not have"
	anchorFix = "Put a text that begins with * into quotes."
)

// lost reports whether a node is an alias of an anchor that is not there.
func (r *fileReader) lost(n ast.Node) bool {
	a, ok := n.(*ast.AliasNode)
	if !ok || a.Value == nil {
		return ok
	}
	_, known := r.anchors[a.Value.GetToken().Value]
	return !known
}

// pairs returns the keys and values of a mapping, those that a merge key (<<)
// brings in first, so that the mapping's own win.
func (r *fileReader) pairs(n ast.Node) (own []*ast.MappingValueNode, ok bool) {
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth {
		return nil, false
	}
	var all []*ast.MappingValueNode
	switch t := r.bare(n).(type) {
	case *ast.MappingNode:
		all = t.Values
	case *ast.MappingValueNode:
		all = []*ast.MappingValueNode{t}
	default:
		return nil, false
	}
	var merged []*ast.MappingValueNode
	for _, p := range all {
		if _, isMerge := p.Key.(*ast.MergeKeyNode); !isMerge {
			own = append(own, p)
			continue
		}
		more, ok := r.pairs(p.Value)
		if !ok {
			r.fail("", r.at(p), &fault{"a merge key (<<) needs an alias of a section", "Write <<: *name, with &name at the section to copy."})
		}
		merged = append(merged, more...)
	}
	return append(merged, own...), true
}

// section reads a mapping into a struct.
func (r *fileReader) section(n ast.Node, fs []field, path []string, o Origin) {
	pairs, ok := r.pairs(n)
	if !ok {
		if r.bare(n) != nil {
			r.fail(strings.Join(path, "."), o, &fault{"is not a section", "Write its keys on the lines below it, further to the right: " + strings.Join(names(fs), ", ") + "."})
		}
		return
	}
	for _, p := range pairs {
		key := keyText(p.Key)
		keyPath := below(path, key)
		f := child(fs, key)
		if f == nil {
			if !matches(`^[A-Za-z0-9_.-]{1,40}$`, key) { // whatever it is, it was not meant as a key
				keyPath = below(path, Redacted)
			}
			r.fail(strings.Join(keyPath, "."), r.at(p.Key), r.unknownKey(path, key, fs))
			continue
		}
		r.value(p.Value, f, keyPath, r.at(p.Key))
	}
}

// keyText returns a key as it was written.
func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	if tk := k.GetToken(); tk != nil {
		return tk.Value
	}
	return ""
}

// value reads a node into a field of any kind.
func (r *fileReader) value(n ast.Node, f *field, path []string, o Origin) {
	if r.lost(n) {
		r.fail(strings.Join(path, "."), o, &fault{noAnchor, anchorFix})
		return
	}
	if r.bare(n) == nil {
		return // a key without a value leaves the default
	}
	switch f.kind {
	case kindStruct:
		if short := f.shorthand(); short != nil && !isMapping(r.bare(n)) {
			r.items(n, below(path, short.name), o)
			return
		}
		r.cfg.origins[strings.Join(path, ".")] = o
		r.section(n, f.children, path, o)
	case kindList:
		r.list(n, f, path, o)
	case kindMap:
		r.entries(n, path, o)
	case kindTexts, kindSecrets:
		r.items(n, path, o)
	default:
		r.scalar(n, path, o)
	}
}

// isMapping reports whether a node is one of keys and values.
func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	default:
		return false
	}
}

// list reads a sequence of sections.
func (r *fileReader) list(n ast.Node, f *field, path []string, o Origin) {
	seq, ok := r.bare(n).(*ast.SequenceNode)
	if !ok {
		r.fail(strings.Join(path, "."), o, &fault{"is not a list", "Begin each element with a dash: - " + f.children[0].name + ": ..."})
		return
	}
	for i, el := range seq.Values {
		elPath := below(path, strconv.Itoa(i))
		at := r.at(r.bare(el))
		if pairs, ok := r.pairs(el); ok && len(pairs) > 0 {
			at = r.at(pairs[0].Key)
		}
		r.cfg.origins[strings.Join(elPath, ".")] = at
		// Locating the first field makes the element, with its defaults, even
		// if it turns out to be empty.
		if _, _, _, ft := r.locate(below(elPath, f.children[0].name)); ft != nil {
			r.fail(strings.Join(elPath, "."), at, ft)
			return
		}
		r.section(el, f.children, elPath, at)
	}
}

// below adds a part to a path; neither shares memory with the other.
func below(path []string, part string) []string {
	return append(slices.Clip(path), part)
}

// entries reads a mapping of texts into a map.
func (r *fileReader) entries(n ast.Node, path []string, o Origin) {
	pairs, ok := r.pairs(n)
	if !ok {
		r.fail(strings.Join(path, "."), o, &fault{"is not a section of keys and values", "Write each entry on a line of its own, as key: value."})
		return
	}
	for _, p := range pairs {
		r.scalar(p.Value, below(path, keyText(p.Key)), r.at(p.Key))
	}
}

// items reads a list of values, or one value in its place.
func (r *fileReader) items(n ast.Node, path []string, o Origin) {
	seq, ok := r.bare(n).(*ast.SequenceNode)
	if !ok {
		r.scalar(n, path, o)
		return
	}
	var items []string
	for _, el := range seq.Values {
		if r.lost(el) {
			r.fail(strings.Join(path, "."), r.at(el), &fault{noAnchor, anchorFix})
			return
		}
		text, ok := r.text(el)
		if !ok {
			r.fail(strings.Join(path, "."), r.at(r.bare(el)), &fault{"holds a section or a list where a single value is expected", ""})
			return
		}
		items = append(items, text)
	}
	r.setItems(path, items, o)
}

// scalar reads a single value.
func (r *fileReader) scalar(n ast.Node, path []string, o Origin) {
	if r.lost(n) {
		r.fail(strings.Join(path, "."), o, &fault{noAnchor, anchorFix})
		return
	}
	text, ok := r.text(n)
	if !ok {
		r.fail(strings.Join(path, "."), o, &fault{"is a section or a list where a single value is expected", ""})
		return
	}
	r.set(path, text, o)
}

// text returns a single value as it was written.
func (r *fileReader) text(n ast.Node) (string, bool) {
	switch t := r.bare(n).(type) {
	case nil:
		return "", true
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return t.GetToken().Value, true
	default:
		return "", false
	}
}

// maskQuoted hides what a message of the parser quotes from the file.
func maskQuoted(message string) string {
	return regexp.MustCompile(`"[^"]*"`).ReplaceAllStringFunc(message, func(q string) string {
		word := strings.Trim(q, `"`)
		known := false
		eachField(fields(), func(f *field) { known = known || f.name == word })
		if known {
			return q
		}
		return `"` + Redacted + `"`
	})
}

// eachField calls fn for every field, sections included.
func eachField(fs []field, fn func(f *field)) {
	for i := range fs {
		fn(&fs[i])
		eachField(fs[i].children, fn)
	}
}
