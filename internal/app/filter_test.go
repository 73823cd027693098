package app_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// wanted are the events of a tenant that a filter of the tests lets through, by
// their bytes, and how many there are besides.
func (s *site) wanted(keep func(raw string) bool) (want map[string]int, rest int64) {
	want = make(map[string]int)
	for _, raw := range s.tenant.Events() {
		if keep(string(raw)) {
			want[string(raw)]++
		} else {
			rest++
		}
	}
	return want, rest
}

// all adds up counts.
func all(counts map[string]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// checkFiltered checks that what a filter lets through has arrived, each event once
// and byte for byte, and that the rest is counted once.
func (s *site) checkFiltered(t *testing.T, o web.Tenant, keep func(raw string) bool) {
	t.Helper()
	want, rest := s.wanted(keep)
	if len(want) == 0 || rest == 0 {
		t.Fatalf("%d events are wanted and %d are not: nothing is tested", len(want), rest)
	}
	if got := s.delivered(); !maps.Equal(got, want) {
		t.Errorf("%d events have arrived, %d are wanted", len(got), len(want))
	}
	if n := all(o.Skipped); n != rest || o.Stored != int64(len(want)) {
		t.Errorf("stored %d and skipped %v, want %d and %d", o.Stored, o.Skipped, len(want), rest)
	}
}

// TestFilteredExport has a filter take out most of what happens: the rest arrives,
// it takes as many reads as without a filter, the cursor stands at the end, and the
// next start goes on there. A change of the filter holds for what is read then.
func TestFilteredExport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev", "plain")
		defer w.close(t.Context(), t)
		s, plain := w.sites[0], w.sites[1]
		s.fill(t, 2000)
		plain.fill(t, 2000)
		w.cfg.Tenants[0].Filter = config.Filter{
			MinLevel: 3, Types: config.Selection{Allow: []string{"slo", "gd_*"}, Deny: []string{"fsa"}},
			Expression: `event.ip != "" or event.type == "limit_wc"`,
		}
		keep := func(raw string) bool {
			typ, ip := gjson.Get(raw, "type").Str, gjson.Get(raw, "ip").Str
			level := event.Lookup(typ).ExtensionLevel
			return typ != "fsa" && (level == 0 || level >= 3 || typ == "slo" || strings.HasPrefix(typ, "gd_")) && (ip != "" || typ == "limit_wc")
		}
		w.start(t.Context(), t)
		<-time.After(2 * time.Minute)
		if n, all := s.reads(), plain.reads(); n > all+2 {
			t.Errorf("%d reads with a filter and %d without: the pages are not full", n, all)
		}
		s.live(t.Context(), t, 5)
		<-time.After(5 * time.Minute)
		s.quit()
		<-time.After(time.Minute)
		o := w.overview(t.Context(), t, "dev")
		s.checkFiltered(t, o, keep)
		for reason := range o.Skipped {
			if reason != "below_min_level" && reason != "type_denied" && reason != "expression_false" {
				t.Errorf("an event is skipped for %q", reason)
			}
		}
		last := gjson.ParseBytes(s.tenant.Events()[len(s.tenant.Events())-1])
		if o.Cursor != last.Get("log_id").Str || len(o.Troubles)+len(o.Retention.Risks) > 0 {
			t.Errorf("the cursor is %q, want %q; %+v", o.Cursor, last.Get("log_id").Str, o)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)

		before := s.reads()
		w.start(t.Context(), t)
		<-time.After(2 * time.Minute)
		again := w.overview(t.Context(), t, "dev")
		if n := s.reads() - before; n > 20 || again.Stored != o.Stored || again.Cursor != o.Cursor {
			t.Errorf("the second start makes %d reads and has %d events, want %d", n, again.Stored, o.Stored)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		w.cfg.Tenants[0].Filter = config.Filter{MinLevel: -1}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		if err := s.tenant.Append(own(1, 10)); err != nil { // of type s, which the filter left out
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		from := last.Get("date").Time().Add(-w.cfg.Tenants[0].Overlap.Window - 5*time.Second) // a log_id lags its date
		got, news := s.delivered(), 0
		for _, raw := range s.tenant.Events() {
			date := dateOf(string(raw))
			if n := got[string(raw)]; date.Before(from) && (n == 1) != keep(string(raw)) {
				t.Errorf("an event of the past is there %d times: %.100s", n, raw)
			} else if date.After(last.Get("date").Time()) {
				news += n
			}
		}
		if news != 1 {
			t.Errorf("of what comes without a filter %d events arrive, want 1", news)
		}
	})
}

