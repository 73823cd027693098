package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// lanePrefix and the name of a destination name the sink by which events of backfills
// go there. No destination has such a name.
const lanePrefix = "backfill/"

// laneInFlight is how many batches of a backfill are under way at once.
const laneInFlight = 2

// laneOf names the sink of backfills to a destination.
func laneOf(destination string) string {
	if destination == "" {
		destination = MainDestination
	}
	return lanePrefix + destination
}

// isLane reports whether a sink is one of backfills.
func isLane(sink string) bool { return strings.HasPrefix(sink, lanePrefix) }

// lanesOf lists the sinks of backfills of a tenant.
func lanesOf(t *config.Tenant) []string {
	list := []string{laneOf("")}
	for i := range t.Destinations {
		list = append(list, laneOf(t.Destinations[i].Name))
	}
	return list
}

// A laneSet is what delivers the events of a tenant's backfills, beside the ordinary
// deliveries and with nothing in common with them but the store: an outlet for each of
// its destinations.
type laneSet struct {
	cfg        *config.Config // what it was built from
	host       *tenant
	outlets    []*outlet
	deliveries []*delivery
}

// startLanes builds and starts the lanes of a tenant.
func (a *App) startLanes(ctx context.Context, cfg *config.Config, t config.Tenant) (*laneSet, error) {
	host := a.newTenant(cfg, t)
	var err error
	if host.buffer, err = a.store.Buffer(ctx, t.Name); err != nil {
		return nil, fmt.Errorf("open buffer: %w", err)
	}
	set := &laneSet{cfg: cfg, host: host}
	report := a.reporter(host)
	host.secrets.report = report
	for _, w := range wantedOf(cfg, &t) {
		lane := laneOf(w.name)
		w.label = lane
		cw := *w.cw
		cw.InFlight = min(cw.InFlight, laneInFlight)
		w.cw = &cw
		o := &outlet{name: lane, tenant: host, logger: host.logger, settled: make(chan struct{}, 1)}
		if err := a.buildOutlet(ctx, t, o, w, pipeline.NewSinkMetrics(host.registry, t.Name, lane), report); err != nil {
			return nil, fmt.Errorf("backfill to %s: %w", lane, err)
		}
		o.fixed, o.finish = nil, nil // where it goes is known with the first event
		set.outlets = append(set.outlets, o)
	}
	for _, o := range set.outlets {
		set.deliveries = append(set.deliveries, o.start(context.WithoutCancel(ctx)))
	}
	return set, nil
}

// end ends the lanes once the calls under way are over, see delivery.leave.
func (s *laneSet) end(ctx context.Context) {
	for _, d := range s.deliveries {
		d.leave(ctx)
	}
	s.deliveries = nil
	for _, o := range s.outlets {
		if ctx.Err() == nil {
			_ = s.host.buffer.ClearCondition(ctx, o.part()) // it is of this process
		}
	}
}

// pending returns how many events wait for lanes, and their bytes.
func pendingOfLanes(b *store.Buffer, t *config.Tenant) (events, bytes int64) {
	for _, lane := range lanesOf(t) {
		n, size := b.SinkFiguresOf(lane)
		events, bytes = events+n, bytes+size
	}
	return events, bytes
}

// trouble returns the first trouble that the lanes are in.
func (s *laneSet) trouble() *pipeline.Condition {
	for _, o := range s.outlets {
		if c := o.deliver.Trouble(); c != nil {
			return c
		}
	}
	return nil
}

// lately returns when one of the lanes has last delivered something, as the store knows it.
func lately(f store.TenantStatus) (at time.Time) {
	for _, s := range f.Sinks {
		if isLane(s.Name) && s.LastDeliveredAt.After(at) {
			at = s.LastDeliveredAt
		}
	}
	return at
}

// rejectedBy sums the events of a tenant's lanes that became dead letters.
func rejectedBy(f store.TenantStatus) (n int64) {
	for _, s := range f.Sinks {
		for _, c := range s.Counts {
			if isLane(s.Name) && c.Name == store.CountRejected {
				n += c.N
			}
		}
	}
	return n
}

// laneRegistries returns the figures of the lanes of the moment.
func (a *App) laneRegistries() (list []prometheus.Gatherer) {
	if a.backfills == nil {
		return nil
	}
	a.backfills.mu.Lock()
	defer a.backfills.mu.Unlock()
	for _, set := range a.backfills.lanes {
		list = append(list, set.host.registry)
	}
	return list
}
