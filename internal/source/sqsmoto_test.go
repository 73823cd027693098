package source_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// TestSQSWitnessMoto reads a queue of moto, an emulator of others, into which a rule
// of EventBridge sends what is put on a bus, and others send bodies of other forms.
func TestSQSWitnessMoto(t *testing.T) {
	t.Parallel()
	endpoint := moto.Start(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
		HTTPClient: &http.Client{Transport: transport}, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	admin := source.NewSQSClient(cfg, "", endpoint)
	made, err := admin.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(queueName)})
	if err != nil {
		t.Fatal(err)
	}
	url := aws.ToString(made.QueueUrl)
	attrs, err := admin.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	events := func(operation string, in any) {
		t.Helper()
		if err := eventBridge(t.Context(), transport, endpoint, operation, in); err != nil {
			t.Fatal(err)
		}
	}
	events("PutRule", map[string]any{"Name": "auth0", "EventPattern": `{"source":[{"prefix":"aws.partner/auth0.com"}]}`})
	events("PutTargets", map[string]any{"Rule": "auth0", "Targets": []map[string]string{{"Id": "queue", "Arn": attrs.Attributes["QueueArn"]}}})
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("log-%02d", i)
		want = append(want, id)
		detail := fmt.Sprintf(`{"log_id":%q,"data":{"date":"2026-11-11T06:46:23.765Z","type":"s","log_id":%q}}`, id, id)
		events("PutEvents", map[string]any{"Entries": []map[string]string{
			{"Source": partner("dev"), "DetailType": "Auth0 log", "Detail": detail},
			{"Source": "others", "DetailType": "x", "Detail": `{}`}, // which the rule leaves out
		}})
	}
	for _, body := range []string{`{"log_id":"log-25","data":{"type":"s"}}`, `{"log_id":"log-26","type":"s"}`, "no JSON"} {
		if _, err := admin.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, "log-25", "log-26")
	s := (&source.Queue{URL: url}).Join(source.SQSConfig{Receivers: 3, Wait: time.Second}, source.NewSQSClient(cfg, url, ""), source.SQSDeps{
		Logger: slog.New(slog.DiscardHandler), Explain: cloudwatch.ExplainAWS,
	})
	disk := new(pipelinetest.Pages)
	in := startQueueRun(t, t.Context(), s, disk)
	depth := func() string {
		t.Helper()
		out, err := admin.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["ApproximateNumberOfMessages"] + " visible, " + out.Attributes["ApproximateNumberOfMessagesNotVisible"] + " in flight"
	}
	for range 300 { // tries
		if len(disk.Missing(want)) == 0 && depth() == "0 visible, 0 in flight" {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	in.end()
	if d := cmp.Diff(want, disk.IDs()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if got := depth(); got != "0 visible, 0 in flight" {
		t.Errorf("the queue holds %s", got)
	}
	letters := 0
	for _, p := range disk.All() {
		letters += len(p.Unreadable)
	}
	if letters != 1 || len(in.told()) > 0 {
		t.Errorf("%d unreadable pieces, want 1; told %q", letters, in.told())
	}
}

// eventBridge makes a call to moto's EventBridge, which checks no signature.
func eventBridge(ctx context.Context, transport http.RoundTripper, endpoint, operation string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/eu-central-1/events/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || bytes.Contains(text, []byte(`"FailedEntryCount": 1`)) {
		return fmt.Errorf("%s: %s: %s", operation, resp.Status, text)
	}
	return nil
}
