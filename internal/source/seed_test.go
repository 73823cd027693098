package source_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// epoch is when the clock of a synctest bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// poll makes a poll that starts somewhere, without overlap.
func poll(s *fakeAuth0, start source.StartFrom) *source.Poll {
	return source.NewPoll(source.PollConfig{StartFrom: start}, s, source.Deps{})
}

// duplicates counts the events that were stored more than once.
func duplicates(d *pipelinetest.Pages) int {
	seen, n := make(map[string]bool), 0
	for _, p := range d.All() {
		for _, e := range p.Events {
			if seen[e.LogID] {
				n++
			}
			seen[e.LogID] = true
		}
	}
	return n
}

// skipped sums what was left out for a reason.
func skipped(d *pipelinetest.Pages, reason string) int {
	n := 0
	for _, p := range d.All() {
		n += p.Skipped[reason]
	}
	return n
}

// TestStarts runs each start on tenants of each kind: exactly the events from
// the start on arrive, once.
func TestStarts(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(*fakeAuth0){
		"real ids":          func(*fakeAuth0) {},
		"built id refused":  func(s *fakeAuth0) { s.knownOnly = true },
		"built id is a 500": func(s *fakeAuth0) { s.fault = crashOnUnknown(s) },
		"built id is empty": func(s *fakeAuth0) { s.fault = emptyOnUnknown(s) },
		"built id is odd":   func(s *fakeAuth0) { s.fault = newestOnUnknown(s) },
		"no search by date": func(s *fakeAuth0) { s.refusesQ = true },
		"q is ignored":      func(s *fakeAuth0) { s.ignoresQ = true },
	}
	// 250 events, one each minute, the last one an hour ago.
	starts := map[string]struct {
		from source.StartFrom
		want int // how many events count
	}{
		"earliest": {source.Earliest(), 250},
		"latest":   {source.Latest(), 0},
		"90m":      {source.Ago(90 * time.Minute), 31},
		"2h":       {source.Ago(2 * time.Hour), 61},
		"30m":      {source.Ago(30 * time.Minute), 0},
		"1d":       {source.Ago(24 * time.Hour), 250},
		"22:30":    {source.At(epoch.Add(-90 * time.Minute)), 31},
		"midnight": {source.At(epoch.Add(-24 * time.Hour)), 250},
	}
	for kind, shape := range kinds {
		for text, begin := range starts {
			for _, opaque := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s from %s opaque %t", kind, text, opaque), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := new(fakeAuth0)
						history(s, 250, time.Minute, time.Hour, opaque)
						shape(s)
						ids := s.ids()
						disk, end := start(t, poll(s, begin.from), "")
						<-time.After(10 * time.Second)
						s.add(realID(time.Now(), 1000), time.Now())
						ids = append(ids, s.ids()[250])
						<-time.After(10 * time.Second)
						if err := end(); !errors.Is(err, errEnd) {
							t.Fatal(err)
						}
						if diff := cmp.Diff(slices.Sorted(slices.Values(ids[250-begin.want:])), disk.IDs()); diff != "" {
							t.Errorf("events (-want +got):\n%s", diff)
						}
						if n := duplicates(disk); n > 0 {
							t.Errorf("%d events came twice", n)
						}
					})
				})
			}
		}
	}
}

// TestStartBehind begins behind an event, and never before it.
func TestStartBehind(t *testing.T) {
	t.Parallel()
	for _, opaque := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := new(fakeAuth0)
			history(s, 30, time.Second, time.Second, opaque)
			ids := s.ids()
			disk, end := start(t, poll(s, source.Behind(ids[9])), "")
			<-time.After(time.Minute)
			if err := end(); !errors.Is(err, errEnd) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ids[10:], disk.IDs()); diff != "" {
				t.Errorf("opaque %t: events (-want +got):\n%s", opaque, diff)
			}
		})
	}
}

// has reports whether the tenant has an event.
func (s *fakeAuth0) has(id string) bool { return slices.Contains(s.ids(), id) }

func crashOnUnknown(s *fakeAuth0) func(int, call) (*auth0.Answer, error) {
	return func(_ int, c call) (*auth0.Answer, error) {
		if c.From != "" && !s.has(c.From) {
			return nil, serverError(500)
		}
		return nil, nil
	}
}

