package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/event"
)

const (
	// webhookPage is the size of the pages into which a large body is cut.
	webhookPage = 1 << 20
	// webhookLook is how much of a body is read before it is judged; one that is
	// not longer is a single page.
	webhookLook = 64 << 10
	// stallTime is how long a body may bring nothing at all, and leastTime with
	// leastRate (bytes a second) how long it may take as a whole.
	stallTime = 15 * time.Second
	leastTime = 30 * time.Second
	leastRate = 16 << 10
)

// What can be wrong with a body besides its content. None wraps what came from
// the connection: io.ErrUnexpectedEOF would look like the end of the content.
var (
	errCut      = errors.New("the connection broke")
	errTooLarge = errors.New("the body is too large")
	errTooSlow  = errors.New("the body came too slowly")
	errTooMany  = errors.New("too many bodies are being read")
	errNotGzip  = errors.New("the body is not valid gzip")
)

// unstoredError says that a page could not be stored.
type unstoredError struct{ err error }

func (e *unstoredError) Error() string { return e.err.Error() }
func (e *unstoredError) Unwrap() error { return e.err }

// incoming is a body on its way in.
type incoming struct {
	r       *http.Request
	wire    *wire
	max     int64
	content *bufio.Reader
	first   *bufio.Reader // of the wire; content until that turns out to be gzip
	unwatch func()

	// Of a gzip body, nil for a plain one: what comes over the wire, all of it
	// until now, which may have to be kept as it is, and the reader of both.
	compressed io.Reader
	kept       *bytes.Buffer
	zip        *gzip.Reader
}

// wire reads a body off its connection, within its time and size.
type wire struct {
	body    io.Reader
	control *http.ResponseController
	start   time.Time
	n, max  int64
	fault   error // why it ended before its end
}

// newIncoming begins to read the body of a request. When ctx ends the reading does.
// readers may have a reader that nobody uses.
func newIncoming(ctx context.Context, rw http.ResponseWriter, r *http.Request, most int64, readers *sync.Pool) *incoming {
	c := http.NewResponseController(rw)
	in := &incoming{r: r, max: most, wire: &wire{body: r.Body, control: c, start: time.Now(), max: most}}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = c.SetReadDeadline(time.Unix(1, 0)) // a read under way ends
	})
	in.unwatch = func() {
		if !stop() {
			<-fired // the connection belongs to the next request after this
		}
	}
	if n := r.ContentLength; n >= 0 && n < webhookLook {
		in.first = bufio.NewReaderSize(in.wire, int(n)+1) // so that it comes to the end
	} else if used, ok := readers.Get().(*bufio.Reader); ok {
		used.Reset(in.wire)
		in.first = used
	} else {
		in.first = bufio.NewReaderSize(in.wire, webhookLook)
	}
	in.content = in.first
	return in
}

// close ends the reading, and leaves its reader to the next body.
func (in *incoming) close(readers *sync.Pool) {
	in.unwatch()
	if in.zip != nil {
		_ = in.zip.Close() // it holds nothing
	}
	if in.first.Size() == webhookLook {
		in.first.Reset(nil)
		readers.Put(in.first)
	}
}

// Read implements io.Reader. Each read that brings something extends the time.
func (b *wire) Read(p []byte) (int, error) {
	if b.fault != nil {
		return 0, b.fault
	}
	now := time.Now()
	deadline := b.start.Add(leastTime + time.Duration(b.n/leastRate)*time.Second)
	if stalled := now.Add(stallTime); stalled.Before(deadline) {
		deadline = stalled
	}
	_ = b.control.SetReadDeadline(deadline) // where there is a connection
	n, err := b.body.Read(p[:min(int64(len(p)), b.max-b.n+1)])
	b.n += int64(n)
	switch {
	case b.n > b.max:
		b.fault = errTooLarge
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{})
		return n, io.EOF
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.fault = errTooSlow
	default:
		b.fault = errCut
	}
	return n, b.fault
}

// look reads on until it sees the first byte of the content that is not space,
// and returns it; -1 when there is none. Space beyond the length of a look is
// dropped.
func look(r *bufio.Reader) (int, error) {
	for n, size := 1, r.Size(); ; {
		b, err := r.Peek(n)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return -1, err //nolint:wrapcheck // of wire or gzip, for the caller to tell
		}
		rest := bytes.TrimLeft(bytes.TrimPrefix(b, []byte(byteOrderMark)), " \t\r\n")
		switch {
		case len(rest) > 0 && (ended || len(b) >= len(byteOrderMark) || b[0] != byteOrderMark[0]):
			return int(rest[0]), nil
		case ended:
			return -1, nil
		case n == size:
			_, _ = r.Discard(n) // it is there
			n = 1
		default:
			n = min(2*n+2, size)
		}
	}
}

