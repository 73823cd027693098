package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queuetypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A queueHandler handles a queue.
type queueHandler struct {
	*pushProvider
	w *stack.Queue
	v Values
}

// redrive is a redrive policy.
type redrive struct {
	Target string `json:"deadLetterTargetArn"` //nolint:tagliatelle // SQS's own name
	// Receives is a number that SQS takes as a text, too, and may give back as one.
	Receives json.Number `json:"maxReceiveCount"` //nolint:tagliatelle // likewise
}

// url returns the URL of the queue; empty when there is none.
func (h *queueHandler) url(ctx context.Context) (string, error) {
	out, err := h.queues(h.w.Region).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &h.w.Name})
	if noQueue(err) {
		return "", nil
	}
	if err != nil {
		return "", failed("look up queue", err)
	}
	return aws.ToString(out.QueueUrl), nil
}

func (h *queueHandler) find(ctx context.Context) (Found, error) {
	url, err := h.url(ctx)
	if err != nil || url == "" {
		return Found{}, err
	}
	out, err := h.queues(h.w.Region).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []queuetypes.QueueAttributeName{queuetypes.QueueAttributeNameAll},
	})
	if noQueue(err) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, failed("read queue", err)
	}
	tags, err := h.queues(h.w.Region).ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return Found{}, failed("read tags of queue", err)
	}
	h.v[stack.Ref(stack.KindQueue, h.w.Name, "url")] = url
	found := Found{Resource: h.described(out.Attributes, tags.Tags), Ours: h.owns(tags.Tags)}
	if n := messages(out.Attributes); n > 0 {
		found.HoldsEvents, found.Note = true, fmt.Sprintf("it holds about %d messages", n)
	}
	return found, nil
}

// described turns the attributes of a queue into what the stack speaks of.
func (h *queueHandler) described(a, tags map[string]string) *stack.Queue {
	number := func(name queuetypes.QueueAttributeName) int {
		n, _ := strconv.Atoi(a[string(name)]) // 0 is left out
		return n
	}
	have := &stack.Queue{
		Region: h.w.Region, Name: h.w.Name, Tags: tags,
		RetentionSeconds:  number(queuetypes.QueueAttributeNameMessageRetentionPeriod),
		VisibilitySeconds: number(queuetypes.QueueAttributeNameVisibilityTimeout),
	}
	wanted, _ := Fill(h.w.Policy, h.v)
	if held := a[string(queuetypes.QueueAttributeNamePolicy)]; held != "" {
		have.Policy = asWanted(held, wanted)
	}
	var r redrive
	if json.Unmarshal([]byte(a[string(queuetypes.QueueAttributeNameRedrivePolicy)]), &r) == nil && r.Target != "" {
		have.DeadLetterQueue = r.Target
		dead, _ := Fill(stack.ARN("sqs", h.w.Region, h.w.DeadLetterQueue), h.v)
		if r.Target == dead {
			have.DeadLetterQueue = h.w.DeadLetterQueue
		}
		receives, _ := r.Receives.Int64()
		have.MaxReceives = int(receives)
	}
	return have
}

// messages is about how many messages a queue holds, those in somebody's hands too.
func messages(a map[string]string) (n int) {
	for _, name := range []queuetypes.QueueAttributeName{
		queuetypes.QueueAttributeNameApproximateNumberOfMessages, queuetypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		queuetypes.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	} {
		m, _ := strconv.Atoi(a[string(name)])
		n += m
	}
	return n
}

// attributes are those of the wanted queue, as SQS takes them. One that is empty takes
// away what was there.
func (h *queueHandler) attributes() (map[string]string, error) {
	policy, err := fill(h.w.Policy, h.v)
	if err != nil {
		return nil, err
	}
	a := map[string]string{
		string(queuetypes.QueueAttributeNameMessageRetentionPeriod): strconv.Itoa(h.w.RetentionSeconds),
		string(queuetypes.QueueAttributeNameVisibilityTimeout):      strconv.Itoa(h.w.VisibilitySeconds),
		string(queuetypes.QueueAttributeNamePolicy):                 policy,
		string(queuetypes.QueueAttributeNameRedrivePolicy):          "",
	}
	if h.w.DeadLetterQueue == "" {
		return a, nil
	}
	dead, err := fill(stack.ARN("sqs", h.w.Region, h.w.DeadLetterQueue), h.v)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(redrive{dead, json.Number(strconv.Itoa(h.w.MaxReceives))})
	if err != nil {
		return nil, fmt.Errorf("write redrive policy: %w", err)
	}
	a[string(queuetypes.QueueAttributeNameRedrivePolicy)] = string(text)
	return a, nil
}

// deletedWaits are the waits for a name to be free again: SQS takes a minute after a
// queue of it was deleted.
func deletedWaits() []time.Duration {
	return []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second}
}

// deletedRecently reports whether an error says that the name is not free yet.
func deletedRecently(err error) bool {
	_, yes := errors.AsType[*queuetypes.QueueDeletedRecently](err)
	return yes
}

func (h *queueHandler) create(ctx context.Context) error {
	attributes, err := h.attributes()
	if err != nil {
		return err
	}
	for k, v := range attributes { // an empty one is for queues that are there
		if v == "" {
			delete(attributes, k)
		}
	}
	err = h.patiently(ctx, deletedWaits(), deletedRecently, func() error {
		out, err := h.queues(h.w.Region).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &h.w.Name, Attributes: attributes, Tags: h.w.Tags})
		if err == nil {
			h.v[stack.Ref(stack.KindQueue, h.w.Name, "url")] = aws.ToString(out.QueueUrl)
		}
		return err
	})
	return failed("create queue", err)
}

func (h *queueHandler) change(ctx context.Context, _ Found) error {
	attributes, err := h.attributes()
	if err != nil {
		return err
	}
	url, err := h.url(ctx)
	if err != nil {
		return err
	}
	if _, err := h.queues(h.w.Region).SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes}); err != nil {
		return failed("change queue", err)
	}
	if len(h.w.Tags) == 0 {
		return nil
	}
	_, err = h.queues(h.w.Region).TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: h.w.Tags})
	return failed("tag queue", err)
}

func (h *queueHandler) remove(ctx context.Context) error {
	url, err := h.url(ctx)
	if err != nil || url == "" {
		return err
	}
	_, err = h.queues(h.w.Region).DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	if noQueue(err) {
		return nil
	}
	return failed("delete queue", err)
}
