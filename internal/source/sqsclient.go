package source

import (
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
)

// NewSQSClient makes the SDK's client for a queue. endpoint replaces that of the
// queue's URL; empty takes the URL's.
func NewSQSClient(cfg aws.Config, queueURL, endpoint string) *sqs.Client {
	if endpoint == "" {
		if u, err := url.Parse(queueURL); err == nil {
			endpoint = u.Scheme + "://" + u.Host
		}
	}
	cfg.HTTPClient = sqsBounded{cfg.HTTPClient}
	return sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = &endpoint })
}

// maxSQSAnswer bounds what is read of an answer, in bytes: ten messages of 1 MiB,
// which JSON may write several times as long.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const maxSQSAnswer = 64 << 20

// errSQSAnswer says that an answer exceeds maxSQSAnswer.
var errSQSAnswer = errors.New("the answer is larger than 64 MiB; a proxy may stand between")

// sqsBounded is an HTTP client whose answers end with an error where they are too
// large.
type sqsBounded struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (b sqsBounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.HTTPClient.Do(req)
	if err == nil {
		resp.Body = &sqsBody{ReadCloser: resp.Body, left: maxSQSAnswer}
	}
	return resp, err
}

// sqsBody is the body of an answer.
type sqsBody struct {
	io.ReadCloser

	left int64
}

// Read implements io.Reader.
func (b *sqsBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errSQSAnswer
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// sqsMetrics are the figures of a tenant's receivers.
type sqsMetrics struct{ received, deleted, stray prometheus.Counter }

// newSQSMetrics makes the figures and registers them where there is a registry.
func newSQSMetrics(d SQSDeps) *sqsMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "gapless", Subsystem: "sqs", Name: name, Help: help})
	}
	m := &sqsMetrics{
		received: counter("received_messages_total", "Messages that the queue handed over, a repeated one each time."),
		deleted:  counter("deleted_messages_total", "Messages that were deleted, their events being on disk."),
		stray:    counter("stray_messages_total", "Messages with events of no tenant of the queue, each time that they came; they stay in the queue."),
	}
	if d.Registerer != nil {
		prometheus.WrapRegistererWith(prometheus.Labels{"tenant": d.Tenant}, d.Registerer).MustRegister(m.received, m.deleted, m.stray)
	}
	return m
}
