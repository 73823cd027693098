package store

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// The names under which events are counted. Reasons are those that the source,
// the transforms and the sink give; empty where there is no choice.
const (
	CountStored     = "stored"     // new events written to disk
	CountDuplicates = "duplicates" // events whose log_id was known
	CountSkipped    = "skipped"    // left out on purpose, by reason
	CountUnreadable = "unreadable" // records that were no events
	CountUndated    = "undated"    // stored with a date from elsewhere: log_id, received
	CountDelivered  = "delivered"  // taken by the destination
	CountRejected   = "rejected"   // never to be taken, by reason
	CountAltered    = "altered"    // delivered in another form, by reason
	CountReplayed   = "replayed"   // dead letters put back into the buffer, by reason
	CountDropped    = "dropped"    // dead letters deleted by a person, by reason
	CountHealed     = "healed"     // found by the poll, and not brought by the push in time
	CountRequeued   = "requeued"   // put back into the buffer because the destination lacked them
	CountPushed     = "pushed"     // brought by the push first, or in time after the poll
)

// TenantStatus is what the file knows of a tenant. Times are zero when the thing
// has not happened.
type TenantStatus struct {
	Tenant  string         `json:"tenant"`
	Cursors []CursorStatus `json:"cursors"`
	// BufferedEvents and BufferedBytes are what waits for delivery.
	BufferedEvents int64 `json:"buffered_events"`
	BufferedBytes  int64 `json:"buffered_bytes"`
	// OldestDate and OldestStoredAt are the date of the oldest event that waits
	// for delivery, and when that event was stored.
	OldestDate     time.Time `json:"oldest_date,omitzero"`
	OldestStoredAt time.Time `json:"oldest_stored_at,omitzero"`
	// NewestDate is the date of the newest event ever stored.
	NewestDate time.Time `json:"newest_date,omitzero"`
	// LastStoredAt and LastDeliveredAt say when something last went in and out.
	LastStoredAt    time.Time `json:"last_stored_at,omitzero"`
	LastDeliveredAt time.Time `json:"last_delivered_at,omitzero"`
	// Counts, and what waits, are of the main sink where they are about delivery. The
	// same event may wait for, and be delivered by, others of Sinks too.
	Counts []Count      `json:"counts"`
	Sinks  []SinkStatus `json:"sinks"`
	// RecentHealed and RecentPushed are CountHealed and CountPushed of the last
	// RecentSpan.
	RecentHealed int64 `json:"recent_healed"`
	RecentPushed int64 `json:"recent_pushed"`
	// DeadLetters and DeadLetterBytes are what the dead letters are, and Letters
	// the same by kind and reason.
	DeadLetters     int64             `json:"dead_letters"`
	DeadLetterBytes int64             `json:"dead_letter_bytes"`
	Letters         []LetterStatus    `json:"letters"`
	Gaps            []GapStatus       `json:"gaps"`
	Conditions      []ConditionStatus `json:"conditions"`
}

// A SinkStatus is what the file knows of a sink besides the main one.
type SinkStatus struct {
	Name string `json:"name"`
	// BufferedEvents, BufferedBytes, OldestDate, OldestStoredAt and LastDeliveredAt
	// are as those of TenantStatus.
	BufferedEvents  int64     `json:"buffered_events"`
	BufferedBytes   int64     `json:"buffered_bytes"`
	OldestDate      time.Time `json:"oldest_date,omitzero"`
	OldestStoredAt  time.Time `json:"oldest_stored_at,omitzero"`
	LastDeliveredAt time.Time `json:"last_delivered_at,omitzero"`
	// Counts are those of the sink alone: what was delivered by it, skipped and so on.
	Counts []Count `json:"counts"`
}

// RecentSpan is how far back the recent counts of a TenantStatus reach, to the
// minute.
const RecentSpan = time.Hour

// CursorStatus is where a source stands.
type CursorStatus struct {
	Source    string    `json:"source"`
	Cursor    string    `json:"cursor"`
	UpdatedAt time.Time `json:"updated_at"`
	// ReadSince and ReadUntil are the span that the source has read without a
	// break, by Auth0's clock; zero when unknown. See event.Mark.
	ReadSince time.Time `json:"read_since,omitzero"`
	ReadUntil time.Time `json:"read_until,omitzero"`
}

