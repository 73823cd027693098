package app_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A streamed world has one tenant that is polled, and that pushes by a log stream
// of its own.
type streamed struct {
	*world
	*site

	client *http.Transport // of the tenant
	stream string          // its id
}

// newStreamed makes a world whose tenant has no log stream yet.
func newStreamed(tb rapid.TB, dir string) *streamed {
	tb.Helper()
	w := newWorld(tb, dir, tenant.Unlimited)
	s := &streamed{world: w}
	s.client = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.door.dial(ctx) }}
	w.add(tb, tenant.Options{TenantName: "dev", Plan: tenant.Unlimited, Streams: tenant.StreamOptions{
		HTTPClient: &http.Client{Transport: s.client}, LoopbackHTTP: true,
	}})
	s.site = w.sites[0]
	w.pushTo(tb)
	w.cfg.Tenants[0].PollInterval = config.PushedPollInterval
	return s
}

// close ends everything.
func (s *streamed) close(ctx context.Context, tb rapid.TB) {
	tb.Helper()
	s.world.close(ctx, tb)
	s.client.CloseIdleConnections()
}

// connect makes the log stream. An App must have been started.
func (s *streamed) connect(tb rapid.TB) {
	tb.Helper()
	var err error
	s.stream, err = s.tenant.CreateLogStream(fmt.Appendf(nil,
		`{"type":"http","sink":{"httpEndpoint":"http://127.0.0.1/v1/tenants/dev/logs","httpAuthorization":%q}}`, s.door.token))
	if err != nil {
		tb.Fatal(err)
	}
}

// fail says what goes wrong with pushing from now on.
func (s *streamed) fail(tb rapid.TB, f tenant.PushFaults) {
	tb.Helper()
	if err := s.tenant.SetPushFaults(f); err != nil {
		tb.Fatal(err)
	}
}

// pushed returns what was done on the stream.
func (s *streamed) pushed() tenant.StreamStats { return s.tenant.Stats().Streams[s.stream] }

// polls counts the reads of the log so far.
func (s *streamed) polls() int { return s.tenant.Stats().Requests["GET /api/v2/logs"] }

// state returns the figures of the tenant.
func (s *streamed) state(ctx context.Context, tb rapid.TB) web.Tenant {
	tb.Helper()
	return s.overview(ctx, tb, "dev")
}

// silent reports whether it is told that the push is silent, and by readyz too.
func (s *streamed) silent(ctx context.Context, tb rapid.TB) bool {
	tb.Helper()
	told := false
	for _, x := range s.state(ctx, tb).Troubles {
		if x.Part != "push" || x.Hint == "" {
			tb.Errorf("trouble %+v", x)
		}
		told = true
	}
	status, body := s.readiness(ctx, tb)
	if ready := status == http.StatusOK; ready == told || told != strings.Contains(body, "nothing is pushed") {
		tb.Errorf("troubled %t, and readyz answers %d %q", told, status, body)
	}
	return told
}

// compareIDs checks that the destination holds each event of the tenant once, by
// its log_id and under its date, in the form in which the Management API gives it
// or in that of the push, and that a push has brought some first.
func (s *streamed) compareIDs(tb rapid.TB) {
	tb.Helper()
	held := make(map[string]string)
	for _, raw := range s.tenant.Events() {
		held[gjson.GetBytes(raw, "log_id").Str] = string(raw)
	}
	got := make(map[string]int)
	for _, e := range s.stored() {
		id := gjson.Get(e.Message, "log_id").Str
		if got[id]++; got[id] > 1 || held[id] == "" {
			tb.Errorf("event %q is there %d times, and the tenant held it: %t", id, got[id], held[id] != "")
			continue
		}
		if want := dateOf(held[id]); e.Timestamp != want.UnixMilli() {
			tb.Errorf("event %s of %s stands at %s", id, want, time.UnixMilli(e.Timestamp).UTC())
		}
		gjson.Parse(e.Message).ForEach(func(key, value gjson.Result) bool {
			if name := key.Str; name != "user_agent" && value.Raw != gjson.Get(held[id], gjson.Escape(name)).Raw {
				tb.Errorf("event %s has another %s", id, name)
			}
			return true
		})
	}
	if len(got) != len(held) {
		tb.Errorf("%d of %d events are there", len(got), len(held))
	}
	if n := s.disorder.Load(); n > 0 {
		tb.Errorf("%d calls had events out of order", n)
	}
}

// TestPollHealsThePush has a push that loses, repeats, reorders and spoils: the
// poll brings what it does not, and each such event is counted, also across a
// restart.
func TestPollHealsThePush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t, t.TempDir())
		defer s.close(t.Context(), t)
		if err := s.tenant.Generate(100, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.start(t.Context(), t)
		<-time.After(time.Minute) // that of the token is from before the stream
		s.connect(t)
		s.live(t.Context(), t, 2)
		<-time.After(time.Minute)
		before, polls := s.pushed().Delivered, s.polls()
		s.fail(t, tenant.PushFaults{Holes: 0.1, Duplicates: 0.2, Reordered: 0.3, Bursts: 0.2, Repeats: 0.1})
		<-time.After(10 * time.Minute)
		if n := s.polls() - polls; n < 18 || n > 25 {
			t.Errorf("%d reads in 10 minutes, want about 20 at an interval of 30 s", n)
		}
		s.quit()
		<-time.After(5 * time.Minute)
		p, stats := s.state(t.Context(), t).Push, s.pushed()
		want := web.Push{Checked: true, Healed: int64(stats.Holes), Pushed: int64(stats.Delivered - stats.Duplicates)}
		want.Recent(want.Healed, want.Pushed)
		if diff := cmp.Diff(want, p); diff != "" || stats.Holes == 0 || before == 0 || stats.Duplicates == 0 {
			t.Errorf("of the push (-want +got), with %+v:\n%s", stats, diff)
		}
		if s.silent(t.Context(), t) {
			t.Error("the push counts as silent")
		}
		s.stop(t.Context(), t, time.Minute)
		o, err := app.ReadOverview(t.Context(), s.cfg, "test")
		if err != nil || !cmp.Equal(o.Tenants[0].Push, p) {
			t.Errorf("after the stop: %+v, %v, want %+v", o.Tenants[0].Push, err, p)
		}
		s.compareIDs(t)
	})
}

