package cloudwatch

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// FuzzTrim holds what docs/operations.md says of an event that was trimmed: what
// was valid stays valid, it fits, its last member tells what was cut, and nothing
// was touched outside of "details". Its corpus is in testdata/fuzz/FuzzTrim; the
// texts there are short, so unit is repeated to make them long enough to cut.
func FuzzTrim(f *testing.F) {
	f.Add(`{"details":{"a":"\u00e9\ud83d\ude00@"}}`, "xyz", uint16(2000), uint16(300))
	f.Fuzz(func(t *testing.T, pattern, unit string, times, keep uint16) {
		if len(unit)*int(times)*(1+strings.Count(pattern, "@")) > 1<<20 {
			return // the rest of the time is better spent on others
		}
		raw := []byte(strings.ReplaceAll(pattern, "@", strings.Repeat(unit, int(times))))
		limit := trimReserve + int(keep)
		if len(raw) <= limit {
			return
		}
		before := string(raw)
		out, ok := trim(raw, limit, len(raw))
		if string(raw) != before {
			t.Fatal("the event's own bytes were changed")
		}
		if !ok {
			return
		}
		if len(out) > limit || !json.Valid(out) || utf8.Valid(raw) && !utf8.Valid(out) {
			t.Fatalf("%d bytes for a limit of %d: %q", len(out), limit, out)
		}
		checkCuts(t, raw, out)
	})
}

// A pair is a member of an object or an element of an array.
type pair struct{ key, value gjson.Result }

// pairsOf returns what an object or array holds.
func pairsOf(v gjson.Result) (list []pair) {
	v.ForEach(func(key, value gjson.Result) bool {
		list = append(list, pair{key, value})
		return true
	})
	return list
}

// checkCuts compares an event that was trimmed with the whole one.
func checkCuts(t *testing.T, raw, out []byte) {
	t.Helper()
	was, now := pairsOf(gjson.ParseBytes(raw)), pairsOf(gjson.ParseBytes(out))
	if len(now) != len(was)+1 || now[len(was)].key.Str != "gapless" {
		t.Fatalf("of %d members there are %d, want the marker behind them: %q", len(was), len(now), out)
	}
	var m marker
	if err := json.Unmarshal([]byte(now[len(was)].value.Raw), &m); err != nil || m.Trimmed.Bytes != len(raw) || len(m.Trimmed.Paths) == 0 {
		t.Fatalf("the marker of an event of %d bytes is %s, %v", len(raw), now[len(was)].value.Raw, err)
	}
	cuts := 0
	for i, p := range was {
		n := 0
		if p.key.Raw != now[i].key.Raw || !sameButCuts(p.value, now[i].value, &n) {
			t.Fatalf("member %s became %s: %s", p.key.Raw, now[i].key.Raw, now[i].value.Raw)
		}
		if n > 0 && p.key.Str != "details" && p.key.Str != "data" {
			t.Fatalf("member %s was cut", p.key.Raw)
		}
		cuts += n
	}
	if cuts != len(m.Trimmed.Paths) {
		t.Fatalf("%d cuts, but the marker names %q", cuts, m.Trimmed.Paths)
	}
}

// sameButCuts reports whether a value is as it was but for cuts, and counts them.
func sameButCuts(was, now gjson.Result, cuts *int) bool {
	if was.Raw == now.Raw {
		return true
	}
	if now.Type == gjson.String && strings.HasSuffix(now.Raw, ` bytes]"`) {
		*cuts++
		at := strings.LastIndex(now.Raw, "[trimmed ")
		kept, text := strings.CutSuffix(now.Raw[:max(at, 0)], "…")
		return at > 0 && (!text && kept == `"` || text && strings.HasPrefix(was.Raw, kept) && wholeCharacters(was.Raw, kept))
	}
	a, b := pairsOf(was), pairsOf(now)
	if was.Type != gjson.JSON || now.Type != gjson.JSON || was.IsArray() != now.IsArray() || len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].key.Raw != b[i].key.Raw || !sameButCuts(a[i].value, b[i].value, cuts) {
			return false
		}
	}
	return true
}

// wholeCharacters reports whether the start of a JSON text ends between two of its
// characters: read as text, the one begins with the other.
func wholeCharacters(quoted, start string) bool {
	var all, kept string
	if !utf8.ValidString(quoted) {
		return true // there are no characters to speak of
	}
	return json.Unmarshal([]byte(quoted), &all) == nil && json.Unmarshal([]byte(start+`"`), &kept) == nil && strings.HasPrefix(all, kept)
}

// TestTrimmedEventsOfAllShapes trims what the properties do not draw.
func TestTrimmedEventsOfAllShapes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 20_000)
	for name, raw := range map[string]string{
		"space everywhere":              " {\n \"details\" : { \"a\" : \"" + long + "\" } ,\t\"b\" : 1 }\n ",
		"a member of the marker's name": `{"gapless":{"x":1},"details":"` + long + `"}`,
		"details twice":                 `{"details":"` + long + `","details":{"a":1}}`,
		"an escaped key":                `{"details":{"a\u0062\"":"` + long + `"}}`,
		"a key of the longest":          `{"details":{"` + strings.Repeat(`\u0001`, 2000) + `":"` + long + `"}}`,
		"half a pair":                   `{"details":{"a":"` + strings.Repeat(`\ud83d`, 10_000) + `"}}`,
		"halves in the wrong order":     `{"details":{"a":"` + strings.Repeat(`\ude00\ud83d`, 5000) + `"}}`,
		"a long number":                 `{"details":` + strings.Repeat("1", 40_000) + `}`,
		"the envelope":                  `{"log_id":"1","data":{"type":"s","details":{"a":["` + long + `"]}}}`,
		"keys alike":                    `{"details":{"a":"` + long + `","a":"` + long + `"}}`,
		"quotes and brackets":           `{"details":{"a":"` + strings.Repeat(`}\"]{[,:\\`, 5000) + `"},"z":"}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const limit = 18_000
			out, ok := trim([]byte(raw), limit, len(raw))
			if !ok || len(out) > limit || !json.Valid(out) || !utf8.Valid(out) {
				t.Fatalf("trimmed: %v, to %d bytes, valid JSON: %v, valid UTF-8: %v", ok, len(out), json.Valid(out), utf8.Valid(out))
			}
			checkCuts(t, []byte(raw), out)
		})
	}
}

// TestCutsFallBetweenCharacters moves the end of what is kept over every byte of
// what takes several: neither an escape nor a pair of them is cut in two.
func TestCutsFallBetweenCharacters(t *testing.T) {
	t.Parallel()
	for shift := range 13 {
		raw := []byte(`{"details":"` + strings.Repeat("x", shift) + strings.Repeat(`\ud83d\ude00`, 3000) + `é😀"}`)
		out, ok := trim(raw, 20_000, len(raw))
		if !ok {
			t.Fatal("not trimmed")
		}
		checkCuts(t, raw, out)
	}
}
