package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/sqs"
)

// errNoCredentials is what the SDK says where it finds none, more or less.
var errNoCredentials = errors.New("no EC2 IMDS role found")

// stsAnswers has STS, and only it, give an answer.
func stsAnswers(status int, body string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
				w.Header().Set("Content-Type", "text/xml")
				w.WriteHeader(status)
				fmt.Fprint(w, body)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// identity is an answer of STS.
func identity(arn string) string {
	return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>` + arn + `</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
}

// stsRefuses is an error of STS.
func stsRefuses(code, message string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message + `</Message></Error></ErrorResponse>`
}

// atSTS sends what is for STS's own host to a handler.
type atSTS struct {
	next, sts http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (a atSTS) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return a.sts.RoundTrip(r)
	}
	return a.next.RoundTrip(r)
}

// brokenAtAWS are faults of the way to AWS and of the credentials.
func brokenAtAWS() []broken {
	return []broken{
		{
			name: "no Region", check: "aws", status: checkup.Fail, cause: checkup.Configuration,
			summary: "no AWS Region is configured", fix: "Set `region`",
			harm: func(c *clinic) {
				if os.Getenv("AWS_REGION")+os.Getenv("AWS_DEFAULT_REGION") != "" {
					c.t.Skip("NOT RUN: the environment names a Region")
				}
				c.cfg.AWS.Region = ""
			},
		},
		{
			name: "the endpoint is closed", check: "aws_reach", status: checkup.Fail,
			summary: "refuses connections", fix: "Check the port in aws.endpoint",
			harm: func(c *clinic) {
				s := httptest.NewServer(http.NotFoundHandler())
				c.cfg.AWS.Endpoint = s.URL
				s.Close()
			},
		},
		{
			name: "AWS behind a private authority", check: "aws_reach", status: checkup.Fail,
			summary: `signed by "CN=Example Authority"`, fix: "export AWS_CA_BUNDLE=",
			harm: func(c *clinic) {
				pair, _, _ := certified(c.t, -time.Hour, time.Hour, []string{"127.0.0.1"}, nil)
				s := httptest.NewUnstartedServer(http.NotFoundHandler())
				s.TLS = tlsOf(pair)
				s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
				s.StartTLS()
				c.t.Cleanup(s.Close)
				c.cfg.AWS.Endpoint = s.URL
			},
		},
		{
			name: "the clock is too far off for signatures", check: "aws_clock", status: checkup.Fail,
			summary: "6m0s ahead of that of AWS: AWS refuses signatures", fix: "timedatectl set-ntp true",
			harm: func(c *clinic) { c.atAWS = dated(-6 * time.Minute) },
		},
		{
			name: "no credentials", check: "aws_credentials", status: checkup.Fail, cause: checkup.Authorization,
			summary: "no AWS credentials were found", fix: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
			harm: func(c *clinic) {
				c.doctor.AWSCredentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errNoCredentials })
			},
		},
		{
			name: "a key that does not end", check: "aws_credentials", status: checkup.Warn,
			summary: "an access key that does not end, from the environment", fix: "Use a role in its place",
			harm: func(c *clinic) {
				c.doctor.AWSCredentials = credentials.StaticCredentialsProvider{Value: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example-secret", Source: "EnvConfigCredentials"}}
			},
		},
		{
			name: "a session that nobody renews", check: "aws_credentials", status: checkup.Warn,
			summary: "nobody renews them", fix: "use a role that renews itself",
			harm: func(c *clinic) {
				c.doctor.AWSCredentials = credentials.StaticCredentialsProvider{Value: aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "example-secret", SessionToken: "example-session", Source: "EnvConfigCredentials"}}
			},
		},
		{
			name: "a wrong secret key", check: "aws_identity", status: checkup.Fail, cause: checkup.Authorization,
			summary: "SignatureDoesNotMatch", fix: "Check AWS_SECRET_ACCESS_KEY",
			harm: func(c *clinic) { c.keyed("", "another-secret") },
		},
		{
			name: "the session has ended", check: "aws_identity", status: checkup.Fail, cause: checkup.Authorization,
			summary: "ExpiredToken", fix: "aws sso login",
			harm: func(c *clinic) {
				c.atAWS = stsAnswers(http.StatusForbidden, stsRefuses("ExpiredToken", "The security token included in the request is expired"))
			},
		},
		{
			name: "the root user", check: "aws_identity", status: checkup.Warn,
			summary: "this is the root user", fix: "Never use the root user",
			harm: func(c *clinic) {
				c.atAWS = stsAnswers(http.StatusOK, identity("arn:aws:iam::123456789012:root"))
			},
		},
		{
			name: "the role may not be assumed", check: "aws_role", status: checkup.Fail, cause: checkup.Authorization,
			summary: "the role arn:aws:iam::123456789012:role/gapless cannot be assumed", fix: "its trust policy must allow sts:AssumeRole",
			harm: func(c *clinic) {
				c.cfg.AWS.RoleARN = "arn:aws:iam::123456789012:role/gapless"
				sts := stsAnswers(http.StatusForbidden, stsRefuses("AccessDenied", "User is not authorized to perform: sts:AssumeRole"))(http.NotFoundHandler())
				c.doctor.AWSHTTP = &http.Client{Transport: atSTS{&http.Transport{DisableKeepAlives: true}, emulator.Transport(sts)}}
			},
		},
		{
			name: "the way to STS is closed", check: "aws_role", status: checkup.Fail,
			summary: "the role arn:aws:iam::123456789012:role/gapless could not be asked for", fix: "Let this machine out to STS",
			harm: func(c *clinic) {
				c.cfg.AWS.RoleARN = "arn:aws:iam::123456789012:role/gapless"
				none := dialing(func(context.Context) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "sts", IsNotFound: true}}
				})
				c.doctor.AWSHTTP = &http.Client{Transport: atSTS{&http.Transport{DisableKeepAlives: true}, none}}
			},
		},
		{
			name: "a portal answers in the place of CloudWatch Logs", check: "log_group", status: checkup.Fail,
			summary: "a proxy may stand between", fix: "is of a proxy or a portal: have it let this machine through. Or correct aws.endpoint",
			harm: func(c *clinic) {
				c.aws.Add(emulator.Fault{Match: "DescribeLogGroups", Times: -1, Status: http.StatusOK, Body: "<html>sign in</html>"})
			},
		},
	}
}

