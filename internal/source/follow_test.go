package source_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
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

func contains(s, part string) bool { return strings.Contains(s, part) }

// TestBacklogIsReadWithoutPause counts the calls: one search, one call for each
// page, one that finds the end.
func TestBacklogIsReadWithoutPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 5000, time.Second, time.Hour, false)
		began := time.Now()
		disk, end := start(t, poll(s, source.Earliest()), "")
		synctest.Wait() // without any time passing
		if missing := disk.Missing(s.ids()); len(missing) > 0 || time.Since(began) != 0 {
			t.Errorf("%d events are missing after %s", len(missing), time.Since(began))
		}
		pages := disk.All()
		if last := pages[len(pages)-1]; !last.CaughtUp || !last.Empty() || last.Cursor != "" {
			t.Errorf("the last page is %+v, want an empty one that says caught up", last)
		}
		for _, p := range pages[:len(pages)-1] {
			if p.CaughtUp {
				t.Error("a page of the backlog says caught up")
			}
		}
		if calls := len(s.asked()); calls != 1+50+1 {
			t.Errorf("%d calls, want 52", calls)
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
}

// TestPollHurries has a poll with a long interval told to hurry while it waits, and
// to be patient again.
func TestPollHurries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 3, time.Second, time.Hour, false)
		var hurry atomic.Bool
		p := source.NewPoll(source.PollConfig{Interval: time.Hour, Hurry: hurry.Load}, s, source.Deps{})
		_, end := start(t, p, event.Cursor(s.ids()[2]))
		calls := func(d time.Duration) int {
			s.asked()
			<-time.After(d)
			synctest.Wait()
			return len(s.asked())
		}
		synctest.Wait()
		if n := calls(30 * time.Minute); n != 0 {
			t.Errorf("%d calls while it should wait for an hour", n)
		}
		hurry.Store(true)
		if n := calls(65 * time.Second); n < 60 || n > 65 {
			t.Errorf("%d calls in 65 seconds of hurry", n)
		}
		hurry.Store(false)
		calls(time.Second)
		if n := calls(10 * time.Hour); n != 10 {
			t.Errorf("%d calls in the ten hours after it", n)
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
}

// TestPollsEachInterval pins when a tenant that has been read to its end is
// asked, and that news costs no more calls than silence.
func TestPollsEachInterval(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		interval, pace, skew time.Duration
		want                 int // calls in a minute
	}{
		"default":           {0, 0, 0, 60},
		"slower":            {5 * time.Second, 0, 0, 12},
		"rate limit":        {time.Second, 3 * time.Second, 0, 20},
		"clock hours ahead": {time.Second, 0, 5 * time.Hour, 60},
		"clock hours late":  {time.Second, 0, -5 * time.Hour, 60},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " busy ", busy), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &fakeAuth0{pace: tt.pace, skew: tt.skew}
					history(s, 3, time.Second, time.Hour, false)
					p := source.NewPoll(source.PollConfig{Interval: tt.interval}, s, source.Deps{})
					_, end := start(t, p, event.Cursor(s.ids()[2]))
					<-time.After(10 * time.Millisecond)
					s.asked()
					for i := range 60 {
						if busy {
							now := time.Now().Add(tt.skew)
							s.add(realID(now, 100+i), now)
						}
						<-time.After(time.Second)
					}
					if got := len(s.asked()); got != tt.want {
						t.Errorf("%d calls in a minute, want %d", got, tt.want)
					}
					if err := end(); !errors.Is(err, errEnd) {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestServedFewer has an API that serves half of what it is asked for, of events
// that have just happened: they are no reason to wait for each page.
func TestServedFewer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeAuth0{served: 50}
		history(s, 2000, time.Millisecond, time.Second, false)
		disk, end := start(t, poll(s, source.Earliest()), "")
		<-time.After(2 * time.Second)
		if missing := disk.Missing(s.ids()); len(missing) > 0 {
			t.Errorf("%d events are missing after two seconds", len(missing))
		}
		s.asked()
		for i := range 600 { // now ten at a time, of which nothing can be concluded
			s.add(realID(time.Now(), 5000+i), time.Now())
			if i%10 == 9 {
				<-time.After(time.Second)
			}
		}
		if got := len(s.asked()); got > 62 {
			t.Errorf("%d calls in a minute", got)
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
}

// TestEmitErrorIsReturned checks that the page comes again and that the one read
// ahead is not used.
func TestEmitErrorIsReturned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 300, time.Second, time.Hour, false)
		full := fmt.Errorf("store page: %w", pipeline.ErrBufferFull)
		refuse := true
		disk := &pipelinetest.Pages{Fault: func(context.Context, int, event.Page) error {
			if refuse {
				return full
			}
			return nil
		}}
		p := poll(s, source.Earliest())
		first := event.Cursor(s.ids()[0])
		if err := p.Run(t.Context(), first, disk.Emit); !errors.Is(err, pipeline.ErrBufferFull) || pipeline.Classify(err).Class != pipeline.Throttled {
			t.Errorf("error %v", err)
		}
		refuse = false
		end := startOn(t, p, first, disk)
		synctest.Wait()
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
		if diff := cmp.Diff(s.ids()[1:], disk.IDs()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// TestClasses pins what each error of the API tells the loop around the source.
func TestClasses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[auth0.Kind]pipeline.Class{
		auth0.Transient: pipeline.Transient, auth0.Throttled: pipeline.Throttled, auth0.Unauthorized: pipeline.Unauthorized,
		auth0.Forbidden: pipeline.Unauthorized, auth0.Misconfigured: pipeline.Misconfigured, auth0.BadRequest: pipeline.Transient,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cause := &auth0.Error{Op: "fetch logs", Status: 499, Kind: kind, RetryAfter: 7 * time.Second, Hint: "Do this."}
				s := &fakeAuth0{fault: func(int, call) (*auth0.Answer, error) { return nil, cause }}
				disk := new(pipelinetest.Pages)
				err := poll(s, source.Earliest()).Run(t.Context(), "evt-1", disk.Emit)
				got := pipeline.Classify(err)
				if got.Class != want || got.RetryAfter != cause.RetryAfter || got.Hint != cause.Hint || !errors.Is(err, cause) {
					t.Errorf("error %v, classified as %+v; want class %s", err, got, want)
				}
				if err.Error() != cause.Error() {
					t.Errorf("text %q, want %q", err, cause)
				}
				if len(s.asked()) != 1 || len(disk.All()) != 0 {
					t.Error("want one call and no page")
				}
			})
		})
	}
}

