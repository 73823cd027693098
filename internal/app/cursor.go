package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// ResetCursor forgets how far a tenant has been read, so that the next run
// begins at start_from. It fails while a process holds the data directory.
func ResetCursor(ctx context.Context, cfg *config.Config, tenant string) (err error) {
	s, err := openStore(ctx, cfg)
	if err != nil {
		return err // it says what was tried
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b, err := s.Buffer(ctx, tenant)
	if err != nil {
		return fmt.Errorf("open buffer: %w", err)
	}
	if err := b.ResetCursor(ctx, source.PollName); err != nil {
		return fmt.Errorf("reset cursor: %w", err)
	}
	return b.SetSetting(ctx, startKey, "")
}

// openStore opens the store of a data directory in which no process works.
func openStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	return store.Open(ctx, store.Config{
		Dir: cfg.DataDir, MaxBytes: int64(cfg.MaxBufferBytes), MaxLetterBytes: int64(cfg.MaxLetterBytes), DedupWindow: cfg.DedupWindow,
	})
}
