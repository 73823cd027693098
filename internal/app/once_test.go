package app_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// runOnce runs the App of a world once and returns how it ended.
func (w *world) runOnce(ctx context.Context, t *testing.T) error {
	t.Helper()
	w.once = true
	w.start(ctx, t)
	select {
	case <-w.app.Done():
	case <-time.After(time.Hour):
		t.Fatal("a run with Once does not come to an end")
	}
	err := w.app.Err()
	w.stop(ctx, t, w.cfg.ShutdownTimeout)
	return err
}

// troubles reads what status tells while nothing is running.
func (w *world) troubles(ctx context.Context, t *testing.T) (all []web.Trouble) {
	t.Helper()
	o, err := app.ReadOverview(ctx, w.cfg, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range o.Tenants {
		all = append(all, x.Troubles...)
	}
	return all
}

// TestOnceWithATenantThatNeedsAPerson has one of three tenants refused: the others
// come to their end all the same, and the error names the one.
func TestOnceWithATenantThatNeedsAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Free, "one", "refused", "slow") // 2 calls a second: "refused" is told long before the others end
		defer w.close(t.Context(), t)
		for _, s := range w.sites {
			if err := s.tenant.Generate(500, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		w.sites[1].auth0.Add(emulator.Fault{Match: "POST /oauth/token", Times: -1, Status: 401, Body: `{"error":"access_denied","error_description":"Unauthorized"}`})
		err := w.runOnce(t.Context(), t)
		if err == nil || !strings.Contains(err.Error(), "tenant refused: ") || pipeline.Classify(err).Class != pipeline.Unauthorized {
			t.Errorf("it ended with %v, want what is wrong with the one tenant", err)
		}
		for _, s := range []*site{w.sites[0], w.sites[2]} {
			s.note()
			s.compare(t)
		}
		if left := w.troubles(t.Context(), t); len(left) != 1 || left[0].Class != "unauthorized" {
			t.Errorf("the troubles are %+v after the run, want the one", left)
		}
	})
}

// TestOnceEndsWithoutTrouble has faults that pass: when the run has come to its
// end nothing of them is left to be seen.
func TestOnceEndsWithoutTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Enterprise, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		// The polls behind the end of the log fail while delivery comes to its end.
		s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", After: 6, Times: -1, Status: 503})
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Kind: emulator.FaultDelay, Delay: 5 * time.Second})
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		s.note()
		s.compare(t)
		if left := w.troubles(t.Context(), t); len(left) > 0 {
			t.Errorf("the troubles are %+v after a run that has delivered everything", left)
		}
	})
}
