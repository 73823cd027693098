package journal_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// bring has a source bring a page of n events, of which some are new.
func bring(w *journal.Watch, n, stored int, cursor string) {
	w.Stored(event.Page{Events: make([]event.Event, n), Cursor: event.Cursor(cursor)}, pipeline.Intake{Received: time.Now()},
		pipeline.Appended{Stored: stored, Duplicates: n - stored})
}

// runsOf reads the runs, without what the clock says.
func runsOf(t *testing.T, r *journal.Reader, q journal.RunQuery) []journal.Run {
	t.Helper()
	q.Limit = 100
	list, more, err := r.Runs(t.Context(), q)
	if err != nil || more {
		t.Fatalf("more %t, %v", more, err)
	}
	return list
}

// TestRunsOfAPoll lets a poll find something, rest, go on at once, fail and be stopped.
func TestRunsOfAPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j, err := journal.Open(t.Context(), journal.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		w := j.Watch("dev", "poll", false)
		bring(w, 100, 100, "a")
		if r := runsOf(t, j.Reader, journal.RunQuery{}); len(r) != 1 || !r[0].End.IsZero() {
			t.Errorf("a run under way is told as %+v", r)
		}
		bring(w, 50, 40, "b")
		w.CaughtUp()
		for range 60 { // a minute of polls that find nothing, and read again what is known
			<-time.After(time.Second)
			w.CaughtUp()
			bring(w, 10, 0, "b")
		}
		for range 10 { // ten minutes in which each poll finds something
			for range 60 {
				<-time.After(time.Second)
				bring(w, 1, 1, "c")
				w.CaughtUp()
			}
		}
		<-time.After(time.Minute)
		for range 100 { // an outage
			w.Failed(pipeline.Error{Op: "read", Err: errors.New("Auth0 is away"), Hint: "Wait."})
			<-time.After(30 * time.Second)
		}
		w.Failed(pipeline.Error{Op: "read", Err: errors.New("the secret is wrong")})
		bring(w, 7, 7, "d")
		w.Ended()
		<-time.After(2 * time.Second)
		ignore := cmpopts.IgnoreFields(journal.Run{}, "ID", "Start", "End", "Tenant", "Source")
		want := []journal.Run{
			{Pages: 1, Events: 7, Stored: 7, Checkpoint: "d", Error: "stopped before everything was read"},
			{Error: "read: the secret is wrong"},
			{Error: "read: Auth0 is away", Hint: "Wait."},
		}
		got := runsOf(t, j.Reader, journal.RunQuery{Failed: true})
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Errorf("those that failed (-want +got)\n%s", diff)
		}
		if d := got[2].End.Sub(got[2].Start); d < 45*time.Minute {
			t.Errorf("the outage lasted %v", d)
		}
		all := runsOf(t, j.Reader, journal.RunQuery{Tenant: "dev", Source: "poll"})
		if len(all) != 3+1+2 {
			t.Errorf("there are %d runs: %+v", len(all), all)
		}
		first := all[len(all)-1]
		if diff := cmp.Diff(journal.Run{Pages: 2, Events: 150, Stored: 140, Duplicates: 10, Checkpoint: "b"}, first, ignore); diff != "" {
			t.Errorf("the first run (-want +got)\n%s", diff)
		}
		if older := runsOf(t, j.Reader, journal.RunQuery{Before: all[1].Start}); len(older) != len(all)-2 {
			t.Errorf("before the second there are %d", len(older))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		again := runsOf(t, open(t, journal.Config{Dir: dir}).Reader, journal.RunQuery{})
		if diff := cmp.Diff(all, again); diff != "" {
			t.Errorf("after a restart (-before +after)\n%s", diff)
		}
	})
}

// TestRunsOfAPush has pushes with short pauses and a long one.
func TestRunsOfAPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, journal.Config{Dir: t.TempDir()})
		w := j.Watch("dev", "webhook", true)
		for range 20 {
			bring(w, 1, 1, "")
			w.CaughtUp()
			<-time.After(journal.PushRest - time.Second)
		}
		if r := runsOf(t, j.Reader, journal.RunQuery{}); len(r) != 1 || !r[0].End.IsZero() || r[0].Stored != 20 {
			t.Errorf("short pauses make %+v", r)
		}
		<-time.After(time.Minute)
		if r := runsOf(t, j.Reader, journal.RunQuery{}); r[0].End.IsZero() || r[0].End.Sub(r[0].Start) != 19*(journal.PushRest-time.Second) {
			t.Errorf("after a long one it is %+v", r)
		}
		bring(w, 1, 1, "")
		if r := runsOf(t, j.Reader, journal.RunQuery{}); len(r) != 2 {
			t.Errorf("what comes then makes %+v", r)
		}
		if j.Watch("dev", "webhook", true) != w {
			t.Error("the same source is followed twice")
		}
	})
}
