package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// AccessOptions are what NewAccess takes beside AWS.
type AccessOptions struct {
	// Owner is the value of the tag stack.ManagedBy on what is ours.
	Owner string
	// SaveKey keeps an access key that was made: AWS tells the secret once. When it
	// fails the key is taken away again. nil makes no keys.
	SaveKey func(id, secret string) error
	// Wait is as in Options.
	Wait func(ctx context.Context, d time.Duration) error
}

// An accessProvider knows what is in IAM, and what lends its identities.
type accessProvider struct {
	aws     *AWS
	options AccessOptions
}

// NewAccess returns the provider of policies, roles and users, and of what hands them
// out: instance profiles, OpenID Connect providers, pod identities of EKS and IAM
// Roles Anywhere.
func NewAccess(a *AWS, o AccessOptions) Provider {
	if o.Wait == nil {
		o.Wait = wait
	}
	return &accessProvider{a, o}
}

// ErrNoKeyFile says that nothing was named to keep an access key in.
var ErrNoKeyFile = errors.New("nothing is there to keep the access key in, and AWS tells its secret once")

// Kinds implements Provider.
func (*accessProvider) Kinds() []stack.Kind {
	return []stack.Kind{
		stack.KindPolicy, stack.KindOIDCProvider, stack.KindTrustAnchor, stack.KindRole, stack.KindInstanceProfile,
		stack.KindPodIdentity, stack.KindAnywhereProfile, stack.KindUser, stack.KindAccessKey,
	}
}

// A handler does what a provider does, for one kind. It is made for each call.
type handler interface {
	find(ctx context.Context) (Found, error)
	create(ctx context.Context) error
	change(ctx context.Context, have Found) error
	remove(ctx context.Context) error
}

// handler returns what handles a resource. v may be nil for remove.
func (p *accessProvider) handler(r stack.Resource, v Values) (handler, error) {
	switch r := r.(type) {
	case *stack.Policy:
		return &policyHandler{p, r, v}, nil
	case *stack.Role:
		return &roleHandler{p, r, v}, nil
	case *stack.User:
		return &userHandler{p, r, v}, nil
	case *stack.AccessKey:
		return &keyHandler{p, r, v}, nil
	case *stack.InstanceProfile:
		return &instanceHandler{p, r}, nil
	case *stack.OIDCProvider:
		return &oidcHandler{p, r, v}, nil
	case *stack.PodIdentity:
		return &podHandler{p, r, v}, nil
	case *stack.TrustAnchor:
		return &anchorHandler{p, r, v}, nil
	case *stack.AnywhereProfile:
		return &anywhereHandler{p, r, v}, nil
	default:
		return nil, unknownKind(r)
	}
}

// Find implements Provider.
func (p *accessProvider) Find(ctx context.Context, want stack.Resource, v Values) (Found, error) {
	h, err := p.handler(want, v)
	if err != nil {
		return Found{}, err
	}
	return h.find(ctx)
}

// Make implements Provider.
func (p *accessProvider) Make(ctx context.Context, want stack.Resource, v Values) error {
	h, err := p.handler(want, v)
	if err != nil {
		return err
	}
	return h.create(ctx)
}

// Change implements Provider.
func (p *accessProvider) Change(ctx context.Context, want stack.Resource, have Found, v Values) error {
	h, err := p.handler(want, v)
	if err != nil {
		return err
	}
	return h.change(ctx, have)
}

// Remove implements Provider.
func (p *accessProvider) Remove(ctx context.Context, have Found) error {
	h, err := p.handler(have.Resource, Values{})
	if err != nil {
		return err
	}
	return h.remove(ctx)
}

// Inspect implements Inspector.
func (*accessProvider) Inspect(_ context.Context, have Found) (Found, error) {
	if _, shared := have.Resource.(*stack.OIDCProvider); shared && have.Ours {
		have.Note = "roles of others in this account may trust it by now"
	}
	return have, nil
}

// iam returns a client of IAM.
func (p *accessProvider) iam() *iam.Client { return iam.NewFromConfig(p.aws.In("")) }

// owns reports whether tags say that this program made what they are on.
func (p *accessProvider) owns(tags map[string]string) bool {
	return tags[stack.ManagedBy] == p.options.Owner
}

// The waits for IAM to let what was just made be used: its copies agree within seconds.
func iamWaits() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 8 * time.Second}
}

// patiently makes a call that uses what was just made: again, for some seconds, while
// IAM does not know it everywhere.
func (p *accessProvider) patiently(ctx context.Context, call func() error) error {
	var err error
	for _, d := range append([]time.Duration{0}, iamWaits()...) {
		if d > 0 {
			if waitErr := p.options.Wait(ctx, d); waitErr != nil {
				return errors.Join(err, waitErr)
			}
		}
		if err = call(); !unsettled(err) {
			return err
		}
	}
	return err
}

// unsettled reports whether an error may be that IAM does not know everywhere what was
// just made, or that it still works on it.
func unsettled(err error) bool {
	_, missing := errors.AsType[*types.NoSuchEntityException](err)
	_, malformed := errors.AsType[*types.MalformedPolicyDocumentException](err) // names a principal that it does not know
	_, busy := errors.AsType[*types.EntityTemporarilyUnmodifiableException](err)
	_, raced := errors.AsType[*types.ConcurrentModificationException](err)
	return missing || malformed || busy || raced
}

// gone drops the error that says that something is not there.
func gone(err error) error {
	if _, missing := errors.AsType[*types.NoSuchEntityException](err); missing {
		return nil
	}
	return err
}

// existsAlready reports whether an error says that something is there.
func existsAlready(err error) bool {
	_, exists := errors.AsType[*types.EntityAlreadyExistsException](err)
	return exists
}

// tolerate lets what is there already be, when it is ours: another process of ours was
// faster.
func tolerate(ctx context.Context, h handler, err error) error {
	if !existsAlready(err) {
		return err
	}
	found, findErr := h.find(ctx)
	if findErr != nil {
		return errors.Join(err, findErr)
	}
	if !found.Ours {
		return err
	}
	return nil
}

// tagList returns tags as IAM takes them, in order.
func tagList(tags map[string]string) (list []types.Tag) {
	for _, k := range sortedKeys(tags) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// tagMap is the inverse of tagList.
func tagMap(list []types.Tag) map[string]string {
	tags := make(map[string]string, len(list))
	for _, t := range list {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

// fill fills a text that must have all its values.
func fill(text string, v Values) (string, error) {
	filled, missing := Fill(text, v)
	if len(missing) > 0 {
		return "", fmt.Errorf("the value %s is not known", missing[0])
	}
	return filled, nil
}

// fillAll fills several texts.
func fillAll(texts []string, v Values) ([]string, error) {
	out := make([]string, len(texts))
	for i, t := range texts {
		var err error
		if out[i], err = fill(t, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}
