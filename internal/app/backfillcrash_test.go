package app_test

import (
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
)

// TestBackfillKilledAgainAndAgain kills a real process that does a backfill, beside its
// export and alone, at the steps of an event's way. In the end what the tenant held
// before the export began is there too, and each event once.
func TestBackfillKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const logs, put, read = "GET /api/v2/logs", "PutLogEvents", "FilterLogEvents"
	c := newCrash(t, false)
	c.spec.StartFrom, c.spec.InFlight, c.spec.LogStream = "latest", 2, "logs"
	c.killAt(t, moment{logs, answered, 3, 0}) // the export has begun
	cfg, err := c.spec.config()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	q, _, err := app.RequestBackfill(t.Context(), cfg, app.BackfillRequest{Tenant: "dev", Since: now.Add(-2 * time.Hour), Until: now})
	if err != nil {
		t.Fatal(err)
	}
	alone := func(m moment) {
		c.spec.Backfill = q.ID
		c.killAt(t, m)
		c.spec.Backfill = ""
	}
	const latest = 1500 * time.Millisecond
	alone(moment{read, worked, 1, latest})
	alone(moment{logs, worked, 4, latest})
	c.killAt(t, moment{put, asked, 3, latest})
	alone(moment{put, worked, 1, latest})
	alone(moment{put, answered, 1, latest})
	copies, _ := c.copies(t)
	for raw, n := range copies {
		if n > 1 {
			t.Errorf("an event is there %d times: %.100s", n, raw)
		}
	}
	c.complete(t, q.ID)
	c.compare(t, 6)
}

// complete lets a backfill come to its end.
func (c *crash) complete(t *testing.T, id string) {
	t.Helper()
	end := c.serve(newGate(moment{}))
	defer end()
	a, err := c.spec.open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg, err := c.spec.config()
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ended := false; !ended; <-tick.C {
		list, err := app.Backfills(t.Context(), cfg)
		if err != nil || len(list) != 1 || list[0].ID != id {
			t.Fatalf("backfills: %+v, %v", list, err)
		}
		ended = list[0].Phase == app.BackfillDone
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
