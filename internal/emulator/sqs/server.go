package sqs

import (
	"context"
	"crypto/md5" //nolint:gosec // SQS tells the MD5 of a body
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// The limits of SQS.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const (
	maxBatch      = 10
	maxVisibility = 12 * time.Hour
	// maxBody bounds a request, in bytes; those of a consumer are small.
	maxBody = 1 << 20
)

// Options say how the queues behave.
type Options struct {
	// Faults strike calls by the name of their operation, such as
	// "ReceiveMessage".
	Faults *emulator.Faults
	// Refuse decides about each entry of a batch, by its operation and the body of
	// its message; true fails it alone. Nil refuses none.
	Refuse func(operation, body string) bool
	// Repeat leaves every n-th message that is received visible, so that it comes
	// twice, as a standard queue may; 0 never does.
	Repeat int
	// Seed mixes the order of messages; 0 keeps that of sending.
	Seed uint64
}

// A Queue says how one queue is set up.
type Queue struct {
	// MaxReceives is how often a message is received before it moves to
	// DeadLetters; 0 is for ever.
	MaxReceives int
	// DeadLetters names the queue that it moves to.
	DeadLetters string
	// Retention is for how long messages are kept, as GetQueueAttributes tells it; the
	// emulator keeps them for ever. 0 is 4 days, SQS's default.
	Retention time.Duration
}

// A Message is what a queue holds.
type Message struct {
	Body string
	// Receives is how often it has been received.
	Receives int
	// VisibleAt is from when on it may be received.
	VisibleAt time.Time
}

// Server is the emulator, an http.Handler that is safe for concurrent use.
type Server struct {
	opts    Options
	handler http.Handler

	mu       sync.Mutex
	queues   map[string]*queue
	changed  chan struct{} // closed when a message may have become visible
	random   *rand.Rand
	receives int
}

// queue is a queue and its messages.
type queue struct {
	Queue

	messages []*message
}

// message is a message in its queue.
type message struct {
	Message

	handle   string    // of the last receipt
	received time.Time // when that was
}

// New makes an emulator without queues.
func New(opts Options) *Server {
	s := &Server{
		opts: opts, queues: make(map[string]*queue), changed: make(chan struct{}),
		random: rand.New(rand.NewPCG(opts.Seed, 1)), //nolint:gosec // it mixes messages
	}
	s.handler = opts.Faults.Wrap(Operation, http.HandlerFunc(s.serve))
	return s
}

// Operation names the operation of a request, such as "ReceiveMessage".
func Operation(r *http.Request) string {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return op
}

// Create makes a queue, or changes how it is set up.
func (s *Server) Create(name string, q Queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.queues[name]; known != nil {
		known.Queue = q
		return
	}
	s.queues[name] = &queue{Queue: q}
}

// Send puts messages into a queue that exists.
func (s *Server) Send(name string, bodies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	for _, body := range bodies {
		q.messages = append(q.messages, &message{Message: Message{Body: body, VisibleAt: time.Now()}})
	}
	s.wake()
}

// Messages returns what a queue holds, visible or not.
func (s *Server) Messages(name string) (all []Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[name]; q != nil {
		for _, m := range q.messages {
			all = append(all, m.Message)
		}
	}
	return all
}

// wake tells those that wait for a message. The caller holds mu.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// A refusal is an error of SQS.
type refusal struct{ code, message string }

// Error returns the code and the message.
func (e *refusal) Error() string { return e.code + ": " + e.message }

// input is what the three operations take.
type input struct {
	QueueUrl            string //nolint:staticcheck // SQS's name
	MaxNumberOfMessages int
	VisibilityTimeout   *int
	WaitTimeSeconds     int
	Entries             []entry
}

// entry is one message of a batch.
type entry struct {
	Id                string //nolint:staticcheck // SQS's name
	ReceiptHandle     string
	VisibilityTimeout int
}

// serve answers a call.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	var in input
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		refuse(w, &refusal{"com.amazon.coral.service#SerializationException", "the request is no JSON"})
		return
	}
	var out any
	var err error
	name := path.Base(in.QueueUrl)
	switch op := Operation(r); op {
	case "ReceiveMessage":
		out, err = s.receive(r.Context(), name, in)
	case "DeleteMessageBatch":
		out, err = s.batch(name, op, in.Entries, s.remove)
	case "ChangeMessageVisibilityBatch":
		out, err = s.batch(name, op, in.Entries, s.change)
	case "GetQueueAttributes":
		out, err = s.attributes(name)
	default:
		err = &refusal{"com.amazonaws.sqs#UnsupportedOperation", fmt.Sprintf("the emulator has no %q", op)}
	}
	if e, ok := err.(*refusal); ok { //nolint:errorlint // it is never wrapped
		refuse(w, e)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_ = json.NewEncoder(w).Encode(out) // the client may have left
}

const contentType = "application/x-amz-json-1.0"

