package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/sorter"
)

const (
	// mostCopies bounds the copies of an event that are looked at and listed.
	mostCopies = 100
	// askAtOnce is how many events a ledger is asked of at once.
	askAtOnce = 500
)

// A group is all that is known of an event of a destination.
type group struct {
	i       int // the destination
	logID   string
	held    *held // nil when Auth0 does not hold it
	waiting bool
	letter  string // the reason of a dead letter
	fate    Fate
	found   []found // the first of them
	all     int     // how many there are
}

// join calls judge for each event of sorted records.
func (r *run) join(ctx context.Context, all *sorter.Sorter, judge func(group) error) error {
	var g group
	var last string
	flush := func() error {
		if last == "" {
			return nil
		}
		return judge(g)
	}
	n := 0
	err := all.Each(func(key, value []byte) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if string(key) != last {
			if err := flush(); err != nil {
				return err
			}
			last = string(key)
			g = group{}
			g.i, g.logID = cutKey(last)
		}
		return g.add(value)
	})
	if err != nil {
		return err
	}
	return flush()
}

// add takes in a record.
func (g *group) add(value []byte) error {
	u := &unpacker{b: value[1:]}
	switch value[0] {
	case recordHeld:
		if h := unpackHeld(u); g.held == nil {
			g.held, g.fate = &h, h.fate
		}
	case recordWaiting:
		g.waiting = true
	case recordLetter:
		g.letter = u.text()
	case recordKnown:
		g.fate = u.fate()
	case recordFound:
		f := unpackFound(u)
		if g.all++; len(g.found) < mostCopies {
			g.found = append(g.found, f)
		}
	}
	if u.bad {
		return sorter.ErrRun
	}
	return nil
}

// here returns the copies in streams that the configuration makes.
func (g *group) here() []found {
	return slices.DeleteFunc(slices.Clone(g.found), func(f found) bool { return f.elsewhere })
}

// judge decides about an event once both sides are read.
func (r *run) judge(g group) error {
	res := &r.results[g.i]
	h := g.held
	count(&r.held, h != nil && g.i == 0)
	switch {
	case h == nil && g.all == 0: // what the ledger has told of others
		return nil
	case h == nil:
		return r.ghost(g)
	case h.leftOut != "" && g.all == 0:
		res.Filtered[h.leftOut]++
		return nil
	case h.leftOut != "":
		res.FilteredThere++
		return r.checkTwice(g)
	case g.all > 0:
		return r.present(g)
	}
	kept := r.dests[g.i].KeptSince(h.group)
	if kept.After(r.cfg.Span.Since) {
		res.KeptSince = later(res.KeptSince, kept)
	}
	if h.date < kept.UnixMilli() {
		res.Found[Expired]++
		return nil
	}
	return r.keepMissing(g)
}

// keepMissing notes that an event seems to be missing.
func (r *run) keepMissing(g group) error {
	o := &r.open[g.i]
	o.events++
	o.buckets[g.held.date/bucket.Milliseconds()] = true
	g.held.fate = g.fate
	g.held.pack(&r.pack)
	return r.missing.Add(keyOf(g.i, g.logID), r.pack.b)
}

// ghost decides about an event that Auth0 does not hold, as far as it was read.
func (r *run) ghost(g group) error {
	f := g.found[0]
	date := f.date
	if !f.dated {
		date = f.copied.Timestamp.UnixMilli()
	}
	switch res := &r.results[g.i]; {
	case !r.cfg.Span.has(date):
		return nil
	case f.shared, strings.HasPrefix(g.logID, event.SyntheticPrefix):
		res.Foreign += int64(g.all)
		return nil
	case date < r.sure:
		res.Gone++
		return r.checkTwice(g)
	}
	r.young = r.young || r.now().Sub(milli(date)) < listedLate
	for i := range g.found {
		g.found[i].pack(&r.pack)
		if err := r.ghosts.Add(keyOf(g.i, g.logID), r.pack.b); err != nil {
			return err
		}
	}
	return nil
}

