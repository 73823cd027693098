package source

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// SQSCheckAPI is what a Checkup asks of Amazon SQS; the SDK's client has it.
type SQSCheckAPI interface {
	SQSAPI
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// A SQSCheckup looks at the queue of a tenant, for `gapless doctor`. It takes no
// message: each receive counts towards the maxReceiveCount of the queue.
type SQSCheckup struct {
	// URL is the URL of the queue, Endpoint what replaces its host; may be empty.
	URL, Endpoint string
	API           SQSCheckAPI
	// Client sends the request that finds out whether SQS is reached, and Proxy is its
	// rule for proxies; nil when that is not known.
	Client    checkup.Doer
	Proxy     func(*http.Request) (*url.URL, error)
	LookupEnv func(string) (string, bool)
	// Explain is that of SQSDeps.
	Explain func(doing, operation string, err error) *pipeline.Error

	arn     string
	waiting int // messages that could be received; -1 when not known
}

// Checks returns the checks in their order.
func (k *SQSCheckup) Checks() []checkup.Check {
	return []checkup.Check{
		{Name: "sqs_reach", Run: k.Reach},
		{Name: "sqs_queue", Needs: []string{"sqs_reach"}, Run: k.Queue},
		{Name: "sqs_ReceiveMessage", Needs: []string{"sqs_queue"}, Run: k.MayReceive},
		{Name: "sqs_DeleteMessage", Needs: []string{"sqs_queue"}, Run: k.MayDelete},
		{Name: "sqs_ChangeMessageVisibility", Needs: []string{"sqs_queue"}, Run: k.MayHide},
	}
}

// Reach goes the way to SQS.
func (k *SQSCheckup) Reach(ctx context.Context) []checkup.Finding {
	at, setting := k.Endpoint, "sqs.endpoint"
	if at == "" {
		setting = "sqs.queue_url"
		if u, err := url.Parse(k.URL); err == nil {
			at = u.Scheme + "://" + u.Host
		}
	}
	f, _ := checkup.Reach(ctx, checkup.Route{
		Whose: "SQS", URL: at + "/", Client: k.Client, Proxy: k.Proxy, Setting: setting, CAVariable: "AWS_CA_BUNDLE", LookupEnv: k.LookupEnv,
	})
	return checkup.One(f)
}

// What is too little of a queue: SQS keeps messages for 4 days unless told otherwise,
// and a redrive policy should outlast some crashes.
const (
	shortQueueRetention = 4 * 24 * time.Hour
	fewReceives         = 5
)

// Queue looks at the attributes of the queue.
func (k *SQSCheckup) Queue(ctx context.Context) []checkup.Finding {
	k.waiting = -1
	out, err := k.API.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(k.URL), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		f := k.refused(ctx, "GetQueueAttributes", err)
		if f.Cause == checkup.Authorization && strings.Contains(f.Summary, "AccessDenied") { // gapless itself does without
			return checkup.One(checkup.Warned("To see them, allow sqs:GetQueueAttributes on the queue; gapless itself does without.", "the attributes of the queue are not known: sqs:GetQueueAttributes is not allowed"))
		}
		return checkup.One(f)
	}
	k.arn = out.Attributes["QueueArn"]
	if n, err := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"]); err == nil {
		k.waiting = n
	}
	return k.judge(out.Attributes)
}

