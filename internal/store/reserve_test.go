package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// wantNoRoom wants an append refused because the disk is full: not for good, with a hint,
// and nothing of it is stored.
func wantNoRoom(t *testing.T, b *store.Buffer, in pipeline.Intake) {
	t.Helper()
	done, err := b.Append(t.Context(), "poll", in)
	if e := pipeline.Classify(err); err == nil || e.Class != pipeline.Transient || e.Hint == "" || done.Stored != 0 {
		t.Fatalf("append to a full disk: %+v with error %v of class %v and hint %q", done, err, e.Class, e.Hint)
	}
}

// lookAtRoom makes the store look at the room of the disk.
func lookAtRoom(t *testing.T, s *store.Store) {
	t.Helper()
	if err := store.LookAtRoom(t.Context(), s); err != nil {
		t.Fatalf("look at room: %v", err)
	}
}

// reserved returns the size of the reserve, 0 when there is none.
func reserved(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, store.ReserveName))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestIntakeEndsBeforeTheDiskIsFull takes no new event when what is free comes down
// to what delivery needs, and takes them again when there is more. What brings
// nothing new passes, and so does delivery.
func TestIntakeEndsBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	const total = 32 << 20
	var free atomic.Int64
	free.Store(total)
	dir := privateDir(t)
	s := openStore(t, store.ConfigWithSpace(dir, total, free.Load))
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 10, 0))
	size := reserved(t, dir)
	if size != total/8 {
		t.Fatalf("the reserve has %d bytes on a disk of %d", size, total)
	}
	free.Store(size - 1)
	lookAtRoom(t, s)
	wantNoRoom(t, b, newIntake(5, 15, 0))
	wantNoRoom(t, b, pipeline.Intake{Unreadable: []event.Unreadable{{Raw: []byte("?"), Reason: "by script"}}})
	if done := mustAppend(t, b, newIntake(5, 10, 0)); done.Duplicates != 5 {
		t.Errorf("an intake without a new event: %+v", done)
	}
	if got := reserved(t, dir); got != size {
		t.Errorf("the reserve has %d bytes before anything needed it, want %d", got, size)
	}
	batch := take(t, b, limits())
	mustSettle(t, b, batch, pipeline.Receipt{})
	free.Store(total)
	lookAtRoom(t, s)
	if done := mustAppend(t, b, newIntake(5, 15, 0)); done.Stored != 5 {
		t.Errorf("with room again: %+v", done)
	}
}

// TestRoomIsLookedAtWhileEventsComeIn needs no time to pass to see that the disk
// fills: an eighth of the reserve in events is enough.
func TestRoomIsLookedAtWhileEventsComeIn(t *testing.T) {
	t.Parallel()
	const total = 8 << 20
	var free atomic.Int64
	free.Store(total)
	s := openStore(t, store.ConfigWithSpace(privateDir(t), total, free.Load))
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 1, 0))
	free.Store(1)
	const page, size = 20, 1200
	for n := page; ; n += page {
		_, err := b.Append(t.Context(), "poll", newIntake(n, n+page, size))
		if err != nil {
			break
		}
		if n*size > total/8/8+2*page*size {
			t.Fatalf("%d bytes were taken after the disk was full", n*size)
		}
	}
	wantNoRoom(t, b, newIntake(10_000, 10_001, size))
}

// TestReserveIsGivenUpForDelivery lets SQLite find no room for the outcome of a
// batch: the reserve goes, and with it the intake ends, until there is room for it
// again. An append never gets the reserve.
func TestReserveIsGivenUpForDelivery(t *testing.T) {
	t.Parallel()
	const total = 32 << 20
	dir := privateDir(t)
	var free atomic.Int64
	free.Store(total)
	s := openStore(t, store.ConfigWithSpace(dir, total, free.Load))
	b := openBuffer(t, s, "dev-tenant")
	mustAppend(t, b, newIntake(0, 10, 0))
	batch := take(t, b, limits())
	mustExec(t, s, "PRAGMA max_page_count = 1") // SQLite makes it the pages there are
	wantNoRoom(t, b, newIntake(10, 1000, 1000))
	if reserved(t, dir) == 0 {
		t.Fatal("an append got the reserve")
	}
	outcome := pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 0, Reason: "test", Detail: strings.Repeat("x", 1<<20)}}}
	err := b.Settle(t.Context(), batch, outcome)
	if e := pipeline.Classify(err); err == nil || e.Hint == "" {
		t.Fatalf("settle without room: error %v with hint %q", err, e.Hint)
	}
	if reserved(t, dir) != 0 {
		t.Error("the reserve was not given up")
	}
	free.Store(0)
	mustExec(t, s, "PRAGMA max_page_count = 1000000")
	wantNoRoom(t, b, newIntake(10, 11, 0))
	mustSettle(t, b, batch, outcome)
	free.Store(total)
	lookAtRoom(t, s)
	if reserved(t, dir) == 0 {
		t.Error("the reserve was not made again")
	}
	mustAppend(t, b, newIntake(10, 11, 0))
}

// mustExec runs a statement in the writer.
func mustExec(t *testing.T, s *store.Store, query string) {
	t.Helper()
	if err := store.Exec(s, query); err != nil {
		t.Fatal(err)
	}
}
