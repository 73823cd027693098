package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A ruleHandler handles a rule and its target.
type ruleHandler struct {
	*pushProvider
	w *stack.Rule
	v Values
}

// targetID is the id of our target of a rule.
const targetID = "gapless"

// What EventBridge does with an event that the queue does not take: its own defaults,
// which are the most that it does.
const (
	targetAge   = 86_400
	targetTries = 185
)

func (h *ruleHandler) find(ctx context.Context) (Found, error) {
	bus, missing := Fill(h.w.Bus, h.v)
	if len(missing) > 0 {
		return Found{}, nil
	}
	out, err := h.bridge(h.w.Region).DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &h.w.Name, EventBusName: &bus})
	if noBus(err) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, failed("describe rule", err)
	}
	have := &stack.Rule{Region: h.w.Region, Bus: bus, Name: h.w.Name, Pattern: asWanted(aws.ToString(out.EventPattern), h.w.Pattern)}
	found := Found{Resource: have}
	if out.State == bustypes.RuleStateDisabled {
		have.Pattern, found.Note = "", "it is disabled"
	}
	tags, _, err := h.busTags(ctx, h.w.Region, out.Arn)
	if err != nil {
		return Found{}, err
	}
	have.Tags, found.Ours = tags, h.owns(tags)
	targets, err := h.targets(ctx, bus)
	if err != nil {
		return Found{}, err
	}
	others := 0
	for _, t := range targets {
		if aws.ToString(t.Id) != targetID {
			others++
			continue
		}
		have.Queue = h.queueOf(aws.ToString(t.Arn))
		if t.DeadLetterConfig != nil {
			have.DeadLetterQueue = h.queueOf(aws.ToString(t.DeadLetterConfig.Arn))
		}
	}
	if others > 0 {
		found.Note = fmt.Sprintf("it has %d targets of others, so that it cannot be removed", others)
	}
	return found, nil
}

// queueOf names a queue of the account and the Region by its name, and any other by
// its ARN.
func (h *ruleHandler) queueOf(arn string) string {
	own, _ := Fill(stack.ARN("sqs", h.w.Region, ""), h.v)
	if name, ok := strings.CutPrefix(arn, own); ok {
		return name
	}
	return arn
}

// targets returns the targets of the rule.
func (h *ruleHandler) targets(ctx context.Context, bus string) (all []bustypes.Target, err error) {
	in := &eventbridge.ListTargetsByRuleInput{Rule: &h.w.Name, EventBusName: &bus}
	for {
		out, err := h.bridge(h.w.Region).ListTargetsByRule(ctx, in)
		if noBus(err) {
			return all, nil
		}
		if err != nil {
			return nil, failed("list targets of rule", err)
		}
		all = append(all, out.Targets...)
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return all, nil
		}
	}
}

func (h *ruleHandler) create(ctx context.Context) error { return h.put(ctx, false) }

func (h *ruleHandler) change(ctx context.Context, _ Found) error { return h.put(ctx, true) }

// put makes the rule and its target what they are to be.
func (h *ruleHandler) put(ctx context.Context, exists bool) error {
	bus, err := fill(h.w.Bus, h.v)
	if err != nil {
		return err
	}
	in := &eventbridge.PutRuleInput{
		Name: &h.w.Name, EventBusName: &bus, EventPattern: &h.w.Pattern, State: bustypes.RuleStateEnabled,
		Description: aws.String("Events of Auth0 for gapless."),
	}
	if !exists { // AWS ignores tags on a rule that is there
		in.Tags = busTagList(h.w.Tags)
	}
	out, err := h.bridge(h.w.Region).PutRule(ctx, in)
	if err != nil {
		return failed("put rule", err)
	}
	if exists {
		_, err := h.bridge(h.w.Region).TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: out.RuleArn, Tags: busTagList(h.w.Tags)})
		if err != nil {
			return failed("tag rule", err)
		}
	}
	return h.putTarget(ctx, bus)
}

// putTarget makes the queue the target of the rule.
func (h *ruleHandler) putTarget(ctx context.Context, bus string) error {
	arn, err := fill(stack.ARN("sqs", h.w.Region, h.w.Queue), h.v)
	if err != nil {
		return err
	}
	target := bustypes.Target{
		Id: aws.String(targetID), Arn: &arn,
		RetryPolicy: &bustypes.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(targetAge), MaximumRetryAttempts: aws.Int32(targetTries)},
	}
	if h.w.DeadLetterQueue != "" {
		dead, err := fill(stack.ARN("sqs", h.w.Region, h.w.DeadLetterQueue), h.v)
		if err != nil {
			return err
		}
		target.DeadLetterConfig = &bustypes.DeadLetterConfig{Arn: &dead}
	}
	out, err := h.bridge(h.w.Region).PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &h.w.Name, EventBusName: &bus, Targets: []bustypes.Target{target}})
	if err != nil {
		return failed("put target of rule", err)
	}
	for _, f := range out.FailedEntries {
		return fmt.Errorf("put target of rule: %s: %s", aws.ToString(f.ErrorCode), aws.ToString(f.ErrorMessage))
	}
	return nil
}

// errTargets says that a rule is not only ours.
var errTargets = errors.New("the rule has targets of others: take them away, and run it again")

// remove takes away our target, and the rule if it has no other.
func (h *ruleHandler) remove(ctx context.Context) error {
	targets, err := h.targets(ctx, h.w.Bus)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if aws.ToString(t.Id) != targetID {
			return errTargets
		}
	}
	client := h.bridge(h.w.Region)
	if len(targets) > 0 {
		out, err := client.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &h.w.Name, EventBusName: &h.w.Bus, Ids: []string{targetID}})
		if err != nil && !noBus(err) {
			return failed("remove target of rule", err)
		}
		if err == nil && len(out.FailedEntries) > 0 {
			return fmt.Errorf("remove target of rule: %s", aws.ToString(out.FailedEntries[0].ErrorMessage))
		}
	}
	_, err = client.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &h.w.Name, EventBusName: &h.w.Bus})
	if noBus(err) {
		return nil
	}
	return failed("delete rule", err)
}
