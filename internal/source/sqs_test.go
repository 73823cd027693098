package source_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	queues "github.com/gaplesslogs/gapless/internal/emulator/sqs"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// queueName and queueURL are the queue of the tests.
const (
	queueName = "auth0"
	queueURL  = "https://sqs.eu-central-1.amazonaws.com/123456789012/" + queueName
)

// sqsClient is the SDK's client, in memory.
func sqsClient(h http.Handler) source.SQSAPI {
	return source.NewSQSClient(aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
		HTTPClient: &http.Client{Transport: emulator.Transport(h)}, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}, queueURL, "")
}

// join adds a tenant to a queue.
func join(q *source.Queue, h http.Handler, cfg source.SQSConfig) *source.SQS {
	if cfg.Receivers == 0 {
		cfg.Receivers = 3
	}
	return q.Join(cfg, sqsClient(h), source.SQSDeps{Logger: slog.New(slog.DiscardHandler), Explain: cloudwatch.ExplainAWS})
}

// alone is a queue that one tenant reads.
func alone(h http.Handler) *source.SQS {
	return join(&source.Queue{URL: queueURL}, h, source.SQSConfig{})
}

// newSQS runs the emulator with a queue and its dead letters.
func newSQS(opts queues.Options, q queues.Queue) *queues.Server {
	s := queues.New(opts)
	s.Create("dead", queues.Queue{})
	s.Create(queueName, q)
	return s
}

// envelope is what EventBridge sends of an event.
func envelope(from, id, tenantName string) string {
	return fmt.Sprintf(`{"version":"0","id":"107cfa03","detail-type":"Auth0 log","source":%q,"account":"123412341234","time":"2026-11-11T06:46:39Z",`+
		`"region":"eu-west-1","resources":[],"detail":{"log_id":%q,"data":{"date":"2026-11-11T06:46:23.765Z","type":"s","log_id":%q,"tenant_name":%q}}}`, from, id, id, tenantName)
}

// partner is the event source of a tenant.
func partner(tenant string) string {
	return "aws.partner/auth0.com/" + tenant + "-946f0c5c-0000-0000-0000-000000000000/auth0.logs"
}

// fill sends so many events and returns their ids.
func fill(s *queues.Server, n int) (ids []string) {
	for i := range n {
		id := fmt.Sprintf("log-%05d", i)
		ids = append(ids, id)
		s.Send(queueName, envelope(partner("dev"), id, "dev"))
	}
	return ids
}

// queueRun runs a source as pipeline.Ingest does, on a disk, until the test ends it.
type queueRun struct {
	disk *pipelinetest.Pages
	end  func()

	mu   sync.Mutex
	errs []error
}

func startQueueRun(t rapid.TB, ctx context.Context, s pipeline.Source, disk *pipelinetest.Pages) *queueRun { //nolint:revive // t comes first in tests
	t.Helper()
	ctx, cancel := context.WithCancelCause(ctx)
	in := &queueRun{disk: disk}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var backoff pipeline.Backoff
		for ctx.Err() == nil {
			var progress atomic.Bool
			err := s.Run(ctx, "", func(ctx context.Context, p event.Page) error {
				err := disk.Emit(ctx, p)
				if err == nil && len(p.Events) > 0 {
					progress.Store(true)
				}
				return err
			})
			if progress.Load() {
				backoff.Reset()
			}
			if ctx.Err() != nil {
				break
			}
			in.mu.Lock()
			in.errs = append(in.errs, err)
			in.mu.Unlock()
			_ = pipeline.Wait(ctx, backoff.Next(pipeline.Classify(err)))
		}
	}()
	in.end = func() { cancel(errEnd); <-done }
	return in
}

// told returns the errors that Run has returned, each once.
func (in *queueRun) told() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := make(map[string]bool)
	for _, err := range in.errs {
		all[err.Error()] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func TestSQSKeepsTheContract(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]queues.Options{
		"plain": {}, "out of order": {Seed: 7}, "repeats": {Seed: 7, Repeat: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pipelinetest.TestSource(t, func(*testing.T) pipelinetest.Upstream {
				s := newSQS(opts, queues.Queue{})
				return pipelinetest.Upstream{Want: fill(s, 120), New: func() pipeline.Source { return alone(s) }}
			})
		})
	}
}

