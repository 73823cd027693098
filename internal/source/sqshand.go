package source

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// sqsInHand is a batch of messages that was received together.
type sqsInHand struct {
	parts []*sqsPart // by tenant

	mu       sync.Mutex
	messages []sqsMessage // those not deleted yet
}

// sqsPart is what a batch holds for one tenant.
type sqsPart struct {
	to       *SQS
	page     event.Page
	messages []string // the handles of those it came from
	stored   bool
}

// sqsMessage is a message in hand.
type sqsMessage struct {
	handle string
	left   int  // parts that are not stored yet
	stray  bool // something in it belongs to nobody: it stays in the queue
}

// takeEmpty takes out the messages of which nothing is left to store, and returns
// the handles of those that may be deleted.
func (b *sqsInHand) takeEmpty() (handles []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = slices.DeleteFunc(b.messages, func(m sqsMessage) bool {
		if m.left == 0 && !m.stray {
			handles = append(handles, m.handle)
		}
		return m.left == 0
	})
	return handles
}

// noteStored notes that a part is on disk.
func (b *sqsInHand) noteStored(p *sqsPart) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.stored = true
	for i := range b.messages {
		if slices.Contains(p.messages, b.messages[i].handle) {
			b.messages[i].left--
		}
	}
}

// waiting returns the parts that are not stored.
func (b *sqsInHand) waiting() (parts []*sqsPart) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.parts {
		if !p.stored {
			parts = append(parts, p)
		}
	}
	return parts
}

// handles returns the messages that are still to be held.
func (b *sqsInHand) handles() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if !m.stray {
			all = append(all, m.handle)
		}
	}
	return all
}

// hold takes a batch in hand.
func (s *SQS) hold(b *sqsInHand) {
	s.queue.count(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, b)
}

// letGo takes a batch out of hand.
func (s *SQS) letGo(b *sqsInHand) {
	s.mu.Lock()
	s.held = slices.DeleteFunc(s.held, func(x *sqsInHand) bool { return x == b })
	s.mu.Unlock()
	s.queue.count(-1)
}

// count counts the batches in hand.
func (q *Queue) count(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inHand += n
}

// takeUp returns a batch that is in hand from an earlier Run, nil without one.
func (s *SQS) takeUp() *sqsInHand {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	b := s.idle[0]
	s.idle = s.idle[1:]
	return b
}

// carry stores a batch, all tenants at the same time, and deletes its messages as
// soon as all of theirs is on disk. When ctx ends before that the rest stays in hand.
func (s *SQS) carry(ctx context.Context, b *sqsInHand) error {
	var parts sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, p := range b.waiting() {
		parts.Go(func() {
			if p.to.offer(ctx, p.page) != nil {
				return // ctx has ended
			}
			b.noteStored(p)
			if err := s.remove(ctx, b.takeEmpty()); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	parts.Wait()
	if len(b.waiting()) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle = append(s.idle, b)
	} else {
		s.letGo(b)
	}
	return errors.Join(errs...)
}

// removeTries is how often a message is tried to be deleted. After that it comes
// again, and what it holds is known.
const removeTries = 3

// remove deletes messages whose events are on disk, which is right also when ctx
// has ended.
func (s *SQS) remove(ctx context.Context, handles []string) error {
	var backoff pipeline.Backoff
	for try := 1; len(handles) > 0; try++ {
		left, err := s.removeOnce(ctx, handles)
		s.metrics.deleted.Add(float64(len(handles) - len(left)))
		handles = left
		if len(handles) == 0 || err == nil {
			return nil
		}
		e := pipeline.Classify(err)
		if try == removeTries || pipeline.Wait(ctx, backoff.Next(e)) != nil {
			return err
		}
	}
	return nil
}

// removeOnce tries to delete messages, 10 at most, and returns those that may be
// there still, with why if it makes sense to try again.
func (s *SQS) removeOnce(ctx context.Context, handles []string) (left []string, err error) {
	const operation = "DeleteMessageBatch"
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &s.queue.URL}
	for i, h := range handles {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &h})
	}
	call, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), sqsCall, errNoAnswer)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(sqsLastCall, cancel) })()
	out, err := s.api.DeleteMessageBatch(call, in)
	if err != nil {
		return handles, s.explain("delete from", operation, err)
	}
	gone := make(map[string]bool)
	for _, ok := range out.Successful {
		gone[aws.ToString(ok.Id)] = true
	}
	for i, h := range handles {
		if !gone[strconv.Itoa(i)] {
			left = append(left, h)
		}
	}
	if len(left) > 0 && retries(out.Failed) {
		err = &pipeline.Error{Op: "delete from queue " + s.queue.URL, Err: errNotDeleted}
	}
	return left, err
}

