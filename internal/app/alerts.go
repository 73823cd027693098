package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// alertsKey is the note under which alerts are kept.
const alertsKey = "alerts"

// alerts are what the App tells people of itself.
type alerts struct {
	manager *notify.Manager
	usual   usualPauses

	mu          sync.Mutex
	credentials []notify.Credentials // as of the last look
}

// prepareAlerts makes the alerts, and takes up those of an earlier process. A run that
// ends by itself has none: its exit code tells.
func (a *App) prepareAlerts(ctx context.Context) error {
	if a.opts.once() || a.opts.DryRun != nil {
		return nil
	}
	settings, err := a.notifySettings(ctx, a.Config())
	if err != nil {
		return err
	}
	kept, err := a.store.Noted(ctx, alertsKey)
	if err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	s := &alerts{usual: newUsualPauses()}
	s.manager = notify.New(notify.Options{ //nolint:contextcheck // what it runs has the context of Run
		Look: a.lookForAlerts, Kept: kept, Logger: a.opts.Logger, Registerer: a.registry, Version: a.opts.Version,
		Keep: func(ctx context.Context, state []byte) error { return a.store.Note(ctx, alertsKey, state) },
	}, settings)
	a.alerts = s
	return nil
}

// startAlerts starts what watches and tells. A stop ends it first, so that the end of the
// export is no alert.
func (a *App) startAlerts(ctx context.Context) {
	if a.alerts == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { a.alerts.manager.Run(ctx) })
	all.Go(func() { a.watchCredentials(ctx) })
	a.onStop("alerts", func(context.Context) error {
		cancel()
		all.Wait()
		return nil
	})
}

// RaiseAlert notes a condition that a part of the program has found, such as a verify
// that is not clean. It holds, also across restarts, until ClearAlert. In a run that ends
// by itself it does nothing.
func (a *App) RaiseAlert(f notify.Finding) {
	if a.alerts != nil {
		a.alerts.manager.Raise(f)
	}
}

// ClearAlert ends a condition that RaiseAlert has noted.
func (a *App) ClearAlert(kind, tenant, part string) {
	if a.alerts != nil {
		a.alerts.manager.Clear(kind, tenant, part)
	}
}

// currentAlerts are the alerts for people who look.
func (a *App) currentAlerts() []web.Alert {
	if a.alerts == nil {
		return nil
	}
	m := a.alerts.manager
	failing := m.Failing()
	list := viewAlerts(m.Alerts())
	for i, x := range m.Alerts() {
		for _, channel := range failing {
			if i < len(list) && list[i].ID == x.ID && x.Marks[channel].Round < x.Round && m.Wants(channel, x) {
				list[i].Failing = append(list[i].Failing, channel)
			}
		}
	}
	return list
}

// keptAlerts are the alerts that a process has kept.
func keptAlerts(ctx context.Context, r *store.Reader) ([]web.Alert, error) {
	text, err := r.Noted(ctx, alertsKey)
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	list, err := notify.ReadAlerts(text)
	if err != nil {
		return nil, err
	}
	return viewAlerts(list), nil
}

// viewAlerts turns alerts into those that people see.
func viewAlerts(list []notify.Alert) []web.Alert {
	var out []web.Alert
	for _, x := range list {
		v := web.Alert{
			ID: x.ID, Kind: x.Kind, Tenant: x.Tenant, Part: x.Part, Severity: string(x.Severity), Message: x.Message, Hint: x.Hint, Since: x.Since, Ended: x.Ended,
		}
		for channel, mark := range x.Marks {
			if mark.Round > 0 {
				v.Told = append(v.Told, channel)
			}
		}
		slices.Sort(v.Told)
		out = append(out, v)
	}
	return out
}

