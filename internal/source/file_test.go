package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// records makes n records with ids from a prefix; they make three pages and more
// when each is large.
func records(prefix string, n, size int) (list, ids []string) {
	for i := range n {
		id := fmt.Sprintf("%s-%04d", prefix, i)
		list = append(list, fmt.Sprintf(`{"log_id":%q,"date":"2026-11-01T10:00:00.000Z","type":"s","x":%q}`, id, strings.Repeat("y", size)))
		ids = append(ids, id)
	}
	return list, ids
}

// write writes a file and returns its path.
func write(tb rapid.TB, dir, name, content string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, s)
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return b.String()
}

func zstandard(s string) string {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// openFiles opens files that must be right.
func openFiles(tb rapid.TB, paths ...string) *source.Files {
	tb.Helper()
	f, err := source.OpenFiles(context.Background(), paths)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// readAll runs a source until it has caught up.
func readAll(ctx context.Context, tb rapid.TB, f *source.Files, disk *pipelinetest.Pages) {
	tb.Helper()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := f.Run(ctx, disk.Cursor(), func(ctx context.Context, p event.Page) error {
		if p.CaughtUp {
			cancel(errEnd)
		}
		return disk.Emit(ctx, p)
	})
	if !errors.Is(err, errEnd) {
		tb.Fatalf("Run returned %v", err)
	}
}

func TestFilesKeepTheContract(t *testing.T) {
	t.Parallel()
	list, ids := records("a", 300, 20_000) // 6 MB: some pages
	text := strings.Join(list, "\n")
	more, moreIDs := records("b", 20, 10)
	for name, content := range map[string]string{
		"lines": text, "array": "[" + strings.Join(list, ",\n") + "]", "object": `{"logs":[` + strings.Join(list, ",") + `],"total":300}`,
		"gzip": gzipped(text), "zstd": zstandard(text),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			paths := []string{write(t, dir, "a", content), write(t, dir, "b", strings.Join(more, "\r\n"))}
			pipelinetest.TestSource(t, func(t *testing.T) pipelinetest.Upstream {
				t.Helper()
				return pipelinetest.Upstream{
					New:  func() pipeline.Source { return openFiles(t, paths...) },
					Want: slices.Concat(ids, moreIDs),
				}
			})
		})
	}
}

// form is a file in short: what comes of it.
type form struct {
	IDs      []string
	Problems []source.FileProblem
}

func TestFilesReadEveryForm(t *testing.T) {
	t.Parallel()
	a, b := `{"log_id":"a","date":"2026-11-01T10:00:00.000Z","type":"s"}`, `{"log_id":"b","type":"f"}`
	wrapped := `{"version":"0","id":"x","detail-type":"Auth0 log","source":"aws.partner/auth0.com/x/auth0.logs","detail":{"log_id":"c","data":{"type":"s","log_id":"c"}}}`
	cut := gzipped(a + "\n" + b + "\n")
	piece := func(line int, reason string) source.FileProblem {
		return source.FileProblem{File: "f", Line: line, Reason: reason}
	}
	rest := func(line int, reason string) source.FileProblem {
		return source.FileProblem{File: "f", Line: line, Reason: reason, Rest: true}
	}
	for name, test := range map[string]struct {
		content string
		want    form
	}{
		"lines":                     {a + "\n" + b + "\n", form{IDs: []string{"a", "b"}}},
		"CRLF and mark":             {"\xef\xbb\xbf" + a + "\r\n\r\n" + b + "\r\n", form{IDs: []string{"a", "b"}}},
		"array of the CLI":          {"[\n  " + a + ",\n  " + b + "\n]\n", form{IDs: []string{"a", "b"}}},
		"array after array":         {"[" + a + "]\n[" + b + "]", form{IDs: []string{"a", "b"}}},
		"raw view of the Dashboard": {`{"date":"2026-11-01T10:00:00.000Z","type":"s","log_id":"a","_id":"a","id":"a"}`, form{IDs: []string{"a"}}},
		"envelopes without breaks":  {wrapped + strings.ReplaceAll(wrapped, `"c"`, `"d"`), form{IDs: []string{"c", "d"}}},
		"search with totals":        {`{"start":0,"logs":[` + a + "," + b + `],"total":2}`, form{IDs: []string{"a", "b"}}},
		"gzip":                      {gzipped(a + "\n" + b), form{IDs: []string{"a", "b"}}},
		"gzip of several members":   {gzipped(a+"\n") + gzipped(wrapped) + gzipped("\n"+b), form{IDs: []string{"a", "b", "c"}}},
		"zstd":                      {zstandard(a + "\n" + b), form{IDs: []string{"a", "b"}}},
		"zstd of several frames":    {zstandard(a+"\n") + zstandard(b), form{IDs: []string{"a", "b"}}},
		"zstd behind a skipped one": {"\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz" + zstandard(a), form{IDs: []string{"a"}}},
		"nothing":                   {"", form{}},
		"nothing but space":         {"\xef\xbb\xbf \r\n\n", form{}},
		"nothing, packed":           {gzipped(""), form{}},
		"empty array":               {"[]", form{}},
		"garbage between": {a + "\nkeep-alive\n{\"x\":}\n" + b + "\n7\n", form{
			IDs: []string{"a", "b"}, Problems: []source.FileProblem{piece(2, "not valid JSON"), piece(3, "not valid JSON"), piece(5, "not a JSON object")},
		}},
		"cut in an event": {a + "\n" + b[:12], form{IDs: []string{"a"}, Problems: []source.FileProblem{piece(2, event.ErrTruncated.Error())}}},
		"cut in a list":   {"[" + a + ",\n" + b, form{IDs: []string{"a", "b"}, Problems: []source.FileProblem{rest(2, "it ends in the middle of a list: it was cut")}}},
		"cut gzip": {cut[:len(cut)-6], form{
			IDs: []string{"a", "b"}, Problems: []source.FileProblem{rest(3, "it was packed, and ends too early: it was cut")},
		}},
		"broken gzip": {cut[:len(cut)-6] + "xxxxxx", form{IDs: []string{"a", "b"}, Problems: []source.FileProblem{rest(3, "gzip: invalid checksum")}}},
		"cut zstd":    {zstandard(a + "\n")[:60], form{Problems: []source.FileProblem{rest(1, "it was packed, and ends too early: it was cut")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				path := write(t, t.TempDir(), "f", test.content)
				good := write(t, t.TempDir(), "good", `{"log_id":"good"}`)
				want := test.want
				if !strings.Contains(name, "zstd") || len(want.Problems) == 0 { // else it is refused at once
					checkForm(t, openFiles(t, path, good), path, form{slices.Concat(want.IDs, []string{"good"}), want.Problems})
				}
				in := source.NewStandardInput(iotest.HalfReader(strings.NewReader(test.content)))
				if len(want.IDs)+len(want.Problems) == 0 && test.content != "[]" {
					want.Problems = []source.FileProblem{rest(1+strings.Count(test.content, "\n"), source.ErrNotEvents.Error())}
				}
				checkForm(t, in, source.StandardInput, want)
			})
		})
	}
}

// checkForm reads a source and compares; path is what it calls the file.
func checkForm(t *testing.T, f *source.Files, path string, want form) {
	t.Helper()
	disk := new(pipelinetest.Pages)
	readAll(t.Context(), t, f, disk)
	got := form{IDs: disk.IDs(), Problems: f.Progress().Problems}
	for i := range got.Problems {
		if got.Problems[i].File != path {
			t.Errorf("a problem names the file %q, want %q", got.Problems[i].File, path)
		}
		got.Problems[i].File = "f"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, p := range disk.All() {
		for _, u := range p.Unreadable {
			if !strings.HasPrefix(u.Reason, fmt.Sprintf("%s:%d: ", path, u.Line)) {
				t.Errorf("a piece says %q; want the file and the line first", u.Reason)
			}
		}
	}
}

func TestOpenFilesRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct{ content, want string }{
		"csv":          {"date,type,log_id\n2026-11-01,s,a\n", "neither JSON lines nor a JSON array"},
		"UTF-16":       {"\xff\xfe{\x00}\x00", "it is UTF-16"},
		"zip":          {"PK\x03\x04xxxx", "it is a zip archive: unpack it first"},
		"html":         {"<html>", "it is a page of HTML or XML"},
		"packed csv":   {gzipped("date,type\n"), "neither JSON lines nor a JSON array"},
		"no gzip":      {"\x1f\x8bxxxxxxxxxxxxxx", "gzip: invalid header"},
		"cut zstd":     {zstandard(`{"log_id":"a"}`)[:10], "it was cut"},
		"word":         {"null", "neither JSON lines nor a JSON array"},
		"one byte":     {"x", "neither JSON lines nor a JSON array"},
		"marked table": {"\xef\xbb\xbfdate;type", "neither JSON lines nor a JSON array"},
	} {
		path := write(t, dir, name, test.content)
		_, err := source.OpenFiles(t.Context(), []string{path})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q and the path", name, err, test.want)
		}
	}
	if _, err := source.OpenFiles(t.Context(), []string{dir}); !errors.Is(err, source.ErrNotAFile) {
		t.Errorf("a directory: error %v, want %v", err, source.ErrNotAFile)
	}
	if _, err := source.OpenFiles(t.Context(), []string{filepath.Join(dir, "no")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v, want %v", err, os.ErrNotExist)
	}
}

