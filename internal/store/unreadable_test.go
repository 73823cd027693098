package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestUnreadableRecordsAreKeptOnce reads pages again: what is no event has no
// log_id, and must not fill the dead letters all the same. Another tenant, and
// another source, has records of its own.
func TestUnreadableRecordsAreKeptOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{})
	dev, other := openBuffer(t, s, "dev"), openBuffer(t, s, "other")
	intake := func(raws ...string) (in pipeline.Intake) {
		for _, raw := range raws {
			in.Unreadable = append(in.Unreadable, event.Unreadable{Raw: []byte(raw), Reason: "no object"})
		}
		return in
	}
	for _, step := range []struct {
		buffer *store.Buffer
		source string
		in     pipeline.Intake
	}{
		{dev, "poll", intake("7", "8", "7")}, // one page may hold the same record twice
		{dev, "poll", intake("8", "9", "7")},
		{dev, "poll", intake("", "9")},
		{dev, "poll", intake("")},
		{dev, "webhook", intake("7")},
		{other, "poll", intake("7")},
	} {
		if _, err := step.buffer.Append(t.Context(), step.source, step.in); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.DeadLetters(t.Context(), store.LetterFilter{Tenant: "dev"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, l := range list {
		if l, err = s.DeadLetter(t.Context(), l.ID); err != nil {
			t.Fatal(err)
		}
		got[l.Source+" "+string(l.Event.Raw)]++
	}
	if diff := cmp.Diff(map[string]int{"poll 7": 2, "poll 8": 1, "poll 9": 1, "poll ": 1, "webhook 7": 1}, got); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	figures, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		want := map[string]int64{"dev": 6, "other": 1}[f.Tenant]
		counts := make(map[string]int64)
		for _, c := range f.Counts {
			counts[c.Name] += c.N
		}
		if f.DeadLetters != want || counts[store.CountUnreadable] != want || f.Tenant == "dev" && counts[store.CountDuplicates] != 4 {
			t.Errorf("%s: %d dead letters, want %d; counts %v", f.Tenant, f.DeadLetters, want, counts)
		}
	}
}
