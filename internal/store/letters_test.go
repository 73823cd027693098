package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// listed lists what a filter picks.
func listed(t *testing.T, s *store.Store, f store.LetterFilter, limit int) []store.DeadLetter {
	t.Helper()
	list, err := s.DeadLetters(t.Context(), f, limit)
	if err != nil {
		t.Fatalf("list dead letters: %v", err)
	}
	return list
}

// idsOf returns the ids of dead letters.
func idsOf(list []store.DeadLetter) (ids []int64) {
	for _, l := range list {
		ids = append(ids, l.ID)
	}
	return ids
}

// reject stores events of 1,000 bytes and has each of them rejected.
func reject(t *testing.T, b *store.Buffer, from, to int) {
	t.Helper()
	mustAppend(t, b, newIntake(from, to, 1000))
	batch := take(t, b, limits())
	var r pipeline.Receipt
	for i := range batch.Events {
		r.Rejected = append(r.Rejected, pipeline.Rejection{Index: i, Reason: "too_old"})
	}
	mustSettle(t, b, batch, r)
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().UTC().Add(5 * time.Second)
		s := eventful(t)
		want := []store.DeadLetter{
			{ID: 4, Kind: "altered", Source: "poll", Reason: "trimmed", Size: 200, Event: newEvent(2, 200), Destination: destination},
			{ID: 3, Kind: "rejected", Source: "poll", Reason: "too_old", Detail: "15 days", Size: 200, Event: newEvent(1, 200), Destination: destination},
			{ID: 2, Kind: "unreadable", Source: "poll", Reason: "unreadable", Detail: "empty"},
			{ID: 1, Kind: "unreadable", Source: "poll", Reason: "unreadable", Detail: "not valid JSON", Size: 6, Event: event.Event{Raw: []byte("<html>")}},
		}
		list := listed(t, s, store.LetterFilter{}, 10)
		for i := range want {
			want[i].Tenant, want[i].CreatedAt = "dev-tenant", at
			one, err := s.DeadLetter(t.Context(), want[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[i], one); diff != "" {
				t.Errorf("dead letter %d (-want +got):\n%s", want[i].ID, diff)
			}
			want[i].Event.Raw = nil // a list does without
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
		if _, err := s.DeadLetter(t.Context(), 5); !errors.Is(err, store.ErrNoLetter) {
			t.Errorf("a letter that is not there: error %v, want ErrNoLetter", err)
		}
	})
}

