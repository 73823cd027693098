package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A leaf is one value of a Config.
type leaf struct {
	path  string
	field *field
	value reflect.Value
}

// walk calls fn for every value, in the order of the structs.
func (c *Config) walk(fn func(leaf)) {
	walkStruct(reflect.ValueOf(c).Elem(), fields(), "", fn)
}

// walkStruct calls fn for every value in a struct.
func walkStruct(v reflect.Value, fs []field, prefix string, fn func(leaf)) {
	for i := range fs {
		f := &fs[i]
		fv := v.FieldByIndex(f.index)
		switch f.kind {
		case kindStruct:
			walkStruct(fv, f.children, prefix+f.name+".", fn)
		case kindList:
			for n := range fv.Len() {
				walkStruct(fv.Index(n), f.children, prefix+f.name+"."+strconv.Itoa(n)+".", fn)
			}
		default:
			fn(leaf{prefix + f.name, f, fv})
		}
	}
}

// problem describes what is wrong at a path, with the place it comes from: that
// of the value itself or, for what is missing, of the section around it.
func (c *Config) problem(path, what, fix string) *Error {
	e := &Error{Path: path, Problem: what, Fix: fix}
	for p := path; p != ""; p = parent(p) {
		if o, ok := c.origins[p]; ok {
			e.Where = o.place()
			if o.Line > 0 {
				e.Excerpt = c.source.excerpt(o.Line, o.Column)
			}
			break
		}
	}
	return e
}

// parent cuts the last part off a path.
func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), 0)]
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
