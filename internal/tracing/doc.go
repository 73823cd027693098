// Package tracing tells a collector of OpenTelemetry of the way of pages and batches: when
// a page was fetched and stored, and when its events were delivered, by which calls. It
// speaks OTLP over HTTP in JSON
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
//
// A page is a trace of its own:
//
//	page                what a source has handed over at once
//	├── fetch page      each request that brought it
//	└── append          to the buffer, until it is on disk
//
// So is a batch, with links to the pages of its events:
//
//	deliver             from when the sink was asked until the outcome is on disk
//	├── PutLogEvents    and other calls of CloudWatch Logs
//	├── look up         whether a batch in doubt has arrived
//	└── settle          until the outcome is on disk
//
// Nothing waits for the collector, and nothing is lost with it but traces. Spans hold
// names, counts and classes of errors: neither events nor secrets, and no text of an
// error.
package tracing
