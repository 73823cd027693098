package config

import (
	"net/url"
	"slices"
	"strings"
)

// Setup is what "gapless setup" makes outside of gapless. Nothing else reads it.
type Setup struct {
	Name               string            `yaml:"name" default:"gapless" doc:"Name of the policy, the role or user, and of what Auth0 is given; it begins the names of queries, metrics, alarms and queues. 1 to 32 lower-case letters, digits and '-'. Two set-ups in one AWS account need two names. Do not change it later: what was made under another name is not recognised any more."`
	LeaveOut           []string          `yaml:"leave_out" example:"alarms,dashboard" doc:"Parts that are not made: groups (log groups and streams), access (the policy, and the identity of run_on), indexes (field indexes), queries (saved queries of Logs Insights), metrics (metric filters), alarms, dashboard, auth0 (application and log stream), queue (event bus, rule and queue of push: eventbridge). What was made of a part stays."`
	Reads              []string          `yaml:"reads" example:"backfill,tail,query" doc:"Who besides the export may read the log groups, by the policy: verify, backfill, tail, query. verify.schedule, which is on unless it is switched off, and a backfill by the exporter read as verify does; query needs Logs Insights. Leave out those that run under an identity of their own."`
	Tags               map[string]string `yaml:"tags" example:"team=security,stage=prod" doc:"Tags of all that setup makes and that takes tags; those of a log group are added to the tags of its destination. The tag gapless:setup is setup's own."`
	DeletionProtection bool              `yaml:"deletion_protection" default:"false" doc:"Protect log groups that setup makes from deletion: AWS refuses it until the protection is taken off."`
	ExistingGroups     string            `yaml:"existing_groups" default:"keep" enum:"keep,change" doc:"What becomes of log groups that are there and that setup did not make. keep leaves them as they are, and the plan tells how they differ from what is configured. change gives them retention, key, tags, deletion protection and field indexes as configured: a shorter retention deletes events. They are never taken over: destroy leaves them."`
	RunOn              string            `yaml:"run_on" default:"none" enum:"none,ecs,eks-irsa,eks-pod-identity,ec2,lambda,github,roles-anywhere,user" doc:"Where gapless runs, and so which identity of AWS is made for it: ecs, a task role; eks-irsa and eks-pod-identity, a role for a service account; ec2, a role with an instance profile; lambda, an execution role; github, a role for GitHub Actions; roles-anywhere, a role for a machine with a certificate; user, a user with an access key, which never expires and is the last choice. none makes the policy alone, for somebody to attach."`
	EKS                SetupEKS          `yaml:"eks" doc:"The service account, for run_on eks-irsa and eks-pod-identity."`
	GitHub             SetupGitHub       `yaml:"github" doc:"The repository, for run_on github."`
	RolesAnywhere      SetupAnywhere     `yaml:"roles_anywhere" doc:"The certificates, for run_on roles-anywhere."`
	AlarmTopics        []string          `yaml:"alarm_topics" example:"arn:aws:sns:eu-central-1:123456789012:security" doc:"ARNs of topics of Amazon SNS that alarms tell; at most 5. Without any, alarms are seen in CloudWatch alone."`
	AlarmThresholds    map[string]string `yaml:"alarm_thresholds" example:"logins-failed=500,signups=0" doc:"Numbers from which on alarms are raised, by name of the alarm, in the place of those in docs/setup-queries.md; 0 leaves the alarm out."`
	Push               string            `yaml:"push" default:"none" enum:"none,webhook,eventbridge" doc:"How Auth0 is made to push events: webhook makes a log stream to webhook.listen, eventbridge one to Amazon EventBridge, with a queue. none makes no log stream; gapless reads then alone."`
	WebhookURL         string            `yaml:"webhook_url" example:"https://logs.example.com" doc:"Base URL under which Auth0 reaches webhook.listen, for push: webhook. HTTPS, with a certificate that Auth0 trusts."`
	Categories         []string          `yaml:"categories" example:"auth.login.fail,management.success" doc:"Categories of events that the log stream sends; all when empty. What is not sent is read, where the tenant is read."`
	PIIFields          []string          `yaml:"pii_fields" example:"email,phone" doc:"Personal data that Auth0 hides in what the log stream sends: first_name, last_name, username, email, phone, address. What gapless reads comes in clear; the tenant's redact is for both."`
	PIIMethod          string            `yaml:"pii_method" default:"mask" enum:"mask,hash" doc:"How pii_fields are hidden: mask puts asterisks there, hash an xxHash, which keeps equal values equal and is no cryptographic hash."`
}

