// Package sorter sorts any number of records in a bounded memory, with the help of files.
package sorter

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/s2"
)

const (
	// fanIn is how many runs are merged at a time, each of which is read through
	// buffers of some blockBytes.
	fanIn      = 32
	blockBytes = 64 << 10
	// Longest bounds a key or a value on disk, against a file that is not ours.
	Longest = 1 << 20
)

// ErrRun says that a run is not what was written.
var ErrRun = errors.New("a file of the comparison does not hold what was written")

// A Sorter sorts any number of records in a bounded memory: what does not fit lies in
// sorted runs on disk. Records that are equal in key and value are kept as one.
type Sorter struct {
	dir    string
	memory int // bytes of records held at most
	arena  []byte
	at     []recordAt
	runs   []string
	made   int
}

// A recordAt is where a record lies in the arena.
type recordAt struct{ key, value, end int }

// recordCost is what a record takes in memory beside its bytes.
const recordCost = 24

// New returns a Sorter that keeps its files in a directory, and so many bytes of records in
// memory at most.
func New(dir string, memory int) *Sorter { return &Sorter{dir: dir, memory: memory} }

// Add adds a record, whose bytes are copied.
func (s *Sorter) Add(key string, value []byte) error {
	if len(s.at) > 0 && len(s.arena)+len(key)+len(value)+recordCost*(len(s.at)+1) > s.memory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.arena == nil {
		s.arena = make([]byte, 0, min(s.memory, 64<<10))
	}
	from := len(s.arena)
	s.arena = append(append(s.arena, key...), value...)
	s.at = append(s.at, recordAt{from, from + len(key), len(s.arena)})
	return nil
}

// key and value return those of a record in memory.
func (s *Sorter) keyOf(r recordAt) []byte   { return s.arena[r.key:r.value] }
func (s *Sorter) valueOf(r recordAt) []byte { return s.arena[r.value:r.end] }

// sort sorts what is in memory.
func (s *Sorter) sort() {
	slices.SortFunc(s.at, func(a, b recordAt) int {
		return cmp.Or(bytes.Compare(s.keyOf(a), s.keyOf(b)), bytes.Compare(s.valueOf(a), s.valueOf(b)))
	})
}

// spill writes what is in memory into a run.
func (s *Sorter) spill() error {
	s.sort()
	w, err := s.newRun()
	if err != nil {
		return err
	}
	for _, r := range s.at {
		if err := w.write(s.keyOf(r), s.valueOf(r)); err != nil {
			return errors.Join(err, w.close())
		}
	}
	s.arena, s.at = s.arena[:0], s.at[:0]
	return w.close()
}

// newRun begins a run.
func (s *Sorter) newRun() (*runWriter, error) {
	s.made++
	f, err := os.CreateTemp(s.dir, fmt.Sprintf("run-%06d-*", s.made))
	if err != nil {
		return nil, fmt.Errorf("write a run: %w", err)
	}
	s.runs = append(s.runs, f.Name())
	return &runWriter{file: f, packed: s2.NewWriter(f, s2.WriterBlockSize(blockBytes), s2.WriterConcurrency(1))}, nil
}

