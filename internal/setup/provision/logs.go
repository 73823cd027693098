package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A logsProvider knows log groups, their streams and field indexes. What lies in a
// group belongs to who made the group.
type logsProvider struct {
	aws   *AWS
	owner string
}

// NewLogs returns the provider of log groups, log streams and field indexes. owner is
// the value of the tag stack.ManagedBy on what is ours.
func NewLogs(a *AWS, owner string) Provider { return &logsProvider{a, owner} }

// Kinds implements Provider.
func (*logsProvider) Kinds() []stack.Kind {
	return []stack.Kind{stack.KindLogGroup, stack.KindLogStream, stack.KindIndexPolicy}
}

// client returns a client for a Region.
func (p *logsProvider) client(region string) *logs.Client {
	return logs.NewFromConfig(p.aws.In(region))
}

// Find implements Provider.
func (p *logsProvider) Find(ctx context.Context, want stack.Resource, _ Values) (Found, error) {
	switch w := want.(type) {
	case *stack.LogGroup:
		return p.findGroup(ctx, w.Region, w.Name, w.Class)
	case *stack.LogStream:
		return p.findStream(ctx, w)
	case *stack.IndexPolicy:
		return p.findIndexes(ctx, w)
	default:
		return Found{}, unknownKind(want)
	}
}

// Make implements Provider.
func (p *logsProvider) Make(ctx context.Context, want stack.Resource, _ Values) error {
	switch w := want.(type) {
	case *stack.LogGroup:
		return p.makeGroup(ctx, w)
	case *stack.LogStream:
		_, err := p.client(w.Region).CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: &w.Group, LogStreamName: &w.Name})
		if _, exists := errors.AsType[*types.ResourceAlreadyExistsException](err); exists {
			return nil
		}
		return failed("create log stream", err)
	case *stack.IndexPolicy:
		return p.putIndexes(ctx, w)
	default:
		return unknownKind(want)
	}
}

// Change implements Provider.
func (p *logsProvider) Change(ctx context.Context, want stack.Resource, have Found, _ Values) error {
	switch w := want.(type) {
	case *stack.LogGroup:
		had, ok := have.Resource.(*stack.LogGroup)
		if !ok {
			return unknownKind(have.Resource)
		}
		return p.changeGroup(ctx, w, had, have.Ours)
	case *stack.LogStream:
		return nil // it has nothing to change
	case *stack.IndexPolicy:
		return p.putIndexes(ctx, w)
	default:
		return unknownKind(want)
	}
}

// Remove implements Provider.
func (p *logsProvider) Remove(ctx context.Context, have Found) error {
	switch h := have.Resource.(type) {
	case *stack.LogGroup:
		return p.removeGroup(ctx, h)
	case *stack.LogStream:
		return nil // it goes with its group
	case *stack.IndexPolicy:
		_, err := p.client(h.Region).DeleteIndexPolicy(ctx, &logs.DeleteIndexPolicyInput{LogGroupIdentifier: &h.Group})
		return failed("delete field indexes", missingIsFine(err))
	default:
		return unknownKind(have.Resource)
	}
}

// Inspect implements Inspector.
func (p *logsProvider) Inspect(ctx context.Context, have Found) (Found, error) {
	switch h := have.Resource.(type) {
	case *stack.LogStream:
		have.Ours, have.Note = false, "it goes with its log group"
	case *stack.LogGroup:
		if have.Ours {
			have.HoldsEvents = p.holdsEvents(ctx, h)
		}
	}
	return have, nil
}

// missingIsFine drops the error that says that something is not there.
func missingIsFine(err error) error {
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return nil
	}
	return err
}

