package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/klauspost/compress/s2"
)

// How the file is kept small. Each step is short, so that appends go on between
// two of them.
const (
	maintainEvery = time.Minute
	// tidyAtClose bounds the last housekeeping. Without one, runs that are
	// shorter than maintainEvery, as those of cron, would never do any.
	tidyAtClose = 2 * time.Second
	// countsKept is how long counts by minute are kept; totals are for ever.
	countsKept = 31 * 24 * time.Hour
	// How many appends are looked at in a step, and after how many log_ids that
	// were forgotten it ends.
	pruneLook   = 1000
	pruneForget = 2000
	// Free pages are given back once there are this many bytes of them, or that
	// share of the file; below the least they are left for the next events.
	freeMost    = 64 << 20
	freeShare   = 4 // a quarter
	freeLeast   = 1 << 20
	vacuumPages = 512 // in a step: 2 MiB
	// walPages is when SQLite begins to fold the WAL into the file, 8 MiB;
	// beyond walLimit the WAL is cut back afterwards.
	walPages = 8 << 20 / pageSize
	walLimit = 64 << 20
)

// maintain forgets and shrinks from time to time, until ctx ends.
func (s *Store) maintain(ctx context.Context) {
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	room := time.NewTicker(2 * roomEvery)
	defer room.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.checkPlace() //nolint:contextcheck // it is told whatever ctx does
			s.tidy(ctx)
		case <-room.C:
			s.watchRoom(ctx)
		}
	}
}

// tidy forgets what has passed and gives back room. What it does not finish is
// left for the next time.
func (s *Store) tidy(ctx context.Context) {
	for _, work := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"forget log_ids", s.prune},
		{"forget log_ids of letters", s.pruneLetterIDs},
		{"forget counts", s.pruneCounts},
		{"forget events with lost copies", s.prunePartly},
		{"shrink file", s.shrink},
		{"look for the report of a restoration", s.checkTold},
	} {
		if err := work.do(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "housekeeping of the store did not finish, it is tried again",
				slog.String("work", work.name), slog.Duration("next_try_in", maintainEvery), slog.Any("error", err))
		}
	}
}

// An oldIntake is an append whose window has passed.
type oldIntake struct {
	id, tenant, storedAt int64
	events               int64
	buffered             bool // an event of it still waits for delivery
}

// prune forgets the log_ids whose window has passed.
func (s *Store) prune(ctx context.Context) error {
	var after oldIntake
	for more := true; more; {
		err := s.writer.do(ctx, &job{drains: true, run: func(ctx context.Context, t *tx) error {
			last, err := pruneStep(ctx, t, after, t.now.Add(-s.limits().DedupWindow))
			more = last != after
			after = last
			return err
		}})
		if err != nil {
			return fault("forget log_ids", err)
		}
	}
	return nil
}

// pruneStep forgets some appends behind a given one, passing over those of which
// an event still waits for delivery. It returns the last one it has looked at.
func pruneStep(ctx context.Context, t *tx, after oldIntake, before time.Time) (oldIntake, error) {
	var list []oldIntake
	err := t.query(ctx, func(r *sql.Rows) error {
		var in oldIntake
		err := r.Scan(&in.id, &in.tenant, &in.storedAt, &in.events, &in.buffered)
		list = append(list, in)
		return err
	}, `SELECT id, tenant_id, stored_at, 1 + last_seq - first_seq, EXISTS (SELECT 1 FROM buffer WHERE buffer.seq BETWEEN intakes.first_seq AND intakes.last_seq)
		FROM intakes WHERE (stored_at, id) > (?, ?) AND stored_at <= ? ORDER BY stored_at, id LIMIT ?`,
		after.storedAt, after.id, before.UnixMicro(), pruneLook)
	if err != nil {
		return after, err
	}
	forgotten := int64(0)
	for _, in := range list {
		if forgotten >= pruneForget {
			break
		}
		if !in.buffered {
			if err := in.forget(ctx, t); err != nil {
				return after, err
			}
			forgotten += in.events
		}
		after = in
	}
	return after, nil
}

// deleteSeen forgets log_ids, but those of letters: see notLetter and letter_ids.
var deleteSeen = newChunkQuery("DELETE FROM seen WHERE tenant_id = ? AND log_id IN (", "?", ")"+notLetter+notReplayed)

// notReplayed keeps what is known of an event of which a letter was replayed or
// dropped; see letter_ids.
const notReplayed = " AND NOT EXISTS (SELECT 1 FROM letter_ids i WHERE i.tenant_id = seen.tenant_id AND i.log_id = seen.log_id)"

// notLetter keeps what is known of an event while its dead letter may be replayed.
const notLetter = " AND NOT EXISTS (SELECT 1 FROM dead_letters l WHERE l.tenant_id = seen.tenant_id AND l.log_id = seen.log_id AND l.kind = 'rejected')"

// forget deletes an append and its log_ids.
func (in *oldIntake) forget(ctx context.Context, t *tx) error {
	var ids [][]byte
	err := t.query(ctx, func(r *sql.Rows) error {
		var packed []byte
		err := r.Scan(&packed)
		ids = splitIDs(packed)
		return err
	}, "SELECT log_ids FROM intakes WHERE id = ?", in.id)
	if err != nil {
		return err
	}
	err = deleteSeen.each(len(ids), func(query string, from, to int) error {
		args := []any{in.tenant}
		for _, id := range ids[from:to] {
			args = append(args, string(id))
		}
		return t.exec(ctx, query, args...)
	})
	if err != nil {
		return err
	}
	return t.exec(ctx, "DELETE FROM intakes WHERE id = ?", in.id)
}

