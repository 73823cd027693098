// Package web is what gapless shows over HTTP: one page with the state of each
// tenant, the same as JSON, and the endpoints that machines ask.
//
//	/                the page, for a person
//	/api/v1/status   the same figures as JSON
//	/healthz         200 while the process works at all (restart it otherwise)
//	/readyz          200 while every tenant is exported, 503 with the reasons
//	/metrics         Prometheus text format
//
// Nothing here shows an event or a secret, so none of it asks for a login; it
// listens on loopback unless told otherwise.
package web
