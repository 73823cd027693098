// Package auth0 is a client of the part of Auth0's Management API that gapless
// needs: an access token for an application, the tenant's log by checkpoint and
// by search. A Manager makes what has to be in the tenant for that: applications,
// grants and log streams.
//
//	Logs, Search ─► token (kept, renewed on 401) ─► rate limit ─► GET /api/v2/logs
//	                   │                               ▲                │
//	                   ▼                               └── headers ─────┤
//	            POST /oauth/token                                       ▼
//	                                              Answer, or *Error with its Kind
//
// The client hands out events as the bytes that Auth0 sent. An answer that is no
// JSON list of events, or is cut off, is an error, never an empty page, so a
// proxy's error page cannot be taken for the end of the log. One broken record
// within a list harms none of its neighbours.
//
// The rate limit belongs to the customer's other software too: the client leaves
// it the part that Config.RateShare does not claim, and waits as the headers say.
// Apart from one renewal of the token it repeats nothing: the caller decides, by
// the Kind of the error, what to try again and when.
//
// Neither secrets nor tokens nor bodies of events appear in errors or log lines,
// even where an answer quotes them, and credentials are sent to the configured
// host alone.
package auth0
