package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// audit is where events go by a second sink.
var audit = pipeline.Destination{Sink: "audit", LogGroup: destination.LogGroup, LogStream: destination.LogStream}

// newIntakeOfBoth is newIntake for two sinks.
func newIntakeOfBoth(from, to, size int) pipeline.Intake {
	in := newIntake(from, to, size)
	for i := range in.Entries {
		in.Entries[i].Also = []pipeline.Destination{audit}
	}
	return in
}

// limitsOf are those of a sink.
func limitsOf(sink string) pipeline.Limits {
	l := limits()
	l.Sink = sink
	return l
}

// sinkStatus returns the status of a sink, without when something happened.
func sinkStatus(t *testing.T, s *store.Store, name string) store.SinkStatus {
	t.Helper()
	for _, x := range statusOf(t, s.Reader).Sinks {
		if x.Name == name {
			x.OldestStoredAt, x.LastDeliveredAt = time.Time{}, time.Time{}
			return x
		}
	}
	return store.SinkStatus{}
}

// conditionsOf returns the parts of the conditions.
func conditionsOf(t *testing.T, s *store.Store) (parts []string) {
	t.Helper()
	for _, c := range statusOf(t, s.Reader).Conditions {
		parts = append(parts, c.Part)
	}
	return parts
}

// TestSinksHaveFiguresOfTheirOwn delivers by one sink while the other stands still: the
// figures of the tenant do not count an event twice.
func TestSinksHaveFiguresOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntakeOfBoth(0, 10, 200))
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		l := limitsOf("audit")
		l.MaxEvents = 4
		mustSettle(t, b, take(t, b, l), pipeline.Receipt{
			Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_old"}}, Skipped: []pipeline.Rejection{{Index: 1, Reason: "type_denied"}}, Retry: []int{3},
			Altered: []pipeline.Rejection{{Index: 2, Reason: "trimmed"}},
		})
		st := statusOf(t, s.Reader)
		if st.BufferedEvents != 0 || !st.OldestDate.IsZero() || countOf(st, store.CountDelivered) != 10 || countOf(st, store.CountStored) != 10 || countOf(st, store.CountRejected) != 0 {
			t.Errorf("status of the tenant %+v", st)
		}
		want := store.SinkStatus{Name: "audit", BufferedEvents: 7, BufferedBytes: 1400, OldestDate: start.Add(3 * time.Second), Counts: []store.Count{
			{Name: "altered", Reason: "trimmed", N: 1}, {Name: "delivered", N: 1}, {Name: "rejected", Reason: "too_old", N: 1}, {Name: "skipped", Reason: "type_denied", N: 1},
		}}
		if diff := cmp.Diff(want, sinkStatus(t, s, "audit"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("status of the sink (-want +got):\n%s", diff)
		}
		if b.Pending() != 7 || b.PendingOf("audit") != 7 || b.PendingOf("") != 0 {
			t.Errorf("pending %d, %d, %d", b.Pending(), b.PendingOf("audit"), b.PendingOf(""))
		}
		letters := listed(t, s, store.LetterFilter{Kind: store.KindRejected}, 9)
		if len(letters) != 1 || letters[0].Destination != audit {
			t.Fatalf("dead letters %+v", letters)
		}
		if _, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{Kind: store.KindRejected}, false); err != nil {
			t.Fatal(err)
		}
		if b.PendingOf("audit") != 8 || b.PendingOf("") != 0 {
			t.Errorf("a replay went elsewhere: pending %d for audit, %d for the main sink", b.PendingOf("audit"), b.PendingOf(""))
		}
		batch := take(t, b, limitsOf("audit"))
		if len(batch.Events) != 8 || batch.Events[0].LogID != newEvent(0, 0).LogID || batch.Destination != audit {
			t.Errorf("a batch of %d events for %+v", len(batch.Events), batch.Destination)
		}
	})
}

