package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// quiet is what an alarm makes of times without data.
const quiet = "notBreaching"

// findAlarm looks for an alarm. Alarms of all types share their names.
func (p *insightsProvider) findAlarm(ctx context.Context, w *stack.Alarm) (Found, error) {
	client := p.metrics(w.Region)
	out, err := client.DescribeAlarms(ctx, &metrics.DescribeAlarmsInput{
		AlarmNames: []string{w.Name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
	})
	if err != nil {
		return Found{}, failed("look for alarm", err)
	}
	for _, a := range out.CompositeAlarms {
		if aws.ToString(a.AlarmName) == w.Name {
			return Found{Resource: &stack.Alarm{Region: w.Region, Name: w.Name}, Note: "a composite alarm has this name"}, nil
		}
	}
	i := slices.IndexFunc(out.MetricAlarms, func(a types.MetricAlarm) bool { return aws.ToString(a.AlarmName) == w.Name })
	if i < 0 {
		return Found{}, nil
	}
	tags, err := p.alarmTags(ctx, client, out.MetricAlarms[i])
	if err != nil {
		return Found{}, err
	}
	have := foundAlarm(w, out.MetricAlarms[i])
	have.Tags = tags
	return Found{Ours: tags[stack.ManagedBy] == p.owner, Resource: have}, nil
}

// alarmTags returns the tags of an alarm.
func (*insightsProvider) alarmTags(ctx context.Context, client *metrics.Client, a types.MetricAlarm) (map[string]string, error) {
	out, err := client.ListTagsForResource(ctx, &metrics.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
	if err != nil {
		return nil, failed("read tags of alarm", err)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// foundAlarm is an alarm that is there, without its tags. What a stack has no words
// for, and is not as putAlarm makes it, shows in the name of the metric, and what tells
// of the alarm or its end alone in the list of topics.
func foundAlarm(w *stack.Alarm, a types.MetricAlarm) *stack.Alarm {
	threshold := aws.ToFloat64(a.Threshold)
	have := &stack.Alarm{
		Region: w.Region, Name: w.Name, Description: aws.ToString(a.AlarmDescription), Namespace: aws.ToString(a.Namespace),
		PeriodSeconds: int(aws.ToInt32(a.Period)), Threshold: int(threshold), Topics: foundTopics(a.AlarmActions, a.OKActions),
	}
	var odd oddities
	odd.unless(a.Statistic == types.StatisticSum, "statistic "+string(a.Statistic))
	odd.unless(a.ComparisonOperator == types.ComparisonOperatorGreaterThanOrEqualToThreshold, string(a.ComparisonOperator))
	odd.unless(threshold == math.Trunc(threshold), fmt.Sprintf("threshold %g", threshold))
	odd.unless(aws.ToInt32(a.EvaluationPeriods) == 1, fmt.Sprintf("over %d periods", aws.ToInt32(a.EvaluationPeriods)))
	odd.unless(aws.ToString(a.TreatMissingData) == quiet, "missing data "+aws.ToString(a.TreatMissingData))
	odd.unless(len(a.Dimensions) == 0, "with dimensions")
	odd.unless(len(a.Metrics) == 0, "of several metrics")
	odd.unless(a.Unit == "", "in "+string(a.Unit))
	odd.unless(len(a.InsufficientDataActions) == 0, "with actions for missing data")
	odd.unless(aws.ToBool(a.ActionsEnabled), "actions turned off")
	have.Metric = aws.ToString(a.MetricName) + odd.String()
	return have
}

// foundTopics joins the actions of an alarm and of its end.
func foundTopics(alarm, end []string) (topics []string) {
	for _, arn := range alarm {
		if !slices.Contains(end, arn) {
			arn += " (alarm alone)"
		}
		topics = append(topics, arn)
	}
	for _, arn := range end {
		if !slices.Contains(alarm, arn) {
			topics = append(topics, arn+" (end alone)")
		}
	}
	return topics
}

// putAlarm makes an alarm, or replaces the one of its name. AWS takes tags with the call
// that makes it alone.
func (p *insightsProvider) putAlarm(ctx context.Context, w *stack.Alarm, there bool) error {
	client := p.metrics(w.Region)
	var tags []types.Tag
	for _, k := range slices.Sorted(maps.Keys(w.Tags)) {
		tags = append(tags, types.Tag{Key: aws.String(k), Value: aws.String(w.Tags[k])})
	}
	in := &metrics.PutMetricAlarmInput{
		AlarmName: &w.Name, AlarmDescription: &w.Description, Namespace: &w.Namespace, MetricName: &w.Metric,
		Statistic: types.StatisticSum, ComparisonOperator: types.ComparisonOperatorGreaterThanOrEqualToThreshold,
		Period: aws.Int32(int32(min(w.PeriodSeconds, math.MaxInt32))), Threshold: aws.Float64(float64(w.Threshold)), EvaluationPeriods: aws.Int32(1), //nolint:gosec // bounded
		TreatMissingData: aws.String(quiet), ActionsEnabled: aws.Bool(true), AlarmActions: w.Topics, OKActions: w.Topics,
	}
	if !there {
		in.Tags = tags
	}
	if _, err := client.PutMetricAlarm(ctx, in); err != nil {
		return failed("put alarm", err)
	}
	if !there || len(tags) == 0 {
		return nil
	}
	out, err := client.DescribeAlarms(ctx, &metrics.DescribeAlarmsInput{AlarmNames: []string{w.Name}})
	if err != nil {
		return failed("look for alarm", err)
	}
	for _, a := range out.MetricAlarms {
		_, err := client.TagResource(ctx, &metrics.TagResourceInput{ResourceARN: a.AlarmArn, Tags: tags})
		if err := failed("tag alarm", err); err != nil {
			return err
		}
	}
	return nil
}

// findDashboard looks for a dashboard. A body that says the same as the wanted one is
// returned as that: AWS may order and space it in another way.
func (p *insightsProvider) findDashboard(ctx context.Context, w *stack.Dashboard, v Values) (Found, error) {
	out, err := p.metrics("").GetDashboard(ctx, &metrics.GetDashboardInput{DashboardName: &w.Name})
	if absent(err) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, failed("look for dashboard", err)
	}
	want, _ := Fill(w.Body, v)
	body := aws.ToString(out.DashboardBody)
	if sameJSON(want, body) {
		body = want
	}
	return Found{Ours: true, Resource: &stack.Dashboard{Name: w.Name, Body: body}}, nil
}

// sameJSON reports whether two texts are JSON that says the same.
func sameJSON(a, b string) bool {
	var x, y any
	return decodeNumbers(a, &x) == nil && decodeNumbers(b, &y) == nil && reflect.DeepEqual(x, y)
}

// decodeNumbers decodes JSON, numbers as they are written.
func decodeNumbers(text string, v *any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	return d.Decode(v)
}

// putDashboard makes a dashboard, or replaces the one of its name. What CloudWatch
// warns of in an answer that took it, such as a metric that has no data yet, is no
// error.
func (p *insightsProvider) putDashboard(ctx context.Context, w *stack.Dashboard, v Values) error {
	body, missing := Fill(w.Body, v)
	if len(missing) > 0 {
		return fmt.Errorf("put dashboard: there is no value yet for %s", strings.Join(missing, ", "))
	}
	_, err := p.metrics("").PutDashboard(ctx, &metrics.PutDashboardInput{DashboardName: &w.Name, DashboardBody: &body})
	return failed("put dashboard", err)
}
