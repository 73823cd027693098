package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Errors of OpenFiles.
var (
	// ErrNotAFile says that a path is a directory or a device.
	ErrNotAFile = errors.New("it is no file")
	// ErrNotEvents says that a file begins as nothing does that holds log events.
	ErrNotEvents = errNotEvents

	errNotEvents = errors.New("it is neither JSON lines nor a JSON array")
)

// An input is a file to be read.
type input struct {
	path     string // as it was named
	size     int64  // bytes, as it is packed
	identity string // another one when it lies elsewhere or has changed
	blank    bool   // there is nothing in it
}

// fingerprint is how much of the beginning of a file is part of its identity.
const fingerprint = 4 << 10

// examine looks at a file without reading it.
func examine(ctx context.Context, path string) (input, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return input{}, fmt.Errorf("import: %w", err)
	}
	defer file.Close() //nolint:errcheck // it has only read
	info, err := file.Stat()
	if err != nil {
		return input{}, fmt.Errorf("import: %w", err)
	}
	if !info.Mode().IsRegular() {
		return input{}, fmt.Errorf("import %s: %w", path, ErrNotAFile)
	}
	place, err := filepath.Abs(path)
	if err != nil {
		return input{}, fmt.Errorf("import %s: %w", path, err)
	}
	id := sha256.New()
	fmt.Fprintf(id, "%s\n%d\n%d\n", place, info.Size(), info.ModTime().UnixNano())
	if _, err := io.CopyN(id, file, fingerprint); err != nil && !errors.Is(err, io.EOF) {
		return input{}, fmt.Errorf("import %s: %w", path, err)
	}
	in := input{path: path, size: info.Size(), identity: hex.EncodeToString(id.Sum(nil)[:16])}
	if in.blank, err = in.begins(ctx); err != nil {
		return input{}, fmt.Errorf("import %s: %w", path, err)
	}
	return in, nil
}

// begins looks at how the content begins. blank means that there is none.
func (in input) begins(ctx context.Context) (blank bool, err error) {
	s, err := in.open(ctx, 0)
	if err != nil {
		return false, err
	}
	defer s.close()
	return beginsWell(bufio.NewReader(s))
}

// beginsWell judges the first bytes of unpacked content.
func beginsWell(r *bufio.Reader) (blank bool, err error) {
	head, err := r.Peek(len(byteOrderMark))
	if err != nil && err != io.EOF {
		return false, errors.New(reasonOf(err))
	}
	if string(head) == byteOrderMark {
		_, _ = r.Discard(len(head)) // they are there
	}
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return false, errors.New(reasonOf(err))
		case c == '{' || c == '[':
			return false, nil
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return false, notEvents(head)
		}
	}
}

// byteOrderMark is what some programs write before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// notEvents says, where the first bytes tell it, what a file is that holds no log
// events.
func notEvents(head []byte) error {
	for _, k := range []struct{ magic, what string }{
		{"\xff\xfe", "it is UTF-16, as PowerShell writes it: write it as UTF-8, with Out-File -Encoding utf8"},
		{"\xfe\xff", "it is UTF-16: write it as UTF-8"},
		{"PK", "it is a zip archive: unpack it first"},
		{"BZh", "it is packed with bzip2: unpack it first"},
		{"\xfd7z", "it is packed with xz: unpack it first"},
		{"<", "it is a page of HTML or XML"},
	} {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return fmt.Errorf("%w; %s", errNotEvents, k.what)
		}
	}
	return errNotEvents
}

// A stream is the unpacked content of a file.
type stream struct {
	io.Reader

	raw    *atomic.Int64 // bytes of the file that were read
	closes []func()
}

// close lets go of the file.
func (s *stream) close() {
	for _, c := range s.closes {
		c()
	}
}

// open opens the content of a file at an offset.
func (in input) open(ctx context.Context, offset int64) (*stream, error) {
	file, err := os.Open(in.path)
	if err != nil {
		return nil, err
	}
	s := &stream{raw: new(atomic.Int64), closes: []func(){func() { _ = file.Close() }}} // it has only read
	head := make([]byte, magicLength)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		s.close()
		return nil, err
	}
	packed := packing(head[:n])
	if packed == "" && offset > 0 {
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			s.close()
			return nil, err
		}
		s.raw.Store(offset)
	}
	if err := s.unpack(counted{ctx, file, s.raw}, packed); err != nil {
		s.close()
		return nil, err
	}
	if packed != "" && offset > 0 {
		if _, err := io.CopyN(io.Discard, s, offset); err != nil {
			s.close()
			return nil, fmt.Errorf("go on at byte %d: %w", offset, err)
		}
	}
	return s, nil
}

// counted is a reader that counts, and ends with a context.
type counted struct {
	ctx context.Context //nolint:containedctx // io.Reader has no place for it
	in  io.Reader
	n   *atomic.Int64
}

// Read implements io.Reader.
func (c counted) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.in.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// magicLength is how many bytes tell how a stream is packed.
const magicLength = 4

// packing names how a stream is packed by its first bytes; empty is not at all.
func packing(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) == magicLength && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}): // a frame to be skipped
		return "zstd"
	default:
		return ""
	}
}

// largestWindow bounds the memory that a zstd file can ask for: what zstd itself
// takes without being told, --long=27.
const largestWindow = 128 << 20

// unpack makes the stream read what in holds.
func (s *stream) unpack(in io.Reader, packed string) error {
	switch packed {
	case "gzip":
		z, err := gzip.NewReader(bufio.NewReader(in)) // of several members, one after the other
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		s.Reader = z
	case "zstd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(largestWindow)) // no goroutines
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		s.Reader = z
		s.closes = append(s.closes, z.Close)
	default:
		s.Reader = in
	}
	return nil
}