// TestErrorBehindAPage has the page ahead fail: the one before is stored first.
func TestErrorBehindAPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 300, time.Second, time.Hour, false)
		s.fault = func(n int, _ call) (*auth0.Answer, error) {
			if n == 1 {
				return nil, serverError(503)
			}
			return nil, nil
		}
		disk := new(pipelinetest.Pages)
		err := poll(s, source.Earliest()).Run(t.Context(), event.Cursor(s.ids()[0]), disk.Emit)
		if pipeline.Classify(err).Class != pipeline.Transient || string(disk.Cursor()) != s.ids()[100] {
			t.Errorf("error %v, cursor %s; want a transient one behind the first page", err, disk.Cursor())
		}
	})
}

// TestTooLargePages halves the page until it fits, and asks for whole ones again
// when it has caught up.
func TestTooLargePages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 120, time.Second, time.Hour, false)
		s.fault = func(_ int, c call) (*auth0.Answer, error) {
			if c.Take > 30 && time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) < time.Second {
				return nil, &auth0.Error{Op: "fetch logs", Err: auth0.ErrTooLarge}
			}
			return nil, nil
		}
		disk, end := start(t, poll(s, source.Earliest()), event.Cursor(s.ids()[0]))
		<-time.After(90 * time.Second)
		if missing := disk.Missing(s.ids()[1:]); len(missing) > 0 {
			t.Errorf("%d events are missing", len(missing))
		}
		calls := s.asked()
		if got := calls[len(calls)-1].Take; got != 100 {
			t.Errorf("asks for %d events in the end, want 100", got)
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
}

// TestOnePageForEver has the API answer every request with the same page: no
// hot loop, no loss, and the end is announced only when it says so twice.
func TestOnePageForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 250, time.Second, time.Hour, false)
		stuck := &auth0.Answer{Next: s.ids()[100], Page: event.Page{Events: append([]event.Event(nil), s.log[1:101]...), Unreadable: []event.Unreadable{{Raw: []byte("?"), Reason: "not valid JSON"}}}}
		s.fault = func(int, call) (*auth0.Answer, error) { again := *stuck; return &again, nil }
		disk, end := start(t, poll(s, source.Earliest()), event.Cursor(s.ids()[0]))
		<-time.After(time.Minute)
		if got := len(s.asked()); got > 65 {
			t.Errorf("%d calls in a minute", got)
		}
		unreadable := 0
		for _, p := range disk.All() {
			unreadable += len(p.Unreadable)
		}
		if n := duplicates(disk); n > 0 || unreadable > 2 {
			t.Errorf("%d events twice, %d unreadable records", n, unreadable)
		}
		if got, want := string(disk.Cursor()), s.ids()[100]; got != want {
			t.Errorf("cursor %s, want %s", got, want)
		}
		s.mu.Lock()
		s.fault = nil
		s.mu.Unlock()
		<-time.After(5 * time.Second)
		if missing := disk.Missing(s.ids()[1:]); len(missing) > 0 {
			t.Errorf("%d events are missing after the recovery", len(missing))
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
}

