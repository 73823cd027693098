package tenant

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// analysed are the fields of prose: a term matches a word of them, whatever its
// case. All others are matched whole.
var analysed = []string{"description", "user_agent"}

// termMatcher matches a word, which may hold the wildcards * and ?, or a phrase.
// Without a field it matches in any of the searchable ones.
func termMatcher(name string, t token) matcher {
	if name == "" {
		all := make([]matcher, 0, len(searchable))
		for _, f := range searchable {
			all = append(all, termMatcher(f, t))
		}
		return func(e entry) bool {
			return slices.ContainsFunc(all, func(m matcher) bool { return m(e) })
		}
	}
	text, match := t.text, pattern
	if t.kind == tokenPhrase {
		match = func(want, value string) bool { return want == value }
	}
	if !slices.Contains(analysed, name) {
		return func(e entry) bool { return match(text, field(e, name)) }
	}
	if t.kind == tokenPhrase {
		phrase := words(text)
		return func(e entry) bool { return containsRun(words(field(e, name)), phrase) }
	}
	text = strings.ToLower(text)
	return func(e entry) bool {
		return slices.ContainsFunc(words(field(e, name)), func(w string) bool { return pattern(text, w) })
	}
}

// words splits prose.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// containsRun reports whether run occurs in list, in one piece.
func containsRun(list, run []string) bool {
	for i := range len(list) - len(run) + 1 {
		if slices.Equal(list[i:i+len(run)], run) {
			return true
		}
	}
	return false
}

// pattern reports whether value is what want describes, in which * stands for
// any text, ? for one byte, and a backslash takes the next one literally. After
// a mismatch only the last star gives way, so that the time stays bounded.
func pattern(want, value string) bool {
	afterStar, retry := "", ""
	starred := false
	for want != "" || value != "" {
		if strings.HasPrefix(want, "*") {
			want = want[1:]
			starred, afterStar, retry = true, want, value
			continue
		}
		if rest, ok := step(want, value); ok {
			want, value = rest, value[1:]
			continue
		}
		if !starred || retry == "" {
			return false
		}
		retry = retry[1:]
		want, value = afterStar, retry
	}
	return true
}

// step matches the first element of want with the first byte of value, and
// returns the rest of want.
func step(want, value string) (rest string, ok bool) {
	switch {
	case want == "" || value == "":
		return "", false
	case want[0] == '?':
		return want[1:], true
	case want[0] == '\\' && len(want) > 1:
		want = want[1:]
	}
	return want[1:], want[0] == value[0]
}

// rangeMatcher matches the values between two bounds; * is no bound.
func rangeMatcher(name string, t token) (matcher, error) {
	if name == "date" {
		return dateMatcher(t)
	}
	return func(e entry) bool {
		v := field(e, name)
		switch {
		case v == "",
			t.low != "*" && (v < t.low || t.withoutLow && v == t.low),
			t.high != "*" && (v > t.high || t.withoutHi && v == t.high):
			return false
		}
		return true
	}, nil
}

// dateMatcher matches the dates between two bounds. A bound such as 2026-11-01
// is the whole day: [ includes it from its start, { excludes it to its end.
func dateMatcher(t token) (matcher, error) {
	from, until := int64(-1<<62), int64(1<<62)
	if t.low != "*" {
		start, end, err := span(t.low)
		if err != nil {
			return nil, err
		}
		if from = start; t.withoutLow {
			from = end
		}
	}
	if t.high != "*" {
		start, end, err := span(t.high)
		if err != nil {
			return nil, err
		}
		if until = end; t.withoutHi {
			until = start
		}
	}
	return func(e entry) bool { return e.date >= from && e.date < until }, nil
}

// dateForms are the forms of a bound and how long a time each of them names.
var dateForms = []struct {
	layout string
	long   time.Duration
}{
	{"2006-01-02", day},
	{"2006-01-02T15", time.Hour},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02T15:04Z07:00", time.Minute},
}

// span returns the Unix milliseconds at which the named time starts and ends.
func span(text string) (start, end int64, err error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		long := time.Second
		if strings.Contains(text, ".") {
			long = time.Millisecond
		}
		return t.UnixMilli(), t.Add(long).UnixMilli(), nil
	}
	for _, f := range dateForms {
		if t, err := time.Parse(f.layout, text); err == nil {
			return t.UnixMilli(), t.Add(f.long).UnixMilli(), nil
		}
	}
	return 0, 0, fmt.Errorf("%q is no date", text)
}