func TestLetterFilters(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{})
	for _, tenant := range []string{"one", "two"} {
		b := openBuffer(t, s, tenant)
		in := newIntake(0, 3, 200)
		in.Unreadable = []event.Unreadable{{Raw: []byte("?"), Reason: "not valid JSON"}}
		mustAppend(t, b, in)
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{Rejected: []pipeline.Rejection{
			{Index: 0, Reason: "too_old"}, {Index: 1, Reason: "too_large"}, {Index: 2, Reason: "too_old"},
		}})
	}
	for name, tt := range map[string]struct {
		filter store.LetterFilter
		limit  int
		want   []int64
	}{
		"all":                  {store.LetterFilter{}, 99, []int64{8, 7, 6, 5, 4, 3, 2, 1}},
		"a page":               {store.LetterFilter{}, 3, []int64{8, 7, 6}},
		"the next page":        {store.LetterFilter{Below: 6}, 3, []int64{5, 4, 3}},
		"of a tenant":          {store.LetterFilter{Tenant: "two"}, 99, []int64{8, 7, 6, 5}},
		"of a kind":            {store.LetterFilter{Kind: "unreadable"}, 99, []int64{5, 1}},
		"for a reason":         {store.LetterFilter{Reason: "too_old"}, 99, []int64{8, 6, 4, 2}},
		"by id":                {store.LetterFilter{IDs: []int64{3, 7, 99}}, 99, []int64{7, 3}},
		"all at once":          {store.LetterFilter{Tenant: "one", Kind: "rejected", Reason: "too_old", IDs: []int64{2, 3, 4, 6}, Below: 4}, 99, []int64{2}},
		"of an unknown tenant": {store.LetterFilter{Tenant: "three"}, 99, nil},
	} {
		if diff := cmp.Diff(tt.want, idsOf(listed(t, s, tt.filter, tt.limit))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestReplay puts rejected events back: while the buffer works, and when it reads
// next to everything from disk.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, small := range map[string]bool{"in memory": false, "from disk": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, store.Config{})
			if small {
				store.UseSmallWindows(s)
			}
			b := openBuffer(t, s, "dev-tenant")
			reject(t, b, 0, 10)
			mustAppend(t, b, newIntake(10, 15, 1000)) // wait beside those that come back
			first := listed(t, s, store.LetterFilter{}, 99)
			done, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false)
			if want := (store.LettersDone{Letters: 10, Bytes: 10_000}); err != nil || done != want {
				t.Fatalf("replay: %+v and error %v, want %+v", done, err, want)
			}
			if again := mustAppend(t, b, newIntake(0, 10, 1000)); again.Stored != 0 {
				t.Errorf("%d events that wait again were stored a second time", again.Stored)
			}
			batch := take(t, b, limits())
			for i, e := range batch.Events {
				if diff := cmp.Diff(newEvent(i, 1000), e); diff != "" {
					t.Errorf("event %d (-stored +read):\n%s", i, diff)
				}
			}
			if len(batch.Events) != 15 || len(listed(t, s, store.LetterFilter{}, 99)) != 0 {
				t.Errorf("%d events in the batch, want 15 and no letter", len(batch.Events))
			}
			mustSettle(t, b, batch, pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 1, Reason: "invalid"}}})
			again := listed(t, s, store.LetterFilter{}, 99)
			if len(again) != 1 || again[0].ID <= first[0].ID || again[0].Source != "poll" || again[0].Event.LogID != newEvent(1, 0).LogID {
				t.Errorf("after another refusal there is %+v, want the event under an id above %d", again, first[0].ID)
			}
			st := statusOf(t, s.Reader)
			if countOf(st, store.CountReplayed) != 10 || countOf(st, store.CountRejected) != 11 || countOf(st, store.CountDelivered) != 14 || st.BufferedBytes != 0 {
				t.Errorf("counts %+v, %d bytes buffered", st.Counts, st.BufferedBytes)
			}
		})
	}
}

// TestReplayWakesDelivery replays beside a delivery that waits for events.
func TestReplayWakesDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b := openBuffer(t, s, "dev-tenant")
		reject(t, b, 0, 3)
		got := make(chan pipeline.Batch)
		go func() { got <- take(t, b, limits()) }()
		synctest.Wait()
		began := time.Now()
		if _, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false); err != nil {
			t.Fatal(err)
		}
		batch := <-got
		if took := time.Since(began); len(batch.Events) != 3 || took > time.Second {
			t.Errorf("%d events came after %v, want 3 at once", len(batch.Events), took)
		}
	})
}

func TestWhatCannotBeReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := eventful(t) // 1 and 2 are unreadable, 3 is rejected, 4 was altered
		for name, tt := range map[string]struct {
			filter store.LetterFilter
			force  bool
			want   error
		}{
			"unreadable by id":        {filter: store.LetterFilter{IDs: []int64{3, 1}}, want: store.ErrNotAnEvent},
			"unreadable with force":   {filter: store.LetterFilter{IDs: []int64{2}}, force: true, want: store.ErrNotAnEvent},
			"unreadable by kind":      {filter: store.LetterFilter{Kind: "unreadable"}, force: true, want: store.ErrNotAnEvent},
			"altered by id":           {filter: store.LetterFilter{IDs: []int64{3, 4}}, want: store.ErrWasDelivered},
			"altered by kind":         {filter: store.LetterFilter{Kind: "altered"}, want: store.ErrWasDelivered},
			"an id that is not there": {filter: store.LetterFilter{IDs: []int64{3, 99}}, want: store.ErrNoLetter},
		} {
			if done, err := s.ReplayDeadLetters(t.Context(), tt.filter, tt.force); !errors.Is(err, tt.want) || done != (store.LettersDone{}) {
				t.Errorf("%s: %+v and error %v, want %v and nothing done", name, done, err, tt.want)
			}
		}
		if ids := idsOf(listed(t, s, store.LetterFilter{}, 9)); len(ids) != 4 {
			t.Errorf("the letters %v are left, want all four", ids)
		}
		done, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false)
		if want := (store.LettersDone{Letters: 1, Bytes: 200, Unreadable: 2, Altered: 1}); err != nil || done != want {
			t.Errorf("all: %+v and error %v, want %+v", done, err, want)
		}
		done, err = s.ReplayDeadLetters(t.Context(), store.LetterFilter{IDs: []int64{4}}, true)
		if want := (store.LettersDone{Letters: 1, Bytes: 200}); err != nil || done != want {
			t.Errorf("altered with force: %+v and error %v, want %+v", done, err, want)
		}
		if st := statusOf(t, s.Reader); st.DeadLetters != 2 || st.DeadLetterBytes != 6 || st.BufferedEvents != 5 {
			t.Errorf("%d letters of %d bytes and %d events are left, want the two pieces and five events", st.DeadLetters, st.DeadLetterBytes, st.BufferedEvents)
		}
	})
}

