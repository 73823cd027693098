package cloudwatch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// checkParts fails when parts break a published limit or are not the items.
func checkParts(t interface{ Fatalf(string, ...any) }, items []item, parts [][]item) {
	n := 0
	for _, p := range parts {
		bytes := 0
		for i, it := range p {
			bytes += len(it.message) + 26
			if it.index != items[n].index {
				t.Fatalf("item %d is out of place", n)
			}
			if i > 0 && it.at < p[i-1].at {
				t.Fatalf("the timestamps do not ascend")
			}
			n++
		}
		if len(p) == 0 || len(p) > 10_000 || bytes > 1_048_576 || p[len(p)-1].at-p[0].at > 24*3600*1000 {
			t.Fatalf("a part of %d events, %d bytes and %d ms breaks the limits", len(p), bytes, p[len(p)-1].at-p[0].at)
		}
	}
	if n != len(items) {
		t.Fatalf("%d of %d items are in the parts", n, len(items))
	}
}

func TestSplitAtExactlyTheLimits(t *testing.T) {
	t.Parallel()
	many := func(n, size int, step int64) []item {
		items := make([]item, n)
		message := make([]byte, size)
		for i := range items {
			items[i] = item{index: i, at: int64(i) * step, message: message}
		}
		return items
	}
	hour := time.Hour.Milliseconds()
	cases := []struct {
		name  string
		items []item
		parts int
	}{
		{"none", nil, 0},
		{"one", many(1, 1, 0), 1},
		{"10,000 events", many(10_000, 50, 0), 1},
		{"10,001 events", many(10_001, 50, 0), 2},
		{"1,048,576 bytes", many(1024, 1024-26, 0), 1},
		{"1,048,577 bytes", append(many(1023, 1024-26, 0), item{index: 1023, message: make([]byte, 1024-25)}), 2},
		{"one event of the largest size", many(1, MaxMessageBytes, 0), 1},
		{"two of them", many(2, MaxMessageBytes, 0), 2},
		{"just under 24 hours", many(2, 10, 24*hour-1000), 1},
		{"24 hours", many(2, 10, 24*hour), 2},
		{"a week, an event an hour", many(7*24, 10, hour), 7},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			parts := split(c.items)
			checkParts(t, c.items, parts)
			if len(parts) != c.parts {
				t.Errorf("%d parts, want %d", len(parts), c.parts)
			}
		})
	}
}

func TestPrepareProperties(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	filler := strings.Repeat("\xf0\x9f\x98\x80", 300_000)
	rapid.Check(t, func(t *rapid.T) {
		c := DefaultConfig()
		c.TooOld = rapid.SampledFrom([]string{Restamp, DeadLetter}).Draw(t, "too_old")
		c.TooNew = rapid.SampledFrom([]string{Restamp, DeadLetter}).Draw(t, "too_new")
		c.TooLarge = rapid.SampledFrom([]string{Trim, DeadLetter}).Draw(t, "too_large")
		w := windowOf(now, rapid.SampledFrom(pastSteps).Draw(t, "past"), rapid.SampledFrom(futureSteps).Draw(t, "future"))
		var b pipeline.Batch
		for range rapid.IntRange(0, 25).Draw(t, "events") { // in no order, although the contract promises one
			size := rapid.SampledFrom([]int{0, 1, 100, 100, 100, 100, 1500, 1500, 1500, 1500, 1500, 1500, 200_000, 200_000, 1_048_500, 1_200_000}).Draw(t, "size")
			raw := []byte(`{"details":"` + filler[:size] + `"}`)
			if size == 0 {
				raw = nil
			}
			b.Events = append(b.Events, event.Event{Raw: raw, Date: now.Add(time.Duration(rapid.Int64Range(-20*86400, 86400).Draw(t, "s")) * time.Second)})
		}
		d := prepare(b, c, w)
		checkParts(t, d.items, split(d.items))
		fates := make(map[int]bool)
		for _, x := range d.rejected {
			fates[x.Index] = true
		}
		for _, it := range d.items {
			if fates[it.index] || len(it.message) == 0 || !utf8.Valid(it.message) || len(it.message) > MaxMessageBytes {
				t.Fatalf("item %d cannot be sent, or is rejected too", it.index)
			}
			fates[it.index] = true
			at := time.UnixMilli(it.at)
			if c.TooOld == Restamp && at.Before(w.oldest.Add(-time.Millisecond)) || c.TooNew == Restamp && at.After(w.newest) {
				t.Fatalf("the timestamp %v is outside the window", at)
			}
		}
		if len(fates) != len(b.Events) {
			t.Fatalf("%d of %d events have a fate", len(fates), len(b.Events))
		}
	})
}

