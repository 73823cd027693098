package cloudwatch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A body is what a PutLogEvents call carries, written by gapless itself: the
// SDK's serializer needs every message as a string of its own and takes more than
// all the rest of a delivery (compare BenchmarkDeliver and BenchmarkBody).
type body struct {
	plain  []byte
	zipped bytes.Buffer
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
	b.plain = b.plain[:0]
	b.zipped.Reset()
	b.write(dest, items)
	return b
}

// release takes a body back. Nothing may read it any more: the SDK closes a
// request's body before the call returns, and reads nothing after that.
func (p *bodies) release(b *body) { p.bodies.Put(b) }

// write serializes the request as awsJson 1.1.
func (b *body) write(dest pipeline.Destination, items []item) {
	size := 0
	for _, it := range items {
		size += len(it.message)
	}
	out := slices.Grow(b.plain, size+size/4+64*len(items)+1024)
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
	b.plain = out
}

// zip compresses the body, unless that was done. The lowest level is the right one: the bytes are paid
// for uncompressed, so only the network gains.
func (p *bodies) zip(b *body) error {
	if b.zipped.Len() > 0 {
		return nil
	}
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
	if _, err := w.Write(b.plain); err != nil {
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

// textChunk is how much text is written between two looks at the capacity.
const textChunk = 512

// appendText appends valid UTF-8 as a JSON text. It is where a delivery spends
// its time, so it writes byte by byte into room that is made beforehand: events
// are JSON themselves, and the runs between two quotes are too short to copy.
func appendText(to, s []byte) []byte {
	to = append(to, '"')
	for len(s) > 0 {
		chunk := s[:min(len(s), textChunk)]
		s = s[len(chunk):]
		to = slices.Grow(to, 6*len(chunk)) // each byte may become \u00xx
		n := len(to)
		room := to[:cap(to)]
		for _, c := range chunk {
			switch {
			case plainByte[c]:
				room[n] = c
				n++
			case c >= 0x20:
				room[n], room[n+1] = '\\', c
				n += 2
			default:
				n += copy(room[n:], escapes[c])
			}
		}
		to = room[:n]
	}
	return append(to, '"')
}

// escapes are the control characters as a JSON text holds them.
var escapes = func() (t [0x20]string) {
	for c := range t {
		t[c] = `\u00` + string(hexDigits[c>>4]) + string(hexDigits[c&15])
	}
	t['\n'], t['\r'], t['\t'] = `\n`, `\r`, `\t`
	return t
}()
