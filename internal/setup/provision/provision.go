// Package provision compares a stack with what is there, makes what is missing,
// changes what differs, and takes away what it made.
//
// It keeps no record of its own: what is there is asked for each time, and what it
// made bears the tag stack.ManagedBy, or where nothing can bear tags the name that the
// stack gives it.
package provision

import (
	"context"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// Found is what is there in the place of a resource of a stack.
type Found struct {
	// Resource is what is there, of the type that the stack has, with the properties
	// that the stack speaks of. nil when there is nothing.
	Resource stack.Resource
	// Ours says that gapless made it, and so may take it away.
	Ours bool
	// Note is what a person should know of it before it is taken away or changed, such
	// as that it holds events; empty for nothing.
	Note string
	// HoldsEvents says that events would be lost with it.
	HoldsEvents bool
}

// Values are what resources are given when they are made, by their tokens
// (stack.Ref, stack.Account and stack.Partition).
type Values map[string]string

// A Provider reads and changes the resources of some kinds. Every call is bounded in
// time by its context, and every change may be made again: what is as wanted already
// is no error. Errors name the permission that was missing, where one was.
type Provider interface {
	// Kinds are those that it knows.
	Kinds() []stack.Kind
	// Find returns what is there. It adds the values of the resource to v when it is
	// there, and changes nothing.
	Find(ctx context.Context, want stack.Resource, v Values) (Found, error)
	// Make makes what is missing, and adds its values to v.
	Make(ctx context.Context, want stack.Resource, v Values) error
	// Change makes what is there, which Find has returned, as it is wanted.
	Change(ctx context.Context, want stack.Resource, have Found, v Values) error
	// Remove takes away what Find has returned. What is gone already is no error.
	Remove(ctx context.Context, have Found) error
}

// An Inspector is a Provider that can look closer at what it has found before that is
// removed: whether it holds events, and whether it goes by itself.
type Inspector interface {
	Inspect(ctx context.Context, have Found) (Found, error)
}
