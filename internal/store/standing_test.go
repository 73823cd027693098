package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// contents returns the files of a directory, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

// TestStandingIsAdopted holds that another store goes on where one stands, beside a
// process that holds it or after that has ended, and that nothing of it is changed.
func TestStandingIsAdopted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, pipeline.Intake{
		Cursor: "there", Mark: day(1, 2), Entries: []pipeline.Entry{{
			Event:       event.Event{LogID: "a", Date: day(1, 2).Since, Raw: []byte(`{}`)},
			Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"},
		}},
	})
	for _, err := range []error{b.SetSetting(t.Context(), "start_from", "24h"), b.Save(t.Context(), "token", []byte("sealed"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	checkAdopted(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	checkAdopted(t, dir)
	if d := cmp.Diff(before, contents(t, dir)); d != "" {
		t.Error("the directory was changed")
	}
}

// checkAdopted adopts the standing of the tenant in dir, and compares.
func checkAdopted(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	r, err := store.OpenUntouched(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	standing, err := r.Standing(ctx, "dev-tenant")
	if err != nil || standing.Waiting != 1 {
		t.Fatalf("%v, %d events wait, want 1", err, standing.Waiting)
	}
	if other, err := r.Standing(ctx, "other"); err != nil || len(other.Cursors) != 0 {
		t.Errorf("a tenant that is not known stands at %v, %v", other.Cursors, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	b := openBuffer(t, openStore(t, store.Config{Dir: t.TempDir()}), "dev-tenant")
	if err := b.Adopt(ctx, standing); err != nil {
		t.Fatal(err)
	}
	cursor, err1 := b.Cursor(ctx, "poll")
	mark, err2 := b.Mark(ctx, "poll")
	start, err3 := b.Setting(ctx, "start_from")
	token, err4 := b.Load(ctx, "token")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if cursor != "there" || !cmp.Equal(mark, day(1, 2)) || start != "24h" || string(token) != "sealed" || b.Pending() != 0 {
		t.Errorf("it stands at %q, read %v, began at %q, has the token %q and %d events", cursor, mark, start, token, b.Pending())
	}
}

// TestUntouchedReadsWhatAKilledProcessHasLeft holds that what is in the WAL alone is read.
func TestUntouchedReadsWhatAKilledProcessHasLeft(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	s := openStore(t, store.Config{Dir: dir})
	mustAppend(t, openBuffer(t, s, "dev-tenant"), pipeline.Intake{Cursor: "there"})
	for name, content := range contents(t, dir) { // as a crash leaves it
		if err := os.WriteFile(filepath.Join(copied, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := store.OpenUntouched(t.Context(), copied)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Standing(t.Context(), "dev-tenant")
	if err != nil || got.Cursors["poll"] != "there" {
		t.Errorf("it stands at %q, %v, want there", got.Cursors["poll"], err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenUntouched(t.Context(), t.TempDir()); !errors.Is(err, store.ErrNoData) {
		t.Errorf("an empty directory: %v, want ErrNoData", err)
	}
}
