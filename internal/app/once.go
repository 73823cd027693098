package app

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
// others from coming to their end.
type once struct {
	mu       sync.Mutex
	waiting  map[string]map[string]*pipeline.Error // by tenant and part: who must act
	err      error
	done     chan struct{}
	finished bool
}

// expect sets the tenants.
func (o *once) expect(tenants []config.Tenant) {
	o.waiting, o.done = make(map[string]map[string]*pipeline.Error), make(chan struct{})
	for _, t := range tenants {
		o.waiting[t.Name] = make(map[string]*pipeline.Error)
	}
	o.check()
}

// tenantDone notes that a tenant is caught up and delivered.
func (o *once) tenantDone(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.waiting, name)
	o.check()
}

// trouble notes whether a part of a tenant is in a trouble that will not pass by
// itself; nil says that it is not.
func (o *once) trouble(name, part string, e *pipeline.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	parts := o.waiting[name]
	switch {
	case parts == nil: // it is done
	case e == nil:
		delete(parts, part)
	default:
		parts[part] = e
		o.check()
	}
}

// check ends the waiting, the first time that nothing is left to wait for. The
// caller holds mu.
func (o *once) check() {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.waiting)) {
		parts := o.waiting[name]
		if len(parts) == 0 {
			return
		}
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			errs = append(errs, fmt.Errorf("tenant %s: %w", name, parts[part]))
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
