package app_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// also gives the first tenant of a world a further destination, with an endpoint of
// its own. What the site returned shows is that destination's.
func (w *world) also(tb rapid.TB, name string) (s *site, end func()) {
	tb.Helper()
	first := w.sites[0]
	s = &site{name: first.name, tenant: first.tenant, aws: emulator.NewFaults(), streams: []string{"logs"}, held: first.held, quit: func() {}}
	var err error
	if s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Faults: s.aws}); err != nil {
		tb.Fatal(err)
	}
	w.hosts["logs-"+name+".example.com"] = emulator.Transport(s.watch(s.cloudwatch))
	d := config.NewDestination(name)
	d.CloudWatch.Endpoint, d.CloudWatch.Compression = "http://logs-"+name+".example.com", "none"
	w.cfg.Tenants[0].Destinations = append(w.cfg.Tenants[0].Destinations, d)
	return s, func() {
		if err := s.cloudwatch.Close(); err != nil {
			tb.Error(err)
		}
	}
}

// further returns the figures of a further destination.
func (w *world) further(t *testing.T, name string) web.Destination {
	t.Helper()
	for _, d := range w.overview(t.Context(), t, w.sites[0].name).Destinations {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("there is no destination %s", name)
	return web.Destination{}
}

// TestOneDestinationIsDown has one of three destinations refuse for an hour, with
// restarts meanwhile: the others get everything with their usual lag, and it gets
// everything, once, as soon as it is back.
func TestOneDestinationIsDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]emulator.Fault{
		"refuses": awsError(503, "ServiceUnavailableException"), "hangs": {Kind: emulator.FaultHang}, "denies": awsError(400, "AccessDeniedException"),
	} {
		for _, down := range []int{0, 1} { // the main one, or a further one
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
					defer w.close(t.Context(), t)
					audit, end := w.also(t, "audit")
					defer end()
					archive, end := w.also(t, "archive")
					defer end()
					all := []*site{w.sites[0], audit, archive}
					w.goThrough(t, all, down, fault)
				})
			})
		}
	}
}

// goThrough has one of the destinations fail for an hour.
func (w *world) goThrough(t *testing.T, all []*site, down int, fault emulator.Fault) {
	t.Helper()
	all[0].live(t.Context(), t, 0.1)
	w.start(t.Context(), t)
	<-time.After(10 * time.Minute)
	fault.Match, fault.Times = "PutLogEvents", -1
	all[down].aws.Add(fault)
	for minute := range 60 {
		if minute%20 == 7 {
			w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
			w.start(t.Context(), t)
			<-time.After(w.lag())
		}
		<-time.After(time.Minute)
		for i, s := range all {
			if behind := s.behind(); i != down && behind > w.lag() {
				t.Fatalf("minute %d: destination %d is %v behind while %d is down", minute, i, behind, down)
			}
		}
	}
	part := []string{"delivery", "delivery:audit", "delivery:archive"}[down]
	o := w.overview(t.Context(), t, "dev")
	if len(o.Troubles) != 1 || o.Troubles[0].Part != part {
		t.Errorf("troubles %+v, want one of %s", o.Troubles, part)
	}
	if status, body := w.readiness(t.Context(), t); status != http.StatusServiceUnavailable || !strings.Contains(body, part) {
		t.Errorf("/readyz says %d %s", status, body)
	}
	waiting := []int64{o.Buffered, w.further(t, "audit").Buffered, w.further(t, "archive").Buffered}
	for i, n := range waiting {
		if (n > 100) != (i == down) {
			t.Errorf("%v events wait, and %d is down", waiting, down)
		}
	}
	all[down].aws.Clear()
	<-time.After(10 * time.Minute)
	all[0].quit()
	<-time.After(time.Minute)
	for _, s := range all {
		s.compare(t)
	}
	o = w.overview(t.Context(), t, "dev")
	if a := w.further(t, "audit"); o.State != web.StateDelivered || o.Stored != o.Delivered || a.Delivered != o.Stored || a.Buffered != 0 {
		t.Errorf("in the end: %+v and audit %+v", o, a)
	}
}

