package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

func TestForgetsAfterTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, store.Config{DedupWindow: time.Hour})
		b := openBuffer(t, s, "dev-tenant")
		for n := range 60 { // more appends than one step forgets
			mustAppend(t, b, newIntake(n*10, n*10+10, 0))
		}
		l := limits()
		l.MaxEvents = 600 - 5
		mustSettle(t, b, take(t, b, l), pipeline.Receipt{})
		<-time.After(59 * time.Minute)
		if done := mustAppend(t, b, newIntake(0, 600, 0)); done.Stored != 0 {
			t.Errorf("within the window %d events were stored again", done.Stored)
		}
		<-time.After(3 * time.Minute)
		if n := store.Number(t, s.Reader, "SELECT count(*) FROM seen"); n != 10 {
			t.Errorf("after the window %d log_ids are known, want the 10 of the append that is not delivered", n)
		}
		if done := mustAppend(t, b, newIntake(0, 600, 0)); done.Stored != 590 {
			t.Errorf("after the window %d events were stored again, want 590", done.Stored)
		}
		mustSettle(t, b, take(t, b, limits()), pipeline.Receipt{})
		<-time.After(2 * time.Hour)
		if n := store.Number(t, s.Reader, "SELECT (SELECT count(*) FROM seen) + (SELECT count(*) FROM intakes)"); n != 0 {
			t.Errorf("%d rows are left of events that were delivered long ago", n)
		}
	})
}

func TestForgetsCountsByMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openStore(t, store.Config{Dir: dir})
		mustAppend(t, openBuffer(t, s, "dev-tenant"), newIntake(0, 10, 0))
		if n := store.Number(t, s.Reader, "SELECT sum(n) FROM counts"); n != 10 {
			t.Errorf("the minutes count %d, want 10", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(32 * 24 * time.Hour)
		s = openStore(t, store.Config{Dir: dir})
		<-time.After(2 * time.Minute)
		if n := store.Number(t, s.Reader, "SELECT count(*) FROM counts"); n != 0 {
			t.Errorf("%d minutes are left after 32 days", n)
		}
		if n := countOf(statusOf(t, s.Reader), store.CountStored); n != 10 {
			t.Errorf("the total is %d, want 10 for ever", n)
		}
	})
}

// TestPageSize pins what the thresholds of the housekeeping are reckoned with.
func TestPageSize(t *testing.T) {
	t.Parallel()
	s := openStore(t, store.Config{})
	if n := store.Number(t, s.Reader, "PRAGMA page_size"); n != store.PageSize {
		t.Errorf("the pages have %d bytes, want %d", n, store.PageSize)
	}
}

// TestShrinks fills the file and empties it again.
func TestShrinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	fillAndEmpty(t, b)
	before := fileSize(t, dir)
	if err := store.Maintain(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if after := fileSize(t, dir); before < 6<<20 || after > 3<<20 {
		t.Errorf("the file shrank from %d to %d bytes, want at most 3 MiB", before, after)
	}
	mustAppend(t, b, newIntake(20_000, 20_010, 0))
	if n := len(take(t, b, limits()).Events); n != 10 {
		t.Errorf("after shrinking %d events came out, want 10", n)
	}
}

// TestShortRunsTidy has runs that end before the first housekeeping, as those of
// cron do: the end of a run forgets and shrinks as well.
func TestShortRunsTidy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openStore(t, store.Config{Dir: dir, DedupWindow: time.Hour})
		fillAndEmpty(t, openBuffer(t, s, "dev-tenant"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if size := fileSize(t, dir); size > 3<<20 {
			t.Errorf("the file has %d bytes after the run, want at most 3 MiB", size)
		}
		<-time.After(2 * time.Hour)
		if err := openStore(t, store.Config{Dir: dir, DedupWindow: time.Hour}).Close(); err != nil {
			t.Fatal(err)
		}
		r, err := store.OpenReadOnly(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if n := store.Number(t, r, "SELECT (SELECT count(*) FROM seen) + (SELECT count(*) FROM intakes)"); n != 0 {
			t.Errorf("%d rows are left of events that were delivered long ago", n)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// fillAndEmpty stores some megabytes and delivers them.
func fillAndEmpty(t *testing.T, b *store.Buffer) {
	t.Helper()
	const events = 12_000
	for n := 0; n < events; n += 1000 {
		mustAppend(t, b, newIntake(n, n+1000, 1000))
	}
	for left := events; left > 0; {
		batch := take(t, b, limits())
		mustSettle(t, b, batch, pipeline.Receipt{})
		left -= len(batch.Events)
	}
}

// fileSize returns the size of the database in a data directory.
func fileSize(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "gapless.db"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
