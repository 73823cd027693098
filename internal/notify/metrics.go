package notify

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of notify. They belong to the process.
type metrics struct {
	manager  *Manager
	alerts   *prometheus.Desc
	outcomes *prometheus.CounterVec
	broken   *prometheus.GaugeVec

	mu    sync.Mutex
	named map[string]bool
}

// newMetrics registers the figures of a manager.
func newMetrics(reg prometheus.Registerer, m *Manager) *metrics {
	x := &metrics{
		manager: m, named: make(map[string]bool),
		alerts: prometheus.NewDesc("gapless_alerts", "Alerts that are on, by kind, tenant and severity; the tenant is empty for those of the process.", []string{"kind", "tenant", "severity"}, nil),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gapless", Name: "notifications_total", Help: "Tries to tell a channel of notify, by outcome.",
		}, []string{"channel", "outcome"}),
		broken: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "gapless", Name: "notify_channel_failing", Help: "1 while a channel of notify cannot be told.",
		}, []string{"channel"}),
	}
	reg.MustRegister(x, x.outcomes, x.broken)
	return x
}

// channel makes the figures of a channel, so that they are there before the first message.
func (x *metrics) channel(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.named[name] = true
	for _, outcome := range []string{"sent", "failed"} {
		x.outcomes.WithLabelValues(name, outcome)
	}
	x.broken.WithLabelValues(name).Set(0)
}

// retain drops the figures of channels that are not there any more.
func (x *metrics) retain(there map[string]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name := range x.named {
		if !there[name] {
			delete(x.named, name)
			x.outcomes.DeletePartialMatch(prometheus.Labels{"channel": name})
			x.broken.DeleteLabelValues(name)
		}
	}
}

func (x *metrics) sent(channel string)   { x.outcomes.WithLabelValues(channel, "sent").Inc() }
func (x *metrics) failed(channel string) { x.outcomes.WithLabelValues(channel, "failed").Inc() }

// failing shows whether a channel fails.
func (x *metrics) failing(channel string, is bool) {
	v := 0.0
	if is {
		v = 1
	}
	x.broken.WithLabelValues(channel).Set(v)
}

// Describe implements prometheus.Collector.
func (x *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- x.alerts }

// Collect implements prometheus.Collector.
func (x *metrics) Collect(ch chan<- prometheus.Metric) {
	count := make(map[[3]string]int)
	for _, a := range x.manager.Alerts() {
		if a.on() {
			count[[3]string{a.Kind, a.Tenant, string(a.Severity)}]++
		}
	}
	for labels, n := range count {
		ch <- prometheus.MustNewConstMetric(x.alerts, prometheus.GaugeValue, float64(n), labels[:]...)
	}
}
