package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Examine says what a Checkup looks for besides the Config.
type Examine struct {
	// Destination is where events go. A name with braces in it is a template: what
	// stands there is known of an event only.
	Destination pipeline.Destination
	// WriteTest lets the Checkup write one message to the log stream DoctorStream of
	// the group, and read it back. Without it nothing is changed.
	WriteTest bool
	// Verify says that what lies in the group is read, by the schedule of verify.
	Verify bool
	// LookupEnv reads the environment.
	LookupEnv func(string) (string, bool)
}

// DoctorStream is the log stream that WriteTest writes to: apart from the events, so
// that whoever reads those never sees the message.
const DoctorStream = "gapless-doctor"

// A Checkup looks at all that a Sink needs, for `gapless doctor`: the way to AWS,
// credentials, permissions, the log group and its stream. Its checks are for one run,
// in their order.
type Checkup struct {
	sink *Sink
	cfg  aws.Config
	base aws.CredentialsProvider // in front of the role
	want Examine
	sts  *sts.Client
	iam  *iam.Client

	arrival   checkup.Arrival
	principal string // the ARN that policies are attached to; empty when not known
	account   string
	group     *types.LogGroup // nil when not found
	groupGone bool            // it is known not to be there
	stream    presence
}

// presence is what is known of something.
type presence uint8

const (
	unseen presence = iota
	present
	absent
)

// NewCheckup makes a Checkup of the delivery that c configures. It calls nobody. What
// its error means says ExplainSetUp.
func NewCheckup(ctx context.Context, c Config, d Deps, want Examine) (*Checkup, error) {
	d.Registerer = prometheus.NewRegistry() // nobody looks at these
	sink, err := New(ctx, c, d)
	if err != nil {
		return nil, err
	}
	cfg, err := LoadAWS(ctx, c, d)
	if err != nil {
		return nil, err
	}
	k := &Checkup{sink: sink, cfg: cfg, base: cfg.Credentials, want: want}
	if c.RoleARN != "" {
		c.RoleARN, c.ExternalID = "", ""
		plain, err := LoadAWS(ctx, c, d)
		if err != nil {
			return nil, err
		}
		k.base = plain.Credentials
	}
	other := otherEndpoint(sink.config.Endpoint)
	k.sts = sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = orBase(other, o.BaseEndpoint) })
	k.iam = iam.NewFromConfig(cfg, func(o *iam.Options) { o.BaseEndpoint = orBase(other, o.BaseEndpoint) })
	return k, nil
}

// otherEndpoint is where STS and IAM are asked when CloudWatch Logs has an endpoint of
// its own: there too, for an emulator has them all, but not at a private endpoint of
// AWS, which is for one service.
func otherEndpoint(endpoint string) *string {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" || strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn") {
		return nil
	}
	return &endpoint
}

// orBase leaves an endpoint that a variable of the SDK names.
func orBase(other, given *string) *string {
	if given != nil || other == nil {
		return given
	}
	return other
}

// ExplainSetUp says why no Checkup could be made.
func ExplainSetUp(err error, lookup func(string) (string, bool)) checkup.Finding {
	hint := ""
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		hint = e.Hint
		if e.Err != nil {
			err = e.Err
		}
	}
	if path, ok := lookup("AWS_CA_BUNDLE"); ok && path != "" {
		if _, statErr := os.Stat(path); statErr != nil {
			return checkup.Failed(checkup.Configuration, "Correct AWS_CA_BUNDLE, or take it out of the environment of gapless.", "AWS_CA_BUNDLE names a file that cannot be read")
		}
	}
	return checkup.Failed(checkup.Configuration, hint, "the AWS settings cannot be used: %s", clean(err.Error()))
}

// Checks returns the checks in their order.
func (k *Checkup) Checks() []checkup.Check {
	list := []checkup.Check{
		{Name: "aws_reach", Run: k.Reach},
		{Name: "aws_clock", Needs: []string{"aws_reach"}, Run: k.Clock},
		{Name: "aws_credentials", Run: k.Credentials},
		{Name: "aws_role", Needs: []string{"aws_credentials"}, Run: k.Role},
		{Name: "aws_identity", Needs: []string{"aws_reach", "aws_credentials", "aws_role"}, Run: k.Identity},
		{Name: "log_group", Needs: []string{"aws_reach", "aws_credentials", "aws_role", "aws_identity"}, Run: k.Group},
		{Name: "log_group_class", Needs: []string{"log_group"}, Run: k.Class},
		{Name: "log_group_retention", Needs: []string{"log_group"}, Run: k.Retention},
		{Name: "log_group_key", Needs: []string{"log_group"}, Run: k.Key},
		{Name: "log_stream", Needs: []string{"log_group"}, Run: k.Stream},
		{Name: "logs_PutLogEvents", Needs: []string{"log_group", "log_stream"}, Run: k.MayPut},
		{Name: "logs_GetLogEvents", Needs: []string{"log_group", "log_stream"}, Run: k.MayRead},
		{Name: "logs_verify", Needs: []string{"log_group", "log_stream"}, Run: k.MayVerify},
		{Name: "logs_CreateLogStream", Needs: []string{"log_group"}, Run: k.MayCreateStream},
		{Name: "logs_CreateLogGroup", Needs: []string{"log_group"}, Run: k.MayCreateGroup},
		{Name: "logs_PutRetentionPolicy", Needs: []string{"log_group"}, Run: k.MaySetRetention},
		{Name: "write_test", Needs: []string{"log_group"}, Run: k.WriteTest},
	}
	return slices.DeleteFunc(list, func(c checkup.Check) bool {
		return c.Name == "aws_role" && k.sink.config.RoleARN == "" || c.Name == "logs_verify" && !k.want.Verify || c.Name == "write_test" && !k.want.WriteTest
	})
}

