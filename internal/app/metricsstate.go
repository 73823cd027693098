package app

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/web"
)

// stateDescs are those of where a tenant stands. Points in time are absent until the
// thing has happened.
type stateDescs struct{ state, newest, delivered, readUntil, bufferMax *prometheus.Desc }

// newStateDescs makes them; desc puts the label of the tenant in front of others.
func newStateDescs(desc func(name, help string, labels ...string) *prometheus.Desc) stateDescs {
	return stateDescs{
		state:     desc("tenant_state", "1 for the state that a tenant is in, 0 for the others.", "state"),
		newest:    desc("newest_event_timestamp_seconds", "Date of the newest event fetched, in seconds since 1970."),
		delivered: desc("last_delivery_timestamp_seconds", "When the main destination last took events, in seconds since 1970."),
		readUntil: desc("read_until_timestamp_seconds", "Up to when the log of Auth0 is known to be read, by its clock, in seconds since 1970; of tenants that are polled."),
		bufferMax: desc("buffer_max_bytes", "How many bytes of events fit into the buffer: max_buffer_bytes."),
	}
}

// all lists them.
func (d stateDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.state, d.newest, d.delivered, d.readUntil, d.bufferMax}
}

// collect sends those of a tenant.
func (d stateDescs) collect(ch chan<- prometheus.Metric, t web.Tenant) {
	for _, s := range web.States() {
		at := 0.0
		if s == t.State {
			at = 1
		}
		ch <- prometheus.MustNewConstMetric(d.state, prometheus.GaugeValue, at, t.Name, string(s))
	}
	for desc, at := range map[*prometheus.Desc]time.Time{d.newest: t.NewestEvent, d.delivered: t.LastDelivery, d.readUntil: t.Retention.ReadUntil} {
		if !at.IsZero() {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(at.UnixMilli())/1000, t.Name)
		}
	}
	if most := t.Retention.BufferMax; most > 0 {
		ch <- prometheus.MustNewConstMetric(d.bufferMax, prometheus.GaugeValue, float64(most), t.Name)
	}
}

// newBuildInfo is what says which build is running.
func newBuildInfo(version string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "gapless", Name: "build_info", Help: "1, with the version of gapless and that of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}
