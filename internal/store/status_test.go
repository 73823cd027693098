package store_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// eventful makes a store in which everything has happened once, 5 s after it
// was opened.
func eventful(t *testing.T) *store.Store {
	t.Helper()
	s := openStore(t, store.Config{})
	b := openBuffer(t, s, "dev-tenant")
	in := newIntake(0, 6, 200)
	in.Entries[5].Event.DateFrom = event.DateFromReceived
	in.Entries[4].Destination.LogStream = "other"
	in.Entries = append(in.Entries, in.Entries[0])
	in.Unreadable = []event.Unreadable{{Raw: []byte("<html>"), Reason: "not valid JSON"}, {Raw: nil, Reason: "empty"}}
	in.Skipped = map[string]int{"filter": 3}
	in.Gap = &event.Gap{FromID: "1", FromTime: start, ToID: "2", Reason: "older than the retention"}
	<-time.After(5 * time.Second)
	mustAppend(t, b, in)
	l := limits()
	l.MaxEvents = 4
	mustSettle(t, b, take(t, b, l), pipeline.Receipt{
		Rejected: []pipeline.Rejection{{Index: 1, Reason: "too_old", Detail: "15 days"}},
		Altered:  []pipeline.Rejection{{Index: 2, Reason: "trimmed"}},
		Skipped:  []pipeline.Rejection{{Index: 0, Reason: "types"}},
		Retry:    []int{3},
	})
	trouble := pipeline.Condition{Part: "delivery", Since: start, Failures: 3, Err: pipeline.Error{
		Class: pipeline.Unauthorized, Hint: "Allow logs:PutLogEvents.", Err: errors.New("access denied"),
	}}
	if err := errors.Join(b.SetCondition(t.Context(), trouble), b.SetCondition(t.Context(), pipeline.Condition{Part: "poll"}),
		b.ClearCondition(t.Context(), "poll")); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().UTC().Add(5 * time.Second)
		s := eventful(t)
		want := store.TenantStatus{
			Tenant:         "dev-tenant",
			Cursors:        []store.CursorStatus{{Source: "poll", Cursor: "5", UpdatedAt: at}},
			BufferedEvents: 3, BufferedBytes: 600,
			OldestDate: newEvent(3, 0).Date, OldestStoredAt: at, NewestDate: newEvent(5, 0).Date,
			LastStoredAt: at, LastDeliveredAt: at,
			Counts: []store.Count{
				{Name: "altered", Reason: "trimmed", N: 1},
				{Name: "delivered", N: 1},
				{Name: "duplicates", N: 1},
				{Name: "rejected", Reason: "too_old", N: 1},
				{Name: "skipped", Reason: "filter", N: 3},
				{Name: "skipped", Reason: "types", N: 1},
				{Name: "stored", N: 6},
				{Name: "undated", Reason: "received", N: 1},
				{Name: "unreadable", N: 2},
			},
			Sinks:       []store.SinkStatus{},
			DeadLetters: 4, DeadLetterBytes: 406,
			Letters: []store.LetterStatus{
				{Kind: "altered", Reason: "trimmed", Letters: 1, Bytes: 200},
				{Kind: "rejected", Reason: "too_old", Letters: 1, Bytes: 200},
				{Kind: "unreadable", Reason: "unreadable", Letters: 2, Bytes: 6},
			},
			Gaps: []store.GapStatus{{Source: "poll", FromID: "1", FromTime: start, ToID: "2", Reason: "older than the retention", RecordedAt: at}},
			Conditions: []store.ConditionStatus{{
				Part: "delivery", Since: start, UpdatedAt: at, Failures: 3,
				Class: "unauthorized", Message: "access denied", Hint: "Allow logs:PutLogEvents.",
			}},
		}
		if diff := cmp.Diff(want, statusOf(t, s.Reader)); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	})
}

func TestValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	check := func(key, setting string, saved []byte) {
		t.Helper()
		if v, err := b.Setting(t.Context(), key); err != nil || v != setting {
			t.Errorf("setting %s: got %q and error %v, want %q", key, v, err, setting)
		}
		if v, err := b.Load(t.Context(), key); err != nil || !cmp.Equal(v, saved) {
			t.Errorf("value %s: got %q and error %v, want %q", key, v, err, saved)
		}
	}
	check("a", "", nil)
	if err := errors.Join(b.SetSetting(t.Context(), "a", "x"), b.Save(t.Context(), "a", []byte("\x00token"))); err != nil {
		t.Fatal(err)
	}
	check("a", "x", []byte("\x00token"))
	if err := errors.Join(b.SetSetting(t.Context(), "a", "y"), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, store.Config{Dir: dir})
	b = openBuffer(t, s, "dev-tenant")
	check("a", "y", []byte("\x00token"))
	if err := b.Save(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	check("a", "y", nil)
	b = openBuffer(t, s, "other")
	check("a", "", nil)
}

