package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/verify"
	"github.com/gaplesslogs/gapless/internal/web"
)

// lagTimeout bounds reading the figures for a scrape.
const lagTimeout = 5 * time.Second

// lags are the figures of each tenant that only the store can tell.
type lags struct {
	app      *App
	delivery *prometheus.Desc
	gaps     *prometheus.Desc
	trouble  *prometheus.Desc

	letters, letterBytes, replayed, dropped *prometheus.Desc

	left, risk, room *prometheus.Desc

	healed, missed *prometheus.Desc

	verifiedAt, verifiedClean, verified, verifyRefused *prometheus.Desc

	further destinationDescs
	states  stateDescs
}

// destinationDescs are those of further destinations.
type destinationDescs struct{ lag, events, bytes, dropped *prometheus.Desc }

// newLags makes the collector.
func newLags(a *App) *lags {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gapless_"+name, help, append([]string{"tenant"}, labels...), nil)
	}
	return &lags{
		app:      a,
		delivery: desc("delivery_lag_seconds", "Now minus the date of the oldest event not delivered yet; 0 when all are."),
		gaps:     desc("gaps", "Spans of events that could not be read when it was their turn, ever, by whether they have been read since.", "healed"),
		trouble:  desc("trouble", "1 while a part of the export fails, by part and class of the error.", "part", "class"),

		letters:     desc("dead_letters", "Dead letters that are kept, by kind and reason.", "kind", "reason"),
		letterBytes: desc("dead_letter_bytes", "Bytes of the dead letters that are kept, by kind and reason.", "kind", "reason"),
		replayed:    desc("dead_letters_replayed_total", "Dead letters that were put back into the buffer, ever, by reason.", "reason"),
		dropped:     desc("dead_letters_dropped_total", "Dead letters that a person has deleted, ever, by reason.", "reason"),

		left: desc("retention_left_seconds", "For how long Auth0 still keeps the oldest event that is unfetched or undelivered; absent when there is none.", "event"),
		risk: desc("retention_risk", "1 while events will be lost or harmed unless somebody acts, by kind.", "risk"),
		room: desc("buffer_room_bytes", "Bytes of events that still fit into the buffer."),

		healed: desc("healed_events_total", "Events that the poll has brought and the push has not, ever; absent without both."),
		missed: desc("push_miss_ratio", "Share of healed events among all that the push should have brought in the last hour; absent when there were none."),

		states:        newStateDescs(desc),
		verifiedAt:    desc("verify_last_run_timestamp_seconds", "When the last scheduled verification ended, in seconds since 1970; absent before the first, and while it is not allowed to read."),
		verifiedClean: desc("verify_last_clean", "1 when the last scheduled verification found nothing that a person should look at, 0 when it did or failed; absent while it is not allowed to read."),
		verifyRefused: desc("verify_refused", "1 when the last scheduled verification was not allowed to read the destination."),
		verified:      desc("verify_found_events", "Events that the last scheduled verification found, by kind, such as missing; see docs/verify.md.", "kind"),

		further: destinationDescs{
			lag:     desc("destination_delivery_lag_seconds", "Now minus the date of the oldest event not delivered to a further destination yet; 0 when all are.", "destination"),
			events:  desc("destination_buffer_events", "Events that wait for a further destination.", "destination"),
			bytes:   desc("destination_buffer_bytes", "Bytes of those.", "destination"),
			dropped: desc("destination_dropped_events_total", "Events that a person has dropped from what waited for a further destination, ever.", "destination"),
		},
	}
}

// DescribedMetrics describes the metrics that are read from the store when they are asked
// for, also those that a process exposes only once there is something to tell. It is for
// documentation: of a collector without an App nothing can be collected.
func DescribedMetrics() prometheus.Collector { return newLags(nil) }

// Describe implements prometheus.Collector.
func (l *lags) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range append(l.states.all(), l.delivery, l.gaps, l.trouble, l.letters, l.letterBytes, l.replayed, l.dropped, l.left, l.risk, l.room, l.healed, l.missed, l.verifiedAt, l.verifiedClean, l.verified, l.verifyRefused, l.further.lag, l.further.events, l.further.bytes, l.further.dropped) {
		ch <- d
	}
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
		l.states.collect(ch, t)
		ch <- prometheus.MustNewConstMetric(l.delivery, prometheus.GaugeValue, t.DeliveryLag(o.At).Seconds(), t.Name)
		ch <- prometheus.MustNewConstMetric(l.gaps, prometheus.GaugeValue, float64(t.OpenGaps()), t.Name, "false")
		ch <- prometheus.MustNewConstMetric(l.gaps, prometheus.GaugeValue, float64(len(t.Gaps)-t.OpenGaps()), t.Name, "true")
		for _, x := range t.Troubles {
			ch <- prometheus.MustNewConstMetric(l.trouble, prometheus.GaugeValue, 1, t.Name, x.Part, x.Class)
		}
		l.collectLetters(ch, t)
		l.collectRetention(ch, t)
		l.collectPush(ch, t)
		l.collectVerify(ch, t)
		l.collectDestinations(ch, o.At, t)
	}
}

