package export_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

const (
	region = "eu-central-1"
	other  = "us-east-1"
)

// source is the token for the partner event source, which Auth0 tells.
var source = stack.Ref(stack.KindAuth0Stream, "dev/gapless", "partner_event_source")

// jsonOf returns canonical JSON.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A statement of a policy, in the order in which documents have them.
type statement struct {
	Sid       string `json:"Sid,omitempty"`       //nolint:tagliatelle // AWS's
	Effect    string `json:"Effect"`              //nolint:tagliatelle // AWS's
	Principal any    `json:"Principal,omitempty"` //nolint:tagliatelle // AWS's
	Action    any    `json:"Action"`              //nolint:tagliatelle // AWS's
	Resource  any    `json:"Resource,omitempty"`  //nolint:tagliatelle // AWS's
	Condition any    `json:"Condition,omitempty"` //nolint:tagliatelle // AWS's
}

// policyOf returns the document of a policy.
func policyOf(t *testing.T, statements ...statement) string {
	t.Helper()
	return jsonOf(t, struct {
		Version   string      `json:"Version"`   //nolint:tagliatelle // AWS's
		Statement []statement `json:"Statement"` //nolint:tagliatelle // AWS's
	}{"2012-10-17", statements})
}

// certificate is one that nobody has signed for.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBdDCCARmgAwIBAgIUZ2FwbGVzcyB0ZXN0IG9ubHkgIDAKBggqhkjOPQQDAjAP
MQ0wCwYDVQQDDAR0ZXN0MB4XDTI2MDEwMTAwMDAwMFoXDTM2MDEwMTAwMDAwMFow
-----END CERTIFICATE-----
`

// hostile are tags that mean something to one reader or another.
func hostile() map[string]string {
	return map[string]string{
		stack.ManagedBy: "gapless", "dollar": "$(reboot)", "template": "${x} $${y} %{if} %%{z} {{account}}", "double": `a"b\c`, "single": "it's `id`",
		"yaml": "!Sub ${AWS::AccountId}", "number": "0123", "yes": "no", "date": "2012-10-17", "comment": "a # b: c", "comma": "Key=x,Value=y", "odd": "{{foo}} é",
	}
}

// logs returns log groups and what belongs to them.
func logs(t *testing.T, tags map[string]string) []stack.Resource {
	t.Helper()
	const group = "/auth0/dev"
	return []stack.Resource{
		&stack.LogGroup{Region: region, Name: group, RetentionDays: 365, Class: "STANDARD", Tags: tags},
		&stack.LogStream{Region: region, Group: group, Name: "logs"},
		&stack.LogGroup{Region: other, Name: group, Class: "STANDARD", Tags: map[string]string{stack.ManagedBy: "gapless"}},
		&stack.LogStream{Region: other, Group: group, Name: "logs"},
		&stack.MetricFilter{
			Region: region, Group: group, Name: "gapless-dev-logins-failed", Pattern: `{ ($.type = "f") || ($.type = "fp*") }`,
			Namespace: "gapless/dev", Metric: "LoginsFailed",
		},
		&stack.MetricFilter{Region: region, Group: group, Name: "gapless-dev-all", Namespace: "gapless/dev", Metric: "All"},
		&stack.Alarm{
			Region: region, Name: "gapless-dev-logins-failed", Description: `More than 100 "failed" logins in 5 minutes: it's ${odd}`,
			Namespace: "gapless/dev", Metric: "LoginsFailed", PeriodSeconds: 300, Threshold: 100,
			Topics: []string{"arn:aws:sns:eu-central-1:123456789012:security"}, Tags: map[string]string{stack.ManagedBy: "gapless"},
		},
		&stack.Dashboard{Name: "gapless-dev", Body: jsonOf(t, map[string]any{"widgets": []any{
			map[string]any{
				"type": "text", "x": 0, "y": 0, "width": 12, "height": 3,
				"properties": map[string]any{"markdown": "# Auth0 'dev'\n${x} in " + stack.Account},
			},
			map[string]any{
				"type": "metric", "x": 0, "y": 3, "width": 12, "height": 6,
				"properties": map[string]any{
					"metrics": []any{[]string{"gapless/dev", "LoginsFailed"}}, "region": region, "stat": "Sum", "period": 300, "view": "timeSeries",
				},
			},
		}})},
	}
}

// analysis returns field indexes and queries.
func analysis() []stack.Resource {
	return []stack.Resource{
		&stack.IndexPolicy{Region: region, Group: "/auth0/dev", Fields: []string{"type", "user_id"}},
		&stack.Query{
			Region: region, Name: "gapless/dev/Failed logins by user", Groups: []string{"/auth0/dev"},
			Text: "fields @timestamp, user_name\n| filter type in [\"f\", \"fp\"] and ip like /10\\.0/\n| stats count(*) as n by user_name\n| sort n desc",
		},
		&stack.Query{Region: other, Name: "gapless/dev/It's \"odd\" `${x}`", Text: "fields @message # '$(reboot)' ${x} %{y}"},
	}
}

