package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// addPassed fills in what passed in the last whole minute, and in the last hour up to now.
func addPassed(ctx context.Context, r *store.Reader, o *web.Overview) error {
	minute, err := r.Passed(ctx, o.At.Add(-time.Minute), o.At)
	if err != nil {
		return err
	}
	hour, err := r.Passed(ctx, o.At.Add(-time.Hour), o.At.Add(time.Minute))
	if err != nil {
		return err
	}
	for i := range o.Tenants {
		t := &o.Tenants[i]
		t.LastMinute, t.LastHour = passed(minute[t.Name]), passed(hour[t.Name])
	}
	return nil
}

// passed sorts counts.
func passed(counts map[string]int64) web.Passed {
	return web.Passed{
		Fetched:   counts[store.CountStored] + counts[store.CountSkipped] + counts[store.CountUnreadable],
		Delivered: counts[store.CountDelivered],
		Rejected:  counts[store.CountRejected] + counts[store.CountUnreadable],
	}
}

// configurationKey is where what is told of the configuration in use is kept for
// `gapless status` beside this process.
const configurationKey = "configuration"

// shareConfiguration keeps what is told of the configuration in use. Where that fails the
// store has troubles of its own, which are told.
func (a *App) shareConfiguration(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	b, err := json.Marshal(a.reloads.configuration())
	if err == nil {
		err = a.store.Note(ctx, configurationKey, b)
	}
	if err != nil {
		a.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "`gapless status` beside this process will not know the configuration in use", slog.Any("error", err))
	}
}

// sharedConfiguration returns what the running process has told of its configuration; nil
// when it has not.
func sharedConfiguration(ctx context.Context, r *store.Reader) (*web.Configuration, error) {
	b, err := r.Noted(ctx, configurationKey)
	if b == nil || err != nil {
		return nil, err
	}
	c := new(web.Configuration)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("read the state of the configuration: %w", err)
	}
	return c, nil
}
