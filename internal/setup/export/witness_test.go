package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/setup/export"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// partnerSource is the name of a partner event source as Auth0 makes it.
const partnerSource = "aws.partner/auth0.com/dev-11111111-2222-3333-4444-555555555555/auth0.logs"

// plain are tags of characters that all services of AWS take.
func plain() map[string]string {
	return map[string]string{stack.ManagedBy: "gapless", "team": "sec+ops @ example.com", "number": "0123", "yes": "no", "date": "2012-10-17"}
}

// onMoto is a stack of the kinds that moto has. It has event buses too, but loses them
// where Terraform or CloudFormation ask of them.
func onMoto(t *testing.T) stack.Stack {
	t.Helper()
	var s stack.Stack
	for _, r := range [][]stack.Resource{logs(t, plain()), identity(t, plain()), federation(t), push(t, "default", plain())} {
		s.Resources = append(s.Resources, r...)
	}
	s.Resources = slices.DeleteFunc(s.Resources, func(r stack.Resource) bool { _, ok := r.(*stack.EventBus); return ok })
	for _, r := range stack.Of[*stack.Role](s) {
		r.Policies = r.Policies[:1] // moto has no policies of AWS
	}
	return s
}

// few returns the resources of a stack but those of another Region, and the second of
// a type, and those of the types left out: every command of the AWS CLI takes a second,
// and every queue 25 s of Terraform.
func few(s stack.Stack, leaveOut ...string) (out stack.Stack) {
	seen := make(map[string]bool)
	for _, r := range s.Resources {
		kind := kindName(r)
		if q, ok := r.(*stack.Queue); ok {
			if q.Policy == "" {
				continue
			}
			q.DeadLetterQueue, q.MaxReceives = "", 0
		}
		if rule, ok := r.(*stack.Rule); ok {
			rule.DeadLetterQueue = ""
		}
		if r.ID().Region != other && !seen[kind] && !slices.Contains(leaveOut, kind) {
			seen[kind] = true
			out.Resources = append(out.Resources, r)
		}
	}
	return out
}

// lintable is a stack of all kinds with tags that AWS takes.
func lintable(t *testing.T) stack.Stack {
	t.Helper()
	var s stack.Stack
	for _, r := range [][]stack.Resource{logs(t, plain()), identity(t, plain()), federation(t), push(t, source, plain())} {
		s.Resources = append(s.Resources, r...)
	}
	s.Resources = append(s.Resources, analysis()...)
	s.Resources = append(s.Resources, anywhere(t)...)
	return s
}

// A witness runs the tools of others in a directory.
type witness struct {
	t        *testing.T
	dir      string
	env      []string
	endpoint string
}

// newWitness skips the test where a tool is missing.
func newWitness(t *testing.T, install string, tools ...string) *witness {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT RUN: %s is missing. To run this test: %s", tool, install)
		}
	}
	w := &witness{t: t, dir: t.TempDir()}
	w.env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "AWS_") })
	return w
}

// against leads the tools of AWS to an endpoint.
func (w *witness) against(endpoint string) {
	w.endpoint = endpoint
	w.env = append(w.env, "AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_DEFAULT_REGION="+region)
}

