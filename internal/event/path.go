package event

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A Path names members of a record, such as details.request.body.password, any
// "email" below details (details..email), or prompts[0].name.
//
//	a.b      the member b of the member a
//	*        any member, and any element
//	..b      the member b at any depth, also at none
//	[0] [*]  one element of an array, counted from 0; any element
//	"a.b"    a name with other characters than letters of a plain name, as a JSON string; ["a.b"] is the same
//
// A name reaches through arrays: in a.b, a may be an array of objects, also an array
// of arrays of them. A leading $ stands for the record, as in JSONPath. Names are
// compared as they are, upper and lower case apart.
type Path []Step

// A Step is a part of a Path.
type Step struct {
	// Deep says that the step may be taken at any depth.
	Deep bool
	Kind StepKind
	// Name is the member of a NameStep.
	Name string
	// Index is the element of an IndexStep.
	Index int
}

// A StepKind tells what a Step leads to.
type StepKind uint8

// The kinds of steps.
const (
	NameStep       StepKind = iota // a member by its name
	AnyStep                        // any member or element
	IndexStep                      // an element by its place
	AnyElementStep                 // any element
)

// A PathError says what is wrong with a path, and where.
type PathError struct {
	// Path is the whole text.
	Path string
	// Offset is the byte at which it goes wrong; len(Path) for its end.
	Offset int
	// Problem continues a sentence that begins with the path.
	Problem string
}

// Error implements error; see Caret for the place.
func (e *PathError) Error() string { return strconv.Quote(e.Path) + " " + e.Problem }

// Caret returns two lines: the path, and a mark under the place.
func (e *PathError) Caret() string {
	before := len([]rune(e.Path[:e.Offset]))
	return e.Path + "\n" + strings.Repeat(" ", before) + "^"
}

// ParsePath reads a path. The error is a *PathError.
func ParsePath(text string) (Path, error) {
	p := pathParser{text: text}
	if rest, ok := strings.CutPrefix(text, "$"); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
		p.i = 1
	}
	for {
		ok, err := p.step()
		if err != nil {
			return nil, err
		}
		if !ok {
			return p.path, nil
		}
	}
}

// pathParser reads the steps of a path.
type pathParser struct {
	text string
	i    int
	path Path
}

// fail says what is wrong at the position.
func (p *pathParser) fail(problem string) error {
	return &PathError{Path: p.text, Offset: min(p.i, len(p.text)), Problem: problem}
}

// peek returns the byte at the position; 0 at the end.
func (p *pathParser) peek() byte {
	if p.i < len(p.text) {
		return p.text[p.i]
	}
	return 0
}

// step reads one step; false at the end.
func (p *pathParser) step() (bool, error) {
	first := len(p.path) == 0
	deep := strings.HasPrefix(p.text[p.i:], "..")
	switch {
	case deep:
		p.i += 2
	case p.peek() == '[':
		return true, p.element(false)
	case p.i == len(p.text) && !first:
		return false, nil
	case p.i == len(p.text):
		return false, p.fail("names nothing")
	case p.peek() == '.' && (!first || p.i > 0):
		p.i++
	case p.peek() == '.':
		return false, p.fail("begins with a dot; two dots stand for any depth")
	case !first || p.i > 0:
		return false, p.fail("lacks a dot between two names")
	}
	switch c := p.peek(); c {
	case 0:
		return false, p.fail("ends with a dot")
	case '.':
		return false, p.fail("has a dot too many")
	case '[':
		return true, p.element(deep)
	case '*':
		p.i++
		p.path = append(p.path, Step{Deep: deep, Kind: AnyStep})
		return true, nil
	case '"':
		return true, p.quoted(deep)
	default:
		return true, p.name(deep)
	}
}

// name reads a plain name.
func (p *pathParser) name(deep bool) error {
	n := strings.IndexAny(p.text[p.i:], ".[]*\"' \t\r\n\\")
	if n < 0 {
		n = len(p.text) - p.i
	}
	if end := p.i + n; end < len(p.text) && p.text[end] != '.' && p.text[end] != '[' {
		p.i = end
		return p.fail("has a character that a plain name cannot have; put such a name into double quotes")
	}
	p.path = append(p.path, Step{Deep: deep, Name: p.text[p.i : p.i+n]})
	p.i += n
	return nil
}

// quoted reads a name in quotes.
func (p *pathParser) quoted(deep bool) error {
	for end := p.i + 1; end < len(p.text); end++ {
		switch p.text[end] {
		case '\\':
			end++
		case '"':
			var name string
			if json.Unmarshal([]byte(p.text[p.i:end+1]), &name) != nil {
				return p.fail("has a name in quotes that is no JSON string")
			}
			p.path = append(p.path, Step{Deep: deep, Name: name})
			p.i = end + 1
			return nil
		}
	}
	return p.fail("has a quote that is not closed")
}

// maxIndex bounds the place of an element.
const maxIndex = 1 << 20

// element reads what stands in brackets.
func (p *pathParser) element(deep bool) error {
	open := p.i
	p.i++
	if p.peek() == '"' {
		if err := p.quoted(deep); err != nil {
			return err
		}
		if p.peek() != ']' {
			p.i = min(p.i, len(p.text))
			return p.fail("has a bracket that is not closed")
		}
		p.i++
		return nil
	}
	inner, _, closed := strings.Cut(p.text[p.i:], "]")
	if !closed {
		p.i = open
		return p.fail("has a bracket that is not closed")
	}
	s := Step{Deep: deep, Kind: AnyElementStep}
	if inner != "*" {
		n, err := strconv.ParseUint(inner, 10, 32)
		if err != nil || n > maxIndex {
			return p.fail("has neither a number, * nor a name in quotes in brackets")
		}
		s.Kind, s.Index = IndexStep, int(n)
	}
	p.path = append(p.path, s)
	p.i += len(inner) + 1
	return nil
}

// Member returns the name of the member of the record itself that the path names by
// its name; false for every other path.
func (p Path) Member() (string, bool) {
	if len(p) == 1 && p[0].Kind == NameStep && !p[0].Deep {
		return p[0].Name, true
	}
	return "", false
}
