package cloudwatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

// A witness is a client that others wrote, against a listener.
type witness struct {
	*bench
	endpoint string
	dir      string
}

// newWitness skips the test, loudly, unless the program is there.
func newWitness(t *testing.T, program, install string) *witness {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("NOT RUN: %s is not installed. To run this test: %s", program, install)
	}
	b := newBenchWith(t, cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "secret"}}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	b.must(err)
	server := &http.Server{Handler: b.server, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Close
	}()
	t.Cleanup(func() {
		b.must(server.Close())
		<-done
	})
	return &witness{bench: b, endpoint: "http://" + listener.Addr().String(), dir: t.TempDir()}
}

// run runs a program that reaches nothing but the listener.
func (w *witness) run(program string, args ...string) ([]byte, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = w.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	cmd.Env = append(cmd.Env,
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_DEFAULT_REGION=eu-central-1", "AWS_REGION=eu-central-1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL="+w.endpoint, "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "HTTP_PROXY=", "HTTPS_PROXY=", "http_proxy=", "https_proxy=")
	return cmd.CombinedOutput()
}

func (w *witness) mustRun(program string, args ...string) string {
	w.t.Helper()
	out, err := w.run(program, args...)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *witness) aws(args ...string) string {
	w.t.Helper()
	return w.mustRun("aws", append([]string{"--endpoint-url", w.endpoint, "logs"}, args...)...)
}

func TestWitnessAWSCLI(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "aws", "install the AWS CLI (https://aws.amazon.com/cli/)")
	w.aws("create-log-group", "--log-group-name", group, "--tags", "env=dev")
	w.aws("create-log-stream", "--log-group-name", group, "--log-stream-name", stream)
	events, err := json.Marshal([]map[string]any{
		{"timestamp": now().UnixMilli() - 2, "message": `{"type":"s"}`},
		{"timestamp": now().UnixMilli() - 1, "message": "ERROR"},
	})
	w.must(err)
	w.aws("put-log-events", "--log-group-name", group, "--log-stream-name", stream, "--log-events", string(events))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"filter-log-events", "--log-group-name", group, "--filter-pattern", `{ $.type = "s" }`, "--query", "events[].message", "--output", "text"}, `{"type":"s"}`},
		{[]string{"get-log-events", "--log-group-name", group, "--log-stream-name", stream, "--limit", "1", "--query", "events[].message", "--output", "text"}, "ERROR"},
		{[]string{"describe-log-streams", "--log-group-name", group, "--query", "logStreams[].logStreamName", "--output", "text"}, stream},
		{[]string{"describe-log-groups", "--query", "logGroups[].arn", "--output", "text"}, "arn:aws:logs:eu-central-1:123456789012:log-group:" + group + ":*"},
	} {
		if got := strings.TrimSpace(w.aws(c.args...)); got != c.want {
			t.Errorf("aws logs %s: %q; want %q", strings.Join(c.args, " "), got, c.want)
		}
	}
	if out, err := w.run("aws", "--endpoint-url", w.endpoint, "logs", "tail", group, "--since", "1h"); err != nil {
		t.Logf("NOT RUN: this version of the AWS CLI has no `aws logs tail`; version 2 has")
	} else if !strings.Contains(string(out), "ERROR") {
		t.Errorf("aws logs tail: %s", out)
	}
}

const pythonClient = `
import boto3, sys, time
c = boto3.client("logs", endpoint_url=sys.argv[1])
c.create_log_group(logGroupName="g")
c.create_log_stream(logGroupName="g", logStreamName="s")
now = int(time.time() * 1000)
r = c.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": now, "message": "m%d" % i} for i in range(25)])
assert len(r["nextSequenceToken"]) == 56 and "rejectedLogEventsInfo" not in r, r
got = [e["message"] for p in c.get_paginator("filter_log_events").paginate(logGroupName="g", PaginationConfig={"PageSize": 7}) for e in p["events"]]
assert got == ["m%d" % i for i in range(25)], got
token, n = None, 0
while True:
    more = {"nextToken": token} if token else {}
    r = c.get_log_events(logGroupName="g", logStreamName="s", startFromHead=True, limit=10, **more)
    n += len(r["events"])
    if r["nextForwardToken"] == token: break
    token = r["nextForwardToken"]
assert n == 25, n
assert [g["logGroupName"] for p in c.get_paginator("describe_log_groups").paginate() for g in p["logGroups"]] == ["g"]
try:
    c.create_log_group(logGroupName="g")
    sys.exit("no error")
except c.exceptions.ResourceAlreadyExistsException as e:
    assert e.response["Error"]["Message"] == "The specified log group already exists", e
    assert len(e.response["ResponseMetadata"]["RequestId"]) == 36
`