// findGroup looks for a group. class is taken where the endpoint tells none, as some
// emulators do not.
func (p *logsProvider) findGroup(ctx context.Context, region, name, class string) (Found, error) {
	g, err := p.describe(ctx, region, name)
	if err != nil || g == nil {
		return Found{}, err
	}
	tags, err := p.tags(ctx, region, g)
	if err != nil {
		return Found{}, err
	}
	if g.LogGroupClass != "" {
		class = string(g.LogGroupClass)
	}
	return Found{Ours: p.owns(tags), Resource: &stack.LogGroup{
		Region: region, Name: name, RetentionDays: int(aws.ToInt32(g.RetentionInDays)), Class: class,
		KMSKey: aws.ToString(g.KmsKeyId), Tags: tags, Protected: aws.ToBool(g.DeletionProtectionEnabled),
	}}, nil
}

// describe returns a group, nil when there is none. Names come in order, so that it is
// the first of those that begin with its name.
func (p *logsProvider) describe(ctx context.Context, region, name string) (*types.LogGroup, error) {
	out, err := p.client(region).DescribeLogGroups(ctx, &logs.DescribeLogGroupsInput{LogGroupNamePrefix: &name, Limit: aws.Int32(1)})
	if err != nil {
		return nil, failed("describe log group", err)
	}
	if len(out.LogGroups) == 0 || aws.ToString(out.LogGroups[0].LogGroupName) != name {
		return nil, nil //nolint:nilnil // there is none
	}
	return &out.LogGroups[0], nil
}

// groupARN returns the ARN of a group without what may lie in it.
func groupARN(g *types.LogGroup) *string {
	if g.LogGroupArn != nil {
		return g.LogGroupArn
	}
	return aws.String(strings.TrimSuffix(aws.ToString(g.Arn), ":*"))
}

// tags returns the tags of a group.
func (p *logsProvider) tags(ctx context.Context, region string, g *types.LogGroup) (map[string]string, error) {
	out, err := p.client(region).ListTagsForResource(ctx, &logs.ListTagsForResourceInput{ResourceArn: groupARN(g)})
	if err != nil {
		return nil, failed("list tags of log group", err)
	}
	return out.Tags, nil
}

// owns reports whether tags say that this program made what they are on.
func (p *logsProvider) owns(tags map[string]string) bool { return tags[stack.ManagedBy] == p.owner }

// ownsGroup reports whether there is a group, and whether this program made it.
func (p *logsProvider) ownsGroup(ctx context.Context, region, name string) (there, ours bool, err error) {
	g, err := p.describe(ctx, region, name)
	if err != nil || g == nil {
		return false, false, err
	}
	tags, err := p.tags(ctx, region, g)
	return true, p.owns(tags), err
}

// makeGroup makes a group.
func (p *logsProvider) makeGroup(ctx context.Context, w *stack.LogGroup) error {
	in := &logs.CreateLogGroupInput{LogGroupName: &w.Name, Tags: w.Tags, LogGroupClass: types.LogGroupClass(w.Class)}
	if w.KMSKey != "" {
		in.KmsKeyId = &w.KMSKey
	}
	if w.Protected {
		in.DeletionProtectionEnabled = &w.Protected
	}
	_, err := p.client(w.Region).CreateLogGroup(ctx, in)
	if _, exists := errors.AsType[*types.ResourceAlreadyExistsException](err); exists {
		if _, ours, ownErr := p.ownsGroup(ctx, w.Region, w.Name); ownErr != nil || !ours {
			return failed("create log group", errors.Join(err, ownErr))
		}
		err = nil // another process of ours was faster
	}
	if err != nil {
		return failed("create log group", err)
	}
	return p.retain(ctx, w)
}

// retain gives a group its retention.
func (p *logsProvider) retain(ctx context.Context, w *stack.LogGroup) error {
	if w.RetentionDays == 0 {
		_, err := p.client(w.Region).DeleteRetentionPolicy(ctx, &logs.DeleteRetentionPolicyInput{LogGroupName: &w.Name})
		return failed("take off retention", err)
	}
	_, err := p.client(w.Region).PutRetentionPolicy(ctx, &logs.PutRetentionPolicyInput{
		LogGroupName: &w.Name, RetentionInDays: aws.Int32(int32(w.RetentionDays)), //nolint:gosec // one of those that the configuration takes
	})
	return failed("set retention", err)
}

