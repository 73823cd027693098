package source_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// call is a request that a tenant was asked.
type call struct {
	From string // of Logs
	Take int
	auth0.SearchQuery
}

// fakeAuth0 is Auth0 as the poll sees it: a log in the order of log_id, which can
// be told to misbehave.
type fakeAuth0 struct {
	mu    sync.Mutex
	log   []event.Event // ascending by place, not by id: ids may be opaque
	calls []call

	served     int           // events to a page at most; 0 is what was asked for
	noLink     bool          // no rel="next"
	inclusive  bool          // `from` is among the answer
	knownOnly  bool          // `from` must be the id of an event
	ignoresQ   bool          // searches find everything
	refusesQ   bool          // searches with q are bad requests
	skew       time.Duration // how far Auth0's clock is ahead of the bubble's
	pace       time.Duration
	retention  time.Duration
	unreadable []event.Unreadable // come along with each page of Logs that has events
	// fault is asked before each call; an error is answered, and an answer with
	// records in place of the true one.
	fault func(n int, c call) (*auth0.Answer, error)
}

var _ source.LogsAPI = (*fakeAuth0)(nil)

// add appends an event that happened at a time.
func (s *fakeAuth0) add(id string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, makeEvent(id, at))
}

// insert puts an event to a place of the log, as Auth0 does with a late one.
func (s *fakeAuth0) insert(i int, id string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = slices.Insert(s.log, i, makeEvent(id, at))
}

func makeEvent(id string, at time.Time) event.Event {
	raw := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s"}`, id, at.UTC().Format(time.RFC3339Nano))
	e, err := event.Parse([]byte(raw), at)
	if err != nil {
		panic(err)
	}
	return e
}

// asked returns the calls so far and forgets them.
func (s *fakeAuth0) asked() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// ids returns the log_ids in the order of the log.
func (s *fakeAuth0) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, e := range s.log {
		ids = append(ids, e.LogID)
	}
	return ids
}

// begin notes a call and applies the fault and the retention.
func (s *fakeAuth0) begin(ctx context.Context, c call) (*auth0.Answer, error) {
	s.mu.Lock()
	n := len(s.calls)
	s.calls = append(s.calls, c)
	fault := s.fault
	if s.retention > 0 {
		s.log = slices.DeleteFunc(s.log, func(e event.Event) bool { return time.Since(e.Date) > s.retention })
	}
	s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if fault == nil {
		return nil, nil
	}
	return fault(n, c)
}

// Logs implements source.LogsAPI.
func (s *fakeAuth0) Logs(ctx context.Context, from string, take int) (auth0.Answer, error) {
	if ans, err := s.begin(ctx, call{From: from, Take: take}); ans != nil || err != nil {
		return s.orAnswer(ans), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.log, func(e event.Event) bool { return e.LogID == from })
	switch {
	case i >= 0 && !s.inclusive:
		i++
	case i >= 0:
	case s.knownOnly:
		return auth0.Answer{}, badCursor()
	default:
		if _, ok := event.TimeInID(from); !ok {
			return auth0.Answer{}, badCursor()
		}
		i = slices.IndexFunc(s.log, func(e event.Event) bool { return e.LogID > from })
		if i < 0 {
			i = len(s.log)
		}
	}
	if s.served > 0 {
		take = min(take, s.served)
	}
	ans := s.answer(s.log[i:min(i+take, len(s.log))])
	if len(ans.Page.Events) > 0 {
		ans.Page.Unreadable = s.unreadable
		from = ans.Page.Events[len(ans.Page.Events)-1].LogID
	}
	if !s.noLink {
		ans.Next = from
	}
	return ans, nil
}

// Search implements source.LogsAPI.
func (s *fakeAuth0) Search(ctx context.Context, q auth0.SearchQuery) (auth0.Answer, error) {
	if ans, err := s.begin(ctx, call{SearchQuery: q}); ans != nil || err != nil {
		return s.orAnswer(ans), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Q != "" && s.refusesQ || q.Page*q.PerPage >= auth0.MaxSearch {
		return auth0.Answer{}, &auth0.Error{Op: "search logs", Status: 400, Kind: auth0.BadRequest}
	}
	found := slices.Clone(s.log)
	if id, ok := strings.CutPrefix(q.Q, `log_id:"`); ok && !s.ignoresQ {
		found = slices.DeleteFunc(found, func(e event.Event) bool { return e.LogID+`"` != id })
	}
	if after, ok := strings.CutPrefix(q.Q, "date:["); ok && !s.ignoresQ {
		text, _, _ := strings.Cut(after, " TO ")
		since, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			panic(err)
		}
		found = slices.DeleteFunc(found, func(e event.Event) bool { return e.Date.Before(since) })
	}
	slices.SortStableFunc(found, func(a, b event.Event) int { return a.Date.Compare(b.Date) })
	if q.Sort == "date:-1" {
		slices.Reverse(found)
	}
	i := min(q.Page*q.PerPage, len(found))
	return s.answer(found[i:min(i+q.PerPage, len(found))]), nil
}

// answer makes an answer of events.
func (s *fakeAuth0) answer(events []event.Event) auth0.Answer {
	return *s.orPointer(&auth0.Answer{Page: event.Page{Events: slices.Clone(events)}})
}

func (s *fakeAuth0) orPointer(ans *auth0.Answer) *auth0.Answer {
	ans.Received = time.Now()
	ans.ServerTime = time.Now().Add(s.skew).Truncate(time.Second)
	ans.Pace = s.pace
	return ans
}

func (s *fakeAuth0) orAnswer(ans *auth0.Answer) auth0.Answer {
	if ans == nil {
		return auth0.Answer{}
	}
	return *s.orPointer(ans)
}

// Errors that a tenant answers with.
func badCursor() error {
	return &auth0.Error{Op: "fetch logs", Status: 400, Code: "invalid_query_string", Message: "Invalid log id", Kind: auth0.BadCursor}
}

func serverError(status int) error {
	return &auth0.Error{Op: "fetch logs", Status: status, Kind: auth0.Transient}
}

// realID makes an id of the usual form, a moment after a time.
func realID(at time.Time, n int) string {
	id := event.IDAt(at.Add(50 * time.Millisecond))
	return id[:len(id)-12] + fmt.Sprintf("%012d", n)
}

// opaqueID makes an id that says nothing.
func opaqueID(n int) string { return fmt.Sprintf("evt-%06d", n) }

// history fills a tenant with n events that end a while before now.
func history(s *fakeAuth0, n int, step, ago time.Duration, opaque bool) {
	for i := range n {
		at := time.Now().Add(-ago - time.Duration(n-1-i)*step)
		id := realID(at, i)
		if opaque {
			id = opaqueID(i)
		}
		s.add(id, at)
	}
}

// start runs a poll until the test ends it, and returns what it stores and a
// function that ends it and returns its error.
func start(t *testing.T, p *source.Poll, from event.Cursor) (*pipelinetest.Pages, func() error) {
	t.Helper()
	disk := new(pipelinetest.Pages)
	return disk, startOn(t, p, from, disk)
}

// startOn is start with a disk of the caller's.
func startOn(t *testing.T, p *source.Poll, from event.Cursor, disk *pipelinetest.Pages) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, from, disk.Emit) }()
	return func() error {
		cancel(errEnd)
		return <-done
	}
}
