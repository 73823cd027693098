package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A busHandler handles an event bus.
type busHandler struct {
	*pushProvider
	w *stack.EventBus
	v Values
}

// sourceWaits are the waits for the partner event source of a log stream that was
// just made to be seen in the account: about a minute on the whole.
func sourceWaits() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second}
}

func (h *busHandler) find(ctx context.Context) (Found, error) {
	source, missing := Fill(h.w.Source, h.v)
	if len(missing) > 0 { // there is no log stream yet
		return Found{}, nil
	}
	out, err := h.bridge(h.w.Region).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &source})
	if noBus(err) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, failed("describe event bus", err)
	}
	have := &stack.EventBus{Region: h.w.Region, Source: source}
	tags, known, err := h.busTags(ctx, h.w.Region, out.Arn)
	if err != nil {
		return Found{}, err
	}
	if !known { // its name is that of our log stream's source
		have.Tags = h.w.Tags
		return Found{Resource: have, Ours: true, Note: "the endpoint does not tell its tags"}, nil
	}
	have.Tags = tags
	return Found{Resource: have, Ours: h.owns(tags)}, nil
}

// create associates the source with a bus of its name. From then on events arrive.
func (h *busHandler) create(ctx context.Context) error {
	source, err := fill(h.w.Source, h.v)
	if err != nil {
		return err
	}
	err = h.patiently(ctx, sourceWaits(), noBus, func() error {
		_, err := h.bridge(h.w.Region).CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &source, EventSourceName: &source, Tags: busTagList(h.w.Tags)})
		return err
	})
	if _, exists := errors.AsType[*bustypes.ResourceAlreadyExistsException](err); exists {
		found, findErr := h.find(ctx)
		if findErr != nil || found.Ours {
			return findErr
		}
	}
	if err != nil {
		return fmt.Errorf("%w. %s", failed("associate partner event source", err), h.meanwhile())
	}
	return nil
}

// meanwhile says what becomes of events while the source has no bus.
func (h *busHandler) meanwhile() string {
	advice := "Until it has a bus, what the log stream sends is dropped, and what gapless reads itself is not; run setup again soon"
	id, known := h.v[strings.Replace(h.w.Source, ":partner_event_source}}", ":id}}", 1)]
	if known {
		advice += `, or pause the log stream, so that Auth0 keeps its events: PATCH /api/v2/log-streams/` + id + ` with {"status":"paused"}`
	}
	return advice + "."
}

func (h *busHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.EventBus)
	if !ok {
		return unknownKind(have.Resource)
	}
	out, err := h.bridge(h.w.Region).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &had.Source})
	if err != nil {
		return failed("describe event bus", err)
	}
	_, err = h.bridge(h.w.Region).TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: out.Arn, Tags: busTagList(h.w.Tags)})
	return failed("tag event bus", err)
}

func (h *busHandler) remove(ctx context.Context) error {
	_, err := h.bridge(h.w.Region).DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: &h.w.Source})
	if noBus(err) {
		return nil
	}
	return failed("delete event bus", err)
}

// foreignRule returns the name of a rule on a bus that is not ours; empty when there
// is none.
func (p *pushProvider) foreignRule(ctx context.Context, b *stack.EventBus) (string, error) {
	in := &eventbridge.ListRulesInput{EventBusName: &b.Source}
	for {
		out, err := p.bridge(b.Region).ListRules(ctx, in)
		if noBus(err) {
			return "", nil
		}
		if err != nil {
			return "", failed("list rules", err)
		}
		for _, r := range out.Rules {
			tags, _, err := p.busTags(ctx, b.Region, r.Arn)
			if err != nil {
				return "", err
			}
			if !p.owns(tags) {
				return aws.ToString(r.Name), nil
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return "", nil
		}
	}
}
