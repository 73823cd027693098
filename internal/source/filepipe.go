package source

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A pipe is an input that can be read only once. What was read and is not stored
// yet is kept for the next Run.
type pipe struct {
	in   io.Reader
	ctx  context.Context //nolint:containedctx // of the Run under way: io.Reader has no place for it
	came chan chunk
	busy bool // a read of in is under way
	left []byte
	err  error // of in, behind left

	raw   atomic.Int64
	head  []byte // the first bytes of the content
	pages *event.PageReader
	page  event.Page // offered, and not taken
	over  bool       // there is no more
}

// A chunk is what one read brought.
type chunk struct {
	b   []byte
	err error
}

// newPipe makes a pipe that has not been read.
func newPipe(in io.Reader) *pipe { return &pipe{in: in, came: make(chan chunk, 1)} }

// pipeBytes is how much is read from a pipe at once.
const pipeBytes = 64 << 10

// Read implements io.Reader. It ends with the context of the Run; the read of in
// that is under way then ends when something comes, or with the process.
func (p *pipe) Read(b []byte) (int, error) {
	if len(p.left) == 0 && p.err == nil {
		if err := p.fetch(); err != nil {
			return 0, err
		}
	}
	if len(p.left) == 0 {
		return 0, p.err
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

// fetch waits for the next piece of in.
func (p *pipe) fetch() error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	if !p.busy {
		p.busy = true
		go func() {
			room := make([]byte, pipeBytes)
			n, err := p.in.Read(room)
			p.came <- chunk{room[:n], err}
		}()
	}
	select {
	case x := <-p.came:
		p.busy, p.left, p.err = false, x.b, x.err
		p.raw.Add(int64(len(x.b)))
		return nil
	case <-p.ctx.Done():
		if c, ok := p.in.(io.Closer); ok {
			_ = c.Close() // it may wake the read
		}
		return context.Cause(p.ctx)
	}
}

// open looks at the first bytes and begins the reading of pages.
func (p *pipe) open(page, record int) error {
	buffered := bufio.NewReader(p)
	magic, err := buffered.Peek(magicLength)
	if err != nil && err != io.EOF {
		return err
	}
	s := &stream{} // what it opens holds nothing but memory
	if err := s.unpack(buffered, packing(magic)); err != nil {
		return err
	}
	content := bufio.NewReader(s)
	if p.head, err = content.Peek(len(byteOrderMark)); err != nil && err != io.EOF {
		return err
	}
	p.pages = event.NewPageReader(content, time.Now(), page, record)
	return nil
}

// runPiped reads what is left of the pipe.
func (f *Files) runPiped(ctx context.Context, emit pipeline.Emit) error {
	p := f.piped
	p.ctx = ctx
	f.update(func(g *FileProgress) { g.Current = StandardInput })
	for !p.over {
		line, err := 1, error(nil)
		if p.pages == nil {
			err = p.open(f.page, f.record)
		}
		if err == nil && p.page.Empty() {
			p.page, err = p.pages.Next()
			line = p.pages.Place().Line
		}
		if errors.Is(err, event.ErrNoEvents) {
			err = notEvents(p.head)
		}
		if err != nil {
			if err := f.ended(ctx, StandardInput, line, err); err != nil {
				return err
			}
			p.over = true
			break
		}
		if err := f.emit(ctx, StandardInput, p.page, emit); err != nil {
			return err
		}
		p.page = event.Page{}
		f.update(func(g *FileProgress) { g.Line, g.BytesRead = line, p.raw.Load() })
	}
	f.update(func(g *FileProgress) { g.Read = 1 })
	return nil
}