// store stores what a body brings, and returns nil when all of it is on disk: its
// events, and as dead letters what is none.
func (w *Webhook) store(g *gate, in *incoming) error {
	in.unzip()
	first, err := look(in.content)
	switch {
	case err != nil:
		return w.keepBroken(g, in, err)
	case first < 0:
		return nil // nothing but space
	}
	size := in.pageSize()
	if size > smallBody {
		if !slot(g.ctx, in.r, w.large) {
			return errTooMany
		}
		defer func() { <-w.large }()
	}
	if first != '[' && first != '{' {
		return w.keepWhole(g, in)
	}
	pages := event.NewPageReader(in, time.Now(), size, int(in.max))
	if size <= smallBody {
		window, _ := w.windows.Get().(*[]byte)
		if window == nil || cap(*window) < size {
			b := make([]byte, 0, max(size, webhookLook))
			window = &b
		}
		defer w.windows.Put(window) // emit keeps nothing of it
		pages.Reuse(*window)
	}
	for {
		p, err := pages.Next()
		switch {
		case !p.Empty():
			p.CaughtUp = true // a push knows of nothing behind it
			if err := g.emit(g.ctx, p); err != nil {
				return &unstoredError{err}
			}
		case errors.Is(err, io.EOF), errors.Is(err, event.ErrTruncated):
			return nil
		case errors.Is(err, event.ErrRecordTooLarge):
			return errTooLarge
		default:
			return w.keepBroken(g, in, err)
		}
	}
}

// pageSize returns the size of the pages of the body: beyond its end for one that
// is known to be small, by its length or because it ends within the look.
func (in *incoming) pageSize() int {
	if n := in.r.ContentLength; n >= 0 && n < smallBody && in.zip == nil {
		return int(n) + 1
	}
	if b, err := in.content.Peek(in.content.Size()); err != nil {
		return len(b) + 1
	}
	return webhookPage
}

// keepWhole keeps a body that is no events at all as a dead letter.
func (w *Webhook) keepWhole(g *gate, in *incoming) error {
	body, err := io.ReadAll(in)
	if err != nil {
		return w.keepBroken(g, in, err)
	}
	return w.keep(g, body, event.ErrNoEvents.Error())
}

// keepBroken keeps what came over the wire of a body that cannot be decompressed
// to its end. Any other error is returned: the sender has the body still.
func (w *Webhook) keepBroken(g *gate, in *incoming, err error) error {
	if in.wire.fault != nil {
		return in.wire.fault
	}
	if in.kept == nil || errors.Is(err, errTooLarge) {
		return err
	}
	if _, err := io.Copy(io.Discard, in.compressed); err != nil {
		return err //nolint:wrapcheck // of wire, for outcome to tell
	}
	return w.keep(g, in.kept.Bytes(), "not valid gzip")
}

// keep keeps a body as a dead letter.
func (w *Webhook) keep(g *gate, body []byte, reason string) error {
	if err := g.emit(g.ctx, event.Page{CaughtUp: true, Unreadable: []event.Unreadable{{Raw: body, Reason: reason}}}); err != nil {
		return &unstoredError{err}
	}
	if w.mayTell("letter") {
		w.logger.LogAttrs(g.ctx, slog.LevelWarn, "a body pushed to the webhook is no events; it is kept as a dead letter",
			slog.Int("bytes", len(body)), slog.String("reason", reason))
	}
	return nil
}

// unzip finds out by the first bytes whether the body is gzip, and then reads it
// as such, keeping what comes over the wire.
func (in *incoming) unzip() {
	magic, _ := in.content.Peek(2) // an error comes again
	if len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return
	}
	in.kept = new(bytes.Buffer)
	in.compressed = io.TeeReader(in.content, in.kept)
	zip, err := gzip.NewReader(in.compressed)
	if err != nil {
		in.content = bufio.NewReaderSize(failing{err}, 16)
		return
	}
	in.zip = zip
	in.content = bufio.NewReaderSize(&bounded{r: zip, left: in.max}, webhookLook)
}

// Read implements io.Reader: it reads the content, and says in words of its own
// why that ends too early.
func (in *incoming) Read(p []byte) (int, error) {
	n, err := in.content.Read(p)
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, errTooLarge):
		return n, err //nolint:wrapcheck // io.EOF must stay itself
	case in.wire.fault != nil:
		return n, in.wire.fault
	default:
		return n, errNotGzip
	}
}

// failing is a reader that does.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// bounded fails with errTooLarge behind so many bytes.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return n, errTooLarge
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}
