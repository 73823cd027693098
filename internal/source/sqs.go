package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// SQSName is the name of the source that reads a queue. It has no cursor: the queue
// knows what was deleted.
const SQSName = "sqs"

// Times of the work with a queue.
const (
	// LongPoll is the longest that ReceiveMessage waits for a message.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
	LongPoll = 20 * time.Second
	// sqsHold is for how long a message that was received is invisible to others.
	// It is twice the longest pause of pipeline.Backoff, so that what is in hand
	// when Run fails is still in hand when it is called again, and it is what a
	// process that dies keeps its messages from the others for.
	sqsHold = 2 * time.Minute
	// sqsBeat is the pause between two extensions of what is in hand.
	sqsBeat = sqsHold / 3
	// sqsPutOff is how long a message that nobody takes stays out of the way. Each
	// return counts towards the maxReceiveCount of a redrive policy.
	sqsPutOff = 15 * time.Minute
	// sqsCall bounds a call that does not wait for messages.
	sqsCall = 10 * time.Second
	// sqsLastCall bounds, once a Run is to end, a delete under way, and then the giving
	// back of messages.
	sqsLastCall = time.Second
	// sqsBatch is the largest number of messages in a call.
	sqsBatch = 10
)

// SQSAPI is what is asked of Amazon SQS; the SDK's client has it. It need make no
// second try of a call.
type SQSAPI interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// SQSConfig says how a tenant reads its queue.
type SQSConfig struct {
	// Receivers is how many calls of ReceiveMessage are made at once; at least 1.
	Receivers int
	// Wait is how long a call waits for messages: whole seconds up to LongPoll, 0
	// for LongPoll.
	Wait time.Duration
	// Source is the partner event source of the tenant's log stream,
	// aws.partner/auth0.com/…/auth0.logs; empty for any.
	Source string
	// TenantName is the tenant_name in the tenant's events; empty for any.
	TenantName string
}

// SQSDeps are what an SQS needs besides; Explain and Logger are required.
type SQSDeps struct {
	Logger *slog.Logger
	// Explain makes of an error of a call the error that a person reads. doing says
	// what was tried, operation is SQS's name of it.
	Explain func(doing, operation string, err error) *pipeline.Error
	// Registerer takes the metrics, with the label tenant; nil keeps none.
	Registerer prometheus.Registerer
	Tenant     string
}

// A Queue is one queue of SQS and the tenants that share it. Whichever tenant
// receives a message, it goes to the one whose event it is.
type Queue struct {
	// URL is the URL of the queue.
	URL string
	// OnStray hears of messages with events that belong to no tenant of the queue,
	// in words that quote no event, and nil when none has come for a while. It is
	// not called twice at the same time. Nil hears nothing.
	OnStray func(ctx context.Context, e *pipeline.Error)

	mu      sync.Mutex
	tenants []*SQS // in the order of Join; replaced by each, see members
	inHand  int    // batches, of all tenants

	strayMu   sync.Mutex
	lastStray time.Time // zero when there is none to tell of
}

// An SQS is the source of one tenant that reads a queue of SQS. Messages are
// deleted once their events are on disk. What is in hand when Run fails stays in
// hand, invisible to others, until Run is called again: that the disk takes
// nothing uses up no receives of the queue's redrive policy.
type SQS struct {
	queue   *Queue
	cfg     SQSConfig
	api     SQSAPI
	deps    SQSDeps
	metrics *sqsMetrics

	hideFails atomic.Bool // it has been told that messages cannot be held

	mu     sync.Mutex
	now    *taker        // of the Run under way, nil without one
	opened chan struct{} // closed when a Run begins
	held   []*sqsInHand  // in hand, with a receiver or waiting for one
	idle   []*sqsInHand  // those of held that wait for one
}

var _ pipeline.Source = (*SQS)(nil)

// Join adds a tenant to the queue. All join before the first Run, but for one that could
// not: until it does, its messages belong to nobody and are put off.
func (q *Queue) Join(cfg SQSConfig, api SQSAPI, deps SQSDeps) *SQS {
	if cfg.Wait <= 0 || cfg.Wait > LongPoll {
		cfg.Wait = LongPoll
	}
	s := &SQS{queue: q, cfg: cfg, api: api, deps: deps, metrics: newSQSMetrics(deps), opened: make(chan struct{})}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tenants = append(slices.Clone(q.tenants), s)
	return s
}

// members returns the tenants that have joined, of which there is one at least.
func (q *Queue) members() []*SQS {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tenants
}

// Name returns SQSName.
func (*SQS) Name() string { return SQSName }

// A taker is the emit of a Run that is under way.
type taker struct {
	ctx      context.Context // of the Run: it ends with it
	fail     context.CancelCauseFunc
	emit     pipeline.Emit
	failed   bool // it takes no more
	underWay sync.WaitGroup
}

// errRunOver ends what a Run has started.
var errRunOver = errors.New("the run is over")

// Run receives messages until ctx ends or something fails, see pipeline.Source.
func (s *SQS) Run(ctx context.Context, _ event.Cursor, emit pipeline.Emit) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	run, fail := context.WithCancelCause(ctx)
	defer fail(errRunOver)
	s.open(&taker{ctx: run, fail: fail, emit: emit})
	var work sync.WaitGroup
	work.Go(func() { s.beat(run) })
	for range max(s.cfg.Receivers, 1) {
		work.Go(func() {
			if err := s.receiver(ctx, run); err != nil {
				fail(err)
			}
		})
	}
	<-run.Done()
	s.close()
	work.Wait()
	if ctx.Err() != nil {
		s.giveBack(ctx)
		return context.Cause(ctx)
	}
	s.extend(ctx)
	return context.Cause(run)
}

