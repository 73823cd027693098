package config

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A RuleTest is an event and what is expected to become of it by the rules of a
// tenant.
type RuleTest struct {
	Name   string
	Tenant string // as named in the configuration
	// Source is what brings the event: poll, webhook, sqs or file.
	Source string
	// Event is a JSON object.
	Event []byte
	// Want is never empty.
	Want []Expectation
	// At is where the test stands.
	At Origin
}

// An Expectation is one thing that a test wants.
type Expectation struct {
	Kind ExpectationKind
	// Path is that of a ValueExpected or an AbsentExpected.
	Path event.Path
	// Text is what is wanted: a JSON text of a ValueExpected, the path as it was
	// written of an AbsentExpected, and the text itself of the others.
	Text string
	// Name is the path of a ValueExpected as it was written.
	Name string
	// At is where it stands.
	At Origin
}

// An ExpectationKind says what is compared.
type ExpectationKind string

// The kinds of expectations, by their keys. Those behind ReasonExpected are of an
// event that is kept.
const (
	KeptExpected    ExpectationKind = "kept"   // "true" or "false"
	ReasonExpected  ExpectationKind = "reason" // for which it is not kept
	GroupExpected   ExpectationKind = "log_group"
	StreamExpected  ExpectationKind = "log_stream"
	MessageExpected ExpectationKind = "message" // byte for byte
	ValueExpected   ExpectationKind = "values"  // of the message, at a path
	AbsentExpected  ExpectationKind = "absent"  // a path
	NowhereExpected ExpectationKind = "nowhere" // a text
)

// The keys of a test and of what it wants.
func ruleTestKeys() []string {
	return []string{"name", "tenant", "source", "event", "event_file", "want"}
}

func expectationKeys() []string {
	return []string{"kept", "reason", "log_group", "log_stream", "message", "values", "absent", "nowhere"}
}

// RuleTestsFile returns where the tests of a configuration lie if nobody says
// otherwise: beside it, gapless.tests.yaml for gapless.yaml.
func RuleTestsFile(configFile string) string {
	ext := filepath.Ext(configFile)
	return strings.TrimSuffix(configFile, ext) + ".tests" + ext
}

// RuleTests reads a file of tests for the rules of a configuration. readFile reads
// the events that lie in files of their own. When anything is wrong the error is an
// *InvalidError with every problem found.
func (c *Config) RuleTests(name string, src []byte, readFile func(path string) ([]byte, error)) ([]RuleTest, error) {
	l := &loader{cfg: &Config{origins: map[string]Origin{}}, excused: map[string]bool{}}
	r := &ruleTestReader{
		fileReader: &fileReader{loader: l, name: name}, readFile: readFile, names: make(map[string]Origin),
	}
	for _, t := range c.Tenants {
		r.tenants = append(r.tenants, t.Name)
	}
	start := Origin{Name: name, Line: 1, Column: 1}
	root, err := parseYAML(src)
	switch {
	case len(src) > maxFileBytes:
		l.fail("", start, &fault{fmt.Sprintf("is larger than %d bytes", maxFileBytes), "Divide it, and name the parts by --tests."})
	case err != nil:
		l.fail("", start, &fault{"is not YAML that can be read", ""})
	case root.syntax != nil:
		o := start
		if tk := root.syntax.GetToken(); tk != nil && tk.Position != nil {
			o.Line, o.Column = tk.Position.Line, tk.Position.Column
		}
		l.fail("", o, &fault{"is not valid YAML: " + root.syntax.GetMessage(), ""})
	case len(root.bodies) != 1:
		l.fail("", start, &fault{"does not hold one YAML document", "Write tests: and a list below it."})
	default:
		r.anchors = root.anchors
		r.file(root.bodies[0], start)
	}
	if len(l.problems) > 0 {
		return nil, &InvalidError{Of: name, Problems: l.problems}
	}
	return r.tests, nil
}

// A ruleTestReader walks the syntax tree of a file of tests.
type ruleTestReader struct {
	*fileReader

	tenants  []string
	readFile func(string) ([]byte, error)
	names    map[string]Origin
	tests    []RuleTest
}

// wrong records a problem at a node.
func (r *ruleTestReader) wrong(path string, n ast.Node, problem, fix string) {
	r.fail(path, r.at(n), &fault{problem, fix})
}