// TestSQSNothingLost lets calls fail in every way, messages come twice and in any
// order, the disk refuse pages, and processes die and be replaced: in the end every
// event is on disk and the queue is empty.
func TestSQSNothingLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		kinds := []emulator.FaultKind{emulator.FaultAnswer, emulator.FaultHang, emulator.FaultCut, emulator.FaultGarbage, emulator.FaultTruncate, emulator.FaultLost}
		faults := emulator.NewFaults()
		for range rapid.IntRange(0, 12).Draw(rt, "faults") {
			faults.Add(emulator.Fault{
				Match: rapid.SampledFrom([]string{"ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}).Draw(rt, "operation"),
				After: rapid.IntRange(0, 20).Draw(rt, "after"), Times: rapid.IntRange(1, 5).Draw(rt, "times"),
				Kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), Status: rapid.SampledFrom([]int{400, 403, 500, 503}).Draw(rt, "status"),
			})
		}
		opts := queues.Options{Faults: faults, Seed: rapid.Uint64Range(0, 9).Draw(rt, "seed"), Repeat: rapid.SampledFrom([]int{0, 2, 5}).Draw(rt, "repeat")}
		entries, refuse := atomic.Int64{}, rapid.Int64Range(0, 5).Draw(rt, "refuse each")
		opts.Refuse = func(string, string) bool { n := entries.Add(1); return refuse > 1 && n < 200 && n%refuse == 0 }
		disk := &pipelinetest.Pages{}
		full := rapid.IntRange(0, 10).Draw(rt, "refused pages")
		disk.Fault = func(_ context.Context, n int, p event.Page) error {
			if len(p.Events) > 0 && n < 2*full && n%2 == 0 {
				return pipeline.ErrBufferFull
			}
			return nil
		}
		lives := rapid.IntRange(0, 3).Draw(rt, "lives")
		replicas := rapid.IntRange(1, 2).Draw(rt, "replicas")
		var ids []string
		var left []queues.Message
		synctest.Test(t, func(t *testing.T) {
			s := newSQS(opts, queues.Queue{})
			ids = fill(s, 100)
			for range lives {
				var all []*queueRun
				for range replicas {
					all = append(all, startQueueRun(t, t.Context(), alone(s), disk))
				}
				<-time.After(7 * time.Second)
				for _, in := range all {
					in.end()
				}
			}
			last := startQueueRun(t, t.Context(), alone(s), disk)
			for range 120 { // minutes
				if <-time.After(time.Minute); len(disk.Missing(ids)) == 0 && len(s.Messages(queueName)) == 0 {
					break
				}
			}
			last.end()
			left = s.Messages(queueName)
		})
		if missing := disk.Missing(ids); len(missing) > 0 {
			rt.Errorf("%d events are missing, the first is %s", len(missing), missing[0])
		}
		if len(left) > 0 {
			rt.Errorf("%d messages are left in the queue: %+v", len(left), left[0])
		}
	})
}

// TestSQSBufferFull lets the disk take nothing for six hours: the messages in hand
// stay in hand, no others are received, and no redrive policy moves one.
func TestSQSBufferFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{}, queues.Queue{MaxReceives: 1, DeadLetters: "dead"})
		ids := fill(s, 100)
		var room atomic.Bool
		in := startQueueRun(t, t.Context(), alone(s), &pipelinetest.Pages{Fault: func(_ context.Context, _ int, p event.Page) error {
			if !room.Load() && len(p.Events) > 0 {
				return pipeline.ErrBufferFull
			}
			return nil
		}})
		<-time.After(6 * time.Hour)
		received := 0
		for _, m := range s.Messages(queueName) {
			received += m.Receives
		}
		if received > 30 {
			t.Errorf("%d messages were received although the disk takes none; three receivers hold 30", received)
		}
		if told := in.told(); len(told) != 1 || !strings.Contains(told[0], pipeline.ErrBufferFull.Error()) {
			t.Errorf("told %q", told)
		}
		room.Store(true)
		<-time.After(5 * time.Minute)
		in.end()
		if missing := in.disk.Missing(ids); len(missing) > 0 {
			t.Errorf("%d events are missing", len(missing))
		}
		if n := len(s.Messages("dead")) + len(s.Messages(queueName)); n > 0 {
			t.Errorf("%d messages are left or were moved to the dead letters", n)
		}
	})
}

// TestSQSHoldsWhileStoring lets a page take an hour to be stored: nobody else gets
// its messages.
func TestSQSHoldsWhileStoring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{}, queues.Queue{})
		ids := fill(s, 5)
		in := startQueueRun(t, t.Context(), alone(s), &pipelinetest.Pages{Fault: func(ctx context.Context, _ int, p event.Page) error {
			if len(p.Events) > 0 {
				return pipeline.Wait(ctx, time.Hour)
			}
			return nil
		}})
		<-time.After(59 * time.Minute)
		for _, m := range s.Messages(queueName) {
			if m.Receives != 1 || !m.VisibleAt.After(time.Now()) {
				t.Errorf("received %d times, visible %v", m.Receives, !m.VisibleAt.After(time.Now()))
			}
		}
		<-time.After(2 * time.Minute)
		in.end()
		if d := cmp.Diff(ids, in.disk.IDs()); d != "" || len(s.Messages(queueName)) > 0 {
			t.Errorf("%s and %d messages are left", d, len(s.Messages(queueName)))
		}
	})
}

