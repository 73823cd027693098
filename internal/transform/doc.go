// Package transform holds what happens to an event between a source and the
// buffer (the filter that says whether it goes on, redaction, which takes out of it
// what must not be kept, and the route that gives it its destination) and what
// happens to it between the buffer and the sink, the shape of its message.
//
// Everything here is pure, but for the bound of Routes: the same event gives the same
// answer, so that an event that is fetched twice is treated alike.
package transform