// TestFilesGoOnAfterAnyKill ends the process behind any page, again and again. What
// was stored is not read again, but for files that had a problem, and nothing is
// left out.
func TestFilesGoOnAfterAnyKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pack := map[string]func(string) string{"plain": func(s string) string { return s }, "gzip": gzipped, "zstd": zstandard}
	var paths, want []string
	for i, how := range []string{"plain", "gzip", "plain", "zstd"} {
		list, ids := records(how+strconv.Itoa(i), 30, 100)
		text := "[" + strings.Join(list, ",\n") + ",\n{\"x\":}]"
		paths, want = append(paths, write(t, dir, ids[0], pack[how](text))), append(want, ids...)
	}
	slices.Sort(want)
	rapid.Check(t, func(rt *rapid.T) {
		disk := new(pipelinetest.Pages)
		for done := false; !done; {
			f := openFiles(rt, paths...)
			f.SetPageSize(rapid.IntRange(1, 5000).Draw(rt, "page"))
			left := rapid.IntRange(1, 30).Draw(rt, "pages")
			ctx, cancel := context.WithCancelCause(t.Context())
			_ = f.Run(ctx, disk.Cursor(), func(ctx context.Context, p event.Page) error {
				done = p.CaughtUp
				if left--; left < 0 || done {
					cancel(errEnd)
					return context.Cause(ctx)
				}
				return disk.Emit(ctx, p)
			})
			cancel(nil)
		}
		counts := make(map[string]int)
		pieces := 0
		for _, p := range disk.All() {
			pieces += len(p.Unreadable)
			for _, e := range p.Events {
				counts[e.LogID]++
			}
		}
		if len(counts) != len(want) || pieces != len(paths) {
			rt.Errorf("%d events and %d pieces, want %d and %d", len(counts), pieces, len(want), len(paths))
		}
		for id, n := range counts {
			if n > 1 {
				rt.Errorf("%s was read %d times", id, n)
			}
		}
	})
}

