package provision

import (
	"context"
	"time"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A Progress tells of a step that changes something.
type Progress struct {
	Step Step
	// Done says that it is done; before that it has begun.
	Done bool
	// Skipped says that it was not needed any more, and Note why.
	Skipped bool
	Note    string
}

// An Outcome is what became of a plan.
type Outcome struct {
	// Done are the steps that were carried out.
	Done []Step
	// Unkept are steps that were carried out, and whose differences are there again:
	// the endpoint answers as if it had done what it was asked, and does not keep it.
	Unkept []Step
}

// settleWaits are the waits for changes to be seen by reads. IAM and CloudWatch Logs
// are eventually consistent, mostly within seconds.
func settleWaits() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}
}

// Apply carries out a plan, step by step, and stops at the first that fails. What was
// done stays, and a new plan goes on from there. Each step looks again before it
// changes anything, and leaves what has become somebody else's meanwhile. tell is told of each step; it may be nil. Errors are *StepError.
func (e *Engine) Apply(ctx context.Context, p Plan, tell func(Progress)) (Outcome, error) {
	if tell == nil {
		tell = func(Progress) {}
	}
	var out Outcome
	for _, s := range p.Steps {
		if !s.Changes() {
			continue
		}
		tell(Progress{Step: s})
		note, err := e.carryOut(ctx, s)
		if err != nil {
			return out, err
		}
		if note == "" {
			out.Done = append(out.Done, s)
		}
		tell(Progress{Step: s, Done: true, Skipped: note != "", Note: note})
	}
	var err error
	out.Unkept, err = e.unkept(ctx, out.Done)
	return out, err
}

// carryOut does one step. note says why there was nothing to do.
func (e *Engine) carryOut(ctx context.Context, s Step) (note string, err error) {
	r := s.Resource
	consider := e.consider
	if s.Action == ActionRemove {
		consider = e.considerRemoval
	}
	now, err := consider(ctx, r)
	if err != nil {
		return "", err
	}
	p, doing := e.providers[r.ID().Kind], "make"
	switch now.Action {
	case ActionKeep, ActionGone:
		return "it is as wanted already", nil
	case ActionForeign:
		return "it is somebody else's now", nil
	case ActionSkip:
		return now.Note, nil
	case ActionStuck:
		return "it can never be changed", nil
	case ActionCreate:
		err = p.Make(ctx, r, e.values)
	case ActionChange:
		if s.Action == ActionCreate && !now.Have.Ours {
			return "it is somebody else's now", nil
		}
		doing, err = "change", p.Change(ctx, r, now.Have, e.values)
	case ActionRemove:
		doing, err = "remove", p.Remove(ctx, now.Have)
	}
	if err != nil {
		return "", &StepError{ID: r.ID(), Doing: doing, Err: err}
	}
	return "", nil
}

// unkept looks at what was done until it can be seen, for a while, and returns what
// cannot.
func (e *Engine) unkept(ctx context.Context, done []Step) (left []Step, err error) {
	for i, waits := 0, settleWaits(); ; i++ {
		left = nil
		for _, s := range done {
			now, err := e.again(ctx, s)
			if err != nil {
				return nil, err
			}
			if now.Changes() {
				left = append(left, now)
			}
		}
		if len(left) == 0 || i == len(waits) {
			return left, nil
		}
		if err := e.options.Wait(ctx, waits[i]); err != nil {
			return nil, &StepError{ID: left[0].Resource.ID(), Doing: "look again for", Err: err}
		}
	}
}

// again considers a step that was carried out.
func (e *Engine) again(ctx context.Context, s Step) (Step, error) {
	if s.Action == ActionRemove {
		return e.considerRemoval(ctx, s.Resource)
	}
	return e.consider(ctx, s.Resource)
}

// A StepError says which resource a step was about, and what it was doing.
type StepError struct {
	ID stack.ID
	// Doing is a verb, such as "make".
	Doing string
	Err   error
}

// Error implements error.
func (e *StepError) Error() string { return e.Doing + " " + e.ID.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }
