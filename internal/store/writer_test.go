package store_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// gather reads the figures of a registry: gauges and counters by name and
// label, histograms by the number of observations.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("gather figures: %v", err)
	}
	out := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			out[strings.Join(name, " ")] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestManyAppendsShareACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := openStore(t, store.Config{Registerer: reg})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntake(0, 1, 0)) // makes the destination
		before := gather(t, reg)
		release := store.HoldWriter(s)
		var appends sync.WaitGroup
		for i := range 50 {
			appends.Go(func() {
				if done := mustAppend(t, b, newIntake(1+i*10, 11+i*10, 0)); done.Stored != 10 {
					t.Errorf("append %d: got %+v, want 10 stored", i, done)
				}
			})
		}
		synctest.Wait() // all of them wait for the writer
		release()
		appends.Wait()
		after := gather(t, reg)
		if n := after["gapless_store_commit_seconds"] - before["gapless_store_commit_seconds"]; n != 1 {
			t.Errorf("50 appends took %v commits, want 1", n)
		}
		if n := after["gapless_store_committed_changes_total"] - before["gapless_store_committed_changes_total"]; n != 50 {
			t.Errorf("%v changes were committed, want 50", n)
		}
	})
}

func TestFailureHarmsNoNeighbour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{MaxBytes: 5000})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntake(0, 1, 500))
		release := store.HoldWriter(s)
		var calls sync.WaitGroup
		for i := range 4 {
			calls.Go(func() {
				if done := mustAppend(t, b, newIntake(i, i+2, 500)); done.Stored+done.Duplicates != 2 {
					t.Errorf("append: got %+v", done)
				}
			})
		}
		calls.Go(func() {
			if err := store.Spoil(s); !errors.Is(err, store.ErrSpoiled) {
				t.Errorf("the job at fault returned %v", err)
			}
		})
		calls.Go(func() {
			if _, err := b.Append(t.Context(), "poll", newIntake(100, 110, 500)); !errors.Is(err, pipeline.ErrBufferFull) {
				t.Errorf("the append without room returned %v", err)
			}
		})
		synctest.Wait()
		release()
		calls.Wait()
		if st := statusOf(t, s.Reader); st.BufferedEvents != 5 || st.BufferedBytes != 2500 || countOf(st, store.CountStored) != 5 {
			t.Errorf("status %+v, want the 5 events of the others", st)
		}
		if n := len(take(t, b, limits()).Events); n != 5 {
			t.Errorf("%d events came out, want 5", n)
		}
	})
}

func TestContextEndsBeforeItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{})
		b := openBuffer(t, s, "dev-tenant")
		mustAppend(t, b, newIntake(0, 1, 0))
		release := store.HoldWriter(s)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			_, err := b.Append(ctx, "poll", newIntake(1, 2, 0))
			got <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("append: error %v, want that of its context", err)
		}
		release()
		if done := mustAppend(t, b, newIntake(1, 2, 0)); done.Stored != 1 {
			t.Errorf("append again: got %+v; the one that was given up was stored", done)
		}
	})
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{})
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 10, 1000))
	if err := store.Exec(s, "PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	_, err := b.Append(t.Context(), "poll", newIntake(10, 1000, 1000))
	if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Transient || e.Hint == "" {
		t.Fatalf("append to a full disk: error %v of class %v with hint %q", err, e.Class, e.Hint)
	}
	if st := statusOf(t, s.Reader); st.BufferedEvents != 10 || st.Cursors[0].Cursor != "9" {
		t.Errorf("after the failure there are %d events and the cursor %q", st.BufferedEvents, st.Cursors[0].Cursor)
	}
	if err := store.Exec(s, "PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if done := mustAppend(t, b, newIntake(10, 1000, 1000)); done.Stored != 990 {
		t.Errorf("with room again: got %+v", done)
	}
	seen := 0
	for seen < 1000 {
		batch := take(t, b, limits())
		seen += len(batch.Events)
		mustSettle(t, b, batch, pipeline.Receipt{})
	}
	if st := statusOf(t, s.Reader); st.BufferedEvents != 0 || st.BufferedBytes != 0 {
		t.Errorf("after delivery %d events of %d bytes are left", st.BufferedEvents, st.BufferedBytes)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	s := openStore(t, store.Config{Registerer: reg})
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 4, 500))
	l := limits()
	l.MaxEvents = 1
	mustSettle(t, b, take(t, b, l), pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_old"}}})
	got := gather(t, reg)
	for name, want := range map[string]float64{
		"gapless_store_buffer_events dev-tenant": 3,
		"gapless_store_buffer_bytes dev-tenant":  1500,
		"gapless_store_dead_letters dev-tenant":  1,

		"gapless_store_dead_letter_bytes dev-tenant":     500,
		"gapless_store_dead_letter_max_bytes dev-tenant": 1 << 30,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if got["gapless_store_file_bytes gapless.db-wal"] == 0 {
		t.Error("the size of the WAL is missing")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left := gather(t, reg); len(left) != 0 {
		t.Errorf("after Close %d figures are left", len(left))
	}
}