// SetupEKS names a service account of Amazon EKS.
type SetupEKS struct {
	Cluster        string `yaml:"cluster" example:"prod" doc:"Name of the cluster, for eks-pod-identity."`
	Namespace      string `yaml:"namespace" default:"gapless" doc:"Namespace of the service account."`
	ServiceAccount string `yaml:"service_account" default:"gapless" doc:"Name of the service account."`
	OIDCProvider   string `yaml:"oidc_provider" example:"https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF" doc:"URL of the cluster's OpenID Connect issuer, for eks-irsa; 'aws eks describe-cluster --name prod --query cluster.identity.oidc.issuer' tells it."`
}

// SetupGitHub names a repository.
type SetupGitHub struct {
	Repository string `yaml:"repository" example:"example/gapless-export" doc:"OWNER/NAME of the repository whose workflows may run gapless."`
	Branch     string `yaml:"branch" example:"main" doc:"Branch of it that they must run on; any branch, tag, environment and pull request of the repository when empty."`
}

// SetupAnywhere says whose certificates IAM Roles Anywhere takes.
type SetupAnywhere struct {
	CAFile     string `yaml:"ca_file" example:"/etc/gapless/ca.pem" doc:"PEM file with the certificate of the authority that signs the machine's certificate. It is read by setup alone."`
	CommonName string `yaml:"common_name" example:"gapless.example.com" doc:"Common name (CN) that the machine's certificate must have; any that the authority has signed when empty."`
}

// SetupParts returns the parts that setup.leave_out may name.
func SetupParts() []string {
	return []string{"groups", "access", "indexes", "queries", "metrics", "alarms", "dashboard", "auth0", "queue"}
}

// SetupReads returns what setup.reads may name.
func SetupReads() []string { return []string{"verify", "backfill", "tail", "query"} }

// Reads reports whether the identity that setup makes is to read the log groups for any of
// some readers. A schedule of verify reads for "verify".
func (c *Config) Reads(readers ...string) bool {
	if slices.Contains(readers, "verify") && c.Verify.Schedule != "off" && slices.ContainsFunc(c.Tenants, func(t Tenant) bool { return t.Polls() }) {
		return true
	}
	return slices.ContainsFunc(readers, func(r string) bool { return slices.Contains(c.Setup.Reads, r) })
}

// The values that log streams of Auth0 take. Source: OpenAPI description of the
// Management API, LogStreamFilter and LogStreamPiiConfig.
func streamCategories() []string {
	return strings.Fields(`auth.login.fail auth.login.notification auth.login.success auth.logout.fail auth.logout.success
		auth.signup.fail auth.signup.success auth.silent_auth.fail auth.silent_auth.success auth.token_exchange.fail
		auth.token_exchange.success management.fail management.success scim.event system.notification user.fail
		user.notification user.success actions other`)
}

func piiFields() []string {
	return []string{"first_name", "last_name", "username", "email", "phone", "address"}
}

// setupTag is the tag that setup knows by what it made.
const setupTag = "gapless:setup"

// RemoteReferences returns the references to secrets that are kept in AWS, each once,
// in the order of the configuration.
func (c *Config) RemoteReferences() (refs []Secret) {
	c.walk(func(l leaf) {
		for _, s := range l.field.secretsIn(l.value) {
			if s.IsRemote() && !slices.Contains(refs, s) {
				refs = append(refs, s)
			}
		}
	})
	return refs
}

