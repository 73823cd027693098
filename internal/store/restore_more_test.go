package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// mustClose closes a store.
func mustClose(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOlderCopyIsAdopted puts an older copy of the database back, or takes away the
// WAL of a process that died: what it still holds was delivered since, and is not
// sent again; what came since is read again.
func TestOlderCopyIsAdopted(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]bool{"an older copy": true, "the WAL deleted": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := &account{tb: t, held: 300, sent: make(map[string]int)}
			s := openStore(t, store.Config{Dir: dir})
			b := openBuffer(t, s, "dev-tenant")
			l.read(t.Context(), b, 10, 100)
			l.deliver(t.Context(), b, 2, 25, true)
			store.WriteMirror(t.Context(), s)
			if err := store.Exec(s, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
				t.Fatal(err)
			}
			old := copyDir(t, dir)
			l.read(t.Context(), b, 10, 100)
			l.deliver(t.Context(), b, 6, 25, true)
			store.WriteMirror(t.Context(), s)
			now := copyDir(t, dir)
			if db {
				copyFile(t, filepath.Join(old, "gapless.db"), filepath.Join(now, "gapless.db"))
			}
			if err := remove("gapless.db-wal")(now); err != nil {
				t.Fatal(err)
			}
			again := openStore(t, store.Config{Dir: now})
			wantRestored(t, again, now)
			l.tb = t
			l.check(t.Context(), openBuffer(t, again, "dev-tenant"))
		})
	}
}

// copyFile copies a file over another one.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, content(t, from), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsLostWithTheStore draws traffic, deliveries, crashes and damage: each
// event arrives once, whatever was written to the mirror by then.
func TestNothingIsLostWithTheStore(t *testing.T) {
	t.Parallel()
	all := damages()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	dirs := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		dir, err := os.MkdirTemp(dirs, "life") //nolint:usetesting // one for each check
		if err != nil {
			rt.Fatal(err)
		}
		l := &account{tb: rt, also: rapid.Bool().Draw(rt, "two sinks"), sent: make(map[string]int)}
		open := func() (*store.Store, *store.Buffer) {
			s, err := store.Open(ctx, store.Config{Dir: dir})
			if err != nil {
				rt.Fatal(err)
			}
			b, err := s.Buffer(ctx, "dev-tenant")
			if err != nil {
				rt.Fatal(err)
			}
			return s, b
		}
		var copies []string
		for range rapid.IntRange(1, 3).Draw(rt, "lives") {
			s, b := open()
			l.hung = false
			for range rapid.IntRange(1, 8).Draw(rt, "steps") {
				switch rapid.IntRange(0, 6).Draw(rt, "step") {
				case 0, 1:
					l.held += rapid.IntRange(1, 60).Draw(rt, "events")
					l.read(ctx, b, rapid.IntRange(1, 40).Draw(rt, "page"), l.held)
				case 2, 3:
					l.deliver(ctx, b, rapid.IntRange(1, 4).Draw(rt, "batches"), rapid.IntRange(1, 40).Draw(rt, "batch"), rapid.Bool().Draw(rt, "settled"))
				case 4:
					store.WriteMirror(ctx, s)
				case 5:
					if err := store.Exec(s, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
						rt.Fatal(err)
					}
				case 6:
					copies = append(copies, copyDir(rt, dir))
					store.WriteMirror(ctx, s) // a copy of the generation that is still running cannot be told apart
				}
			}
			crashed := dir
			if rapid.Bool().Draw(rt, "crash") {
				crashed = copyDir(rt, dir)
			}
			if err := s.Close(); err != nil {
				rt.Fatal(err)
			}
			dir = crashed
			name := rapid.SampledFrom(append([]string{"older copy"}, names...)).Draw(rt, "damage")
			if name != "older copy" {
				if err := all[name].do(dir); err != nil {
					rt.Fatal(err)
				}
				if strings.Contains(name, "mirror") && !all[name].sound {
					copies = nil // the name of the store is lost with both: they are those of another one
				}
			} else if len(copies) > 0 {
				old := rapid.SampledFrom(copies).Draw(rt, "copy")
				keep, err := os.ReadFile(filepath.Join(dir, store.MirrorName))
				copyFiles(rt, old, dir)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, store.MirrorName), keep, 0o600)
				}
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					rt.Fatal(err)
				}
			}
		}
		s, b := open()
		l.check(ctx, b)
		if err := s.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestSalvageTakesOverWhatItCan damages one page of the buffer: the events on the
