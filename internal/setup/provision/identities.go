package provision

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// wantedOf returns those of a list that are wanted: what people add is theirs.
func wantedOf(held, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(held), func(x string) bool { return !slices.Contains(wanted, x) })
}

// attachedARNs returns the ARNs of attached policies.
func attachedARNs(list []types.AttachedPolicy) (arns []string) {
	for _, p := range list {
		arns = append(arns, aws.ToString(p.PolicyArn))
	}
	return arns
}

// A roleHandler handles a role.
type roleHandler struct {
	*accessProvider
	w *stack.Role
	v Values
}

// policies returns the ARNs of the policies that the role is to have.
func (h *roleHandler) policies() ([]string, error) { return fillAll(h.w.Policies, h.v) }

// attached returns the ARNs of all managed policies that the role has.
func (h *roleHandler) attached(ctx context.Context) (arns []string, err error) {
	pages := iam.NewListAttachedRolePoliciesPaginator(h.iam(), &iam.ListAttachedRolePoliciesInput{RoleName: &h.w.Name})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed("list policies of role", err)
		}
		arns = append(arns, attachedARNs(out.AttachedPolicies)...)
	}
	return arns, nil
}

func (h *roleHandler) find(ctx context.Context) (Found, error) {
	out, err := h.iam().GetRole(ctx, &iam.GetRoleInput{RoleName: &h.w.Name})
	if gone(err) != nil {
		return Found{}, failed("get role", err)
	}
	if err != nil {
		return Found{}, nil //nolint:nilerr // it is not there
	}
	attached, err := h.attached(ctx)
	if err != nil {
		return Found{}, err
	}
	wanted, err := h.policies()
	if err != nil {
		return Found{}, err
	}
	trust, _ := Fill(h.w.Trust, h.v)
	tags := tagMap(out.Role.Tags)
	return Found{Ours: h.owns(tags), Resource: &stack.Role{
		Name: h.w.Name, Description: aws.ToString(out.Role.Description), Tags: tags,
		Trust: asWanted(aws.ToString(out.Role.AssumeRolePolicyDocument), trust), Policies: wantedOf(attached, wanted),
	}}, nil
}

func (h *roleHandler) create(ctx context.Context) error {
	trust, err := fill(h.w.Trust, h.v)
	if err != nil {
		return err
	}
	err = h.patiently(ctx, func() error { // the trust may name what was just made
		_, err := h.iam().CreateRole(ctx, &iam.CreateRoleInput{
			RoleName: &h.w.Name, Description: &h.w.Description, AssumeRolePolicyDocument: &trust, Tags: tagList(h.w.Tags),
		})
		return err
	})
	if err := tolerate(ctx, h, err); err != nil {
		return failed("create role", err)
	}
	return h.attach(ctx, nil)
}

// attach attaches the policies that are missing.
func (h *roleHandler) attach(ctx context.Context, had []string) error {
	wanted, err := h.policies()
	if err != nil {
		return err
	}
	for _, arn := range wanted {
		if slices.Contains(had, arn) {
			continue
		}
		err := h.patiently(ctx, func() error {
			_, err := h.iam().AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &h.w.Name, PolicyArn: &arn})
			return err
		})
		if err != nil {
			return failed("attach policy to role", err)
		}
	}
	return nil
}

func (h *roleHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.Role)
	if !ok {
		return unknownKind(have.Resource)
	}
	trust, err := fill(h.w.Trust, h.v)
	if err != nil {
		return err
	}
	if trust != had.Trust {
		err := h.patiently(ctx, func() error {
			_, err := h.iam().UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &h.w.Name, PolicyDocument: &trust})
			return err
		})
		if err != nil {
			return failed("change trust of role", err)
		}
	}
	if h.w.Description != had.Description {
		if _, err := h.iam().UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: &h.w.Name, Description: &h.w.Description}); err != nil {
			return failed("change description of role", err)
		}
	}
	if tags := wantedTags(h.w.Tags, had.Tags, have.Ours); len(tags) > 0 {
		if _, err := h.iam().TagRole(ctx, &iam.TagRoleInput{RoleName: &h.w.Name, Tags: tagList(tags)}); err != nil {
			return failed("tag role", err)
		}
	}
	return h.attach(ctx, had.Policies)
}

