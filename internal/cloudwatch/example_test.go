package cloudwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A sink makes the log group and stream that are missing, moves the date of an
// event that is too old for CloudWatch Logs, and says what became of each event.
func Example() {
	cloud := newCloud() // stands in for CloudWatch Logs

	c := cloudwatch.DefaultConfig()
	c.Region = "eu-central-1"
	c.RetentionDays = 30
	sink, err := cloudwatch.New(context.Background(), c, cloudwatch.Deps{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Tenant: "example",
		HTTPClient: &http.Client{Transport: emulator.Transport(cloud)}, Credentials: keys,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := sink.Deliver(context.Background(), pipeline.Batch{
		Destination: pipeline.Destination{LogGroup: "/auth0/example", LogStream: "logs"},
		Events: []event.Event{
			{LogID: "1", Date: time.Now().Add(-40 * 24 * time.Hour), Raw: []byte(`{"log_id":"1"}`)},
			{LogID: "2", Date: time.Now(), Raw: []byte(`{"log_id":"2"}`)},
		},
	})
	fmt.Println("rejected:", len(receipt.Rejected), "to be tried again:", len(receipt.Retry), "error:", err)
	for _, e := range cloud.stored() {
		fmt.Println(e.Message, time.Since(e.Time).Round(24*time.Hour))
	}
	// Output:
	// rejected: 0 to be tried again: 0 error: <nil>
	// {"log_id":"1"} 336h0m0s
	// {"log_id":"2"} 0s
}
