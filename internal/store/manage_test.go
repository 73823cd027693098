package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

func TestPendingCountsUntilTheReceipt(t *testing.T) {
	t.Parallel()
	b := openBuffer(t, openStore(t, store.Config{}), "dev")
	mustAppend(t, b, newIntake(0, 5, 200))
	batch := take(t, b, limits())
	if got := b.Pending(); got != 5 {
		t.Errorf("pending is %d while the batch is under way, want 5", got)
	}
	mustSettle(t, b, batch, pipeline.Receipt{Retry: []int{4}})
	if got := b.Pending(); got != 1 {
		t.Errorf("pending is %d, want the one to be tried again", got)
	}
}

func TestResetCursorKeepsTheEvents(t *testing.T) {
	t.Parallel()
	b := openBuffer(t, openStore(t, store.Config{}), "dev")
	mustAppend(t, b, newIntake(0, 5, 200))
	if err := b.ResetCursor(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Cursor(t.Context(), "poll"); c != "4" || err != nil {
		t.Errorf("the cursor of another source is %q, %v; want it left alone", c, err)
	}
	if err := b.ResetCursor(t.Context(), "poll"); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Cursor(t.Context(), "poll"); c != event.Cursor("") || err != nil {
		t.Errorf("cursor is %q, %v; want none", c, err)
	}
	if again := mustAppend(t, b, newIntake(0, 5, 200)); again.Duplicates != 5 || b.Pending() != 5 {
		t.Errorf("reading again stored %+v, pending %d; want 5 duplicates and 5 pending", again, b.Pending())
	}
}

func TestClearConditions(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{})
	dev, other := openBuffer(t, s, "dev"), openBuffer(t, s, "other")
	for _, b := range []*store.Buffer{dev, other} {
		for _, part := range []string{"poll", "delivery"} {
			if err := b.SetCondition(t.Context(), pipeline.Condition{Part: part, Since: start, Err: pipeline.Error{Err: errors.New("refused")}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := dev.ClearConditions(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range status {
		if want := map[string]int{"dev": 0, "other": 2}[st.Tenant]; len(st.Conditions) != want {
			t.Errorf("%s has %d conditions, want %d", st.Tenant, len(st.Conditions), want)
		}
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check := func(when string, want bool) {
		t.Helper()
		if got, err := store.InUse(dir); got != want || err != nil {
			t.Errorf("%s: in use is %v, %v; want %v", when, got, err, want)
		}
	}
	check("before the first start", false)
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	check("while open", true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check("after the end", false)
}

// Looking must not make a start fail.
func TestInUseDoesNotHinderAStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var looking sync.WaitGroup
	stop := make(chan struct{})
	looking.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := store.InUse(dir); err != nil {
					t.Errorf("look: %v", err)
				}
			}
		}
	})
	for range 20 {
		s, err := store.Open(t.Context(), store.Config{Dir: dir})
		if err != nil {
			t.Fatalf("start while somebody looks: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	looking.Wait()
}
