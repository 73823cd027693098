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
// What it guarantees: every event behind the start that Auth0 serves is handed
// to emit at least once, and the cursor never passes one that was not. What it
// does not: exactly once. Pages repeat after a fault; the buffer drops what it
// knows.
package source
