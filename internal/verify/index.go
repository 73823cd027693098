package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/gaplesslogs/gapless/internal/event"
)

// indexRun is how many events an Index holds in memory before it writes them: 16 MiB.
const indexRun = 1 << 20

// An Index knows which events lie in destinations, by their log_id. It keeps half a
// SHA-256 of each in sorted files, so that it takes little memory however many there
// are: 16 bytes on disk for an event. It is not safe for concurrent use.
type Index struct {
	dir   string
	most  int
	run   []digest
	files []*os.File
	sizes []int64 // in digests
	n     int64
}

// NewIndex makes one whose files lie in a directory, which is there.
func NewIndex(dir string) *Index { return &Index{dir: dir, most: indexRun} }

// Add reads what lies in a destination with timestamps within a span, and notes it
// under a number. progress hears how many messages were read; may be nil.
func (x *Index) Add(ctx context.Context, number int, d Destination, s Span, everywhere bool, progress func(int64, Stored)) error {
	var n int64
	return d.Read(ctx, s, everywhere, func(m Stored) error {
		n++
		if progress != nil {
			progress(n, m)
		}
		e, err := event.Parse(m.Message, m.Timestamp)
		if err != nil {
			return nil //nolint:nilerr // it is no event, whoever wrote it
		}
		return x.add(digestOf([]byte(keyOf(number, e.LogID))))
	})
}

// add notes an event.
func (x *Index) add(d digest) error {
	x.n++
	if x.run = append(x.run, d); len(x.run) < x.most {
		return nil
	}
	return x.flush()
}

// Finish ends the noting.
func (x *Index) Finish() error { return x.flush() }

// flush writes what is in memory.
func (x *Index) flush() (err error) {
	if len(x.run) == 0 {
		return nil
	}
	slices.SortFunc(x.run, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	f, err := os.CreateTemp(x.dir, "index-*")
	if err != nil {
		return fmt.Errorf("write what the destination holds: %w", err)
	}
	x.files, x.sizes = append(x.files, f), append(x.sizes, int64(len(x.run)))
	w := bufio.NewWriterSize(f, 1<<16)
	for i := range x.run {
		_, _ = w.Write(x.run[i][:]) // Flush tells
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write what the destination holds: %w", err)
	}
	x.run = x.run[:0]
	return nil
}

// Len returns how many messages were noted.
func (x *Index) Len() int64 { return x.n }

// Has reports whether an event was in the destination of a number. It is called after
// Finish.
func (x *Index) Has(number int, logID string) (bool, error) {
	wanted := digestOf([]byte(keyOf(number, logID)))
	for i, f := range x.files {
		if found, err := search(f, x.sizes[i], wanted); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// search looks for a digest in a sorted file.
func search(f io.ReaderAt, n int64, wanted digest) (bool, error) {
	var d digest
	size := int64(len(d))
	for low, high := int64(0), n; low < high; {
		mid := low + (high-low)/2
		if _, err := f.ReadAt(d[:], mid*size); err != nil {
			return false, fmt.Errorf("read what the destination holds: %w", err)
		}
		switch c := bytes.Compare(d[:], wanted[:]); {
		case c == 0:
			return true, nil
		case c < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return false, nil
}

// Close removes the files.
func (x *Index) Close() error {
	var errs []error
	for _, f := range x.files {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	x.files, x.sizes, x.run = nil, nil, nil
	return errors.Join(errs...)
}
