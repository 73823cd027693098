package source_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// TestReadsAheadOfTheDisk holds the disk: a bounded number of pages is fetched
// meanwhile, and what has gathered is handed over as one page.
func TestReadsAheadOfTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 2500, time.Second, time.Hour, false)
		release := make(chan struct{})
		disk := &pipelinetest.Pages{Fault: func(ctx context.Context, _ int, _ event.Page) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}
		end := startOn(t, poll(s, source.Earliest()), event.Cursor(s.ids()[0]), disk)
		synctest.Wait()
		read := 0
		if got := len(s.asked()); got != 16 {
			t.Errorf("%d calls while the first page is being stored, want 16", got)
		}
		for i, want := range []struct{ events, calls int }{
			{100, 1},  // alone, because nothing waited before it
			{1500, 9}, // the 15 that waited
			{100, 0},  // the one there was room for while they did
			{799, 0},  // all that came since
			{0, 0},    // the news that there is no more
		} {
			release <- struct{}{}
			synctest.Wait()
			pages := disk.All()
			if len(pages) != i+1 || len(pages[i].Events) != want.events {
				t.Fatalf("release %d: %d pages, the last of %d events, want %d", i, len(pages), len(pages[len(pages)-1].Events), want.events)
			}
			if got := len(s.asked()); got != want.calls {
				t.Errorf("release %d: %d calls, want %d", i, got, want.calls)
			}
			read += want.events
			if got, want := string(disk.Cursor()), s.ids()[read]; got != want {
				t.Errorf("release %d: cursor %s, want %s", i, got, want)
			}
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
		if diff := cmp.Diff(s.ids()[1:], disk.IDs()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// TestReadAheadIsBoundedByBytes has pages so large that few of them are held.
func TestReadAheadIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 2500, time.Second, time.Hour, false)
		for i := range s.log {
			s.log[i].Raw = make([]byte, 10_000) // a page is of a megabyte
		}
		disk := &pipelinetest.Pages{Fault: func(ctx context.Context, _ int, _ event.Page) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		end := startOn(t, poll(s, source.Earliest()), event.Cursor(s.ids()[0]), disk)
		synctest.Wait()
		if got := len(s.asked()); got != 5 {
			t.Errorf("%d calls while the first page is being stored, want 5: more than 4 MiB", got)
		}
		if err := end(); !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
}

// TestPagesReadAheadComeAgain refuses pages that were joined: all of them come
// again, and none is taken for one that is on disk.
func TestPagesReadAheadComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeAuth0)
		history(s, 1200, time.Second, time.Hour, false)
		full := fmt.Errorf("store page: %w", pipeline.ErrBufferFull)
		disk := &pipelinetest.Pages{Fault: func(_ context.Context, n int, p event.Page) error {
			<-time.After(time.Second) // so that pages gather
			if n%3 == 1 && !p.Empty() {
				return full
			}
			return nil
		}}
		p := poll(s, source.Earliest())
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			from := disk.Cursor()
			if from == "" {
				from = event.Cursor(s.ids()[0])
			}
			err := p.Run(ctx, from, disk.Emit)
			cancel()
			if !errors.Is(err, pipeline.ErrBufferFull) {
				break
			}
		}
		if diff := cmp.Diff(s.ids()[1:], disk.IDs()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
