package tracing

import (
	"context"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// linksMost is how many pages a batch is linked to; the others are counted. OpenTelemetry's
	// own limit is 128, and a batch has up to 10,000 events.
	linksMost = 64
	// callsMost is how many calls of the same operation a batch has spans for: a look-up may
	// read hundreds of times, and must not keep its own span out, or those of PutLogEvents.
	callsMost = 32
)

// Observer returns what makes traces of the batches of a tenant to a destination.
func (t *Tracer) Observer(tenant, destination string) pipeline.Observer {
	return &observer{t, tenant, destination}
}

// observer follows deliveries.
type observer struct {
	tracer              *Tracer
	tenant, destination string
}

// A batch is one under way.
type batch struct {
	mu    sync.Mutex
	root  span
	calls []span
	of    map[string]int // their number by operation
	more  int            // calls without a span
}

// batchKey is the key of the batch in a context.
type batchKey struct{}

// Delivering implements pipeline.Observer.
func (o *observer) Delivering(ctx context.Context, b pipeline.Batch) (context.Context, func(pipeline.Outcome, bool)) {
	id := newTraceID()
	links, more := o.tracer.pages.find(o.tenant, b.Events, linksMost)
	if len(links) == 0 && !o.tracer.sampled(id) {
		return ctx, func(pipeline.Outcome, bool) {}
	}
	w := &batch{root: span{trace: id, id: newSpanID(), name: "deliver", kind: kindInternal, links: links, more: more}, of: make(map[string]int)}
	return context.WithValue(ctx, batchKey{}, w), func(out pipeline.Outcome, settled bool) { o.ended(w, out, settled) }
}

// ended makes the trace of a batch.
func (o *observer) ended(w *batch, out pipeline.Outcome, settled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, r := time.Now(), out.Receipt
	w.root.began, w.root.ended = out.Began, now
	w.root.attributes = []attribute{
		str("gapless.tenant", o.tenant), str("gapless.destination", o.destination), num("gapless.events", len(out.Batch.Events)),
		num("gapless.delivered", len(out.Batch.Events)-len(r.Rejected)-len(r.Skipped)-len(r.Retry)), num("gapless.rejected", len(r.Rejected)),
		num("gapless.skipped", len(r.Skipped)), num("gapless.retried", len(r.Retry)), yes("gapless.doubted", out.Doubted),
	}
	if w.more > 0 {
		w.root.attributes = append(w.root.attributes, num("gapless.more_calls", w.more))
	}
	if out.Err != nil {
		w.root.failure = pipeline.Classify(out.Err).Class.String()
		w.root.attributes = append(w.root.attributes, str("error.type", w.root.failure))
	}
	settle := w.root.child("settle", kindInternal, out.Began.Add(out.Took), now)
	if !settled {
		settle.failure = "stopped"
	}
	o.tracer.add(append(append([]span{w.root}, w.calls...), settle))
	w.calls = nil
}

// A Call is one of a batch to its destination that is over.
type Call struct {
	// Op names it.
	Op    string
	Began time.Time
	Took  time.Duration
	// Status is the HTTP status of a refusal, or 0.
	Status int
	// Err says that it failed; its text is not told.
	Err error
}

// Called makes a span of a call, if its context is that of a batch that is traced.
func (t *Tracer) Called(ctx context.Context, c Call) {
	w, ok := ctx.Value(batchKey{}).(*batch)
	if !ok {
		return
	}
	s := w.root.child(c.Op, kindClient, c.Began, c.Began.Add(c.Took))
	if c.Err != nil {
		s.failure = "refused"
		if c.Status == 0 {
			s.failure = "no answer"
		}
	}
	if c.Status != 0 {
		s.attributes = append(s.attributes, num("http.response.status_code", c.Status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[c.Op] >= callsMost {
		w.more++
		return
	}
	w.of[c.Op]++
	w.calls = append(w.calls, s)
}
