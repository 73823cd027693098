package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// poisonous is in the events that the CloudWatch Logs of this test refuses for
// what is in them.
const poisonous = "a-drop-of-poison"

// refusePoison refuses a call with such an event as a whole, as CloudWatch Logs
// does with what it cannot take.
func refusePoison(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if cloudwatch.Operation(r) != "PutLogEvents" {
			return next.RoundTrip(r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Contains(body, []byte(poisonous)) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			return next.RoundTrip(r)
		}
		const answer = `{"__type":"InvalidParameterException","message":"1 validation error detected"}`
		return &http.Response{
			StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
			Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)), Request: r,
		}, r.Body.Close()
	})
}

// A roundTripper is a function that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// pieces are what a page of a broken Auth0 holds among its events.
const pieces = `"no event",{"log_id":},`

// breakPages puts the pieces in front of each event of the log that is poisonous.
func breakPages(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || r.URL.Path != "/api/v2/logs" || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		body, err := io.ReadAll(resp.Body)
		events := strings.Split(string(body), `{"log_id":"`)
		for i := 1; i < len(events); i++ {
			if strings.Contains(events[i], poisonous) {
				events[i-1] += pieces
			}
		}
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
		resp.Body = io.NopCloser(strings.NewReader(strings.Join(events, `{"log_id":"`)))
		return resp, err
	})
}

// rounds is how often a test lets bad events come.
const rounds = 2

// badEvents are events with which something is wrong, one of each kind, as if they
// had just happened; n tells those of several rounds apart.
func badEvents(n int) map[string]string {
	now := time.Now()
	raw := func(kind int, age time.Duration, rest string) string {
		id := event.IDAt(now.Add(time.Duration(kind)*time.Microsecond + time.Millisecond))
		return fmt.Sprintf(`{"log_id":"%s%04d","date":"%s","type":"s",%s}`, id[:len(id)-4], 10*n+kind, now.Add(-age).UTC().Format(time.RFC3339Nano), rest)
	}
	long := strings.Repeat("x", 1_100_000)
	return map[string]string{
		"trimmed":    raw(1, 0, `"details":{"request":{"body":"`+long+`"}}`),
		"too large":  raw(2, 0, `"description":"`+long+`"`),
		"poison":     raw(3, 0, `"description":"`+poisonous+`"`),
		"too old":    raw(4, 20*24*time.Hour, `"description":"late"`),
		"expired":    raw(5, 10*24*time.Hour, `"description":"late"`),
		"not UTF-8":  raw(6, 0, `"description":"`+"\xff"+`"`),
		"far future": raw(7, -5*time.Hour, `"description":"early"`),
	}
}

// TestBadEventsHarmNoNeighbours lets events of every bad kind, and pieces that are
// none, come among good ones: each good one arrives, once and in time, and of each
// bad one the whole lies in the dead letters. What can be replayed arrives once
// nothing is wrong with it any more.
func TestBadEventsHarmNoNeighbours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s, c := w.sites[0], &w.cfg.Tenants[0].CloudWatch
		c.TooOld, c.TooNew, c.RetentionDays = config.DeadLetter, config.DeadLetter, 7
		healthy := w.hosts["logs-dev.example.com"]
		w.hosts["logs-dev.example.com"] = refusePoison(healthy)
		w.hosts["dev.example.com"] = breakPages(w.hosts["dev.example.com"])
		if err := s.tenant.Generate(100, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.live(t.Context(), t, 1)
		w.start(t.Context(), t)
		bad := make(map[string]string)
		<-time.After(1500 * time.Millisecond) // off the beat of the polls
		for round := range rounds {
			for kind, raw := range badEvents(round) {
				if err := s.tenant.Append([]byte(raw)); err != nil {
					t.Fatal(err)
				}
				bad[raw] = kind
			}
			for range 4 {
				<-time.After(20 * time.Second)
				s.wantGood(t, bad, w.lag())
			}
		}
		s.quit()
		<-time.After(time.Minute)
		s.wantGood(t, bad, 0)
		w.wantLetters(t, bad)
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("readyz answers %d %q", status, body)
		}
		w.wantReplayed(t, bad, healthy)
	})
}

// wantGood checks that every event that is not bad and older than age is in the
// stream, and none twice.
func (s *site) wantGood(t *testing.T, bad map[string]string, age time.Duration) {
	t.Helper()
	got := s.delivered()
	for _, raw := range s.tenant.Events() {
		n := got[string(raw)]
		if late := time.Since(dateOf(string(raw))); bad[string(raw)] == "" && (n > 1 || n == 0 && late > age) {
			t.Fatalf("a good event is there %d times, %v after its date: %.120s", n, late, raw)
		}
	}
}

// letter is what is said of a dead letter.
type letter struct{ Kind, Reason, Source string }

