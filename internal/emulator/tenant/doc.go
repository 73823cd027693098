// Package tenant emulates one Auth0 tenant: the part of its API that an exporter
// of logs, or a person who tries one, meets, and the traffic that fills its log.
//
//	Generator ──┐
//	/oauth/token├─► log ─► journal on disk (optional)
//	/api/v2/users│   │
//	Append ─────┘    └─► GET /api/v2/logs   by checkpoint (from, take) and by search (q, sort, page)
//	                     GET /api/v2/logs/{id}
//
// Pages are ordered by log_id, not by date; ids have the form of the real ones,
// ascend strictly, and several share the time in them. Rate limits, retention
// and error bodies follow Auth0's documents; a limit that is reached leaves its
// event in the log, as token requests and new users do. Faults strike by script
// (see the package emulator), and events can come late.
//
// What it does not do: people signing in, other parts of the Management API, and
// anything for which Auth0's behaviour is not known.
package tenant
