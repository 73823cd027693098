package cloudwatch_test

import (
	"log/slog"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestMoto delivers to moto, an emulator of others that fails on compressed
// bodies with a 500.
func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := moto.Start(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	reg := prometheus.NewPedanticRegistry()
	s, err := cloudwatch.New(t.Context(), config(func(c *cloudwatch.Config) { c.Endpoint, c.RetentionDays = endpoint, 30 }), cloudwatch.Deps{
		Logger: slog.New(slog.DiscardHandler), Registerer: reg, Tenant: "example", Credentials: keys,
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), dest); err != nil {
		t.Fatalf("Check: %v", err)
	}
	b := some()
	for _, dest := range []pipeline.Destination{dest, {LogGroup: "/auth0/made-by-delivery", LogStream: "logs"}} {
		b.Destination = dest
		same(t, "receipt", pipeline.Receipt{}, deliver(t, s, b))
		client := logs.New(logs.Options{Region: "eu-central-1", BaseEndpoint: aws.String(endpoint), Credentials: keys, HTTPClient: &http.Client{Transport: transport}})
		out, err := client.GetLogEvents(t.Context(), &logs.GetLogEventsInput{LogGroupName: &dest.LogGroup, LogStreamName: &dest.LogStream, StartFromHead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, e := range b.Events {
			want = append(want, string(e.Raw))
		}
		for _, e := range out.Events {
			got = append(got, aws.ToString(e.Message))
		}
		slices.Sort(want)
		slices.Sort(got)
		same(t, "events in moto", want, got)
	}
	same(t, "calls that failed for the compression: one and the probe of it, and never again", 2.0, value(t, reg, "gapless_cloudwatch_put_calls_total", "result=transient"))
}
