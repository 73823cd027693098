package stack

import (
	"fmt"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// The issuer of tokens of GitHub Actions, and the audience that tokens for AWS have.
const (
	githubIssuer = "token.actions.githubusercontent.com"
	stsAudience  = "sts.amazonaws.com"
)

// anywhereSeconds is how long credentials of IAM Roles Anywhere last.
const anywhereSeconds = 3600

// addAccess adds the policy, and the identity that gapless runs as.
func addAccess(cfg *config.Config, o Options, s *Stack) error {
	if !o.wants(PartAccess) {
		return nil
	}
	d, err := permissions(cfg, &o, s)
	if err != nil {
		return err
	}
	if len(d.Statement) == 0 {
		return nil
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	s.Resources = append(s.Resources, &Policy{
		Name: o.Name, Description: "What gapless needs to carry the log of Auth0 into CloudWatch Logs", Document: text, Tags: o.tags(nil),
	})
	return addIdentity(cfg, &o, s)
}

// addIdentity adds what lends gapless its credentials.
func addIdentity(cfg *config.Config, o *Options, s *Stack) error {
	add := func(r ...Resource) { s.Resources = append(s.Resources, r...) }
	policies, tags := []string{PolicyARN(o.Name)}, o.tags(nil)
	if o.RunOn == RunNone || o.RunOn == "" {
		s.note("No identity is made (setup.run_on is none): attach the policy %s to the role or user that gapless runs as.", o.Name)
		return nil
	}
	if o.RunOn == RunUser {
		s.note("A user with an access key is the last choice: the key never expires, and whoever has it can use it from anywhere. setup.run_on names the better ways.")
		add(&User{Name: o.Name, Policies: policies, Tags: tags}, &AccessKey{User: o.Name})
		return nil
	}
	trust, err := trustOf(cfg, o)
	if err != nil {
		return err
	}
	text, err := document{Version: policyVersion, Statement: []statement{trust}}.text()
	if err != nil {
		return err
	}
	role := &Role{Name: o.Name, Description: "gapless runs as it", Trust: text, Policies: policies, Tags: tags}
	region := cfg.AWS.Region
	switch o.RunOn {
	case RunIRSA:
		add(&OIDCProvider{URL: issuer(o.OIDCProvider), Audiences: []string{stsAudience}, Tags: tags}, role)
	case RunGitHub:
		add(&OIDCProvider{URL: githubIssuer, Audiences: []string{stsAudience}, Tags: tags}, role)
	case RunPodIdentity:
		add(role, &PodIdentity{Region: region, Cluster: o.Cluster, Namespace: o.Namespace, ServiceAccount: o.ServiceAccount, Role: RoleARN(o.Name), Tags: tags})
	case RunEC2:
		add(role, &InstanceProfile{Name: o.Name, Role: o.Name, Tags: tags})
	case RunAnywhere:
		add(&TrustAnchor{Region: region, Name: o.Name, Certificate: o.CACertificate, Tags: tags}, role,
			&AnywhereProfile{Region: region, Name: o.Name, Roles: []string{RoleARN(o.Name)}, SessionSeconds: anywhereSeconds, Tags: tags})
	case RunLambda:
		s.note("The function's own log needs AWSLambdaBasicExecutionRole beside the policy %s; attach it if you want that log.", o.Name)
		add(role)
	case RunECS:
		s.note("The role %s is the task role. The execution role, which pulls the image and reads the secrets of the task definition, is another one, and not made.", o.Name)
		add(role)
	}
	return nil
}

// issuer returns the URL of an issuer as IAM names it.
func issuer(url string) string { return strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/") }

// trustOf says who may assume the role.
func trustOf(cfg *config.Config, o *Options) (statement, error) {
	s := statement{Effect: "Allow", Action: []string{"sts:AssumeRole"}}
	service := func(name string) { s.Principal = map[string]string{"Service": name} }
	switch o.RunOn {
	case RunECS:
		service("ecs-tasks.amazonaws.com")
		s.Condition = map[string]map[string]string{
			"ArnLike":      {"aws:SourceArn": ARN("ecs", "*", "*")},
			"StringEquals": {"aws:SourceAccount": Account},
		}
	case RunEC2:
		service("ec2.amazonaws.com")
	case RunLambda:
		service("lambda.amazonaws.com")
	case RunIRSA:
		host := issuer(o.OIDCProvider)
		s.byToken(host, map[string]map[string]string{"StringEquals": {
			host + ":aud": stsAudience,
			host + ":sub": "system:serviceaccount:" + o.Namespace + ":" + o.ServiceAccount,
		}})
	case RunGitHub:
		s.byToken(githubIssuer, githubCondition(o))
	case RunPodIdentity:
		service("pods.eks.amazonaws.com")
		s.Action = []string{"sts:AssumeRole", "sts:TagSession"}
		s.Condition = map[string]map[string]string{
			"ArnEquals": {"aws:RequestTag/eks-cluster-arn": ARN("eks", cfg.AWS.Region, "cluster/"+o.Cluster)},
			"StringEquals": {
				"aws:RequestTag/kubernetes-namespace":       o.Namespace,
				"aws:RequestTag/kubernetes-service-account": o.ServiceAccount,
			},
		}
	case RunAnywhere:
		service("rolesanywhere.amazonaws.com")
		s.Action = []string{"sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"}
		s.Condition = map[string]map[string]string{"ArnEquals": {"aws:SourceArn": Ref(KindTrustAnchor, o.Name, "arn")}}
		if o.CommonName != "" {
			s.Condition["StringEquals"] = map[string]string{"aws:PrincipalTag/x509Subject/CN": o.CommonName}
		}
	default:
		return s, fmt.Errorf("setup.run_on %q is not known", o.RunOn)
	}
	return s, nil
}

// byToken lets those assume the role that have a token of an issuer.
func (s *statement) byToken(host string, condition map[string]map[string]string) {
	s.Principal = map[string]string{"Federated": ARN("iam", "", "oidc-provider/"+host)}
	s.Action = []string{"sts:AssumeRoleWithWebIdentity"}
	s.Condition = condition
}

// githubCondition picks the workflows that may assume the role.
func githubCondition(o *Options) map[string]map[string]string {
	equals := map[string]string{githubIssuer + ":aud": stsAudience}
	if o.Branch != "" {
		equals[githubIssuer+":sub"] = "repo:" + o.Repository + ":ref:refs/heads/" + o.Branch
		return map[string]map[string]string{"StringEquals": equals}
	}
	return map[string]map[string]string{
		"StringEquals": equals,
		"StringLike":   {githubIssuer + ":sub": "repo:" + o.Repository + ":*"},
	}
}
