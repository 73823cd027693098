package tenant_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

// pushed runs live traffic against a receiver under faults, until all of it has
// been pushed, and returns the tenant's events, what came and the counts.
func pushed(t *testing.T, opts tenant.StreamOptions, r *receiver) (all []string, counts tenant.StreamStats) {
	t.Helper()
	opts.HTTPClient = r.client()
	s := start(t, tenant.Options{Seed: 7, Streams: opts})
	id := stream(t, s, toHook)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := s.Run(ctx, 10); err != nil {
		t.Fatal(err)
	}
	settle(time.Hour)
	counts = countsOf(s, id)
	if counts.Queued != 0 {
		t.Fatalf("not all was pushed: %+v", counts)
	}
	return idsOf(t, s), counts
}

// unique returns how often each id came.
func unique(ids []string) map[string]int {
	n := make(map[string]int)
	for _, id := range ids {
		n[id]++
	}
	return n
}

// inverted is how many neighbours are not in order.
func inverted(ids []string) (n int) {
	for i := 1; i < len(ids); i++ {
		if ids[i] < ids[i-1] {
			n++
		}
	}
	return n
}

// between fails the test unless n lies around share of all.
func between(t *testing.T, what string, n, all int, share float64) {
	t.Helper()
	if got := float64(n) / float64(all); got < share*0.6 || got > share*1.4 {
		t.Errorf("%d %s of %d, not about %v", n, what, all, share)
	}
}

func TestDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		all, c := pushed(t, tenant.StreamOptions{Faults: tenant.PushFaults{Duplicates: 0.1}}, r)
		ids := r.ids(t)
		if n := unique(ids); len(n) != len(all) || len(ids) != len(all)+c.Duplicates || c.Delivered != len(ids) {
			t.Errorf("%d events, %d pushed, %d of them different: %+v", len(all), len(ids), len(n), c)
		}
		between(t, "duplicates", c.Duplicates, len(all), 0.1)
		for _, p := range r.got() { // a duplicate comes in a later request, not beside the first
			page, err := event.ParsePage(p.body, p.at)
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]bool)
			for _, ev := range page.Events {
				if seen[ev.LogID] {
					t.Errorf("%s is twice in one request", ev.LogID)
				}
				seen[ev.LogID] = true
			}
		}
	})
}

func TestHolesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		all, c := pushed(t, tenant.StreamOptions{Faults: tenant.PushFaults{Holes: 0.1}}, r)
		if ids := r.ids(t); len(ids) != len(all)-c.Holes || len(unique(ids)) != len(ids) {
			t.Errorf("%d events, %d pushed: %+v", len(all), len(ids), c)
		}
		between(t, "holes", c.Holes, len(all), 0.1)
	})
}

func TestReorderingGoesAcrossRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		all, c := pushed(t, tenant.StreamOptions{Faults: tenant.PushFaults{Reordered: 0.1}}, r)
		ids := r.ids(t)
		if len(unique(ids)) != len(all) || len(ids) != len(all) {
			t.Errorf("%d events, %d pushed", len(all), len(ids))
		}
		within, across := 0, 0
		last := ""
		for _, p := range r.got() {
			one := &receiver{pushes: []push{p}}
			list := one.ids(t)
			within += inverted(list)
			if low := slices.Min(list); low < last {
				across++
			}
			last = max(last, slices.Max(list))
		}
		if within == 0 || across == 0 {
			t.Errorf("%d inversions within requests, %d across", within, across)
		}
		between(t, "reordered", c.Reordered, len(all), 0.1)
	})
}

