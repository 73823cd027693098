package cloudwatch_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// numbers returns the texts "0" to n-1.
func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i)
	}
	return list
}

// get reads a page of the stream and returns its messages.
func (b *bench) get(change func(*logs.GetLogEventsInput)) (*logs.GetLogEventsOutput, []string) {
	b.t.Helper()
	in := &logs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream)}
	change(in)
	out, err := b.GetLogEvents(b.t.Context(), in)
	b.must(err)
	var messages []string
	for _, e := range out.Events {
		messages = append(messages, *e.Message)
	}
	return out, messages
}

func TestGetLogEvents(t *testing.T) {
	t.Parallel()
	fail := func(b *bench, change func(*logs.GetLogEventsInput)) error {
		in := &logs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream)}
		change(in)
		_, err := b.GetLogEvents(b.t.Context(), in)
		return err
	}
	run(t, map[string]func(*bench){
		"the newest page by default, ascending": func(b *bench) {
			b.put(numbers(5)...)
			_, got := b.get(func(in *logs.GetLogEventsInput) { in.Limit = aws.Int32(2) })
			if diff := cmp.Diff([]string{"3", "4"}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"from the head": func(b *bench) {
			b.put(numbers(5)...)
			_, got := b.get(func(in *logs.GetLogEventsInput) { in.Limit, in.StartFromHead = aws.Int32(2), aws.Bool(true) })
			if diff := cmp.Diff([]string{"0", "1"}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"an event has three members": func(b *bench) {
			b.put("x")
			a := b.raw("GetLogEvents", `{"logGroupName":"`+group+`","logStreamName":"`+stream+`"}`)
			item := a.first("events")
			if len(item) != 3 || item["message"] != "x" || item["timestamp"] == nil || item["ingestionTime"] == nil {
				b.t.Errorf("%v", item)
			}
		},
		"tokens have their documented form": func(b *bench) {
			b.put("x")
			out, _ := b.get(func(*logs.GetLogEventsInput) {})
			if !regexp.MustCompile(`^f/\d{56}$`).MatchString(*out.NextForwardToken) || !regexp.MustCompile(`^b/\d{56}$`).MatchString(*out.NextBackwardToken) {
				b.t.Errorf("%s %s", *out.NextForwardToken, *out.NextBackwardToken)
			}
		},
		"forwards to the end, where the token comes back": func(b *bench) {
			b.put(numbers(5)...)
			var pages [][]string
			var token *string
			for {
				out, got := b.get(func(in *logs.GetLogEventsInput) {
					in.Limit, in.StartFromHead, in.NextToken = aws.Int32(2), aws.Bool(true), token
				})
				if token != nil && *token == *out.NextForwardToken {
					break
				}
				pages, token = append(pages, got), out.NextForwardToken
			}
			if diff := cmp.Diff([][]string{{"0", "1"}, {"2", "3"}, {"4"}}, pages); diff != "" {
				b.t.Error(diff)
			}
			b.put("later")
			if _, got := b.get(func(in *logs.GetLogEventsInput) { in.NextToken = token }); !slices.Equal(got, []string{"later"}) {
				b.t.Errorf("after the end: %v", got)
			}
		},
		"backwards to the beginning": func(b *bench) {
			b.put(numbers(5)...)
			var pages [][]string
			var token *string
			for {
				out, got := b.get(func(in *logs.GetLogEventsInput) { in.Limit, in.NextToken = aws.Int32(2), token })
				if token != nil && *token == *out.NextBackwardToken {
					break
				}
				pages, token = append(pages, got), out.NextBackwardToken
			}
			if diff := cmp.Diff([][]string{{"3", "4"}, {"1", "2"}, {"0"}}, pages); diff != "" {
				b.t.Error(diff)
			}
		},
		"turning round loses nothing": func(b *bench) {
			b.put(numbers(4)...)
			head, _ := b.get(func(in *logs.GetLogEventsInput) { in.StartFromHead = aws.Bool(true) })
			end, _ := b.get(func(in *logs.GetLogEventsInput) { in.NextToken = head.NextForwardToken })
			_, back := b.get(func(in *logs.GetLogEventsInput) { in.NextToken = end.NextBackwardToken })
			if diff := cmp.Diff(numbers(4), back); diff != "" {
				b.t.Error(diff)
			}
		},
		"the start is part of the range, the end is not": func(b *bench) {
			events := b.put(numbers(5)...)
			_, got := b.get(func(in *logs.GetLogEventsInput) {
				in.StartTime, in.EndTime = events[1].Timestamp, events[3].Timestamp
			})
			if diff := cmp.Diff([]string{"1", "2"}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"tokens keep to the range": func(b *bench) {
			events := b.put(numbers(5)...)
			within := func(in *logs.GetLogEventsInput) {
				in.StartTime, in.EndTime, in.Limit, in.StartFromHead = events[1].Timestamp, events[4].Timestamp, aws.Int32(2), aws.Bool(true)
			}
			first, _ := b.get(within)
			_, got := b.get(func(in *logs.GetLogEventsInput) { within(in); in.NextToken = first.NextForwardToken })
			if diff := cmp.Diff([]string{"3"}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"an empty stream has tokens too": func(b *bench) {
			out, got := b.get(func(in *logs.GetLogEventsInput) { in.StartFromHead = aws.Bool(true) })
			again, _ := b.get(func(in *logs.GetLogEventsInput) { in.NextToken = out.NextForwardToken })
			if got != nil || *again.NextForwardToken != *out.NextForwardToken {
				b.t.Errorf("%v %s", got, *again.NextForwardToken)
			}
		},
		"a page holds 1 MiB": func(b *bench) {
			large := strings.Repeat("x", 300_000)
			for range 4 {
				b.put(large)
			}
			if _, got := b.get(func(*logs.GetLogEventsInput) {}); len(got) != 3 {
				b.t.Errorf("%d events", len(got))
			}
		},
		"limits": func(b *bench) {
			b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.Limit = aws.Int32(10_001) }), invalidParameter, "1 validation error "+
				"detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000")
			b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.Limit = aws.Int32(0) }), invalidParameter, "1 validation error …")
			b.get(func(in *logs.GetLogEventsInput) { in.Limit = aws.Int32(10_000) })
		},
		"bad tokens": func(b *bench) {
			for _, token := range []string{"x", "f/1", "f/" + strings.Repeat("9", 56), "c/" + strings.Repeat("0", 56), strings.Repeat("0", 56)} {
				b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.NextToken = &token }), invalidParameter, "The specified nextToken is invalid.")
			}
		},
		"no such group, no such stream": func(b *bench) {
			b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.LogGroupName = aws.String("x") }), notFound, noGroup)
			b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.LogStreamName = aws.String("x") }), notFound, noStream)
		},
		"by identifier, and by both": func(b *bench) {
			b.put("x")
			arn := "arn:aws:logs:eu-central-1:123456789012:log-group:" + group
			if _, got := b.get(func(in *logs.GetLogEventsInput) { in.LogGroupName, in.LogGroupIdentifier = nil, &arn }); len(got) != 1 {
				b.t.Error(got)
			}
			b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.LogGroupIdentifier = &arn }), "ValidationException",
				"LogGroup name and LogGroup ARN are mutually exclusive parameters.")
		},
		"log classes that cannot be read": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("rare"), LogGroupClass: "INFREQUENT_ACCESS"})
			b.must(err)
			b.createStream("rare", stream)
			b.wantError(fail(b, func(in *logs.GetLogEventsInput) { in.LogGroupName = aws.String("rare") }), "InvalidOperationException",
				"The log group rare is of log-group-class INFREQUENT_ACCESS. GetLogEvents is not supported for this log class.")
			_, err = b.FilterLogEvents(b.t.Context(), &logs.FilterLogEventsInput{LogGroupName: aws.String("rare")})
			b.wantError(err, "InvalidOperationException", "The log group rare is of log-group-class INFREQUENT_ACCESS. FilterLogEvents …")
		},
	})
}

