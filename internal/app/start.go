package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// afterLoss begins with the oldest event that Auth0 keeps when the store was lost
// and nobody knows how far the tenant was read: a start that counts from now would
// skip what had not been delivered.
func afterLoss(ctx context.Context, b *store.Buffer, t config.Tenant, start source.StartFrom) (source.StartFrom, error) {
	lost, err := b.CursorLost(ctx)
	if err != nil {
		return start, fmt.Errorf("read what was lost: %w", err)
	}
	if s, err := config.ParseStartFrom(t.StartFrom); err != nil || !lost || !s.Latest && s.Ago == 0 {
		return start, nil //nolint:nilerr // startFrom has told of it
	}
	return source.Earliest(), nil
}

// startFrom reads where a tenant begins.
func startFrom(t config.Tenant) (source.StartFrom, error) {
	s, err := config.ParseStartFrom(t.StartFrom)
	switch {
	case err != nil:
		return source.StartFrom{}, misconfigured("read the starting point", err)
	case s.Latest:
		return source.Latest(), nil
	case !s.Time.IsZero():
		return source.At(s.Time), nil
	case s.Ago > 0:
		return source.Ago(s.Ago), nil
	case s.LogID != "":
		return source.Behind(s.LogID), nil
	default:
		return source.Earliest(), nil
	}
}

// startKey is the setting under which the start_from of a tenant is kept.
const startKey = "start_from"

// errStartChanged says that start_from no longer fits the cursor.
var errStartChanged = errors.New("start_from was changed, but the tenant has been read from another starting point already")

// guardStart refuses a start_from that differs from the one with which the
// tenant's cursor began: taking no notice would leave a person believing that
// older events are on their way.
func guardStart(ctx context.Context, b *store.Buffer, t config.Tenant, sourceName string) error {
	began, err := checkStart(ctx, b, t, sourceName)
	if err != nil || began == t.StartFrom {
		return err
	}
	if err := b.SetSetting(ctx, startKey, t.StartFrom); err != nil {
		return fmt.Errorf("keep the starting point: %w", err)
	}
	return nil
}

// checkStart is guardStart without keeping anything. It returns the start_from that is
// kept, empty for none.
func checkStart(ctx context.Context, b *store.Buffer, t config.Tenant, sourceName string) (began string, err error) {
	cursor, err := b.Cursor(ctx, sourceName)
	if err != nil {
		return "", fmt.Errorf("read cursor: %w", err)
	}
	if began, err = b.Setting(ctx, startKey); err != nil {
		return "", fmt.Errorf("read the starting point: %w", err)
	}
	if cursor != "" && began != "" && began != t.StartFrom {
		return "", &pipeline.Error{
			Op: "start", Class: pipeline.Misconfigured, Err: fmt.Errorf("%w (it was %q, now it is %q)", errStartChanged, began, t.StartFrom),
			Hint: fmt.Sprintf("Set start_from back to %q, or begin anew on purpose: gapless cursor reset --tenant %s --yes, with the --config of this run", began, t.Name),
		}
	}
	return began, nil
}
