package journal

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// maxDeliveries and maxRuns bound the rows of these lists, whatever their age.
	maxDeliveries = 200_000
	maxRuns       = 100_000
	// pruneBlocks is how many blocks are deleted in a step.
	pruneBlocks = 64
	// vacuumPages is how many free pages are given back in a step.
	vacuumPages = 256
	// freeLeast is how many free pages are left for what comes next.
	freeLeast = 64
)

// tidy forgets what is too old or too much, and gives room back.
func (j *Journal) tidy(ctx context.Context) error {
	j.watches.rest(time.Now())
	if err := j.flushAll(ctx); err != nil {
		return err
	}
	if err := j.pruneAge(ctx); err != nil {
		return err
	}
	if err := j.pruneSize(ctx); err != nil {
		return err
	}
	return j.shrink(ctx)
}

// pruneAge forgets what passed too long ago.
func (j *Journal) pruneAge(ctx context.Context) error {
	before := time.Now().Add(-j.bounds().Keep).UnixMicro()
	for {
		n, err := j.deleteBlocks(ctx, "WHERE settled < ? LIMIT ?", before, pruneBlocks)
		if err != nil {
			return err
		}
		if n < pruneBlocks {
			break
		}
	}
	return j.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, x := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM deliveries WHERE at < ?", []any{before}},
			{"DELETE FROM deliveries WHERE id <= (SELECT max(id) FROM deliveries) - ?", []any{maxDeliveries}},
			{"DELETE FROM runs WHERE ended > 0 AND ended < ?", []any{before}},
			{"DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ?", []any{maxRuns}},
		} {
			if _, err := tx.ExecContext(ctx, x.query, x.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// pruneSize forgets the oldest blocks while the file holds too much.
func (j *Journal) pruneSize(ctx context.Context) error {
	for {
		used, _, err := j.pages(ctx)
		if err != nil || used <= j.bounds().MaxBytes {
			return err
		}
		var blocks int64
		if err := j.file().write.QueryRowContext(ctx, "SELECT count(*) FROM blocks").Scan(&blocks); err != nil {
			return fmt.Errorf("read size of journal: %w", err)
		}
		share := 1 + int64(float64(blocks)*float64(used-j.bounds().MaxBytes)/float64(used))
		n, err := j.deleteBlocks(ctx, "ORDER BY settled LIMIT ?", min(share, pruneBlocks))
		if err != nil || n == 0 {
			return err
		}
	}
}

// deleteBlocks deletes the blocks that a clause picks, and returns how many.
func (j *Journal) deleteBlocks(ctx context.Context, clause string, args ...any) (int, error) {
	list, err := queryHeaders(ctx, j.file().write, clause, args...)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return len(list), j.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, h := range list {
			if err := deleteBlock(ctx, tx, h.id); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE since SET at = max(at, ?)", h.newest); err != nil {
				return err
			}
		}
		return nil
	})
}

// pages returns how many bytes of the file are in use, and how many are free.
func (j *Journal) pages(ctx context.Context) (used, free int64, err error) {
	var all, size int64
	for _, x := range []struct {
		name string
		to   *int64
	}{{"page_count", &all}, {"freelist_count", &free}, {"page_size", &size}} {
		if err := j.file().write.QueryRowContext(ctx, "PRAGMA "+x.name).Scan(x.to); err != nil {
			return 0, 0, fmt.Errorf("read size of journal: %w", err)
		}
	}
	return (all - free) * size, free * size, nil
}

// shrink gives free pages back when there are many: a quarter of what is in use.
func (j *Journal) shrink(ctx context.Context) error {
	for {
		used, free, err := j.pages(ctx)
		if err != nil || free <= max(used/4, freeLeast*pageSize) {
			return err
		}
		for _, q := range []string{fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages), "PRAGMA wal_checkpoint(PASSIVE)"} {
			if err := drain(ctx, j.file().write, q); err != nil {
				return fmt.Errorf("shrink journal: %w", err)
			}
		}
		_, now, err := j.pages(ctx)
		if err != nil || now >= free {
			return err
		}
	}
}

// drain runs a pragma to its end.
func drain(ctx context.Context, db *sql.DB, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells what went wrong
	for rows.Next() {  // each row is a step of the work
	}
	return rows.Err()
}
