package app_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// backfill asks for a backfill of the first tenant from some time ago until now.
func (w *world) backfill(ctx context.Context, tb rapid.TB, since time.Duration, change ...func(*app.BackfillRequest)) app.BackfillState {
	tb.Helper()
	now := time.Now().UTC()
	q := app.BackfillRequest{Tenant: w.sites[0].name, Since: now.Add(-since), Until: now, Asked: since.String()}
	for _, c := range change {
		c(&q)
	}
	s, _, err := app.RequestBackfill(ctx, w.cfg, q)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// backfillState returns the state of a backfill.
func (w *world) backfillState(ctx context.Context, tb rapid.TB, id string) app.BackfillState {
	tb.Helper()
	list, err := app.Backfills(ctx, w.cfg)
	if err != nil {
		tb.Fatal(err)
	}
	i := slices.IndexFunc(list, func(s app.BackfillState) bool { return s.ID == id })
	if i < 0 {
		tb.Fatalf("no backfill %s among %+v", id, list)
	}
	return list[i]
}

// backfilled waits for the end of a backfill.
func (w *world) backfilled(ctx context.Context, tb rapid.TB, id string, within time.Duration) app.BackfillState {
	tb.Helper()
	for deadline := time.Now().Add(within); ; <-time.After(time.Second) {
		s := w.backfillState(ctx, tb, id)
		if s.Phase.Ended() {
			return s
		}
		if time.Now().After(deadline) {
			tb.Fatalf("the backfill does not end: %+v %+v", s, s.Trouble)
		}
	}
}

// backfillAlone runs an App that does one backfill alone, and returns how it ended.
func (w *world) backfillAlone(ctx context.Context, tb rapid.TB, id string) error {
	tb.Helper()
	opts := w.options()
	opts.Backfill = id
	a, err := app.New(ctx, opts)
	if err != nil {
		tb.Fatal(err)
	}
	if err := a.Start(ctx); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-a.Done():
	case <-time.After(24 * time.Hour):
		tb.Error("the backfill does not end")
	}
	err = a.Err()
	if err := a.Stop(context.WithoutCancel(ctx)); err != nil {
		tb.Error(err)
	}
	return err
}

// onceEach checks that the destination holds what the tenant held, each event once.
func (s *site) onceEach(tb rapid.TB, what string) {
	tb.Helper()
	s.note()
	eachOnce(tb, what, s.held, s.stored())
}

// eachOnce checks that messages are certain ones, each once.
func eachOnce(tb rapid.TB, what string, want map[string]bool, got []cloudwatch.StoredEvent) {
	tb.Helper()
	n := make(map[string]int)
	for _, e := range got {
		n[e.Message]++
	}
	missing, twice, strange := 0, 0, 0
	for m := range want {
		if n[m] == 0 {
			missing++
		}
	}
	for m, times := range n {
		if times > 1 {
			twice++
		}
		if !want[m] {
			strange++
		}
	}
	if missing+twice+strange > 0 {
		tb.Errorf("%s: of %d events %d are missing, %d there more than once, and %d are none of them", what, len(want), missing, twice, strange)
	}
}

// TestBackfillBesideALiveExport brings a month of history beside an export that began
// with the latest event, while both services fail in many ways: nothing is lost and
// nothing is there twice, and what is older than CloudWatch Logs takes is restamped.
func TestBackfillBesideALiveExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].Retention, w.cfg.Tenants[0].StartFrom = "30d", "latest"
		if err := s.tenant.Generate(6000, time.Now().Add(-25*24*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.live(t.Context(), t, 1)
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		for i := range 30 {
			s.aws.Add(emulator.Fault{Match: "PutLogEvents", After: 3 * i, Kind: emulator.Kinds()[i%len(emulator.Kinds())], Delay: 100 * time.Millisecond, Status: 503})
			s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", After: 5 * i, Status: []int{429, 500, 502}[i%3], Delay: 10 * time.Millisecond})
		}
		s.aws.Add(emulator.Fault{Match: "FilterLogEvents", Times: 3, Kind: emulator.FaultCut})
		q := w.backfill(t.Context(), t, 30*24*time.Hour)
		got := w.backfilled(t.Context(), t, q.ID, 6*time.Hour)
		s.quit()
		<-time.After(time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		s.onceEach(t, "after the backfill")
		if c := got.Counts; got.Phase != app.BackfillDone || c.Stored < 5900 || c.Read != c.Stored+c.There+c.Waiting+c.Left+c.Letters || c.TooOld < 1000 || got.Rejected != 0 {
			t.Errorf("state: %+v", got)
		}
		restamped := 0
		for _, e := range s.stored() {
			if dateOf(e.Message).UnixMilli() != e.Timestamp {
				restamped++
			}
		}
		if restamped < 1000 {
			t.Errorf("%d events were restamped", restamped)
		}
		// Once more, by itself: all is there.
		q = w.backfill(t.Context(), t, 29*24*time.Hour)
		if err := w.backfillAlone(t.Context(), t, q.ID); err != nil {
			t.Fatal(err)
		}
		again := w.backfillState(t.Context(), t, q.ID)
		if again.Phase != app.BackfillDone || again.Counts.Stored != 0 || again.Counts.There < 5000 {
			t.Errorf("again: %+v", again)
		}
		s.onceEach(t, "after a second backfill")
	})
}

