package provision_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// insightsAWS reaches an endpoint with keys that nobody looks at.
func insightsAWS(t *testing.T, url string) *provision.AWS {
	t.Helper()
	a, err := provision.NewAWS(t.Context(), config.AWS{Region: "eu-central-1", Endpoint: url}, provision.AWSOptions{
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// insightsValues are what the tokens stand for in moto.
func insightsValues() provision.Values {
	return provision.Values{stack.Account: "123456789012", stack.Partition: "aws"}
}

// differ compares what is there with what is wanted, as plans do.
func differ(t *testing.T, want, have stack.Resource, v provision.Values) string {
	t.Helper()
	filled := func(r stack.Resource) map[string]string {
		out := map[string]string{}
		for _, a := range r.Attributes() {
			out[a.Path], _ = provision.Fill(a.Value, v)
		}
		return out
	}
	return cmp.Diff(filled(want), filled(have))
}

// TestInsightsAgainstMoto makes, finds, changes and removes what a tenant gets, against
// an emulator that is not ours. moto 5.2 knows no saved queries, adds a second metric
// filter where one is put again, and takes any filter pattern and any body of a
// dashboard. These are not checked here; TestSavedQueries and TestMetricFilters do
// with a stand-in.
func TestInsightsAgainstMoto(t *testing.T) {
	t.Parallel()
	a := insightsAWS(t, moto.Start(t))
	ctx := t.Context()
	group := "/auth0/dev-tenant"
	if _, err := logs.NewFromConfig(a.In("")).CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
		t.Fatal(err)
	}
	tenant := config.NewTenant()
	tenant.Name = "dev-tenant"
	s, err := stack.New(&config.Config{AWS: config.AWS{Region: "eu-central-1"}, Tenants: []config.Tenant{tenant}}, stack.Options{
		Parts: []string{stack.PartMetrics, stack.PartAlarms, stack.PartDashboard}, Topics: []string{"arn:aws:sns:eu-central-1:123456789012:alerts"},
		Tags: map[string]string{"team": "security"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := provision.NewInsights(a, "gapless")
	for _, r := range s.Resources {
		makeAndFind(ctx, t, p, r)
	}
	for _, r := range s.Resources {
		if r.ID().Kind != stack.KindMetricFilter {
			changeAndFind(ctx, t, p, r)
		}
	}
	strangersAlarm(ctx, t, p, metrics.NewFromConfig(a.In("eu-central-1"), func(o *metrics.Options) {
		o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
	}))
	for _, r := range s.Resources {
		removeTwice(ctx, t, p, r)
	}
}

func makeAndFind(ctx context.Context, t *testing.T, p provision.Provider, r stack.Resource) {
	t.Helper()
	v := insightsValues()
	if have, err := p.Find(ctx, r, v); err != nil || have.Resource != nil {
		t.Fatalf("%s before it is made: %+v, %v", r.ID(), have, err)
	}
	for range 2 {
		if err := p.Make(ctx, r, v); err != nil {
			t.Fatalf("make %s: %v", r.ID(), err)
		}
	}
	have, err := p.Find(ctx, r, v)
	if err != nil || have.Resource == nil || !have.Ours || have.HoldsEvents || have.Note != "" {
		t.Fatalf("%s after it is made: %+v, %v", r.ID(), have, err)
	}
	if d := differ(t, r, have.Resource, v); d != "" || r.ID() != have.Resource.ID() {
		t.Errorf("%s (-wanted +found):\n%s", r.ID(), d)
	}
}

func changeAndFind(ctx context.Context, t *testing.T, p provision.Provider, r stack.Resource) {
	t.Helper()
	v := insightsValues()
	changed := r
	switch r := r.(type) {
	case *stack.Query:
		c := *r
		c.Text, c.Groups = "limit 1", nil
		changed = &c
	case *stack.MetricFilter:
		c := *r
		c.Pattern, c.Metric = `{ $.type = "s" }`, "Other"
		changed = &c
	case *stack.Alarm:
		c := *r
		c.Threshold, c.Topics, c.Tags = 7, nil, map[string]string{"team": "operations", stack.ManagedBy: "gapless"}
		changed = &c
	case *stack.Dashboard:
		c := *r
		c.Body = `{"widgets":[]}`
		changed = &c
	}
	have, err := p.Find(ctx, changed, v)
	if err != nil || differ(t, changed, have.Resource, v) == "" {
		t.Fatalf("%s differs in nothing: %v", r.ID(), err)
	}
	if err := p.Change(ctx, changed, have, v); err != nil {
		t.Fatalf("change %s: %v", r.ID(), err)
	}
	have, err = p.Find(ctx, changed, v)
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(t, changed, have.Resource, v); d != "" || !have.Ours {
		t.Errorf("%s (-wanted +found):\n%s", r.ID(), d)
	}
}

// strangersAlarm has an alarm that somebody else made under our name.
func strangersAlarm(ctx context.Context, t *testing.T, p provision.Provider, client *metrics.Client) {
	t.Helper()
	name := "gapless-dev-tenant-theirs"
	if _, err := client.PutMetricAlarm(ctx, &metrics.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("X"), MetricName: aws.String("Y"), Statistic: "Average", ComparisonOperator: "LessThanThreshold",
		Period: aws.Int32(60), EvaluationPeriods: aws.Int32(3), Threshold: aws.Float64(1.5),
	}); err != nil {
		t.Fatal(err)
	}
	have, err := p.Find(ctx, &stack.Alarm{Region: "eu-central-1", Name: name, Tags: map[string]string{stack.ManagedBy: "gapless"}}, insightsValues())
	if err != nil || have.Ours || have.Resource == nil {
		t.Errorf("somebody's alarm: %+v, %v", have, err)
	}
}

func removeTwice(ctx context.Context, t *testing.T, p provision.Provider, r stack.Resource) {
	t.Helper()
	v := insightsValues()
	have, err := p.Find(ctx, r, v)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Remove(ctx, have); err != nil {
			t.Errorf("remove %s: %v", r.ID(), err)
		}
	}
	if have, err := p.Find(ctx, r, v); err != nil || have.Resource != nil {
		t.Errorf("%s after it is removed: %+v, %v", r.ID(), have, err)
	}
}
