// Package web is what gapless shows over HTTP: the pages for a person, the same as
// JSON, and the endpoints that machines ask.
//
//	/                          every tenant at a glance
//	/tenants/{name}            one tenant in full
//	/events, /activity         what passed lately; /events/{tenant}/{log_id} is one event
//	/api/v1/...                the same figures as JSON, and the stream of a page, see live.go
//	/static/...                style sheet and scripts
//	/healthz                   200 while the process works at all (restart it otherwise)
//	/readyz                    200 while every tenant is exported, 503 with the reasons
//	/metrics                   Prometheus text format
//
// The pages are drawn here, in Go, from templates in templates/ and words in i18n/; the
// scripts in static/ only refresh, sort out times and answer the pointer, and every page
// works without them. Nothing is loaded from elsewhere.
//
// A page is a builder, which makes a content out of a request, registered by
// handler.page with what it shows: figures, which Options.Closed leaves open, or
// events and operations, which it closes. A template in templates/pages defines
// "content", and "live" for the part of it that the stream renews. Both get a frame,
// whose Data is what the builder made. Who asks is access.From(r.Context()).
package web
