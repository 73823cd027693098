package source_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

const keptForADay = "what followed was older than the retention when it was asked for"

// markOn returns the last mark that a disk holds.
func markOn(disk *pipelinetest.Pages) (m event.Mark) {
	for _, p := range disk.All() {
		if !p.Mark.IsZero() {
			m = p.Mark
		}
	}
	return m
}

// restart runs a source on what earlier ones have left, for a time.
func restart(t *testing.T, s *fakeAuth0, cfg source.PollConfig, disk *pipelinetest.Pages, lasts time.Duration) {
	t.Helper()
	mark := markOn(disk)
	p := source.NewPoll(cfg, s, source.Deps{Mark: func(context.Context) (event.Mark, error) { return mark, nil }})
	end := startOn(t, p, disk.Cursor(), disk)
	<-time.After(lasts)
	if err := end(); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
}

// happen lets a tenant write an event each step for a time.
func happen(s *fakeAuth0, lasts, step time.Duration) {
	for range lasts / step {
		<-time.After(step)
		s.add(realID(time.Now(), len(s.ids())), time.Now())
	}
}

// forget makes a tenant delete what is older than its retention.
func forget(s *fakeAuth0) {
	_, _ = s.Search(context.Background(), auth0.SearchQuery{Sort: "date:1", PerPage: 1})
	s.asked()
}

// TestServedThoughExpired has Auth0 serve a cursor that is older than what it
// keeps, and begin with the oldest event that it has.
func TestServedThoughExpired(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		down, kept, configured time.Duration
		gap                    bool
	}{
		"down for three days, kept for one":     {72 * time.Hour, 24 * time.Hour, 0, true},
		"down for five hours, kept for one day": {5 * time.Hour, 24 * time.Hour, 0, false},
		"kept for longer than is known":         {72 * time.Hour, 30 * 24 * time.Hour, 0, false},
		"kept for as long as is configured":     {72 * time.Hour, 5 * 24 * time.Hour, 5 * 24 * time.Hour, false},
		"down for six days, kept for five":      {6 * 24 * time.Hour, 5 * 24 * time.Hour, 5 * 24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeAuth0{retention: tt.kept}
				history(s, 30, 10*time.Minute, time.Minute, false)
				cfg := source.PollConfig{Interval: time.Minute, Retention: tt.configured}
				disk := new(pipelinetest.Pages)
				restart(t, s, cfg, disk, time.Hour)
				last, until := s.ids()[29], markOn(disk).Until
				happen(s, tt.down, 10*time.Minute)
				forget(s)
				kept := s.ids()
				var want []event.Gap
				if tt.gap {
					want = []event.Gap{{FromID: last, FromTime: until, ToID: kept[0], ToTime: s.log[0].Date, Reason: keptForADay}}
				}
				for range 2 { // the second start has nothing to add
					restart(t, s, cfg, disk, time.Hour)
				}
				if diff := cmp.Diff(want, gaps(disk)); diff != "" {
					t.Errorf("gaps (-want +got):\n%s", diff)
				}
				if missing := disk.Missing(kept); len(missing) > 0 {
					t.Errorf("%d of the events kept are missing", len(missing))
				}
			})
		})
	}
}

// TestMarkSaysTooMuch has events behind the cursor that the log does not explain: it
// was read to its end a moment ago, and now they are younger than the cursor but
// happened long before that, or the cursor is much too young for being gone. What
// lies between may be missing, and nothing that is kept may be.
func TestMarkSaysTooMuch(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, then time.Duration // ago
		refused     bool
		reason      string
	}{
		"an old cursor, refused":  {100 * time.Hour, 50 * time.Hour, true, "Auth0 no longer keeps what follows the cursor"},
		"an old cursor, served":   {100 * time.Hour, 50 * time.Hour, false, keptForADay},
		"a young cursor, refused": {3 * time.Hour, 2 * time.Hour, true, "Auth0 no longer keeps what follows the cursor"},
		"a minute old, refused":   {2 * time.Minute, time.Second, true, "Auth0 no longer keeps what follows the cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, disk := new(fakeAuth0), new(pipelinetest.Pages)
				history(s, 30, time.Second, tt.first, false)
				restart(t, s, source.PollConfig{Interval: time.Second}, disk, 10*time.Second)
				last := s.ids()[29]
				s.log, s.knownOnly = nil, tt.refused
				history(s, 10, time.Second/10, tt.then, false)
				kept := s.ids()
				restart(t, s, source.PollConfig{Interval: time.Second}, disk, time.Hour)
				if missing := disk.Missing(kept); len(missing) > 0 {
					t.Errorf("%d of the events kept are missing", len(missing))
				}
				found := gaps(disk)
				if len(found) != 1 || found[0].FromID != last || found[0].ToID != kept[0] || found[0].Reason != tt.reason {
					t.Errorf("gaps %+v, want one from %s to %s", found, last, kept[0])
				}
				if len(found) == 1 && !found[0].FromTime.Before(found[0].ToTime) {
					t.Errorf("the gap is from %v to %v", found[0].FromTime, found[0].ToTime)
				}
			})
		})
	}
}

