package app

import "github.com/prometheus/client_golang/prometheus"

// Metrics returns what /metrics serves.
func (a *App) Metrics() prometheus.Gatherer { return a.gatherer() }
