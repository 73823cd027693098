package app_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/web"
)

// searchAll pages through the events of a tenant.
func (w *world) searchAll(ctx context.Context, t *testing.T, q web.EventQuery) (all []web.Event) {
	t.Helper()
	q.Limit = 37
	for {
		p, err := w.app.Journal().Search(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Events...)
		if q.From = p.More; q.From == "" {
			return all
		}
	}
}

// checkJournal holds what the journal tells of a tenant against what the tenant held
// and the destination has.
func (w *world) checkJournal(ctx context.Context, t *testing.T, s *site) {
	t.Helper()
	s.note()
	found := w.searchAll(ctx, t, web.EventQuery{Tenant: s.name})
	if len(found) != len(s.held) || len(found) == 0 {
		t.Fatalf("%s: the journal finds %d events of %d", s.name, len(found), len(s.held))
	}
	if !slices.IsSortedFunc(found, func(a, b web.Event) int { return b.Date.Compare(a.Date) }) {
		t.Errorf("%s: the events are not in order", s.name)
	}
	j := w.app.Journal()
	for _, e := range found {
		if e.State != web.EventDelivered || e.Source != "poll" || e.Fetched.IsZero() || e.Delivered.Before(e.Fetched) {
			t.Fatalf("%s: an event is told as %+v", s.name, e)
		}
	}
	for _, e := range []web.Event{found[0], found[len(found)/2], found[len(found)-1]} {
		d, err := j.Event(ctx, s.name, e.LogID)
		if err != nil {
			t.Fatal(err)
		}
		if !s.held[string(d.Raw)] || gjson.GetBytes(d.Raw, "log_id").String() != e.LogID || d.Type != gjson.GetBytes(d.Raw, "type").String() {
			t.Errorf("%s: event %s is %s", s.name, e.LogID, d.Raw)
		}
		if len(d.Stations) != 1 || d.Stations[0].LogGroup != "/auth0/"+s.name || d.Stations[0].Region != "us-east-1" || d.Stations[0].Console != "" || d.Stations[0].Attempts < 1 {
			t.Errorf("%s: its stations are %+v", s.name, d.Stations)
		}
	}
	a, err := j.Activity(ctx, web.ActivityQuery{Tenant: s.name, Since: time.Now().Add(-25 * time.Hour), Until: time.Now(), Top: 1000})
	if err != nil || a.Total != int64(len(found)) || a.Partial {
		t.Errorf("%s: the activity counts %d of %d, partial %t, %v", s.name, a.Total, len(found), a.Partial, err)
	}
	var cells int64
	for _, row := range a.Cells {
		for _, n := range row.Counts {
			cells += n
		}
	}
	if cells != a.Total {
		t.Errorf("%s: the cells count %d of %d", s.name, cells, a.Total)
	}
	points, err := j.Series(ctx, s.name, time.Now().Add(-time.Hour), time.Now(), time.Minute)
	var delivered int64
	for _, p := range points {
		delivered += p.Delivered
	}
	if err != nil || delivered != int64(len(found)) || len(points) < 60 {
		t.Errorf("%s: the series has %d points and counts %d, %v", s.name, len(points), delivered, err)
	}
	batches, err := j.Batches(ctx, s.name, time.Time{}, 500)
	sum := 0
	for _, b := range batches {
		sum += b.Delivered
	}
	if err != nil || sum != len(found) {
		t.Errorf("%s: the batches delivered %d, %v", s.name, sum, err)
	}
	runs, err := j.Runs(ctx, web.RunQuery{Tenant: s.name, Limit: 100})
	var stored int64
	for _, r := range runs.Runs {
		stored += r.Stored
	}
	if err != nil || stored != int64(len(found)) || runs.Runs[0].End.IsZero() || runs.Runs[0].Error != "" || runs.Runs[0].Checkpoint == "" {
		t.Errorf("%s: the runs are %+v, %v", s.name, runs.Runs, err)
	}
}

// TestJournal exports events of two tenants and finds them in the journal, after a
// restart too, and after one tenant was removed.
func TestJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "one", "two")
		defer w.close(t.Context(), t)
		for _, s := range w.sites {
			if err := s.tenant.Generate(300, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		for _, s := range w.sites {
			w.checkJournal(t.Context(), t, s)
		}
		before := w.searchAll(t.Context(), t, web.EventQuery{})
		if want := len(w.sites[0].held) + len(w.sites[1].held); len(before) != want {
			t.Errorf("%d events of both are found, want %d", len(before), want)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		w.start(t.Context(), t)
		for _, s := range w.sites {
			w.checkJournal(t.Context(), t, s)
		}
		next := *w.cfg
		next.Tenants = next.Tenants[:1]
		if _, err := w.app.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return &next, config.Resolver{}, nil }); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		w.checkJournal(t.Context(), t, w.sites[1])
		r, err := journal.OpenReadOnly(t.Context(), w.cfg.DataDir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close() //nolint:errcheck // it has only read
		if p, err := r.Search(t.Context(), journal.Query{Limit: 500, User: gjson.Get(before[0].UserID, "@this").String()}); err != nil || p.Oldest.IsZero() {
			t.Errorf("beside the process %+v, %v", p, err)
		}
	})
}

