package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/store"
)

// TestHalfMadeStore is what a process leaves that is killed while it makes the store: a
// database and the journal that undoes what was begun. The next start mends it.
func TestHalfMadeStore(t *testing.T) {
	t.Parallel()
	made, left := filepath.Join(t.TempDir(), "gapless.db"), t.TempDir()
	db, err := sql.Open("sqlite", "file:"+made+"?_pragma=cache_size(1)&_pragma=journal_mode(delete)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"BEGIN IMMEDIATE", "CREATE TABLE begun (x BLOB)",
		"INSERT INTO begun WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 200) SELECT randomblob(4000) FROM n",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"gapless.db", "gapless.db-journal"} { // as they lie there in the midst of it
		content, err := os.ReadFile(filepath.Join(filepath.Dir(made), name))
		if err != nil || len(content) == 0 {
			t.Fatalf("%s: %d bytes, %v", name, len(content), err)
		}
		if err := os.WriteFile(filepath.Join(left, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	if _, err := store.OpenReadOnly(t.Context(), left); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("it was read as it lies there: %v", err)
	}
	s, err := store.Open(t.Context(), store.Config{Dir: left})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if restored, _ := filepath.Glob(filepath.Join(left, "*damaged*")); len(restored) > 0 {
		t.Errorf("it was taken for damaged: %v", restored)
	}
}
