package web

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A tenantPage is what the pages of one tenant share: the tenant and the tabs.
type tenantPage struct {
	*tenantCard

	// Tab is the tab that is open: state, runs, batches, letters or config.
	Tab       string
	Span      string
	HasSeries bool
	Shares    []sourceShare
	// Open are the gaps that are not healed, the newest first, and Healed the others.
	Open, Healed []Gap
	// Alerts are those that are on for the tenant.
	Alerts []Alert
	// Body is for the tabs of their own.
	Body any
}

// A sourceShare is a source with its share of what was stored.
type sourceShare struct {
	Source

	Share float64
	Bar   bar
}

// tenantOf returns the page of the tenant that a request names.
func (h *handler) tenantOf(r *http.Request, w *words, tab string) (Overview, *tenantPage, error) {
	o, err := h.figures.get(r.Context())
	if err != nil {
		return o, nil, fmt.Errorf("read the status: %w", err)
	}
	name := r.PathValue("name")
	i := slices.IndexFunc(o.Tenants, func(t Tenant) bool { return t.Name == name })
	if i < 0 {
		return o, nil, &failure{status: http.StatusNotFound, key: "error.tenant", args: []any{name}}
	}
	p := &tenantPage{tenantCard: newCard(o.Tenants[i], o.At, w), Tab: tab, HasSeries: h.opts.Journal != nil}
	p.Shares = shares(p.Sources)
	for _, g := range slices.Backward(p.Gaps) {
		if g.Healed.IsZero() {
			p.Open = append(p.Open, g)
		} else {
			p.Healed = append(p.Healed, g)
		}
	}
	for _, a := range o.Alerts {
		if a.Tenant == name && a.Ended.IsZero() {
			p.Alerts = append(p.Alerts, a)
		}
	}
	return o, p, nil
}

// shares returns the sources with their shares of what was stored.
func shares(sources []Source) (list []sourceShare) {
	var all int64
	for _, s := range sources {
		all += s.Stored
	}
	for _, s := range sources {
		x := sourceShare{Source: s}
		if all > 0 {
			x.Share = float64(s.Stored) / float64(all)
		}
		x.Bar = bar{Percent: 100 * x.Share, Mark: "good"}
		list = append(list, x)
	}
	return list
}

// contentOf makes the content of a tab.
func contentOf(o Overview, p *tenantPage, w *words, template string) content {
	title := p.Name
	if p.Tab != "state" {
		title = w.t("tab."+p.Tab) + " · " + p.Name
	}
	return content{Template: template, Title: title, Nav: "tenant:" + p.Name, Overview: o, Data: p}
}

// buildTenant makes the page of a tenant's state.
func (h *handler) buildTenant(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "state")
	if err != nil {
		return content{}, err
	}
	s, err := h.spanFor(r, o, p.Tenant)
	if err != nil {
		return content{}, err
	}
	p.Span = s.Name
	if p.Chart, err = h.chart(r.Context(), p.Tenant, o.At, s); err != nil {
		return content{}, err
	}
	c := contentOf(o, p, w, "tenant")
	c.Live = true
	return c, nil
}

// buildConfig makes the page of the configuration in use.
func (h *handler) buildConfig(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "config")
	if err != nil {
		return content{}, err
	}
	if h.opts.Config == nil {
		return content{}, &failure{status: http.StatusNotFound, key: "error.no_config"}
	}
	text, err := h.opts.Config()
	if err != nil {
		return content{}, fmt.Errorf("print the configuration: %w", err)
	}
	p.Body = text
	return contentOf(o, p, w, "config"), nil
}

// tableRows is how many rows a page of a table has.
const tableRows = 50

// A runsTab is the tab of runs.
type runsTab struct {
	Runs []Run
	// Failed says that failures alone are shown, Source that one source is.
	Failed bool
	Source string
	// Before is where the page begins; empty for the newest. More is where the next page
	// begins, empty when there is none.
	Before, More string
}

// buildRuns makes the page of the runs: the table that the extension had.
func (h *handler) buildRuns(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "runs")
	if err != nil {
		return content{}, err
	}
	q, err := runQuery(r, tableRows)
	if err != nil {
		return content{}, err
	}
	q.Tenant = p.Name
	page, err := h.runs(r, q)
	if err != nil {
		return content{}, err
	}
	tab := &runsTab{Runs: page.Runs, Failed: q.Failed, Source: q.Source, Before: r.URL.Query().Get("before")}
	if n := len(page.Runs); page.More && n > 0 {
		tab.More = page.Runs[n-1].Start.UTC().Format(time.RFC3339Nano)
	}
	p.Body = tab
	c := contentOf(o, p, w, "runs")
	c.Live = true
	return c, nil
}

// A batchesTab is the tab of deliveries.
type batchesTab struct {
	Batches      []Delivery
	Before, More string
}

// buildBatches makes the page of the batches.
func (h *handler) buildBatches(r *http.Request, w *words) (content, error) {
	o, p, err := h.tenantOf(r, w, "batches")
	if err != nil {
		return content{}, err
	}
	before, err := timeParameter(r, "before")
	if err != nil {
		return content{}, err
	}
	list, err := h.batches(r, p.Name, before, tableRows+1)
	if err != nil {
		return content{}, err
	}
	tab := &batchesTab{Batches: list, Before: r.URL.Query().Get("before")}
	if len(list) > tableRows {
		tab.Batches = list[:tableRows]
		tab.More = tab.Batches[tableRows-1].At.UTC().Format(time.RFC3339Nano)
	}
	p.Body = tab
	c := contentOf(o, p, w, "batches")
	c.Live = true
	return c, nil
}

// Took returns how long a run has lasted up to a time.
func (r Run) Took(now time.Time) time.Duration {
	if r.End.IsZero() {
		return max(0, now.Sub(r.Start))
	}
	return r.End.Sub(r.Start)
}

// missedALot is the share of events that a push may miss before it is pointed out.
const missedALot = 0.2

// PushMisses reports whether the push misses so much that it is pointed out.
func (p *tenantPage) PushMisses() bool {
	return p.Push.MissRate != nil && *p.Push.MissRate > missedALot
}