// judge says what is wrong with a queue.
func (k *SQSCheckup) judge(a map[string]string) (out []checkup.Finding) {
	if a["FifoQueue"] == "true" {
		out = append(out, checkup.Failed(checkup.Configuration, "Make a standard queue: one event that waits would hold up the others of its group.", "the queue is a FIFO queue"))
	}
	set := func(attributes string) string {
		return fmt.Sprintf("aws sqs set-queue-attributes --queue-url %s --attributes '%s'", k.URL, attributes)
	}
	if s, err := strconv.Atoi(a["MessageRetentionPeriod"]); err == nil && time.Duration(s)*time.Second < shortQueueRetention {
		out = append(out, checkup.Warned(set(`{"MessageRetentionPeriod": "1209600"}`), "the queue keeps messages for %s only; an outage that lasts longer loses them", time.Duration(s)*time.Second))
	}
	var redrive struct {
		Target string      `json:"deadLetterTargetArn"` //nolint:tagliatelle // SQS's name
		Count  json.Number `json:"maxReceiveCount"`     //nolint:tagliatelle // SQS's name
	}
	if text := a["RedrivePolicy"]; text != "" {
		_ = json.Unmarshal([]byte(text), &redrive) // what is none is the same as none
	}
	n, _ := redrive.Count.Int64()
	switch {
	case redrive.Target == "":
		out = append(out, checkup.Warned(set(`{"RedrivePolicy": "{\"deadLetterTargetArn\": \"ARN OF ANOTHER QUEUE\", \"maxReceiveCount\": \"20\"}"}`), "the queue has no dead letter queue: messages that belong to no tenant come again until they end"))
	case n < fewReceives:
		out = append(out, checkup.Warned(set(fmt.Sprintf(`{"RedrivePolicy": "{\"deadLetterTargetArn\": \"%s\", \"maxReceiveCount\": \"20\"}"}`, redrive.Target)), "a message goes to the dead letter queue after %d receives: a few crashes are enough", n))
	}
	if out == nil {
		out = checkup.One(checkup.Passed("the queue is there: about %s messages wait, dead letters go to %s after %d receives", a["ApproximateNumberOfMessages"], redrive.Target, n))
	}
	return out
}

// refused makes a finding of an error of a call.
func (k *SQSCheckup) refused(ctx context.Context, op string, err error) checkup.Finding {
	if ctx.Err() != nil {
		return checkup.Failed("", "Try again with a longer --timeout.", "sqs:%s: no answer in time", op)
	}
	e := k.Explain("look at the queue", op, err)
	text := checkup.Clean(e.Err.Error())
	fix := e.Hint
	switch {
	case strings.Contains(text, "NonExistentQueue"), strings.Contains(text, "QueueDoesNotExist"):
		return checkup.Failed(checkup.Configuration, "Correct sqs.queue_url, its Region and account: aws sqs get-queue-url --queue-name NAME; or make the queue.", "the queue %s does not exist", k.URL)
	case fix == "" && e.Class == pipeline.Unauthorized:
		fix = "Allow it on the queue:\n" + k.statement()
	case fix == "":
		fix = "Try again; if it lasts, look at https://health.aws.amazon.com/health/status."
	}
	var cause checkup.Cause
	if e.Class == pipeline.Unauthorized {
		cause = checkup.Authorization
	}
	return checkup.Failed(cause, fix, "%s", text)
}

// statement is what a policy must have for gapless to read the queue.
func (k *SQSCheckup) statement() string {
	arn := k.arn
	if arn == "" {
		arn = "ARN OF THE QUEUE"
	}
	return fmt.Sprintf(`{"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"], "Resource": %q}`, arn)
}

// MayReceive asks for a message where none waits. One that comes all the same is
// visible again after a second.
func (k *SQSCheckup) MayReceive(ctx context.Context) []checkup.Finding {
	if k.waiting != 0 {
		return checkup.One(checkup.Skipped("not tried, because messages wait, or may: each receive counts towards maxReceiveCount. It takes %s", k.statement()))
	}
	_, err := k.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(k.URL), MaxNumberOfMessages: 1, VisibilityTimeout: 1})
	return checkup.One(k.may(ctx, "ReceiveMessage", err))
}

// noReceipt is a handle of no message.
const noReceipt = "gapless-doctor"

// MayDelete deletes a message that there is not.
func (k *SQSCheckup) MayDelete(ctx context.Context) []checkup.Finding {
	_, err := k.API.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: aws.String(k.URL), Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("0"), ReceiptHandle: aws.String(noReceipt)}},
	})
	return checkup.One(k.may(ctx, "DeleteMessage", err))
}

// MayHide hides a message that there is not.
func (k *SQSCheckup) MayHide(ctx context.Context) []checkup.Finding {
	_, err := k.API.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: aws.String(k.URL), Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("0"), ReceiptHandle: aws.String(noReceipt)}},
	})
	return checkup.One(k.may(ctx, "ChangeMessageVisibility", err))
}

// may is the finding about a permission. That the handle is of no message is no refusal
// of the call.
func (k *SQSCheckup) may(ctx context.Context, op string, err error) checkup.Finding {
	if err == nil || strings.Contains(err.Error(), "ReceiptHandleIsInvalid") {
		return checkup.Passed("allowed")
	}
	return k.refused(ctx, op, err)
}
