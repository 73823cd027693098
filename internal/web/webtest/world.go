package webtest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/web"
)

// The tenants of a World.
const (
	// Prod is healthy, is pushed to and polled, and is a little behind.
	Prod = "acme-prod"
	// Staging cannot deliver: its credentials of AWS are refused. It has dead letters and an open gap.
	Staging = "acme-staging"
	// Partner is healthy and quiet.
	Partner = "partner-portal"
)

// A World is what the pages show. Its parts may be changed between requests under Lock.
type World struct {
	sync.Mutex

	// At is the present of this world.
	At time.Time
	// Overview are the figures, and Err the failure to read them.
	Overview web.Overview
	Err      error
	Journal  *Journal
	Letters  *Letters
	Config   string
	Log      slog.Handler
}

// New returns a world with a number of events, of the day before a time.
func New(at time.Time, events int) *World {
	w := &World{At: at, Overview: Overview(at), Letters: NewLetters(at), Config: configuration, Log: slog.DiscardHandler}
	w.Journal = NewJournal(at, events)
	return w
}

// Empty returns a world with one tenant of which nothing was fetched yet.
func Empty(at time.Time) *World {
	t := web.Tenant{Name: Prod, Source: "acme.example.com", Destination: "/auth0/acme-prod, stream logs"}
	fill(&t)
	t.Judge(true)
	t.Assess(at, true)
	return &World{
		At: at, Overview: web.Overview{Version: "1.2.3", At: at, Running: true, Tenants: []web.Tenant{t}},
		Journal: NewJournal(at, 0), Letters: &Letters{}, Log: slog.DiscardHandler,
	}
}

// Options returns what a handler of the world's pages is made of.
func (w *World) Options() web.Options {
	return web.Options{
		Status: w.Status, Metrics: prometheus.NewRegistry(), Logger: slog.New(w.Log), Journal: w.Journal, Letters: w.Letters,
		Config: func() (string, error) { return w.Config, nil },
	}
}

// Status reads the figures.
func (w *World) Status(context.Context) (web.Overview, error) {
	w.Lock()
	defer w.Unlock()
	return w.Overview, w.Err
}

// Change changes the figures.
func (w *World) Change(f func(o *web.Overview)) {
	w.Lock()
	defer w.Unlock()
	f(&w.Overview)
}

// fill puts empty lists where the figures never have null.
func fill(t *web.Tenant) {
	t.Skipped, t.Rejected, t.Altered = map[string]int64{}, map[string]int64{}, map[string]int64{}
	t.Replayed, t.Dropped, t.Letters = map[string]int64{}, map[string]int64{}, []web.Letters{}
	t.Destinations, t.Troubles, t.Gaps = []web.Destination{}, []web.Trouble{}, []web.Gap{}
	t.MaxDeadLetterBytes = 1 << 30
	t.Retention = web.Retention{BufferMax: 10 << 30, Risks: []web.Risk{}}
}

// Overview returns figures with a tenant in each of various states.
func Overview(at time.Time) web.Overview {
	o := web.Overview{
		Version: "1.2.3", At: at, Running: true, Tenants: []web.Tenant{prod(at), staging(at), partner(at)},
		Configuration: &web.Configuration{LoadedAt: at.Add(-26 * time.Hour), NeedRestart: []string{}},
		Alerts: []web.Alert{
			{
				ID: "a1", Kind: "destination_refusing", Tenant: Staging, Part: "delivery", Severity: "critical",
				Message: "delivery to /auth0/acme-staging is refused since 11:18 UTC: AccessDeniedException", Hint: "Allow logs:PutLogEvents to the role of gapless.",
				Since: at.Add(-42 * time.Minute), Told: []string{"slack", "heartbeat"},
			},
			{
				ID: "a2", Kind: "push_silent", Tenant: Prod, Part: "push", Severity: "warning",
				Message: "the push brought nothing for 20 minutes while the poll did", Since: at.Add(-5 * time.Hour), Ended: at.Add(-4 * time.Hour), Told: []string{"slack"},
			},
		},
	}
	for i := range o.Tenants {
		o.Tenants[i].Judge(true)
		o.Tenants[i].Assess(at, true)
	}
	return o
}

