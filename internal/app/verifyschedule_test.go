package app_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/web"
)

// results returns the results of the first tenant.
func (w *world) results(t *testing.T) []app.VerifyResult {
	t.Helper()
	list, err := app.VerifyResults(t.Context(), w.cfg, w.sites[0].name)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// verifyAlert returns the alert about verifications that is on; nil without one.
func (w *world) verifyAlert(t *testing.T) *web.Alert {
	t.Helper()
	o, err := w.app.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range o.Alerts {
		if o.Alerts[i].Kind == notify.KindVerify && o.Alerts[i].Ended.IsZero() {
			return &o.Alerts[i]
		}
	}
	return nil
}

// TestVerifySchedule verifies at the time of day of a zone whose clocks change, catches
// up once what was missed while nothing ran, finds what somebody has taken away, keeps,
// shows and tells what was found, looks for it again, and repairs when that is wanted.
func TestVerifySchedule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Until(time.Date(2000, 3, 26, 1, 0, 0, 0, berlin))) // the clocks change within the hour
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].Retention, w.cfg.Tenants[0].PollInterval = "30d", 5*time.Minute
		w.cfg.Verify.Schedule, w.cfg.Verify.Zone, w.cfg.Verify.Jitter = "04:30", "Europe/Berlin", 0
		if err := s.tenant.Generate(300, time.Now().Add(-20*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		first := time.Date(2000, 3, 26, 2, 30, 0, 0, time.UTC)
		if v := w.overview(t.Context(), t, "dev").Verify; v == nil || !v.Ended.IsZero() || !v.Next.Equal(first) {
			t.Errorf("before the first: %+v", v)
		}
		<-time.After(time.Until(first.Add(10 * time.Minute)))
		list := w.results(t)
		if len(list) != 1 || !list[0].Clean || list[0].Held < 300 || !list[0].Due.Equal(first) || list[0].Began.Sub(first) > time.Minute {
			t.Fatalf("the first: %+v", list)
		}
		if a := w.verifyAlert(t); a != nil {
			t.Errorf("an alert: %+v", a)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		<-time.After(3*24*time.Hour - time.Hour)
		if err := s.tenant.Generate(20, time.Now().Add(-60*time.Hour), time.Now().Add(-50*time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(30 * time.Minute)
		if list = w.results(t); len(list) != 2 || list[1].Until.Sub(list[1].Since) < 2*24*time.Hour || !list[1].Clean || list[1].Held < 20 {
			t.Fatalf("what was missed is caught up: %+v", list[1:])
		}
		taken := make([]string, 0, 7)
		s.rewrite(t.Context(), t, w, w.cfg.Tenants[0].CloudWatch.Endpoint, func(l []cloudwatch.StoredEvent) []cloudwatch.StoredEvent {
			return slices.DeleteFunc(l, func(e cloudwatch.StoredEvent) bool {
				old := dateOf(e.Message).After(first) && time.Since(dateOf(e.Message)) > 24*time.Hour
				if old && len(taken) < 7 {
					taken = append(taken, e.Message)
				}
				return old && slices.Contains(taken, e.Message)
			})
		})
		w.cfg.Verify.Span = 4 * 24 * time.Hour
		s.again(t, w, first.Add(3*24*time.Hour+10*time.Minute))
		if list = w.results(t); len(list) != 3 { // what was missed is done once
			t.Fatalf("%d results: %+v", len(list), list)
		}
		v, a := w.overview(t.Context(), t, "dev").Verify, w.verifyAlert(t)
		if last := list[2]; last.Clean || last.Found["missing"] != 7 || len(last.Findings) != 7 || v == nil || !v.Unclean() || !v.Next.After(time.Now()) || !strings.Contains(v.Hint, "backfill") {
			t.Errorf("what was taken away: %+v, %+v", last, v)
		}
		if a == nil || a.Severity != "critical" || !strings.Contains(a.Message, "7 missing") {
			t.Errorf("the alert: %+v", a)
		}
		for name, label := range map[string]string{"gapless_verify_last_clean": "dev", "gapless_verify_found_events": "missing", "gapless_verify_last_run_timestamp_seconds": "dev"} {
			if _, ok := w.metric(t, name, label); !ok {
				t.Errorf("metrics lack %s", name)
			}
		}
		w.cfg.Verify.Repair, w.cfg.Verify.Span = true, time.Hour // the next reaches back to what is missing
		s.again(t, w, first.Add(4*24*time.Hour+20*time.Minute))
		if last := w.results(t)[3]; !last.Clean || last.Repaired != 7 {
			t.Errorf("repaired: %+v", last)
		}
		if a := w.verifyAlert(t); a != nil {
			t.Errorf("an alert that is over: %+v", a)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		s.onceEach(t, "in the end")
	})
}

// again stops the App and starts it shortly before a time, until which it runs.
func (s *site) again(t *testing.T, w *world, until time.Time) {
	t.Helper()
	w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
	<-time.After(time.Until(until.Add(-time.Hour)))
	w.start(t.Context(), t)
	<-time.After(time.Hour)
}

// TestVerifyScheduleRefused is under the least policy that exports: the export goes on, and
// the verification says quietly, and once, what it lacks.
func TestVerifyScheduleRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		var log bytes.Buffer
		w.log = &log
		s := w.sites[0]
		w.cfg.Verify.Schedule, w.cfg.Tenants[0].PollInterval = "every 1h", time.Minute
		for _, op := range []string{"FilterLogEvents", "GetLogEvents", "DescribeLogGroups"} {
			s.aws.Add(emulator.Fault{Match: op, Times: -1, Status: 400, Body: `{"__type":"AccessDeniedException","message":"not authorized"}`})
		}
		if err := s.tenant.Generate(50, time.Now().Add(-2*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(3*time.Hour + 10*time.Minute)
		o := w.overview(t.Context(), t, "dev")
		v := o.Verify
		if v == nil || v.Clean || v.Unclean() || v.Refused != "logs:FilterLogEvents" || !strings.Contains(v.Hint, "FilterLogEvents") || !strings.Contains(v.Hint, "verify.schedule: off") || len(o.Troubles) > 0 {
			t.Errorf("verify %+v, troubles %+v", v, o.Troubles)
		}
		if a := w.verifyAlert(t); a == nil || a.Severity != "info" || a.Hint != v.Hint {
			t.Errorf("the alert: %+v", a)
		}
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("not ready: %s", body)
		}
		if _, ok := w.metric(t, "gapless_verify_last_clean", "dev"); ok {
			t.Error("the metrics say whether what was not compared is clean")
		}
		if n, ok := w.metric(t, "gapless_verify_refused", "dev"); !ok || n != 1 {
			t.Error("the metrics do not say that it is refused")
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if n := len(w.results(t)); n != 3 {
			t.Errorf("%d results", n)
		}
		_, text, _ := strings.Cut(log.String(), "msg=started")
		if strings.Count(text, "level=INFO msg=\"the scheduled verification") != 1 || strings.Contains(text, "level=ERROR") || strings.Contains(text, "level=WARN") {
			t.Errorf("the log is not quiet:\n%s", text)
		}
		s.onceEach(t, "the export")
	})
}

// TestVerifyScheduleDuringIngestion verifies every hour while much comes in and reads lag
// behind writes: there is no false alarm, and the live lag stays.
func TestVerifyScheduleDuringIngestion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		slow, err := cloudwatch.New(cloudwatch.Options{Faults: s.aws, ReadDelay: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.cloudwatch.Close(); err != nil {
			t.Fatal(err)
		}
		s.cloudwatch = slow
		w.hosts["logs-dev.example.com"] = emulator.Transport(s.watch(slow))
		w.cfg.Verify.Schedule, w.cfg.Verify.Span = "every 1h", time.Hour
		s.live(t.Context(), t, 0.5)
		w.start(t.Context(), t)
		<-time.After(75 * time.Minute)
		for _, x := range w.results(t) {
			if !x.Clean || x.Held < 1500 {
				t.Errorf("a false alarm: %+v", x)
			}
		}
		if n := len(w.results(t)); n != 1 {
			t.Errorf("%d results", n)
		}
		worst := time.Duration(0)
		for _, e := range s.stored() {
			worst = max(worst, time.UnixMilli(e.Ingested).Sub(dateOf(e.Message)))
		}
		if worst > 2*w.cfg.Tenants[0].PollInterval {
			t.Errorf("the live lag was %s", worst)
		}
	})
}
