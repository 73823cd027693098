// Package source holds the ways in which the events of a tenant reach gapless,
// each a pipeline.Source.
//
// Poll reads Auth0's Management API by checkpoint, in the order of log_id, which
// is the one way that Auth0 promises to be complete. It reads ahead of the disk
// while there is a backlog and never moves past a page that is not stored:
//
//	begin ─► seed ──────────► follow ──────────────┐ page ─► emit ─► next page
//	  │      find the oldest,  ▲  empty: caught up │ wait, now and then re-read
//	  │      join by log_id    │◄──────────────────┘ the last seconds
//	  │                        │
//	  └── stored cursor ───────┘     refused cursor ─► record the gap ─► seed
//
// Webhook is pushed to by a log stream. While its Run is under way requests are
// taken, many at the same time, each of which is answered when its pages are on
// disk:
//
//	POST ─► method, network, token ─► gate ─► slot ─► gzip? form? ─► page ─► emit ─► … ─► 200
//	         405     403      401      503     503     413 415 408      └─ failed: Run ends, 503
//
// SQS reads a queue, which tenants may share: receivers that ask for messages, hand
// what is in them to the tenants, and delete them once it is on disk:
//
//	receive ─► sort by tenant ─► emit of each ─► delete
//	   ▲                            │ fails: that tenant's Run ends and tells it;
//	   └── what is in hand, first ◄─┘ the messages stay in hand, invisible to others
//
// What Poll guarantees: every event behind the start that Auth0 serves is handed
// to emit at least once, and the cursor never passes one that was not. What it
// does not: exactly once. Pages repeat after a fault; the buffer drops what it
// knows.
package source
