package source

import (
	"context"
	"maps"
	"slices"

	"github.com/gaplesslogs/gapless/internal/event"
)

// How far the poll reads ahead of the disk: until it holds this many pages or
// bytes of events, those being stored included. Pages of ordinary size, 150 kB,
// are bounded by their number.
const (
	maxAheadPages = 16
	maxAheadBytes = 4 << 20
)

// handover gives steps to emit, in their order and one at a time, while the
// reader fetches what follows. What has gathered meanwhile is handed over as one
// page, so that one commit serves it: where the log comes faster than the disk
// flushes, the number of flushes falls and not the pace.
//
//	fetch ─► judge ─► waiting ─┐ all of them
//	  ▲                        ▼
//	  └── as long as      storing ─► emit ─► on disk
//	      there is room
//
// The reader's goroutine owns it, and everything the reader knows; the goroutine
// of a storing calls emit and touches nothing else.
type handover struct {
	*reader

	waiting []step
	storing *storing // nil when nothing is being handed over
	pages   int      // in waiting and storing
	bytes   int
	err     error // of emit; final
}

// storing is a hand-over under way.
type storing struct {
	steps []step
	done  chan struct{}
	err   error
}

// add takes a step and hands it over unless another one is under way.
func (h *handover) add(ctx context.Context, s step) {
	h.waiting = append(h.waiting, s)
	h.pages += len(s.pages)
	h.bytes += s.bytes()
	for _, p := range s.pages {
		h.know(p)
	}
	if h.storing == nil {
		h.store(ctx)
	}
}

// store starts to hand over what waits.
func (h *handover) store(ctx context.Context) {
	st := &storing{steps: h.waiting, done: make(chan struct{})}
	h.waiting, h.storing = nil, st
	var pages []event.Page
	for _, s := range st.steps {
		pages = append(pages, s.pages...)
	}
	go func() {
		defer close(st.done)
		for _, p := range merge(pages) {
			if st.err = h.emit(ctx, p); st.err != nil {
				return
			}
		}
	}()
}

// stored ends the hand-over that is done and starts the next.
func (h *handover) stored(ctx context.Context) error {
	<-h.storing.done
	st := h.storing
	h.storing = nil
	if st.err != nil {
		h.err = st.err
		h.known = newRecent() // it may hold what is not on disk, and must not hide that when it comes again
		return h.err
	}
	for _, s := range st.steps {
		h.noteDone(s)
		h.pages -= len(s.pages)
		h.bytes -= s.bytes()
	}
	if len(h.waiting) > 0 {
		h.store(ctx)
	}
	return nil
}

// full reports whether enough was read ahead.
func (h *handover) full() bool {
	return h.storing != nil && (h.pages >= maxAheadPages || h.bytes >= maxAheadBytes)
}

// fetchMeanwhile fetches the page behind an id while pages are handed over, once
// there is room for it. It gives the page up when emit fails.
func (h *handover) fetchMeanwhile(ctx context.Context, id string) (fetched, error) {
	for h.full() {
		if err := h.stored(ctx); err != nil {
			return fetched{}, err
		}
	}
	f := h.readAhead(ctx, id)
	for {
		var done <-chan struct{}
		if h.storing != nil {
			done = h.storing.done
		}
		select {
		case <-f.done:
			return f.wait()
		case <-done:
			if err := h.stored(ctx); err != nil {
				f.abandon()
				return fetched{}, err
			}
		}
	}
}

// flush waits until everything is on disk, or emit has failed.
func (h *handover) flush(ctx context.Context) error {
	for h.err == nil && h.storing != nil {
		_ = h.stored(ctx) // sets err
	}
	return h.err
}

// merge joins pages that follow each other into one, with the cursor behind the
// last. One that does nothing but say that the source has caught up stays alone,
// because it is told apart by being empty.
func merge(pages []event.Page) []event.Page {
	var out []event.Page
	for _, p := range pages {
		last := len(out) - 1
		if last < 0 || out[last].CaughtUp || p.CaughtUp && p.Empty() || p.Gap != nil {
			out = append(out, p)
		} else {
			out[last] = join(out[last], p)
		}
	}
	return out
}

// join makes one page of two.
func join(a, b event.Page) event.Page {
	a.Events = append(slices.Clip(a.Events), b.Events...)
	a.Unreadable = append(slices.Clip(a.Unreadable), b.Unreadable...)
	a.Fetches = append(slices.Clip(a.Fetches), b.Fetches...)
	if len(b.Skipped) > 0 {
		skipped := maps.Clone(b.Skipped)
		for reason, n := range a.Skipped {
			skipped[reason] += n
		}
		a.Skipped = skipped
	}
	if b.Cursor != "" {
		a.Cursor = b.Cursor
	}
	if !b.Mark.IsZero() {
		a.Mark = b.Mark
	}
	a.CaughtUp = b.CaughtUp
	return a
}

// flight is a page being fetched.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
	got    fetched
	err    error
}

// readAhead starts to fetch the page behind an id. The caller must call wait or
// abandon.
func (r *reader) readAhead(ctx context.Context, id string) *flight {
	ctx, cancel := context.WithCancel(ctx)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.got, f.err = r.fetch(ctx, id)
	}()
	return f
}

// wait returns the page.
func (f *flight) wait() (fetched, error) {
	<-f.done
	f.cancel()
	return f.got, f.err
}

// abandon gives the page up.
func (f *flight) abandon() {
	f.cancel()
	<-f.done
}
