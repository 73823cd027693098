package source

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// spanBefore is how far before a span reading begins: more than the rounding of
	// times in a search.
	spanBefore = time.Minute
	// spanBehind is how far behind a span reading goes on, by log_id: more than Auth0
	// was ever seen to take from the date of an event to its log_id.
	spanBehind = 5 * time.Minute
	// spanTries is how often in a row reading may fail. The waits between grow to half
	// a minute.
	spanTries = 12
)

// A SpanConfig says which part of a tenant's log to read.
type SpanConfig struct {
	// Since and Until bound the dates of the events.
	Since, Until time.Time
	// Retention is how long Auth0 keeps an event, as far as is known; see PollConfig.
	Retention time.Duration
	// Logger hears of what a person would want to know; nil discards it.
	Logger *slog.Logger
}

// ReadSpan hands over the events that are dated within a span, and some of around it,
// by checkpoint: in the order of log_id and without a hole. It begins as Poll does,
// and ends behind the span or at the end of the log. Errors that pass are waited out.
//
// sure is since when Auth0 keeps all that happened, as it was at the beginning.
func ReadSpan(ctx context.Context, c SpanConfig, api LogsAPI, each func([]event.Event) error) (sure time.Time, err error) {
	sure, err = SureSince(ctx, api, c.Retention)
	if err != nil {
		return sure, err
	}
	r := &spanReader{cfg: c, each: each}
	err = r.run(ctx, c.poll(api))
	return latest(sure, r.gap), err
}

// poll returns the Poll that reads the span.
func (c *SpanConfig) poll(api LogsAPI) *Poll {
	return NewPoll(PollConfig{StartFrom: At(c.Since.Add(-spanBefore)), Retention: c.Retention}, api, Deps{Logger: c.Logger})
}

// SureSince returns since when Auth0 surely keeps all that happened: for the retention,
// 0 being the shortest of its plans, or from the oldest event that it shows.
func SureSince(ctx context.Context, api LogsAPI, retention time.Duration) (sure time.Time, err error) {
	oldest, err := patiently(ctx, func() (auth0.Answer, error) {
		return api.Search(ctx, auth0.SearchQuery{Sort: "date:1", PerPage: 1})
	})
	if err != nil {
		return sure, classify(err)
	}
	if retention <= 0 {
		retention = DefaultRetention
	}
	sure = oldest.ServerTime.Add(-surely(retention))
	if list := oldest.Page.Events; len(list) > 0 && list[0].Date.Before(sure) {
		sure = list[0].Date
	}
	return sure, nil
}

// A spanReader is the end of a Poll that reads a span.
type spanReader struct {
	cfg  SpanConfig
	each func([]event.Event) error
	at   event.Cursor
	own  error     // of each
	gap  time.Time // up to when something may be missing
	good bool      // there was a page since the last error
}

// errSpanRead says that the span has been read.
var errSpanRead = errors.New("the span has been read")

// run runs the poll until the span is read.
func (r *spanReader) run(ctx context.Context, poll *Poll) error {
	var backoff pipeline.Backoff
	for tries := 1; ; tries++ {
		err := poll.Run(ctx, r.at, r.emit)
		if errors.Is(err, errSpanRead) {
			return nil
		}
		if r.own != nil || ctx.Err() != nil {
			return err
		}
		if r.good {
			r.good, tries = false, 1
			backoff.Reset()
		}
		e := pipeline.Classify(err)
		if e.Class == pipeline.Unauthorized || e.Class == pipeline.Misconfigured || tries == spanTries {
			return err
		}
		if err := pipeline.Wait(ctx, backoff.Next(e)); err != nil {
			return err
		}
	}
}

// emit takes a page.
func (r *spanReader) emit(_ context.Context, p event.Page) error {
	r.good = true
	if p.Gap != nil {
		r.gap = latest(r.gap, p.Gap.ToTime)
	}
	if len(p.Events) > 0 {
		if r.own = r.each(p.Events); r.own != nil {
			return r.own
		}
	}
	if p.Cursor != "" {
		r.at = p.Cursor
	}
	if p.CaughtUp || r.behind(p.Events) {
		return errSpanRead
	}
	return nil
}

// behind reports whether a page lies behind the span.
func (r *spanReader) behind(list []event.Event) bool { return r.cfg.behind(list) }

// behind reports whether a page lies behind the span.
func (c *SpanConfig) behind(list []event.Event) bool {
	if len(list) == 0 {
		return false
	}
	end := c.Until.Add(spanBehind)
	first, usual := event.TimeInID(list[0].LogID)
	if !usual {
		first = oldestDate(list)
	}
	return first.After(end) && oldestDate(list).After(c.Until)
}

