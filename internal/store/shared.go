package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// spaceShared is the space of the table kv for what a process leaves there for others to
// read. Its rows belong to no tenant.
const spaceShared = "shared"

// Share keeps a value under a key, for readers beside this process. A nil value deletes.
func (s *Store) Share(ctx context.Context, key string, value []byte) error {
	err := s.writer.do(ctx, &job{run: func(ctx context.Context, t *tx) error {
		if value == nil {
			return t.exec(ctx, "DELETE FROM kv WHERE tenant_id = 0 AND space = ? AND key = ?", spaceShared, key)
		}
		return t.exec(ctx, `INSERT INTO kv (tenant_id, space, key, value, updated_at) VALUES (0, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, spaceShared, key, value, t.now.UnixMicro())
	}})
	if err != nil {
		return fault("keep "+key, err)
	}
	return nil
}

// Shared returns what Share has kept under a key, nil when there is nothing.
func (r *Reader) Shared(ctx context.Context, key string) ([]byte, error) {
	var v []byte
	err := r.db.QueryRowContext(ctx, "SELECT value FROM kv WHERE tenant_id = 0 AND space = ? AND key = ?", spaceShared, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("read "+key, err)
	}
	return v, nil
}

// Passed returns what was counted of each tenant, by its name, in whole minutes: from the
// one that holds since up to the one before that which holds until. Counts of further
// sinks are left out, and reasons are added up.
func (r *Reader) Passed(ctx context.Context, since, until time.Time) (map[string]map[string]int64, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT tenants.name, counts.name, sum(n) FROM counts JOIN tenants ON tenants.id = counts.tenant_id
		WHERE minute >= ? AND minute < ? AND instr(counts.name, ':') = 0 GROUP BY 1, 2`, since.Unix()/60, until.Unix()/60)
	if err != nil {
		return nil, fault("read counts", err)
	}
	list := make(map[string]map[string]int64)
	err = scanAll(rows, func(row *sql.Rows) error {
		var tenant, name string
		var n int64
		err := row.Scan(&tenant, &name, &n)
		if list[tenant] == nil {
			list[tenant] = make(map[string]int64)
		}
		list[tenant][name] = n
		return err
	})
	if err != nil {
		return nil, fault("read counts", err)
	}
	return list, nil
}
