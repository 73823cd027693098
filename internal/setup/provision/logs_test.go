package provision_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// region is where everything lies.
const region = "eu-central-1"

// reach makes an AWS whose calls a handler answers.
func reach(t *testing.T, h http.Handler, key string) *provision.AWS {
	t.Helper()
	a, err := provision.NewAWS(t.Context(), config.AWS{Region: region, Endpoint: "http://aws.example.com"}, provision.AWSOptions{
		HTTPClient: &http.Client{Transport: emulator.Transport(h)}, Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newLogs starts an emulated endpoint with keys and returns an engine over it, and the
// client of an administrator.
func newLogs(t *testing.T, o provision.Options, keys ...cloudwatch.AccessKey) (*provision.Engine, *logs.Client) {
	t.Helper()
	if len(keys) == 0 {
		keys = []cloudwatch.AccessKey{{ID: "KEY", Secret: "secret"}}
	}
	server, err := cloudwatch.New(cloudwatch.Options{AccessKeys: append(keys, cloudwatch.AccessKey{ID: "ADMIN", Secret: "secret"})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine(o, provision.NewLogs(reach(t, server, "KEY"), "gapless")), logs.NewFromConfig(reach(t, server, "ADMIN").In(region))
}

// logStack is a group with all that can be in it.
func logStack(change func(*stack.LogGroup)) stack.Stack {
	g := &stack.LogGroup{
		Region: region, Name: "/auth0/dev", RetentionDays: 30, Class: "STANDARD", KMSKey: "arn:aws:kms:eu-central-1:123456789012:key/1",
		Protected: true, Tags: map[string]string{stack.ManagedBy: "gapless", "team": "security"},
	}
	if change != nil {
		change(g)
	}
	return stack.Stack{Resources: []stack.Resource{
		g, &stack.LogStream{Region: region, Group: g.Name, Name: "logs"}, &stack.IndexPolicy{Region: region, Group: g.Name, Fields: []string{"type", "ip"}},
	}}
}

// apply carries out the plan for a stack and wants the next to be empty.
func apply(t *testing.T, e *provision.Engine, s stack.Stack, wanted ...string) {
	t.Helper()
	p := must(t, e, s)
	if d := cmp.Diff(wanted, actions(p)); d != "" {
		t.Errorf("plan (-want +got):\n%s", d)
	}
	out, err := e.Apply(t.Context(), p, nil)
	if err != nil || len(out.Unkept) > 0 {
		t.Fatalf("%v: %+v", err, out.Unkept)
	}
	if p := must(t, e, s); len(p.Pending()) > 0 {
		t.Errorf("a second plan is %v", actions(p))
	}
}

// remove carries out the plan for a removal.
func remove(t *testing.T, e *provision.Engine, s stack.Stack, wanted ...string) {
	t.Helper()
	p, err := e.PlanRemoval(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wanted, actions(p)); d != "" {
		t.Errorf("plan of removal (-want +got):\n%s", d)
	}
	if out, err := e.Apply(t.Context(), p, nil); err != nil || len(out.Unkept) > 0 {
		t.Fatalf("%v: %+v", err, out.Unkept)
	}
}

func TestLogGroups(t *testing.T) {
	t.Parallel()
	e, admin := newLogs(t, provision.Options{})
	apply(t, e, logStack(nil), "create log group", "create log stream", "create field indexes")
	apply(t, e, logStack(func(g *stack.LogGroup) {
		g.RetentionDays, g.KMSKey, g.Protected, g.Tags["team"] = 0, "", false, "audit"
	}), "change log group", "keep log stream", "keep field indexes")
	apply(t, e, logStack(func(g *stack.LogGroup) { g.Class = "INFREQUENT_ACCESS" }), "change log group", "keep log stream", "keep field indexes")
	if _, err := admin.TagResource(t.Context(), &logs.TagResourceInput{
		ResourceArn: aws.String("arn:aws:logs:eu-central-1:123456789012:log-group:/auth0/dev"), Tags: map[string]string{"theirs": "x"},
	}); err != nil {
		t.Fatal(err)
	}
	apply(t, e, logStack(nil), "keep log group", "keep log stream", "keep field indexes")
	remove(t, e, logStack(nil), "remove field indexes", "leave log stream", "remove log group")
	remove(t, e, logStack(nil), "gone field indexes", "gone log stream", "gone log group")
}

// TestGroupsOfOthers has a group that somebody else made.
func TestGroupsOfOthers(t *testing.T) {
	t.Parallel()
	for _, change := range []bool{false, true} {
		e, admin := newLogs(t, provision.Options{ChangeExisting: change})
		if _, err := admin.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: aws.String("/auth0/dev"), Tags: map[string]string{"team": "other"}}); err != nil {
			t.Fatal(err)
		}
		want := []string{"leave log group", "create log stream", "leave field indexes"}
		if change {
			want = []string{"change log group", "create log stream", "change field indexes"}
		}
		apply(t, e, logStack(nil), want...)
		out, err := admin.ListTagsForResource(t.Context(), &logs.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:logs:eu-central-1:123456789012:log-group:/auth0/dev")})
		if err != nil {
			t.Fatal(err)
		}
		if _, taken := out.Tags[stack.ManagedBy]; taken || change != (out.Tags["team"] == "security") {
			t.Errorf("changed %v: tags are %v", change, out.Tags)
		}
		remove(t, e, logStack(nil), "leave field indexes", "leave log stream", "leave log group")
	}
}

// TestGroupsWithEvents are deleted when their name was said, and their protection taken
// off for that alone.
func TestGroupsWithEvents(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"", "/auth0/dev"} {
		e, admin := newLogs(t, provision.Options{DeleteEventsOf: []string{said}})
		apply(t, e, logStack(nil), "create log group", "create log stream", "create field indexes")
		if _, err := admin.PutLogEvents(t.Context(), &logs.PutLogEventsInput{
			LogGroupName: aws.String("/auth0/dev"), LogStreamName: aws.String("logs"),
			LogEvents: []types.InputLogEvent{{Message: aws.String("x"), Timestamp: aws.Int64(time.Now().UnixMilli())}},
		}); err != nil {
			t.Fatal(err)
		}
		if said != "" {
			remove(t, e, logStack(nil), "remove field indexes", "leave log stream", "remove log group")
			continue
		}
		remove(t, e, logStack(nil), "remove field indexes", "leave log stream", "leave log group")
		out, err := admin.DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{})
		if err != nil || len(out.LogGroups) != 1 || !aws.ToBool(out.LogGroups[0].DeletionProtectionEnabled) {
			t.Errorf("%v: %+v", err, out)
		}
	}
}

// TestMissingPermissionIsNamed stops at what a policy does not allow, and goes on when
// it does.
func TestMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	allow := []string{"DescribeLogGroups", "DescribeLogStreams", "ListTagsForResource", "CreateLogGroup", "TagResource", "PutRetentionPolicy", "CreateLogStream", "DescribeIndexPolicies", "PutIndexPolicy"}
	for i := range allow {
		others := slices.Delete(slices.Clone(allow), i, i+1)
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:` + strings.Join(others, `","logs:`) + `"`
		e, _ := newLogs(t, provision.Options{}, cloudwatch.AccessKey{ID: "KEY", Secret: "secret", Policy: policy + `],"Resource":"*"}]}`})
		p, err := e.Plan(t.Context(), logStack(nil))
		if err == nil {
			_, err = e.Apply(t.Context(), p, nil)
		}
		got, missing := provision.MissingPermission(err)
		if !missing || got.Action != "logs:"+allow[i] {
			t.Errorf("without %s: %+v, %v", allow[i], got, err)
		}
		if want := `{"Effect":"Allow","Action":"logs:` + allow[i] + `","Resource":"`; !strings.HasPrefix(got.Statement(), want) {
			t.Errorf("statement %s", got.Statement())
		}
	}
}

// TestPermissionsOfThePersonWhoApplies makes, changes and removes log groups under the
// policy of docs/setup.md.
func TestPermissionsOfThePersonWhoApplies(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "setup.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "```json\n")
	policy, _, _ := strings.Cut(after, "```")
	e, _ := newLogs(t, provision.Options{DeleteEventsOf: []string{"/auth0/dev"}}, cloudwatch.AccessKey{ID: "KEY", Secret: "secret", Policy: policy})
	apply(t, e, logStack(nil), "create log group", "create log stream", "create field indexes")
	apply(t, e, logStack(func(g *stack.LogGroup) {
		g.RetentionDays, g.KMSKey, g.Tags["team"] = 0, "", "audit"
	}), "change log group", "keep log stream", "keep field indexes")
	apply(t, e, logStack(nil), "change log group", "keep log stream", "keep field indexes")
	remove(t, e, logStack(nil), "remove field indexes", "leave log stream", "remove log group")
}

// TestMakingTwice lets two processes make the same at once: what is ours already is
// fine, and what is somebody else's is an error.
func TestMakingTwice(t *testing.T) {
	t.Parallel()
	server, err := cloudwatch.New(cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{{ID: "KEY", Secret: "secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }() // it keeps nothing on disk
	p := provision.NewLogs(reach(t, server, "KEY"), "gapless")
	for range 2 {
		for _, r := range logStack(nil).Resources {
			if err := p.Make(t.Context(), r, provision.Values{}); err != nil {
				t.Errorf("make %s: %v", r.ID(), err)
			}
		}
	}
	theirs := logStack(func(g *stack.LogGroup) {
		g.Name, g.Tags, g.Protected = "/theirs", map[string]string{"team": "other"}, false
	}).Resources[0]
	if err := p.Make(t.Context(), theirs, provision.Values{}); err != nil {
		t.Fatal(err)
	}
	ours := logStack(func(g *stack.LogGroup) { g.Name = "/theirs" }).Resources[0]
	if err := p.Make(t.Context(), ours, provision.Values{}); err == nil || !strings.Contains(err.Error(), "AlreadyExists") {
		t.Errorf("a group of others: %v", err)
	}
}