// others, the dead letters and the gaps are there, and what is known of delivered
// events hides none that is missing.
func TestSalvageTakesOverWhatItCan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	for n := 0; n < 180; n += 20 {
		mustAppend(t, b, newIntake(n, n+20, 500))
	}
	in := newIntake(180, 200, 500)
	in.Gap = &event.Gap{FromID: "a", ToID: "b", Reason: "by script"}
	in.Unreadable = []event.Unreadable{{Raw: []byte("{"), Reason: "by script"}}
	mustAppend(t, b, in)
	l := limits()
	l.MaxEvents = 10
	mustSettle(t, b, take(t, b, l), pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "too_old"}}})
	mustClose(t, s)
	err := rewrite(func(db []byte) []byte {
		wanted := newEvent(110, 500).Raw[300:340]
		at := bytes.Index(db, wanted) / store.PageSize * store.PageSize
		return garbage(db, at, at+store.PageSize)
	})(dir)
	if err != nil {
		t.Fatal(err)
	}
	s = openStore(t, store.Config{Dir: dir})
	wantRestored(t, s, dir)
	st := statusOf(t, s.Reader)
	if st.BufferedEvents < 170 || st.BufferedEvents >= 190 {
		t.Errorf("%d of 190 events were taken over, want all but those of a page", st.BufferedEvents)
	}
	if st.DeadLetters != 2 || len(st.Gaps) != 1 {
		t.Errorf("%d dead letters and %d gaps were taken over, want 2 and 1", st.DeadLetters, len(st.Gaps))
	}
	if n := store.Number(t, s.Reader, "SELECT coalesce(sum(events), 0) FROM buffer"); n != st.BufferedEvents {
		t.Errorf("the figures say %d events, there are %d", st.BufferedEvents, n)
	}
	done := mustAppend(t, openBuffer(t, s, "dev-tenant"), newIntake(0, 200, 500))
	if missing := 200 - int(st.BufferedEvents) - 1; done.Stored != missing {
		t.Errorf("%d events were taken again, want the %d that are neither in the buffer nor a letter", done.Stored, missing)
	}
}

// TestRestorationIsToldUntilSomebodyTakesNotice deletes the report: the condition
// goes, while running and at the next start.
func TestRestorationIsToldUntilSomebodyTakesNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filled(t)
		if err := remove("gapless.db")(dir); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s := openStore(t, store.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		wantRestored(t, s, dir)
		if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "hint=") {
			t.Errorf("the log does not tell of it: %s", text)
		}
		mustClose(t, s)
		s = openStore(t, store.Config{Dir: dir})
		wantRestored(t, s, dir) // still
		if err := remove(store.ReportName)(dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		if st := statusOf(t, s.Reader); len(st.Conditions) > 0 {
			t.Errorf("the conditions are %+v after the report was deleted", st.Conditions)
		}
	})
}

