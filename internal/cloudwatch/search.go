package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Errors of Search and Query, wrapped in *pipeline.Error.
var (
	// ErrPattern says that CloudWatch Logs does not take a filter pattern.
	ErrPattern = errors.New("CloudWatch Logs does not take the filter pattern")
	// ErrQueryText says that Logs Insights does not take a query.
	ErrQueryText = errors.New("the query is not taken by Logs Insights")
	// ErrNoInsights says that the endpoint has no Logs Insights.
	ErrNoInsights = errors.New("there is no Logs Insights")
)

// Infrequent reports whether Logs Insights alone can read the group: its class is
// INFREQUENT_ACCESS.
func (g Group) Infrequent() bool { return g.infrequent() }

// Search is Read for those events that a filter pattern of CloudWatch Logs matches;
// empty is all. A group that Logs Insights alone can read is read in full, whatever the
// pattern: Logs Insights knows none.
func (s *Sink) Search(ctx context.Context, g Group, streams Streams, pattern string, from, to time.Time, each func(Stored) error) error {
	var own error
	mine := func(e Stored) error {
		own = each(e)
		return own
	}
	var err error
	if g.infrequent() {
		err = s.queryPages(ctx, g.Name, streams, from, to, mine)
	} else {
		err = s.filterPages(ctx, g.Name, streams, pattern, from, to, mine)
	}
	switch {
	case err == nil, is(err, missing):
		return nil
	case own != nil:
		return own
	case pattern != "" && is(err, refused):
		return &pipeline.Error{
			Op: "search " + g.Name, Class: pipeline.Misconfigured, Err: fmt.Errorf("%w: %w", ErrPattern, err),
			Hint: "See \"Filter pattern syntax\" in the CloudWatch Logs user guide: { $.type = \"fp\" } finds a member, \"some words\" a text.",
		}
	default:
		return s.explainRead("read", pipeline.Destination{LogGroup: g.Name, LogStream: streams.Name + streams.Prefix}, err)
	}
}

// A Field is a value of a row that a query returns, as Logs Insights writes it.
type Field struct{ Name, Value string }

// An Answer is what a query returns.
type Answer struct {
	Rows [][]Field
	// Scanned and Bytes are how many events and bytes were read for it; the price is by
	// the byte.
	Scanned, Bytes float64
}

// Query runs a query of Logs Insights over log groups, for events from one time to
// another, to the second. It returns limit rows at most, 0 is as many as the query says;
// the largest is 100,000. When ctx ends the query is stopped. Errors are
// *pipeline.Error.
func (s *Sink) Query(ctx context.Context, groups []string, text string, from, to time.Time, limit int) (Answer, error) {
	in := &logs.StartQueryInput{
		LogGroupNames: groups, StartTime: aws.Int64(max(0, from.Unix())), EndTime: aws.Int64(max(0, to.Unix())), QueryString: aws.String(text),
	}
	if len(groups) == 1 { // which older endpoints know alone
		in.LogGroupNames, in.LogGroupName = nil, aws.String(groups[0])
	}
	if limit > 0 {
		in.Limit = aws.Int32(int32(min(limit, maxQueryRows)))
	}
	started, err := patient(ctx, func() (*logs.StartQueryOutput, error) {
		out, err := invoke(ctx, s, opStartQuery, in, s.client.StartQuery, func(o *logs.StartQueryOutput) middleware.Metadata { return o.ResultMetadata })
		if f, ok := errors.AsType[*failure](err); ok && (f.code == codeMalformed || lacksInsights(f)) {
			f.kind = refused // it does not pass
		}
		return out, err
	})
	if err != nil {
		return Answer{}, s.explainQuery(groups, err)
	}
	id := aws.ToString(started.QueryId)
	var a Answer
	stats, err := s.eachResult(ctx, id, func(fields []types.ResultField) {
		row := make([]Field, 0, len(fields))
		for _, f := range fields {
			row = append(row, Field{aws.ToString(f.Field), aws.ToString(f.Value)})
		}
		a.Rows = append(a.Rows, row)
	})
	if err != nil {
		s.stopQuery(ctx, id)
		return Answer{}, s.explainQuery(groups, err)
	}
	if stats != nil {
		a.Scanned, a.Bytes = stats.RecordsScanned, stats.BytesScanned
	}
	return a, nil
}

// maxQueryRows is the most that a query may return (StartQuery in the API reference).
const maxQueryRows = 100_000

// codeMalformed is that of a query that cannot be read.
const codeMalformed = "MalformedQueryException"

// stopTimeout bounds the stopping of a query that nobody waits for any more.
const stopTimeout = 5 * time.Second

// stopQuery ends a query. One that cannot be stopped ends by itself, at its price.
func (s *Sink) stopQuery(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_, _ = invoke(ctx, s, opStopQuery, &logs.StopQueryInput{QueryId: aws.String(id)}, s.client.StopQuery,
		func(o *logs.StopQueryOutput) middleware.Metadata { return o.ResultMetadata })
}

// explainQuery makes the error of a query.
func (s *Sink) explainQuery(groups []string, err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	e := &pipeline.Error{Op: "query", Class: pipeline.Misconfigured}
	switch {
	case lacksInsights(f):
		e.Err, e.Hint = fmt.Errorf("%w: %w", ErrNoInsights, err), "Let gapless read the events and evaluate the query itself: --engine local."
	case f.code == codeMalformed || f.kind == refused:
		e.Err, e.Hint = fmt.Errorf("%w: %w", ErrQueryText, err), "See \"CloudWatch Logs Insights query syntax\" in the user guide; docs/setup-queries.md has examples."
	default:
		return s.explainRead("query", pipeline.Destination{LogGroup: groups[0]}, err)
	}
	return e
}

// lacksInsights reports whether a refusal is one of an endpoint that does not know the
// operation.
func lacksInsights(f *failure) bool {
	switch f.code {
	case "UnknownOperationException", "UnknownOperation", "InvalidAction", "NotImplemented", "NotImplementedException", "UnsupportedOperation":
		return true
	default:
		return f.code == "" && (f.status == http.StatusNotFound || f.status == http.StatusMethodNotAllowed || f.status == http.StatusNotImplemented)
	}
}
