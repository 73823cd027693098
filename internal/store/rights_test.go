package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/store"
)

// needModes skips a test where files have no permission bits.
func needModes(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no permission bits; run this on Linux or macOS")
	}
}

// checkRights checks that a data directory under work is its owner's alone.
func checkRights(t *testing.T, dir string) {
	t.Helper()
	for path, want := range map[string]fs.FileMode{
		"": 0o700, "gapless.db": 0o600, "gapless.db-wal": 0o600, "gapless.db-shm": 0o600, "gapless.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %v, want %v", path, got, want)
		}
	}
}

func TestRightsOfFiles(t *testing.T) {
	t.Parallel()
	needModes(t)
	dir := filepath.Join(t.TempDir(), "new", "a dir with ? and # and %41")
	var log bytes.Buffer
	s := openStore(t, store.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mustAppend(t, openBuffer(t, s, "dev-tenant"), newIntake(0, 1, 0))
	checkRights(t, dir)
	if log.Len() > 0 {
		t.Errorf("a directory for its owner alone makes it say %s", &log)
	}
}

// TestRightsWithoutUmask runs TestRightsOfFiles in a process whose umask takes no
// right from anybody.
func TestRightsWithoutUmask(t *testing.T) {
	t.Parallel()
	needModes(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `umask 000; exec "$0" -test.run '^TestRightsOfFiles$' -test.v`, os.Args[0])
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestRightsOfFiles") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestOpenDirectoryIsTold holds that a directory which others can read is used,
// left as it is, and told of with the command that mends it.
func TestOpenDirectoryIsTold(t *testing.T) {
	t.Parallel()
	needModes(t)
	dir := filepath.Join(t.TempDir(), "it's open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	chmod := func(path string, mode fs.FileMode) {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	said := func() string {
		t.Helper()
		var log bytes.Buffer
		s := openStore(t, store.Config{Dir: dir, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	chmod(dir, 0o755)
	if log := said(); !strings.Contains(log, `"level":"WARN"`) || !strings.Contains(log, "mode 0755") || !strings.Contains(log, "chmod 0700 '") {
		t.Errorf("of a directory that others can read it says %q", log)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the mode was changed: %v (%v)", info, err)
	}
	chmod(dir, 0o700)
	chmod(filepath.Join(dir, "gapless.db"), 0o640)
	if log := said(); !strings.Contains(log, "mode 0640") || !strings.Contains(log, "chmod 0600 '") || strings.Contains(log, "0700") {
		t.Errorf("of a file that others can read it says %q", log)
	}
	chmod(filepath.Join(dir, "gapless.db"), 0o600)
	if log := said(); log != "" {
		t.Errorf("of what nobody else can read it says %q", log)
	}
}

// TestDirectoryByALink holds that a data directory is one and the same by whatever
// name, and that the modes that count are those behind a link.
func TestDirectoryByALink(t *testing.T) {
	t.Parallel()
	needModes(t)
	parent := t.TempDir()
	dir, link := filepath.Join(parent, "real"), filepath.Join(parent, "link")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := openStore(t, store.Config{Dir: link, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mustAppend(t, openBuffer(t, s, "dev-tenant"), newIntake(0, 1, 0))
	checkRights(t, dir)
	if log.Len() > 0 {
		t.Errorf("it says %s", &log)
	}
	if _, err := store.Open(t.Context(), store.Config{Dir: dir}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("open by another name: error %v, want ErrLocked", err)
	}
	if err := errors.Join(s.Close(), os.Symlink("nowhere", filepath.Join(parent, "loose"))); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(parent, "loose")}); err == nil {
		t.Error("a link that leads nowhere was taken for a directory")
	}
}
