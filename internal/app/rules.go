package app

import (
	"context"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// Rules are what a tenant's configuration does to its events, for somebody who tries
// it: they send, keep and count nothing. They are safe for concurrent use.
type Rules struct {
	tenant   config.Tenant
	filter   *transform.Filter
	redactor *transform.Redactor // nil when nothing is redacted
	routes   *transform.Routes
	shape    pipeline.Shape // nil for messages as they are
}

// RedactChange is one place of an event, before and after redaction.
type RedactChange = transform.RedactChange

// RedactSpan is a piece of a RedactChange.
type RedactSpan = transform.RedactSpan

// An Explanation says what a filter does with an event, and why.
type Explanation = transform.Explanation

// NewFilterRules compiles the filter of a tenant, which needs no secret, and nothing
// else: what redacts, routes and shapes is left out.
func NewFilterRules(t config.Tenant) (*Rules, error) {
	filter, err := transform.NewFilter(filterRules(t.Filter), nil)
	if err != nil {
		return nil, misconfigured("read the filter", err)
	}
	return &Rules{tenant: t, filter: filter}, nil
}

// NewRules compiles all rules of a tenant. Of its secrets it resolves the key of
// redaction alone.
func NewRules(ctx context.Context, t config.Tenant, secrets config.Resolver) (*Rules, error) {
	r, err := NewFilterRules(t)
	if err != nil {
		return nil, err
	}
	if !t.Redact.IsZero() {
		key, err := t.Redact.Key.Resolve(ctx, secrets)
		if err != nil {
			return nil, misconfigured("read redact.key", err)
		}
		if r.redactor, err = transform.NewRedactor(redactConfig(t.Redact, key)); err != nil {
			return nil, misconfigured("read the rules of redact", err)
		}
	}
	if r.routes, err = transform.NewRoutes(t.Name, t.CloudWatch.LogGroup, t.CloudWatch.LogStream, t.CloudWatch.MaxStreams); err != nil {
		return nil, misconfigured("read the destination", err)
	}
	if r.shape, _, err = transform.NewShape(t.Name, t.CloudWatch.Fields, t.CloudWatch.Copy); err != nil {
		return nil, misconfigured("read the shape of messages", err)
	}
	return r, nil
}

// Filters reports whether the tenant has a filter, Redacts whether anything is
// redacted.
func (r *Rules) Filters() bool {
	rules := filterRules(r.tenant.Filter)
	return !rules.Empty()
}

// Redacts reports whether anything of the tenant's events is redacted.
func (r *Rules) Redacts() bool { return r.redactor != nil }

// Explain says whether the filter lets an event go on. What it says quotes ids and
// names of clients, connections and organisations from the event, and nothing else
// of it.
func (r *Rules) Explain(e event.Event) Explanation {
	x := r.filter.Explain(e)
	if x.Err != nil { // the words may quote any member
		x.Words = "it is kept because " + x.Err.Error()
	}
	return x
}

// RuleNames returns what the changes of Redact call the rules, in their order.
func (r *Rules) RuleNames() []string {
	c := redactConfig(r.tenant.Redact, "")
	var names []string
	for _, one := range c.Rules {
		names = append(names, one.Name)
	}
	for _, name := range c.Presets {
		names = append(names, "preset "+name)
	}
	return names
}

// A Redacted is an event as redaction leaves it.
type Redacted struct {
	// Event is what is kept: of a withheld event a stub with what may be shown.
	Event event.Event
	// Withheld says why nothing of the event is sent; empty for the usual case.
	Withheld string
	// Changes are the places that rules have hit, in the order of the record, or all
	// of them if that was asked for. They quote the event in clear.
	Changes []RedactChange
}

// Redact redacts an event, whether or not the filter would let it go on.
func (r *Rules) Redact(e event.Event, all bool) Redacted {
	out := Redacted{Event: e}
	done := transform.Redaction{Raw: e.Raw}
	if r.redactor != nil {
		kept, v := r.redactor.Transform(e)
		out.Event = kept
		if v.Withhold {
			out.Withheld = v.Reason
			return out
		}
		var err error
		if done, err = r.redactor.Redact(e); err != nil {
			out.Withheld = err.Error()
			return out
		}
	}
	out.Changes = done.Diff(e.Raw, all)
	return out
}

// Unreadable returns what is kept of a piece that is no event.
func (r *Rules) Unreadable(piece []byte) []byte {
	if r.redactor == nil {
		return piece
	}
	return r.redactor.Unreadable(piece)
}

// An Outcome is what becomes of an event. It shows nothing that is redacted.
type Outcome struct {
	// Event is what is kept of it. Of one that is left out it holds only what may
	// be shown: it has no Raw.
	Event event.Event
	// LeftOut is the counted reason for which the filter leaves the event out, and
	// Withheld the words for which redaction keeps all of it back. Both are empty for
	// an event that goes on.
	LeftOut, Withheld string
	// Destination is where it goes, and Preview what CloudWatch Logs gets.
	Destination pipeline.Destination
	Preview     cloudwatch.Preview
}

// Apply does to an event what is done between Auth0 and CloudWatch Logs. source is
// what brought it, and now the time at which it is sent.
func (r *Rules) Apply(e event.Event, source string, now time.Time) Outcome {
	out := Outcome{Event: e, LeftOut: r.filter.Explain(e).Reason}
	if r.redactor != nil {
		kept, v := r.redactor.Transform(e)
		out.Event = kept
		if v.Withhold {
			out.Withheld = v.Reason
		}
	}
	if out.LeftOut != "" {
		out.Withheld, out.Event.Raw = "", nil
		return out
	}
	if out.Withheld != "" {
		return out
	}
	out.Destination = r.routes.Route(out.Event)
	sent := out.Event
	if r.shape != nil {
		sent.Raw = r.shape(sent, source)
	}
	cw := r.tenant.CloudWatch
	out.Preview = cloudwatch.NewPreview(sent, cloudwatch.Config{
		TooOld: string(cw.TooOld), TooNew: string(cw.TooNew), TooLarge: string(cw.TooLarge), RetentionDays: cw.RetentionDays,
	}, now)
	return out
}
