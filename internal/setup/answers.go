package setup

import (
	"maps"
	"slices"
)

// The ways in which a tenant's events are had; values of Answers.Auth.
const (
	// AuthSecret reads the log as an application with a client secret.
	AuthSecret = "client-secret"
	// AuthKey reads it as one that signs with a private key (private_key_jwt).
	AuthKey = "private-key"
	// AuthWebhook reads nothing: Auth0 pushes.
	AuthWebhook = "webhook"
)

// How the webhook gets its TLS; values of Answers.WebhookTLS.
const (
	tlsCertificate = "certificate"
	tlsProxy       = "proxy"
)

// Answers are what the questions ask for, as texts: an empty one has not been
// answered. Secrets are references, never values.
type Answers struct {
	// Auth is one of the constants Auth….
	Auth string
	// Domain, Name and ClientID are settings of the tenant.
	Domain, Name, ClientID string
	// ClientSecret, PrivateKey and WebhookToken are references to secrets.
	ClientSecret, PrivateKey, WebhookToken string
	// WebhookListen, WebhookTLS, CertFile and KeyFile are about the listener that
	// Auth0 pushes to. WebhookTLS is certificate or proxy.
	WebhookListen, WebhookTLS, CertFile, KeyFile string
	// Region, LogGroup and RetentionDays are about the destination.
	Region, LogGroup, RetentionDays string
	// Where names a place of places.
	Where string

	// What no question asks for, and the old extension may bring.

	// LogStream and StartFrom are settings of the tenant, MinLevel that of its
	// filter.
	LogStream, StartFrom, MinLevel string
	// Types are the event codes of the filter.
	Types []string
	// Slack says that the extension told Slack of its runs, and SlackSuccess that
	// it did so of those that went well too. ReportAt is when it sent its daily report,
	// as 16:00.
	Slack, SlackSuccess bool
	ReportAt            string
}

// A place is somewhere that gapless runs.
type place struct {
	title string
	// dataDir and listen are written to the file; where they are empty the default
	// is. noListen turns the listener off.
	dataDir, listen string
	noListen        bool
	// disk and identity are comments for data_dir and aws.
	disk, identity string
	// supply says how the variables get there.
	supply string
	// once says that gapless is started again and again, and ends by itself.
	once bool
	// runOn is what setup.run_on is. Where needs is not empty it needs more, which
	// nobody was asked for: it is then an example.
	runOn, needs string
}

// keyIsLast is said wherever a key may be needed.
const keyIsLast = " An IAM user with an access key is the last choice: it never expires."

// places returns where gapless may run, by the answer.
func places() map[string]place {
	const varLib = "/var/lib/gapless"
	return map[string]place{
		"here": {
			title:    "this machine, as you",
			identity: "Credentials come from the AWS SDK's chain: 'aws sso login' with a profile gives some that expire." + keyIsLast,
			supply:   "in the shell that starts gapless",
			runOn:    "none",
		},
		"ec2": {
			title: "an EC2 instance", dataDir: varLib,
			disk:     "On an EBS volume that outlives the instance.",
			identity: "Credentials come from the role of the instance (instance profile): no key.",
			supply:   "in the environment of the service",
			runOn:    "ec2",
		},
		"ecs": {
			title: "Amazon ECS", dataDir: varLib, listen: "0.0.0.0:8080",
			disk:     "Mount an EBS volume here that outlives the task: without it each new task exports everything again.",
			identity: "Credentials come from the task role: no key.",
			supply:   "in the task definition, as secrets with valueFrom",
			runOn:    "ecs",
		},
		"eks": {
			title: "Amazon EKS", dataDir: varLib, listen: "0.0.0.0:8080",
			disk:     "Mount a PersistentVolumeClaim on EBS here, and run one replica.",
			identity: "Credentials come from EKS Pod Identity or IRSA, a role for the service account: no key.",
			supply:   "in the pod, from a Secret",
			runOn:    "eks-pod-identity", needs: "eks: {cluster: prod}",
		},
		"lambda": {
			title: "AWS Lambda", dataDir: "/mnt/gapless", noListen: true, once: true,
			disk:     "/tmp does not outlive a Lambda environment, so mount a file system here, and set the reserved concurrency to 1. On EFS locks may not work: ECS with a disk is the better place. gapless is no Lambda handler; your function starts gapless run --once.",
			identity: "Credentials come from the execution role of the function: no key.",
			supply:   "in the environment of the function",
			runOn:    "lambda",
		},
		"github": {
			title: "GitHub Actions", dataDir: "./gapless-data", noListen: true, once: true,
			disk:     "Keep it between runs with actions/cache, and allow one run at a time with concurrency: a run that finds it empty exports everything again.",
			identity: "Credentials come from aws-actions/configure-aws-credentials with a role for GitHub's OIDC provider: no key.",
			supply:   "as env of the step, from the secrets of the repository",
			runOn:    "github", needs: "github: {repository: example/gapless-export}",
		},
		"other": {
			title: "somewhere else", dataDir: varLib,
			disk:     "On a local disk that outlives the machine's restarts.",
			identity: "IAM Roles Anywhere gives credentials that expire to machines outside of AWS." + keyIsLast,
			supply:   "in the environment of the service",
			runOn:    "roles-anywhere", needs: "roles_anywhere: {ca_file: /etc/gapless/ca.pem}",
		},
	}
}

// placeNames returns the names of the places, in the order in which they are shown.
func placeNames() []string {
	names := slices.Collect(maps.Keys(places()))
	order := []string{"here", "ec2", "ecs", "eks", "lambda", "github", "other"}
	slices.SortFunc(names, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return names
}

// polls reports whether the tenant's log is read.
func (a Answers) polls() bool { return a.Auth != AuthWebhook }

// complete returns the answers with something valid in the place of each that is
// missing, so that a single one can be checked.
func (a Answers) complete() Answers {
	for _, d := range []struct {
		answer *string
		sample string
	}{
		{&a.Auth, AuthSecret},
		{&a.Domain, "dev-tenant.us.auth0.com"},
		{&a.Name, "dev-tenant"},
		{&a.ClientID, "abc"},
		{&a.ClientSecret, "env:A"},
		{&a.PrivateKey, "file:a"},
		{&a.WebhookToken, "env:A"},
		{&a.WebhookListen, "0.0.0.0:8443"},
		{&a.WebhookTLS, tlsCertificate},
		{&a.CertFile, "a"},
		{&a.KeyFile, "a"},
		{&a.Region, "us-east-1"},
		{&a.LogGroup, "/auth0/{tenant}"},
		{&a.RetentionDays, "0"},
		{&a.Where, "other"},
	} {
		if *d.answer == "" {
			*d.answer = d.sample
		}
	}
	return a
}
