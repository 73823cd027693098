package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

const (
	// CheckGrace is how long a push may take to bring an event that the poll has
	// found, and how long it may say nothing meanwhile. Auth0 pushes within seconds
	// and tries a request three times before it begins anew.
	CheckGrace = 2 * time.Minute
	// checkEvery is how often a Check looks at what is overdue and stores its counts.
	checkEvery = 10 * time.Second
	// maxAwaited bounds the events that a Check remembers, by either way. Of more
	// than that the oldest count as overdue.
	maxAwaited = 20_000
	// tallyTimeout bounds the storing of the last counts at a stop.
	tallyTimeout = 5 * time.Second
)

// PushPart is the part of a tenant's export whose trouble a Check tells: that of
// the push as a whole. A trouble in taking what is pushed is the source's own.
const PushPart = "push"

// errSilent is the trouble of a push that brings nothing.
var errSilent = errors.New("nothing is pushed, while the poll finds events; the poll brings them, and is made faster")

// silentHint says what to look at.
const silentHint = "Look at the log stream in Auth0 (Monitoring, Streams, Health): is it active, does its URL lead here through DNS, firewall and proxy, is the token the tenant's, has it no filter? With a queue: does a rule of EventBridge send to it?"

// CheckConfig says what a Check works with.
type CheckConfig struct {
	// Began is when the sources begin: the push is not measured by events that
	// happened before, when nobody listened.
	Began time.Time
	// Known says that the push has brought events before, so that it is measured from
	// Began on. Otherwise it is from the first event on that it brings: a log
	// stream knows nothing from before it existed.
	Known bool
	// Tally makes counts durable: how many events the poll alone has brought since
	// the last call, and how many the push has. What it refuses is offered again.
	Tally func(ctx context.Context, healed, pushed int) error
	// Report hears that the push has fallen silent, and nil when it is back.
	Report func(ctx context.Context, part string, c *Condition)
	// Logger hears of the same.
	Logger *slog.Logger
}

// A Check holds what a tenant's push brings against what its poll finds. It is
// told of the pages that are on disk, by Polled and Pushed.
//
// An event that the poll has found and the push has not brought within CheckGrace
// counts as healed: without the poll it would be missing. If the push has brought
// nothing at all in that time, it is silent, until it brings something again.
//
// What is not settled when the process ends is not counted.
type Check struct {
	cfg  CheckConfig
	wake chan struct{} // holds a token when the push is back

	mu             sync.Mutex
	since          time.Time // events of earlier dates do not count; zero while the push has brought none
	heard          time.Time // when the push brought something last
	found          awaited   // by the poll, and not by the push
	ahead          awaited   // known ones that the push brought, should the word of the poll be late
	silent         bool
	healed, pushed int // not made durable yet

	told *Condition // what was reported, by Run alone
}

// NewCheck makes a Check, which Run completes.
func NewCheck(cfg CheckConfig) *Check {
	c := &Check{cfg: cfg, wake: make(chan struct{}, 1)}
	if cfg.Known {
		c.since = cfg.Began
	}
	return c
}

// Polled notes what the poll has brought.
func (c *Check) Polled(in Intake, done Appended) {
	if done.Stored == 0 {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for e, known := range done.Of(in) {
		switch {
		case known || e.Date.Before(c.cfg.Began) || strings.HasPrefix(e.LogID, event.SyntheticPrefix):
		case c.ahead.remove(e.LogID):
			c.pushed++
		default:
			c.found.add(waiting{id: e.LogID, date: e.Date, at: now})
		}
	}
	for len(c.found.ids) > maxAwaited {
		c.miss(c.found.first(), false)
	}
}

// Pushed notes what the push has brought. What the transforms have left out shows
// that the push is there, and is no part of the counts: of the poll's events those are
// left out as well.
func (c *Check) Pushed(in Intake, done Appended) {
	if len(in.Entries) == 0 && in.LeftOut == 0 {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = now
	for e, known := range done.Of(in) {
		if from := later(e.Date, c.cfg.Began); c.since.IsZero() || from.Before(c.since) {
			c.since = from
		}
		switch {
		case !known || c.found.remove(e.LogID):
			c.pushed++
		default:
			c.ahead.add(waiting{id: e.LogID, at: now})
		}
	}
	for len(c.ahead.ids) > maxAwaited {
		c.ahead.first()
	}
	if c.silent {
		c.silent = false
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Silent reports whether the push has fallen silent while there are events.
func (c *Check) Silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent
}

// Run judges, tells and counts until ctx ends. The sources should have ended by
// then.
func (c *Check) Run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tallyTimeout)
			defer cancel()
			c.tally(ctx)
			return
		case <-c.wake:
		case <-tick.C:
			c.judge(time.Now())
			c.tally(ctx)
		}
		c.tell(ctx)
	}
}

