package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// smallDisk mounts a file system of so many MiB, in memory, until the test ends.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := privateDir(t)
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mib)); err != nil {
		t.Skipf("NOT RUN: no file system can be mounted here: %v; run it as root, or under `unshare --map-root-user --mount`", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillDisk writes a file until nothing is free, as another program may.
func fillDisk(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "other-program")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, store.PageSize))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// fillBuffer appends until the disk is full, and returns how many events are stored.
func fillBuffer(t *testing.T, b *store.Buffer, size int) (to int) {
	t.Helper()
	const page = 50
	for n := 0; n < 100_000; n += page {
		if _, err := b.Append(t.Context(), "poll", newIntake(n, n+page, size)); err != nil {
			if e := pipeline.Classify(err); e.Class != pipeline.Transient || e.Hint == "" {
				t.Fatalf("append to a full disk: error %v of class %v and hint %q", err, e.Class, e.Hint)
			}
			return n
		}
	}
	t.Fatal("the disk does not fill")
	return 0
}

// drain delivers all events, number from to to-1, each once. Of each batch the first
// event is rejected, so that a dead letter is written beside.
func drain(t *testing.T, b *store.Buffer, from, to int) {
	t.Helper()
	want := make(map[string]bool, to-from)
	for n := from; n < to; n++ {
		want[newEvent(n, 0).LogID] = true
	}
	for len(want) > 0 {
		batch := take(t, b, limits())
		for _, e := range batch.Events {
			if !want[e.LogID] {
				t.Fatalf("%s comes twice or was never stored", e.LogID)
			}
			delete(want, e.LogID)
		}
		mustSettle(t, b, batch, pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "test"}}})
	}
}

// TestFullDiskDrains fills a disk with events that cannot be delivered; once they can,
// all go out without anybody's help, and new ones are taken again: also when the
// process started again on the full disk, and when another program has taken the
// last byte.
func TestFullDiskDrains(t *testing.T) {
	t.Parallel()
	for mib, size := range map[int]int{6: 1200, 24: 6000} {
		for _, c := range []struct {
			name           string
			other, restart bool
		}{
			{name: "by its events"},
			{name: "by its events, and started again", restart: true},
			{name: "by another program", other: true},
			{name: "by another program, and started again", other: true, restart: true},
		} {
			t.Run(fmt.Sprintf("%d MiB full %s", mib, c.name), func(t *testing.T) {
				t.Parallel()
				fullDiskDrains(t, smallDisk(t, mib), size, c.other, c.restart)
			})
		}
	}
}

// fullDiskDrains is a case of TestFullDiskDrains.
func fullDiskDrains(t *testing.T, dir string, size int, other, restart bool) {
	t.Helper()
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	stored := fillBuffer(t, b, size)
	if reserved(t, dir) == 0 {
		t.Error("the intake has used up the reserve")
	}
	filler := ""
	if other {
		filler = fillDisk(t, dir)
	}
	if restart {
		if err := s.Close(); err != nil {
			t.Fatalf("close on a full disk: %v", err)
		}
		if other {
			filler = fillDisk(t, dir)
		}
		s = openStore(t, store.Config{Dir: dir})
		b = openBuffer(t, s, "dev-tenant")
	}
	if other {
		lookAtRoom(t, s)
		wantNoRoom(t, b, newIntake(stored, stored+1, 0))
	}
	drain(t, b, 0, stored)
	if other {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	lookAtRoom(t, s)
	if reserved(t, dir) == 0 {
		t.Error("there is no reserve after all was delivered")
	}
	mustAppend(t, b, newIntake(stored, stored+100, 1200))
	drain(t, b, stored, stored+100)
	if err := s.Close(); err != nil { // which writes the mirror
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, store.MirrorName+".tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mirror was not written after there was room: %v", err)
	}
}
