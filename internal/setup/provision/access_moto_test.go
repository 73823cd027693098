package provision_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// accessStack is a policy with a document, and what an identity is made of.
func accessStack(document string, identity ...stack.Resource) stack.Stack {
	return stack.Stack{Resources: append([]stack.Resource{
		&stack.Policy{Name: "gapless", Description: "what it may", Document: document, Tags: mark()},
	}, identity...)}
}

// allows is a policy's document for an action.
func allows(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + action + `"],"Resource":["` + stack.ARN("logs", region, "log-group:/a:*") + `"]}]}`
}

// trusting is the trust of a role in a service.
func trusting(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"aws:SourceAccount":"` + stack.Account + `"}}}]}`
}

// role is a role that trusts a service.
func role(service string) *stack.Role {
	return &stack.Role{Name: "gapless", Description: "runs", Trust: trusting(service), Policies: []string{stack.PolicyARN("gapless")}, Tags: mark()}
}

// TestAccessAgainstMoto makes, changes and removes all kinds of IAM that moto knows.
func TestAccessAgainstMoto(t *testing.T) {
	t.Parallel()
	endpoint, asked := moto.Start(t), &actionsAsked{next: http.DefaultTransport, names: map[string]bool{}}
	to := func(client *http.Client) *provision.AWS {
		a, err := provision.NewAWS(t.Context(), config.AWS{Region: region, Endpoint: endpoint}, provision.AWSOptions{
			Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: client,
		})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := to(&http.Client{Transport: asked})
	t.Cleanup(func() {
		asked.compare(t)
		http.DefaultClient.CloseIdleConnections() // those of its transport
	})
	var saved []string
	access := provision.AccessOptions{Owner: "gapless", Wait: noWait, SaveKey: func(id, secret string) error {
		saved = append(saved, id+" "+secret)
		return nil
	}}
	values, err := a.Values(t.Context())
	if err != nil || values[stack.Account] != "123456789012" || values[stack.Partition] != "aws" {
		t.Fatalf("%v, %v", values, err)
	}
	e := engine(provision.Options{}, provision.NewAccess(a, access))
	admin := iam.NewFromConfig(to(&http.Client{Transport: http.DefaultTransport}).In(""))
	t.Run("roles", func(t *testing.T) { rolesAgainstMoto(t, e, admin) })
	t.Run("versions", func(t *testing.T) { versionsAgainstMoto(t, e, admin) })
	t.Run("users", func(t *testing.T) {
		s := accessStack(allows("logs:PutLogEvents"), &stack.User{Name: "gapless", Policies: []string{stack.PolicyARN("gapless")}, Tags: mark()}, &stack.AccessKey{User: "gapless"})
		apply(t, e, s, "create policy", "create user", "create access key")
		apply(t, e, s, "keep policy", "keep user", "keep access key")
		tagged(s)
		apply(t, e, s, "change policy", "change user", "keep access key")
		if len(saved) != 1 {
			t.Errorf("%d keys were made", len(saved))
		}
		remove(t, e, s, "remove access key", "remove user", "remove policy")
	})
	t.Run("a key that cannot be kept", func(t *testing.T) {
		lost := errors.New("disk full")
		bad := access
		bad.SaveKey = func(string, string) error { return lost }
		e := engine(provision.Options{}, provision.NewAccess(a, bad))
		s := accessStack(allows("logs:PutLogEvents"), &stack.User{Name: "gapless", Tags: mark()}, &stack.AccessKey{User: "gapless"})
		if _, err := e.Apply(t.Context(), must(t, e, s), nil); !errors.Is(err, lost) {
			t.Errorf("%v", err)
		}
		if out, err := admin.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: aws.String("gapless")}); err != nil || len(out.AccessKeyMetadata) != 0 {
			t.Errorf("%v: a key whose secret nobody knows is left", err)
		}
		remove(t, e, s, "gone access key", "remove user", "remove policy")
	})
	t.Run("things of others", func(t *testing.T) { othersAgainstMoto(t, e, admin) })
}

// actionsAsked remembers the actions of IAM that are asked for.
type actionsAsked struct {
	next  http.RoundTripper
	mu    sync.Mutex
	names map[string]bool
}

// RoundTrip implements http.RoundTripper.
func (a *actionsAsked) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.names[form.Get("Action")] = true
	a.mu.Unlock()
	return a.next.RoundTrip(r)
}

// compare holds that docs/setup.md names each action as one that whoever applies needs,
// and no other.
func (a *actionsAsked) compare(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "setup.md"))
	if err != nil {
		t.Error(err)
		return
	}
	named := map[string]bool{"GetCallerIdentity": true}
	for _, m := range regexp.MustCompile(`iam:([A-Za-z]+)`).FindAllStringSubmatch(string(page), -1) {
		named[m[1]] = true
	}
	delete(named, "PassRole")                           // is checked, and has no call
	delete(named, "AddClientIDToOpenIDConnectProvider") // moto does not know it
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := cmp.Diff(named, a.names); d != "" && !t.Failed() {
		t.Errorf("docs/setup.md and the calls differ (-page +calls):\n%s", d)
	}
}

// tagged gives all of a stack that takes tags one more.
func tagged(s stack.Stack) {
	more := map[string]string{stack.ManagedBy: "gapless", "cost": "1"}
	for _, r := range s.Resources {
		switch r := r.(type) {
		case *stack.Policy:
			r.Tags = more
		case *stack.Role:
			r.Tags = more
		case *stack.User:
			r.Tags = more
		case *stack.InstanceProfile:
			r.Tags = more
		case *stack.OIDCProvider:
			r.Tags = more
		}
	}
}

// rolesAgainstMoto walks through what lends roles.
func rolesAgainstMoto(t *testing.T, e *provision.Engine, admin *iam.Client) {
	t.Helper()
	s := accessStack(allows("logs:PutLogEvents"), role("ec2.amazonaws.com"), &stack.InstanceProfile{Name: "gapless", Role: "gapless", Tags: mark()})
	apply(t, e, s, "create policy", "create role", "create instance profile")
	tagged(s)
	apply(t, e, s, "change policy", "change role", "change instance profile")
	apply(t, e, accessStack(allows("logs:PutLogEvents"), role("ecs-tasks.amazonaws.com")), "keep policy", "change role")
	out, err := admin.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: aws.String("theirs"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: aws.String("gapless"), PolicyArn: out.Policy.Arn}); err != nil {
		t.Fatal(err)
	}
	more := role("ecs-tasks.amazonaws.com")
	more.Description, more.Tags = "runs on", map[string]string{stack.ManagedBy: "gapless", "team": "security"}
	apply(t, e, accessStack(allows("logs:PutLogEvents"), more), "keep policy", "change role")
	remove(t, e, s, "remove instance profile", "remove role", "remove policy")
	if _, err := admin.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: out.Policy.Arn}); err != nil {
		t.Errorf("the policy of others is gone, or attached still: %v", err)
	}
	oidc := &stack.OIDCProvider{URL: "token.actions.githubusercontent.com", Audiences: []string{"sts.amazonaws.com"}, Tags: mark()}
	s = stack.Stack{Resources: []stack.Resource{oidc}}
	apply(t, e, s, "create OpenID Connect provider")
	tagged(s)
	apply(t, e, s, "change OpenID Connect provider")
	remove(t, e, s, "remove OpenID Connect provider")
}

// versionsAgainstMoto changes a policy more often than it may have versions.
func versionsAgainstMoto(t *testing.T, e *provision.Engine, admin *iam.Client) {
	t.Helper()
	apply(t, e, accessStack(allows("logs:A0")), "create policy")
	for i := range 8 {
		apply(t, e, accessStack(allows(fmt.Sprint("logs:B", i))), "change policy")
	}
	out, err := admin.ListPolicyVersions(t.Context(), &iam.ListPolicyVersionsInput{PolicyArn: aws.String("arn:aws:iam::123456789012:policy/gapless")})
	if err != nil || len(out.Versions) > 5 {
		t.Errorf("%v: %d versions", err, len(out.Versions))
	}
	remove(t, e, accessStack(allows("logs:B7")), "remove policy")
}

// othersAgainstMoto has a role and a provider of others under our names, and our policy
// attached by somebody.
func othersAgainstMoto(t *testing.T, e *provision.Engine, admin *iam.Client) {
	t.Helper()
	theirs := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"glue.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	if _, err := admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("gapless"), AssumeRolePolicyDocument: &theirs}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://token.actions.githubusercontent.com"), ClientIDList: []string{"sts.amazonaws.com", "other"}}); err != nil {
		t.Fatal(err)
	}
	oidc := &stack.OIDCProvider{URL: "token.actions.githubusercontent.com", Audiences: []string{"sts.amazonaws.com"}, Tags: mark()}
	s := accessStack(allows("logs:PutLogEvents"), oidc, role("ec2.amazonaws.com"))
	apply(t, e, s, "create policy", "keep OpenID Connect provider", "leave role")
	arn := aws.String("arn:aws:iam::123456789012:policy/gapless")
	if _, err := admin.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: aws.String("gapless"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	p, err := e.PlanRemoval(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Apply(t.Context(), p, nil)
	if want := "remove policy gapless: it is attached to what setup did not make: take it off first with `aws iam detach-role-policy --role-name gapless --policy-arn " + *arn + "`"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := admin.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: aws.String("gapless"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	remove(t, e, s, "leave role", "leave OpenID Connect provider", "remove policy")
}

// TestPatience has IAM not know a role for a while after it was made.
func TestPatience(t *testing.T) {
	t.Parallel()
	waited := 0
	f := &fakeIAM{unknown: 3}
	e := engine(provision.Options{}, provision.NewAccess(reach(t, f, "KEY"), provision.AccessOptions{Owner: "gapless", Wait: func(context.Context, time.Duration) error {
		waited++
		return nil
	}}))
	s := stack.Stack{Resources: []stack.Resource{&stack.InstanceProfile{Name: "gapless", Role: "gapless", Tags: mark()}}}
	if _, err := e.Apply(t.Context(), must(t, e, s), nil); err != nil || waited != 3 || f.added != 4 {
		t.Errorf("%v: waited %d times, asked %d times", err, waited, f.added)
	}
	f = &fakeIAM{unknown: 1 << 30}
	e = engine(provision.Options{}, provision.NewAccess(reach(t, f, "KEY"), provision.AccessOptions{Owner: "gapless", Wait: noWait}))
	if _, err := e.Apply(t.Context(), must(t, e, s), nil); err == nil || f.added > 10 {
		t.Errorf("%v: asked %d times", err, f.added)
	}
}