func (h *roleHandler) remove(ctx context.Context) error {
	arns, err := h.attached(ctx)
	if gone(err) != nil {
		return err
	}
	for _, arn := range arns {
		if _, err := h.iam().DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &h.w.Name, PolicyArn: &arn}); gone(err) != nil {
			return failed("detach policy from role", err)
		}
	}
	_, err = h.iam().DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &h.w.Name})
	return failed("delete role", gone(err))
}

// A userHandler handles a user.
type userHandler struct {
	*accessProvider
	w *stack.User
	v Values
}

// attached returns the ARNs of all managed policies that the user has.
func (h *userHandler) attached(ctx context.Context) (arns []string, err error) {
	pages := iam.NewListAttachedUserPoliciesPaginator(h.iam(), &iam.ListAttachedUserPoliciesInput{UserName: &h.w.Name})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed("list policies of user", err)
		}
		arns = append(arns, attachedARNs(out.AttachedPolicies)...)
	}
	return arns, nil
}

func (h *userHandler) find(ctx context.Context) (Found, error) {
	tags, err := h.userTags(ctx, h.w.Name)
	if err != nil || tags == nil {
		return Found{}, err
	}
	attached, err := h.attached(ctx)
	if err != nil {
		return Found{}, err
	}
	wanted, err := fillAll(h.w.Policies, h.v)
	if err != nil {
		return Found{}, err
	}
	return Found{Ours: h.owns(tags), Resource: &stack.User{Name: h.w.Name, Policies: wantedOf(attached, wanted), Tags: tags}}, nil
}

// userTags returns the tags of a user, nil when there is none.
func (p *accessProvider) userTags(ctx context.Context, name string) (map[string]string, error) {
	out, err := p.iam().GetUser(ctx, &iam.GetUserInput{UserName: &name})
	if gone(err) != nil {
		return nil, failed("get user", err)
	}
	if err != nil {
		return nil, nil //nolint:nilerr // it is not there
	}
	return tagMap(out.User.Tags), nil
}

func (h *userHandler) create(ctx context.Context) error {
	_, err := h.iam().CreateUser(ctx, &iam.CreateUserInput{UserName: &h.w.Name, Tags: tagList(h.w.Tags)})
	if err := tolerate(ctx, h, err); err != nil {
		return failed("create user", err)
	}
	return h.attach(ctx, nil)
}

// attach attaches the policies that are missing.
func (h *userHandler) attach(ctx context.Context, had []string) error {
	wanted, err := fillAll(h.w.Policies, h.v)
	if err != nil {
		return err
	}
	for _, arn := range wanted {
		if slices.Contains(had, arn) {
			continue
		}
		err := h.patiently(ctx, func() error {
			_, err := h.iam().AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &h.w.Name, PolicyArn: &arn})
			return err
		})
		if err != nil {
			return failed("attach policy to user", err)
		}
	}
	return nil
}

func (h *userHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.User)
	if !ok {
		return unknownKind(have.Resource)
	}
	if tags := wantedTags(h.w.Tags, had.Tags, have.Ours); len(tags) > 0 {
		if _, err := h.iam().TagUser(ctx, &iam.TagUserInput{UserName: &h.w.Name, Tags: tagList(tags)}); err != nil {
			return failed("tag user", err)
		}
	}
	return h.attach(ctx, had.Policies)
}

