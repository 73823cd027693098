//go:build linux

package deploy_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/moto"
)

// A deployment is what Terraform or CloudFormation has made, as AWS tells it.
type deployment struct {
	Container map[string]any            // the one container of the task
	Policies  map[string]map[string]any // by what the role is for: task and execution
}

// moto's rules for groups have no description, and its services do not tell of
// rebalancing; so Terraform wants to set these again, and nothing else.
var motoForgets = map[string]string{
	"module.gapless.aws_vpc_security_group_egress_rule.nfs":  "description",
	"module.gapless.aws_vpc_security_group_ingress_rule.nfs": "description",
	"module.gapless.aws_ecs_service.this":                    "availability_zone_rebalancing",
}

// TestTemplateIsClean has cfn-lint read the template, against AWS's own schemas.
func TestTemplateIsClean(t *testing.T) {
	t.Parallel()
	need(t, "cfn-lint", "pip install cfn-lint")
	out := command{dir: root}.must(t.Context(), t, "cfn-lint", "--include-checks", "I", "--", "deploy/cloudformation/ecs-fargate.yaml")
	if strings.TrimSpace(out) != "" {
		t.Error(out)
	}
	if m := regexp.MustCompile(`(?m)(^|[ :])[&*][a-z]+$`).FindString(read(t, "deploy", "cloudformation", "ecs-fargate.yaml")); m != "" {
		t.Errorf("%s: CloudFormation takes no aliases", m)
	}
}

// TestFargate lets CloudFormation and Terraform make the service on moto, and compares
// what came of it.
func TestFargate(t *testing.T) {
	t.Parallel()
	need(t, "python3", "install Python 3 and run: pip install boto3")
	if out, _, err := (command{}).run(t.Context(), t, "python3", "-c", "import boto3"); err != nil {
		t.Skipf("NOT RUN: boto3 is not installed. To run this test: pip install boto3\n%s", out)
	}
	endpoint := moto.Start(t)
	ctx := t.Context()
	a := account{command{dir: t.TempDir(), env: []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1",
		"AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=" + endpoint,
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "HTTP_PROXY=", "HTTPS_PROXY=http://127.0.0.1:9", "http_proxy=", "https_proxy=", // nobody listens there
	}}}
	var byTemplate, byModule *deployment
	t.Run("CloudFormation", func(t *testing.T) { byTemplate = a.applyTemplate(ctx, t) })
	t.Run("Terraform", func(t *testing.T) { byModule = a.applyModule(ctx, t) })
	t.Run("agree", func(t *testing.T) {
		if byTemplate == nil || byModule == nil {
			t.Skip("NOT RUN: one of the two was not made. To run this test: see there")
		}
		if diff := cmp.Diff(byModule, byTemplate); diff != "" {
			t.Errorf("Terraform and CloudFormation differ (-Terraform +CloudFormation):\n%s", diff)
		}
		checkPermissions(t, byModule)
	})
}

// An account is one of moto's.
type account struct{ command }

