package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// Overview returns the figures of the moment.
func (a *App) Overview(ctx context.Context) (web.Overview, error) {
	o, err := overview(ctx, a.store.Reader, a.Config(), a.opts.Version, true)
	if err == nil {
		a.tellCurrent(o.Tenants, o.At)
		a.tellRemoved(o.Tenants)
		a.tellLate(o.Tenants)
		o.Configuration = a.reloads.configuration()
		o.Alerts = a.currentAlerts()
	}
	return o, err
}

// tellRemoved says that removed tenants still deliver what waits, and what hinders them.
func (a *App) tellRemoved(tenants []web.Tenant) {
	for _, t := range a.leftovers() {
		for i := range tenants {
			if v := &tenants[i]; v.Name == t.name && t.waiting() > 0 {
				v.Destination = placeOf(t.name, &t.of.CloudWatch) + ", until what waits is delivered"
				v.Troubles = t.current(v.Troubles)
				v.Judge(true)
			}
		}
	}
}

// tellCurrent puts the troubles that this process knows in the place of those
// that the store could keep, and adds what it alone knows.
func (a *App) tellCurrent(tenants []web.Tenant, at time.Time) {
	for _, t := range a.running() {
		if i := slices.IndexFunc(tenants, func(v web.Tenant) bool { return v.Name == t.name }); i >= 0 {
			tenants[i].Troubles = t.current(tenants[i].Troubles)
			tenants[i].Sources, tenants[i].RateLimit = a.tallies.sources(t.name, t.ingests), t.rateLimit()
			tenants[i].Judge(true)
			tenants[i].Assess(at, true)
		}
	}
}

