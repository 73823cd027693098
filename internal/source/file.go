package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// FileName is the name of the source that reads files; its cursor is kept under it.
const FileName = "file"

const (
	// pageBytes is where a page of a file ends: some hundred events, so that the
	// flush to disk of a page costs little beside the reading of it.
	pageBytes = 1 << 20
	// LargestRecord bounds a record of a file, in bytes: the memory that a file can
	// take. CloudWatch Logs takes events of 1 MiB.
	LargestRecord = 16 << 20
	// mostProblems is how many problems are listed; more are counted.
	mostProblems = 100
)

// A Files is a Source that brings the events of files, one after the other, of
// every form that event.ParsePage reads, as they are or packed with gzip or zstd.
// Then it has caught up and waits for the end of its context.
//
// Its cursor names the file, by where it lies and what it is, and a place in it.
// Files that are read again from there bring what the run before had not stored; a
// file that has changed meanwhile is read from its beginning. Standard input
// cannot be read again and has no cursor.
//
// What is wrong with a file harms no other: Problems tells of it.
type Files struct {
	inputs []input
	sums   []string // of the first n inputs, see nextSum
	sizes  []int64  // of the first n inputs
	piped  *pipe    // standard input, in the place of inputs
	page   int      // bytes
	record int

	// Between two runs of one process, which Ingest makes after each failure.
	from filePlace    // where another process has left off
	last event.Cursor // the last that was stored
	next filePlace    // where it is
	at   int          // the input being read
	told string       // the reason of the last problem
	good int          // how many inputs, from the first, were read without a problem of their own

	mu       sync.Mutex
	progress FileProgress
}

// FileProgress says how far a Files has come.
type FileProgress struct {
	// Files is how many there are, Read how many of them have been read to their
	// end or as far as they can be.
	Files, Read int
	// Bytes is the size of all files, as they are packed, and BytesRead how much of
	// it has been read or need not be. Both are 0 for standard input but for what
	// came.
	Bytes, BytesRead int64
	// Resumed is how much of BytesRead an earlier run has read.
	Resumed int64
	// Events were brought and stored, or were known; Pieces were no events and went
	// to the dead letters.
	Events, Pieces int64
	// Current is the file being read, and Line where its first event lies that is
	// not stored. Current is empty when all are read.
	Current string
	Line    int
	// Problems are the first of those that were found; AllProblems counts all.
	Problems    []FileProblem
	AllProblems int64
}

// A FileProblem is something in a file that could not be read.
type FileProblem struct {
	File string `json:"file"`
	// Line is where it begins, in the unpacked file; from 1.
	Line int `json:"line"`
	// Reason says what is wrong, without quoting the file.
	Reason string `json:"reason"`
	// Rest says that nothing behind the line was read. Otherwise it is a piece that
	// was left out and lies in the dead letters.
	Rest bool `json:"rest_unread"`
}

// OpenFiles looks at files and returns the source of their events. The error says
// what is wrong with one of them that could not have been meant: it cannot be
// opened, is a directory, or begins as nothing that holds log events does.
func OpenFiles(ctx context.Context, paths []string) (*Files, error) {
	f := &Files{page: pageBytes, record: LargestRecord, sums: []string{""}, sizes: []int64{0}}
	for i, path := range paths {
		in, err := examine(ctx, path)
		if err != nil {
			return nil, err
		}
		f.inputs = append(f.inputs, in)
		f.sums = append(f.sums, nextSum(f.sums[i], in))
		f.sizes = append(f.sizes, f.sizes[i]+in.size)
	}
	f.progress.Files, f.progress.Bytes = len(f.inputs), f.sizes[len(f.inputs)]
	return f, nil
}

// NewStandardInput returns the source of the events that in brings. in is read in a
// goroutine of its own; one that waits in Read when the context of Run ends is
// closed if it can be, and otherwise left to the end of the process.
func NewStandardInput(in io.Reader) *Files {
	f := &Files{piped: newPipe(in), page: pageBytes, record: LargestRecord}
	f.progress.Files = 1
	return f
}

// StandardInput is what a problem calls standard input.
const StandardInput = "-"

// Name returns FileName.
func (f *Files) Name() string { return FileName }

// Progress returns how far the source has come. It is safe for concurrent use.
func (f *Files) Progress() FileProgress {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.progress
	p.Problems = append([]FileProblem(nil), p.Problems...)
	return p
}

// Run implements pipeline.Source.
func (f *Files) Run(ctx context.Context, from event.Cursor, emit pipeline.Emit) error {
	if f.piped != nil {
		if err := f.runPiped(ctx, emit); err != nil {
			return err
		}
	} else if err := f.runFiles(ctx, from, emit); err != nil {
		return err
	}
	f.update(func(p *FileProgress) { p.Current, p.Line = "", 0 })
	end := event.Page{CaughtUp: true}
	if f.piped == nil {
		end.Cursor = fileEnd
	}
	if err := emit(ctx, end); err != nil {
		return err
	}
	f.last = end.Cursor
	<-ctx.Done()
	return context.Cause(ctx)
}

