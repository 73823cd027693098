package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// An Upstream is where a source under test takes its events from.
type Upstream struct {
	// New makes a source on it, as a start of the program does: nothing but the
	// cursor connects it to the ones before.
	New func() pipeline.Source
	// Want are the log_ids that a source which starts at the beginning brings;
	// there must be at least three pages of them.
	Want []string
}

// TestSource checks that a source keeps the contract of pipeline.Source. Each
// check calls open, inside a bubble of testing/synctest, for an upstream of its
// own; what open starts must end in t.Cleanup. A source that needs to be fed,
// such as a webhook, is fed by goroutines of open that offer an event until it
// was taken.
func TestSource(t *testing.T, open func(t *testing.T) Upstream) {
	t.Helper()
	checks := []struct {
		name  string
		check func(*testing.T, Upstream)
	}{
		{"BringsEverything", bringsEverything},
		{"KeepsItsName", keepsItsName},
		{"OffersAPageAgain", offersAgain},
		{"GoesOnFromEachCursor", goesOnFromEachCursor},
		{"WaitsForTheDisk", waitsForTheDisk},
		{"EndsWithItsContext", endsWithItsContext},
		{"EndsWhileAPageIsStored", endsWhileStoring},
		{"LeavesBytesAlone", leavesBytesAlone},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { c.check(t, open(t)) })
		})
	}
}

// Pages is a disk for the tests of sources: it keeps what Emit is given, as a
// buffer would, and can be told to fail. It is safe for concurrent use.
type Pages struct {
	// Fault decides about each page before it is stored, by its number from 0;
	// an error refuses it. Nil accepts all.
	Fault func(ctx context.Context, n int, p event.Page) error

	mu     sync.Mutex
	n      int
	pages  []event.Page
	ids    map[string]int
	cursor event.Cursor
}

// Emit is a pipeline.Emit.
func (d *Pages) Emit(ctx context.Context, p event.Page) error {
	d.mu.Lock()
	n := d.n
	d.n++
	d.mu.Unlock()
	if d.Fault != nil {
		if err := d.Fault(ctx, n, p); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = make(map[string]int)
	}
	for _, e := range p.Events {
		d.ids[e.LogID]++
	}
	if p.Cursor != "" {
		d.cursor = p.Cursor
	}
	d.pages = append(d.pages, clonePage(p))
	return nil
}

// Cursor returns the cursor that was stored last.
func (d *Pages) Cursor() event.Cursor {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cursor
}

// All returns the pages that were stored, in their order.
func (d *Pages) All() []event.Page {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.pages)
}

// IDs returns the log_ids that were stored, sorted, each once.
func (d *Pages) IDs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.ids))
}

// Missing returns those of want that were not stored.
func (d *Pages) Missing(want []string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var missing []string
	for _, id := range want {
		if d.ids[id] == 0 {
			missing = append(missing, id)
		}
	}
	return missing
}

// Causes with which the checks end things.
var (
	errEnough  = errors.New("the test has seen enough")
	errNoSpace = errors.New("no space left on the scripted disk")
)

// patience is how long, by the fake clock, a check waits for events.
const patience = time.Hour

// runSource runs sources made by start from the disk's cursor, as pipeline.Ingest
// does, until the disk has all of want or the patience ends.
func runSource(t *testing.T, start func() pipeline.Source, disk *Pages, want []string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	deadline := time.Now().Add(patience)
	emit := func(ctx context.Context, p event.Page) error {
		err := disk.Emit(ctx, p)
		if len(disk.Missing(want)) == 0 || time.Now().After(deadline) {
			cancel(errEnough)
		}
		return err
	}
	for ctx.Err() == nil {
		g := &guard{emit: emit}
		err := start().Run(ctx, disk.Cursor(), g.Emit)
		if broken := g.end(); broken != "" {
			t.Fatal(broken)
		}
		if err == nil {
			t.Fatal("Run returned nil; it must return with an error only")
		}
		if pipeline.Wait(ctx, time.Second) != nil && !errors.Is(err, errEnough) {
			t.Fatalf("Run returned %v after its context had ended; want the cause", err)
		}
		if time.Now().After(deadline) {
			break
		}
	}
	if missing := disk.Missing(want); len(missing) > 0 {
		t.Fatalf("%d of %d events are missing, the first is %s", len(missing), len(want), missing[0])
	}
}

// A guard watches how one Run calls its emit.
type guard struct {
	emit pipeline.Emit

	mu       sync.Mutex
	underWay int // pages
	moving   int // of them with a cursor
	over     bool
	broken   string // what was wrong, if anything
}

// Emit is a pipeline.Emit.
func (g *guard) Emit(ctx context.Context, p event.Page) error {
	moving := 0
	if p.Cursor != "" {
		moving = 1
	}
	g.add(1, moving)
	defer g.add(-1, -moving)
	return g.emit(ctx, p)
}

// add notes that a page comes or goes.
func (g *guard) add(page, moving int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay += page
	g.moving += moving
	switch {
	case g.over && page > 0:
		g.broken = "a page was offered after Run had returned"
	case g.moving > 0 && g.underWay > 1:
		g.broken = "a page with a cursor was offered at the same time as another"
	}
}

