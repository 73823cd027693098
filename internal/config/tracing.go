package config

import (
	"net"
	"net/url"
	"strconv"
	"time"
)

// Tracing says where traces of pages and batches go.
type Tracing struct {
	Endpoint    string          `yaml:"endpoint" example:"http://127.0.0.1:4318/v1/traces" doc:"URL of a collector that takes OTLP over HTTP in JSON, as the OpenTelemetry Collector does. A URL without a path gets /v1/traces. Empty turns tracing off. Variables such as OTEL_EXPORTER_OTLP_ENDPOINT are not read; those for proxies and certificates are, as for all other calls."`
	Headers     []TracingHeader `yaml:"headers" doc:"Headers of the requests, such as one with a token. With them the endpoint must be HTTPS, or on this machine."`
	SampleRatio float64         `yaml:"sample_ratio" default:"1" min:"0" max:"1" doc:"Share of the pages that are traced. A batch is traced if it holds an event of a traced page that is still remembered, and otherwise in this share too."`
	ServiceName string          `yaml:"service_name" default:"gapless" doc:"The resource attribute service.name of the spans."`
	Timeout     time.Duration   `yaml:"timeout" default:"10s" min:"1s" max:"1m" doc:"Time limit of one request to the endpoint."`
}

// TracingHeader is a header of requests to a collector.
type TracingHeader struct {
	Name  string `yaml:"name" required:"true" example:"Authorization" doc:"Name of the header."`
	Value Secret `yaml:"value" required:"true" example:"env:GAPLESS_TRACING_TOKEN" doc:"Value of the header, the whole of it. It is read at the start."`
}

// TracesPath is where a collector takes traces, by the specification of OTLP over HTTP:
// https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
const TracesPath = "/v1/traces"

// URL returns the endpoint with its path; empty when tracing is off.
func (t *Tracing) URL() string {
	u, err := url.Parse(t.Endpoint)
	if err != nil || t.Endpoint == "" {
		return "" // Validate has told of it
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = TracesPath
	}
	return u.String()
}

// checkTracing checks where traces go.
func (l *loader) checkTracing(t *Tracing) {
	if t.ServiceName == "" || len(t.ServiceName) > 255 {
		l.complain("tracing.service_name", "is not a name", "Use 1 to 255 characters.")
	}
	for i, h := range t.Headers {
		if !matches("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$", h.Name) {
			l.complain("tracing.headers."+strconv.Itoa(i)+".name", quote(h.Name)+" is not the name of a header", "Write it like Authorization.")
		}
	}
	if t.Endpoint == "" {
		return
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil || !isHTTP(u) || u.User != nil || u.Fragment != "" {
		l.complain("tracing.endpoint", "is not a URL with http or https", "Write it like http://127.0.0.1:4318/v1/traces; what is secret belongs into tracing.headers.")
		return
	}
	ip := net.ParseIP(u.Hostname())
	if here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme == "http" && !here && len(t.Headers) > 0 {
		l.complain("tracing.endpoint", "would send tracing.headers over the network in clear", "Use https, or a collector on this machine.")
	}
}
