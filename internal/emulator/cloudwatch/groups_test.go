package cloudwatch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
)

const (
	invalidParameter = "InvalidParameterException"
	notFound         = "ResourceNotFoundException"
	noGroup          = "The specified log group does not exist."
	noStream         = "The specified log stream does not exist."
	tooLongName      = "Invalid LogGroup or LogStream, both must have length less than or equal to 512."
)

func TestGroups(t *testing.T) {
	t.Parallel()
	run(t, map[string]func(*bench){
		"a new group shows what AWS shows": func(b *bench) {
			got := b.raw("DescribeLogGroups", `{}`)
			item := got.first("logGroups")
			if created, _ := item["creationTime"].(float64); created < 1e12 {
				b.t.Errorf("creationTime %v", item["creationTime"])
			}
			delete(item, "creationTime")
			want := map[string]any{
				"arn":                       "arn:aws:logs:us-east-1:123456789012:log-group:/auth0/dev-tenant:*",
				"logGroupArn":               "arn:aws:logs:us-east-1:123456789012:log-group:/auth0/dev-tenant",
				"deletionProtectionEnabled": false, "logGroupClass": "STANDARD", "logGroupName": group,
				"metricFilterCount": 0.0, "storedBytes": 0.0,
			}
			if diff := cmp.Diff(want, item); diff != "" {
				b.t.Error(diff)
			}
		},
		"the Region of the signature shows in the arn": func(b *bench) {
			out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{})
			b.must(err)
			if want := "arn:aws:logs:eu-central-1:123456789012:log-group:" + group + ":*"; *out.LogGroups[0].Arn != want {
				b.t.Errorf("arn %s; want %s", *out.LogGroups[0].Arn, want)
			}
		},
		"a second one of the same name": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String(group)})
			b.wantError(err, "ResourceAlreadyExistsException", "The specified log group already exists")
		},
		"create answers with an empty body": func(b *bench) {
			a := b.raw("CreateLogGroup", `{"logGroupName":"new"}`)
			if a.status != 200 || a.text != "" {
				b.t.Errorf("status %d, body %q", a.status, a.text)
			}
		},
		"name missing": func(b *bench) {
			b.wantRaw(b.raw("CreateLogGroup", `{}`), invalidParameter,
				"1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
		},
		"name of 513 characters": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String(strings.Repeat("a", 513))})
			b.wantError(err, invalidParameter, tooLongName)
		},
		"name of 512 characters": func(b *bench) { b.createGroup(strings.Repeat("a", 512)) },
		"name with a character that is not allowed": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("a b")})
			b.wantError(err, invalidParameter, "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy "+
				`constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`)
		},
		"an empty name breaks two constraints": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("")})
			b.wantError(err, invalidParameter, "2 validation errors detected: Value '' at 'logGroupName' failed to satisfy "+
				"constraint: Member must have length greater than or equal to 1; Value '' at 'logGroupName' failed to satisfy "+
				`constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`)
		},
		"every allowed character": func(b *bench) { b.createGroup("aZ0_-/.#") },
		"a reserved name": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("aws/x")})
			b.wantError(err, invalidParameter, "Log groups starting with AWS/ are reserved for AWS.")
		},
		"a slash before it makes it free": func(b *bench) { b.createGroup("/aws/x") },
		"an unknown class": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("x"), LogGroupClass: "GOLD"})
			b.wantError(err, invalidParameter, "1 validation error detected: Value 'GOLD' at 'logGroupClass' failed to satisfy "+
				"constraint: Member must satisfy enum value set: [STANDARD, INFREQUENT_ACCESS, DELIVERY, ESSENTIALS]")
		},
		"a key that is not the ARN of one": func(b *bench) {
			for _, key := range []string{"nope", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:s3:::bucket", "arn:aws:kms:eu-central-1:123456789012:key/"} {
				_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("x"), KmsKeyId: &key})
				b.wantError(err, invalidParameter, "The specified KMS Key Id could not be found. 'x'")
			}
		},
		"class and key are shown": func(b *bench) {
			key := "arn:aws:kms:eu-central-1:123456789012:key/0000"
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{
				LogGroupName: aws.String("x"), KmsKeyId: &key, LogGroupClass: types.LogGroupClassInfrequentAccess,
			})
			b.must(err)
			out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("x")})
			b.must(err)
			if g := out.LogGroups[0]; g.LogGroupClass != types.LogGroupClassInfrequentAccess || *g.KmsKeyId != key {
				b.t.Errorf("class %s, key %s", g.LogGroupClass, *g.KmsKeyId)
			}
		},
		"stored bytes count messages and 26 each": func(b *bench) {
			b.put("four", "five5")
			out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{})
			b.must(err)
			if got := *out.LogGroups[0].StoredBytes; got != 4+5+2*26 {
				b.t.Errorf("stored bytes %d", got)
			}
		},
		"stored bytes do not count what has expired": func(b *bench) {
			b.putEvents(stream, event(now().Add(-48*time.Hour), "expired"))
			b.putEvents(stream, event(now(), "four"))
			_, err := b.PutRetentionPolicy(b.t.Context(), &logs.PutRetentionPolicyInput{LogGroupName: aws.String(group), RetentionInDays: aws.Int32(1)})
			b.must(err)
			out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{})
			b.must(err)
			if got := *out.LogGroups[0].StoredBytes; got != 4+26 {
				b.t.Errorf("stored bytes %d", got)
			}
		},
		"deleting takes the streams along": func(b *bench) {
			b.put("gone")
			_, err := b.DeleteLogGroup(b.t.Context(), &logs.DeleteLogGroupInput{LogGroupName: aws.String(group)})
			b.must(err)
			_, err = b.tryPut(stream, event(now(), "x"))
			b.wantError(err, notFound, noGroup)
			b.createGroup(group)
			_, err = b.tryPut(stream, event(now(), "x"))
			b.wantError(err, notFound, noStream)
		},
		"deleting what is not there": func(b *bench) {
			_, err := b.DeleteLogGroup(b.t.Context(), &logs.DeleteLogGroupInput{LogGroupName: aws.String("nope")})
			b.wantError(err, notFound, noGroup)
		},
		"deletion protection": func(b *bench) {
			protect := func(on bool) {
				_, err := b.PutLogGroupDeletionProtection(b.t.Context(), &logs.PutLogGroupDeletionProtectionInput{
					LogGroupIdentifier: aws.String(group), DeletionProtectionEnabled: &on,
				})
				b.must(err)
			}
			protect(true)
			_, err := b.DeleteLogGroup(b.t.Context(), &logs.DeleteLogGroupInput{LogGroupName: aws.String(group)})
			b.wantError(err, "ValidationException", "…")
			_, err = b.DeleteLogStream(b.t.Context(), &logs.DeleteLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String(stream)})
			b.wantError(err, "ValidationException", "…")
			protect(false)
			_, err = b.DeleteLogGroup(b.t.Context(), &logs.DeleteLogGroupInput{LogGroupName: aws.String(group)})
			b.must(err)
		},
	})
}

