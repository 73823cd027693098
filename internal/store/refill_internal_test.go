package store

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestManyWindowsShareTheMemory fills a hundred destinations, each with more than
// its share, and empties them in batches that are larger than a share: what the
// windows hold stays bounded, and every event comes out once, in order of time.
func TestManyWindowsShareTheMemory(t *testing.T) {
	t.Parallel()
	const destinations, each = 100, 60
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.window = windowSize{rows: 1000, bytes: 20_000, allBytes: 100_000, least: 500, readRows: 1000, readBytes: 4000}
	b, err := s.Buffer(t.Context(), "dev-tenant")
	if err != nil {
		t.Fatal(err)
	}
	for n := range each {
		var in pipeline.Intake
		for d := range destinations {
			in.Entries = append(in.Entries, pipeline.Entry{
				Event:       event.Event{LogID: fmt.Sprint(d, "-", n), Date: time.Unix(int64(1000+n*7919%each), 0), Raw: make([]byte, 200)},
				Destination: pipeline.Destination{LogGroup: "g", LogStream: strconv.Itoa(d)},
			})
		}
		if _, err := b.Append(t.Context(), "poll", in); err != nil {
			t.Fatal(err)
		}
		checkHeld(t, b, s.window.allBytes*5/4)
	}
	seen := make(map[string]bool)
	last := make(map[pipeline.Destination]time.Time)
	for len(seen) < destinations*each {
		batch, err := b.Next(context.WithoutCancel(t.Context()), pipeline.Limits{MaxEvents: 12, MaxBytes: 1 << 20, MaxSpan: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		checkHeld(t, b, s.window.allBytes*5/4)
		for _, e := range batch.Events {
			if seen[e.LogID] || e.Date.Before(last[batch.Destination]) {
				t.Fatalf("%s came twice or late", e.LogID)
			}
			seen[e.LogID], last[batch.Destination] = true, e.Date
		}
		if err := b.Settle(t.Context(), batch, pipeline.Receipt{}); err != nil {
			t.Fatal(err)
		}
	}
}

// checkHeld looks at what the windows hold together.
func checkHeld(t *testing.T, b *Buffer, most int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	held := 0
	for _, w := range b.windows {
		held += w.bytes
	}
	if held > most {
		t.Fatalf("the windows hold %d bytes, want at most %d", held, most)
	}
}

// TestRowsThatOverlap reads back rows of the same hour in any order: what is read at
// once is bounded, nothing is left behind, and what is certain comes in order.
func TestRowsThatOverlap(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.window = windowSize{rows: 50, bytes: 5000, allBytes: 5000, least: 500, readRows: 50, readBytes: 2000}
	b, err := s.Buffer(t.Context(), "dev-tenant")
	if err != nil {
		t.Fatal(err)
	}
	const rows, each = 80, 30
	for n := range rows {
		var in pipeline.Intake
		for i := range each {
			at := (n*each + i) * 7919 % (rows * each) // each row spans all of the hour
			in.Entries = append(in.Entries, pipeline.Entry{Event: event.Event{
				LogID: strconv.Itoa(at), Date: time.Unix(int64(at), 0), Raw: make([]byte, 100),
			}, Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"}})
		}
		if _, err := b.Append(t.Context(), "webhook", in); err != nil {
			t.Fatal(err)
		}
	}
	most := refillMost*s.window.readBytes + s.window.bytes + each*100 // and the last row that was read
	b.mu.Lock()
	for _, w := range b.windows {
		if err := b.refill(t.Context(), w); err != nil || w.complete || w.bytes > most {
			t.Errorf("a refill holds %d bytes (all: %v), want at most %d: %v", w.bytes, w.complete, most, err)
		}
	}
	b.mu.Unlock()
	seen := make(map[string]bool)
	for len(seen) < rows*each {
		batch, err := b.Next(t.Context(), pipeline.Limits{MaxEvents: 40, MaxBytes: 1 << 20, MaxSpan: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range batch.Events {
			if seen[e.LogID] || i > 0 && e.Date.Before(batch.Events[i-1].Date) {
				t.Fatalf("%s came twice or out of order", e.LogID)
			}
			seen[e.LogID] = true
		}
		if err := b.Settle(t.Context(), batch, pipeline.Receipt{}); err != nil {
			t.Fatal(err)
		}
	}
}
