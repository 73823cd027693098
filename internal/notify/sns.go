package notify

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// The limits of a message of Amazon SNS: 100 characters of ASCII in a subject, 256 KiB in
// all. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
const (
	snsSubject = 100
	snsMessage = 200 << 10
	// snsValues bounds the values of an attribute.
	snsValues = 100
)

// SNSAPI is what is needed of the client of Amazon SNS.
type SNSAPI interface {
	Publish(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// A Topic tells the subscribers of a topic of Amazon SNS, in text.
type Topic struct {
	// ARN is that of the topic; one that ends with .fifo keeps the order.
	ARN string
	API SNSAPI
	// Explain says what an error of a call to AWS means.
	Explain func(doing, operation string, err error) *SendError
}

// Send implements Sender. The attributes are for filters of subscriptions: about,
// severity, and the kinds and tenants as lists.
func (t *Topic) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	in := &sns.PublishInput{
		TopicArn: aws.String(t.ARN), Subject: aws.String(subject(m.Title())), Message: aws.String(cut(m.Text(), snsMessage)),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"about":    {DataType: aws.String("String"), StringValue: aws.String(m.About)},
			"severity": {DataType: aws.String("String"), StringValue: aws.String(string(m.worst()))},
		},
	}
	for name, values := range map[string][]string{
		"kind":   m.of(func(n Notice) string { return n.Kind }),
		"tenant": m.of(func(n Notice) string { return n.Tenant }),
		"state":  m.of(func(n Notice) string { return n.State }),
	} {
		if len(values) == 0 {
			continue
		}
		list, err := json.Marshal(values[:min(len(values), snsValues)])
		if err != nil {
			return err
		}
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String.Array"), StringValue: aws.String(string(list))}
	}
	if strings.HasSuffix(t.ARN, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = aws.String("gapless"), aws.String(m.ID)
	}
	if _, err := t.API.Publish(ctx, in); err != nil {
		return t.Explain("publish to the topic", "Publish", err)
	}
	return nil
}

// subject makes a title fit for a subject: printable ASCII that begins with a letter.
func subject(title string) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, oneLine(title))
	return s[:min(len(s), snsSubject)]
}
