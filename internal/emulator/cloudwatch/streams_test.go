package cloudwatch_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
)

func now() time.Time { return time.Now() }

func TestStreams(t *testing.T) {
	t.Parallel()
	create := func(b *bench, group, name string) error {
		_, err := b.CreateLogStream(b.t.Context(), &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name})
		return err
	}
	run(t, map[string]func(*bench){
		"a new stream has few members": func(b *bench) {
			got := b.raw("DescribeLogStreams", `{"logGroupName":"`+group+`"}`)
			item := got.first("logStreams")
			delete(item, "creationTime")
			want := map[string]any{
				"arn":           "arn:aws:logs:us-east-1:123456789012:log-group:" + group + ":log-stream:" + stream,
				"logStreamName": stream, "storedBytes": 0.0,
			}
			if diff := cmp.Diff(want, item); diff != "" {
				b.t.Error(diff)
			}
		},
		"events add times and a token, not bytes": func(b *bench) {
			events := b.put("one", "two", "three")
			out, err := b.DescribeLogStreams(b.t.Context(), &logs.DescribeLogStreamsInput{LogGroupName: aws.String(group)})
			b.must(err)
			got := out.LogStreams[0]
			if *got.FirstEventTimestamp != *events[0].Timestamp || *got.LastEventTimestamp != *events[2].Timestamp ||
				*got.LastIngestionTime < *got.LastEventTimestamp || got.UploadSequenceToken == nil {
				b.t.Errorf("%+v", got)
			}
			//nolint:staticcheck // deprecated, and therefore always 0
			if *got.StoredBytes != 0 {
				b.t.Error("stored bytes are shown")
			}
		},
		"a second one of the same name": func(b *bench) {
			b.wantError(create(b, group, stream), "ResourceAlreadyExistsException", "The specified log stream already exists")
		},
		"no such group": func(b *bench) { b.wantError(create(b, "nope", "x"), notFound, noGroup) },
		"names with a colon or a star": func(b *bench) {
			for _, name := range []string{"a:b", "a*"} {
				b.wantError(create(b, group, name), invalidParameter, "1 validation error detected: Value '"+name+"' at 'logStreamName' "+
					"failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*")
			}
		},
		"any other character": func(b *bench) { b.must(create(b, group, "2026/11/23/[$LATEST] é\n")) },
		"name of 513 characters": func(b *bench) {
			b.wantError(create(b, group, strings.Repeat("a", 513)), invalidParameter, tooLongName)
		},
		"deleted, and deleted again": func(b *bench) {
			in := &logs.DeleteLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream)}
			_, err := b.DeleteLogStream(b.t.Context(), in)
			b.must(err)
			_, err = b.DeleteLogStream(b.t.Context(), in)
			b.wantError(err, notFound, noStream)
			in.LogGroupName = aws.String("nope")
			_, err = b.DeleteLogStream(b.t.Context(), in)
			b.wantError(err, notFound, noGroup)
		},
		"deleted with its events": func(b *bench) {
			b.put("old")
			_, err := b.DeleteLogStream(b.t.Context(), &logs.DeleteLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream)})
			b.must(err)
			b.createStream(group, stream)
			if got := b.all(); got != nil {
				b.t.Error(got)
			}
		},
	})
}

