// Package webtest has a world for tests of the pages and for looking at them: tenants
// in various states, a journal with invented events, and dead letters that can be acted
// on. The same seed makes the same world. Nothing in it is of a real person or address:
// users are at example.com, addresses those reserved for documentation.
package webtest
