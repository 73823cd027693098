package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// mark is the tag of what is ours.
func mark() map[string]string { return map[string]string{stack.ManagedBy: "gapless"} }

// small is a stack in which a later resource needs values of earlier ones.
func small() stack.Stack {
	return stack.Stack{Resources: []stack.Resource{
		&stack.LogGroup{Region: "eu-central-1", Name: "/auth0/dev", RetentionDays: 30, Class: "STANDARD", Tags: mark()},
		&stack.Queue{Region: "eu-central-1", Name: "gapless-dev", Tags: mark()},
		&stack.Policy{Name: "gapless", Document: `{"Resource":"` + stack.ARN("logs", "eu-central-1", "log-group:/auth0/dev:*") + `"}`, Tags: mark()},
		&stack.Role{Name: "gapless", Trust: `{"Url":"` + stack.Ref(stack.KindQueue, "gapless-dev", "url") + `"}`, Policies: []string{stack.PolicyARN("gapless")}, Tags: mark()},
	}}
}

// actions returns what a plan does with each resource.
func actions(p provision.Plan) (out []string) {
	for _, s := range p.Steps {
		out = append(out, string(s.Action)+" "+string(s.Resource.ID().Kind))
	}
	return out
}

// must plans.
func must(t *testing.T, e *provision.Engine, s stack.Stack) provision.Plan {
	t.Helper()
	p, err := e.Plan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNeedsWhatIsUnknown holds that what cannot be made without something that the
// endpoint does not know is left out with it, and all else made.
func TestNeedsWhatIsUnknown(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.unknown = stack.KindQueue
	e := engine(provision.Options{}, m)
	p := must(t, e, small())
	if d := cmp.Diff([]string{"create log group", "skip queue", "create policy", "skip role"}, actions(p)); d != "" {
		t.Error(d)
	}
	if want := "it needs the queue gapless-dev (eu-central-1), which the endpoint does not know"; p.Steps[3].Note != want {
		t.Errorf("note %q, want %q", p.Steps[3].Note, want)
	}
	if out, err := e.Apply(t.Context(), p, func(provision.Progress) {}); err != nil || len(out.Done) != 2 {
		t.Errorf("%v, %d done", err, len(out.Done))
	}
}

// TestLeftKeyIsTold holds that an access key of an earlier run_on is told of, and no
// other.
func TestLeftKeyIsTold(t *testing.T) {
	t.Parallel()
	key := &stack.AccessKey{User: "gapless"}
	for name, c := range map[string]struct {
		more  []stack.Resource
		there []thing
		told  int
	}{
		"left":             {there: []thing{{resource: key, ours: true}}, told: 1},
		"none":             {},
		"of others":        {there: []thing{{resource: key}}},
		"of another name":  {there: []thing{{resource: &stack.AccessKey{User: "other"}, ours: true}}},
		"wanted still":     {more: []stack.Resource{key}, there: []thing{{resource: key, ours: true}}},
		"of another setup": {more: []stack.Resource{&stack.Policy{Name: "second"}}, there: []thing{{resource: key, ours: true}}, told: 1},
	} {
		m := newMemory()
		for _, x := range c.there {
			m.things[x.resource.ID()] = x
		}
		s := small()
		s.Notes, s.Resources = []string{"a note"}, append(s.Resources, c.more...)
		p := must(t, engine(provision.Options{}, m), s)
		if len(p.Notes) != 1+c.told || c.told == 1 && !strings.HasPrefix(p.Notes[1], "The user gapless of an earlier setup.run_on is still there") {
			t.Errorf("%s: %q", name, p.Notes)
		}
	}
}

func TestPlanApplyPlan(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := engine(provision.Options{}, m)
	p := must(t, e, small())
	if d := cmp.Diff([]string{"create log group", "create queue", "create policy", "create role"}, actions(p)); d != "" {
		t.Error(d)
	}
	var told []string
	out, err := e.Apply(t.Context(), p, func(x provision.Progress) {
		told = append(told, fmt.Sprint(x.Step.Resource.ID().Kind, x.Done, x.Skipped))
	})
	if err != nil || len(out.Done) != 4 || len(out.Unkept) != 0 || len(told) != 8 {
		t.Fatalf("%v: %+v\n%v", err, out, told)
	}
	for name, e := range map[string]*provision.Engine{"the same engine": e, "another": engine(provision.Options{}, m)} {
		if p := must(t, e, small()); len(p.Pending()) != 0 || p.Count(provision.ActionKeep) != 4 {
			t.Errorf("%s: a second plan is %v", name, actions(p))
		}
	}
	if trust := m.things[small().Resources[3].ID()].resource.Attributes(); !slices.ContainsFunc(trust, func(a stack.Attribute) bool { return a.Value == `{"Url":"url of gapless-dev"}` }) {
		t.Errorf("the role was made with %v", trust)
	}
}

func TestDifferencesAreTold(t *testing.T) {
	t.Parallel()
	m := newMemory()
	group := &stack.LogGroup{Region: "eu-central-1", Name: "/auth0/dev", RetentionDays: 7, Class: "INFREQUENT_ACCESS", Tags: map[string]string{stack.ManagedBy: "gapless", "team": "other"}, Protected: true}
	m.things[group.ID()] = thing{resource: group, ours: true}
	e := engine(provision.Options{}, m)
	p := must(t, e, stack.Stack{Resources: small().Resources[:1]})
	want := []provision.Difference{
		{Path: "class", Have: "INFREQUENT_ACCESS", Want: "STANDARD", Fixed: true},
		{Path: "deletion_protection", Have: "true"},
		{Path: "retention_days", Have: "7", Want: "30"},
	}
	if d := cmp.Diff(want, p.Steps[0].Differences); d != "" || p.Steps[0].Action != provision.ActionChange {
		t.Errorf("%s:\n%s", p.Steps[0].Action, d)
	}
	if _, err := e.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	// What AWS never changes does not keep a plan from being empty.
	group.Class, group.RetentionDays, group.Protected = "INFREQUENT_ACCESS", 30, false
	m.things[group.ID()] = thing{resource: group, ours: true}
	if p := must(t, e, stack.Stack{Resources: small().Resources[:1]}); len(p.Pending()) != 0 || p.Steps[0].Action != provision.ActionStuck {
		t.Errorf("%v", actions(p))
	}
}

func TestForeignThingsAreLeft(t *testing.T) {
	t.Parallel()
	group := &stack.LogGroup{Region: "eu-central-1", Name: "/auth0/dev", RetentionDays: 7, Class: "STANDARD", Tags: map[string]string{"team": "other"}}
	role := &stack.Role{Name: "gapless", Trust: "{}"}
	for _, change := range []bool{false, true} {
		m := newMemory()
		m.things[group.ID()], m.things[role.ID()] = thing{resource: group}, thing{resource: role}
		e := engine(provision.Options{ChangeExisting: change}, m)
		p := must(t, e, small())
		want := []string{"leave log group", "create queue", "create policy", "leave role"}
		if change {
			want[0] = "change log group"
		}
		if d := cmp.Diff(want, actions(p)); d != "" {
			t.Errorf("existing groups changed %v:\n%s", change, d)
		}
		if _, err := e.Apply(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
		if m.things[group.ID()].ours || m.things[role.ID()].resource != stack.Resource(role) {
			t.Error("something of others was taken over or changed")
		}
		if p := must(t, e, small()); len(p.Pending()) != 0 {
			t.Errorf("a second plan is %v", actions(p))
		}
		removal, err := e.PlanRemoval(t.Context(), small())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"leave role", "remove policy", "remove queue", "leave log group"}, actions(removal)); d != "" {
			t.Error(d)
		}
	}
}

func TestApplyStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	m := newMemory()
	n := 0
	m.refuse = func() bool { n++; return n == 3 }
	e := engine(provision.Options{}, m)
	out, err := e.Apply(t.Context(), must(t, e, small()), nil)
	if !errors.Is(err, errRefused) || !strings.HasPrefix(err.Error(), "make policy gapless: ") || len(out.Done) != 2 {
		t.Fatalf("%v: %+v", err, out)
	}
	if step, ok := errors.AsType[*provision.StepError](err); !ok || step.ID.Kind != stack.KindPolicy {
		t.Errorf("%#v", err)
	}
	p := must(t, e, small())
	if d := cmp.Diff([]string{"keep log group", "keep queue", "create policy", "create role"}, actions(p)); d != "" {
		t.Error(d)
	}
	if _, err := e.Apply(t.Context(), p, nil); err != nil {
		t.Error(err)
	}
}

func TestUnkeptIsTold(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.deaf = true
	e := engine(provision.Options{}, m)
	out, err := e.Apply(t.Context(), must(t, e, small()), nil)
	if err != nil || len(out.Unkept) != 4 || len(m.calls) != 4 {
		t.Errorf("%v: unkept %d, calls %v", err, len(out.Unkept), m.calls)
	}
}

func TestEventsAreDeletedWhenSaidSo(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "leave log group", "/auth0/other": "leave log group", "/auth0/dev": "remove log group"} {
		m := newMemory()
		e := engine(provision.Options{DeleteEventsOf: []string{name}}, m)
		if _, err := e.Apply(t.Context(), must(t, e, small()), nil); err != nil {
			t.Fatal(err)
		}
		id := small().Resources[0].ID()
		group := m.things[id]
		group.events = true
		m.things[id] = group
		p, err := e.PlanRemoval(t.Context(), small())
		if err != nil {
			t.Fatal(err)
		}
		if got := actions(p)[3]; got != want {
			t.Errorf("%q: %s", name, got)
		}
		if _, err := e.Apply(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
		if _, there := m.things[id]; there != (want == "leave log group") || len(m.things) > 1 {
			t.Errorf("%q: left are %v", name, m.things)
		}
	}
}