// checkSetup checks the section setup.
func (l *loader) checkSetup(s *Setup) {
	if !matches(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`, s.Name) {
		l.complain("setup.name", quote(s.Name)+" is not a name", "Use 1 to 32 lower-case letters, digits and '-', such as gapless.")
	}
	l.checkTags("setup.tags", s.Tags)
	if _, taken := s.Tags[setupTag]; taken {
		l.complain("setup.tags."+setupTag, "is setup's own", "Remove it; setup.name is its value.")
	}
	l.checkChoices("setup.leave_out", s.LeaveOut, SetupParts())
	l.checkChoices("setup.reads", s.Reads, SetupReads())
	l.checkChoices("setup.categories", s.Categories, streamCategories())
	l.checkChoices("setup.pii_fields", s.PIIFields, piiFields())
	if len(s.AlarmTopics) > 5 {
		l.complain("setup.alarm_topics", "holds more than 5 topics, which is what an alarm takes", "Let one topic tell the others' readers.")
	}
	for _, arn := range s.AlarmTopics {
		if !matches(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:\S+$`, arn) {
			l.complain("setup.alarm_topics", "holds "+quote(arn)+", which is not the ARN of a topic", "Write it like arn:aws:sns:eu-central-1:123456789012:security.")
		}
	}
	for _, name := range sortedKeys(s.AlarmThresholds) {
		if !matches(`^(0|[1-9]\d{0,8})$`, s.AlarmThresholds[name]) {
			l.complain("setup.alarm_thresholds."+name, quote(s.AlarmThresholds[name])+" is not a number of events", "Write a whole number, such as 100; 0 leaves the alarm out.")
		}
	}
	l.checkRunOn(s)
	l.checkPush(s)
}

// checkChoices checks that a list holds known values.
func (l *loader) checkChoices(path string, values, known []string) {
	for _, v := range values {
		if slices.Contains(known, v) {
			continue
		}
		fix := "Known are: " + strings.Join(known, ", ") + "."
		if best := nearest(v, known); best != "" {
			fix = "Did you mean " + best + "? " + fix
		}
		l.complain(path, "holds "+quote(v)+", which it does not know", fix)
	}
}

// checkRunOn checks what the place where gapless runs needs.
func (l *loader) checkRunOn(s *Setup) {
	need := func(path, value, example string) {
		if value == "" {
			l.complain(path, "is missing, and setup.run_on is "+s.RunOn, "Set it, such as "+example+".")
		}
	}
	const dns = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	switch s.RunOn {
	case "eks-irsa", "eks-pod-identity":
		if !matches(dns, s.EKS.Namespace) {
			l.complain("setup.eks.namespace", quote(s.EKS.Namespace)+" is not the name of a namespace", "Use lower-case letters, digits and '-'.")
		}
		if !matches(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`, s.EKS.ServiceAccount) {
			l.complain("setup.eks.service_account", quote(s.EKS.ServiceAccount)+" is not the name of a service account", "Use lower-case letters, digits, '-' and '.'.")
		}
		if s.RunOn == "eks-pod-identity" {
			need("setup.eks.cluster", s.EKS.Cluster, "cluster: prod")
			break
		}
		need("setup.eks.oidc_provider", s.EKS.OIDCProvider, "oidc_provider: https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF")
		if u, err := url.Parse(s.EKS.OIDCProvider); s.EKS.OIDCProvider != "" && (err != nil || u.Scheme != "https" || !isHTTP(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
			l.complain("setup.eks.oidc_provider", "is not the URL of an issuer", "Write it like https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF.")
		}
	case "github":
		need("setup.github.repository", s.GitHub.Repository, "repository: example/gapless-export")
		if s.GitHub.Repository != "" && !matches(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`, s.GitHub.Repository) {
			l.complain("setup.github.repository", quote(s.GitHub.Repository)+" is not OWNER/NAME", "Write it like example/gapless-export.")
		}
		if strings.ContainsAny(s.GitHub.Branch, "*? ") {
			l.complain("setup.github.branch", quote(s.GitHub.Branch)+" is not the name of a branch", "Write one, such as main, without wildcards.")
		}
	case "roles-anywhere":
		need("setup.roles_anywhere.ca_file", s.RolesAnywhere.CAFile, "ca_file: /etc/gapless/ca.pem")
		if strings.ContainsAny(s.RolesAnywhere.CommonName, "*?") {
			l.complain("setup.roles_anywhere.common_name", "holds a wildcard", "Write the whole common name, or leave it empty for any.")
		}
	}
}

// checkPush checks what the way in which Auth0 pushes needs.
func (l *loader) checkPush(s *Setup) {
	if s.Push == "webhook" && s.WebhookURL == "" {
		l.complain("setup.webhook_url", "is missing, and setup.push is webhook", "Set it, such as webhook_url: https://logs.example.com.")
	}
	if s.WebhookURL == "" {
		return
	}
	if u, err := url.Parse(s.WebhookURL); err != nil || !isHTTP(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		l.complain("setup.webhook_url", "is not a base URL", "Write it like https://logs.example.com.")
	}
}
