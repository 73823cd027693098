package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// The kinds of dead letters.
const (
	KindRejected   = "rejected"   // the destination can never take the event as it is
	KindAltered    = "altered"    // it was delivered in another form; this is the whole one
	KindUnreadable = "unreadable" // a piece of a page that was no event
)

// A DeadLetter is what was kept of an event that was not delivered as it is, or
// of a record that was no event.
type DeadLetter struct {
	ID     int64
	Tenant string
	// Kind is KindRejected, KindAltered or KindUnreadable.
	Kind      string
	CreatedAt time.Time
	// Source is what brought it; empty for an event that a release before the
	// third version of the schema has stored.
	Source string
	// Reason is a word of a bounded set, Detail a line for a person.
	Reason, Detail string
	// Size is the number of its bytes.
	Size int64
	// Event holds the bytes, unless it comes from a list; of an unreadable record
	// nothing else.
	Event       event.Event
	Destination pipeline.Destination
}

// A LetterFilter picks dead letters. Its zero value picks all.
type LetterFilter struct {
	Tenant, Kind, Reason string  // empty picks any
	IDs                  []int64 // empty picks any
	Below                int64   // only lower ids; 0 picks any

	above int64 // only higher ids
}

// clause returns the filter as the condition of a query over dead_letters l and
// tenants t, with its arguments. It is the same text for every filter.
func (f LetterFilter) clause() (string, []any) {
	ids, err := json.Marshal(f.IDs)
	if err != nil || f.IDs == nil { // numbers are never refused
		ids = []byte("[]")
	}
	return `(?1 = '' OR t.name = ?1) AND (?2 = '' OR l.kind = ?2) AND (?3 = '' OR l.reason = ?3)
		AND (?4 = '[]' OR l.id IN (SELECT value FROM json_each(?4))) AND l.id < ?5 AND l.id > ?6`,
		[]any{f.Tenant, f.Kind, f.Reason, string(ids), cmp.Or(f.Below, math.MaxInt64), f.above}
}

// letterColumns are those of a DeadLetter without its bytes.
const letterColumns = `l.id, t.name, l.kind, l.created_at, l.source, l.reason, l.detail, length(l.body),
	l.log_id, l.type, l.date, l.date_from, coalesce(d.sink, ''), coalesce(d.log_group, ''), coalesce(d.log_stream, '')`

// letterTables are what they come from.
const letterTables = ` FROM dead_letters l JOIN tenants t ON t.id = l.tenant_id LEFT JOIN destinations d ON d.id = l.destination_id`

// scan reads a row of letterColumns and, behind them, into more.
func (l *DeadLetter) scan(row *sql.Rows, more ...any) error {
	var created, date int64
	err := row.Scan(append([]any{
		&l.ID, &l.Tenant, &l.Kind, &created, &l.Source, &l.Reason, &l.Detail, &l.Size,
		&l.Event.LogID, &l.Event.Type, &date, &l.Event.DateFrom, &l.Destination.Sink, &l.Destination.LogGroup, &l.Destination.LogStream,
	}, more...)...)
	l.CreatedAt, l.Event.Date = timeOf(created), timeOf(date)
	return err
}

// DeadLetters lists the dead letters that a filter picks, the newest first, at
// most limit, without their bytes.
func (r *Reader) DeadLetters(ctx context.Context, f LetterFilter, limit int) ([]DeadLetter, error) {
	where, args := f.clause()
	rows, err := r.db.QueryContext(ctx, "SELECT "+letterColumns+letterTables+" WHERE "+where+" ORDER BY l.id DESC LIMIT ?7", append(args, limit)...) //nolint:gosec // constants
	if err != nil {
		return nil, fault("list dead letters", err)
	}
	var list []DeadLetter
	err = scanAll(rows, func(row *sql.Rows) error {
		var l DeadLetter
		err := l.scan(row)
		list = append(list, l)
		return err
	})
	return list, fault("list dead letters", err)
}

