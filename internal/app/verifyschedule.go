package app

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
)

const (
	// verifyTick is how often it is looked whether a verification is due.
	verifyTick = 30 * time.Second
	// verifyFirst is how long after the start one that was missed begins: reading what
	// came meanwhile goes first.
	verifyFirst = 5 * time.Minute
	// verifyPatience is how long what seems to be missing is looked for.
	verifyPatience = 2 * time.Minute
	// verifyMost bounds the span of one that was missed for long.
	verifyMost = 30 * 24 * time.Hour
	// verifyOverlap is how far the next one reaches into this one, and verifyBack how far
	// back the next one looks again for what this one has found missing.
	verifyOverlap = time.Hour
	verifyBack    = 7 * 24 * time.Hour
	// repairMost is how many missing events a scheduled repair brings at most; the next
	// one brings more.
	repairMost = 20_000
	// repairWait is how long a scheduled repair waits for delivery.
	repairWait = time.Hour
	// verifyWork is the directory of temporary files, in the data directory.
	verifyWork = "verify.work"
)

// startVerifies verifies by the schedule of the configuration, one tenant at a time,
// until the App is stopped. A run that ends by itself does not.
func (a *App) startVerifies(ctx context.Context) {
	if a.opts.once() || a.opts.DryRun != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	v := &verifies{app: a, began: time.Now(), told: make(map[string]string)}
	go func() {
		defer close(done)
		v.run(ctx)
	}()
	a.onStop("verifications", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

// verifies are the scheduled verifications. One goroutine works with it.
type verifies struct {
	app   *App
	began time.Time
	told  map[string]string
	last  map[string]*VerifyResult // by tenant; nil before it was read
}

// run looks now and then whether one is due.
func (v *verifies) run(ctx context.Context) {
	tick := time.NewTicker(verifyTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		cfg := v.app.Config()
		s, err := config.ParseSchedule(cfg.Verify)
		v.forgetAlerts(cfg, err != nil || s.Off)
		if err != nil || s.Off {
			continue
		}
		for _, t := range cfg.Tenants {
			if !t.Polls() {
				continue
			}
			if err := v.look(ctx, cfg, s, t); err != nil && ctx.Err() == nil {
				v.tell(ctx, t.Name, err)
			}
		}
	}
}

// tell logs what hinders the keeping of results, once.
func (v *verifies) tell(ctx context.Context, tenant string, err error) {
	if v.told[tenant] != err.Error() {
		v.told[tenant] = err.Error()
		v.app.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot verify by the schedule", slog.String("tenant", tenant), slog.Any("error", err))
	}
}

// look verifies a tenant if that is due.
func (v *verifies) look(ctx context.Context, cfg *config.Config, s config.Schedule, t config.Tenant) (err error) {
	if v.last == nil {
		if v.last, err = lastVerifies(ctx, v.app.store.Reader); err != nil {
			v.last = nil
			return err
		}
	}
	b, err := v.app.store.Buffer(ctx, t.Name)
	if err != nil {
		return err
	}
	last, now := v.last[t.Name], time.Now()
	if last == nil { // the schedule begins now, also when it is met after a restart only
		v.last[t.Name] = &VerifyResult{Tenant: t.Name, Due: now.UTC()}
		return keepLastVerify(ctx, b, *v.last[t.Name])
	}
	due := nextVerify(s, cfg.Verify.Jitter, t.Name, last, now)
	if now.Before(due) || due.Before(v.began) && now.Sub(v.began) < verifyFirst {
		return nil
	}
	x := VerifyResult{Tenant: t.Name, Due: s.Last(due.Add(-jitterOf(t.Name, cfg.Verify.Jitter)), now).UTC(), Began: now.UTC(), Until: now.UTC(), Since: sinceOf(last, cfg.Verify.Span, now)}
	v.verify(ctx, cfg, t, b, &x)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the next start does it
	}
	x.Ended = time.Now().UTC()
	if x.Error != "" {
		x.From = last.From
	}
	v.log(ctx, &x, last)
	v.alert(&x)
	v.last[t.Name] = &x
	return keepVerify(ctx, b, x)
}

// sinceOf is where a verification begins: a span back, and further where an earlier one
// was missed or could not compare, or has found missing what may be missing still.
func sinceOf(last *VerifyResult, span time.Duration, now time.Time) time.Time {
	since := now.Add(-span)
	if !last.From.IsZero() && last.From.Before(since) {
		since = later(last.From, now.Add(-verifyMost))
	}
	return since.UTC()
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// verify verifies, repairs if that is wanted, and says in the result what came of it.
func (v *verifies) verify(ctx context.Context, cfg *config.Config, t config.Tenant, b *store.Buffer, x *VerifyResult) {
	missing, err := v.compare(ctx, cfg, x)
	if err == nil && cfg.Verify.Repair && len(missing) > 0 {
		if x.Repaired, err = v.repair(ctx, cfg, t, b, missing); err == nil {
			_, err = v.compare(ctx, cfg, x)
		}
	}
	if err != nil {
		e := pipeline.Classify(err)
		x.Clean, x.Error, x.Hint, x.Refused = false, err.Error(), e.Hint, cloudwatch.Refused(err)
	}
}

// compare compares once. It returns the first of what is missing.
func (v *verifies) compare(ctx context.Context, cfg *config.Config, x *VerifyResult) (missing map[string][]string, err error) {
	opts := v.app.opts
	opts.Config, opts.Secrets = cfg, v.app.Secrets()
	opts.Logger = opts.Logger.With(slog.String("part", "verify"))
	dir := filepath.Join(cfg.DataDir, verifyWork)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make a directory to work in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	missing = make(map[string][]string)
	x.Findings, x.From = nil, x.Until.Add(-verifyOverlap)
	sum, err := Verify(ctx, opts, Verification{
		Tenant: x.Tenant, Span: verify.Span{Since: x.Since, Until: x.Until}, Patience: verifyPatience, Dir: dir,
	}, func(f verify.Finding) error {
		if f.Kind == verify.Missing && f.Date.Before(x.From) {
			x.From = later(f.Date.Add(-time.Minute), x.Until.Add(-verifyBack)).UTC()
		}
		if f.Kind == verify.Missing && len(missing) < repairMost {
			missing[f.LogID] = append(missing[f.LogID], f.Destination)
		}
		if f.Kind.Unclean() && len(x.Findings) < findingsKept {
			f.Copies = nil
			x.Findings = append(x.Findings, f)
		}
		return nil
	})
	x.ProvedSince, x.Clean, x.Held, x.Found = sum.ProvedSince, sum.Clean, sum.Held, make(map[string]int64)
	for _, d := range sum.Destinations {
		for kind, n := range d.Found {
			x.Found[string(kind)] += n
		}
	}
	return missing, err
}

// repair stores events that are missing for the destinations that lack them, by the
// sinks of backfills, and waits until they are delivered.
func (v *verifies) repair(ctx context.Context, cfg *config.Config, t config.Tenant, b *store.Buffer, missing map[string][]string) (stored int64, err error) {
	c := &comparison{}
	defer func() { err = errors.Join(err, c.close()) }()
	if c.api, err = v.app.politeAPI(ctx, t, 0, b, c); err != nil {
		return 0, err
	}
	before, err := v.app.rulesOnTheWay(ctx, t.Filter, t.Redact)
	if err != nil {
		return 0, err
	}
	places, err := v.app.backfillPlaces(ctx, cfg, t, &BackfillRequest{Tenant: t.Name})
	if err != nil {
		return 0, err
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(missing)), repairAtOnce) {
		page := store.Backfill{Source: source.PollName, Key: "verify/repair", State: func(store.BackfillDone) ([]byte, error) { return []byte{}, nil }}
		err := source.FindEvents(ctx, c.api, slices.Values(ids), func(e event.Event) error {
			wanted := missing[e.LogID]
			for _, rule := range before {
				var verdict pipeline.Verdict
				if e, verdict = rule(e); verdict.Skip || verdict.Withhold {
					return nil
				}
			}
			for _, p := range places {
				if slices.Contains(wanted, p.name) {
					to := p.routes.Route(e)
					to.Sink = laneOf(p.name)
					page.Events = append(page.Events, store.Backfilled{Event: e, To: to, For: p.name})
				}
			}
			return nil
		})
		if err != nil {
			return stored, fmt.Errorf("fetch what is missing: %w", err)
		}
		done, err := b.Backfill(ctx, page)
		if stored += int64(done.Stored); err != nil {
			return stored, err
		}
	}
	for deadline := time.Now().Add(repairWait); time.Now().Before(deadline); {
		if events, _ := pendingOfLanes(b, &t); events == 0 {
			break
		}
		if err := pipeline.Wait(ctx, time.Second); err != nil {
			return stored, err
		}
	}
	return stored, nil
}

// log tells of a result. What is refused is told once, and not as something wrong: the
// export needs no such permission.
func (v *verifies) log(ctx context.Context, x, last *VerifyResult) {
	level, text := slog.LevelInfo, "verified: all is as it should be"
	attrs := []slog.Attr{slog.String("tenant", x.Tenant), slog.Time("since", x.Since), slog.Time("until", x.Until)}
	switch {
	case x.Refused != "" && x.Refused == last.Refused:
		return
	case x.Refused != "":
		text = "the scheduled verification is not allowed to read the destination; the export needs no such permission and goes on"
		attrs = append(attrs, slog.String("action", x.Refused), slog.String("hint", verifyHint(x)))
	case x.Error != "":
		level, text = slog.LevelWarn, "a scheduled verification has failed; the export goes on"
		attrs = append(attrs, slog.String("error", x.Error), slog.String("hint", x.Hint))
	case !x.Clean:
		level, text = slog.LevelError, "verified: not everything is as it should be"
		attrs = append(attrs, slog.Int64("held", x.Held), slog.Int64("repaired", x.Repaired), slog.Any("found", x.Found), slog.String("hint", verifyHint(x)))
	default:
		attrs = append(attrs, slog.Int64("held", x.Held), slog.Int64("repaired", x.Repaired))
	}
	v.app.opts.Logger.LogAttrs(ctx, level, text, attrs...)
}

// nextVerify returns when a tenant is verified next: the first time behind the last one,
// or behind now without one, with the jitter of the tenant.
func nextVerify(s config.Schedule, jitter time.Duration, tenant string, last *VerifyResult, now time.Time) time.Time {
	from := now
	if last != nil {
		from = last.Due
	}
	return s.Next(from).Add(jitterOf(tenant, jitter)).UTC()
}

// jitterOf returns the jitter of a tenant, which is always the same.
func jitterOf(tenant string, most time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tenant)) // it never fails
	return time.Duration(float64(most) * float64(h.Sum32()) / (1 << 32)).Truncate(time.Second)
}