// identity returns what lets gapless run on ECS or EC2, or as a user.
func identity(t *testing.T, tags map[string]string) []stack.Resource {
	t.Helper()
	return []stack.Resource{
		&stack.Policy{
			Name: "gapless", Description: "What gapless needs", Tags: tags,
			Document: policyOf(
				t,
				statement{Sid: "Send", Effect: "Allow", Action: []string{"logs:PutLogEvents", "logs:DescribeLogStreams"}, Resource: []string{
					stack.ARN("logs", region, "log-group:/auth0/dev:*"), stack.ARN("logs", other, "log-group:/auth0/dev:*"),
				}},
				statement{
					Effect: "Allow", Action: "sqs:ReceiveMessage", Resource: stack.ARN("sqs", region, "gapless-dev"),
					Condition: map[string]any{"StringLike": map[string]any{"aws:PrincipalTag/x": "${aws:username}"}},
				},
			),
		},
		&stack.Role{
			Name: "gapless", Description: "Runs gapless", Tags: tags, Policies: []string{stack.PolicyARN("gapless"), "arn:" + stack.Partition + ":iam::aws:policy/ReadOnlyAccess"},
			Trust: policyOf(t, statement{Effect: "Allow", Principal: map[string]string{"Service": "ecs-tasks.amazonaws.com"}, Action: "sts:AssumeRole"}),
		},
		&stack.InstanceProfile{Name: "gapless", Role: "gapless", Tags: map[string]string{stack.ManagedBy: "gapless"}},
		&stack.User{Name: "gapless", Policies: []string{stack.PolicyARN("gapless")}, Tags: tags},
		&stack.AccessKey{User: "gapless"},
	}
}

// federation returns what trusts tokens and certificates.
func federation(t *testing.T) []stack.Resource {
	t.Helper()
	github := &stack.OIDCProvider{URL: "token.actions.githubusercontent.com", Audiences: []string{"sts.amazonaws.com"}, Tags: map[string]string{stack.ManagedBy: "gapless"}}
	return []stack.Resource{
		github,
		&stack.Role{
			Name: "gapless-github", Policies: []string{stack.PolicyARN("gapless")},
			Trust: policyOf(t, statement{
				Effect: "Allow", Action: "sts:AssumeRoleWithWebIdentity", Principal: map[string]string{"Federated": stack.ARN("iam", "", "oidc-provider/"+github.URL)},
				Condition: map[string]any{"StringLike": map[string]string{github.URL + ":sub": "repo:example/it's:*"}},
			}),
		},
	}
}

// anywhere returns IAM Roles Anywhere, and a pod.
func anywhere(t *testing.T) []stack.Resource {
	t.Helper()
	return []stack.Resource{
		&stack.TrustAnchor{Region: region, Name: "gapless", Certificate: certificate, Tags: map[string]string{stack.ManagedBy: "gapless"}},
		&stack.Role{
			Name: "gapless-anywhere", Policies: []string{stack.PolicyARN("gapless")},
			Trust: policyOf(t, statement{
				Effect: "Allow", Action: []string{"sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"}, Principal: map[string]string{"Service": "rolesanywhere.amazonaws.com"},
				Condition: map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": stack.Ref(stack.KindTrustAnchor, "gapless", "arn")}},
			}),
		},
		&stack.AnywhereProfile{
			Region: region, Name: "gapless", Roles: []string{stack.RoleARN("gapless-anywhere")}, SessionSeconds: 3600,
			Tags: map[string]string{stack.ManagedBy: "gapless"},
		},
		&stack.PodIdentity{
			Region: region, Cluster: "prod", Namespace: "gapless", ServiceAccount: "exporter", Role: stack.RoleARN("gapless"),
			Tags: map[string]string{stack.ManagedBy: "gapless"},
		},
	}
}

// push returns what brings events from Auth0.
func push(t *testing.T, bus string, tags map[string]string) []stack.Resource {
	t.Helper()
	return []stack.Resource{
		&stack.Application{Tenant: "dev", Name: "gapless", Audience: "https://dev.us.auth0.com/api/v2/", Scopes: []string{"read:logs"}},
		&stack.Auth0Stream{Tenant: "dev", Name: "gapless", Type: "eventbridge", AWSRegion: region},
		&stack.Auth0Stream{Tenant: "dev", Name: "gapless-hook", Type: "http", Endpoint: "https://example.com", Authorization: "Bearer very-secret"},
		&stack.EventBus{Region: region, Source: bus, Tags: map[string]string{stack.ManagedBy: "gapless"}},
		&stack.Queue{Region: region, Name: "gapless-dev-dead", RetentionSeconds: 1209600, Tags: tags},
		&stack.Queue{
			Region: region, Name: "gapless-dev", RetentionSeconds: 1209600, VisibilitySeconds: 120, DeadLetterQueue: "gapless-dev-dead", MaxReceives: 5, Tags: tags,
			Policy: policyOf(t, statement{
				Effect: "Allow", Principal: map[string]string{"Service": "events.amazonaws.com"}, Action: "sqs:SendMessage", Resource: stack.ARN("sqs", region, "gapless-dev"),
				Condition: map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": stack.ARN("events", region, "rule/"+bus+"/gapless-dev")}},
			}),
		},
		&stack.Rule{
			Region: region, Bus: bus, Name: "gapless-dev", Pattern: `{"source":[{"prefix":"aws.partner/auth0.com"}]}`,
			Queue: "gapless-dev", DeadLetterQueue: "gapless-dev-dead", Tags: map[string]string{stack.ManagedBy: "gapless"},
		},
	}
}

// everything is a stack with all kinds.
func everything(t *testing.T) stack.Stack {
	t.Helper()
	s := stack.Stack{Notes: []string{"A note\nwith `a line` end; it's only a comment \u2028 rm -rf"}}
	for _, r := range [][]stack.Resource{logs(t, hostile()), analysis(), identity(t, hostile()), federation(t), anywhere(t), push(t, source, hostile())} {
		s.Resources = append(s.Resources, r...)
	}
	s.Resources = append(s.Resources, &stack.LogGroup{
		Region: region, Name: "/auth0/prod", RetentionDays: 3653, Class: "INFREQUENT_ACCESS", KMSKey: "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
		Protected: true, Tags: map[string]string{stack.ManagedBy: "gapless"},
	})
	return s
}

// kindName returns the name of a resource's type.
func kindName(r stack.Resource) string { return fmt.Sprintf("%T", r)[len("*stack."):] }