// judgeGhost decides about an event that is in a destination only, once Auth0 was
// asked for it.
func (r *run) judgeGhost(g group) error {
	switch {
	case g.all == 0: // of another destination
		return nil
	case g.held == nil:
		if err := r.report(g, NotInAuth0, "", g.found); err != nil {
			return err
		}
		return r.checkTwice(g)
	case !r.cfg.Span.has(g.held.date): // the message tells another date than Auth0
		return nil
	}
	count(&r.held, g.i == 0)
	if g.held.leftOut != "" {
		r.results[g.i].FilteredThere++
		return r.checkTwice(g)
	}
	return r.present(g)
}

// present decides about an event that is in both.
func (r *run) present(g group) error {
	res := &r.results[g.i]
	here := g.here()
	if len(here) == 0 {
		return r.report(g, Elsewhere, "", g.found)
	}
	res.InBoth++
	if err := r.checkTwice(g); err != nil {
		return err
	}
	var moved, altered []found
	var enveloped, pushed, restamped bool
	for _, f := range here {
		enveloped = enveloped || f.enveloped
		if ts := f.copied.Timestamp.UnixMilli(); g.held.dated && !f.enveloped && ts != g.held.date {
			if r.dests[g.i].Restamped(milli(g.held.date), f.copied.Timestamp, f.copied.Ingested) {
				restamped = true
			} else {
				moved = append(moved, f)
			}
		}
		switch {
		case slices.Contains(g.held.exact, f.exact):
		case (f.enveloped || r.dests[g.i].Pushed()) && slices.Contains(g.held.lax, f.lax):
			pushed = true
		default:
			altered = append(altered, f)
		}
	}
	count(&res.Enveloped, enveloped)
	count(&res.Pushed, pushed)
	count(&res.Restamped, restamped)
	if len(moved) > 0 {
		if err := r.report(g, WrongTimestamp, "", moved); err != nil {
			return err
		}
	}
	if len(altered) > 0 {
		return r.report(g, Altered, "", altered)
	}
	return nil
}

// count adds one if something is so.
func count(n *int64, is bool) {
	if is {
		*n++
	}
}

// checkTwice tells of an event that is there more than once.
func (r *run) checkTwice(g group) error {
	here := g.here()
	if n := g.all - (len(g.found) - len(here)); n > 1 {
		return r.reportAll(g, Twice, "", here, n)
	}
	return nil
}

// judgeLook decides about an event that seemed to be missing, after another look.
func (r *run) judgeLook(g group) error {
	switch {
	case g.held == nil: // read on the way
		return nil
	case len(g.here()) > 0:
		return r.present(g)
	case g.letter != "":
		return r.report(g, DeadLetter, g.letter, nil)
	case g.waiting:
		return r.report(g, Waiting, "", nil)
	}
	switch g.fate {
	case NotRead:
		return r.report(g, NotYet, "", nil)
	case BeforeStart:
		return r.report(g, Before, "", nil)
	default:
		return r.keepMissing(g)
	}
}

// The words for what is known of an event that is missing.
const (
	whyDelivered = "the exporter has stored it, and it has left the buffer"
	whyUnknown   = "the exporter has never stored it, or more than dedup_window ago"
	whyGap       = "it lies in a gap that the exporter could not read"
	whyFull      = "the destination was full when it was stored, with when_full: skip"
)

// judgeLast decides about an event that is still missing, after the last look.
func (r *run) judgeLast(g group) error {
	if g.held == nil {
		return nil
	}
	switch before := g.held.fate; {
	case g.all > 0:
		return r.present(g)
	case g.letter != "":
		return r.report(g, DeadLetter, g.letter, nil)
	case g.waiting, g.fate == Delivered && before != Delivered: // a moment ago
		return r.report(g, Waiting, "", nil)
	case g.fate == NotRead:
		return r.report(g, NotYet, "", nil)
	case g.fate == BeforeStart:
		return r.report(g, Before, "", nil)
	}
	if r.now().Sub(milli(g.held.date)) < r.cfg.Lag && (r.ledger == nil || g.fate == Unknown) {
		return r.report(g, NotYet, "", nil)
	}
	why := map[Fate]string{Delivered: whyDelivered, Unknown: whyUnknown, InGap: whyGap, LeftOut: whyFull}[g.fate]
	if r.ledger == nil {
		why = ""
	}
	return r.report(g, Missing, why, nil)
}

// report tells of an event.
func (r *run) report(g group, k Kind, why string, copies []found) error {
	return r.reportAll(g, k, why, copies, len(copies))
}