// TestReplayOfMany takes more than one transaction holds, by number and by size.
func TestReplayOfMany(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{})
	b := openBuffer(t, s, "dev-tenant")
	reject(t, b, 0, 900)
	in := newIntake(900, 906, 1<<20)
	mustAppend(t, b, in)
	for range in.Entries {
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_large"}}})
	}
	if done, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false); err != nil || done.Letters != 906 {
		t.Fatalf("replay: %+v and error %v, want 906", done, err)
	}
	if st := statusOf(t, s.Reader); st.DeadLetters != 0 || st.BufferedEvents != 906 {
		t.Errorf("%d letters and %d events are left", st.DeadLetters, st.BufferedEvents)
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := eventful(t)
		b := openBuffer(t, s, "dev-tenant")
		done, err := s.DropDeadLetters(t.Context(), store.LetterFilter{})
		if want := (store.LettersDone{Letters: 4, Bytes: 406}); err != nil || done != want {
			t.Fatalf("drop: %+v and error %v, want %+v", done, err, want)
		}
		st := statusOf(t, s.Reader)
		if st.DeadLetters != 0 || st.DeadLetterBytes != 0 || len(st.Letters) != 0 || countOf(st, store.CountDropped) != 4 {
			t.Errorf("status after the drop: %+v", st)
		}
		if again := mustAppend(t, b, newIntake(0, 6, 200)); again.Stored != 0 {
			t.Errorf("%d events came in again", again.Stored)
		}
		if _, err := s.DropDeadLetters(t.Context(), store.LetterFilter{IDs: []int64{3}}); !errors.Is(err, store.ErrNoLetter) {
			t.Errorf("drop what is gone: error %v, want ErrNoLetter", err)
		}
	})
}

// TestLettersAreKnownByTheirIDs holds that an event of which a letter may be
// replayed cannot come in a second time, however long the letter lies, and after
// it was replayed or dropped for a window more.
func TestLettersAreKnownByTheirIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{DedupWindow: time.Hour})
		b := openBuffer(t, s, "dev-tenant")
		again := func(when string, want int) {
			t.Helper()
			if err := store.Maintain(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if done := mustAppend(t, b, newIntake(0, 3, 1000)); done.Stored != want {
				t.Errorf("%s: %d of three events were stored again, want %d", when, done.Stored, want)
			}
		}
		reject(t, b, 0, 3)
		<-time.After(3 * time.Hour)
		again("while the letters lie", 0)
		if _, err := s.DropDeadLetters(t.Context(), store.LetterFilter{IDs: []int64{1}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{IDs: []int64{2}}, false); err != nil {
			t.Fatal(err)
		}
		<-time.After(50 * time.Minute)
		again("within the window after a drop and a replay", 0)
		<-time.After(3 * time.Hour)
		again("while one waits, one is dropped long ago and one is a letter", 1)
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		<-time.After(3 * time.Hour)
		again("when one is a letter still", 2)
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		if _, err := s.DropDeadLetters(t.Context(), store.LetterFilter{}); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Hour)
		if err := store.Maintain(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if n := store.Number(t, s.Reader, "SELECT (SELECT count(*) FROM seen) + (SELECT count(*) FROM intakes) + (SELECT count(*) FROM letter_ids)"); n != 0 {
			t.Errorf("%d rows are left of events that are gone for long", n)
		}
	})
}

