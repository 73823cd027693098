package cloudwatch_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// answering answers every request with a status and a body.
type answering struct {
	status int
	body   string
}

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader(a.body)), Request: req,
	}, nil
}

// TestRefusalsInXML: the reason of a refusal is read also where an endpoint gives it in
// the XML of the older protocol, as moto's IAM does; what is no refusal is left alone.
func TestRefusalsInXML(t *testing.T) {
	t.Parallel()
	const refusal = "<Error><Code>AccessDenied</Code><Message>User: u is not authorized to perform: logs:PutLogEvents &amp; more</Message></Error>"
	const told = "PutLogEvents: AccessDenied: User: u is not authorized to perform: logs:PutLogEvents & more"
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"as moto does":      {403, `<?xml version="1.0"?>` + "\n<ErrorResponse><Errors>" + refusal + "</Errors></ErrorResponse>", told},
		"as IAM does":       {400, "<ErrorResponse>" + refusal + "<RequestId>r</RequestId></ErrorResponse>", told},
		"a page of a proxy": {403, "<html><body>" + refusal + "</body></html>", "PutLogEvents: HTTP 403 without an error of AWS"},
		"nothing in it":     {403, "<ErrorResponse></ErrorResponse>", "PutLogEvents: HTTP 403 without an error of AWS"},
		"JSON":              {400, `{"__type":"AccessDeniedException","message":"no"}`, "PutLogEvents: AccessDeniedException: no"},
		"a very long one":   {403, "<ErrorResponse>" + strings.Repeat(" ", 80<<10) + refusal + "</ErrorResponse>", "PutLogEvents: HTTP 403 without an error of AWS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cloudwatch.DefaultConfig()
			cfg.Region, cfg.Create, cfg.Compression = "us-east-1", false, cloudwatch.CompressNone
			sink, err := cloudwatch.New(t.Context(), cfg, cloudwatch.Deps{
				HTTPClient: &http.Client{Transport: answering{tt.status, tt.body}}, Logger: slog.New(slog.DiscardHandler),
				Registerer: prometheus.NewRegistry(), Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = sink.Deliver(t.Context(), pipeline.Batch{
				Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"},
				Events:      []event.Event{{LogID: "1", Date: time.Now(), Raw: []byte(`{"log_id":"1"}`)}},
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