// Count is how often something has happened.
type Count struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
	N      int64  `json:"n"`
}

// LetterStatus is how many dead letters of a kind and reason there are.
type LetterStatus struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Letters int64  `json:"letters"`
	Bytes   int64  `json:"bytes"`
}

// GapStatus is a span that could not be read.
type GapStatus struct {
	Source     string    `json:"source"`
	FromID     string    `json:"from_id,omitempty"`
	FromTime   time.Time `json:"from_time,omitzero"`
	ToID       string    `json:"to_id,omitempty"`
	ToTime     time.Time `json:"to_time,omitzero"`
	Reason     string    `json:"reason"`
	RecordedAt time.Time `json:"recorded_at"`
	// HealedAt is when a source had read the whole span after all; zero while none
	// has.
	HealedAt time.Time `json:"healed_at,omitzero"`
}

// ConditionStatus is the trouble that a part is in.
type ConditionStatus struct {
	Part      string    `json:"part"`
	Since     time.Time `json:"since"`
	UpdatedAt time.Time `json:"updated_at"`
	Failures  int       `json:"failures"`
	Class     string    `json:"class"`
	Message   string    `json:"message"`
	Hint      string    `json:"hint,omitempty"`
}

// Status returns what the file knows of every tenant, by name: one moment of
// the file as of the last commits.
func (r *Reader) Status(ctx context.Context) ([]TenantStatus, error) {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fault("read status", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	var list []TenantStatus
	var ids []int64
	err = queryAll(ctx, tx, func(row *sql.Rows) error {
		var id, newest, stored, delivered int64
		s := TenantStatus{Cursors: []CursorStatus{}, Counts: []Count{}, Letters: []LetterStatus{}, Gaps: []GapStatus{}, Conditions: []ConditionStatus{}, Sinks: []SinkStatus{}}
		err := row.Scan(&id, &s.Tenant, &s.BufferedEvents, &s.BufferedBytes, &s.DeadLetters, &s.DeadLetterBytes, &newest, &stored, &delivered)
		s.NewestDate, s.LastStoredAt, s.LastDeliveredAt = timeOf(newest), timeOf(stored), timeOf(delivered)
		list, ids = append(list, s), append(ids, id)
		return err
	}, `SELECT id, name, buffered_events, buffered_bytes, dead_letters, dead_letter_bytes, newest_date, stored_at, delivered_at FROM tenants ORDER BY name`)
	if err != nil {
		return nil, fault("read tenants", err)
	}
	for i := range list {
		if err := list[i].read(ctx, tx, ids[i]); err != nil {
			return nil, fault("read status of "+list[i].Tenant, err)
		}
	}
	return list, nil
}

// queryAll runs a query and calls row for each row.
func queryAll(ctx context.Context, tx *sql.Tx, row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, row)
}

