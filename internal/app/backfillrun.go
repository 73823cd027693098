package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
)

const (
	// laneEvents and laneBytes are how much of a backfill waits for delivery at most
	// before it reads on: enough for several calls, and little beside max_buffer_bytes.
	laneEvents = 4000
	laneBytes  = 16 << 20
	// backfillPause is how often what waits is looked at.
	backfillPause = 250 * time.Millisecond
	// leftFor is the age up to which it may be about to bring an event late.
	leftFor = 15 * time.Minute
)

// A backfillRun is a backfill under way. It is the pipeline.Buffer of its own ingest.
type backfillRun struct {
	app    *App
	cfg    *config.Config
	of     config.Tenant
	set    *laneSet
	buffer *store.Buffer
	logger *slog.Logger
	places []*comparedPlace
	index  *verify.Index
	apart  bool
	whole  bool // it goes to every destination
	front  reached
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu    sync.Mutex
	state BackfillState
}

// newBackfillRun takes up a backfill where it was left.
func (a *App) newBackfillRun(ctx context.Context, cfg *config.Config, t config.Tenant, set *laneSet, q BackfillRequest) (*backfillRun, error) {
	b := set.host.buffer
	r := &backfillRun{
		app: a, cfg: cfg, of: t, set: set, buffer: b, done: make(chan struct{}), apart: q.LogGroup != "",
		logger: set.host.logger.With(slog.String("backfill", q.ID)), state: BackfillState{BackfillRequest: q, Phase: BackfillWaiting},
	}
	r.whole = !r.apart && len(backfillsTo(cfg, &t, &q)) == len(wantedOf(cfg, &t))
	text, err := b.Load(ctx, backfillKey+q.ID)
	if err != nil {
		return nil, err
	}
	if text != nil {
		if err := json.Unmarshal(text, &r.state); err != nil {
			return nil, fmt.Errorf("read the state of the backfill: %w", err)
		}
	}
	return r, nil
}

// run brings the backfill to its end, however often it must try, unless ctx ends
// before.
func (r *backfillRun) run(ctx context.Context) error {
	var backoff pipeline.Backoff
	r.logger.LogAttrs(ctx, slog.LevelInfo, "backfill", slog.Time("since", r.state.Since), slog.Time("until", r.state.Until), slog.Bool("resumed", r.state.Cursor != ""))
	for !r.state.Phase.Ended() {
		err := r.attempt(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			break
		}
		e := pipeline.Classify(err)
		wait := backoff.Next(e)
		r.logger.LogAttrs(ctx, slog.LevelWarn, "the backfill does not get on, trying again", slog.Any("error", err), slog.String("hint", e.Hint), slog.Duration("next_try_in", wait))
		if err := r.troubled(ctx, &e); err != nil {
			return err
		}
		if err := pipeline.Wait(ctx, wait); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// attempt does what is left to do.
func (r *backfillRun) attempt(ctx context.Context) (err error) {
	if r.state.Phase != BackfillSending {
		if err := r.look(ctx); err != nil {
			return err
		}
		err := r.read(ctx)
		if err = errors.Join(err, r.index.Close()); err != nil {
			return err
		}
		if err := r.phase(ctx, BackfillSending); err != nil {
			return err
		}
	}
	for {
		if events, _ := pendingOfLanes(r.buffer, &r.of); events == 0 {
			break
		}
		if err := pipeline.Wait(ctx, backfillPause); err != nil {
			return err
		}
	}
	return r.phase(ctx, BackfillDone)
}

// finish forgets the request.
func (r *backfillRun) finish(ctx context.Context) error {
	if err := r.buffer.ClearCondition(ctx, source.BackfillName); err != nil {
		return err
	}
	if err := r.prune(ctx); err != nil {
		return err
	}
	c := r.state.Counts
	r.logger.LogAttrs(ctx, slog.LevelInfo, "the backfill has ended", slog.String("phase", string(r.state.Phase)), slog.Int64("read", c.Read), slog.Int64("stored", c.Stored), slog.Int64("there", c.There))
	return forgetRequest(r.cfg.DataDir, r.state.ID)
}

// prune forgets the oldest of the backfills that have ended.
func (r *backfillRun) prune(ctx context.Context) error {
	list, err := readBackfills(ctx, r.app.store.Reader, r.cfg.DataDir)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s BackfillState) bool { return s.Tenant != r.of.Name || !s.Phase.Ended() })
	for len(list) > backfillsKept {
		if err := r.buffer.Save(ctx, backfillKey+list[0].ID, nil); err != nil {
			return err
		}
		list = list[1:]
	}
	return nil
}