// ReadOverview reads the figures from the data directory, beside a process that
// is running or without one.
func ReadOverview(ctx context.Context, cfg *config.Config, version string) (_ web.Overview, err error) {
	r, err := store.OpenReadOnly(ctx, cfg.DataDir)
	if err != nil {
		return web.Overview{}, err // it says what was tried
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	running, err := store.InUse(cfg.DataDir)
	if err != nil {
		return web.Overview{}, err
	}
	o, err := overview(ctx, r, cfg, version, running)
	if err != nil {
		return o, err
	}
	if running {
		if o.Configuration, err = sharedConfiguration(ctx, r); err != nil {
			return o, err
		}
	}
	o.Alerts, err = keptAlerts(ctx, r)
	return o, err
}

// overview puts the figures of the store beside the configuration. A tenant that
// is configured and unknown to the store shows up empty; one that is no longer
// configured shows up as long as events of it wait for delivery or lie in the dead letters, and
// for ever if it has a gap.
func overview(ctx context.Context, r *store.Reader, cfg *config.Config, version string, running bool) (web.Overview, error) {
	figures, err := r.Status(ctx)
	if err != nil {
		return web.Overview{}, fmt.Errorf("read figures: %w", err)
	}
	byName := make(map[string]store.TenantStatus, len(figures))
	for _, f := range figures {
		byName[f.Tenant] = f
	}
	backfills, err := readBackfills(ctx, r, cfg.DataDir)
	if err != nil {
		return web.Overview{}, fmt.Errorf("read the backfills: %w", err)
	}
	verifies, err := lastVerifies(ctx, r)
	if err != nil {
		return web.Overview{}, err
	}
	o := web.Overview{Version: version, At: time.Now().UTC(), Running: running, Tenants: []web.Tenant{}}
	for _, t := range cfg.Tenants {
		v := view(byName[t.Name], cfg)
		v.Name, v.Source = t.Name, t.Origin()
		v.Destination = placeOf(t.Name, &t.CloudWatch)
		addDestinations(&v, &t)
		if kept, err := config.ParseRetention(t.Retention); err == nil { // or the start has refused it
			v.Retention.Seconds = int64(kept / time.Second)
		}
		v.Push.Checked = t.Polls() && t.Pushed()
		v.Verify = viewVerify(verifies[t.Name], cfg, &t, o.At)
		v.Backfills = viewBackfills(backfills, &t, byName[t.Name])
		v.Judge(running)
		v.Assess(o.At, running)
		o.Tenants = append(o.Tenants, v)
	}
	for _, f := range figures {
		if configured(cfg, f.Tenant) || waiting(f)+f.DeadLetters+int64(len(f.Gaps)) == 0 {
			continue
		}
		v := view(f, cfg)
		addDestinations(&v, &config.Tenant{})
		v.Name, v.Source, v.Destination = f.Tenant, "not configured any more", "nothing, until it is again"
		v.Judge(false)
		v.Retention = web.Retention{Risks: []web.Risk{}} // nothing is fetched for it
		o.Tenants = append(o.Tenants, v)
	}
	return o, addPassed(ctx, r, &o)
}

// placeOf says in words where a destination is.
func placeOf(tenant string, cw *config.CloudWatch) string {
	return strings.ReplaceAll(fmt.Sprintf("%s, stream %s", cw.LogGroup, cw.LogStream), "{tenant}", tenant)
}

// addDestinations puts the further destinations of the configuration in front of those
// that are not in it any more; of these the ones for which nothing waits are left out.
func addDestinations(v *web.Tenant, t *config.Tenant) {
	known := slices.DeleteFunc(v.Destinations, func(d web.Destination) bool { return isLane(d.Name) && configuredLane(t, d.Name) })
	v.Destinations = []web.Destination{}
	for i := range t.Destinations {
		c := &t.Destinations[i]
		d := newDestination(c.Name)
		if at := slices.IndexFunc(known, func(x web.Destination) bool { return x.Name == c.Name }); at >= 0 {
			d = known[at]
		}
		d.Destination, d.Configured = placeOf(t.Name, &c.CloudWatch), true
		v.Destinations = append(v.Destinations, d)
	}
	for _, d := range known {
		if d.Buffered > 0 && !slices.ContainsFunc(v.Destinations, func(x web.Destination) bool { return x.Name == d.Name }) {
			v.Destinations = append(v.Destinations, d)
		}
	}
}

// configuredLane reports whether a sink of backfills is that of a configured destination.
func configuredLane(t *config.Tenant, name string) bool {
	return t.Name != "" && slices.Contains(lanesOf(t), name)
}

// newDestination returns a destination of which nothing is known.
func newDestination(name string) web.Destination {
	return web.Destination{
		Name: name, Destination: "nothing, until it is configured again",
		Skipped: map[string]int64{}, Rejected: map[string]int64{}, Altered: map[string]int64{}, Dropped: map[string]int64{},
	}
}

// viewSink turns the store's figures of a sink into those that people see.
func viewSink(f store.SinkStatus) web.Destination {
	d := newDestination(f.Name)
	d.Buffered, d.BufferedBytes, d.OldestBuffered, d.LastDelivery, d.Waiting = f.BufferedEvents, f.BufferedBytes, f.OldestDate, f.LastDeliveredAt, f.OldestStoredAt
	for _, c := range f.Counts {
		switch c.Name {
		case store.CountDelivered:
			d.Delivered += c.N
		case store.CountSkipped:
			d.Skipped[c.Reason] += c.N
		case store.CountAltered:
			d.Altered[c.Reason] += c.N
		case store.CountRejected:
			d.Rejected[c.Reason] += c.N
		case store.CountDropped:
			d.Dropped[c.Reason] += c.N
		}
	}
	return d
}

// waiting returns how many events wait for all destinations of a tenant.
func waiting(f store.TenantStatus) (n int64) {
	n = f.BufferedEvents
	for _, s := range f.Sinks {
		n += s.BufferedEvents
	}
	return n
}

// leftBehind returns the tenants that are not configured and of which events wait
// for delivery: a tenant was renamed, or removed too early.
func leftBehind(figures []store.TenantStatus, cfg *config.Config) []store.TenantStatus {
	return slices.DeleteFunc(slices.Clone(figures), func(f store.TenantStatus) bool {
		return waiting(f) == 0 || configured(cfg, f.Tenant)
	})
}

// configured reports whether a tenant is among the configured ones.
func configured(cfg *config.Config, tenant string) bool {
	return slices.ContainsFunc(cfg.Tenants, func(t config.Tenant) bool { return t.Name == tenant })
}

// view turns the store's figures of a tenant into those that people see.
func view(f store.TenantStatus, cfg *config.Config) web.Tenant {
	v := web.Tenant{
		DeadLetters: f.DeadLetters, DeadLetterBytes: f.DeadLetterBytes, MaxDeadLetterBytes: int64(cfg.MaxLetterBytes),
		Letters: []web.Letters{}, Replayed: map[string]int64{}, Dropped: map[string]int64{}, Buffered: f.BufferedEvents, BufferedBytes: f.BufferedBytes,
		NewestEvent: f.NewestDate, OldestBuffered: f.OldestDate, LastDelivery: f.LastDeliveredAt, LastStored: f.LastStoredAt,
		Skipped: map[string]int64{}, Rejected: map[string]int64{}, Altered: map[string]int64{},
		Troubles: []web.Trouble{}, Gaps: []web.Gap{},
		Retention: web.Retention{BufferMax: int64(cfg.MaxBufferBytes), Waiting: f.OldestStoredAt},
	}
	v.Push.Recent(f.RecentHealed, f.RecentPushed)
	for _, c := range f.Counts {
		switch c.Name {
		case store.CountStored:
			v.Stored += c.N
		case store.CountDuplicates:
			v.Duplicates += c.N
		case store.CountDelivered:
			v.Delivered += c.N
		case store.CountSkipped:
			v.Skipped[c.Reason] += c.N
		case store.CountAltered:
			v.Altered[c.Reason] += c.N
		case store.CountRejected:
			v.Rejected[c.Reason] += c.N
		case store.CountReplayed:
			v.Replayed[c.Reason] += c.N
		case store.CountDropped:
			v.Dropped[c.Reason] += c.N
		case store.CountHealed:
			v.Push.Healed += c.N
		case store.CountPushed:
			v.Push.Pushed += c.N
		case store.CountUnreadable:
			v.Rejected["unreadable"] += c.N
		}
	}
	for _, s := range f.Sinks {
		v.Destinations = append(v.Destinations, viewSink(s))
	}
	for _, c := range f.Cursors {
		if c.Source == source.PollName {
			v.Cursor, v.Retention.ReadUntil, v.Retention.Moved = c.Cursor, c.ReadUntil, c.UpdatedAt
		}
	}
	for _, l := range f.Letters {
		v.Letters = append(v.Letters, web.Letters{Kind: l.Kind, Reason: l.Reason, Count: l.Letters, Bytes: l.Bytes})
	}
	for _, c := range f.Conditions {
		v.Troubles = append(v.Troubles, web.Trouble{Part: c.Part, Class: c.Class, Message: c.Message, Hint: c.Hint, Since: c.Since})
	}
	for _, g := range f.Gaps {
		v.Gaps = append(v.Gaps, web.Gap{FromID: g.FromID, FromTime: g.FromTime, ToID: g.ToID, ToTime: g.ToTime, Reason: g.Reason, Recorded: g.RecordedAt, Healed: g.HealedAt})
	}
	return v
}

// viewBackfills lists those of a tenant that have not ended, and the last one that has.
func viewBackfills(list []BackfillState, t *config.Tenant, f store.TenantStatus) (out []web.Backfill) {
	var last *BackfillState
	for i := range list {
		s := &list[i]
		switch {
		case s.Tenant != t.Name:
		case s.Phase.Ended():
			if last == nil || !s.Ended.Before(last.Ended) {
				last = s
			}
		default:
			out = append(out, viewBackfill(s, f))
		}
	}
	if last != nil {
		out = append(out, viewBackfill(last, store.TenantStatus{}))
	}
	return out
}

// viewBackfill turns the state of a backfill into what people see.
func viewBackfill(s *BackfillState, f store.TenantStatus) web.Backfill {
	v := web.Backfill{
		ID: s.ID, Phase: string(s.Phase), Since: s.Since, Until: s.Until, Reached: s.Reached, Ended: s.Ended,
		Read: s.Counts.Read, Stored: s.Counts.Stored, There: s.Counts.There, Rejected: s.Rejected,
	}
	for _, x := range f.Sinks {
		if isLane(x.Name) {
			v.Undelivered += x.BufferedEvents
		}
	}
	if s.Trouble != nil {
		v.Trouble = s.Trouble.Message
	}
	return v
}
