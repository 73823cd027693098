package cloudwatch

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// What is known of the endpoint and compressed bodies.
const (
	gzipUnknown int32 = iota
	gzipWorks         // it has taken one: no doubt any more
	gzipOff           // it refuses them, or they are not wanted
)

// send makes the call for items that satisfy the limits and returns which of
// them were rejected. A destination that is missing is made and the call
// repeated once, which is safe because nothing was stored.
func (s *Sink) send(ctx context.Context, dest pipeline.Destination, items []item) (*types.RejectedLogEventsInfo, error) {
	b := s.bodies.take(dest, items)
	defer s.bodies.release(b)
	out, err := s.transmit(ctx, dest, b)
	if is(err, missing) {
		if err := s.provision(ctx, dest, err); err != nil {
			return nil, err
		}
		out, err = s.transmit(ctx, dest, b)
	}
	switch {
	case is(err, missing):
		// Made, or found, a moment ago: it will show.
		return nil, &pipeline.Error{Op: "deliver to " + name(dest), Class: pipeline.Transient, Err: err}
	case err != nil:
		return nil, err
	}
	return out.RejectedLogEventsInfo, nil
}

// is reports whether err is a failure of a kind.
func is(err error, k kind) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.kind == k
}

// transmit sends a body, compressed unless the endpoint refuses that.
//
// As long as no compressed call has worked, one that was answered with an error
// that could be about the compression raises the question. An answer 4xx has
// certainly stored nothing, so the same is sent plain. After an answer 5xx the
// events may be stored; there a probe finds out, and only when the endpoint is
// seen to take nothing that is compressed is the same sent plain. An outage fails
// both ways and changes nothing; a call without an answer is not repeated.
func (s *Sink) transmit(ctx context.Context, dest pipeline.Destination, b *body) (*logs.PutLogEventsOutput, error) {
	if s.gzip.Load() == gzipOff {
		return s.put(ctx, dest, b, "")
	}
	if err := s.bodies.zip(b); err != nil {
		return nil, err
	}
	if b.zipped.Len() >= len(b.plain) {
		return s.put(ctx, dest, b, "")
	}
	out, err := s.put(ctx, dest, b, CompressGzip)
	if err == nil {
		s.gzip.CompareAndSwap(gzipUnknown, gzipWorks)
		return out, nil
	}
	if s.gzip.Load() != gzipUnknown || !aboutGzip(err) || !s.refusesGzip(ctx, dest, err) {
		return nil, err
	}
	out, plainErr := s.put(ctx, dest, b, "")
	if plainErr != nil {
		return nil, plainErr
	}
	if s.gzip.CompareAndSwap(gzipUnknown, gzipOff) {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "the endpoint refuses compressed requests; sending them plain",
			slog.String("log_group", dest.LogGroup), slog.Any("error", err))
	}
	return out, nil
}

// refusesGzip reports whether an error that could be about the compression can be
// nothing else, or has stored nothing whatever it is about.
func (s *Sink) refusesGzip(ctx context.Context, dest pipeline.Destination, err error) bool {
	if f, ok := errors.AsType[*failure](err); ok && f.status < http.StatusInternalServerError {
		return true
	}
	zipped := s.probe(ctx, dest, CompressGzip)
	if zipped == nil {
		s.gzip.CompareAndSwap(gzipUnknown, gzipWorks)
		return false
	}
	if !aboutGzip(zipped) {
		return false
	}
	plain := s.probe(ctx, dest, "")
	return plain == nil || is(plain, missing) // it understands what is plain
}

// aboutGzip reports whether a failure could be the refusal of a compressed body:
// an answer came, and it does not say something else clearly.
func aboutGzip(err error) bool {
	f, ok := errors.AsType[*failure](err)
	if !ok || !f.answered() {
		return false
	}
	switch f.kind {
	case refused:
		return true
	case passing: // but what a gateway says of a server tells nothing of the outcome
		return f.status != http.StatusBadGateway && f.status != http.StatusServiceUnavailable && f.status != http.StatusGatewayTimeout
	default:
		return false
	}
}

// put makes one PutLogEvents call.
func (s *Sink) put(ctx context.Context, dest pipeline.Destination, b *body, encoding string) (*logs.PutLogEventsOutput, error) {
	content := b.plain
	if encoding == CompressGzip {
		content = b.zipped.Bytes()
	}
	in := &logs.PutLogEventsInput{
		LogGroupName: aws.String(dest.LogGroup), LogStreamName: aws.String(dest.LogStream),
		LogEvents: []types.InputLogEvent{}, // they are in content
	}
	start := time.Now()
	out, err := invoke(ctx, s, opPut, in, s.client.PutLogEvents,
		func(o *logs.PutLogEventsOutput) middleware.Metadata { return o.ResultMetadata },
		logs.WithAPIOptions(sendAs(content, encoding)))
	s.metrics.seconds.Observe(time.Since(start).Seconds())
	f, _ := errors.AsType[*failure](err)
	s.metrics.puts.WithLabelValues(result(f)).Inc()
	if err != nil {
		return nil, err
	}
	s.metrics.bytes.WithLabelValues("wire").Add(float64(len(content)))
	return out, nil
}

// probeAge makes the event of a probe older than any log group accepts.
const probeAge = 10 * 365 * day

// probe asks whether a destination takes anything at all: it sends an event so
// old that CloudWatch Logs answers with success and drops it. Nothing is stored
// and no further permission is needed.
func (s *Sink) probe(ctx context.Context, dest pipeline.Destination, encoding string) error {
	at := s.clock.now().Add(-probeAge).UnixMilli()
	b := s.bodies.take(dest, []item{{at: at, message: []byte(`{"gapless":"probe"}`)}})
	defer s.bodies.release(b)
	if encoding == CompressGzip {
		if err := s.bodies.zip(b); err != nil {
			return err
		}
	}
	_, err := s.put(ctx, dest, b, encoding)
	return err
}