func TestBursts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		all, c := pushed(t, tenant.StreamOptions{BatchSize: 10, Faults: tenant.PushFaults{Bursts: 0.2}}, r)
		if ids := r.ids(t); !slices.Equal(ids, all) {
			t.Errorf("%d events, %d pushed", len(all), len(ids))
		}
		large, largest := 0, 0
		for _, p := range r.got() {
			n := bytes.Count(p.body, []byte("\n"))
			if largest = max(largest, n); n > 10 {
				large++
			}
		}
		if large < c.Bursts-1 || large > c.Bursts || c.Bursts == 0 { // in the end there may be little to gather
			t.Errorf("%d large requests, %d bursts", large, c.Bursts)
		}
		if largest < 90 || largest > 100 {
			t.Errorf("the largest request holds %d events", largest)
		}
	})
}

// An answer that the tenant takes for none makes it push the same again.
func TestRepeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		all, c := pushed(t, tenant.StreamOptions{Faults: tenant.PushFaults{Repeats: 0.3}}, r)
		ids := r.ids(t)
		if len(unique(ids)) != len(all) || len(ids) <= len(all) || c.Delivered != len(all) {
			t.Errorf("%d events, %d pushed: %+v", len(all), len(ids), c)
		}
		if c.Failed != c.Repeats || c.Tries != len(r.got()) {
			t.Errorf("counts %+v", c)
		}
		between(t, "repeats", c.Repeats, c.Tries, 0.3)
	})
}

// Bad bodies are what they are called, and what they lose is bounded by Spoiled.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults tenant.PushFaults
		bad    func(body []byte, page event.Page, err error) bool
		count  func(tenant.StreamStats) int
	}{
		"truncated": {
			tenant.PushFaults{Truncated: 0.2},
			func(_ []byte, page event.Page, _ error) bool { return len(page.Unreadable) == 1 },
			func(c tenant.StreamStats) int { return c.Truncated },
		},
		"broken": {
			tenant.PushFaults{Broken: 0.2},
			func(_ []byte, page event.Page, err error) bool { return err == nil && len(page.Unreadable) == 1 },
			func(c tenant.StreamStats) int { return c.Broken },
		},
		"not JSON": {
			tenant.PushFaults{NotJSON: 0.2},
			func(body []byte, _ event.Page, err error) bool {
				return errors.Is(err, event.ErrNoEvents) && bytes.HasPrefix(body, []byte("<html>"))
			},
			func(c tenant.StreamStats) int { return c.NotJSON },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := new(receiver)
				all, counts := pushed(t, tenant.StreamOptions{Faults: c.faults}, r)
				bad, came := 0, make(map[string]int)
				for _, p := range r.got() {
					page, err := event.ParsePage(p.body, p.at)
					switch {
					case c.bad(p.body, page, err):
						bad++
					case err != nil || len(page.Unreadable) > 0:
						t.Errorf("%v, %d unreadable in %s", err, len(page.Unreadable), p.body)
					}
					for _, ev := range page.Events {
						came[ev.LogID]++
					}
				}
				if bad != c.count(counts) || bad == 0 {
					t.Errorf("%d bad bodies, counted %+v", bad, counts)
				}
				if lost := len(all) - len(came); lost == 0 || lost > counts.Spoiled || counts.Delivered != len(all) {
					t.Errorf("%d events lost: %+v", lost, counts)
				}
				between(t, name, bad, counts.Tries, 0.2)
			})
		})
	}
}

// A receiver that refuses bad bodies loses nothing.
func TestBadBodiesThatAreRefusedComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		r.refuse = func(n int) bool {
			page, err := event.ParsePage(r.pushes[n].body, time.Now())
			return err != nil || len(page.Unreadable) > 0
		}
		all, c := pushed(t, tenant.StreamOptions{Faults: tenant.PushFaults{Truncated: 0.1, Broken: 0.1, NotJSON: 0.1}}, r)
		var ids []string
		for _, p := range r.got() {
			if page, err := event.ParsePage(p.body, p.at); err == nil && len(page.Unreadable) == 0 {
				ids = append(ids, (&receiver{pushes: []push{p}}).ids(t)...)
			}
		}
		if !slices.Equal(ids, all) || c.Spoiled != 0 || c.Truncated == 0 || c.Broken == 0 || c.NotJSON == 0 || c.Failed != c.Truncated+c.Broken+c.NotJSON {
			t.Errorf("%d events, %d taken: %+v", len(all), len(ids), c)
		}
	})
}

