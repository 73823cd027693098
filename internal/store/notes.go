package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// spaceNote is the space of the table kv for what belongs to no tenant.
const spaceNote = "note"

// Note keeps a value of the whole program under a key across restarts. A nil value
// deletes.
func (s *Store) Note(ctx context.Context, key string, value []byte) error {
	err := s.writer.do(ctx, &job{run: func(ctx context.Context, t *tx) error {
		if value == nil {
			return t.exec(ctx, "DELETE FROM kv WHERE tenant_id = 0 AND space = ? AND key = ?", spaceNote, key)
		}
		return t.exec(ctx, `INSERT INTO kv (tenant_id, space, key, value, updated_at) VALUES (0, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, spaceNote, key, value, t.now.UnixMicro())
	}})
	if err != nil {
		return fault("keep "+key, err)
	}
	return nil
}

// Noted returns what Note has kept under a key, nil when there is nothing.
func (r *Reader) Noted(ctx context.Context, key string) ([]byte, error) {
	var v []byte
	err := r.db.QueryRowContext(ctx, "SELECT value FROM kv WHERE tenant_id = 0 AND space = ? AND key = ?", spaceNote, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("read "+key, err)
	}
	return v, nil
}

// StoredBefore returns the last minute, at or before a time and at most within back of
// it, in which a new event of a tenant was stored; the zero time when there was none.
// Counts by minute are kept for a month.
func (r *Reader) StoredBefore(ctx context.Context, tenant string, at time.Time, back time.Duration) (time.Time, error) {
	return r.storedMinute(ctx, `SELECT minute FROM counts WHERE minute <= ? AND minute >= ? AND tenant_id = (SELECT id FROM tenants WHERE name = ?)
		AND name = 'stored' ORDER BY minute DESC LIMIT 1`, at.Unix()/60, at.Add(-back).Unix()/60, tenant)
}

// FirstStored returns the first minute that is still known in which an event of a tenant
// was stored; the zero time when there is none.
func (r *Reader) FirstStored(ctx context.Context, tenant string) (time.Time, error) {
	return r.storedMinute(ctx, `SELECT minute FROM counts WHERE tenant_id = (SELECT id FROM tenants WHERE name = ?) AND name = 'stored'
		ORDER BY minute LIMIT 1`, tenant)
}

// storedMinute runs a query for a minute.
func (r *Reader) storedMinute(ctx context.Context, query string, args ...any) (time.Time, error) {
	var minute int64
	err := r.db.QueryRowContext(ctx, query, args...).Scan(&minute)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fault("read counts", err)
	}
	return time.Unix(minute*60, 0).UTC(), nil
}

// Pauses calls fn with the lengths of the pauses between the minutes in which new events
// of a tenant were stored, the oldest first.
func (r *Reader) Pauses(ctx context.Context, tenant string, fn func(time.Duration)) error {
	rows, err := r.db.QueryContext(ctx, `SELECT minute FROM counts WHERE tenant_id = (SELECT id FROM tenants WHERE name = ?) AND name = 'stored' ORDER BY minute`, tenant)
	if err != nil {
		return fault("read counts", err)
	}
	last := int64(0)
	err = scanAll(rows, func(row *sql.Rows) error {
		var minute int64
		err := row.Scan(&minute)
		if last > 0 && err == nil {
			fn(time.Duration(minute-last) * time.Minute)
		}
		last = minute
		return err
	})
	if err != nil {
		return fault("read counts", err)
	}
	return nil
}

// Room returns the bytes that are free for gapless, and all, of the file system of the
// data directory; zeros where the system does not tell.
func (s *Store) Room() (free, total int64) {
	sp, err := s.writer.reserve.space(s.cfg.Dir)
	if err != nil {
		return 0, 0
	}
	return sp.free, sp.total
}
