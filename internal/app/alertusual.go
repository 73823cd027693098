package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// How the usual pauses of a tenant are learned: at the same time of earlier weeks, so that
// nights and weekends are compared with nights and weekends.
const (
	usualWeeks = 4
	// usualAround is how far around that time is looked, and usualStep in which steps.
	usualAround = 2 * time.Hour
	usualStep   = time.Hour
	// usualBack bounds a pause.
	usualBack = 7 * 24 * time.Hour
	// usualKept is how long what was learned is used.
	usualKept = 10 * time.Minute
)

// usualPauses are what is known of the pauses of tenants. It is safe for concurrent use.
type usualPauses struct {
	mu    sync.Mutex
	known map[string]learned
}

// learned is what was learned of a tenant, and when.
type learned struct {
	at    time.Time
	usual notify.Usual
}

// newUsualPauses returns one that knows nothing.
func newUsualPauses() usualPauses { return usualPauses{known: make(map[string]learned)} }

// of returns how long nothing new has come of a tenant; and, once that is at least a
// time, 0 for never, what is usual. Of a tenant whose sources fail, or that is not read,
// nothing is usual: that is told otherwise.
func (u *usualPauses) of(ctx context.Context, r *store.Reader, t *web.Tenant, now time.Time, least time.Duration) (time.Duration, *notify.Usual, error) {
	pause := ago(now, t.LastStored)
	fails := slices.ContainsFunc(t.Troubles, func(x web.Trouble) bool {
		return slices.Contains([]string{"poll", "webhook", "sqs", "push", "start"}, x.Part)
	})
	if least <= 0 || pause < least || fails || !slices.Contains([]web.State{web.StateDelivered, web.StateDelivering, web.StateTrouble, web.StateStuck}, t.State) {
		return pause, nil, nil
	}
	u.mu.Lock()
	known, ok := u.known[t.Name]
	u.mu.Unlock()
	if !ok || now.Sub(known.at) >= usualKept {
		usual, err := learn(ctx, r, t.Name, now)
		if err != nil {
			return pause, nil, err
		}
		known = learned{now, usual}
		u.mu.Lock()
		u.known[t.Name] = known
		u.mu.Unlock()
	}
	return pause, &known.usual, nil
}

// learn reads what is usual for a tenant at this time of the week.
func learn(ctx context.Context, r *store.Reader, tenant string, now time.Time) (u notify.Usual, err error) {
	first, err := r.FirstStored(ctx, tenant)
	if err != nil || first.IsZero() {
		return u, err
	}
	u.Known = now.Sub(first)
	for week := 1; week <= usualWeeks; week++ {
		then := now.Add(-time.Duration(week) * usualBack)
		if then.Add(-usualAround).Before(first) {
			break
		}
		u.Weeks++
		for d := -usualAround; d <= usualAround; d += usualStep {
			at := then.Add(d)
			before, err := r.StoredBefore(ctx, tenant, at, usualBack)
			if err != nil {
				return u, err
			}
			pause := usualBack
			if !before.IsZero() {
				pause = at.Sub(before)
			}
			u.Longest = max(u.Longest, pause)
		}
	}
	if u.Weeks < 2 {
		u.Longest = 0
		err = r.Pauses(ctx, tenant, func(d time.Duration) { u.Longest = max(u.Longest, d) })
	}
	return u, err
}