// TestEventsThatComeMeanwhileAreKept has events arrive between the plan and its
// carrying out.
func TestEventsThatComeMeanwhileAreKept(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := engine(provision.Options{}, m)
	s := stack.Stack{Resources: small().Resources[:1]}
	if _, err := e.Apply(t.Context(), must(t, e, s), nil); err != nil {
		t.Fatal(err)
	}
	p, err := e.PlanRemoval(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	id := s.Resources[0].ID()
	group := m.things[id]
	group.events = true
	m.things[id] = group
	if _, err := e.Apply(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	if _, there := m.things[id]; !there {
		t.Error("a log group with events was deleted by a plan from before them")
	}
}

func TestEngineRefuses(t *testing.T) {
	t.Parallel()
	if _, err := provision.New(provision.Options{}, nil, newMemory(), newMemory()); err == nil {
		t.Error("two providers of a kind are taken")
	}
	e := engine(provision.Options{})
	if _, err := e.Plan(t.Context(), small()); err == nil || !strings.Contains(err.Error(), "no provider") {
		t.Errorf("a kind without provider: %v", err)
	}
}

// TestWhateverHappensApplyGetsThere interleaves applies of which steps fail with
// changes by others. When the faults end, an apply leads to an empty plan, and a
// removal leaves what is foreign, as it was, and nothing else.
func TestWhateverHappensApplyGetsThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemory()
		foreign := map[stack.ID]thing{}
		all := small()
		for _, r := range all.Resources {
			if rapid.IntRange(0, 3).Draw(rt, "foreign") == 0 {
				bare := alike(r, rapid.Bool().Draw(rt, "like it"))
				foreign[r.ID()] = thing{resource: bare}
				m.things[r.ID()] = foreign[r.ID()]
			}
		}
		for range rapid.IntRange(0, 6).Draw(rt, "rounds") {
			m.refuse = func() bool { return rapid.IntRange(0, 2).Draw(rt, "refused") == 0 }
			e := engine(provision.Options{}, m)
			p, err := e.Plan(t.Context(), all)
			if err != nil {
				rt.Fatal(err)
			}
			disturb(rt, m, foreign, all)
			if rapid.IntRange(0, 4).Draw(rt, "removal") == 0 {
				if p, err = e.PlanRemoval(t.Context(), all); err != nil {
					rt.Fatal(err)
				}
			}
			_, _ = e.Apply(t.Context(), p, nil) // refusals are what this is about
		}
		m.refuse = nil
		e := engine(provision.Options{}, m)
		p, err := e.Plan(t.Context(), all)
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := e.Apply(t.Context(), p, nil); err != nil {
			rt.Fatal(err)
		}
		if p, err = e.Plan(t.Context(), all); err != nil || len(p.Pending()) != 0 {
			rt.Fatalf("after an apply without faults: %v, %v", err, actions(p))
		}
		if p, err = e.PlanRemoval(t.Context(), all); err != nil {
			rt.Fatal(err)
		}
		if _, err := e.Apply(t.Context(), p, nil); err != nil {
			rt.Fatal(err)
		}
		if len(m.things) != len(foreign) {
			rt.Fatalf("left are %v, foreign were %v", m.things, foreign)
		}
		for id, f := range foreign {
			if m.things[id].resource != f.resource {
				rt.Fatalf("%s of others was changed", id)
			}
		}
	})
}

// alike returns what somebody else made under the name of a resource.
func alike(r stack.Resource, same bool) stack.Resource {
	switch r := r.(type) {
	case *stack.LogGroup:
		out := *r
		out.Tags = nil
		if !same {
			out.RetentionDays = 1
		}
		return &out
	case *stack.Queue:
		return &stack.Queue{Region: r.Region, Name: r.Name}
	case *stack.Policy:
		return &stack.Policy{Name: r.Name, Document: "{}"}
	default:
		return &stack.Role{Name: r.ID().Name, Trust: "{}"}
	}
}

// disturb does what others do: they delete ours, change ours, or make theirs where
// nothing is.
func disturb(rt *rapid.T, m *memory, foreign map[stack.ID]thing, all stack.Stack) {
	r := rapid.SampledFrom(all.Resources).Draw(rt, "disturbed")
	t, there := m.things[r.ID()]
	switch rapid.IntRange(0, 2).Draw(rt, "disturbance") {
	case 0:
		if there && t.ours {
			delete(m.things, r.ID())
		}
	case 1:
		if there && t.ours {
			m.things[r.ID()] = thing{resource: alike(r, false), ours: true}
		}
	default:
		if !there {
			foreign[r.ID()] = thing{resource: alike(r, false)}
			m.things[r.ID()] = foreign[r.ID()]
		}
	}
}
