package pipeline_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// drip is a Source of one event each ten seconds. The cursor is the number of
// events brought.
type drip struct{}

func (drip) Name() string { return "drip" }

func (drip) Run(ctx context.Context, from event.Cursor, emit pipeline.Emit) error {
	n, _ := strconv.Atoi(string(from)) // empty at first
	for {
		n++
		e := event.Event{LogID: strconv.Itoa(n), Date: time.Now(), Type: "s", Raw: []byte("{}")}
		if err := emit(ctx, event.Page{Events: []event.Event{e}, Cursor: event.Cursor(strconv.Itoa(n)), CaughtUp: true}); err != nil {
			return err
		}
		if err := pipeline.Wait(ctx, 10*time.Second); err != nil {
			return err
		}
	}
}

// denier is a Sink that refuses the events of some ids.
type denier struct {
	answers

	mu     sync.Mutex
	denied map[string]string // the text of the refusal by id
}

func (s *denier) Deliver(ctx context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	s.mu.Lock()
	text := s.denied[b.Events[0].LogID]
	s.mu.Unlock()
	if text != "" {
		return pipeline.Receipt{}, &pipeline.Error{Op: text, Class: pipeline.Unauthorized, Err: errRefused}
	}
	return s.answers.Deliver(ctx, b)
}

// allow ends the refusals of an id.
func (s *denier) allow(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.denied, id)
}

// TestOneBatchInTroubleStaysTold lets one worker fail while the other goes on:
// its successes do not end the trouble, and nothing is told again and again.
func TestOneBatchInTroubleStaysTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &denier{denied: map[string]string{"3": "deliver to a"}}
		r := start(t, drip{}, sink)
		for range 10 {
			after(time.Minute)
			if c := r.deliver.Trouble(); c == nil || c.Err.Class != pipeline.Unauthorized {
				t.Fatalf("trouble is %+v while a batch is refused", c)
			}
		}
		if n := len(sink.delivered()); n < 58 {
			t.Errorf("%d events were delivered beside it, want all others", n)
		}
		sink.allow("3")
		after(time.Minute)
		if diff := cmp.Diff([]string{"delivery unauthorized", "delivery fine"}, r.told); diff != "" {
			t.Errorf("reported (-want +got):\n%s", diff)
		}
		if n := strings.Count(r.log.String(), "trouble, trying again"); n != 1 {
			t.Errorf("one trouble was logged %d times, want once", n)
		}
	})
}

// TestTheTroubleThatIsLeftIsTold has two batches refused for different reasons:
// each is told once, and when the later one is over the other is told of again.
func TestTheTroubleThatIsLeftIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &denier{denied: map[string]string{"3": "deliver to a", "5": "deliver to b"}}
		r := start(t, drip{}, sink)
		after(10 * time.Minute)
		if n := strings.Count(r.log.String(), "trouble, trying again"); n != 2 {
			t.Errorf("two troubles were logged %d times, want twice", n)
		}
		sink.allow("5")
		after(time.Minute)
		if c := r.deliver.Trouble(); c == nil || c.Err.Op != "deliver to a" || time.Since(c.Since) < 10*time.Minute {
			t.Errorf("trouble is %+v, want the one that is left, since it began", c)
		}
		sink.allow("3")
		after(time.Minute)
		want := []string{"delivery unauthorized", "delivery unauthorized", "delivery unauthorized", "delivery fine"}
		if diff := cmp.Diff(want, r.told); diff != "" {
			t.Errorf("reported (-want +got):\n%s", diff)
		}
	})
}
