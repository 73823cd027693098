package auth0

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
)

// MaxTake is the largest page that Auth0 serves, by checkpoint and by search
// (Management API, GET /api/v2/logs).
const MaxTake = 100

// MaxSearch is how many results a search reaches by paging; the page behind
// them is an error (Auth0 docs, "Retrieve logs using the Management API").
const MaxSearch = 1000

// An Answer is a page of the log and what came with it.
type Answer struct {
	// Page holds the events and the records that are none. Its cursor is empty.
	Page event.Page
	// Next is where to go on: the `from` of the link rel="next"; empty when
	// there was none.
	Next string
	// Received is when the answer came, by this machine's clock.
	Received time.Time
	// ServerTime is the same by the server's clock, to the second below; it is
	// Received when the server did not tell.
	ServerTime time.Time
	// Pace is how far apart calls should be so that the share of the rate limit
	// lasts until its window ends; 0 when the headers set no limit.
	Pace time.Duration
}

// A SearchQuery asks for events by their content, at most MaxSearch of them.
type SearchQuery struct {
	// Q is the query in Auth0's subset of Lucene, such as
	// "date:[2026-11-01T00:00:00Z TO *]"; empty finds everything.
	Q string
	// Sort is "date:1", oldest first, or "date:-1", newest first.
	Sort string
	// Page counts from 0.
	Page int
	// PerPage is the number of events in a page, 1 to MaxTake.
	PerPage int
}

// Logs fetches the events behind the log_id from, in the order of log_id, take
// of them at most (1 to MaxTake). from itself is not among them. No event is no
// error: it is the end of the log at the moment.
//
// The error is the cause of ctx when ctx has ended, and otherwise an *Error,
// among them BadCursor when from is unknown or older than the tenant's
// retention.
func (c *Client) Logs(ctx context.Context, from string, take int) (Answer, error) {
	return c.fetch(ctx, c.ops.logs, url.Values{"from": {from}, "take": {strconv.Itoa(take)}})
}

// Search fetches one page of a search. Errors are as for Logs, but that a
// refused search is of kind BadRequest.
func (c *Client) Search(ctx context.Context, q SearchQuery) (Answer, error) {
	v := url.Values{"page": {strconv.Itoa(q.Page)}, "per_page": {strconv.Itoa(q.PerPage)}}
	if q.Q != "" {
		v.Set("q", q.Q)
	}
	if q.Sort != "" {
		v.Set("sort", q.Sort)
	}
	return c.fetch(ctx, c.ops.search, v)
}

// fetch gets a page. A token that is refused is replaced, once for this call and
// seldom on the whole.
func (c *Client) fetch(ctx context.Context, op operation, query url.Values) (Answer, error) {
	for renewed := false; ; renewed = true {
		tok, err := c.tokens.get(ctx)
		if err != nil {
			return Answer{}, err
		}
		ans, err := c.fetchOnce(ctx, op, query, tok)
		if err == nil {
			return ans, nil
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || (e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden) || renewed || !c.tokens.refused(tok) {
			return Answer{}, err
		}
		c.metrics.retries.WithLabelValues(e.Kind.String()).Inc()
	}
}

// fetchOnce waits for the rate limit, asks for a page and reads it.
func (c *Client) fetchOnce(ctx context.Context, op operation, query url.Values, tok string) (Answer, error) {
	waited, err := op.limiter.wait(ctx)
	c.metrics.waited.Add(waited.Seconds())
	if err != nil {
		return Answer{}, err
	}
	at := c.base.JoinPath("/api/v2/logs")
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+tok)
	r, err := c.exchange(ctx, op, req)
	if err != nil {
		return Answer{}, err
	}
	c.metrics.rate(op.limiter.figures())
	if r.status != http.StatusOK {
		e := c.failure(op, r, tok)
		c.metrics.failed(e.Kind)
		return Answer{}, e
	}
	op.limiter.accepted()
	page, err := parse(r)
	if err != nil {
		c.metrics.failed(Transient)
		return Answer{}, &Error{Op: op.tries, Status: r.status, Kind: Transient, Err: err}
	}
	return Answer{
		Page: page, Next: nextFrom(r.header), Received: r.received,
		ServerTime: serverTime(r.header, r.received), Pace: op.limiter.pace(time.Now()),
	}, nil
}

// Reasons for which a body is not taken for a page of the log.
var (
	errContentType = errors.New("the answer is no JSON but of another content type; a proxy may stand between")
	errNoList      = errors.New("the answer is no list of events")
)

// parse reads the events of an answer. It takes nothing but a whole list: what
// a proxy says must not be taken for events, nor for the end of the log.
func parse(r reply) (event.Page, error) {
	if !jsonType(r.header.Get("Content-Type")) {
		return event.Page{}, errContentType
	}
	body := bytes.TrimSpace(bytes.TrimPrefix(r.body, []byte("\xef\xbb\xbf")))
	switch {
	case len(body) == 0:
		return event.Page{}, errNoList
	case body[0] == '[':
		if rest := bytes.TrimSpace(body[1:]); len(rest) > 1 && rest[0] == ']' {
			return event.Page{}, errNoList // an empty list and then something else
		}
	case body[0] == '{' && gjson.ValidBytes(body) && gjson.GetBytes(body, "logs").IsArray():
	default:
		return event.Page{}, errNoList
	}
	page, err := event.ParsePage(body, r.received)
	if err != nil {
		return event.Page{}, fmt.Errorf("read events: %w", err)
	}
	return page, nil
}

// jsonType reports whether a content type may be that of JSON. Plain text and
// none at all pass, because the body shows what it is.
func jsonType(header string) bool {
	if header == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		t, _, _ = strings.Cut(header, ";")
	}
	return strings.Contains(strings.ToLower(t), "json") || t == "text/plain"
}
