package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// setupValues are what is known of the emulated account.
func setupValues() provision.Values {
	return provision.Values{stack.Account: "123456789012", stack.Partition: "aws"}
}

// setupPolicy returns the policy that setup makes for a configuration, and its actions.
func setupPolicy(t *testing.T, cfg *config.Config, leaveOut ...string) (text string, actions []string) {
	t.Helper()
	o := stack.Options{Name: "gapless", Parts: slices.DeleteFunc(stack.Parts(), func(p string) bool { return slices.Contains(leaveOut, p) })}
	s, err := stack.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	text, missing := provision.Fill(stack.Of[*stack.Policy](s)[0].Document, setupValues())
	if len(missing) > 0 {
		t.Fatalf("tokens are left: %v", missing)
	}
	var doc struct{ Statement []struct{ Action []string } }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Statement {
		for _, a := range s.Action {
			if !slices.Contains(actions, a) {
				actions = append(actions, a)
			}
		}
	}
	slices.Sort(actions)
	return text, actions
}

// TestSetupPolicySuffices runs the product with nothing but the policy that setup
// makes, through delivery and the look-up of what may have arrived: it works, and each
// permission is used.
func TestSetupPolicySuffices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leaveOut string
		settings bool
	}{
		"groups are made":                        {"", true},
		"gapless makes groups":                   {stack.PartGroups, false},
		"gapless makes groups, with a retention": {stack.PartGroups, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var actions []string
			calls, _ := exportUnder(t, export{
				settings: c.settings, verifies: true,
				policy: func(t *testing.T, cfg *config.Config) (text string) {
					t.Helper()
					text, actions = setupPolicy(t, cfg, c.leaveOut)
					return text
				},
				before: func(t *testing.T, cfg *config.Config, endpoint http.Handler, admin credentials.StaticCredentialsProvider) {
					t.Helper()
					if c.leaveOut == "" {
						makeGroups(t, cfg, endpoint, admin)
					}
				},
			})
			// DescribeLogGroups is tried and may be refused. Tags are given with
			// CreateLogGroup: their permission has no call of its own.
			calls = slices.DeleteFunc(calls, func(a string) bool { return a == "logs:DescribeLogGroups" })
			actions = slices.DeleteFunc(actions, func(a string) bool { return a == "logs:TagResource" })
			if d := cmp.Diff(actions, calls); d != "" {
				t.Errorf("the policy differs from the calls (-policy +calls):\n%s", d)
			}
		})
	}
}

// makeGroups applies the part of setup that makes log groups and field indexes.
func makeGroups(t *testing.T, cfg *config.Config, endpoint http.Handler, admin credentials.StaticCredentialsProvider) {
	t.Helper()
	a, err := provision.NewAWS(t.Context(), cfg.AWS, provision.AWSOptions{HTTPClient: &http.Client{Transport: emulator.Transport(endpoint)}, Credentials: admin})
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.New(cfg, stack.Options{Name: "gapless", Parts: []string{stack.PartGroups, stack.PartIndexes}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := provision.New(provision.Options{}, setupValues(), provision.NewLogs(a, "gapless"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Plan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := e.Apply(t.Context(), p, nil); err != nil || len(out.Done) != 3 || len(out.Unkept) != 0 {
		t.Fatalf("%v: %+v", err, out)
	}
}

// TestSetupPolicyIsThatOfTheDocs holds that no policy of setup allows what
// docs/security.md does not speak of.
func TestSetupPolicyIsThatOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := `data_dir: /d
aws: {region: eu-central-1}
tenants:
  - name: dev
    domain: dev.us.auth0.com
    client_id: abc
    client_secret: aws-secretsmanager:auth0
    webhook: {token: "aws-ssm:/token"}
    sqs: {queue_url: "https://sqs.eu-central-1.amazonaws.com/123456789012/auth0"}
    cloudwatch: {retention_days: 30, tags: {a: b}}
    destinations: [{name: audit, log_group: /audit, role_arn: "arn:aws:iam::210987654321:role/audit"}]
webhook: {listen: "127.0.0.1:1"}
`
	cfg, err := config.Load(t.Context(), config.LoadOptions{File: "g.yaml", ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
	if err != nil {
		t.Fatal(err)
	}
	_, actions := setupPolicy(t, cfg, stack.PartGroups)
	if len(actions) != 14 {
		t.Errorf("%d actions: %v", len(actions), actions)
	}
	for _, a := range actions {
		if !strings.Contains(string(page), a) {
			t.Errorf("docs/security.md does not speak of %s", a)
		}
	}
}
