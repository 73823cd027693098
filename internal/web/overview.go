package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/access"
)

// An overviewPage is what the page of all tenants shows.
type overviewPage struct {
	// Mark and Say are the whole at a glance, and Needing the tenants that need attention.
	Mark, Say string
	Needing   []*tenantCard
	// Sums over all tenants. PerMinute is how many events were delivered in the last whole minute.
	PerMinute, Waiting, Letters, OpenGaps int64
	WorstLag                              time.Duration

	Alerts []Alert
	// Alarmed says that one of them is on and more than an information.
	Alarmed   bool
	Tenants   []*tenantCard
	HasSeries bool
	Span      string
	// Lately are the newest events, for who may see them.
	Lately []eventRow
}

// A tenantCard is what pages show of a tenant at a glance.
type tenantCard struct {
	Tenant

	Mark, Words string
	// Lag is that of the destination that is furthest behind.
	Lag                time.Duration
	Chart              *chart
	BufferBar, RateBar bar
}

// A bar is a share as a picture.
type bar struct {
	// Percent is from 0 to 100.
	Percent float64
	// Mark is its colour: see mark.
	Mark string
}

// newBar makes a bar of a share from 0 to 1 that is a warning from warn on.
func newBar(share, warn float64) bar {
	b := bar{Percent: 100 * min(max(share, 0), 1), Mark: "busy"}
	if share >= warn {
		b.Mark = "warn"
	}
	return b
}

// newCard makes the card of a tenant.
func newCard(t Tenant, now time.Time, w *words) *tenantCard {
	c := &tenantCard{Tenant: t, Mark: mark(t), Words: headline(t, now, w), Lag: t.worstLag(now)}
	if t.Retention.BufferMax > 0 {
		used := 1 - float64(t.Retention.BufferRoom)/float64(t.Retention.BufferMax)
		c.BufferBar = newBar(used, 0.8)
	}
	if l := t.RateLimit; l != nil && l.Limit > 0 {
		c.RateBar = bar{Percent: 100 * float64(l.Remaining) / float64(l.Limit), Mark: "busy"}
	}
	return c
}

// headline says the state of a tenant in words.
func headline(t Tenant, now time.Time, w *words) string {
	switch {
	case t.State == StateDelivering:
		return w.t("say.delivering", w.duration(t.worstLag(now)))
	case t.State == StateDelivered && len(t.Retention.Risks) > 0:
		return w.t("say.risk")
	default:
		return w.t("say." + string(t.State))
	}
}

// buildOverview makes the page of all tenants.
func (h *handler) buildOverview(r *http.Request, w *words) (content, error) {
	o, err := h.figures.get(r.Context())
	if err != nil {
		return content{}, fmt.Errorf("read the status: %w", err)
	}
	s, err := h.spanFor(r, o, o.Tenants...)
	if err != nil {
		return content{}, err
	}
	p := &overviewPage{Alerts: o.Alerts, HasSeries: h.opts.Journal != nil, Span: s.Name}
	for _, t := range o.Tenants {
		c := newCard(t, o.At, w)
		if c.Chart, err = h.chart(r.Context(), t, o.At, s); err != nil {
			return content{}, err
		}
		p.add(c, o.At)
	}
	p.Lately = h.lately(r)
	p.judge(w)
	return content{Template: "overview", Title: w.t("nav.overview"), Nav: "overview", Live: true, Overview: o, Data: p}, nil
}

// add adds a tenant.
func (p *overviewPage) add(c *tenantCard, now time.Time) {
	p.Tenants = append(p.Tenants, c)
	if c.Mark == "bad" || c.Mark == "warn" || c.State == StateStopped {
		p.Needing = append(p.Needing, c)
	}
	p.Waiting += c.Buffered
	p.Letters += c.DeadLetters
	p.OpenGaps += int64(c.OpenGaps())
	p.WorstLag = max(p.WorstLag, c.worstLag(now))
	for _, d := range c.Destinations {
		p.Waiting += d.Buffered
	}
	if c.Chart != nil {
		p.PerMinute += c.Chart.Last
	}
}

