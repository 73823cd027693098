// Package app puts the parts together and runs them: the composition root.
//
//	           ┌───────────────────────── one per tenant ─────────────────────────┐
//	Auth0 API ─┤ source.Poll ─► pipeline.Ingest ─► store.Buffer ─► pipeline.Deliver ├─► CloudWatch Logs
//	           │  (auth0.Client)   transform.Route      │         (cloudwatch.Sink) │
//	           └────────────────────────────────────────┼──────────────────────────┘
//	                                             store.Store (one SQLite file)
//	                                                    │ figures
//	                                                web.Handler ─► listen
//
// The parts know only the contracts of package pipeline; here alone do the
// concrete ones meet. An App is made with New, started once with Start, asked
// for its address with Addr and ended with Stop; it neither catches signals nor
// ends the process, so that tests run the whole product.
//
// A tenant may have a source.Webhook too, or instead, which listenWebhook lets
// Auth0 reach.
//
// Reload takes another configuration while it runs, tenant by tenant: each has loops, a
// client and figures of its own, so that one can be replaced and the others not be
// touched. A rotation follows the secrets of each.
//
// It stops in the order in which nothing is lost or doubled: the listener of the
// webhook and the sources first, then delivery, once what is stored has gone out or the time is over, then the
// listener, and the store last.
package app
