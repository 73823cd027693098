package app

import (
	"sync"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// once finds out when an App that runs once is finished: every tenant is caught
// up and delivered, or one needs a person.
type once struct {
	mu       sync.Mutex
	left     int
	err      error
	done     chan struct{}
	finished bool
}

// expect sets the number of tenants.
func (o *once) expect(tenants int) {
	o.left, o.done = tenants, make(chan struct{})
	if tenants == 0 {
		o.finish(nil)
	}
}

// tenantDone notes that one tenant is caught up and delivered.
func (o *once) tenantDone() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left--; o.left == 0 {
		o.finish(nil)
	}
}

// fail notes a trouble that will not pass by itself.
func (o *once) fail(e *pipeline.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finish(e)
}

// finish ends the waiting, the first time.
func (o *once) finish(err error) {
	if o.finished {
		return
	}
	o.finished, o.err = true, err
	close(o.done)
}

// result returns how it ended.
func (o *once) result() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
