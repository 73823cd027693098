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

// denier is a Sink that refuses what goes to some log streams.
type denier struct {
	answers

	mu     sync.Mutex
	denied map[string]bool
	calls  map[string]int // by log stream
}

func (s *denier) Deliver(ctx context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	stream := b.Destination.LogStream
	s.mu.Lock()
	denied := s.denied[stream]
	s.calls[stream]++
	s.mu.Unlock()
	if denied {
		return pipeline.Receipt{}, &pipeline.Error{Op: "deliver to " + stream, Class: pipeline.Unauthorized, Err: errRefused}
	}
	return s.answers.Deliver(ctx, b)
}

// allow ends the refusals of a stream.
func (s *denier) allow(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.denied, stream)
}

// deny makes a denier of some streams.
func deny(streams ...string) *denier {
	s := &denier{denied: make(map[string]bool), calls: make(map[string]int)}
	for _, stream := range streams {
		s.denied[stream] = true
	}
	return s
}

// spread routes the events by the last digit of their ids, to ten streams.
func spread(e event.Event) pipeline.Destination {
	return pipeline.Destination{LogGroup: "/g", LogStream: e.LogID[len(e.LogID)-1:]}
}

// TestDestinationsInTroubleHoldUpNoOther refuses most of the destinations, more
// than there are workers, for hours: the others get their events at once, the
// refused ones are asked now and then, and get theirs when they work again.
func TestDestinationsInTroubleHoldUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := deny("1", "2", "3", "4", "5", "6", "7")
		r := startRouted(t, drip{}, sink, spread)
		after(3 * time.Hour)
		const events = 3 * 3600 / 10
		if n := len(sink.delivered()); n < events*3/10-1 {
			t.Errorf("%d events were delivered in three hours, want the three tenths that may", n)
		}
		for _, stream := range []string{"1", "7"} {
			if n := sink.calls[stream]; n < 3*50 || n > 3*3600/30 {
				t.Errorf("stream %s was asked %d times in three hours, want about once a minute", stream, n)
			}
		}
		for stream := range 8 {
			sink.allow(strconv.Itoa(stream))
		}
		after(2 * time.Minute)
		if n := len(sink.delivered()); n < events {
			t.Errorf("%d of %d events were delivered after the end of the trouble", n, events)
		}
		if c := r.deliver.Trouble(); c != nil {
			t.Errorf("trouble is %+v, want none", c)
		}
	})
}

// TestOneDestinationInTroubleStaysTold lets one destination fail while the others
// work: their successes do not end the trouble, and nothing is told again.
func TestOneDestinationInTroubleStaysTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := deny("3")
		r := startRouted(t, drip{}, sink, spread)
		after(30 * time.Second)
		for range 10 {
			after(time.Minute)
			if c := r.deliver.Trouble(); c == nil || c.Err.Class != pipeline.Unauthorized {
				t.Fatalf("trouble is %+v while a destination is refused", c)
			}
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

// TestTheTroubleThatIsLeftIsTold has two destinations refused for different
// reasons: each is told once, and when the later one is over the other is told of
// again.
func TestTheTroubleThatIsLeftIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := deny("3", "5")
		r := startRouted(t, drip{}, sink, spread)
		after(10 * time.Minute)
		if n := strings.Count(r.log.String(), "trouble, trying again"); n != 2 {
			t.Errorf("two troubles were logged %d times, want twice", n)
		}
		sink.allow("5")
		after(time.Minute)
		if c := r.deliver.Trouble(); c == nil || c.Err.Error() != "deliver batch: deliver to 3: refused" || time.Since(c.Since) < 10*time.Minute {
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
