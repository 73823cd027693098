package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// maxVersions is how many versions a managed policy may have.
const maxVersions = 5

// A policyHandler handles a managed policy.
type policyHandler struct {
	*accessProvider
	w *stack.Policy
	v Values
}

// arn returns the ARN of the policy. That of what was found is not made of tokens.
func (h *policyHandler) arn(ctx context.Context) (string, error) {
	if arn, missing := Fill(stack.PolicyARN(h.w.Name), h.v); len(missing) == 0 {
		return arn, nil
	}
	v, err := h.aws.Values(ctx)
	if err != nil {
		return "", err
	}
	return fill(stack.PolicyARN(h.w.Name), v)
}

func (h *policyHandler) find(ctx context.Context) (Found, error) {
	arn, err := h.arn(ctx)
	if err != nil {
		return Found{}, err
	}
	out, err := h.iam().GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if gone(err) != nil {
		return Found{}, failed("get policy", err)
	}
	if err != nil {
		return Found{}, nil //nolint:nilerr // it is not there
	}
	version, err := h.iam().GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: out.Policy.DefaultVersionId})
	if err != nil {
		return Found{}, failed("get policy version", err)
	}
	want, _ := Fill(h.w.Document, h.v)
	tags := tagMap(out.Policy.Tags)
	return Found{Ours: h.owns(tags), Resource: &stack.Policy{
		Name: h.w.Name, Description: aws.ToString(out.Policy.Description), Tags: tags,
		Document: asWanted(aws.ToString(version.PolicyVersion.Document), want),
	}}, nil
}

func (h *policyHandler) create(ctx context.Context) error {
	text, err := fill(h.w.Document, h.v)
	if err != nil {
		return err
	}
	_, err = h.iam().CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: &h.w.Name, Description: &h.w.Description, PolicyDocument: &text, Tags: tagList(h.w.Tags),
	})
	return failed("create policy", tolerate(ctx, h, err))
}

func (h *policyHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.Policy)
	if !ok {
		return unknownKind(have.Resource)
	}
	arn, err := h.arn(ctx)
	if err != nil {
		return err
	}
	text, err := fill(h.w.Document, h.v)
	if err != nil {
		return err
	}
	if had.Document != text {
		if err := h.makeRoom(ctx, arn); err != nil {
			return err
		}
		if _, err := h.iam().CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: &text, SetAsDefault: true}); err != nil {
			return failed("create policy version", err)
		}
	}
	if tags := wantedTags(h.w.Tags, had.Tags, have.Ours); len(tags) > 0 {
		_, err := h.iam().TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: &arn, Tags: tagList(tags)})
		return failed("tag policy", err)
	}
	return nil
}

// versions returns the versions of a policy, the oldest first.
func (h *policyHandler) versions(ctx context.Context, arn string) ([]types.PolicyVersion, error) {
	out, err := h.iam().ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: &arn}) // five at most
	if err != nil {
		return nil, failed("list policy versions", err)
	}
	slices.SortStableFunc(out.Versions, func(a, b types.PolicyVersion) int {
		return aws.ToTime(a.CreateDate).Compare(aws.ToTime(b.CreateDate))
	})
	return out.Versions, nil
}

// makeRoom deletes the oldest version that is not in force when there can be no more.
func (h *policyHandler) makeRoom(ctx context.Context, arn string) error {
	versions, err := h.versions(ctx, arn)
	if err != nil || len(versions) < maxVersions {
		return err
	}
	for _, v := range versions {
		if !v.IsDefaultVersion {
			_, err := h.iam().DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: v.VersionId})
			return failed("delete policy version", gone(err))
		}
	}
	return nil
}

func (h *policyHandler) remove(ctx context.Context) error {
	arn, err := h.arn(ctx)
	if err != nil {
		return err
	}
	if err := h.unattached(ctx, arn); err != nil {
		return err
	}
	versions, err := h.versions(ctx, arn)
	if gone(err) != nil {
		return err
	}
	for _, v := range versions {
		if v.IsDefaultVersion {
			continue
		}
		if _, err := h.iam().DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: v.VersionId}); gone(err) != nil {
			return failed("delete policy version", err)
		}
	}
	_, err = h.iam().DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &arn})
	return failed("delete policy", gone(err))
}

// unattached refuses to remove a policy that others have attached, and says where.
func (h *policyHandler) unattached(ctx context.Context, arn string) error {
	out, err := h.iam().ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{PolicyArn: &arn})
	if err != nil {
		return failed("list who has the policy", gone(err))
	}
	var holders []string
	for _, r := range out.PolicyRoles {
		holders = append(holders, "aws iam detach-role-policy --role-name "+aws.ToString(r.RoleName)+" --policy-arn "+arn)
	}
	for _, u := range out.PolicyUsers {
		holders = append(holders, "aws iam detach-user-policy --user-name "+aws.ToString(u.UserName)+" --policy-arn "+arn)
	}
	for _, g := range out.PolicyGroups {
		holders = append(holders, "aws iam detach-group-policy --group-name "+aws.ToString(g.GroupName)+" --policy-arn "+arn)
	}
	if len(holders) > 0 {
		return fmt.Errorf("it is attached to what setup did not make: take it off first with `%s`", strings.Join(holders, "`, `"))
	}
	return nil
}