// TestARepeatedPageIsNotTheEnd has one answer repeat the page before: nobody may
// be told that the tenant has been read to its end.
func TestARepeatedPageIsNotTheEnd(t *testing.T) {
	t.Parallel()
	for _, back := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			s := new(fakeAuth0)
			history(s, 450, time.Second, time.Hour, false)
			s.fault = func(n int, _ call) (*auth0.Answer, error) {
				if n == 3 {
					i := 300 - back*100
					return &auth0.Answer{Next: s.log[i+100].LogID, Page: event.Page{Events: s.log[i+1 : i+101]}}, nil
				}
				return nil, nil
			}
			disk, end := start(t, poll(s, source.Earliest()), event.Cursor(s.ids()[0]))
			<-time.After(10 * time.Second)
			if err := end(); !errors.Is(err, errEnd) {
				t.Error(err)
			}
			stored := 0
			for _, p := range disk.All() {
				stored += len(p.Events)
				if p.CaughtUp && stored < 449 {
					t.Fatalf("caught up announced after %d of 449 events", stored)
				}
			}
			if stored != 449 {
				t.Errorf("%d events, want 449", stored)
			}
		})
	}
}

// TestUnreadableRecordsComeAlong checks that a broken record harms none of its
// neighbours.
func TestUnreadableRecordsComeAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeAuth0{unreadable: []event.Unreadable{{Raw: []byte("7"), Reason: "not a JSON object"}}}
		history(s, 3, time.Second, time.Hour, false)
		disk, end := start(t, poll(s, source.Earliest()), event.Cursor(s.ids()[0]))
		<-time.After(time.Minute)
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
		page := disk.All()[0]
		if len(page.Events) != 2 || len(page.Unreadable) != 1 || string(page.Cursor) != s.ids()[2] {
			t.Errorf("page %+v", page)
		}
	})
}

// TestEventsWithoutIDs follows a log whose events carry none but by its links.
func TestEventsWithoutIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, err := event.Parse([]byte(`{"type":"s"}`), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s := &fakeAuth0{fault: func(_ int, c call) (*auth0.Answer, error) {
			if c.From == "page-1" {
				return &auth0.Answer{Next: "page-2", Page: event.Page{Events: []event.Event{e}}}, nil
			}
			return &auth0.Answer{Next: c.From}, nil
		}}
		disk, end := start(t, poll(s, source.Earliest()), "page-1")
		<-time.After(5 * time.Second)
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
		if got := disk.IDs(); len(got) != 1 || got[0] != e.LogID || disk.Cursor() != "page-2" {
			t.Errorf("events %q, cursor %s", got, disk.Cursor())
		}
	})
}

func TestForeignCursor(t *testing.T) {
	t.Parallel()
	for _, cursor := range []event.Cursor{"@since 2026-11-01T00:00:00Z", "@since yesterday evt-1", "@start soon"} {
		err := poll(new(fakeAuth0), source.Earliest()).Run(t.Context(), cursor, new(pipelinetest.Pages).Emit)
		if pipeline.Classify(err).Class != pipeline.Misconfigured || !contains(err.Error(), "read cursor") {
			t.Errorf("cursor %q: error %v", cursor, err)
		}
	}
}

func ExampleNewPoll() {
	s := new(fakeAuth0)
	s.add("evt-1", time.Now().Add(-2*time.Hour))
	s.add("evt-2", time.Now().Add(-time.Hour))
	poll := source.NewPoll(source.DefaultPollConfig(), s, source.Deps{})
	ctx, stop := context.WithCancel(context.Background())
	err := poll.Run(ctx, "evt-1", func(_ context.Context, p event.Page) error {
		for _, e := range p.Events {
			fmt.Println(e.LogID)
		}
		if p.CaughtUp {
			stop()
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// evt-2
	// context canceled
}