// TestLossWhileRunning takes the file away, or puts another one in its place, under
// a running process: that ends the work.
func TestLossWhileRunning(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(string) error{
		"deleted": remove("gapless.db"),
		"replaced": func(dir string) error {
			path := filepath.Join(dir, "gapless.db")
			b, err := os.ReadFile(path)
			return errors.Join(err, os.Remove(path), os.WriteFile(path, b, 0o600))
		},
		"cut to nothing": func(dir string) error { return os.Truncate(filepath.Join(dir, "gapless.db"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, l := life(t)
			s, err := store.Open(t.Context(), store.Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if err := do(dir); err != nil {
				t.Fatal(err)
			}
			store.CheckPlace(s)
			select {
			case <-s.Damaged():
			default:
				t.Fatal("it was not noticed")
			}
			if err := s.Close(); err != nil {
				t.Logf("close: %v", err)
			}
			s = openStore(t, store.Config{Dir: dir})
			if name != "replaced" { // by the same content, to which the WAL belongs
				wantRestored(t, s, dir)
			}
			l.check(t.Context(), openBuffer(t, s, "dev-tenant"))
		})
	}
}

// TestOthersFilesAreLeftAlone refuses what is no damage, and moves nothing.
func TestOthersFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	other := filled(t)
	for name, c := range map[string]struct {
		do     func(*testing.T, string)
		target error
	}{
		"a newer release": {func(t *testing.T, dir string) {
			t.Helper()
			store.SetVersion(t, filepath.Join(dir, "gapless.db"), 99)
		}, store.ErrNewerSchema},
		"another store": {func(t *testing.T, dir string) {
			t.Helper()
			copyFile(t, filepath.Join(other, "gapless.db"), filepath.Join(dir, "gapless.db"))
		}, store.ErrOtherStore},
		"a second process": {func(t *testing.T, dir string) {
			t.Helper()
			openStore(t, store.Config{Dir: dir})
			if err := spoilMirror(dir); err != nil {
				t.Fatal(err)
			}
		}, store.ErrLocked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t)
			c.do(t, dir)
			before, mirror := content(t, filepath.Join(dir, "gapless.db")), content(t, filepath.Join(dir, store.MirrorName))
			wantRefused(t, dir, c.target)
			if !bytes.Equal(content(t, filepath.Join(dir, "gapless.db")), before) || !bytes.Equal(content(t, filepath.Join(dir, store.MirrorName)), mirror) {
				t.Error("the files were changed")
			}
			if kept, _ := filepath.Glob(filepath.Join(dir, "*damaged*")); len(kept) > 0 {
				t.Errorf("it was taken for damage: %v", kept)
			}
		})
	}
}

// TestKilledWhileRestoring leaves what a process leaves that dies before and after
// it has moved the old file aside.
func TestKilledWhileRestoring(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		dir, l := life(t)
		if err := os.WriteFile(filepath.Join(dir, store.NewName), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, store.Config{Dir: dir})
		l.check(t.Context(), openBuffer(t, s, "dev-tenant"))
		if _, err := os.Stat(filepath.Join(dir, store.NewName)); err == nil {
			t.Error("the unfinished file is still there")
		}
	})
	t.Run("after", func(t *testing.T) {
		t.Parallel()
		dir := filled(t)
		if err := os.Rename(filepath.Join(dir, "gapless.db"), filepath.Join(dir, store.NewName)); err != nil {
			t.Fatal(err)
		}
		if st := statusOf(t, openStore(t, store.Config{Dir: dir}).Reader); st.BufferedEvents != 100 {
			t.Errorf("%d events are in the store, want the 100 of the file that was finished", st.BufferedEvents)
		}
	})
}

// TestNewDirectoryIsQuiet starts in an empty directory, and anew in one of which
// everything was deleted on purpose.
func TestNewDirectoryIsQuiet(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	if err := remove("gapless.db", store.MirrorName)(dir); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := openStore(t, store.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	b := openBuffer(t, s, "dev-tenant")
	lost, err := b.CursorLost(t.Context())
	if err != nil || lost || log.Len() > 0 || len(statusOf(t, s.Reader).Conditions) > 0 {
		t.Errorf("a new beginning says %q, lost cursor %t, error %v", log.String(), lost, err)
	}
}

// TestMirrorThatCannotBeWritten is a warning: events are taken all the same, and
// the mirror is written when it can be.
func TestMirrorThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	s := openStore(t, store.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	b := openBuffer(t, s, "dev-tenant")
	inTheWay := filepath.Join(dir, store.MirrorName+".tmp")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, b, newIntake(0, 10, 0))
	store.WriteMirror(t.Context(), s)
	if text := log.String(); !strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
		t.Errorf("the log says %s", text)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	store.WriteMirror(t.Context(), s)
	if _, err := os.Stat(filepath.Join(dir, store.MirrorName)); err != nil {
		t.Errorf("the mirror was not written afterwards: %v", err)
	}
}
