package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// marks is how many batches the file says may be under way.
func marks(t *testing.T, s *store.Store) int64 {
	t.Helper()
	return store.Number(t, s.Reader, "SELECT count(*) FROM sending")
}

// TestDoubtAfterACrash leases batches, some of them to be settled in all ways,
// and ends without settling the rest. Those, and no others, come in doubt.
func TestDoubtAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openStore(t, store.Config{Dir: dir})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntake(0, 40, 0))
		l := limits()
		l.MaxEvents = 10
		leased := time.Now()
		mustSettle(t, b, take(t, b, l), pipeline.Receipt{}) // 0 to 9
		lost := take(t, b, l)                               // 10 to 19
		<-time.After(time.Minute)
		returned := take(t, b, l) // 20 to 29
		doubt := pipeline.Doubt{From: leased.UTC(), Until: time.Now().UTC()}
		mustSettle(t, b, returned, pipeline.Receipt{Retry: []int{7, 8, 9}, Doubt: doubt}) // 27 to 29
		if n := marks(t, s); n != 2 {
			t.Errorf("%d marks, want 2", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)

		s = openStore(t, store.Config{Dir: dir})
		b = openBuffer(t, s, "dev-tenant")
		l.MaxEvents = 1
		var batches []pipeline.Batch
		for range 23 {
			batch := take(t, b, l)
			batches = append(batches, batch)
			id := batch.Events[0].LogID
			switch inDoubt := id < newEvent(30, 0).LogID; {
			case inDoubt && (batch.Doubt.From.After(leased.Add(time.Minute)) || !batch.Doubt.Until.Equal(time.Now())):
				t.Errorf("event %s has the doubt %v", id, batch.Doubt)
			case !inDoubt && !batch.Doubt.IsZero():
				t.Errorf("event %s, which was never handed out, has the doubt %v", id, batch.Doubt)
			}
		}
		if got := batches[0]; got.Events[0].LogID != lost.Events[0].LogID || !got.Doubt.From.Equal(leased) {
			t.Errorf("the first batch is %s with the doubt %v", got.Events[0].LogID, got.Doubt)
		}
		for _, batch := range batches {
			mustSettle(t, b, batch, pipeline.Receipt{})
		}
		if n := marks(t, s); n != 0 {
			t.Errorf("%d marks are left of events that were settled", n)
		}
	})
}

// TestNoDoubtWhenNothingWasSent gives a batch back: the next start has nothing
// to look up.
func TestNoDoubtWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 10, 0))
	batch := take(t, b, limits())
	mustSettle(t, b, batch, pipeline.RetryAll(batch, pipeline.Doubt{}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b = openBuffer(t, openStore(t, store.Config{Dir: dir}), "dev-tenant")
	if batch := take(t, b, limits()); len(batch.Events) != 10 || !batch.Doubt.IsZero() {
		t.Errorf("%d events with the doubt %v", len(batch.Events), batch.Doubt)
	}
}

// TestDoubtsOfTenantsAreApart keeps the doubt of one tenant from another, whose
// events have the numbers between.
func TestDoubtsOfTenantsAreApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	one, other := openBuffer(t, s, "one"), openBuffer(t, s, "other")
	mustAppend(t, one, newIntake(0, 5, 0))
	mustAppend(t, other, newIntake(0, 5, 0))
	mustAppend(t, one, newIntake(5, 10, 0))
	take(t, one, limits())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, store.Config{Dir: dir})
	if batch := take(t, openBuffer(t, s, "one"), limits()); batch.Doubt.IsZero() {
		t.Error("no doubt about what was handed out")
	}
	if batch := take(t, openBuffer(t, s, "other"), limits()); !batch.Doubt.IsZero() {
		t.Errorf("the doubt %v about another tenant's events", batch.Doubt)
	}
}