// reportAll tells of one that has so many copies.
func (r *run) reportAll(g group, k Kind, why string, copies []found, all int) error {
	r.results[g.i].Found[k]++
	f := Finding{Kind: k, Destination: r.dests[g.i].Name(), LogID: g.logID, Why: why, AllCopies: all}
	if g.held != nil {
		f.Date, f.LogGroup, f.LogStream = milli(g.held.date), g.held.group, g.held.stream
	} else {
		f.Date = milli(g.found[0].date)
	}
	for _, c := range copies {
		f.Copies = append(f.Copies, c.copied)
	}
	return r.emit(f)
}

// takeMissing takes what seems to be missing, with what the ledger knows of it. It
// asks for the fates first: what has left the buffer by the time that the ledger is
// asked what waits there was delivered before the next look.
func (r *run) takeMissing(ctx context.Context) (*sorter.Sorter, error) {
	all := sorter.New(r.cfg.Dir, r.cfg.Memory)
	var asked []Question
	var keys []string
	err := r.missing.Each(func(key, value []byte) error {
		if err := all.Add(string(key), value); err != nil || r.ledger == nil {
			return err
		}
		i, id := cutKey(string(key))
		h := unpackHeld(&unpacker{b: value[1:]})
		asked, keys = append(asked, Question{r.dests[i].Name(), id, milli(h.date)}), append(keys, string(key))
		if len(asked) < askAtOnce {
			return nil
		}
		err := r.ask(ctx, all, keys, asked)
		asked, keys = asked[:0], keys[:0]
		return err
	})
	if err == nil && len(asked) > 0 {
		err = r.ask(ctx, all, keys, asked)
	}
	if err == nil && r.ledger != nil {
		err = r.askBuffer(ctx, all)
	}
	if err != nil {
		return nil, errors.Join(err, all.Close())
	}
	return all, nil
}

// ask asks for fates.
func (r *run) ask(ctx context.Context, to *sorter.Sorter, keys []string, asked []Question) error {
	fates, err := r.ledger.Fates(ctx, asked)
	if err != nil {
		return fmt.Errorf("ask the store: %w", err)
	}
	for i, f := range fates {
		r.pack.reset(recordKnown)
		r.pack.int(int64(f))
		if err := to.Add(keys[i], r.pack.b); err != nil {
			return err
		}
	}
	return nil
}

// askBuffer asks what waits and what are dead letters.
func (r *run) askBuffer(ctx context.Context, to *sorter.Sorter) error {
	index := make(map[string]int, len(r.dests))
	for i, d := range r.dests {
		index[d.Name()] = i
	}
	note := func(destination, logID string, kind byte, reason string) error {
		i, ok := index[destination]
		if !ok || r.open[i].events == 0 {
			return nil
		}
		r.pack.reset(kind)
		r.pack.text(reason)
		return to.Add(keyOf(i, logID), r.pack.b)
	}
	err := r.ledger.Waiting(ctx, r.cfg.Span, func(destination, logID string) error {
		return note(destination, logID, recordWaiting, "")
	})
	if err == nil {
		err = r.ledger.Letters(ctx, func(destination, logID, reason string) error {
			return note(destination, logID, recordLetter, reason)
		})
	}
	if err != nil {
		return fmt.Errorf("ask the store: %w", err)
	}
	return nil
}

// spansOf returns the times at which events of some buckets may be, each once and in
// their order.
func spansOf(buckets map[int64]bool, latest func(time.Time) time.Time) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		var s Span
		for _, b := range slices.Sorted(maps.Keys(buckets)) {
			next := Span{Since: milli(b * bucket.Milliseconds()), Until: milli((b+1)*bucket.Milliseconds() - 1)}.wider(margin)
			next.Until = later(next.Until, latest(next.Since))
			switch {
			case s.Until.IsZero():
				s = next
			case !next.Since.After(s.Until):
				s.Until = later(s.Until, next.Until)
			default:
				if !yield(s) {
					return
				}
				s = next
			}
		}
		if !s.Until.IsZero() {
			yield(s)
		}
	}
}

// wholeOf returns the span from the first to the last of some buckets.
func wholeOf(buckets map[int64]bool) Span {
	all := slices.Sorted(maps.Keys(buckets))
	return Span{milli(all[0] * bucket.Milliseconds()), milli((all[len(all)-1] + 1) * bucket.Milliseconds())}
}