// collectDestinations sends what waits for the further destinations of a tenant.
func (l *lags) collectDestinations(ch chan<- prometheus.Metric, now time.Time, t web.Tenant) {
	for _, d := range t.Destinations {
		ch <- prometheus.MustNewConstMetric(l.further.lag, prometheus.GaugeValue, d.DeliveryLag(now).Seconds(), t.Name, d.Name)
		ch <- prometheus.MustNewConstMetric(l.further.events, prometheus.GaugeValue, float64(d.Buffered), t.Name, d.Name)
		ch <- prometheus.MustNewConstMetric(l.further.bytes, prometheus.GaugeValue, float64(d.BufferedBytes), t.Name, d.Name)
		dropped := int64(0)
		for _, n := range d.Dropped {
			dropped += n
		}
		ch <- prometheus.MustNewConstMetric(l.further.dropped, prometheus.CounterValue, float64(dropped), t.Name, d.Name)
	}
}

// collectVerify sends what the last scheduled verification of a tenant has found.
func (l *lags) collectVerify(ch chan<- prometheus.Metric, t web.Tenant) {
	v := t.Verify
	if v == nil || v.Ended.IsZero() {
		return
	}
	clean, refused := 0.0, 0.0
	if v.Clean {
		clean = 1
	}
	if v.Refused != "" {
		refused = 1
	}
	ch <- prometheus.MustNewConstMetric(l.verifyRefused, prometheus.GaugeValue, refused, t.Name)
	if v.Refused != "" {
		return // nothing is wrong, and nothing is known
	}
	ch <- prometheus.MustNewConstMetric(l.verifiedAt, prometheus.GaugeValue, float64(v.Ended.Unix()), t.Name)
	ch <- prometheus.MustNewConstMetric(l.verifiedClean, prometheus.GaugeValue, clean, t.Name)
	for _, kind := range verify.Kinds() {
		ch <- prometheus.MustNewConstMetric(l.verified, prometheus.GaugeValue, float64(v.Found[string(kind)]), t.Name, string(kind))
	}
}

// collectPush sends how well the push of a tenant does.
func (l *lags) collectPush(ch chan<- prometheus.Metric, t web.Tenant) {
	if !t.Push.Checked {
		return
	}
	ch <- prometheus.MustNewConstMetric(l.healed, prometheus.CounterValue, float64(t.Push.Healed), t.Name)
	if t.Push.MissRate != nil {
		ch <- prometheus.MustNewConstMetric(l.missed, prometheus.GaugeValue, *t.Push.MissRate, t.Name)
	}
}

// collectRetention sends how close the events of a tenant are to being lost.
func (l *lags) collectRetention(ch chan<- prometheus.Metric, t web.Tenant) {
	r := t.Retention
	for event, left := range map[string]*int64{"unfetched": r.UnfetchedLeft, "undelivered": r.UndeliveredLeft} {
		if left != nil {
			ch <- prometheus.MustNewConstMetric(l.left, prometheus.GaugeValue, float64(*left), t.Name, event)
		}
	}
	for _, kind := range web.Risks() {
		at := 0.0
		if slices.ContainsFunc(r.Risks, func(x web.Risk) bool { return x.Kind == kind }) {
			at = 1
		}
		ch <- prometheus.MustNewConstMetric(l.risk, prometheus.GaugeValue, at, t.Name, kind)
	}
	if r.BufferMax > 0 {
		ch <- prometheus.MustNewConstMetric(l.room, prometheus.GaugeValue, float64(r.BufferRoom), t.Name)
	}
}

// collectLetters sends the figures of the dead letters of a tenant.
func (l *lags) collectLetters(ch chan<- prometheus.Metric, t web.Tenant) {
	for _, x := range t.Letters {
		ch <- prometheus.MustNewConstMetric(l.letters, prometheus.GaugeValue, float64(x.Count), t.Name, x.Kind, x.Reason)
		ch <- prometheus.MustNewConstMetric(l.letterBytes, prometheus.GaugeValue, float64(x.Bytes), t.Name, x.Kind, x.Reason)
	}
	reasons := maps.Clone(t.Rejected) // one that has letters may see them leave
	maps.Copy(reasons, t.Altered)
	for _, d := range t.Destinations { // the letters are the tenant's, whatever destination they are of
		maps.Copy(reasons, d.Rejected)
		maps.Copy(reasons, d.Altered)
	}
	for reason := range reasons {
		ch <- prometheus.MustNewConstMetric(l.replayed, prometheus.CounterValue, float64(t.Replayed[reason]), t.Name, reason)
		ch <- prometheus.MustNewConstMetric(l.dropped, prometheus.CounterValue, float64(t.Dropped[reason]), t.Name, reason)
	}
}
