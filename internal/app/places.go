package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// Errors of a Place, for errors.Is.
var (
	// ErrPattern says that a filter pattern is none.
	ErrPattern = cloudwatch.ErrPattern
	// ErrQueryText says that a query of Logs Insights is none.
	ErrQueryText = cloudwatch.ErrQueryText
	// ErrNoInsights says that an endpoint has no Logs Insights.
	ErrNoInsights = cloudwatch.ErrNoInsights
	// ErrInsightsAlone says that a log group cannot be searched with a filter pattern.
	ErrInsightsAlone = errors.New("a log group of the class INFREQUENT_ACCESS knows no filter patterns")
	// ErrNoGroup says that there is no log group yet.
	ErrNoGroup = errors.New("there is no log group yet")
)

// A Place is a destination of a tenant, to read what lies there. Nothing of the store is
// touched, and no process needs to be stopped or running for it.
type Place struct {
	// Tenant is the name of the tenant, and Destination that of its destination:
	// MainDestination or one of the further ones.
	Tenant, Destination string

	sink          *cloudwatch.Sink
	config        cloudwatch.Config
	group, stream transform.Pattern
	groups        []cloudwatch.Group
}

// A Found is an event as it lies in a log group.
type Found struct {
	LogGroup, LogStream string
	// ID tells it from all others of the group.
	ID string
	// At is its timestamp, Ingested when CloudWatch Logs took it.
	At, Ingested time.Time
	Message      []byte
}

// OpenPlaces returns one destination of each tenant that is named, of all when none is:
// the main one when destination is empty. It calls nobody. Of opts the listeners, Once,
// Import and DryRun do not count.
func OpenPlaces(ctx context.Context, opts Options, tenants []string, destination string) ([]*Place, error) {
	a := &App{opts: readingOptions(opts), secrets: newSecrets(opts.Secrets)}
	var list []*Place
	for i := range opts.Config.Tenants {
		t := &opts.Config.Tenants[i]
		if len(tenants) > 0 && !slices.Contains(tenants, t.Name) {
			continue
		}
		p, err := a.openPlace(ctx, t, destination)
		if errors.Is(err, errNoDestination) && len(tenants) == 0 {
			continue // another tenant has it
		}
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, noDestination(destination)
	}
	return list, nil
}

// noDestination says that there is none of a name.
func noDestination(name string) error {
	return &pipeline.Error{
		Op: "read the destination", Class: pipeline.Misconfigured, Err: fmt.Errorf("%q: %w", name, errNoDestination),
		Hint: "Name one of destinations, or " + MainDestination + " for the main one.",
	}
}

// openPlace makes the place of a tenant.
func (a *App) openPlace(ctx context.Context, t *config.Tenant, destination string) (*Place, error) {
	if destination == MainDestination {
		destination = ""
	}
	list := wantedOf(a.opts.Config, t)
	i := slices.IndexFunc(list, func(w wanted) bool { return w.name == destination })
	if i < 0 {
		return nil, noDestination(destination)
	}
	w := list[i]
	routes, err := transform.NewRoutes(t.Name, w.cw.LogGroup, w.cw.LogStream, 0)
	if err != nil {
		return nil, misconfigured("read the destination", err)
	}
	o := &outlet{logger: a.opts.Logger, tenant: a.newTenant(a.opts.Config, *t)}
	if _, err := a.sink(ctx, t.Name, w, o); err != nil {
		return nil, err
	}
	p := &Place{Tenant: t.Name, Destination: w.name, sink: o.sink, config: w.config()}
	if p.Destination == "" {
		p.Destination = MainDestination
	}
	p.group, p.stream = routes.Patterns()
	return p, nil
}

