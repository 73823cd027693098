package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/config"
)

// A queue is enough: a tenant needs no domain then, and says where its events come
// from.
func TestQueueAlone(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "tenants:\n  - {name: a, sqs: {queue_url: 'https://sqs.eu-central-1.amazonaws.com/123456789012/auth0'}}\n")
	if a := cfg.Tenants[0]; a.Polls() || a.Origin() != "queue" {
		t.Errorf("its events come from %q", a.Origin())
	}
	both := mustLoad(t, minimal+"    sqs: {queue_url: 'https://sqs.eu-central-1.amazonaws.com/123456789012/auth0'}\n")
	if a := both.Tenants[0]; !a.Polls() || a.Origin() != a.Domain+" and queue" {
		t.Errorf("its events come from %q", a.Origin())
	}
}

func TestValidateSQS(t *testing.T) {
	t.Parallel()
	const url, from = "https://sqs.eu-central-1.amazonaws.com/123456789012/auth0", "aws.partner/auth0.com/dev-1/auth0.logs"
	for name, c := range map[string]struct {
		queues []config.SQS
		want   string // empty for none
	}{
		"one":                 {[]config.SQS{{QueueURL: url}}, ""},
		"an emulator":         {[]config.SQS{{QueueURL: "http://127.0.0.1:4566/000000000000/auth0"}}, ""},
		"no queue":            {[]config.SQS{{QueueURL: "https://sqs.eu-central-1.amazonaws.com"}}, "tenants.0.sqs.queue_url is not the URL of a queue"},
		"an ARN":              {[]config.SQS{{QueueURL: "arn:aws:sqs:eu-central-1:123456789012:auth0"}}, "tenants.0.sqs.queue_url is not the URL of a queue"},
		"with a key":          {[]config.SQS{{QueueURL: "https://u:p@127.0.0.1/1/auth0"}}, "tenants.0.sqs.queue_url is not the URL of a queue"},
		"FIFO":                {[]config.SQS{{QueueURL: url + ".fifo"}}, "tenants.0.sqs.queue_url is that of a FIFO queue"},
		"endpoint":            {[]config.SQS{{QueueURL: url, Endpoint: "sqs"}}, "tenants.0.sqs.endpoint is not a base URL"},
		"source alone":        {[]config.SQS{{Source: from}}, "tenants.0.sqs.source is set, and queue_url is not"},
		"foreign source":      {[]config.SQS{{QueueURL: url, Source: "aws.ec2"}}, `tenants.0.sqs.source "aws.ec2" is no event source of Auth0`},
		"receivers":           {[]config.SQS{{QueueURL: url, Receivers: 65}}, "tenants.0.sqs.receivers 65 is more than the most, 64"},
		"two queues":          {[]config.SQS{{QueueURL: url}, {QueueURL: url + "2"}}, ""},
		"shared":              {[]config.SQS{{QueueURL: url, Source: from}, {QueueURL: url, TenantName: "b"}}, ""},
		"shared, not told":    {[]config.SQS{{QueueURL: url, Source: from}, {QueueURL: url}}, "tenants.1.sqs.queue_url is that of another tenant too"},
		"shared, same name":   {[]config.SQS{{QueueURL: url, TenantName: "b"}, {QueueURL: url, TenantName: "b"}}, "tenants.1.sqs.tenant_name is that of another tenant of the queue too"},
		"shared, same source": {[]config.SQS{{QueueURL: url, Source: from}, {QueueURL: url, Source: from}}, "tenants.1.sqs.source is that of another tenant of the queue too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := valid(t)
			first := cfg.Tenants[0]
			cfg.Tenants = nil
			for i, q := range c.queues {
				one := first
				one.Name += strings.Repeat("x", i)
				if q.Receivers == 0 {
					q.Receivers = 4
				}
				one.SQS = q
				cfg.Tenants = append(cfg.Tenants, one)
			}
			err := cfg.Validate()
			e, ok := errors.AsType[*config.InvalidError](err)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("Validate: %v", err)
			case c.want != "" && (!ok || len(e.Problems) != 1 || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Validate: %v; want one problem: %s", err, c.want)
			}
		})
	}
}

func TestAWSForSQS(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.AWS.Region, c.AWS.Endpoint, c.AWS.RoleARN = "eu-west-1", "http://127.0.0.1:1", "arn:aws:iam::123456789012:role/gapless"
	for url, want := range map[string]string{
		"https://sqs.ap-northeast-1.amazonaws.com/123456789012/q":    "ap-northeast-1",
		"https://sqs-fips.us-east-1.amazonaws.com/123456789012/q":    "us-east-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q":     "cn-north-1",
		"https://us-west-2.queue.amazonaws.com/123456789012/q":       "us-west-2",
		"http://127.0.0.1:4566/000000000000/q":                       "eu-west-1",
		"http://sqs.us-east-2.localhost.localstack.cloud:4566/000/q": "us-east-2",
	} {
		var x config.Tenant
		x.SQS.QueueURL = url
		if got := c.AWSForSQS(x); got.Region != want || got.Endpoint != "" || got.RoleARN != c.AWS.RoleARN {
			t.Errorf("%s: %+v; want the Region %s", url, got, want)
		}
		x.SQS.Region, x.SQS.Endpoint = "us-gov-west-1", "https://vpce.example.com"
		if got := c.AWSForSQS(x); got.Region != "us-gov-west-1" || got.Endpoint != "https://vpce.example.com" {
			t.Errorf("%s with overrides: %+v", url, got)
		}
	}
}
