package source_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// TestNothingIsLost is the promise of the poll: whatever tenant, whatever faults
// and restarts, every event is stored, and no stored cursor lies behind an event
// that is not.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Wrapped, for rapid would ask a *testing.T for its deadline, which no
		// bubble allows.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			w := drawWorld(rt)
			w.run(t.Context(), rt)
			if missing := w.disk.Missing(w.tenant.ids()); len(missing) > 0 {
				rt.Fatalf("%d events are missing, the first is %s; the cursor is %s", len(missing), missing[0], w.disk.Cursor())
			}
			if got := gaps(w.disk); len(got) > 0 {
				rt.Fatalf("gaps are reported: %+v", got)
			}
		})
	})
}

// world is a tenant with the faults around it.
type world struct {
	tenant *fakeAuth0
	disk   *pipelinetest.Pages
	cfg    source.PollConfig
	calm   time.Time // no faults from here on

	mu     sync.Mutex
	rng    *rand.Rand
	faults int    // of 100 calls, and of 100 pages
	broken string // what went wrong
}

// drawWorld draws a tenant whose events arrive up to five seconds after their
// date, as those of Auth0 do.
func drawWorld(rt *rapid.T) *world {
	w := &world{
		disk:   new(pipelinetest.Pages),
		rng:    rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)),
		faults: rapid.SampledFrom([]int{0, 5, 30, 60}).Draw(rt, "faults"),
		calm:   time.Now().Add(2 * time.Minute),
	}
	s := &fakeAuth0{
		served:    rapid.SampledFrom([]int{0, 1, 7, 50}).Draw(rt, "served"),
		noLink:    rapid.Bool().Draw(rt, "no links"),
		inclusive: rapid.Bool().Draw(rt, "inclusive"),
		knownOnly: rapid.Bool().Draw(rt, "known only"),
		skew:      rapid.SampledFrom([]time.Duration{0, 3 * time.Hour, -3 * time.Hour}).Draw(rt, "skew"),
	}
	if s.inclusive && s.served == 1 {
		s.served = 2 // or it would never get anywhere
	}
	w.tenant = s
	w.cfg = source.DefaultPollConfig()
	w.cfg.Overlap = rapid.SampledFrom([]time.Duration{0, source.DefaultOverlap}).Draw(rt, "overlap")
	opaque := rapid.Bool().Draw(rt, "opaque ids")
	n := rapid.IntRange(0, 400).Draw(rt, "events")
	step := rapid.SampledFrom([]time.Duration{time.Millisecond, 100 * time.Millisecond, 5 * time.Second}).Draw(rt, "step")
	for i := range n {
		w.arrive(i, time.Now().Add(-time.Minute-time.Duration(n-i)*step), opaque)
	}
	s.fault = w.fault
	go func() { // more of them, while it is being read
		for i := range 20 {
			<-time.After(time.Second)
			w.arrive(n+i, time.Now(), opaque)
		}
	}()
	w.disk.Fault = w.refuse
	return w
}

// arrive appends an event that happened a while before it arrived.
func (w *world) arrive(i int, at time.Time, opaque bool) {
	w.mu.Lock()
	at = at.Add(w.tenant.skew) // all of them by Auth0's clock
	date := at.Add(-time.Duration(w.rng.IntN(5000)) * time.Millisecond)
	w.mu.Unlock()
	id := opaqueID(i)
	if !opaque {
		id = realID(at, i)
	}
	w.tenant.add(id, date)
}

// strikes says whether a fault happens now.
func (w *world) strikes() bool {
	return time.Now().Before(w.calm) && w.rng.IntN(100) < w.faults
}

// fault answers some calls wrongly.
func (w *world) fault(_ int, c call) (*auth0.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.strikes() {
		return nil, nil
	}
	switch w.rng.IntN(5) {
	case 0:
		return nil, &auth0.Error{Op: "fetch logs", Status: 429, Kind: auth0.Throttled, RetryAfter: time.Second}
	case 1:
		return nil, serverError(500)
	case 2:
		return nil, &auth0.Error{Op: "fetch logs", Err: event.ErrTruncated}
	case 3:
		return nil, &auth0.Error{Op: "fetch logs", Err: auth0.ErrTooLarge}
	default: // an answer from a cache, with events that came before
		return w.stale(c.From), nil
	}
}

// stale returns a page of the log that ends before an id, or at it.
func (w *world) stale(from string) *auth0.Answer {
	w.tenant.mu.Lock()
	defer w.tenant.mu.Unlock()
	i := slices.IndexFunc(w.tenant.log, func(e event.Event) bool { return e.LogID == from })
	if i < 0 {
		return nil
	}
	end := w.rng.IntN(i + 1)
	page := event.Page{Events: slices.Clone(w.tenant.log[max(0, end-20) : end+1])}
	return &auth0.Answer{Page: page, Next: w.tenant.log[end].LogID}
}

// errRefused is a disk that does not take a page.
var errRefused = errors.New("the disk refuses the page")

// refuse refuses some pages, and checks the cursor of the others.
func (w *world) refuse(_ context.Context, _ int, p event.Page) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.strikes() {
		return errRefused
	}
	if p.Cursor == "" || strings.HasPrefix(string(p.Cursor), "@") {
		return nil
	}
	ids := w.tenant.ids()
	i := slices.Index(ids, string(p.Cursor))
	var here []string
	for _, e := range p.Events {
		here = append(here, e.LogID)
	}
	missing := slices.DeleteFunc(w.disk.Missing(ids[:i+1]), func(id string) bool { return slices.Contains(here, id) })
	if len(missing) > 0 && w.broken == "" {
		w.broken = fmt.Sprintf("cursor %s lies behind %q, which is not stored", p.Cursor, missing)
	}
	return nil
}

// run reads the tenant for five minutes, starting again after each error, now
// and then in a new process.
func (w *world) run(ctx context.Context, rt *rapid.T) {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errEnd)
	defer cancel()
	p := source.NewPoll(w.cfg, w.tenant, source.Deps{})
	for ctx.Err() == nil {
		life, die := context.WithCancelCause(ctx)
		if time.Now().Before(w.calm) {
			time.AfterFunc(time.Duration(w.draw(20))*time.Second, func() { die(errEnd) })
		}
		err := p.Run(life, w.disk.Cursor(), w.disk.Emit)
		die(nil)
		if err == nil {
			rt.Fatal("Run returned nil")
		}
		if w.draw(2) == 0 {
			p = source.NewPoll(w.cfg, w.tenant, source.Deps{})
		}
		<-time.After(time.Second)
		if w.broken != "" {
			rt.Fatal(w.broken)
		}
	}
}

// draw returns a number below n.
func (w *world) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}
