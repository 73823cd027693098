package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// wicked is text that a terminal would obey.
const wicked = "a\x1b[2J\x1b]0;title\x07b\u009b31m\u202ec\r\n\xff"

// everything is an overview in which everything is said, with a text of the outside world
// wherever there may be one.
func everything(now time.Time, said string) web.Overview {
	ago := now.Add(-90 * time.Second)
	return web.Overview{
		Version: "1.2.3", At: now, Running: true,
		Configuration: &web.Configuration{LoadedAt: ago, NeedRestart: []string{"data_dir"}, FailedAt: ago, Error: said, Hint: "Mend it."},
		Alerts: []web.Alert{
			{Kind: "gap", Tenant: "dev", Part: "2026-11-27T07:58:30.123456Z", Severity: "critical", Message: said, Hint: said, Since: ago, Failing: []string{"slack"}},
			{Kind: "delivery_lag", Severity: "warning", Message: said, Since: ago, Ended: now},
		},
		Tenants: []web.Tenant{{
			Name: "dev", Source: said, Destination: said, State: web.StateStuck, Stored: 3, Buffered: 2, BufferedBytes: 900,
			NewestEvent: ago, OldestBuffered: ago, LastMinute: web.Passed{Fetched: 5, Delivered: 4, Rejected: 1}, LastHour: web.Passed{Fetched: 70},
			Sources: []web.Source{{Name: "poll", Stored: 3, Last: ago}}, RateLimit: &web.RateLimit{Limit: 50, Remaining: 10, Share: 0.5},
			Retention: web.Retention{BufferMax: 1000, BufferRoom: 100, Risks: []web.Risk{{Kind: web.RiskBuffer, Message: said, Hint: said}}},
			Gaps:      []web.Gap{{FromID: said, Reason: said}}, Troubles: []web.Trouble{{Part: "poll", Class: "unauthorized", Message: said, Hint: said, Since: ago}},
			Skipped: map[string]int64{said: 1}, Rejected: map[string]int64{said: 1},
			Destinations: []web.Destination{{Name: said, Destination: said, Rejected: map[string]int64{said: 1}}},
		}},
	}
}

