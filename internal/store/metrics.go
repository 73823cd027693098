package store

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of a store. The tenants' ones are kept in memory, so
// that collecting them costs no read.
type metrics struct {
	store      *Store
	registerer prometheus.Registerer

	seconds prometheus.Histogram
	jobs    prometheus.Counter

	bytes, events, letters, letterBytes, letterMax, fileBytes, diskFree, diskSize *prometheus.Desc
}

// newMetrics registers the figures; a nil registerer takes none.
func newMetrics(reg prometheus.Registerer, s *Store) (*metrics, error) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gapless_store_"+name, help, labels, nil)
	}
	m := &metrics{
		store: s, registerer: reg,
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "gapless", Subsystem: "store", Name: "commit_seconds", Help: "Time of a commit, from its begin to its flush.",
			Buckets: []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5},
		}),
		jobs: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "gapless", Subsystem: "store", Name: "committed_changes_total", Help: "Changes that commits carried; one commit carries all that wait.",
		}),
		bytes:   desc("buffer_bytes", "Bytes of the events that wait for delivery.", "tenant"),
		events:  desc("buffer_events", "Events that wait for delivery.", "tenant"),
		letters: desc("dead_letters", "Dead letters that are kept.", "tenant"),

		letterBytes: desc("dead_letter_bytes", "Bytes of the dead letters that are kept.", "tenant"),
		letterMax:   desc("dead_letter_max_bytes", "Quota of the dead letters, max_dead_letter_bytes; from 80 % on the tenant is in trouble.", "tenant"),

		fileBytes: desc("file_bytes", "Size of a file of the store.", "file"),
		diskFree:  desc("disk_free_bytes", "Bytes that are free for gapless on the file system of the data directory; absent where the system does not tell."),
		diskSize:  desc("disk_size_bytes", "Size of that file system."),
	}
	if reg == nil {
		return m, nil
	}
	if err := reg.Register(m); err != nil {
		return nil, fmt.Errorf("register metrics of store: %w", err)
	}
	return m, nil
}

// unregister takes the figures back, so that a store can be opened again.
func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m)
	}
}

// commit notes a commit.
func (m *metrics) commit(d time.Duration, jobs int) {
	m.seconds.Observe(d.Seconds())
	m.jobs.Add(float64(jobs))
}

// Describe describes the figures, see prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.seconds.Describe(ch)
	m.jobs.Describe(ch)
	for _, d := range []*prometheus.Desc{m.bytes, m.events, m.letters, m.letterBytes, m.letterMax, m.fileBytes, m.diskFree, m.diskSize} {
		ch <- d
	}
}

// Collect sends the figures, see prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.seconds.Collect(ch)
	m.jobs.Collect(ch)
	gauge := func(d *prometheus.Desc, v int64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), label)
	}
	for _, b := range m.store.opened() {
		if b.unmetered.Load() {
			continue
		}
		f := b.figures()
		gauge(m.bytes, f.bytes, b.tenant)
		gauge(m.events, f.events, b.tenant)
		gauge(m.letters, f.letters, b.tenant)
		gauge(m.letterBytes, f.letterBytes, b.tenant)
		gauge(m.letterMax, m.store.limits().MaxLetterBytes, b.tenant)
	}
	if sp, err := m.store.writer.reserve.space(m.store.cfg.Dir); err == nil && sp.total > 0 {
		ch <- prometheus.MustNewConstMetric(m.diskFree, prometheus.GaugeValue, float64(sp.free))
		ch <- prometheus.MustNewConstMetric(m.diskSize, prometheus.GaugeValue, float64(sp.total))
	}
	for _, name := range []string{fileName, fileName + "-wal"} {
		if info, err := os.Stat(filepath.Join(m.store.cfg.Dir, name)); err == nil {
			gauge(m.fileBytes, info.Size(), name)
		}
	}
}