// TestLostAnswersOfOneDestination loses answers of one destination, with stops that
// cut calls short: no destination gets an event twice.
func TestLostAnswersOfOneDestination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.cfg.Tenants[0].CloudWatch.Linger = time.Second
		audit, end := w.also(t, "audit")
		defer end()
		w.sites[0].live(t.Context(), t, 0.5)
		w.start(t.Context(), t)
		for range 12 {
			audit.aws.Add(emulator.Fault{Kind: emulator.FaultLost, Match: "PutLogEvents", Times: 3})
			<-time.After(3 * time.Minute)
			w.stop(t.Context(), t, time.Second)
			w.start(t.Context(), t)
		}
		audit.aws.Clear()
		w.sites[0].quit()
		<-time.After(20 * time.Minute)
		w.sites[0].compare(t)
		audit.compare(t)
	})
}

// TestRulesOfADestination gives two destinations rules of their own on top of the
// tenant's: each gets what its rules leave, in its own shape and streams, and the main
// one is not touched by them.
func TestRulesOfADestination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		errorsOnly, end := w.also(t, "errors")
		defer end()
		redacted, end := w.also(t, "redacted")
		defer end()
		c := &w.cfg.Tenants[0]
		c.Filter.Types.Deny = []string{"sapi"}
		c.Destinations[0].Filter.Severities.Allow = []string{"error", "critical"}
		c.Destinations[0].CloudWatch.Fields = map[string]string{"severity": "severity"}
		c.Destinations[1].Redact.Rules = []config.RedactRule{{Kind: "email", Action: "mask"}}
		c.Destinations[1].CloudWatch.LogStream = "{severity}"
		redacted.streams = []string{"info", "warning", "error", "critical"}
		if err := s.tenant.Generate(400, time.Now().Add(-5*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		main := s.delivered()
		for raw := range main {
			if gjson.Get(raw, "type").Str == "sapi" {
				t.Error("the tenant's own filter does not hold")
			}
		}
		failed := 0
		for message, n := range errorsOnly.delivered() {
			_, raw, _ := strings.Cut(message, ",")
			if sev := gjson.Get(message, "severity").Str; n != 1 || main["{"+raw] != 1 || sev != "error" && sev != "critical" {
				t.Fatalf("%d times with severity %s: %.200s", n, sev, message)
			}
			failed++
		}
		secret := 0
		byID := make(map[string]string)
		for message := range redacted.delivered() {
			byID[gjson.Get(message, "log_id").Str] = message
		}
		for raw := range main {
			name := gjson.Get(raw, "user_name").Str
			message, there := byID[gjson.Get(raw, "log_id").Str]
			if !there {
				t.Fatalf("an event is missing: %.200s", raw)
			}
			if strings.Contains(name, "@") {
				secret++
				if strings.Contains(message, name) {
					t.Errorf("%s stands in %.300s", name, message)
				}
			}
		}
		if failed == 0 || failed == len(main) || len(byID) != len(main) || secret == 0 {
			t.Errorf("of %d events %d are errors, %d redacted and %d have a name: the test shows nothing", len(main), failed, len(byID), secret)
		}
		w.start(t.Context(), t)
		d := w.further(t, "errors")
		if diff := cmp.Diff(map[string]int64{"severity_not_allowed": int64(len(main) - failed)}, d.Skipped); diff != "" || d.Delivered != int64(failed) {
			t.Errorf("%d delivered, skipped (-want +got):\n%s", d.Delivered, diff)
		}
	})
}