// Reach goes the way to CloudWatch Logs.
func (k *Checkup) Reach(ctx context.Context) []checkup.Finding {
	at, err := k.endpoint(ctx)
	if err != nil {
		return checkup.One(checkup.Failed(checkup.Configuration, "Correct aws.region.", "there is no endpoint of CloudWatch Logs in the Region %q", k.sink.region))
	}
	setting := "aws.region"
	if k.sink.config.Endpoint != "" {
		setting = "aws.endpoint"
	}
	f, a := checkup.Reach(ctx, checkup.Route{
		Whose: "CloudWatch Logs", URL: at, Client: k.cfg.HTTPClient, Proxy: ProxyOf(k.cfg.HTTPClient),
		Setting: setting, CAVariable: "AWS_CA_BUNDLE", LookupEnv: k.want.LookupEnv,
	})
	k.arrival = a
	return checkup.One(f)
}

// endpoint is where the client sends its calls.
func (k *Checkup) endpoint(ctx context.Context) (string, error) {
	o := k.sink.client.Options()
	e, err := o.EndpointResolverV2.ResolveEndpoint(ctx, logs.EndpointParameters{
		Region: aws.String(o.Region), Endpoint: o.BaseEndpoint,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return "", fmt.Errorf("find endpoint: %w", err)
	}
	return e.URI.JoinPath("/").String(), nil
}

// ProxyOf returns the rule by which a client chooses a proxy; nil when it does not tell.
func ProxyOf(c aws.HTTPClient) func(*http.Request) (*url.URL, error) {
	switch c := c.(type) {
	case translated:
		return ProxyOf(c.HTTPClient)
	case bounded:
		return ProxyOf(c.HTTPClient)
	case *awshttp.BuildableClient:
		return c.GetTransport().Proxy
	case *http.Client:
		if t, ok := c.Transport.(*http.Transport); ok {
			return t.Proxy
		}
	}
	return nil
}

// maxSignatureSkew is how far the time of a signature may be off
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).
const maxSignatureSkew = 5 * time.Minute

// Clock compares the clocks: every call is signed with the time.
func (k *Checkup) Clock(context.Context) []checkup.Finding {
	return checkup.One(checkup.Clock("AWS", k.arrival.Offset, k.arrival.Dated, checkup.Bound{
		Behind: maxSignatureSkew, Ahead: maxSignatureSkew, Breaks: "AWS refuses signatures that are more than 5 minutes off",
	}))
}

// refused makes a finding of an error of a call.
func (k *Checkup) refused(ctx context.Context, doing string, err error) checkup.Finding {
	if ctx.Err() != nil {
		return checkup.Failed("", "Try again with a longer --timeout.", "%s: no answer in time", doing)
	}
	e := pipeline.Classify(k.sink.explain(doing, k.want.Destination, err))
	text := clean(err.Error())
	if f, ok := errors.AsType[*failure](err); ok {
		text = f.Error()
	}
	hint := e.Hint
	if foreign(err) {
		hint = "See who answers there: curl -i " + k.url(ctx) + ". A page in HTML is of a proxy or a portal: have it let this machine through."
		if k.sink.config.Endpoint != "" {
			hint += " Or correct aws.endpoint."
		}
	}
	if hint == "" {
		hint = "Try again; if it lasts, look at https://health.aws.amazon.com/health/status."
	}
	if accessDenied(err) {
		hint += k.paste(err)
	}
	var cause checkup.Cause
	switch e.Class {
	case pipeline.Unauthorized:
		cause = checkup.Authorization
	case pipeline.Misconfigured:
		cause = checkup.Configuration
	default:
	}
	return checkup.Failed(cause, hint, "%s: %s", doing, text)
}

// foreign reports whether somebody else than CloudWatch Logs has answered.
func foreign(err error) bool {
	return errors.Is(err, errForeign) || errors.Is(err, errBare) || errors.Is(err, errAnswerTooLarge)
}

// url is the endpoint for a person to try.
func (k *Checkup) url(ctx context.Context) string {
	at, err := k.endpoint(ctx)
	if err != nil {
		return "the endpoint"
	}
	return at
}

// paste is the statement of a policy that allows what was refused.
func (k *Checkup) paste(err error) string {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return ""
	}
	return "\n" + k.statement(f.op)
}

// statement is the statement of a policy that allows an operation.
func (k *Checkup) statement(op string) string {
	return fmt.Sprintf(`{"Effect": "Allow", "Action": "logs:%s", "Resource": %q}`, op, k.resource(op))
}

// resource is what a policy must name for an operation, in the account that is in use.
func (k *Checkup) resource(op string) string {
	dest := k.want.Destination
	for _, name := range []*string{&dest.LogGroup, &dest.LogStream} {
		if before, _, template := strings.Cut(*name, "{"); template {
			*name = before + "*"
		}
	}
	arn := k.sink.arn(op, dest)
	if k.account != "" {
		arn = strings.Replace(arn, ":*:log-group", ":"+k.account+":log-group", 1)
	}
	return arn
}

// templates reports which of the names depend on events.
func (k *Checkup) templates() (group, stream bool) {
	return strings.Contains(k.want.Destination.LogGroup, "{"), strings.Contains(k.want.Destination.LogStream, "{")
}