// DeadLetter returns one dead letter with its bytes. The error wraps ErrNoLetter
// when there is none of that id.
func (r *Reader) DeadLetter(ctx context.Context, id int64) (DeadLetter, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT "+letterColumns+", l.body"+letterTables+" WHERE l.id = ?", id)
	if err != nil {
		return DeadLetter{}, fault("read dead letter", err)
	}
	var l DeadLetter
	err = scanAll(rows, func(row *sql.Rows) error { return l.scan(row, &l.Event.Raw) })
	if err != nil {
		return DeadLetter{}, fault("read dead letter", err)
	}
	if l.ID == 0 {
		return DeadLetter{}, fmt.Errorf("read dead letter %d: %w", id, ErrNoLetter)
	}
	return l, nil
}

// CountDeadLetters counts the dead letters that a filter picks, by tenant and
// kind.
func (r *Reader) CountDeadLetters(ctx context.Context, f LetterFilter) ([]LetterCount, error) {
	where, args := f.clause()
	rows, err := r.db.QueryContext(ctx, `SELECT t.name, l.kind, count(*), sum(length(l.body)), max(l.id)`+letterTables+ //nolint:gosec // constants
		" WHERE "+where+" GROUP BY t.name, l.kind ORDER BY t.name, l.kind", args...)
	if err != nil {
		return nil, fault("count dead letters", err)
	}
	var list []LetterCount
	err = scanAll(rows, func(row *sql.Rows) error {
		var c LetterCount
		err := row.Scan(&c.Tenant, &c.Kind, &c.Letters, &c.Bytes, &c.newest)
		list = append(list, c)
		return err
	})
	return list, fault("count dead letters", err)
}

// A LetterCount is how many dead letters of a tenant and kind there are.
type LetterCount struct {
	Tenant, Kind   string
	Letters, Bytes int64
	newest         int64 // the highest id
}

// Errors of what cannot be done with dead letters.
var (
	// ErrNoLetter says that there is no dead letter of an id.
	ErrNoLetter = errors.New("there is no such dead letter")
	// ErrNotAnEvent says that an unreadable piece cannot be delivered.
	ErrNotAnEvent = errors.New("an unreadable piece is no event, so it cannot be replayed")
	// ErrWasDelivered says that the event of an altered letter was delivered.
	ErrWasDelivered = errors.New("the event was delivered in another form already, so a replay would double it")
)

// A letter is a dead letter to be written.
type letter struct {
	kind, reason, detail string
	entry                *entry
}

// insert writes the letter and adds it to the figures of the job's tenant.
func (l *letter) insert(ctx context.Context, t *tx) error {
	e := l.entry
	var to any
	if e.to != 0 {
		to = e.to
	}
	body := e.body
	if body == nil {
		body = []byte{}
	}
	t.sumLetters(l.kind, l.reason, 1, int64(len(body)))
	return t.exec(ctx, `INSERT INTO dead_letters (tenant_id, kind, created_at, destination_id, source, reason, detail, log_id, type, date, date_from, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, t.current.id, l.kind, t.now.UnixMicro(), to, e.source, l.reason, l.detail,
		e.logID, e.typ, e.date, int64(e.dateFrom), body)
}

// A letterSum is a number of letters and their bytes.
type letterSum struct{ letters, bytes int64 }

// sumLetters adds letters to the figures of the job's tenant, or takes them off.
func (t *tx) sumLetters(kind, reason string, letters, bytes int64) {
	k := countKey{t.current.id, kind, reason}
	sum := t.sums[k]
	t.sums[k] = letterSum{sum.letters + letters, sum.bytes + bytes}
	f := t.figures()
	f.letters += letters
	f.letterBytes += bytes
	t.setFigures(f)
}

// finishLetters writes what the jobs have changed in the sums of the letters.
func (t *tx) finishLetters(ctx context.Context) error {
	for k, s := range t.sums {
		err := t.exec(ctx, `INSERT INTO dead_letter_sums (tenant_id, kind, reason, letters, bytes) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET letters = letters + excluded.letters, bytes = bytes + excluded.bytes`,
			k.tenant, k.name, k.reason, s.letters, s.bytes)
		if err != nil {
			return err
		}
	}
	for b, f := range t.buffers {
		if b.quotaLevel(f) == b.quotaLevel(b.figures()) {
			continue
		}
		if err := b.keepQuotaCondition(ctx, t, f); err != nil {
			return err
		}
	}
	return nil
}