// FindEvents calls each for those of the events of some log_ids that Auth0 holds. A
// page serves all log_ids that lie on it, so it is best that they ascend.
func FindEvents(ctx context.Context, api LogsAPI, ids iter.Seq[string], each func(event.Event) error) error {
	f := &finder{api: api}
	for id := range ids {
		e, ok, err := f.find(ctx, id)
		if err != nil {
			return classify(fmt.Errorf("look for %s: %w", id, err))
		}
		if ok {
			if err := each(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// A finder finds events by their log_id.
type finder struct {
	api  LogsAPI
	from string // the page of what follows on this id
	to   string // up to this one
	page map[string]event.Event
}

// find finds an event.
func (f *finder) find(ctx context.Context, id string) (e event.Event, ok bool, err error) {
	if strings.HasPrefix(id, event.SyntheticPrefix) {
		return e, false, nil // Auth0 does not know such an id
	}
	before, usual := idBefore(id)
	if !usual {
		return f.search(ctx, id)
	}
	if len(id) != len(f.to) || id <= f.from || id > f.to {
		got, err := patiently(ctx, func() (auth0.Answer, error) { return f.api.Logs(ctx, before, auth0.MaxTake) })
		if refusesID(err) { // it may be older than what is kept, too
			return f.search(ctx, id)
		}
		if err != nil {
			return e, false, err
		}
		f.from, f.to, f.page = before, id, make(map[string]event.Event)
		for _, e := range got.Page.Events {
			f.page[e.LogID] = e
			if len(e.LogID) == len(id) {
				f.to = max(f.to, e.LogID)
			}
		}
	}
	if e, ok = f.page[id]; ok {
		return e, true, nil
	}
	return f.search(ctx, id) // an API may answer ids that it does not know with anything
}

// search asks for an event by a search.
func (f *finder) search(ctx context.Context, id string) (e event.Event, ok bool, err error) {
	if strings.ContainsAny(id, `"\`) {
		return e, false, nil
	}
	got, err := patiently(ctx, func() (auth0.Answer, error) {
		return f.api.Search(ctx, auth0.SearchQuery{Q: `log_id:"` + id + `"`, PerPage: 1})
	})
	if isKind(err, auth0.BadRequest) {
		return e, false, nil
	}
	for _, e := range got.Page.Events {
		if e.LogID == id {
			return e, true, nil
		}
	}
	return e, false, err
}

// idBefore returns the id that comes just before one of the usual form.
func idBefore(id string) (string, bool) {
	if _, usual := event.TimeInID(id); !usual {
		return "", false
	}
	n, ok := new(big.Int).SetString(id, 10)
	if !ok {
		return "", false
	}
	before := n.Sub(n, big.NewInt(1)).String()
	return before, len(before) == len(id)
}

// patiently makes a call until it has an answer, as long as what hinders it may pass.
func patiently(ctx context.Context, call func() (auth0.Answer, error)) (got auth0.Answer, err error) {
	var backoff pipeline.Backoff
	for try := 1; ; try++ {
		got, err = call()
		if kind, ok := kindOf(err); err == nil || !ok || kind != auth0.Transient && kind != auth0.Throttled || try == spanTries {
			return got, err
		}
		if err := pipeline.Wait(ctx, backoff.Next(pipeline.Classify(classify(err)))); err != nil {
			return got, err
		}
	}
}

// Paced returns an API whose calls are as far apart as its answers ask for, so that
// the share of the rate limit lasts and is not taken at once. For somebody who reads
// beside the export of the same tenant.
func Paced(api LogsAPI) LogsAPI { return &paced{api: api} }

// paced is a LogsAPI at a pace.
type paced struct {
	api LogsAPI

	mu   sync.Mutex
	next time.Time
}

// Logs implements LogsAPI.
func (p *paced) Logs(ctx context.Context, from string, take int) (auth0.Answer, error) {
	return p.call(ctx, func() (auth0.Answer, error) { return p.api.Logs(ctx, from, take) })
}

// Search implements LogsAPI.
func (p *paced) Search(ctx context.Context, q auth0.SearchQuery) (auth0.Answer, error) {
	return p.call(ctx, func() (auth0.Answer, error) { return p.api.Search(ctx, q) })
}

// call makes a call when it is time.
func (p *paced) call(ctx context.Context, call func() (auth0.Answer, error)) (auth0.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := time.Until(p.next); wait > 0 {
		if err := pipeline.Wait(ctx, wait); err != nil {
			return auth0.Answer{}, err
		}
	}
	got, err := call()
	p.next = time.Now().Add(got.Pace)
	return got, err
}