// prod is pushed to and polled, with a second destination, a little behind.
func prod(at time.Time) web.Tenant {
	t := web.Tenant{Name: Prod, Source: "acme.eu.auth0.com", Destination: "/auth0/acme-prod, stream 2026/11/27"}
	fill(&t)
	t.Stored, t.Duplicates, t.Delivered, t.Buffered, t.BufferedBytes = 1_284_307, 8_211, 1_284_271, 36, 71_904
	t.Skipped["rule"] = 40_112
	t.Cursor = "90020261127115958123456000000000000001223372036854775841"
	t.NewestEvent, t.OldestBuffered, t.LastDelivery = at.Add(-900*time.Millisecond), at.Add(-1200*time.Millisecond), at.Add(-time.Second)
	t.Push.Checked, t.Push.Healed, t.Push.Pushed = true, 412, 1_103_554
	t.Push.Recent(3, 6_120)
	t.Retention.Seconds, t.Retention.ReadUntil, t.Retention.Moved, t.Retention.Waiting = 30*24*3600, at.Add(-4*time.Second), at, at
	t.Gaps = []web.Gap{{
		FromID: "90020261120031500123456000000000000001223372036854775807", FromTime: at.Add(-177 * time.Hour), ToID: "90020261120034500123456000000000000001223372036854775811",
		ToTime: at.Add(-176*time.Hour - 30*time.Minute), Reason: "the checkpoint was older than Auth0's log", Recorded: at.Add(-176 * time.Hour), Healed: at.Add(-175 * time.Hour),
	}}
	t.Destinations = []web.Destination{{
		Name: "audit", Destination: "/security/auth0 in eu-west-1, stream acme-prod", Configured: true, Delivered: 1_103_900, Buffered: 14, BufferedBytes: 22_110,
		Skipped: map[string]int64{"rule": 180_000}, Rejected: map[string]int64{}, Altered: map[string]int64{"too_large": 3}, Dropped: map[string]int64{},
		OldestBuffered: at.Add(-1100 * time.Millisecond), LastDelivery: at.Add(-2 * time.Second), Waiting: at,
	}}
	t.Sources = []web.Source{
		{Name: "webhook", Stored: 41_870, Duplicates: 112, Last: at.Add(-900 * time.Millisecond)},
		{Name: "poll", Stored: 412, Duplicates: 41_790, Last: at.Add(-3 * time.Minute)},
	}
	t.RateLimit = &web.RateLimit{Limit: 50, Remaining: 43, Reset: at.Add(time.Second), Share: 0.3}
	return t
}

// staging cannot deliver for want of a permission.
func staging(at time.Time) web.Tenant {
	t := web.Tenant{Name: Staging, Source: "acme-staging.eu.auth0.com", Destination: "/auth0/acme-staging, stream logs"}
	fill(&t)
	t.Stored, t.Duplicates, t.Delivered, t.Buffered, t.BufferedBytes = 64_018, 311, 61_870, 2_141, 8_400_000_000
	t.Rejected["too_large"], t.Rejected["unreadable"] = 5, 2
	t.Cursor = "90020261127115940123456000000000000001223372036854775901"
	t.NewestEvent, t.OldestBuffered, t.LastDelivery = at.Add(-20*time.Second), at.Add(-42*time.Minute), at.Add(-42*time.Minute)
	t.DeadLetters, t.DeadLetterBytes = 7, 1_412_000
	t.Letters = []web.Letters{{Kind: "rejected", Reason: "too_large", Count: 5, Bytes: 1_400_000}, {Kind: "unreadable", Reason: "unreadable", Count: 2, Bytes: 12_000}}
	t.Replayed["too_large"], t.Dropped["unreadable"] = 2, 1
	t.Retention.Seconds, t.Retention.ReadUntil, t.Retention.Moved, t.Retention.Waiting = 24*3600, at.Add(-20*time.Second), at, at.Add(-42*time.Minute)
	t.Troubles = []web.Trouble{{
		Part: "delivery", Class: "unauthorized", Since: at.Add(-42 * time.Minute),
		Message: "put events to /auth0/acme-staging: AccessDeniedException: User: arn:aws:iam::123456789012:user/gapless is not authorized to perform: logs:PutLogEvents",
		Hint:    "Allow logs:PutLogEvents on arn:aws:logs:eu-central-1:123456789012:log-group:/auth0/acme-staging:* to user/gapless; `gapless setup plan` shows the policy.",
	}}
	t.Gaps = []web.Gap{{FromTime: at.Add(-50 * time.Hour), ToTime: at.Add(-47 * time.Hour), Reason: "the log was kept for a day only", Recorded: at.Add(-23 * time.Hour)}}
	t.Sources = []web.Source{{Name: "poll", Stored: 2_204, Duplicates: 9, Last: at.Add(-20 * time.Second)}}
	t.RateLimit = &web.RateLimit{Limit: 2, Remaining: 1, Reset: at.Add(time.Second), Share: 0.5}
	return t
}

// partner is healthy and quiet.
func partner(at time.Time) web.Tenant {
	t := web.Tenant{Name: Partner, Source: "partner.us.auth0.com", Destination: "/auth0/partner-portal, stream logs"}
	fill(&t)
	t.Stored, t.Delivered = 5_120, 5_120
	t.Cursor = "90020261127115340123456000000000000001223372036854775999"
	t.NewestEvent, t.LastDelivery = at.Add(-6*time.Minute), at.Add(-6*time.Minute)
	t.Retention.Seconds, t.Retention.ReadUntil, t.Retention.Moved, t.Retention.Waiting = 2*24*3600, at.Add(-5*time.Second), at, at
	t.Sources = []web.Source{{Name: "poll", Stored: 212, Last: at.Add(-6 * time.Minute)}}
	t.RateLimit = &web.RateLimit{Limit: 10, Remaining: 9, Reset: at.Add(time.Second), Share: 0.3}
	return t
}

// configuration is what Options.Config returns.
const configuration = `data_dir: /var/lib/gapless
listen: 127.0.0.1:8080
aws:
  region: eu-central-1
tenants:
  - name: acme-prod
    domain: acme.eu.auth0.com
    client_id: 5kPq0exampleclient
    client_secret: '***'
    webhook:
      token: '***'
    cloudwatch:
      log_group: /auth0/acme-prod
      log_stream: '{year}/{month}/{day}'
  - name: acme-staging
    domain: acme-staging.eu.auth0.com
    client_id: 9aBc1exampleclient
    client_secret: '***'
`
