package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestPassed counts what passed in spans of whole minutes, of each tenant.
func TestPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{Dir: t.TempDir()})
		<-time.After(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute))) // a minute begins
		began, id := time.Now(), 'a'
		put := func(tenant string, n, skipped int) {
			b, err := s.Buffer(t.Context(), tenant)
			if err != nil {
				t.Fatal(err)
			}
			in := pipeline.Intake{Skipped: map[string]int{"by_rule": skipped}}
			for range n {
				in.Entries = append(in.Entries, pipeline.Entry{
					Event:       event.Event{LogID: string(id), Type: "s", Date: time.Now(), Raw: []byte(`{}`)},
					Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"},
				})
				id++
			}
			if _, err := b.Append(t.Context(), "poll", in); err != nil {
				t.Fatal(err)
			}
		}
		put("one", 2, 3)
		<-time.After(time.Minute)
		put("one", 1, 0)
		put("two", 4, 0)
		for _, c := range []struct {
			since, until time.Duration
			want         map[string]map[string]int64
		}{
			{0, time.Minute, map[string]map[string]int64{"one": {"stored": 2, "skipped": 3}}},
			{time.Minute, 2 * time.Minute, map[string]map[string]int64{"one": {"stored": 1}, "two": {"stored": 4}}},
			{-time.Hour, time.Hour, map[string]map[string]int64{"one": {"stored": 3, "skipped": 3}, "two": {"stored": 4}}},
			{time.Hour, 2 * time.Hour, map[string]map[string]int64{}},
		} {
			got, err := s.Passed(t.Context(), began.Add(c.since), began.Add(c.until))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("from %s to %s (-want +got):\n%s", c.since, c.until, d)
			}
		}
	})
}
