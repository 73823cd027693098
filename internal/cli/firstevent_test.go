package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gaplesslogs/gapless/internal/cli"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// firstEventPolicy is the policy of docs/first-event.md.
const firstEventPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
	"Action":["logs:PutLogEvents","logs:DescribeLogStreams"],
	"Resource":"arn:aws:logs:us-east-1:123456789012:log-group:/auth0/dev-tenant:*"}]}`

const firstEventConfig = `
data_dir: DATA
listen: ""
aws: {region: us-east-1, endpoint: CLOUDWATCH}
tenants:
  - name: dev-tenant
    domain: TENANT
    client_id: abc
    client_secret: env:AUTH0_CLIENT_SECRET
    cloudwatch: {log_group: /auth0/dev-tenant, log_stream: logs}
`

// TestFirstEvent is docs/first-event.md: a group and a stream made by an
// administrator, a user who may do no more than write to them, and the event of a
// new user in the stream.
func TestFirstEvent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cw, err := cloudwatch.New(cloudwatch.Options{AccessKeys: []cloudwatch.AccessKey{
		{ID: "AKIAADMIN", Secret: "admin-secret", User: "admin"},
		{ID: "AKIAGAPLESS", Secret: "gapless-secret", User: "gapless", Policy: firstEventPolicy},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cw.Close() }()
	auth0, err := tenant.New(tenant.Options{ClientID: "abc", ClientSecret: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = auth0.Close() }()
	cwServer, auth0Server := httptest.NewServer(cw), httptest.NewServer(auth0)
	defer cwServer.Close()
	defer auth0Server.Close()

	admin := logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(cwServer.URL), HTTPClient: cwServer.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAADMIN", "admin-secret", ""),
	})
	group, stream := aws.String("/auth0/dev-tenant"), aws.String("logs")
	if _, err := admin.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: group}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}); err != nil {
		t.Fatal(err)
	}

	// The SDK reads its credentials from the environment of the process.
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAGAPLESS")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "gapless-secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	config := filepath.Join(t.TempDir(), "gapless.yaml")
	text := strings.NewReplacer("DATA", filepath.Join(t.TempDir(), "data"), "CLOUDWATCH", cwServer.URL, "TENANT", auth0Server.URL).Replace(firstEventConfig)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	var run sync.WaitGroup
	var stderr bytes.Buffer
	run.Go(func() {
		code := cli.Main(running, []string{"run", "--config", config}, cli.Env{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr, Environ: []string{"AUTH0_CLIENT_SECRET=s3cret"}})
		if code != 0 {
			t.Errorf("run ended with %d", code)
		}
	})
	defer func() {
		stop()
		run.Wait()
		if t.Failed() {
			t.Log(stderr.String())
		}
	}()

	created := createUser(ctx, t, auth0Server.URL)
	message, at := findEvent(ctx, t, admin, group)
	var event struct {
		Date    time.Time `json:"date"`
		Details struct {
			Response struct {
				Body struct {
					UserID string `json:"user_id"`
				} `json:"body"`
			} `json:"response"`
		} `json:"details"`
	}
	if err := json.Unmarshal([]byte(message), &event); err != nil {
		t.Fatal(err)
	}
	if event.Details.Response.Body.UserID != created {
		t.Errorf("the event is of user %q, want %q", event.Details.Response.Body.UserID, created)
	}
	if !at.Equal(event.Date) {
		t.Errorf("the timestamp is %v, want the date of the event %v", at, event.Date)
	}
	held := false
	for _, raw := range auth0.Events() {
		held = held || string(raw) == message
	}
	if !held {
		t.Error("the message is not byte for byte what the tenant holds")
	}
}

// createUser gets a token and creates a user; it returns the user's id.
func createUser(ctx context.Context, t *testing.T, base string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"abc"}, "client_secret": {"s3cret"}, "audience": {base + "/api/v2/"}}
	token := post(ctx, t, base+"/oauth/token", "application/x-www-form-urlencoded", "", form.Encode())["access_token"]
	user := post(ctx, t, base+"/api/v2/users", "application/json", token, `{"connection":"Username-Password-Authentication","email":"new.user@example.com","password":"correct horse battery staple"}`)
	return user["user_id"]
}

// post sends a request and returns the texts of the answer.
func post(ctx context.Context, t *testing.T, to, contentType, token, body string) map[string]string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var members map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&members); err != nil || resp.StatusCode >= 300 {
		t.Fatalf("POST %s: status %d, %v", to, resp.StatusCode, err)
	}
	out := make(map[string]string)
	for k, v := range members {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// findEvent waits until the stream holds the event of a user's creation.
func findEvent(ctx context.Context, t *testing.T, c *logs.Client, group *string) (message string, at time.Time) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := c.FilterLogEvents(ctx, &logs.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String(`{ $.type = "sapi" && $.description = "Create a User" }`)})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Events) == 1 {
			return aws.ToString(out.Events[0].Message), time.UnixMilli(aws.ToInt64(out.Events[0].Timestamp)).UTC()
		}
		select {
		case <-ctx.Done():
			t.Fatal("the event did not arrive")
		case <-tick.C:
		}
	}
}