// update changes the state and keeps it.
func (r *backfillRun) update(ctx context.Context, change func(*BackfillState)) error {
	r.mu.Lock()
	change(&r.state)
	r.state.UpdatedAt = time.Now().UTC()
	text, err := json.Marshal(&r.state)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.buffer.Save(ctx, backfillKey+r.state.ID, text)
}

// phase enters a phase.
func (r *backfillRun) phase(ctx context.Context, p BackfillPhase) error {
	f, err := r.status(ctx)
	if err != nil {
		return err
	}
	return r.update(ctx, func(s *BackfillState) {
		s.Phase, s.Trouble, s.Reached = p, nil, time.Time{}
		if p.Ended() {
			s.Ended = time.Now().UTC()
			s.Rejected = rejectedBy(f) - s.Base
		}
	})
}

// troubled keeps what hinders the backfill.
func (r *backfillRun) troubled(ctx context.Context, e *pipeline.Error) error {
	return r.update(ctx, func(s *BackfillState) {
		s.Trouble = &BackfillTrouble{Class: e.Class.String(), Message: e.Error(), Hint: e.Hint}
	})
}

// status returns the figures of the tenant.
func (r *backfillRun) status(ctx context.Context) (store.TenantStatus, error) {
	l := storeLedger{reader: r.app.store.Reader, tenant: r.of}
	f, _, err := l.status(ctx)
	return f, err
}

// look notes what the destinations hold of the span that is left.
func (r *backfillRun) look(ctx context.Context) (err error) {
	f, err := r.status(ctx)
	if err != nil {
		return err
	}
	err = r.update(ctx, func(s *BackfillState) {
		s.Phase, s.Reached, s.Trouble = BackfillLooking, time.Time{}, nil
		if s.Cursor == "" && s.Base == 0 {
			s.Base = rejectedBy(f)
		}
	})
	if err != nil {
		return err
	}
	if r.places, err = r.app.backfillPlaces(ctx, r.cfg, r.of, &r.state.BackfillRequest); err != nil {
		return err
	}
	// What a lane has just delivered may not be read yet.
	for _, p := range r.places {
		if wait := time.Until(lately(f).Add(p.config.InDoubtWait)); wait > 0 {
			if err := pipeline.Wait(ctx, wait); err != nil {
				return err
			}
		}
	}
	dir := requestPath(r.cfg.DataDir, r.state.ID, ".work")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return fmt.Errorf("make a directory to work in: %w", err)
	}
	span := verify.Span{Since: r.state.Since, Until: r.state.Until}
	if stood, ok := event.TimeInID(source.CursorID(r.state.Cursor)); ok && stood.Add(-time.Hour).After(span.Since) {
		span.Since = stood.Add(-time.Hour)
	}
	var told time.Time
	r.index, err = newBackfillIndex(ctx, dir, r.places, span, !r.apart, func(at time.Time) error {
		if time.Since(told) < time.Second {
			return nil
		}
		told = time.Now()
		return r.update(ctx, func(s *BackfillState) { s.Reached = at })
	})
	return err
}

