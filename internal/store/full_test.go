package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestFullFile lets SQLite find no room for another page, as on a full disk:
// nothing is acknowledged, it is told as such and not as damage, and once there is
// room the same intake is taken.
func TestFullFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 10, 0))
	if err := store.Exec(s, "PRAGMA max_page_count = 1"); err != nil { // SQLite makes it the pages there are
		t.Fatal(err)
	}
	_, err := b.Append(t.Context(), "poll", newIntake(10, 500, 2000))
	if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Transient || e.Hint == "" {
		t.Fatalf("append without room: error %v of class %v", err, e.Class)
	}
	store.WriteMirror(t.Context(), s)
	if err := s.DamageErr(); err != nil {
		t.Errorf("a full disk is taken for damage: %v", err)
	}
	if c, err := b.Cursor(t.Context(), "poll"); err != nil || c != "9" {
		t.Errorf("the cursor is %q with error %v, want 9", c, err)
	}
	if err := store.Exec(s, "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if done := mustAppend(t, b, newIntake(10, 500, 2000)); done.Stored != 490 {
		t.Errorf("%d events were stored, want 490", done.Stored)
	}
}

// TestReadOnlyDirectory refuses a directory in which nothing can be written, with a
// hint, and takes it for no damage.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	probe := filepath.Join(dir, "probe")
	if err := os.WriteFile(probe, nil, 0o600); err == nil {
		_ = os.Remove(probe)
		t.Skip("NOT RUN: this user may write where nobody may; run it as another one than root")
	} else if !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
	wantRefused(t, dir, nil)
	if kept, _ := filepath.Glob(filepath.Join(dir, "*damaged*")); len(kept) > 0 {
		t.Errorf("it was taken for damage: %v", kept)
	}
}