// TestJournalOfAnOutage has a destination refuse everything, and a tenant fail: what
// waits is shown, failures make no crowd of runs, and the tries are told.
func TestJournalOfAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Status: 503})
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		j := w.app.Journal()
		waiting := w.searchAll(t.Context(), t, web.EventQuery{})
		if s.note(); len(waiting) != len(s.held) || waiting[0].State != web.EventWaiting || !waiting[0].Delivered.IsZero() || waiting[0].Source != "poll" {
			t.Fatalf("%d events wait, the first is %+v", len(waiting), waiting[0])
		}
		d, err := j.Event(t.Context(), "dev", waiting[0].LogID)
		if err != nil || len(d.Raw) == 0 || len(d.Stations) != 1 || d.Stations[0].State != web.EventWaiting {
			t.Errorf("one that waits is %+v, %v", d, err)
		}
		if b, err := j.Batches(t.Context(), "dev", time.Time{}, 5); err != nil || len(b) == 0 || b[0].Error == "" || b[0].Retried != b[0].Events {
			t.Errorf("the batches are %+v, %v", b, err)
		}
		s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Times: -1, Status: 503})
		<-time.After(time.Hour)
		runs, err := j.Runs(t.Context(), web.RunQuery{Tenant: "dev", Failed: true, Limit: 100})
		if err != nil || len(runs.Runs) == 0 || len(runs.Runs) > 3 || runs.Runs[0].Error == "" {
			t.Errorf("an hour of failures makes %d runs: %+v, %v", len(runs.Runs), runs.Runs, err)
		}
		s.calm()
		<-time.After(5 * time.Minute)
		d, err = j.Event(t.Context(), "dev", waiting[0].LogID)
		if err != nil || d.State != web.EventDelivered || d.Stations[0].Attempts < 2 {
			t.Errorf("it has become %+v, %v", d, err)
		}
	})
}

// TestLettersOfARunningProcess replays and drops dead letters while the process runs:
// what is replayed is delivered, and the journal tells of it.
func TestLettersOfARunningProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].CloudWatch.TooOld = config.DeadLetter
		if err := s.tenant.Generate(20, time.Now().Add(-20*24*time.Hour), time.Now().Add(-15*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		box := w.app.Letters()
		list, err := box.List(t.Context(), web.LetterFilter{Tenant: "dev"}, 100)
		if err != nil || len(list) != 20 || !list[0].CanReplay {
			t.Fatalf("there are %d letters, %v", len(list), err)
		}
		if _, raw, err := box.Show(t.Context(), list[0].ID); err != nil || !strings.Contains(string(raw), list[0].LogID) {
			t.Errorf("a letter holds %s, %v", raw, err)
		}
		if _, _, err := box.Show(t.Context(), 1<<40); !errors.Is(err, web.ErrNotFound) {
			t.Errorf("a letter that is not there: %v", err)
		}
		if e := w.searchAll(t.Context(), t, web.EventQuery{Until: time.Now().Add(-time.Hour)}); len(e) != 20 || e[0].State != web.EventRejected || e[0].Reason == "" {
			t.Errorf("the journal tells of %d events, the first is %+v", len(e), e[0])
		}
		done, err := box.Drop(t.Context(), web.LetterFilter{IDs: []int64{list[0].ID, 1 << 40}})
		if err != nil || done.Moved != 1 {
			t.Errorf("dropped %+v, %v", done, err)
		}
		next := *w.cfg
		next.Tenants = slices.Clone(next.Tenants)
		next.Tenants[0].CloudWatch.TooOld = config.Restamp
		if _, err := w.app.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return &next, config.Resolver{}, nil }); err != nil {
			t.Fatal(err)
		}
		if done, err = box.Replay(t.Context(), web.LetterFilter{Tenant: "dev"}); err != nil || done.Moved != 19 || done.Left != 0 {
			t.Errorf("replayed %+v, %v", done, err)
		}
		<-time.After(time.Minute)
		s.note()
		if n := len(s.delivered()); n != len(s.held)-1 {
			t.Errorf("%d of the events are delivered", n)
		}
		d, err := w.app.Journal().Event(t.Context(), "dev", list[1].LogID)
		if err != nil || d.State != web.EventDelivered || !d.Stations[0].Timestamp.After(d.Date) {
			t.Errorf("a replayed event is %+v, %v", d, err)
		}
	})
}

// TestHistoryOff keeps nothing: no file is written, and one that is there is deleted.
func TestHistoryOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		if err := w.sites[0].tenant.Generate(10, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		r, err := journal.OpenReadOnly(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := r.Search(t.Context(), journal.Query{Limit: 100}); err != nil || len(p.Records) != 11 { // with that of the token
			t.Errorf("a run with Once has kept %d events, %v", len(p.Records), err)
		}
		if runs, _, err := r.Runs(t.Context(), journal.RunQuery{Limit: 100}); err != nil || len(runs) != 1 || runs[0].Stored != 11 || runs[0].End.IsZero() {
			t.Errorf("and the runs %+v, %v", runs, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		w.cfg.History.Keep = 0
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, journal.FileName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is there: %v", err)
		}
		w.start(t.Context(), t)
		if w.app.Journal() != nil {
			t.Error("there is a journal although nothing is kept")
		}
	})
}