// TestNothingIsKept is down for longer than the retention and finds an empty log:
// whether anything had happened nobody can tell, so it is a gap, once. While it
// runs on, and when it was down for hours only, there is none.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		down time.Duration
		gaps int
	}{"for hours": {12 * time.Hour, 0}, "for days": {72 * time.Hour, 1}} {
		for before, n := range map[string]int{"an old event": 1, "nothing ever": 0} {
			t.Run(name+", "+before, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &fakeAuth0{retention: 24 * time.Hour}
					history(s, n, time.Minute, time.Minute, false)
					cfg := source.PollConfig{Interval: time.Minute}
					disk := new(pipelinetest.Pages)
					restart(t, s, cfg, disk, 72*time.Hour)
					until := markOn(disk).Until
					<-time.After(tt.down)
					restart(t, s, cfg, disk, time.Hour)
					s.add(realID(time.Now(), 1), time.Now())
					restart(t, s, cfg, disk, time.Hour)
					found := gaps(disk)
					if len(found) != tt.gaps || tt.gaps > 0 && (!found[0].FromTime.Equal(until) || found[0].ToTime.Sub(until) < tt.down) {
						t.Errorf("gaps %+v, want %d from %v", found, tt.gaps, until)
					}
					if missing := disk.Missing(s.ids()); len(missing) > 0 {
						t.Errorf("missing %q", missing)
					}
				})
			})
		}
	}
}

// TestOvertaken reads a backlog more slowly than it expires: each event is on
// disk or in a gap, and reading goes on.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeAuth0{retention: 24 * time.Hour, served: 50}
		history(s, 2400, 36*time.Second, time.Minute, false)
		forget(s)
		all := slices.Clone(s.log)
		s.fault = func(_ int, c call) (*auth0.Answer, error) {
			if c.From != "" {
				<-time.After(time.Hour) // 30 minutes of the log an hour
			}
			return nil, nil
		}
		disk := new(pipelinetest.Pages)
		restart(t, s, source.PollConfig{Interval: time.Minute}, disk, 60*time.Hour)
		found := gaps(disk)
		lost := 0
		for _, e := range all {
			if len(disk.Missing([]string{e.LogID})) == 0 {
				continue
			}
			lost++
			if !slices.ContainsFunc(found, func(g event.Gap) bool { return !e.Date.Before(g.FromTime) && !e.Date.After(g.ToTime) }) {
				t.Errorf("the event of %v is missing and in no gap", e.Date)
			}
		}
		if lost < 500 || len(disk.IDs()) < 500 {
			t.Errorf("%d events are lost and %d stored: the test shows nothing", lost, len(disk.IDs()))
		}
		if at := markOn(disk).Until; time.Since(at) > 2*time.Hour {
			t.Errorf("reading stands at %v, %v ago", at, time.Since(at))
		}
	})
}

// TestLongHistory reads what a tenant has kept for weeks, with a retention
// configured that is too short: no gap, and hardly a search more.
func TestLongHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 4000, 8*time.Minute, time.Minute, false) // 22 days
		disk := new(pipelinetest.Pages)
		restart(t, s, source.PollConfig{}, disk, time.Minute)
		searches := 0
		for _, c := range s.asked() {
			if c.From == "" {
				searches++
			}
		}
		if got := gaps(disk); len(got) > 0 || len(disk.Missing(s.ids())) > 0 || searches > 4 {
			t.Errorf("gaps %+v, %d events missing, %d searches", got, len(disk.Missing(s.ids())), searches)
		}
		if m := markOn(disk); m.Since.After(s.log[0].Date) || time.Since(m.Until) > 10*time.Second {
			t.Errorf("read from %v to %v", m.Since, m.Until)
		}
	})
}

