// Package transform holds what happens to an event between a source and the
<<<<<<< HEAD
// buffer, the filter that says whether it goes on and the route that gives it its
// destination, and what happens to it between the buffer and the sink, the shape of
// its message.
=======
// buffer: redaction, which takes out of it what must not be kept, and the route
// that gives it its destination.
>>>>>>> 8d364c7 (Redact a tenant's events before they touch the disk)
//
// Everything here is pure, but for the bound of Routes: the same event gives the same
// answer, so that an event that is fetched twice is treated alike.
package transform
