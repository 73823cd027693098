package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How often the figures are looked at.
const (
	// lookEvery is the pause between two looks, and lookSeldom that without any channel:
	// then only those who look at gapless hear of alerts.
	lookEvery  = 5 * time.Second
	lookSeldom = time.Minute
	// lookShare bounds the time that looks take: a pause is so many times as long as the
	// look before it.
	lookShare = 20
	// lookTimeout bounds a look, and keepTimeout writing down what is kept.
	lookTimeout = 10 * time.Second
	keepTimeout = 5 * time.Second
)

// Options are what a Manager works with. All are required, unless they say otherwise.
type Options struct {
	// Look reads the figures.
	Look func(ctx context.Context) (Snapshot, error)
	// Kept is what Keep was last given, by an earlier process; may be empty.
	Kept []byte
	// Keep keeps the alerts across restarts.
	Keep       func(ctx context.Context, state []byte) error
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Version is that of the program.
	Version string
}

// A Manager judges the figures again and again, and tells the channels. It is safe for
// concurrent use.
type Manager struct {
	opts    Options
	metrics *metrics
	changed chan struct{} // the settings have

	mu       sync.Mutex
	settings Settings
	book     *Book
	memory   *Memory
	raised   map[string]Finding // by key
	known    map[string]*channelState
	latest   *Snapshot // nil before the first look that succeeded
	blind    time.Time // since when looks fail; zero when they do not
	blindErr error
	workers  []*worker
	keptBad  bool   // keeping failed last time
	kept     []byte // what was kept last
}

// New makes a Manager, which takes up what was kept. It does nothing before Run.
func New(opts Options, s Settings) *Manager {
	now := time.Now()
	m := &Manager{
		opts: opts, changed: make(chan struct{}, 1), settings: s, book: newBook(now, s.Repeat), memory: newMemory(),
		raised: make(map[string]Finding), known: make(map[string]*channelState), kept: opts.Kept,
	}
	before, err := readState(opts.Kept)
	if err != nil {
		opts.Logger.LogAttrs(context.Background(), slog.LevelWarn, "alerts from before are told anew", slog.Any("error", err))
	}
	m.restore(before)
	m.metrics = newMetrics(opts.Registerer, m)
	m.adopt(now)
	return m
}

// Use takes other settings. What channels of the same name were told still counts.
func (m *Manager) Use(s Settings) {
	m.mu.Lock()
	m.settings, m.book.repeat = s, s.Repeat
	m.adopt(time.Now())
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// adopt makes the workers of the channels in the settings, and forgets other channels.
// The caller holds mu, or is alone.
func (m *Manager) adopt(now time.Time) {
	m.workers = nil
	there := make(map[string]bool)
	for _, c := range m.settings.Channels {
		there[c.Name] = true
		if m.known[c.Name] == nil {
			m.known[c.Name] = &channelState{Since: now}
			m.book.dirty = true
		}
		m.workers = append(m.workers, newWorker(m, c))
		m.metrics.channel(c.Name)
	}
	maps.DeleteFunc(m.known, func(name string, _ *channelState) bool { return !there[name] })
	m.metrics.retain(there)
	m.book.forget(func(name string) bool { return there[name] })
}

// Raise notes a condition that another part has found. It holds, also across restarts,
// until Clear.
func (m *Manager) Raise(f Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, on := m.raised[f.key()]; on && f.Since.IsZero() {
		f.Since = before.Since
	}
	if f.Since.IsZero() {
		f.Since = time.Now()
	}
	m.raised[f.key()] = f
	m.book.dirty = true
}

// Clear ends a condition that Raise has noted.
func (m *Manager) Clear(kind, tenant, part string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.raised, Finding{Kind: kind, Tenant: tenant, Part: part}.key())
	m.book.dirty = true
}

// Alerts returns the alerts that are on and those that ended within the last day, the
// newest first.
func (m *Manager) Alerts() []Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.book.alerts()
}

// Failing returns the channels that fail.
func (m *Manager) Failing() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, w := range m.workers {
		if w.failed() {
			out = append(out, w.Name)
		}
	}
	return out
}

// Wants reports whether a channel is told of an alert.
func (m *Manager) Wants(channel string, a Alert) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.workers, func(w *worker) bool { return w.Name == channel })
	return i >= 0 && m.workers[i].Sender != nil && m.workers[i].tells(&a)
}

