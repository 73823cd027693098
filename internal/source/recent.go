package source

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// recentTries is how often a page is asked for: a person waits.
	recentTries = 3
	// recentPause is the wait between two tries if Auth0 names none, and
	// longestPause the longest that is waited for.
	recentPause  = time.Second
	longestPause = time.Minute
)

// Recent fetches the newest events of a tenant, the oldest of them first: n at most,
// from 1 to auth0.MaxSearch, and of one type alone if typ is not empty; it must be a
// code of letters, digits and underscores. It stands for itself: no source is moved.
//
// The error is the cause of ctx when ctx has ended, and otherwise a *pipeline.Error.
func Recent(ctx context.Context, api LogsAPI, n int, typ string) (event.Page, error) {
	var out event.Page
	q := auth0.SearchQuery{Sort: "date:-1", PerPage: min(n, auth0.MaxTake)}
	if typ != "" {
		q.Q = "type:" + typ
	}
	seen := make(map[string]bool)
	for ; q.Page*q.PerPage < n && (q.Page+1)*q.PerPage <= auth0.MaxSearch; q.Page++ {
		ans, err := searchAgain(ctx, api, q)
		if err != nil {
			return event.Page{}, err
		}
		for _, e := range ans.Page.Events {
			if !seen[e.LogID] { // what has happened meanwhile moves the pages
				seen[e.LogID] = true
				out.Events = append(out.Events, e)
			}
		}
		out.Unreadable = append(out.Unreadable, ans.Page.Unreadable...)
		if len(ans.Page.Events)+len(ans.Page.Unreadable) < q.PerPage {
			break
		}
	}
	out.Events = out.Events[:min(n, len(out.Events))]
	slices.Reverse(out.Events)
	return out, nil
}

// searchAgain fetches a page of a search, and again after a fault that passes.
func searchAgain(ctx context.Context, api LogsAPI, q auth0.SearchQuery) (auth0.Answer, error) {
	for try := 1; ; try++ {
		ans, err := api.Search(ctx, q)
		if err == nil || ctx.Err() != nil {
			return ans, err
		}
		err = classify(err)
		e, ok := errors.AsType[*pipeline.Error](err)
		if !ok {
			e = &pipeline.Error{Class: pipeline.Transient, Err: err}
		}
		wait := max(e.RetryAfter, recentPause)
		if try == recentTries || wait > longestPause || e.Class != pipeline.Transient && e.Class != pipeline.Throttled || isKind(err, auth0.BadRequest) {
			return auth0.Answer{}, e
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return auth0.Answer{}, context.Cause(ctx)
		}
	}
}
