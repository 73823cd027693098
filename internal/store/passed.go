package store

import (
	"context"
	"database/sql"
	"time"
)

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
