package source_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/source"
)

// TestLateEvents lists an event below one that was read already.
func TestLateEvents(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opaque, knownOnly bool
		overlap           time.Duration
		found             bool
	}{
		"real ids":         {overlap: source.DefaultOverlap, found: true},
		"opaque ids":       {opaque: true, knownOnly: true, overlap: source.DefaultOverlap, found: true},
		"built id refused": {knownOnly: true, overlap: source.DefaultOverlap, found: true},
		"turned off":       {found: false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeAuth0{knownOnly: tt.knownOnly}
				cfg := source.DefaultPollConfig()
				cfg.Overlap = tt.overlap
				add := func(i int) {
					id := realID(time.Now(), i)
					if tt.opaque {
						id = opaqueID(i)
					}
					s.add(id, time.Now())
				}
				disk, end := start(t, source.NewPoll(cfg, s, source.Deps{}), "")
				for i := range 120 {
					add(i)
					<-time.After(time.Second)
				}
				at := time.Now().Add(-20 * time.Second)
				s.insert(100, realID(at, 0), at.Add(time.Millisecond))
				<-time.After(30 * time.Second)
				if err := end(); !errors.Is(err, errEnd) {
					t.Fatal(err)
				}
				missing := disk.Missing(s.ids())
				if (len(missing) == 0) != tt.found {
					t.Errorf("missing %q", missing)
				}
				if n := duplicates(disk); n > 0 {
					t.Errorf("%d events came twice", n)
				}
				if got, want := string(disk.Cursor()), s.ids()[120]; got != want {
					t.Errorf("cursor %s, want that of the newest event %s", got, want)
				}
			})
		})
	}
}

// TestLateEventsBetweenLooks lists events late by less than the window at every
// moment between two looks that are much further apart than it.
func TestLateEventsBetweenLooks(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]bool{"real ids": false, "opaque ids": true} {
		for _, interval := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
			t.Run(name+" "+interval.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &fakeAuth0{knownOnly: opaque}
					cfg := source.DefaultPollConfig()
					cfg.Interval, cfg.OverlapEvery = interval, 5
					disk, end := start(t, source.NewPoll(cfg, s, source.Deps{}), "")
					id := func(i int) string {
						if opaque {
							return opaqueID(i)
						}
						return realID(time.Now(), i)
					}
					held := 0
					for i := range 200 { // one event in seven is listed 25 s after the next
						late, at := id(2*i), time.Now()
						<-time.After(time.Second)
						s.add(id(2*i+1), time.Now())
						held++
						if i%7 == 3 {
							where := held - 1
							held++
							<-time.After(25 * time.Second)
							s.insert(where, late, at)
						}
						<-time.After(interval / 2)
					}
					<-time.After(20 * interval)
					if err := end(); !errors.Is(err, errEnd) {
						t.Fatal(err)
					}
					if missing := disk.Missing(s.ids()); len(missing) > 0 {
						t.Errorf("%d of %d are missing: %q", len(missing), held, missing)
					}
				})
			})
		}
	}
}

// TestOverlapIsPolite counts what looking for late events costs on a tenant
// where nothing happens: one call in ten.
func TestOverlapIsPolite(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]bool{"real ids": false, "opaque ids": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(fakeAuth0)
				disk, end := start(t, source.NewPoll(source.DefaultPollConfig(), s, source.Deps{}), "")
				for i := range 60 {
					id := opaqueID(i)
					if !opaque {
						id = realID(time.Now(), i)
					}
					s.add(id, time.Now())
					<-time.After(time.Second)
				}
				<-time.After(time.Minute)
				s.asked()
				pages := len(disk.All())
				<-time.After(1000 * time.Second)
				if got := len(s.asked()); got < 1095 || got > 1105 {
					t.Errorf("%d calls in 1000 seconds, want 1100", got)
				}
				for _, p := range disk.All()[pages:] {
					if !p.Empty() {
						t.Errorf("a page with %d events, %d skipped: nothing was new", len(p.Events), len(p.Skipped))
					}
				}
				if err := end(); !errors.Is(err, errEnd) {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestOverlapRespectsTheStart must not bring what lies before "latest".
func TestOverlapRespectsTheStart(t *testing.T) {
	t.Parallel()
	for _, begin := range []struct {
		from source.StartFrom
		want int
	}{{source.Latest(), 0}, {source.Ago(5 * time.Second), 5}} {
		synctest.Test(t, func(t *testing.T) {
			s := new(fakeAuth0)
			history(s, 30, time.Second, time.Second, false)
			cfg := source.DefaultPollConfig()
			cfg.StartFrom = begin.from
			disk, end := start(t, source.NewPoll(cfg, s, source.Deps{}), "")
			<-time.After(time.Minute)
			if err := end(); !errors.Is(err, errEnd) {
				t.Fatal(err)
			}
			if got := len(disk.IDs()); got != begin.want {
				t.Errorf("start %+v: %d events, want %d", begin.from, got, begin.want)
			}
		})
	}
}

// TestOverlapIsBounded has more events in the window than a look may read.
func TestOverlapIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 5000, 5*time.Millisecond, 0, false)
		first := event.Cursor(s.ids()[0])
		_, end := start(t, source.NewPoll(source.DefaultPollConfig(), s, source.Deps{}), first)
		// Between two polls, so that none of them shares its moment with a look.
		<-time.After(1500 * time.Millisecond)
		s.asked()
		<-time.After(10 * time.Second)
		if got := len(s.asked()); got > 10+20 {
			t.Errorf("%d calls, want 10 and a look of 20 at the most", got)
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
	})
}

// TestOverlapFault has a look fail: it is an error like any other.
func TestOverlapFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 50, time.Second, time.Second, false)
		last := s.ids()[49]
		s.fault = func(_ int, c call) (*auth0.Answer, error) {
			if c.From != last && c.From != "" && !s.has(c.From) {
				return nil, serverError(500)
			}
			return nil, nil
		}
		disk, _ := start(t, source.NewPoll(source.DefaultPollConfig(), s, source.Deps{}), event.Cursor(s.ids()[48]))
		<-time.After(time.Minute)
		if got := string(disk.Cursor()); got != last {
			t.Errorf("cursor %s, want %s", got, last)
		}
	})
}