func TestWitnessBoto3(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "python3", "install Python 3 and run: pip install boto3")
	if out, err := w.run("python3", "-c", "import boto3"); err != nil {
		t.Skipf("NOT RUN: boto3 is not installed. To run this test: pip install boto3\n%s", out)
	}
	w.mustRun("python3", "-c", pythonClient, w.endpoint)
}

const terraformConfig = `
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" {
  region                      = "eu-central-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints { logs = %q }
}
resource "aws_cloudwatch_log_group" "g" {
  name              = "/auth0/dev-tenant"
  retention_in_days = %d
  tags              = { env = %q }
}
resource "aws_cloudwatch_log_stream" "s" {
  name           = "logs"
  log_group_name = aws_cloudwatch_log_group.g.name
}
`

// initialize runs `terraform init` without a network: plugins come from the
// folder that GAPLESS_TERRAFORM_PLUGINS names or else from wherever Terraform
// finds them of its own accord, which are the mirrors of its CLI configuration
// and the folders that it looks into without one. It returns the environment
// for the commands that follow.
func (w *witness) initialize() (env []string, err error) {
	w.t.Helper()
	env = []string{"HTTPS_PROXY=http://127.0.0.1:9"} // nobody listens there
	args := []string{"init", "-no-color"}
	if plugins := os.Getenv("GAPLESS_TERRAFORM_PLUGINS"); plugins != "" {
		w.must(os.WriteFile(filepath.Join(w.dir, "terraform.rc"), nil, 0o600))
		env = append(env, "TF_CLI_CONFIG_FILE=terraform.rc")
		args = append(args, "-plugin-dir="+plugins)
	}
	out, err := w.run("env", slices.Concat(env, []string{"terraform"}, args)...)
	w.t.Logf("%s", out)
	return env, err
}

func TestWitnessTerraform(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("NOT RUN: starting Terraform's AWS provider five times takes minutes. To run this test: leave out -short")
	}
	w := newWitness(t, "terraform", "install Terraform (https://developer.hashicorp.com/terraform/install)")
	configure := func(days int, env string) {
		text := fmt.Sprintf(terraformConfig, w.endpoint, days, env)
		w.must(os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(text), 0o600))
	}
	configure(7, "dev")
	env, err := w.initialize()
	if err != nil {
		t.Skipf("NOT RUN: Terraform finds no local copy of its AWS provider (%v). To run this test: `terraform providers mirror DIR` in a "+
			"configuration that requires hashicorp/aws, then name DIR as a filesystem_mirror in Terraform's CLI configuration or set "+
			"GAPLESS_TERRAFORM_PLUGINS=DIR", err)
	}
	terraform := func(args ...string) {
		t.Helper()
		w.mustRun("env", slices.Concat(env, []string{"terraform"}, args)...)
	}
	terraform("apply", "-no-color", "-auto-approve")
	terraform("plan", "-no-color", "-detailed-exitcode") // nothing left to change
	configure(14, "prod")
	terraform("apply", "-no-color", "-auto-approve")
	out, err := w.DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(group)})
	w.must(err)
	if len(out.LogGroups) != 1 || aws.ToInt32(out.LogGroups[0].RetentionInDays) != 14 {
		t.Errorf("%+v", out.LogGroups)
	}
	terraform("destroy", "-no-color", "-auto-approve")
	if out, err = w.DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{}); err != nil || len(out.LogGroups) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}
