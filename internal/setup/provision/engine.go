package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// Options are what a person decides about plans.
type Options struct {
	// ChangeExisting lets log groups that others made be given what is configured.
	ChangeExisting bool
	// Emulated says that AWS is an endpoint of somebody else's, which may not know
	// everything: what it does not know is left out, and the plan says so.
	Emulated bool
	// DeleteEventsOf are names of log groups that may be removed with their events.
	DeleteEventsOf []string
	// Wait waits for a time, or returns an error when ctx ends before; nil waits by the
	// clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// An Engine makes plans and carries them out. It is not for concurrent use; two
// processes may have one each.
type Engine struct {
	options   Options
	providers map[stack.Kind]Provider
	values    Values
}

// errNoProvider says that nobody knows a kind.
var errNoProvider = errors.New("no provider knows it")

// New makes an engine. values are what is known before, such as stack.Account; they
// are not kept. No two providers may know the same kind.
func New(o Options, values Values, providers ...Provider) (*Engine, error) {
	e := &Engine{options: o, providers: map[stack.Kind]Provider{}, values: maps.Clone(values)}
	if e.values == nil {
		e.values = Values{}
	}
	if e.options.Wait == nil {
		e.options.Wait = wait
	}
	for _, p := range providers {
		for _, k := range p.Kinds() {
			if e.providers[k] != nil {
				return nil, fmt.Errorf("make engine: two providers know %s", k)
			}
			e.providers[k] = p
		}
	}
	return e, nil
}

// wait waits by the clock.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", context.Cause(ctx))
	case <-t.C:
		return nil
	}
}

// Plan says what is to be done so that everything of a stack is there. It changes
// nothing. Its errors are *StepError.
func (e *Engine) Plan(ctx context.Context, s stack.Stack) (Plan, error) {
	p := Plan{Notes: s.Notes}
	for _, r := range s.Resources {
		step, err := e.consider(ctx, r)
		if err != nil {
			return Plan{}, err
		}
		if n := slices.IndexFunc(p.Steps, func(x Step) bool { return x.Action == ActionSkip && needs(r, x.Resource) }); n >= 0 && step.Changes() {
			step = Step{Action: ActionSkip, Resource: r, Note: fmt.Sprintf("it needs the %s, which the endpoint does not know", p.Steps[n].Resource.ID())}
		}
		p.Steps = append(p.Steps, step)
	}
	p.Notes = append(slices.Clone(p.Notes), e.leftKeys(ctx, s)...)
	return p, nil
}

// leftKeys notes access keys that were made for a stack before, and are not of it now.
// Who may not look for them is told nothing.
func (e *Engine) leftKeys(ctx context.Context, s stack.Stack) (notes []string) {
	for _, policy := range stack.Of[*stack.Policy](s) { // the user has its name
		key := &stack.AccessKey{User: policy.Name}
		if slices.ContainsFunc(s.Resources, func(r stack.Resource) bool { return r.ID() == key.ID() }) {
			continue
		}
		if _, have, err := e.find(ctx, key); err == nil && have.Resource != nil && have.Ours {
			notes = append(notes, fmt.Sprintf("The user %s of an earlier setup.run_on is still there with its access key %s, which never expires. "+
				"When nothing uses it any more: aws iam delete-access-key --user-name %s --access-key-id %s", key.User, have.Note, key.User, have.Note))
		}
	}
	return notes
}

// PlanRemoval says what is to be done so that nothing of a stack is there that this
// program has made. It changes nothing. Its errors are *StepError.
func (e *Engine) PlanRemoval(ctx context.Context, s stack.Stack) (Plan, error) {
	var p Plan
	for _, r := range s.Resources { // first what the names of others hold, such as the source of a log stream
		if !referred(r, s) {
			continue
		}
		if _, _, err := e.find(ctx, r); err != nil && !unsupported(err, e.options.Emulated) {
			return Plan{}, err
		}
	}
	for _, r := range slices.Backward(s.Resources) {
		step, err := e.considerRemoval(ctx, r)
		if err != nil {
			return Plan{}, err
		}
		p.Steps = append(p.Steps, step)
	}
	return p, nil
}