// end says that Run has returned, and returns what was wrong.
func (g *guard) end() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	if g.underWay > 0 {
		g.broken = "a page was still under way when Run returned"
	}
	return g.broken
}

// nowAndThen refuses every other page or so, the same ones in each run of the
// test and without a period that a source could fall into step with.
func nowAndThen(err error) func(context.Context, int, event.Page) error {
	return func(_ context.Context, n int, _ event.Page) error {
		if bits.OnesCount(uint(n))%2 == 1 {
			return err
		}
		return nil
	}
}

func bringsEverything(t *testing.T, u Upstream) {
	t.Helper()
	runSource(t, u.New, new(Pages), u.Want)
}

func keepsItsName(t *testing.T, u Upstream) {
	t.Helper()
	if a, b := u.New().Name(), u.New().Name(); a == "" || a != b {
		t.Errorf("names of two starts: %q and %q; want one that stays", a, b)
	}
}

// offersAgain refuses pages now and then: all of them come again.
func offersAgain(t *testing.T, u Upstream) {
	t.Helper()
	disk := &Pages{Fault: nowAndThen(errNoSpace)}
	kept := u.New() // one process, many runs
	runSource(t, func() pipeline.Source { return kept }, disk, u.Want)
}

// goesOnFromEachCursor starts anew after each fault: a cursor never lies behind
// an event that was not stored.
func goesOnFromEachCursor(t *testing.T, u Upstream) {
	t.Helper()
	runSource(t, u.New, &Pages{Fault: nowAndThen(errors.New("the process dies"))}, u.Want)
}

// waitsForTheDisk holds the first page with events: no cursor may be stored
// behind it meanwhile.
func waitsForTheDisk(t *testing.T, u Upstream) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	held := make(chan struct{})
	var first sync.Once
	disk := &Pages{Fault: func(ctx context.Context, _ int, p event.Page) error {
		if len(p.Events) == 0 {
			return nil
		}
		first.Do(func() { close(held) })
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	done := make(chan error, 1)
	go func() { done <- u.New().Run(ctx, "", disk.Emit) }()
	<-held
	<-time.After(time.Minute) // of the bubble
	synctest.Wait()
	cancel(errEnough)
	if err := <-done; !errors.Is(err, errEnough) {
		t.Errorf("Run returned %v, want the cause of its context", err)
	}
	if got := disk.IDs(); len(got) > 0 {
		t.Fatalf("events were stored past one that was not: %q", got)
	}
	disk.Fault = nil
	runSource(t, u.New, disk, u.Want)
}

func endsWithItsContext(t *testing.T, u Upstream) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if err := u.New().Run(ctx, "", new(Pages).Emit); !errors.Is(err, errEnough) {
		t.Errorf("Run with an ended context returned %v, want its cause", err)
	}
	disk := new(Pages)
	runSource(t, u.New, disk, u.Want)
	ctx, cancel = context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.New().Run(ctx, disk.Cursor(), disk.Emit) }()
	<-time.After(time.Minute) // of the bubble: it has caught up and waits
	cancel(errEnough)
	if err := <-done; !errors.Is(err, errEnough) {
		t.Errorf("Run returned %v while it waited, want the cause of its context", err)
	}
}

// endsWhileStoring ends the context inside emit. That Run has left no goroutine
// behind is checked by the bubble, which waits for all of them.
func endsWhileStoring(t *testing.T, u Upstream) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	disk := &Pages{Fault: func(ctx context.Context, _ int, p event.Page) error {
		if len(p.Events) == 0 {
			return nil
		}
		cancel(errEnough)
		return context.Cause(ctx)
	}}
	if err := u.New().Run(ctx, "", disk.Emit); !errors.Is(err, errEnough) {
		t.Errorf("Run returned %v, want the cause of its context", err)
	}
}

func leavesBytesAlone(t *testing.T, u Upstream) {
	t.Helper()
	disk := &Pages{Fault: func(ctx context.Context, _ int, p event.Page) error {
		before := clonePage(p)
		if err := pipeline.Wait(ctx, time.Second); err != nil { // others may be offered meanwhile
			return err
		}
		for i, e := range p.Events {
			if want := before.Events[i].Raw; !bytes.Equal(e.Raw, want) {
				t.Errorf("the bytes of event %s were written to during emit: %q, then %q", e.LogID, want, e.Raw)
			}
		}
		return nil
	}}
	runSource(t, u.New, disk, u.Want)
}

// clonePage copies a page with its bytes.
func clonePage(p event.Page) event.Page {
	p.Events, p.Unreadable = slices.Clone(p.Events), slices.Clone(p.Unreadable)
	for i := range p.Events {
		p.Events[i].Raw = bytes.Clone(p.Events[i].Raw)
	}
	for i := range p.Unreadable {
		p.Unreadable[i].Raw = bytes.Clone(p.Unreadable[i].Raw)
	}
	return p
}
