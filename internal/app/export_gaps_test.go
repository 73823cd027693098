package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
)

// Metrics returns what /metrics serves.
func (a *App) Metrics() prometheus.Gatherer { return a.gatherer() }

// PutOff has a tenant of a configuration start later, as if err had been in the way.
func (a *App) PutOff(ctx context.Context, cfg *config.Config, t config.Tenant, err error) {
	a.mu.Lock()
	a.cfg = cfg
	a.mu.Unlock()
	a.putOff(ctx, &lateTenant{cfg: cfg, tenant: t, since: time.Now()}, err)
	a.wakeCaretaker()
}
