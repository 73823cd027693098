package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/gaplesslogs/gapless/internal/checkup"
)

// roleAdvice says what is better than a key that does not end.
const roleAdvice = "Use a role in its place: of the ECS task, the EKS pod, the EC2 instance or the Lambda function, or IAM Roles Anywhere outside of AWS. Then delete the key."

// Credentials says how the credentials were found, and for how long they are good.
func (k *Checkup) Credentials(ctx context.Context) []checkup.Finding {
	c, err := k.base.Retrieve(ctx)
	if err != nil {
		return checkup.One(checkup.Failed(checkup.Authorization, credentialWays, "no AWS credentials were found: %s", reason(err)))
	}
	how, static := k.origin(c.Source)
	switch {
	case c.CanExpire && time.Until(c.Expires) <= 0:
		return checkup.One(checkup.Failed(checkup.Authorization, "Get new ones where these come from, such as with `aws sso login`.", "the credentials have ended: %s", how))
	case static && c.SessionToken == "":
		return checkup.One(checkup.Warned(roleAdvice, "an access key that does not end, %s", how))
	case static:
		return checkup.One(checkup.Warned("For a service use a role that renews itself (ECS, EKS, EC2, Lambda, web identity).", "temporary credentials, %s: nobody renews them when they end", how))
	case strings.HasPrefix(c.Source, ssocreds.ProviderName), strings.HasPrefix(c.Source, "LoginProvider"):
		return checkup.One(checkup.Warned("For a service use a role that renews itself (ECS, EKS, EC2, Lambda, web identity).", "%s: they end with the session of a person", how))
	case c.CanExpire:
		return checkup.One(checkup.Passed("%s, good until %s and renewed by itself", how, c.Expires.UTC().Format(time.RFC3339)))
	default:
		return checkup.One(checkup.Passed("%s", how))
	}
}

// origin says in words how the SDK found credentials; static says that nobody renews
// them.
func (k *Checkup) origin(source string) (words string, static bool) {
	has := func(name string) bool { return strings.HasPrefix(source, name) }
	switch {
	case has("EnvConfigCredentials"):
		return "from the environment (AWS_ACCESS_KEY_ID)", true
	case has("SharedConfigCredentials"), has("SharedCredentials"):
		_, path, _ := strings.Cut(source, ": ")
		return "from the shared configuration " + path + k.profile(), true
	case has(stscreds.WebIdentityProviderName):
		return "by web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", false
	case has(endpointcreds.ProviderName):
		if _, ok := k.want.LookupEnv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); ok {
			return "from the container (EKS Pod Identity)", false
		}
		return "from the container (role of the ECS task)", false
	case has(ec2rolecreds.ProviderName):
		return "from the instance (role of the EC2 instance)", false
	case has(ssocreds.ProviderName):
		return "by IAM Identity Center (aws sso login)" + k.profile(), false
	case has("LoginProvider"):
		return "by aws login" + k.profile(), false
	case has(processcreds.ProviderName):
		return "by a process (credential_process)" + k.profile(), false
	case has(stscreds.ProviderName):
		return "by a role that the profile assumes" + k.profile(), false
	default:
		return "from " + clean(source), false
	}
}

// profile names the profile in use.
func (k *Checkup) profile() string {
	name := k.sink.config.Profile
	if name == "" {
		name, _ = k.want.LookupEnv("AWS_PROFILE")
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" (profile %s)", clean(name))
}

// Role assumes the configured role.
func (k *Checkup) Role(ctx context.Context) []checkup.Finding {
	arn := k.sink.config.RoleARN
	c, err := k.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		f := understand("AssumeRole", err)
		if _, answered := errors.AsType[smithy.APIError](err); !answered { // the credentials in front of the role are there
			return checkup.One(checkup.Failed("", fmt.Sprintf("Let this machine out to STS (sts.%s.amazonaws.com): by a NAT gateway, or a VPC endpoint of com.amazonaws.%s.sts. AWS_ENDPOINT_URL_STS names another address of it.", k.sink.region, k.sink.region),
				"the role %s could not be asked for: %s", arn, strings.TrimPrefix(f.text, "get AWS credentials: ")))
		}
		return checkup.One(checkup.Failed(checkup.Authorization, k.sink.forbiddenHint(f, k.want.Destination), "the role %s cannot be assumed: %s", arn, strings.TrimPrefix(f.text, "get AWS credentials: ")))
	}
	return checkup.One(checkup.Passed("the role %s is assumed, good until %s and renewed by itself", arn, c.Expires.UTC().Format(time.RFC3339)))
}

