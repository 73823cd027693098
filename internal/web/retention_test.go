package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/web"
)

// kept is a tenant whose log is kept for a day and was read a moment ago.
func kept(change func(*web.Tenant)) web.Tenant {
	t := web.Tenant{Name: "dev", Stored: 9, MaxDeadLetterBytes: 1000}
	t.Retention = web.Retention{Seconds: 86400, ReadUntil: now.Add(-5 * time.Minute), Moved: now.Add(-5 * time.Minute), BufferMax: 1000}
	change(&t)
	return t
}

// behind makes a tenant stand so many hours behind, with its source last heard of
// so many minutes ago.
func behind(hours, minutes int) func(*web.Tenant) {
	return func(t *web.Tenant) {
		t.Retention.ReadUntil = now.Add(-time.Duration(hours) * time.Hour)
		t.Retention.Moved = now.Add(-time.Duration(minutes) * time.Minute)
	}
}

// waiting makes events wait for so many hours, with delivery in trouble or not.
func waiting(hours int, trouble bool) func(*web.Tenant) {
	return func(t *web.Tenant) {
		t.Buffered, t.BufferedBytes, t.OldestBuffered = 3, 300, now.Add(-time.Duration(hours)*time.Hour)
		t.Retention.Waiting = now.Add(-16 * time.Minute)
		if trouble {
			t.Troubles = []web.Trouble{throttled}
		}
	}
}

// TestAssess pins the thresholds of docs/operations.md.
func TestAssess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  func(*web.Tenant)
		stopped bool
		want    []string
	}{
		"all is well":                     {change: func(*web.Tenant) {}},
		"stopped a while ago":             {change: behind(11, 660), stopped: true},
		"stopped for half a day":          {change: behind(13, 780), stopped: true, want: []string{web.RiskUnfetched}},
		"stopped for days":                {change: behind(72, 4320), stopped: true, want: []string{web.RiskUnfetched}},
		"a backlog that is being read":    {change: behind(23, 1)},
		"a backlog that stands still":     {change: behind(13, 20), want: []string{web.RiskUnfetched}},
		"a source that fails, in time":    {change: func(t *web.Tenant) { behind(11, 660)(t); t.Troubles = []web.Trouble{refused} }},
		"a source that fails":             {change: func(t *web.Tenant) { behind(13, 1)(t); t.Troubles = []web.Trouble{refused} }, want: []string{web.RiskUnfetched}},
		"nothing read yet":                {change: func(t *web.Tenant) { t.Retention.ReadUntil = time.Time{} }, stopped: true},
		"a backlog that is delivered":     {change: waiting(23, false)},
		"delivery fails, in time":         {change: waiting(11, true)},
		"delivery fails":                  {change: waiting(13, true), want: []string{web.RiskUndelivered}},
		"delivery fails for a week":       {change: waiting(170, true), want: []string{web.RiskUndelivered, web.RiskTimestamp}},
		"stopped with events that wait":   {change: waiting(13, false), stopped: true, want: []string{web.RiskUndelivered}},
		"stopped with a letter replayed":  {change: func(t *web.Tenant) { waiting(500, false)(t); t.Retention.Waiting = now.Add(-time.Minute) }, stopped: true},
		"the buffer has a fifth left":     {change: func(t *web.Tenant) { t.Buffered, t.BufferedBytes, t.OldestBuffered = 3, 800, now }},
		"the buffer has less":             {change: func(t *web.Tenant) { t.Buffered, t.BufferedBytes, t.OldestBuffered = 3, 801, now }, want: []string{web.RiskBuffer}},
		"dead letters take of the buffer": {change: func(t *web.Tenant) { t.DeadLetterBytes = 1900 }, want: []string{web.RiskBuffer}},
		"not configured any more":         {change: func(t *web.Tenant) { waiting(13, true)(t); t.Retention = web.Retention{} }, stopped: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := kept(tt.change)
			v.Judge(!tt.stopped)
			v.Assess(now, !tt.stopped)
			var got []string
			for _, r := range v.Retention.Risks {
				got = append(got, r.Kind)
				if r.Message == "" || strings.HasPrefix(r.Hint, "Start gapless.") != tt.stopped {
					t.Errorf("risk %+v does not say what to do", r)
				}
				if !strings.Contains(v.Words(now), "at risk: "+r.Message) {
					t.Errorf("the words %q lack %q", v.Words(now), r.Message)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("risks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRetentionInWords(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*web.Tenant){
		"-": func(t *web.Tenant) { t.Retention = web.Retention{} },
		"Auth0 keeps the log for 1d0h, nothing is read yet":                                        func(t *web.Tenant) { t.Retention.ReadUntil = time.Time{} },
		"Auth0 keeps the log for 1d0h, read up to 2026-11-23T11:55:00Z: 23h55m left":               func(*web.Tenant) {},
		"Auth0 keeps the log for 1d0h, read up to 2026-11-21T12:00:00Z: what followed may be gone": behind(48, 1),
	} {
		v := kept(change)
		v.Assess(now, true)
		if got := v.Retention.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
