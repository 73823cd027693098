package provision

import (
	"fmt"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// NextSteps says what a person does with what was made, as lines for a shell with
// comments between.
func (e *Engine) NextSteps(s stack.Stack) (lines []string) {
	say := func(format string, args ...any) {
		text, _ := Fill(fmt.Sprintf(format, args...), e.values)
		lines = append(lines, text)
	}
	for _, r := range s.Resources {
		switch r := r.(type) {
		case *stack.Role:
			say("# gapless runs as the role %s.", stack.RoleARN(r.Name))
		case *stack.InstanceProfile:
			say("aws ec2 associate-iam-instance-profile --iam-instance-profile Name=%s --instance-id i-...", r.Name)
		case *stack.OIDCProvider:
			if len(stack.Of[*stack.Role](s)) == 1 {
				say("# Workflows name it as role-to-assume; a service account of EKS has it as the annotation eks.amazonaws.com/role-arn.")
			}
		case *stack.AnywhereProfile:
			say("# In ~/.aws/config of the machine, with the certificate that the authority signed:")
			say("# credential_process = aws_signing_helper credential-process --certificate cert.pem --private-key key.pem --trust-anchor-arn %s --profile-arn %s --role-arn %s",
				stack.Ref(stack.KindTrustAnchor, r.Name, "arn"), stack.Ref(stack.KindAnywhereProfile, r.Name, "arn"), r.Roles[0])
		case *stack.Application:
			if id := e.values[clientID(r)]; id != "" && id != r.ClientID {
				say("# In the configuration of tenant %s: client_id: %s", r.Tenant, id)
				if r.PublicKey == "" {
					say("# Its secret is in the Auth0 Dashboard: Applications, %s, Client Secret.", r.Name)
				}
			}
		case *stack.Rule:
			if url := e.values[stack.Ref(stack.KindQueue, r.Queue, "url")]; url != "" {
				say("# In the configuration: sqs: {queue_url: %s, source: %s}", url, r.Bus)
			}
		}
	}
	return lines
}
