package cloudwatch

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// explain makes of a failure the error that the delivery loop acts on and that a
// person reads.
func (s *Sink) explain(doing string, dest pipeline.Destination, err error) error {
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		return e
	}
	out := &pipeline.Error{Op: fmt.Sprintf("%s %s", doing, name(dest)), Err: err}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return out
	}
	out.RetryAfter, out.OutcomeUnknown = f.retryAfter, f.op == opPut && f.outcomeUnknown()
	switch f.kind {
	case throttled:
		out.Class = pipeline.Throttled
	case forbidden:
		out.Class, out.Hint = pipeline.Unauthorized, s.forbiddenHint(f, dest)
	case exhausted:
		out.Class = pipeline.Unauthorized
		out.Hint = "A quota of the AWS account is used up: raise it in the Service Quotas console under Amazon CloudWatch Logs, or delete what is not needed."
	case refused:
		out.Class = pipeline.Misconfigured
		out.Hint = "CloudWatch Logs takes nothing for this destination: check log_group, log_stream and the settings of the group."
	default:
		if _, dns := errors.AsType[*net.DNSError](err); dns {
			out.Hint = fmt.Sprintf("Check the Region (%s) and the endpoint: the host has no address.", s.region)
		}
	}
	return out
}

// ExplainAWS makes of an error of a call to any service of AWS the error that a
// loop acts on and that a person reads: its class and its text, in which nothing of
// the request is quoted. The hint is about credentials, or empty.
func ExplainAWS(doing, operation string, err error) *pipeline.Error {
	f := understand(operation, err)
	out := &pipeline.Error{Op: doing, Err: f, RetryAfter: f.retryAfter}
	switch f.kind {
	case throttled:
		out.Class = pipeline.Throttled
	case forbidden, missing, exhausted:
		out.Class = pipeline.Unauthorized
	case refused:
		out.Class = pipeline.Misconfigured
	default: // it passes
	}
	if _, ok := errors.AsType[*credentialsError](err); ok {
		out.Hint = credentialWays
	}
	return out
}

// credentialWays says how AWS credentials can be given.
const credentialWays = "Give AWS credentials in one of these ways: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; " +
	"a profile made with `aws configure` or `aws configure sso`, named by `profile` or AWS_PROFILE; " +
	"AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN; or the role of the EC2 instance, ECS task or EKS pod."

// forbiddenHint says what to change so that a call is allowed.
func (s *Sink) forbiddenHint(f *failure, dest pipeline.Destination) string {
	if _, ok := errors.AsType[*credentialsError](f.err); ok {
		if _, api := errors.AsType[smithy.APIError](f.err); api && s.config.RoleARN != "" {
			return fmt.Sprintf("The role %s could not be assumed: its trust policy must allow sts:AssumeRole to these credentials, with the external_id that is configured, and their own policy must allow it too.", s.config.RoleARN)
		}
		return credentialWays
	}
	switch f.code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized":
		return fmt.Sprintf("Allow logs:%s on %s to the principal that is in use (`aws sts get-caller-identity` shows it).", f.op, s.arn(f.op, dest))
	case "ExpiredToken", "ExpiredTokenException":
		return "The session token has ended: get new credentials, for example with `aws sso login`, and put them where the old ones are."
	case "InvalidSignatureException", "InvalidSignature", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired":
		return "Check AWS_SECRET_ACCESS_KEY, and that the clock of this machine is right."
	case "OptInRequired":
		return fmt.Sprintf("Enable the Region %s in the AWS account, or choose another.", s.region)
	default:
		return "Check the access key and its Region. " + credentialWays
	}
}

// arn returns the resource that a policy must name for an operation.
func (s *Sink) arn(op string, dest pipeline.Destination) string {
	partition := "aws"
	switch {
	case strings.HasPrefix(s.region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(s.region, "us-gov-"):
		partition = "aws-us-gov"
	}
	group := fmt.Sprintf("arn:%s:logs:%s:*:log-group:%s", partition, s.region, dest.LogGroup)
	switch op {
	case opPut, opGet:
		return group + ":log-stream:" + dest.LogStream
	case opDescribeGroups:
		return fmt.Sprintf("arn:%s:logs:%s:*:log-group:*", partition, s.region)
	default:
		return group + ":*"
	}
}

// missingError says that a destination does not exist and may not be made.
func (s *Sink) missingError(dest pipeline.Destination, err error) error {
	cli := ""
	if s.region != "" {
		cli += " --region " + s.region
	}
	if s.config.Endpoint != "" {
		cli += " --endpoint-url " + s.config.Endpoint
	}
	stream := fmt.Sprintf("aws logs create-log-stream --log-group-name %s --log-stream-name %s%s", quoted(dest.LogGroup), quoted(dest.LogStream), cli)
	hint := "`" + stream + "`"
	if f, ok := errors.AsType[*failure](err); !ok || !strings.Contains(f.text, "stream") {
		hint = fmt.Sprintf("`aws logs create-log-group --log-group-name %s%s` and `%s`", quoted(dest.LogGroup), cli, stream)
	}
	return &pipeline.Error{
		Op: "deliver to " + name(dest), Class: pipeline.Unauthorized, Err: err,
		Hint: "Make it with " + hint + ", or let gapless do it with create: true and logs:CreateLogGroup and logs:CreateLogStream allowed.",
	}
}

// quoted makes a name safe to paste into a shell.
func quoted(name string) string {
	if groupForm.MatchString(name) && !strings.Contains(name, "#") {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// name writes a destination for people.
func name(dest pipeline.Destination) string { return dest.LogGroup + " : " + dest.LogStream }
