package setup_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gaplesslogs/gapless/internal/setup"
)

// TestWrite writes for the owner alone, replaces with force alone, and leaves nothing
// else behind.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "gapless.yaml")
	want := func(text string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil || string(b) != text {
			t.Errorf("got %q, %v, want %q", b, err, text)
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("left behind: %v, %v", all, err)
		}
	}
	if err := setup.Write(path, []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	want("a")
	if err := setup.Write(path, []byte("b"), false); !errors.Is(err, setup.ErrExists) {
		t.Errorf("got %v", err)
	}
	want("a")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := setup.Write(path, []byte("c"), true); err != nil {
		t.Fatal(err)
	}
	want("c")
	for _, bad := range []string{dir, filepath.Join(dir, "none", "x")} {
		if err := errors.Join(setup.CheckPath(bad, true), setup.Write(bad, nil, true)); err == nil {
			t.Errorf("%s was written", bad)
		}
	}
	want("c")
}

// TestWriteThroughALink replaces what a link leads to, and not the link.
func TestWriteThroughALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	if err := setup.Write(link, []byte("b"), true); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(real); err != nil || string(b) != "b" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := setup.Write(filepath.Join(dir, "dangling"), nil, false); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "none"), filepath.Join(dir, "dead")); err != nil {
		t.Fatal(err)
	}
	if err := setup.Write(filepath.Join(dir, "dead"), nil, false); !errors.Is(err, setup.ErrExists) {
		t.Errorf("a link that leads nowhere: %v", err)
	}
}
