package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lagTimeout bounds reading the figures for a scrape.
const lagTimeout = 5 * time.Second

// lags are the figures of each tenant that only the store can tell.
type lags struct {
	app      *App
	delivery *prometheus.Desc
	gaps     *prometheus.Desc
	trouble  *prometheus.Desc
}

// newLags makes the collector.
func newLags(a *App) *lags {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gapless_"+name, help, append([]string{"tenant"}, labels...), nil)
	}
	return &lags{
		app:      a,
		delivery: desc("delivery_lag_seconds", "Now minus the date of the oldest event not delivered yet; 0 when all are."),
		gaps:     desc("gaps", "Spans of events that could not be read any more, ever."),
		trouble:  desc("trouble", "1 while a part of the export fails, by part and class of the error.", "part", "class"),
	}
}

// Describe implements prometheus.Collector.
func (l *lags) Describe(ch chan<- *prometheus.Desc) {
	ch <- l.delivery
	ch <- l.gaps
	ch <- l.trouble
}

// Collect implements prometheus.Collector.
func (l *lags) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTimeout)
	defer cancel()
	o, err := l.app.Overview(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(l.delivery, err)
		return
	}
	for _, t := range o.Tenants {
		ch <- prometheus.MustNewConstMetric(l.delivery, prometheus.GaugeValue, t.DeliveryLag(o.At).Seconds(), t.Name)
		ch <- prometheus.MustNewConstMetric(l.gaps, prometheus.GaugeValue, float64(len(t.Gaps)), t.Name)
		for _, x := range t.Troubles {
			ch <- prometheus.MustNewConstMetric(l.trouble, prometheus.GaugeValue, 1, t.Name, x.Part, x.Class)
		}
	}
}
