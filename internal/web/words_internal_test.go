package web

import (
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// verbs finds the verbs of a text.
var verbs = regexp.MustCompile(`%(?:\[(\d+)\])?([a-z%])`)

// kindsOf returns the verbs of a text in the order of their arguments.
func kindsOf(text string) []string {
	var out []string
	for i, m := range verbs.FindAllStringSubmatch(text, -1) {
		if m[2] == "%" {
			continue
		}
		at := strconv.Itoa(i + 1)
		if m[1] != "" {
			at = m[1]
		}
		out = append(out, at+m[2])
	}
	slices.Sort(out)
	return out
}

// TestLanguagesHaveTheSameTexts holds that each language has every key, with the same
// arguments.
func TestLanguagesHaveTheSameTexts(t *testing.T) {
	t.Parallel()
	all, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	want := all[Languages()[0]]
	for _, lang := range Languages()[1:] {
		for key := range want.texts {
			if !all[lang].has(key) {
				t.Errorf("%s lacks %q", lang, key)
				continue
			}
			if a, b := kindsOf(want.texts[key]), kindsOf(all[lang].texts[key]); !slices.Equal(a, b) {
				t.Errorf("%s: %q takes %v, in %s %v", key, want.texts[key], a, lang, b)
			}
		}
		for key := range all[lang].texts {
			if !want.has(key) {
				t.Errorf("%s has %q, which nothing else has", lang, key)
			}
		}
	}
}

// TestTextsAreThereAndUsed holds that the keys which templates and code name exist, and
// that no text is left over.
func TestTextsAreThereAndUsed(t *testing.T) {
	t.Parallel()
	all, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	words := all["en"]
	var source strings.Builder
	for _, pattern := range []string{"templates/*.html", "templates/*/*.html"} {
		names, err := fs.Glob(templateFiles, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := templateFiles.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
			for _, m := range regexp.MustCompile(`\b[TN] "([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
				if !words.has(m[1]) {
					t.Errorf("%s: no text for %q", name, m[1])
				}
			}
		}
	}
	source.WriteString(goSource(t))
	for _, key := range slices.Sorted(maps.Keys(words.texts)) {
		base := strings.TrimSuffix(key, ".one")
		prefix := base[:strings.LastIndex(base, ".")+1]
		if !strings.Contains(source.String(), `"`+base+`"`) && !strings.Contains(source.String(), `"`+prefix+`"`) && !strings.HasPrefix(key, "js.") {
			t.Errorf("nothing shows the text %q", key)
		}
	}
}

func TestDurationInWords(t *testing.T) {
	t.Parallel()
	all, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[time.Duration][2]string{
		-time.Second: {"0.0 s", "0.0 秒"}, 1200 * time.Millisecond: {"1.2 s", "1.2 秒"}, 12 * time.Second: {"12 s", "12 秒"},
		310 * time.Second: {"5 min 10 s", "5 分 10 秒"}, 2 * time.Hour: {"2 h", "2 時間"}, 99 * time.Hour: {"4 d 3 h", "4 日 3 時間"},
	} {
		if en, ja := all["en"].duration(d), all["ja"].duration(d); en != want[0] || ja != want[1] {
			t.Errorf("%v is %q and %q, want %q", d, en, ja, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAcceptedLanguage(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "de, en;q=0.4, ja;q=0.7": "ja", "en-GB,ja;q=0.9": "en", "fr;q=0.9": "en", "ja;q=x": "en",
	} {
		if got := accepted(header); got != want {
			t.Errorf("accepted(%q) = %q, want %q", header, got, want)
		}
	}
}
