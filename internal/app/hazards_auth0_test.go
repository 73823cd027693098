package app_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// onToken makes a fault of the token endpoint.
func onToken(f emulator.Fault) func(*stage) {
	f.Match, f.Times = "POST /oauth/token", -1
	return func(s *stage) { s.auth0.Add(f) }
}

// onLogs makes a fault of Auth0's logs.
func onLogs(f emulator.Fault) func(*stage) {
	strike := onAuth0(f)
	return func(s *stage) { strike(s.site) }
}

// asJSON is the header of an answer of Auth0's.
var asJSON = map[string]string{"Content-Type": "application/json"}

// tokenHazards are faults of Auth0's token endpoint, before there is a token.
func tokenHazards() map[string]hazard {
	return map[string]hazard{
		"token endpoint: 401, a wrong secret": {
			early: true, slow: true, told: "poll unauthorized client_id",
			strike: onToken(emulator.Fault{Status: 401, Body: `{"error":"access_denied","error_description":"Unauthorized"}`, Header: asJSON}),
		},
		"token endpoint: 403": {
			early: true, slow: true, told: "poll unauthorized Client Credentials",
			strike: onToken(emulator.Fault{Status: 403, Body: `{"error":"unauthorized_client","error_description":"Grant type 'client_credentials' not allowed for the client."}`, Header: asJSON}),
		},
		"token endpoint: 404": {
			early: true, slow: true, told: "poll misconfigured Check domain",
			strike: onToken(emulator.Fault{Status: 404, Body: "<html>not here</html>"}),
		},
		"token endpoint: 429": {
			early: true, told: "poll throttled 429",
			strike: onToken(emulator.Fault{Status: 429, Body: `{"error":"too_many_requests","error_description":"Too many requests"}`, Header: asJSON}),
		},
		"token endpoint: 500": {early: true, told: "poll transient 500", strike: onToken(emulator.Fault{Status: 500, Body: "oops"})},
		"token endpoint: hangs": {
			early: true, told: "poll transient no whole answer within 30s",
			strike: onToken(emulator.Fault{Kind: emulator.FaultHang}),
		},
		"token endpoint: 200 with HTML": {
			early: true, told: "poll transient a proxy may stand between",
			strike: onToken(emulator.Fault{Status: 200, Body: "<html>sign in here</html>", Header: map[string]string{"Content-Type": "text/html"}}),
		},
		"token endpoint: 200 with nothing": {early: true, told: "poll transient no access token", strike: onToken(emulator.Fault{Status: 200})},
	}
}

// logsHazards are answers of Auth0's logs that the API is known to give, and
// those of a network in trouble.
func logsHazards() map[string]hazard {
	return map[string]hazard{
		"logs: 401": {
			slow: true, told: "poll unauthorized client_id",
			strike: onLogs(emulator.Fault{Status: 401, Body: `{"statusCode":401,"error":"Unauthorized","message":"Invalid token"}`, Header: asJSON}),
		},
		"logs: 403": {
			slow: true, told: "poll unauthorized read:logs",
			strike: onLogs(emulator.Fault{Status: 403, Body: `{"statusCode":403,"error":"Forbidden","message":"Insufficient scope","errorCode":"insufficient_scope"}`, Header: asJSON}),
		},
		"logs: 429 with headers": {
			told: "poll throttled 429",
			strike: onLogs(emulator.Fault{Status: 429, Body: `{"statusCode":429}`, Header: map[string]string{
				"X-Ratelimit-Limit": "50", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "30", "Retry-After": "30",
			}}),
		},
		"logs: 429 without headers": {told: "poll throttled 429", strike: onLogs(emulator.Fault{Status: 429})},
		"logs: 429 that asks for a day": {
			told: "poll throttled 429", within: 65 * time.Minute, // an hour is the most that is waited
			strike: onLogs(emulator.Fault{Status: 429, Header: map[string]string{"Retry-After": "86400"}}),
		},
		"logs: 429 with nonsense in its headers": {
			told: "poll throttled 429",
			strike: onLogs(emulator.Fault{Status: 429, Header: map[string]string{
				"X-Ratelimit-Limit": "many", "X-Ratelimit-Remaining": "-7", "X-Ratelimit-Reset": "99999999999999999999", "Retry-After": "soon",
			}}),
		},
		"logs: 400 on everything": {
			told:   "poll transient 400",
			strike: onLogs(emulator.Fault{Status: 400, Body: `{"statusCode":400,"error":"Bad Request","message":"no","errorCode":"invalid_query_string"}`, Header: asJSON}),
		},
		"logs: 400 on `from`": {told: "poll misconfigured start from the oldest event", slow: true, brings: true, strike: func(s *stage) { s.toAuth0.meddle(refuseFrom) }},
		"logs: 500":           {told: "poll transient 500", strike: onLogs(emulator.Fault{Status: 500, Body: `{"statusCode":500}`, Header: asJSON})},
		"logs: 503 with HTML": {told: "poll transient a proxy may stand between", strike: onLogs(emulator.Fault{Status: 503, Body: "<html>maintenance</html>"})},
		"logs: hang":          {told: "poll transient no whole answer within 30s", strike: onLogs(emulator.Fault{Kind: emulator.FaultHang})},
		"logs: slow":          {strike: onLogs(emulator.Fault{Kind: emulator.FaultDelay, Delay: 25 * time.Second})},
		"logs: slow body":     {told: "poll transient no whole answer within 30s", strike: func(s *stage) { s.toAuth0.meddle(trickle) }},
		"logs: cut off":       {told: "poll transient EOF", strike: onLogs(emulator.Fault{Kind: emulator.FaultCut})},
		"logs: cut body":      {told: "poll transient EOF", strike: onLogs(emulator.Fault{Kind: emulator.FaultTruncate})},
	}
}

