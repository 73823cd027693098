package checkup_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/checkup"
)

// says makes a check that finds something.
func says(name string, f checkup.Finding, needs ...string) checkup.Check {
	return checkup.Check{Name: name, Needs: needs, Run: func(context.Context) []checkup.Finding { return checkup.One(f) }}
}

// outcomes runs sections and writes down what is told.
func outcomes(t *testing.T, sections ...checkup.Section) (got []string) {
	t.Helper()
	err := checkup.Run(t.Context(), sections, time.Minute, func(r checkup.Result) {
		got = append(got, r.Section+" "+r.Check+" "+string(r.Status)+": "+r.Summary)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRunSkipsWhatNeedsWhatFailed goes on after a failure, skips all that builds on it
// and says why. A check that skips itself or warns takes nobody along, and sections do
// not know each other.
func TestRunSkipsWhatNeedsWhatFailed(t *testing.T) {
	t.Parallel()
	passed := checkup.Passed("well")
	got := outcomes(t,
		checkup.Section{Title: "one", Checks: []checkup.Check{
			says("reach", checkup.Failed("", "mend it", "no way")),
			says("token", passed, "reach"),
			says("logs", passed, "token"),
			says("disk", passed),
			says("quiet", checkup.Skipped("not here")),
			says("loud", passed, "quiet"),
			says("odd", checkup.Warned("look", "strange")),
			says("even", passed, "odd"),
			{Name: "nothing", Run: func(context.Context) []checkup.Finding { return nil }},
			says("after", passed, "nothing"),
		}},
		checkup.Section{Title: "two", Checks: []checkup.Check{says("token", passed, "reach")}},
	)
	want := []string{
		"one reach fail: no way", "one token skip: not looked at, because reach failed", "one logs skip: not looked at, because reach failed",
		"one disk pass: well", "one quiet skip: not here", "one loud pass: well", "one odd warn: strange", "one even pass: well",
		"one after pass: well", "two token pass: well",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestRunBoundsEachCheck ends a check that hangs, and goes on.
func TestRunBoundsEachCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := checkup.Check{Name: "hangs", Run: func(ctx context.Context) []checkup.Finding {
			<-ctx.Done()
			return checkup.One(checkup.Failed("", "wait", "%v", context.Cause(ctx)))
		}}
		began := time.Now()
		got := outcomes(t, checkup.Section{Title: "s", Checks: []checkup.Check{hangs, says("next", checkup.Passed("well"))}})
		want := []string{"s hangs fail: the check has taken too long", "s next pass: well"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// TestRunIsInterrupted tells nothing of a check that was cut short, and makes no other.
func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	err := checkup.Run(ctx, []checkup.Section{{Checks: []checkup.Check{
		{Name: "first", Run: func(context.Context) []checkup.Finding { cancel(stop); return checkup.One(checkup.Passed("well")) }},
		{Name: "second", Run: func(context.Context) []checkup.Finding { t.Error("it was made"); return nil }},
	}}}, time.Minute, func(r checkup.Result) { t.Errorf("told %+v", r) })
	if !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

// TestClock knows the edges: noise, a difference worth a word, and one that breaks.
func TestClock(t *testing.T) {
	t.Parallel()
	b := checkup.Bound{Behind: time.Minute, Ahead: 4 * time.Minute, Breaks: "it breaks"}
	for _, x := range []struct {
		offset time.Duration
		known  bool
		b      checkup.Bound
		want   checkup.Status
		words  string
	}{
		{0, false, b, checkup.Skip, "told no time"},
		{5 * time.Second, true, b, checkup.Pass, "agrees"},
		{-6 * time.Second, true, b, checkup.Warn, "6s behind"},
		{4 * time.Minute, true, b, checkup.Warn, "4m0s ahead"},
		{4*time.Minute + time.Second, true, b, checkup.Fail, "it breaks"},
		{-61 * time.Second, true, b, checkup.Fail, "1m1s behind that of X: it breaks"},
		{-time.Hour, true, checkup.Bound{}, checkup.Warn, "1h0m0s behind"},
	} {
		if got := checkup.Clock("X", x.offset, x.known, x.b); got.Status != x.want || !strings.Contains(got.Summary, x.words) {
			t.Errorf("%s: %+v", x.offset, got)
		}
	}
}
