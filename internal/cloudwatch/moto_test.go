package cloudwatch_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
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
	withShape := pipeline.Destination{LogGroup: "/auth0/shaped", LogStream: "error/org_1"}
	for _, dest := range []pipeline.Destination{dest, {LogGroup: "/auth0/made-by-delivery", LogStream: "logs"}, withShape} {
		b.Destination = dest
		var to pipeline.Sink = s
		if dest == withShape {
			to = shaped(t, s, stage)
		}
		same(t, "receipt", pipeline.Receipt{}, deliverBy(t, to, b))
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
			message := aws.ToString(e.Message)
			if dest == withShape {
				message = strings.Replace(message, staged, "{", 1)
			}
			got = append(got, message)
		}
		if dest == withShape && (len(out.Events) == 0 || !strings.HasPrefix(aws.ToString(out.Events[0].Message), staged)) {
			t.Errorf("the messages have no shape")
		}
		slices.Sort(want)
		slices.Sort(got)
		same(t, "events in moto", want, got)
	}
	same(t, "calls that failed for the compression: one and the probe of it, and never again", 2.0, value(t, reg, "gapless_cloudwatch_put_calls_total", "result=transient"))
}
