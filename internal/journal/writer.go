package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// How the file is written and kept small.
const (
	// flushEvery is for how long outcomes gather before they are written.
	flushEvery = time.Second
	// retryEvery is the pause between two tries to write while that fails.
	retryEvery = 10 * time.Second
	// tidyEvery is the pause between two rounds of housekeeping.
	tidyEvery = time.Minute
	// mergeOf is how many blocks of a level become one of the next.
	mergeOf = 16
	// closeWithin bounds the last writing.
	closeWithin = 5 * time.Second
)

// write writes what is queued until stop is closed, and then what is left.
func (j *Journal) write(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.stop:
			j.lastWrite(ctx)
			return
		case <-tick.C:
			j.attempt(ctx, j.tidy)
		case <-j.queue.wake:
			if j.gather() {
				j.attempt(ctx, j.flushAll)
			}
			if time.Since(j.rawSince) >= indexWithin && !j.rawSince.IsZero() { // nothing but wakes in this backlog
				j.attempt(ctx, j.index)
			}
		case <-j.toIndex():
			if j.mayIndex() {
				j.attempt(ctx, j.index)
			}
		}
	}
}

// gather waits until enough is queued, or for a while; false says that it is to stop.
func (j *Journal) gather() bool {
	wait := flushEvery
	if j.trouble {
		wait = max(wait, time.Until(j.retry))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	full := j.queue.full
	if j.trouble {
		full = nil
	}
	select {
	case <-j.stop:
		token(j.queue.wake)
		return false
	case <-full:
	case <-timer.C:
	}
	return true
}

// lastWrite writes what is left when the journal is closed.
func (j *Journal) lastWrite(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	j.watches.end()
	j.retry = time.Time{}
	j.attempt(ctx, j.flushAll)
	j.attempt(ctx, j.tidy)
}

// attempt does something with the file, which is opened before where it is not open.
func (j *Journal) attempt(ctx context.Context, do func(context.Context) error) {
	if j.trouble && time.Now().Before(j.retry) {
		return
	}
	err := j.lookAround(ctx)
	if err == nil {
		err = do(ctx)
	}
	if err != nil {
		j.failed(ctx, err)
		return
	}
	if j.trouble {
		j.trouble = false
		j.metrics.paused.Set(0)
		j.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "the history is written again")
	}
}

// errLittleRoom says that the room of the disk is left to the store.
var errLittleRoom = errors.New("the disk has little room, which is left to the buffer")

// lookAround sees to it that the file is open and the disk has room.
func (j *Journal) lookAround(ctx context.Context) error {
	f := j.file()
	if f != nil && (f.moved() || j.suspect.Load()) {
		if err := j.renew(ctx, errors.New("it was deleted or damaged while it was in use")); err != nil {
			return err
		}
	}
	if free, all, err := j.cfg.free(j.cfg.Dir); err == nil && free < leastFree(all) {
		return errLittleRoom
	}
	if j.file() == nil {
		return j.reopen(ctx)
	}
	return nil
}

// leastFree is how much room of a disk is never taken: a twentieth, from 64 MiB to 1 GiB.
func leastFree(all int64) int64 { return max(64<<20, min(1<<30, all/20)) }

// reopen opens the file, and makes it anew when it cannot be used.
func (j *Journal) reopen(ctx context.Context) error {
	f, err := openFile(ctx, j.path, j.cfg.Late)
	if err != nil && isDamage(err) {
		return j.renew(ctx, err)
	}
	if err != nil {
		return err
	}
	if err := endRuns(ctx, f.write); err != nil {
		return errors.Join(err, f.close())
	}
	if err := j.findRaw(ctx, f); err != nil {
		return errors.Join(err, f.close())
	}
	return j.use(f)
}

// renew makes the file anew: what it held was to be looked at, and nothing hangs on it.
func (j *Journal) renew(ctx context.Context, why error) error {
	j.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the history cannot be used and is made anew; no event of the export is lost", slog.Any("error", why))
	j.metrics.renewed.Inc()
	j.renewed = time.Now()
	if err := j.use(nil); err != nil {
		j.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "cannot close the history", slog.Any("error", err))
	}
	j.suspect.Store(false)
	if err := remove(j.path); err != nil {
		return fmt.Errorf("delete journal: %w", err)
	}
	f, err := openFile(ctx, j.path, true)
	if err != nil {
		return err
	}
	return j.use(f)
}

// failed pauses after an error, which is told once, and makes a damaged file anew.
func (j *Journal) failed(ctx context.Context, err error) {
	if isDamage(err) && j.file() != nil && time.Since(j.renewed) > tidyEvery {
		if again := j.renew(ctx, err); again == nil {
			token(j.queue.wake)
			return
		}
	}
	j.retry = time.Now().Add(retryEvery)
	token(j.queue.wake)
	if j.trouble {
		return
	}
	j.trouble = true
	j.metrics.paused.Set(1)
	j.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the history cannot be written, trying again; events are exported nevertheless",
		slog.Duration("next_try_in", retryEvery), slog.Any("error", err), slog.String("hint", "Make room on the disk of data_dir, or turn the history off with history.keep: 0s."))
}

// flushAll writes everything that is queued.
func (j *Journal) flushAll(ctx context.Context) error {
	for {
		list := j.queue.take()
		if len(list) == 0 && !j.watches.dirty() {
			return nil
		}
		if err := j.flush(ctx, list); err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
	}
}

