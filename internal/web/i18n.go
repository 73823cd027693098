package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed i18n/*.json
var wordFiles embed.FS

// Languages returns the languages that the pages speak, the default first.
func Languages() []string { return []string{"en", "ja"} }

// words are the texts of a language by key. A text may hold verbs of fmt. A key that
// ends in ".one" is that of the same key for the count 1.
type words struct {
	lang  string
	texts map[string]string
}

// loadWords reads the texts of all languages: those that all pages share from
// i18n/LANG.json, those of a part of them from i18n/LANG.PART.json.
func loadWords() (map[string]*words, error) {
	all := make(map[string]*words)
	for _, lang := range Languages() {
		w := &words{lang: lang, texts: make(map[string]string)}
		names, err := fs.Glob(wordFiles, "i18n/"+lang+".*json")
		if err != nil {
			return nil, fmt.Errorf("list the words: %w", err)
		}
		for _, name := range names {
			b, err := wordFiles.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read the words: %w", err)
			}
			if err := json.Unmarshal(b, &w.texts); err != nil {
				return nil, fmt.Errorf("parse %s: %w", name, err)
			}
		}
		all[lang] = w
	}
	return all, nil
}

// has reports whether there is a text for a key.
func (w *words) has(key string) bool { return w.texts[key] != "" }

// t returns the text of a key with its arguments; the key itself when there is none,
// which a test rules out for those that templates and code name.
func (w *words) t(key string, args ...any) string {
	text, ok := w.texts[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// n returns the text of a key for a count, which is its first argument, grouped.
func (w *words) n(key string, n int64, args ...any) string {
	if n == 1 && w.has(key+".one") {
		key += ".one"
	}
	return w.t(key, append([]any{number(n)}, args...)...)
}

// or returns the text of prefix and word, and the word itself when there is none: for
// words of a set that may grow, such as the reasons of rejected events.
func (w *words) or(prefix, word string) string {
	if text, ok := w.texts[prefix+word]; ok {
		return text
	}
	return word
}

// script returns the texts that scripts need, by their keys without "js.", as JSON.
func (w *words) script() (string, error) {
	out := make(map[string]string)
	for key, text := range w.texts {
		if rest, ok := strings.CutPrefix(key, "js."); ok {
			out[rest] = text
		}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// duration writes a duration for a person: 0.3 s, 12 s, 5 min 10 s, 3 h 2 min, 4 d 3 h.
func (w *words) duration(d time.Duration) string {
	unit := func(n int, key string) string { return strconv.Itoa(n) + " " + w.t("js."+key) }
	two := func(n int, key string, m int, small string) string {
		if m == 0 {
			return unit(n, key)
		}
		return unit(n, key) + " " + unit(m, small)
	}
	switch d = max(0, d); {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " " + w.t("js.s")
	case d < time.Minute:
		return unit(int(d.Seconds()), "s")
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 24*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	default:
		return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	}
}

// lagBetween writes how long after a time another one was; nothing where one is not known.
func (w *words) lagBetween(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return "+" + w.duration(to.Sub(from))
}

// since writes how long ago something was, in one unit, as the scripts do: 5 s, 3 min.
func (w *words) since(d time.Duration) string {
	switch d = max(0, d); {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " " + w.t("js.s")
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " " + w.t("js.min")
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " " + w.t("js.h")
	default:
		return strconv.Itoa(int(d.Hours())/24) + " " + w.t("js.d")
	}
}

// number writes a number with its digits in groups of three: 1,234,567.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(s, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n < 0 {
		return "-" + digits
	}
	return digits
}

// The cookies of what a person prefers. They hold a word of a known set and nothing else.
const (
	langCookie  = "gapless_lang"
	themeCookie = "gapless_theme"
)

// themes are what the switch of the theme offers; auto follows the system.
var themes = []string{"auto", "light", "dark"}

// prefer returns what a person prefers: what the query of this request says, which is
// then kept in a cookie (unless w is nil), or the cookie, if it is one of the words that
// are known.
func prefer(w http.ResponseWriter, r *http.Request, parameter, cookie string, known []string) string {
	if v := r.URL.Query().Get(parameter); slices.Contains(known, v) {
		if w != nil {
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // it is no secret, and has to work without TLS on loopback
				Name: cookie, Value: v, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
		}
		return v
	}
	if c, err := r.Cookie(cookie); err == nil && slices.Contains(known, c.Value) {
		return c.Value
	}
	return ""
}

// accepted returns the first known language of an Accept-Language header, by its weights.
func accepted(header string) string {
	best, weight := Languages()[0], 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			q, _ = strconv.ParseFloat(v, 64)
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if q > weight && slices.Contains(Languages(), primary) {
			best, weight = primary, q
		}
	}
	return best
}
