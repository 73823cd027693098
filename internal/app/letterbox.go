package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// letterBox is the dead letters of the running process, for the page.
type letterBox struct{ app *App }

var _ web.LetterBox = letterBox{}

// Letters returns the dead letters, to look at and to act on while the App runs: what is
// replayed is delivered.
func (a *App) Letters() web.LetterBox { return letterBox{a} }

// lettersOf turns a filter of the page into the store's.
func lettersOf(f web.LetterFilter) store.LetterFilter {
	return store.LetterFilter{Tenant: f.Tenant, Kind: f.Kind, Reason: f.Reason, IDs: f.IDs, Below: f.Before}
}

// letterOf turns a letter of the store into the page's.
func letterOf(l store.DeadLetter) web.Letter {
	return web.Letter{
		ID: l.ID, Tenant: l.Tenant, Kind: l.Kind, Reason: l.Reason, Detail: l.Detail, KeptSince: l.CreatedAt, Source: l.Source,
		LogID: l.Event.LogID, Type: l.Event.Type, Date: l.Event.Date,
		Destination: l.Destination.Sink, LogGroup: l.Destination.LogGroup, LogStream: l.Destination.LogStream, Bytes: l.Size,
		CanReplay: l.Kind == store.KindRejected,
	}
}

// List implements web.LetterBox.
func (b letterBox) List(ctx context.Context, f web.LetterFilter, limit int) ([]web.Letter, error) {
	found, err := b.app.store.DeadLetters(ctx, lettersOf(f), limit)
	if err != nil {
		return nil, err
	}
	list := make([]web.Letter, len(found))
	for i, l := range found {
		list[i] = letterOf(l)
	}
	return list, nil
}

// Show implements web.LetterBox.
func (b letterBox) Show(ctx context.Context, id int64) (web.Letter, []byte, error) {
	l, err := b.app.store.DeadLetter(ctx, id)
	if errors.Is(err, store.ErrNoLetter) {
		return web.Letter{}, nil, errors.Join(web.ErrNotFound, err)
	}
	if err != nil {
		return web.Letter{}, nil, err
	}
	return letterOf(l), l.Event.Raw, nil
}

// Replay implements web.LetterBox. Letters of altered events are left: they were
// delivered in another form, and a replay would double them.
func (b letterBox) Replay(ctx context.Context, f web.LetterFilter) (web.LettersMoved, error) {
	return b.move(ctx, f, func(kind string) bool { return kind == store.KindRejected }, func(f store.LetterFilter) (store.LettersDone, error) {
		return b.app.store.ReplayDeadLetters(ctx, f, false)
	})
}

// Drop implements web.LetterBox.
func (b letterBox) Drop(ctx context.Context, f web.LetterFilter) (web.LettersMoved, error) {
	return b.move(ctx, f, func(string) bool { return true }, func(f store.LetterFilter) (store.LettersDone, error) {
		return b.app.store.DropDeadLetters(ctx, f)
	})
}

// move moves the letters that a filter picks and whose kind may be, and says what kept
// the others.
func (b letterBox) move(ctx context.Context, f web.LetterFilter, may func(kind string) bool, do func(store.LetterFilter) (store.LettersDone, error)) (web.LettersMoved, error) {
	var moved web.LettersMoved
	pick, why, err := b.movable(ctx, lettersOf(f), may, &moved)
	if err != nil {
		return moved, err
	}
	for _, p := range pick {
		counted, err := b.count(ctx, p)
		if err != nil {
			return moved, err
		}
		done, err := do(p)
		moved.Moved += done.Letters
		if left := counted - done.Letters; left > 0 {
			moved.Left += left
		}
		switch {
		case errors.Is(err, pipeline.ErrBufferFull):
			why = append(why, "the buffer has no room for more; try again when it has drained")
		case err != nil:
			return moved, fmt.Errorf("move dead letters: %w", err)
		}
	}
	moved.Why = strings.Join(why, "; ")
	return moved, nil
}

// movable splits a filter by kind, counts those that may not be moved as left, and says
// why.
func (b letterBox) movable(ctx context.Context, f store.LetterFilter, may func(kind string) bool, moved *web.LettersMoved) (pick []store.LetterFilter, why []string, err error) {
	for _, kind := range LetterKinds() {
		if f.Kind != "" && f.Kind != kind {
			continue
		}
		part := f
		part.Kind = kind
		n, err := b.count(ctx, part)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case n == 0:
			continue
		case may(kind):
			if part.IDs, err = b.existing(ctx, part); err != nil {
				return nil, nil, err
			}
			pick = append(pick, part)
			continue
		case kind == store.KindAltered:
			why = append(why, store.ErrWasDelivered.Error())
		default:
			why = append(why, store.ErrNotAnEvent.Error())
		}
		moved.Left += n
	}
	return pick, why, nil
}

// existing returns which of the ids that a filter names are there: one that another
// person has moved a moment ago is no reason to leave the others.
func (b letterBox) existing(ctx context.Context, f store.LetterFilter) ([]int64, error) {
	if len(f.IDs) == 0 {
		return f.IDs, nil
	}
	list, err := b.app.store.DeadLetters(ctx, f, len(f.IDs))
	ids := make([]int64, 0, len(list))
	for _, l := range list {
		ids = append(ids, l.ID)
	}
	return slices.Clip(ids), err
}

// count counts the letters that a filter picks.
func (b letterBox) count(ctx context.Context, f store.LetterFilter) (n int64, err error) {
	counts, err := b.app.store.CountDeadLetters(ctx, f)
	for _, c := range counts {
		n += c.Letters
	}
	return n, err
}
