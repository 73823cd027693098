package store

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
)

// drawEntries draws events of any form for up to three destinations.
func drawEntries(t *rapid.T) []*entry {
	list := make([]*entry, rapid.IntRange(1, 3000).Draw(t, "events"))
	span := rapid.Int64Range(1, 3*rowSpan).Draw(t, "span")
	big := rapid.IntRange(0, 40).Draw(t, "big")
	for i := range list {
		body := fmt.Appendf(nil, `{"log_id":"%d"}`, i)
		if i < big {
			body = bytes.Repeat(body, rapid.IntRange(1, 4000).Draw(t, "size"))
		}
		list[i] = &entry{
			to: int64(i * 7 % 3), date: int64(i) * 7919 * 1_000_000 % span, dateFrom: event.DateSource(i % 3),
			logID: strings.Repeat("9", i%60) + strconv.Itoa(i), typ: []string{"", "s", "seccft"}[i%3], body: body, source: []string{"poll", "webhook"}[i%2],
		}
	}
	return list
}

// TestRows holds that rows keep every event as it was, within their bounds, and in
// the order in which they came where the span allows it.
func TestRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := drawEntries(t)
		before := make(map[string]entry, len(list))
		for _, e := range list {
			before[e.logID] = *e
		}
		rows := newRows(list)
		defer freeRows(rows)
		if packed(rows) != len(list) {
			t.Fatalf("%d of %d events are in the rows", packed(rows), len(list))
		}
		for _, r := range rows {
			checkRow(t, r, before)
		}
	})
}

// checkRow looks at one row.
func checkRow(t *rapid.T, r row, before map[string]entry) {
	oldest, newest := dateRange(r.list)
	if len(r.list) > rowEvents || newest-oldest > rowSpan || r.bytes > rowBytes && len(r.list) > 1 {
		t.Fatalf("a row of %d events, %d bytes and a span of %d", len(r.list), r.bytes, newest-oldest)
	}
	got, err := unpack(*r.body, len(r.list))
	if err != nil {
		t.Fatal(err)
	}
	dates, err := unpackDates(packDates(r.list))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range r.list {
		want, g := before[e.logID], got[i]
		delete(before, e.logID)
		if e.to != r.list[0].to || e.source != r.list[0].source {
			t.Fatal("a row of two destinations or sources")
		}
		if dates[i] != want.date || g.logID != e.logID || g.typ != want.typ || g.dateFrom != want.dateFrom ||
			!bytes.Equal(g.body, want.body) || !bytes.Equal(e.body, want.body) {
			t.Fatalf("event %d is %+v, was %+v", i, g, want)
		}
	}
}

// FuzzBody holds that a body that nobody wrote is refused without harm.
func FuzzBody(f *testing.F) {
	r := newRow([]*entry{{logID: "1", typ: "s", body: []byte(`{"log_id":"1"}`)}, {logID: "2", typ: "s", body: []byte(`{"log_id":"2"}`)}})
	f.Add(*r.body, 2)
	f.Add((*r.body)[:10], 2)
	f.Add([]byte{formPlain, 0, 0, 0, 0}, 0)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		list, err := unpack(body, n)
		if err == nil && len(list) != n {
			t.Errorf("%d events of %d", len(list), n)
		}
		if ids := splitIDs(body); len(ids) > len(body) && body[0] != 0 {
			t.Errorf("%d ids in %d bytes", len(ids), len(body))
		}
	})
}
