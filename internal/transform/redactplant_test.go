package transform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// samples returns records of the shapes that Auth0 really sends.
func samples(tb testing.TB) [][]byte {
	tb.Helper()
	data, err := os.ReadFile("../event/testdata/samples.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]byte
	for line := range bytes.Lines(data) {
		e, err := event.Parse(bytes.TrimSpace(line), day)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, e.Raw)
	}
	return all
}

// holes returns the places of a JSON text behind each brace, or bracket, that opens,
// and outside of strings.
func holes(text []byte, open byte) (at []int) {
	inside := false
	for i := 0; i < len(text); i++ {
		switch {
		case inside && text[i] == '\\':
			i++
		case text[i] == '"':
			inside = !inside
		case !inside && text[i] == open:
			at = append(at, i+1)
		}
	}
	return at
}

// insert puts a member or an element, with the comma behind it, into a hole.
func insert(text []byte, at int, piece string) string {
	rest := bytes.TrimLeft(text[at:], " \t\r\n")
	if rest[0] != '}' && rest[0] != ']' {
		piece += ","
	}
	return string(text[:at]) + piece + string(text[at:])
}

// drawString writes a text as a JSON string, some of its characters with escapes.
func drawString(t *rapid.T, text string) string {
	every := rapid.IntRange(0, 3).Draw(t, "escapes")
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range text {
		switch {
		case r == '"' || r == '\\' || every > 0 && i%every == 0 && r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// A planted secret: what is written down, what must be gone, and how a reader gets
// at it by path.
type planted struct{ text, core string }

// drawSecret makes a secret of a kind.
func drawSecret(t *rapid.T, kind string) planted {
	n := rapid.IntRange(100000, 999999).Draw(t, "number")
	word := fmt.Sprintf("canary%d", n)
	switch kind {
	case "email":
		return planted{"x" + word + "+tag@mail.example.org", word}
	case "ip":
		if n%2 == 0 {
			return planted{fmt.Sprintf("198.51.100.%d", 100+n%100), fmt.Sprintf("198.51.100.%d", 100+n%100)}
		}
		return planted{fmt.Sprintf("2001:db8:7::c%x", n%4000), fmt.Sprintf("7::c%x", n%4000)}
	case "phone":
		return planted{fmt.Sprintf("+49 151 %d 22", n), fmt.Sprintf("1 %d", n)}
	case "jwt":
		return planted{"eyJhbGciOiJIUzI1NiJ9.eyJz" + word + ".c2ln" + word, word}
	default:
		return planted{"Bearer " + word + "XYZ", word}
	}
}

// drawPlaced writes a secret down as a value: alone, in a text, in a URL, in JSON in
// a string, in arrays.
func drawPlaced(t *rapid.T, secret string, depth int) string {
	switch n := rapid.IntRange(0, 7).Draw(t, "place"); {
	case n == 0:
		return drawString(t, "a text with "+secret+" in it")
	case n == 1:
		return drawString(t, "https://example.net/x?a=1&value="+url.QueryEscape(secret)+"&z=2")
	case n == 2:
		return drawString(t, "https://example.net/?r="+url.QueryEscape("https://y.example/?v="+url.QueryEscape(secret)))
	case n == 3:
		return `[[1.0,` + drawString(t, secret) + `],null]`
	case n == 4:
		return `{"nested":{"deep":[` + drawString(t, secret) + `]}}`
	case n <= 6 && depth < 3:
		return drawString(t, ` {"inner": 1e2, "v":`+drawPlaced(t, secret, depth+1)+`}`)
	default:
		return drawString(t, secret)
	}
}

// said returns all that a JSON text says to whoever decodes it as often as it can be.
func said(tb rapid.TB, text []byte, depth int) string {
	tb.Helper()
	all := strings.Builder{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if err != nil {
			break
		}
		s := fmt.Sprint(tok)
		all.WriteString(s + "\n")
		for range 3 {
			if u, err := url.QueryUnescape(s); err == nil && u != s {
				s = u
				all.WriteString(s + "\n")
			}
		}
		if inner, ok := tok.(string); ok && depth < 12 && len(inner) > 1 && strings.ContainsAny(inner[:2], "{[\"") {
			all.WriteString(said(tb, []byte(inner), depth+1))
		}
	}
	return all.String()
}

// Whatever is planted wherever, in whatever writing: it is gone, and what comes out
// is JSON. Once more changes nothing.
func TestPlantedKindsAreGone(t *testing.T) {
	t.Parallel()
	records := samples(t)
	kinds := transform.RedactKinds()
	redactors := map[string]*transform.Redactor{}
	for _, action := range []string{"drop", "mask", "hash", "replace"} {
		rule := of(action, kinds...)
		rule.With = "gone"
		redactors[action] = newRedactor(t, transform.RedactConfig{Key: []byte(hashKey), Rules: []transform.RedactRule{rule}})
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := records[rapid.IntRange(0, len(records)-1).Draw(t, "record")]
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		action := rapid.SampledFrom([]string{"drop", "mask", "hash", "replace"}).Draw(t, "action")
		secret := drawSecret(t, kind)
		var member string
		if rapid.Bool().Draw(t, "as a key") {
			member = drawString(t, secret.text) + ` : ` + drawPlaced(t, secret.text, 0)
		} else {
			member = `"planted":` + drawPlaced(t, secret.text, 0)
		}
		in := []byte(insert(raw, rapid.SampledFrom(holes(raw, '{')).Draw(t, "hole"), member))
		e, err := event.Parse(in, day)
		if err != nil || !strings.Contains(said(t, e.Raw, 0), secret.core) {
			t.Fatalf("nothing was planted: %v %s", err, in)
		}
		out, v := redactors[action].Transform(e)
		if v.Withhold {
			t.Fatalf("withheld: %s", v.Reason)
		}
		if !json.Valid(out.Raw) {
			t.Fatalf("no JSON: %s", out.Raw)
		}
		if strings.Contains(said(t, out.Raw, 0), secret.core) {
			t.Fatalf("%s of %q: %s\nbecame\n%s", action, secret.text, e.Raw, out.Raw)
		}
		if action == "mask" {
			if again, _ := redactors[action].Transform(out); !bytes.Equal(again.Raw, out.Raw) {
				t.Fatalf("masked once:\n%s\nand twice:\n%s", out.Raw, again.Raw)
			}
		}
	})
}

// A member that is dropped by its path leaves exactly the record that there was
// before somebody put it in, and one that is replaced nothing but the text in its
// place.
func TestPlantedPathsLeaveTheRest(t *testing.T) {
	t.Parallel()
	records := samples(t)
	drop := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{at("drop", `.."a secret"`)}})
	replace := newRedactor(t, transform.RedactConfig{Rules: []transform.RedactRule{at("replace", `.."a secret"`)}})
	rapid.Check(t, func(t *rapid.T) {
		raw := records[rapid.IntRange(0, len(records)-1).Draw(t, "record")]
		at := rapid.SampledFrom(holes(raw, '{')).Draw(t, "hole")
		key := drawString(t, "a secret") + rapid.SampledFrom([]string{":", " : "}).Draw(t, "colon")
		in := insert(raw, at, key+drawPlaced(t, "hunter2", 0))
		before := string(raw)
		if rest := bytes.TrimLeft(raw[at:], " "); rest[0] != '}' { // the space behind the comma belongs to the hole
			before = string(raw[:at]) + string(rest)
		}
		e, err := event.Parse([]byte(in), day)
		if err != nil {
			t.Fatal(err)
		}
		if out, v := drop.Transform(e); v.Withhold || string(out.Raw) != before {
			t.Fatalf("dropped: %+v\n%s\nwant\n%s", v, out.Raw, before)
		}
		want := insert(raw, at, key+`"gone"`)
		if out, v := replace.Transform(e); v.Withhold || string(out.Raw) != want {
			t.Fatalf("replaced: %+v\n%s\nwant\n%s", v, out.Raw, want)
		}
	})
}

// Masking by the presets changes nothing the second time.
func TestPresetsAreIdempotent(t *testing.T) {
	t.Parallel()
	r := newRedactor(t, transform.RedactConfig{Presets: []string{"auth0-pii", "gdpr-minimal", "no-secrets"}})
	for _, raw := range samples(t) {
		once := redacted(t, r, string(raw))
		if twice := redacted(t, r, once); twice != once || !json.Valid([]byte(once)) {
			t.Errorf("once:\n%s\ntwice:\n%s", once, twice)
		}
	}
}
