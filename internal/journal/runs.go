package journal

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Run is a stretch of work of a source: from the first events after a rest, or from a
// start, until it had read all there was, failed or was stopped. What finds nothing new
// makes no run.
type Run struct {
	ID             int64
	Tenant, Source string
	Start          time.Time
	End            time.Time // zero while it is under way
	// Pages and Events are what it has read; Stored, Duplicates and Skipped what became
	// of the events.
	Pages, Events, Stored, Duplicates, Skipped int64
	Checkpoint                                 string // the cursor at its end
	// Error is why it ended, empty when it had read everything; Hint what to do.
	Error, Hint string
}

const (
	// pushRest is the pause after which what is pushed is another run.
	pushRest = time.Minute
	// pollRest is the pause within which what a poll finds belongs to the run before,
	// and pollRun how long such a run may become. Where something happens all the time
	// that makes a row every few minutes and not one for each poll.
	pollRest, pollRun = 15 * time.Second, 5 * time.Minute
	// failRest is the pause within which the same error belongs to the failed run before.
	failRest = 10 * time.Minute
	// maxUnwritten bounds the runs in memory while the file cannot be written.
	maxUnwritten = 1000
)

// errStopped and errDied are why runs ended that had not read everything.
const (
	errStopped = "stopped before everything was read"
	errDied    = "the process ended"
)

// watches are the sources that are followed.
type watches struct {
	journal *Journal

	mu        sync.Mutex
	of        map[watchKey]*Watch
	last      int64     // the highest id of a run
	lastStart time.Time // no two runs begin at the same time, as pages of them divide there
	unwritten map[int64]*Run
}

// A watchKey names a source.
type watchKey struct{ tenant, source string }

// A Watch follows a source; it is a pipeline.SourceWatch.
type Watch struct {
	all    *watches
	key    watchKey
	pushed bool

	// The mutex of all guards what follows.
	run  *Run // the last one, nil when there was none
	open bool
	seen time.Time // when something of it last came
}

var _ pipeline.SourceWatch = (*Watch)(nil)

// Watch returns what follows a source of a tenant, the same one for the same name.
// pushed says that others decide when it brings something: then a run ends with a pause,
// and not when it has caught up.
func (j *Journal) Watch(tenant, source string, pushed bool) *Watch {
	w := &j.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	k := watchKey{tenant, source}
	if w.of[k] == nil {
		w.of[k] = &Watch{all: w, key: k}
	}
	w.of[k].pushed = pushed
	return w.of[k]
}

// Stored implements pipeline.SourceWatch.
func (w *Watch) Stored(p event.Page, in pipeline.Intake, done pipeline.Appended) {
	skipped := 0
	for _, n := range p.Skipped {
		skipped += n
	}
	read := len(p.Events) + len(p.Unreadable) + skipped
	found := done.Stored > 0 || len(in.Unreadable) > 0 || in.LeftOut > 0 || skipped > 0
	if read == 0 {
		return
	}
	now := time.Now().UTC()
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	w.endRest(now)
	if !w.open {
		if !found {
			return
		}
		w.begin(in.Received.UTC())
	}
	w.seen = now
	r := w.run
	r.Pages++
	r.Events += int64(read)
	r.Stored += int64(done.Stored)
	r.Duplicates += int64(done.Duplicates)
	r.Skipped += int64(in.LeftOut + skipped)
	if p.Cursor != "" {
		r.Checkpoint = string(p.Cursor)
	}
	w.changed()
}

// CaughtUp implements pipeline.SourceWatch.
func (w *Watch) CaughtUp() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if w.open && !w.pushed {
		w.end(time.Now().UTC(), "", "")
	}
}

// Failed implements pipeline.SourceWatch.
func (w *Watch) Failed(e pipeline.Error) {
	now := time.Now().UTC()
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	w.endRest(now)
	again := w.run != nil && w.run.Error == e.Error() && now.Sub(w.run.End) < failRest
	if !w.open && !again {
		w.add(now)
	}
	w.end(now, e.Error(), e.Hint)
}

// Ended implements pipeline.SourceWatch.
func (w *Watch) Ended() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	switch {
	case !w.open:
	case w.pushed:
		w.end(w.seen, "", "")
	default:
		w.end(time.Now().UTC(), errStopped, "")
	}
}

// endRest ends a run of what is pushed that has paused for too long. The caller holds
// the mutex, as in all that follows.
func (w *Watch) endRest(now time.Time) {
	if w.open && w.pushed && now.Sub(w.seen) >= pushRest {
		w.end(w.seen, "", "")
	}
}

// begin begins a run, or goes on with the last one after a short rest.
func (w *Watch) begin(at time.Time) {
	r := w.run
	if r != nil && !w.pushed && r.Error == "" && at.Sub(r.End) < pollRest && at.Sub(r.Start) < pollRun {
		r.End, w.open = time.Time{}, true
		return
	}
	w.add(at)
}

// add adds a run.
func (w *Watch) add(at time.Time) {
	all := w.all
	at = at.Truncate(time.Microsecond)
	if !at.After(all.lastStart) {
		at = all.lastStart.Add(time.Microsecond)
	}
	all.lastStart = at
	all.last++
	w.run, w.open = &Run{ID: all.last, Tenant: w.key.tenant, Source: w.key.source, Start: at}, true
}