// TestSinksSurviveCrashes has events delivered by three sinks, each at its own pace,
// with outcomes of all kinds and crashes at any moment: each event leaves each sink
// once, and comes again only when it was on its way.
func TestSinksSurviveCrashes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		w := &sinkWorld{rt: rt, t: t, dir: copyDir(rt, filepath.Join(root, "none")), left: map[string]map[string]int{"": {}, "audit": {}, "b": {}}}
		w.open()
		for range rapid.IntRange(3, 20).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"append", "append", "take", "take", "settle", "settle", "crash"}).Draw(rt, "step") {
			case "append":
				w.append()
			case "take":
				w.take(rapid.SampledFrom([]string{"", "audit", "b"}).Draw(rt, "sink"))
			case "settle":
				w.settle()
			default:
				w.crash()
			}
		}
		w.crash()
		w.finish()
	})
}

// sinkWorld is a buffer whose process dies now and then.
type sinkWorld struct {
	rt     *rapid.T
	t      *testing.T
	dir    string
	s      *store.Store
	b      *store.Buffer
	stored int
	left   map[string]map[string]int // by sink and log_id
	leased []pipeline.Batch
	onWay  map[string]map[string]bool // by sink: leased at a crash
}

// open opens the store.
func (w *sinkWorld) open() {
	var err error
	if w.s, err = store.Open(w.t.Context(), store.Config{Dir: w.dir}); err != nil {
		w.rt.Fatal(err)
	}
	store.UseSmallWindows(w.s)
	if w.b, err = w.s.Buffer(w.t.Context(), "dev-tenant"); err != nil {
		w.rt.Fatal(err)
	}
}

// append stores events for all sinks, some of them again.
func (w *sinkWorld) append() {
	from := rapid.IntRange(max(0, w.stored-5), w.stored).Draw(w.rt, "from")
	to := from + rapid.IntRange(1, 12).Draw(w.rt, "events")
	in := newIntake(from, to, 150)
	for i := range in.Entries {
		in.Entries[i].Also = []pipeline.Destination{audit, {Sink: "b", LogGroup: "b", LogStream: "b"}}
	}
	done, err := w.b.Append(w.t.Context(), "poll", in)
	if err != nil || done.Stored != max(0, to-w.stored) {
		w.rt.Fatalf("append: %+v, error %v", done, err)
	}
	w.stored = max(w.stored, to)
}

// take takes a batch of a sink, if any event waits for it.
func (w *sinkWorld) take(sink string) {
	free := w.stored - len(w.left[sink])
	for _, b := range w.leased {
		if b.Destination.Sink == sink {
			free -= len(b.Events)
		}
	}
	if free == 0 {
		return
	}
	l := limitsOf(sink)
	l.MaxEvents, l.Linger = rapid.IntRange(1, 9).Draw(w.rt, "max_events"), 0
	batch, err := w.b.Next(w.t.Context(), l)
	if err != nil || batch.Destination.Sink != sink {
		w.rt.Fatalf("take for %q: a batch for %q and error %v", sink, batch.Destination.Sink, err)
	}
	for _, e := range batch.Events {
		if w.left[sink][e.LogID] != 0 {
			w.rt.Fatalf("event %s comes to %q again", e.LogID, sink)
		}
		if w.onWay[sink][e.LogID] && batch.Doubt.IsZero() {
			w.rt.Fatalf("event %s may have reached %q, and is in no doubt", e.LogID, sink)
		}
	}
	w.leased = append(w.leased, batch)
}

// settle settles a batch somehow.
func (w *sinkWorld) settle() {
	if len(w.leased) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.leased)-1).Draw(w.rt, "batch")
	batch := w.leased[i]
	w.leased = slices.Delete(w.leased, i, i+1)
	var r pipeline.Receipt
	for i, e := range batch.Events {
		switch rapid.IntRange(0, 3).Draw(w.rt, "outcome") {
		case 0:
			r.Retry = append(r.Retry, i)
			delete(w.onWay[batch.Destination.Sink], e.LogID)
			continue
		case 1:
			r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "too_old"})
		}
		w.left[batch.Destination.Sink][e.LogID]++
	}
	if err := w.b.Settle(w.t.Context(), batch, r); err != nil {
		w.rt.Fatal(err)
	}
}