func TestDescribeLogGroups(t *testing.T) {
	t.Parallel()
	names := func(in *logs.DescribeLogGroupsInput, b *bench) []string {
		out, err := b.DescribeLogGroups(b.t.Context(), in)
		b.must(err)
		var list []string
		for _, g := range out.LogGroups {
			list = append(list, *g.LogGroupName)
		}
		return list
	}
	run(t, map[string]func(*bench){
		"ASCII order": func(b *bench) {
			for _, name := range []string{"b", "B", "a", "_"} {
				b.createGroup(name)
			}
			if diff := cmp.Diff([]string{group, "B", "_", "a", "b"}, names(&logs.DescribeLogGroupsInput{}, b)); diff != "" {
				b.t.Error(diff)
			}
		},
		"by prefix and by pattern": func(b *bench) {
			b.createGroup("app/one")
			b.createGroup("two/app")
			prefix := names(&logs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("app")}, b)
			pattern := names(&logs.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("app")}, b)
			cased := names(&logs.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("APP")}, b)
			if diff := cmp.Diff([][]string{{"app/one"}, {"app/one", "two/app"}, nil}, [][]string{prefix, pattern, cased}); diff != "" {
				b.t.Error(diff)
			}
		},
		"with a pattern two members are left out": func(b *bench) {
			got := b.raw("DescribeLogGroups", `{"logGroupNamePattern":"auth0"}`)
			item := got.first("logGroups")
			var members []string
			for k := range item {
				members = append(members, k)
			}
			slices.Sort(members)
			want := []string{"arn", "creationTime", "logGroupArn", "logGroupClass", "logGroupName", "metricFilterCount"}
			if diff := cmp.Diff(want, members); diff != "" {
				b.t.Error(diff)
			}
		},
		"prefix and pattern together": func(b *bench) {
			_, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{
				LogGroupNamePrefix: aws.String("a"), LogGroupNamePattern: aws.String("a"),
			})
			b.wantError(err, invalidParameter, "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
		},
		"pages of 50 by default, and tokens": func(b *bench) {
			for i := range 119 {
				b.createGroup(fmt.Sprintf("g%03d", i))
			}
			var sizes []int
			pages := logs.NewDescribeLogGroupsPaginator(b, &logs.DescribeLogGroupsInput{})
			for pages.HasMorePages() {
				page, err := pages.NextPage(b.t.Context())
				b.must(err)
				sizes = append(sizes, len(page.LogGroups))
			}
			if diff := cmp.Diff([]int{50, 50, 20}, sizes); diff != "" {
				b.t.Error(diff)
			}
		},
		"a limit that is met exactly leaves no token": func(b *bench) {
			out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{Limit: aws.Int32(1)})
			b.must(err)
			if out.NextToken != nil {
				b.t.Errorf("token %s", *out.NextToken)
			}
		},
		"limits of 0 and 51": func(b *bench) {
			_, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{Limit: aws.Int32(0)})
			b.wantError(err, invalidParameter, "1 validation error detected: Value '0' at 'limit' failed to satisfy "+
				"constraint: Member must have value greater than or equal to 1")
			_, err = b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{Limit: aws.Int32(51)})
			b.wantError(err, invalidParameter, "1 validation error detected: Value '51' at 'limit' failed to satisfy "+
				"constraint: Member must have value less than or equal to 50")
		},
		"a token of nobody, and one of another question": func(b *bench) {
			_, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{NextToken: aws.String("nope")})
			b.wantError(err, invalidParameter, "The specified nextToken is invalid.")
			b.createGroup("second")
			out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{Limit: aws.Int32(1)})
			b.must(err)
			_, err = b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{NextToken: out.NextToken, LogGroupNamePrefix: aws.String("s")})
			b.wantError(err, invalidParameter, "The specified nextToken is invalid.")
		},
		"by class, of which two stand for each other": func(b *bench) {
			for _, class := range []types.LogGroupClass{"INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"} {
				_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String(string(class)), LogGroupClass: class})
				b.must(err)
			}
			got := [][]string{
				names(&logs.DescribeLogGroupsInput{LogGroupClass: "STANDARD"}, b),
				names(&logs.DescribeLogGroupsInput{LogGroupClass: "ESSENTIALS"}, b),
				names(&logs.DescribeLogGroupsInput{LogGroupClass: "DELIVERY"}, b),
			}
			if diff := cmp.Diff([][]string{{group}, {"ESSENTIALS", "INFREQUENT_ACCESS"}, {"DELIVERY"}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"by identifiers": func(b *bench) {
			b.createGroup("second")
			got := names(&logs.DescribeLogGroupsInput{LogGroupIdentifiers: []string{"second", "absent"}}, b)
			if diff := cmp.Diff([]string{"second"}, got); diff != "" {
				b.t.Error(diff)
			}
			_, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{
				LogGroupIdentifiers: []string{"second"}, LogGroupNamePrefix: aws.String("s"),
			})
			b.wantError(err, invalidParameter, "…")
		},
		"by linked accounts, of which there are none": func(b *bench) {
			own, other := []string{"123456789012"}, []string{"210987654321"}
			got := [][]string{
				names(&logs.DescribeLogGroupsInput{IncludeLinkedAccounts: aws.Bool(true)}, b),
				names(&logs.DescribeLogGroupsInput{IncludeLinkedAccounts: aws.Bool(true), AccountIdentifiers: own}, b),
				names(&logs.DescribeLogGroupsInput{IncludeLinkedAccounts: aws.Bool(true), AccountIdentifiers: other}, b),
				names(&logs.DescribeLogGroupsInput{AccountIdentifiers: other}, b), // counts for nothing
			}
			if diff := cmp.Diff([][]string{{group}, {group}, nil, {group}}, got); diff != "" {
				b.t.Error(diff)
			}
		},
		"none is an empty list": func(b *bench) {
			if a := b.raw("DescribeLogGroups", `{"logGroupNamePrefix":"zzz"}`); a.text != `{"logGroups":[]}` {
				b.t.Error(a.text)
			}
		},
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	put := func(b *bench, name string, days int32) error {
		_, err := b.PutRetentionPolicy(b.t.Context(), &logs.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: &days})
		return err
	}
	shown := func(b *bench) *int32 {
		out, err := b.DescribeLogGroups(b.t.Context(), &logs.DescribeLogGroupsInput{})
		b.must(err)
		return out.LogGroups[0].RetentionInDays
	}
	run(t, map[string]func(*bench){
		"every documented number of days": func(b *bench) {
			for _, days := range []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653} {
				b.must(put(b, group, days))
				if got := shown(b); got == nil || *got != days {
					b.t.Errorf("shown %v; want %d", got, days)
				}
			}
		},
		"any other": func(b *bench) {
			for _, days := range []int32{0, 2, 10, 3654, -1} {
				b.wantError(put(b, group, days), invalidParameter, "Invalid retention value. Valid values are: [1, 3, 5, 7, 14, 30, …")
			}
		},
		"deleted, and deleted again": func(b *bench) {
			b.must(put(b, group, 7))
			for range 2 {
				_, err := b.DeleteRetentionPolicy(b.t.Context(), &logs.DeleteRetentionPolicyInput{LogGroupName: aws.String(group)})
				b.must(err)
			}
			if got := shown(b); got != nil {
				b.t.Errorf("shown %d", *got)
			}
		},
		"no such group": func(b *bench) {
			b.wantError(put(b, "nope", 7), notFound, noGroup)
			_, err := b.DeleteRetentionPolicy(b.t.Context(), &logs.DeleteRetentionPolicyInput{LogGroupName: aws.String("nope")})
			b.wantError(err, notFound, noGroup)
		},
		"days missing": func(b *bench) {
			b.wantRaw(b.raw("PutRetentionPolicy", `{"logGroupName":"x"}`), invalidParameter,
				"1 validation error detected: Value null at 'retentionInDays' failed to satisfy constraint: Member must not be null")
		},
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:logs:eu-central-1:123456789012:log-group:" + group
	list := func(b *bench) map[string]string {
		out, err := b.ListTagsForResource(b.t.Context(), &logs.ListTagsForResourceInput{ResourceArn: aws.String(arn)})
		b.must(err)
		//nolint:staticcheck // both generations of the operation are emulated
		old, err := b.ListTagsLogGroup(b.t.Context(), &logs.ListTagsLogGroupInput{LogGroupName: aws.String(group)})
		b.must(err)
		if diff := cmp.Diff(out.Tags, old.Tags); diff != "" {
			b.t.Errorf("the two lists differ: %s", diff)
		}
		return out.Tags
	}
	tag := func(b *bench, arn string, tags map[string]string) error {
		_, err := b.TagResource(b.t.Context(), &logs.TagResourceInput{ResourceArn: &arn, Tags: tags})
		return err
	}
	many := func(n int) map[string]string {
		tags := make(map[string]string)
		for i := range n {
			tags[fmt.Sprintf("k%d", i)] = ""
		}
		return tags
	}
	run(t, map[string]func(*bench){
		"none is an empty map": func(b *bench) {
			if a := b.raw("ListTagsLogGroup", `{"logGroupName":"`+group+`"}`); a.text != `{"tags":{}}` {
				b.t.Error(a.text)
			}
		},
		"both generations see the same tags": func(b *bench) {
			b.must(tag(b, arn, map[string]string{"a": "1", "b": "2"}))
			//nolint:staticcheck // both generations of the operation are emulated
			_, err := b.TagLogGroup(b.t.Context(), &logs.TagLogGroupInput{LogGroupName: aws.String(group), Tags: map[string]string{"b": "3", "c": "4"}})
			b.must(err)
			if diff := cmp.Diff(map[string]string{"a": "1", "b": "3", "c": "4"}, list(b)); diff != "" {
				b.t.Error(diff)
			}
			_, err = b.UntagResource(b.t.Context(), &logs.UntagResourceInput{ResourceArn: aws.String(arn), TagKeys: []string{"a", "absent"}})
			b.must(err)
			//nolint:staticcheck // both generations of the operation are emulated
			_, err = b.UntagLogGroup(b.t.Context(), &logs.UntagLogGroupInput{LogGroupName: aws.String(group), Tags: []string{"b"}})
			b.must(err)
			if diff := cmp.Diff(map[string]string{"c": "4"}, list(b)); diff != "" {
				b.t.Error(diff)
			}
		},
		"given at creation": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("x"), Tags: map[string]string{"env": "dev"}})
			b.must(err)
			out, err := b.ListTagsForResource(b.t.Context(), &logs.ListTagsForResourceInput{
				ResourceArn: aws.String("arn:aws:logs:eu-central-1:123456789012:log-group:x"),
			})
			b.must(err)
			if diff := cmp.Diff(map[string]string{"env": "dev"}, out.Tags); diff != "" {
				b.t.Error(diff)
			}
		},
		"51 at once": func(b *bench) {
			_, err := b.CreateLogGroup(b.t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("x"), Tags: many(51)})
			b.wantError(err, invalidParameter, "1 validation error detected: Value '{k0=, …")
		},
		"the 51st later": func(b *bench) {
			b.must(tag(b, arn, many(50)))
			b.wantError(tag(b, arn, map[string]string{"one": "more"}), "TooManyTagsException", "…")
			b.must(tag(b, arn, map[string]string{"k1": "changed"}))
		},
		"no tags at all": func(b *bench) {
			b.wantError(tag(b, arn, map[string]string{}), invalidParameter, "1 validation error detected: Value '{}' at 'tags' failed "+
				"to satisfy constraint: Member must have length greater than or equal to 1")
		},
		"keys and values that are not allowed": func(b *bench) {
			b.wantError(tag(b, arn, map[string]string{"a*": ""}), invalidParameter, "1 validation error detected: Value '{a*=}' at 'tags' "+
				"failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, …")
			b.wantError(tag(b, arn, map[string]string{"a": strings.Repeat("v", 257)}), invalidParameter, "…")
			b.wantError(tag(b, arn, map[string]string{strings.Repeat("k", 129): ""}), invalidParameter, "…")
			b.must(tag(b, arn, map[string]string{"größe 1_.:/=+-@": strings.Repeat("é", 256)}))
		},
		"keys of AWS": func(b *bench) {
			b.wantError(tag(b, arn, map[string]string{"aws:x": ""}), invalidParameter, "…")
		},
		"no such group, no such thing": func(b *bench) {
			b.wantError(tag(b, arn+"x", map[string]string{"a": ""}), notFound, "…")
			b.wantError(tag(b, "nope", map[string]string{"a": ""}), invalidParameter, "…")
			b.wantError(tag(b, arn+":*", map[string]string{"a": ""}), invalidParameter, "1 validation error detected: …")
			//nolint:staticcheck // both generations of the operation are emulated
			_, err := b.ListTagsLogGroup(b.t.Context(), &logs.ListTagsLogGroupInput{LogGroupName: aws.String("nope")})
			b.wantError(err, notFound, noGroup)
		},
	})
}
