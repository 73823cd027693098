package pipeline

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Class says what to do about an error.
type Class uint8

// The classes of errors.
const (
	// Transient faults pass by themselves: try again, soon at first.
	Transient Class = iota
	// Throttled calls were refused for their number: wait as the server asked.
	Throttled
	// Unauthorized calls need a person to change a permission or a key: keep
	// everything, raise an alert, try again slowly.
	Unauthorized
	// Misconfigured says that the configuration can never work: at the start
	// it stops the program, later it is treated as Unauthorized.
	Misconfigured
)

// String returns the name used in metrics and logs.
func (c Class) String() string {
	switch c {
	case Throttled:
		return "throttled"
	case Unauthorized:
		return "unauthorized"
	case Misconfigured:
		return "misconfigured"
	default:
		return "transient"
	}
}

// ErrBufferFull says that the buffer has reached max_buffer_bytes: sources wait
// until delivery has made room.
var ErrBufferFull = errors.New("the buffer is full")

// An Error is an error with what to do about it. Neither part may hold a secret
// or the body of an event.
type Error struct {
	// Op says what was tried, verb first: "fetch logs".
	Op string
	// Class tells the program what to do.
	Class Class
	// RetryAfter is the wait that the server asked for; zero when it did not.
	RetryAfter time.Duration
	// OutcomeUnknown says that what was tried may have been done nevertheless.
	OutcomeUnknown bool
	// Hint tells a person what to do, as a sentence; may be empty.
	Hint string
	// Err is the cause.
	Err error
}

// Error returns the operation and its cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Err != nil {
		if e.Op != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Classify returns what to do about any error. One that no part has classified
// is transient: nothing is ever given up because it was not understood.
func Classify(err error) Error {
	var out Error
	if e, ok := errors.AsType[*Error](err); ok {
		out = *e
	}
	if errors.Is(err, ErrBufferFull) {
		out.Class = Throttled
	}
	out.Op, out.Err = "", err // its text begins with the operation
	return out
}

// Stopped reports whether err only says that ctx has ended.
func Stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}
