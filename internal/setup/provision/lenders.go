package provision

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/rolesanywhere"
	ratypes "github.com/aws/aws-sdk-go-v2/service/rolesanywhere/types"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A podHandler handles an association of EKS Pod Identity.
type podHandler struct {
	*accessProvider
	w *stack.PodIdentity
	v Values
}

func (h *podHandler) client() *eks.Client { return eks.NewFromConfig(h.aws.In(h.w.Region)) }

// association returns the association of the service account, which has one at most;
// nil when there is none.
func (h *podHandler) association(ctx context.Context) (*ekstypes.PodIdentityAssociation, error) {
	list, err := h.client().ListPodIdentityAssociations(ctx, &eks.ListPodIdentityAssociationsInput{
		ClusterName: &h.w.Cluster, Namespace: &h.w.Namespace, ServiceAccount: &h.w.ServiceAccount,
	})
	if err != nil {
		return nil, failed("list pod identities", err)
	}
	if len(list.Associations) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	out, err := h.client().DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{
		ClusterName: &h.w.Cluster, AssociationId: list.Associations[0].AssociationId,
	})
	if _, missing := errors.AsType[*ekstypes.NotFoundException](err); missing {
		return nil, nil //nolint:nilnil // it went away
	}
	if err != nil {
		return nil, failed("describe pod identity", err)
	}
	return out.Association, nil
}

func (h *podHandler) find(ctx context.Context) (Found, error) {
	a, err := h.association(ctx)
	if err != nil || a == nil {
		return Found{}, err
	}
	return Found{Ours: h.owns(a.Tags), Resource: &stack.PodIdentity{
		Region: h.w.Region, Cluster: h.w.Cluster, Namespace: h.w.Namespace, ServiceAccount: h.w.ServiceAccount,
		Role: aws.ToString(a.RoleArn), Tags: a.Tags,
	}}, nil
}

func (h *podHandler) create(ctx context.Context) error {
	role, err := fill(h.w.Role, h.v)
	if err != nil {
		return err
	}
	err = h.patientlyEKS(ctx, func() error {
		_, err := h.client().CreatePodIdentityAssociation(ctx, &eks.CreatePodIdentityAssociationInput{
			ClusterName: &h.w.Cluster, Namespace: &h.w.Namespace, ServiceAccount: &h.w.ServiceAccount, RoleArn: &role, Tags: h.w.Tags,
		})
		return err
	})
	return failed("create pod identity", err)
}

// patientlyEKS is patiently for EKS, which checks the role that it is given.
func (h *podHandler) patientlyEKS(ctx context.Context, call func() error) error {
	var err error
	for _, d := range iamWaits() {
		err = call()
		bad, invalid := errors.AsType[*ekstypes.InvalidParameterException](err)
		if !invalid || !strings.Contains(strings.ToLower(bad.ErrorMessage()), "role") {
			return err
		}
		if waitErr := h.options.Wait(ctx, d); waitErr != nil {
			return errors.Join(err, waitErr)
		}
	}
	return err
}

func (h *podHandler) change(ctx context.Context, have Found) error {
	had, ok := have.Resource.(*stack.PodIdentity)
	if !ok {
		return unknownKind(have.Resource)
	}
	a, err := h.association(ctx)
	if err != nil || a == nil {
		return err
	}
	role, err := fill(h.w.Role, h.v)
	if err != nil {
		return err
	}
	if role != had.Role {
		err := h.patientlyEKS(ctx, func() error {
			_, err := h.client().UpdatePodIdentityAssociation(ctx, &eks.UpdatePodIdentityAssociationInput{
				ClusterName: &h.w.Cluster, AssociationId: a.AssociationId, RoleArn: &role,
			})
			return err
		})
		if err != nil {
			return failed("change pod identity", err)
		}
	}
	if tags := wantedTags(h.w.Tags, had.Tags, have.Ours); len(tags) > 0 {
		_, err := h.client().TagResource(ctx, &eks.TagResourceInput{ResourceArn: a.AssociationArn, Tags: tags})
		return failed("tag pod identity", err)
	}
	return nil
}

func (h *podHandler) remove(ctx context.Context) error {
	a, err := h.association(ctx)
	if err != nil || a == nil {
		return err
	}
	_, err = h.client().DeletePodIdentityAssociation(ctx, &eks.DeletePodIdentityAssociationInput{ClusterName: &h.w.Cluster, AssociationId: a.AssociationId})
	if _, missing := errors.AsType[*ekstypes.NotFoundException](err); missing {
		return nil
	}
	return failed("delete pod identity", err)
}

