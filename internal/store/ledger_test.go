package store_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// waitingOf lists what waits, as SINK/LOG_ID.
func waitingOf(t *testing.T, s *store.Store, from, to time.Time) (list []string) {
	t.Helper()
	err := s.EachWaiting(t.Context(), "dev-tenant", from, to, func(sink, id string) error {
		list = append(list, sink+"/"+id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// TestLedger asks what waits, what was rejected, and what is remembered.
func TestLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntakeOfBoth(0, 10, 200))
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 4, Reason: "too_old"}}, Retry: []int{7}})
		id := func(i int) string { return newEvent(i, 0).LogID }
		if diff := cmp.Diff([]string{"/" + id(7), "audit/" + id(6), "audit/" + id(7)}, waitingOf(t, s, start.Add(6*time.Second), start.Add(7*time.Second))); diff != "" {
			t.Errorf("waiting (-want +got):\n%s", diff)
		}
		if got := waitingOf(t, s, start, start.Add(time.Hour)); len(got) != 11 {
			t.Errorf("waiting: %q", got)
		}
		var letters []string
		err := s.EachRejected(t.Context(), "dev-tenant", func(sink, id, reason string) error {
			letters = append(letters, sink+"/"+id+" "+reason)
			return nil
		})
		if diff := cmp.Diff([]string{"/" + id(4) + " too_old"}, letters); diff != "" || err != nil {
			t.Errorf("rejected, %v (-want +got):\n%s", err, diff)
		}
		known, err := s.Remembered(t.Context(), "dev-tenant", []string{id(3), id(30), "", `"`})
		if diff := cmp.Diff(map[string]bool{id(3): true}, known); diff != "" || err != nil {
			t.Errorf("remembered, %v (-want +got):\n%s", err, diff)
		}
		if known, err := s.Remembered(t.Context(), "other", []string{id(3)}); err != nil || len(known) > 0 {
			t.Errorf("of another tenant: %v, %v", known, err)
		}
	})
}

// TestLedgerKnowsWhatWasLeftOut fills a sink that is passed over when it is full.
func TestLedgerKnowsWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{MaxBytes: 2500})
		b := openBuffer(t, s, "dev-tenant")
		if err := b.UseSinks(t.Context(), []store.Sink{{Name: "audit", SkipWhenFull: true}}); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for i := range 3 { // the third does not fit
			mustAppend(t, b, newIntakeOfBoth(5*i, 5*i+5, 200))
			mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
			ids = append(ids, newEvent(5*i, 0).LogID)
			<-time.After(2 * time.Minute)
		}
		left, err := s.LeftOut(t.Context(), "dev-tenant", "audit", ids)
		if diff := cmp.Diff(map[string]bool{ids[2]: true}, left); diff != "" || err != nil {
			t.Errorf("left out, %v (-want +got):\n%s", err, diff)
		}
	})
}

// TestRequeue puts events back that were delivered: for the one destination that lacks
// them, in doubt, also after a crash, and none that waits or is a dead letter.
func TestRequeue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{Dir: dir})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntakeOfBoth(0, 10, 200))
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		mustSettle(t, b, take(t, b, limitsOf("audit")), pipeline.Receipt{
			Rejected: []pipeline.Rejection{{Index: 1, Reason: "too_old"}}, Retry: []int{2},
		})
		var list []pipeline.Entry
		for i := range 4 {
			list = append(list, pipeline.Entry{Event: newEvent(i, 200), Destination: audit})
		}
		done, err := b.Requeue(t.Context(), "poll", list)
		if diff := cmp.Diff(store.Requeued{Events: 2, Waiting: 1, Letters: 1}, done); diff != "" || err != nil {
			t.Fatalf("requeued, %v (-want +got):\n%s", err, diff)
		}
		if again, err := b.Requeue(t.Context(), "poll", list); err != nil || again.Events != 0 || again.Waiting != 3 {
			t.Errorf("requeued twice: %+v, %v", again, err)
		}
		if b.PendingOf("") != 0 || b.PendingOf("audit") != 3 {
			t.Errorf("pending %d, %d", b.PendingOf(""), b.PendingOf("audit"))
		}
		if st := statusOf(t, s.Reader); countOf(st, store.CountRequeued) != 2 {
			t.Errorf("counts %+v", st.Counts)
		}
		if err := s.Close(); err != nil { // nothing was sent; the marks say that it may have been
			t.Fatal(err)
		}
		s = openStore(t, store.Config{Dir: dir})
		b = openBuffer(t, s, "dev-tenant")
		in := newIntakeOfBoth(0, 10, 200)
		if got, err := b.Append(t.Context(), "poll", in); err != nil || got.Stored != 0 {
			t.Errorf("an event came in again: %+v, %v", got, err)
		}
		doubted := 0
		for b.PendingOf("audit") > 0 {
			batch := take(t, b, limitsOf("audit"))
			if !batch.Doubt.IsZero() {
				doubted += len(batch.Events)
				if batch.Doubt.From.After(batch.Events[0].Date) {
					t.Errorf("doubt from %v, an event of %v", batch.Doubt.From, batch.Events[0].Date)
				}
			}
			mustSettle(t, b, batch, pipeline.Receipt{})
		}
		if doubted < 2 {
			t.Errorf("%d events were in doubt", doubted)
		}
		if n := store.Number(t, s.Reader, "SELECT count(*) FROM sending"); n != 0 {
			t.Errorf("%d marks are left", n)
		}
	})
}
