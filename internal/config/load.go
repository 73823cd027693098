package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// DefaultFile is read from the working directory when no file is named and it
// exists.
const DefaultFile = "gapless.yaml"

// FileVariable names the file where the flag --config does not.
const FileVariable = envPrefix + "CONFIG"

// maxFileBytes bounds the configuration file.
const maxFileBytes = 1 << 20

// LoadOptions say where a configuration comes from.
type LoadOptions struct {
	// File is the file to read. When empty it is the one that FileVariable
	// names, or DefaultFile if there is one, or none.
	File string
	// Environ holds the environment as os.Environ returns it.
	Environ []string
	// Sets are the values of --set, each "path=value", in their order.
	Sets []string
	// Flags are the values of other flags; they win over Sets.
	Flags []Flag
	// ReadFile reads the file; os.ReadFile when nil.
	ReadFile func(path string) ([]byte, error)
}

// A Flag is a flag of the command line that stands for a field.
type Flag struct {
	// Name is the flag as it is typed, such as "--listen".
	Name string
	// Path is the field, such as "listen".
	Path string
	// Value is the text given.
	Value string
}

// Load reads all layers and checks the result. When anything is wrong the error
// is an *InvalidError with every problem found, and there is no Config. Nothing
// but the file is read: secret references stay references.
func Load(ctx context.Context, o LoadOptions) (*Config, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	env := parseEnviron(o.Environ)
	l := newLoader()
	l.cfg.DataDir = defaultDataDir(runtime.GOOS, os.Geteuid() == 0, env)
	if !l.readFile(o, env) {
		return nil, invalid(l.problems)
	}
	unknown := l.environment(env)
	for i, s := range o.Sets {
		l.setFlag(i, s)
	}
	for _, f := range o.Flags {
		l.set(splitPath(f.Path), f.Value, Origin{Name: f.Name})
	}
	l.unknownVariables(unknown)
	l.slowPolls()
	l.validate()
	if err := invalid(l.problems); err != nil {
		return nil, err
	}
	return l.cfg, nil
}

// Default returns the configuration of a run without a file, variables or
// flags, and without a data directory. It has no tenants, so it is not valid.
func Default() *Config { return newLoader().cfg }

// NewTenant returns a tenant with every default set.
func NewTenant() Tenant {
	var t Tenant
	applyDefaults(reflect.ValueOf(&t).Elem(), fieldsOf(reflect.TypeFor[Tenant]()))
	return t
}

// NewDestination returns a further destination with every default set.
func NewDestination(name string) Destination {
	var d Destination
	applyDefaults(reflect.ValueOf(&d).Elem(), fieldsOf(reflect.TypeFor[Destination]()))
	d.Name = name
	return d
}

// Origin tells where the value of a field comes from, given its path.
func (c *Config) Origin(path string) Origin { return c.origins[path] }

// A loader puts the layers one over the other.
type loader struct {
	cfg      *Config
	fields   []field
	problems []*Error
	// excused are the paths that were reported already in some other way.
	excused map[string]bool
}

func newLoader() *loader {
	l := &loader{cfg: &Config{origins: map[string]Origin{}}, fields: fields(), excused: map[string]bool{}}
	applyDefaults(reflect.ValueOf(l.cfg).Elem(), l.fields)
	return l
}

// applyDefaults sets the defaults of the tags in a struct. A test holds that
// all of them can be read.
func applyDefaults(v reflect.Value, fs []field) {
	for i := range fs {
		f := &fs[i]
		switch {
		case f.kind == kindStruct:
			applyDefaults(v.FieldByIndex(f.index), f.children)
		case f.def != "":
			f.parse(f.def, v.FieldByIndex(f.index))
		}
	}
}

// slowPolls sets the default of the tenants whose poll is the check of a push.
func (l *loader) slowPolls() {
	for i := range l.cfg.Tenants {
		_, set := l.cfg.origins["tenants."+strconv.Itoa(i)+".poll_interval"]
		if t := &l.cfg.Tenants[i]; t.Pushed() && !set {
			t.PollInterval = PushedPollInterval
		}
	}
}

// fail records a problem.
func (l *loader) fail(path string, o Origin, ft *fault) {
	l.excused[path] = true
	e := &Error{Path: path, Where: o.place(), Problem: ft.problem, Fix: ft.fix}
	if o.Line > 0 {
		e.Excerpt = l.cfg.source.excerpt(o.Line, o.Column)
	}
	l.problems = append(l.problems, e)
}

// set gives the field at a path a value and notes where it came from.
func (l *loader) set(path []string, text string, o Origin) {
	v, f, key, ft := l.locate(path)
	if ft == nil && f.shorthand() != nil {
		path = below(path, f.shorthand().name)
		v, f, key, ft = l.locate(path)
	}
	full := strings.Join(path, ".")
	if ft == nil && key != "" {
		l.setMapKey(v, key, text)
	} else if ft == nil {
		ft = f.parse(text, v)
	}
	if ft != nil {
		l.fail(full, o, ft)
		return
	}
	l.cfg.origins[full] = o
}

// setItems gives the list at a path its values, as set does for a single one.
func (l *loader) setItems(path, items []string, o Origin) {
	full := strings.Join(path, ".")
	v, f, _, ft := l.locate(path)
	if ft == nil {
		ft = f.parseItems(items, v)
	}
	if ft != nil {
		l.fail(full, o, ft)
		return
	}
	l.cfg.origins[full] = o
}

// setMapKey sets one entry of a map, which is never shared.
func (l *loader) setMapKey(v reflect.Value, key, text string) {
	m := mapIn(v)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = text
	v.Set(reflect.ValueOf(m))
}