// end ends the run.
func (w *Watch) end(at time.Time, text, hint string) {
	at = at.Truncate(time.Microsecond)
	if at.Before(w.run.Start) {
		at = w.run.Start
	}
	w.run.End, w.run.Error, w.run.Hint, w.open = at, text, hint, false
	w.changed()
}

// changed has the run be written.
func (w *Watch) changed() {
	all := w.all
	if all.unwritten == nil {
		all.unwritten = make(map[int64]*Run)
	}
	if len(all.unwritten) >= maxUnwritten && all.unwritten[w.run.ID] == nil {
		for id := range all.unwritten {
			if id < all.last-maxUnwritten {
				delete(all.unwritten, id)
			}
		}
	}
	all.unwritten[w.run.ID] = w.run
	token(all.journal.queue.wake)
}

// rest ends the runs that have paused for too long.
func (w *watches) rest(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.of {
		one.endRest(now.UTC())
	}
}

// end ends what is under way when the journal is closed.
func (w *watches) end() {
	w.mu.Lock()
	list := make([]*Watch, 0, len(w.of))
	for _, one := range w.of {
		list = append(list, one)
	}
	w.mu.Unlock()
	for _, one := range list {
		one.Ended()
	}
}

// dirty reports whether runs have changed.
func (w *watches) dirty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.unwritten) > 0
}

// changed returns the runs that are to be written.
func (w *watches) changed() (list []Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.unwritten {
		list = append(list, *r)
	}
	return list
}

// written forgets those that were written and have not changed since.
func (w *watches) written(list []Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range list {
		if r := w.unwritten[list[i].ID]; r != nil && *r == list[i] {
			delete(w.unwritten, r.ID)
		}
	}
}

// look returns the runs in memory.
func (w *watches) look() map[int64]Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().UTC()
	out := make(map[int64]Run)
	for id, r := range w.unwritten {
		out[id] = *r
	}
	for _, one := range w.of {
		one.endRest(now)
		if one.run != nil {
			out[one.run.ID] = *one.run
		}
	}
	return out
}

// insertRuns writes runs in the place of what was known of them.
func insertRuns(ctx context.Context, tx *sql.Tx, list []Run) error {
	for i := range list {
		r := &list[i]
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO runs (id, tenant, source, began, ended, updated, pages, events, stored, duplicates, skipped, checkpoint, error, hint)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.ID, r.Tenant, r.Source, r.Start.UnixMicro(), micros(r.End), time.Now().UnixMicro(),
			r.Pages, r.Events, r.Stored, r.Duplicates, r.Skipped, r.Checkpoint, r.Error, r.Hint)
		if err != nil {
			return err
		}
	}
	return nil
}

// endRuns ends the runs of a process that has died.
func endRuns(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "UPDATE runs SET ended = updated, error = ? WHERE ended = 0", errDied)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// A RunQuery picks runs.
type RunQuery struct {
	Tenant, Source string // empty for all
	Failed         bool   // those that ended with an error
	Before         time.Time
	Limit          int
}

// picks reports whether the query picks a run.
func (q *RunQuery) picks(r *Run) bool {
	return (q.Tenant == "" || r.Tenant == q.Tenant) && (q.Source == "" || r.Source == q.Source) &&
		(!q.Failed || r.Error != "") && (q.Before.IsZero() || r.Start.Before(q.Before))
}

// Runs returns the runs that a query picks, the newest first, and whether there are
// older ones. Of no two is Start the same.
func (r *Reader) Runs(ctx context.Context, q RunQuery) (list []Run, more bool, err error) {
	q.Limit = max(q.Limit, 1)
	memory := make(map[int64]Run)
	if r.live != nil {
		memory = r.live.watches.look()
	}
	for _, run := range memory {
		if q.picks(&run) {
			list = append(list, run)
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.f != nil {
		stored, err := r.storedRuns(ctx, q, len(memory))
		if err != nil {
			return nil, false, r.noteDamage(err)
		}
		for i := range stored {
			if _, again := memory[stored[i].ID]; !again {
				list = append(list, stored[i])
			}
		}
	}
	slices.SortFunc(list, func(a, b Run) int { return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(b.ID, a.ID)) })
	if len(list) > q.Limit {
		return list[:q.Limit], true, nil
	}
	return list, false, nil
}

// storedRuns reads runs from the file, and so many more than the query asks for.
func (r *Reader) storedRuns(ctx context.Context, q RunQuery, more int) ([]Run, error) {
	before := int64(1<<63 - 1)
	if !q.Before.IsZero() {
		before = ceilMicros(q.Before)
	}
	rows, err := r.f.read.QueryContext(ctx, `SELECT id, tenant, source, began, ended, pages, events, stored, duplicates, skipped, checkpoint, error, hint FROM runs
		WHERE began < ?1 AND (?2 = '' OR tenant = ?2) AND (?3 = '' OR source = ?3) AND (?4 = 0 OR error <> '') ORDER BY began DESC, id DESC LIMIT ?5`,
		before, q.Tenant, q.Source, q.Failed, q.Limit+1+more)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells what went wrong
	var list []Run
	for rows.Next() {
		var x Run
		var began, ended int64
		if err := rows.Scan(&x.ID, &x.Tenant, &x.Source, &began, &ended, &x.Pages, &x.Events, &x.Stored, &x.Duplicates, &x.Skipped, &x.Checkpoint, &x.Error, &x.Hint); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		x.Start, x.End = timeOf(began), timeOrZero(ended)
		list = append(list, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}