func TestTextReplacesInvalidBytes(t *testing.T) {
	t.Parallel()
	raw := []byte("{\"a\":\"x\xff\xfey\"}")
	got, altered, rejected := text(raw, Trim)
	if diff := cmp.Diff("{\"a\":\"x\uFFFDy\"}", string(got)); diff != "" {
		t.Error(diff)
	}
	if altered.Reason != reasonInvalidUTF8 || rejected.Reason != "" {
		t.Errorf("altered %+v, rejected %+v", altered, rejected)
	}
	if string(raw) != "{\"a\":\"x\xff\xfey\"}" {
		t.Error("the event's own bytes were changed")
	}
}

// marker is what a trimmed event says of itself.
type marker struct {
	Trimmed struct {
		Bytes int
		Paths []string
	}
}

// trimmed trims and checks what must always hold.
func trimmed(t *testing.T, raw string, limit int) map[string]json.RawMessage {
	t.Helper()
	out, ok := trim([]byte(raw), limit, len(raw))
	if !ok {
		t.Fatalf("not trimmed")
	}
	if len(out) > limit || !utf8.Valid(out) {
		t.Fatalf("%d bytes, limit %d, valid UTF-8: %v", len(out), limit, utf8.Valid(out))
	}
	var was, now map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &was); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &now); err != nil {
		t.Fatalf("no valid JSON: %v", err)
	}
	var m marker
	if err := json.Unmarshal(now["gapless"], &m); err != nil || m.Trimmed.Bytes != len(raw) || len(m.Trimmed.Paths) == 0 {
		t.Fatalf("marker %s: %v", now["gapless"], err)
	}
	for k, v := range was {
		if k != "details" && k != "data" && string(v) != string(now[k]) {
			t.Fatalf("%s was changed", k)
		}
	}
	return now
}

func TestTrim(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	long := strings.Repeat("é", 80_000)
	t.Run("the longest text first", func(t *testing.T) {
		t.Parallel()
		now := trimmed(t, `{"log_id":"1","details":{"a":{"body":"`+long+`"},"b":"`+strings.Repeat("b", 1000)+`","n":1.0e3},"z":[1, 2]}`, limit)
		var d struct {
			A struct{ Body string }
			B string
			N json.RawMessage
		}
		if err := json.Unmarshal(now["details"], &d); err != nil {
			t.Fatal(err)
		}
		if len(d.B) != 1000 || string(d.N) != "1.0e3" || !strings.HasPrefix(d.A.Body, "éé") || !strings.HasSuffix(d.A.Body, " bytes]") {
			t.Errorf("more was cut than needed, or less said")
		}
		if len(d.A.Body) < 60_000 {
			t.Errorf("%d bytes are left of a text that could keep 60,000", len(d.A.Body))
		}
		if !strings.Contains(string(now["gapless"]), `"details.a.body"`) {
			t.Errorf("marker %s", now["gapless"])
		}
	})
	t.Run("members when texts are not enough", func(t *testing.T) {
		t.Parallel()
		now := trimmed(t, `{"log_id":"1","details":{"list":[`+strings.Repeat("1,", 100_000)+`1],"keep":"me"}}`, limit)
		if !strings.Contains(string(now["details"]), `"keep":"me"`) || !strings.Contains(string(now["details"]), `"list":"[trimmed 200003 bytes]"`) {
			t.Errorf("details %s", now["details"])
		}
	})
	t.Run("all of details at last", func(t *testing.T) {
		t.Parallel()
		var b strings.Builder
		for i := range 40_000 {
			fmt.Fprintf(&b, `"k%d":%d,`, i, i)
		}
		now := trimmed(t, `{"log_id":"1","details":{`+b.String()+`"z":0}}`, limit)
		if !strings.HasPrefix(string(now["details"]), `"[trimmed `) {
			t.Errorf("details %.60s", now["details"])
		}
	})
	t.Run("details that is a text, inside an envelope", func(t *testing.T) {
		t.Parallel()
		trimmed(t, `{"log_id":"1","data":{"type":"s","details":"`+long+`"}}`, limit)
	})
	t.Run("escapes stay whole", func(t *testing.T) {
		t.Parallel()
		for shift := range 13 {
			trimmed(t, `{"details":"`+strings.Repeat("x", shift)+strings.Repeat(`\ud83d\ude00\n\"`, 12_000)+`"}`, limit)
		}
	})
	t.Run("deep nesting", func(t *testing.T) {
		t.Parallel()
		trimmed(t, `{"details":{"a":`+strings.Repeat(`[`, 5000)+`"`+long+`"`+strings.Repeat(`]`, 5000)+`}}`, limit)
	})
	for name, raw := range map[string]string{
		"no details":      `{"description":"` + long + `"}`,
		"small details":   `{"description":"` + long + `","details":{"a":"b"}}`,
		"not JSON":        `{"details":"` + long,
		"no object":       `["` + long + `"]`,
		"huge outside it": `{"details":"` + long + `","description":"` + long + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, ok := trim([]byte(raw), limit, len(raw)); ok {
				t.Error("it was trimmed")
			}
		})
	}
}