// reads counts the calls for the log.
func (s *site) reads() int { return s.tenant.Stats().Requests["GET /api/v2/logs"] }

// TestFilteredPush has both a poll and a push bring what a filter takes out: each such
// event counts once, is no miss of the push, and shows that the push is there.
func TestFilteredPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t, t.TempDir())
		defer s.close(t.Context(), t)
		s.cfg.Tenants[0].Filter = config.Filter{MinLevel: -1, Categories: config.Selection{Deny: []string{"auth.*", "user.*"}}}
		s.start(t.Context(), t)
		synctest.Wait()
		s.connect(t)
		s.live(t.Context(), t, 2)
		<-time.After(10 * time.Minute)
		s.quit()
		<-time.After(5 * time.Minute)
		o := s.state(t.Context(), t)
		kept := map[string]bool{}
		rest := int64(0)
		for _, raw := range s.tenant.Events() {
			category := event.Lookup(gjson.GetBytes(raw, "type").Str).Category
			if strings.HasPrefix(category, "auth.") || strings.HasPrefix(category, "user.") {
				rest++
				continue
			}
			kept[gjson.GetBytes(raw, "log_id").Str] = true
		}
		got := map[string]bool{}
		for _, e := range s.stored() {
			got[gjson.Get(e.Message, "log_id").Str] = true
		}
		if !maps.Equal(got, kept) || len(kept) == 0 || rest == 0 {
			t.Errorf("%d events have arrived, want %d", len(got), len(kept))
		}
		if o.Skipped["category_denied"] != rest || all(o.Skipped) != rest {
			t.Errorf("skipped %v, want %d", o.Skipped, rest)
		}
		if o.Push.Healed != 0 || s.silent(t.Context(), t) || o.Push.Pushed == 0 {
			t.Errorf("of the push: %+v", o.Push)
		}
	})
}

// An expression that fails on events keeps them, and says so once, without quoting
// one.
func TestFilterExpressionFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		var log strings.Builder
		w.log = &log
		s := w.sites[0]
		w.cfg.Tenants[0].Filter = config.Filter{MinLevel: -1, Expression: `event.details.text matches event.user_name + "("`, Types: config.Selection{Allow: []string{"s", "sx"}}}
		for i := range 5 {
			if err := s.tenant.Append(own(i, 20)); err != nil {
				t.Fatal(err)
			}
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		if o := w.overview(t.Context(), t, "dev"); o.Delivered != 5 {
			t.Errorf("%d of 5 events are delivered", o.Delivered)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if n := strings.Count(log.String(), "the expression of the filter fails on events"); n != 1 || strings.Contains(log.String(), "xxxxx") {
			t.Errorf("told %d times:\n%s", n, log.String())
		}
		if !strings.Contains(log.String(), `problem="holds \"sx\", which is no known event type"`) {
			t.Errorf("a pattern that nothing matches is not told of:\n%s", log.String())
		}
	})
}

// What an import brings goes through the filter too.
func TestFilteredImport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		s.fill(t, 300)
		w.cfg.Tenants[0].Filter = config.Filter{MinLevel: -1, Severities: config.Selection{Allow: []string{"error", "critical"}}}
		paths := s.export(t, t.TempDir())
		if _, err := w.runImport(t.Context(), t, s, paths...); err != nil {
			t.Fatal(err)
		}
		want, rest := s.wanted(func(raw string) bool { return event.Lookup(gjson.Get(raw, "type").Str).Severity >= event.Error })
		if got := s.delivered(); !maps.Equal(got, want) || len(want) == 0 || rest == 0 {
			t.Errorf("%d events have arrived, want %d of %d", len(got), len(want), int64(len(want))+rest)
		}
		o, err := app.ReadOverview(t.Context(), w.cfg, "test")
		if err != nil || o.Tenants[0].Skipped["severity_not_allowed"] != rest {
			t.Errorf("skipped %v, %v, want %d", o.Tenants[0].Skipped, err, rest)
		}
	})
}

// A filter that cannot be read ends the start with what to do.
func TestFilterThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	defer w.close(t.Context(), t)
	w.cfg.Tenants[0].Filter = config.Filter{Expression: "event.type"}
	a, err := w.open(t.Context())
	if err == nil {
		_ = a.Stop(t.Context())
	}
	if got := fmt.Sprint(err); !strings.Contains(got, "tenant dev: read the filter: expression: it must be true or false") {
		t.Error(got)
	}
}