// judge says the whole at a glance.
func (p *overviewPage) judge(w *words) {
	p.Alarmed = slices.ContainsFunc(p.Alerts, func(a Alert) bool { return a.Ended.IsZero() && a.Severity != "info" })
	worst := slices.ContainsFunc(p.Needing, func(c *tenantCard) bool { return c.Mark == "bad" })
	switch {
	case len(p.Tenants) == 0:
		p.Mark, p.Say = "idle", w.t("overview.none")
	case len(p.Needing) > 0 && len(p.Tenants) == 1:
		p.Mark, p.Say = p.Needing[0].Mark, w.t("strip.needs_it", p.Tenants[0].Name)
	case len(p.Needing) > 0:
		p.Mark, p.Say = "warn", w.n("strip.needs", int64(len(p.Needing)), number(int64(len(p.Tenants))))
		if worst {
			p.Mark = "bad"
		}
	case p.Alarmed:
		p.Mark, p.Say = "warn", w.t("strip.alert")
	case !slices.ContainsFunc(p.Tenants, func(c *tenantCard) bool { return c.State != StateWaiting }):
		p.Mark, p.Say = "idle", w.t("strip.waiting")
	default:
		p.Mark, p.Say = "good", w.t("strip.well")
	}
}

// spanFor returns the span that a request asks for. Without one it is the usual, unless
// all that the tenants ever fetched came in within a shorter one: then that shows the
// same, and more of it.
func (h *handler) spanFor(r *http.Request, o Overview, tenants ...Tenant) (span, error) {
	s := spanOf(r.URL.Query().Get("range"))
	if h.opts.Journal == nil || r.URL.Query().Get("range") != "" || len(tenants) == 0 {
		return s, nil
	}
	for _, t := range tenants {
		if t.Stored == 0 || t.LastHour.Fetched < t.Stored { // the usual case, and quick to tell
			return s, nil
		}
	}
	for _, t := range tenants {
		points, err := h.points(r.Context(), t.Name, o.At, spans[0])
		if err != nil {
			return s, err
		}
		if sumFetched(points) < t.Stored {
			return s, nil
		}
	}
	return spans[0], nil
}

// sumFetched returns how many events were fetched in all steps.
func sumFetched(points []Point) (n int64) {
	for _, p := range points {
		n += p.Fetched
	}
	return n
}

// points returns the steps of a span and the two before them.
func (h *handler) points(ctx context.Context, tenant string, now time.Time, s span) ([]Point, error) {
	since, until := s.bounds(now)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	points, err := h.opts.Journal.Series(ctx, tenant, since.Add(-2*s.Step), until, s.Step)
	if err != nil {
		return nil, fmt.Errorf("read the series: %w", err)
	}
	return points, nil
}

// chart draws what a tenant has carried in a span; nil without a journal.
func (h *handler) chart(ctx context.Context, t Tenant, now time.Time, s span) (*chart, error) {
	if h.opts.Journal == nil {
		return nil, nil //nolint:nilnil // no journal, no chart
	}
	points, err := h.points(ctx, t.Name, now, s)
	if err != nil {
		return nil, err
	}
	return newChart(points, s, now, t.Stored > 0 && sumFetched(points) >= t.Stored), nil
}

const (
	// latelyShown is how many of the newest events the overview shows, and latelyTimeout how
	// long it waits for them.
	latelyShown   = 8
	latelyTimeout = 2 * time.Second
)

// lately returns the newest events, where the page has events for who asks. The overview
// says how the export does, so it shows without them when they cannot be read.
func (h *handler) lately(r *http.Request) []eventRow {
	if h.opts.Journal == nil || h.opts.Closed != "" || !access.From(r.Context()).May(access.View) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), latelyTimeout)
	defer cancel()
	found, err := h.opts.Journal.Search(ctx, EventQuery{Limit: latelyShown})
	if err != nil {
		h.logger.LogAttrs(ctx, slog.LevelDebug, "cannot read the newest events for the overview", slog.Any("error", err))
		return nil
	}
	return rows(found.Events, url.Values{})
}

// A ranged is a frame with the spans to choose from.
type ranged struct {
	*frame

	Span  string
	Spans []span
}

// Ranged returns the frame for the part "ranges".
func (f *frame) Ranged(chosen string) ranged { return ranged{frame: f, Span: chosen, Spans: spans} }