// Identity asks STS who this is. Nobody needs a permission for that.
func (k *Checkup) Identity(ctx context.Context) []checkup.Finding {
	out, err := k.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		f := understand("GetCallerIdentity", err)
		if f.kind == forbidden && f.code != "" {
			return checkup.One(checkup.Failed(checkup.Authorization, k.sink.forbiddenHint(f, k.want.Destination), "AWS does not take the credentials: %s", f.text))
		}
		if k.sink.config.Endpoint != "" && f.status >= http.StatusBadRequest {
			return checkup.One(checkup.Skipped("aws.endpoint answers no sts:GetCallerIdentity, as an emulator of CloudWatch Logs alone does"))
		}
		// CloudWatch Logs may be reached by a private endpoint where STS is not.
		return checkup.One(checkup.Warned("Let this machine out to the endpoint of STS, if you want to see the identity; gapless needs it for role_arn and web identity alone.", "the identity is not known: %s", f.Error()))
	}
	arn := aws.ToString(out.Arn)
	k.account, k.principal = aws.ToString(out.Account), principalOf(arn)
	if strings.HasSuffix(arn, ":root") {
		return checkup.One(checkup.Warned("Never use the root user: make a role, or at least an IAM user, that may do only what gapless needs. Then delete the access key of root.", "%s in account %s: this is the root user, who may do everything", arn, k.account))
	}
	return checkup.One(checkup.Passed("%s in account %s, Region %s", arn, k.account, k.sink.region))
}

// principalOf returns the ARN that the policies of a caller are attached to: of a
// session that of its role. A role with a path is not found by this, and then nothing
// is simulated.
func principalOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	rest, session := strings.CutPrefix(parts[5], "assumed-role/")
	switch {
	case session:
		role, _, _ := strings.Cut(rest, "/")
		return fmt.Sprintf("arn:%s:iam::%s:role/%s", parts[1], parts[4], role)
	case strings.HasPrefix(parts[5], "user/"):
		return arn
	default:
		return "" // root, or a federated user
	}
}

// errNotSimulated says that the policies could not be asked.
var errNotSimulated = errors.New("iam:SimulatePrincipalPolicy is not allowed, or not there")

// simulate asks IAM whether the caller may do something, without doing it. Most are
// not allowed to ask.
func (k *Checkup) simulate(ctx context.Context, op string) (allowed bool, err error) {
	if k.principal == "" {
		return false, errNotSimulated
	}
	out, err := k.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: aws.String(k.principal), ActionNames: []string{"logs:" + op}, ResourceArns: []string{k.resource(op)},
	})
	if err != nil || len(out.EvaluationResults) == 0 {
		return false, errNotSimulated
	}
	return out.EvaluationResults[0].EvalDecision == types.PolicyEvaluationDecisionTypeAllowed, nil
}

// simulated is the finding about a permission that cannot be tried without a change.
func (k *Checkup) simulated(ctx context.Context, op, when string) checkup.Finding {
	allowed, err := k.simulate(ctx, op)
	switch {
	case err != nil:
		return checkup.Skipped("needed %s, and not to be tried without a change; %s. It takes %s", when, errNotSimulated.Error(), k.statement(op))
	case allowed:
		return checkup.Passed("allowed, by iam:SimulatePrincipalPolicy; needed %s", when)
	default:
		return checkup.Failed(checkup.Authorization, fmt.Sprintf("Allow logs:%s on %s to %s.\n%s", op, k.resource(op), k.principal, k.statement(op)), "not allowed, by iam:SimulatePrincipalPolicy; needed %s", when)
	}
}