func emptyOnUnknown(s *fakeAuth0) func(int, call) (*auth0.Answer, error) {
	return func(_ int, c call) (*auth0.Answer, error) {
		if c.From != "" && !s.has(c.From) {
			return new(auth0.Answer), nil
		}
		return nil, nil
	}
}

func newestOnUnknown(s *fakeAuth0) func(int, call) (*auth0.Answer, error) {
	return func(_ int, c call) (*auth0.Answer, error) {
		if c.From != "" && !s.has(c.From) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return &auth0.Answer{Page: event.Page{Events: slices.Clone(s.log[len(s.log)-1:])}}, nil
		}
		return nil, nil
	}
}

// TestStartCounts pins that events before the start are counted, not dropped in
// silence.
func TestStartCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		at := time.Now().Add(-time.Hour)
		for i, seconds := range []int{-2, -1, 0, 1} { // all ids lie behind the start
			s.add(realID(at.Add(5*time.Second), i), at.Add(time.Duration(seconds)*time.Second))
		}
		disk, end := start(t, poll(s, source.At(at)), "")
		<-time.After(time.Second)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if got := skipped(disk, source.SkipBeforeStart); got != 2 || len(disk.IDs()) != 2 {
			t.Errorf("%d events left out and %d stored, want 2 and 2", got, len(disk.IDs()))
		}
	})
}

// TestStartIsFixed restarts before anything happened: what was "latest" or
// "1h ago" at the first start stays so.
func TestStartIsFixed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start  source.StartFrom
		before int
		want   int // of the events before the first start
	}{
		"latest":          {source.Latest(), 10, 0},
		"latest of none":  {source.Latest(), 0, 0},
		"duration":        {source.Ago(5 * time.Minute), 10, 4},
		"duration, none":  {source.Ago(5 * time.Minute), 0, 0},
		"earliest, none":  {source.Earliest(), 0, 0},
		"duration, older": {source.Ago(30 * time.Second), 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(fakeAuth0)
				history(s, tt.before, time.Minute, time.Minute+time.Second, false)
				disk, end := start(t, poll(s, tt.start), "")
				<-time.After(2 * time.Second)
				if err := end(); !errors.Is(err, errEnd) {
					t.Fatal(err)
				}
				if disk.Cursor() == "" {
					t.Fatal("no cursor was stored")
				}
				for i := range 3 { // while gapless is down, longer than the duration
					<-time.After(time.Hour)
					s.add(realID(time.Now(), 100+i), time.Now())
				}
				end = startOn(t, poll(s, tt.start), disk.Cursor(), disk)
				<-time.After(2 * time.Second)
				if err := end(); !errors.Is(err, errEnd) {
					t.Fatal(err)
				}
				if got := len(disk.IDs()); got != tt.want+3 {
					t.Errorf("%d events with cursor %s, want %d", got, disk.Cursor(), tt.want+3)
				}
			})
		})
	}
}

// TestDurationGoesByTheServersClock has a machine whose clock is hours off.
func TestDurationGoesByTheServersClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{7 * time.Hour, -7 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeAuth0{skew: skew}
			for i := range 10 {
				at := time.Now().Add(skew - time.Duration(10-i)*time.Minute)
				s.add(realID(at, i), at)
			}
			disk, end := start(t, poll(s, source.Ago(330*time.Second)), "")
			<-time.After(time.Second)
			if err := end(); !errors.Is(err, errEnd) {
				t.Fatal(err)
			}
			if got := len(disk.IDs()); got != 5 {
				t.Errorf("%d events, want those of the last five and a half minutes", got)
			}
		})
	}
}

// TestJoinOfShuffledIDs has the event with the lowest log_id among the later
// ones by date, on a tenant whose ids say nothing.
func TestJoinOfShuffledIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeAuth0{knownOnly: true}
		base := time.Now().Add(-time.Hour)
		for i := range 700 { // dates run against the ids within each half minute
			date := base.Add(time.Duration(i/300*300+299-i%300) * 100 * time.Millisecond)
			s.add(opaqueID(i), date)
		}
		disk, end := start(t, poll(s, source.Earliest()), "")
		<-time.After(time.Minute)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if missing := disk.Missing(s.ids()); len(missing) > 0 {
			t.Errorf("%d events are missing: %v", len(missing), missing)
		}
	})
}