// pruneLetterIDs forgets the log_ids of letters that were replayed or dropped a
// window ago, when the event has left the buffer. An intake from before that is still
// there, although its window has passed, may have the event waiting for another sink.
func (s *Store) pruneLetterIDs(ctx context.Context) error {
	for more := true; more; {
		err := s.writer.do(ctx, &job{drains: true, run: func(ctx context.Context, t *tx) error {
			n, err := pruneLetterIDsStep(ctx, t, t.now.Add(-s.limits().DedupWindow))
			more = n > 0
			return err
		}})
		if err != nil {
			return fault("forget log_ids of letters", err)
		}
	}
	return nil
}

// pruneLetterIDsStep forgets some of them and returns how many.
func pruneLetterIDsStep(ctx context.Context, t *tx, before time.Time) (int, error) {
	type known struct {
		tenant int64
		logID  string
		seq    int64
	}
	var list []known
	err := t.query(ctx, func(r *sql.Rows) error {
		var k known
		err := r.Scan(&k.tenant, &k.logID, &k.seq)
		list = append(list, k)
		return err
	}, `SELECT tenant_id, log_id, seq FROM letter_ids WHERE since <= ? AND NOT EXISTS (
			SELECT 1 FROM buffer WHERE buffer.last_seq >= letter_ids.seq
				AND buffer.seq = (SELECT max(seq) FROM buffer WHERE seq <= letter_ids.seq))
			AND NOT EXISTS (SELECT 1 FROM intakes i WHERE i.stored_at <= letter_ids.since AND i.tenant_id = letter_ids.tenant_id)
		ORDER BY since LIMIT ?`, before.UnixMicro(), pruneForget)
	if err != nil {
		return 0, err
	}
	for _, k := range list {
		if err := t.exec(ctx, "DELETE FROM letter_ids WHERE tenant_id = ? AND log_id = ? AND seq = ?", k.tenant, k.logID, k.seq); err != nil {
			return 0, err
		}
		if err := t.exec(ctx, "DELETE FROM seen WHERE tenant_id = ? AND log_id = ?"+notLetter+notReplayed, k.tenant, k.logID); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// packIDs compresses the log_ids of an append, each behind its length. What begins
// with a 0, the length of no log_id, is a block of S2.
func packIDs(plain []byte) []byte {
	packed := s2.Encode(nil, plain)
	if len(packed)+1 >= len(plain) {
		return plain
	}
	return append([]byte{0}, packed...)
}

// splitIDs takes apart what an append has remembered. Of what is damaged the rest
// stays known.
func splitIDs(b []byte) (ids [][]byte) {
	if len(b) > 0 && b[0] == 0 {
		plain, err := s2.Decode(nil, b[1:])
		if err != nil {
			return nil
		}
		b = plain
	}
	for len(b) > 0 {
		id, rest, ok := cutSized(b)
		if !ok {
			break
		}
		ids, b = append(ids, id), rest
	}
	return ids
}

// pruneCounts forgets old counts by minute.
func (s *Store) pruneCounts(ctx context.Context) error {
	err := s.writer.do(ctx, &job{drains: true, run: func(ctx context.Context, t *tx) error {
		return t.exec(ctx, "DELETE FROM counts WHERE minute < ?", t.now.Add(-countsKept).Unix()/60)
	}})
	return fault("forget counts", err)
}

// shrink gives free pages back to the file system, when they are many, and cuts
// back the WAL.
func (s *Store) shrink(ctx context.Context) error {
	for {
		var left bool
		err := s.writer.do(ctx, &job{alone: true, drains: true, run: func(ctx context.Context, t *tx) (err error) {
			left, err = shrinkStep(ctx, t)
			return err
		}})
		if err != nil || !left {
			return fault("shrink file", err)
		}
	}
}

// shrinkStep frees some pages; left says that there are more to free.
func shrinkStep(ctx context.Context, t *tx) (left bool, err error) {
	free, err := t.pragma(ctx, "freelist_count")
	if err != nil {
		return false, err
	}
	all, err := t.pragma(ctx, "page_count")
	if err != nil {
		return false, err
	}
	if free*pageSize < freeLeast || (free*pageSize < freeMost && free*freeShare < all) {
		return false, nil
	}
	drop := func(*sql.Rows) error { return nil }
	if err := t.query(ctx, drop, "PRAGMA "+t.w.vacuum()); err != nil {
		return false, err
	}
	// The file becomes shorter only when the WAL is folded into it. Passive: it
	// must not make appends wait for a reader.
	if err := t.query(ctx, drop, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return false, err
	}
	now, err := t.pragma(ctx, "freelist_count")
	return now < free, err
}

// pragma reads a number.
func (t *tx) pragma(ctx context.Context, name string) (n int64, err error) {
	err = t.query(ctx, func(r *sql.Rows) error { return r.Scan(&n) }, "PRAGMA "+name)
	return n, err
}
