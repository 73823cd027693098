package tenant

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
)

func TestBadTemplatesAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no colon":             "s Successful login\n",
		"no code":              " with ip\n",
		"unknown group":        "s: x\n with everything\n",
		"unknown word":         "s: x\n without ip\n",
		"unknown name":         "s: <colour>\n",
		"unknown arguments":    "s: <colour:3>\n",
		"no number":            "s: x\n details {\"a\":<hex:many>}\n",
		"no range":             "s: x\n details {\"a\":<int:many>}\n",
		"empty range":          "s: x\n details {\"a\":<int:9-1>}\n",
		"no end":               "s: x\n details {\"a\":<ms\n",
		"end before the start": "s: a > b <ms>\n",
	} {
		if _, err := readTemplates(text); err == nil {
			t.Errorf("%s: %q was taken", name, text)
		}
	}
}

func TestTemplatesNameOnlyCodesOfTheCatalogue(t *testing.T) {
	t.Parallel()
	templates, err := readTemplates(templateText)
	if err != nil {
		t.Fatal(err)
	}
	categories := make(map[string]bool)
	for _, ty := range event.Types() {
		categories["@"+ty.Category] = true
	}
	for code := range templates {
		if !categories[code] && !event.Lookup(code).Known {
			t.Errorf("templates.txt describes %q, which no catalogue knows", code)
		}
	}
	for _, s := range scripts {
		for code := range strings.FieldsSeq(s.steps) {
			if templates[code] == nil {
				t.Errorf("the session %q holds %s, which has no template", s.steps, code)
			}
		}
	}
}

// Whatever the clock does, ids ascend and have the form that event knows.
func TestMintAscends(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMint()
		now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		last := ""
		for _, ms := range rapid.SliceOfN(rapid.IntRange(-5000, 5000), 1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(ms) * time.Millisecond)
			id, at := m.next(now)
			stored, ok := event.TimeInID(id)
			if !ok || !stored.Equal(at) || at.Before(now) {
				t.Fatalf("id %s for %s, stored %s", id, now, at)
			}
			if id <= last {
				t.Fatalf("%s after %s", id, last)
			}
			last = id
			if rapid.Bool().Draw(t, "restart") {
				m = newMint()
				m.seen(id)
			}
		}
	})
}

func TestMintIgnoresForeignIDs(t *testing.T) {
	t.Parallel()
	m := newMint()
	m.seen("123")
	m.seen("900" + strings.Repeat("9", 53))
	if diff := cmp.Diff(*newMint(), *m, cmp.AllowUnexported(mint{})); diff != "" {
		t.Errorf("mint (-want +got):\n%s", diff)
	}
}

// pattern agrees with the regular expression that says the same.
func TestPatternIsARegularExpression(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringOfN(rapid.SampledFrom([]rune(`ab*?\`)), 0, 8, -1).Draw(t, "pattern")
		value := rapid.StringOfN(rapid.SampledFrom([]rune(`ab*\`)), 0, 8, -1).Draw(t, "value")
		var form strings.Builder
		for i := 0; i < len(want); i++ {
			switch c := want[i]; {
			case c == '*':
				form.WriteString(".*")
			case c == '?':
				form.WriteString(".")
			case c == '\\' && i+1 < len(want):
				i++
				form.WriteString(regexp.QuoteMeta(want[i : i+1]))
			default:
				form.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
		if got, wanted := pattern(want, value), regexp.MustCompile("^"+form.String()+"$").MatchString(value); got != wanted {
			t.Errorf("pattern(%q, %q) = %v, but %s says %v", want, value, got, form.String(), wanted)
		}
	})
}

// What appendString writes is read back as what went in.
func TestStringsAreEscaped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); got != want {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// No window ever lets more pass than the bucket holds and gains, and the header
// tells when the next token comes.
func TestBucketNeverOverflows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SampledFrom(Plans()[1:]).Draw(t, "plan")
		b := newBucket(plans[plan].api)
		now := time.Unix(1795000000, 0)
		began, passed := now, 0
		for range rapid.IntRange(1, 300).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			if left := b.take(now); left >= 0 {
				passed++
			} else if next := time.Unix(b.next(now), 0); !next.After(now) || b.added(next) == b.added(now.Truncate(time.Second)) {
				t.Fatalf("refused at %s, and no token comes at %s", now, next)
			}
		}
		windows := int(now.Sub(began)/b.window) + 1
		if limit := b.burst + windows*b.refill; passed > limit {
			t.Errorf("%d calls passed in %s, the plan allows %d", passed, now.Sub(began), limit)
		}
	})
}

// The log is in order whatever is inserted, and each entry is found behind the
// one before.
func TestLogStaysInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newEventLog(0, 0)
		base := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		held := make(map[string]bool)
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			var batch []entry
			fresh := true
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 1, 5, rapid.ID[int]).Draw(t, "batch") {
				id := event.IDAt(base.Add(time.Duration(n) * time.Second))
				if n%4 == 0 {
					id = "foreign-" + id
				}
				fresh = fresh && !held[id]
				e, err := parseEntry([]byte(`{"log_id":"`+id+`"}`), base)
				if err != nil {
					t.Fatal(err)
				}
				batch = append(batch, e)
			}
			if err := l.insert(batch); (err == nil) != fresh {
				t.Fatalf("insert: %v, all new: %v", err, fresh)
			}
			if fresh {
				for _, e := range batch {
					held[e.id] = true
				}
			}
		}
		checkOrder(t, l, len(held))
	})
}

func checkOrder(t *rapid.T, l *eventLog, n int) {
	entries := l.visible()
	if len(entries) != n {
		t.Fatalf("%d entries, want %d", len(entries), n)
	}
	last := ""
	for i, e := range entries {
		if rest, ok := l.after(entries, e.id); !ok || len(rest) != len(entries)-i-1 {
			t.Fatalf("%d entries behind entry %d of %d", len(rest), i, len(entries))
		}
		if found, ok := l.find(entries, e.id); !ok || found.id != e.id {
			t.Fatalf("entry %s is not found", e.id)
		}
		if !strings.HasPrefix(e.id, "foreign") {
			if e.id <= last {
				t.Fatalf("%s after %s", e.id, last)
			}
			last = e.id
		}
	}
}