// brokenGroups are faults of the log group, the stream and the permissions on them.
func brokenGroups() []broken {
	return []broken{
		{
			name: "no group, and none may be made", check: "log_group", status: checkup.Fail, cause: checkup.Configuration,
			summary: "the log group /auth0/dev-tenant does not exist, and create is false", fix: "aws logs create-log-group --log-group-name /auth0/dev-tenant",
			harm: func(c *clinic) { c.group.LogGroupName, c.one().CloudWatch.Create = nil, false },
		},
		{
			name: "no stream, and none may be made", check: "log_stream", status: checkup.Fail, cause: checkup.Configuration,
			summary: "the log stream logs does not exist, and create is false", fix: "aws logs create-log-stream --log-group-name /auth0/dev-tenant --log-stream-name logs",
			harm: func(c *clinic) { c.stream, c.one().CloudWatch.Create = "", false },
		},
		{
			name: "PutLogEvents is not allowed", check: "logs_PutLogEvents", status: checkup.Fail, cause: checkup.Authorization,
			summary: "AccessDeniedException", fix: `{"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "arn:aws:logs:us-east-1:123456789012:log-group:/auth0/dev-tenant:log-stream:logs"}`,
			harm: func(c *clinic) {
				c.keyed(allow("FilterLogEvents", "DescribeLogGroups", "DescribeLogStreams", "GetLogEvents"), "example-secret")
			},
		},
		{
			name: "GetLogEvents is not allowed", check: "logs_GetLogEvents", status: checkup.Warn,
			summary: "may be there twice", fix: `"Action": "logs:GetLogEvents"`,
			harm: func(c *clinic) {
				c.keyed(allow("FilterLogEvents", "DescribeLogGroups", "DescribeLogStreams", "PutLogEvents"), "example-secret")
			},
		},
		{
			name: "FilterLogEvents is not allowed", check: "logs_verify", status: checkup.Warn,
			summary: "verify.schedule cannot compare", fix: `"Action": "logs:FilterLogEvents"`,
			harm: func(c *clinic) {
				c.keyed(allow("DescribeLogGroups", "DescribeLogStreams", "PutLogEvents", "GetLogEvents"), "example-secret")
			},
		},
		{
			name: "DescribeLogGroups is not allowed", check: "log_group", status: checkup.Warn,
			summary: "logs:DescribeLogGroups is not allowed", fix: `"Action": "logs:DescribeLogGroups"`,
			harm: func(c *clinic) {
				c.keyed(allow("FilterLogEvents", "DescribeLogStreams", "PutLogEvents", "GetLogEvents"), "example-secret")
			},
		},
		{
			name: "CreateLogStream is not allowed and needed", check: "logs_CreateLogStream", status: checkup.Fail, cause: checkup.Authorization,
			summary: "AccessDeniedException", fix: `"Action": "logs:CreateLogStream"`,
			harm: func(c *clinic) {
				c.group.LogGroupName = nil
				c.keyed(allow("FilterLogEvents", "DescribeLogGroups", "DescribeLogStreams", "PutLogEvents", "GetLogEvents", "CreateLogGroup"), "example-secret")
			},
		},
		{
			name: "PutRetentionPolicy is not allowed and needed", check: "logs_PutRetentionPolicy", status: checkup.Fail, cause: checkup.Authorization,
			summary: "AccessDeniedException", fix: `"Action": "logs:PutRetentionPolicy"`,
			harm: func(c *clinic) {
				c.group.LogGroupName, c.one().CloudWatch.RetentionDays = nil, 365
				c.keyed(allow("FilterLogEvents", "DescribeLogGroups", "DescribeLogStreams", "PutLogEvents", "GetLogEvents", "CreateLogGroup", "CreateLogStream"), "example-secret")
			},
		},
		{
			name: "a class that cannot be read back", check: "log_group_class", status: checkup.Warn,
			summary: "INFREQUENT_ACCESS, which cannot be read back", fix: "class STANDARD",
			harm: func(c *clinic) { c.group.LogGroupClass = infrequent },
		},
		{
			name: "another retention than configured", check: "log_group_retention", status: checkup.Warn,
			summary: "for 30 days, and retention_days says 365", fix: "aws logs put-retention-policy --log-group-name /auth0/dev-tenant --retention-in-days 365 --region us-east-1",
			harm: func(c *clinic) { c.days, c.one().CloudWatch.RetentionDays = 30, 365 },
		},
		{
			name: "a retention below 14 days", check: "log_group_retention", status: checkup.Warn,
			summary: "for 7 days: older ones", fix: "aws logs put-retention-policy",
			harm: func(c *clinic) { c.days = 7 },
		},
		{
			name: "no KMS key where one is configured", check: "log_group_key", status: checkup.Warn,
			summary: "encrypted with no key of KMS", fix: "aws logs associate-kms-key",
			harm: func(c *clinic) {
				c.one().CloudWatch.KMSKeyID = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
			},
		},
		{
			name: "the test may not be written", check: "write_test", status: checkup.Warn,
			summary: "the stream gapless-doctor may not be written to", fix: "log-stream:gapless-doctor",
			harm: func(c *clinic) {
				c.doctor.WriteTest = true
				c.keyed(`{"Statement":[{"Effect":"Allow","Action":["logs:Describe*"],"Resource":"*"},{"Effect":"Allow","Action":["logs:PutLogEvents","logs:GetLogEvents"],"Resource":"*:log-stream:logs"}]}`, "example-secret")
			},
		},
		{
			name: "a further destination has no endpoint", check: "aws_reach", status: checkup.Fail,
			summary: "refuses connections", fix: "aws.endpoint",
			harm: func(c *clinic) {
				s := httptest.NewServer(http.NotFoundHandler())
				d := config.Destination{Name: "audit", CloudWatch: c.one().CloudWatch}
				d.CloudWatch.Endpoint = s.URL
				s.Close()
				c.one().Destinations = []config.Destination{d}
			},
		},
	}
}