// TestSilentPush has a push fall silent and come back: it is told, and the poll is
// quick meanwhile. Where nothing happens silence is no trouble.
func TestSilentPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t, t.TempDir())
		defer s.close(t.Context(), t)
		s.start(t.Context(), t)
		synctest.Wait()
		s.connect(t)
		in := func(d time.Duration) (polls int) { // how many reads there are in it
			before := s.polls()
			<-time.After(d)
			synctest.Wait()
			return s.polls() - before
		}
		s.live(t.Context(), t, 1) // or nobody knew whether the push works
		in(10 * time.Second)
		s.quit()
		if n := in(30 * time.Minute); s.silent(t.Context(), t) || n > 75 {
			t.Errorf("with nothing to push: silent %t, %d reads in half an hour", s.silent(t.Context(), t), n)
		}
		s.live(t.Context(), t, 0.3)
		if n := in(10 * time.Minute); s.silent(t.Context(), t) || n > 25 {
			t.Errorf("with a push: silent %t, %d reads in 10 minutes", s.silent(t.Context(), t), n)
		}
		s.fail(t, tenant.PushFaults{Holes: 1})
		if in(time.Minute); s.silent(t.Context(), t) {
			t.Error("silence is told at once")
		}
		in(2 * time.Minute)
		if n := in(5 * time.Minute); !s.silent(t.Context(), t) || n < 250 {
			t.Errorf("without a push: silent %t, %d reads in 5 minutes", s.silent(t.Context(), t), n)
		}
		s.fail(t, tenant.PushFaults{})
		if in(30 * time.Second); s.silent(t.Context(), t) {
			t.Error("the push is back, and still called silent")
		}
		if n := in(10 * time.Minute); n > 25 {
			t.Errorf("with the push again: %d reads in 10 minutes", n)
		}
		s.quit()
		<-time.After(time.Minute)
		s.compareIDs(t)
	})
}

// TestPushThatNeverComes is configured here and not in Auth0.
func TestPushThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t, t.TempDir())
		defer s.close(t.Context(), t)
		s.live(t.Context(), t, 0.2)
		s.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		if !s.silent(t.Context(), t) {
			t.Error("it is not told")
		}
		s.connect(t)
		<-time.After(time.Minute)
		if s.silent(t.Context(), t) {
			t.Error("the push is there, and still called silent")
		}
		<-time.After(5 * time.Minute)
		if p := s.state(t.Context(), t).Push; p.Healed != 0 || p.Pushed == 0 {
			t.Errorf("what happened before the stream existed is held against it: %+v", p)
		}
		s.quit()
		<-time.After(time.Minute)
		s.compareIDs(t)
	})
}

// TestPushAndPoll has a poll and a push that fails in any way, with stops, restarts
// and faults of the destination: in the end it equals the tenant.
func TestPushAndPoll(t *testing.T) {
	t.Parallel()
	dirs := t.TempDir()
	n := 0
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			n++
			dir := filepath.Join(dirs, strconv.Itoa(n))
			if err := os.Mkdir(dir, 0o700); err != nil {
				rt.Fatal(err)
			}
			s := newStreamed(rt, dir)
			defer s.close(t.Context(), rt)
			s.lives(t.Context(), rt)
			s.compareIDs(rt)
		})
	})
}

// lives draws the lives of an App, and leaves it stopped with everything delivered.
func (s *streamed) lives(ctx context.Context, rt *rapid.T) {
	if err := s.tenant.Generate(rapid.IntRange(0, 100).Draw(rt, "history"), time.Now().Add(-24*time.Hour), time.Now()); err != nil {
		rt.Fatal(err)
	}
	share := func(most float64, name string) float64 { return rapid.Float64Range(0, most).Draw(rt, name) }
	s.live(ctx, rt, share(1, "rate"))
	for i := range rapid.IntRange(1, 3).Draw(rt, "lives") {
		s.fail(rt, tenant.PushFaults{
			Duplicates: share(0.5, "duplicates"), Holes: share(1, "holes"), Reordered: share(0.5, "reordered"), Bursts: share(0.5, "bursts"),
			Repeats: share(0.3, "repeats"), Truncated: share(0.2, "truncated"), Broken: share(0.2, "broken"), NotJSON: share(0.2, "not JSON"),
		})
		s.aws.Add(rapid.SliceOfN(fault(emulator.Kinds(), "PutLogEvents", "PutLogEvents", "Create*", read), 0, 3).Draw(rt, "faults of AWS")...)
		s.start(ctx, rt)
		if i == 0 {
			s.connect(rt) //nolint:contextcheck // the stream lives as long as the tenant
		}
		<-time.After(time.Duration(rapid.IntRange(0, 400_000).Draw(rt, "life in ms")) * time.Millisecond)
		s.stop(ctx, rt, time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds to stop"))*time.Second)
		s.calm()
		<-time.After(time.Duration(rapid.IntRange(0, 200_000).Draw(rt, "pause in ms")) * time.Millisecond)
	}
	s.quit()
	s.start(ctx, rt)
	<-time.After(5 * time.Minute)
	s.stop(ctx, rt, s.cfg.ShutdownTimeout)
}
