package event_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unsafe"

	"github.com/gaplesslogs/gapless/internal/event"
)

// seeds are inputs of all the forms and of all the ways to break them.
func seeds(f *testing.F) {
	f.Helper()
	records := samples(f)
	for _, r := range records {
		f.Add([]byte(r))
	}
	f.Add([]byte("[" + strings.Join(records[:3], ",") + "]"))
	f.Add([]byte(`{"logs":[` + strings.Join(records[40:44], ",") + `],"total":4}`))
	f.Add([]byte(strings.Join(records[50:54], "\n")))
	for _, s := range []string{
		"", "[", "{", "[]", "{}", "[{}", `[{"log_id":1},]`, `{"logs":[{"x":},{}],"a":1}{}`, "{\n{}\n[", "\xef\xbb\xbf{}",
		`{"date":{"$date":{"$numberLong":"1793534398123"}}}`, `{"date":1e400}`, `{"log_id":"\ud800","type":"\u0000"}`,
		`{"detail-type":[],"detail":{"data":{"data":{}}}}`, `[1.0e-5,-0,"\"",tru]`, "{\"a\":\"\x7f\xff\"}", `{"date":"9999-12-31T23:59:59-01:00"}`,
		`{"log_id":"90020261115115959500000000000000000001223372036854775862"}`,
	} {
		f.Add([]byte(s))
	}
}

// checkEvent checks what holds for every event, whatever it was made from.
func checkEvent(t *testing.T, e event.Event, in []byte) {
	t.Helper()
	if e.LogID == "" {
		t.Errorf("no log_id: %q", e.Raw)
	}
	if e.Date.IsZero() || e.Date.Year() < 1970 || e.Date.Year() > 9999 {
		t.Errorf("date %v: %q", e.Date, e.Raw)
	}
	if !json.Valid(e.Raw) || e.Raw[0] != '{' {
		t.Errorf("not an object: %q", e.Raw)
	}
	if within(in, e.Raw) < 0 {
		t.Errorf("not a part of the input: %q", e.Raw)
	}
}

// within returns where part, a slice of whole and no copy, begins in it; -1 when
// it is no such slice.
func within(whole, part []byte) int {
	base, at := uintptr(unsafe.Pointer(unsafe.SliceData(whole))), uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	if at < base || at+uintptr(len(part)) > base+uintptr(len(whole)) {
		return -1
	}
	return int(at - base)
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		e, err := event.Parse(in, start)
		if !bytes.Equal(in, before) {
			t.Fatal("Parse wrote to its input")
		}
		object := bytes.HasPrefix(bytes.TrimLeft(in, " \t\r\n"), []byte("{"))
		// Beyond 500 levels Parse is stricter than encoding/json.
		if shallow := bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) < 500; shallow && (err == nil) != (object && json.Valid(in)) {
			t.Fatalf("Parse says %v, encoding/json says valid: %v", err, json.Valid(in))
		}
		if err == nil {
			checkEvent(t, e, in)
		}
	})
}

func FuzzParsePage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		p, err := event.ParsePage(in, start)
		if !bytes.Equal(in, before) {
			t.Fatal("ParsePage wrote to its input")
		}
		rest := bytes.Clone(in)
		cover := func(part []byte) {
			at := within(in, part)
			if at < 0 || len(part) == 0 {
				t.Fatalf("not a part of the input: %q", part)
			}
			copy(rest[at:], bytes.Repeat([]byte(" "), len(part)))
		}
		for _, e := range p.Events {
			checkEvent(t, e, in)
			cover(e.Raw)
		}
		for _, u := range p.Unreadable {
			cover(u.Raw)
		}
		if err == nil && json.Valid(in) && len(p.Unreadable) > 0 && in[0] == '{' && !enveloped(in) {
			t.Errorf("a valid record was refused: %q", in)
		}
		// Nothing vanishes: what no piece holds is punctuation, but for the
		// envelopes that are taken off on purpose.
		left := strings.Trim(strings.TrimPrefix(string(rest), "\xef\xbb\xbf"), " \t\r\n,[]")
		if left != "" && len(p.Events)+len(p.Unreadable) > 0 && !enveloped(in) {
			t.Errorf("vanished from %q: %q", in, left)
		}
	})
}

// enveloped reports whether an input may have a part that is an envelope; keys
// can be written with escapes.
func enveloped(in []byte) bool {
	for _, key := range []string{`"data"`, `"detail"`, `"logs"`, `\u`} {
		if bytes.Contains(in, []byte(key)) {
			return true
		}
	}
	return false
}