// runFiles reads the files behind a cursor.
func (f *Files) runFiles(ctx context.Context, from event.Cursor, emit pipeline.Emit) error {
	if from == "" || from != f.last {
		f.begin(from)
	}
	for ; f.at < len(f.inputs); f.at++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		in := f.inputs[f.at]
		from := event.Place{Line: 1}
		switch in.identity {
		case f.next.File:
			from = f.next.Place
		case f.from.File:
			from = f.from.Place
		}
		if err := f.file(ctx, in, from, emit); err != nil {
			return err
		}
		f.update(func(p *FileProgress) { p.Read++; p.BytesRead = f.sizes[f.at+1] })
	}
	return nil
}

// begin takes up what a cursor of another process says.
func (f *Files) begin(from event.Cursor) {
	f.last, f.at, f.good = from, 0, 0
	f.from, f.next = readFilePlace(from), filePlace{}
	if n := f.from.Done; n <= len(f.inputs) && f.from.Sum == f.sums[n] {
		f.at, f.good = n, n
	}
	f.update(func(p *FileProgress) {
		*p = FileProgress{Files: p.Files, Read: f.at, Bytes: p.Bytes, BytesRead: f.sizes[f.at], Resumed: f.sizes[f.at]}
	})
}

// file reads a file from a place on. The error is one of ctx or of emit: what is
// wrong with the file is a problem, and reading goes on with the next one.
func (f *Files) file(ctx context.Context, in input, from event.Place, emit pipeline.Emit) error {
	f.update(func(p *FileProgress) { p.Current, p.Line = in.path, from.Line })
	if in.blank {
		f.passed(true)
		return nil
	}
	s, err := in.open(ctx, from.Offset)
	if err != nil {
		return f.ended(ctx, in.path, from.Line, err)
	}
	defer s.close()
	if from.Offset > 0 {
		f.update(func(p *FileProgress) { p.Resumed += s.raw.Load() })
	}
	r := event.ResumePageReader(s, from, time.Now(), f.page, f.record)
	for {
		page, err := r.Next()
		place := r.Place()
		if err != nil {
			return f.ended(ctx, in.path, place.Line, err)
		}
		next := filePlace{Done: f.good, Sum: f.sums[f.good], File: in.identity, Place: place}
		page.Cursor = next.cursor()
		if err := f.emit(ctx, in.path, page, emit); err != nil {
			return err
		}
		f.last, f.next = page.Cursor, next
		f.update(func(p *FileProgress) {
			p.Line = place.Line
			p.BytesRead = f.sizes[f.at] + min(s.raw.Load(), in.size)
		})
	}
}

// emit offers a page in which every refused piece says where it comes from.
func (f *Files) emit(ctx context.Context, path string, page event.Page, emit pipeline.Emit) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	problems := make([]FileProblem, len(page.Unreadable))
	for i := range page.Unreadable {
		u := &page.Unreadable[i]
		problems[i] = FileProblem{File: path, Line: u.Line, Reason: u.Reason}
		u.Reason = fmt.Sprintf("%s:%d: %s", path, u.Line, u.Reason)
	}
	if err := emit(ctx, page); err != nil {
		for i := range page.Unreadable {
			page.Unreadable[i].Reason = problems[i].Reason // a pipe offers the page again
		}
		return err
	}
	f.update(func(p *FileProgress) {
		p.Events += int64(len(page.Events))
		p.Pieces += int64(len(page.Unreadable))
	})
	for _, x := range problems {
		f.problem(x)
	}
	return nil
}

// ended judges the error with which the reading of a file came to its end.
func (f *Files) ended(ctx context.Context, path string, line int, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == io.EOF: //nolint:errorlint // a wrapped one is no good end
		f.passed(true)
	case errors.Is(err, event.ErrTruncated):
		if f.told != err.Error() { // of the piece at the end
			f.problem(FileProblem{File: path, Line: line, Reason: "it ends in the middle of a list: it was cut", Rest: true})
		}
		f.passed(false)
	default:
		f.problem(FileProblem{File: path, Line: line, Reason: reasonOf(err), Rest: true})
		f.passed(false)
	}
	return nil
}

// passed notes that a file is behind. Those from the first one with a problem on
// are read again by the next process, so that it tells of it too.
func (f *Files) passed(well bool) {
	if well && f.good == f.at {
		f.good++
	}
}

// reasonOf says in words why a file could not be read on.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, event.ErrNoEvents):
		return errNotEvents.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it was packed, and ends too early: it was cut"
	default:
		return err.Error()
	}
}

// problem adds a problem to the list.
func (f *Files) problem(x FileProblem) {
	f.told = x.Reason
	f.update(func(p *FileProgress) {
		p.AllProblems++
		if len(p.Problems) < mostProblems {
			p.Problems = append(p.Problems, x)
		}
	})
}

// update changes the progress.
func (f *Files) update(change func(*FileProgress)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.progress)
}
