package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// The spaces of the table kv.
const (
	spaceSetting = "setting"
	spaceSaved   = "saved"
)

// Setting returns a setting of the tenant, empty when it has not been set.
func (b *Buffer) Setting(ctx context.Context, key string) (string, error) {
	v, err := b.value(ctx, spaceSetting, key)
	return string(v), err
}

// SetSetting keeps a setting of the tenant.
func (b *Buffer) SetSetting(ctx context.Context, key, value string) error {
	return b.setValue(ctx, spaceSetting, key, []byte(value))
}

// Load returns what Save has kept under a key, nil when there is nothing.
func (b *Buffer) Load(ctx context.Context, key string) ([]byte, error) {
	return b.value(ctx, spaceSaved, key)
}

// Save keeps a value under a key across restarts, such as a token. The file can
// be read by its owner alone. A nil value deletes.
func (b *Buffer) Save(ctx context.Context, key string, value []byte) error {
	return b.setValue(ctx, spaceSaved, key, value)
}

// Saved returns what a tenant's buffer has kept with Save under a key, nil when there
// is nothing or no such tenant.
func (r *Reader) Saved(ctx context.Context, tenant, key string) ([]byte, error) {
	var v []byte
	err := r.db.QueryRowContext(ctx, "SELECT value FROM kv JOIN tenants ON tenants.id = kv.tenant_id WHERE tenants.name = ? AND space = ? AND key = ?",
		tenant, spaceSaved, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("read "+spaceSaved+" "+key, err)
	}
	return v, nil
}

// value reads a value.
func (b *Buffer) value(ctx context.Context, space, key string) ([]byte, error) {
	var v []byte
	err := b.store.db.QueryRowContext(ctx, "SELECT value FROM kv WHERE tenant_id = ? AND space = ? AND key = ?", b.id, space, key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, b.readFault(ctx, "read "+space+" "+key, err)
	}
	return v, nil
}

// setValue writes a value or deletes it.
func (b *Buffer) setValue(ctx context.Context, space, key string, value []byte) error {
	return b.write(ctx, "keep "+space+" "+key, func(ctx context.Context, t *tx) error {
		if value == nil {
			return t.exec(ctx, "DELETE FROM kv WHERE tenant_id = ? AND space = ? AND key = ?", b.id, space, key)
		}
		return t.exec(ctx, `INSERT INTO kv (tenant_id, space, key, value, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
			b.id, space, key, value, t.now.UnixMicro())
	})
}

// write runs a small change.
func (b *Buffer) write(ctx context.Context, op string, run func(context.Context, *tx) error) error {
	err := b.store.writer.do(ctx, &job{buffer: b, run: run})
	if err != nil && !pipeline.Stopped(ctx, err) {
		return fault(op, err)
	}
	return err
}

// SetCondition keeps the trouble that a part of the tenant's export is in, for
// `gapless status`; one per part.
func (b *Buffer) SetCondition(ctx context.Context, c pipeline.Condition) error {
	message := ""
	if c.Err.Err != nil {
		message = c.Err.Err.Error()
	}
	since := c.Since
	if since.IsZero() {
		since = time.Now()
	}
	return b.write(ctx, "keep condition of "+c.Part, func(ctx context.Context, t *tx) error {
		return t.exec(ctx, `INSERT INTO conditions (tenant_id, part, since, updated_at, failures, class, message, hint) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET since = excluded.since, updated_at = excluded.updated_at, failures = excluded.failures,
			class = excluded.class, message = excluded.message, hint = excluded.hint`,
			b.id, c.Part, since.UnixMicro(), t.now.UnixMicro(), c.Failures, c.Err.Class.String(), message, c.Err.Hint)
	})
}

// CountPush adds to what is counted of the tenant's push: events that the poll
// alone has brought, and those that the push has.
func (b *Buffer) CountPush(ctx context.Context, healed, pushed int) error {
	return b.write(ctx, "count what was pushed", func(_ context.Context, t *tx) error {
		t.count(CountHealed, "", healed)
		t.count(CountPushed, "", pushed)
		return nil
	})
}

// Total returns how often something has happened, for all reasons together.
func (b *Buffer) Total(ctx context.Context, name string) (n int64, err error) {
	err = b.store.db.QueryRowContext(ctx, "SELECT coalesce(sum(n), 0) FROM totals WHERE tenant_id = ? AND name = ?", b.id, name).Scan(&n)
	if err != nil {
		return 0, b.readFault(ctx, "read count of "+name, err)
	}
	return n, nil
}

// ClearCondition says that a part is well again.
func (b *Buffer) ClearCondition(ctx context.Context, part string) error {
	return b.write(ctx, "clear condition of "+part, func(ctx context.Context, t *tx) error {
		return t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part = ?", b.id, part)
	})
}
