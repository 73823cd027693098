// Package transform holds what happens to an event between a source and the
// buffer: the route that gives each event its destination.
//
// Everything here is pure: the same event gives the same answer, so that an
// event that is fetched twice is treated alike.
package transform