// write writes the files of an export.
func (w *witness) write(r export.Result) {
	w.t.Helper()
	for _, f := range r.Files {
		if err := os.WriteFile(filepath.Join(w.dir, f.Name), f.Content, 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// run runs a command.
func (w *witness) run(name string, args ...string) (stdout, stderr string, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = w.dir, w.env, 10*time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// must runs a command that ends well, and returns what it printed.
func (w *witness) must(name string, args ...string) string {
	w.t.Helper()
	stdout, stderr, err := w.run(name, args...)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// holds is what moto holds of some models, as one text; moments of time are left out,
// and what a service puts there by itself.
func (w *witness) holds() string {
	w.t.Helper()
	var all map[string]map[string][]map[string]any
	if err := json.Unmarshal([]byte(w.get("/moto-api/data.json")), &all); err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for model := range strings.FieldsSeq("logs.LogGroup logs.LogStream logs.MetricFilter cloudwatch.Alarm cloudwatch.Dashboard iam.ManagedPolicy iam.Role " +
		"iam.InstanceProfile iam.User iam.AccessKey events.EventBus events.Rule sqs.Queue") {
		service, name, _ := strings.Cut(model, ".")
		for _, item := range all[service][name] {
			for key := range item {
				if strings.Contains(key, "time") || strings.Contains(key, "date") || key == "region" {
					delete(item, key)
				}
			}
			fmt.Fprintf(&b, "%s %v\n", model, item)
		}
	}
	return b.String()
}

// get asks moto itself.
func (w *witness) get(path string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.endpoint+path, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

// long skips a test that starts Terraform's AWS provider four times, or the AWS CLI some
// eighty times, which takes a small machine minutes.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("GAPLESS_EXPORT_WITNESS") == "" {
		t.Skip("NOT RUN: it takes minutes. To run this test: GAPLESS_EXPORT_WITNESS=1 go test ./internal/setup/export -run TestWitness")
	}
}

// installCLI says how to get the AWS CLI.
const installCLI = "install the AWS CLI: pip install awscli"

// quickly has the AWS CLI loaded once, where it is the one of Python.
func (w *witness) quickly() {
	w.t.Helper()
	if _, _, err := w.run("python3", "-c", "import awscli.clidriver"); err != nil {
		return
	}
	calls := filepath.Join(w.t.TempDir(), "calls")
	w.must("mkfifo", calls)
	here, err := filepath.Abs(filepath.Join("testdata", "awscli"))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	server := exec.CommandContext(ctx, "python3", filepath.Join(here, "serve.py"), calls)
	server.Env, server.Dir, server.Stderr = w.env, w.dir, w.t.Output()
	if err := server.Start(); err != nil {
		cancel()
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cancel()
		_ = server.Wait() // killed
	})
	w.env = append(w.env, "GAPLESS_AWS_CALLS="+calls, "PATH="+here+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// TestWitnessScript holds that the script runs as it is, makes what the stack says, and
// changes nothing when it runs again.
func TestWitnessScript(t *testing.T) {
	t.Parallel()
	long(t)
	w := newWitness(t, installCLI, "aws", "sh")
	w.against(moto.Start(t))
	w.quickly()
	s := onMoto(t)
	s.Resources = append(s.Resources, analysis()...) // which moto does not know, and the script does without
	w.write(render(t, export.AWSCLI, few(s), options()))
	first := w.must("sh", "gapless-setup.sh")
	state := w.holds()
	second := w.must("sh", "gapless-setup.sh")
	t.Logf("first:\n%s\nsecond:\n%s\nstate:\n%s", first, second, state)
	if strings.Contains(second, "made") {
		t.Errorf("the second run made something:\n%s", second)
	}
	if d := cmp.Diff(state, w.holds()); d != "" {
		t.Errorf("the second run changed something:\n%s", d)
	}
	state += w.must("aws", "iam", "get-policy-version", "--policy-arn", "arn:aws:iam::123456789012:policy/gapless", "--version-id", "v1")
	state += w.must("aws", "logs", "describe-metric-filters", "--query", "metricFilters[].filterPattern", "--output", "text")
	for _, want := range []string{
		"arn:aws:logs:eu-central-1:123456789012:log-group:/auth0/dev:*", "arn:aws:sqs:eu-central-1:123456789012:gapless-dev", "${aws:username}", "logs.LogGroup",
		`{ ($.type = "f") || ($.type = "fp*") }`, "sec+ops @ example.com", "ecs-tasks.amazonaws.com", "aws.partner/auth0.com",
	} {
		if !strings.Contains(state, want) {
			t.Errorf("moto does not hold %s", want)
		}
	}
}

// TestWitnessCFNLint holds that cfn-lint finds nothing in a template of all kinds.
func TestWitnessCFNLint(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "install cfn-lint: pip install cfn-lint", "cfn-lint")
	w.write(render(t, export.CloudFormation, lintable(t), options()))
	w.must("cfn-lint", "--", "gapless.yaml", "gapless-us-east-1.yaml")
}

// TestWitnessCloudFormation holds that moto makes a stack of the template.
func TestWitnessCloudFormation(t *testing.T) {
	t.Parallel()
	w := newWitness(t, installCLI, "aws")
	w.against(moto.Start(t))
	w.write(render(t, export.CloudFormation, few(onMoto(t)), options()))
	w.must("aws", "cloudformation", "create-stack", "--stack-name", "gapless", "--template-body", "file://gapless.yaml",
		"--capabilities", "CAPABILITY_NAMED_IAM")
	out := w.must("aws", "cloudformation", "describe-stacks", "--query", "Stacks[0].[StackStatus,Outputs]", "--output", "json")
	for _, want := range []string{"CREATE_COMPLETE", "arn:aws:iam::123456789012:policy/gapless", "arn:aws:iam::123456789012:role/gapless"} {
		if !strings.Contains(out, want) {
			t.Errorf("the stack has no %s: %s", want, out)
		}
	}
	state := w.holds()
	for _, want := range []string{
		"/auth0/dev", "arn:aws:sqs:eu-central-1:123456789012:gapless-dev", "ecs-tasks.amazonaws.com", "# Auth0 'dev'", "sec+ops @ example.com",
	} {
		if !strings.Contains(state, want) {
			t.Errorf("moto does not hold %s:\n%s", want, state)
		}
	}
}

// initialize runs terraform init without a network; see the test of the same kind in
// package emulator/cloudwatch.
func (w *witness) initialize() {
	w.t.Helper()
	args := []string{"init", "-no-color"}
	w.env = append(w.env, "HTTPS_PROXY=http://127.0.0.1:9") // nobody listens there
	if plugins := os.Getenv("GAPLESS_TERRAFORM_PLUGINS"); plugins != "" {
		rc := filepath.Join(w.t.TempDir(), "terraform.rc")
		if err := os.WriteFile(rc, nil, 0o600); err != nil {
			w.t.Fatal(err)
		}
		w.env = append(w.env, "TF_CLI_CONFIG_FILE="+rc)
		args = append(args, "-plugin-dir="+plugins)
	}
	if stdout, stderr, err := w.run("terraform", args...); err != nil {
		w.t.Logf("%s%s", stdout, stderr)
		w.t.Skipf("NOT RUN: Terraform finds no local copy of its AWS provider (%v). To run this test: `terraform providers mirror DIR` in a "+
			"configuration that requires hashicorp/aws, then name DIR as a filesystem_mirror in Terraform's CLI configuration or set "+
			"GAPLESS_TERRAFORM_PLUGINS=DIR", err)
	}
}

// TestWitnessTerraform holds that Terraform likes the layout, that its AWS provider
// plans all kinds, and that it applies those that moto has, after which nothing is left
// to change.
func TestWitnessTerraform(t *testing.T) {
	t.Parallel()
	long(t)
	w := newWitness(t, "install Terraform (https://developer.hashicorp.com/terraform/install)", "terraform")
	w.against(moto.Start(t))
	w.env = append(w.env, "TF_VAR_dev_gapless_partner_event_source="+partnerSource)
	o := options()
	o.Account = "123456789012"
	w.write(render(t, export.Terraform, lintable(t), o))
	w.initialize()
	w.must("terraform", "fmt", "-check", "-diff")
	w.must("terraform", "validate", "-no-color")
	plan := w.must("terraform", "plan", "-no-color")
	if want := fmt.Sprintf("Plan: %d to add, 0 to change, 0 to destroy", inTerraform(lintable(t))); !strings.Contains(plan, want) {
		t.Errorf("the plan does not say %q:\n%s", want, plan)
	}
	w.write(render(t, export.Terraform, few(onMoto(t), "Queue", "Rule"), o))
	w.must("terraform", "apply", "-no-color", "-auto-approve")
	w.must("terraform", "plan", "-no-color", "-detailed-exitcode") // exits with 2 when something is left
	state := w.holds()
	for _, want := range []string{
		`it's ${odd}`, "# Auth0 'dev'", "sec+ops @ example.com", // metric filters are not among what moto shows; the second plan has compared them
	} {
		if !strings.Contains(state, want) {
			t.Errorf("moto does not hold %s:\n%s", want, state)
		}
	}
}

// inTerraform is how many resources Terraform makes of a stack: one of each but those
// of Auth0, and others for policies of roles, users and queues and for targets of rules.
func inTerraform(s stack.Stack) (n int) {
	for _, r := range s.Resources {
		switch r := r.(type) {
		case *stack.Application, *stack.Auth0Stream:
			continue
		case *stack.Role:
			n += len(r.Policies)
		case *stack.User:
			n += len(r.Policies)
		case *stack.Queue:
			if r.Policy != "" {
				n++
			}
		case *stack.Rule:
			n++
		}
		n++
	}
	return n
}
