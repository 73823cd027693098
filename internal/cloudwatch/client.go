package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// dialTimeout bounds the making of a connection.
const dialTimeout = 10 * time.Second

// errRequestTimeout ends a call that has run into Config.RequestTimeout.
var errRequestTimeout = errors.New("no answer within request_timeout")

// errNoRegion says that no Region was given.
var errNoRegion = errors.New("no AWS Region is configured")

// LoadAWS loads the AWS configuration the standard way: Region, endpoint, profile,
// role and credentials of c, HTTP client and logger of d. It calls nobody. Other
// services of AWS are reached with it too; the role is assumed in the calls, and an
// error of finding credentials is one that ExplainAWS knows. Its own errors are of
// class Misconfigured.
func LoadAWS(ctx context.Context, c Config, d Deps) (aws.Config, error) {
	c = c.filled()
	ctx, cancel := context.WithTimeoutCause(ctx, c.RequestTimeout, errRequestTimeout)
	defer cancel()
	opts := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(httpClient(c)), awsconfig.WithLogger(sdkLogger{d.Logger}),
	}
	if c.Region != "" {
		opts = append(opts, awsconfig.WithRegion(c.Region))
	}
	if c.Profile != "" {
		opts = append(opts, awsconfig.WithSharedConfigProfile(c.Profile))
	}
	if d.Credentials != nil {
		opts = append(opts, awsconfig.WithCredentialsProvider(d.Credentials))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, &pipeline.Error{
			Op: "load AWS configuration", Class: pipeline.Misconfigured, Err: err,
			Hint: "Check `profile`, AWS_PROFILE and the files ~/.aws/config and ~/.aws/credentials.",
		}
	}
	if cfg.Region == "" {
		return aws.Config{}, &pipeline.Error{
			Op: "load AWS configuration", Class: pipeline.Misconfigured, Err: errNoRegion,
			Hint: "Set `region`, such as region: eu-central-1, or the variable AWS_REGION.",
		}
	}
	if d.HTTPClient != nil { // not before: AWS_CA_BUNDLE makes the loading fail for a foreign client
		cfg.HTTPClient = d.HTTPClient
	}
	cfg.HTTPClient = translated{cfg.HTTPClient}
	provider := cfg.Credentials
	if c.RoleARN != "" {
		sts := cfg.Copy()
		sts.HTTPClient = bounded{cfg.HTTPClient}
		provider = assume(sts, c, d.Tenant)
	}
	cfg.Credentials = explained{provider}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	cfg.AppID = "gapless"
	return cfg, nil
}

// newClient makes the client. It calls nobody. The SDK makes no second try of a
// call: a second PutLogEvents without looking at the outcome of the first could
// double events, and the delivery loop has its own schedule.
func newClient(ctx context.Context, c Config, d Deps) (*logs.Client, string, error) {
	cfg, err := LoadAWS(ctx, c, d)
	if err != nil {
		return nil, "", err
	}
	cfg.HTTPClient = bounded{cfg.HTTPClient}
	client := logs.NewFromConfig(cfg, func(o *logs.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	return client, cfg.Region, nil
}

// sdkLogger tells what the SDK has to say to those who look for it: of its own
// accord it would write to standard error, past the program's logger. What
// matters of it comes as an error, too.
type sdkLogger struct{ to *slog.Logger }

// Logf implements logging.Logger.
func (l sdkLogger) Logf(class logging.Classification, format string, args ...any) {
	l.to.LogAttrs(context.Background(), slog.LevelDebug, "the AWS SDK says",
		slog.String("class", string(class)), slog.String("text", clean(fmt.Sprintf(format, args...))))
}

// assume returns the credentials of the configured role.
func assume(cfg aws.Config, c Config, tenant string) aws.CredentialsProvider {
	other := otherEndpoint(c.Endpoint)
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = orBase(other, o.BaseEndpoint) })
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, c.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName(tenant)
		if c.ExternalID != "" {
			o.ExternalID = aws.String(c.ExternalID)
		}
	}))
}

// sessionName makes a name of a tenant that STS takes: 2 to 64 of [\w+=,.@-].
func sessionName(tenant string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '-'
	}, "gapless-"+tenant)
	return name[:min(len(name), 64)]
}

// httpClient returns the SDK's client with timeouts that fit.
func httpClient(c Config) aws.HTTPClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(dialer *net.Dialer) { dialer.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = c.RequestTimeout })
}

// A credentialsError marks an error of finding credentials, so that it can be
// told from one of the call that needed them.
type credentialsError struct{ err error }

// Error returns the text of the cause.
func (e *credentialsError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *credentialsError) Unwrap() error { return e.err }

// explained marks the errors of a provider of credentials.
type explained struct{ aws.CredentialsProvider }

// Retrieve returns the credentials.
func (p explained) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.CredentialsProvider == nil {
		return aws.Credentials{}, &credentialsError{errors.New("there is no source of credentials")}
	}
	c, err := p.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &credentialsError{fmt.Errorf("retrieve credentials: %w", err)}
	}
	return c, nil
}

// The operations in use.
const (
	opPut             = "PutLogEvents"
	opGet             = "GetLogEvents"
	opFilter          = "FilterLogEvents"
	opStartQuery      = "StartQuery"
	opStopQuery       = "StopQuery"
	opQueryResults    = "GetQueryResults"
	opCreateGroup     = "CreateLogGroup"
	opCreateStream    = "CreateLogStream"
	opRetention       = "PutRetentionPolicy"
	opDescribeGroups  = "DescribeLogGroups"
	opDescribeStreams = "DescribeLogStreams"
)

// invoke makes one call: bounded in time, counted, its failure understood. meta
// finds the metadata of the output.
func invoke[In, Out any](ctx context.Context, s *Sink, op string, in *In,
	call func(context.Context, *In, ...func(*logs.Options)) (*Out, error),
	meta func(*Out) middleware.Metadata, opts ...func(*logs.Options),
) (*Out, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.RequestTimeout, errRequestTimeout)
	defer cancel()
	s.metrics.apiCalls.WithLabelValues(op).Inc()
	began := time.Now()
	out, err := call(ctx, in, opts...)
	if err != nil {
		err = understand(op, err)
	}
	s.called(ctx, op, began, err)
	if err != nil {
		return nil, err
	}
	if at, ok := awsmiddleware.GetServerTime(meta(out)); ok {
		s.clock.heard(at)
	}
	return out, nil
}