// Each calls fn for all records in order, each once. The bytes are good until it
// returns. The sorter is empty afterwards.
func (s *Sorter) Each(fn func(key, value []byte) error) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	if len(s.runs) == 0 {
		s.sort()
		var last recordAt
		for i, r := range s.at {
			if i > 0 && bytes.Equal(s.keyOf(r), s.keyOf(last)) && bytes.Equal(s.valueOf(r), s.valueOf(last)) {
				continue
			}
			last = r
			if err := fn(s.keyOf(r), s.valueOf(r)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.arena, s.at = nil, nil
	for len(s.runs) > fanIn {
		few := slices.Clone(s.runs[:fanIn])
		s.runs = s.runs[fanIn:]
		w, err := s.newRun()
		if err != nil {
			return err
		}
		if err := errors.Join(merge(few, w.write), w.close()); err != nil {
			return err
		}
		if err := remove(few); err != nil {
			return err
		}
	}
	return merge(s.runs, fn)
}

// Close forgets everything and deletes the files.
func (s *Sorter) Close() error {
	runs := s.runs
	s.arena, s.at, s.runs = nil, nil, nil
	return remove(runs)
}

// remove deletes files.
func remove(paths []string) error {
	var errs []error
	for _, p := range paths {
		if err := os.Remove(filepath.Clean(p)); err != nil {
			errs = append(errs, fmt.Errorf("delete a run: %w", err))
		}
	}
	return errors.Join(errs...)
}

// A runWriter writes records into a file.
type runWriter struct {
	file   *os.File
	packed *s2.Writer
	head   []byte
}

// write writes a record.
func (w *runWriter) write(key, value []byte) error {
	w.head = binary.AppendUvarint(binary.AppendUvarint(w.head[:0], uint64(len(key))), uint64(len(value)))
	for _, b := range [][]byte{w.head, key, value} {
		if _, err := w.packed.Write(b); err != nil {
			return fmt.Errorf("write a run: %w", err)
		}
	}
	return nil
}

// close ends the file.
func (w *runWriter) close() error {
	if err := errors.Join(w.packed.Close(), w.file.Close()); err != nil {
		return fmt.Errorf("write a run: %w", err)
	}
	return nil
}

// A runReader reads records from a file.
type runReader struct {
	file       *os.File
	in         *bufio.Reader
	key, value []byte
}

// next reads the next record; io.EOF says that there is none.
func (r *runReader) next() error {
	k, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	v, err2 := binary.ReadUvarint(r.in)
	if err := errors.Join(err, err2); err != nil || k > Longest || v > Longest {
		return errors.Join(ErrRun, err)
	}
	r.key, r.value = slices.Grow(r.key[:0], int(k))[:k], slices.Grow(r.value[:0], int(v))[:v]
	for _, b := range [][]byte{r.key, r.value} {
		if _, err := io.ReadFull(r.in, b); err != nil {
			return errors.Join(ErrRun, err)
		}
	}
	return nil
}

// readers are runs being merged; the first is the one whose record comes next.
type readers []*runReader

// Len implements heap.Interface, as do the others.
func (h readers) Len() int { return len(h) }

// Less orders by key and value.
func (h readers) Less(i, j int) bool {
	return cmp.Or(bytes.Compare(h[i].key, h[j].key), bytes.Compare(h[i].value, h[j].value)) < 0
}

// Swap swaps two.
func (h readers) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is not used: readers are never added.
func (*readers) Push(any) {}

// Pop takes the last one off.
func (h *readers) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// merge calls fn for the records of runs, in order and each once.
func merge(paths []string, fn func(key, value []byte) error) (err error) {
	var h readers
	defer func() {
		for _, r := range h {
			err = errors.Join(err, r.file.Close())
		}
	}()
	for _, p := range paths {
		f, err := os.Open(filepath.Clean(p))
		if err != nil {
			return fmt.Errorf("read a run: %w", err)
		}
		packed := s2.NewReader(f, s2.ReaderMaxBlockSize(blockBytes), s2.ReaderAllocBlock(blockBytes))
		r := &runReader{file: f, in: bufio.NewReaderSize(packed, 4<<10)}
		h = append(h, r)
		if err := r.next(); err != nil { // none is empty
			return fmt.Errorf("read a run: %w", err)
		}
	}
	heap.Init(&h)
	var key, value []byte
	for first := true; len(h) > 0; first = false {
		if r := h[0]; first || !bytes.Equal(key, r.key) || !bytes.Equal(value, r.value) {
			key, value = append(key[:0], r.key...), append(value[:0], r.value...)
			if err := fn(key, value); err != nil {
				return err
			}
		}
		if err := h.advance(); err != nil {
			return err
		}
	}
	return nil
}

// advance moves the first reader on.
func (h *readers) advance() error {
	r := (*h)[0]
	switch err := r.next(); {
	case errors.Is(err, ErrRun):
		return fmt.Errorf("read a run: %w", err)
	case err != nil:
		heap.Pop(h)
		return r.file.Close()
	}
	heap.Fix(h, 0)
	return nil
}
