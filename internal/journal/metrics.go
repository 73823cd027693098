package journal

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of the journal.
type metrics struct {
	journal    *Journal
	registerer prometheus.Registerer
	written    prometheus.Counter
	dropped    prometheus.Counter
	renewed    prometheus.Counter
	paused     prometheus.Gauge
	queued     *prometheus.Desc
	bytes      *prometheus.Desc
}

// newMetrics registers the figures.
func newMetrics(reg prometheus.Registerer, j *Journal) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gapless", Subsystem: "history", Name: name, Help: help})
	}
	m := &metrics{
		journal: j, registerer: reg,
		written: counter("written_events_total", "Outcomes of events that were written to the history."),
		dropped: counter("dropped_events_total", "Outcomes of events that the history lacks, because it could not be written as fast as they came."),
		renewed: counter("renewals_total", "Times that the file of the history was damaged, of another release or gone, and was made anew."),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gapless", Subsystem: "history", Name: "paused", Help: "1 while the history cannot be written, or the disk has little room; events are exported nevertheless.",
		}),
		queued: prometheus.NewDesc("gapless_history_queued_events", "Outcomes of events that wait to be written to the history.", nil, nil),
		bytes:  prometheus.NewDesc("gapless_history_file_bytes", "Size of the file of the history.", nil, nil),
	}
	if reg == nil {
		return m, nil
	}
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register metrics of the journal: %w", err)
	}
	return m, nil
}

// unregister takes the figures back.
func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m)
	}
}

// own are the figures that count themselves.
func (m *metrics) own() []prometheus.Metric {
	return []prometheus.Metric{m.written, m.dropped, m.renewed, m.paused}
}

// Describe describes the figures, see prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, x := range m.own() {
		ch <- x.Desc()
	}
	ch <- m.queued
	ch <- m.bytes
}

// Collect sends the figures, see prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, x := range m.own() {
		ch <- x
	}
	n, _ := m.journal.queue.waiting()
	ch <- prometheus.MustNewConstMetric(m.queued, prometheus.GaugeValue, float64(n))
	if info, err := os.Stat(m.journal.path); err == nil {
		ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, float64(info.Size()))
	}
}