// TestBackfillFillsHoles takes events out of a destination and brings them back, also
// those that were delivered a moment ago, and for one destination of two alone.
func TestBackfillFillsHoles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		audit, end := w.also(t, "audit")
		defer end()
		w.cfg.Tenants[0].Retention = "30d"
		if err := s.tenant.Generate(500, time.Now().Add(-3*24*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.live(t.Context(), t, 0.5)
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		hole := func(list []cloudwatch.StoredEvent) []cloudwatch.StoredEvent {
			return slices.DeleteFunc(list, func(e cloudwatch.StoredEvent) bool { return dateOf(e.Message).Day()%2 == 0 })
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout) // a stream that is rewritten must not be written to
		s.rewrite(t.Context(), t, w, w.cfg.Tenants[0].CloudWatch.Endpoint, hole)
		before := len(audit.stored())
		w.start(t.Context(), t)
		q := w.backfill(t.Context(), t, 4*24*time.Hour, func(q *app.BackfillRequest) { q.Destination = app.MainDestination })
		got := w.backfilled(t.Context(), t, q.ID, time.Hour)
		if got.Counts.Stored < 100 || got.Counts.There < 100 {
			t.Errorf("state: %+v", got)
		}
		s.quit()
		<-time.After(time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		s.onceEach(t, "the main destination")
		eachOnce(t, "audit", s.held, audit.stored())
		if before == 0 {
			t.Error("nothing was in audit")
		}
	})
}

// TestBackfillToAPlaceOfItsOwn brings history to another group and stream, and leaves
// the destination, the cursor and what is known alone. It goes on from where a stop left
// it.
func TestBackfillToAPlaceOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Free, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].CloudWatch.RetentionDays = 7
		if err := s.tenant.Generate(3000, time.Now().Add(-20*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(10 * time.Minute)
		until := time.Now().UTC()
		want := make(map[string]bool)
		for _, raw := range s.tenant.Events() {
			if !dateOf(string(raw)).After(until) {
				want[string(raw)] = true
			}
		}
		q := w.backfill(t.Context(), t, 24*time.Hour, func(q *app.BackfillRequest) { q.LogGroup, q.LogStream = "/history", "once" })
		if s, again, err := app.RequestBackfill(t.Context(), w.cfg, q.BackfillRequest); err != nil || !again || s.ID != q.ID {
			t.Errorf("asked again: %+v, %t, %v", s.BackfillRequest, again, err)
		}
		for w.backfillState(t.Context(), t, q.ID).Counts.Read < 500 {
			<-time.After(time.Second)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if s := w.backfillState(t.Context(), t, q.ID); s.Phase.Ended() || s.Counts.Read >= 3000 {
			t.Errorf("it has ended before the stop: %+v", s)
		}
		w.start(t.Context(), t)
		got := w.backfilled(t.Context(), t, q.ID, 3*time.Hour)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		eachOnce(t, "the place of its own", want, s.cloudwatch.Events("/history", "once"))
		if got.Counts.Read != int64(len(want)) {
			t.Errorf("it has read %d of %d events: %+v", got.Counts.Read, len(want), got)
		}
		s.onceEach(t, "the destination")
	})
}

