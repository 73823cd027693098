package stack

import (
	"slices"

	"github.com/gaplesslogs/gapless/internal/config"
)

// Where gapless runs, which decides how it comes by an identity of AWS.
const (
	RunECS         = "ecs"              // task role of ECS
	RunIRSA        = "eks-irsa"         // role for a service account, by the cluster's OpenID Connect provider
	RunPodIdentity = "eks-pod-identity" // role for a service account, by EKS Pod Identity
	RunEC2         = "ec2"              // instance profile
	RunLambda      = "lambda"           // execution role
	RunGitHub      = "github"           // role for GitHub Actions, by OpenID Connect
	RunAnywhere    = "roles-anywhere"   // role for a machine with a certificate
	RunUser        = "user"             // user with an access key: the last choice
	RunNone        = "none"             // the policy alone; somebody else attaches it
)

// The ways in which Auth0 is made to push events.
const (
	PushNone        = "none"        // gapless reads alone
	PushWebhook     = "webhook"     // a log stream to webhook.listen
	PushEventBridge = "eventbridge" // a log stream to EventBridge, and a queue
)

// Options are what a person decides about a stack beside the configuration.
type Options struct {
	// Name begins the names of what has no name of its own, 1 to 32 of a-z, 0-9 and -;
	// "gapless" when empty.
	Name string
	// Parts are those to make; all when nil.
	Parts []string
	// Tags are given to all that takes tags, beside ManagedBy.
	Tags map[string]string
	// Protected turns on the deletion protection of log groups.
	Protected bool
	// Account is the number of the account that is set up; empty when it is not known.
	// It decides whether a destination that has a role lies there.
	Account string
	// AsDestination says that all destinations are set up in their own account: the
	// policy is then for their role_arn, which must be there already.
	AsDestination bool
	// RunOn is one of the constants Run….
	RunOn string
	// Cluster, Namespace and ServiceAccount are of EKS.
	Cluster, Namespace, ServiceAccount string
	// OIDCProvider is the URL of the cluster's issuer, for RunIRSA.
	OIDCProvider string
	// Repository is OWNER/NAME and Branch a branch of it, for RunGitHub; any branch
	// when empty.
	Repository, Branch string
	// CACertificate is the PEM of the authority whose certificates RunAnywhere trusts,
	// and CommonName the one that they must name; any when empty.
	CACertificate, CommonName string
	// Topics are ARNs of topics of SNS that alarms tell.
	Topics []string
	// Thresholds replace those of alarms, by the Slug of their Watch; 0 leaves an alarm
	// out.
	Thresholds map[string]int
	// Push is one of the constants Push….
	Push string
	// WebhookURL is the base URL under which Auth0 reaches webhook.listen.
	WebhookURL string
	// Categories, PIIFields and PIIMethod are those of log streams.
	Categories, PIIFields []string
	PIIMethod             string
	// Reveal returns the value of a secret of the configuration. nil reveals none:
	// what needs one is left out then, and a note says so.
	Reveal func(config.Secret) (string, error)
}

// ManagedBy is the tag that marks what gapless made, and so may take away; its value
// is Options.Name.
const ManagedBy = "gapless:setup"

// wants reports whether a part is to be made.
func (o *Options) wants(part string) bool { return o.Parts == nil || slices.Contains(o.Parts, part) }

// New returns what the configuration needs. Its errors say what to change in the
// configuration or the options.
func New(cfg *config.Config, o Options) (Stack, error) {
	if o.Name == "" {
		o.Name = "gapless"
	}
	var s Stack
	for _, add := range []func(*config.Config, Options, *Stack) error{addGroups, addAccess, addIndexes, addInsights, addPush} {
		if err := add(cfg, o, &s); err != nil {
			return Stack{}, err
		}
	}
	s.Resources = slices.DeleteFunc(s.Resources, func(r Resource) bool { return !o.wants(r.Part()) })
	return s, nil
}
