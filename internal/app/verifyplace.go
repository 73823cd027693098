package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/transform"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// A comparedPlace is a destination with the rules that lead there. It is a
// verify.Destination.
type comparedPlace struct {
	name    string
	logger  *slog.Logger
	sink    *cloudwatch.Sink
	config  cloudwatch.Config
	before  []pipeline.Transform // of the tenant
	after   []pipeline.Transform // of the destination
	routes  *transform.Routes
	shape   pipeline.Shape // nil for messages as they are
	sources []string       // that the shape tells apart
	copies  []string
	pushed  bool

	group, stream transform.Pattern
	others        []otherPlace // in the same account and Region
	groups        []cloudwatch.Group
	listed        bool
}

// An otherPlace is where another destination's events lie.
type otherPlace struct{ group, stream transform.Pattern }

// newComparedPlace makes one of a tenant's destinations.
func (a *App) newComparedPlace(ctx context.Context, t config.Tenant, w wanted) (_ *comparedPlace, err error) {
	p := &comparedPlace{name: w.name, logger: a.opts.Logger, config: w.config(), sources: []string{source.PollName}}
	if p.before, err = a.rulesOnTheWay(ctx, t.Filter, t.Redact); err != nil {
		return nil, err
	}
	if w.name != "" {
		p.after, err = a.rulesOnTheWay(ctx, w.filter, w.redact)
	}
	if err != nil {
		return nil, err
	}
	if p.routes, err = transform.NewRoutes(t.Name, w.cw.LogGroup, w.cw.LogStream, 0); err != nil {
		return nil, misconfigured("read the destination", err)
	}
	p.group, p.stream = p.routes.Patterns()
	if p.shape, _, err = transform.NewShape(t.Name, w.cw.Fields, w.cw.Copy); err != nil {
		return nil, misconfigured("read the shape of messages", err)
	}
	p.readShape(w.cw)
	if p.others, err = otherPlaces(a.opts.Config, t.Name, w); err != nil {
		return nil, err
	}
	o := &outlet{logger: a.opts.Logger, tenant: a.newTenant(a.opts.Config, t)}
	if _, err := (&App{opts: readingOptions(a.opts)}).sink(ctx, t.Name, w, o); err != nil {
		return nil, err
	}
	p.sink = o.sink
	return p, nil
}

// readingOptions are those of a sink that reads.
func readingOptions(o Options) Options {
	o.DryRun = nil
	return o
}

// rulesOnTheWay makes the filter and the redaction of a section of the configuration.
func (a *App) rulesOnTheWay(ctx context.Context, f config.Filter, redact config.Redact) (list []pipeline.Transform, err error) {
	if rules := filterRules(f); !rules.Empty() {
		filter, err := transform.NewFilter(rules, nil)
		if err != nil {
			return nil, misconfigured("read the filter", err)
		}
		list = append(list, filter.Apply)
	}
	r, err := a.redactor(ctx, redact)
	if r != nil {
		list = append(list, r.Transform)
	}
	return list, err
}

// readShape notes by what messages of the same event may differ: the source that they
// tell of, and copies of what a push has otherwise.
func (p *comparedPlace) readShape(cw *config.CloudWatch) {
	for _, word := range cw.Fields {
		if word == "source" {
			p.sources = []string{source.PollName, source.WebhookName, source.SQSName, source.FileName, ""}
		}
	}
	for name, path := range cw.Copy {
		if slices.Contains([]string{"user_agent", "_id", "isMobile", "is_mobile"}, path) {
			p.copies = append(p.copies, name)
		}
	}
}

// otherPlaces lists where other destinations, of all tenants, have their events, in
// the account and Region of one.
func otherPlaces(cfg *config.Config, tenant string, of wanted) (list []otherPlace, err error) {
	for i := range cfg.Tenants {
		t := &cfg.Tenants[i]
		for _, w := range wantedOf(cfg, t) {
			if w.aws != of.aws || t.Name == tenant && w.name == of.name {
				continue
			}
			routes, err := transform.NewRoutes(t.Name, w.cw.LogGroup, w.cw.LogStream, 0)
			if err != nil {
				return nil, misconfigured("read the destination", err)
			}
			var o otherPlace
			o.group, o.stream = routes.Patterns()
			list = append(list, o)
		}
	}
	return list, nil
}

// Name implements verify.Destination, as do the others.
func (p *comparedPlace) Name() string { return p.name }

// Pushed reports whether events may have been pushed.
func (p *comparedPlace) Pushed() bool { return p.pushed }

// Copies names the copies of what a push has otherwise.
func (p *comparedPlace) Copies() []string { return p.copies }

// reasonWithheldHere is the reason for which an event that redaction withholds is left
// out.
const reasonWithheldHere = "withheld"