// Run looks and tells until ctx ends. What is being sent then has a moment to come to its
// end; what was not sent is sent after the next start, if it still matters.
func (m *Manager) Run(ctx context.Context) {
	for ctx.Err() == nil {
		m.mu.Lock()
		workers := m.workers
		m.mu.Unlock()
		m.runWith(ctx, workers)
	}
	m.keep(context.WithoutCancel(ctx))
}

// runWith runs with the channels of the moment, until ctx ends or the settings change.
func (m *Manager) runWith(ctx context.Context, workers []*worker) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, w := range workers {
		all.Go(func() { w.run(ctx) })
	}
	every := lookEvery
	if len(workers) == 0 {
		every = lookSeldom
	}
	for {
		began := time.Now()
		m.look(ctx)
		for _, w := range workers {
			w.rouse()
		}
		pause := time.NewTimer(max(every, lookShare*time.Since(began)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-m.changed:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// look reads the figures and judges them.
func (m *Manager) look(ctx context.Context) {
	read, cancel := context.WithTimeout(ctx, lookTimeout)
	s, err := m.opts.Look(read)
	cancel()
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	m.mu.Lock()
	if err != nil {
		m.cannotLook(ctx, now, err)
	} else {
		m.take(now, s)
	}
	m.mu.Unlock()
	m.keep(ctx)
}

// cannotLook notes that the figures could not be read. Nothing is known then of what was
// on; only that is judged. The caller holds mu.
func (m *Manager) cannotLook(ctx context.Context, now time.Time, err error) {
	if m.blind.IsZero() {
		m.blind = now
	}
	if m.blindErr == nil || m.blindErr.Error() != err.Error() {
		m.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "the figures for alerts cannot be read, trying again", slog.Any("error", err))
	}
	m.blindErr = err
	f := Finding{
		Kind: KindStore, Since: m.blind, Message: "the store does not answer: " + oneLine(err.Error()),
		Hint: "Look at the disk of the data directory, and into the log. gapless doctor looks at both.",
	}
	m.book.found(now, f.filled())
	for _, w := range m.failingWorkers() {
		m.book.found(now, w.filled())
	}
}

// take judges a snapshot. The caller holds mu.
func (m *Manager) take(now time.Time, s Snapshot) {
	m.blind, m.blindErr = time.Time{}, nil
	m.latest = &s
	findings := Judge(s, m.settings.Thresholds, m.memory)
	m.memory.forget(s)
	for _, key := range slices.Sorted(maps.Keys(m.raised)) {
		findings = append(findings, m.raised[key])
	}
	findings = append(findings, m.failingWorkers()...)
	m.book.observe(now, findings)
	for _, c := range m.known {
		if c.Day.At.IsZero() { // what was done before is none of the first report
			c.Day, c.Run = baseOf(s), baseOf(s)
			m.book.dirty = true
		}
	}
}

// failingWorkers are the channels that fail, as conditions. The caller holds mu.
func (m *Manager) failingWorkers() (out []Finding) {
	for _, w := range m.workers {
		if !w.failed() {
			continue
		}
		f := Finding{
			Kind: KindChannel, Part: w.Name, Since: w.failing.since,
			Message: fmt.Sprintf("the channel %s cannot be told: %s", w.Name, w.failing.err.Error()),
			Hint:    "gapless notify test --channel " + w.Name + " tries it. What is on is told when it works again.",
		}
		if e, ok := errors.AsType[*SendError](w.failing.err); ok && e.Hint != "" {
			f.Hint = e.Hint + " " + f.Hint
		}
		out = append(out, f)
	}
	return out
}

// keep writes down what has changed.
func (m *Manager) keep(ctx context.Context) {
	m.mu.Lock()
	if !m.book.dirty && !m.keptBad {
		m.mu.Unlock()
		return
	}
	text, err := m.state()
	m.book.dirty = false
	same := bytes.Equal(text, m.kept)
	m.mu.Unlock()
	if same && err == nil {
		return
	}
	if err == nil {
		write, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
		err = m.opts.Keep(write, text)
		cancel()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && !m.keptBad {
		m.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "what alerts were told cannot be kept, trying again; after a restart they are told anew", slog.Any("error", err))
	}
	m.keptBad = err != nil
	if err == nil {
		m.kept = text
	}
}
