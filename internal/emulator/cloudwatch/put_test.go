package cloudwatch_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

// stored returns the messages of the stream as they are kept.
func (b *bench) stored() []string {
	var list []string
	for _, e := range b.server.Events(group, stream) {
		list = append(list, e.Message)
	}
	return list
}

func TestPutLogEvents(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	oneEvent := func(fields string) string {
		return `{"logGroupName":"` + group + `","logStreamName":"` + stream + `","logEvents":[` + fields + `]}`
	}
	run(t, map[string]func(*bench){
		"the answer has a token and no rejections": func(b *bench) {
			out := b.putEvents(stream, event(now(), "x"))
			if len(*out.NextSequenceToken) != 56 || out.RejectedLogEventsInfo != nil {
				b.t.Errorf("%+v", out)
			}
		},
		"sequence tokens are ignored, and the same batch is stored twice": func(b *bench) {
			in := &logs.PutLogEventsInput{
				LogGroupName: aws.String(group), LogStreamName: aws.String(stream),
				SequenceToken: aws.String("wrong"), LogEvents: []types.InputLogEvent{event(now(), "twice")},
			}
			for range 2 {
				_, err := b.PutLogEvents(b.t.Context(), in)
				b.must(err)
			}
			events := b.server.Events(group, stream)
			if len(events) != 2 || events[0].ID == events[1].ID {
				b.t.Errorf("%+v", events)
			}
		},
		"no such stream": func(b *bench) {
			_, err := b.tryPut("nope", event(now(), "x"))
			b.wantError(err, notFound, noStream)
		},
		"no such group": func(b *bench) {
			_, err := b.PutLogEvents(b.t.Context(), &logs.PutLogEventsInput{
				LogGroupName: aws.String("nope"), LogStreamName: aws.String("x"), LogEvents: []types.InputLogEvent{event(now(), "x")},
			})
			b.wantError(err, notFound, noGroup)
		},
		"not in order": func(b *bench) {
			_, err := b.tryPut(stream, event(now(), "late"), event(now().Add(-time.Second), "early"))
			b.wantError(err, invalidParameter, "Log events in a single PutLogEvents request must be in chronological order.")
			if b.stored() != nil {
				b.t.Error("something was stored")
			}
		},
		"the same time twice is in order": func(b *bench) {
			at := now()
			b.putEvents(stream, event(at, "a"), event(at, "b"))
		},
		"24 hours are allowed, a millisecond more is not": func(b *bench) {
			from := now().Add(-25 * time.Hour).Truncate(time.Millisecond)
			b.putEvents(stream, event(from, "a"), event(from.Add(day), "b"))
			_, err := b.tryPut(stream, event(from, "a"), event(from.Add(day+time.Millisecond), "b"))
			b.wantError(err, invalidParameter, "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
		},
		"events outside the window do not count for the span": func(b *bench) {
			out := b.putEvents(stream, event(now().Add(-30*day), "old"), event(now(), "x"), event(now().Add(3*time.Hour), "new"))
			want := &types.RejectedLogEventsInfo{TooOldLogEventEndIndex: aws.Int32(1), TooNewLogEventStartIndex: aws.Int32(2)}
			if diff := cmp.Diff(want, out.RejectedLogEventsInfo, cmpopts.IgnoreUnexported(*want)); diff != "" {
				b.t.Error(diff)
			}
			if diff := cmp.Diff([]string{"x"}, b.stored()); diff != "" {
				b.t.Error(diff)
			}
		},
		"all rejected is still a success": func(b *bench) {
			a := b.raw("PutLogEvents", oneEvent(fmt.Sprintf(`{"timestamp":%d,"message":"old"}`, now().Add(-30*day).UnixMilli())))
			if a.status != 200 || b.stored() != nil {
				b.t.Errorf("status %d", a.status)
			}
			if diff := cmp.Diff(map[string]any{"tooOldLogEventEndIndex": 1.0}, a.body["rejectedLogEventsInfo"]); diff != "" {
				b.t.Error(diff)
			}
		},
		"expired by the group's retention": func(b *bench) {
			_, err := b.PutRetentionPolicy(b.t.Context(), &logs.PutRetentionPolicyInput{LogGroupName: aws.String(group), RetentionInDays: aws.Int32(3)})
			b.must(err)
			out := b.putEvents(stream, event(now().Add(-5*day), "a"), event(now().Add(-4*day), "b"), event(now(), "c"))
			want := &types.RejectedLogEventsInfo{ExpiredLogEventEndIndex: aws.Int32(2)}
			if diff := cmp.Diff(want, out.RejectedLogEventsInfo, cmpopts.IgnoreUnexported(*want)); diff != "" {
				b.t.Error(diff)
			}
		},
		"an empty list": func(b *bench) {
			_, err := b.tryPut(stream, []types.InputLogEvent{}...)
			_ = err // the SDK sends no list at all for none
			b.wantRaw(b.raw("PutLogEvents", oneEvent("")), invalidParameter, "1 validation error detected: Value '[]' at 'logEvents' "+
				"failed to satisfy constraint: Member must have length greater than or equal to 1")
		},
		"10,000 events, and one more": func(b *bench) {
			many := make([]types.InputLogEvent, 10_001)
			for i := range many {
				many[i] = event(now(), "x")
				many[i].Timestamp = many[0].Timestamp
			}
			b.putEvents(stream, many[:10_000]...)
			_, err := b.tryPut(stream, many...)
			b.wantError(err, invalidParameter, "1 validation error detected: Value '[10001 log events]' at 'logEvents' failed to satisfy "+
				"constraint: Member must have length less than or equal to 10000")
		},
		"an event at the limit, and one byte more": func(b *bench) {
			b.putEvents(stream, event(now(), strings.Repeat("x", 1<<20-26)))
			_, err := b.tryPut(stream, event(now(), strings.Repeat("x", 1<<20-25)))
			b.wantError(err, invalidParameter, "Log event too large: 1048577 bytes exceeds limit of 1048576")
		},
		"a batch at the limit, and one byte more": func(b *bench) {
			half, at := strings.Repeat("é", (1<<19-26)/2), now()
			b.putEvents(stream, event(at, half), event(at, half))
			_, err := b.tryPut(stream, event(at, half), event(at, half+"x"))
			b.wantError(err, invalidParameter, "Upload too large: 1048577 bytes exceeds limit of 1048576")
		},
		"an empty message": func(b *bench) {
			_, err := b.tryPut(stream, event(now(), "ok"), event(now(), ""))
			b.wantError(err, invalidParameter, "1 validation error detected: Value '' at 'logEvents.2.member.message' failed to satisfy "+
				"constraint: Member must have length greater than or equal to 1")
		},
		"a time before 1970": func(b *bench) {
			b.wantRaw(b.raw("PutLogEvents", oneEvent(`{"timestamp":-1,"message":"x"}`)), invalidParameter, "1 validation error detected: "+
				"Value '-1' at 'logEvents.1.member.timestamp' failed to satisfy constraint: Member must have value greater than or equal to 0")
		},
		"members missing": func(b *bench) {
			b.wantRaw(b.raw("PutLogEvents", `{}`), invalidParameter, "3 validation errors detected: Value null at 'logGroupName' failed to "+
				"satisfy constraint: Member must not be null; Value null at 'logStreamName' failed to satisfy constraint: Member must "+
				"not be null; Value null at 'logEvents' failed to satisfy constraint: Member must not be null")
			b.wantRaw(b.raw("PutLogEvents", oneEvent(`{}`)), invalidParameter, "2 validation errors detected: Value null at "+
				"'logEvents.1.member.timestamp' failed …")
		},
		"the shape is checked before the group is looked for": func(b *bench) {
			b.wantRaw(b.raw("PutLogEvents", `{"logGroupName":"nope","logStreamName":"x","logEvents":[]}`), invalidParameter, "1 validation error…")
		},
		"the group is looked for before the order is checked": func(b *bench) {
			b.wantRaw(b.raw("PutLogEvents", `{"logGroupName":"nope","logStreamName":"x","logEvents":[{"timestamp":2,"message":"a"},{"timestamp":1,"message":"b"}]}`),
				notFound, noGroup)
		},
		"members of the wrong type": func(b *bench) {
			b.wantRaw(b.raw("PutLogEvents", oneEvent(`{"timestamp":"1","message":"x"}`)), "SerializationException",
				"STRING_VALUE can not be converted to a Long")
			b.wantRaw(b.raw("PutLogEvents", oneEvent(`{"timestamp":1,"message":7}`)), "SerializationException",
				"NUMBER_VALUE can not be converted to a String")
			b.wantRaw(b.raw("PutLogEvents", `{"logEvents":{}}`), "SerializationException", "Expected list or null")
			b.wantRaw(b.raw("PutLogEvents", `{"logEvents":[`), "SerializationException", "…")
		},
		"messages come back byte for byte": func(b *bench) {
			messages := []string{"\"\\/\b\f\n\r\t\x01\x7f", "é€😀\u2028<&>", `{"a":"\u0000"}`, " ", strings.Repeat(`\"`, 1000)}
			b.put(messages...)
			if diff := cmp.Diff(messages, b.stored()); diff != "" {
				b.t.Error(diff)
			}
			if diff := cmp.Diff(messages, b.all()); diff != "" {
				b.t.Error(diff)
			}
		},
		"a zipped body": func(b *bench) {
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			_, err := z.Write([]byte(oneEvent(fmt.Sprintf(`{"timestamp":%d,"message":"zipped"}`, now().UnixMilli()))))
			b.must(err)
			b.must(z.Close())
			if a := b.raw("PutLogEvents", zipped.String(), "Content-Encoding", "gzip"); a.status != 200 {
				b.t.Errorf("status %d: %s", a.status, a.text)
			}
			if diff := cmp.Diff([]string{"zipped"}, b.stored()); diff != "" {
				b.t.Error(diff)
			}
			b.wantRaw(b.raw("PutLogEvents", "no gzip", "Content-Encoding", "gzip"), "SerializationException", "…")
		},
		"late batches are sorted in": func(b *bench) {
			base := now().Add(-time.Hour)
			at := func(s int, m string) types.InputLogEvent { return event(base.Add(time.Duration(s)*time.Second), m) }
			b.putEvents(stream, at(2, "2"), at(4, "4"), at(6, "6"))
			b.putEvents(stream, at(1, "1"), at(4, "4again"), at(5, "5"), at(7, "7"))
			b.putEvents(stream, at(0, "0"))
			b.putEvents(stream, at(8, "8"))
			if diff := cmp.Diff([]string{"0", "1", "2", "4", "4again", "5", "6", "7", "8"}, b.stored()); diff != "" {
				b.t.Error(diff)
			}
		},
		"a bad entity is reported, and the events are stored": func(b *bench) {
			for want, key := range map[types.EntityRejectionErrorType]map[string]string{
				"":                      {"Type": "Service", "Name": "gapless", "Environment": "dev"},
				"InvalidKeyAttributes":  {"Type": "Service"},
				"InvalidTypeValue":      {"Type": "Planet", "Name": "x"},
				"MissingRequiredFields": {"Name": "x", "Environment": "y"},
			} {
				out, err := b.PutLogEvents(b.t.Context(), &logs.PutLogEventsInput{
					LogGroupName: aws.String(group), LogStreamName: aws.String(stream),
					LogEvents: []types.InputLogEvent{event(now(), "x")}, Entity: &types.Entity{KeyAttributes: key},
				})
				b.must(err)
				var got types.EntityRejectionErrorType
				if out.RejectedEntityInfo != nil {
					got = out.RejectedEntityInfo.ErrorType
				}
				if got != want {
					b.t.Errorf("%v: %q; want %q", key, got, want)
				}
			}
			if n := len(b.stored()); n != 4 {
				b.t.Errorf("%d events stored", n)
			}
		},
		"the stats count it": func(b *bench) {
			b.putEvents(stream, event(now().Add(-30*day), "old"), event(now(), "four"))
			_, err := b.tryPut("nope", event(now(), "x"))
			b.wantError(err, notFound, noStream)
			want := cloudwatch.Stats{
				Calls:  map[string]int64{"CreateLogGroup": 1, "CreateLogStream": 1, "PutLogEvents": 2},
				Errors: map[string]int64{notFound: 1}, Events: 1, Bytes: 4, Rejected: 1,
			}
			if diff := cmp.Diff(want, b.server.Stats()); diff != "" {
				b.t.Error(diff)
			}
		},
	})
}

// The window is exact to the millisecond, which only a clock that stands still
// can show.
func TestPutWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		old, ahead := now().Add(-14*24*time.Hour), now().Add(2*time.Hour)
		b.putEvents(stream, event(old, "14 days"))
		b.putEvents(stream, event(ahead, "2 hours"))
		b.putEvents(stream, event(old.Add(-time.Millisecond), "too old"))
		b.putEvents(stream, event(ahead.Add(time.Millisecond), "too new"))
		if diff := cmp.Diff([]string{"14 days", "2 hours"}, b.stored()); diff != "" {
			t.Error(diff)
		}
	})
}

// Retention hides what was stored before it ran out.
func TestRetentionExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put("early")
		_, err := b.PutRetentionPolicy(t.Context(), &logs.PutRetentionPolicyInput{LogGroupName: aws.String(group), RetentionInDays: aws.Int32(1)})
		b.must(err)
		<-time.After(23 * time.Hour)
		b.put("late")
		if diff := cmp.Diff([]string{"early", "late"}, b.all()); diff != "" {
			t.Error(diff)
		}
		<-time.After(2 * time.Hour)
		out, err := b.GetLogEvents(t.Context(), &logs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream)})
		b.must(err)
		if diff := cmp.Diff([]string{"late"}, b.all()); diff != "" || len(out.Events) != 1 {
			t.Errorf("%s, %d events", diff, len(out.Events))
		}
	})
}
