package cloudwatch_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// sponge takes every request and says that all is well.
type sponge struct{}

func (sponge) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body:   io.NopCloser(strings.NewReader(`{"nextSequenceToken":"1"}`)),
	}, nil
}

// full makes a batch that is as full as 1.5 kB events make it.
func full() pipeline.Batch {
	var events []event.Event
	at := time.Now().Add(-time.Hour)
	for i := range 687 {
		var raw strings.Builder
		fmt.Fprintf(&raw, `{"log_id":"%056d","date":%q,"type":"s","details":{`, i, at.Format(time.RFC3339Nano))
		for k := 0; raw.Len() < 1460; k++ {
			fmt.Fprintf(&raw, `"member_%d":"%x",`, k, (i+k)*7919)
		}
		raw.WriteString(`"end":true}}`)
		events = append(events, event.Event{LogID: strconv.Itoa(i), Date: at, Raw: []byte(raw.String())})
	}
	return batch(events...)
}

// BenchmarkDeliver measures all of a delivery but the network: 687 events of
// 1.5 kB a call.
func BenchmarkDeliver(b *testing.B) {
	for _, compression := range []string{cloudwatch.CompressGzip, cloudwatch.CompressNone} {
		b.Run(compression, func(b *testing.B) {
			d := deps()
			d.HTTPClient, d.Credentials = &http.Client{Transport: sponge{}}, keys
			s, err := cloudwatch.New(b.Context(), config(func(c *cloudwatch.Config) { c.Compression = compression }), d)
			if err != nil {
				b.Fatal(err)
			}
			in := full()
			b.SetBytes(int64(len(in.Events) * 1500))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Deliver(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkShaped is BenchmarkDeliver, compressed, with four members put in front of
// each message, or none.
func BenchmarkShaped(b *testing.B) {
	fields := map[string]string{"severity": "severity", "title": "type_title", "tenant": "tenant"}
	for name, on := range map[string]bool{"plain": false, "shaped": true} {
		b.Run(name, func(b *testing.B) {
			d := deps()
			d.HTTPClient, d.Credentials = &http.Client{Transport: sponge{}}, keys
			s, err := cloudwatch.New(b.Context(), config(), d)
			if err != nil {
				b.Fatal(err)
			}
			var to pipeline.Sink = s
			if on {
				shape, growth, err := transform.NewShape("acme", fields, map[string]string{"last": "details.end"})
				if err != nil {
					b.Fatal(err)
				}
				to = &pipeline.Outbound{Sink: s, Shape: shape, Growth: growth}
			}
			in := full()
			in.Events = in.Events[:500] // fits into one call either way
			b.SetBytes(int64(len(in.Events) * 1500))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := to.Deliver(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBody is what the SDK alone takes for the same call, uncompressed. It
// is the reason why the sink writes its bodies itself.
func BenchmarkBody(b *testing.B) {
	client := logs.New(logs.Options{Region: "eu-central-1", Credentials: keys, HTTPClient: &http.Client{Transport: sponge{}}, Retryer: aws.NopRetryer{}})
	in := full()
	b.SetBytes(int64(len(in.Events) * 1500))
	b.ReportAllocs()
	for b.Loop() {
		out := make([]types.InputLogEvent, 0, len(in.Events))
		for _, e := range in.Events {
			out = append(out, types.InputLogEvent{Message: aws.String(string(e.Raw)), Timestamp: aws.Int64(e.Date.UnixMilli())})
		}
		if _, err := client.PutLogEvents(b.Context(), &logs.PutLogEventsInput{LogGroupName: aws.String(dest.LogGroup), LogStreamName: aws.String(dest.LogStream), LogEvents: out}); err != nil {
			b.Fatal(err)
		}
	}
}
