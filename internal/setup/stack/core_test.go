package stack_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// oneTenant is a configuration with room for more of its destination, and of others.
const oneTenant = `aws: {region: eu-central-1}
tenants:
  - name: dev
    domain: dev.us.auth0.com
    client_id: abc
    client_secret: env:A
`

// built returns the stack of a configuration.
func built(t *testing.T, text string, change ...func(*stack.Options)) (stack.Stack, error) {
	t.Helper()
	cfg, err := config.Load(t.Context(), config.LoadOptions{
		File: "g.yaml", ReadFile: func(string) ([]byte, error) { return []byte("data_dir: /d\n" + text), nil },
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	o, err := stack.OptionsFrom(cfg, func(string) ([]byte, error) { return nil, errors.New("no file") })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&o)
	}
	return stack.New(cfg, o)
}

// mustBuild is built without an error.
func mustBuild(t *testing.T, text string, change ...func(*stack.Options)) stack.Stack {
	t.Helper()
	s, err := built(t, text, change...)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

// TestPartsAreThoseOfTheConfiguration holds that the configuration knows each part, and
// that a part that is left out makes nothing.
func TestPartsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff(stack.Parts(), config.SetupParts()); d != "" {
		t.Error(d)
	}
	for _, part := range stack.Parts() {
		s := mustBuild(t, oneTenant+"setup: {run_on: ecs, leave_out: ["+part+"]}\n")
		for _, r := range s.Resources {
			if r.Part() == part {
				t.Errorf("%s is left out, and there is %s", part, r.ID())
			}
		}
		if len(s.Resources) == 0 {
			t.Errorf("without %s there is nothing", part)
		}
	}
}

func TestGroupsOfDestinations(t *testing.T) {
	t.Parallel()
	s := mustBuild(t, `aws: {region: eu-central-1}
tenants:
  - name: dev
    domain: dev.us.auth0.com
    client_id: abc
    client_secret: env:A
    cloudwatch: {retention_days: 365, tags: {team: security}, kms_key_id: "arn:aws:kms:eu-central-1:123456789012:key/1"}
    destinations:
      - {name: shared, log_group: /auth0/all, log_stream: dev, region: us-east-1, log_group_class: INFREQUENT_ACCESS}
      - {name: audit, log_group: /audit, role_arn: "arn:aws:iam::210987654321:role/audit"}
      - {name: days, log_group: "/auth0/{date}"}
      - {name: kinds, log_group: /auth0/kinds, log_stream: "{type}"}
  - name: prod
    domain: prod.us.auth0.com
    client_id: abc
    client_secret: env:A
    cloudwatch: {log_group: /auth0/all, log_stream: prod, region: us-east-1, log_group_class: INFREQUENT_ACCESS, tags: {stage: prod}}
setup: {tags: {cost: "1"}, deletion_protection: true}
`)
	want := []stack.LogGroup{
		{
			Region: "eu-central-1", Name: "/auth0/dev", RetentionDays: 365, Class: "STANDARD", KMSKey: "arn:aws:kms:eu-central-1:123456789012:key/1", Protected: true,
			Tags: map[string]string{"team": "security", "cost": "1", stack.ManagedBy: "gapless"},
		},
		{Region: "us-east-1", Name: "/auth0/all", Class: "INFREQUENT_ACCESS", Protected: true, Tags: map[string]string{"cost": "1", "stage": "prod", stack.ManagedBy: "gapless"}},
		{Region: "eu-central-1", Name: "/auth0/kinds", Class: "STANDARD", Protected: true, Tags: map[string]string{"cost": "1", stack.ManagedBy: "gapless"}},
	}
	var got []stack.LogGroup
	for _, g := range stack.Of[*stack.LogGroup](s) {
		got = append(got, *g)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var streams, indexes []string
	for _, st := range stack.Of[*stack.LogStream](s) {
		streams = append(streams, st.ID().Name)
	}
	if d := cmp.Diff([]string{"/auth0/dev : logs", "/auth0/all : dev", "/auth0/all : prod"}, streams); d != "" {
		t.Error(d)
	}
	for _, p := range stack.Of[*stack.IndexPolicy](s) {
		indexes = append(indexes, p.Group)
	}
	if d := cmp.Diff([]string{"/auth0/dev", "/auth0/kinds"}, indexes); d != "" {
		t.Error(d)
	}
	notes := strings.Join(s.Notes, "\n")
	for _, part := range []string{"arn:aws:iam::210987654321:role/audit", "--destination dev/audit", "/auth0/{date}", "{type}", "logs.eu-central-1.amazonaws.com"} {
		if !strings.Contains(notes, part) {
			t.Errorf("no note of %s:\n%s", part, notes)
		}
	}
}

// TestWishesThatContradict has two tenants share a group and want it otherwise.
func TestWishesThatContradict(t *testing.T) {
	t.Parallel()
	two := strings.ReplaceAll(oneTenant, "    client_secret: env:A\n", "    client_secret: env:A\n    cloudwatch: {log_group: /all, A}\n") +
		"  - {name: prod, domain: prod.us.auth0.com, client_id: abc, client_secret: env:A, cloudwatch: {log_group: /all, log_stream: p, B}}\n"
	for _, c := range []struct{ a, b, want string }{
		{"retention_days: 7", "retention_days: 30", "retention_days 7 and 30"},
		{"retention_days: 7", "retention_days: 0", "retention_days 7 and 0"},
		{"log_group_class: STANDARD", "log_group_class: INFREQUENT_ACCESS", "log_group_class STANDARD and INFREQUENT_ACCESS"},
		{"kms_key_id: k", "kms_key_id: ''", "kms_key_id k and none"},
		{"tags: {a: x}", "tags: {a: y}", "tags.a x and y"},
		{"tags: {a: x}", "tags: {b: y}", ""},
		{"log_group_class: STANDARD", "log_group_class: ''", ""},
	} {
		_, err := built(t, strings.NewReplacer("A}", c.a+"}", "B}", c.b+"}").Replace(two))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tenants.0.cloudwatch and tenants.1.cloudwatch")) {
			t.Errorf("%s and %s: %v", c.a, c.b, err)
		}
	}
}