// brokenQueues are faults of the queue, of a tenant that has nothing else.
func brokenQueues() []broken {
	queue := func(c *clinic, o sqs.Options, q *sqs.Queue) {
		c.queue = sqs.New(o)
		if q != nil {
			c.queue.Create("auth0", *q)
		}
		c.one().SQS.QueueURL = "set when it is open"
	}
	good := sqs.Queue{MaxReceives: 20, DeadLetters: "dead"}
	return []broken{
		{
			name: "there is no such queue", check: "sqs_queue", status: checkup.Fail, cause: checkup.Configuration,
			summary: "does not exist", fix: "aws sqs get-queue-url",
			harm: func(c *clinic) { queue(c, sqs.Options{}, nil) },
		},
		{
			name: "no dead letter queue", check: "sqs_queue", status: checkup.Warn,
			summary: "no dead letter queue", fix: "aws sqs set-queue-attributes --queue-url http",
			harm: func(c *clinic) { queue(c, sqs.Options{}, &sqs.Queue{}) },
		},
		{
			name: "a queue that forgets", check: "sqs_queue", status: checkup.Warn,
			summary: "keeps messages for 1h0m0s only", fix: `"MessageRetentionPeriod": "1209600"`,
			harm: func(c *clinic) {
				queue(c, sqs.Options{}, &sqs.Queue{MaxReceives: 20, DeadLetters: "dead", Retention: time.Hour})
			},
		},
		{
			name: "few receives", check: "sqs_queue", status: checkup.Warn,
			summary: "after 2 receives", fix: "maxReceiveCount",
			harm: func(c *clinic) {
				queue(c, sqs.Options{}, &sqs.Queue{MaxReceives: 2, DeadLetters: "dead"})
			},
		},
		{
			name: "messages may not be deleted", check: "sqs_DeleteMessage", status: checkup.Fail, cause: checkup.Authorization,
			summary: "AccessDenied", fix: `"sqs:DeleteMessage"`,
			harm: func(c *clinic) {
				f := emulator.NewFaults()
				f.Add(emulator.Fault{Match: "DeleteMessageBatch", Times: -1, Status: 403, Header: map[string]string{"Content-Type": "application/x-amz-json-1.0"}, Body: `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`})
				queue(c, sqs.Options{Faults: f}, &good)
			},
		},
		{
			name: "a tenant that is not polled", check: "auth0", status: checkup.Skip,
			summary: "the tenant is not read but pushed to alone",
			harm:    func(c *clinic) { queue(c, sqs.Options{}, &good) },
		},
	}
}