// open lets pages be offered.
func (s *SQS) open(t *taker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = t
	close(s.opened)
	s.opened = make(chan struct{})
}

// close lets no more pages be offered and waits for those under way.
func (s *SQS) close() {
	s.mu.Lock()
	t := s.now
	s.now = nil
	s.mu.Unlock()
	t.underWay.Wait()
}

// enter returns the emit of the tenant once it takes pages; the caller says
// underWay.Done when it is through.
func (s *SQS) enter(ctx context.Context) (*taker, error) {
	for {
		s.mu.Lock()
		t, opened := s.now, s.opened
		if t != nil && !t.failed && ctx.Err() == nil {
			t.underWay.Add(1)
			s.mu.Unlock()
			return t, nil
		}
		s.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// offer hands a page to the tenant until it is on disk; the error is the cause of
// ctx. A failure is told by the tenant's own Run, which ends for it; the page waits
// for the next.
func (s *SQS) offer(ctx context.Context, p event.Page) error {
	for {
		t, err := s.enter(ctx)
		if err != nil {
			return err
		}
		err = t.emit(t.ctx, p) //nolint:contextcheck // of the tenant's own Run, not of the one that received
		if err != nil {
			s.mu.Lock()
			t.failed = true
			s.mu.Unlock()
			t.fail(err)
		}
		t.underWay.Done()
		if err == nil {
			return nil
		}
	}
}

// receiver receives and stores one batch of messages after the other, until run
// ends or a call fails. A call of ReceiveMessage that is under way when run fails is
// left to its end, for its answer would be lost, and a receive of each message with
// it; that of ctx cuts it short.
func (s *SQS) receiver(ctx, run context.Context) error {
	for run.Err() == nil {
		b := s.takeUp()
		if b == nil {
			began := time.Now()
			var n int
			var err error
			if b, n, err = s.receive(ctx); err == nil && n == 0 {
				err = s.caughtUp(run, began)
			}
			if err != nil {
				return err
			}
		}
		if b == nil {
			continue
		}
		if err := s.carry(run, b); err != nil {
			return err
		}
	}
	return nil
}

// receive asks for messages and takes in hand what it gets. It returns nil when
// there was nothing to take, and how many messages came.
func (s *SQS) receive(ctx context.Context) (*sqsInHand, int, error) {
	call, cancel := context.WithTimeoutCause(ctx, s.cfg.Wait+sqsCall, errNoAnswer)
	defer cancel()
	out, err := s.api.ReceiveMessage(call, &sqs.ReceiveMessageInput{
		QueueUrl: &s.queue.URL, MaxNumberOfMessages: sqsBatch,
		VisibilityTimeout: wholeSeconds(sqsHold), WaitTimeSeconds: wholeSeconds(s.cfg.Wait),
	})
	if err != nil && ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	if err != nil {
		return nil, 0, s.explain("receive from", "ReceiveMessage", err)
	}
	s.queue.strayOver(ctx)
	n := len(out.Messages)
	s.metrics.received.Add(float64(n))
	b := s.sort(ctx, out.Messages, time.Now())
	if len(b.parts) == 0 {
		return nil, n, nil
	}
	s.hold(b)
	return b, n, nil
}

// wholeSeconds is a time as SQS takes it. None in use is longer than a day.
func wholeSeconds(d time.Duration) int32 { return int32(min(d, 24*time.Hour) / time.Second) } //nolint:gosec // bounded

// caughtUp tells that the queue had nothing, unless something of it is in hand. It
// makes up for an endpoint that does not wait for messages.
func (s *SQS) caughtUp(ctx context.Context, began time.Time) error {
	s.queue.mu.Lock()
	busy := s.queue.inHand > 0
	s.queue.mu.Unlock()
	if !busy && ctx.Err() == nil {
		if err := s.offer(ctx, event.Page{CaughtUp: true}); err != nil {
			return err
		}
	}
	return pipeline.Wait(ctx, max(0, min(s.cfg.Wait, time.Second)-time.Since(began)))
}

// errNoAnswer ends a call that takes too long.
var errNoAnswer = errors.New("no answer in time")

// explain makes an error of a call one that a person reads.
func (s *SQS) explain(doing, operation string, err error) error {
	e := s.deps.Explain(fmt.Sprintf("%s queue %s", doing, s.queue.URL), operation, err)
	if e.Hint != "" {
		return e
	}
	switch e.Class {
	case pipeline.Unauthorized:
		e.Hint = fmt.Sprintf("Check sqs.queue_url, and allow sqs:%s on the queue to the principal that is in use (`aws sts get-caller-identity` shows it). "+
			"If the queue is encrypted with a key of your own, allow kms:Decrypt on the key too.", actionOf[operation])
	case pipeline.Misconfigured:
		e.Hint = "Check sqs.queue_url: `aws sqs get-queue-url --queue-name NAME` shows it."
	default: // it passes
	}
	return e
}

// actionOf are the permissions that the calls need.
var actionOf = map[string]string{
	"ReceiveMessage": "ReceiveMessage", "DeleteMessageBatch": "DeleteMessage", "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}
