package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// lockName is the file that a running process holds locked.
const lockName = "gapless.lock"

// A holder is what the lock file says about the process that holds it.
type holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"`
}

// String describes the holder in a line.
func (h holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d on %s (%s), running since %s", h.PID, h.Host, h.Command, h.Since.Format(time.RFC3339))
}

// lockDir takes the lock of a data directory. The system frees it when the
// process ends, however it ends, so a file left behind means nothing.
func lockDir(ctx context.Context, dir string) (*flock.Flock, error) {
	path := filepath.Join(dir, lockName)
	l := flock.New(path, flock.SetPermissions(0o600))
	err := makeLockFile(path)
	ok := false
	if err == nil {
		ok, err = tryLock(ctx, l)
	}
	if err != nil {
		return nil, &pipeline.Error{
			Op: "lock data directory", Class: pipeline.Misconfigured, Err: err,
			Hint: "The data directory must be on a disk of this machine that allows locks, and writable.",
		}
	}
	if !ok {
		h := readHolder(path)
		return nil, &pipeline.Error{
			Op: "lock data directory", Class: pipeline.Misconfigured,
			Err:  fmt.Errorf("%s: %w by %s", dir, ErrLocked, h),
			Hint: "One process at a time works in a data directory: stop the other one, or set another data_dir. `gapless status` can read beside it.",
		}
	}
	if err := writeHolder(path); err != nil {
		return nil, fmt.Errorf("write lock file: %w", joinUnlock(err, l))
	}
	return l, nil
}

// lookTime is how long a lock may be held by somebody who only looks whether the
// directory is in use, see InUse.
const lookTime = 300 * time.Millisecond

// tryLock takes the lock, again and again for lookTime.
func tryLock(ctx context.Context, l *flock.Flock) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	ok, err := l.TryLockContext(ctx, lookTime/10)
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return ok, err
}

// joinUnlock frees a lock that is of no use.
func joinUnlock(err error, l *flock.Flock) error {
	if e := l.Unlock(); e != nil {
		return fmt.Errorf("%w; and unlock: %w", err, e)
	}
	return err
}

// holderAt is where the holder stands in the lock file. On Windows the first
// byte is what is locked, and nobody else can read or write it.
const holderAt = 1

// makeLockFile makes the lock file with that byte in it, unless it is there.
func makeLockFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the directory
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n")
	return errors.Join(err, f.Close())
}

// writeHolder writes this process into the lock file.
func writeHolder(path string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	// Of the command no arguments: one of them may be a secret.
	h := holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second), Command: filepath.Base(os.Args[0])}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return err
	}
	text = append(text, '\n')
	_, err = f.WriteAt(text, holderAt)
	return errors.Join(err, f.Truncate(holderAt+int64(len(text))), f.Close())
}

// readHolder reads who holds the lock; the zero holder when that cannot be read.
func readHolder(path string) (h holder) {
	f, err := os.Open(path) //nolint:gosec // the operator names the directory
	if err != nil {
		return holder{}
	}
	defer f.Close() //nolint:errcheck // it has only read
	if json.NewDecoder(io.NewSectionReader(f, holderAt, 4096)).Decode(&h) != nil {
		return holder{}
	}
	return h
}
