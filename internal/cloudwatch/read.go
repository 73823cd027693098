package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// readTries is how often a page is asked for that does not come. The waits between
	// grow up to half a minute, or to what the service asks for.
	readTries = 12
	// describeLimit is the largest page of DescribeLogGroups (API reference).
	describeLimit = 50
)

// A Group is a log group as it is.
type Group struct {
	Name string
	// Class is its log class; empty where the endpoint does not say, which is STANDARD.
	Class string
	// Retention is how long it keeps events; 0 is for ever.
	Retention time.Duration
}

// infrequent reports whether Logs Insights alone can read the group.
func (g Group) infrequent() bool { return g.Class == string(types.LogGroupClassInfrequentAccess) }

// Groups returns the log groups whose names begin with a prefix, in their order. It
// needs logs:DescribeLogGroups. Errors are *pipeline.Error.
func (s *Sink) Groups(ctx context.Context, prefix string) (list []Group, err error) {
	var token *string
	for {
		out, err := patient(ctx, func() (*logs.DescribeLogGroupsOutput, error) {
			return invoke(ctx, s, opDescribeGroups, &logs.DescribeLogGroupsInput{
				LogGroupNamePrefix: aws.String(prefix), Limit: aws.Int32(describeLimit), NextToken: token,
			}, s.client.DescribeLogGroups, func(o *logs.DescribeLogGroupsOutput) middleware.Metadata { return o.ResultMetadata })
		})
		if err != nil {
			return nil, s.explainRead("list", pipeline.Destination{LogGroup: prefix}, err)
		}
		for i := range out.LogGroups {
			g := &out.LogGroups[i]
			list = append(list, Group{
				Name: aws.ToString(g.LogGroupName), Class: string(g.LogGroupClass), Retention: time.Duration(aws.ToInt32(g.RetentionInDays)) * day,
			})
		}
		if token = out.NextToken; token == nil {
			return list, nil
		}
	}
}

// A Stored is an event as it lies in a log group.
type Stored struct {
	Stream string
	// ID tells it from all others of the group.
	ID string
	// At is its timestamp, Ingested when CloudWatch Logs took it.
	At, Ingested time.Time
	Message      []byte
}

// Streams say which log streams of a group are read: that of a name, those with a
// prefix, or all.
type Streams struct{ Name, Prefix string }

// Read calls each for the events of a log group with timestamps from one time to
// another, inclusive, in the order of time: by FilterLogEvents, or in the class
// INFREQUENT_ACCESS by Logs Insights, which has the price of what it scans. A group
// or stream that does not exist holds nothing. It keeps one page. What is throttled
// or fails for a while is asked for again; errors are *pipeline.Error.
func (s *Sink) Read(ctx context.Context, g Group, streams Streams, from, to time.Time, each func(Stored) error) error {
	return s.Search(ctx, g, streams, "", from, to, each)
}

// explainRead makes the error of a reading.
func (s *Sink) explainRead(doing string, dest pipeline.Destination, err error) error {
	e, ok := errors.AsType[*pipeline.Error](s.explain(doing, dest, err))
	if !ok {
		return err
	}
	e.Op = strings.TrimSuffix(doing+" "+name(dest), " : ")
	if e.Class == pipeline.Misconfigured {
		e.Hint = "CloudWatch Logs does not let this log group be read: check log_group, and its class; ESSENTIALS and DELIVERY may have no reads."
	}
	return e
}

// filterPages reads with FilterLogEvents.
func (s *Sink) filterPages(ctx context.Context, group string, streams Streams, pattern string, from, to time.Time, each func(Stored) error) error {
	in := logs.FilterLogEventsInput{
		LogGroupName: aws.String(group), StartTime: aws.Int64(max(0, from.UnixMilli())), EndTime: aws.Int64(max(0, to.UnixMilli())), Limit: aws.Int32(lookupPage),
	}
	if pattern != "" {
		in.FilterPattern = aws.String(pattern)
	}
	if streams.Name != "" {
		in.LogStreamNames = []string{streams.Name}
	} else if streams.Prefix != "" {
		in.LogStreamNamePrefix = aws.String(streams.Prefix)
	}
	for empty := 0; ; {
		out, err := patient(ctx, func() (*logs.FilterLogEventsOutput, error) {
			return invoke(ctx, s, opFilter, &in, s.client.FilterLogEvents, func(o *logs.FilterLogEventsOutput) middleware.Metadata { return o.ResultMetadata })
		})
		if err != nil {
			return err
		}
		if out.Events == nil && out.NextToken == nil && out.SearchedLogStreams == nil {
			return &failure{op: opFilter, text: errForeign.Error(), err: errForeign}
		}
		for i := range out.Events {
			e := &out.Events[i]
			err := each(Stored{
				Stream: aws.ToString(e.LogStreamName), ID: aws.ToString(e.EventId), At: time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(),
				Ingested: time.UnixMilli(aws.ToInt64(e.IngestionTime)).UTC(), Message: []byte(aws.ToString(e.Message)),
			})
			if err != nil {
				return err
			}
		}
		if empty++; len(out.Events) > 0 {
			empty = 0
		}
		if empty > lookupPages {
			return &failure{op: opFilter, text: errEndless.Error(), err: errEndless}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return nil
		}
	}
}

