package store

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Errors that callers may branch on.
var (
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("the store is closed")
	// ErrLocked says that another process works in the data directory.
	ErrLocked = errors.New("the data directory is in use")
	// ErrNewerSchema says that a newer release has written the file.
	ErrNewerSchema = errors.New("the file was written by a newer gapless")
	// ErrNoData says that there is no store to read in the data directory.
	ErrNoData = errors.New("there is no data yet")
	// ErrBadReceipt says that a receipt does not fit its batch.
	ErrBadReceipt = errors.New("the receipt does not fit the batch")
)

// errInconsistent says that the file does not hold what it held before; a write
// from outside is the likely cause.
var errInconsistent = errors.New("the file does not hold the events that it should")

// fault classifies an error of SQLite and adds what a person can do about it.
func fault(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*pipeline.Error](err); ok {
		return err // it says itself what was tried
	}
	out := &pipeline.Error{Op: op, Class: pipeline.Transient, Err: err}
	if isDamage(err) {
		out.Class = pipeline.Misconfigured
		out.Hint = damagedHint
		return out
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return out
	}
	if e.Code() == sqlite3.SQLITE_READONLY_ROLLBACK {
		out.Hint = "A gapless that was killed left the store half written. The next start of gapless run mends it."
		return out
	}
	switch e.Code() & 0xff { // the rest tells variants apart
	case sqlite3.SQLITE_FULL:
		out.Hint = fullHint
	case sqlite3.SQLITE_IOERR:
		out.Hint = "The disk of the data directory does not take or give data: look at its health and at the system log."
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		out.Hint = "Another program holds " + fileName + " locked, such as an open sqlite3 shell: end it."
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH:
		out.Class = pipeline.Misconfigured
		out.Hint = "Give the user that gapless runs as the right to read and write the data directory and the files in it."
	}
	return out
}

// isFull says whether a write has failed for want of room, be it for the file -shm.
func isFull(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE:
		return true
	}
	return false
}

// damagedHint is what to do with a file that SQLite cannot read.
const damagedHint = "Start gapless again: it keeps the damaged file under another name, takes over what can be read of it, " +
	"and goes on from " + mirrorName + ". Find out what happened to the disk."
