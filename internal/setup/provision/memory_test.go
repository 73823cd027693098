package provision_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/smithy-go"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// errRefused is what a memory answers when it is told to refuse.
var errRefused = errors.New("refused")

// A thing is what lies in a memory.
type thing struct {
	resource stack.Resource
	ours     bool
	events   bool
}

// A memory is a provider of log groups, streams, roles and queues that keeps them in a
// map.
type memory struct {
	things map[stack.ID]thing
	// refuse is asked before each change; nil refuses nothing.
	refuse func() bool
	// deaf says that changes are answered well, and not kept.
	deaf bool
	// unknown is a kind that the endpoint does not know; empty for none.
	unknown stack.Kind
	calls   []string
}

func newMemory() *memory { return &memory{things: map[stack.ID]thing{}} }

func (*memory) Kinds() []stack.Kind {
	return []stack.Kind{stack.KindLogGroup, stack.KindRole, stack.KindPolicy, stack.KindQueue, stack.KindAccessKey}
}

func (m *memory) Find(_ context.Context, want stack.Resource, v provision.Values) (provision.Found, error) {
	if want.ID().Kind == m.unknown {
		return provision.Found{}, &smithy.GenericAPIError{Code: "InvalidAction"}
	}
	t, there := m.things[want.ID()]
	if !there {
		return provision.Found{}, nil
	}
	v[stack.Ref(want.ID().Kind, want.ID().Name, "url")] = "url of " + want.ID().Name
	return provision.Found{Resource: t.resource, Ours: t.ours, HoldsEvents: t.events}, nil
}

func (m *memory) change(name string, id stack.ID, t thing) error {
	m.calls = append(m.calls, name+" "+id.String())
	if m.refuse != nil && m.refuse() {
		return errRefused
	}
	if !m.deaf {
		m.things[id] = t
	}
	return nil
}

func (m *memory) Make(_ context.Context, want stack.Resource, v provision.Values) error {
	v[stack.Ref(want.ID().Kind, want.ID().Name, "url")] = "url of " + want.ID().Name
	return m.change("make", want.ID(), thing{resource: filled(want, v), ours: true})
}

func (m *memory) Change(_ context.Context, want stack.Resource, have provision.Found, v provision.Values) error {
	return m.change("change", want.ID(), thing{resource: filled(want, v), ours: have.Ours, events: have.HoldsEvents})
}

func (m *memory) Remove(_ context.Context, have provision.Found) error {
	id := have.Resource.ID()
	m.calls = append(m.calls, "remove "+id.String())
	if m.refuse != nil && m.refuse() {
		return errRefused
	}
	delete(m.things, id)
	return nil
}

// filled is what a resource becomes when it is made.
func filled(r stack.Resource, v provision.Values) stack.Resource {
	fill := func(text string) string {
		out, _ := provision.Fill(text, v)
		return out
	}
	switch r := r.(type) {
	case *stack.Role:
		out := *r
		out.Trust, out.Tags = fill(r.Trust), maps.Clone(r.Tags)
		out.Policies = slices.Clone(r.Policies)
		for i := range out.Policies {
			out.Policies[i] = fill(out.Policies[i])
		}
		return &out
	case *stack.Policy:
		out := *r
		out.Document = fill(r.Document)
		return &out
	default:
		return r
	}
}

// noWait does not wait.
func noWait(context.Context, time.Duration) error { return nil }

// engine makes an engine over memory.
func engine(o provision.Options, providers ...provision.Provider) *provision.Engine {
	o.Wait = noWait
	e, err := provision.New(o, provision.Values{stack.Account: "123456789012", stack.Partition: "aws"}, providers...)
	if err != nil {
		panic(err) // only a test that gives a kind to two providers does this
	}
	return e
}
