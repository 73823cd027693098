package cloudwatch_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

// TestInsightsRefuses asks for what the emulator does not understand, or cannot find.
func TestInsightsRefuses(t *testing.T) {
	t.Parallel()
	h := newBench(t)
	now := time.Now().Unix()
	for query, code := range map[string]string{
		"stats count(*)":         "MalformedQueryException",
		"fields @nothing":        "MalformedQueryException",
		"fields @message | ":     "MalformedQueryException",
		`filter @logStream = "a`: "MalformedQueryException",
		"limit 0":                "MalformedQueryException",
	} {
		_, err := h.StartQuery(t.Context(), &logs.StartQueryInput{LogGroupName: aws.String(group), StartTime: &now, EndTime: &now, QueryString: aws.String(query)})
		if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code {
			t.Errorf("%s: %v", query, err)
		}
	}
	_, err := h.StartQuery(t.Context(), &logs.StartQueryInput{LogGroupName: aws.String("absent"), StartTime: &now, EndTime: &now, QueryString: aws.String("limit 1")})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("absent group: %v", err)
	}
	_, err = h.GetQueryResults(t.Context(), &logs.GetQueryResultsInput{QueryId: aws.String("none")})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("absent query: %v", err)
	}
}

// TestReadDelay reads events before and after they can be read.
func TestReadDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, cloudwatch.Options{ReadDelay: 30 * time.Second})
		b.createGroup(group)
		b.createStream(group, stream)
		_, err := b.PutLogEvents(t.Context(), &logs.PutLogEventsInput{
			LogGroupName: aws.String(group), LogStreamName: aws.String(stream),
			LogEvents: []types.InputLogEvent{{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: aws.String("late")}},
		})
		b.must(err)
		for _, want := range []int{0, 1} {
			got, err := b.GetLogEvents(t.Context(), &logs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream), StartFromHead: aws.Bool(true)})
			b.must(err)
			filtered, err := b.FilterLogEvents(t.Context(), &logs.FilterLogEventsInput{LogGroupName: aws.String(group)})
			b.must(err)
			if len(got.Events) != want || len(filtered.Events) != want {
				t.Errorf("%d and %d events, want %d", len(got.Events), len(filtered.Events), want)
			}
			<-time.After(31 * time.Second)
		}
	})
}