// TestOlderReplayIsNotForgottenEarly replays a letter shortly before the intake
// that brought it is forgotten.
func TestOlderReplayIsNotForgottenEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{DedupWindow: time.Hour})
		b := openBuffer(t, s, "dev-tenant")
		reject(t, b, 0, 1)
		<-time.After(59 * time.Minute)
		if _, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false); err != nil {
			t.Fatal(err)
		}
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		<-time.After(30 * time.Minute)
		if done := mustAppend(t, b, newIntake(0, 1, 1000)); done.Stored != 0 {
			t.Error("the event came in again half an hour after its replay")
		}
	})
}

// conditionOf returns the condition of the dead letters.
func conditionOf(t *testing.T, s *store.Store) (c store.ConditionStatus) {
	t.Helper()
	for _, c := range statusOf(t, s.Reader).Conditions {
		if c.Part == store.QuotaPart {
			return c
		}
	}
	return c
}

// TestLetterQuota fills the quota: it is told at 80 %, nothing is lost beyond it,
// and what is beyond it takes the room of the buffer.
func TestLetterQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := store.Config{Dir: privateDir(t), MaxLetterBytes: 10_000, MaxBytes: 5000, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		s := openStore(t, cfg)
		b := openBuffer(t, s, "dev-tenant")
		for n := range 7 {
			reject(t, b, n, n+1)
		}
		if c := conditionOf(t, s); c.Part != "" || log.Len() > 0 {
			t.Errorf("at 70 %% there is the condition %+v and the log %q", c, log.String())
		}
		reject(t, b, 7, 8)
		told := conditionOf(t, s)
		if told.Class != store.QuotaClass || told.Hint == "" || !strings.Contains(told.Message, "80 %") || strings.Count(log.String(), "level=ERROR") != 1 {
			t.Errorf("at 80 %% there is the condition %+v and the log %q", told, log.String())
		}
		<-time.After(time.Hour)
		for n := 8; n < 13; n++ {
			reject(t, b, n, n+1)
		}
		over := conditionOf(t, s)
		if !over.Since.Equal(told.Since) || over.Message == told.Message || !strings.Contains(over.Message, "all are kept") {
			t.Errorf("beyond the quota there is the condition %+v, before it was %+v", over, told)
		}
		if err := b.ClearConditions(t.Context()); err != nil || conditionOf(t, s) != over {
			t.Errorf("another start leaves the condition %+v, error %v", conditionOf(t, s), err)
		}
		mustAppend(t, b, newIntake(13, 15, 1000)) // 3,000 beyond the quota and 2,000 buffered
		_, err := b.Append(t.Context(), "poll", newIntake(15, 16, 1000))
		if e := pipeline.Classify(err); !errors.Is(err, pipeline.ErrBufferFull) || !strings.Contains(e.Hint, "max_dead_letter_bytes") {
			t.Errorf("beside a full buffer: error %v with hint %q", err, e.Hint)
		}
		_, err = b.Append(t.Context(), "poll", pipeline.Intake{Unreadable: []event.Unreadable{{Raw: []byte("?")}}})
		if !errors.Is(err, pipeline.ErrBufferFull) {
			t.Errorf("a piece beside a full buffer: error %v, want ErrBufferFull", err)
		}
		// What is in the buffer has its place among the letters, whatever they are.
		batch := take(t, b, limits())
		mustSettle(t, b, batch, pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "invalid"}}, Altered: []pipeline.Rejection{{Index: 1, Reason: "too_large"}}})
		if st := statusOf(t, s.Reader); st.DeadLetters != 15 || st.DeadLetterBytes != 15_000 {
			t.Errorf("%d letters of %d bytes, want 15 of 15,000", st.DeadLetters, st.DeadLetterBytes)
		}
		if _, err := s.DropDeadLetters(t.Context(), store.LetterFilter{IDs: []int64{1, 2, 3, 4, 5, 6, 7, 8}}); err != nil {
			t.Fatal(err)
		}
		if c := conditionOf(t, s); c.Part != "" || !strings.Contains(log.String(), "have room again") {
			t.Errorf("after the drop there is the condition %+v", c)
		}
		mustAppend(t, b, newIntake(15, 16, 1000))
	})
}