// TestOnceWithADestinationThatNeedsAPerson has one destination refuse for good: the
// others come to their end all the same, and the error names the one.
func TestOnceWithADestinationThatNeedsAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Free, "dev")
		defer w.close(t.Context(), t)
		audit, end := w.also(t, "audit")
		defer end()
		if err := w.sites[0].tenant.Generate(500, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		denied := awsError(400, "AccessDeniedException")
		denied.Times = -1
		audit.aws.Add(denied)
		err := w.runOnce(t.Context(), t)
		if err == nil || !strings.Contains(err.Error(), "tenant dev: destination audit: ") || pipeline.Classify(err).Class != pipeline.Unauthorized {
			t.Errorf("it ended with %v, want what is wrong with the one destination", err)
		}
		w.sites[0].compare(t)
		audit.aws.Clear()
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Error(err)
		}
		audit.compare(t)
		if list := w.troubles(t.Context(), t); len(list) != 0 {
			t.Errorf("troubles %+v are left", list)
		}
	})
}

// TestRemovedDestination takes a destination out of the configuration while events
// wait for it: it is told, the rest goes on, and nothing is lost once it is back.
func TestRemovedDestination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		audit, end := w.also(t, "audit")
		defer end()
		s := w.sites[0]
		refuse := awsError(503, "ServiceUnavailableException")
		refuse.Times = -1
		audit.aws.Add(refuse)
		s.live(t.Context(), t, 0.1)
		w.start(t.Context(), t)
		<-time.After(20 * time.Minute)
		s.quit()
		<-time.After(time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		destinations := w.cfg.Tenants[0].Destinations
		if _, _, err := app.DropDestination(t.Context(), w.cfg, "dev", "audit", true); err == nil {
			t.Error("what waits for a destination in use was dropped")
		}
		s.note()
		waiting := maps.Clone(s.held) // what comes while it is removed is not for it
		w.cfg.Tenants[0].Destinations = nil
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Errorf("a run beside a removed destination ended with %v", err)
		}
		s.compare(t)
		list := w.troubles(t.Context(), t)
		if len(list) != 1 || list[0].Part != "destination:audit" || !list[0].NeedsPerson() || !strings.Contains(list[0].Hint, "gapless destination drop audit --tenant dev --yes") {
			t.Errorf("troubles %+v", list)
		}
		if n, _, err := app.DropDestination(t.Context(), w.cfg, "dev", "audit", false); err != nil || n == 0 {
			t.Errorf("%d events wait, error %v", n, err)
		}
		w.cfg.Tenants[0].Destinations = destinations
		audit.aws.Clear()
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Error(err)
		}
		got := audit.delivered()
		for raw := range waiting {
			if got[raw] != 1 {
				t.Errorf("an event that waited arrived %d times: %.120s", got[raw], raw)
			}
		}
		if list := w.troubles(t.Context(), t); len(list) != 0 {
			t.Errorf("troubles %+v are left", list)
		}
	})
}

// TestDryRunShowsEveryDestination holds that a dry run shows what each destination
// would get by its own rules, and begins nothing.
func TestDryRunShowsEveryDestination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		audit, end := w.also(t, "audit")
		defer end()
		w.cfg.Tenants[0].Destinations[0].Filter.Severities.Allow = []string{"error"}
		if err := w.sites[0].tenant.Generate(200, time.Now().Add(-5*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		r := w.rehearse(t.Context(), t)
		shown := make(map[string]int64)
		for _, e := range r.shown {
			shown[e.Destination.Sink]++
		}
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{"": int64(len(w.sites[0].delivered())), "audit": int64(len(audit.delivered()))}
		got[""]-- // the run has brought the event of its own token as well
		if diff := cmp.Diff(got, shown); diff != "" || shown["audit"] == 0 || shown["audit"] == shown[""] {
			t.Errorf("events (-sent +shown):\n%s", diff)
		}
		var told int64
		for _, d := range r.report[0].Destinations {
			told += shown[d.Destination] - d.Events
		}
		if n := len(r.report[0].Destinations); n != 2 || told != 0 || !r.report[0].CaughtUp {
			t.Errorf("report %+v", r.report[0])
		}
	})
}
