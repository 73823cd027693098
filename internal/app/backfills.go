package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// backfillsEvery is how often the requests are looked at.
const backfillsEvery = time.Second

// Causes of the end of a backfill that is under way.
var (
	errBackfillCancelled = errors.New("the backfill was cancelled")
	errBackfillAnew      = errors.New("the configuration was changed")
)

// backfills does the backfills that were asked for: of each tenant one at a time, the
// oldest first. One goroutine works with it, but for what mu guards.
type backfills struct {
	app      *App
	only     string // the id of the only one; empty for all
	onlyOf   string // its tenant
	finished chan struct{}
	told     map[string]string // errors, by tenant, that were logged
	runs     map[string]*backfillRun

	mu    sync.Mutex
	lanes map[string]*laneSet
	err   error
	ended bool
}

// prepareBackfills makes ready for backfills, where the App does any.
func (a *App) prepareBackfills() {
	if a.opts.DryRun != nil || a.opts.once() && a.opts.Backfill == "" {
		return
	}
	a.backfills = &backfills{
		app: a, only: a.opts.Backfill, onlyOf: a.opts.backfillOf(), finished: make(chan struct{}),
		told: make(map[string]string), runs: make(map[string]*backfillRun), lanes: make(map[string]*laneSet),
	}
}

// backfillOf returns the tenant of the only backfill.
func (o Options) backfillOf() string {
	list, err := readRequests(o.Config.DataDir)
	if err != nil {
		return ""
	}
	for _, r := range list {
		if r.ID == o.Backfill {
			return r.Tenant
		}
	}
	return ""
}

// startBackfills starts the goroutine.
func (a *App) startBackfills(ctx context.Context) {
	b := a.backfills
	if b == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.work(ctx)
	}()
	a.onStop("backfills", func(stop context.Context) error {
		cancel()
		<-done
		for name, run := range b.runs {
			run.cancel(errStopping)
			<-run.done
			delete(b.runs, name)
		}
		var all sync.WaitGroup
		for _, s := range b.sets() {
			all.Go(func() { b.endLanes(stop, s) })
		}
		all.Wait()
		return nil
	})
}

// sets returns the lanes of the moment.
func (b *backfills) sets() (list []*laneSet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.lanes {
		list = append(list, s)
	}
	return list
}