// roundTrips is a function that is an http.RoundTripper.
type roundTrips func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBackfillIsPolite measures the live lag on the smallest plan, with a long backfill
// beside the export and without: it stays as it is, and Auth0 refuses no call.
func TestBackfillIsPolite(t *testing.T) {
	t.Parallel()
	const span = 30 * time.Second
	lag := func(t *testing.T, with bool) (worst time.Duration, read int64, refused int) {
		t.Helper()
		w := newWorld(t, t.TempDir(), tenant.Free, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		var refusals atomic.Int64
		auth0 := w.hosts["dev.example.com"]
		w.hosts["dev.example.com"] = roundTrips(func(r *http.Request) (*http.Response, error) {
			answer, err := auth0.RoundTrip(r)
			if err == nil && answer.StatusCode == http.StatusTooManyRequests {
				refusals.Add(1)
			}
			return answer, err
		})
		w.cfg.Tenants[0].PollInterval, w.cfg.Tenants[0].StartFrom = time.Second, "latest"
		if err := s.tenant.Generate(3000, time.Now().Add(-23*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.live(t.Context(), t, 1)
		w.start(t.Context(), t)
		<-time.After(5 * time.Second)
		began := time.Now()
		var q app.BackfillState
		if with {
			q = w.backfill(t.Context(), t, 24*time.Hour)
		}
		<-time.After(span)
		for _, e := range s.stored() {
			if at := dateOf(e.Message); at.After(began) {
				worst = max(worst, time.UnixMilli(e.Ingested).Sub(at))
			}
		}
		if with {
			read = w.backfillState(t.Context(), t, q.ID).Counts.Read
		}
		return worst, read, int(refusals.Load())
	}
	synctest.Test(t, func(t *testing.T) {
		without, _, _ := lag(t, false)
		with, read, refused := lag(t, true)
		t.Logf("worst lag %s without a backfill, %s with one that has read %d events; %d calls refused", without, with, read, refused)
		if read < 1000 || read >= 3000 { // in the end it has been at work all the time
			t.Errorf("the backfill has read %d events in %s", read, span)
		}
		if with > without+2*time.Second || refused > 0 {
			t.Errorf("the live lag grows from %s to %s, with %d calls refused", without, with, refused)
		}
	})
}

// TestBackfillOfWhatIsTooOld follows too_old: dead_letter, and says what Auth0 does not
// keep any more.
func TestBackfillOfWhatIsTooOld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].Retention, w.cfg.Tenants[0].CloudWatch.TooOld = "30d", "dead_letter"
		if err := s.tenant.Generate(400, time.Now().Add(-20*24*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		q := w.backfill(t.Context(), t, 60*24*time.Hour)
		if err := w.backfillAlone(t.Context(), t, q.ID); err != nil {
			t.Fatal(err)
		}
		got := w.backfillState(t.Context(), t, q.ID)
		old := 0
		for _, raw := range s.tenant.Events() {
			if time.Since(dateOf(string(raw))) > 14*24*time.Hour {
				old++
			}
		}
		if int(got.Rejected) != old || int(got.Counts.TooOld) != old || len(s.stored()) != int(got.Counts.Stored)-old {
			t.Errorf("%d are too old, %d were delivered: %+v", old, len(s.stored()), got)
		}
		if got.HeldSince.IsZero() || !got.HeldSince.After(got.Since) {
			t.Errorf("held since %s", got.HeldSince)
		}
	})
}

// TestBackfillFollowsTheRules sends history through filter, redaction, routes and shape.
func TestBackfillFollowsTheRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		c := &w.cfg.Tenants[0]
		c.Retention, c.StartFrom = "30d", "latest"
		c.Filter.Types.Deny = []string{"s*"}
		c.Redact.Rules = []config.RedactRule{{Path: "user_name", Action: "hash"}, {Kind: "ip", Action: "mask"}}
		var err error
		if c.Redact.Key, err = config.ParseSecret("0123456789abcdef0123456789abcdef"); err != nil {
			t.Fatal(err)
		}
		c.CloudWatch.LogStream = "{category}"
		c.CloudWatch.Fields = map[string]string{"via": "source"}
		if err := s.tenant.Generate(600, time.Now().Add(-5*24*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		q := w.backfill(t.Context(), t, 6*24*time.Hour)
		got := w.backfilled(t.Context(), t, q.ID, time.Hour)
		if got.Counts.LeftOut == 0 || got.Counts.Stored == 0 {
			t.Errorf("state: %+v", got)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		// The source in the messages is one that verify takes.
		_, found := w.verify(t.Context(), t, 6*24*time.Hour)
		delete(found, "not_yet")
		wantFindings(t, "by the rules", map[string][]string{}, found)
	})
}

// TestBackfillCancelled cancels a backfill under way, and one that no process has taken
// up.
func TestBackfillCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Free, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].StartFrom = "latest"
		if err := s.tenant.Generate(20_000, time.Now().Add(-20*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(10 * time.Second)
		q := w.backfill(t.Context(), t, 24*time.Hour)
		<-time.After(time.Second)
		next := w.backfill(t.Context(), t, 12*time.Hour)
		<-time.After(30 * time.Second)
		if o := w.overview(t.Context(), t, "dev"); len(o.Backfills) != 2 || o.Backfills[0].Read == 0 || o.Backfills[1].Phase != "waiting" || len(o.Destinations) != 0 {
			t.Errorf("overview: %+v, %+v", o.Backfills, o.Destinations)
		}
		for _, id := range []string{next.ID, q.ID} {
			if _, err := app.CancelBackfill(t.Context(), w.cfg, id); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute)
		for _, id := range []string{next.ID, q.ID} {
			if s := w.backfillState(t.Context(), t, id); s.Phase != app.BackfillCancelled || s.Ended.IsZero() {
				t.Errorf("state: %+v", s)
			}
		}
		read := w.backfillState(t.Context(), t, q.ID).Counts
		<-time.After(5 * time.Minute)
		if now := w.backfillState(t.Context(), t, q.ID).Counts; now != read || read.Stored == 0 {
			t.Errorf("it goes on: %+v, %+v", read, now)
		}
		if n := len(s.stored()); n < int(read.Stored) { // what it has stored is delivered
			t.Errorf("%d of %d are there", n, read.Stored)
		}
		if _, err := app.CancelBackfill(t.Context(), w.cfg, "no-such"); err == nil {
			t.Error("one that is not there is cancelled")
		}
	})
}

