package stack_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// load reads a configuration in YAML.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load(t.Context(), config.LoadOptions{File: "gapless.yaml", ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const polled = `
aws: {region: eu-central-1}
tenants:
  - {name: dev, domain: dev.eu.auth0.com, client_id: abc, client_secret: "env:S"}
`

// pushOnly leaves out what other builders add.
func pushOnly(o stack.Options) stack.Options {
	o.Parts = []string{stack.PartAuth0, stack.PartQueue}
	return o
}

// reveal hands out a secret for every reference.
func reveal(value string) func(config.Secret) (string, error) {
	return func(config.Secret) (string, error) { return value, nil }
}

func TestAPolledTenantNeedsAnApplicationThatReadsLogsAlone(t *testing.T) {
	t.Parallel()
	s, err := stack.New(load(t, polled), pushOnly(stack.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	want := []stack.Resource{&stack.Application{
		Tenant: "dev", Name: "gapless", ClientID: "abc", Audience: "https://dev.eu.auth0.com/api/v2/", Scopes: []string{"read:logs"},
	}}
	if diff := cmp.Diff(want, s.Resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestTheWebhookWay(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
aws: {region: eu-central-1}
webhook: {listen: "127.0.0.1:8443"}
tenants:
  - {name: dev, domain: dev.eu.auth0.com, audience: "https://canonical/api/v2/", client_id: abc, client_secret: "env:S", webhook: {token: "env:T"}}
  - {name: audit, domain: dev.eu.auth0.com, client_id: abc, client_secret: "env:S", webhook: {tokens: ["env:OLD", "env:NEW"]}}
  - {name: pushed, webhook: {token: "env:T"}}
`)
	s, err := stack.New(cfg, pushOnly(stack.Options{
		Push: stack.PushWebhook, WebhookURL: "https://gapless.example.com/", Reveal: reveal("tok"),
		Categories: []string{"auth.login.fail"}, PIIFields: []string{"email"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []*stack.Auth0Stream{
		{Tenant: "dev", Name: "gapless-dev", Type: "http", Endpoint: "https://gapless.example.com/v1/tenants/dev/logs", Authorization: "tok", Categories: []string{"auth.login.fail"}, PIIFields: []string{"email"}, PIIMethod: "mask"},
		{Tenant: "audit", Name: "gapless-audit", Type: "http", Endpoint: "https://gapless.example.com/v1/tenants/audit/logs", Authorization: "tok", Categories: []string{"auth.login.fail"}, PIIFields: []string{"email"}, PIIMethod: "mask"},
	}
	if diff := cmp.Diff(want, stack.Of[*stack.Auth0Stream](s)); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if apps := stack.Of[*stack.Application](s); len(apps) != 2 || apps[0].Audience != "https://canonical/api/v2/" {
		t.Errorf("applications %+v", apps)
	}
	notes := strings.Join(s.Notes, "\n")
	for _, part := range []string{"Tenant pushed: without a domain", "Use redact as well"} {
		if !strings.Contains(notes, part) {
			t.Errorf("no note with %q in:\n%s", part, notes)
		}
	}
}

// Without the secrets there is no authorization, and a note tells of it; it quotes no
// value.
func TestSecretsThatCannotBeReadAreNoted(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
aws: {region: eu-central-1}
webhook: {listen: "127.0.0.1:8443"}
tenants:
  - {name: dev, domain: dev.eu.auth0.com, client_id: abc, private_key: "env:K", webhook: {token: "env:T"}}
`)
	for name, o := range map[string]stack.Options{
		"none":  {},
		"fails": {Reveal: func(config.Secret) (string, error) { return "", errors.New("env:K is not set") }},
	} {
		o.Push, o.WebhookURL = stack.PushWebhook, "https://gapless.example.com"
		s, err := stack.New(cfg, pushOnly(o))
		if err != nil {
			t.Fatal(err)
		}
		streams := stack.Of[*stack.Auth0Stream](s)
		if len(s.Resources) != 1 || len(streams) != 1 || streams[0].Authorization != "" || len(s.Notes) != 2 {
			t.Errorf("%s: %d resources, notes %q", name, len(s.Resources), s.Notes)
		}
	}
	s, err := stack.New(cfg, pushOnly(stack.Options{Reveal: reveal("hunter2")}))
	if err != nil || len(s.Resources) != 0 || len(s.Notes) != 1 || strings.Contains(s.Notes[0], "hunter2") {
		t.Errorf("%v: %d resources, notes %q", err, len(s.Resources), s.Notes)
	}
}

func TestThePublicKeyIsDerivedFromThePrivateOne(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	cfg := load(t, strings.Replace(polled, "client_secret", "private_key", 1))
	s, err := stack.New(cfg, pushOnly(stack.Options{Reveal: reveal(private)}))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(stack.Of[*stack.Application](s)[0].PublicKey))
	got, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil || !key.PublicKey.Equal(got) {
		t.Errorf("public key %v, %v", got, err)
	}
}

func TestTheEventBridgeWay(t *testing.T) {
	t.Parallel()
	s, err := stack.New(load(t, polled), pushOnly(stack.Options{Push: stack.PushEventBridge, Tags: map[string]string{"team": "sec", stack.ManagedBy: "other"}}))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, r := range s.Resources {
		order = append(order, string(r.ID().Kind)+" "+r.ID().Name)
	}
	source := "{{Auth0 log stream:dev/gapless:partner_event_source}}"
	if diff := cmp.Diff([]string{
		"Auth0 application dev/gapless", "Auth0 log stream dev/gapless", "event bus " + source,
		"queue gapless-dev-dead", "queue gapless-dev", "event rule gapless-dev",
	}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	const policy = `{"Version":"2012-10-17","Statement":[{"Sid":"EventBridgeRule","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},` +
		`"Action":"sqs:SendMessage","Resource":"arn:{{partition}}:sqs:eu-central-1:{{account}}:QUEUE",` +
		`"Condition":{"ArnEquals":{"aws:SourceArn":"arn:{{partition}}:events:eu-central-1:{{account}}:rule/SOURCE/gapless-dev"}}}]}`
	for _, q := range stack.Of[*stack.Queue](s) {
		if want := strings.NewReplacer("QUEUE", q.Name, "SOURCE", source).Replace(policy); q.Policy != want || !json.Valid([]byte(q.Policy)) {
			t.Errorf("policy of %s:\n%s\nwant\n%s", q.Name, q.Policy, want)
		}
		if diff := cmp.Diff(map[string]string{"team": "sec", stack.ManagedBy: "gapless"}, q.Tags); diff != "" {
			t.Errorf("tags of %s (-want +got):\n%s", q.Name, diff)
		}
	}
	rule := stack.Of[*stack.Rule](s)[0]
	if rule.Bus != source || rule.Pattern != `{"source":[{"prefix":"aws.partner/auth0.com"}]}` || rule.Queue != "gapless-dev" || rule.DeadLetterQueue != "gapless-dev-dead" {
		t.Errorf("rule %+v", rule)
	}
	for _, r := range s.Resources {
		for _, a := range r.Attributes() {
			if a.Secret {
				t.Errorf("%s has the secret %s", r.ID(), a.Path)
			}
		}
	}
}

func TestNamesOfQueuesFitAndDoNotCollide(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	cfg := load(t, `
aws: {region: eu-central-1}
tenants:
  - {name: a.b, domain: a.eu.auth0.com, client_id: abc, client_secret: "env:S"}
  - {name: a-b, domain: b.eu.auth0.com, client_id: abc, client_secret: "env:S"}
  - {name: `+long+`, domain: c.eu.auth0.com, client_id: abc, client_secret: "env:S"}
  - {name: `+long[1:]+`b, domain: d.eu.auth0.com, client_id: abc, client_secret: "env:S", sqs: {queue_url: "https://sqs.us-east-1.amazonaws.com/123456789012/other"}}
`)
	s, err := stack.New(cfg, pushOnly(stack.Options{Push: stack.PushEventBridge, Name: strings.Repeat("n", 32)}))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(name string, most int) {
		if seen[name] || len(name) > most {
			t.Errorf("name %s of %d characters, seen %t", name, len(name), seen[name])
		}
		seen[name] = true
	}
	for _, q := range stack.Of[*stack.Queue](s) {
		check(q.Name, 80)
		if strings.Contains(q.Name, ".") {
			t.Errorf("queue %s", q.Name)
		}
	}
	clear(seen)
	for _, r := range stack.Of[*stack.Rule](s) {
		check(r.Name, 64)
	}
	if len(seen) != 4 {
		t.Errorf("%d rules", len(seen))
	}
	if streams := stack.Of[*stack.Auth0Stream](s); streams[3].AWSRegion != "us-east-1" {
		t.Errorf("the stream goes to %s, and the queue is elsewhere", streams[3].AWSRegion)
	}
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "another queue") {
		t.Errorf("notes %q", s.Notes)
	}
}

func TestOptionsOfPushingAreChecked(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]stack.Options{
		`push "sqs" is unknown`:                      {Push: "sqs"},
		"the URL of the webhook is missing":          {Push: stack.PushWebhook},
		"the URL of the webhook is no base URL":      {Push: stack.PushWebhook, WebhookURL: "gapless.example.com"},
		"begins with http://":                        {Push: stack.PushWebhook, WebhookURL: "http://gapless.example.com"},
		"no tenant has both a domain and a webhook.": {Push: stack.PushWebhook, WebhookURL: "http://127.0.0.1:8443"},
	} {
		if _, err := stack.New(load(t, polled), pushOnly(o)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	cfg := load(t, strings.NewReplacer("aws: {region: eu-central-1}", "", `"env:S"}`, `"env:S", cloudwatch: {region: eu-central-1}}`).Replace(polled))
	if _, err := stack.New(cfg, pushOnly(stack.Options{Push: stack.PushEventBridge})); err == nil || !strings.Contains(err.Error(), "set sqs.region or aws.region") {
		t.Errorf("without a Region: %v", err)
	}
	queueAlone := stack.Options{Push: stack.PushEventBridge, Parts: []string{stack.PartQueue}}
	if _, err := stack.New(load(t, polled), queueAlone); err == nil || !strings.Contains(err.Error(), "set sqs.source") {
		t.Errorf("without a source: %v", err)
	}
	known := load(t, strings.Replace(polled, `"env:S"}`, `"env:S", sqs: {queue_url: "https://sqs.eu-central-1.amazonaws.com/123456789012/gapless-dev", source: "aws.partner/auth0.com/x/auth0.logs"}}`, 1))
	if s, err := stack.New(known, queueAlone); err != nil || stack.Of[*stack.Rule](s)[0].Bus != "aws.partner/auth0.com/x/auth0.logs" || len(s.Notes) != 0 {
		t.Errorf("with a source: %v, %+v", err, s)
	}
	if s, err := stack.New(load(t, polled), stack.Options{Push: stack.PushWebhook, Parts: []string{stack.PartQueue}}); err != nil || len(s.Resources) != 0 {
		t.Errorf("without the part: %v, %v", err, s.Resources)
	}
}
