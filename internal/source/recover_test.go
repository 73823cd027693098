package source_test

import (
	"errors"
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

// gaps returns the gaps that were stored.
func gaps(d *pipelinetest.Pages) []event.Gap {
	var out []event.Gap
	for _, p := range d.All() {
		if p.Gap != nil {
			out = append(out, *p.Gap)
		}
	}
	return out
}

// TestExpiredCursor starts behind an event that Auth0 has deleted, with those
// that followed it.
func TestExpiredCursor(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]bool{"real ids": false, "opaque ids": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeAuth0{knownOnly: true, retention: 24 * time.Hour}
				history(s, 350, 10*time.Minute, time.Minute, opaque) // 58 hours
				all := s.ids()
				wantFrom, _ := event.TimeInID(all[50])
				disk, end := start(t, poll(s, source.Latest()), event.Cursor(all[50]))
				<-time.After(time.Minute)
				if err := end(); !errors.Is(err, errEnd) {
					t.Fatal(err)
				}
				kept := s.ids()
				want := []event.Gap{{
					FromID: all[50], FromTime: wantFrom, ToID: kept[0], ToTime: s.log[0].Date,
					Reason: "Auth0 no longer keeps what follows the cursor",
				}}
				if diff := cmp.Diff(want, gaps(disk)); diff != "" {
					t.Errorf("gaps (-want +got):\n%s", diff)
				}
				if missing := disk.Missing(kept); len(missing) > 0 {
					t.Errorf("%d of the events kept are missing", len(missing))
				}
				if got := disk.All()[0]; got.Gap == nil || got.Cursor == "" {
					t.Errorf("the first page is %+v; want the gap with a cursor that works", got)
				}
			})
		})
	}
}

// TestExpiredCursorOfAnEmptyTenant has nothing left to go on from.
func TestExpiredCursorOfAnEmptyTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		disk, end := start(t, poll(s, source.Latest()), "evt-1")
		<-time.After(5 * time.Second)
		s.add("evt-9", time.Now())
		<-time.After(5 * time.Second)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]event.Gap{{FromID: "evt-1", Reason: "Auth0 no longer keeps what follows the cursor"}}, gaps(disk)); diff != "" {
			t.Errorf("gaps (-want +got):\n%s", diff)
		}
		if got := disk.IDs(); len(got) != 1 {
			t.Errorf("events %q", got)
		}
	})
}

// TestQuietTenant outlives its own last event: polled all the time, nothing was
// missed, and no gap may be reported.
func TestQuietTenant(t *testing.T) {
	t.Parallel()
	for name, opaque := range map[string]bool{"real ids": false, "opaque ids": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &fakeAuth0{knownOnly: true, retention: 24 * time.Hour}
				history(s, 5, time.Second, time.Minute, opaque)
				all := s.ids()
				p := source.NewPoll(source.PollConfig{Interval: time.Minute}, s, source.Deps{})
				disk, end := start(t, p, "")
				<-time.After(72 * time.Hour)
				s.add("evt-after", time.Now())
				<-time.After(5 * time.Minute)
				if err := end(); !errors.Is(err, errEnd) {
					t.Fatal(err)
				}
				if got := gaps(disk); len(got) > 0 {
					t.Errorf("gaps %+v", got)
				}
				if missing := disk.Missing(append(all, "evt-after")); len(missing) > 0 || duplicates(disk) > 0 {
					t.Errorf("missing %q, %d twice", missing, duplicates(disk))
				}
			})
		})
	}
}

// TestRefusedThoughKept has Auth0 refuse a cursor whose time it still covers:
// reading goes on there, and not from the oldest event.
func TestRefusedThoughKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 600, time.Minute, time.Minute, false)
		bad := s.ids()[300]
		s.fault = func(_ int, c call) (*auth0.Answer, error) {
			if c.From == bad {
				return nil, badCursor()
			}
			return nil, nil
		}
		disk, end := start(t, poll(s, source.Earliest()), event.Cursor(bad))
		<-time.After(5 * time.Second)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if got := gaps(disk); len(got) > 0 {
			t.Errorf("gaps %+v", got)
		}
		if missing := disk.Missing(s.ids()[301:]); len(missing) > 0 || len(disk.IDs()) > 310 {
			t.Errorf("%d events are missing, %d stored in all", len(missing), len(disk.IDs()))
		}
	})
}

// TestRefusedAndLate has Auth0 refuse a cursor while events within the window for
// late ones are yet to be found: they count all the same.
func TestRefusedAndLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 600, time.Minute, time.Minute, false)
		bad := s.ids()[300]
		s.fault = func(_ int, c call) (*auth0.Answer, error) {
			if c.From == bad {
				return nil, badCursor()
			}
			return nil, nil
		}
		p := source.NewPoll(source.PollConfig{Interval: time.Second, Overlap: 30 * time.Minute}, s, source.Deps{})
		disk, end := start(t, p, event.Cursor(bad))
		<-time.After(5 * time.Second)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if missing := disk.Missing(s.ids()[271:]); len(missing) > 0 {
			t.Errorf("%d events within the window are missing", len(missing))
		}
	})
}

// TestOneRefusalIsAFault has a proxy say 400 once.
func TestOneRefusalIsAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 10, time.Minute, time.Minute, false)
		s.fault = func(n int, _ call) (*auth0.Answer, error) {
			if n == 0 {
				return nil, badCursor()
			}
			return nil, nil
		}
		disk := new(pipelinetest.Pages)
		err := poll(s, source.Earliest()).Run(t.Context(), event.Cursor(s.ids()[0]), disk.Emit)
		if pipeline.Classify(err).Class != pipeline.Transient || len(disk.All()) != 0 || len(s.asked()) != 2 {
			t.Errorf("error %v, pages %+v; want a transient one and none", err, disk.All())
		}
	})
}

// TestEveryCursorRefused has an API that takes none: an error, and no loop.
func TestEveryCursorRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 10, time.Minute, time.Minute, false)
		s.fault = func(_ int, c call) (*auth0.Answer, error) {
			if c.From != "" {
				return nil, badCursor()
			}
			return nil, nil
		}
		disk := new(pipelinetest.Pages)
		for range 5 {
			err := poll(s, source.Earliest()).Run(t.Context(), disk.Cursor(), disk.Emit)
			if !errors.As(err, new(*auth0.Error)) {
				t.Errorf("error %v", err)
			}
		}
		if got := len(s.asked()); got > 30 {
			t.Errorf("%d calls in 5 runs", got)
		}
	})
}