// TestBackfillRefusedReads tells what is missing when the destination may not be read,
// sends nothing, and goes on when it may.
func TestBackfillRefusedReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		if err := s.tenant.Generate(300, time.Now().Add(-20*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		s.aws.Add(emulator.Fault{Match: "FilterLogEvents", Times: -1, Status: 400, Body: `{"__type":"AccessDeniedException","message":"not authorized"}`})
		q := w.backfill(t.Context(), t, 24*time.Hour)
		<-time.After(time.Minute)
		got := w.backfillState(t.Context(), t, q.ID)
		if got.Trouble == nil || got.Trouble.Class != pipeline.Unauthorized.String() || !strings.Contains(got.Trouble.Hint, "FilterLogEvents") || got.Counts.Read != 0 {
			t.Errorf("state: %+v, %+v", got, got.Trouble)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if err := w.backfillAlone(t.Context(), t, q.ID); pipeline.Classify(err).Class != pipeline.Unauthorized {
			t.Errorf("alone: %v", err)
		}
		s.aws.Clear()
		if err := w.backfillAlone(t.Context(), t, q.ID); err != nil {
			t.Fatal(err)
		}
		s.onceEach(t, "in the end")
	})
}

// TestBackfillsThatCanNeverBe refuses what is wrong with a request.
func TestBackfillsThatCanNeverBe(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	c := config.NewTenant()
	c.Name = "dev"
	cfg.Tenants = append(cfg.Tenants, c)
	c.Name, c.Domain, c.ClientID = "polls", "polls.example.com", "id"
	var err error
	if c.ClientSecret, err = config.ParseSecret("secret"); err != nil {
		t.Fatal(err)
	}
	cfg.Tenants = append(cfg.Tenants, c)
	for text, q := range map[string]app.BackfillRequest{
		"no domain":      {Tenant: "dev"},
		"no destination": {Tenant: "polls", Destination: "audit"},
		"without braces": {Tenant: "polls", LogGroup: "/a/{tenant}", LogStream: "b"},
		"a log group":    {Tenant: "polls", LogGroup: "/a"},
	} {
		if _, _, err := app.RequestBackfill(t.Context(), cfg, q); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if list, err := app.Backfills(t.Context(), cfg); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