func TestDescribeLogStreams(t *testing.T) {
	t.Parallel()
	names := func(b *bench, in *logs.DescribeLogStreamsInput) []string {
		b.t.Helper()
		if in.LogGroupIdentifier == nil {
			in.LogGroupName = aws.String(group)
		}
		out, err := b.DescribeLogStreams(b.t.Context(), in)
		b.must(err)
		var list []string
		for _, s := range out.LogStreams {
			list = append(list, *s.LogStreamName)
		}
		return list
	}
	fail := func(b *bench, in *logs.DescribeLogStreamsInput) error {
		_, err := b.DescribeLogStreams(b.t.Context(), in)
		return err
	}
	threeStreams := func(b *bench) { // last events: b, then a; logs has none
		b.createStream(group, "a")
		b.createStream(group, "b")
		b.putEvents("a", event(now().Add(-time.Minute), "x"))
		b.putEvents("b", event(now().Add(-time.Hour), "x"))
	}
	run(t, map[string]func(*bench){
		"by name, and backwards": func(b *bench) {
			threeStreams(b)
			got := [][]string{names(b, &logs.DescribeLogStreamsInput{}), names(b, &logs.DescribeLogStreamsInput{Descending: aws.Bool(true)})}
			if diff := cmp.Diff([][]string{{"a", "b", "logs"}, {"logs", "b", "a"}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"by last event, and backwards": func(b *bench) {
			threeStreams(b)
			in := logs.DescribeLogStreamsInput{OrderBy: types.OrderByLastEventTime}
			up := names(b, &in)
			in.Descending = aws.Bool(true)
			if diff := cmp.Diff([][]string{{"logs", "b", "a"}, {"a", "b", "logs"}}, [][]string{up, names(b, &in)}); diff != "" {
				b.t.Error(diff)
			}
		},
		"by last event in pages": func(b *bench) {
			threeStreams(b)
			in := &logs.DescribeLogStreamsInput{
				LogGroupName: aws.String(group), OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true), Limit: aws.Int32(1),
			}
			var got []string
			for pages := logs.NewDescribeLogStreamsPaginator(b, in); pages.HasMorePages(); {
				page, err := pages.NextPage(b.t.Context())
				b.must(err)
				got = append(got, *page.LogStreams[0].LogStreamName)
			}
			if diff := cmp.Diff([]string{"a", "b", "logs"}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"by prefix": func(b *bench) {
			threeStreams(b)
			if diff := cmp.Diff([]string{"logs"}, names(b, &logs.DescribeLogStreamsInput{LogStreamNamePrefix: aws.String("lo")})); diff != "" {
				b.t.Error(diff)
			}
		},
		"prefix in the order of events": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{
				LogGroupName: aws.String(group), OrderBy: types.OrderByLastEventTime, LogStreamNamePrefix: aws.String("a"),
			}), invalidParameter, "Cannot order by LastEventTime with a logStreamNamePrefix.")
		},
		"by identifier": func(b *bench) {
			for _, id := range []string{group, "arn:aws:logs:eu-central-1:123456789012:log-group:" + group} {
				if diff := cmp.Diff([]string{stream}, names(b, &logs.DescribeLogStreamsInput{LogGroupIdentifier: &id})); diff != "" {
					b.t.Error(diff)
				}
			}
		},
		"an ARN of another account": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{
				LogGroupIdentifier: aws.String("arn:aws:logs:eu-central-1:210987654321:log-group:" + group),
			}), notFound, noGroup)
		},
		"name and identifier": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{LogGroupName: aws.String(group), LogGroupIdentifier: aws.String(group)}),
				"ValidationException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
		},
		"neither": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{}), invalidParameter, "…")
		},
		"no such group": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{LogGroupName: aws.String("x")}), notFound, noGroup)
		},
		"limit and order out of range": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{LogGroupName: aws.String("x"), Limit: aws.Int32(51), OrderBy: "Size"}),
				invalidParameter, "2 validation errors detected: Value 'Size' at 'orderBy' failed to satisfy constraint: Member must satisfy "+
					"enum value set: [LogStreamName, LastEventTime]; Value '51' at 'limit' failed to satisfy constraint: Member must have "+
					"value less than or equal to 50")
		},
		"pages of 50 by default": func(b *bench) {
			for i := range 60 {
				b.createStream(group, strconv.Itoa(i))
			}
			out, err := b.DescribeLogStreams(b.t.Context(), &logs.DescribeLogStreamsInput{LogGroupName: aws.String(group)})
			b.must(err)
			if len(out.LogStreams) != 50 || out.NextToken == nil {
				b.t.Errorf("%d streams", len(out.LogStreams))
			}
		},
		"a token of nobody": func(b *bench) {
			b.wantError(fail(b, &logs.DescribeLogStreamsInput{LogGroupName: aws.String(group), NextToken: aws.String("x")}),
				invalidParameter, "The specified nextToken is invalid.")
		},
	})
}
