// Package verify holds what Auth0 keeps of a span of time against what lies in the
// destinations, and names each log_id that is not as it should be.
//
// Both sides are streamed. Of each event a record of some hundred bytes is kept, not
// the event; records are sorted by destination and log_id, in memory as far as it
// goes and on disk beyond that, and read side by side:
//
//	Auth0 ──────► held  ─┐
//	destination ► found ─┼─► sorted runs on disk ─► merge ─► join by log_id ─► findings
//	store ──────► known ─┘                                      │
//	                 ▲                                          ▼
//	                 └───── wait, look again ◄────── what seems to be missing
//
// What seems to be missing is never named at once: reads of CloudWatch Logs lag
// behind writes, and the exporter may be at work. See Run.
package verify