// list finds the log groups. As long as there is none they are looked for again.
func (p *Place) list(ctx context.Context) ([]cloudwatch.Group, error) {
	if len(p.groups) > 0 {
		return p.groups, nil
	}
	found, err := p.sink.Groups(ctx, p.group.Prefix)
	switch {
	case err != nil && p.group.Fixed != "" && pipeline.Classify(err).Class == pipeline.Unauthorized:
		// whoever may read the group and not list groups: it is taken for what is configured
		found = []cloudwatch.Group{{Name: p.group.Fixed, Class: p.config.LogGroupClass}}
	case err != nil:
		return nil, err
	}
	p.groups = slices.DeleteFunc(found, func(g cloudwatch.Group) bool { return !p.group.Match(g.Name) })
	return p.groups, nil
}

// Refresh forgets which log groups there are: where the names depend on the events new
// ones come about.
func (p *Place) Refresh() {
	if p.group.Fixed == "" {
		p.groups = nil
	}
}

// Missing reports whether there is no log group yet.
func (p *Place) Missing(ctx context.Context) (bool, error) {
	groups, err := p.list(ctx)
	return len(groups) == 0, err
}

// Group names the log group, or what all of them are called by the configuration.
func (p *Place) Group() string {
	if p.group.Fixed != "" {
		return p.group.Fixed
	}
	return p.group.Prefix + "…"
}

// InsightsAlone reports whether Logs Insights alone can read the place, which has a price
// by what is read.
func (p *Place) InsightsAlone(ctx context.Context) (bool, error) {
	groups, err := p.list(ctx)
	return slices.ContainsFunc(groups, cloudwatch.Group.Infrequent), err
}

// Search calls each for the events with timestamps from one time to another, inclusive,
// that a filter pattern of CloudWatch Logs matches; empty is all. They come in the order
// of time, of several log groups one group after the other. Where Logs Insights alone can
// read, the pattern is left aside. What is throttled or fails for a while is asked for
// again.
func (p *Place) Search(ctx context.Context, pattern string, from, to time.Time, each func(Found) error) error {
	groups, err := p.list(ctx)
	if err != nil {
		return err
	}
	streams := cloudwatch.Streams{Name: p.stream.Fixed, Prefix: p.stream.Prefix}
	if p.stream.Fixed != "" {
		streams.Prefix = ""
	}
	for _, g := range groups {
		err := p.sink.Search(ctx, g, streams, pattern, from, to, func(e cloudwatch.Stored) error {
			if !p.stream.Match(e.Stream) {
				return nil // another tenant's, in the same group
			}
			return each(Found{LogGroup: g.Name, LogStream: e.Stream, ID: e.ID, At: e.At, Ingested: e.Ingested, Message: e.Message})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// HasInsights reports whether Logs Insights can be expected: the endpoint is one of AWS.
func (p *Place) HasInsights() bool {
	if p.config.Endpoint == "" {
		return true
	}
	u, err := url.Parse(p.config.Endpoint)
	if err != nil {
		return true // AWS's own refusal says more
	}
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu"} {
		if strings.HasSuffix("."+u.Hostname(), domain) {
			return true
		}
	}
	return false
}

// An Answer is what a query returns: rows of names and values.
type Answer = cloudwatch.Answer

// Query runs a query of Logs Insights over the log groups of the place, see
// cloudwatch.Sink.Query. Of a log group that several destinations share it sees all
// streams.
func (p *Place) Query(ctx context.Context, text string, from, to time.Time, limit int) (Answer, error) {
	groups, err := p.list(ctx)
	if err != nil {
		return Answer{}, err
	}
	if len(groups) == 0 {
		return Answer{}, &pipeline.Error{
			Op: "query " + p.Group(), Class: pipeline.Misconfigured, Err: ErrNoGroup,
			Hint: "It is made with the first event; `gapless status` tells how far the export is.",
		}
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	if len(names) > maxQueryGroups {
		names = names[len(names)-maxQueryGroups:] // the newest, where the names hold a date
	}
	return p.sink.Query(ctx, names, text, from, to, limit)
}

// maxQueryGroups is how many log groups a query reads at most (StartQuery in the API
// reference).
const maxQueryGroups = 50
