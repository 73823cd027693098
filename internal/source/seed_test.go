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

// from parses a start.
func from(t *testing.T, text string) source.StartFrom {
	t.Helper()
	s, err := source.ParseStartFrom(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// poll makes a poll that starts somewhere, without overlap.
func poll(t *testing.T, s *fakeAuth0, start string) *source.Poll {
	t.Helper()
	return source.NewPoll(source.PollConfig{StartFrom: from(t, start)}, s, source.Deps{})
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
	starts := map[string]int{ // how many events count
		"earliest": 250, "latest": 0, "90m": 31, "1999-12-31T22:30:00Z": 31, "1d": 250, "2h": 61, "30m": 0, "1999-12-31": 250,
	}
	for kind, shape := range kinds {
		for text, want := range starts {
			for _, opaque := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s from %s opaque %t", kind, text, opaque), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := new(fakeAuth0)
						history(s, 250, time.Minute, time.Hour, opaque)
						shape(s)
						ids := s.ids()
						disk, end := start(t, poll(t, s, text), "")
						<-time.After(10 * time.Second)
						s.add(realID(time.Now(), 1000), time.Now())
						ids = append(ids, s.ids()[250])
						<-time.After(10 * time.Second)
						if err := end(); !errors.Is(err, errEnd) {
							t.Fatal(err)
						}
						if diff := cmp.Diff(slices.Sorted(slices.Values(ids[250-want:])), disk.IDs()); diff != "" {
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
		disk, end := start(t, poll(t, s, at.Format(time.RFC3339)), "")
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
		start  string
		before int
		want   int // of the events before the first start
	}{
		"latest":          {"latest", 10, 0},
		"latest of none":  {"latest", 0, 0},
		"duration":        {"5m", 10, 4},
		"duration, none":  {"5m", 0, 0},
		"earliest, none":  {"earliest", 0, 0},
		"duration, older": {"30s", 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(fakeAuth0)
				history(s, tt.before, time.Minute, time.Minute+time.Second, false)
				disk, end := start(t, poll(t, s, tt.start), "")
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
				end = startOn(t, poll(t, s, tt.start), disk.Cursor(), disk)
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
			disk, end := start(t, poll(t, s, "330s"), "")
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
		disk, end := start(t, poll(t, s, "earliest"), "")
		<-time.After(time.Minute)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		if missing := disk.Missing(s.ids()); len(missing) > 0 {
			t.Errorf("%d events are missing: %v", len(missing), missing)
		}
	})
}

func TestParseStartFrom(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "earliest",
		"earliest":                  "earliest",
		"latest\n":                  "latest",
		"2020-11-01T10:00:00Z":      "2020-11-01T10:00:00Z",
		"2020-11-01T10:00:00+09:00": "2020-11-01T01:00:00Z",
		"2020-11-01":                "2020-11-01T00:00:00Z",
		"24h":                       "24h0m0s",
		"7d":                        "168h0m0s",
		"1w1d1.5h":                  "193h30m0s",
		"90020201101100000000000000000000000000000000000000000000": "90020201101100000000000000000000000000000000000000000000",
		"evt-000001": "evt-000001",
		"123":        "123",
	} {
		got, err := source.ParseStartFrom(text)
		if err != nil || got.String() != want {
			t.Errorf("%q: %q, error %v; want %q", text, got, err, want)
			continue
		}
		if again, err := source.ParseStartFrom(got.String()); err != nil || again != got {
			t.Errorf("%q reads back as %v, error %v", got, again, err)
		}
	}
}

func TestParseStartFromRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"yesterday":            `start_from "yesterday" is not understood: use "earliest", "latest"`,
		"Latest":               "is not understood",
		"now":                  "is not understood",
		"2 days":               "is not understood",
		"@start":               "is not understood",
		"2999-01-01":           "lies in the future",
		"2999-01-01T00:00:00Z": "lies in the future",
		"2020-13-01":           "is no RFC 3339 time",
		"2020/11/01":           "is no RFC 3339 time",
		"2020-11-01T10:00:00":  "with Z or an offset",
		"2020-11-01 10:00:00":  "is no RFC 3339 time",
		"-24h":                 "has a sign: write 24h",
		"+7d":                  "has a sign",
		"-5":                   "is not understood",
		"0s":                   "is no time at all",
		"100000d":              "is too long",
		"99999999999999999h":   "is too long",
		"24":                   "lacks a unit, such as 24h or 24d",
	} {
		_, err := source.ParseStartFrom(text)
		if err == nil {
			t.Errorf("%q: no error", text)
			continue
		}
		if got := err.Error(); !contains(got, want) {
			t.Errorf("%q: error %q does not say %q", text, got, want)
		}
	}
}
