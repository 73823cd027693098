package source_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/source"
)

// TestNextThatLeadsAstray has every answer name the same next page, for more pages
// than the poll remembers. Real ids show that it is an old one, or that it lies
// behind events that have not come; with opaque ones the poll may go in a circle, but
// with pauses, and no longer than the fault lasts.
func TestNextThatLeadsAstray(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opaque bool
		next   int
	}{"back": {false, 5}, "forward": {false, 20}, "back, opaque ids": {true, 5}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(fakeAuth0)
				history(s, 500, time.Second, time.Hour, tt.opaque)
				ids := s.ids()
				s.fault = func(_ int, c call) (*auth0.Answer, error) {
					i := slices.Index(ids, c.From)
					if i < 0 || i+1 == len(ids) {
						return nil, nil
					}
					s.mu.Lock()
					defer s.mu.Unlock()
					return &auth0.Answer{Next: ids[tt.next], Page: event.Page{Events: slices.Clone(s.log[i+1 : min(i+11, len(ids))])}}, nil
				}
				disk, end := start(t, poll(s, source.Earliest()), event.Cursor(ids[0]))
				<-time.After(10 * time.Minute)
				if got := len(s.asked()); got > 700 {
					t.Errorf("%d calls in ten minutes", got)
				}
				if !tt.opaque && len(disk.Missing(ids[1:])) > 0 {
					t.Errorf("%d events are missing while the fault lasts", len(disk.Missing(ids[1:])))
				}
				s.mu.Lock()
				s.fault = nil
				s.mu.Unlock()
				<-time.After(5 * time.Minute)
				if missing := disk.Missing(ids[1:]); len(missing) > 0 {
					t.Errorf("%d events are missing after it", len(missing))
				}
				if err := end(); !errors.Is(err, errEnd) {
					t.Error(err)
				}
			})
		})
	}
}