// A list that has changed since the interruption: nothing of it may be left out.
func TestFilesOfAnotherListAreReadWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	var ids [][]string
	for _, name := range []string{"a", "b", "c"} {
		list, of := records(name, 10, 100)
		paths, ids = append(paths, write(t, dir, name, strings.Join(list, "\n"))), append(ids, of)
	}
	stopped := new(pipelinetest.Pages) // in the middle of b
	f := openFiles(t, paths[0], paths[1])
	f.SetPageSize(500)
	_ = f.Run(t.Context(), "", func(ctx context.Context, p event.Page) error {
		if len(stopped.IDs()) >= 15 {
			return errEnd
		}
		return stopped.Emit(ctx, p)
	})
	n := len(stopped.IDs()) - 10 // of b
	if n < 1 || n > 9 {
		t.Fatalf("it stopped behind %d events of b", n)
	}
	for name, test := range map[string]struct {
		paths []string
		want  [][]string
	}{
		"the same":         {paths[:2], [][]string{ids[1][n:]}},
		"one more":         {paths, [][]string{ids[1][n:], ids[2]}},
		"another before":   {[]string{paths[2], paths[0], paths[1]}, [][]string{ids[0], ids[1][n:], ids[2]}},
		"without a":        {paths[1:], [][]string{ids[1][n:], ids[2]}},
		"another in place": {[]string{paths[2], paths[1]}, [][]string{ids[1][n:], ids[2]}},
	} {
		disk := new(pipelinetest.Pages)
		from := event.Page{Cursor: stopped.Cursor()}
		if err := disk.Emit(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		readAll(t.Context(), t, openFiles(t, test.paths...), disk)
		if diff := cmp.Diff(slices.Concat(test.want...), disk.IDs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// b has changed: all of it is read.
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(paths[1], later, later); err != nil {
		t.Fatal(err)
	}
	disk := new(pipelinetest.Pages)
	if err := disk.Emit(t.Context(), event.Page{Cursor: stopped.Cursor()}); err != nil {
		t.Fatal(err)
	}
	readAll(t.Context(), t, openFiles(t, paths[:2]...), disk)
	if diff := cmp.Diff(ids[1], disk.IDs()); diff != "" {
		t.Errorf("a changed file (-want +got):\n%s", diff)
	}
}

// A file with a problem is read again after an interruption, so that the run which
// comes to the end tells of it.
func TestFilesTellOfAProblemAfterAnInterruption(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list, ids := records("b", 10, 100)
	paths := []string{write(t, dir, "a", `[{"log_id":"a"},`), write(t, dir, "b", strings.Join(list, "\n"))}
	disk := new(pipelinetest.Pages)
	f := openFiles(t, paths...)
	f.SetPageSize(500)
	_ = f.Run(t.Context(), "", func(ctx context.Context, p event.Page) error {
		if len(disk.IDs()) > 5 {
			return errEnd
		}
		return disk.Emit(ctx, p)
	})
	f = openFiles(t, paths...)
	readAll(t.Context(), t, f, disk)
	if got := f.Progress(); got.AllProblems != 1 || got.Problems[0].File != paths[0] || got.Read != 2 {
		t.Errorf("progress %+v, want the problem of the first file", got)
	}
	if missing := disk.Missing(ids); len(missing) > 0 {
		t.Errorf("missing: %v", missing)
	}
}

// Standard input keeps what was not stored for the next run of the process, and
// ends with its context although nothing comes.
func TestStandardInput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list, ids := records("a", 100, 100)
		in, out := io.Pipe()
		f := source.NewStandardInput(in)
		f.SetPageSize(1000)
		go func() { _, _ = io.WriteString(out, strings.Join(list, "\n")+"\n") }()
		disk := &pipelinetest.Pages{Fault: func(_ context.Context, n int, _ event.Page) error {
			if n%3 == 1 {
				return errors.New("disk full")
			}
			return nil
		}}
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			for {
				if err := f.Run(ctx, disk.Cursor(), disk.Emit); ctx.Err() != nil {
					done <- err
					return
				}
			}
		}()
		synctest.Wait()
		cancel(errEnd)
		if err := <-done; !errors.Is(err, errEnd) {
			t.Errorf("Run returned %v, want the cause of its context", err)
		}
		// The last page is not full, so it waited for more; its records were not stored.
		if got := disk.IDs(); len(got) < 90 || !slices.Equal(got, ids[:len(got)]) {
			t.Errorf("%d events were stored, want the first 90 or more of 100", len(got))
		}
		if p := f.Progress(); p.Events != int64(len(disk.IDs())) || p.Current != source.StandardInput || p.BytesRead == 0 {
			t.Errorf("progress %+v", p)
		}
	})
}

func TestFilesTellTheirProgress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list, _ := records("a", 50, 100)
	text := strings.Join(list, "\n")
	paths := []string{write(t, dir, "a", text), write(t, dir, "b", gzipped(strings.ReplaceAll(text, "a-", "b-")))}
	f := openFiles(t, paths...)
	f.SetPageSize(1000)
	before, size := f.Progress(), int64(0)
	disk := new(pipelinetest.Pages)
	disk.Fault = func(context.Context, int, event.Page) error {
		p := f.Progress()
		if p.BytesRead < before.BytesRead || p.Events < before.Events || p.BytesRead > p.Bytes || p.Current != "" && p.Line < 1 {
			t.Errorf("progress went from %+v to %+v", before, p)
		}
		before = p
		return nil
	}
	readAll(t.Context(), t, f, disk)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	want := source.FileProgress{Files: 2, Read: 2, Bytes: size, BytesRead: size, Events: 100}
	if diff := cmp.Diff(want, f.Progress()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