// patient makes a call until it has an answer, as long as what hinders it may pass.
func patient[T any](ctx context.Context, call func() (T, error)) (out T, err error) {
	var backoff pipeline.Backoff
	for try := 1; ; try++ {
		out, err = call()
		f, ok := errors.AsType[*failure](err)
		if !ok || f.kind != throttled && f.kind != passing && f.kind != contended || try == readTries || ctx.Err() != nil {
			return out, err
		}
		e := pipeline.Error{Class: pipeline.Transient, RetryAfter: f.retryAfter, Err: err}
		if f.kind == throttled {
			e.Class = pipeline.Throttled
		}
		if err := pipeline.Wait(ctx, backoff.Next(e)); err != nil {
			return out, err
		}
	}
}

// Restamps reports whether a sink with this configuration may have given an event of a
// date the timestamp that it has, when CloudWatch Logs took it at a time. retention is
// that of the log group, 0 for ever.
func (c Config) Restamps(date, at, ingested time.Time, retention time.Duration) bool {
	c = c.filled()
	const slack = lookupSlack
	near := func(edge time.Time) bool { return at.Sub(edge).Abs() <= slack+pastMargin }
	switch {
	case at.After(date) && c.TooOld == Restamp:
		steps := pastSteps
		if retention > 0 {
			steps = append([]time.Duration{min(MaxPast, retention)}, steps...)
		}
		for _, past := range steps {
			if edge := ingested.Add(-past); near(edge) && date.Before(edge.Add(slack+pastMargin)) {
				return true
			}
		}
	case at.Before(date) && c.TooNew == Restamp:
		for _, future := range futureSteps {
			if near(ingested.Add(future - futureMargin)) {
				return true
			}
		}
	}
	return false
}

// LatestStamp returns the latest timestamp that an event of a date may have got by now.
func (c Config) LatestStamp(date, now time.Time, retention time.Duration) time.Time {
	past := MaxPast
	if retention > 0 {
		past = min(past, retention)
	}
	if edge := now.Add(pastMargin + lookupSlack - past); c.filled().TooOld == Restamp && date.Before(edge) {
		return edge
	}
	return date
}

// errQuery says that Logs Insights did not answer a query.
var errQuery = errors.New("the query has failed")

// errDense says that a second holds more events than a query returns.
var errDense = fmt.Errorf("more than %d events in one second are more than a query of Logs Insights returns", queryLimit)

// Last returns the last events of a log stream, up to so many, in the order of time. A
// stream that does not exist has none. Errors are *pipeline.Error.
func (s *Sink) Last(ctx context.Context, dest pipeline.Destination, most int32) (list []Stored, err error) {
	out, err := patient(ctx, func() (*logs.GetLogEventsOutput, error) {
		return invoke(ctx, s, opGet, &logs.GetLogEventsInput{
			LogGroupName: aws.String(dest.LogGroup), LogStreamName: aws.String(dest.LogStream), Limit: aws.Int32(most), StartFromHead: aws.Bool(false),
		}, s.client.GetLogEvents, func(o *logs.GetLogEventsOutput) middleware.Metadata { return o.ResultMetadata })
	})
	switch {
	case is(err, missing):
		return nil, nil
	case err != nil:
		return nil, s.explainRead("read", dest, err)
	}
	for _, e := range out.Events {
		list = append(list, Stored{
			Stream: dest.LogStream, At: time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(),
			Ingested: time.UnixMilli(aws.ToInt64(e.IngestionTime)).UTC(), Message: []byte(aws.ToString(e.Message)),
		})
	}
	return list, nil
}
