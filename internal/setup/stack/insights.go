package stack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// watched is the main destination of a tenant, as far as it can be looked into.
type watched struct {
	tenant, region string
	// group is empty when its name depends on the events.
	group string
	// filters says that the class of the group has metric filters, and elsewhere that it
	// lies in another account.
	filters, elsewhere bool
}

// addInsights adds queries, metric filters, alarms and the dashboard.
//
// They are for the main destination of each tenant alone: further ones hold the same
// events, and what looked at both would count everything twice.
func addInsights(cfg *config.Config, o Options, s *Stack) error {
	if !slices.ContainsFunc([]string{PartQueries, PartMetrics, PartAlarms, PartDashboard}, o.wants) {
		return nil
	}
	if err := errors.Join(checkThresholds(o), checkTopics(o)); err != nil {
		return err
	}
	owners, boards := map[string]string{}, map[string]string{}
	for i := range cfg.Tenants {
		t := &cfg.Tenants[i]
		w := watchedOf(cfg, t, o, s)
		if w.elsewhere {
			continue
		}
		if other, shared := owners[w.region+" "+w.group]; shared && w.group != "" {
			s.note("Tenants %s and %s share the log group %s: queries, metrics and alarms of each are about the events of both. Give each a log group of its own to tell them apart.",
				other, t.Name, w.group)
		} else {
			owners[w.region+" "+w.group] = t.Name
		}
		s.addQueries(o, w)
		s.addWatches(o, w)
		if err := s.addDashboard(o, w, boards); err != nil {
			return err
		}
	}
	s.noteAlarms(o)
	return nil
}

// noteAlarms notes what keeps alarms from telling anybody.
func (s *Stack) noteAlarms(o Options) {
	alarms := Of[*Alarm](*s)
	if !o.wants(PartAlarms) || len(alarms) == 0 {
		return
	}
	var silent []string
	for _, a := range alarms {
		if len(a.Topics) == 0 && !slices.Contains(silent, a.Region) {
			silent = append(silent, a.Region)
		}
	}
	if len(silent) > 0 {
		s.note("The alarms in %s tell nobody and can be seen in the console alone. Name a topic of SNS in that Region in setup.alarm_topics: an alarm tells topics of its own Region only.",
			strings.Join(silent, ", "))
	}
	if !o.wants(PartMetrics) {
		s.note("The alarms are on metrics of metric filters, which are left out (part %s): without them the alarms stay quiet.", PartMetrics)
	}
}

// maxTopics is how many actions an alarm has, by the API reference of PutMetricAlarm.
const maxTopics = 5

// checkTopics finds topics that are none, and too many.
func checkTopics(o Options) error {
	if len(o.Topics) > maxTopics {
		return fmt.Errorf("setup.alarm_topics: there are %d, and an alarm tells %d at most", len(o.Topics), maxTopics)
	}
	for _, arn := range o.Topics {
		if part := strings.Split(arn, ":"); len(part) != 6 || part[0] != "arn" || part[2] != "sns" || part[5] == "" {
			return fmt.Errorf("setup.alarm_topics: %q is not the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alerts", arn)
		}
	}
	return nil
}

// topicsIn returns the topics of a Region.
func topicsIn(o Options, region string) (in []string) {
	for _, arn := range o.Topics {
		if strings.Split(arn, ":")[3] == region {
			in = append(in, arn)
		}
	}
	return in
}

// watchedOf says what of a tenant's main destination can be looked into, and notes what
// cannot.
func watchedOf(cfg *config.Config, t *config.Tenant, o Options, s *Stack) watched {
	main := target{cw: &t.CloudWatch, aws: cfg.AWSFor(*t), group: strings.ReplaceAll(t.CloudWatch.LogGroup, "{tenant}", t.Name)}
	w := watched{tenant: t.Name, region: main.aws.Region, filters: true, elsewhere: !main.here(&o)}
	if w.elsewhere {
		return w // which addGroups notes
	}
	if templated(main.group) {
		s.note("Tenant %s: the name of the log group, %s, depends on the events. The saved queries are offered for every group; metric filters, alarms and the dashboard need one group, and are left out.",
			t.Name, main.group)
		w.filters = false
	} else {
		w.group = main.group
	}
	if class := main.class(); w.group != "" && class != ClassStandard && (o.wants(PartMetrics) || o.wants(PartAlarms)) {
		why := "has no metric filters"
		if class != ClassInfrequent {
			why = "is not known to have metric filters"
		}
		s.note("Tenant %s: a log group of the class %s %s, so these and their alarms are left out. Saved queries and the dashboard's tables work.", t.Name, class, why)
		w.filters = false
	}
	if len(t.Destinations) > 0 {
		s.note("Tenant %s: queries, metrics, alarms and the dashboard are about its main destination. Its further ones hold the same events.", t.Name)
	}
	return w
}

// queryName is the name of a saved query; the slashes make folders.
func queryName(o Options, tenant, title string) string { return o.Name + "/" + tenant + "/" + title }

// addQueries adds the saved queries of a tenant.
func (s *Stack) addQueries(o Options, w watched) {
	var groups []string
	if w.group != "" {
		groups = []string{w.group}
	}
	for _, q := range SavedQueries() {
		s.Resources = append(s.Resources, &Query{
			Region: w.region, Name: queryName(o, w.tenant, q.Title), Groups: slices.Clone(groups), Text: q.Text,
		})
	}
}

// addWatches adds the metric filters of a tenant, and the alarms.
func (s *Stack) addWatches(o Options, w watched) {
	if !w.filters {
		return
	}
	for _, x := range Watches() {
		name, space := alarmName(o, w.tenant, x.Slug), namespace(o, w.tenant)
		s.Resources = append(s.Resources, &MetricFilter{
			Region: w.region, Group: w.group, Name: name, Pattern: x.Pattern, Namespace: space, Metric: x.Metric,
		})
		if n := x.threshold(o); n > 0 {
			s.Resources = append(s.Resources, &Alarm{
				Region: w.region, Name: name, Namespace: space, Metric: x.Metric, Threshold: n, PeriodSeconds: int(x.Period.Seconds()),
				Description: fmt.Sprintf("%d or more %s within %s. Open the saved query %s in Logs Insights.",
					n, x.Counts, minutes(x.Period), queryName(o, w.tenant, x.Query)),
				Topics: topicsIn(o, w.region), Tags: alarmTags(o),
			})
		}
	}
}

// namespace is that of a tenant's metrics.
func namespace(o Options, tenant string) string { return o.Name + "/" + tenant }

// alarmName is the name of a metric filter, and of the alarm on its metric.
func alarmName(o Options, tenant, slug string) string { return o.Name + "-" + tenant + "-" + slug }

// alarmTags are the tags of an alarm.
func alarmTags(o Options) map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, o.Tags)
	tags[ManagedBy] = o.Name
	return tags
}
