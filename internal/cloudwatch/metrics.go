package cloudwatch

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of one tenant's sink.
type metrics struct {
	apiCalls    *prometheus.CounterVec // by operation
	puts        *prometheus.CounterVec // by result
	delivered   prometheus.Counter
	bytes       *prometheus.CounterVec // by form: message, wire
	rejected    *prometheus.CounterVec // by reason
	restamped   *prometheus.CounterVec
	altered     *prometheus.CounterVec
	provisioned *prometheus.CounterVec // by resource
	doubts      *prometheus.CounterVec // by outcome: found, missing, unchecked
	seconds     prometheus.Histogram
}

// newMetrics registers the figures of the sink of a tenant. Those of a further
// destination have names of their own, see pipeline.NewSinkMetrics.
func newMetrics(reg prometheus.Registerer, tenant, destination string) *metrics {
	labels, namespace := prometheus.Labels{"tenant": tenant}, "gapless"
	if destination != "" {
		labels["destination"], namespace = destination, "gapless_destination"
	}
	reg = prometheus.WrapRegistererWith(labels, reg)
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: "cloudwatch", Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		apiCalls:    vec("api_calls_total", "Calls to CloudWatch Logs, by operation.", "operation"),
		puts:        vec("put_calls_total", "Calls of PutLogEvents, by result.", "result"),
		delivered:   vec("delivered_events_total", "Events that CloudWatch Logs has accepted.").WithLabelValues(),
		bytes:       vec("sent_bytes_total", "Bytes of accepted calls: of the messages, and on the wire.", "form"),
		rejected:    vec("rejected_events_total", "Events that CloudWatch Logs can never take, by reason.", "reason"),
		restamped:   vec("restamped_events_total", "Events delivered with another timestamp than their date, by reason.", "reason"),
		altered:     vec("altered_events_total", "Events delivered with another message than received, by reason.", "reason"),
		provisioned: vec("provisioned_total", "Log groups and streams that were made.", "resource"),
		doubts:      vec("in_doubt_events_total", "Events that may have arrived by a call whose outcome is unknown: found there, missing and sent again, or unchecked and sent again.", "outcome"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "cloudwatch", Name: "put_seconds", Help: "Time that a call of PutLogEvents took.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}),
	}
	reg.MustRegister(m.seconds)
	for _, outcome := range []string{outcomeFound, outcomeMissing, outcomeUnchecked} {
		m.doubts.WithLabelValues(outcome)
	}
	return m
}

// result names the outcome of a call of PutLogEvents for the metrics.
func result(f *failure) string {
	if f == nil {
		return "ok"
	}
	return f.kind.String()
}