// boto runs a few lines of Python that set the variable answer, and decodes it.
func (a account) boto(ctx context.Context, t *testing.T, into any, script string, args ...string) {
	t.Helper()
	script = "import boto3, json, sys\nargs = sys.argv[1:]\n" + script + "\nprint(json.dumps(answer, default=str))\n"
	out := a.must(ctx, t, "python3", append([]string{"-c", script}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// createStack makes the stack args[0] of the template args[1], with parameters in JSON.
const createStack = `
c = boto3.client("cloudformation")
c.create_stack(StackName=args[0], Capabilities=["CAPABILITY_IAM"], TemplateBody=open(args[1]).read(),
    Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in json.loads(args[2]).items()])
stack, = c.describe_stacks(StackName=args[0])["Stacks"]
answer = {"status": stack["StackStatus"], "outputs": len(stack["Outputs"])}
`

// applyTemplate creates the stack gapless-cf with the values of the module's example.
func (a account) applyTemplate(ctx context.Context, t *testing.T) *deployment {
	t.Helper()
	vpc, subnets := a.network(ctx, t)
	parameters, err := json.Marshal(map[string]string{
		"Image": exampleValue(t, "image"), "EcrRepositoryArn": exampleValue(t, "ecr_repository_arn"),
		"TenantName": exampleValue(t, "name"), "TenantDomain": exampleValue(t, "domain"), "ClientId": exampleValue(t, "client_id"),
		"ClientSecretArn": exampleValue(t, "client_secret_arn"), "Auth0Retention": exampleValue(t, "auth0_retention"),
		"VpcId": vpc, "SubnetA": subnets[0], "SubnetB": subnets[1],
		// Both would make the log group; the one of Terraform is there for both.
		"CreateLogGroup": "false",
	})
	if err != nil {
		t.Fatal(err)
	}
	template, err := filepath.Abs(filepath.Join(root, "deploy", "cloudformation", "ecs-fargate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var stack struct {
		Status  string `json:"status"`
		Outputs int    `json:"outputs"`
	}
	a.boto(ctx, t, &stack, createStack, "gapless-cf", template, string(parameters))
	if stack.Status != "CREATE_COMPLETE" || stack.Outputs == 0 {
		t.Fatalf("%+v", stack)
	}
	return a.deployed(ctx, t, "gapless-cf")
}

// applyModule applies the example of the module's README, which validates it first,
// and plans once more.
func (a account) applyModule(ctx context.Context, t *testing.T) *deployment {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN: starting Terraform's AWS provider three times takes a minute. To run this test: leave out -short")
	}
	need(t, "terraform", "install Terraform (https://developer.hashicorp.com/terraform/install)")
	module, err := filepath.Abs(filepath.Join(root, "deploy", "terraform", "ecs-fargate"))
	if err != nil {
		t.Fatal(err)
	}
	a.must(ctx, t, "terraform", "fmt", "-check", "-diff", module)
	vpc, subnets := a.network(ctx, t)
	write(t, filepath.Join(a.dir, "main.tf"), strings.NewReplacer(
		"./deploy/terraform/ecs-fargate", module,
		exampleValue(t, "vpc_id"), vpc, "subnet-0a1b2c3d", subnets[0], "subnet-1a2b3c4d", subnets[1],
	).Replace(example(t)))
	if err := a.initialize(ctx, t); err != nil {
		t.Skipf("NOT RUN: Terraform finds no local copy of its AWS provider (%v). To run this test: `terraform providers mirror DIR` in a "+
			"configuration that requires hashicorp/aws, then name DIR as a filesystem_mirror in Terraform's CLI configuration or set "+
			"GAPLESS_TERRAFORM_PLUGINS=DIR", err)
	}
	a.must(ctx, t, "terraform", "apply", "-no-color", "-auto-approve")
	a.must(ctx, t, "terraform", "plan", "-no-color", "-out=again")
	checkAgain(t, a.must(ctx, t, "terraform", "show", "-json", "again"))
	return a.deployed(ctx, t, "gapless")
}

// initialize runs `terraform init` without a network: plugins come from the folder
// that GAPLESS_TERRAFORM_PLUGINS names, or from where Terraform finds them itself.
func (a *account) initialize(ctx context.Context, t *testing.T) error {
	t.Helper()
	args := []string{"init", "-no-color"}
	if plugins := os.Getenv("GAPLESS_TERRAFORM_PLUGINS"); plugins != "" {
		write(t, filepath.Join(a.dir, "terraform.rc"), "")
		a.env = append(a.env, "TF_CLI_CONFIG_FILE=terraform.rc")
		args = append(args, "-plugin-dir="+plugins)
	}
	stdout, stderr, err := a.run(ctx, t, "terraform", args...)
	t.Logf("%s%s", stdout, stderr)
	return err
}

// example is the configuration in the README of the module.
func example(t *testing.T) string {
	t.Helper()
	_, after, _ := strings.Cut(read(t, "deploy", "terraform", "ecs-fargate", "README.md"), "```hcl\n")
	text, _, ok := strings.Cut(after, "```\n")
	if !ok {
		t.Fatal("the README of the module has no example")
	}
	return text
}

// exampleValue is what the example gives a variable.
func exampleValue(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^ +` + name + ` += "(.*)"$`).FindStringSubmatch(example(t))
	if m == nil {
		t.Fatalf("the example sets no %s", name)
	}
	return m[1]
}

// network returns the VPC that moto has from the start, and two subnets of it.
func (a account) network(ctx context.Context, t *testing.T) (vpc string, subnets []string) {
	t.Helper()
	var found [][2]string
	a.boto(ctx, t, &found, `
subnets = sorted(boto3.client("ec2").describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
answer = [[s["VpcId"], s["SubnetId"]] for s in subnets]`)
	if len(found) < 2 {
		t.Fatalf("subnets: %v", found)
	}
	return found[0][0], []string{found[0][1], found[1][1]}
}

// checkAgain fails if a second plan changes anything that moto has kept.
func checkAgain(t *testing.T, plan string) {
	t.Helper()
	var p struct {
		Changes []struct {
			Address string
			Change  struct {
				Actions       []string
				Before, After map[string]any
			}
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(plan), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Changes) < 15 {
		t.Errorf("the plan knows %d resources only", len(p.Changes))
	}
	for _, c := range p.Changes {
		if slices.Equal(c.Change.Actions, []string{"no-op"}) {
			continue
		}
		delete(c.Change.Before, motoForgets[c.Address])
		delete(c.Change.After, motoForgets[c.Address])
		if diff := cmp.Diff(c.Change.Before, c.Change.After); diff != "" || !slices.Equal(c.Change.Actions, []string{"update"}) {
			t.Errorf("a second plan would %v %s:\n%s", c.Change.Actions, c.Address, diff)
		}
	}
}

// describe tells what runs under the name args[0]; args[1] begins the names of the
// roles.
const describe = `
ecs, iam = boto3.client("ecs"), boto3.client("iam")
cluster = args[0]
services = ecs.describe_services(cluster=cluster, services=ecs.list_services(cluster=cluster)["serviceArns"])["services"]
answer = {
    "containers": ecs.describe_task_definition(taskDefinition=args[0])["taskDefinition"]["containerDefinitions"],
    "counts": [s["desiredCount"] for s in services],
    "policies": {r["RoleName"]: iam.get_role_policy(RoleName=r["RoleName"], PolicyName="gapless")["PolicyDocument"]
                 for r in iam.list_roles()["Roles"] if r["RoleName"].startswith(args[1])},
}`

// deployed asks for what runs under a name. What is made up for each of the two is
// replaced.
func (a account) deployed(ctx context.Context, t *testing.T, name string) *deployment {
	t.Helper()
	roles := "gapless-eu-central-1-"
	if name != "gapless" {
		roles = name + "-"
	}
	var text json.RawMessage
	a.boto(ctx, t, &text, describe, name, roles)
	var found struct {
		Containers []map[string]any           `json:"containers"`
		Counts     []int                      `json:"counts"`
		Policies   map[string]json.RawMessage `json:"policies"`
	}
	a.decode(t, neutral(string(text), name), &found)
	if len(found.Containers) != 1 || !slices.Equal(found.Counts, []int{1}) || len(found.Policies) != 2 {
		t.Fatalf("want one service with one task of one container, and two roles: %s", text)
	}
	d := &deployment{Container: found.Containers[0], Policies: make(map[string]map[string]any)}
	linux, _ := d.Container["linuxParameters"].(map[string]any)
	if caps, ok := linux["capabilities"].(map[string]any); ok {
		delete(caps, "add") // an empty list, or none
	}
	for role, policy := range found.Policies {
		kind := "task"
		if strings.Contains(strings.ToLower(role), "execution") {
			kind = "execution"
		}
		document := make(map[string]any)
		a.decode(t, string(policy), &document)
		d.Policies[kind] = document
	}
	return d
}

// decode decodes JSON, also such as is within a JSON text. What moto's CloudFormation
// keeps of a policy is written as Python writes it, with None for no value.
func (a account) decode(t *testing.T, text string, into any) {
	t.Helper()
	var inner string
	if json.Unmarshal([]byte(text), &inner) == nil {
		text = strings.NewReplacer("'", `"`, ", None", "").Replace(inner)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// madeUp are the ids that AWS gives. In the place of that of an access point moto's
// CloudFormation puts what Python says of it.
var madeUp = regexp.MustCompile(`\b(fs|fsap)-[0-9a-f]+|<moto\.efs\.models\.AccessPoint[^>]*>`)

// neutral replaces what differs between the two by intention.
func neutral(text, name string) string {
	return madeUp.ReplaceAllString(strings.ReplaceAll(text, "/ecs/"+name, "/ecs/NAME"), "ID")
}

// checkPermissions compares what the task may do with the permissions of
// docs/security.md: those of its policy, but for making the log group, which
// Terraform and CloudFormation do.
func checkPermissions(t *testing.T, d *deployment) {
	t.Helper()
	page := read(t, "docs", "security.md")
	_, after, _ := strings.Cut(page, "```json\n")
	text, _, _ := strings.Cut(after, "```")
	want := regexp.MustCompile(`logs:[A-Z][A-Za-z]+`).FindAllString(text, -1)
	want = slices.DeleteFunc(want, func(a string) bool { return a == "logs:CreateLogGroup" })
	slices.Sort(want)
	raw, err := json.Marshal(d.Policies["task"])
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`logs:[A-Z][A-Za-z]+`).FindAllString(string(raw), -1)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permissions for logs (-docs/security.md +task role):\n%s", diff)
	}
	if strings.Contains(string(raw), `"*"`) {
		t.Errorf("the task may do something to anything: %s", raw)
	}
}
