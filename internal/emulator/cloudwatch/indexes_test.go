package cloudwatch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

func TestIndexPolicies(t *testing.T) {
	t.Parallel()
	put := func(b *bench, name, document string) error {
		_, err := b.PutIndexPolicy(b.t.Context(), &logs.PutIndexPolicyInput{LogGroupIdentifier: &name, PolicyDocument: &document})
		return err
	}
	describe := func(b *bench, name string) []types.IndexPolicy {
		out, err := b.DescribeIndexPolicies(b.t.Context(), &logs.DescribeIndexPoliciesInput{LogGroupIdentifiers: []string{name}})
		b.must(err)
		return out.IndexPolicies
	}
	run(t, map[string]func(*bench){
		"put, shown, replaced, deleted": func(b *bench) {
			if got := describe(b, group); len(got) != 0 {
				b.t.Errorf("a new group has %v", got)
			}
			b.must(put(b, group, `{"Fields":["type"]}`))
			b.must(put(b, group, `{"Fields":["type","ip"]}`))
			got := describe(b, group)
			if len(got) != 1 || *got[0].PolicyDocument != `{"Fields":["type","ip"]}` || got[0].Source != types.IndexSourceLogGroup || !strings.HasSuffix(*got[0].LogGroupIdentifier, ":log-group:"+group) || *got[0].LastUpdateTime == 0 {
				b.t.Errorf("%+v", got)
			}
			_, err := b.DeleteIndexPolicy(b.t.Context(), &logs.DeleteIndexPolicyInput{LogGroupIdentifier: aws.String(group)})
			b.must(err)
			if got := describe(b, group); len(got) != 0 {
				b.t.Errorf("deleted: %v", got)
			}
			_, err = b.DeleteIndexPolicy(b.t.Context(), &logs.DeleteIndexPolicyInput{LogGroupIdentifier: aws.String(group)})
			b.wantError(err, notFound, "…")
		},
		"no group": func(b *bench) {
			b.wantError(put(b, "nope", `{"Fields":["type"]}`), notFound, noGroup)
			_, err := b.DescribeIndexPolicies(b.t.Context(), &logs.DescribeIndexPoliciesInput{LogGroupIdentifiers: []string{"nope"}})
			b.wantError(err, notFound, noGroup)
		},
		"another class": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("ia"), LogGroupClass: types.LogGroupClassInfrequentAccess})
			b.must(err)
			b.wantError(put(b, "ia", `{"Fields":["type"]}`), invalidParameter, "…")
		},
		"documents that are none": func(b *bench) {
			var many []string
			for i := range 21 {
				many = append(many, fmt.Sprintf("%q", fmt.Sprint("f", i)))
			}
			for _, doc := range []string{"x", "{}", `{"Fields":[]}`, `{"Fields":[""]}`, `{"Felder":["a"]}`, `{"Fields":["` + strings.Repeat("x", 101) + `"]}`, `{"Fields":[` + strings.Join(many, ",") + `]}`} {
				b.wantError(put(b, group, doc), invalidParameter, "…")
			}
		},
		"a key": func(b *bench) {
			key := "arn:aws:kms:us-east-1:123456789012:key/1"
			shown := func() string {
				out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{})
				b.must(err)
				return aws.ToString(out.LogGroups[0].KmsKeyId)
			}
			_, err := b.AssociateKmsKey(b.t.Context(), &logs.AssociateKmsKeyInput{LogGroupName: aws.String(group), KmsKeyId: &key})
			b.must(err)
			if got := shown(); got != key {
				b.t.Errorf("key %q", got)
			}
			_, err = b.DisassociateKmsKey(b.t.Context(), &logs.DisassociateKmsKeyInput{LogGroupName: aws.String(group)})
			b.must(err)
			if got := shown(); got != "" {
				b.t.Errorf("key %q", got)
			}
			_, err = b.AssociateKmsKey(b.t.Context(), &logs.AssociateKmsKeyInput{LogGroupName: aws.String(group), KmsKeyId: aws.String("mine")})
			b.wantError(err, invalidParameter, "…")
		},
	})
}
