package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/checkup"
)

// found runs all checks and returns what each found, by its name.
func found(t *testing.T, k *Checkup) map[string]checkup.Finding {
	t.Helper()
	all := make(map[string]checkup.Finding)
	err := checkup.Run(t.Context(), []checkup.Section{{Checks: k.Checks()}}, time.Minute, func(r checkup.Result) { all[r.Check] = r.Finding })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// expect compares one finding.
func expect(t *testing.T, got checkup.Finding, status checkup.Status, summary, fix string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Summary, summary) || !strings.Contains(got.Fix, fix) {
		t.Errorf("got %+v, want %s with %q and %q", got, status, summary, fix)
	}
}

// TestCheckupBesideAProcess looks at a store in which a process works, and leaves no
// file behind.
func TestCheckupBesideAProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	before := names(t, dir)
	all := found(t, &Checkup{Dir: dir, MaxBytes: 1})
	expect(t, all["data_dir"], checkup.Pass, "can be written", "")
	expect(t, all["data_dir_in_use"], checkup.Pass, "in use by process ", "")
	expect(t, all["data_dir_rights"], checkup.Pass, "nobody else", "")
	expect(t, all["store"], checkup.Pass, "can be read", "")
	if after := names(t, dir); after != before {
		t.Errorf("the directory has %s, and had %s", after, before)
	}
	if _, err := s.Buffer(t.Context(), "dev"); err != nil {
		t.Errorf("the process is disturbed: %v", err)
	}
}

// names lists a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(list, hidden...), " ")
}

// TestCheckupOfNothing does not make the directory that is not there.
func TestCheckupOfNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	all := found(t, &Checkup{Dir: dir, MaxBytes: 1})
	expect(t, all["data_dir"], checkup.Pass, "the first run makes it", "")
	expect(t, all["store"], checkup.Pass, "no data yet", "")
	expect(t, all["disk_sync"], checkup.Pass, "is flushed in", "")
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("a directory was made")
	}
}

// TestCheckupOfANewerStore names the release as what is wrong.
func TestCheckupOfANewerStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	got := found(t, &Checkup{Dir: dir, MaxBytes: 1})["store"]
	expect(t, got, checkup.Fail, "newer release", "gapless")
	if got.Cause != checkup.Configuration {
		t.Errorf("cause %q", got.Cause)
	}
}

// TestCheckupOfDisks tells full disks and those that are too small, and the kinds of
// file systems on which a store is not safe.
func TestCheckupOfDisks(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		free, most   int64
		status       checkup.Status
		summary, fix string
	}{
		{4*reserveMost - 1, 1, checkup.Fail, "the disk is full", "Make room"},
		{1 << 30, 2 << 30, checkup.Warn, "1 GiB are free, and the buffers may take 2 GiB", "max_buffer_bytes"},
		{2 << 30, 2 << 30, checkup.Pass, "2 GiB are free", ""},
	} {
		k := &Checkup{Dir: t.TempDir(), MaxBytes: x.most, space: func(string) (space, error) { return space{free: x.free, total: 1 << 40}, nil }}
		expect(t, found(t, k)["disk_space"], x.status, x.summary, x.fix)
	}
	for kind, want := range map[string]struct {
		status       checkup.Status
		summary, fix string
	}{
		"nfs": {checkup.Warn, "network file system (nfs)", "a local disk"}, "cifs": {checkup.Warn, "network", "a local disk"},
		"fuse": {checkup.Warn, "FUSE", "a local disk"}, "tmpfs": {checkup.Warn, "in memory", "lost with a restart"},
		"overlay": {checkup.Warn, "within the container", "Mount a volume"}, "ext4": {checkup.Pass, "ext4", ""}, "": {checkup.Skip, "not known", ""},
	} {
		k := &Checkup{Dir: t.TempDir(), kind: func(string) string { return kind }}
		expect(t, k.only(t.Context()), want.status, want.summary, want.fix)
	}
}

// only looks at the file system.
func (k *Checkup) only(ctx context.Context) checkup.Finding { return k.FileSystem(ctx)[0] }

// TestFullDiskFailsOnce leaves the flush alone where there is no room for it.
func TestFullDiskFailsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range (&Checkup{}).Checks() {
		if c.Name == "disk_sync" && !slices.Contains(c.Needs, "disk_space") {
			t.Errorf("disk_sync needs %v", c.Needs)
		}
	}
}
