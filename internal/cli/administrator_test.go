package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
)

// An administrator does what docs/first-event.md does with the AWS CLI.
type administrator interface {
	// create makes the log group and the stream.
	create(ctx context.Context, t *testing.T, page page)
	// find waits for the event of a user's creation.
	find(ctx context.Context, t *testing.T, page page) (message string, at time.Time)
}

// newAdministrator takes the best tool there is: the AWS CLI, with the page's own
// commands; boto3; the SDK.
func newAdministrator(t *testing.T, e *emulated) administrator {
	t.Helper()
	_, noShell := exec.LookPath("sh")
	if _, err := exec.LookPath("aws"); err == nil && noShell == nil {
		t.Log("made and read with the AWS CLI")
		return cliTool{e}
	}
	t.Run("AWS CLI", func(t *testing.T) {
		t.Skip("NOT RUN: the AWS CLI is missing; install it (https://aws.amazon.com/cli/)")
	})
	if exec.CommandContext(t.Context(), "python3", "-c", "import boto3").Run() == nil {
		t.Log("made and read with boto3")
		return botoTool{e}
	}
	t.Log("made and read with the AWS SDK for Go")
	return sdkTool{e}
}

// awaitEvent asks until there is one event.
func awaitEvent(ctx context.Context, t *testing.T, ask func() []foundEvent) (message string, at time.Time) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if found := ask(); len(found) == 1 {
			return found[0].Message, time.UnixMilli(found[0].Timestamp).UTC()
		}
		select {
		case <-ctx.Done():
			t.Fatal("the event did not arrive")
		case <-tick.C:
		}
	}
}

// foundEvent is an event as FilterLogEvents shows it.
type foundEvent struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// decodeFound reads the output of a tool.
func decodeFound(t *testing.T, out string) []foundEvent {
	t.Helper()
	var answer struct {
		Events []foundEvent `json:"events"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return answer.Events
}

// cliTool runs the page's commands.
type cliTool struct{ e *emulated }

func (c cliTool) create(ctx context.Context, t *testing.T, page page) {
	t.Helper()
	shell(ctx, t, "", c.e.environ(adminKey), page.block(t, "sh", "aws logs create-log-group"))
}

func (c cliTool) find(ctx context.Context, t *testing.T, page page) (string, time.Time) {
	t.Helper()
	command := page.block(t, "sh", "aws logs filter-log-events")
	return awaitEvent(ctx, t, func() []foundEvent {
		return decodeFound(t, shell(ctx, t, "", c.e.environ(adminKey), command))
	})
}

// botoTool does the same from Python.
type botoTool struct{ e *emulated }

// python runs a script; its arguments are sys.argv[1:].
func (b botoTool) python(ctx context.Context, t *testing.T, script string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "python3", append([]string{"-c", "import boto3, json, sys\nlogs = boto3.client('logs')\n" + script}, args...)...)
	cmd.Env = b.e.environ(adminKey)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("boto3: %v", err)
	}
	return string(out)
}

func (b botoTool) create(ctx context.Context, t *testing.T, _ page) {
	t.Helper()
	b.python(ctx, t, "logs.create_log_group(logGroupName=sys.argv[1])\nlogs.create_log_stream(logGroupName=sys.argv[1], logStreamName=sys.argv[2])", firstEventGroup, firstEventStream)
}

func (b botoTool) find(ctx context.Context, t *testing.T, _ page) (string, time.Time) {
	t.Helper()
	return awaitEvent(ctx, t, func() []foundEvent {
		return decodeFound(t, b.python(ctx, t, "print(json.dumps({'events': logs.filter_log_events(logGroupName=sys.argv[1], filterPattern=sys.argv[2])['events']}))", firstEventGroup, firstEventFilter))
	})
}

// sdkTool does the same with the AWS SDK for Go.
type sdkTool struct{ e *emulated }

func (s sdkTool) client(key cloudwatch.AccessKey) *logs.Client {
	return logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.e.cwURL), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	})
}

// createGroup makes the group as the owner of a key.
func (s sdkTool) createGroup(ctx context.Context, as cloudwatch.AccessKey) error {
	_, err := s.client(as).CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: aws.String(firstEventGroup)})
	return err
}

func (s sdkTool) create(ctx context.Context, t *testing.T, _ page) {
	t.Helper()
	if err := s.createGroup(ctx, adminKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client(adminKey).CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: aws.String(firstEventGroup), LogStreamName: aws.String(firstEventStream)}); err != nil {
		t.Fatal(err)
	}
}

func (s sdkTool) find(ctx context.Context, t *testing.T, _ page) (string, time.Time) {
	t.Helper()
	return awaitEvent(ctx, t, func() []foundEvent {
		out, err := s.client(adminKey).FilterLogEvents(ctx, &logs.FilterLogEventsInput{LogGroupName: aws.String(firstEventGroup), FilterPattern: aws.String(firstEventFilter)})
		if err != nil {
			t.Fatal(err)
		}
		var found []foundEvent
		for _, e := range out.Events {
			found = append(found, foundEvent{Timestamp: aws.ToInt64(e.Timestamp), Message: aws.ToString(e.Message)})
		}
		return found
	})
}

// makeUser makes the user with the page's commands for IAM and returns the access
// key. IAM is not ours to emulate: moto does it where it is installed, and
// otherwise the commands are left out. Either way the key may do what the page's
// policy allows and no more; that the emulator of CloudWatch Logs sees to.
func makeUser(ctx context.Context, t *testing.T, dir, commands string) cloudwatch.AccessKey {
	t.Helper()
	policy, err := os.ReadFile(filepath.Join(dir, "policy.json"))
	if err != nil {
		t.Fatal(err)
	}
	key := cloudwatch.AccessKey{ID: "AKIAGAPLESS", Secret: "gapless-secret", User: "gapless", Policy: string(policy)}
	t.Run("IAM", func(t *testing.T) {
		for _, tool := range []string{"sh", "aws"} {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("NOT RUN: %s is missing; install the AWS CLI (https://aws.amazon.com/cli/) and moto: pip install 'moto[server]'", tool)
			}
		}
		environ := (&emulated{cwURL: moto.Start(t)}).environ(adminKey)                 //nolint:contextcheck // it ends with the test
		_, out, _ := strings.Cut(shell(ctx, t, dir, environ, commands), `"AccessKey"`) // behind what the other commands print
		var answer map[string]string
		if err := json.NewDecoder(strings.NewReader(strings.TrimLeft(out, ": \n"))).Decode(&answer); err != nil || answer["SecretAccessKey"] == "" {
			t.Fatalf("the page's commands made no access key: %v", err)
		}
		key.ID, key.Secret = answer["AccessKeyId"], answer["SecretAccessKey"]
	})
	return key
}