// judge counts what is overdue.
func (c *Check) judge(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	overdue := now.Add(-CheckGrace)
	for c.found.before(overdue) {
		c.miss(c.found.first(), true)
	}
	for c.ahead.before(overdue) {
		c.ahead.first()
	}
}

// miss notes an event that the push has not brought. Whether the push is silent
// only one tells that had its time. The caller holds mu.
func (c *Check) miss(w waiting, overdue bool) {
	if w.id == "" { // it was brought
		return
	}
	if !c.since.IsZero() && !w.date.Before(c.since) {
		c.healed++
	}
	if overdue && c.heard.Before(w.at) {
		c.silent = true
	}
}

// tally makes the counts durable. A store that fails tells of it by the sources.
func (c *Check) tally(ctx context.Context) {
	c.mu.Lock()
	healed, pushed := c.healed, c.pushed
	c.mu.Unlock()
	if healed == 0 && pushed == 0 || c.cfg.Tally(ctx, healed, pushed) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.healed -= healed
	c.pushed -= pushed
}

// tell reports that the push has fallen silent, or is back. Run alone calls it.
func (c *Check) tell(ctx context.Context) {
	switch silent := c.Silent(); {
	case silent && c.told == nil:
		c.told = &Condition{Part: PushPart, Since: c.lastHeard(), Failures: 1, Err: Error{Class: Transient, Err: errSilent, Hint: silentHint}}
		c.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the push is silent", slog.Time("since", c.told.Since),
			slog.Any("error", errSilent), slog.String("hint", silentHint))
		told := *c.told
		c.cfg.Report(ctx, PushPart, &told)
	case !silent && c.told != nil:
		c.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "the push is back", slog.Duration("after", time.Since(c.told.Since).Round(time.Second)))
		c.told = nil
		c.cfg.Report(ctx, PushPart, nil)
	}
}

// lastHeard returns when the push brought something last, or could have begun to.
func (c *Check) lastHeard() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return later(c.heard, c.cfg.Began)
}

// waiting is an event that one way has brought, and when.
type waiting struct {
	id       string
	date, at time.Time
}

// awaited are events that one way has brought, in the order in which they came.
type awaited struct {
	queue []waiting
	ids   map[string]struct{} // those of the queue that are still awaited
}

// add adds an event; one that is there already stays at its place.
func (a *awaited) add(w waiting) {
	if _, ok := a.ids[w.id]; ok {
		return
	}
	if a.ids == nil {
		a.ids = make(map[string]struct{})
	}
	a.ids[w.id] = struct{}{}
	a.queue = append(a.queue, w)
}

// remove takes an event out, and reports whether it was there.
func (a *awaited) remove(id string) bool {
	_, ok := a.ids[id]
	delete(a.ids, id)
	return ok
}

// before reports whether the first of the queue came before a time.
func (a *awaited) before(t time.Time) bool {
	return len(a.queue) > 0 && a.queue[0].at.Before(t)
}

// first takes the first of the queue; one without an id when it was removed
// before. There must be one.
func (a *awaited) first() waiting {
	w := a.queue[0]
	if a.queue = a.queue[1:]; len(a.queue) == 0 {
		a.queue = nil
	}
	if !a.remove(w.id) {
		w.id = ""
	}
	return w
}
