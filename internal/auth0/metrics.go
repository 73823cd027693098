package auth0

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of one client.
type metrics struct {
	calls     *prometheus.CounterVec // by operation and class of the status
	failures  *prometheus.CounterVec // by kind
	retries   *prometheus.CounterVec // by kind
	tokens    prometheus.Counter
	waited    prometheus.Counter
	limit     prometheus.Gauge
	remaining prometheus.Gauge
}

// newMetrics makes the figures and registers them; a nil registerer takes none.
func newMetrics(reg prometheus.Registerer, tenant string) (*metrics, error) {
	labels := prometheus.Labels{"tenant": tenant}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "gapless", Subsystem: "auth0", Name: name, Help: help, ConstLabels: labels}
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gapless", Subsystem: "auth0", Name: name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		calls:     prometheus.NewCounterVec(counter("api_calls_total", "Requests to Auth0, by operation and class of the answer's status."), []string{"operation", "status"}),
		failures:  prometheus.NewCounterVec(counter("failures_total", "Requests to Auth0 that failed, by kind."), []string{"kind"}),
		retries:   prometheus.NewCounterVec(counter("retries_total", "Requests that the client repeated by itself, by the kind of the failure."), []string{"kind"}),
		tokens:    prometheus.NewCounter(counter("token_requests_total", "Access tokens asked for; each writes an event into the tenant's log.")),
		waited:    prometheus.NewCounter(counter("rate_limit_wait_seconds_total", "Time spent waiting so as to keep within the share of the rate limit.")),
		limit:     gauge("rate_limit_limit", "Rate limit of the Management API as last told; 0 when unknown."),
		remaining: gauge("rate_limit_remaining", "Calls left of the rate limit as last told."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.calls, m.failures, m.retries, m.tokens, m.waited, m.limit, m.remaining} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// called counts a request by the class of its status; 0 is no answer.
func (m *metrics) called(operation string, status int) {
	class := "none"
	if status > 0 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.calls.WithLabelValues(operation, class).Inc()
}

// failed counts an error.
func (m *metrics) failed(k Kind) { m.failures.WithLabelValues(k.String()).Inc() }

// rate shows the rate limit.
func (m *metrics) rate(limit, remaining int) {
	m.limit.Set(float64(limit))
	m.remaining.Set(float64(max(0, remaining)))
}