// wantLetters checks that of each bad event and each piece there is one dead
// letter, with all its bytes and the right reason, and that those that can be
// delivered were.
func (w *world) wantLetters(t *testing.T, bad map[string]string) {
	t.Helper()
	want := map[string]letter{
		"trimmed": {"altered", "too_large", "poll"}, "not UTF-8": {"altered", "invalid_utf8", "poll"},
		"too large": {"rejected", "too_large", "poll"}, "poison": {"rejected", "invalid", "poll"},
		"too old": {"rejected", "too_old", "poll"}, "far future": {"rejected", "too_new", "poll"},
		"expired": {"rejected", "too_old", "poll"}, "": {"unreadable", "unreadable", "poll"},
	}
	got, n := make(map[string]int), make(map[string]int)
	for _, l := range w.deadLetters(t) {
		kind := bad[string(l.Body)]
		got[kind]++
		if diff := cmp.Diff(want[kind], letter{l.Kind, l.Reason, l.Source}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", kind, diff)
		}
		if kind == "" && !strings.Contains(pieces, string(l.Body)) {
			t.Errorf("a letter of which nobody knows: %.120q", l.Body)
		}
	}
	for _, kind := range bad {
		n[kind]++
	}
	n[""] = 2 // pieces: the same in each round, and kept once
	if diff := cmp.Diff(n, got); diff != "" {
		t.Errorf("letters by kind (-want +got):\n%s", diff)
	}
	trimmed, replaced := 0, 0
	for message := range w.sites[0].delivered() {
		if gjson.Get(message, "gapless.trimmed.bytes").Int() > 1_100_000 {
			trimmed++
		}
		if strings.Contains(message, "\uFFFD") {
			replaced++
		}
	}
	if trimmed != n["trimmed"] || replaced != n["not UTF-8"] {
		t.Errorf("%d trimmed events and %d with replaced bytes are in the stream, want %d and %d", trimmed, replaced, n["trimmed"], n["not UTF-8"])
	}
}

// deadLetters reads all dead letters with their bytes.
func (w *world) deadLetters(t *testing.T) []app.DeadLetter {
	t.Helper()
	list, err := app.ListDeadLetters(t.Context(), w.cfg, app.LetterFilter{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range list {
		if list[i], err = app.ReadDeadLetter(t.Context(), w.cfg, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// wantReplayed mends what is wrong with the events, replays all that can be, and
// checks that they arrive, each once, and nothing else a second time.
func (w *world) wantReplayed(t *testing.T, bad map[string]string, healthy http.RoundTripper) {
	t.Helper()
	s, c := w.sites[0], &w.cfg.Tenants[0].CloudWatch
	before := s.delivered()
	if _, err := app.ReplayDeadLetters(t.Context(), w.cfg, app.LetterFilter{}, false); err == nil {
		t.Error("a replay went through beside a running process")
	}
	w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
	w.hosts["logs-dev.example.com"] = healthy
	c.TooOld, c.TooNew = config.Restamp, config.Restamp
	done, err := app.ReplayDeadLetters(t.Context(), w.cfg, app.LetterFilter{}, false)
	if want := int64(5 * rounds); err != nil || done.Letters != want || done.Altered != 2*rounds || done.Unreadable != 2 {
		t.Fatalf("replayed %+v, %v; want %d", done, err, want)
	}
	w.start(t.Context(), t)
	<-time.After(2 * time.Minute)
	after := s.delivered()
	for message, n := range after {
		if kind := bad[message]; n != 1 || before[message] == 0 && kind == "" {
			t.Errorf("%q is there %d times, before the replay %d times: %.120s", kind, n, before[message], message)
		}
	}
	if got, want := len(after)-len(before), 4*rounds; got != want { // all but those that are too large
		t.Errorf("%d events arrived by the replay, want %d", got, want)
	}
	if o := w.overview(t.Context(), t, "dev"); o.DeadLetters != (1+2)*rounds+2 || o.Replayed["too_old"] != 2*rounds || o.Buffered != 0 {
		t.Errorf("%d dead letters, %v replayed, %d buffered", o.DeadLetters, o.Replayed, o.Buffered)
	}
}

// TestLetterQuotaIsTold has more dead letters than the quota allows: all are kept,
// good events go on, a person is told, also by the next run, and no longer once
// the letters are dropped.
func TestLetterQuotaIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.cfg.MaxLetterBytes = 1 << 20
		s := w.sites[0]
		bad := make(map[string]string)
		s.live(t.Context(), t, 0.2)
		w.start(t.Context(), t)
		<-time.After(1500 * time.Millisecond) // off the beat of the polls
		for round := range rounds {
			raw := badEvents(round)["too large"]
			bad[raw] = "too large"
			if err := s.tenant.Append([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
			s.wantGood(t, bad, w.lag())
		}
		for range 2 {
			o := w.overview(t.Context(), t, "dev")
			if o.State != web.StateStuck || len(o.Troubles) != 1 || o.Troubles[0].Part != "dead_letters" || o.Troubles[0].Class != "quota" || o.DeadLetters != rounds {
				t.Errorf("the tenant is %s with %d dead letters and troubles %+v", o.State, o.DeadLetters, o.Troubles)
			}
			status, body := w.readiness(t.Context(), t)
			if status != http.StatusServiceUnavailable || !strings.Contains(body, "dead_letters: the dead letters are more than max_dead_letter_bytes") {
				t.Errorf("readyz answers %d %q", status, body)
			}
			w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
			w.start(t.Context(), t)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if done, err := app.DropDeadLetters(t.Context(), w.cfg, app.LetterFilter{Reason: "too_large"}); err != nil || done.Letters != rounds {
			t.Fatalf("dropped %+v, %v", done, err)
		}
		w.start(t.Context(), t)
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("after the drop readyz answers %d %q", status, body)
		}
		s.quit()
		<-time.After(time.Minute)
		s.wantGood(t, bad, 0)
	})
}
