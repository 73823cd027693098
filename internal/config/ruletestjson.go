package config

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/goccy/go-yaml/ast"
)

// Errors of json.
var (
	errDeepYAML   = errors.New("nests too deeply, or is too large")
	errNoJSON     = errors.New("holds something that JSON does not have")
	errLostAnchor = errors.New(noAnchor)
)

// maxEventDepth bounds the nesting of an event in YAML.
const maxEventDepth = 100

// json writes a node as JSON: members in their order, numbers as they are written
// where JSON has them so.
func (r *ruleTestReader) json(n ast.Node) ([]byte, error) { return r.appendJSON(nil, n, 0) }

func (r *ruleTestReader) appendJSON(out []byte, n ast.Node, depth int) ([]byte, error) {
	if depth > maxEventDepth || len(out) > maxFileBytes { // of aliases within aliases
		return nil, errDeepYAML
	}
	if r.lost(n) {
		return nil, errLostAnchor
	}
	switch t := r.bare(n).(type) {
	case nil:
		return append(out, "null"...), nil
	case *ast.MappingNode, *ast.MappingValueNode:
		return r.appendObject(out, n, depth)
	case *ast.SequenceNode:
		out = append(out, '[')
		for i, el := range t.Values {
			if i > 0 {
				out = append(out, ',')
			}
			var err error
			if out, err = r.appendJSON(out, el, depth+1); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case *ast.StringNode:
		return appendJSONText(out, t.Value)
	case *ast.LiteralNode:
		return appendJSONText(out, t.Value.Value)
	case *ast.BoolNode:
		if t.Value {
			return append(out, "true"...), nil
		}
		return append(out, "false"...), nil
	case *ast.IntegerNode:
		return appendNumber(out, t.GetToken().Value, t.Value)
	case *ast.FloatNode:
		return appendNumber(out, t.GetToken().Value, t.Value)
	default: // infinite, or no number
		return nil, errNoJSON
	}
}

// appendObject writes a mapping. Of two members with one name the last counts, as a
// mapping's own come behind those that it merges in.
func (r *ruleTestReader) appendObject(out []byte, n ast.Node, depth int) ([]byte, error) {
	pairs, ok := r.pairs(n)
	if !ok {
		return nil, errDeepYAML
	}
	last := make(map[string]int, len(pairs))
	for i, p := range pairs {
		last[keyText(p.Key)] = i
	}
	out = append(out, '{')
	first := true
	for i, p := range pairs {
		if last[keyText(p.Key)] != i {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		var err error
		if out, err = appendJSONText(out, keyText(p.Key)); err == nil {
			out, err = r.appendJSON(append(out, ':'), p.Value, depth+1)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// appendJSONText writes a text.
func appendJSONText(out []byte, s string) ([]byte, error) {
	b, err := marshal(s)
	return append(out, b...), err
}

// appendNumber writes a number as it was written, or its value where JSON has no
// such writing: 0x10, 1_000.
func appendNumber(out []byte, text string, value any) ([]byte, error) {
	if json.Valid([]byte(text)) {
		return append(out, text...), nil
	}
	b, err := marshal(value)
	return append(out, b...), err
}

// marshal writes a value as JSON, with < and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return nil, errNoJSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
