package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// What is delivered makes room, but SQLite needs some for writing down that it is:
// in the WAL, and in the database when the WAL is folded into it. So a file of the
// data directory holds room for that, and the intake ends before the disk is full.
// See docs/adr/0015.
const (
	// reserveName is that file. Its content means nothing.
	reserveName = "gapless.reserve"
	// reserveMost is how large it is: 8 MiB for a WAL that is folded in (walPages),
	// 4 MiB for what is behind those in the WAL, and 4 MiB for the outcome of a
	// batch: up to 1 MiB of events whose pages change or which become dead letters,
	// with their index entries.
	reserveMost = 16 << 20
	// reserveShare bounds it on a small disk, as the part of the file system. The
	// WAL, and what is vacuumed in a step, are smaller there in proportion.
	reserveShare = 8
	// roomEvery is how often the room is looked at while events come in, unless
	// reserveLook of the reserve's size come before; twice that while it is low.
	roomEvery   = time.Second
	reserveLook = 8
	// rowCost is what an event takes at most, as a multiple of its size: in the WAL
	// and in the database, with its index entries.
	rowCost = 3
	// tightenSteps bounds how long delivery waits while room is made: 32 MiB of free
	// pages, mostly in well under a second.
	tightenSteps = 16
	// makeEvery is how long to wait after the reserve could not be made.
	makeEvery = time.Minute
)

// fullHint says what a person can do about a full disk.
const fullHint = "The disk of the data directory is full: make room on it, or set a smaller max_buffer_bytes."

// errLowRoom says that the intake must leave what is free to delivery.
var errLowRoom = errors.New("what is free on the disk is kept for delivery")

// A space is the room of a file system, in bytes.
type space struct{ free, total int64 }

// A reserve is that room, and the look at the disk that spares it. It belongs to
// the goroutine of the writer, but for low.
type reserve struct {
	dir    string
	logger *slog.Logger
	space  func(dir string) (space, error)
	size   int64       // 0: none is kept, for the room of the disk is not known
	held   bool        // the file is there
	low    atomic.Bool // no new events are taken
	at     time.Time   // of the last look
	taken  int64       // bytes of events since then
	failed time.Time   // when the file could not be made
}

// startReserve frees what an earlier process has reserved, so that the store opens
// on a full disk too. It says whether there was something. Where that cannot be
// freed the store cannot be written either, and says so itself.
func startReserve(dir string, logger *slog.Logger, look func(string) (space, error)) (r *reserve, was bool) {
	r = &reserve{dir: dir, logger: logger, space: look}
	if look == nil {
		r.space = spaceOf
	}
	was = os.Remove(r.path()) == nil
	if sp, err := r.space(dir); err == nil {
		r.size = min(reserveMost, sp.total/reserveShare) / pageSize * pageSize
	}
	return r, was
}

// path names the file.
func (r *reserve) path() string { return filepath.Join(r.dir, reserveName) }

// scaled is a number of pages that goes with a whole reserve, for this one.
func (r *reserve) scaled(pages int64) int64 {
	if r.size == 0 {
		return pages
	}
	return max(1, pages*r.size/reserveMost)
}

// room is what is free once the WAL is folded into the database, at the least.
func (r *reserve) room() (int64, error) {
	sp, err := r.space(r.dir)
	if err != nil {
		return 0, err
	}
	if info, err := os.Stat(filepath.Join(r.dir, fileName+"-wal")); err == nil {
		sp.free -= info.Size()
	}
	return sp.free, nil
}

