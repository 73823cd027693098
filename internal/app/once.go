package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// errNothingToPoll says that a run with Once has nothing to do.
var errNothingToPoll = errors.New("no tenant has a domain or a queue to read from, and a run that ends by itself receives nothing")

// checkOnce refuses a run with Once that would do nothing.
func checkOnce(opts Options) error {
	reads := func(t config.Tenant) bool { return t.Polls() || t.SQS.QueueURL != "" }
	if !opts.Once || len(opts.Config.Tenants) == 0 || slices.ContainsFunc(opts.Config.Tenants, reads) {
		return nil
	}
	return &pipeline.Error{Op: "run once", Class: pipeline.Misconfigured, Err: errNothingToPoll, Hint: "Use gapless run without --once: Auth0 pushes when it has something."}
}

// once finds out when an App that runs once is finished: every tenant is caught
// up and delivered, or needs a person. One that needs a person keeps none of the
// others from coming to their end, nor does an outlet that needs one.
type once struct {
	mu       sync.Mutex
	waiting  map[string]*awaitedTenant
	err      error
	done     chan struct{}
	finished bool
}

// An awaitedTenant is one that is not done.
type awaitedTenant struct {
	outlets map[string]bool            // those that are not done, by the part of their troubles
	parts   map[string]*pipeline.Error // by part: who must act
}

// ended reports whether nothing more is to be waited for: a source needs a person,
// or each outlet that is not done does.
func (t *awaitedTenant) ended() bool {
	for part := range t.parts {
		if part != pipeline.DeliveryPart && !strings.HasPrefix(part, pipeline.DeliveryPart+":") {
			return true
		}
	}
	for part := range t.outlets {
		if t.parts[part] == nil {
			return false
		}
	}
	return true
}

// expect sets the tenants.
func (o *once) expect(tenants []config.Tenant) {
	o.waiting, o.done = make(map[string]*awaitedTenant), make(chan struct{})
	for i := range tenants {
		t := &tenants[i]
		awaited := &awaitedTenant{outlets: map[string]bool{pipeline.DeliveryPart: true}, parts: make(map[string]*pipeline.Error)}
		for _, d := range t.Destinations {
			awaited.outlets[pipeline.DeliveryPartOf(d.Name)] = true
		}
		o.waiting[t.Name] = awaited
	}
	o.check()
}

// outletDone notes that a tenant is caught up, and delivered by one of its outlets.
func (o *once) outletDone(name, outlet string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.waiting[name]
	if t == nil {
		return
	}
	delete(t.outlets, pipeline.DeliveryPartOf(outlet))
	if len(t.outlets) == 0 {
		delete(o.waiting, name)
	}
	o.check()
}

// trouble notes whether a part of a tenant is in a trouble that will not pass by
// itself; nil says that it is not.
func (o *once) trouble(name, part string, e *pipeline.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.waiting[name]
	switch {
	case t == nil: // it is done
	case e == nil:
		delete(t.parts, part)
	default:
		t.parts[part] = e
		o.check()
	}
}

// check ends the waiting, the first time that nothing is left to wait for. The
// caller holds mu.
func (o *once) check() {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.waiting)) {
		t := o.waiting[name]
		if !t.ended() {
			return
		}
		for _, part := range slices.Sorted(maps.Keys(t.parts)) {
			err := error(t.parts[part])
			if _, sink, further := strings.Cut(part, ":"); further {
				err = fmt.Errorf("destination %s: %w", sink, err)
			}
			errs = append(errs, fmt.Errorf("tenant %s: %w", name, err))
		}
	}
	if !o.finished {
		o.finished, o.err = true, errors.Join(errs...)
		close(o.done)
	}
}

// result returns how it ended.
func (o *once) result() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// endedWell reports whether every tenant is caught up and delivered.
func (o *once) endedWell() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.finished && o.err == nil
}
