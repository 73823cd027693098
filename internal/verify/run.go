package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/sorter"
)

const (
	// defaultMemory is the default of Config.Memory.
	defaultMemory = 16 << 20
	// margin is how far beyond the span a destination is read: more than the rounding
	// of timestamps, and little beside a span.
	margin = time.Minute
	// bucket is the grain in which the times are noted at which events are looked for
	// again.
	bucket = 10 * time.Minute
	// manyBuckets is from how many of them on they are read but once.
	manyBuckets = 60
	// firstWait is the wait before the first look for what seems to be missing; it
	// doubles.
	firstWait = 5 * time.Second
	// listedLate is the age up to which Auth0 may not list an event yet that others have
	// got from it. It gives no figure; what was seen are seconds.
	listedLate = 15 * time.Minute
	// movedBack and movedAhead are how far the timestamp of an event may lie from its
	// date at most: CloudWatch Logs takes events of the last 14 days and of the next two
	// hours (PutLogEvents in the API reference).
	movedBack  = 14*24*time.Hour + time.Hour
	movedAhead = 3 * time.Hour
)

// A run is a comparison under way.
type run struct {
	cfg     Config
	holder  Holder
	dests   []Destination
	ledger  Ledger // nil when there is none
	emit    func(Finding) error
	now     func() time.Time
	results []Result
	held    int64

	until time.Time // the end of the patience
	young bool      // there are ghosts that Auth0 may yet list
	sure  int64     // since when Auth0 surely holds all that happened, in milliseconds

	missing *sorter.Sorter // what seems to be missing, of the last look
	ghosts  *sorter.Sorter // what is in the destination only
	open    []openOf
	pack    packer
}

// An openOf is what is not found of a destination.
type openOf struct {
	events  int64
	buckets map[int64]bool // in which the dates lie
}

// Run compares the span in Auth0 and the destinations, and calls emit for each finding
// once. It reads Auth0, then the destinations, so that what is delivered meanwhile is
// no finding. Then, of what seems to be missing:
//
//   - the ledger is asked first, and then the destination is looked at again, after
//     waits that double until the patience is over: what the ledger says has left the
//     buffer is there by then, as far as reads lag behind writes;
//   - what is still missing is looked for at every time that CloudWatch Logs may have
//     been given for it, and in every stream of the log groups.
//
// What is in the destination only is asked for in Auth0 by its log_id. Only what is
// left then is a finding.
func Run(ctx context.Context, cfg Config, holder Holder, dests []Destination, ledger Ledger, emit func(Finding) error) (sum Summary, err error) {
	cfg.Memory = cmp.Or(cfg.Memory, defaultMemory)
	r := &run{cfg: cfg, holder: holder, dests: dests, ledger: ledger, emit: emit, now: time.Now}
	for _, d := range dests {
		r.results = append(r.results, Result{Destination: d.Name(), Filtered: make(map[string]int64), Found: make(map[Kind]int64)})
	}
	r.ghosts = sorter.New(cfg.Dir, cfg.Memory/4)
	r.beginMissing()
	defer func() { err = errors.Join(err, r.ghosts.Close(), r.missing.Close()) }()
	if err := r.compare(ctx); err != nil {
		return Summary{}, err
	}
	r.until = r.now().Add(r.cfg.Patience)
	if err := r.lookAgain(ctx); err != nil {
		return Summary{}, err
	}
	if err := r.askAuth0(ctx); err != nil {
		return Summary{}, err
	}
	return r.summary(), nil
}

// summary puts the figures together.
func (r *run) summary() Summary {
	s := Summary{Span: r.cfg.Span, ProvedSince: later(milli(r.sure), r.cfg.Span.Since), Held: r.held, Destinations: r.results, Clean: true}
	for i := range r.results {
		s.Clean = s.Clean && r.results[i].Clean()
	}
	return s
}

// beginMissing begins a new list of what seems to be missing.
func (r *run) beginMissing() {
	r.missing = sorter.New(r.cfg.Dir, r.cfg.Memory/4)
	r.open = make([]openOf, len(r.dests))
	for i := range r.open {
		r.open[i].buckets = make(map[int64]bool)
	}
}

// progress tells how far it is.
func (r *run) progress(p Progress) {
	if r.cfg.Progress != nil {
		if p.Span == (Span{}) {
			p.Span = r.cfg.Span
		}
		r.cfg.Progress(p)
	}
}

