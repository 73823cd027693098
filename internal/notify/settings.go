package notify

import (
	"context"
	"slices"
	"time"
)

// A Sender sends messages over a channel. Its errors are *SendError, or without secrets.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// A Beater does something by the clock.
type Beater interface {
	Beat(ctx context.Context, b Beat) error
	// Test does it once, marked as a test.
	Test(ctx context.Context) error
}

// A readier knows without sending anything whether it has what it needs to send.
type readier interface {
	Ready(ctx context.Context) error
}

// A Beat is what a Beater is told.
type Beat struct {
	Snapshot Snapshot
	// On are the alerts that are on and that the channel's filter lets through.
	On []Alert
	// Healthy says that the figures could be read, and that none is on.
	Healthy bool
}

// A Filter chooses alerts.
type Filter struct {
	// Severity is the least that is told.
	Severity Severity
	// Tenants and Kinds are those that are told; all when empty. An alert of no tenant
	// concerns all, and so every channel.
	Tenants, Kinds []string
}

// wants reports whether an alert is let through.
func (f Filter) wants(a *Alert) bool {
	return a.Severity.AtLeast(f.Severity) && f.covers(a.Tenant) && (len(f.Kinds) == 0 || slices.Contains(f.Kinds, a.Kind))
}

// covers reports whether a tenant is let through.
func (f Filter) covers(tenant string) bool {
	return tenant == "" || len(f.Tenants) == 0 || slices.Contains(f.Tenants, tenant)
}

// A Channel is where messages go.
type Channel struct {
	// Name tells channels apart.
	Name string
	Filter
	// Sender sends messages; nil where Beater does something by the clock.
	Sender Sender
	Beater Beater
	// Every is the pause between two beats, and between two messages that all goes well;
	// for these 0 is never.
	Every time.Duration
	// Report is when the daily report is sent; nil for never.
	Report *Clock
	// Zone is the one for times in messages; nil is UTC.
	Zone *time.Location
}

// A Clock is a time of the day.
type Clock struct {
	Hour, Minute int
	Zone         *time.Location
}

// next returns the first time of the clock after a time.
func (c Clock) next(after time.Time) time.Time {
	local := after.In(c.Zone)
	for day := 0; ; day++ {
		at := time.Date(local.Year(), local.Month(), local.Day()+day, c.Hour, c.Minute, 0, 0, c.Zone)
		if at.After(after) {
			return at
		}
	}
}

// Settings are what a configuration says.
type Settings struct {
	Thresholds Thresholds
	// Repeat is the pause before an alert that is still on is told again; it doubles each
	// time, up to a day.
	Repeat time.Duration
	// Instance names this gapless in messages; may be empty.
	Instance string
	Channels []Channel
}

// A Result is the outcome of a test of a channel.
type Result struct {
	Channel string
	Err     error
}

// Test sends a test through channels at once, and returns the outcomes in their order.
func Test(ctx context.Context, s Settings, version string, channels []Channel) []Result {
	now := time.Now()
	out := make([]Result, len(channels))
	done := make(chan int)
	for i, c := range channels {
		out[i].Channel = c.Name
		go func() {
			if c.Sender != nil {
				out[i].Err = c.Sender.Send(ctx, Message{ID: messageID(now), About: AboutTest, At: now, Instance: s.Instance, Version: version})
			} else {
				out[i].Err = c.Beater.Test(ctx)
			}
			done <- i
		}()
	}
	for range channels {
		<-done
	}
	return out
}