// A slow body takes its time, and one that is too slow is a failed try.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for slow, want := range map[time.Duration]time.Duration{
		4 * time.Second:  5 * time.Second,
		20 * time.Second: 0, // beyond the timeout
	} {
		synctest.Test(t, func(t *testing.T) {
			r := new(receiver)
			s := start(t, tenant.Options{Streams: tenant.StreamOptions{HTTPClient: r.client(), Faults: tenant.PushFaults{Slow: 1, SlowFor: slow}}})
			id := stream(t, s, toHook)
			began := time.Now()
			history(t, s, 9)
			settle(35 * time.Second)
			if err := s.SetPushFaults(tenant.PushFaults{}); err != nil {
				t.Fatal(err)
			}
			c := s.Stats().Streams[id]
			if want == 0 {
				if c.Failed != 3 || c.Slow != 3 || len(r.got()) != 0 || !strings.HasSuffix(c.LastError, context.DeadlineExceeded.Error()) {
					t.Errorf("counts %+v", c)
				}
				settle(2 * time.Minute)
			} else if got := r.got()[0].at.Sub(began); got != want || c.Slow != 1 {
				t.Errorf("came after %s: %+v", got, c)
			}
			if got := r.ids(t); len(got) != 9 {
				t.Errorf("%d events came", len(got))
			}
		})
	}
}

// The same seed does the same wrong to the same events, however they come
// together in requests.
func TestPushFaultsDependOnTheSeedAlone(t *testing.T) {
	t.Parallel()
	run := func(size int) (ids []string, counts tenant.StreamStats) {
		synctest.Test(t, func(t *testing.T) {
			r := new(receiver)
			_, counts = pushed(t, tenant.StreamOptions{BatchSize: size, Faults: tenant.PushFaults{
				Duplicates: 0.1, Holes: 0.1, Reordered: 0.2, Bursts: 0.1, Slow: 0.1, SlowFor: time.Second,
			}}, r)
			ids = r.ids(t)
		})
		return ids, counts
	}
	ids, counts := run(100)
	again, countsAgain := run(30)
	if diff := cmp.Diff(unique(ids), unique(again)); diff != "" {
		t.Errorf("how often each event came (-first +second):\n%s", diff)
	}
	if counts.Duplicates != countsAgain.Duplicates || counts.Holes != countsAgain.Holes || counts.Reordered != countsAgain.Reordered {
		t.Errorf("counts %+v and %+v", counts, countsAgain)
	}
}

// bus is an event bus that fails where it is told to.
type bus struct {
	mu     sync.Mutex
	events [][]byte
	fail   func(n int) bool // n counts from 0
	calls  int
}

func (b *bus) PutEvents(_ context.Context, events [][]byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	b.events = append(b.events, events...)
	if b.fail != nil && b.fail(b.calls-1) {
		return errors.New("the bus is full")
	}
	return nil
}

const toBus = `{"type":"eventbridge","sink":{"awsAccountId":"123412341234","awsRegion":"eu-west-1"}}`

