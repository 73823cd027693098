package sqs

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// defaultRetention is for how long SQS keeps messages unless told otherwise.
const defaultRetention = 4 * 24 * time.Hour

// attributes answers GetQueueAttributes with those that a consumer may care for,
// whichever it asks for.
func (s *Server) attributes(name string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(name)
	if err != nil {
		return nil, err
	}
	visible, now := 0, time.Now()
	for _, m := range q.messages {
		if !m.VisibleAt.After(now) {
			visible++
		}
	}
	a := map[string]string{
		"QueueArn":                              arnOf(name),
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(q.messages) - visible),
		"MessageRetentionPeriod":                strconv.Itoa(int(cmp.Or(q.Retention, defaultRetention).Seconds())),
		"VisibilityTimeout":                     "30",
	}
	if q.DeadLetters != "" {
		a["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arnOf(q.DeadLetters), q.MaxReceives)
	}
	return map[string]any{"Attributes": a}, nil
}

// arnOf is the ARN of a queue, in the one account and Region that the emulator has.
func arnOf(name string) string { return "arn:aws:sqs:us-east-1:123456789012:" + name }
