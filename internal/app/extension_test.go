package app_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

// TestOldExtensionsFailures plays what was measured of the extension "Logs to
// CloudWatch" that Auth0 has retired, with its numbers where they matter, and
// counts what is lost and what is there twice. The sixth, one SIGKILL among 20,000
// events of which 2,700 came twice, needs a process: TestDemoSurvivesSIGKILL kills
// one nine times, with every event there once.
func TestOldExtensionsFailures(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*testing.T, *world, *site){
		"300 of 1,000 lost when CloudWatch refused for three runs": refusedForThreeRuns,
		"0 of 1,000 delivered with events of 12 kB":                eventsOf12kB,
		"200 of 1,000 lost around two oversize events":             aroundOversizeEvents,
		"5,000 of 5,000 twice with two runs overlapping":           twoRunsOverlap,
		"silence on a wrong secret":                                wrongSecretIsNamed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
				defer w.close(t.Context(), t)
				play(t, w, w.sites[0])
			})
		})
	}
}

// fill gives the tenant a history.
func (s *site) fill(t *testing.T, n int) {
	t.Helper()
	if err := s.tenant.Generate(n, time.Now().Add(-time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// refusedForThreeRuns has three runs of `gapless run --once` meet a CloudWatch Logs
// that refuses.
func refusedForThreeRuns(t *testing.T, w *world, s *site) {
	t.Helper()
	s.fill(t, 1000)
	onAWS(awsError(400, "AccessDeniedException"))(s)
	for range 3 {
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
	}
	s.aws.Clear()
	w.start(t.Context(), t)
	<-time.After(2 * time.Minute)
	s.compare(t)
}

// own makes an event of some size that has just happened.
func own(i, size int) []byte {
	now := time.Now().UTC().Add(time.Duration(i) * time.Microsecond)
	id := event.IDAt(now)
	return fmt.Appendf(nil, `{"log_id":"%s%06d","date":"%s","type":"s","details":{"text":"%s"}}`,
		id[:len(id)-6], i, now.Format("2006-01-02T15:04:05.000Z07:00"), strings.Repeat("x", size))
}

// eventsOf12kB has large events, all within the limits.
func eventsOf12kB(t *testing.T, w *world, s *site) {
	t.Helper()
	for i := range 1000 {
		if err := s.tenant.Append(own(i, 12_000)); err != nil {
			t.Fatal(err)
		}
	}
	w.start(t.Context(), t)
	<-time.After(5 * time.Minute)
	s.compare(t)
}

// aroundOversizeEvents has two events that no call can carry among others.
func aroundOversizeEvents(t *testing.T, w *world, s *site) {
	t.Helper()
	w.cfg.Tenants[0].CloudWatch.TooLarge = config.DeadLetter
	for i := range 1000 {
		size := 100
		if i == 150 || i == 750 {
			size = 1 << 20
		}
		if err := s.tenant.Append(own(i, size)); err != nil {
			t.Fatal(err)
		}
	}
	w.start(t.Context(), t)
	<-time.After(5 * time.Minute)
	if letters := w.deadLetters(t); len(letters) != 2 || letters[0].Reason != "too_large" || letters[1].Reason != "too_large" {
		t.Errorf("%d dead letters, want the two", len(letters))
	}
	got := s.delivered()
	for _, raw := range s.tenant.Events() {
		if n := got[string(raw)]; len(raw) < 1<<20 && n != 1 {
			t.Fatalf("an event is there %d times: %.120s", n, raw)
		}
	}
}

// twoRunsOverlap starts a run while another one is under way, and one right after
// that is cut short in the middle of its calls.
func twoRunsOverlap(t *testing.T, w *world, s *site) {
	t.Helper()
	s.fill(t, 5000)
	s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Kind: emulator.FaultDelay, Delay: 20 * time.Second})
	w.start(t.Context(), t)
	<-time.After(10 * time.Second)
	if second, err := w.open(t.Context()); err == nil {
		t.Error("a second run begins on the same data directory")
		_ = second.Stop(t.Context())
	}
	w.stop(t.Context(), t, 0) // with calls under way
	w.start(t.Context(), t)
	<-time.After(10 * time.Minute)
	s.compare(t)
}

// wrongSecretIsNamed has a client secret that Auth0 refuses.
func wrongSecretIsNamed(t *testing.T, w *world, s *site) {
	t.Helper()
	s.fill(t, 100)
	right := w.cfg.Tenants[0].ClientSecret
	var err error
	if w.cfg.Tenants[0].ClientSecret, err = config.ParseSecret("wrong"); err != nil {
		t.Fatal(err)
	}
	w.start(t.Context(), t)
	<-time.After(5 * time.Second)
	o := w.overview(t.Context(), t, "dev")
	if len(o.Troubles) != 1 || o.Troubles[0].Class != "unauthorized" || !strings.Contains(o.Troubles[0].Hint, "secret") || !strings.Contains(o.Troubles[0].Message, "401") {
		t.Errorf("after five seconds the troubles are %+v", o.Troubles)
	}
	w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
	w.cfg.Tenants[0].ClientSecret = right
	w.start(t.Context(), t)
	<-time.After(time.Minute)
	s.compare(t)
}
