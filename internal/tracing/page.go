package tracing

import (
	"errors"
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Watch returns what makes traces of the pages of a source and tells next as well, which
// may be nil.
func (t *Tracer) Watch(tenant, source string, next pipeline.SourceWatch) pipeline.SourceWatch {
	return &watch{tracer: t, tenant: tenant, source: source, next: next}
}

// watch follows a source.
type watch struct {
	tracer         *Tracer
	tenant, source string
	next           pipeline.SourceWatch // may be nil
}

// Stored implements pipeline.SourceWatch.
func (w *watch) Stored(p event.Page, in pipeline.Intake, done pipeline.Appended) {
	w.trace(p, in, done)
	if w.next != nil {
		w.next.Stored(p, in, done)
	}
}

// trace makes the trace of a page that is on disk.
func (w *watch) trace(p event.Page, in pipeline.Intake, done pipeline.Appended) {
	id := newTraceID()
	if !w.tracer.sampled(id) {
		return
	}
	now := time.Now()
	root := span{
		trace: id, id: newSpanID(), name: "page", kind: kindInternal, began: in.Received, ended: now,
		attributes: []attribute{
			str("gapless.tenant", w.tenant), str("gapless.source", w.source), num("gapless.events", len(p.Events)), yes("gapless.gap", p.Gap != nil),
		},
	}
	spans := make([]span, 1, 2+len(p.Fetches))
	for _, f := range p.Fetches {
		if f.Began.Before(root.began) {
			root.began = f.Began
		}
		spans = append(spans, root.child("fetch page", kindClient, f.Began, f.Began.Add(f.Took),
			str("gapless.tenant", w.tenant), num("gapless.events", f.Records), num("http.response.status_code", http.StatusOK)))
	}
	skipped := 0
	for _, n := range in.Skipped {
		skipped += n
	}
	spans = append(spans, root.child("append", kindInternal, in.Received, now,
		num("gapless.stored", done.Stored), num("gapless.duplicates", done.Duplicates), num("gapless.skipped", skipped),
		num("gapless.unreadable", len(in.Unreadable))))
	spans[0] = root
	for e, known := range done.Of(in) {
		if !known {
			w.tracer.pages.remember(w.tenant, e.LogID, ref{root.trace, root.id})
		}
	}
	w.tracer.add(spans)
}

// CaughtUp implements pipeline.SourceWatch.
func (w *watch) CaughtUp() {
	if w.next != nil {
		w.next.CaughtUp()
	}
}

// Failed implements pipeline.SourceWatch.
func (w *watch) Failed(e pipeline.Error) {
	if id := newTraceID(); w.tracer.sampled(id) {
		now := time.Now()
		s := span{
			trace: id, id: newSpanID(), name: "source failed", kind: kindInternal, began: now, ended: now, failure: e.Class.String(),
			attributes: []attribute{str("gapless.tenant", w.tenant), str("gapless.source", w.source), str("error.type", e.Class.String())},
		}
		if status := statusOf(e.Err); status != 0 {
			s.attributes = append(s.attributes, num("http.response.status_code", status))
		}
		w.tracer.add([]span{s})
	}
	if w.next != nil {
		w.next.Failed(e)
	}
}

// Ended implements pipeline.SourceWatch.
func (w *watch) Ended() {
	if w.next != nil {
		w.next.Ended()
	}
}

// statusOf returns the HTTP status of an error that has one; 0 of any other.
func statusOf(err error) int {
	var answered interface{ HTTPStatus() int }
	if errors.As(err, &answered) {
		return answered.HTTPStatus()
	}
	return 0
}

// pagesMost is how many events are remembered with the page that brought them: some 4 MB.
const pagesMost = 1 << 16

// pages remember which trace the latest events came with.
type pages struct {
	seed maphash.Seed

	mu    sync.Mutex
	of    map[uint64]ref
	order []uint64 // a ring, once it is full
	next  int
}

// key names an event of a tenant. Two of the same key would at the worst be a wrong link.
func (p *pages) key(tenant, logID string) uint64 {
	return maphash.String(p.seed, tenant) ^ maphash.String(p.seed, logID)*3
}

// remember notes with which page an event came.
func (p *pages) remember(tenant, logID string, r ref) {
	k := p.key(tenant, logID)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[uint64]ref)
	}
	if _, again := p.of[k]; again {
		p.of[k] = r
		return
	}
	if len(p.order) < pagesMost {
		p.order = append(p.order, k)
	} else {
		delete(p.of, p.order[p.next])
		p.order[p.next] = k
		p.next = (p.next + 1) % pagesMost
	}
	p.of[k] = r
}

// find returns the pages of events, each once, most of them at the most, and how many
// more there are.
func (p *pages) find(tenant string, events []event.Event, most int) (list []ref, more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.of) == 0 {
		return nil, 0
	}
	seen := make(map[ref]bool)
	for i := range events {
		r, known := p.of[p.key(tenant, events[i].LogID)]
		if !known || seen[r] {
			continue
		}
		seen[r] = true
		if len(list) < most {
			list = append(list, r)
		} else {
			more++
		}
	}
	return list, more
}
