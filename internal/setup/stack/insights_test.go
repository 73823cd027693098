package stack

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

const (
	insightsRegion = "eu-central-1"
	alarmTopic     = "arn:aws:sns:eu-central-1:123456789012:alerts"
)

// insightsConfig returns a configuration with tenants, each in /auth0/NAME.
func insightsConfig(names ...string) *config.Config {
	cfg := &config.Config{AWS: config.AWS{Region: insightsRegion}}
	for _, name := range names {
		t := config.NewTenant()
		t.Name = name
		cfg.Tenants = append(cfg.Tenants, t)
	}
	return cfg
}

// insights returns what is added for a configuration, and the notes.
func insights(t *testing.T, cfg *config.Config, o Options) Stack {
	t.Helper()
	if o.Name == "" {
		o.Name = "gapless"
	}
	var s Stack
	if err := addInsights(cfg, o, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInsightsOfATenant(t *testing.T) {
	t.Parallel()
	s := insights(t, insightsConfig("dev-tenant"), Options{Topics: []string{alarmTopic}, Tags: map[string]string{"team": "security"}})
	if len(s.Notes) > 0 {
		t.Errorf("notes: %q", s.Notes)
	}
	queries, filters, alarms, boards := Of[*Query](s), Of[*MetricFilter](s), Of[*Alarm](s), Of[*Dashboard](s)
	if len(queries) != len(SavedQueries()) || len(filters) != len(Watches()) || len(alarms) < 10 || len(boards) != 1 {
		t.Fatalf("%d queries, %d filters, %d alarms, %d dashboards", len(queries), len(filters), len(alarms), len(boards))
	}
	if d := cmp.Diff(&Query{Region: insightsRegion, Name: "gapless/dev-tenant/Logins failed by user", Groups: []string{"/auth0/dev-tenant"}, Text: SavedQueries()[0].Text}, queries[0]); d != "" {
		t.Errorf("first query (-want +got):\n%s", d)
	}
	if d := cmp.Diff(&MetricFilter{
		Region: insightsRegion, Group: "/auth0/dev-tenant", Name: "gapless-dev-tenant-logins-failed", Namespace: "gapless/dev-tenant", Metric: "LoginsFailed",
		Pattern: `{ ($.type = "f") || ($.type = "fc") || ($.type = "fco") || ($.type = "fcoa") || ($.type = "fens") || ($.type = "fp") || ($.type = "fu") }`,
	}, filters[1]); d != "" {
		t.Errorf("second filter (-want +got):\n%s", d)
	}
	if d := cmp.Diff(&Alarm{
		Region: insightsRegion, Name: "gapless-dev-tenant-logins-failed", Namespace: "gapless/dev-tenant", Metric: "LoginsFailed", PeriodSeconds: 300, Threshold: 100,
		Description: "100 or more failed logins within 5 minutes. Open the saved query gapless/dev-tenant/Logins failed by address in Logs Insights.",
		Topics:      []string{alarmTopic}, Tags: map[string]string{"team": "security", ManagedBy: "gapless"},
	}, alarms[0]); d != "" {
		t.Errorf("first alarm (-want +got):\n%s", d)
	}
	for _, a := range alarms {
		if !slices.ContainsFunc(filters, func(f *MetricFilter) bool { return f.Namespace == a.Namespace && f.Metric == a.Metric }) {
			t.Errorf("alarm %s is on a metric that no filter makes", a.Name)
		}
	}
	names := map[ID]bool{}
	for _, r := range s.Resources {
		if names[r.ID()] || !strings.Contains(r.ID().Name, "gapless") {
			t.Errorf("%s: the name is taken, or does not begin with that of the setup", r.ID())
		}
		names[r.ID()] = true
	}
}

func TestNamesBeginWithTheOption(t *testing.T) {
	t.Parallel()
	s := insights(t, insightsConfig("dev.tenant"), Options{Name: "audit"})
	if got := Of[*Query](s)[0].Name; got != "audit/dev.tenant/Logins failed by user" {
		t.Errorf("query %s", got)
	}
	if a := Of[*Alarm](s)[0]; a.Name != "audit-dev.tenant-logins-failed" || a.Namespace != "audit/dev.tenant" || a.Tags[ManagedBy] != "audit" {
		t.Errorf("alarm %+v", a)
	}
	if got := Of[*Dashboard](s)[0].Name; got != "audit-dev-tenant" {
		t.Errorf("dashboard %s", got)
	}
}

// TestWhatAGroupCannotDo leaves out what a class of groups does not have, and says so.
func TestWhatAGroupCannotDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change                   func(*config.Tenant)
		filters, board           bool
		groups                   []string
		note                     string
		widgets, withoutMetricOf string
	}{
		"standard": {func(t *config.Tenant) { t.CloudWatch.LogGroupClass = "STANDARD" }, true, true, []string{"/auth0/dev-tenant"}, "tell nobody", "metric", ""},
		"infrequent access": {
			func(t *config.Tenant) { t.CloudWatch.LogGroupClass = "INFREQUENT_ACCESS" },
			false, true,
			[]string{"/auth0/dev-tenant"},
			"class INFREQUENT_ACCESS has no metric filters", "log", "gapless/dev-tenant",
		},
		"essentials": {
			func(t *config.Tenant) { t.CloudWatch.LogGroupClass = "ESSENTIALS" },
			false, true,
			[]string{"/auth0/dev-tenant"},
			"class ESSENTIALS is not known to have metric filters", "log", "gapless/dev-tenant",
		},
		"placeholder": {func(t *config.Tenant) { t.CloudWatch.LogGroup = "/auth0/{tenant}/{date}" }, false, false, nil, "/auth0/dev-tenant/{date}, depends on the events", "", ""},
		"further destination": {
			func(t *config.Tenant) { t.Destinations = []config.Destination{config.NewDestination("audit")} },
			true, true,
			[]string{"/auth0/dev-tenant"},
			"Its further ones hold the same events", "metric", "",
		},
	} {
		cfg := insightsConfig("dev-tenant")
		c.change(&cfg.Tenants[0])
		s := insights(t, cfg, Options{})
		if got := Of[*Query](s); len(got) != len(SavedQueries()) || !slices.Equal(got[0].Groups, c.groups) {
			t.Errorf("%s: %d queries for %q", name, len(got), got[0].Groups)
		}
		if f, a := len(Of[*MetricFilter](s)), len(Of[*Alarm](s)); (f > 0) != c.filters || (a > 0) != c.filters {
			t.Errorf("%s: %d filters and %d alarms", name, f, a)
		}
		if !strings.Contains(strings.Join(s.Notes, "\n"), c.note) {
			t.Errorf("%s: notes %q do not say %q", name, s.Notes, c.note)
		}
		boards := Of[*Dashboard](s)
		if (len(boards) > 0) != c.board {
			t.Fatalf("%s: %d dashboards", name, len(boards))
		}
		if c.board && !strings.Contains(boards[0].Body, `"type":"`+c.widgets+`"`) {
			t.Errorf("%s: no widget %s in %s", name, c.widgets, boards[0].Body)
		}
		if c.withoutMetricOf != "" && strings.Contains(boards[0].Body, `["`+c.withoutMetricOf+`"`) {
			t.Errorf("%s: the dashboard draws metrics that nobody makes", name)
		}
	}
}

func TestPartsAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, part := range []string{PartQueries, PartMetrics, PartAlarms, PartDashboard} {
		s, err := New(insightsConfig("dev-tenant"), Options{Parts: []string{part}})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Resources) == 0 {
			t.Errorf("%s: nothing", part)
		}
		for _, r := range s.Resources {
			if r.Part() != part {
				t.Errorf("%s: %s is of the part %s", part, r.ID(), r.Part())
			}
		}
		if alone := "metric filters, which are left out"; strings.Contains(strings.Join(s.Notes, " "), alone) != (part == PartAlarms) {
			t.Errorf("%s: notes %q", part, s.Notes)
		}
		if part == PartDashboard {
			if body := Of[*Dashboard](s)[0].Body; strings.Contains(body, `"type":"alarm"`) || strings.Contains(body, "LoginsFailed") {
				t.Errorf("the dashboard shows what is left out: %s", body)
			}
		}
	}
	var s Stack
	if err := addInsights(insightsConfig("dev-tenant"), Options{Parts: []string{PartGroups}}, &s); err != nil || len(s.Resources)+len(s.Notes) > 0 {
		t.Errorf("with no part of these: %v, %d resources, notes %q", err, len(s.Resources), s.Notes)
	}
}

func TestTenantsThatShare(t *testing.T) {
	t.Parallel()
	cfg := insightsConfig("one", "two")
	cfg.Tenants[0].CloudWatch.LogGroup, cfg.Tenants[1].CloudWatch.LogGroup = "/auth0", "/auth0"
	s := insights(t, cfg, Options{Topics: []string{alarmTopic}})
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "Tenants one and two share the log group /auth0") {
		t.Errorf("notes: %q", s.Notes)
	}
	cfg.Tenants[1].CloudWatch.Region = "us-east-1"
	s = insights(t, cfg, Options{Topics: []string{alarmTopic}})
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "The alarms in us-east-1 tell nobody") {
		t.Errorf("notes: %q", s.Notes)
	}
	for _, a := range Of[*Alarm](s) {
		if want := a.Region == insightsRegion; (len(a.Topics) == 1) != want {
			t.Errorf("%s: topics %q", a.ID(), a.Topics)
		}
	}
	boards := Of[*Dashboard](s)
	if len(boards) != 2 || strings.Contains(boards[1].Body, "gapless-one-") || !strings.Contains(boards[1].Body, ":us-east-1:{{account}}:alarm:gapless-two-logins-failed") {
		t.Errorf("the second dashboard is not about the second tenant")
	}
}