// oddLogsHazards are answers of Auth0's logs that are none.
func oddLogsHazards() map[string]hazard {
	answer := func(status int, body string) func(*stage) {
		return onLogs(emulator.Fault{Status: status, Body: body, Header: asJSON})
	}
	change := func(f func(http.Header, []byte) []byte) func(*stage) {
		return func(s *stage) { s.toAuth0.meddle(rewriter{"/api/v2/logs", f}.pass) }
	}
	header := func(name, value string) func(http.Header, []byte) []byte {
		return func(h http.Header, body []byte) []byte {
			h.Set(name, value)
			return body
		}
	}
	clock := func(off time.Duration) func(http.Header, []byte) []byte {
		return func(h http.Header, body []byte) []byte {
			h.Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			return body
		}
	}
	return map[string]hazard{
		"logs: 200 with another content type": {told: "poll transient content type", strike: change(header("Content-Type", "text/html"))},
		"logs: 200 with nothing":              {told: "poll transient no list of events", strike: answer(200, "")},
		"logs: 200 with `null`":               {told: "poll transient no list of events", strike: answer(200, "null")},
		"logs: 200 with `{}`":                 {told: "poll transient no list of events", strike: answer(200, "{}")},
		"logs: 204":                           {told: "poll transient 204", strike: answer(204, "")},
		"logs: a redirect": {
			told:   "poll transient sends us elsewhere",
			strike: onLogs(emulator.Fault{Status: 302, Header: map[string]string{"Location": "https://elsewhere.example.com/login"}}),
		},
		"logs: broken gzip":        {told: "poll transient decompress", strike: change(header("Content-Encoding", "gzip"))},
		"logs: a body without end": {told: "poll transient larger than 64 MiB", lasts: time.Second, strike: func(s *stage) { s.toAuth0.meddle(flood) }},
		"logs: a page with no event": {strike: change(func(_ http.Header, body []byte) []byte {
			return bytes.Replace(body, []byte("{"), []byte(`{"log_id":},{`), 1)
		}), letters: 1},
		"logs: each page twice":       {strike: func(s *stage) { s.toAuth0.meddle(new(repeater).pass) }},
		"logs: `next` leads nowhere":  {strike: change(header("Link", `<https://elsewhere.example.com/api/v2/logs?from=90020991231235959999999999999999999999999999999999999999>; rel="next"`))},
		"logs: `next` leads back":     {strike: change(header("Link", `<https://dev.example.com/api/v2/logs?from=90020200101000000000000000000000000000000000000000000000>; rel="next"`))},
		"logs: clock five hours late": {strike: change(clock(-5 * time.Hour))},
		"logs: clock five hours fast": {strike: change(clock(5 * time.Hour))},
		"logs: no clock":              {strike: change(header("Date", "tomorrow"))},
		"logs: reset far in the past": {strike: change(header("X-Ratelimit-Reset", "1000000"))},
		"logs: nothing left, reset far in the future": {strike: change(func(h http.Header, body []byte) []byte {
			h.Set("X-Ratelimit-Limit", "50")
			h.Set("X-Ratelimit-Remaining", "0")
			h.Set("X-Ratelimit-Reset", "99999999999")
			return body
		})},
		"logs: an endless backlog": {lasts: 2 * time.Minute, within: time.Minute, strike: func(s *stage) {
			s.quit()
			s.live(s.t.Context(), s.t, 30) // pages more at each poll
		}},
	}
}

// refuseFrom answers requests by checkpoint as Auth0 does when it does not know
// the log_id; a search works.
func refuseFrom(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	if !r.URL.Query().Has("from") {
		return next.RoundTrip(r)
	}
	return reply(r, http.StatusBadRequest, `{"statusCode":400,"error":"Bad Request","message":"invalid from"}`), nil
}

// reply makes an answer.
func reply(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Request: r, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
}

// trickle lets a body come, a byte a second.
func trickle(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(r)
	if err == nil && r.URL.Path == "/api/v2/logs" {
		resp.Body = &slowBody{resp.Body, r}
	}
	return resp, err
}

type slowBody struct {
	io.ReadCloser

	r *http.Request
}

// Read implements io.Reader.
func (b *slowBody) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		return b.ReadCloser.Read(p[:1])
	case <-b.r.Context().Done():
		return 0, b.r.Context().Err()
	}
}

// flood answers with a list that never ends. Where more than one event is asked for
// its head says how long it is, which is told without reading it: gapless halves
// what it asks for, and each try would be 64 MiB.
func flood(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	if r.URL.Path != "/api/v2/logs" {
		return next.RoundTrip(r)
	}
	resp := reply(r, http.StatusOK, "")
	resp.ContentLength, resp.Body = -1, io.NopCloser(spaces{})
	if r.URL.Query().Get("take") != "1" {
		resp.ContentLength = 1 << 40
	}
	return resp, nil
}

// spaces is a body of spaces without end.
type spaces struct{}

// Read implements io.Reader.
func (spaces) Read(p []byte) (int, error) {
	return copy(p, blank), nil
}

// blank is what a body of spaces is made of; byte by byte it would take minutes
// under the race detector.
var blank = bytes.Repeat([]byte{' '}, 32<<10)

// A repeater answers every second request by checkpoint with the answer to the one
// before it.
type repeater struct {
	mu   sync.Mutex
	kept []byte
}

// pass passes a request on, or answers it.
func (p *repeater) pass(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.URL.Query().Has("from") {
		return next.RoundTrip(r)
	}
	if again := p.kept; again != nil {
		p.kept = nil
		return reply(r, http.StatusOK, string(again)), nil
	}
	resp, err := next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	if p.kept, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(p.kept))
	return resp, nil
}
