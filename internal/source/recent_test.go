package source_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
)

// A busyLog is a log in which events happen between any two calls.
type busyLog struct {
	source.LogsAPI

	n       int // events so far; their ids are their numbers
	grows   int // with each call
	queries []auth0.SearchQuery
	errs    []error // of the next calls
}

// Search serves the newest first.
func (l *busyLog) Search(_ context.Context, q auth0.SearchQuery) (auth0.Answer, error) {
	l.queries = append(l.queries, q)
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return auth0.Answer{}, err
	}
	var a auth0.Answer
	for i := range q.PerPage {
		if at := l.n - 1 - q.Page*q.PerPage - i; at >= 0 {
			a.Page.Events = append(a.Page.Events, event.Event{LogID: strconv.Itoa(at)})
		}
	}
	l.n += l.grows
	return a, nil
}

// ids lists the events of a page.
func ids(p event.Page) (out []string) {
	for _, e := range p.Events {
		out = append(out, e.LogID)
	}
	return out
}

// numbers are the ids from one up to another.
func numbers(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

func TestRecent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log   busyLog
		n     int
		want  []string
		calls int
	}{
		"one":              {busyLog{n: 500}, 1, numbers(499, 500), 1},
		"fewer than asked": {busyLog{n: 7}, 100, numbers(0, 7), 1},
		"none":             {busyLog{}, 5, nil, 1},
		"odd":              {busyLog{n: 500}, 250, numbers(250, 500), 3},
		"as far as it is":  {busyLog{n: 5000}, auth0.MaxSearch, numbers(4000, 5000), 10},
		"while it grows":   {busyLog{n: 500, grows: 3}, 300, numbers(206, 500), 3}, // no event twice
	} {
		page, err := source.Recent(t.Context(), &c.log, c.n, "")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, ids(page)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if len(c.log.queries) != c.calls {
			t.Errorf("%s: %d calls, want %d", name, len(c.log.queries), c.calls)
		}
	}
	log := busyLog{n: 5}
	if _, err := source.Recent(t.Context(), &log, 5, "fp"); err != nil || log.queries[0].Q != "type:fp" || log.queries[0].Sort != "date:-1" {
		t.Errorf("asked %+v, error %v", log.queries, err)
	}
}

// What passes is waited out for as long as Auth0 says, but not for ever; what does
// not is told at once.
func TestRecentErrors(t *testing.T) {
	t.Parallel()
	passing, throttled := &auth0.Error{Kind: auth0.Transient}, &auth0.Error{Kind: auth0.Throttled, RetryAfter: 20 * time.Second}
	for name, c := range map[string]struct {
		errs  []error
		waits time.Duration
		class pipeline.Class
		fails bool
	}{
		"passes":        {[]error{passing, throttled}, 21 * time.Second, 0, false},
		"stays":         {[]error{passing, passing, passing}, 2 * time.Second, pipeline.Transient, true},
		"a long wait":   {[]error{&auth0.Error{Kind: auth0.Throttled, RetryAfter: time.Hour}}, 0, pipeline.Throttled, true},
		"no permission": {[]error{&auth0.Error{Kind: auth0.Forbidden}}, 0, pipeline.Unauthorized, true},
		"no such host":  {[]error{&auth0.Error{Kind: auth0.Misconfigured}}, 0, pipeline.Misconfigured, true},
		"bad query":     {[]error{&auth0.Error{Kind: auth0.BadRequest}}, 0, pipeline.Transient, true},
		"another":       {slices.Repeat([]error{errors.New("odd")}, 3), 2 * time.Second, pipeline.Transient, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			_, err := source.Recent(t.Context(), &busyLog{n: 5, errs: c.errs}, 5, "")
			e, ok := errors.AsType[*pipeline.Error](err)
			if ok != c.fails || (err != nil) != c.fails || c.fails && e.Class != c.class {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took != c.waits {
				t.Errorf("%s: took %v, want %v", name, took, c.waits)
			}
		})
	}
}
