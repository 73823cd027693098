package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/gaplesslogs/gapless/internal/event"
)

// insertPlace writes the cursor and the mark of the source, as far as the intake
// brings them, and heals the gaps that the mark covers.
func (a *appending) insertPlace(ctx context.Context, t *tx) error {
	m := a.in.Mark
	if a.in.Cursor == "" && m.IsZero() {
		return nil
	}
	if err := t.exec(ctx, `INSERT INTO cursors (tenant_id, source, cursor, updated_at, read_since, read_until) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at,
			cursor = iif(excluded.cursor = '', cursor, excluded.cursor),
			read_since = iif(excluded.read_until = 0, read_since, excluded.read_since),
			read_until = iif(excluded.read_until = 0, read_until, excluded.read_until)`,
		a.b.id, a.source, string(a.in.Cursor), t.now.UnixMicro(), micros(m.Since), micros(m.Until)); err != nil {
		return err
	}
	return a.heal(ctx, t)
}

// heal notes the gaps whose whole span the mark covers. One whose beginning is
// unknown is never healed; one whose end is unknown had ended when it was recorded.
func (a *appending) heal(ctx context.Context, t *tx) error {
	if a.in.Mark.IsZero() {
		return nil
	}
	return t.exec(ctx, `UPDATE gaps SET healed_at = ? WHERE tenant_id = ? AND healed_at = 0 AND from_time > 0 AND from_time >= ?
		AND iif(to_time = 0, recorded_at, to_time) <= ?`,
		t.now.UnixMicro(), a.b.id, micros(a.in.Mark.Since), micros(a.in.Mark.Until))
}

// Mark returns how much of the log a source has read, as of its last page on
// disk; the zero Mark when nothing is known.
func (b *Buffer) Mark(ctx context.Context, source string) (event.Mark, error) {
	var since, until int64
	err := b.store.db.QueryRowContext(ctx, "SELECT read_since, read_until FROM cursors WHERE tenant_id = ? AND source = ?", b.id, source).
		Scan(&since, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return event.Mark{}, nil
	}
	if err != nil {
		return event.Mark{}, b.readFault(ctx, "read mark", err)
	}
	return event.Mark{Since: timeOf(since), Until: timeOf(until)}, nil
}