func (h *userHandler) remove(ctx context.Context) error {
	arns, err := h.attached(ctx)
	if gone(err) != nil {
		return err
	}
	for _, arn := range arns {
		if _, err := h.iam().DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: &h.w.Name, PolicyArn: &arn}); gone(err) != nil {
			return failed("detach policy from user", err)
		}
	}
	_, err = h.iam().DeleteUser(ctx, &iam.DeleteUserInput{UserName: &h.w.Name})
	return failed("delete user", gone(err))
}

// A keyHandler handles the access key of a user.
type keyHandler struct {
	*accessProvider
	w *stack.AccessKey
	v Values
}

// keys returns the ids of the keys of the user.
func (h *keyHandler) keys(ctx context.Context) (ids []string, err error) {
	out, err := h.iam().ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &h.w.User}) // two at most
	if gone(err) != nil {
		return nil, failed("list access keys", err)
	}
	if err != nil {
		return nil, nil //nolint:nilerr // there is no user
	}
	for _, k := range out.AccessKeyMetadata {
		ids = append(ids, aws.ToString(k.AccessKeyId))
	}
	return ids, nil
}

func (h *keyHandler) find(ctx context.Context) (Found, error) {
	ids, err := h.keys(ctx)
	if err != nil || len(ids) == 0 {
		return Found{}, err
	}
	tags, err := h.userTags(ctx, h.w.User)
	if err != nil {
		return Found{}, err
	}
	h.v[stack.Ref(stack.KindAccessKey, h.w.User, "id")] = ids[0]
	return Found{Ours: h.owns(tags), Resource: &stack.AccessKey{User: h.w.User}, Note: strings.Join(ids, ", ")}, nil
}

func (h *keyHandler) create(ctx context.Context) error {
	if h.options.SaveKey == nil {
		return ErrNoKeyFile
	}
	var out *iam.CreateAccessKeyOutput
	err := h.patiently(ctx, func() (err error) {
		out, err = h.iam().CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &h.w.User})
		return err
	})
	if err != nil {
		return failed("create access key", err)
	}
	id, secret := aws.ToString(out.AccessKey.AccessKeyId), aws.ToString(out.AccessKey.SecretAccessKey)
	if err := h.options.SaveKey(id, secret); err != nil { // nobody will ever know the secret
		_, undo := h.iam().DeleteAccessKey(context.WithoutCancel(ctx), &iam.DeleteAccessKeyInput{UserName: &h.w.User, AccessKeyId: &id})
		return errors.Join(failed("keep access key", err), failed("delete access key", undo))
	}
	h.v[stack.Ref(stack.KindAccessKey, h.w.User, "id")] = id
	return nil
}

func (*keyHandler) change(context.Context, Found) error { return nil } // it has nothing to change

func (h *keyHandler) remove(ctx context.Context) error {
	ids, err := h.keys(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := h.iam().DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &h.w.User, AccessKeyId: &id}); gone(err) != nil {
			return failed("delete access key", err)
		}
	}
	return nil
}

// An instanceHandler handles an instance profile.
type instanceHandler struct {
	*accessProvider
	w *stack.InstanceProfile
}

func (h *instanceHandler) find(ctx context.Context) (Found, error) {
	out, err := h.iam().GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &h.w.Name})
	if gone(err) != nil {
		return Found{}, failed("get instance profile", err)
	}
	if err != nil {
		return Found{}, nil //nolint:nilerr // it is not there
	}
	tags := tagMap(out.InstanceProfile.Tags)
	have := &stack.InstanceProfile{Name: h.w.Name, Tags: tags}
	for _, r := range out.InstanceProfile.Roles { // one at most
		have.Role = aws.ToString(r.RoleName)
	}
	return Found{Ours: h.owns(tags), Resource: have}, nil
}

func (h *instanceHandler) create(ctx context.Context) error {
	_, err := h.iam().CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &h.w.Name, Tags: tagList(h.w.Tags)})
	if err := tolerate(ctx, h, err); err != nil {
		return failed("create instance profile", err)
	}
	return h.addRole(ctx)
}

