// Package event holds what the whole program carries: a log event of an Auth0
// tenant, the page in which a source hands events over, the cursor behind it,
// and the catalogue of Auth0's event types.
//
// An event is its bytes. Parse finds log_id, date and type in them and changes
// nothing: no decoding into maps, no re-encoding, so numbers, key order and
// spacing reach CloudWatch as Auth0 sent them. Nothing is expected of an event
// but that it is JSON; facts that are missing get a stated fall-back.
//
// The package is the leaf of the import graph: it imports no other package of
// gapless.
package event