// anywhere returns a client of IAM Roles Anywhere.
func (p *accessProvider) anywhere(region string) *rolesanywhere.Client {
	return rolesanywhere.NewFromConfig(p.aws.In(region))
}

// anywhereTags returns the tags of something of IAM Roles Anywhere.
func (p *accessProvider) anywhereTags(ctx context.Context, region string, arn *string) (map[string]string, error) {
	out, err := p.anywhere(region).ListTagsForResource(ctx, &rolesanywhere.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil {
		return nil, failed("list tags of "+aws.ToString(arn), err)
	}
	tags := make(map[string]string, len(out.Tags))
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// anywhereTagList returns tags as IAM Roles Anywhere takes them.
func anywhereTagList(tags map[string]string) (list []ratypes.Tag) {
	for _, k := range sortedKeys(tags) {
		list = append(list, ratypes.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

// tagAnywhere adds the tags that are missing.
func (p *accessProvider) tagAnywhere(ctx context.Context, region string, arn *string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	_, err := p.anywhere(region).TagResource(ctx, &rolesanywhere.TagResourceInput{ResourceArn: arn, Tags: anywhereTagList(tags)})
	return failed("tag "+aws.ToString(arn), err)
}

// An anchorHandler handles a trust anchor. Names of trust anchors need not be unique:
// that of somebody else stands beside ours, and is never trusted in its place.
type anchorHandler struct {
	*accessProvider
	w *stack.TrustAnchor
	v Values
}

// ours returns the trust anchor of that name that is ours, nil when there is none.
func (h *anchorHandler) ours(ctx context.Context) (*ratypes.TrustAnchorDetail, map[string]string, error) {
	pages := rolesanywhere.NewListTrustAnchorsPaginator(h.anywhere(h.w.Region), &rolesanywhere.ListTrustAnchorsInput{})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, failed("list trust anchors", err)
		}
		for i := range out.TrustAnchors {
			a := &out.TrustAnchors[i]
			if aws.ToString(a.Name) != h.w.Name {
				continue
			}
			tags, err := h.anywhereTags(ctx, h.w.Region, a.TrustAnchorArn)
			if err != nil {
				return nil, nil, err
			}
			if h.owns(tags) {
				return a, tags, nil
			}
		}
	}
	return nil, nil, nil
}

func (h *anchorHandler) find(ctx context.Context) (Found, error) {
	a, tags, err := h.ours(ctx)
	if err != nil || a == nil {
		return Found{}, err
	}
	h.v[stack.Ref(stack.KindTrustAnchor, h.w.Name, "arn")] = aws.ToString(a.TrustAnchorArn)
	have := &stack.TrustAnchor{Region: h.w.Region, Name: h.w.Name, Tags: tags}
	if a.Source != nil {
		if data, ok := a.Source.SourceData.(*ratypes.SourceDataMemberX509CertificateData); ok {
			have.Certificate = data.Value
		}
	}
	if strings.TrimSpace(have.Certificate) == strings.TrimSpace(h.w.Certificate) {
		have.Certificate = h.w.Certificate
	}
	return Found{Ours: true, Resource: have}, nil
}

// source is the certificate as IAM Roles Anywhere takes it.
func (h *anchorHandler) source() *ratypes.Source {
	return &ratypes.Source{
		SourceType: ratypes.TrustAnchorTypeCertificateBundle,
		SourceData: &ratypes.SourceDataMemberX509CertificateData{Value: h.w.Certificate},
	}
}

func (h *anchorHandler) create(ctx context.Context) error {
	out, err := h.anywhere(h.w.Region).CreateTrustAnchor(ctx, &rolesanywhere.CreateTrustAnchorInput{
		Name: &h.w.Name, Enabled: aws.Bool(true), Source: h.source(), Tags: anywhereTagList(h.w.Tags),
	})
	if err != nil {
		return failed("create trust anchor", err)
	}
	h.v[stack.Ref(stack.KindTrustAnchor, h.w.Name, "arn")] = aws.ToString(out.TrustAnchor.TrustAnchorArn)
	return nil
}

func (h *anchorHandler) change(ctx context.Context, _ Found) error {
	a, tags, err := h.ours(ctx)
	if err != nil || a == nil {
		return err
	}
	if _, err := h.anywhere(h.w.Region).UpdateTrustAnchor(ctx, &rolesanywhere.UpdateTrustAnchorInput{TrustAnchorId: a.TrustAnchorId, Source: h.source()}); err != nil {
		return failed("change trust anchor", err)
	}
	return h.tagAnywhere(ctx, h.w.Region, a.TrustAnchorArn, wantedTags(h.w.Tags, tags, true))
}

func (h *anchorHandler) remove(ctx context.Context) error {
	a, _, err := h.ours(ctx)
	if err != nil || a == nil {
		return err
	}
	_, err = h.anywhere(h.w.Region).DeleteTrustAnchor(ctx, &rolesanywhere.DeleteTrustAnchorInput{TrustAnchorId: a.TrustAnchorId})
	return failed("delete trust anchor", missingAnywhere(err))
}

// missingAnywhere drops the error that says that something is not there.
func missingAnywhere(err error) error {
	if _, missing := errors.AsType[*ratypes.ResourceNotFoundException](err); missing {
		return nil
	}
	return err
}

// An anywhereHandler handles a profile of IAM Roles Anywhere, whose names need not be
// unique either.
type anywhereHandler struct {
	*accessProvider
	w *stack.AnywhereProfile
	v Values
}

// ours returns the profile of that name that is ours, nil when there is none.
func (h *anywhereHandler) ours(ctx context.Context) (*ratypes.ProfileDetail, map[string]string, error) {
	pages := rolesanywhere.NewListProfilesPaginator(h.anywhere(h.w.Region), &rolesanywhere.ListProfilesInput{})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, failed("list profiles", err)
		}
		for i := range out.Profiles {
			p := &out.Profiles[i]
			if aws.ToString(p.Name) != h.w.Name {
				continue
			}
			tags, err := h.anywhereTags(ctx, h.w.Region, p.ProfileArn)
			if err != nil {
				return nil, nil, err
			}
			if h.owns(tags) {
				return p, tags, nil
			}
		}
	}
	return nil, nil, nil
}

func (h *anywhereHandler) find(ctx context.Context) (Found, error) {
	p, tags, err := h.ours(ctx)
	if err != nil || p == nil {
		return Found{}, err
	}
	h.v[stack.Ref(stack.KindAnywhereProfile, h.w.Name, "arn")] = aws.ToString(p.ProfileArn)
	return Found{Ours: true, Resource: &stack.AnywhereProfile{
		Region: h.w.Region, Name: h.w.Name, Roles: slices.Clone(p.RoleArns), SessionSeconds: int(aws.ToInt32(p.DurationSeconds)), Tags: tags,
	}}, nil
}

func (h *anywhereHandler) create(ctx context.Context) error {
	roles, err := fillAll(h.w.Roles, h.v)
	if err != nil {
		return err
	}
	out, err := h.anywhere(h.w.Region).CreateProfile(ctx, &rolesanywhere.CreateProfileInput{
		Name: &h.w.Name, RoleArns: roles, Enabled: aws.Bool(true), Tags: anywhereTagList(h.w.Tags),
		DurationSeconds: aws.Int32(int32(h.w.SessionSeconds)), //nolint:gosec // up to 43,200
	})
	if err != nil {
		return failed("create profile", err)
	}
	h.v[stack.Ref(stack.KindAnywhereProfile, h.w.Name, "arn")] = aws.ToString(out.Profile.ProfileArn)
	return nil
}

func (h *anywhereHandler) change(ctx context.Context, _ Found) error {
	p, tags, err := h.ours(ctx)
	if err != nil || p == nil {
		return err
	}
	roles, err := fillAll(h.w.Roles, h.v)
	if err != nil {
		return err
	}
	if _, err := h.anywhere(h.w.Region).UpdateProfile(ctx, &rolesanywhere.UpdateProfileInput{
		ProfileId: p.ProfileId, RoleArns: roles, DurationSeconds: aws.Int32(int32(h.w.SessionSeconds)), //nolint:gosec // up to 43,200
	}); err != nil {
		return failed("change profile", err)
	}
	return h.tagAnywhere(ctx, h.w.Region, p.ProfileArn, wantedTags(h.w.Tags, tags, true))
}

func (h *anywhereHandler) remove(ctx context.Context) error {
	p, _, err := h.ours(ctx)
	if err != nil || p == nil {
		return err
	}
	_, err = h.anywhere(h.w.Region).DeleteProfile(ctx, &rolesanywhere.DeleteProfileInput{ProfileId: p.ProfileId})
	return failed("delete profile", missingAnywhere(err))
}
