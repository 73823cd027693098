package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrInvalid is what every *InvalidError is, for errors.Is.
var ErrInvalid = errors.New("the configuration is not valid")

// Error is one problem of a configuration. No part of it shows a secret.
type Error struct {
	// Path is the field, such as "tenants.0.domain"; empty for a problem of the
	// whole file.
	Path string
	// Where is the place that the value comes from: "gapless.yaml:4:5", a
	// variable or a flag. It is empty for what is missing everywhere.
	Where string
	// Problem says what is wrong; it continues a sentence that begins with the
	// path: "is missing".
	Problem string
	// Fix says what to do, as a sentence; may be empty.
	Fix string
	// Excerpt is the part of the file around the problem, with values masked
	// unless they are known to be harmless; empty outside files.
	Excerpt string
}

// Error returns the place, the path and the problem, in one line.
func (e *Error) Error() string {
	s := strings.TrimSpace(e.Path + " " + e.Problem)
	if e.Where != "" {
		return e.Where + ": " + s
	}
	return s
}

// InvalidError holds every problem that Load or Validate found.
type InvalidError struct {
	// Of says what has the problems: "the configuration", or a file of tests.
	Of string
	// Problems is never empty. Those of the file come first, in its order.
	Problems []*Error
}

// Error returns all problems, one a line.
func (e *InvalidError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n" + p.Error())
	}
	return b.String()
}

// Is reports whether target is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Unwrap returns the problems.
func (e *InvalidError) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// invalid returns the problems as an error, nil when there are none.
func invalid(problems []*Error) error {
	if len(problems) == 0 {
		return nil
	}
	return &InvalidError{Of: "the configuration", Problems: problems}
}

// An Origin is where a value comes from. The zero value is the default.
type Origin struct {
	// Name is the file, variable or flag; empty for a default.
	Name string
	// Line and Column are the place in a file, counted from 1; 0 elsewhere.
	Line, Column int
}

// String returns "default", "FILE:LINE:COLUMN", or the name of the variable or
// flag.
func (o Origin) String() string {
	switch {
	case o.Name == "":
		return "default"
	case o.Line > 0:
		return o.Name + ":" + strconv.Itoa(o.Line) + ":" + strconv.Itoa(o.Column)
	default:
		return o.Name
	}
}

// place is String for error messages, in which a default is no place.
func (o Origin) place() string {
	if o.Name == "" {
		return ""
	}
	return o.String()
}

// Nearest returns the candidate that a mistyped word most likely meant, empty when none is
// near.
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }

// nearest returns the candidate that a mistyped word most likely meant, empty
// when none is near.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// didYouMean is the fix for an unknown name: the nearest one, or all of them.
func didYouMean(word string, candidates []string) string {
	if best := nearest(word, candidates); best != "" {
		return "Did you mean " + best + "?"
	}
	sorted := slices.Sorted(slices.Values(candidates))
	return "Known here: " + strings.Join(sorted, ", ") + "."
}

// quote shows a harmless value in a message, cut when it is long, and at the
// first space: in a broken file a value may run on into the next line, where a
// secret may stand.
func quote(s string) string {
	const most = 60
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		s = s[:i] + "..."
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