// addRole puts the role into the profile.
func (h *instanceHandler) addRole(ctx context.Context) error {
	err := h.patiently(ctx, func() error {
		_, err := h.iam().AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &h.w.Name, RoleName: &h.w.Role})
		return err
	})
	return failed("add role to instance profile", err)
}

// dropRole takes a role out of the profile.
func (h *instanceHandler) dropRole(ctx context.Context, role string) error {
	if role == "" {
		return nil
	}
	_, err := h.iam().RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &h.w.Name, RoleName: &role})
	return failed("take role out of instance profile", gone(err))
}

func (h *instanceHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.InstanceProfile)
	if !ok {
		return unknownKind(have.Resource)
	}
	if tags := wantedTags(h.w.Tags, had.Tags, have.Ours); len(tags) > 0 {
		if _, err := h.iam().TagInstanceProfile(ctx, &iam.TagInstanceProfileInput{InstanceProfileName: &h.w.Name, Tags: tagList(tags)}); err != nil {
			return failed("tag instance profile", err)
		}
	}
	if had.Role == h.w.Role {
		return nil
	}
	if err := h.dropRole(ctx, had.Role); err != nil {
		return err
	}
	return h.addRole(ctx)
}

func (h *instanceHandler) remove(ctx context.Context) error {
	if err := h.dropRole(ctx, h.w.Role); err != nil { // h.w is what was found
		return err
	}
	_, err := h.iam().DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: &h.w.Name})
	return failed("delete instance profile", gone(err))
}

// An oidcHandler handles an OpenID Connect provider.
type oidcHandler struct {
	*accessProvider
	w *stack.OIDCProvider
	v Values
}

// arn returns the ARN of the provider.
func (h *oidcHandler) arn(ctx context.Context) (string, error) {
	v := h.v
	if len(v) == 0 {
		var err error
		if v, err = h.aws.Values(ctx); err != nil {
			return "", err
		}
	}
	return fill(stack.ARN("iam", "", "oidc-provider/"+h.w.URL), v)
}

func (h *oidcHandler) find(ctx context.Context) (Found, error) {
	arn, err := h.arn(ctx)
	if err != nil {
		return Found{}, err
	}
	out, err := h.iam().GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	if gone(err) != nil {
		return Found{}, failed("get OpenID Connect provider", err)
	}
	if err != nil {
		return Found{}, nil //nolint:nilerr // it is not there
	}
	tags := tagMap(out.Tags)
	return Found{Ours: h.owns(tags), Resource: &stack.OIDCProvider{URL: h.w.URL, Audiences: wantedOf(out.ClientIDList, h.w.Audiences), Tags: tags}}, nil
}

func (h *oidcHandler) create(ctx context.Context) error {
	_, err := h.iam().CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://" + h.w.URL), ClientIDList: h.w.Audiences, Tags: tagList(h.w.Tags),
	})
	return failed("create OpenID Connect provider", tolerate(ctx, h, err))
}

func (h *oidcHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.OIDCProvider)
	if !ok {
		return unknownKind(have.Resource)
	}
	arn, err := h.arn(ctx)
	if err != nil {
		return err
	}
	for _, audience := range h.w.Audiences {
		if slices.Contains(had.Audiences, audience) {
			continue
		}
		if _, err := h.iam().AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn, ClientID: &audience}); err != nil {
			return failed("add audience to OpenID Connect provider", err)
		}
	}
	if tags := wantedTags(h.w.Tags, had.Tags, have.Ours); len(tags) > 0 {
		_, err := h.iam().TagOpenIDConnectProvider(ctx, &iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn, Tags: tagList(tags)})
		return failed("tag OpenID Connect provider", err)
	}
	return nil
}

func (h *oidcHandler) remove(ctx context.Context) error {
	arn, err := h.arn(ctx)
	if err != nil {
		return err
	}
	_, err = h.iam().DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	return failed("delete OpenID Connect provider", gone(err))
}