// errNotDeleted says that SQS has answered and not done it.
var errNotDeleted = errors.New("SQS has not deleted some of the messages; they come again, and what they hold is known")

// retries reports whether entries of a batch may be tried again: not if each
// failed for its own fault, such as a receipt that has run out. What was not
// answered may.
func retries(failed []types.BatchResultErrorEntry) bool {
	return len(failed) == 0 || slices.ContainsFunc(failed, func(f types.BatchResultErrorEntry) bool { return !f.SenderFault })
}

// beat extends what is in hand, at first and now and then, until ctx ends.
func (s *SQS) beat(ctx context.Context) {
	for {
		s.extend(ctx)
		if pipeline.Wait(ctx, sqsBeat) != nil {
			return
		}
	}
}

// inHand returns the messages in hand, by batch.
func (s *SQS) inHand() (batches [][]string) {
	s.mu.Lock()
	held := slices.Clone(s.held)
	s.mu.Unlock()
	for _, b := range held {
		if h := b.handles(); len(h) > 0 {
			batches = append(batches, h)
		}
	}
	return batches
}

// extend keeps what is in hand from coming to others. Where that fails a message
// comes again before it is stored; then it is stored once by one who knows it.
func (s *SQS) extend(ctx context.Context) { s.hideAll(ctx, sqsHold, sqsCall) }

// hideAll sets for how long all that is in hand stays invisible.
func (s *SQS) hideAll(ctx context.Context, hold, timeout time.Duration) {
	var calls sync.WaitGroup
	for _, handles := range s.inHand() {
		calls.Go(func() { s.hide(ctx, handles, hold, timeout) })
	}
	calls.Wait()
}

// giveBack makes what is in hand visible to others at once.
func (s *SQS) giveBack(ctx context.Context) {
	s.hideAll(context.WithoutCancel(ctx), 0, sqsLastCall)
	s.mu.Lock()
	n := len(s.held)
	s.held, s.idle = nil, nil
	s.mu.Unlock()
	s.queue.count(-n)
}

// hide sets for how long messages stay invisible. It does no harm when it fails.
func (s *SQS) hide(ctx context.Context, handles []string, hold, timeout time.Duration) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errNoAnswer)
	defer cancel()
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.queue.URL}
	for i, h := range handles {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &h, VisibilityTimeout: wholeSeconds(hold),
		})
	}
	out, err := s.api.ChangeMessageVisibilityBatch(ctx, in)
	if err != nil && ctx.Err() == nil {
		s.tellHide(ctx, s.explain("hold messages of", "ChangeMessageVisibilityBatch", err))
	}
	if err != nil {
		return
	}
	s.hideFails.Store(false)
	if len(out.Failed) > 0 {
		s.deps.Logger.LogAttrs(ctx, slog.LevelDebug, "messages may come again: their receipts have run out", slog.Int("messages", len(out.Failed)))
	}
}

// tellHide says once that messages cannot be held.
func (s *SQS) tellHide(ctx context.Context, err error) {
	if !s.hideFails.Swap(true) {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot set for how long messages stay invisible: they may come again",
			slog.Any("error", err), slog.String("hint", pipeline.Classify(err).Hint))
	}
}
