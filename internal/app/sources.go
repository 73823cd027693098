package app

import (
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// tallies count what the sources of each tenant have brought since the process started,
// across reloads.
type tallies struct {
	mu sync.Mutex
	of map[tallyKey]*web.Source
}

// A tallyKey names a source of a tenant.
type tallyKey struct{ tenant, source string }

// counts returns what counts the intakes of a source, and passes them on.
func (t *tallies) counts(tenant, source string, next stored) stored {
	key := tallyKey{tenant, source}
	return func(in pipeline.Intake, done pipeline.Appended) {
		t.add(key, in, done)
		if next != nil {
			next(in, done)
		}
	}
}

// add counts an intake that is on disk.
func (t *tallies) add(key tallyKey, in pipeline.Intake, done pipeline.Appended) {
	if done.Stored+done.Duplicates+in.LeftOut == 0 {
		return // it moved a cursor alone
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[tallyKey]*web.Source)
	}
	s := t.of[key]
	if s == nil {
		s = &web.Source{Name: key.source}
		t.of[key] = s
	}
	s.Stored += int64(done.Stored)
	s.Duplicates += int64(done.Duplicates)
	s.Last = time.Now().UTC()
}

// sources returns the counts of the sources that a tenant has now, in their order; zero
// for one that has brought nothing yet.
func (t *tallies) sources(tenant string, ingests []*pipeline.Ingest) []web.Source {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]web.Source, 0, len(ingests))
	for _, in := range ingests {
		s := web.Source{Name: in.Source.Name()}
		if known := t.of[tallyKey{tenant, s.Name}]; known != nil {
			s = *known
		}
		list = append(list, s)
	}
	return list
}

// rateLimit returns what Auth0 said last of the calls that are left; nil when the tenant
// is not polled, or nothing was said yet.
func (t *tenant) rateLimit() *web.RateLimit {
	if t.client == nil {
		return nil
	}
	l, ok := t.client.RateLimit()
	if !ok {
		return nil
	}
	return &web.RateLimit{Limit: l.Limit, Remaining: l.Remaining, Reset: l.Reset, Share: l.Share}
}
