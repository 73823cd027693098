package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Waiting is a look at the events that wait for delivery, as of the moment at which it
// was first asked something. It holds a connection for reading until Close, so it should
// be short.
type Waiting struct{ tx *sql.Tx }

// A WaitingRow is a row of the buffer: events of one destination that came together.
type WaitingRow struct {
	// Row names it to Events.
	Row         int64
	Tenant      string
	Destination pipeline.Destination
	// Oldest and Newest are the dates of its events, of which some may have left.
	Oldest, Newest time.Time
	StoredAt       time.Time
	// Source is what brought them.
	Source string
}

// Waiting begins a look.
func (r *Reader) Waiting(ctx context.Context) (*Waiting, error) {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fault("read buffer", err)
	}
	return &Waiting{tx}, nil
}

// Rows lists the rows of a tenant, of all when it is empty, that may hold events of
// since <= date < until; a zero time is no bound. Those of further destinations are
// among them.
func (w *Waiting) Rows(ctx context.Context, tenant string, since, until time.Time) ([]WaitingRow, error) {
	const query = `SELECT b.seq, t.name, d.sink, d.log_group, d.log_stream, b.stored_at, b.source, b.dates
		FROM buffer b JOIN destinations d ON d.id = b.destination_id JOIN tenants t ON t.id = d.tenant_id
		WHERE (?1 = '' OR t.name = ?1) AND (?2 = 0 OR b.date < ?2)`
	rows, err := w.tx.QueryContext(ctx, query, tenant, micros(until))
	if err != nil {
		return nil, fault("read buffer", err)
	}
	var list []WaitingRow
	err = scanAll(rows, func(row *sql.Rows) error {
		var x WaitingRow
		var stored int64
		var packed sql.RawBytes
		if err := row.Scan(&x.Row, &x.Tenant, &x.Destination.Sink, &x.Destination.LogGroup, &x.Destination.LogStream, &stored, &x.Source, &packed); err != nil {
			return err
		}
		dates, err := unpackDates(packed)
		if err != nil || len(dates) == 0 {
			return errors.Join(err, errBody)
		}
		oldest, newest := dates[0], dates[0]
		for _, at := range dates {
			oldest, newest = min(oldest, at), max(newest, at)
		}
		x.Oldest, x.Newest, x.StoredAt = timeOf(oldest), timeOf(newest), timeOf(stored)
		if !x.Newest.Before(since) {
			list = append(list, x)
		}
		return nil
	})
	return list, fault("read buffer", err)
}

// Events returns the events of a row that have not left.
func (w *Waiting) Events(ctx context.Context, row int64) ([]event.Event, error) {
	rows, err := w.tx.QueryContext(ctx, "SELECT gone, dates, body FROM buffer WHERE seq = ?", row)
	if err != nil {
		return nil, fault("read buffer", err)
	}
	var out []event.Event
	err = scanAll(rows, func(row *sql.Rows) error {
		var gone, packed, body sql.RawBytes
		if err := row.Scan(&gone, &packed, &body); err != nil {
			return err
		}
		dates, err := unpackDates(packed)
		if err != nil || len(gone) != len(newBits(len(dates))) {
			return errors.Join(err, errBody)
		}
		list, err := unpack(body, len(dates))
		if err != nil {
			return err
		}
		for i := range list {
			if !bits(gone).has(int64(i)) {
				list[i].date = dates[i]
				out = append(out, list[i].event())
			}
		}
		return nil
	})
	return out, fault("read buffer", err)
}

// Close ends the look.
func (w *Waiting) Close() error {
	if err := w.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fault("read buffer", err)
	}
	return nil
}

// A MinuteCount is how often something happened in a minute.
type MinuteCount struct {
	At   time.Time // the beginning of the minute
	Name string    // CountStored, CountDelivered or CountRejected
	N    int64
}

// Minutes returns the counts by minute of events stored, delivered and rejected by the
// main sink of a tenant, of all tenants together when it is empty, of since <= time <
// until. Minutes in which nothing happened are not among them, nor those that were
// longer ago than the 31 days for which they are kept.
func (r *Reader) Minutes(ctx context.Context, tenant string, since, until time.Time) ([]MinuteCount, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT minute, name, sum(n) FROM counts
		WHERE minute >= ? AND minute < ? AND name IN (?, ?, ?) AND (?6 = '' OR tenant_id = (SELECT id FROM tenants WHERE name = ?6))
		GROUP BY minute, name ORDER BY minute`,
		floorMinute(since), floorMinute(until.Add(time.Minute-1)), CountStored, CountDelivered, CountRejected, tenant)
	if err != nil {
		return nil, fault("read counts", err)
	}
	var list []MinuteCount
	err = scanAll(rows, func(row *sql.Rows) error {
		var c MinuteCount
		var minute int64
		err := row.Scan(&minute, &c.Name, &c.N)
		c.At = time.Unix(minute*60, 0).UTC()
		list = append(list, c)
		return err
	})
	return list, fault("read counts", err)
}

// floorMinute returns the minute of a time, since 1970.
func floorMinute(t time.Time) int64 { return t.Truncate(time.Minute).Unix() / 60 }
