package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/event"
)

// changeOf makes a change in which a rule puts "***" in the place of words.
func changeOf(path, before string, words ...string) app.RedactChange {
	c := app.RedactChange{Path: path, Before: []byte(before)}
	rest, after := before, ""
	for _, word := range words {
		head, tail, _ := strings.Cut(rest, word)
		c.Spans = append(c.Spans, app.RedactSpan{
			From: len(before) - len(rest) + len(head), To: len(before) - len(tail),
			NewFrom: len(after) + len(head), NewTo: len(after) + len(head) + len("***"), Rule: "rule of " + string([]rune(word)[:1]),
		})
		after += head + "***"
		rest = tail
	}
	c.After = []byte(after + rest)
	return c
}

// TestRedactedColours holds the diff as a terminal shows it: what went is red, what
// came is green, long texts keep the surroundings of what has changed, and nothing
// reaches the terminal raw.
func TestRedactedColours(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 200)
	gone := app.RedactChange{Path: "b", Before: []byte(`{"c":1}`), Spans: []app.RedactSpan{{To: 7, Rule: "drop"}}}
	name := changeOf(`"ann"`, `"ann"`, "ann")
	name.Key = true
	for what, c := range map[string]struct {
		full   bool
		change app.RedactChange
		want   string
	}{
		"a piece":        {false, changeOf("a", `"to ann, bob!"`, "ann", "bob"), "  a  <2>(rule of a, rule of b)</>\n  <1;31>-</> \"to <1;31>ann</>, <1;31>bob</>!\"\n  <1;32>+</> \"to <1;32>***</>, <1;32>***</>!\"\n"},
		"a whole":        {false, gone, "  b  <2>(drop)</>\n  <1;31>-</> <1;31>{\"c\":1}</>\n  <1;32>+</> gone\n"},
		"a name":         {false, name, "  \"ann\", its name  <2>(rule of a)</>\n  <1;31>-</> \"<1;31>ann</>\"\n  <1;32>+</> \"<1;32>***</>\"\n"},
		"long":           {false, changeOf("a", long+"ann"+long+"bob"+long, "ann", "bob"), longWant},
		"long, in full":  {true, changeOf("a", long+"ann"+long, "ann"), "  a  <2>(rule of a)</>\n  <1;31>-</> " + long + "<1;31>ann</>" + long + "\n  <1;32>+</> " + long + "<1;32>***</>" + long + "\n"},
		"a long secret":  {false, changeOf("a", "x"+long+"y", long), "  a  <2>(rule of ä)</>\n  <1;31>-</> x<1;31>" + strings.Repeat("ä", 80) + "…" + strings.Repeat("ä", 80) + "</>y\n  <1;32>+</> x<1;32>***</>y\n"},
		"not hit":        {true, app.RedactChange{Path: "a", Before: []byte("1.0"), After: []byte("1.0")}, "    a: 1.0\n"},
		"hostile":        {false, changeOf("a\x1b[2J", "\u009b31m\u202eann\x1b[2J\xff", "ann"), "  a\\x1b[2J  <2>(rule of a)</>\n  <1;31>-</> \\u009b31m\\u202e<1;31>ann</>\\x1b[2J\\xff\n  <1;32>+</> \\u009b31m\\u202e<1;32>***</>\\x1b[2J\\xff\n"},
		"nothing put in": {false, app.RedactChange{Path: "a", Before: []byte(`"ann"`), After: []byte(`""`), Spans: []app.RedactSpan{{From: 1, To: 4, NewFrom: 1, NewTo: 1, Rule: "cut"}}}, "  a  <2>(cut)</>\n  <1;31>-</> \"<1;31>ann</>\"\n  <1;32>+</> \"\"\n"},
	} {
		r := &redactTrial{full: c.full, paint: func(colour, text string) string { return "<" + colour + ">" + text + "</>" }}
		var out bytes.Buffer
		r.change(&out, c.change)
		if d := cmp.Diff(c.want, out.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
}

// longWant is a long text around two changes.
var longWant = func() string {
	ä := strings.Repeat("ä", contextRunes)
	line := func(colour, sign, a, b string) string {
		return fmt.Sprintf("  <%s>%s</> …%s<%s>%s</>%s…%s<%s>%s</>%s…\n", colour, sign, ä, colour, a, ä, ä, colour, b, ä)
	}
	return "  a  <2>(rule of a, rule of b)</>\n" + line(red, "-", "ann", "bob") + line(green, "+", "***", "***")
}()

// Of many events the last are kept, in their order and with bytes of their own.
func TestLastEvents(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 3, 7, 9} {
		l, page := lastEvents{most: 3}, []byte("0")
		var want []string
		for i := range n {
			page[0] = byte('0' + i)
			if err := l.add(event.Event{Raw: page}); err != nil {
				t.Fatal(err)
			}
			if want = append(want, string(page)); len(want) > 3 {
				want = want[1:]
			}
		}
		page[0] = 'x'
		var got []string
		for _, e := range l.all() {
			got = append(got, string(e.Raw))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("of %d (-want +got):\n%s", n, d)
		}
	}
}

func TestShortID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"": "", "abc": "abc", "01234567890123456789": "01234567890123456789",
		"90020261123090000000000000000000000001223372036854775807": "…3372036854775807",
	} {
		if got := shortID(id); got != want {
			t.Errorf("%q became %q, want %q", id, got, want)
		}
	}
}
