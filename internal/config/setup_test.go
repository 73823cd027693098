package config_test

import (
	"strings"
	"testing"
)

// TestSetupSection tells of each mistake in the section setup with what to write.
func TestSetupSection(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{}":                           "",
		"{name: Gapless}":              `setup.name "Gapless" is not a name`,
		"{name: a-}":                   `setup.name "a-" is not a name`,
		"{name: auth0-export-2}":       "",
		"{leave_out: [alarm]}":         `setup.leave_out holds "alarm", which it does not know`,
		"{leave_out: [alarms]}":        "",
		"{tags: {'aws:x': y}}":         "setup.tags.aws:x is not a tag key that AWS takes",
		"{tags: {'gapless:setup': x}}": "setup.tags.gapless:setup is setup's own",
		"{run_on: kubernetes}":         `setup.run_on "kubernetes" is not a value it can take`,
		"{run_on: ecs}":                "",
		"{run_on: eks-irsa}":           "setup.eks.oidc_provider is missing, and setup.run_on is eks-irsa",
		"{run_on: eks-irsa, eks: {oidc_provider: 'http://x'}}":                      "setup.eks.oidc_provider is not the URL of an issuer",
		"{run_on: eks-irsa, eks: {oidc_provider: 'https://oidc.example.com/id/1'}}": "",
		"{run_on: eks-pod-identity}":                                                "setup.eks.cluster is missing, and setup.run_on is eks-pod-identity",
		"{run_on: eks-pod-identity, eks: {cluster: prod, namespace: a_b}}":          `setup.eks.namespace "a_b" is not the name of a namespace`,
		"{run_on: eks-pod-identity, eks: {cluster: prod, service_account: 'a*'}}":   `setup.eks.service_account "a*" is not the name of a service account`,
		"{run_on: github}": "setup.github.repository is missing, and setup.run_on is github",
		"{run_on: github, github: {repository: example}}":                               `setup.github.repository "example" is not OWNER/NAME`,
		"{run_on: github, github: {repository: a/b, branch: 'release/*'}}":              `setup.github.branch "release/*" is not the name of a branch`,
		"{run_on: github, github: {repository: a/b, branch: main}}":                     "",
		"{run_on: roles-anywhere}":                                                      "setup.roles_anywhere.ca_file is missing, and setup.run_on is roles-anywhere",
		"{run_on: roles-anywhere, roles_anywhere: {ca_file: ca.pem, common_name: '*'}}": "setup.roles_anywhere.common_name holds a wildcard",
		"{alarm_topics: [security]}":                                                    `setup.alarm_topics holds "security", which is not the ARN of a topic`,
		"{alarm_thresholds: {logins-failed: 500, signups: 0}}":                          "",
		"{alarm_thresholds: {logins-failed: many}}":                                     `setup.alarm_thresholds.logins-failed "many" is not a number of events`,
		"{alarm_thresholds: {logins-failed: -1}}":                                       `setup.alarm_thresholds.logins-failed "-1" is not a number of events`,
		"{push: webhook}": "setup.webhook_url is missing, and setup.push is webhook",
		"{push: webhook, webhook_url: logs.example.com}":           "setup.webhook_url is not a base URL",
		"{push: webhook, webhook_url: 'https://logs.example.com'}": "",
		"{categories: [auth.login]}":                               `setup.categories holds "auth.login", which it does not know`,
		"{categories: [auth.login.fail], pii_fields: [email]}":     "",
		"{pii_fields: [ip]}":                                       `setup.pii_fields holds "ip", which it does not know`,
		"{existing_groups: adopt}":                                 `setup.existing_groups "adopt" is not a value it can take`,
	} {
		_, err := load(t, minimal+"setup: "+text+"\n")
		got := ""
		if err != nil {
			all := problems(t, err)
			if len(all) != 1 {
				t.Errorf("%s: got %q", text, all)
			}
			_, got, _ = strings.Cut(all[0], ": ")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
