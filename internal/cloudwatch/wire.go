package cloudwatch

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A body is what a PutLogEvents call carries, written by gapless itself: the
// SDK's serializer needs every message as a string of its own and writes it
// character by character, which costs more than all the rest of a delivery
// (BenchmarkBody).
type body struct {
	plain   bytes.Buffer
	zipped  bytes.Buffer
	message int // bytes of the messages alone
}

// bodies keeps used bodies and compressors for the next calls.
type bodies struct {
	bodies  sync.Pool
	writers sync.Pool
}

// take returns a body that holds the items for a destination. Give it back with
// release once the call is over.
func (p *bodies) take(dest pipeline.Destination, items []item) *body {
	b, ok := p.bodies.Get().(*body)
	if !ok {
		b = new(body)
	}
	b.plain.Reset()
	b.zipped.Reset()
	b.message = 0
	b.write(dest, items)
	return b
}

// release takes a body back. Nothing may read it any more: the SDK closes a
// request's body before the call returns, and reads nothing after that.
func (p *bodies) release(b *body) { p.bodies.Put(b) }

// write serializes the request as awsJson 1.1.
func (b *body) write(dest pipeline.Destination, items []item) {
	for _, it := range items {
		b.message += len(it.message)
	}
	b.plain.Grow(b.message + b.message/8 + 64*len(items) + 1024)
	out := b.plain.AvailableBuffer()
	out = append(out, `{"logEvents":[`...)
	for i, it := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"message":`...)
		out = appendText(out, it.message)
		out = append(out, `,"timestamp":`...)
		out = strconv.AppendInt(out, it.at, 10)
		out = append(out, '}')
	}
	out = append(out, `],"logGroupName":`...)
	out = appendText(out, []byte(dest.LogGroup))
	out = append(out, `,"logStreamName":`...)
	out = appendText(out, []byte(dest.LogStream))
	out = append(out, '}')
	b.plain.Write(out)
}

// zip compresses the body. The lowest level is the right one: the bytes are paid
// for uncompressed, so only the network gains.
func (p *bodies) zip(b *body) error {
	w, ok := p.writers.Get().(*gzip.Writer)
	if ok {
		w.Reset(&b.zipped)
	} else {
		var err error
		if w, err = gzip.NewWriterLevel(&b.zipped, gzip.BestSpeed); err != nil {
			return fmt.Errorf("make compressor: %w", err)
		}
	}
	defer p.writers.Put(w)
	if _, err := w.Write(b.plain.Bytes()); err != nil {
		return fmt.Errorf("compress body: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("compress body: %w", err)
	}
	return nil
}

// sendAs puts content in the place of the body that the SDK has serialized. It
// stands at the end of the Build step, before the payload is hashed and signed.
func sendAs(content []byte, encoding string) func(*middleware.Stack) error {
	replace := func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("replace body: unknown request %T", in.Request)
		}
		req, err := req.SetStream(bytes.NewReader(content))
		if err != nil {
			return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("replace body: %w", err)
		}
		if encoding != "" {
			req.Header.Set("Content-Encoding", encoding)
		}
		in.Request = req
		return next.HandleBuild(ctx, in)
	}
	return func(stack *middleware.Stack) error {
		return stack.Build.Add(middleware.BuildMiddlewareFunc("GaplessBody", replace), middleware.After)
	}
}

const hexDigits = "0123456789abcdef"

// plainByte tells the bytes that a JSON text holds as they are.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// appendText appends valid UTF-8 as a JSON text.
func appendText(to, s []byte) []byte {
	to = append(to, '"')
	from := 0
	for i, c := range s {
		if plainByte[c] {
			continue
		}
		to = append(to, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, `\n`...)
		case '\r':
			to = append(to, `\r`...)
		case '\t':
			to = append(to, `\t`...)
		default:
			to = append(to, `\u00`...)
			to = append(to, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	to = append(to, s[from:]...)
	return append(to, '"')
}
