package transform_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// ofOrg is an event of an organisation and a type.
func ofOrg(org int, typ string, at time.Time) event.Event {
	return event.Event{LogID: "1", Type: typ, Date: at, Raw: fmt.Appendf(nil, `{"organization_id":"org_%d"}`, org)}
}

// mustRoutes makes routes of tenant acme.
func mustRoutes(tb testing.TB, group, stream string, limit int) *transform.Routes {
	tb.Helper()
	r, err := transform.NewRoutes("acme", group, stream, limit)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestRoutesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := mustRoutes(t, "/a/{organization}", "{severity}/{date}", 3)
		others := 0
		r.OnOther = func() { others++ }
		route := func(org int, typ string) string {
			d := r.Route(ofOrg(org, typ, time.Now()))
			return strings.TrimPrefix(d.LogGroup, "/a/") + " " + strings.TrimSuffix(d.LogStream, "/"+time.Now().UTC().Format("2006-01-02"))
		}
		expect := func(org int, typ, want string) {
			t.Helper()
			if got := route(org, typ); got != want {
				t.Errorf("organisation %d, type %s: got %q, want %q", org, typ, got, want)
			}
		}
		expect(1, "s", "org_1 info")
		expect(1, "fp", "org_1 error") // another combination
		expect(2, "s", "org_2 info")
		expect(3, "s", "other info") // what the catalogue bounds is kept
		expect(3, "fp", "other error")
		expect(1, "s", "org_1 info")
		if others != 2 {
			t.Errorf("%d events found no place, want 2", others)
		}
		<-time.After(23 * time.Hour) // another day is no other combination
		expect(1, "s", "org_1 info")
		expect(2, "s", "org_2 info")
		<-time.After(2 * time.Hour)
		expect(3, "s", "org_3 info") // in the place of the one that was not used for a day
		expect(1, "fp", "other error")
		expect(2, "s", "org_2 info")
	})
}

// What is bounded by itself needs no bound: parts of the date, category and severity.
func TestRoutesWithoutOpenValuesAreNotBounded(t *testing.T) {
	t.Parallel()
	r := mustRoutes(t, "/a", "{category}/{hour}", 1)
	for _, typ := range []string{"s", "fp", "seccft"} {
		if d := r.Route(ofOrg(1, typ, day)); strings.Contains(d.LogStream, "other") {
			t.Errorf("type %s goes to %q", typ, d)
		}
	}
	if state, err := r.State(); state != nil || err != nil {
		t.Errorf("state %s, error %v", state, err)
	}
}

func TestRoutesSurviveARestart(t *testing.T) {
	t.Parallel()
	const group, stream = "/a/{tenant}", "{organization}"
	r := mustRoutes(t, group, stream, 3)
	for org := range 3 {
		r.Route(ofOrg(org, "s", day))
	}
	state, err := r.State()
	if err != nil || state == nil {
		t.Fatalf("state %q, error %v", state, err)
	}
	if again, err := r.State(); again != nil || err != nil {
		t.Errorf("nothing new is told as %s, error %v", again, err)
	}
	for name, tt := range map[string]struct {
		stream string
		limit  int
		want   []string
	}{
		"the same":       {stream, 3, []string{"org_9 other", "org_0 org_0", "org_1 org_1", "org_2 org_2"}},
		"a lower limit":  {stream, 2, []string{"org_9 other", "org_0 other", "org_1 org_1", "org_2 org_2"}}, // the last ones used stay
		"a higher limit": {stream, 4, []string{"org_9 org_9", "org_0 org_0", "org_8 other"}},
		"other template": {stream + "x", 3, []string{"org_9 org_9x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := mustRoutes(t, group, tt.stream, tt.limit)
			if err := r.Restore(state); err != nil {
				t.Fatal(err)
			}
			for _, w := range tt.want {
				var org int
				var want string
				if _, err := fmt.Sscanf(w, "org_%d %s", &org, &want); err != nil {
					t.Fatal(err)
				}
				if d := r.Route(ofOrg(org, "s", day)); d.LogStream != want {
					t.Errorf("organisation %d goes to %q, want %q", org, d.LogStream, want)
				}
			}
		})
	}
	if err := r.Restore([]byte("{")); err == nil {
		t.Error("a state that is none was taken")
	}
}

// TestDowntimeFreesNoPlace restarts after two days: who had a log stream finds it,
// though others come first, and one that had not been used for long makes room.
func TestDowntimeFreesNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const group, stream = "/a", "{organization}"
		r := mustRoutes(t, group, stream, 3)
		r.Route(ofOrg(1, "s", day))
		<-time.After(20 * time.Hour)
		r.Route(ofOrg(2, "s", day))
		r.Route(ofOrg(3, "s", day))
		if _, err := r.State(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		r.Route(ofOrg(3, "s", day)) // no new combination, and told all the same
		state, err := r.State()
		if err != nil || state == nil {
			t.Fatalf("state %q, error %v", state, err)
		}
		<-time.After(48 * time.Hour)
		r = mustRoutes(t, group, stream, 3)
		if err := r.Restore(state); err != nil {
			t.Fatal(err)
		}
		expect := func(org int, want string) {
			t.Helper()
			if d := r.Route(ofOrg(org, "s", day)); d.LogStream != want {
				t.Errorf("organisation %d goes to %q, want %q", org, d.LogStream, want)
			}
		}
		expect(9, "other")
		expect(2, "org_2")
		<-time.After(4 * time.Hour)
		expect(9, "org_9") // the first one was not used for 21 hours, and these
		expect(1, "other")
		expect(3, "org_3")
	})
}

// TestRoutesAtTheSameTime has many organisations come at once: no more than the
// bound and one get streams, and each event of one goes where its first did.
func TestRoutesAtTheSameTime(t *testing.T) {
	t.Parallel()
	r := mustRoutes(t, "/a", "{organization}", 50)
	var mu sync.Mutex
	got := make(map[int][]pipeline.Destination)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 600 {
				org := (i + worker*37) % 300
				d := r.Route(ofOrg(org, "s", day))
				mu.Lock()
				got[org] = append(got[org], d)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	streams := make(map[string]bool)
	for org, list := range got {
		if slices.ContainsFunc(list, func(d pipeline.Destination) bool { return d != list[0] }) {
			t.Errorf("organisation %d went to %v", org, list)
		}
		streams[list[0].LogStream] = true
	}
	if len(streams) != 51 || !streams["other"] {
		t.Errorf("%d streams were made, want 50 and the one of all others", len(streams))
	}
}

func BenchmarkRoute(b *testing.B) {
	e := ofOrg(1, "fp", day)
	for name, stream := range map[string]string{"fixed": "logs", "date": "{date}", "organization": "{date}/{organization}"} {
		b.Run(name, func(b *testing.B) {
			r := mustRoutes(b, "/auth0/{tenant}", stream, 200)
			b.ReportAllocs()
			for b.Loop() {
				r.Route(e)
			}
		})
	}
}
