package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Pending returns how many events wait for delivery or for their receipt, as of
// the last commit. One that waits for several sinks counts for each; those of sinks
// that are not in use, see UseSinks, do not count.
func (b *Buffer) Pending() int64 { return b.figures().events + b.sinks.waiting(false) }

// PendingOf is Pending for one sink; an empty name is that of the main one.
func (b *Buffer) PendingOf(sink string) int64 {
	events, _ := b.SinkFiguresOf(sink)
	return events
}

// ResetCursor forgets where a source stands. What is stored stays stored.
func (b *Buffer) ResetCursor(ctx context.Context, source string) error {
	err := b.write(ctx, "reset cursor", func(ctx context.Context, t *tx) error {
		if err := t.exec(ctx, "DELETE FROM kv WHERE tenant_id = ? AND space = ? AND key = ?", b.id, spaceStore, keyLostCursor); err != nil {
			return err
		}
		return t.exec(ctx, "DELETE FROM cursors WHERE tenant_id = ? AND source = ?", b.id, source)
	})
	if err == nil {
		b.mu.Lock()
		b.progress.reset(source)
		b.mu.Unlock()
		b.store.changed()
	}
	return err
}

// ClearConditions forgets the troubles of the tenant: those of a process that has
// ended say nothing of the one that starts. What the store itself has to say, of
// the quota of the dead letters and of a restoration, stays.
func (b *Buffer) ClearConditions(ctx context.Context) error {
	return b.write(ctx, "clear conditions", func(ctx context.Context, t *tx) error {
		return t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part NOT IN (?, ?)", b.id, QuotaPart, RestoredPart)
	})
}

// InUse reports whether a process works in a data directory. It takes the lock
// for a moment, and only if the lock file is there.
func InUse(dir string) (bool, error) {
	path := filepath.Join(dir, lockName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	l := flock.New(path, flock.SetFlag(os.O_RDWR))
	free, err := l.TryRLock()
	if err != nil {
		return false, &pipeline.Error{
			Op: "look at the lock of the data directory", Class: pipeline.Misconfigured, Err: err,
			Hint: fmt.Sprintf("Run it as the user that gapless runs as, who may read %s.", dir),
		}
	}
	if !free {
		return true, nil
	}
	return false, l.Unlock()
}