// statements returns a document's actions by resource.
func statements(t *testing.T, document string) map[string][]string {
	t.Helper()
	var doc struct {
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	out := map[string][]string{}
	for _, s := range doc.Statement {
		for _, r := range s.Resource {
			out[strings.TrimPrefix(r, "arn:{{partition}}:")] = append(out[strings.TrimPrefix(r, "arn:{{partition}}:")], s.Action...)
		}
	}
	return out
}

// TestPolicyIsWhatTheConfigurationNeeds gives the policies of configurations.
func TestPolicyIsWhatTheConfigurationNeeds(t *testing.T) {
	t.Parallel()
	with := func(destination string) string { return oneTenant + "    cloudwatch: " + destination + "\n" }
	all := []string{"logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:PutLogEvents"}
	export := []string{"logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"}
	const topic = "arn:aws:sns:eu-west-1:123456789012:oncall"
	const off = "verify: {schedule: 'off'}\n"
	const group = "logs:eu-central-1:{{account}}:log-group:/auth0/dev"
	for name, c := range map[string]struct {
		text string
		want map[string][]string
	}{
		"groups are made": {with("{retention_days: 7, tags: {a: b}}"), map[string][]string{group + ":*": all}},
		"groups are left out": {with("{retention_days: 7, tags: {a: b}}") + "setup: {leave_out: [groups]}\n", map[string][]string{
			group:        {"logs:TagResource"},
			group + ":*": {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:PutLogEvents", "logs:PutRetentionPolicy", "logs:TagResource"},
		}},
		"groups are left out and not created": {with("{create: false, retention_days: 7}") + "setup: {leave_out: [groups]}\n", map[string][]string{group + ":*": all}},
		"streams depend on events": {with("{log_stream: '{date}'}"), map[string][]string{
			group + ":*": {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:PutLogEvents"},
		}},
		"groups depend on events": {with("{log_group: '/auth0/{tenant}/{type}{date}/x'}"), map[string][]string{
			group + "/*/x:*": {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:PutLogEvents"},
			"*":              {"logs:DescribeLogGroups"},
		}},
		"a bucket for the ledger": {oneTenant + "ledger: {s3: {url: 's3://audit/gap/x', kms_key_id: 'arn:aws:kms:eu-central-1:123456789012:key/k'}}\n", map[string][]string{
			group + ":*": all, "s3:::audit": {"s3:ListBucket"}, "s3:::audit/gap/x/*": {"s3:GetObject", "s3:PutObject"},
			"arn:aws:kms:eu-central-1:123456789012:key/k": {"kms:Decrypt", "kms:GenerateDataKey"},
		}},
		"a bucket by a role": {strings.Replace(oneTenant, "aws: {", "aws: {role_arn: 'arn:aws:iam::210987654321:role/audit', ", 1) + "ledger: {s3: {url: 's3://audit'}}\n", map[string][]string{
			"arn:aws:iam::210987654321:role/audit": {"sts:AssumeRole"},
		}},
		"a class without reads": {with("{log_group_class: INFREQUENT_ACCESS}"), map[string][]string{
			group + ":*": {"logs:DescribeLogStreams", "logs:PutLogEvents", "logs:StartQuery"}, "*": {"logs:GetQueryResults"},
		}},
		"a class without reads, and none wanted": {with("{log_group_class: INFREQUENT_ACCESS}") + off, map[string][]string{group + ":*": {"logs:DescribeLogStreams", "logs:PutLogEvents"}}},
		"nobody verifies":                        {oneTenant + off, map[string][]string{group + ":*": export}},
		"backfills alone":                        {oneTenant + off + "setup: {reads: [backfill]}\n", map[string][]string{group + ":*": all}},
		"a person tails":                         {oneTenant + off + "setup: {reads: [tail]}\n", map[string][]string{group + ":*": all}},
		"a person asks": {oneTenant + off + "setup: {reads: [query]}\n", map[string][]string{
			group + ":*": {"logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents", "logs:StartQuery"}, "*": {"logs:GetQueryResults", "logs:StopQuery"},
		}},
		"a topic": {oneTenant + "notify: {sns: [{topic_arn: '" + topic + "'}]}\n", map[string][]string{group + ":*": all, topic: {"sns:Publish"}}},
		"a topic with a role": {strings.Replace(oneTenant, "aws: {", "aws: {role_arn: 'arn:aws:iam::210987654321:role/audit', ", 1) + "notify: {sns: [{topic_arn: '" + topic + "'}]}\n", map[string][]string{
			"arn:aws:iam::210987654321:role/audit": {"sts:AssumeRole"},
		}},
		"metrics": {oneTenant + "notify: {emf: [{region: us-east-1}]}\n", map[string][]string{
			group + ":*": all, "logs:us-east-1:{{account}}:log-group:/gapless/metrics:*": {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
		}},
		"a role": {with("{role_arn: 'arn:aws:iam::210987654321:role/audit'}"), map[string][]string{"arn:aws:iam::210987654321:role/audit": {"sts:AssumeRole"}}},
		"a queue": {oneTenant + "    sqs: {queue_url: 'https://sqs.us-east-1.amazonaws.com/210987654321/auth0'}\n", map[string][]string{
			group + ":*": all, "sqs:us-east-1:210987654321:auth0": {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"},
		}},
		"secrets": {strings.ReplaceAll(oneTenant, "env:A", "aws-secretsmanager:auth0/dev#secret") + "    webhook: {token: 'aws-ssm:/gapless/token:3'}\nwebhook: {listen: '127.0.0.1:1'}\n", map[string][]string{
			group + ":*": all,
			"secretsmanager:eu-central-1:{{account}}:secret:auth0/dev-??????": {"secretsmanager:GetSecretValue"},
			"ssm:eu-central-1:{{account}}:parameter/gapless/token":            {"ssm:GetParameter"},
		}},
		"secrets by ARN": {strings.ReplaceAll(oneTenant, "env:A", "aws-secretsmanager:arn:aws:secretsmanager:us-east-1:210987654321:secret:auth0-AbCdEf#x") +
			"    webhook: {token: 'aws-ssm:arn:aws:ssm:us-east-1:210987654321:parameter/t'}\nwebhook: {listen: '127.0.0.1:1'}\n", map[string][]string{
			group + ":*": all,
			"arn:aws:secretsmanager:us-east-1:210987654321:secret:auth0-AbCdEf": {"secretsmanager:GetSecretValue"},
			"arn:aws:ssm:us-east-1:210987654321:parameter/t":                    {"ssm:GetParameter"},
		}},
	} {
		p := stack.Of[*stack.Policy](mustBuild(t, c.text))
		if len(p) != 1 {
			t.Errorf("%s: %d policies", name, len(p))
			continue
		}
		if d := cmp.Diff(c.want, statements(t, p[0].Document)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// TestPolicyThatIsTooLong says so instead of letting AWS refuse it.
func TestPolicyThatIsTooLong(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("aws: {region: eu-central-1}\ntenants:\n")
	for i := range 120 {
		fmt.Fprintf(&b, "  - {name: tenant-%d, domain: t%d.us.auth0.com, client_id: a, client_secret: env:A}\n", i, i)
	}
	if _, err := built(t, b.String()); err == nil || !strings.Contains(err.Error(), "6144") {
		t.Errorf("got %v", err)
	}
}

// TestDestinationInItsOwnAccount sets up where a role lies.
func TestDestinationInItsOwnAccount(t *testing.T) {
	t.Parallel()
	text := oneTenant + "    cloudwatch: {role_arn: 'arn:aws:iam::210987654321:role/audit'}\n"
	s := mustBuild(t, text, func(o *stack.Options) { o.Account, o.AsDestination = "210987654321", true })
	if len(stack.Of[*stack.LogGroup](s)) != 1 {
		t.Errorf("no group: %v", s.Resources)
	}
	want := map[string][]string{"logs:eu-central-1:{{account}}:log-group:/auth0/dev:*": {"logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:PutLogEvents"}}
	if d := cmp.Diff(want, statements(t, stack.Of[*stack.Policy](s)[0].Document)); d != "" {
		t.Error(d)
	}
}

// trusts are the conditions and principals that each identity must have.
func trusts() map[string]struct{ setup, trust string } {
	const github = "token.actions.githubusercontent.com"
	return map[string]struct{ setup, trust string }{
		"ecs":    {"", `{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":["sts:AssumeRole"],"Condition":{"ArnLike":{"aws:SourceArn":"arn:{{partition}}:ecs:*:{{account}}:*"},"StringEquals":{"aws:SourceAccount":"{{account}}"}}}`},
		"ec2":    {"", `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":["sts:AssumeRole"]}`},
		"lambda": {"", `{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":["sts:AssumeRole"]}`},
		"eks-irsa": {"eks: {oidc_provider: 'https://oidc.example.com/id/1'}", `{"Effect":"Allow","Principal":{"Federated":"arn:{{partition}}:iam::{{account}}:oidc-provider/oidc.example.com/id/1"},"Action":["sts:AssumeRoleWithWebIdentity"],` +
			`"Condition":{"StringEquals":{"oidc.example.com/id/1:aud":"sts.amazonaws.com","oidc.example.com/id/1:sub":"system:serviceaccount:gapless:gapless"}}}`},
		"eks-pod-identity": {"eks: {cluster: prod}", `{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"],` +
			`"Condition":{"ArnEquals":{"aws:RequestTag/eks-cluster-arn":"arn:{{partition}}:eks:eu-central-1:{{account}}:cluster/prod"},"StringEquals":{"aws:RequestTag/kubernetes-namespace":"gapless","aws:RequestTag/kubernetes-service-account":"gapless"}}}`},
		"github": {"github: {repository: a/b, branch: main}", `{"Effect":"Allow","Principal":{"Federated":"arn:{{partition}}:iam::{{account}}:oidc-provider/` + github + `"},"Action":["sts:AssumeRoleWithWebIdentity"],` +
			`"Condition":{"StringEquals":{"` + github + `:aud":"sts.amazonaws.com","` + github + `:sub":"repo:a/b:ref:refs/heads/main"}}}`},
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	besides := map[string][]stack.Kind{
		"ec2": {stack.KindInstanceProfile}, "eks-irsa": {stack.KindOIDCProvider}, "github": {stack.KindOIDCProvider}, "eks-pod-identity": {stack.KindPodIdentity},
	}
	for on, c := range trusts() {
		s := mustBuild(t, oneTenant+"setup: {run_on: "+on+", "+c.setup+"}\n")
		roles := stack.Of[*stack.Role](s)
		if len(roles) != 1 {
			t.Errorf("%s: %d roles", on, len(roles))
			continue
		}
		if d := cmp.Diff(`{"Version":"2012-10-17","Statement":[`+c.trust+`]}`, roles[0].Trust); d != "" {
			t.Errorf("%s (-want +got):\n%s", on, d)
		}
		if d := cmp.Diff([]string{stack.PolicyARN("gapless")}, roles[0].Policies); d != "" {
			t.Errorf("%s: %s", on, d)
		}
		for _, kind := range besides[on] {
			if !slices.ContainsFunc(s.Resources, func(r stack.Resource) bool { return r.ID().Kind == kind }) {
				t.Errorf("%s: no %s", on, kind)
			}
		}
	}
	any := stack.Of[*stack.Role](mustBuild(t, oneTenant+"setup: {run_on: github, github: {repository: a/b}}\n"))[0].Trust
	if !strings.Contains(any, `"StringLike":{"token.actions.githubusercontent.com:sub":"repo:a/b:*"}`) {
		t.Errorf("any branch: %s", any)
	}
	user := mustBuild(t, oneTenant+"setup: {run_on: user}\n")
	if len(stack.Of[*stack.User](user)) != 1 || len(stack.Of[*stack.AccessKey](user)) != 1 || !strings.Contains(strings.Join(user.Notes, " "), "last choice") {
		t.Errorf("user: %v %v", user.Resources, user.Notes)
	}
	none := mustBuild(t, oneTenant)
	if len(stack.Of[*stack.Policy](none)) != 1 || len(stack.Of[*stack.Role](none))+len(stack.Of[*stack.User](none)) != 0 {
		t.Errorf("none: %v", none.Resources)
	}
}

// certificate makes a certificate in PEM, with its key before it.
func certificate(t *testing.T, authority bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		IsCA: authority, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestRolesAnywhere(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(t.Context(), config.LoadOptions{
		File: "g.yaml", ReadFile: func(string) ([]byte, error) {
			return []byte("data_dir: /d\n" + oneTenant + "setup: {run_on: roles-anywhere, roles_anywhere: {ca_file: ca.pem, common_name: gapless.example.com}}\n"), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{certificate(t, true): true, certificate(t, false): false, "": false, "hello": false} {
		o, err := stack.OptionsFrom(cfg, func(string) ([]byte, error) { return []byte(text), nil })
		if (err == nil) != good {
			t.Errorf("%v: %v", good, err)
		}
		if err != nil {
			continue
		}
		if strings.Contains(o.CACertificate, "PRIVATE KEY") || !strings.Contains(o.CACertificate, "BEGIN CERTIFICATE") {
			t.Error("not the certificate alone was taken")
		}
		s, err := stack.New(cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":["sts:AssumeRole","sts:SetSourceIdentity","sts:TagSession"],` +
			`"Condition":{"ArnEquals":{"aws:SourceArn":"{{trust anchor:gapless:arn}}"},"StringEquals":{"aws:PrincipalTag/x509Subject/CN":"gapless.example.com"}}}]}`
		if d := cmp.Diff(want, stack.Of[*stack.Role](s)[0].Trust); d != "" {
			t.Error(d)
		}
		p := stack.Of[*stack.AnywhereProfile](s)
		if len(p) != 1 || p[0].SessionSeconds != 3600 || len(stack.Of[*stack.TrustAnchor](s)) != 1 {
			t.Errorf("%v", s.Resources)
		}
	}
}