// changeGroup makes a group as it is wanted. One of others does not get the mark that
// it is ours.
func (p *logsProvider) changeGroup(ctx context.Context, w, had *stack.LogGroup, ours bool) error {
	c := p.client(w.Region)
	if w.RetentionDays != had.RetentionDays {
		if err := p.retain(ctx, w); err != nil {
			return err
		}
	}
	if w.KMSKey != had.KMSKey {
		var err error
		if w.KMSKey == "" {
			_, err = c.DisassociateKmsKey(ctx, &logs.DisassociateKmsKeyInput{LogGroupName: &w.Name})
		} else {
			_, err = c.AssociateKmsKey(ctx, &logs.AssociateKmsKeyInput{LogGroupName: &w.Name, KmsKeyId: &w.KMSKey})
		}
		if err != nil {
			return failed("change key", err)
		}
	}
	if err := p.tag(ctx, w, had, ours); err != nil {
		return err
	}
	if w.Protected != had.Protected {
		return p.protect(ctx, w.Region, w.Name, w.Protected)
	}
	return nil
}

// tag adds the tags that are missing or have another value.
func (p *logsProvider) tag(ctx context.Context, w, had *stack.LogGroup, ours bool) error {
	tags := wantedTags(w.Tags, had.Tags, ours)
	if len(tags) == 0 {
		return nil
	}
	g, err := p.describe(ctx, w.Region, w.Name)
	if err != nil || g == nil {
		return err
	}
	_, err = p.client(w.Region).TagResource(ctx, &logs.TagResourceInput{ResourceArn: groupARN(g), Tags: tags})
	return failed("tag log group", err)
}

// wantedTags returns the tags that are missing, without the mark of what is ours on
// what is not.
func wantedTags(want, have map[string]string, ours bool) map[string]string {
	out := maps.Clone(want)
	maps.DeleteFunc(out, func(k, v string) bool {
		had, there := have[k]
		return there && had == v || k == stack.ManagedBy && !ours
	})
	return out
}

// protect turns the deletion protection of a group on or off.
func (p *logsProvider) protect(ctx context.Context, region, name string, on bool) error {
	_, err := p.client(region).PutLogGroupDeletionProtection(ctx, &logs.PutLogGroupDeletionProtectionInput{
		LogGroupIdentifier: &name, DeletionProtectionEnabled: &on,
	})
	return failed("change deletion protection", err)
}

// removeGroup removes a group with all that is in it.
func (p *logsProvider) removeGroup(ctx context.Context, h *stack.LogGroup) error {
	if h.Protected {
		if err := p.protect(ctx, h.Region, h.Name, false); missingIsFine(err) != nil {
			return err
		}
	}
	_, err := p.client(h.Region).DeleteLogGroup(ctx, &logs.DeleteLogGroupInput{LogGroupName: &h.Name})
	return failed("delete log group", missingIsFine(err))
}

// filterPages bounds the search for an event in a group: each page may be empty.
const filterPages = 20

