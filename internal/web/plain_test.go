package web_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/web"
)

// hostile is text that a terminal would obey: escapes of both forms, a bell, a
// change of the direction of writing, a tag, and bytes that are no UTF-8.
const hostile = "a\x1b[2J\x1b]0;title\x07b\u009b31m\u202ec\x7f\U000e0041\r\n\xff\x9b"

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"plain, é 日本 😀 \"x\\y": "plain, é 日本 😀 \"x\\y",
		"\x1b[31mred\x07":      `\x1b[31mred\a`,
		"two\nlines\tand":      `two\nlines\tand`,
		"\u009b \u202e \x7f":   `\u009b \u202e \x7f`,
		"\xff\x9b":             `\xff\x9b`,
	} {
		if got := web.Plain(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add(hostile)
	f.Add("\u2028\ufeff\ud7ff")
	f.Fuzz(func(t *testing.T, s string) {
		if got := web.Plain(s); strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", s, got)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		plain := web.PlainJSON(text)
		var back, want string
		if err := json.Unmarshal(plain, &back); err != nil {
			t.Fatalf("%s is no JSON: %v", plain, err)
		}
		if err := json.Unmarshal(text, &want); err != nil || back != want {
			t.Errorf("%q means %q, want %q", plain, back, want)
		}
		if bytes.ContainsFunc(plain, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not plain", plain)
		}
	})
}

// TestNothingReachesATerminal has hostile text wherever the outside world has a
// say, and looks at everything that people print: curl to a terminal, too.
func TestNothingReachesATerminal(t *testing.T) {
	t.Parallel()
	o := overview(web.Trouble{Part: "poll", Class: "unauthorized", Message: hostile, Hint: hostile})
	o.Tenants[0].Cursor, o.Tenants[0].Gaps = hostile, []web.Gap{{FromID: hostile, ToID: hostile, Reason: hostile}}
	for _, path := range []string{"/readyz", "/api/v1/status"} {
		body := get(t, o, nil, "GET", path).Body.String()
		if strings.ContainsFunc(body, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || !strings.Contains(body, "2J") {
			t.Errorf("%s: %q", path, body)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(web.PlainJSONWriter{W: &log}, nil)).Info(hostile, slog.String("x", hostile))
	if line := strings.TrimSuffix(log.String(), "\n"); strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) || !json.Valid([]byte(line)) {
		t.Errorf("log line %q", line)
	}
}
