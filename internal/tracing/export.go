package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

const (
	// tries is how often a request is made before its spans are given up.
	tries = 3
	// retryFirst is the wait before the second try; it doubles.
	retryFirst = time.Second
	// retryMost bounds the wait that a collector may ask for.
	retryMost = 30 * time.Second
	// answerMost is how much of an answer is read, in bytes.
	answerMost = 64 << 10
)

// health is what was told of the collector last.
type health struct{ failing bool }

// An exportError says why spans were not taken. It quotes nothing that the collector says
// in words of its own, and no URL.
type exportError struct {
	text  string
	again bool          // another try makes sense
	after time.Duration // the wait that was asked for
}

// Error returns what failed.
func (e *exportError) Error() string { return e.text }

// deliver sends spans, and counts and tells what became of them.
func (t *Tracer) deliver(ctx context.Context, spans []span, h *health) {
	rejected, err := t.send(ctx, spans)
	if err != nil {
		t.failed.Add(float64(len(spans)))
		if !h.failing && ctx.Err() == nil {
			h.failing = true
			t.logger.LogAttrs(ctx, slog.LevelWarn, "traces cannot be sent; the export goes on without them",
				slog.Any("error", err), slog.String("hint", "Check tracing.endpoint and tracing.headers, and that the collector takes OTLP over HTTP in JSON."))
		}
		return
	}
	t.sent.Add(float64(len(spans) - rejected))
	t.rejected.Add(float64(rejected))
	if h.failing {
		h.failing = false
		t.logger.LogAttrs(ctx, slog.LevelInfo, "traces are sent again")
	}
}

// send sends spans, some times if need be.
func (t *Tracer) send(ctx context.Context, spans []span) (rejected int, err error) {
	body, err := t.cfg.encode(spans)
	if err != nil {
		return 0, fmt.Errorf("encode spans: %w", err)
	}
	wait := retryFirst
	for try := 1; ; try++ {
		rejected, err = t.post(ctx, body, len(spans))
		e, ok := errors.AsType[*exportError](err)
		if !ok || !e.again || try == tries {
			return rejected, err
		}
		timer := time.NewTimer(max(wait, min(e.after, retryMost)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, err
		}
		wait *= 2
	}
}

// post makes one request. Of the spans the collector may reject some.
func (t *Tracer) post(ctx context.Context, body []byte, spans int) (rejected int, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return 0, &exportError{text: "the endpoint is not a URL"} // the error would quote it
	}
	for _, h := range t.cfg.Headers {
		req.Header.Set(h.Name, h.Value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gapless/"+t.cfg.Version)
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, &exportError{text: "no answer: " + cause(ctx, err), again: true}
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, answerMost)) // what there is of it will do
	_ = resp.Body.Close()                                          // the rest is not read
	if resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusMultipleChoices {
		n := gjson.GetBytes(answer, "partialSuccess.rejectedSpans").Int()
		return int(min(max(n, 0), int64(spans))), nil
	}
	e := &exportError{text: fmt.Sprintf("HTTP %d", resp.StatusCode)}
	switch resp.StatusCode { // by the specification of OTLP these alone are tried again
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.again = true
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			e.after = time.Duration(min(s, 3600)) * time.Second
		}
	}
	return 0, e
}

// cause says in words without a URL why there was no answer.
func cause(ctx context.Context, err error) string {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || ctx.Err() != nil {
		return "none in time"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op + ": " + e.Err.Error()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