// locate walks a path down to a leaf, making the list element behind the last
// one where the path names it. key is the rest of a path into a map.
func (l *loader) locate(path []string) (v reflect.Value, f *field, key string, ft *fault) {
	v = reflect.ValueOf(l.cfg).Elem()
	f = &field{kind: kindStruct, children: l.fields}
	for i := range path {
		switch f.kind {
		case kindStruct:
			c := child(f.children, path[i])
			if c == nil {
				return v, f, "", l.unknownKey(path[:i], path[i], f.children)
			}
			v, f = v.FieldByIndex(c.index), c
		case kindList:
			n, ft := index(path[i], v.Len(), strings.Join(path[:i], "."))
			if ft != nil {
				return v, f, "", ft
			}
			if n == v.Len() {
				v.Grow(1)
				v.SetLen(n + 1)
				v.Index(n).SetZero()
				applyDefaults(v.Index(n), f.children)
			}
			v, f = v.Index(n), &field{kind: kindStruct, children: f.children}
		case kindMap:
			return v, f, strings.Join(path[i:], "."), nil
		default:
			return v, f, "", &fault{"is below " + strings.Join(path[:i], ".") + ", which is a value, not a section", ""}
		}
	}
	return v, f, "", nil
}

// index reads the position in a list of length n; n itself adds an element.
func index(text string, n int, list string) (int, *fault) {
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 {
		return 0, &fault{"names no element of the list " + list, "Write " + list + ".0 for the first."}
	}
	if i > n {
		return 0, &fault{fmt.Sprintf("would leave a hole: the next free position of %s is %d", list, n), "Positions count from 0, without holes."}
	}
	return i, nil
}

// unknownKey describes a key that a section does not have.
func (l *loader) unknownKey(section []string, key string, known []field) *fault {
	if len(key) > 100 {
		return &fault{"is no known key", ""}
	}
	if best := nearest(key, names(known)); best != "" {
		l.excused[strings.Join(append(slices.Clone(section), best), ".")] = true
		return &fault{"is no known key", "Did you mean " + best + "?"}
	}
	if home := homeOf(key, l.fields, ""); home != "" {
		return &fault{"is no known key here", "It belongs at " + home + "."}
	}
	return &fault{"is no known key", didYouMean(key, names(known))}
}

// homeOf finds where a key that was put into the wrong section belongs.
func homeOf(key string, fs []field, prefix string) string {
	for _, f := range fs {
		if f.name == key {
			return prefix + f.name
		}
	}
	for _, f := range fs {
		next := prefix + f.name + "."
		if f.kind == kindList {
			next += "0."
		}
		if home := homeOf(key, f.children, next); home != "" {
			return home
		}
	}
	return ""
}

// readFile applies the file, if there is one. It returns false when the file
// cannot be read or parsed, so that the other layers would only add noise.
func (l *loader) readFile(o LoadOptions, env map[string]string) bool {
	name, optional := o.File, false
	from := "--config"
	if name == "" {
		name, from = env[FileVariable], FileVariable
	}
	if name == "" {
		name, optional = DefaultFile, true
	}
	read := o.ReadFile
	if read == nil {
		read = os.ReadFile
	}
	src, err := read(name)
	switch {
	case err == nil && len(src) <= maxFileBytes:
		return l.file(name, src)
	case err == nil:
		l.problems = append(l.problems, &Error{Where: name, Problem: fmt.Sprintf("the file is larger than %d bytes", maxFileBytes)})
	case errors.Is(err, fs.ErrNotExist) && optional:
		return true
	case errors.Is(err, fs.ErrNotExist):
		l.problems = append(l.problems, &Error{Where: name, Problem: "the file does not exist", Fix: "Check the path given by " + from + "."})
	default:
		l.problems = append(l.problems, &Error{Where: name, Problem: "the file cannot be read: " + reason(err), Fix: "Check the path given by " + from + " and the rights of the file."})
	}
	return false
}

// reason returns the innermost message of an error of the file system.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// setFlag applies a value of --set, the i-th. Its value is never quoted.
func (l *loader) setFlag(i int, s string) {
	path, value, ok := strings.Cut(s, "=")
	if !ok || path == "" {
		o := Origin{Name: fmt.Sprintf("--set (number %d)", i+1)}
		l.fail("", o, &fault{"is not path=value", "Write it like --set tenants.0.domain=dev-tenant.us.auth0.com."})
		return
	}
	l.set(splitPath(path), value, Origin{Name: "--set " + path})
}

// splitPath splits a path such as tenants.0.domain or tenants[0].domain.
func splitPath(path string) []string {
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	return strings.Split(path, ".")
}

// defaultDataDir chooses where the data lie; see the field DataDir.
func defaultDataDir(goos string, root bool, env map[string]string) string {
	if dir, _, _ := strings.Cut(env["STATE_DIRECTORY"], ":"); dir != "" && goos != "windows" {
		return dir
	}
	if root && goos != "windows" {
		return "/var/lib/gapless"
	}
	under := func(base string, elem ...string) string {
		if base == "" {
			return ""
		}
		return filepath.Join(append([]string{base}, elem...)...)
	}
	switch goos {
	case "windows":
		return under(env["LOCALAPPDATA"], "gapless")
	case "darwin":
		return under(env["HOME"], "Library", "Application Support", "gapless")
	default:
		if dir := env["XDG_STATE_HOME"]; dir != "" {
			return filepath.Join(dir, "gapless")
		}
		return under(env["HOME"], ".local", "state", "gapless")
	}
}