// TestOldestVanishes lets the oldest events expire between the search that finds
// them and the reading behind them.
func TestOldestVanishes(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]bool{"real ids": false, "opaque ids": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeAuth0{knownOnly: true, retention: 24 * time.Hour}
				history(s, 1440, time.Minute, time.Minute, opaque)
				searches := 0
				s.fault = func(_ int, c call) (*auth0.Answer, error) {
					if c.From != "" || c.Page > 0 {
						return nil, nil
					}
					if searches++; searches > 2 {
						return nil, nil
					}
					s.mu.Lock() // the answer of before, a minute late
					ans := &auth0.Answer{Page: event.Page{Events: slices.Clone(s.log[:100])}}
					s.mu.Unlock()
					<-time.After(90 * time.Second)
					return ans, nil
				}
				disk := new(pipelinetest.Pages)
				restart(t, s, source.PollConfig{}, disk, 10*time.Minute)
				if missing := disk.Missing(s.ids()); len(missing) > 0 {
					t.Errorf("%d of the events kept are missing", len(missing))
				}
				if n := len(disk.IDs()); n < 1440 {
					t.Errorf("%d events are stored, want also those that have gone since", n)
				}
			})
		})
	}
}

// TestStartRefusedForEver has an API that takes no start, at the edge of the
// retention or not: a person hears what to do, and the tries are few.
func TestStartRefusedForEver(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"within the retention": time.Minute, "at its edge": 2*time.Hour + 23*time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeAuth0{retention: 24 * time.Hour}
				history(s, 10, step, time.Minute, false)
				s.fault = func(_ int, c call) (*auth0.Answer, error) {
					if c.From != "" {
						return nil, badCursor()
					}
					return nil, nil
				}
				disk := new(pipelinetest.Pages)
				for range 5 {
					e := pipeline.Classify(poll(s, source.Earliest()).Run(t.Context(), disk.Cursor(), disk.Emit))
					if e.Class != pipeline.Misconfigured || e.Hint == "" {
						t.Errorf("error %v of class %v with hint %q", e.Err, e.Class, e.Hint)
					}
				}
				if missing := disk.Missing(s.ids()); len(missing) > 0 {
					t.Errorf("%d events are missing that the searches found", len(missing))
				}
				if n := len(s.asked()); n > 80 {
					t.Errorf("%d calls in five runs", n)
				}
			})
		})
	}
}

// TestMarkBeginsBehindAGap pins what heals a gap: reading that began behind it
// does not, reading that began before it does.
func TestMarkBeginsBehindAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 600, time.Minute, time.Minute, false)
		cfg := source.PollConfig{Interval: time.Minute, Retention: time.Hour}
		disk := new(pipelinetest.Pages)
		restart(t, s, cfg, disk, time.Hour)
		happen(s, 72*time.Hour, 10*time.Minute)
		whole := slices.Clone(s.log)
		s.log = whole[900:] // an outage of Auth0's: not all is there
		restart(t, s, cfg, disk, time.Hour)
		found := gaps(disk)
		if len(found) != 1 {
			t.Fatalf("gaps %+v", found)
		}
		if m := markOn(disk); m.Since.Before(found[0].ToTime) {
			t.Errorf("the mark begins at %v, before the end of the gap %+v", m.Since, found[0])
		}
		s.log = whole
		anew := new(pipelinetest.Pages) // the cursor was reset
		restart(t, s, cfg, anew, time.Hour)
		if m := markOn(anew); m.Since.After(found[0].FromTime) || m.Until.Before(found[0].ToTime) || len(gaps(anew)) > 0 {
			t.Errorf("the mark %+v does not cover the gap %+v", m, found[0])
		}
	})
}

// TestPlanThatKeepsLess changes the plan of a tenant while the program runs and
// cannot read: what was seen to be kept before counts no more.
func TestPlanThatKeepsLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeAuth0{retention: 30 * 24 * time.Hour}
		history(s, 1000, 40*time.Minute, time.Minute, false)
		p := source.NewPoll(source.PollConfig{Interval: time.Minute}, s, source.Deps{})
		disk, end := start(t, p, "")
		<-time.After(time.Hour)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		happen(s, 72*time.Hour, 10*time.Minute)
		s.retention = 24 * time.Hour
		end = startOn(t, p, disk.Cursor(), disk)
		<-time.After(time.Hour)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if got := gaps(disk); len(got) != 1 || len(disk.Missing(s.ids())) > 0 {
			t.Errorf("gaps %+v, want one; %d of the events kept are missing", got, len(disk.Missing(s.ids())))
		}
	})
}
