package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// TestStopKeepsItsTime stops an App of several tenants none of whose calls comes
// back: it ends when the time is over, however short, and never later than
// shutdown_timeout. What was under way arrives after the next start.
func TestStopKeepsItsTime(t *testing.T) {
	t.Parallel()
	for _, within := range []time.Duration{0, time.Second, 20 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, t.TempDir(), tenant.Unlimited, "first", "second", "third")
			defer w.close(t.Context(), t)
			for _, s := range w.sites {
				if err := s.tenant.Generate(50, time.Now().Add(-time.Hour), time.Now()); err != nil {
					t.Fatal(err)
				}
				s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", After: 2, Times: -1, Kind: emulator.FaultHang})
				s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Kind: emulator.FaultHang})
			}
			w.start(t.Context(), t)
			<-time.After(15 * time.Second) // calls under way, and no trouble yet
			began := time.Now()
			w.stop(t.Context(), t, within)
			if took, most := time.Since(began), min(within, w.cfg.ShutdownTimeout); took > most {
				t.Errorf("stop took %v, want %v at most", took, most)
			}
			for _, s := range w.sites {
				s.auth0.Clear()
				s.aws.Clear()
			}
			w.start(t.Context(), t)
			<-time.After(time.Minute)
			for _, s := range w.sites {
				s.compare(t)
			}
		})
	}
}

// TestStopDeliversWhatIsStored stops an App while events wait for a batch to
// fill up: they go out before it ends.
func TestStopDeliversWhatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.cfg.Tenants[0].CloudWatch.Linger = 5 * time.Second
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(3 * time.Second)
		if o := w.overview(t.Context(), t, "dev"); o.Buffered == 0 || o.Delivered > 0 {
			t.Fatalf("%d events are buffered and %d delivered, want them to wait", o.Buffered, o.Delivered)
		}
		began := time.Now()
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stop took %v, want no longer than the batch waits", took)
		}
		s.compare(t)
	})
}
