package store

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Limits are the settings of Config that may change while the store is open. What is 0
// has the default.
type Limits struct {
	MaxBytes, MaxLetterBytes int64
	DedupWindow              time.Duration
}

// limits returns those of the moment.
func (s *Store) limits() *Limits { return s.limit.Load() }

// SetLimits takes other limits. They hold from the next change on; a quota of dead
// letters that they bring within reach, or out of it, is told at once. The error says
// that this could not be written, and the limits hold nevertheless.
func (s *Store) SetLimits(ctx context.Context, l Limits) error {
	l.MaxBytes = cmp.Or(l.MaxBytes, DefaultMaxBytes)
	l.MaxLetterBytes = cmp.Or(l.MaxLetterBytes, DefaultMaxLetterBytes)
	l.DedupWindow = cmp.Or(l.DedupWindow, DefaultDedupWindow)
	s.limit.Store(&l)
	var errs []error
	for _, b := range s.opened() {
		errs = append(errs, b.write(ctx, "keep the condition of the quota", func(ctx context.Context, t *tx) error {
			return b.keepQuotaCondition(ctx, t, t.figures())
		}))
	}
	return errors.Join(errs...)
}

// Meter says whether the figures of the tenant are among the store's metrics, as they
// are from the start: not of one that was removed from the configuration.
func (b *Buffer) Meter(on bool) { b.unmetered.Store(!on) }
