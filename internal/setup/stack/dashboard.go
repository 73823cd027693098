package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A board is the body of a dashboard, in the order of AWS's "Dashboard Body Structure
// and Syntax".
type board struct {
	Start          string   `json:"start"`
	PeriodOverride string   `json:"periodOverride"` //nolint:tagliatelle // AWS's name
	Widgets        []widget `json:"widgets"`
}

// A widget is one of a board; a board is 24 wide.
type widget struct {
	Type       string `json:"type"`
	X          int    `json:"x"`
	Y          int    `json:"y"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	Properties any    `json:"properties"`
}

// textWidget holds Markdown.
type textWidget struct {
	Markdown string `json:"markdown"`
}

// alarmWidget shows the states of alarms.
type alarmWidget struct {
	Title  string   `json:"title"`
	SortBy string   `json:"sortBy"` //nolint:tagliatelle // AWS's name
	Alarms []string `json:"alarms"`
}

// metricWidget draws metrics. A metric is its namespace, its name, its dimensions, and
// how it is shown.
type metricWidget struct {
	Title   string  `json:"title"`
	Region  string  `json:"region"`
	View    string  `json:"view"`
	Stacked bool    `json:"stacked"`
	Stat    string  `json:"stat"`
	Period  int     `json:"period"`
	Metrics [][]any `json:"metrics"`
}

// logWidget shows what a query of Logs Insights finds.
type logWidget struct {
	Title  string `json:"title"`
	Region string `json:"region"`
	View   string `json:"view"`
	Query  string `json:"query"`
}

// label is how a metric is shown.
type label struct {
	Label string `json:"label"`
}

// graphSeconds is the period of the graphs, and perBin counts by it in Logs Insights.
const (
	graphSeconds = 300
	perBin       = "stats count(*) as events by bin(5m)"
)

// dashboardName is the name of a tenant's dashboard, which may hold letters, digits, -
// and _ alone.
func dashboardName(o Options, tenant string) string {
	return o.Name + "-" + strings.ReplaceAll(tenant, ".", "-")
}

// addDashboard adds the dashboard of a tenant. taken has those before by their names.
func (s *Stack) addDashboard(o Options, w watched, taken map[string]string) error {
	if w.group == "" || !o.wants(PartDashboard) {
		return nil
	}
	name := dashboardName(o, w.tenant)
	if other, ok := taken[name]; ok {
		return fmt.Errorf("tenants %s and %s would share the dashboard %s, as its name has no dots; rename one, or leave out the part %q", other, w.tenant, name, PartDashboard)
	}
	taken[name] = w.tenant
	body, err := json.Marshal(board{Start: "-PT24H", PeriodOverride: "inherit", Widgets: widgets(o, w, Of[*Alarm](*s))})
	if err != nil {
		return fmt.Errorf("write dashboard %s: %w", name, err)
	}
	s.Resources = append(s.Resources, &Dashboard{Name: name, Body: string(body)})
	return nil
}

// widgets lays out the dashboard: what is wrong now on top, then graphs, then tables.
func widgets(o Options, w watched, alarms []*Alarm) []widget {
	var l layout
	l.row(2, textWidget{fmt.Sprintf("# Auth0 tenant %s\nLog group `%s` in %s. Saved queries for more: Logs Insights, folder `%s/%s`.", w.tenant, w.group, w.region, o.Name, w.tenant)})
	if w.filters && o.wants(PartAlarms) {
		if a := alarmStates(o, w, alarms); len(a.Alarms) > 0 {
			l.row(4, a)
		}
	}
	if w.filters && o.wants(PartMetrics) {
		l.row(6, graph(o, w, "Logins", "logins", "logins-failed"), graph(o, w, "Attacks", "accounts-blocked", "addresses-blocked", "breached-passwords", "logins-at-risk"),
			graph(o, w, "Second factors and passwords", "mfa-refused", "password-changes"))
		l.row(6, graph(o, w, "Admin changes", "admin-changes", "dashboard-changes", "secrets-read"), graph(o, w, "Tokens", "tokens", "tokens-refused"),
			graph(o, w, "Limits and failures", "rate-limits", "rate-limit-warnings", "extensions-failed", "messages-unsent"))
	}
	if !w.filters {
		l.row(6, series(w, "Logins", query(typeIn(codesLogin()...), perBin)), series(w, "Failed logins", query(typeIn(codesLoginFailed()...), perBin)))
	}
	l.row(6, received(w), series(w, "Seconds until events are here", savedText("Delay of the export")))
	l.row(8, table(w, "Logins failed by address"), table(w, "Logins failed by user"))
	l.row(8, table(w, "Accounts and addresses blocked"), table(w, "MFA refused"))
	l.row(8, table(w, "Admin changes"))
	l.row(8, table(w, "Rate limits"), table(w, "Breached passwords"))
	l.row(8, table(w, "Tokens by client"), table(w, "Errors by type"))
	return l.widgets
}

// A layout puts rows of widgets below each other.
type layout struct {
	widgets []widget
	y       int
}

// row adds widgets of equal width side by side.
func (l *layout) row(height int, properties ...any) {
	width := 24 / len(properties)
	for i, p := range properties {
		kind := "log"
		switch p.(type) {
		case textWidget:
			kind = "text"
		case alarmWidget:
			kind = "alarm"
		case metricWidget:
			kind = "metric"
		}
		l.widgets = append(l.widgets, widget{Type: kind, X: i * width, Y: l.y, Width: width, Height: height, Properties: p})
	}
	l.y += height
}

// alarmStates shows the alarms of a tenant.
func alarmStates(o Options, w watched, alarms []*Alarm) alarmWidget {
	a := alarmWidget{Title: "Alarms", SortBy: "stateUpdatedTimestamp"}
	for _, x := range alarms {
		if x.Namespace == namespace(o, w.tenant) {
			a.Alarms = append(a.Alarms, ARN("cloudwatch", x.Region, "alarm:"+x.Name))
		}
	}
	return a
}

// graph draws metrics of watches.
func graph(o Options, w watched, title string, slugs ...string) metricWidget {
	m := metricWidget{Title: title, Region: w.region, View: "timeSeries", Stat: "Sum", Period: graphSeconds}
	for _, slug := range slugs {
		for _, x := range Watches() {
			if x.Slug == slug {
				m.Metrics = append(m.Metrics, []any{namespace(o, w.tenant), x.Metric, label{x.Counts}})
			}
		}
	}
	return m
}

// received draws what arrives in the group, as CloudWatch Logs itself counts it.
func received(w watched) metricWidget {
	return metricWidget{
		Title: "Events received", Region: w.region, View: "timeSeries", Stat: "Sum", Period: graphSeconds,
		Metrics: [][]any{{"AWS/Logs", "IncomingLogEvents", "LogGroupName", w.group, label{"events"}}},
	}
}

// table shows what a saved query finds.
func table(w watched, title string) logWidget {
	return logWidget{Title: title, Region: w.region, View: "table", Query: source(w) + savedText(title)}
}

// savedText returns a saved query.
func savedText(title string) string {
	all := SavedQueries()
	return all[slices.IndexFunc(all, func(q SavedQuery) bool { return q.Title == title })].Text
}

// series draws what a query finds over time.
func series(w watched, title, text string) logWidget {
	return logWidget{Title: title, Region: w.region, View: "timeSeries", Query: source(w) + text}
}

// source begins the query of a widget. The names of groups hold no quotes.
func source(w watched) string { return "SOURCE '" + w.group + "' | " }

// minutes says a period in words.
func minutes(d time.Duration) string {
	if d == time.Hour {
		return "an hour"
	}
	return strconv.Itoa(int(d.Minutes())) + " minutes"
}