// The envelope is EventBridge's, with another id for each delivery.
func TestEventBridge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bus{fail: func(n int) bool { return n < 2 }}
		s := start(t, tenant.Options{Streams: tenant.StreamOptions{Bus: b}})
		id := stream(t, s, toBus)
		if err := s.Append([]byte(`{"log_id":"a","type":"s","_id":"a"}`)); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		source := gjson.GetBytes(login(t, s).get("/api/v2/log-streams/"+id).body, "sink.awsPartnerEventSource").String()
		ids := make(map[string]bool)
		for i, raw := range b.events {
			eventID := gjson.GetBytes(raw, "id").String()
			ids[eventID] = true
			at := time.Date(2000, 1, 1, 0, 0, []int{1, 2, 4}[i], 0, time.UTC).Format(time.RFC3339)
			want := fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"Auth0 log","source":%q,"account":"123412341234","time":%q,"region":"eu-west-1",`+
				`"resources":[],"detail":{"log_id":"a","data":{"log_id":"a","type":"s"}}}`, eventID, source, at)
			if diff := cmp.Diff(want, string(raw)); diff != "" {
				t.Errorf("event %d (-want +got):\n%s", i, diff)
			}
		}
		if len(b.events) != 3 || len(ids) != 3 {
			t.Errorf("%d events, %d ids", len(b.events), len(ids))
		}
		if diff := cmp.Diff(tenant.StreamStats{Status: "active", Queued: 1, Tries: 3, Failed: 2, Delivered: 1}, countsOf(s, id)); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff) // the login's own event is queued
		}
	})
}

// Auth0 gives events up that no bus takes.
func TestEventBridgeDrops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bus  tenant.EventBus
		want tenant.StreamStats
	}{
		"failing bus": {&bus{fail: func(n int) bool { return n < 3 }}, tenant.StreamStats{
			Status: "active", Tries: 4, Failed: 3, Dropped: 2, Delivered: 1, LastError: "put events: the bus is full",
		}},
		"pending source": {nil, tenant.StreamStats{
			Status: "active", Tries: 2, Failed: 2, Dropped: 3, LastError: "the partner event source is pending: it has no event bus",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, tenant.Options{Streams: tenant.StreamOptions{Bus: c.bus}})
				id := stream(t, s, toBus)
				history(t, s, 2)
				settle(time.Minute)
				history(t, s, 1)
				settle(time.Minute)
				if diff := cmp.Diff(c.want, s.Stats().Streams[id]); diff != "" {
					t.Errorf("counts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPushFaultsAreAdministered(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	c := newClient(t, s)
	const (
		none = `OK {"duplicates":0,"holes":0,"reordered":0,"bursts":0,"repeats":0,"truncated":0,"broken":0,"not_json":0,"slow":0,"slow_for":"0s"}`
		some = `OK {"duplicates":0,"holes":0.5,"reordered":0,"bursts":0,"repeats":0,"truncated":0,"broken":0,"not_json":1,"slow":0,"slow_for":"2s"}`
	)
	for _, step := range []struct{ method, body, want string }{
		{http.MethodGet, "", none},
		{http.MethodPut, `{"holes":0.5,"not_json":1,"slow_for":"2s"}`, some},
		{http.MethodPut, `{"hole":1}`, "Bad Request"},
		{http.MethodPut, `{"holes":1.5}`, "Bad Request"},
		{http.MethodPut, `{"holes":-1}`, "Bad Request"},
		{http.MethodPut, `{"slow_for":"soon"}`, "Bad Request"},
		{http.MethodPut, `{"slow_for":"-1s"}`, "Bad Request"},
		{http.MethodPut, `{"truncated":0.5,"broken":0.6}`, "Bad Request"},
		{http.MethodPut, `[`, "Bad Request"},
		{http.MethodPost, `{}`, "Method Not Allowed"},
		{http.MethodGet, "", some},
		{http.MethodDelete, "", none},
	} {
		if got := c.request(step.method, "/_emulator/push-faults", "application/json", step.body).text(); !strings.HasPrefix(got, step.want) {
			t.Errorf("%s %s: %s", step.method, step.body, got)
		}
	}
	want := tenant.PushFaults{Duplicates: 0.1, Holes: 0.2, Reordered: 0.3, Bursts: 0.4, Repeats: 0.5, Truncated: 0.1, Broken: 0.2, NotJSON: 0.3, Slow: 0.9, SlowFor: time.Second}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got tenant.PushFaults
	if err := json.Unmarshal(data, &got); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := tenant.New(tenant.Options{Streams: tenant.StreamOptions{Faults: tenant.PushFaults{Holes: 2}}}); err == nil {
		t.Error("a share of 2 was taken")
	}
}
