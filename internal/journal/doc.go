// Package journal remembers what passed lately, to look at: the events with what became
// of them, the deliveries and the runs of the sources. It is a file of its own beside the
// store, so that nothing that happens to it can harm the export; see ADR 31.
//
// What the delivery loops tell is queued and written by one goroutine. Events of a
// tenant and sink that were settled about the same time lie in a block: a row whose
// columns tell the range of the dates, the types, the names that occur, and counts, so
// that a search reads few blocks; behind them the facts of each event, and the bytes of
// the events apart. Small blocks are merged, so that a quiet tenant has not thousands.
//
// Three places hold events: the buffer of the store those that wait, the queue those
// whose outcome is known and not written yet, the file the others. An event moves in
// this order, and a search looks in this order, so that it misses none on its way.
package journal
