package store

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// QuotaPart is the part under which the conditions tell that the dead letters of
// a tenant come near their quota, and QuotaClass the class of that condition: no
// error of a part, but a limit at which a person must act.
const (
	QuotaPart  = "dead_letters"
	QuotaClass = "quota"
)

// quotaNear is the share of the quota, in percent, from which on it is told.
const quotaNear = 80

// The levels of a tenant's dead letters.
const (
	quotaFine = iota
	quotaTold // quotaNear is reached
	quotaOver // there is more than the quota
)

// quotaLevel says how near the dead letters of some figures are to the quota.
func (b *Buffer) quotaLevel(f figures) int {
	most := b.store.limits().MaxLetterBytes
	switch {
	case f.letterBytes > most:
		return quotaOver
	case f.letterBytes >= most/100*quotaNear+most%100*quotaNear/100:
		return quotaTold
	default:
		return quotaFine
	}
}

// quotaHint says what a person can do.
const quotaHint = "Look at them with `gapless deadletter list`, then replay or drop them, or set a larger max_dead_letter_bytes."

// quotaWords say a level.
func (b *Buffer) quotaWords(level int) string {
	most := b.store.limits().MaxLetterBytes
	if level == quotaOver {
		return fmt.Sprintf("the dead letters are more than max_dead_letter_bytes (%d); all are kept, and what is beyond it takes room of the buffer", most)
	}
	return fmt.Sprintf("the dead letters take %d %% of max_dead_letter_bytes (%d) or more", quotaNear, most)
}

// keepQuotaCondition writes the condition that some figures call for, or deletes
// it. It is in the transaction that changes the figures, so the two agree
// whatever happens.
func (b *Buffer) keepQuotaCondition(ctx context.Context, t *tx, f figures) error {
	level := b.quotaLevel(f)
	if level == quotaFine {
		return t.exec(ctx, "DELETE FROM conditions WHERE tenant_id = ? AND part = ?", b.id, QuotaPart)
	}
	now := t.now.UnixMicro()
	return t.exec(ctx, `INSERT INTO conditions (tenant_id, part, since, updated_at, failures, class, message, hint) VALUES (?, ?, ?, ?, 0, ?, ?, ?)
		ON CONFLICT DO UPDATE SET updated_at = excluded.updated_at, message = excluded.message, hint = excluded.hint`,
		b.id, QuotaPart, now, now, QuotaClass, b.quotaWords(level), quotaHint)
}

// tellQuota logs that a commit has changed the level.
func (b *Buffer) tellQuota(ctx context.Context, before, after figures) {
	was, is := b.quotaLevel(before), b.quotaLevel(after)
	if was == is {
		return
	}
	attrs := []slog.Attr{slog.String("tenant", b.tenant), slog.Int64("letters", after.letters), slog.Int64("bytes", after.letterBytes), slog.Int64("max_bytes", b.store.limits().MaxLetterBytes)}
	if is == quotaFine {
		b.store.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "the dead letters have room again", attrs...)
		return
	}
	b.store.cfg.Logger.LogAttrs(ctx, slog.LevelError, b.quotaWords(is), append(attrs, slog.String("hint", quotaHint))...)
}

// overflow is how much of the dead letters is beyond the quota, and takes the
// place of the buffer.
func (b *Buffer) overflow(f figures) int64 {
	return max(0, f.letterBytes-b.store.limits().MaxLetterBytes)
}

// room says whether events and dead letters of so many bytes fit. The dead letters
// beyond their quota count against the buffer, so that max_buffer_bytes and
// max_dead_letter_bytes together bound what a tenant takes. What comes first fits
// always, for nothing could make room for it.
func (b *Buffer) room(f figures, events, letters int64) error {
	after := f
	after.bytes += events
	after.letterBytes += letters
	held, will := f.bytes+b.overflow(f), after.bytes+b.overflow(after)
	if held == 0 || will <= held || will <= b.store.limits().MaxBytes {
		return nil
	}
	err := fmt.Errorf("%d bytes do not fit beside %d, max_buffer_bytes is %d: %w", will-held, held, b.store.limits().MaxBytes, pipeline.ErrBufferFull)
	hint := "Events wait for delivery: see why it does not go on with `gapless status`, or set a larger max_buffer_bytes."
	if over := b.overflow(after); over > 0 {
		hint = quotaHint
		err = fmt.Errorf("dead letters beyond max_dead_letter_bytes take %d bytes of the buffer: %w", over, err)
	}
	return &pipeline.Error{Op: "append events", Class: pipeline.Throttled, Err: err, Hint: hint}
}
