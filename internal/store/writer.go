package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// maxGroup bounds how many jobs share a commit, so that the first of them does
// not wait for long.
const maxGroup = 256

// A job is a change to the file. The writer calls run within a transaction, and
// applied after the transaction was flushed; both in the writer's goroutine.
// run may be called again after a rollback, so it starts from nothing each time.
type job struct {
	buffer  *Buffer // whose figures the job changes; may be nil
	run     func(context.Context, *tx) error
	applied func()
	alone   bool  // outside of any transaction, for what SQLite allows only there
	drains  bool  // it makes room, or what makes room waits for it: it may have the reserve
	grows   int64 // bytes of new events that it brings
	done    chan error
}

// A writer is the one goroutine that changes the file. Jobs that wait while it
// commits are committed together next time: one flush for all of them.
type writer struct {
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	logger  *slog.Logger
	observe func(time.Duration, int) // duration and number of jobs of a commit
	failed  func(error)              // hears of the commits that fail; may be nil
	jobs    chan *job
	stop    chan struct{}
	work    sync.WaitGroup
	nextSeq int64
	reserve *reserve
}

// startWriter brings the file up to date and returns a writer for it.
func startWriter(ctx context.Context, conn *sql.Conn, logger *slog.Logger, r *reserve) (*writer, error) {
	if err := migrate(ctx, conn, migrations); err != nil {
		return nil, err
	}
	if err := repack(ctx, conn); err != nil {
		return nil, fault("move the buffer of an earlier release", err)
	}
	w := &writer{
		conn: conn, stmts: make(map[string]*sql.Stmt), logger: logger,
		jobs: make(chan *job), stop: make(chan struct{}), reserve: r,
	}
	// A number is not used again while an intake or a replay knows it.
	const query = `SELECT 1 + max(coalesce((SELECT last_seq FROM buffer ORDER BY seq DESC LIMIT 1), 0), coalesce((SELECT max(seq) FROM letter_ids), 0),
		coalesce((SELECT last_seq FROM intakes ORDER BY id DESC LIMIT 1), 0))`
	if err := conn.QueryRowContext(ctx, query).Scan(&w.nextSeq); err != nil {
		return nil, fault("read last number", err)
	}
	return w, nil
}

// start starts the goroutine.
func (w *writer) start() { w.work.Go(w.loop) }

// close waits for the commit under way and ends the goroutine.
func (w *writer) close() error {
	close(w.stop)
	w.work.Wait()
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// do hands a job to the writer and waits for its outcome. When ctx ends before
// the writer has taken the job, nothing is done; afterwards do waits for the
// outcome whatever ctx does, so an answer is never wrong.
func (w *writer) do(ctx context.Context, j *job) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	j.done = make(chan error, 1)
	select {
	case w.jobs <- j:
		return <-j.done
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.stop:
		return ErrClosed
	}
}

// loop commits until close.
func (w *writer) loop() {
	ctx := context.Background() // a commit serves many callers and waits for the disk alone
	for {
		select {
		case j := <-w.jobs:
			w.handle(ctx, j)
		case <-w.stop:
			return
		}
	}
}

// handle commits a job with all that wait beside it.
func (w *writer) handle(ctx context.Context, first *job) {
	if first.alone {
		first.done <- w.runAlone(ctx, first)
		return
	}
	group := []*job{first}
	var last *job
collect:
	for len(group) < maxGroup {
		select {
		case j := <-w.jobs:
			if j.alone {
				last = j
				break collect
			}
			group = append(group, j)
		default:
			break collect
		}
	}
	w.beforeCommit(ctx, group)
	w.commitAll(ctx, group)
	if last != nil {
		last.done <- w.runAlone(ctx, last)
	}
}

// runAlone runs a job outside of a transaction.
func (w *writer) runAlone(ctx context.Context, j *job) error {
	for tries := 0; ; tries++ {
		err := j.run(ctx, &tx{w: w, now: time.Now()})
		if err == nil || !w.makeRoom(ctx, j, tries, err) {
			return err
		}
	}
}

// commitAll commits a group. If the transaction fails the jobs run again one by
// one, so that the one at fault harms none of the others. One for which there is no
// room runs again once there is some.
func (w *writer) commitAll(ctx context.Context, group []*job) {
	errs, err := w.commit(ctx, group)
	for tries := 0; err != nil && len(group) == 1 && w.makeRoom(ctx, group[0], tries, err); tries++ {
		errs, err = w.commit(ctx, group)
	}
	if err != nil && w.failed != nil {
		w.failed(err)
	}
	switch {
	case err == nil:
		for i, j := range group {
			j.done <- errs[i]
		}
	case len(group) == 1:
		group[0].done <- err
	default:
		for _, j := range group {
			w.commitAll(ctx, []*job{j})
		}
	}
}

// commit runs a group in one transaction. The error of a job that has written
// nothing is its own; any other one ends the transaction.
func (w *writer) commit(ctx context.Context, group []*job) (own []error, err error) {
	start := time.Now()
	t := &tx{w: w, now: start, counts: make(map[countKey]int64), sums: make(map[countKey]letterSum), buffers: make(map[*Buffer]figures)}
	if err := t.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.rollback(ctx)
		return nil, fault("begin commit", err)
	}
	own = make([]error, len(group))
	for i, j := range group {
		t.begin(j)
		if own[i] = j.run(ctx, t); own[i] != nil && t.wrote {
			t.rollback(ctx)
			return nil, own[i]
		}
	}
	if err := t.finish(ctx); err != nil {
		t.rollback(ctx)
		return nil, fault("commit", err)
	}
	for b, f := range t.buffers {
		before := b.figures()
		b.publish(f)
		b.tellQuota(ctx, before, f)
	}
	for k, f := range t.sinks {
		k.buffer.sinks.set(k.name, f)
	}
	for i, j := range group {
		if own[i] == nil && j.applied != nil {
			j.applied()
		}
	}
	if w.observe != nil {
		w.observe(time.Since(start), len(group))
	}
	return own, nil
}

// prepared returns the statement of a query, prepared once.
func (w *writer) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := w.stmts[query]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	w.stmts[query] = st
	return st, nil
}
