// Package cloudwatch is the sink: it delivers batches of events to Amazon
// CloudWatch Logs with PutLogEvents.
//
//	Batch ─► prepare ─────────► split ───────► put ──────────────► answer ─► Receipt
//	         UTF-8, size,       parts that     gzip or plain,      rejected
//	         time window        satisfy every  missing group made, ranges
//	         (by policy)        limit          poison bisected
//
// What it guarantees: the message is the event's bytes (but for invalid UTF-8
// and events above 1 MiB, both reported in Receipt.Altered); the timestamp is
// the event's date (but for dates outside the window that CloudWatch accepts,
// which a policy moves or rejects); every published limit holds whatever batch
// it is given; one event that CloudWatch refuses never harms its neighbours.
//
// What it does not: PutLogEvents knows no idempotency token, so a call whose
// answer was lost may or may not have stored its events. Deliver returns an
// error then, as for a call that surely failed. It never sends a batch again on
// its own unless CloudWatch has answered that it did not take it.
//
// Sources of the numbers and of the behaviour are in limits.go.
package cloudwatch
