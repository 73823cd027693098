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

// lane is where a backfill of the tests delivers.
var lane = pipeline.Destination{Sink: "backfill/cloudwatch", LogGroup: "/auth0/dev-tenant", LogStream: "logs"}

// newBackfill makes a page of a backfill.
func newBackfill(from, to int, change ...func(*store.Backfill)) store.Backfill {
	in := store.Backfill{Source: "poll", Claim: true, Key: "backfill/x", State: func(d store.BackfillDone) ([]byte, error) { return []byte{byte(d.Stored)}, nil }}
	for i := from; i < to; i++ {
		in.Events = append(in.Events, store.Backfilled{Event: newEvent(i, 200), To: lane})
	}
	for _, c := range change {
		c(&in)
	}
	return in
}

// TestBackfill stores what is missing, in doubt where it was known, and leaves alone
// what waits, what is a dead letter, and what the sources are going to bring.
func TestBackfill(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{Dir: dir})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntake(0, 6, 200)) // 0 to 3 are delivered, 4 is a letter, 5 waits
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 4, Reason: "too_old"}}, Retry: []int{5}})
		leave := func(e event.Event) bool { return e.LogID >= newEvent(8, 0).LogID }
		done, err := b.Backfill(t.Context(), newBackfill(2, 10, func(in *store.Backfill) { in.Leave = leave }))
		want := store.BackfillDone{Stored: 4, InDoubt: 2, Waiting: 1, Letters: 1, Left: 2}
		if diff := cmp.Diff(want, done); diff != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		if again, err := b.Backfill(t.Context(), newBackfill(2, 8)); err != nil || again.Stored != 0 || again.Waiting != 5 {
			t.Errorf("again: %+v, %v", again, err)
		}
		if v, err := b.Load(t.Context(), "backfill/x"); err != nil || len(v) != 1 || v[0] != 0 {
			t.Errorf("state %v, %v", v, err)
		}
		if b.PendingOf("") != 1 || b.PendingOf(lane.Sink) != 4 {
			t.Errorf("pending %d, %d", b.PendingOf(""), b.PendingOf(lane.Sink))
		}
		if done := mustAppend(t, b, newIntake(6, 9, 200)); done.Stored != 1 { // 6 and 7 are claimed
			t.Errorf("appended: %+v", done)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, store.Config{Dir: dir})
		b = openBuffer(t, s, "dev-tenant")
		batch := take(t, b, limitsOf(lane.Sink))
		if len(batch.Events) != 4 || batch.Doubt.IsZero() {
			t.Errorf("%d events, doubt %+v", len(batch.Events), batch.Doubt)
		}
		mustSettle(t, b, batch, pipeline.Receipt{})
		if b.PendingOf(lane.Sink) != 0 || b.PendingOf("") != 2 {
			t.Errorf("pending %d, %d", b.PendingOf(""), b.PendingOf(lane.Sink))
		}
		list, err := s.SavedUnder(t.Context(), "backfill/")
		if err != nil || len(list) != 1 || list[0].Tenant != "dev-tenant" || list[0].Key != "backfill/x" {
			t.Errorf("saved: %+v, %v", list, err)
		}
	})
}

// TestBackfillApart brings events to a place of its own, whatever is known of them.
func TestBackfillApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntake(0, 4, 200))
		apart := func(in *store.Backfill) { in.Apart, in.Claim = true, false }
		done, err := b.Backfill(t.Context(), newBackfill(2, 6, apart))
		if diff := cmp.Diff(store.BackfillDone{Stored: 4}, done); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if batch := take(t, b, limitsOf(lane.Sink)); len(batch.Events) != 4 || !batch.Doubt.IsZero() {
			t.Errorf("%d events, doubt %+v", len(batch.Events), batch.Doubt)
		}
		if done := mustAppend(t, b, newIntake(4, 6, 200)); done.Stored != 2 { // nothing is claimed
			t.Errorf("appended: %+v", done)
		}
	})
}

// TestBackfillClaimsEnd forgets what a backfill has claimed with the dedup window, and
// not before the events have left.
func TestBackfillClaimsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{DedupWindow: 24 * time.Hour})
		b := openBuffer(t, s, "dev-tenant")
		if _, err := b.Backfill(t.Context(), newBackfill(0, 4)); err != nil {
			t.Fatal(err)
		}
		<-time.After(48 * time.Hour)
		if done := mustAppend(t, b, newIntake(0, 4, 200)); done.Stored != 0 {
			t.Errorf("while it waits: %+v", done)
		}
		mustSettle(t, b, take(t, b, limitsOf(lane.Sink)), pipeline.Receipt{})
		<-time.After(48 * time.Hour)
		if done := mustAppend(t, b, newIntake(0, 4, 200)); done.Stored != 4 {
			t.Errorf("when it is over: %+v", done)
		}
	})
}