// referred reports whether another resource of a stack has a value of this one in its
// name.
func referred(r stack.Resource, s stack.Stack) bool {
	begin := valueOf(r)
	return slices.ContainsFunc(s.Resources, func(other stack.Resource) bool {
		name := other.ID().Name
		if rule, ok := other.(*stack.Rule); ok {
			name = rule.Bus
		}
		return strings.Contains(name, begin)
	})
}

// valueOf returns how the tokens of a resource's values begin.
func valueOf(r stack.Resource) string {
	return strings.TrimSuffix(stack.Ref(r.ID().Kind, r.ID().Name, ""), "}}")
}

// needs reports whether a resource is made with a value of another.
func needs(r, other stack.Resource) bool {
	begin := valueOf(other)
	return slices.ContainsFunc(r.Attributes(), func(a stack.Attribute) bool { return strings.Contains(a.Value, begin) })
}

// find asks the provider of a resource.
func (e *Engine) find(ctx context.Context, r stack.Resource) (Provider, Found, error) {
	p := e.providers[r.ID().Kind]
	if p == nil {
		return nil, Found{}, &StepError{ID: r.ID(), Doing: "look for", Err: errNoProvider}
	}
	have, err := p.Find(ctx, r, e.values)
	if err != nil {
		return nil, Found{}, &StepError{ID: r.ID(), Doing: "look for", Err: err}
	}
	return p, have, nil
}

// skip returns the step for a resource that an endpoint does not know; false when an
// error is another one.
func (e *Engine) skip(r stack.Resource, err error) (Step, bool) {
	if !unsupported(err, e.options.Emulated) {
		return Step{}, false
	}
	return Step{Action: ActionSkip, Resource: r, Note: "the endpoint does not know it"}, true
}

// consider says what is to be done about a resource.
func (e *Engine) consider(ctx context.Context, r stack.Resource) (Step, error) {
	_, have, err := e.find(ctx, r)
	if s, skipped := e.skip(r, err); skipped {
		return s, nil
	}
	if err != nil {
		return Step{}, err
	}
	s := Step{Resource: r, Have: have, Note: have.Note, Differences: differences(r, have.Resource, e.values)}
	if have.Resource != nil && !have.Ours { // it is not to be marked as ours
		s.Differences = slices.DeleteFunc(s.Differences, func(d Difference) bool { return d.Path == "tags."+stack.ManagedBy })
	}
	mayChange := slices.ContainsFunc(s.Differences, func(d Difference) bool { return !d.Fixed })
	switch {
	case have.Resource == nil:
		s.Action = ActionCreate
	case len(s.Differences) == 0:
		s.Action = ActionKeep
	case !have.Ours && !e.changesForeign(r):
		s.Action = ActionForeign
	case !mayChange:
		s.Action = ActionStuck
	default:
		s.Action = ActionChange
	}
	return s, nil
}

// changesForeign reports whether what others made of a kind is changed.
func (e *Engine) changesForeign(r stack.Resource) bool {
	kind := r.ID().Kind
	return e.options.ChangeExisting && (kind == stack.KindLogGroup || kind == stack.KindIndexPolicy)
}

// considerRemoval says whether a resource is to be removed.
func (e *Engine) considerRemoval(ctx context.Context, r stack.Resource) (Step, error) {
	p, have, err := e.find(ctx, r)
	if s, skipped := e.skip(r, err); skipped {
		return s, nil
	}
	if err != nil {
		return Step{}, err
	}
	if i, ok := p.(Inspector); ok && have.Resource != nil {
		if have, err = i.Inspect(ctx, have); err != nil {
			return Step{}, &StepError{ID: r.ID(), Doing: "look into", Err: err}
		}
	}
	s := Step{Resource: r, Have: have, Note: have.Note}
	switch {
	case have.Resource == nil:
		s.Action = ActionGone
	case !have.Ours:
		s.Action = ActionForeign
		if s.Note == "" {
			s.Note = "gapless did not make it"
		}
	case have.HoldsEvents && !slices.Contains(e.options.DeleteEventsOf, groupOf(r)):
		s.Action = ActionForeign
		s.Note = "it holds events, or that cannot be seen"
	default:
		s.Action = ActionRemove
	}
	return s, nil
}

// groupOf returns the name of the log group that the events of a resource lie in.
func groupOf(r stack.Resource) string {
	switch r := r.(type) {
	case *stack.LogGroup:
		return r.Name
	case *stack.LogStream:
		return r.Group
	default:
		return ""
	}
}