// TestNothingIsLostOrDoubled runs random steps, closing and opening the store
// between them: what was stored is buffered, delivered or a dead letter.
func TestNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		open := func() (*store.Store, *store.Buffer) {
			s, err := store.Open(t.Context(), store.Config{Dir: dir})
			if err != nil {
				rt.Fatalf("open: %v", err)
			}
			if rapid.Bool().Draw(rt, "small windows") {
				store.UseSmallWindows(s)
			}
			return s, openBuffer(t, s, "dev-tenant")
		}
		s, b := open()
		defer func() { _ = s.Close() }()
		l := limits()
		l.Linger = 0
		buffered := make(map[string]bool)
		var leased []pipeline.Batch
		held := 0 // events under lease
		next := 0
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			switch rapid.IntRange(0, 10).Draw(rt, "step") {
			case 0, 1, 2:
				from := rapid.IntRange(0, next).Draw(rt, "from")
				to := max(next, from) + rapid.IntRange(0, 30).Draw(rt, "more")
				mustAppend(t, b, newIntake(from, to, 100))
				for ; next < to; next++ {
					buffered[newEvent(next, 0).LogID] = true
				}
			case 3, 4, 5:
				l.MaxEvents = rapid.IntRange(1, 20).Draw(rt, "max")
				if len(buffered) > held {
					leased = append(leased, take(t, b, l))
					held += len(leased[len(leased)-1].Events)
				}
			case 6, 7:
				if len(leased) > 0 {
					held -= len(leased[0].Events)
					settleSome(t, rt, b, leased[0], buffered)
					leased = leased[1:]
				}
			case 8, 9:
				moveSome(t, rt, s, buffered)
			default:
				if err := s.Close(); err != nil {
					rt.Fatalf("close: %v", err)
				}
				s, b = open()
				leased, held = nil, 0
			}
			conserved(t, rt, s, next, len(buffered))
		}
	})
}

// settleSome settles a batch with a random receipt.
func settleSome(t *testing.T, rt *rapid.T, b *store.Buffer, batch pipeline.Batch, buffered map[string]bool) {
	t.Helper()
	var r pipeline.Receipt
	for i, e := range batch.Events {
		if !buffered[e.LogID] {
			rt.Fatalf("event %s was taken that should not be there", e.LogID)
		}
		switch rapid.IntRange(0, 4).Draw(rt, "outcome") {
		case 0:
			r.Retry = append(r.Retry, i)
			continue
		case 1:
			r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "too_old"})
		}
		delete(buffered, e.LogID)
	}
	mustSettle(t, b, batch, r)
}

// moveSome replays or drops some of the dead letters.
func moveSome(t *testing.T, rt *rapid.T, s *store.Store, buffered map[string]bool) {
	t.Helper()
	list, err := s.DeadLetters(t.Context(), store.LetterFilter{}, 100)
	if err != nil {
		rt.Fatalf("list dead letters: %v", err)
	}
	var f store.LetterFilter
	back := rapid.Bool().Draw(rt, "replay")
	for _, l := range list {
		if rapid.Bool().Draw(rt, "this one") {
			f.IDs = append(f.IDs, l.ID)
			if back {
				buffered[l.Event.LogID] = true
			}
		}
	}
	if len(f.IDs) == 0 {
		return
	}
	move := func() (store.LettersDone, error) { return s.DropDeadLetters(t.Context(), f) }
	if back {
		move = func() (store.LettersDone, error) { return s.ReplayDeadLetters(t.Context(), f, false) }
	}
	if done, err := move(); err != nil || done.Letters != int64(len(f.IDs)) {
		rt.Fatalf("moved %+v of %d letters: %v", done, len(f.IDs), err)
	}
}

// conserved compares the figures with each other and with the rows.
func conserved(t *testing.T, rt *rapid.T, s *store.Store, stored, buffered int) {
	t.Helper()
	st := statusOf(t, s.Reader)
	rows := store.Number(t, s.Reader, "SELECT coalesce(sum(events), 0) FROM buffer")
	bytes := store.Number(t, s.Reader, "SELECT coalesce(sum(bytes), 0) FROM buffer")
	letters := store.Number(t, s.Reader, "SELECT count(*) FROM dead_letters")
	size := store.Number(t, s.Reader, "SELECT coalesce(sum(length(body)), 0) FROM dead_letters")
	if sums := store.Number(t, s.Reader, "SELECT coalesce(sum(bytes), 0) FROM dead_letter_sums"); st.DeadLetterBytes != size || sums != size {
		rt.Fatalf("%d bytes of dead letters by status, %d by their sums, want %d", st.DeadLetterBytes, sums, size)
	}
	out := countOf(st, store.CountDelivered) + letters + countOf(st, store.CountDropped)
	if st.BufferedEvents != rows || rows != int64(buffered) || st.BufferedBytes != bytes || st.DeadLetters != letters ||
		countOf(st, store.CountStored) != int64(stored) || int64(stored) != rows+out {
		rt.Fatalf("%d stored, %d buffered; rows: %d of %d bytes, %d dead letters; status: %+v", stored, buffered, rows, bytes, letters, st)
	}
}

// TestCountPush counts what was pushed and what was healed: for ever, and for the
// last hour.
func TestCountPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b, other := openBuffer(t, s, "dev-tenant"), openBuffer(t, s, "other")
		mustAppend(t, b, newIntake(0, 6, 200)) // counted under other names
		check := func(healed, pushed, recentHealed, recentPushed int64) {
			t.Helper()
			totalHealed, err := b.Total(t.Context(), store.CountHealed)
			totalPushed, err2 := b.Total(t.Context(), store.CountPushed)
			list, err3 := s.Status(t.Context())
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(err)
			}
			got := []int64{totalHealed, totalPushed, list[0].RecentHealed, list[0].RecentPushed}
			if diff := cmp.Diff([]int64{healed, pushed, recentHealed, recentPushed}, got); diff != "" {
				t.Errorf("healed, pushed and both of the last hour (-want +got):\n%s", diff)
			}
		}
		count := func(b *store.Buffer, healed, pushed int) {
			t.Helper()
			if err := b.CountPush(t.Context(), healed, pushed); err != nil {
				t.Fatal(err)
			}
		}
		check(0, 0, 0, 0)
		count(b, 2, 10)
		count(other, 100, 100)
		<-time.After(59 * time.Minute)
		count(b, 1, 0)
		check(3, 10, 3, 10)
		<-time.After(2 * time.Minute)
		check(3, 10, 1, 0)
	})
}