func TestFilterLogEvents(t *testing.T) {
	t.Parallel()
	fail := func(b *bench, change func(*logs.FilterLogEventsInput)) error {
		in := &logs.FilterLogEventsInput{LogGroupName: aws.String(group)}
		change(in)
		_, err := b.FilterLogEvents(b.t.Context(), in)
		return err
	}
	pages := func(b *bench, change func(*logs.FilterLogEventsInput)) [][]string {
		b.t.Helper()
		in := &logs.FilterLogEventsInput{LogGroupName: aws.String(group)}
		change(in)
		var all [][]string
		for {
			out, err := b.FilterLogEvents(b.t.Context(), in)
			b.must(err)
			var page []string
			for _, e := range out.Events {
				page = append(page, *e.Message)
			}
			all = append(all, page)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return all
			}
		}
	}
	interleave := func(b *bench) time.Time { // even numbers in one stream, odd ones in another
		b.createStream(group, "other")
		begin := now().Add(-time.Minute).Truncate(time.Millisecond)
		for i, m := range numbers(6) {
			b.putEvents([]string{stream, "other"}[i%2], event(begin.Add(time.Duration(i)*time.Millisecond), m))
		}
		return begin
	}
	run(t, map[string]func(*bench){
		"streams are interleaved": func(b *bench) {
			interleave(b)
			if diff := cmp.Diff(numbers(6), b.all()); diff != "" {
				b.t.Error(diff)
			}
		},
		"an event has five members, an answer an empty list of streams": func(b *bench) {
			b.put("x")
			a := b.raw("FilterLogEvents", `{"logGroupName":"`+group+`","interleaved":false,"unmask":true}`)
			item := a.first("events")
			if len(item) != 5 || item["logStreamName"] != stream || len(fmt.Sprint(item["eventId"])) != 56 || item["ingestionTime"] == nil {
				b.t.Errorf("%v", item)
			}
			if diff := cmp.Diff([]any{}, a.body["searchedLogStreams"]); diff != "" {
				b.t.Error(diff)
			}
		},
		"equal times in the order of arrival": func(b *bench) {
			at := now()
			for _, m := range numbers(9) {
				b.putEvents(stream, event(at, m))
			}
			if diff := cmp.Diff(numbers(9), b.all()); diff != "" {
				b.t.Error(diff)
			}
		},
		"pages, and no token at the end": func(b *bench) {
			interleave(b)
			got := pages(b, func(in *logs.FilterLogEventsInput) { in.Limit = aws.Int32(4) })
			if diff := cmp.Diff([][]string{{"0", "1", "2", "3"}, {"4", "5"}}, got); diff != "" {
				b.t.Error(diff)
			}
			got = pages(b, func(in *logs.FilterLogEventsInput) { in.Limit = aws.Int32(3) })
			if diff := cmp.Diff([][]string{{"0", "1", "2"}, {"3", "4", "5"}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"newest first": func(b *bench) {
			begin := interleave(b)
			got := pages(b, func(in *logs.FilterLogEventsInput) {
				in.StartFromHead, in.Limit, in.StartTime = aws.Bool(false), aws.Int32(4), aws.Int64(begin.UnixMilli())
			})
			if diff := cmp.Diff([][]string{{"5", "4", "3", "2"}, {"1", "0"}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"newest first from before 2024": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) {
				in.StartFromHead, in.StartTime = aws.Bool(false), aws.Int64(1704067199999)
			}), invalidParameter, "…")
		},
		"both ends are part of the range": func(b *bench) {
			begin := interleave(b).UnixMilli()
			got := pages(b, func(in *logs.FilterLogEventsInput) { in.StartTime, in.EndTime = aws.Int64(begin+1), aws.Int64(begin+4) })
			if diff := cmp.Diff([][]string{{"1", "2", "3", "4"}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"by names of streams, and by prefix": func(b *bench) {
			interleave(b)
			got := pages(b, func(in *logs.FilterLogEventsInput) { in.LogStreamNames = []string{"other", "other"} })
			if diff := cmp.Diff([][]string{{"1", "3", "5"}}, got); diff != "" {
				b.t.Error(diff)
			}
			got = pages(b, func(in *logs.FilterLogEventsInput) { in.LogStreamNamePrefix = aws.String("lo") })
			if diff := cmp.Diff([][]string{{"0", "2", "4"}}, got); diff != "" {
				b.t.Error(diff)
			}
			got = pages(b, func(in *logs.FilterLogEventsInput) { in.LogStreamNamePrefix = aws.String("zz") })
			if diff := cmp.Diff([][]string{nil}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"names and prefix": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) {
				in.LogStreamNames, in.LogStreamNamePrefix = []string{stream}, aws.String("l")
			}), invalidParameter, "…")
		},
		"a stream that is not there": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.LogStreamNames = []string{"x"} }), notFound, noStream)
		},
		"101 names, and none": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.LogStreamNames = numbers(101) }), invalidParameter, "…")
			b.wantRaw(b.raw("FilterLogEvents", `{"logGroupName":"`+group+`","logStreamNames":[]}`), invalidParameter, "1 validation error "+
				"detected: Value '[]' at 'logStreamNames' failed to satisfy constraint: Member must have length greater than or equal to 1")
		},
		"no such group, and no group given": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.LogGroupName = aws.String("x") }), notFound, noGroup)
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.LogGroupName = nil }), invalidParameter, "…")
		},
		"bad limit and bad token": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.Limit = aws.Int32(10_001) }), invalidParameter, "1 validation error "+
				"detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000")
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.NextToken = aws.String("x") }), invalidParameter,
				"The specified nextToken is invalid.")
		},
		"a pattern of 1,025 characters": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.FilterPattern = aws.String(strings.Repeat("x", 1025)) }),
				invalidParameter, "1 validation error detected: …")
		},
		"an invalid pattern": func(b *bench) {
			b.wantError(fail(b, func(in *logs.FilterLogEventsInput) { in.FilterPattern = aws.String("user@example.com") }),
				invalidParameter, "Invalid filter pattern: Invalid character(s) in term 'user@example.com'")
		},
		"a pattern spans pages": func(b *bench) {
			b.put("a", "b", "a", "b", "a")
			got := pages(b, func(in *logs.FilterLogEventsInput) { in.FilterPattern, in.Limit = aws.String("a"), aws.Int32(2) })
			if diff := cmp.Diff([][]string{{"a", "a"}, {"a"}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"a page holds 1 MiB": func(b *bench) {
			for range 4 {
				b.put(strings.Repeat("x", 300_000))
			}
			got := pages(b, func(*logs.FilterLogEventsInput) {})
			if len(got) != 2 || len(got[0]) != 3 {
				b.t.Errorf("%d pages", len(got))
			}
		},
	})
}

