package provision

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queuetypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// PushOptions are what NewPush takes beside AWS.
type PushOptions struct {
	// Owner is the value of the tag stack.ManagedBy on what is ours.
	Owner string
	// Wait is as in Options.
	Wait func(ctx context.Context, d time.Duration) error
}

// A pushProvider knows what lies between Auth0's EventBridge stream and gapless.
type pushProvider struct {
	aws *AWS
	o   PushOptions
}

// NewPush returns the provider of event buses of partner event sources, of rules and
// of queues.
func NewPush(a *AWS, o PushOptions) Provider {
	if o.Wait == nil {
		o.Wait = wait
	}
	return &pushProvider{a, o}
}

// Kinds implements Provider.
func (*pushProvider) Kinds() []stack.Kind {
	return []stack.Kind{stack.KindEventBus, stack.KindQueue, stack.KindRule}
}

// handler returns what handles a resource.
func (p *pushProvider) handler(r stack.Resource, v Values) (handler, error) {
	switch r := r.(type) {
	case *stack.EventBus:
		return &busHandler{p, r, v}, nil
	case *stack.Queue:
		return &queueHandler{p, r, v}, nil
	case *stack.Rule:
		return &ruleHandler{p, r, v}, nil
	default:
		return nil, unknownKind(r)
	}
}

// Find implements Provider.
func (p *pushProvider) Find(ctx context.Context, want stack.Resource, v Values) (Found, error) {
	h, err := p.handler(want, v)
	if err != nil {
		return Found{}, err
	}
	return h.find(ctx)
}

// Make implements Provider.
func (p *pushProvider) Make(ctx context.Context, want stack.Resource, v Values) error {
	h, err := p.handler(want, v)
	if err != nil {
		return err
	}
	return h.create(ctx)
}

// Change implements Provider.
func (p *pushProvider) Change(ctx context.Context, want stack.Resource, have Found, v Values) error {
	h, err := p.handler(want, v)
	if err != nil {
		return err
	}
	return h.change(ctx, have)
}

// Remove implements Provider.
func (p *pushProvider) Remove(ctx context.Context, have Found) error {
	h, err := p.handler(have.Resource, Values{})
	if err != nil {
		return err
	}
	return h.remove(ctx)
}

// Inspect implements Inspector: a bus that rules of others hang on is left to them.
func (p *pushProvider) Inspect(ctx context.Context, have Found) (Found, error) {
	b, ok := have.Resource.(*stack.EventBus)
	if !ok || !have.Ours {
		return have, nil
	}
	name, err := p.foreignRule(ctx, b)
	if err != nil {
		return Found{}, err
	}
	if name != "" {
		have.Ours, have.Note = false, "the rule "+name+" of others hangs on it"
	}
	return have, nil
}

// bridge returns a client of EventBridge, and queues one of SQS.
func (p *pushProvider) bridge(region string) *eventbridge.Client {
	return eventbridge.NewFromConfig(p.aws.In(region))
}

func (p *pushProvider) queues(region string) *sqs.Client {
	return sqs.NewFromConfig(p.aws.In(region))
}

// owns reports whether tags say that this program made what they are on.
func (p *pushProvider) owns(tags map[string]string) bool {
	return tags[stack.ManagedBy] == p.o.Owner
}

// patiently makes a call again and again while an error says that AWS is not ready,
// with the waits between.
func (p *pushProvider) patiently(ctx context.Context, waits []time.Duration, unready func(error) bool, call func() error) error {
	err := call()
	for _, d := range waits {
		if !unready(err) {
			return err
		}
		if waitErr := p.o.Wait(ctx, d); waitErr != nil {
			return errors.Join(err, waitErr)
		}
		err = call()
	}
	return err
}

// noBus and noQueue report whether an error says that something is not there.
func noBus(err error) bool {
	_, missing := errors.AsType[*bustypes.ResourceNotFoundException](err)
	return missing
}

func noQueue(err error) bool {
	_, missing := errors.AsType[*queuetypes.QueueDoesNotExist](err)
	return missing
}

// busTags returns the tags of a bus or a rule. known is false when the endpoint tells
// none of what it has, as some emulators do of the buses of partners.
func (p *pushProvider) busTags(ctx context.Context, region string, arn *string) (tags map[string]string, known bool, err error) {
	out, err := p.bridge(region).ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: arn})
	if noBus(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, failed("read tags", err)
	}
	tags = make(map[string]string, len(out.Tags))
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, true, nil
}

// busTagList returns tags as EventBridge takes them, in order.
func busTagList(tags map[string]string) (list []bustypes.Tag) {
	for _, k := range sortedKeys(tags) {
		list = append(list, bustypes.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}