// read fills in what other tables hold of a tenant.
func (s *TenantStatus) read(ctx context.Context, tx *sql.Tx, id int64) error {
	err := queryAll(ctx, tx, s.addRecent, `SELECT name, sum(n) FROM counts WHERE minute > ? AND tenant_id = ? AND name IN (?, ?) GROUP BY name`,
		time.Now().Add(-RecentSpan).Unix()/60, id, CountHealed, CountPushed)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		query string
		row   func(*sql.Rows) error
	}{
		{`SELECT source, cursor, updated_at, read_since, read_until FROM cursors WHERE tenant_id = ? ORDER BY source`, s.addCursor},
		{`SELECT name, buffered_events, buffered_bytes, delivered_at FROM sinks WHERE tenant_id = ? ORDER BY name`, s.addSink},
		{`SELECT name, reason, n FROM totals WHERE tenant_id = ? ORDER BY name, reason`, s.addCount},
		{`SELECT kind, reason, letters, bytes FROM dead_letter_sums WHERE tenant_id = ? AND letters > 0 ORDER BY kind, reason`, s.addLetters},
		{`SELECT source, from_id, from_time, to_id, to_time, reason, recorded_at, healed_at FROM gaps WHERE tenant_id = ? ORDER BY id`, s.addGap},
		{`SELECT part, since, updated_at, failures, class, message, hint FROM conditions WHERE tenant_id = ? ORDER BY part`, s.addCondition},
		{`SELECT d.sink, b.date, b.stored_at FROM destinations d JOIN buffer b ON b.seq =
			(SELECT seq FROM buffer WHERE destination_id = d.id ORDER BY date, seq LIMIT 1)
			WHERE d.tenant_id = ? ORDER BY b.date DESC`, s.setOldest},
	} {
		if err := queryAll(ctx, tx, part.row, part.query, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *TenantStatus) addCursor(row *sql.Rows) error {
	var c CursorStatus
	var at, since, until int64
	err := row.Scan(&c.Source, &c.Cursor, &at, &since, &until)
	c.UpdatedAt, c.ReadSince, c.ReadUntil = timeOf(at), timeOf(since), timeOf(until)
	s.Cursors = append(s.Cursors, c)
	return err
}

func (s *TenantStatus) addCount(row *sql.Rows) error {
	var c Count
	err := row.Scan(&c.Name, &c.Reason, &c.N)
	name, sink := cutCount(c.Name)
	if sink == "" {
		s.Counts = append(s.Counts, c)
		return err
	}
	c.Name = name
	of := s.sink(sink)
	of.Counts = append(of.Counts, c)
	return err
}

func (s *TenantStatus) addSink(row *sql.Rows) error {
	x := SinkStatus{Counts: []Count{}}
	var delivered int64
	err := row.Scan(&x.Name, &x.BufferedEvents, &x.BufferedBytes, &delivered)
	x.LastDeliveredAt = timeOf(delivered)
	s.Sinks = append(s.Sinks, x)
	return err
}

// sink returns the status of a sink, made when it has none yet.
func (s *TenantStatus) sink(name string) *SinkStatus {
	i := slices.IndexFunc(s.Sinks, func(x SinkStatus) bool { return x.Name == name })
	if i < 0 {
		i = len(s.Sinks)
		s.Sinks = append(s.Sinks, SinkStatus{Name: name, Counts: []Count{}})
	}
	return &s.Sinks[i]
}

func (s *TenantStatus) addRecent(row *sql.Rows) error {
	var name string
	var n int64
	err := row.Scan(&name, &n)
	if name == CountHealed {
		s.RecentHealed = n
	} else {
		s.RecentPushed = n
	}
	return err
}

func (s *TenantStatus) addLetters(row *sql.Rows) error {
	var l LetterStatus
	err := row.Scan(&l.Kind, &l.Reason, &l.Letters, &l.Bytes)
	s.Letters = append(s.Letters, l)
	return err
}

func (s *TenantStatus) addGap(row *sql.Rows) error {
	var g GapStatus
	var from, to, at, healed int64
	err := row.Scan(&g.Source, &g.FromID, &from, &g.ToID, &to, &g.Reason, &at, &healed)
	g.FromTime, g.ToTime, g.RecordedAt, g.HealedAt = timeOf(from), timeOf(to), timeOf(at), timeOf(healed)
	s.Gaps = append(s.Gaps, g)
	return err
}

func (s *TenantStatus) addCondition(row *sql.Rows) error {
	var c ConditionStatus
	var since, at int64
	err := row.Scan(&c.Part, &since, &at, &c.Failures, &c.Class, &c.Message, &c.Hint)
	c.Since, c.UpdatedAt = timeOf(since), timeOf(at)
	s.Conditions = append(s.Conditions, c)
	return err
}

// setOldest sees the oldest event of each destination, the oldest of all last.
func (s *TenantStatus) setOldest(row *sql.Rows) error {
	var name string
	var date, stored int64
	err := row.Scan(&name, &date, &stored)
	if name == "" {
		s.OldestDate, s.OldestStoredAt = timeOf(date), timeOf(stored)
	} else {
		of := s.sink(name)
		of.OldestDate, of.OldestStoredAt = timeOf(date), timeOf(stored)
	}
	return err
}