// The tokens of lists are good for 24 hours.
func TestTokensExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(numbers(3)...)
		in := &logs.FilterLogEventsInput{LogGroupName: aws.String(group), Limit: aws.Int32(1)}
		out, err := b.FilterLogEvents(t.Context(), in)
		b.must(err)
		in.NextToken = out.NextToken
		<-time.After(24 * time.Hour)
		_, err = b.FilterLogEvents(t.Context(), in)
		b.must(err)
		<-time.After(time.Millisecond)
		_, err = b.FilterLogEvents(t.Context(), in)
		b.wantError(err, invalidParameter, "The specified nextToken is invalid.")
	})
}

// However events are spread over batches and streams, and however small the
// pages are, both readers show every event once, in order.
func TestReadersShowEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t)
		b.createStream(group, "other")
		begin := now().Add(-time.Hour).UnixMilli()
		total := 0
		for range rapid.IntRange(1, 6).Draw(r, "batches") {
			times := rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 8).Draw(r, "times")
			slices.Sort(times)
			var events []types.InputLogEvent
			for _, at := range times {
				events = append(events, event(time.UnixMilli(begin+at), strconv.Itoa(total)))
				total++
			}
			b.putEvents(rapid.SampledFrom([]string{stream, "other"}).Draw(r, "stream"), events...)
		}
		limit := aws.Int32(rapid.Int32Range(1, 9).Draw(r, "limit"))
		var ids []string
		filter := logs.NewFilterLogEventsPaginator(b, &logs.FilterLogEventsInput{LogGroupName: aws.String(group), Limit: limit})
		for filter.HasMorePages() {
			page, err := filter.NextPage(t.Context())
			b.must(err)
			for _, e := range page.Events {
				ids = append(ids, *e.EventId)
			}
		}
		if len(ids) != total || !slices.IsSorted(ids) || len(slices.Compact(ids)) != total {
			r.Fatalf("FilterLogEvents showed %d events of %d", len(ids), total)
		}
		got := 0
		for _, name := range []string{stream, "other"} {
			get := logs.NewGetLogEventsPaginator(b, &logs.GetLogEventsInput{
				LogGroupName: aws.String(group), LogStreamName: &name, Limit: limit, StartFromHead: aws.Bool(true),
			}, func(o *logs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true })
			for get.HasMorePages() {
				page, err := get.NextPage(t.Context())
				b.must(err)
				got += len(page.Events)
			}
		}
		if got != total {
			r.Fatalf("GetLogEvents showed %d events of %d", got, total)
		}
	})
}