// Expect returns what the rules make of an event. It is taken for one that was sent
// when it happened: its age decides nothing.
func (p *comparedPlace) Expect(e event.Event) verify.Expectation {
	x := verify.Expectation{}
	for i, list := range [][]pipeline.Transform{p.before, p.after} {
		for _, t := range list {
			var v pipeline.Verdict
			switch e, v = t(e); {
			case v.Withhold:
				x.LeftOut = reasonWithheldHere
			case v.Skip:
				x.LeftOut = v.Reason
			}
			if x.LeftOut != "" {
				return x
			}
		}
		if i == 0 {
			to := p.routes.Route(e)
			x.LogGroup, x.LogStream = to.LogGroup, to.LogStream
		}
	}
	for _, name := range p.sources {
		sent := e
		if p.shape != nil {
			sent.Raw = p.shape(e, name)
		}
		m := cloudwatch.NewPreview(sent, p.config, e.Date).Message
		if m == nil { // it is a dead letter, which the store knows
			m = sent.Raw
		}
		x.Messages = append(x.Messages, m)
	}
	return x
}

// list finds the log groups.
func (p *comparedPlace) list(ctx context.Context) ([]cloudwatch.Group, error) {
	if p.listed {
		return p.groups, nil
	}
	found, err := p.sink.Groups(ctx, p.group.Prefix)
	switch {
	case err != nil && p.group.Fixed != "" && pipeline.Classify(err).Class == pipeline.Unauthorized:
		p.logger.LogAttrs(ctx, slog.LevelDebug, "not allowed to look at the log group; taken for what is configured", slog.Any("error", err))
		found = []cloudwatch.Group{{
			Name: p.group.Fixed, Class: p.config.LogGroupClass, Retention: time.Duration(p.config.RetentionDays) * 24 * time.Hour,
		}}
	case err != nil:
		return nil, err
	}
	p.groups = slices.DeleteFunc(found, func(g cloudwatch.Group) bool { return !p.group.Match(g.Name) })
	p.listed = true
	return p.groups, nil
}

// mayRead reads this moment alone: a read that is refused is told before the log of Auth0
// is read for nothing.
func (p *comparedPlace) mayRead(ctx context.Context) error {
	now := time.Now()
	return p.Read(ctx, verify.Span{Since: now, Until: now}, false, func(verify.Stored) error { return nil })
}

// Read reads what lies there.
func (p *comparedPlace) Read(ctx context.Context, s verify.Span, everywhere bool, each func(verify.Stored) error) error {
	groups, err := p.list(ctx)
	if err != nil {
		return err
	}
	streams := cloudwatch.Streams{Name: p.stream.Fixed, Prefix: p.stream.Prefix}
	if everywhere {
		streams = cloudwatch.Streams{}
	} else if p.stream.Fixed != "" {
		streams.Prefix = ""
	}
	for _, g := range groups {
		err := p.sink.Read(ctx, g, streams, s.Since, s.Until, func(e cloudwatch.Stored) error {
			own := p.stream.Match(e.Stream) && !p.ofOther(g.Name, e.Stream, true)
			if !own && (!everywhere || p.ofOther(g.Name, e.Stream, false)) {
				return nil
			}
			return each(verify.Stored{
				LogGroup: g.Name, LogStream: e.Stream, EventID: e.ID, Timestamp: e.At, Ingested: e.Ingested, Message: e.Message,
				Elsewhere: !own, Shared: own && p.ofOther(g.Name, e.Stream, false),
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ofOther reports whether a stream may be another destination's; with fixed, whether
// it is one's whose only stream it is.
func (p *comparedPlace) ofOther(group, stream string, fixed bool) bool {
	return slices.ContainsFunc(p.others, func(o otherPlace) bool {
		return o.group.Match(group) && o.stream.Match(stream) && (!fixed || o.stream.Fixed != "" && p.stream.Fixed == "")
	})
}

// Latest is the latest timestamp that an event may have got.
func (p *comparedPlace) Latest(date time.Time) time.Time {
	at := date
	for _, g := range p.groups {
		if l := p.config.LatestStamp(date, time.Now(), g.Retention); l.After(at) {
			at = l
		}
	}
	return at
}

// Restamped reports whether a rule has moved the timestamp of an event.
func (p *comparedPlace) Restamped(date, timestamp, ingested time.Time) bool {
	return slices.ContainsFunc(p.groups, func(g cloudwatch.Group) bool { return p.config.Restamps(date, timestamp, ingested, g.Retention) })
}

// KeptSince is since when a log group keeps events.
func (p *comparedPlace) KeptSince(group string) time.Time {
	for _, g := range p.groups {
		if g.Name == group && g.Retention > 0 {
			return time.Now().Add(-g.Retention)
		}
	}
	return time.Time{}
}
