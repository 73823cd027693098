package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A told is the restoration that the conditions tell of.
type told struct {
	mu sync.Mutex
	r  *restoration // nil when there is none that nobody has taken notice of
}

// get returns the restoration, nil when there is none to tell of.
func (t *told) get() *restoration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.r
}

// set changes it.
func (t *told) set(r *restoration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r = r
}

// reported reports whether the file that tells of a restoration is still there.
func (s *Store) reported() bool {
	there, _ := exists(filepath.Join(s.cfg.Dir, ReportName))
	return there
}

// loadTold reads what is to be told, while the report is there.
func (s *Store) loadTold(ctx context.Context) error {
	var text []byte
	err := s.writer.conn.QueryRowContext(ctx, "SELECT value FROM kv WHERE tenant_id = 0 AND space = 'store' AND key = ?", keyTold).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !s.reported() {
		return nil
	}
	r := &restoration{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return fault("read what was restored", err)
	}
	s.told.set(r)
	return nil
}

// checkTold ends the conditions once a person has deleted the report.
func (s *Store) checkTold(ctx context.Context) error {
	if s.told.get() == nil || s.reported() {
		return nil
	}
	err := s.writer.do(ctx, &job{run: func(ctx context.Context, t *tx) error {
		if err := t.exec(ctx, "DELETE FROM kv WHERE tenant_id = 0 AND space = ? AND key = ?", spaceStore, keyTold); err != nil {
			return err
		}
		return t.exec(ctx, "DELETE FROM conditions WHERE part = ?", RestoredPart)
	}})
	if err != nil {
		return fault("clear conditions", err)
	}
	s.told.set(nil)
	s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, ReportName+" was deleted: somebody has taken notice of the restoration")
	return nil
}

// loadRestored reads the doubt of the tenant and keeps its condition. A tenant that
// is new to a file of which nothing was known counts as one that was lost with it.
func (b *Buffer) loadRestored(ctx context.Context, t *tx, isNew bool) error {
	b.restored = pipeline.Doubt{}
	owner := b.id
	if isNew {
		owner = 0
	}
	err := t.query(ctx, func(r *sql.Rows) error {
		var text []byte
		if err := r.Scan(&text); err != nil {
			return err
		}
		return json.Unmarshal(text, &b.restored)
	}, "SELECT value FROM kv WHERE tenant_id = ? AND space = ? AND key = ?", owner, spaceStore, keyRestored)
	if err != nil {
		return err
	}
	if isNew && !b.restored.IsZero() {
		if t.now.Sub(b.restored.Until) > unknownTenants {
			b.restored = pipeline.Doubt{}
		} else if err := b.inherit(ctx, t); err != nil {
			return err
		}
	}
	r := b.store.told.get()
	if r == nil {
		return t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part = ?", b.id, RestoredPart)
	}
	return t.exec(ctx, `INSERT INTO conditions (tenant_id, part, since, updated_at, failures, class, message, hint) VALUES (?, ?, ?, ?, 0, ?, ?, ?)
		ON CONFLICT DO UPDATE SET since = excluded.since, updated_at = excluded.updated_at, class = excluded.class, message = excluded.message, hint = excluded.hint`,
		b.id, RestoredPart, r.At.UnixMicro(), t.now.UnixMicro(), RestoredClass, r.line(), restoredHint)
}

// inherit makes the tenant one that was lost.
func (b *Buffer) inherit(ctx context.Context, t *tx) error {
	text, err := json.Marshal(b.restored)
	if err != nil {
		return err
	}
	if err := t.exec(ctx, putStoreKV, b.id, keyRestored, text, t.now.UnixMicro()); err != nil {
		return err
	}
	return t.exec(ctx, putStoreKV, b.id, keyLostCursor, []byte("true"), t.now.UnixMicro())
}

// CursorLost reports whether the tenant was read before by a store that was lost,
// and nobody knows how far. A start from the newest event would then skip what was
// not delivered. It ends with ResetCursor.
func (b *Buffer) CursorLost(ctx context.Context) (bool, error) {
	v, err := b.value(ctx, spaceStore, keyLostCursor)
	return v != nil, err
}

// loadProgress begins to watch from where reading again would be safe.
func (b *Buffer) loadProgress(ctx context.Context, t *tx, events, last int64) error {
	cursors := make(map[string]position)
	err := t.query(ctx, func(r *sql.Rows) error {
		var source, cursor string
		var at int64
		err := r.Scan(&source, &cursor, &at)
		cursors[source] = position{event.Cursor(cursor), timeOf(at)}
		return err
	}, "SELECT source, cursor, updated_at FROM cursors WHERE tenant_id = ?", b.id)
	if err != nil {
		return err
	}
	b.progress.begin(b.store.mirror.initial[b.tenant], cursors, events, last, t.now.UTC())
	return nil
}

// doubtOf returns the doubt of an event that is about to be sent: that of a call
// whose outcome is not known, or that of a store that was lost, if the event is old
// enough for having been in it. The caller holds mu.
func (b *Buffer) doubtOf(e *entry, now time.Time) pipeline.Doubt {
	d, ok := b.doubts[e.seq]
	if ok || b.restored.IsZero() || e.date > b.restored.Until.Add(restoredSlack).UnixMicro() {
		return d
	}
	d = b.restored
	if ago := now.Add(-restoredAgo).UTC(); ago.After(d.Until) {
		d.Until = ago
	}
	return d
}
