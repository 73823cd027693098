package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// The bounds of reading lists to their end: an answer that always names a further page
// must not be read for ever.
const maxInsightsPages = 1000

// queriesNamed returns the saved queries of exactly that name, in the order of their
// ids. Names are not unique for AWS.
func (p *insightsProvider) queriesNamed(ctx context.Context, region, name string) (named []types.QueryDefinition, err error) {
	client := p.logs(region)
	in := &logs.DescribeQueryDefinitionsInput{QueryDefinitionNamePrefix: &name}
	for range maxInsightsPages {
		out, err := client.DescribeQueryDefinitions(ctx, in)
		if err != nil {
			return nil, failed("list saved queries", err)
		}
		for _, d := range out.QueryDefinitions {
			if aws.ToString(d.Name) == name { // others may begin with it
				named = append(named, d)
			}
		}
		if aws.ToString(out.NextToken) == "" {
			slices.SortFunc(named, func(a, b types.QueryDefinition) int {
				return cmp.Compare(aws.ToString(a.QueryDefinitionId), aws.ToString(b.QueryDefinitionId))
			})
			return named, nil
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("list saved queries: more than %d pages", maxInsightsPages)
}

// findQuery looks for a saved query.
func (p *insightsProvider) findQuery(ctx context.Context, w *stack.Query) (Found, error) {
	named, err := p.queriesNamed(ctx, w.Region, w.Name)
	if err != nil || len(named) == 0 {
		return Found{}, err
	}
	f := Found{Ours: true, Resource: &stack.Query{
		Region: w.Region, Name: w.Name, Groups: named[0].LogGroupNames, Text: aws.ToString(named[0].QueryString),
	}}
	if len(named) > 1 {
		f.Note = fmt.Sprintf("there are %d saved queries of this name; the first is compared, and all are removed with it", len(named))
	}
	return f, nil
}

// putQuery makes a saved query, or changes the one of its name. The SDK adds a token to
// the call, so that one that is made again for a lost answer makes no second query.
func (p *insightsProvider) putQuery(ctx context.Context, w *stack.Query) error {
	named, err := p.queriesNamed(ctx, w.Region, w.Name)
	if err != nil {
		return err
	}
	in := &logs.PutQueryDefinitionInput{Name: &w.Name, QueryString: &w.Text, LogGroupNames: w.Groups}
	if len(named) > 0 {
		in.QueryDefinitionId = named[0].QueryDefinitionId
	}
	_, err = p.logs(w.Region).PutQueryDefinition(ctx, in)
	return failed("put saved query", err)
}

// removeQueries removes all saved queries of a name.
func (p *insightsProvider) removeQueries(ctx context.Context, h *stack.Query) error {
	named, err := p.queriesNamed(ctx, h.Region, h.Name)
	if err != nil {
		return err
	}
	for _, d := range named {
		_, err := p.logs(h.Region).DeleteQueryDefinition(ctx, &logs.DeleteQueryDefinitionInput{QueryDefinitionId: d.QueryDefinitionId})
		if err := failed("delete saved query", unlessAbsent(err)); err != nil {
			return err
		}
	}
	return nil
}

// findFilter looks for a metric filter.
func (p *insightsProvider) findFilter(ctx context.Context, w *stack.MetricFilter) (Found, error) {
	pages := logs.NewDescribeMetricFiltersPaginator(p.logs(w.Region), &logs.DescribeMetricFiltersInput{LogGroupName: &w.Group, FilterNamePrefix: &w.Name})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxInsightsPages {
			return Found{}, fmt.Errorf("list metric filters: more than %d pages", maxInsightsPages)
		}
		page, err := pages.NextPage(ctx)
		if absent(err) { // the group is not there yet
			return Found{}, nil
		}
		if err != nil {
			return Found{}, failed("list metric filters", err)
		}
		for _, f := range page.MetricFilters {
			if aws.ToString(f.FilterName) == w.Name {
				return Found{Ours: true, Resource: foundFilter(w, f)}, nil
			}
		}
	}
	return Found{}, nil
}

// foundFilter is a metric filter that is there. What a stack has no words for, and is
// not as putFilter makes it, shows in the name of the metric.
func foundFilter(w *stack.MetricFilter, f types.MetricFilter) *stack.MetricFilter {
	have := &stack.MetricFilter{Region: w.Region, Group: w.Group, Name: w.Name, Pattern: aws.ToString(f.FilterPattern)}
	if len(f.MetricTransformations) == 0 {
		return have
	}
	m := f.MetricTransformations[0]
	have.Namespace, have.Metric = aws.ToString(m.MetricNamespace), aws.ToString(m.MetricName)
	var odd oddities
	odd.unless(aws.ToString(m.MetricValue) == matchValue, "counting "+aws.ToString(m.MetricValue))
	odd.unless(m.DefaultValue != nil && *m.DefaultValue == 0, "without the value 0 where nothing matches")
	odd.unless(len(m.Dimensions) == 0, "with dimensions")
	odd.unless(len(f.MetricTransformations) == 1, "and others")
	odd.unless(m.Unit == "" || m.Unit == types.StandardUnitNone, "in "+string(m.Unit))
	odd.unless(!f.ApplyOnTransformedLogs, "on transformed events")
	odd.unless(aws.ToString(f.FieldSelectionCriteria) == "", "of chosen sources")
	have.Metric += odd.String()
	return have
}

// matchValue is what a match counts.
const matchValue = "1"

// putFilter makes a metric filter, or replaces the one of its name.
func (p *insightsProvider) putFilter(ctx context.Context, w *stack.MetricFilter) error {
	_, err := p.logs(w.Region).PutMetricFilter(ctx, &logs.PutMetricFilterInput{
		LogGroupName: &w.Group, FilterName: &w.Name, FilterPattern: &w.Pattern,
		MetricTransformations: []types.MetricTransformation{{
			MetricNamespace: &w.Namespace, MetricName: &w.Metric, MetricValue: aws.String(matchValue), DefaultValue: aws.Float64(0),
		}},
	})
	return failed("put metric filter", err)
}

// oddities are properties that a stack has no words for and that are not as setup makes
// them. They are shown behind a name, so that a plan tells of them.
type oddities []string

// unless adds one where a property is not as it should be.
func (o *oddities) unless(right bool, odd string) {
	if !right {
		*o = append(*o, odd)
	}
}

// String returns them in brackets; nothing for none.
func (o *oddities) String() string {
	if len(*o) == 0 {
		return ""
	}
	return " (" + strings.Join(*o, ", ") + ")"
}