// TestOtherAccounts leaves out what lies in an account that is not set up: addGroups
// says how to.
func TestOtherAccounts(t *testing.T) {
	t.Parallel()
	cfg := insightsConfig("here", "there")
	cfg.Tenants[1].CloudWatch.RoleARN = "arn:aws:iam::210987654321:role/gapless"
	for account, want := range map[string]int{"": 1, "123456789012": 1, "210987654321": 2} {
		s := insights(t, cfg, Options{Account: account, Topics: []string{alarmTopic}})
		if n := len(Of[*Dashboard](s)); n != want || len(Of[*Query](s)) != want*len(SavedQueries()) || len(s.Notes) > 0 {
			t.Errorf("set up from account %q: %d dashboards, notes %q", account, n, s.Notes)
		}
	}
}

func TestThresholdsCanBeReplaced(t *testing.T) {
	t.Parallel()
	cfg := insightsConfig("dev-tenant")
	cfg.Setup.AlarmThresholds = map[string]string{"logins-failed": "7", "signups": "0"}
	o, err := OptionsFrom(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := insights(t, cfg, o)
	for _, a := range Of[*Alarm](s) {
		if a.Metric == "SignUps" || a.Metric == "LoginsFailed" && (a.Threshold != 7 || !strings.HasPrefix(a.Description, "7 or more failed logins")) {
			t.Errorf("%+v", a)
		}
	}
	if !slices.ContainsFunc(Of[*MetricFilter](s), func(f *MetricFilter) bool { return f.Metric == "SignUps" }) {
		t.Error("the metric went with its alarm")
	}
}

func TestInsightsErrors(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		cfg *config.Config
		o   Options
	}{
		`setup.alarm_thresholds: there is no alarm "logins"; there are logins-failed,`: {insightsConfig("a"), Options{Thresholds: map[string]int{"logins": 3}}},
		"setup.alarm_thresholds: that of signups is less than 0":                       {insightsConfig("a"), Options{Thresholds: map[string]int{"signups": -1}}},
		`setup.alarm_topics: "alerts" is not the ARN of a topic`:                       {insightsConfig("a"), Options{Topics: []string{"alerts"}}},
		`setup.alarm_topics: "arn:aws:sqs:eu-central-1:123456789012:q" is not the ARN`: {insightsConfig("a"), Options{Topics: []string{"arn:aws:sqs:eu-central-1:123456789012:q"}}},
		"setup.alarm_topics: there are 6, and an alarm tells 5 at most":                {insightsConfig("a"), Options{Topics: slices.Repeat([]string{alarmTopic}, 6)}},
		"tenants a.b and a-b would share the dashboard gapless-a-b, as its name has":   {insightsConfig("a.b", "a-b"), Options{}},
	} {
		if _, err := New(c.cfg, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// strictBoard is AWS's "Dashboard Body Structure and Syntax" as far as it is used, with
// every name that may stand there.
type strictBoard struct {
	Start          string `json:"start"`
	PeriodOverride string `json:"periodOverride"` //nolint:tagliatelle // AWS's name
	Widgets        []struct {
		Type                string
		X, Y, Width, Height int
		Properties          json.RawMessage
	}
}

type strictProperties struct {
	text struct{ Markdown string }
	log  struct{ Title, Region, View, Query string }
	met  struct {
		Title, Region, View, Stat string
		Stacked                   bool
		Period                    int
		Metrics                   [][]any
	}
	alarm struct {
		Title  string
		SortBy string `json:"sortBy"` //nolint:tagliatelle // AWS's name
		Alarms []string
	}
}

func strictly(t *testing.T, data []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}

func TestDashboardKeepsAWSsStructure(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"", "INFREQUENT_ACCESS"} {
		cfg := insightsConfig("dev-tenant")
		cfg.Tenants[0].CloudWatch.LogGroupClass = class
		s := insights(t, cfg, Options{})
		d := Of[*Dashboard](s)[0]
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`).MatchString(d.Name) {
			t.Errorf("name %s", d.Name)
		}
		var b strictBoard
		strictly(t, []byte(d.Body), &b)
		if len(b.Widgets) == 0 || len(b.Widgets) > 500 || b.Start != "-PT24H" || b.PeriodOverride != "inherit" {
			t.Errorf("%d widgets, start %s, period %s", len(b.Widgets), b.Start, b.PeriodOverride)
		}
		taken := map[[2]int]bool{}
		kinds := map[string]int{}
		for _, w := range b.Widgets {
			if w.Width < 1 || w.Width > 24 || w.X < 0 || w.X+w.Width > 24 || w.Height < 1 || w.Height > 1000 {
				t.Errorf("%s at %d,%d of %dx%d is off the grid", w.Type, w.X, w.Y, w.Width, w.Height)
			}
			for x := w.X; x < w.X+w.Width; x++ {
				for y := w.Y; y < w.Y+w.Height; y++ {
					if taken[[2]int{x, y}] {
						t.Fatalf("%s at %d,%d lies on another", w.Type, w.X, w.Y)
					}
					taken[[2]int{x, y}] = true
				}
			}
			kinds[w.Type]++
			checkWidget(t, s, w.Type, w.Properties)
		}
		if want := class == ""; (kinds["alarm"] == 1) != want || (kinds["metric"] > 1) != want || kinds["log"] < 10 || kinds["text"] != 1 {
			t.Errorf("class %q: widgets %v", class, kinds)
		}
	}
}

func checkWidget(t *testing.T, s Stack, kind string, data json.RawMessage) {
	t.Helper()
	var p strictProperties
	switch kind {
	case "text":
		strictly(t, data, &p.text)
		if p.text.Markdown == "" {
			t.Error("an empty text")
		}
	case "log":
		strictly(t, data, &p.log)
		text, ok := strings.CutPrefix(p.log.Query, "SOURCE '/auth0/dev-tenant' | ")
		if _, err := parseInsights(text); err != nil || !ok || p.log.Title == "" || p.log.Region != insightsRegion || !slices.Contains([]string{"table", "timeSeries", "bar", "pie"}, p.log.View) {
			t.Errorf("%v: %+v", err, p.log)
		}
		if p.log.View == "timeSeries" && !strings.Contains(text, "by bin(") {
			t.Errorf("%s has no time to draw over: %s", p.log.Title, text)
		}
	case "metric":
		strictly(t, data, &p.met)
		if p.met.View != "timeSeries" || p.met.Stat != "Sum" || p.met.Region != insightsRegion || p.met.Period%60 != 0 || p.met.Title == "" || len(p.met.Metrics) == 0 {
			t.Errorf("%+v", p.met)
		}
		for _, m := range p.met.Metrics {
			made := slices.ContainsFunc(Of[*MetricFilter](s), func(f *MetricFilter) bool { return len(m) == 3 && f.Namespace == m[0] && f.Metric == m[1] })
			own := len(m) == 5 && m[0] == "AWS/Logs" && m[2] == "LogGroupName" && m[3] == "/auth0/dev-tenant"
			if shown, ok := m[len(m)-1].(map[string]any); !made && !own || !ok || shown["label"] == "" || len(shown) != 1 {
				t.Errorf("nobody makes the metric %v", m)
			}
		}
	case "alarm":
		strictly(t, data, &p.alarm)
		var want []string
		for _, a := range Of[*Alarm](s) {
			want = append(want, "arn:{{partition}}:cloudwatch:eu-central-1:{{account}}:alarm:"+a.Name)
		}
		if d := cmp.Diff(want, p.alarm.Alarms); d != "" || p.alarm.SortBy != "stateUpdatedTimestamp" || len(want) > 100 {
			t.Errorf("alarms (-want +got):\n%s", d)
		}
	default:
		t.Errorf("a widget of type %q", kind)
	}
}