// make makes the file, with all its bytes on the disk.
func (r *reserve) make() error {
	f, err := os.OpenFile(r.path(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(allocate(f, r.size), f.Close())
	if r.held = err == nil; err != nil {
		return errors.Join(err, os.Remove(r.path()))
	}
	return nil
}

// writeRandom fills a file. No file system can make that smaller than it is.
func writeRandom(f *os.File, size int64) error {
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err != nil {
		return err
	}
	return f.Sync()
}

// giveUp frees the file. It reports whether that has made room.
func (r *reserve) giveUp(ctx context.Context) bool {
	if !r.held {
		return false
	}
	if err := os.Remove(r.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.logger.LogAttrs(ctx, slog.LevelError, "cannot delete "+reserveName, slog.Any("error", err), slog.String("hint", "Delete that file of the data directory."))
		return false
	}
	r.held = false
	r.setLow(ctx, true)
	return true
}

// setLow says whether new events are taken, and tells when that changes.
func (r *reserve) setLow(ctx context.Context, low bool) {
	switch was := r.low.Swap(low); {
	case low && !was:
		r.logger.LogAttrs(ctx, slog.LevelError, "the disk of the data directory is full: no new events are taken until there is room, delivery goes on",
			slog.Bool("reserve_in_use", !r.held), slog.String("hint", fullHint))
	case was && !low:
		r.logger.LogAttrs(ctx, slog.LevelInfo, "the disk of the data directory has room again: new events are taken")
	}
}

// refuse returns the error of an append for which there is no room.
func (r *reserve) refuse() error {
	if !r.low.Load() {
		return nil
	}
	return &pipeline.Error{Op: "append events", Class: pipeline.Transient, Err: errLowRoom, Hint: fullHint}
}

// beforeCommit looks at the room before so many bytes of new events are written.
func (w *writer) beforeCommit(ctx context.Context, group []*job) {
	r := w.reserve
	size := int64(0)
	for _, j := range group {
		size += j.grows
	}
	if r.size == 0 || size == 0 {
		return
	}
	now := time.Now()
	r.taken += size
	if now.Sub(r.at) >= roomEvery || now.Before(r.at) || (r.taken > r.size/reserveLook && !r.low.Load()) {
		w.lookAtRoom(ctx, now, size)
	}
}

// lookAtRoom decides whether new events are taken: when there is the reserve, as
// much again for delivery, and room for so many bytes of events. When there is not
// it gives back to the file system what the files do not need, and looks again.
func (w *writer) lookAtRoom(ctx context.Context, now time.Time, size int64) {
	r := w.reserve
	r.at, r.taken = now, 0
	need := r.size + rowCost*size
	if !r.held {
		need += r.size
	}
	room, err := r.room()
	if err == nil && room < need {
		w.tighten(ctx, need)
		room, err = r.room()
	}
	if err != nil {
		r.setLow(ctx, false) // not known: SQLite will say when there is none
		return
	}
	if room >= need && !r.held && now.Sub(r.failed) >= makeEvery {
		r.remake(ctx, now)
	}
	r.setLow(ctx, room < need)
}

// remake makes the reserve. Where that fails although there is room, as under a
// limit for files, the store goes on without one: it is no worse off than before.
func (r *reserve) remake(ctx context.Context, now time.Time) {
	err := r.make()
	if err == nil {
		r.failed = time.Time{}
		return
	}
	if r.failed.IsZero() { // once
		r.logger.LogAttrs(ctx, slog.LevelWarn, "cannot make "+reserveName+", it is tried again; without it a full disk may hold up delivery", slog.Any("error", err))
	}
	r.failed = now
}

// keepReserve makes the reserve at the start. One that was there is made again also
// where there is room for nothing else.
func (w *writer) keepReserve(ctx context.Context, was bool) error {
	r := w.reserve
	if r.size == 0 {
		return nil
	}
	for name, n := range map[string]int64{"wal_autocheckpoint": r.scaled(walPages), "journal_size_limit": r.scaled(walLimit/pageSize) * pageSize} {
		if err := w.pragma(ctx, fmt.Sprintf("%s = %d", name, n)); err != nil {
			return fault("set "+name, err)
		}
	}
	if sp, err := r.space(r.dir); was && err == nil && sp.free >= r.size+r.size/reserveLook {
		_ = r.make() // or by the look
	}
	w.lookAtRoom(ctx, time.Now(), 0)
	return nil
}

// pragma runs a pragma outside of any transaction, whatever rows it returns.
func (w *writer) pragma(ctx context.Context, what string) error {
	rows, err := w.conn.QueryContext(ctx, "PRAGMA "+what) //nolint:sqlclosecheck // closeWith does
	if err != nil {
		return err
	}
	return closeWith(rows, func() error {
		for rows.Next() { // a pragma does its work while it is read
		}
		return rows.Err()
	}())
}

// tighten gives back to the file system what the files hold without need, until so
// much is free: the WAL, and free pages of the database. What fails is left as it
// is, for the next time.
func (w *writer) tighten(ctx context.Context, need int64) {
	t := &tx{w: w, now: time.Now()}
	for range tightenSteps {
		// The file becomes shorter only when the WAL is folded into it.
		if w.pragma(ctx, "wal_checkpoint(TRUNCATE)") != nil {
			return
		}
		if room, err := w.reserve.room(); err != nil || room >= need {
			return
		}
		if free, err := t.pragma(ctx, "freelist_count"); err != nil || free == 0 || w.pragma(ctx, w.vacuum()) != nil {
			return
		}
	}
	_ = w.pragma(ctx, "wal_checkpoint(TRUNCATE)")
}

// vacuum is a step of the vacuum.
func (w *writer) vacuum() string {
	return fmt.Sprintf("incremental_vacuum(%d)", w.reserve.scaled(vacuumPages))
}

// makeRoom makes room after a job has found none for the nth time, and reports
// whether another try is worth it. First the WAL is folded into the database: its
// place on the disk is used again then. That itself may need room, so the jobs
// that delivery needs get the reserve.
func (w *writer) makeRoom(ctx context.Context, j *job, tries int, err error) bool {
	switch {
	case !isFull(err):
		return false
	case j.grows > 0:
		w.reserve.at = time.Time{} // look again before the next ones
		return false
	case tries == 0:
		_ = w.pragma(ctx, "wal_checkpoint(RESTART)")
		return true
	case tries == 1 && j.drains && w.reserve.giveUp(ctx):
		_ = w.pragma(ctx, "wal_checkpoint(TRUNCATE)")
		return true
	}
	return false
}

// watchRoom looks at the room while it is low, so that the intake goes on soon after
// there is some.
func (s *Store) watchRoom(ctx context.Context) {
	if !s.writer.reserve.low.Load() {
		return
	}
	_ = s.writer.do(ctx, &job{alone: true, run: func(ctx context.Context, t *tx) error {
		t.w.lookAtRoom(ctx, t.now, 0)
		return nil
	}})
}