// backfillPlaces makes where the events of a backfill go.
func (a *App) backfillPlaces(ctx context.Context, cfg *config.Config, t config.Tenant, q *BackfillRequest) (list []*comparedPlace, err error) {
	reading := &App{opts: a.opts, secrets: a.secrets}
	reading.opts.Config = cfg
	for _, w := range backfillsTo(cfg, &t, q) {
		p, err := reading.newComparedPlace(ctx, t, w)
		if err != nil {
			return nil, err
		}
		if q.LogGroup != "" { // whatever else lies there is another destination's
			p.others = nil
		}
		if _, err := p.list(ctx); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// newBackfillIndex reads what destinations hold of the events of a span, wherever the
// rules may have put them; with everywhere also in streams that the configuration does
// not make, see verify.Destination.
func newBackfillIndex(ctx context.Context, dir string, places []*comparedPlace, s verify.Span, everywhere bool, progress func(time.Time) error) (_ *verify.Index, err error) {
	index := verify.NewIndex(dir)
	defer func() {
		if err != nil {
			err = errors.Join(err, index.Close())
		}
	}()
	for i, p := range places {
		span := verify.Span{Since: s.Since.Add(-time.Minute), Until: s.Until.Add(time.Minute)}
		if l := p.Latest(s.Since).Add(time.Minute); l.After(span.Until) {
			span.Until = l
		}
		var own error
		err := index.Add(ctx, i, p, span, everywhere, func(n int64, m verify.Stored) {
			if n%1000 == 0 && own == nil {
				own = progress(m.Timestamp)
			}
		})
		if err = errors.Join(err, own); err != nil {
			return nil, fmt.Errorf("read what the destination holds: %w", err)
		}
	}
	return index, index.Finish()
}

// read reads Auth0 and stores what the destinations lack.
func (r *backfillRun) read(ctx context.Context) (err error) {
	c := &comparison{}
	defer func() { err = errors.Join(err, c.close()) }()
	if c.api, err = r.app.politeAPI(ctx, r.of, r.state.RateShare, r.buffer, c); err != nil {
		return err
	}
	kept, err := config.ParseRetention(r.of.Retention)
	if err != nil {
		return misconfigured("read auth0_retention", err)
	}
	sure, err := source.SureSince(ctx, c.api, kept)
	if err != nil {
		return err
	}
	err = r.update(ctx, func(s *BackfillState) {
		if s.HeldSince.IsZero() {
			s.HeldSince = sure
		}
		s.Phase, s.Reached, s.Began = BackfillReading, time.Time{}, time.Now().UTC()
		s.BeganAt = s.Since
		if s.HeldSince.After(s.Since) && s.HeldSince.Before(s.Until) {
			s.BeganAt = s.HeldSince
		}
		if stood, ok := event.TimeInID(source.CursorID(s.Cursor)); ok && stood.After(s.BeganAt) {
			s.BeganAt = stood
		}
	})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	span := source.SpanConfig{Since: r.state.Since, Until: r.state.Until, Retention: kept, Logger: r.logger}
	ingest, err := r.ingest(ctx, source.NewBackfill(span, c.api, func() { end(errSpanDone) }))
	if err != nil {
		return err
	}
	if err := ingest.Run(ctx); !errors.Is(err, errSpanDone) {
		return err
	}
	return nil
}

// errSpanDone says that a backfill has read its span.
var errSpanDone = errors.New("the span was read")

// ingest makes the ordinary way of the events up to the disk.
func (r *backfillRun) ingest(ctx context.Context, from pipeline.Source) (*pipeline.Ingest, error) {
	before, err := r.app.rulesOnTheWay(ctx, r.of.Filter, config.Redact{})
	if err != nil {
		return nil, err
	}
	in := &pipeline.Ingest{
		Source: from, Buffer: r, Transforms: before, Route: func(event.Event) pipeline.Destination { return pipeline.Destination{} },
		Logger: r.logger, Metrics: pipeline.NewMetrics(prometheus.NewRegistry(), r.of.Name), Report: r.report,
	}
	return in, r.app.redact(ctx, r.of, in)
}

// report keeps the trouble of reading where status finds it.
func (r *backfillRun) report(ctx context.Context, part string, c *pipeline.Condition) {
	r.app.reporter(r.set.host)(ctx, part, c)
	ctx = context.WithoutCancel(ctx)
	var err error
	if c != nil {
		err = r.troubled(ctx, &c.Err)
	} else {
		err = r.update(ctx, func(s *BackfillState) { s.Trouble = nil })
	}
	if err != nil {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the state of the backfill", slog.Any("error", err))
	}
}