// compare reads both sides and joins them.
func (r *run) compare(ctx context.Context) error {
	all := sorter.New(r.cfg.Dir, r.cfg.Memory)
	err := r.readAuth0(ctx, all)
	for i := range r.dests {
		if err == nil {
			span := r.cfg.Span.wider(margin)
			span.Until = later(span.Until, r.dests[i].Latest(r.cfg.Span.Since))
			err = r.readDestination(ctx, i, span, false, PhaseDestination, all)
		}
	}
	if err != nil {
		return errors.Join(err, all.Close())
	}
	r.progress(Progress{Phase: PhaseCompare})
	return r.join(ctx, all, r.judge)
}

// readAuth0 reads what Auth0 holds.
func (r *run) readAuth0(ctx context.Context, to *sorter.Sorter) error {
	p := Progress{Phase: PhaseAuth0}
	r.progress(p)
	sure, err := r.holder.Read(ctx, r.cfg.Span, func(list []event.Event) error {
		for _, e := range list {
			if err := r.take(e, to); err != nil {
				return err
			}
			p.Reached = later(p.Reached, e.Date)
		}
		p.Events += int64(len(list))
		r.progress(p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read Auth0: %w", err)
	}
	r.sure = sure.UnixMilli()
	return nil
}

// take notes an event that Auth0 holds, for each destination.
func (r *run) take(e event.Event, to *sorter.Sorter) error {
	date := e.Date.UnixMilli()
	if !r.cfg.Span.has(date) {
		return nil
	}
	for i := range r.dests {
		if err := r.takeFor(i, e, date, to); err != nil {
			return err
		}
	}
	return nil
}

// takeFor notes what becomes of an event by the rules of a destination.
func (r *run) takeFor(i int, e event.Event, date int64, to *sorter.Sorter) error {
	x := r.dests[i].Expect(e)
	h := held{date: date, dated: e.DateFrom != event.DateFromReceived, leftOut: x.LeftOut, group: x.LogGroup, stream: x.LogStream}
	if x.LeftOut == "" {
		copies := r.dests[i].Copies()
		for _, m := range x.Messages {
			h.exact, h.lax = append(h.exact, digestOf(m)), append(h.lax, laxDigest(m, copies))
		}
	}
	id := e.LogID
	if strings.HasPrefix(id, event.SyntheticPrefix) && len(x.Messages) > 0 { // it is known by its bytes, as they are there
		if sent, err := event.Parse(x.Messages[0], e.Date); err == nil {
			id = sent.LogID
		}
	}
	h.pack(&r.pack)
	return to.Add(keyOf(i, id), r.pack.b)
}

// keyOf is the key of the records of an event of a destination.
func keyOf(i int, logID string) string {
	return string([]byte{byte(i >> 8 & 0xff), byte(i & 0xff)}) + logID
}

// cutKey is the inverse of keyOf.
func cutKey(key string) (i int, logID string) { return int(key[0])<<8 | int(key[1]), key[2:] }

// readDestination notes what lies in a destination.
func (r *run) readDestination(ctx context.Context, i int, span Span, everywhere bool, phase Phase, to *sorter.Sorter) error {
	d := r.dests[i]
	p := Progress{Phase: phase, Destination: d.Name(), Span: span, Open: r.open[i].events}
	if phase == PhaseDestination {
		r.progress(p)
	}
	copies := d.Copies()
	err := d.Read(ctx, span, everywhere, func(s Stored) error {
		p.Events++
		p.Reached = later(p.Reached, s.Timestamp)
		if p.Events%1000 == 0 {
			r.progress(p)
		}
		return r.find(i, s, copies, to, phase == PhaseDestination)
	})
	if err != nil && d.Name() != "" {
		err = fmt.Errorf("destination %s: %w", d.Name(), err)
	}
	return err
}

// find notes a message of a destination.
func (r *run) find(i int, s Stored, copies []string, to *sorter.Sorter, first bool) error {
	f := found{
		copied:    Copy{LogGroup: s.LogGroup, LogStream: s.LogStream, EventID: s.EventID, Timestamp: s.Timestamp, Ingested: s.Ingested},
		elsewhere: s.Elsewhere, shared: s.Shared,
	}
	e, err := event.Parse(s.Message, s.Timestamp)
	if err != nil { // it is no event, whoever wrote it
		if first && r.cfg.Span.has(s.Timestamp.UnixMilli()) {
			r.results[i].Foreign++
		}
		return nil
	}
	exact := s.Message
	if whole := len(bytes.TrimSpace(s.Message)); len(e.Raw) < whole || len(event.Body(e.Raw)) < whole {
		f.enveloped, exact = true, e.Raw
	}
	f.date, f.dated = e.Date.UnixMilli(), e.DateFrom != event.DateFromReceived
	f.exact, f.lax = digestOf(exact), laxDigest(e.Raw, copies)
	f.pack(&r.pack)
	return to.Add(keyOf(i, e.LogID), r.pack.b)
}

// lookAgain looks for what seems to be missing, until it is found or the patience is
// over, and then at all times and places.
func (r *run) lookAgain(ctx context.Context) error {
	for wait := firstWait; r.openEvents() > 0; wait *= 2 {
		all, err := r.takeMissing(ctx)
		if err != nil {
			return err
		}
		remains := r.until.Sub(r.now())
		if r.openBuckets() > manyBuckets { // to read them costs much: once, then
			wait = remains
		}
		if err := r.pause(ctx, min(wait, remains), remains); err != nil {
			return errors.Join(err, all.Close())
		}
		last := remains <= wait
		if err := r.look(ctx, all, last); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
	return nil
}

// openEvents is how many events are not found.
func (r *run) openEvents() (n int64) {
	for _, o := range r.open {
		n += o.events
	}
	return n
}

// openBuckets is how many times are to be read to find them.
func (r *run) openBuckets() (n int) {
	for _, o := range r.open {
		n += len(o.buckets)
	}
	return n
}

// pause waits, and tells how long.
func (r *run) pause(ctx context.Context, d, remains time.Duration) error {
	r.progress(Progress{Phase: PhaseLook, Open: r.openEvents(), Left: max(0, remains)})
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// look reads the destinations where the events of all should be, and joins. The last
// look is at every time and place.
func (r *run) look(ctx context.Context, all *sorter.Sorter, last bool) error {
	open := r.open
	r.beginMissing()
	for i := range r.dests {
		if open[i].events == 0 {
			continue
		}
		for span := range spansOf(open[i].buckets, r.dests[i].Latest) {
			if err := r.readDestination(ctx, i, span, false, PhaseLook, all); err != nil {
				return errors.Join(err, all.Close())
			}
		}
	}
	if err := r.join(ctx, all, r.judgeLook); err != nil || !last {
		return err
	}
	return r.lookEverywhere(ctx)
}

// lookEverywhere is the end of looking.
func (r *run) lookEverywhere(ctx context.Context) error {
	if r.openEvents() == 0 {
		return nil
	}
	all, err := r.takeMissing(ctx)
	if err != nil {
		return err
	}
	open := r.open
	r.beginMissing()
	for i := range r.dests {
		if open[i].events == 0 {
			continue
		}
		dates := wholeOf(open[i].buckets)
		span := Span{dates.Since.Add(-movedBack), dates.Until.Add(movedBack)}
		span.Until = earlier(span.Until, r.now().Add(movedAhead))
		if err := r.readDestination(ctx, i, span, true, PhaseLook, all); err != nil {
			return errors.Join(err, all.Close())
		}
	}
	return r.join(ctx, all, r.judgeLast)
}

// askAuth0 asks for what is in a destination only.
func (r *run) askAuth0(ctx context.Context) error {
	if remains := r.until.Sub(r.now()); r.young {
		if err := r.pause(ctx, remains, remains); err != nil {
			return err
		}
	}
	all, again := sorter.New(r.cfg.Dir, r.cfg.Memory/2), sorter.New(r.cfg.Dir, r.cfg.Memory/4)
	var failed error
	ids := iter.Seq[string](func(yield func(string) bool) {
		last, stopped := "", false
		failed = r.ghosts.Each(func(key, value []byte) error {
			if err := all.Add(string(key), value); err != nil || stopped {
				return err
			}
			if _, id := cutKey(string(key)); id != last {
				last, stopped = id, !yield(id)
			}
			return nil
		})
	})
	err := r.holder.Find(ctx, ids, func(e event.Event) error {
		for i := range r.dests {
			if err := r.takeFor(i, e, e.Date.UnixMilli(), again); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, failed); err != nil {
		return errors.Join(fmt.Errorf("ask Auth0 for what is in a destination only: %w", err), all.Close(), again.Close())
	}
	if err := again.Each(func(key, value []byte) error { return all.Add(string(key), value) }); err != nil {
		return errors.Join(err, all.Close())
	}
	return r.join(ctx, all, r.judgeGhost)
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
