package source_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// endlessExport is a reader of n events, which are made as they are asked for.
type endlessExport struct {
	n, made, read int
	left          string
}

func (e *endlessExport) Read(b []byte) (int, error) {
	if e.left == "" {
		if e.made == e.n {
			return 0, io.EOF
		}
		e.made++
		e.left = fmt.Sprintf("{\"log_id\":\"id-%07d\",\"x\":%q}\n", e.made, strings.Repeat("y", 1000))
	}
	n := copy(b, e.left)
	e.left = e.left[n:]
	e.read += n
	return n, nil
}

// TestFilesHoldAPageAtATime has an input that is much larger than a page: no more
// of it than some pages is read and not handed over at any time.
func TestFilesHoldAPageAtATime(t *testing.T) {
	t.Parallel()
	const page, events = 64 << 10, 10_000
	in := &endlessExport{n: events}
	f := source.NewStandardInput(in)
	f.SetPageSize(page)
	taken, most, count := 0, 0, 0
	ctx, cancel := context.WithCancelCause(t.Context())
	_ = f.Run(ctx, "", func(_ context.Context, p event.Page) error {
		size := 0
		for _, e := range p.Events {
			size += len(e.Raw) + 1
		}
		most = max(most, size, in.read-taken)
		taken += size
		count += len(p.Events)
		if p.CaughtUp {
			cancel(errEnd)
		}
		return nil
	})
	if count != events || most > 4*page {
		t.Errorf("%d events came, and up to %d bytes were read ahead; want %d, and no more than %d", count, most, events, 4*page)
	}
}

// A record beyond the bound ends its file, is told of, and harms no other file.
func TestFilesTellOfARecordThatIsTooLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := write(t, dir, "large", "{\"log_id\":\"a\"}\n{\"log_id\":\"b\",\"x\":\""+strings.Repeat("y", 100_000)+"\"}\n{\"log_id\":\"c\"}\n")
	f := openFiles(t, large, write(t, dir, "other", `{"log_id":"d"}`))
	f.SetPageSize(1000)
	f.SetLargestRecord(20_000)
	disk := new(pipelinetest.Pages)
	readAll(t.Context(), t, f, disk)
	if diff := cmp.Diff([]string{"a", "d"}, disk.IDs()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := []source.FileProblem{{File: large, Line: 2, Reason: event.ErrRecordTooLarge.Error() + ": 20000 bytes", Rest: true}}
	if diff := cmp.Diff(want, f.Progress().Problems); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