func TestTrimProperties(t *testing.T) {
	t.Parallel()
	value := rapid.Custom(func(t *rapid.T) any { return randomValue(t, 4) })
	rapid.Check(t, func(rt *rapid.T) {
		doc := map[string]any{"log_id": "1", "details": value.Draw(rt, "details"), "type": "s"}
		raw, err := json.Marshal(doc)
		if err != nil {
			rt.Fatal(err)
		}
		limit := max(trimReserve+200, len(raw)*rapid.IntRange(20, 99).Draw(rt, "percent")/100)
		if len(raw) > limit {
			trimmed(t, string(raw), limit)
		}
	})
}

// randomValue draws a JSON value with long texts of all sorts of characters.
func randomValue(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case depth == 0 || kind < 3:
		unit := rapid.SampledFrom([]string{"x", "é", "\u2028", "😀", "\"", "\\", "\x01", "<"}).Draw(t, "unit")
		return strings.Repeat(unit, rapid.IntRange(0, 5000).Draw(t, "length"))
	case kind < 5:
		m := make(map[string]any)
		for i := range rapid.IntRange(1, 6).Draw(t, "members") {
			m[fmt.Sprint("k", i, rapid.String().Draw(t, "key"))] = randomValue(t, depth-1)
		}
		return m
	default:
		var list []any
		for range rapid.IntRange(1, 6).Draw(t, "elements") {
			list = append(list, randomValue(t, depth-1))
		}
		return list
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"a":"b\n"}`), int64(1))
	f.Add([]byte("\x00\x1f\x7f\u2028\U0010ffff\\\""), int64(-5))
	f.Fuzz(func(t *testing.T, raw []byte, at int64) {
		message, _, rejected := text(raw, Trim)
		if rejected.Reason != "" {
			return
		}
		var b body
		b.write(pipeline.Destination{LogGroup: "/g", LogStream: `s"`}, []item{{message: message, at: at}, {message: message, at: at}})
		var got struct {
			LogEvents []struct {
				Message   string
				Timestamp int64
			}
			LogGroupName, LogStreamName string
		}
		if err := json.Unmarshal(b.plain, &got); err != nil {
			t.Fatalf("no valid JSON: %v", err)
		}
		if len(got.LogEvents) != 2 || got.LogEvents[1].Message != string(message) || got.LogEvents[1].Timestamp != at || got.LogStreamName != `s"` {
			t.Errorf("the body says something else: %q", b.plain)
		}
	})
}

func TestCleanHidesQuotedValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Rate exceeded": "Rate exceeded",
		"1 validation error detected: Value '{\"user\":\"x' at 'y\"}' at 'logEvents.1.member.message' failed": "1 validation error detected: Value at 'logEvents.1.member.message' failed",
		"Value 'secret": "(a value)",
		"two\n lines":   "two lines",
	} {
		if diff := cmp.Diff(want, clean(in)); diff != "" {
			t.Error(diff)
		}
	}
	if got := clean(strings.Repeat("é", 1000)); len(got) > 410 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

// benchEvents makes n events of about size bytes with the mix of characters that
// real ones have.
func benchEvents(n, size int) pipeline.Batch {
	random := rand.New(rand.NewPCG(1, 2)) // the same events in each run
	b := pipeline.Batch{Destination: pipeline.Destination{LogGroup: "/auth0/example", LogStream: "logs"}}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range n {
		var raw strings.Builder
		fmt.Fprintf(&raw, `{"log_id":"%056d","date":%q,"type":"s","details":{`, i, at.Format(time.RFC3339Nano))
		for k := 0; raw.Len() < size-40; k++ {
			fmt.Fprintf(&raw, `"member_%d":"%016x",`, k, random.Uint64())
		}
		raw.WriteString(`"end":true}}`)
		b.Events = append(b.Events, event.Event{LogID: strconv.Itoa(i), Date: at.Add(time.Duration(i) * time.Millisecond), Raw: []byte(raw.String())})
	}
	return b
}

func BenchmarkPrepare(b *testing.B) {
	in, c := benchEvents(650, 1500), DefaultConfig()
	w := windowOf(time.Now(), MaxPast, MaxFuture)
	b.ReportAllocs()
	for b.Loop() {
		d := prepare(in, c, w)
		split(d.items)
	}
}

func BenchmarkTrim(b *testing.B) {
	raw := []byte(`{"details":{"a":"` + strings.Repeat("xyz", 400_000) + `"}}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := trim(raw, MaxMessageBytes, len(raw)); !ok {
			b.Fatal("not trimmed")
		}
	}
}
