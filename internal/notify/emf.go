package notify

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// LogsAPI is what is needed of the client of CloudWatch Logs.
type LogsAPI interface {
	PutLogEvents(ctx context.Context, in *logs.PutLogEventsInput, opts ...func(*logs.Options)) (*logs.PutLogEventsOutput, error)
	CreateLogGroup(ctx context.Context, in *logs.CreateLogGroupInput, opts ...func(*logs.Options)) (*logs.CreateLogGroupOutput, error)
	CreateLogStream(ctx context.Context, in *logs.CreateLogStreamInput, opts ...func(*logs.Options)) (*logs.CreateLogStreamOutput, error)
}

// EMF writes figures as lines of the embedded metric format, of which CloudWatch makes
// metrics. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type EMF struct {
	Group, Stream, Namespace string
	// Instance is a dimension beside the tenant; empty for none.
	Instance string
	API      LogsAPI
	Explain  func(doing, operation string, err error) *SendError
}

// A metric is one of a line: its name and unit.
type metric struct {
	Name string `json:"Name"` //nolint:tagliatelle // as CloudWatch has it
	Unit string `json:"Unit"` //nolint:tagliatelle // likewise
}

// emfMetrics are those of a tenant. Counts since the data directory was made have Total
// in their name.
func emfMetrics() []metric {
	return []metric{
		{"DeliveryLag", "Seconds"},
		{"IngestLag", "Seconds"},
		{"Buffered", "Count"},
		{"BufferedBytes", "Bytes"},
		{"FetchedTotal", "Count"},
		{"DeliveredTotal", "Count"},
		{"RejectedTotal", "Count"},
		{"SkippedTotal", "Count"},
		{"DeadLetters", "Count"},
		{"OpenGaps", "Count"},
		{"Alerts", "Count"},
	}
}

// Beat implements Beater: it writes a line for each tenant.
func (e *EMF) Beat(ctx context.Context, b Beat) error {
	var events []types.InputLogEvent
	for _, t := range b.Snapshot.Tenants {
		line, err := json.Marshal(e.line(t, b))
		if err != nil {
			return err
		}
		events = append(events, types.InputLogEvent{Message: aws.String(string(line)), Timestamp: aws.Int64(b.Snapshot.At.UnixMilli())})
	}
	const most = 1000 // lines in a call, far below the limits
	for len(events) > 0 {
		n := min(len(events), most)
		if err := e.put(ctx, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// Test implements Beater: its line makes no metric.
func (e *EMF) Test(ctx context.Context) error {
	return e.put(ctx, []types.InputLogEvent{{Message: aws.String(`{"test":"gapless notify test: nothing has happened"}`), Timestamp: aws.Int64(time.Now().UnixMilli())}})
}

// line is the line of a tenant.
func (e *EMF) line(t Tenant, b Beat) map[string]any {
	dimensions := []string{"tenant"}
	out := map[string]any{"tenant": t.Name}
	if e.Instance != "" {
		dimensions = append(dimensions, "instance")
		out["instance"] = e.Instance
	}
	out["_aws"] = map[string]any{
		"Timestamp":         b.Snapshot.At.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": e.Namespace, "Dimensions": [][]string{dimensions}, "Metrics": emfMetrics()}},
	}
	var lag, events, bytes, delivered float64
	for i, q := range t.Queues {
		lag, events, bytes = max(lag, q.behind().Seconds()), events+float64(q.Events), bytes+float64(q.Bytes)
		if i == 0 {
			delivered = float64(q.Delivered)
		}
	}
	ingest := 0.0
	if !t.ReadUntil.IsZero() {
		ingest = max(0, b.Snapshot.At.Sub(t.ReadUntil).Seconds())
	}
	alerts := 0
	for _, a := range b.On {
		if a.Tenant == t.Name {
			alerts++
		}
	}
	open, _ := countGaps(t, time.Time{})
	for name, value := range map[string]float64{
		"DeliveryLag": lag, "IngestLag": ingest, "Buffered": events, "BufferedBytes": bytes, "FetchedTotal": float64(t.Fetched), "DeliveredTotal": delivered,
		"RejectedTotal": float64(total(t.Rejected)), "SkippedTotal": float64(t.Skipped), "DeadLetters": float64(t.Kept), "OpenGaps": float64(open), "Alerts": float64(alerts),
	} {
		out[name] = value
	}
	return out
}

// put writes lines, and makes the group and the stream where they are missing.
func (e *EMF) put(ctx context.Context, events []types.InputLogEvent) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	in := &logs.PutLogEventsInput{LogGroupName: aws.String(e.Group), LogStreamName: aws.String(e.Stream), LogEvents: events}
	out, err := e.API.PutLogEvents(ctx, in)
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if err := e.create(ctx); err != nil {
			return err
		}
		out, err = e.API.PutLogEvents(ctx, in)
	}
	if err != nil {
		return e.Explain("write metrics", "PutLogEvents", err)
	}
	if out.RejectedLogEventsInfo != nil {
		return &SendError{Text: "CloudWatch Logs rejected metrics for their time", Hint: "Set the clock of this machine."}
	}
	return nil
}

// create makes the group and the stream.
func (e *EMF) create(ctx context.Context) error {
	stream := func() error {
		_, err := e.API.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: aws.String(e.Group), LogStreamName: aws.String(e.Stream)})
		return unlessExists(err)
	}
	err := stream()
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		_, err := e.API.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: aws.String(e.Group)})
		if err := unlessExists(err); err != nil {
			return e.Explain("create the log group "+e.Group, "CreateLogGroup", err)
		}
		if err := stream(); err != nil {
			return e.Explain("create the log stream "+e.Stream, "CreateLogStream", err)
		}
		return nil
	}
	if err != nil {
		return e.Explain("create the log stream "+e.Stream, "CreateLogStream", err)
	}
	return nil
}

// unlessExists is nil for the error that something is there already.
func unlessExists(err error) error {
	if _, exists := errors.AsType[*types.ResourceAlreadyExistsException](err); exists {
		return nil
	}
	return err
}