// TestStatusSaysAll reads the report of an overview in which everything is said.
func TestStatusSaysAll(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	env := &Env{colours: "never"}
	text := strings.Join(env.viewOverview(new(bytes.Buffer), everything(now, "it is said")), "\n")
	for _, want := range []string{
		"gapless 1.2.3, running, 2026-11-27T08:00:00Z\n",
		"  configuration  loaded 2026-11-27T07:58:30Z\n",
		"  needs restart  data_dir\n",
		"  reload refused 2026-11-27T07:58:30Z: it is said\n                 Mend it.\n",
		"  alert          critical since 2026-11-27T07:58:30Z, dev: it is said\n",
		"not told: slack\n",
		"  alert ended    2026-11-27T08:00:00Z, gapless: it is said\n",
		"  state          a person must act; poll: it is said; at risk: it is said\n",
		"  lag            newest event fetched is 1m30s old, delivery is 1m30s behind\n",
		"  last minute    5 fetched, 4 delivered, 1 rejected\n",
		"  last hour      70 fetched, 0 delivered, 0 rejected\n",
		"  buffer         [##################..] 90 % of 1000 B\n",
		"  source         poll: 3 new events, 0 duplicates since the start, last 1m30s ago\n",
		"  rate limit     [####................] 10 of 50 calls left, of which gapless takes 50 %\n",
		"  trouble        poll since 2026-11-27T07:58:30Z: it is said\n                 it is said\n",
		"  gap            from it is said (-) to - (-), open: it is said\n",
		"  at risk        it is said\n                 it is said",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	env.colours = "always"
	painted := env.viewOverview(new(bytes.Buffer), everything(now, wicked))
	for _, line := range painted {
		for i, rest := range strings.SplitAfter(line, "\x1b")[1:] {
			if colourAt("\x1b"+rest) == 0 {
				t.Errorf("an escape that is no colour, number %d: %q", i, line)
			}
		}
		if strings.ContainsAny(line, "\r\n\x07\u009b\u202e") {
			t.Errorf("hostile text came through: %q", line)
		}
	}
}

// TestLineOfHostileEvent prints an event that is out to control a terminal.
func TestLineOfHostileEvent(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	env := &Env{Stdout: &out}
	p := eventPrinter{env: env, w: &out, utc: true, tenants: true}
	for _, message := range []string{
		`{"log_id":"1","type":"\u001b[2J","date":"2026-11-27T01:02:03Z","user_name":"日本\u009b31m\u202e","ip":"\u0007","description":"a\nb"}`, wicked,
	} {
		if err := p.print(see(wicked, app.Found{Message: []byte(message)})); err != nil {
			t.Fatal(err)
		}
		if err := writeMessage(env, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "2026-11-27 01:02:03Z  a") || !strings.Contains(lines[0], `\x1b[2J`) || !gjson.Valid(lines[1]) || !gjson.Valid(lines[3]) {
		t.Errorf("lines %q", lines)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\r\u009b\u202e") {
		t.Errorf("hostile text came through: %q", out.String())
	}
	if severityColour(event.Lookup("fp").Severity) != red || severityColour(event.Lookup("s").Severity) != green || severityColour(event.Warning) != yellow {
		t.Error("colours do not follow the severity")
	}
}

// TestWatch watches on a terminal that changes its size, and elsewhere.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out, notes bytes.Buffer
		reads := 0
		var columns atomic.Int64
		columns.Store(40)
		w := &watching{
			env: &Env{Stdout: &out, Stderr: &notes, colours: "always"},
			read: func(context.Context) (web.Overview, error) {
				if reads++; reads == 3 {
					return web.Overview{}, errors.New("the disk is gone")
				}
				return everything(time.Now().UTC(), "said"), nil
			},
			size: func() (int, int, bool) { return int(columns.Load()), 12, true },
		}
		follow := func(d time.Duration) string {
			out.Reset()
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if err := w.run(ctx); err != nil {
				t.Errorf("it ended with %v", err)
			}
			return out.String()
		}
		time.AfterFunc(time.Second, func() { columns.Store(30) })
		text := follow(5 * time.Second) // looks at once and after 2 s and 4 s
		body, ok := strings.CutPrefix(text, otherScreen)
		body, restored := strings.CutSuffix(body, formerScreen)
		frames := strings.Split(body, toTop)[1:]
		if !ok || !restored || len(frames) != 4 {
			t.Fatalf("other screen %t, restored %t, %d frames, want 4", ok, restored, len(frames))
		}
		for i, f := range frames {
			lines := strings.Split(strings.TrimSuffix(f, restOfScreen), "\n")
			limit := 30
			if i == 0 {
				limit = 40
			}
			for _, line := range lines {
				if n := cells(strings.TrimSuffix(line, restOfLine)); n > limit {
					t.Errorf("frame %d has a line of %d columns: %q", i, n, line)
				}
			}
			if i < 3 && (len(lines) != 12 || !strings.Contains(lines[11], "more lines")) {
				t.Errorf("frame %d has %d lines: %q", i, len(lines), lines)
			}
		}
		if !strings.Contains(frames[3], "the disk is gone") {
			t.Errorf("the error is not shown: %q", frames[3])
		}
		w.size = func() (int, int, bool) { return 0, 0, false }
		if text := follow(25 * time.Second); strings.Count(text, "running") != 3 || strings.Contains(text, toTop) {
			t.Errorf("not three reports below each other: %q", text)
		}
		w.asJSON, w.interval = true, time.Second
		text = follow(3500 * time.Millisecond)
		if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 4 || gjson.Get(lines[3], "tenants.0.last_minute.fetched").Int() != 5 {
			t.Errorf("%d lines of JSON, want 4: %s", len(lines), text)
		}
	})
}