// TestQuotaIsJudgedAtTheStart changes the quota between two runs.
func TestQuotaIsJudgedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, most := range []int64{10_000, 2000, 10_000} {
		s := openStore(t, store.Config{Dir: dir, MaxLetterBytes: most})
		b := openBuffer(t, s, "dev-tenant")
		if i == 0 {
			reject(t, b, 0, 3)
		}
		if c := conditionOf(t, s); (c.Part != "") != (most == 2000) {
			t.Errorf("with a quota of %d there is the condition %+v", most, c)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplayNeedsRoom replays into a buffer that is all but full.
func TestReplayNeedsRoom(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{MaxBytes: 5000})
	b := openBuffer(t, s, "dev-tenant")
	reject(t, b, 0, 4)
	mustAppend(t, b, newIntake(4, 8, 1000))
	done, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false)
	if !errors.Is(err, pipeline.ErrBufferFull) || done != (store.LettersDone{}) {
		t.Errorf("replay: %+v and error %v, want ErrBufferFull and nothing done", done, err)
	}
	if st := statusOf(t, s.Reader); st.DeadLetters != 4 || st.BufferedEvents != 4 {
		t.Errorf("%d letters and %d events, want four of each", st.DeadLetters, st.BufferedEvents)
	}
}

// TestMigrationOfLetters opens a file of the release before dead letters had
// figures: they are counted, keep their ids, and can be replayed.
func TestMigrationOfLetters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := fstest.MapFS{}
	names, err := fs.Glob(store.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names[:2] {
		text, err := fs.ReadFile(store.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	files["migrations/0003_x.sql"] = &fstest.MapFile{Data: []byte(`
		INSERT INTO tenants (id, name, dead_letters) VALUES (1, 'dev-tenant', 2);
		INSERT INTO destinations (id, tenant_id, log_group, log_stream) VALUES (1, 1, '/auth0/dev-tenant', 'logs');
		INSERT INTO dead_letters VALUES (3, 1, 'rejected', 1000000, 1, '', 'too_old', 'x', 'a', 's', 1000000, 0, x'7b7d'),
			(7, 1, 'unreadable', 1000000, NULL, 'poll', 'unreadable', 'x', '', '', 0, 0, x'3f');
		PRAGMA user_version = 2;`)}
	path := filepath.Join(dir, "gapless.db")
	if err := store.MigrateFile(t.Context(), path, files); err != nil {
		t.Fatal(err)
	}
	store.SetVersion(t, path, 2)
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	st := statusOf(t, s.Reader)
	want := []store.LetterStatus{{Kind: "rejected", Reason: "too_old", Letters: 1, Bytes: 2}, {Kind: "unreadable", Reason: "unreadable", Letters: 1, Bytes: 1}}
	if diff := cmp.Diff(want, st.Letters); diff != "" || st.DeadLetterBytes != 3 {
		t.Errorf("%d bytes and letters (-want +got):\n%s", st.DeadLetterBytes, diff)
	}
	if diff := cmp.Diff([]int64{7, 3}, idsOf(listed(t, s, store.LetterFilter{}, 9))); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	in := newIntake(0, 1, 0)
	in.Entries[0].Event.LogID = "a"
	if done := mustAppend(t, b, in); done.Stored != 0 {
		t.Error("the event of a letter came in again")
	}
	if done, err := s.ReplayDeadLetters(t.Context(), store.LetterFilter{}, false); err != nil || done.Letters != 1 {
		t.Errorf("replay: %+v and error %v", done, err)
	}
	if batch := take(t, b, limits()); len(batch.Events) != 1 || string(batch.Events[0].Raw) != "{}" {
		t.Errorf("the batch is %+v", batch)
	}
}
