package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
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
		for _, r := range rows {
			checkRow(t, r, before)
		}
		if len(before) > 0 {
			t.Fatalf("%d events are in no row", len(before))
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

// TestAppendRunsAgain runs an append a second time, after a rollback, when other parts
// of it are new than the first time: each of those is kept, and nothing else.
func TestAppendRunsAgain(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b, err := s.Buffer(t.Context(), "dev-tenant")
	if err != nil {
		t.Fatal(err)
	}
	a := &appending{b: b, source: "poll", in: pipeline.Intake{Unreadable: []event.Unreadable{{Raw: []byte("{")}}}}
	for _, id := range []string{"a", "b", "c"} {
		e := event.Event{LogID: id, Date: time.Unix(1000, 0), Raw: []byte(`{"log_id":"` + id + `"}`)}
		a.in.Entries = append(a.in.Entries, pipeline.Entry{Event: e, Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"}})
	}
	if err := a.offer(t.Context()); err != nil {
		t.Fatal(err)
	}
	errSpoiled := errors.New("spoiled")
	for _, known := range []string{"b", "a"} { // the first of them in a transaction that is rolled back
		err := s.writer.do(t.Context(), &job{buffer: b, applied: a.applied, run: func(ctx context.Context, t *tx) error {
			err := t.exec(ctx, "INSERT INTO seen (tenant_id, log_id) VALUES (?, ?)", b.id, known)
			if known == "b" {
				l := letter{kind: KindUnreadable, entry: &entry{body: []byte("{"), source: "poll"}}
				return errors.Join(err, l.insert(ctx, t), a.run(ctx, t), errSpoiled)
			}
			return errors.Join(err, a.run(ctx, t))
		}})
		if len(a.fresh) != 2 || errors.Is(err, errSpoiled) != (len(a.pieces) == 0) || err != nil && !errors.Is(err, errSpoiled) {
			t.Fatalf("%d events and %d pieces were new, %v", len(a.fresh), len(a.pieces), err)
		}
	}
	if st, err := s.Status(t.Context()); err != nil || st[0].DeadLetters != 1 || st[0].BufferedEvents != 2 {
		t.Errorf("kept are %d dead letters and %d events (%v), want 1 and 2", st[0].DeadLetters, st[0].BufferedEvents, err)
	}
	if stored := onDisk(t, s); !slices.Equal(stored, []string{"b", "c"}) {
		t.Errorf("on disk are %v, want b and c", stored)
	}
}

// onDisk returns the log_ids of the events in the buffer.
func onDisk(t *testing.T, s *Store) (list []string) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "SELECT last_seq - seq + 1, body FROM buffer ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	err = scanAll(rows, func(r *sql.Rows) error {
		var n int
		var body []byte
		if err := r.Scan(&n, &body); err != nil {
			return err
		}
		events, err := unpack(body, n)
		for _, e := range events {
			list = append(list, e.logID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
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
