// Package tenant emulates one Auth0 tenant: the part of its API that an exporter
// of logs, or a person who tries one, meets, and the traffic that fills its log.
//
//	Generator ──┐
//	/oauth/token├─► log ─► journal on disk (optional)
//	/api/v2/users│   │
//	Append ─────┘    ├─► GET /api/v2/logs   by checkpoint (from, take) and by search (q, sort, page)
//	                 │   GET /api/v2/logs/{id}
//	                 └─► log streams, made by POST /api/v2/log-streams: requests to a webhook, or events for EventBridge
//
// Pages are ordered by log_id, not by date; ids have the form of the real ones,
// ascend strictly, and several share the time in them. Rate limits, retention
// and error bodies follow Auth0's documents; a limit that is reached leaves its
// event in the log, as token requests and new users do. Faults strike by script
// (see the package emulator), and events can come late.
//
// A log stream pushes what enters the log as Auth0 documents it: at least once,
// with three tries that begin again after a rest, until seven days of failure
// suspend it; what it could not push waits for as long as the retention. It starts
// in the past with startFrom. PushFaults make it repeat events, leave some out,
// change their order, come in bursts, slowly, and with bad bodies; Stats counts
// each of them. How large Auth0's requests are, how long it waits and what it
// takes for success is not known: StreamOptions has our figures, and 2xx is
// success.
//
// Applications, their credentials and their grants on the Management API are made at
// /api/v2/clients and /api/v2/client-grants, and an application gets tokens with what
// it was granted and no more. Where a recorded answer or the documents do not tell
// how Auth0 refuses a call on them, the text is ours.
//
// What it does not do: the six types of log streams for other products, people signing in, other APIs and other parts of the
// Management API, and anything for which Auth0's behaviour is not known.
package tenant