// crash goes on with what a killed process would have left.
func (w *sinkWorld) crash() {
	next := copyDir(w.rt, w.dir)
	if err := w.s.Close(); err != nil {
		w.rt.Fatal(err)
	}
	w.onWay = map[string]map[string]bool{"": {}, "audit": {}, "b": {}}
	for _, batch := range w.leased {
		for _, e := range batch.Events {
			w.onWay[batch.Destination.Sink][e.LogID] = true
		}
	}
	w.leased, w.dir = nil, next
	w.open()
}

// finish delivers the rest and compares.
func (w *sinkWorld) finish() {
	for sink, left := range w.left {
		for len(left) < w.stored {
			w.take(sink)
			batch := w.leased[0]
			w.leased = nil
			for _, e := range batch.Events {
				left[e.LogID]++
			}
			if err := w.b.Settle(w.t.Context(), batch, pipeline.Receipt{}); err != nil {
				w.rt.Fatal(err)
			}
		}
		if w.b.PendingOf(sink) != 0 {
			w.rt.Fatalf("%d events wait for %q", w.b.PendingOf(sink), sink)
		}
	}
	w.crash() // a mark of which no event is left may stay until the next start
	if n := store.Number(w.t, w.s.Reader, "SELECT (SELECT count(*) FROM buffer) + (SELECT count(*) FROM sending)"); n != 0 {
		w.rt.Fatalf("%d rows are left", n)
	}
	if err := w.s.Close(); err != nil {
		w.rt.Fatal(err)
	}
}

// TestRemovedSink takes a sink out of use with events waiting: they stay, do not count
// as pending, are told of, come out when it is back, and can be dropped.
func TestRemovedSink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := privateDir(t)
		use := func(list ...store.Sink) (*store.Store, *store.Buffer) {
			s, err := store.Open(t.Context(), store.Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			b := openBuffer(t, s, "dev-tenant")
			if err := errors.Join(b.ClearConditions(t.Context()), b.UseSinks(t.Context(), list)); err != nil {
				t.Fatal(err)
			}
			return s, b
		}
		s, b := use(store.Sink{Name: "audit"})
		mustAppend(t, b, newIntakeOfBoth(0, 600, 100))
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		mustClose(t, s)

		s, b = use()
		if b.Pending() != 0 || !slices.Equal(conditionsOf(t, s), []string{store.LeftPart + "audit"}) {
			t.Errorf("removed: pending %d, conditions %v", b.Pending(), conditionsOf(t, s))
		}
		if c := statusOf(t, s.Reader).Conditions[0]; c.Message != "600 events wait for the destination audit, which is not configured any more" || !strings.Contains(c.Hint, "gapless destination drop audit --tenant dev-tenant --yes") {
			t.Errorf("condition %+v", c)
		}
		mustAppend(t, b, newIntake(600, 601, 100)) // the others go on
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		mustClose(t, s)

		s, b = use(store.Sink{Name: "audit"})
		if b.Pending() != 600 || conditionsOf(t, s) != nil {
			t.Errorf("put back: pending %d, conditions %v", b.Pending(), conditionsOf(t, s))
		}
		l := limitsOf("audit")
		l.MaxEvents = 50
		mustSettle(t, b, take(t, b, l), pipeline.Receipt{})
		held := take(t, b, l)
		if _, _, err := s.DropSink(t.Context(), "dev-tenant", "audit"); !errors.Is(err, store.ErrSinkBusy) {
			t.Errorf("drop of a sink in use: error %v", err)
		}
		mustSettle(t, b, held, pipeline.RetryAll(held, pipeline.Doubt{}))
		mustClose(t, s)

		s, b = use()
		mustAppend(t, b, newIntake(601, 605, 100))
		if events, bytes, err := s.DropSink(t.Context(), "dev-tenant", "audit"); err != nil || events != 550 || bytes == 0 {
			t.Errorf("drop: %d events, %d bytes, error %v", events, bytes, err)
		}
		if conditionsOf(t, s) != nil || b.PendingOf("audit") != 0 || b.Pending() != 4 {
			t.Errorf("dropped: pending %d and %d, conditions %v", b.PendingOf("audit"), b.Pending(), conditionsOf(t, s))
		}
		want := []store.Count{{Name: "delivered", N: 50}, {Name: "dropped", Reason: store.ReasonRemoved, N: 550}}
		if diff := cmp.Diff(want, sinkStatus(t, s, "audit").Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if done := mustAppend(t, b, newIntake(0, 605, 100)); done.Stored != 0 {
			t.Errorf("%d events came in again", done.Stored)
		}
		if batch := take(t, b, limits()); len(batch.Events) != 4 {
			t.Errorf("%d events for the main sink, want 4", len(batch.Events))
		}
		mustClose(t, s)
	})
}