// TestSQSStopGivesBack ends a source that has messages in hand: another gets them
// at once.
func TestSQSStopGivesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{}, queues.Queue{})
		ids := fill(s, 20)
		stuck := &pipelinetest.Pages{Fault: func(ctx context.Context, _ int, _ event.Page) error { <-ctx.Done(); return context.Cause(ctx) }}
		in := startQueueRun(t, t.Context(), alone(s), stuck)
		<-time.After(time.Second)
		in.end()
		for _, m := range s.Messages(queueName) {
			if m.VisibleAt.After(time.Now()) {
				t.Fatalf("a message is hidden until %v", m.VisibleAt)
			}
		}
		other := startQueueRun(t, t.Context(), alone(s), new(pipelinetest.Pages))
		<-time.After(time.Second)
		other.end()
		if missing := other.disk.Missing(ids); len(missing) > 0 {
			t.Errorf("%d events are missing", len(missing))
		}
	})
}

// TestSQSStopKeepsItsTime ends a source while no call of SQS is answered.
func TestSQSStopKeepsItsTime(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSQS(queues.Options{Faults: emulator.NewFaults(emulator.Fault{Match: operation, Kind: emulator.FaultHang, Times: -1})}, queues.Queue{})
				fill(s, 20)
				disk := new(pipelinetest.Pages)
				if operation == "ChangeMessageVisibilityBatch" { // something is in hand
					disk.Fault = func(ctx context.Context, _ int, _ event.Page) error { <-ctx.Done(); return context.Cause(ctx) }
				}
				in := startQueueRun(t, t.Context(), alone(s), disk)
				<-time.After(time.Second)
				began := time.Now()
				in.end()
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("the end took %v of the bubble", took)
				}
			})
		})
	}
}

// TestSQSDiesBetweenFlushAndDelete lets every delete be lost with the process that
// asked for it: the messages come again, with what is known already.
func TestSQSDiesBetweenFlushAndDelete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faults := emulator.NewFaults(emulator.Fault{Match: "DeleteMessageBatch", Kind: emulator.FaultHang, Times: -1})
		s := newSQS(queues.Options{Faults: faults}, queues.Queue{})
		ids := fill(s, 8)
		disk := new(pipelinetest.Pages)
		q := &source.Queue{URL: queueURL}
		dying := startQueueRun(t, t.Context(), join(q, s, source.SQSConfig{Receivers: 1}), disk)
		<-time.After(time.Second)
		if missing := disk.Missing(ids); len(missing) > 0 || len(s.Messages(queueName)) != 8 {
			t.Fatalf("%d events are missing, %d messages are there; want all on disk and in the queue", len(missing), len(s.Messages(queueName)))
		}
		dying.end()
		faults.Clear()
		next := startQueueRun(t, t.Context(), alone(s), disk)
		<-time.After(3 * time.Minute)
		next.end()
		if left := s.Messages(queueName); len(left) > 0 {
			t.Errorf("%d messages are left", len(left))
		}
	})
}

// TestSQSTroubleIsTold lets single permissions be missing, and the queue.
func TestSQSTroubleIsTold(t *testing.T) {
	t.Parallel()
	denied := `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"User: arn:aws:iam::123456789012:user/x is not authorized"}`
	for name, c := range map[string]struct {
		fault emulator.Fault
		class pipeline.Class
		text  string
		hint  string
	}{
		"receive": {emulator.Fault{Match: "ReceiveMessage", Status: 400, Body: denied}, pipeline.Unauthorized, "not authorized", "sqs:ReceiveMessage"},
		"delete":  {emulator.Fault{Match: "DeleteMessageBatch", Status: 400, Body: denied}, pipeline.Unauthorized, "not authorized", "sqs:DeleteMessage"},
		"no queue": {
			emulator.Fault{Match: "ReceiveMessage", Status: 400, Body: `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`},
			pipeline.Unauthorized, "does not exist", "sqs.queue_url",
		},
		"throttled": {emulator.Fault{Match: "ReceiveMessage", Status: 400, Body: `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow"}`}, pipeline.Throttled, "slow", ""},
		"outage":    {emulator.Fault{Match: "ReceiveMessage", Status: 503}, pipeline.Transient, "503", ""},
		"hangs":     {emulator.Fault{Match: "ReceiveMessage", Kind: emulator.FaultHang}, pipeline.Transient, "no answer in time", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c.fault.Times = -1
				faults := emulator.NewFaults(c.fault)
				s := newSQS(queues.Options{Faults: faults}, queues.Queue{})
				ids := fill(s, 30)
				in := startQueueRun(t, t.Context(), alone(s), new(pipelinetest.Pages))
				<-time.After(10 * time.Minute)
				in.mu.Lock()
				e := pipeline.Classify(in.errs[0])
				in.mu.Unlock()
				if told := in.told(); len(told) != 1 || e.Class != c.class || !strings.Contains(told[0], c.text) || !strings.Contains(told[0], queueURL) || !strings.Contains(e.Hint, c.hint) {
					t.Errorf("told %q, class %v, hint %q", told, e.Class, e.Hint)
				}
				faults.Clear()
				<-time.After(10 * time.Minute)
				in.end()
				if missing := in.disk.Missing(ids); len(missing) > 0 || len(s.Messages(queueName)) > 0 {
					t.Errorf("%d events are missing, %d messages are left", len(missing), len(s.Messages(queueName)))
				}
			})
		})
	}
}