// lookForAlerts reads the figures that alerts are judged by.
func (a *App) lookForAlerts(ctx context.Context) (notify.Snapshot, error) {
	o, err := a.Overview(ctx)
	if err != nil {
		return notify.Snapshot{}, err
	}
	s := notify.Snapshot{At: o.At, Version: o.Version}
	s.DiskFree, s.DiskTotal = a.store.Room()
	if p := a.pushServer(); p != nil {
		if pair := p.pair.Load(); pair != nil {
			s.CertificateEnds = pair.notAfter()
		}
	}
	a.alerts.mu.Lock()
	s.Credentials = slices.Clone(a.alerts.credentials)
	a.alerts.mu.Unlock()
	if c := o.Configuration; c != nil && c.Failed() {
		s.Refused = &notify.Trouble{Message: c.Error, Hint: c.Hint, Since: c.FailedAt}
	}
	waited := make(map[string]time.Duration)
	for _, t := range a.running() {
		if t.client != nil {
			waited[t.name] = t.client.Waited()
		}
	}
	for i := range o.Tenants {
		t := figuresOf(&o.Tenants[i], o.At)
		t.Waited = waited[t.Name]
		if t.Pause, t.Usual, err = a.alerts.usual.of(ctx, a.store.Reader, &o.Tenants[i], o.At, a.Config().Notify.Thresholds.Quiet); err != nil {
			return notify.Snapshot{}, err
		}
		s.Tenants = append(s.Tenants, t)
	}
	return s, nil
}

// figuresOf are the figures of a tenant that alerts are judged by.
func figuresOf(v *web.Tenant, now time.Time) notify.Tenant {
	t := notify.Tenant{
		Name: v.Name, BufferRoom: v.Retention.BufferRoom, BufferMax: v.Retention.BufferMax, Rejected: make(map[string]int64), Altered: make(map[string]int64),
		Kept: v.DeadLetters, Fetched: v.Stored, Delivered: v.Delivered, Checkpoint: v.Cursor, NewestEvent: v.NewestEvent, ReadUntil: v.Retention.ReadUntil,
		Queues: []notify.Queue{{
			Events: v.Buffered, Bytes: v.BufferedBytes, Lag: v.DeliveryLag(now), Waiting: ago(now, v.Retention.Waiting), Delivered: v.Delivered,
		}},
	}
	if v.Verify != nil && !v.Verify.Ended.IsZero() {
		t.Verified = v.Verify.Last()
	}
	add := func(to, from map[string]int64) {
		for reason, n := range from {
			to[reason] += n
		}
	}
	add(t.Rejected, v.Rejected)
	add(t.Altered, v.Altered)
	for _, n := range v.Skipped {
		t.Skipped += n
	}
	for _, d := range v.Destinations {
		add(t.Rejected, d.Rejected)
		add(t.Altered, d.Altered)
		if d.Configured {
			t.Queues = append(t.Queues, notify.Queue{
				Name: d.Name, Events: d.Buffered, Bytes: d.BufferedBytes, Lag: d.DeliveryLag(now), Waiting: ago(now, d.Waiting), Delivered: d.Delivered,
			})
		}
	}
	for _, x := range v.Troubles {
		t.Troubles = append(t.Troubles, notify.Trouble{
			Part: x.Part, Class: x.Class, Message: x.Message, Hint: x.Hint, Since: x.Since,
			Full: strings.Contains(x.Message, pipeline.ErrBufferFull.Error()), // of a trouble the text is all that is kept
		})
	}
	for _, x := range v.Retention.Risks {
		t.Risks = append(t.Risks, notify.Risk{Kind: x.Kind, Message: x.Message, Hint: x.Hint})
	}
	for _, g := range v.Gaps {
		t.Gaps = append(t.Gaps, notify.Gap{From: g.FromTime, To: g.ToTime, Recorded: g.Recorded, Healed: g.Healed, Reason: g.Reason})
	}
	return t
}

// ago is how long ago a time was, 0 for none.
func ago(now, t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, now.Sub(t))
}

// credentialsEvery is how often the credentials of AWS are looked at: the SDK keeps them,
// and fetches others only when they have ended.
const credentialsEvery = time.Minute

// watchCredentials looks at the credentials of every destination until ctx ends.
func (a *App) watchCredentials(ctx context.Context) {
	for pipeline.Wait(ctx, credentialsEvery) == nil {
		var list []notify.Credentials
		for _, t := range a.running() {
			for _, o := range t.outlets {
				if o.sink == nil {
					continue
				}
				c := notify.Credentials{Tenant: t.name, Destination: o.name}
				ends, err := o.sink.CredentialsEnd(ctx)
				if c.Ends = ends; err != nil {
					c.Problem = err.Error()
				}
				list = append(list, c)
			}
		}
		if ctx.Err() != nil {
			return
		}
		a.alerts.mu.Lock()
		a.alerts.credentials = list
		a.alerts.mu.Unlock()
	}
}