// work looks at the requests until ctx ends.
func (b *backfills) work(ctx context.Context) {
	tick := time.NewTicker(backfillsEvery)
	defer tick.Stop()
	for {
		b.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round looks once.
func (b *backfills) round(ctx context.Context) {
	cfg := b.app.Config()
	requests, err := readRequests(cfg.DataDir)
	if err != nil {
		b.tell(ctx, "", err)
		return
	}
	for _, s := range b.sets() {
		if !configured(cfg, s.host.name) {
			b.endRun(s.host.name, errBackfillAnew)
			b.endLanes(ctx, s)
		}
	}
	for _, t := range cfg.Tenants {
		open := slices.DeleteFunc(slices.Clone(requests), func(q BackfillRequest) bool {
			return q.Tenant != t.Name || b.only != "" && q.ID != b.only
		})
		b.tell(ctx, t.Name, b.serve(ctx, cfg, t, open))
	}
}

// tell logs what hinders, once.
func (b *backfills) tell(ctx context.Context, tenant string, err error) {
	if err == nil {
		delete(b.told, tenant)
		return
	}
	if ctx.Err() != nil || b.told[tenant] == err.Error() {
		return
	}
	b.told[tenant] = err.Error()
	b.app.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot do the backfill, trying again", slog.String("tenant", tenant), slog.Any("error", err), slog.String("hint", pipeline.Classify(err).Hint))
	if b.only != "" {
		b.end(err)
	}
}

// serve sees to the backfills of a tenant.
func (b *backfills) serve(ctx context.Context, cfg *config.Config, t config.Tenant, open []BackfillRequest) error {
	buffer, err := b.app.store.Buffer(ctx, t.Name)
	if err != nil {
		return err
	}
	if err := b.dropCancelled(ctx, cfg, t, open); err != nil {
		return err
	}
	open = slices.DeleteFunc(open, func(q BackfillRequest) bool { return cancelled(cfg.DataDir, q.ID) })
	b.collect(t.Name)
	waits, _ := pendingOfLanes(buffer, &t)
	b.mu.Lock()
	set := b.lanes[t.Name]
	b.mu.Unlock()
	if set != nil && (set.cfg != cfg || waits == 0 && len(open) == 0) {
		b.endRun(t.Name, errBackfillAnew)
		b.endLanes(ctx, set)
		set = nil
	}
	if waits == 0 && len(open) == 0 {
		if b.only != "" && t.Name == b.onlyOf {
			b.end(nil)
		}
		return nil
	}
	if set == nil {
		if set, err = b.app.startLanes(ctx, cfg, t); err != nil {
			return err
		}
		b.mu.Lock()
		b.lanes[t.Name] = set
		b.mu.Unlock()
	}
	if b.runs[t.Name] == nil && len(open) > 0 && t.Polls() {
		return b.start(ctx, cfg, t, set, open[0])
	}
	b.tellOnly(t.Name)
	return nil
}

// start starts a backfill.
func (b *backfills) start(ctx context.Context, cfg *config.Config, t config.Tenant, set *laneSet, q BackfillRequest) error {
	run, err := b.app.newBackfillRun(ctx, cfg, t, set, q)
	if err != nil {
		return err
	}
	ctx, run.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	b.runs[t.Name] = run
	go func() {
		defer close(run.done)
		if err := run.run(ctx); err != nil && ctx.Err() == nil {
			run.logger.LogAttrs(ctx, slog.LevelError, "the backfill has failed", slog.Any("error", err))
		}
	}()
	return nil
}

// collect forgets a run that has ended.
func (b *backfills) collect(tenant string) {
	run := b.runs[tenant]
	if run == nil {
		return
	}
	select {
	case <-run.done:
		run.cancel(nil)
		delete(b.runs, tenant)
	default:
	}
}

// endRun ends the backfill of a tenant that is under way.
func (b *backfills) endRun(tenant string, cause error) {
	if run := b.runs[tenant]; run != nil {
		run.cancel(cause)
		<-run.done
		delete(b.runs, tenant)
	}
}

// endLanes ends lanes.
func (b *backfills) endLanes(ctx context.Context, s *laneSet) {
	s.end(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lanes, s.host.name)
}

// dropCancelled ends the backfills that were cancelled.
func (b *backfills) dropCancelled(ctx context.Context, cfg *config.Config, t config.Tenant, open []BackfillRequest) error {
	for _, q := range open {
		if !cancelled(cfg.DataDir, q.ID) {
			continue
		}
		if run := b.runs[t.Name]; run != nil && run.state.ID == q.ID {
			b.endRun(t.Name, errBackfillCancelled)
		}
		host := b.app.newTenant(cfg, t)
		var err error
		if host.buffer, err = b.app.store.Buffer(ctx, t.Name); err != nil {
			return err
		}
		run, err := b.app.newBackfillRun(ctx, cfg, t, &laneSet{host: host}, q)
		if err != nil {
			return err
		}
		if !run.state.Phase.Ended() {
			if err := run.phase(ctx, BackfillCancelled); err != nil {
				return err
			}
		}
		if err := run.finish(ctx); err != nil {
			return fmt.Errorf("end a backfill that was cancelled: %w", err)
		}
	}
	return nil
}

// tellOnly ends the App of an only backfill that needs a person.
func (b *backfills) tellOnly(tenant string) {
	run := b.runs[tenant]
	if b.only == "" || run == nil {
		return
	}
	run.mu.Lock()
	trouble := run.state.Trouble
	run.mu.Unlock()
	if c := run.set.trouble(); c != nil && (c.Err.Class == pipeline.Unauthorized || c.Err.Class == pipeline.Misconfigured) {
		b.end(&c.Err)
		return
	}
	if trouble != nil && trouble.NeedsPerson() {
		class := pipeline.Unauthorized
		if trouble.Class == pipeline.Misconfigured.String() {
			class = pipeline.Misconfigured
		}
		b.end(&pipeline.Error{Class: class, Err: errors.New(trouble.Message), Hint: trouble.Hint})
	}
}

// end says how the only backfill has ended.
func (b *backfills) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.ended, b.err = true, err
		close(b.finished)
	}
}

// result returns how it ended.
func (b *backfills) result() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