// TestFullSink fills what waits for one sink. By default nothing is taken then, for
// any of them; with SkipWhenFull events are left out of that sink alone, counted and
// told.
func TestFullSink(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			s := openStore(t, store.Config{Dir: privateDir(t), MaxBytes: 2000, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			b := openBuffer(t, s, "dev-tenant")
			if err := b.UseSinks(t.Context(), []store.Sink{{Name: "audit", SkipWhenFull: skip}}); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, b, newIntakeOfBoth(0, 8, 200))
			mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
			done, err := b.Append(t.Context(), "poll", newIntakeOfBoth(8, 14, 200)) // each sink has room for itself
			if !skip {
				if !errors.Is(err, pipeline.ErrBufferFull) || !strings.Contains(err.Error(), "audit") || b.PendingOf("") != 0 {
					t.Fatalf("append to a full buffer: %+v, error %v", done, err)
				}
				mustSettle(t, b, take(t, b, limitsOf("audit")), pipeline.Receipt{})
				mustAppend(t, b, newIntakeOfBoth(8, 14, 200))
				return
			}
			if err != nil || done.Stored != 6 || b.PendingOf("") != 6 || b.PendingOf("audit") != 8 {
				t.Fatalf("append beside a full sink: %+v, error %v; %d and %d wait", done, err, b.PendingOf(""), b.PendingOf("audit"))
			}
			if got := conditionsOf(t, s); !slices.Equal(got, []string{store.FullPart + "audit"}) || !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("conditions %v, log %s", got, &log)
			}
			mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
			mustSettle(t, b, take(t, b, limitsOf("audit")), pipeline.Receipt{})
			mustAppend(t, b, newIntakeOfBoth(14, 15, 200))
			if got := conditionsOf(t, s); got != nil || !strings.Contains(log.String(), "has room again") {
				t.Errorf("conditions %v, log %s", got, &log)
			}
			if diff := cmp.Diff([]store.Count{{Name: "delivered", N: 8}, {Name: "skipped", Reason: store.ReasonFull, N: 6}}, sinkStatus(t, s, "audit").Counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if batch := take(t, b, limitsOf("audit")); len(batch.Events) != 1 || batch.Events[0].LogID != newEvent(14, 0).LogID {
				t.Errorf("batch %v", batch.Events)
			}
		})
	}
}

// TestKnownWhileASinkWaits replays a letter of one sink and lets the dedup window pass
// while the event still waits for another: it does not come in a second time.
func TestKnownWhileASinkWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{DedupWindow: time.Hour})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntakeOfBoth(0, 1, 200))
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{Rejected: []pipeline.Rejection{{Reason: "too_old"}}})
		if _, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false); err != nil {
			t.Fatal(err)
		}
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		<-time.After(3 * time.Hour)
		if err := store.Maintain(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if done := mustAppend(t, b, newIntakeOfBoth(0, 1, 200)); done.Stored != 0 {
			t.Error("the event came in again while it waits for the other sink")
		}
		mustSettle(t, b, take(t, b, limitsOf("audit")), pipeline.Receipt{})
		if err := store.Maintain(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if n := store.Number(t, s.Reader, "SELECT (SELECT count(*) FROM seen) + (SELECT count(*) FROM letter_ids) + (SELECT count(*) FROM intakes)"); n != 0 {
			t.Errorf("%d rows remember an event that has left everywhere", n)
		}
	})
}