// each calls fn for the pairs of a mapping, of which the keys must be known.
func (r *ruleTestReader) each(path string, n ast.Node, o Origin, known []string, fn func(key, path string, p *ast.MappingValueNode)) {
	pairs, ok := r.pairs(n)
	if !ok {
		r.fail(path, o, &fault{"is not a section", "Write its keys on the lines below it, further to the right: " + strings.Join(known, ", ") + "."})
		return
	}
	for _, p := range pairs {
		key := keyText(p.Key)
		below := strings.TrimPrefix(path+"."+key, ".")
		switch {
		case !slices.Contains(known, key):
			r.wrong(below, p.Key, "is not known", didYouMean(key, known))
		case r.lost(p.Value):
			r.wrong(below, p.Key, noAnchor, anchorFix)
		case r.bare(p.Value) == nil:
			r.wrong(below, p.Key, "has no value", "Write one, or remove the line.")
		default:
			fn(key, below, p)
		}
	}
}

// file reads the whole.
func (r *ruleTestReader) file(n ast.Node, o Origin) {
	r.each("", n, o, []string{"tests"}, func(_, path string, p *ast.MappingValueNode) {
		list, ok := r.bare(p.Value).(*ast.SequenceNode)
		if !ok {
			r.wrong(path, p.Key, "is not a list", "Begin each test with a dash: - name: ...")
			return
		}
		for i, el := range list.Values {
			at := r.at(r.bare(el))
			if pairs, ok := r.pairs(el); ok && len(pairs) > 0 {
				at = r.at(pairs[0].Key)
			}
			r.test("tests."+strconv.Itoa(i), el, at)
		}
	})
}

// test reads one test.
func (r *ruleTestReader) test(path string, n ast.Node, at Origin) {
	t := RuleTest{Source: "poll", At: at}
	before, given := len(r.problems), 0
	r.each(path, n, at, ruleTestKeys(), func(key, path string, p *ast.MappingValueNode) {
		switch key {
		case "name":
			t.Name = r.word(path, p)
		case "tenant":
			if t.Tenant = r.word(path, p); t.Tenant != "" && !slices.Contains(r.tenants, t.Tenant) {
				r.wrong(path, p.Key, quote(t.Tenant)+" is no tenant of the configuration", didYouMean(t.Tenant, r.tenants))
			}
		case "source":
			if t.Source = r.word(path, p); !slices.Contains(ruleTestSources(), t.Source) {
				r.wrong(path, p.Key, quote(t.Source)+" is nothing that brings events", "Use one of: "+strings.Join(ruleTestSources(), ", ")+".")
			}
		case "event", "event_file":
			given++
			t.Event = r.event(key, path, p)
		case "want":
			t.Want = r.want(path, p)
		}
	})
	if len(r.problems) > before {
		return
	}
	r.complete(path, &t, given)
}

// ruleTestSources are the names of what brings events.
func ruleTestSources() []string { return []string{"poll", "webhook", "sqs", "file"} }

// complete checks what must hold between the parts of a test, and keeps it.
func (r *ruleTestReader) complete(path string, t *RuleTest, given int) {
	first, twice := r.names[t.Name]
	switch {
	case t.Name == "":
		r.fail(path+".name", t.At, &fault{"is missing", "Say in a few words what the test is about."})
	case twice:
		r.fail(path+".name", t.At, &fault{"is that of the test at " + first.String(), "Give each test a name of its own."})
	case given == 0:
		r.fail(path+".event", t.At, &fault{"is missing, and so is event_file", "Write the event as keys and values, as a JSON text, or name a file with it."})
	case given > 1:
		r.fail(path+".event_file", t.At, &fault{"is set, and so is event", "Remove one of them."})
	case len(t.Want) == 0:
		r.fail(path+".want", t.At, &fault{"is missing", "Say what is expected: " + strings.Join(expectationKeys(), ", ") + "."})
	case t.Tenant == "" && len(r.tenants) != 1:
		r.fail(path+".tenant", t.At, &fault{"is missing, and the configuration has several", "Name one of: " + strings.Join(r.tenants, ", ") + "."})
	default:
		if t.Tenant == "" {
			t.Tenant = r.tenants[0]
		}
		r.names[t.Name] = t.At
		r.tests = append(r.tests, *t)
	}
}

// word reads a single value.
func (r *ruleTestReader) word(path string, p *ast.MappingValueNode) string {
	text, ok := r.text(p.Value)
	if !ok {
		r.wrong(path, p.Key, "is a section or a list where a single value is expected", "")
	}
	return text
}

