package store_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/store"
)

// TestNotesOutliveARestart keeps a note, and looks for it beside the process and after it.
func TestNotesOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	s := openStore(t, store.Config{Dir: dir})
	if err := s.Note(t.Context(), "alerts", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), "alerts", []byte("two")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Noted(t.Context(), "alerts"); err != nil || string(got) != "two" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, store.Config{Dir: dir})
	if got, err := s.Noted(t.Context(), "alerts"); err != nil || string(got) != "two" {
		t.Errorf("after a restart: got %q, %v", got, err)
	}
	if err := s.Note(t.Context(), "alerts", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Noted(t.Context(), "alerts"); err != nil || got != nil {
		t.Errorf("deleted: got %q, %v", got, err)
	}
	if free, total := s.Room(); free <= 0 || total < free {
		t.Errorf("room: %d of %d", free, total)
	}
}

// TestPausesAreKnown stores events with pauses between, and asks for them.
func TestPausesAreKnown(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{Dir: dir})
		b := openBuffer(t, s, "dev")
		began := time.Now().UTC().Truncate(time.Minute)
		for i, pause := range []time.Duration{0, 5 * time.Minute, 3 * time.Hour} {
			wait := time.NewTimer(pause)
			<-wait.C
			mustAppend(t, b, newIntake(i, i+1, 100))
		}
		var got []time.Duration
		if err := s.Pauses(t.Context(), "dev", func(d time.Duration) { got = append(got, d) }); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{5 * time.Minute, 3 * time.Hour}; !slices.Equal(got, want) {
			t.Errorf("pauses: got %v, want %v", got, want)
		}
		for at, want := range map[time.Duration]time.Time{
			time.Hour: began.Add(5 * time.Minute), 4 * time.Minute: began, 5 * time.Hour: began.Add(3*time.Hour + 5*time.Minute), -time.Hour: {}, 20 * time.Hour: {},
		} {
			if got, err := s.StoredBefore(t.Context(), "dev", began.Add(at), 10*time.Hour); err != nil || !got.Equal(want) {
				t.Errorf("before %v: got %v, %v, want %v", at, got, err, want)
			}
		}
		if got, err := s.FirstStored(t.Context(), "dev"); err != nil || !got.Equal(began) {
			t.Errorf("first: got %v, %v, want %v", got, err, began)
		}
		if got, err := s.FirstStored(t.Context(), "other"); err != nil || !got.IsZero() {
			t.Errorf("a tenant that is not known: got %v, %v", got, err)
		}
	})
}
