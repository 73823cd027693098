package app

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// Cursor implements pipeline.Buffer.
func (r *backfillRun) Cursor(context.Context, string) (event.Cursor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Cursor, nil
}

// errNotHere says that batches are taken from the buffer of the tenant.
var errNotHere = errors.New("a backfill takes no batches")

// Next implements pipeline.Buffer, and is not called.
func (*backfillRun) Next(context.Context, pipeline.Limits) (pipeline.Batch, error) {
	return pipeline.Batch{}, errNotHere
}

// Settle implements pipeline.Buffer, and is not called.
func (*backfillRun) Settle(context.Context, pipeline.Batch, pipeline.Receipt) error {
	return errNotHere
}

// Append implements pipeline.Buffer: it stores what the destinations lack, with the
// cursor and the counts, in one transaction, once there is room for it. The events are
// those of a poll, whichever reads them.
func (r *backfillRun) Append(ctx context.Context, _ string, in pipeline.Intake) (pipeline.Appended, error) {
	if err := r.room(ctx); err != nil {
		return pipeline.Appended{}, err
	}
	if len(in.Unreadable) > 0 { // known by their bytes, should the page come again
		if _, err := r.buffer.Append(ctx, source.PollName, pipeline.Intake{Unreadable: in.Unreadable, Received: in.Received, CaughtUp: true}); err != nil {
			return pipeline.Appended{}, err
		}
	}
	page := store.Backfill{Source: source.PollName, Apart: r.apart, Claim: r.whole, Key: backfillKey + r.state.ID}
	var counts BackfillCounts
	counts.Read = int64(len(in.Entries) + in.LeftOut + len(in.Unreadable))
	counts.LeftOut, counts.Unreadable = int64(in.LeftOut), int64(len(in.Unreadable))
	for _, e := range in.Entries {
		if err := r.add(&page, &counts, e.Event); err != nil {
			return pipeline.Appended{}, err
		}
	}
	var err error
	if r.front, err = (&storeLedger{reader: r.app.store.Reader, tenant: r.of}).reached(ctx); err != nil {
		return pipeline.Appended{}, err
	}
	if !r.apart {
		page.Leave = r.leave
	}
	var next BackfillState
	page.State = func(done store.BackfillDone) ([]byte, error) {
		r.mu.Lock()
		next = r.state
		r.mu.Unlock()
		next.note(in, counts, done)
		return json.Marshal(&next)
	}
	done, err := r.buffer.Backfill(ctx, page)
	if err != nil {
		return pipeline.Appended{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = next
	return pipeline.Appended{Stored: done.Stored}, nil
}

// note adds a page to the state.
func (s *BackfillState) note(in pipeline.Intake, c BackfillCounts, done store.BackfillDone) {
	n := &s.Counts
	n.Read += c.Read
	n.LeftOut += c.LeftOut
	n.Unreadable += c.Unreadable
	n.There += c.There
	n.TooOld += c.TooOld
	n.Stored += int64(done.Stored)
	n.Waiting += int64(done.Waiting)
	n.Letters += int64(done.Letters)
	n.Left += int64(done.Left)
	if in.Cursor != "" {
		s.Cursor = in.Cursor
	}
	if in.Gap != nil && in.Gap.ToTime.After(s.Lost) {
		s.Lost = in.Gap.ToTime
	}
	for _, e := range in.Entries {
		if e.Event.Date.After(s.Reached) {
			s.Reached = e.Event.Date
		}
	}
	s.UpdatedAt = time.Now().UTC()
}

// room waits until few enough events wait for delivery.
func (r *backfillRun) room(ctx context.Context) error {
	for {
		if events, bytes := pendingOfLanes(r.buffer, &r.of); events < laneEvents && bytes < laneBytes {
			return nil
		}
		if err := pipeline.Wait(ctx, backfillPause); err != nil {
			return err
		}
	}
}

// add puts an event on a page for each destination that lacks it.
func (r *backfillRun) add(page *store.Backfill, counts *BackfillCounts, e event.Event) error {
	for i, p := range r.places {
		there, err := r.index.Has(i, p.idThere(e))
		if err != nil {
			return err
		}
		if there {
			counts.There++
			continue
		}
		to := p.routes.Route(e)
		to.Sink = laneOf(p.name)
		page.Events = append(page.Events, store.Backfilled{Event: e, To: to, For: p.name})
		if p.tooOld(e.Date) {
			counts.TooOld++
		}
	}
	return nil
}

// idThere is the log_id that an event has in a destination. One without an id of its own
// is known by its bytes, as they are there.
func (p *comparedPlace) idThere(e event.Event) string {
	if !strings.HasPrefix(e.LogID, event.SyntheticPrefix) {
		return e.LogID
	}
	x := p.expectBehind(e)
	if len(x) > 0 {
		if sent, err := event.Parse(x, e.Date); err == nil {
			return sent.LogID
		}
	}
	return e.LogID
}

// expectBehind returns what the rules of the destination make of an event behind those
// of the tenant; nil when they leave it out.
func (p *comparedPlace) expectBehind(e event.Event) []byte {
	for _, t := range p.after {
		var v pipeline.Verdict
		if e, v = t(e); v.Skip || v.Withhold {
			return nil
		}
	}
	if p.shape == nil {
		return e.Raw
	}
	return p.shape(e, p.sources[0])
}

// tooOld reports whether CloudWatch Logs refuses the timestamp of an event in all of the
// log groups.
func (p *comparedPlace) tooOld(date time.Time) bool {
	past := oldestTaken
	for _, g := range p.groups {
		if g.Retention > 0 {
			past = min(past, g.Retention)
		}
	}
	return time.Since(date) > past
}

// oldestTaken is the age of the oldest event that CloudWatch Logs takes:
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const oldestTaken = 14 * 24 * time.Hour

// leave reports whether an event that was never stored is left to the export, which is
// going to read it. One that does not go to every destination is left also while a look
// for late events, or a push, may be about to bring it to the others.
func (r *backfillRun) leave(e event.Event) bool {
	if !r.front.polls { // nobody has read anything yet, or ever will
		return false
	}
	switch r.front.fate(verify.Question{LogID: e.LogID, Date: e.Date}) {
	case verify.NotRead:
		return true
	case verify.Unknown:
		return !r.whole && time.Since(e.Date) < leftFor
	default:
		return false
	}
}