// brokenWebhooks are faults of the listener that is pushed to.
func brokenWebhooks() []broken {
	certificate := func(c *clinic, cert, key string) {
		c.cfg.Webhook.TLS = config.TLS{CertFile: cert, KeyFile: key}
		c.streams = []string{logStreamTo(webhookToken)}
	}
	return []broken{
		{
			name: "another program has the port of the webhook", check: "webhook_listen", status: checkup.Fail, cause: checkup.Configuration,
			summary: "another program listens", fix: "Choose another address with webhook.listen",
			harm: func(c *clinic) { c.pushes(webhookToken); c.cfg.Webhook.Listen = occupied(c.t) },
		},
		{
			name: "an address of another machine", check: "webhook_listen", status: checkup.Fail, cause: checkup.Configuration,
			summary: "is no address of this machine", fix: "0.0.0.0",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				c.cfg.Webhook.Listen = "192.0.2.1:8443"
			},
		},
		{
			name: "the certificate of the webhook has ended", check: "webhook_certificate", status: checkup.Fail,
			summary: "has ended on", fix: "certificate of a public authority",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				_, cert, key := certified(c.t, -48*time.Hour, -time.Hour, []string{"hooks.example.com"}, nil)
				certificate(c, cert, key)
			},
		},
		{
			name: "the certificate of the webhook is self-signed", check: "webhook_certificate", status: checkup.Fail,
			summary: "is self-signed", fix: "certificate of a public authority",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				_, cert, key := certified(c.t, -time.Hour, 48*time.Hour, []string{"hooks.example.com"}, nil)
				certificate(c, cert, key)
			},
		},
		{
			name: "the certificate of the webhook is for another name", check: "webhook_certificate", status: checkup.Fail,
			summary: "is for other.example.com, and the log stream sends to hooks.example.com", fix: "webhook.plaintext",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				authority, _, _ := certified(c.t, -time.Hour, 48*time.Hour, nil, nil)
				_, cert, key := certified(c.t, -time.Hour, 48*time.Hour, []string{"other.example.com"}, &authority)
				certificate(c, cert, key)
			},
		},
		{
			name: "the authority of the webhook is private", check: "webhook_certificate", status: checkup.Warn,
			summary: "leads to no authority", fix: "fullchain.pem",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				authority, _, _ := certified(c.t, -time.Hour, 48*time.Hour, nil, nil)
				_, cert, key := certified(c.t, -time.Hour, 48*time.Hour, []string{"hooks.example.com"}, &authority)
				certificate(c, cert, key)
			},
		},
		{
			name: "the key is of another certificate", check: "webhook_certificate", status: checkup.Fail, cause: checkup.Configuration,
			summary: "do not work together", fix: "the key that belongs to it",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				_, cert, _ := certified(c.t, -time.Hour, 48*time.Hour, []string{"hooks.example.com"}, nil)
				_, _, key := certified(c.t, -time.Hour, 48*time.Hour, []string{"hooks.example.com"}, nil)
				certificate(c, cert, key)
			},
		},
		{
			name: "a token that can be guessed", check: "webhook_token", status: checkup.Warn,
			summary: "has 6 characters", fix: "openssl rand -hex 32",
			harm: func(c *clinic) {
				c.pushes("secret")
				c.streams = []string{logStreamTo("secret")}
			},
		},
	}
}
