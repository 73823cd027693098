package pipeline

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/event"
)

// Metrics are the figures of one tenant's two loops, or of the delivery to one more
// of its sinks.
type Metrics struct {
	fetched, stored, duplicates  *prometheus.CounterVec // by source
	skipped, unreadable, undated *prometheus.CounterVec
	withheld                     *prometheus.CounterVec // by source
	delivered                    prometheus.Counter
	batches                      prometheus.Counter
	rejected, altered            *prometheus.CounterVec // by reason
	returned                     prometheus.Counter
	retries                      *prometheus.CounterVec // by part and class
	latency                      prometheus.Histogram
	inFlight                     prometheus.Gauge

	mu     sync.Mutex
	newest time.Time // date of the newest event fetched
}

// NewMetrics registers the figures of a tenant. Those of its delivery are of the
// main sink.
func NewMetrics(reg prometheus.Registerer, tenant string) *Metrics {
	reg = prometheus.WrapRegistererWith(prometheus.Labels{"tenant": tenant}, reg)
	m := newDeliveryMetrics(reg, "gapless", DeliveryPart)
	vec := counters(reg, "gapless")
	m.fetched = vec("fetched_events_total", "Events that a source brought.", "source")
	m.stored = vec("stored_events_total", "Events that were new and were written to disk.", "source")
	m.duplicates = vec("duplicate_events_total", "Events dropped because their log_id was known.", "source")
	m.unreadable = vec("unreadable_records_total", "Records that were no events and went to the dead letters.", "source")
	m.withheld = vec("withheld_events_total", "Events to which a redaction rule could not be applied; their id, type and date went to the dead letters.", "source")
	m.undated = vec("undated_events_total", "Events without a readable date, by where their date came from instead.", "source", "date_from")
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "gapless", Name: "ingest_lag_seconds", Help: "Now minus the date of the newest event fetched; -1 before the first.",
	}, m.ingestLag))
	return m
}

// NewSinkMetrics registers the figures of the delivery to a tenant's further sink.
// They have names of their own, so that those of the tenant never count an event
// twice.
func NewSinkMetrics(reg prometheus.Registerer, tenant, sink string) *Metrics {
	reg = prometheus.WrapRegistererWith(prometheus.Labels{"tenant": tenant, "destination": sink}, reg)
	return newDeliveryMetrics(reg, "gapless_destination", DeliveryPartOf(sink))
}

// counters returns what makes and registers counters.
func counters(reg prometheus.Registerer, namespace string) func(name, help string, labels ...string) *prometheus.CounterVec {
	return func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
}

// newDeliveryMetrics registers the figures of a delivery.
func newDeliveryMetrics(reg prometheus.Registerer, namespace, part string) *Metrics {
	vec := counters(reg, namespace)
	one := func(name, help string) prometheus.Counter { return vec(name, help).WithLabelValues() }
	m := &Metrics{
		skipped:   vec("skipped_events_total", "Events left out on purpose, by reason.", "source", "reason"),
		delivered: one("delivered_events_total", "Events that the destination accepted."),
		batches:   one("delivered_batches_total", "Batches that the destination answered."),
		rejected:  vec("rejected_events_total", "Events that the destination can never take, by reason; they lie in the dead letters.", "reason"),
		altered:   vec("altered_events_total", "Events delivered in another form than received, by reason; the whole ones lie in the dead letters.", "reason"),
		returned:  one("returned_events_total", "Events that go to the destination again after a partial refusal."),
		retries:   vec("retries_total", "Failed tries, by part and class of the error.", "part", "class"),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "event_latency_seconds", Help: "Time from the date of an event to its delivery; the oldest event of each batch is observed.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400, 604800},
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "batches_in_flight", Help: "Batches under way to the destination."}),
	}
	for _, reason := range []string{"too_old", "too_new", "too_large", "invalid"} {
		m.rejected.WithLabelValues(reason) // there from the start, so that an alert can be written before the first
	}
	for _, c := range []Class{Transient, Throttled, Unauthorized, Misconfigured} {
		m.retries.WithLabelValues(part, c.String())
	}
	reg.MustRegister(m.latency, m.inFlight)
	return m
}

// page counts what a source brought.
func (m *Metrics) page(source string, p event.Page) {
	m.mu.Lock()
	for _, e := range p.Events {
		if e.Date.After(m.newest) {
			m.newest = e.Date
		}
	}
	m.mu.Unlock()
	for _, e := range p.Events {
		if e.DateFrom != event.DateFromField {
			m.undated.WithLabelValues(source, e.DateFrom.String()).Inc()
		}
	}
	m.fetched.WithLabelValues(source).Add(float64(len(p.Events)))
}

// appended counts what became of a page, of whose events so many were withheld.
func (m *Metrics) appended(source string, in Intake, done Appended, withheld int) {
	m.stored.WithLabelValues(source).Add(float64(done.Stored))
	m.duplicates.WithLabelValues(source).Add(float64(done.Duplicates))
	m.unreadable.WithLabelValues(source).Add(float64(len(in.Unreadable) - withheld))
	m.withheld.WithLabelValues(source).Add(float64(withheld))
	for reason, n := range in.Skipped {
		m.skipped.WithLabelValues(source, reason).Add(float64(n))
	}
}

// settled counts what became of a batch.
func (m *Metrics) settled(b Batch, r Receipt, now time.Time) {
	m.batches.Inc()
	m.delivered.Add(float64(len(b.Events) - len(r.Rejected) - len(r.Skipped) - len(r.Retry)))
	m.returned.Add(float64(len(r.Retry)))
	for _, x := range r.Rejected {
		m.rejected.WithLabelValues(x.Reason).Inc()
	}
	for _, x := range r.Skipped {
		m.skipped.WithLabelValues(DeliveryPart, x.Reason).Inc()
	}
	for _, x := range r.Altered {
		m.altered.WithLabelValues(x.Reason).Inc()
	}
	if len(b.Events) > 0 {
		m.latency.Observe(max(0, now.Sub(b.Events[0].Date).Seconds()))
	}
}

// ingestLag is the lag of the newest event fetched, in seconds.
func (m *Metrics) ingestLag() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.newest.IsZero() {
		return -1
	}
	return time.Since(m.newest).Seconds()
}
