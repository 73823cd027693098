package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// withStep returns the migrations of this release and another one, whose number
// is so much higher than that of the last; without a number when that is 0.
func withStep(t *testing.T, above int, sql string) fs.FS {
	t.Helper()
	list, err := fs.Glob(store.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	name := "migrations/x.sql"
	if above > 0 {
		name = fmt.Sprintf("migrations/%04d_x.sql", len(list)+above)
	}
	files := fstest.MapFS{name: {Data: []byte(sql)}}
	err = fs.WalkDir(store.Migrations, "migrations", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(store.Migrations, path)
		files[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// filled makes a data directory with some events in it.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = privateDir(t)
	s := openStore(t, store.Config{Dir: dir})
	mustAppend(t, openBuffer(t, s, "dev-tenant"), newIntake(0, 100, 1000))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMigrationKeepsTheData(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	path := filepath.Join(dir, "gapless.db")
	broken := withStep(t, 1, "CREATE TABLE extra (x INTEGER); CREATE TABLE extra (x INTEGER);")
	if err := store.MigrateFile(t.Context(), path, broken); err == nil {
		t.Fatal("a broken migration went through")
	}
	s := openStore(t, store.Config{Dir: dir}) // still this release's version
	if n := store.Number(t, s.Reader, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"); n != 0 {
		t.Error("the broken migration left its first half behind")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good := withStep(t, 1, "ALTER TABLE tenants ADD COLUMN extra INTEGER NOT NULL DEFAULT 7;")
	for range 2 { // the second time there is nothing to do
		if err := store.MigrateFile(t.Context(), path, good); err != nil {
			t.Fatalf("migrate: %v", err)
		}
	}
	wantRefused(t, dir, store.ErrNewerSchema)
	if _, err := store.OpenReadOnly(t.Context(), dir); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("read a newer schema: error %v, want ErrNewerSchema", err)
	}
}

func TestMigrationsHaveNoHole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gapless.db")
	for name, files := range map[string]fs.FS{
		"hole":      withStep(t, 2, "SELECT 1;"),
		"no number": withStep(t, 0, "SELECT 1;"),
	} {
		if err := store.MigrateFile(t.Context(), path, files); err == nil {
			t.Errorf("%s: the migrations were taken", name)
		}
	}
}

// wantRefused checks that a directory cannot be opened, with a hint.
func wantRefused(t *testing.T, dir string, target error) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err == nil {
		_ = s.Close()
		t.Fatal("the store was opened")
	}
	if target != nil && !errors.Is(err, target) {
		t.Errorf("open: error %v, want %v", err, target)
	}
	if e := pipeline.Classify(err); e.Class != pipeline.Misconfigured || e.Hint == "" {
		t.Errorf("open: error %v of class %v with hint %q, want one for a person", err, e.Class, e.Hint)
	}
}

// TestFlippedBit is damage that SQLite does not see: a bit of an event. It is not
// delivered so, but ends the work; the restored store lacks those events, and takes
// them again.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	err := rewrite(func(db []byte) []byte {
		db[bytes.Index(db, newEvent(50, 1000).Raw[500:540])+7] ^= 1
		return db
	})(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t, store.UncheckedConfig(dir))
	_, err = openBuffer(t, s, "dev-tenant").Next(t.Context(), limits())
	if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Misconfigured || e.Hint == "" {
		t.Errorf("take batch: error %v of class %v with hint %q, want one for a person", err, e.Class, e.Hint)
	}
	mustClose(t, s)
	s = openStore(t, store.Config{Dir: dir})
	wantRestored(t, s, dir)
	b := openBuffer(t, s, "dev-tenant")
	if done := mustAppend(t, b, newIntake(0, 100, 1000)); done.Stored != 100 {
		t.Errorf("%d events were taken again, want the 100 of the row", done.Stored)
	}
	if batch := take(t, b, limits()); len(batch.Events) != 100 || !bytes.Equal(batch.Events[50].Raw, newEvent(50, 1000).Raw) {
		t.Errorf("%d events come out, want 100 as they were stored", len(batch.Events))
	}
}

// TestDamageFoundLater is damage that the look at the start does not meet: it ends
// the work, and the next start looks at the whole file.
func TestDamageFoundLater(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	path := filepath.Join(dir, "gapless.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	part := newEvent(50, 1000).Raw[500:540] // lies beyond what is read when the store is opened
	for at := 0; at+store.PageSize <= len(content); at += store.PageSize {
		page := content[at : at+store.PageSize]
		if bytes.Contains(page, part) {
			clear(page)
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, store.UncheckedConfig(dir))
	if err := s.DamageErr(); err != nil {
		t.Fatalf("the damage was met at the start: %v", err)
	}
	_, err = openBuffer(t, s, "dev-tenant").Next(t.Context(), limits())
	if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Misconfigured || e.Hint == "" {
		t.Errorf("take batch: error %v of class %v with hint %q, want one for a person", err, e.Class, e.Hint)
	}
	select {
	case <-s.Damaged():
	default:
		t.Fatal("the damage does not end the work")
	}
	if e := pipeline.Classify(s.DamageErr()); e.Class != pipeline.Misconfigured || e.Hint == "" {
		t.Errorf("the damage is said to be %v of class %v", e, e.Class)
	}
	if err := s.Close(); err != nil {
		t.Logf("close: %v", err)
	}
	wantRestored(t, openStore(t, store.UncheckedConfig(dir)), dir)
}

func TestFileOfAnotherProgramIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := fstest.MapFS{"migrations/0001_x.sql": {Data: []byte("CREATE TABLE bookmarks (x INTEGER);")}}
	path := filepath.Join(dir, "gapless.db")
	if err := store.MigrateFile(t.Context(), path, files); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(content[68:72]) // the application id in the header
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, dir, nil)
}

func TestDirectoryThatCannotBe(t *testing.T) {
	t.Parallel()
	wantRefused(t, "", nil)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, filepath.Join(file, "data"), nil)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	if _, err := store.OpenReadOnly(t.Context(), t.TempDir()); !errors.Is(err, store.ErrNoData) {
		t.Errorf("read an empty directory: error %v, want ErrNoData", err)
	}
	dir := filled(t)
	r, err := store.OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatalf("read when nobody writes: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if st := statusOf(t, r); st.BufferedEvents != 100 {
		t.Errorf("%d events are buffered, want 100", st.BufferedEvents)
	}
	b := openBuffer(t, openStore(t, store.Config{Dir: dir}), "dev-tenant")
	mustAppend(t, b, newIntake(100, 101, 0))
	if st := statusOf(t, r); st.BufferedEvents != 101 {
		t.Errorf("%d events are buffered beside the writer, want 101", st.BufferedEvents)
	}
}
