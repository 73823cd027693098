package provision

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// insightsProvider knows saved queries, metric filters, alarms and dashboards.
type insightsProvider struct {
	aws   *AWS
	owner string
}

// NewInsights returns the provider of saved queries, metric filters, alarms and
// dashboards. owner is the value of the tag stack.ManagedBy on alarms that are ours.
// The others bear no tags: what has the name that the stack gives it is ours.
func NewInsights(a *AWS, owner string) Provider { return &insightsProvider{a, owner} }

// The bounds of trying again. PutMetricFilter may be called five times a second, and a
// tenant has some twenty filters; others may be setting up in the account as well.
const (
	insightsTries   = 8
	insightsBackoff = 5 * time.Second
)

// patient waits throttling out. Every call of the provider may be made twice. A page of
// HTML comes from an endpoint that does not know the call, and will not know it later.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = insightsTries, insightsBackoff
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if r, ok := errors.AsType[*awshttp.ResponseError](err); ok && strings.HasPrefix(r.HTTPResponse().Header.Get("Content-Type"), "text/html") {
				return aws.FalseTernary
			}
			return aws.UnknownTernary
		})}, o.Retryables...)
	})
}

// Kinds implements Provider.
func (*insightsProvider) Kinds() []stack.Kind {
	return []stack.Kind{stack.KindQuery, stack.KindMetricFilter, stack.KindAlarm, stack.KindDashboard}
}

func (p *insightsProvider) logs(region string) *logs.Client {
	return logs.NewFromConfig(p.config(region))
}

// config returns the configuration of clients for a Region; an empty one is that of
// the configuration, from which dashboards are reached.
func (p *insightsProvider) config(region string) aws.Config {
	cfg := p.aws.In(region)
	cfg.Retryer = patient
	return cfg
}

// metrics returns a client that speaks AWS's older protocol of queries in forms. The
// newer one, in CBOR, is not known to emulators.
func (p *insightsProvider) metrics(region string) *metrics.Client {
	return metrics.NewFromConfig(p.config(region), func(o *metrics.Options) {
		o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
	})
}

// Find implements Provider.
func (p *insightsProvider) Find(ctx context.Context, want stack.Resource, v Values) (Found, error) {
	switch w := want.(type) {
	case *stack.Query:
		return p.findQuery(ctx, w)
	case *stack.MetricFilter:
		return p.findFilter(ctx, w)
	case *stack.Alarm:
		return p.findAlarm(ctx, w)
	case *stack.Dashboard:
		return p.findDashboard(ctx, w, v)
	default:
		return Found{}, unknownKind(want)
	}
}

// Make implements Provider.
func (p *insightsProvider) Make(ctx context.Context, want stack.Resource, v Values) error {
	switch w := want.(type) {
	case *stack.Query:
		return p.putQuery(ctx, w)
	case *stack.MetricFilter:
		return p.putFilter(ctx, w)
	case *stack.Alarm:
		return p.putAlarm(ctx, w, false)
	case *stack.Dashboard:
		return p.putDashboard(ctx, w, v)
	default:
		return unknownKind(want)
	}
}

// Change implements Provider. All of these are put whole.
func (p *insightsProvider) Change(ctx context.Context, want stack.Resource, _ Found, v Values) error {
	if w, ok := want.(*stack.Alarm); ok {
		return p.putAlarm(ctx, w, true)
	}
	return p.Make(ctx, want, v)
}

// Remove implements Provider.
func (p *insightsProvider) Remove(ctx context.Context, have Found) error {
	switch h := have.Resource.(type) {
	case *stack.Query:
		return p.removeQueries(ctx, h)
	case *stack.MetricFilter:
		_, err := p.logs(h.Region).DeleteMetricFilter(ctx, &logs.DeleteMetricFilterInput{LogGroupName: &h.Group, FilterName: &h.Name})
		return failed("delete metric filter", unlessAbsent(err))
	case *stack.Alarm:
		_, err := p.metrics(h.Region).DeleteAlarms(ctx, &metrics.DeleteAlarmsInput{AlarmNames: []string{h.Name}})
		return failed("delete alarm", unlessAbsent(err))
	case *stack.Dashboard:
		_, err := p.metrics("").DeleteDashboards(ctx, &metrics.DeleteDashboardsInput{DashboardNames: []string{h.Name}})
		return failed("delete dashboard", unlessAbsent(err))
	default:
		return unknownKind(have.Resource)
	}
}

// absent reports whether an error says that something is not there. The services and
// their emulators have several codes for it.
func absent(err error) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	switch answer.ErrorCode() {
	case "ResourceNotFoundException", "ResourceNotFound", "DashboardNotFoundError":
		return true
	default:
		return false
	}
}

// unlessAbsent drops an error that says that something is not there.
func unlessAbsent(err error) error {
	if absent(err) {
		return nil
	}
	return err
}
