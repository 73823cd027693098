package cloudwatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// queryLimit is how many events a query returns at most: what every Region gives in
	// one answer of GetQueryResults (API reference).
	queryLimit = 10_000
	// queryFirst is how long is waited before the first look at the results; it grows up
	// to queryMost. A query ends by itself after an hour.
	queryFirst = 200 * time.Millisecond
	queryMost  = 5 * time.Second
	queryTime  = 70 * time.Minute
	// queryLayout is how Logs Insights writes a time, in UTC.
	queryLayout = "2006-01-02 15:04:05.000"
	// querySpan is the largest span that is asked for at once.
	querySpan = 24 * time.Hour
)

// queryPages reads with Logs Insights. A query returns so many events and no token for
// more, so a span that holds as many is read in halves, down to a second.
func (s *Sink) queryPages(ctx context.Context, group string, streams Streams, from, to time.Time, each func(Stored) error) error {
	first, last := max(0, from.Unix()), max(0, to.Unix())
	step := int64(querySpan / time.Second)
	for first <= last {
		end := min(first+step-1, last)
		rows, err := s.query(ctx, group, streams, first, end)
		if err != nil {
			return err
		}
		if len(rows) >= queryLimit {
			if first == end {
				return &failure{op: opStartQuery, text: errDense.Error(), err: errDense}
			}
			step = (end - first + 1) / 2
			continue
		}
		slices.SortStableFunc(rows, func(a, b Stored) int { return a.At.Compare(b.At) })
		for _, e := range rows {
			if e.At.Before(from) || e.At.After(to) { // seconds are coarser
				continue
			}
			if err := each(e); err != nil {
				return err
			}
		}
		if first = end + 1; len(rows) < queryLimit/4 {
			step = min(2*step, int64(querySpan/time.Second))
		}
	}
	return nil
}

// query returns the events of some seconds, inclusive, up to queryLimit.
func (s *Sink) query(ctx context.Context, group string, streams Streams, from, to int64) ([]Stored, error) {
	text := "fields @timestamp, @ingestionTime, @logStream, @message"
	if streams.Name != "" {
		text += " | filter @logStream = " + insightsText(streams.Name)
	} else if streams.Prefix != "" {
		text += " | filter strcontains(@logStream, " + insightsText(streams.Prefix) + ") = 1"
	}
	text += fmt.Sprintf(" | sort @timestamp asc | limit %d", queryLimit)
	started, err := patient(ctx, func() (*logs.StartQueryOutput, error) {
		return invoke(ctx, s, opStartQuery, &logs.StartQueryInput{
			LogGroupName: aws.String(group), StartTime: aws.Int64(from), EndTime: aws.Int64(to), QueryString: aws.String(text), Limit: aws.Int32(queryLimit),
		}, s.client.StartQuery, func(o *logs.StartQueryOutput) middleware.Metadata { return o.ResultMetadata })
	})
	if err != nil {
		return nil, err
	}
	rows, err := s.results(ctx, aws.ToString(started.QueryId))
	if err != nil || streams.Prefix == "" {
		return rows, err
	}
	if len(rows) < queryLimit { // or the span is halved
		rows = slices.DeleteFunc(rows, func(e Stored) bool { return !strings.HasPrefix(e.Stream, streams.Prefix) })
	}
	return rows, nil
}

// insightsText writes a text of a query.
func insightsText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// results waits for those of a query.
func (s *Sink) results(ctx context.Context, id string) (rows []Stored, err error) {
	_, err = s.eachResult(ctx, id, func(fields []types.ResultField) { rows = append(rows, rowOf(fields)) })
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// eachResult waits for the results of a query and hands over row by row. What the query
// has read is nil where the endpoint does not say.
func (s *Sink) eachResult(ctx context.Context, id string, each func([]types.ResultField)) (*types.QueryStatistics, error) {
	var token *string
	for wait, began := queryFirst, time.Now(); ; {
		out, err := patient(ctx, func() (*logs.GetQueryResultsOutput, error) {
			return invoke(ctx, s, opQueryResults, &logs.GetQueryResultsInput{QueryId: aws.String(id), NextToken: token},
				s.client.GetQueryResults, func(o *logs.GetQueryResultsOutput) middleware.Metadata { return o.ResultMetadata })
		})
		if err != nil {
			return nil, err
		}
		switch out.Status {
		case types.QueryStatusComplete:
			for _, fields := range out.Results {
				each(fields)
			}
			if token = out.NextToken; token == nil {
				return out.Statistics, nil
			}
			continue
		case types.QueryStatusFailed, types.QueryStatusCancelled, types.QueryStatusTimeout:
			return nil, &failure{op: opQueryResults, text: fmt.Sprintf("%v: its status is %s", errQuery, out.Status), err: errQuery}
		default: // it runs
		}
		if time.Since(began) > queryTime {
			return nil, &failure{op: opQueryResults, text: errQuery.Error() + ": it does not end", err: errQuery}
		}
		if err := pipeline.Wait(ctx, wait); err != nil {
			return nil, err
		}
		wait = min(2*wait, queryMost)
	}
}

// rowOf reads a row of results.
func rowOf(fields []types.ResultField) (e Stored) {
	for _, f := range fields {
		value := aws.ToString(f.Value)
		switch aws.ToString(f.Field) {
		case "@timestamp":
			e.At, _ = time.Parse(queryLayout, value) // a time that is none is the zero time
		case "@ingestionTime":
			e.Ingested, _ = time.Parse(queryLayout, value)
		case "@logStream":
			e.Stream = value
		case "@message":
			e.Message = []byte(value)
		case "@ptr":
			e.ID = value
		}
	}
	e.ID = cmp.Or(e.ID, e.Stream+" "+e.At.Format(queryLayout)+" "+e.Ingested.Format(queryLayout))
	return e
}