// refuse answers with an error.
func refuse(w http.ResponseWriter, e *refusal) {
	w.Header().Set("Content-Type", contentType)
	_, code, _ := strings.Cut(e.code, "#")
	if code == "QueueDoesNotExist" {
		code = "AWS.SimpleQueueService.NonExistentQueue"
	}
	w.Header().Set("X-Amzn-Query-Error", code+";Sender")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": e.code, "message": e.message}) // the client may have left
}

// find returns a queue. The caller holds mu.
func (s *Server) find(name string) (*queue, error) {
	if q := s.queues[name]; q != nil {
		return q, nil
	}
	return nil, &refusal{"com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist."}
}

// received is a message as ReceiveMessage answers it.
type received struct {
	MessageId, ReceiptHandle, MD5OfBody, Body string //nolint:staticcheck // SQS's names
}

// receive waits for messages, as long as it is asked to.
func (s *Server) receive(ctx context.Context, name string, in input) (any, error) {
	deadline := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		s.mu.Lock()
		q, err := s.find(name)
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		got, next := s.take(q, in)
		changed := s.changed
		s.mu.Unlock()
		now := time.Now()
		if len(got) > 0 || !now.Before(deadline) {
			return map[string][]received{"Messages": got}, nil
		}
		until := deadline
		if !next.IsZero() && next.Before(until) {
			until = next
		}
		timer := time.NewTimer(until.Sub(now))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, nil //nolint:nilnil // nobody listens
		}
		timer.Stop()
	}
}

// take receives what is visible, and says when more will be. The caller holds mu.
func (s *Server) take(q *queue, in input) (got []received, next time.Time) {
	now, hidden := time.Now(), 30*time.Second
	if in.VisibilityTimeout != nil {
		hidden = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	for _, i := range s.order(len(q.messages)) {
		m := q.messages[i]
		if m.VisibleAt.After(now) {
			if next.IsZero() || m.VisibleAt.Before(next) {
				next = m.VisibleAt
			}
			continue
		}
		if len(got) >= min(max(in.MaxNumberOfMessages, 1), maxBatch) {
			break
		}
		if q.MaxReceives > 0 && m.Receives >= q.MaxReceives {
			m.handle = "moved" // swept below
			if to := s.queues[q.DeadLetters]; to != nil {
				to.messages = append(to.messages, &message{Message: Message{Body: m.Body, VisibleAt: now}})
			}
			continue
		}
		s.receives++
		m.Receives++
		m.handle, m.received = strconv.Itoa(s.receives), now
		if s.opts.Repeat == 0 || s.receives%s.opts.Repeat != 0 {
			m.VisibleAt = now.Add(hidden)
		}
		sum := md5.Sum([]byte(m.Body)) //nolint:gosec // SQS tells the MD5 of a body
		got = append(got, received{"message-" + m.handle, m.handle, hex.EncodeToString(sum[:]), m.Body})
	}
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.handle == "moved" })
	return got, next
}

// order returns the order in which messages are looked at. The caller holds mu.
func (s *Server) order(n int) []int {
	if s.opts.Seed != 0 {
		return s.random.Perm(n)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// failed is an entry of a batch that was not carried out.
type failed struct {
	Id, Code, Message string //nolint:staticcheck // SQS's names
	SenderFault       bool
}

// batch does something to each entry of a batch.
func (s *Server) batch(name, op string, entries []entry, do func(*queue, int, entry) *refusal) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(name)
	switch {
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, &refusal{"com.amazonaws.sqs#EmptyBatchRequest", "There should be at least one entry."}
	case len(entries) > maxBatch:
		return nil, &refusal{"com.amazonaws.sqs#TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10."}
	}
	out := struct {
		Successful []map[string]string
		Failed     []failed
	}{Successful: []map[string]string{}}
	for _, e := range entries {
		i := slices.IndexFunc(q.messages, func(m *message) bool { return m.handle == e.ReceiptHandle })
		switch {
		case i >= 0 && s.opts.Refuse != nil && s.opts.Refuse(op, q.messages[i].Body):
			out.Failed = append(out.Failed, failed{e.Id, "InternalError", "refused by script", false})
			continue
		case i >= 0:
			if e2 := do(q, i, e); e2 != nil {
				out.Failed = append(out.Failed, failed{e.Id, e2.code, e2.message, true})
				continue
			}
		case op != "DeleteMessageBatch": // a delete of what is gone succeeds
			out.Failed = append(out.Failed, failed{e.Id, "ReceiptHandleIsInvalid", "The receipt handle has expired", true})
			continue
		}
		out.Successful = append(out.Successful, map[string]string{"Id": e.Id})
	}
	return out, nil
}

// remove deletes a message.
func (s *Server) remove(q *queue, i int, _ entry) *refusal {
	q.messages = slices.Delete(q.messages, i, i+1)
	return nil
}

// change sets when a message becomes visible.
func (s *Server) change(q *queue, i int, e entry) *refusal {
	m, now := q.messages[i], time.Now()
	until := now.Add(time.Duration(e.VisibilityTimeout) * time.Second)
	if until.Sub(m.received) > maxVisibility {
		return &refusal{"InvalidParameterValue", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"}
	}
	m.VisibleAt = until
	s.wake()
	return nil
}
