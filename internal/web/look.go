package web

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

//go:embed templates
var templateFiles embed.FS

// A look is how pages look: their templates by language and name, the words, and the
// files under /static/.
type look struct {
	pages  map[string]map[string]*template.Template
	words  map[string]*words
	assets *assets
}

// newLook reads templates, words and files.
func newLook() (*look, error) {
	all, err := loadWords()
	if err != nil {
		return nil, err
	}
	l := &look{words: all, pages: make(map[string]map[string]*template.Template)}
	if l.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	for lang, w := range all {
		if l.pages[lang], err = parsePages(w); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// parsePages parses the pages for a language: each with the layout and the parts that
// pages share.
func parsePages(w *words) (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(helpers(w)).ParseFS(templateFiles, "templates/*.html", "templates/parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the pages: %w", err)
	}
	pages := make(map[string]*template.Template)
	for _, name := range names {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, name)
		}
		if err != nil {
			return nil, fmt.Errorf("parse the page: %w", err)
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return pages, nil
}

// helpers are the functions of the templates:
//
//	T key args...        the text of a key
//	N key count args...  the same for a count, which is the first argument of the text
//	O prefix word        the text of prefix+word, or the word
//	num, size, pct       1,234   1.5 KiB   12.5 %  (of a share from 0 to 1)
//	dur                  a time.Duration: 1.2 s
//	stamp                a time in UTC as text; frame.Stamp, .Ago and .Age make elements
//	title, severity      of a type of events, by its code
//	seconds              a number of seconds as a time.Duration
//	expired              whether a number of seconds that are left is used up
//	dict                 k v k v ..., to hand several things to a template
//	total                the sum of counts by reason
//	rfc, day, clock      parts of a time in UTC; millis is clock with milliseconds, exact all of it
//	field, secs          a time for a field of a form, and as seconds since 1970
//	lag                  from one time to another: +0.4 s
//	list, sub            a list of words; a - b
func helpers(w *words) template.FuncMap {
	return template.FuncMap{
		"T": func(key string, args ...any) (string, error) {
			if !w.has(key) {
				return "", fmt.Errorf("no text for %q in %s", key, w.lang)
			}
			return w.t(key, args...), nil
		},
		"N": func(key string, n any, args ...any) (string, error) {
			if !w.has(key) {
				return "", fmt.Errorf("no text for %q in %s", key, w.lang)
			}
			return w.n(key, whole(n), args...), nil
		},
		"O":        w.or,
		"num":      func(n any) string { return number(whole(n)) },
		"size":     Size,
		"pct":      func(share float64) string { return fmt.Sprintf("%.3g\u00a0%%", 100*share) },
		"dur":      w.duration,
		"seconds":  func(n any) time.Duration { return time.Duration(whole(n)) * time.Second },
		"expired":  func(left any) bool { return whole(left) <= 0 },
		"stamp":    stamp,
		"title":    func(code string) string { return titleIn(w.lang, code) },
		"severity": func(code string) string { return event.Lookup(code).Severity.String() },
		"dict":     dict,
		"total":    total,
		"rfc":      func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"clock":    func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
		"millis":   func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
		"exact":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") },
		"field":    field,
		"secs":     secs,
		"lag":      func(from, to time.Time) string { return w.lagBetween(from, to) },
		"list":     func(words ...string) []string { return words },
		"sub":      func(a, b int) int { return a - b },
	}
}

// whole returns any whole number as int64.
func whole(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case *int64:
		return *n
	}
	return 0
}

// field writes a time for a field datetime-local of a form; nothing for none.
func field(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}

// dict makes a map out of keys and values in turn.
func dict(pairs ...any) (map[string]any, error) {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no key", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// total sums counts by reason.
func total(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}