// transact does something in a transaction.
func (j *Journal) transact(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	tx, err := j.file().write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := do(ctx, tx); err != nil {
		_ = tx.Rollback() // SQLite has done it already when the disk was full
		return fmt.Errorf("write journal: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// A group names what lies in blocks together.
type group struct{ tenant, sink string }

// flush writes outcomes, and the runs that have changed.
func (j *Journal) flush(ctx context.Context, list []*pending) error {
	_, queued := j.queue.waiting()
	hurry := queued >= j.cfg.hurry
	var blocks []*block
	if !hurry {
		blocks = j.pack(list)
	}
	runs := j.watches.changed()
	events := 0
	err := j.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, p := range list {
			if err := p.insert(ctx, tx); err != nil {
				return err
			}
		}
		for _, b := range blocks {
			events += b.events
			if err := b.insert(ctx, tx); err != nil {
				return err
			}
		}
		if hurry {
			n, err := j.insertRaw(ctx, tx, list)
			if events += n; err != nil {
				return err
			}
		}
		return insertRuns(ctx, tx, runs)
	})
	if err != nil {
		return err
	}
	if hurry {
		j.hurried = time.Now()
		if j.rawSince.IsZero() {
			j.rawSince = j.hurried
		}
	}
	j.queue.done(list)
	j.watches.written(runs)
	j.metrics.written.Add(float64(events))
	groups := make(map[group]bool)
	for _, p := range list {
		if sink := p.Batch.Destination.Sink; !hurry || sink != "" {
			groups[group{p.Tenant, sink}] = true
		}
	}
	for g := range groups {
		if err := j.merge(ctx, g); err != nil {
			return err
		}
	}
	return j.pruneSize(ctx)
}

// pack makes blocks of outcomes.
func (j *Journal) pack(list []*pending) (blocks []*block) {
	groups := make(map[group][]Record)
	for _, p := range list {
		switch g := (group{p.Tenant, p.Batch.Destination.Sink}); {
		case p.size == 0:
		case p.large(): // mostly in order, which several together are not
			for _, part := range cutBlocks(p.records()) {
				blocks = append(blocks, newBlock(part, p.seq, j.codec))
			}
		default:
			groups[g] = append(groups[g], p.numbered()...)
		}
	}
	for _, records := range groups {
		for _, part := range cutBlocks(records) {
			blocks = append(blocks, newBlock(part, 0, j.codec))
		}
	}
	return blocks
}

// large reports whether an outcome fills a good part of a block.
func (p *pending) large() bool { return p.size >= blockEvents/4 || p.bytes >= blockBytes/4 }

// cutBlocks cuts records into those of blocks within the bounds.
func cutBlocks(list []Record) (parts [][]Record) {
	from, bytes := 0, 0
	for i := range list {
		size := len(list[i].Event.Raw)
		if i > from && blockFull(i-from, bytes+size) {
			parts = append(parts, list[from:i:i])
			from, bytes = i, 0
		}
		bytes += size
	}
	return append(parts, list[from:])
}

// blockFull reports whether a block of so many events would have too many bytes with one
// more, or has enough events.
func blockFull(events, bytes int) bool {
	return events >= blockEvents || bytes > blockBytes+blockBytes/8
}

// insert writes a block.
func (b *block) insert(ctx context.Context, tx *sql.Tx) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO blocks (tenant, sink, level, first_seq, last_seq, oldest, newest, settled, events, failed, bytes, types, ids, stats, words, facts)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		b.tenant, b.sink, b.level, b.first, b.last, b.oldest, b.newest, b.settled, b.events, b.failed, b.bytes, b.types,
		orEmpty(b.ids), orEmpty(b.stats), orEmpty(b.words), orEmpty(b.facts))
	if err != nil {
		return err
	}
	if b.body == nil {
		return nil
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO bodies (block, body) VALUES (?, ?)", id, b.body)
	return err
}

// orEmpty returns bytes that SQLite does not take for NULL.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// insert writes what the list of deliveries shows.
func (p *pending) insert(ctx context.Context, tx *sql.Tx) error {
	d := p.delivery()
	_, err := tx.ExecContext(ctx, `INSERT INTO deliveries (at, took, tenant, sink, log_group, log_stream, events, bytes, delivered, rejected, retried, doubt, error)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, d.At.UnixMicro(), d.Took.Nanoseconds(), d.Tenant, d.Destination.Sink, d.Destination.LogGroup, d.Destination.LogStream,
		d.Events, d.Bytes, d.Delivered, d.Rejected, d.Retried, d.Doubt, d.Error)
	return err
}

// merge makes one block of many small ones, level by level.
func (j *Journal) merge(ctx context.Context, g group) error {
	for level := 0; ; level++ {
		list, err := queryHeaders(ctx, j.file().write, "WHERE tenant = ? AND sink = ? AND level = ? ORDER BY id LIMIT ?",
			g.tenant, g.sink, level, mergeOf)
		if err != nil || len(list) < mergeOf {
			return err
		}
		if err := j.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return j.mergeBlocks(ctx, tx, list, level+1) }); err != nil {
			return err
		}
	}
}

// mergeBlocks makes one block of several.
func (j *Journal) mergeBlocks(ctx context.Context, tx *sql.Tx, list []header, level int) error {
	var records []Record
	for _, h := range list {
		more, err := j.whole(ctx, tx, &h)
		if err != nil {
			return err
		}
		records = append(records, more...)
		if err := deleteBlock(ctx, tx, h.id); err != nil {
			return err
		}
	}
	b := newBlock(records, 0, j.codec)
	b.level = levelOf(level, b.events, b.bytes)
	return b.insert(ctx, tx)
}

// deleteBlock deletes a block.
func deleteBlock(ctx context.Context, tx *sql.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM bodies WHERE block = ?", id); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM blocks WHERE id = ?", id)
	return err
}
