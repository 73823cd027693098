package selector

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Errors of ParseGlob.
var (
	errEmptyGlob = errors.New("it is empty")
	errSpaces    = errors.New("it begins or ends with a space")
	errEscape    = errors.New("it ends with a backslash, which must have a character behind it")
)

// A Glob is a pattern of a whole text: * stands for any run of characters, also for
// none, ? for exactly one, and a backslash takes the meaning off the character behind
// it. Everything else stands for itself; capital letters are not small ones.
type Glob struct {
	text  string
	parts []part
}

// A part is one step of a pattern.
type part struct {
	kind partKind
	r    rune // of a literal
}

// A partKind is what a part stands for.
type partKind uint8

const (
	literal partKind = iota
	anyRune
	anyRun
)

// ParseGlob reads a pattern. Its error says what is wrong with it; the empty one
// is refused, as it would match what is not there.
func ParseGlob(text string) (Glob, error) {
	switch {
	case text == "":
		return Glob{}, errEmptyGlob
	case strings.TrimSpace(text) != text:
		return Glob{}, errSpaces
	}
	g := Glob{text: text}
	escaped := false
	for _, r := range text {
		switch {
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped && r == '?':
			g.parts = append(g.parts, part{kind: anyRune})
		case !escaped && r == '*':
			if n := len(g.parts); n == 0 || g.parts[n-1].kind != anyRun { // two in a row are one
				g.parts = append(g.parts, part{kind: anyRun})
			}
		default:
			g.parts = append(g.parts, part{r: r})
		}
		escaped = false
	}
	if escaped {
		return Glob{}, errEscape
	}
	return g, nil
}

// String returns the pattern as it was written.
func (g Glob) String() string { return g.text }

// Literal returns the one text that the pattern matches; false when there may be
// more.
func (g Glob) Literal() (string, bool) {
	var b strings.Builder
	for _, p := range g.parts {
		if p.kind != literal {
			return "", false
		}
		b.WriteRune(p.r)
	}
	return b.String(), true
}

// Match reports whether the pattern stands for the whole of s. It takes at most
// len(s) times the length of the pattern in steps.
func (g Glob) Match(s string) bool {
	at, i := 0, 0        // the next part, and the place in s
	again, from := -1, 0 // the last run, and where it ends so far
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case at < len(g.parts) && g.parts[at].kind == anyRun:
			again, from = at, i
			at++
		case at < len(g.parts) && (g.parts[at].kind == anyRune || g.parts[at].r == r):
			at++
			i += size
		case again >= 0: // the run takes one more
			_, size = utf8.DecodeRuneInString(s[from:])
			from += size
			at, i = again+1, from
		default:
			return false
		}
	}
	for at < len(g.parts) && g.parts[at].kind == anyRun {
		at++
	}
	return at == len(g.parts)
}
