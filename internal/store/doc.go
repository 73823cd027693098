// Package store keeps a tenant's events on disk between the source and the sink,
// with everything that must survive a restart: cursors, dead letters, gaps,
// counts, conditions and small settings. All tenants of a process share one
// SQLite file, gapless.db, in the data directory.
//
//	Append, Settle, Save … ──► writer: one goroutine, ──► gapless.db (WAL, flushed)
//	of all tenants              one transaction for          │
//	                            all that is waiting          │ only what does not
//	                                 │ after the commit      │ fit into memory
//	                                 ▼                       ▼
//	Next ◄────────────────── window of the oldest events of each destination
//
// What it guarantees: Append and Settle return nil only after a flush to disk;
// each is done completely or not at all, whatever happens to its neighbours in
// the same commit; a log_id is stored once within the dedup window and as long
// as its event is in the buffer; an event is leased to one caller of Next at a
// time; an event leaves the buffer only by a receipt, and a dead letter only by a
// person's word. After a crash every event that was not settled is offered again,
// those that were leased with a Doubt.
//
// What it does not: tell whether a batch in doubt has arrived. That is for the
// sink to look up.
//
// One process at a time writes to a data directory; a lock file says which.
// Others may read beside it with OpenReadOnly.
package store
