package app

import (
	"context"
	"errors"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/store"
)

// A LetterFilter picks dead letters.
type LetterFilter = store.LetterFilter

// LettersDone says how many dead letters were moved.
type LettersDone = store.LettersDone

// Errors of what cannot be done with dead letters.
var (
	ErrNoLetter     = store.ErrNoLetter
	ErrNotAnEvent   = store.ErrNotAnEvent
	ErrWasDelivered = store.ErrWasDelivered
	ErrInUse        = store.ErrLocked
)

// LetterKinds returns the kinds of dead letters.
func LetterKinds() []string {
	return []string{store.KindRejected, store.KindAltered, store.KindUnreadable}
}

// A DeadLetter is a dead letter for people and programs to look at.
type DeadLetter struct {
	ID     int64  `json:"id"`
	Tenant string `json:"tenant"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	// KeptSince is when it became a dead letter.
	KeptSince time.Time `json:"kept_since"`
	Source    string    `json:"source"`
	// What follows an unreadable piece does not have.
	LogID string    `json:"log_id,omitempty"`
	Type  string    `json:"type,omitempty"`
	Date  time.Time `json:"date,omitzero"`
	// Destination is the name of the tenant's destination that it was meant for; empty
	// for the main one.
	Destination string `json:"destination,omitempty"`

	LogGroup  string `json:"log_group,omitempty"`
	LogStream string `json:"log_stream,omitempty"`
	Bytes     int64  `json:"bytes"`
	// Body is what was kept, byte for byte; a list has none.
	Body []byte `json:"-"`
}

// newDeadLetter makes one from what the store holds.
func newDeadLetter(l store.DeadLetter) DeadLetter {
	return DeadLetter{
		ID: l.ID, Tenant: l.Tenant, Kind: l.Kind, Reason: l.Reason, Detail: l.Detail, KeptSince: l.CreatedAt, Source: l.Source,
		LogID: l.Event.LogID, Type: l.Event.Type, Date: l.Event.Date,
		Destination: l.Destination.Sink, LogGroup: l.Destination.LogGroup, LogStream: l.Destination.LogStream, Bytes: l.Size, Body: l.Event.Raw,
	}
}

// ListDeadLetters lists the dead letters that a filter picks, the newest first and
// at most limit, without their bytes. It works beside a process that is running.
func ListDeadLetters(ctx context.Context, cfg *config.Config, f LetterFilter, limit int) (list []DeadLetter, err error) {
	err = reading(ctx, cfg, func(r *store.Reader) error {
		found, err := r.DeadLetters(ctx, f, limit)
		for _, l := range found {
			list = append(list, newDeadLetter(l))
		}
		return err
	})
	return list, err
}

// CountDeadLetters counts the dead letters that a filter picks, and their bytes.
func CountDeadLetters(ctx context.Context, cfg *config.Config, f LetterFilter) (done LettersDone, err error) {
	err = reading(ctx, cfg, func(r *store.Reader) error {
		counts, err := r.CountDeadLetters(ctx, f)
		for _, c := range counts {
			done.Letters += c.Letters
			done.Bytes += c.Bytes
		}
		return err
	})
	return done, err
}

// ReadDeadLetter returns one dead letter with its bytes. It works beside a process
// that is running.
func ReadDeadLetter(ctx context.Context, cfg *config.Config, id int64) (l DeadLetter, err error) {
	err = reading(ctx, cfg, func(r *store.Reader) error {
		found, err := r.DeadLetter(ctx, id)
		l = newDeadLetter(found)
		return err
	})
	return l, err
}

// reading opens the store beside whoever works in it.
func reading(ctx context.Context, cfg *config.Config, read func(*store.Reader) error) (err error) {
	r, err := store.OpenReadOnly(ctx, cfg.DataDir)
	if err != nil {
		return err // it says what was tried
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return read(r)
}

// ReplayDeadLetters puts events back into the buffer, see
// store.Store.ReplayDeadLetters; the next run delivers them. It fails with
// ErrInUse while a process holds the data directory.
func ReplayDeadLetters(ctx context.Context, cfg *config.Config, f LetterFilter, force bool) (LettersDone, error) {
	return moving(ctx, cfg, func(s *store.Store) (LettersDone, error) { return s.ReplayDeadLetters(ctx, f, force) })
}

// DropDeadLetters deletes dead letters for good. It fails with ErrInUse while a
// process holds the data directory.
func DropDeadLetters(ctx context.Context, cfg *config.Config, f LetterFilter) (LettersDone, error) {
	return moving(ctx, cfg, func(s *store.Store) (LettersDone, error) { return s.DropDeadLetters(ctx, f) })
}

// moving opens the store to change it. A data directory without one is left as it
// is.
func moving(ctx context.Context, cfg *config.Config, move func(*store.Store) (LettersDone, error)) (done LettersDone, err error) {
	if err := reading(ctx, cfg, func(*store.Reader) error { return nil }); err != nil {
		return done, err
	}
	s, err := openStore(ctx, cfg)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return move(s)
}