// event reads the event of a test.
func (r *ruleTestReader) event(key, path string, p *ast.MappingValueNode) []byte {
	var raw []byte
	switch bare := r.bare(p.Value); {
	case key == "event_file":
		name := filepath.Join(filepath.Dir(r.name), r.word(path, p))
		b, err := r.readFile(name)
		if err != nil {
			r.wrong(path, p.Key, "cannot be read: "+reason(err), "The path is relative to the file of the tests.")
			return nil
		}
		raw = b
	case isMapping(bare):
		b, err := r.json(p.Value)
		if err != nil {
			r.wrong(path, p.Key, err.Error(), "")
			return nil
		}
		raw = b
	default:
		text, ok := r.text(p.Value)
		if !ok {
			r.wrong(path, p.Key, "is a list", "Write one event: keys and values below it, or a JSON object.")
			return nil
		}
		raw = []byte(text)
	}
	raw = bytes.TrimSpace(raw)
	if _, err := event.Parse(raw, time.Time{}); err != nil {
		r.wrong(path, p.Key, "is "+err.Error(), "Write one event: keys and values below it, or a JSON object.")
		return nil
	}
	return raw
}

// want reads what a test expects.
func (r *ruleTestReader) want(path string, p *ast.MappingValueNode) (list []Expectation) {
	var kept string
	var forKept, reason *Expectation // one of each
	r.each(path, p.Value, r.at(p.Key), expectationKeys(), func(key, path string, p *ast.MappingValueNode) {
		more := r.expectations(ExpectationKind(key), path, p)
		list = append(list, more...)
		for i := range more {
			switch more[i].Kind {
			case KeptExpected:
				kept = more[i].Text
			case ReasonExpected:
				reason = &more[i]
			default:
				forKept = &more[i]
			}
		}
	})
	switch {
	case reason != nil && kept == "true":
		r.fail(path+".reason", reason.At, &fault{"is that of an event which is not kept", "Remove it, or write kept: false"})
	case forKept != nil && (kept == "false" || reason != nil):
		r.fail(path+"."+string(forKept.Kind), forKept.At, &fault{"is said of an event which is not kept, and of which nothing is sent", "Remove it, or write kept: true"})
	}
	return list
}

// expectations reads those of one key.
func (r *ruleTestReader) expectations(kind ExpectationKind, path string, p *ast.MappingValueNode) []Expectation {
	switch kind {
	case ValueExpected:
		return r.values(path, p)
	case AbsentExpected, NowhereExpected:
		return r.list(kind, path, p)
	default: // a single value
	}
	e := Expectation{Kind: kind, Text: r.word(path, p), At: r.at(p.Key)}
	if kind == KeptExpected && e.Text != "true" && e.Text != "false" {
		r.wrong(path, p.Key, quote(e.Text)+" is neither true nor false", "Write true or false.")
	}
	if kind == MessageExpected {
		e.Text = strings.TrimRight(e.Text, "\n") // of a block
	}
	return []Expectation{e}
}

// values reads those at paths.
func (r *ruleTestReader) values(path string, p *ast.MappingValueNode) (list []Expectation) {
	pairs, ok := r.pairs(p.Value)
	if !ok {
		r.wrong(path, p.Key, "is not a section of paths and values", "Write each on a line of its own, as details.request.ip: 203.0.113.0")
		return nil
	}
	for _, v := range pairs {
		name := keyText(v.Key)
		want, err := r.json(v.Value)
		if err != nil {
			r.wrong(path+"."+name, v.Key, err.Error(), "")
			continue
		}
		at := r.path(path, name, v.Key)
		list = append(list, Expectation{Kind: ValueExpected, Path: at, Name: name, Text: string(want), At: r.at(v.Key)})
	}
	return list
}

// list reads several paths or texts, or one in the place of a list.
func (r *ruleTestReader) list(kind ExpectationKind, path string, p *ast.MappingValueNode) (list []Expectation) {
	nodes := []ast.Node{p.Value}
	if seq, ok := r.bare(p.Value).(*ast.SequenceNode); ok {
		nodes = seq.Values
	}
	for _, n := range nodes {
		text, ok := r.text(n)
		if !ok || text == "" || r.lost(n) {
			r.wrong(path, p.Key, "holds something else than a text", "Put a text that begins with * into quotes.")
			continue
		}
		e := Expectation{Kind: kind, Text: text, At: r.at(r.bare(n))}
		if kind == AbsentExpected {
			e.Path = r.path(path, text, n)
		}
		list = append(list, e)
	}
	return list
}

// path reads a path.
func (r *ruleTestReader) path(path, text string, n ast.Node) event.Path {
	p, err := event.ParsePath(text)
	if e, ok := errors.AsType[*event.PathError](err); ok {
		r.wrong(path, n, strconv.Quote(text)+" "+e.Problem, "See the guide on rules for how paths are written.")
	}
	return p
}
