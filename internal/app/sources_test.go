package app_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// TestSourcesAreCountedExactly holds that what the sources of a tenant are told to have
// brought adds up to what the store counts, and that what Auth0 said of its rate limit
// is told; also after a reload.
func TestSourcesAreCountedExactly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Free, "dev")
		w.pushTo(t)
		s := w.sites[0]
		if err := s.tenant.Generate(200, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		defer w.close(t.Context(), t)
		w.start(t.Context(), t)
		if l := w.overview(t.Context(), t, "dev").RateLimit; l != nil {
			t.Errorf("before the first call the rate limit is %+v", *l)
		}
		w.pushAll(t, s, 30, 2)
		<-time.After(2 * time.Minute)
		checkSources(t, w)
		o := w.overview(t.Context(), t, "dev")
		if l := o.RateLimit; l == nil || l.Limit != 2 || l.Remaining < 0 || l.Remaining > 2 || l.Share <= 0 || l.Share > 1 || l.Reset.IsZero() {
			t.Errorf("the rate limit is %+v", l)
		}
		again := *w.cfg
		again.Tenants = append(again.Tenants[:0:0], w.cfg.Tenants...)
		again.Tenants[0].PollInterval = 7 * time.Second
		if done := w.reload(t.Context(), t, &again); len(done.Changed) != 1 {
			t.Fatalf("the reload has done %+v", done)
		}
		w.pushAll(t, s, 50, 1)
		<-time.After(time.Minute)
		checkSources(t, w)
	})
}

// checkSources compares the sources with the counts of the store.
func checkSources(t *testing.T, w *world) {
	t.Helper()
	o := w.overview(t.Context(), t, "dev")
	var sum web.Source
	for _, x := range o.Sources {
		sum.Stored += x.Stored
		sum.Duplicates += x.Duplicates
		if x.Last.IsZero() || x.Last.After(time.Now()) {
			t.Errorf("%s brought its last event at %v", x.Name, x.Last)
		}
	}
	if len(o.Sources) != 2 || sum.Stored != o.Stored || sum.Duplicates != o.Duplicates || o.Stored < 200 {
		t.Errorf("the sources are %+v; the store has %d new and %d duplicates", o.Sources, o.Stored, o.Duplicates)
	}
	if status, _ := w.readiness(t.Context(), t); status != http.StatusOK {
		t.Errorf("readyz answers %d", status)
	}
}
