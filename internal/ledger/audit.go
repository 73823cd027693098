package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// A Verdict is what is to be said of an hour.
type Verdict string

// The verdicts.
const (
	// Match is an hour of which the destination holds what the ledger says.
	Match Verdict = "match"
	// Fewer is one of which events are missing, More one that has events that the ledger
	// does not know, Changed one that has as many, and others.
	Fewer   Verdict = "fewer"
	More    Verdict = "more"
	Changed Verdict = "changed"
	// Repeated is an hour that matches, but for events that are there more than once.
	Repeated Verdict = "twice"
	// Expired is one that the log group does not keep any more.
	Expired Verdict = "expired"
)

// Unclean reports whether a person should look at the hour.
func (v Verdict) Unclean() bool { return v != Match && v != Expired }

// A Result is what was found of an hour.
type Result struct {
	Verdict Verdict   `json:"verdict"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	// Expected is how many events the ledger has of the hour, There how many different
	// ones the destination has; those that are no log events do not count.
	Expected int64 `json:"expected"`
	There    int64 `json:"there"`
	// Twice is how many are there more than once, Foreign how many messages are no log
	// events and none of gapless's.
	Twice   int64 `json:"twice,omitempty"`
	Foreign int64 `json:"foreign,omitempty"`
	// LogIDs names events as far as the ledger can: those that came late and are missing
	// or changed, and those that are there twice; of very many the first.
	LateMissing []string `json:"late_missing,omitempty"`
	LateChanged []string `json:"late_changed,omitempty"`
	TwiceIDs    []string `json:"twice_log_ids,omitempty"`
	// Listed says that only events that came late were compared: of the hour as a whole
	// there is no entry.
	Listed bool `json:"listed_only,omitempty"`
}

// mostNamed is how many log_ids of a kind a result names.
const mostNamed = 100

// A Found is a message in a destination.
type Found struct {
	At    time.Time
	Place [2]string
	// ID tells it from all others there.
	ID      string
	Message []byte
}

// A Destination is where events lie.
type Destination interface {
	// Read calls each for the messages of some log groups and streams with timestamps
	// from one time to another, inclusive. The bytes are good until it returns.
	Read(ctx context.Context, places [][2]string, from, to time.Time, each func(Found) error) error
	// KeptSince is since when a log group keeps events; zero for ever.
	KeptSince(ctx context.Context, group string) (time.Time, error)
}

// An Audit is a comparison of a record with a destination.
type Audit struct {
	Record      *Checked
	Destination Destination
	// Since and Until are the time that is compared, in whole hours; the zero times are
	// without bound.
	Since, Until time.Time
	// Dir is where temporary files lie; empty for that of the system. Memory bounds what
	// is held of an hour, in bytes; 0 is 16 MiB.
	Dir    string
	Memory int
	// Patience is how long an hour that does not match is read again: reads of CloudWatch
	// Logs lag behind writes.
	Patience time.Duration
	// Wait waits; it returns an error when it is cut short.
	Wait func(ctx context.Context, d time.Duration) error
	// Progress hears of each hour that was read; may be nil.
	Progress func(until time.Time, events int64)
}

// A Summary is what an audit has found.
type Summary struct {
	// Hours were compared, of which Matched are as the ledger says and Expired are not
	// kept any more. Events is how many the ledger has of them.
	Hours, Matched, Expired, Events int64
	// First is the first hour that is not as the ledger says; nil when there is none.
	First *Result
	// Unclean counts those hours.
	Unclean int64
	// Foreign are messages that are no log events, Twice events that are there twice.
	Foreign, Twice int64
}

// An attested is an hour, or quiet hours, with all entries about it.
type attested struct {
	from, until time.Time
	whole       *Entry // nil when there are late entries alone
	late        []*Entry
	places      [][2]string
}

// Run compares and calls each for every hour that does not match, in the order of time.
func (a *Audit) Run(ctx context.Context, each func(Result) error) (sum Summary, err error) {
	if a.Memory == 0 {
		a.Memory = 16 << 20
	}
	var again []attested
	for _, h := range a.list() {
		rs, err := a.look(ctx, h)
		if err != nil {
			return sum, err
		}
		for _, r := range rs {
			if r.result.Verdict.Unclean() {
				again = append(again, r.attested)
			} else {
				sum.take(r.result, r.Hours())
			}
		}
	}
	return sum, a.settle(ctx, again, &sum, each)
}

// settle looks again at hours that do not match, until they do or patience is at its
// end, and tells of those that are left.
func (a *Audit) settle(ctx context.Context, left []attested, sum *Summary, each func(Result) error) error {
	results := make(map[time.Time]looked)
	for wait, waited := 5*time.Second, time.Duration(0); len(left) > 0; wait *= 2 {
		var still []attested
		for _, h := range left {
			rs, err := a.look(ctx, h)
			if err != nil {
				return err
			}
			for _, r := range rs {
				results[r.from] = r
				if r.result.Verdict.Unclean() && r.result.Verdict != Repeated {
					still = append(still, r.attested)
				}
			}
		}
		if left = still; len(left) == 0 || waited >= a.Patience {
			break
		}
		wait = min(wait, a.Patience-waited)
		if err := a.Wait(ctx, wait); err != nil {
			return err
		}
		waited += wait
	}
	list := make([]looked, 0, len(results))
	for _, r := range results {
		list = append(list, r)
	}
	slices.SortFunc(list, func(x, y looked) int { return x.from.Compare(y.from) })
	for _, r := range list {
		sum.take(r.result, r.Hours())
		if !r.result.Verdict.Unclean() {
			continue
		}
		sum.Unclean++
		if sum.First == nil {
			first := r.result
			sum.First = &first
		}
		if err := each(r.result); err != nil {
			return err
		}
	}
	return nil
}

// take counts a result.
func (s *Summary) take(r Result, hours int64) {
	s.Hours += hours
	s.Events += r.Expected
	s.Foreign += r.Foreign
	s.Twice += r.Twice
	switch r.Verdict {
	case Match, Repeated:
		s.Matched += hours
	case Expired:
		s.Expired += hours
	case Fewer, More, Changed:
	}
}

// A looked is what was found of an hour.
type looked struct {
	attested

	result Result
}

// Hours is how many hours it is about.
func (h *attested) Hours() int64 { return int64(h.until.Sub(h.from) / time.Hour) }

// list makes the list of what is compared.
func (a *Audit) list() (list []attested) {
	at := make(map[time.Time]int)
	var every placeList
	for i := range a.Record.Entries {
		e := &a.Record.Entries[i]
		every.add(e.Places)
		if e.Kind == Start || !a.Since.IsZero() && !e.Until.After(a.Since) || !a.Until.IsZero() && !e.From.Before(a.Until) {
			continue
		}
		if e.Kind != Late {
			if _, twice := at[e.From]; !twice {
				at[e.From] = len(list)
				list = append(list, attested{from: e.From, until: e.Until, whole: e})
			}
		}
	}
	for i := range a.Record.Entries {
		e := &a.Record.Entries[i]
		if e.Kind != Late || e.Leaves == nil {
			continue
		}
		n, there := at[e.From]
		if !there {
			n = len(list)
			for j := range list { // within quiet hours?
				if !e.From.Before(list[j].from) && e.From.Before(list[j].until) {
					n = j
				}
			}
			if n == len(list) {
				at[e.From] = n
				list = append(list, attested{from: e.From, until: e.Until})
			}
		}
		list[n].late = append(list[n].late, e)
	}
	slices.SortStableFunc(list, func(x, y attested) int { return x.from.Compare(y.from) })
	for i := range list {
		list[i].places = every.list
	}
	return list
}

// A placeList is a list of places, each once.
type placeList struct {
	seen placeSet
	list [][2]string
}

// add adds some.
func (p *placeList) add(list [][2]string) {
	if p.seen == nil {
		p.seen = make(placeSet)
	}
	for _, x := range list {
		if !p.seen[x] {
			p.seen[x] = true
			p.list = append(p.list, x)
		}
	}
}

// look reads an hour, or quiet hours, of which those that are not empty are looked at
// one by one.
func (a *Audit) look(ctx context.Context, h attested) ([]looked, error) {
	expired, err := a.expired(ctx, h)
	if err != nil {
		return nil, err
	}
	if expired {
		return []looked{{h, Result{Verdict: Expired, From: h.from, Until: h.until, Expected: h.expected()}}}, nil
	}
	if h.whole == nil || h.whole.Kind != Quiet || h.until.Sub(h.from) <= time.Hour {
		r, err := a.hour(ctx, h)
		return []looked{r}, err
	}
	busy := make(map[time.Time]bool)
	for _, e := range h.late {
		busy[e.From] = true
	}
	err = a.Destination.Read(ctx, h.places, h.from, h.until.Add(-time.Millisecond), func(f Found) error {
		busy[f.At.UTC().Truncate(time.Hour)] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	var list []looked
	for from, at := h.from, h.from; !at.After(h.until); at = at.Add(time.Hour) {
		if at.Before(h.until) && !busy[at] {
			continue
		}
		if from.Before(at) {
			part := h
			part.from, part.until, part.late = from, at, nil
			list = append(list, looked{part, Result{Verdict: Match, From: from, Until: at}})
		}
		from = at.Add(time.Hour)
		if !at.Before(h.until) {
			break
		}
		part := h
		part.from, part.until = at, from
		part.late = slices.DeleteFunc(slices.Clone(h.late), func(e *Entry) bool { return !e.From.Equal(at) })
		r, err := a.hour(ctx, part)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// expired reports whether a log group of an hour does not keep all of it any more.
func (a *Audit) expired(ctx context.Context, h attested) (bool, error) {
	for _, p := range h.places {
		since, err := a.Destination.KeptSince(ctx, p[0])
		if err != nil {
			return false, err
		}
		if h.from.Before(since) {
			return true, nil
		}
	}
	return false, nil
}

// expected is how many events the ledger has of an hour.
func (h *attested) expected() (n int64) {
	if h.whole != nil {
		n = h.whole.Count
	}
	for _, e := range h.late {
		n += e.Count
	}
	return n
}

// hour compares one hour.
func (a *Audit) hour(ctx context.Context, h attested) (_ looked, err error) {
	dir, err := os.MkdirTemp(a.Dir, "gapless-audit-*")
	if err != nil {
		return looked{}, fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	all := newLeaves(dir, a.Memory)
	events := int64(0)
	err = a.Destination.Read(ctx, h.places, h.from, h.until.Add(-time.Millisecond), func(f Found) error {
		l, _ := LeafOf(f.At, f.Message)
		events++
		return all.add(&l, strings.Join([]string{f.Place[0], f.Place[1], f.ID}, "\x00"))
	})
	if err != nil {
		return looked{}, errors.Join(err, all.close())
	}
	c := newComparing(&h)
	if err := all.each(c.take); err != nil {
		return looked{}, err
	}
	if a.Progress != nil {
		a.Progress(h.until, events)
	}
	return looked{h, c.result()}, nil
}