// holdsEvents reports whether a group holds events, as far as can be seen: what cannot
// be seen counts as yes. The figures of groups and streams lag behind by an hour and
// more, so that a no of theirs is not taken for one.
func (p *logsProvider) holdsEvents(ctx context.Context, g *stack.LogGroup) bool {
	c, streams := p.client(g.Region), 0
	for token := (*string)(nil); ; {
		out, err := c.DescribeLogStreams(ctx, &logs.DescribeLogStreamsInput{LogGroupName: &g.Name, NextToken: token})
		if err != nil {
			return true
		}
		streams += len(out.LogStreams)
		if slices.ContainsFunc(out.LogStreams, func(s types.LogStream) bool {
			return s.FirstEventTimestamp != nil || s.LastEventTimestamp != nil || s.LastIngestionTime != nil
		}) {
			return true
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	if streams == 0 {
		return false
	}
	token := (*string)(nil)
	for range filterPages {
		out, err := c.FilterLogEvents(ctx, &logs.FilterLogEventsInput{LogGroupName: &g.Name, Limit: aws.Int32(1), NextToken: token})
		if err != nil || len(out.Events) > 0 {
			return true
		}
		if token = out.NextToken; token == nil {
			return false
		}
	}
	return true
}

// findStream looks for a stream.
func (p *logsProvider) findStream(ctx context.Context, w *stack.LogStream) (Found, error) {
	out, err := p.client(w.Region).DescribeLogStreams(ctx, &logs.DescribeLogStreamsInput{
		LogGroupName: &w.Group, LogStreamNamePrefix: &w.Name, Limit: aws.Int32(1),
	})
	if missingIsFine(err) != nil {
		return Found{}, failed("describe log stream", err)
	}
	if err != nil || len(out.LogStreams) == 0 || aws.ToString(out.LogStreams[0].LogStreamName) != w.Name {
		return Found{}, nil //nolint:nilerr // there is no such group, or no such stream
	}
	_, ours, err := p.ownsGroup(ctx, w.Region, w.Group)
	if err != nil {
		return Found{}, err
	}
	return Found{Resource: &stack.LogStream{Region: w.Region, Group: w.Group, Name: w.Name}, Ours: ours}, nil
}

// An indexDocument is the text of an index policy. FieldsV2 are fields with a type.
type indexDocument struct {
	Fields   []string                   `json:"Fields,omitempty"`   //nolint:tagliatelle // AWS's name
	FieldsV2 map[string]json.RawMessage `json:"FieldsV2,omitempty"` //nolint:tagliatelle // AWS's name
}

// findIndexes looks for the field indexes of a group. A group of others without any has
// some that index nothing: they are not ours to make.
func (p *logsProvider) findIndexes(ctx context.Context, w *stack.IndexPolicy) (Found, error) {
	there, ours, err := p.ownsGroup(ctx, w.Region, w.Group)
	if err != nil || !there {
		return Found{}, err
	}
	found := Found{Ours: ours}
	if !ours {
		found.Resource = &stack.IndexPolicy{Region: w.Region, Group: w.Group}
	}
	out, err := p.client(w.Region).DescribeIndexPolicies(ctx, &logs.DescribeIndexPoliciesInput{LogGroupIdentifiers: []string{w.Group}})
	if missingIsFine(err) != nil {
		return Found{}, failed("describe field indexes", err)
	}
	if err != nil {
		return found, nil //nolint:nilerr // there are none
	}
	for _, policy := range out.IndexPolicies {
		if policy.Source == types.IndexSourceAccount { // is for all groups of the account
			continue
		}
		var doc indexDocument
		if err := json.Unmarshal([]byte(aws.ToString(policy.PolicyDocument)), &doc); err != nil {
			return Found{}, fmt.Errorf("read field indexes: %w", err)
		}
		fields := slices.AppendSeq(slices.Clone(doc.Fields), maps.Keys(doc.FieldsV2))
		found.Resource = &stack.IndexPolicy{Region: w.Region, Group: w.Group, Fields: fields}
	}
	return found, nil
}

// putIndexes gives a group its field indexes.
func (p *logsProvider) putIndexes(ctx context.Context, w *stack.IndexPolicy) error {
	text, err := json.Marshal(indexDocument{Fields: w.Fields})
	if err != nil {
		return fmt.Errorf("write field indexes: %w", err)
	}
	_, err = p.client(w.Region).PutIndexPolicy(ctx, &logs.PutIndexPolicyInput{LogGroupIdentifier: &w.Group, PolicyDocument: aws.String(string(text))})
	return failed("put field indexes", err)
}
